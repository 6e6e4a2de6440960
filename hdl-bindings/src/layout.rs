//! How one declaration becomes both sides of the card's interface.
//!
//! Owns the macros that turn a list of fields into a Rust type with `to_words`/`from_words` and into the description
//! from which [`crate::sv`] writes the SystemVerilog packed struct of the same name. What the layouts mean stands with
//! their declarations ([`crate::tables`], [`crate::descriptors`]).
//!
//! Bit 0 of the first field is bit 0 of word 0; fields follow without gaps; words travel little-endian. A packed struct
//! in SystemVerilog lists its fields the other way round, so that the same bit has the same number on both sides.

/// One field of a layout, as both sides see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name, the same in Rust and SystemVerilog.
    pub name: &'static str,
    /// Its lowest bit within the layout.
    pub offset: usize,
    /// Its width in bits.
    pub bits: usize,
    /// What it means.
    pub doc: &'static str,
}

/// A whole layout: what [`crate::sv`] writes and [`crate::LAYOUT_HASH`] covers.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The SystemVerilog type's name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Width in bits, a multiple of 32.
    pub bits: usize,
    /// Fields from bit 0 upwards, reserved ones included.
    pub fields: &'static [Field],
}

/// One value of a set of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its name in `snake_case`, as counters, CLI and JSON spell it.
    pub name: &'static str,
    /// Its number on the card.
    pub value: u64,
    /// What it means.
    pub doc: &'static str,
}

/// A set of codes: an `enum` on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// The SystemVerilog type's name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Width in bits.
    pub bits: usize,
    /// Its values.
    pub codes: &'static [Code],
}

/// A value that a field can hold: at most 128 bits.
pub trait Bits: Copy {
    /// The value as an unsigned number.
    fn to_u128(self) -> u128;
    /// The low bits of `raw` as a value.
    fn from_u128(raw: u128) -> Self;
}

macro_rules! bits_for {
    ($($t:ty),*) => {$(
        impl Bits for $t {
            fn to_u128(self) -> u128 { u128::from(self) }
            // The mask in `get` has already cut `raw` to the field's width.
            #[allow(clippy::cast_possible_truncation)]
            fn from_u128(raw: u128) -> Self { raw as $t }
        }
    )*};
}
bits_for!(u8, u16, u32, u64, u128);

impl Bits for bool {
    fn to_u128(self) -> u128 {
        u128::from(self)
    }
    fn from_u128(raw: u128) -> Self {
        raw & 1 == 1
    }
}

/// Puts `value` into `bits` bits at `offset`.
///
/// # Panics
/// When the value does not fit: whoever fills an entry has checked its ranges, so this is a programming error.
pub fn put(words: &mut [u32], offset: usize, bits: usize, value: u128) {
    assert!(
        bits == 128 || value >> bits == 0,
        "a value of more than {bits} bits at bit {offset}"
    );
    for i in 0..bits {
        let (word, bit) = ((offset + i) / 32, (offset + i) % 32);
        let one = u32::from(value >> i & 1 == 1);
        words[word] = words[word] & !(1 << bit) | one << bit;
    }
}

/// Takes `bits` bits at `offset`.
#[must_use]
pub fn get(words: &[u32], offset: usize, bits: usize) -> u128 {
    let mut value = 0u128;
    let mut done = 0;
    while done < bits {
        let at = offset + done;
        let take = (32 - at % 32).min(bits - done);
        let mask = if take == 32 {
            u32::MAX
        } else {
            (1 << take) - 1
        };
        value |= u128::from(words[at / 32] >> (at % 32) & mask) << done;
        done += take;
    }
    value
}

