//! The scratch block: 32 words on the card that belong to the host and outlive it.
//!
//! Owns their layout. What a host does with what it finds there is the control plane's business.
//!
//! ```text
//! word  0      SCRATCH_MAGIC: a host has configured this card since its reset
//!       1      version of this layout
//!       2      owner (the node's number of its choice)
//!       3      generation: hosts that have taken the card, counted up by each
//!       4..12  digest of the configuration that is on the card (SHA-256, its bytes in order)
//!      12..16  swap journal: state, pool, new base, new size
//!      16..32  reserved, zero
//! ```

use crate::device::{Bar, registers};

use super::{Card, CardError, PoolId};

/// "GWHS": the block is a Guideway host's.
const SCRATCH_MAGIC: u32 = 0x4757_4853;
/// Version of the layout above.
const SCRATCH_VERSION: u32 = 1;
const OWNER: usize = 2;
const GENERATION: usize = 3;
const DIGEST: usize = 4;
const JOURNAL: usize = 12;
const JOURNAL_STATE: [u32; 3] = [0, 1, 2];

/// How far a ring swap has come: what the next host needs to know of one that died in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwapJournal {
    /// No swap is under way.
    #[default]
    None,
    /// The new ring is being written; the pool still names the old.
    Writing {
        /// The pool.
        pool: PoolId,
        /// The new ring's first slot.
        base: u32,
        /// The new ring's slots.
        size: u32,
    },
    /// The new ring is complete and its pinned flows are installed; the pool may name either.
    Ready {
        /// The pool.
        pool: PoolId,
        /// The new ring's first slot.
        base: u32,
        /// The new ring's slots.
        size: u32,
    },
}

/// The block's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// The owner.
    pub owner: u32,
    /// Hosts that have taken the card.
    pub generation: u32,
    /// Digest of the configuration on the card.
    pub digest: [u8; 32],
    /// The swap under way.
    pub journal: SwapJournal,
}

impl Scratch {
    fn to_words(self) -> [u32; 32] {
        let mut words = [0; 32];
        (words[0], words[1], words[OWNER], words[GENERATION]) =
            (SCRATCH_MAGIC, SCRATCH_VERSION, self.owner, self.generation);
        words[DIGEST..JOURNAL].copy_from_slice(&digest_words(&self.digest));
        words[JOURNAL..JOURNAL + 4].copy_from_slice(&self.journal.to_words());
        words
    }

    fn from_words(words: &[u32; 32]) -> Option<Self> {
        if words[0] != SCRATCH_MAGIC || words[1] != SCRATCH_VERSION {
            return None;
        }
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(&words[DIGEST..JOURNAL]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let journal = SwapJournal::from_words([
            words[JOURNAL],
            words[JOURNAL + 1],
            words[JOURNAL + 2],
            words[JOURNAL + 3],
        ])?;
        Some(Self {
            owner: words[OWNER],
            generation: words[GENERATION],
            digest,
            journal,
        })
    }
}

fn digest_words(digest: &[u8; 32]) -> [u32; 8] {
    std::array::from_fn(|i| {
        u32::from_le_bytes([
            digest[i * 4],
            digest[i * 4 + 1],
            digest[i * 4 + 2],
            digest[i * 4 + 3],
        ])
    })
}

impl SwapJournal {
    fn to_words(self) -> [u32; 4] {
        match self {
            Self::None => [JOURNAL_STATE[0], 0, 0, 0],
            Self::Writing { pool, base, size } => [JOURNAL_STATE[1], pool.0.into(), base, size],
            Self::Ready { pool, base, size } => [JOURNAL_STATE[2], pool.0.into(), base, size],
        }
    }

    fn from_words([state, pool, base, size]: [u32; 4]) -> Option<Self> {
        let pool = PoolId(u8::try_from(pool).ok()?);
        match JOURNAL_STATE.iter().position(|known| *known == state)? {
            0 => Some(Self::None),
            1 => Some(Self::Writing { pool, base, size }),
            _ => Some(Self::Ready { pool, base, size }),
        }
    }
}

impl Card {
    /// Reads the block; `None` on a card that no host (or one with another layout) has configured.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_scratch(&self) -> Result<Option<Scratch>, CardError> {
        read_scratch(self.bar())
    }

    /// Writes the block. The magic word goes last: a host that dies in between leaves a blank or a whole block.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn write_scratch(&self, scratch: &Scratch) -> Result<(), CardError> {
        let words = scratch.to_words();
        for (register, word) in registers(self.bar())
            .core()
            .scratch()
            .iter()
            .zip(words)
            .skip(1)
        {
            register.try_write(|r| r.set_value(word))?;
        }
        Ok(registers(self.bar()).core().scratch()[0].try_write(|r| r.set_value(words[0]))?)
    }

    /// Writes the swap journal alone: its state word last when a swap begins, first when it ends.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn write_journal(&self, journal: SwapJournal) -> Result<(), CardError> {
        let registers = registers(self.bar()).core().scratch();
        let words = journal.to_words();
        let order: [usize; 4] = if journal == SwapJournal::None {
            [0, 1, 2, 3]
        } else {
            [1, 2, 3, 0]
        };
        for i in order {
            registers[JOURNAL + i].try_write(|r| r.set_value(words[i]))?;
        }
        Ok(())
    }
}

pub(super) fn read_scratch(bar: &Bar) -> Result<Option<Scratch>, CardError> {
    let mut words = [0; 32];
    for (word, register) in words.iter_mut().zip(registers(bar).core().scratch()) {
        *word = register.try_read()?.value();
    }
    Ok(Scratch::from_words(&words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_survives_its_words() {
        let swap = SwapJournal::Writing {
            pool: PoolId(63),
            base: 65568,
            size: 65537,
        };
        let digest = std::array::from_fn(|i| i as u8 * 7);
        for journal in [
            SwapJournal::None,
            swap,
            SwapJournal::Ready {
                pool: PoolId(0),
                base: 0,
                size: 11,
            },
        ] {
            let scratch = Scratch {
                owner: 7,
                generation: 3,
                digest,
                journal,
            };
            assert_eq!(Scratch::from_words(&scratch.to_words()), Some(scratch));
        }
    }

    #[test]
    fn what_is_no_host_s_block_is_none() {
        assert_eq!(Scratch::from_words(&[0; 32]), None);
        let words = Scratch::default().to_words();
        for (at, value) in [(0, 1), (1, 2), (12, 3), (13, 64 << 8)] {
            let mut other = words;
            other[at] = value;
            assert_eq!(Scratch::from_words(&other), None, "word {at}");
        }
    }
}