/// Declares a layout: `name as sv_type: bits { field: type [bits], ... }`. Bits not named are reserved and zero.
macro_rules! layout {
    ($(#[doc = $doc:literal])* $(#[attr($($attr:tt)*)])? pub struct $name:ident as $sv:literal : $bits:literal {
        $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty [$width:literal] ),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name { $( $(#[doc = $fdoc])* pub $field: $ty, )* }

        impl $name {
            /// Width in bits.
            pub const BITS: usize = $bits;
            /// Width in 32-bit words.
            pub const WORDS: usize = $bits / 32;
            /// Width in bytes.
            pub const BYTES: usize = $bits / 8;
            /// The description that the SystemVerilog type is written from.
            pub const LAYOUT: $crate::layout::Layout = $crate::layout::Layout {
                name: $sv,
                doc: concat!($($doc, "\n"),*),
                bits: $bits,
                fields: &{
                    let mut fields = [$( $crate::layout::Field { name: stringify!($field), offset: 0, bits: $width, doc: concat!($($fdoc),*) } ),*];
                    let mut i = 1;
                    while i < fields.len() {
                        fields[i].offset = fields[i - 1].offset + fields[i - 1].bits;
                        i += 1;
                    }
                    assert!(fields[fields.len() - 1].offset + fields[fields.len() - 1].bits <= $bits, "fields exceed the layout");
                    assert!($bits % 32 == 0, "a layout is whole words");
                    fields
                },
            };

            /// The words as they lie in memory, lowest first.
            ///
            /// # Panics
            /// When a field's value does not fit its width.
            #[must_use]
            pub fn to_words(&self) -> [u32; $bits / 32] {
                let mut words = [0u32; $bits / 32];
                let mut offset = 0;
                $( $crate::layout::put(&mut words, offset, $width, $crate::layout::Bits::to_u128(self.$field)); offset += $width; )*
                let _ = offset;
                words
            }

            /// The entry that these words hold; reserved bits are ignored.
            #[must_use]
            pub fn from_words(words: &[u32; $bits / 32]) -> Self {
                let mut offset = 0;
                $( let $field = <$ty as $crate::layout::Bits>::from_u128($crate::layout::get(words, offset, $width)); offset += $width; )*
                let _ = offset;
                Self { $( $field ),* }
            }

            /// The bytes as they lie in memory (little-endian words).
            ///
            /// # Panics
            /// When a field's value does not fit its width.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; $bits / 8] {
                let mut bytes = [0u8; $bits / 8];
                for (chunk, word) in bytes.chunks_exact_mut(4).zip(self.to_words()) {
                    chunk.copy_from_slice(&word.to_le_bytes());
                }
                bytes
            }

            /// The entry that these bytes hold; reserved bits are ignored.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; $bits / 8]) -> Self {
                let mut words = [0u32; $bits / 32];
                for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
                    *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
                }
                Self::from_words(&words)
            }
        }
    };
}
pub(crate) use layout;

/// Declares a set of codes: an enum in Rust, and one in SystemVerilog.
macro_rules! codes {
    ($(#[doc = $doc:literal])* pub enum $name:ident as $sv:literal : $bits:literal {
        $( $(#[doc = $cdoc:literal])* $code:ident = $value:literal as $text:literal ),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $( $(#[doc = $cdoc])* $code = $value ),* }

        impl $name {
            /// Every code, in order of its number.
            pub const ALL: &'static [Self] = &[$( Self::$code ),*];
            /// The description that the SystemVerilog type is written from.
            pub const CODES: $crate::layout::Codes = $crate::layout::Codes {
                name: $sv,
                doc: concat!($($doc, "\n"),*),
                bits: $bits,
                codes: &[$( $crate::layout::Code { name: $text, value: $value, doc: concat!($($cdoc),*) } ),*],
            };

            /// The code with this number, when there is one.
            #[must_use]
            pub const fn from_raw(raw: u8) -> Option<Self> {
                match raw { $( $value => Some(Self::$code), )* _ => None }
            }

            /// The number on the card.
            #[must_use]
            pub const fn raw(self) -> u8 {
                self as u8
            }

            /// The name as counters, CLI and JSON spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$code => $text ),* }
            }

            /// What the code means, in a sentence.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $( Self::$code => concat!($($cdoc),*) ),* }
            }
        }
    };
}
pub(crate) use codes;
