//! The vfio-user messages: wire layouts, command numbers, flags.
//!
//! Owns what is on the socket (vfio-user specification 0.0; the VFIO structures are those of `<linux/vfio.h>`, and their
//! flags come from `vfio-bindings`). What a message means is the server's.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Protocol version, major.
pub const MAJOR: u16 = 0;
/// Protocol version, minor.
pub const MINOR: u16 = 1;
/// Bytes of the header that every message starts with.
pub const HEADER_BYTES: usize = 16;
/// Most data in one read or write message: the specification's default.
pub const MAX_TRANSFER: usize = 1 << 20;
/// Largest message taken: the largest data and the fields before it.
pub const MAX_MESSAGE: usize = MAX_TRANSFER + 64;
/// Most file descriptors in one message.
pub const MAX_FDS: usize = 8;
/// Most DMA mappings at a time.
pub const MAX_DMA_MAPS: usize = 65_535;

/// `flags`: which bits are the type.
pub const TYPE_MASK: u32 = 0xf;
/// `flags`, type: a command.
pub const TYPE_COMMAND: u32 = 0;
/// `flags`, type: a reply.
pub const TYPE_REPLY: u32 = 1;
/// `flags`: the command is posted.
pub const NO_REPLY: u32 = 1 << 4;
/// `flags`: the reply is an error.
pub const ERROR: u32 = 1 << 5;

/// `DMA_MAP`, `flags`: the device may read.
pub const DMA_READABLE: u32 = 1 << 0;
/// `DMA_MAP`, `flags`: the device may write.
pub const DMA_WRITABLE: u32 = 1 << 1;
/// `DMA_UNMAP`, `flags`: everything (address and size are then 0), as in `<linux/vfio.h>`.
pub const DMA_UNMAP_ALL: u32 = 1 << 1;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// What a message asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Command {
            $($(#[$doc])* $name = $number,)*
        }

        impl Command {
            /// Every command.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The command with this number.
            #[must_use]
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    /// The handshake: always the first message.
    Version = 1,
    /// Gives the device memory.
    DmaMap = 2,
    /// Takes it back.
    DmaUnmap = 3,
    /// How many regions and interrupts.
    GetInfo = 4,
    /// One region.
    GetRegionInfo = 5,
    /// File descriptors that stand for register writes; not offered.
    GetRegionIoFds = 6,
    /// One kind of interrupt.
    GetIrqInfo = 7,
    /// Wires interrupts to eventfds.
    SetIrqs = 8,
    /// Reads a region.
    RegionRead = 9,
    /// Writes a region.
    RegionWrite = 10,
    /// From the server: reads memory that came without a file descriptor.
    DmaRead = 11,
    /// From the server: writes such memory.
    DmaWrite = 12,
    /// Resets the function.
    Reset = 13,
}

/// The header of every message.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// The sender's number; comes back in the reply.
    pub id: u16,
    /// [`Command`].
    pub command: u16,
    /// Bytes of the whole message.
    pub size: u32,
    /// Type, [`NO_REPLY`], [`ERROR`].
    pub flags: u32,
    /// Errno of an error reply.
    pub error: u32,
}

impl Header {
    /// It is a reply.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.flags & TYPE_MASK == TYPE_REPLY
    }

    /// It is a command that wants no reply.
    #[must_use]
    pub fn is_posted(&self) -> bool {
        self.flags & NO_REPLY != 0
    }
}

/// `DMA_MAP`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DmaMap {
    /// Bytes of this structure.
    pub argsz: u32,
    /// [`DMA_READABLE`], [`DMA_WRITABLE`].
    pub flags: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Address as the device sees it.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// `DMA_UNMAP`, and its reply.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DmaUnmap {
    /// Bytes that the reply may have.
    pub argsz: u32,
    /// [`DMA_UNMAP_ALL`].
    pub flags: u32,
    /// First address.
    pub address: u64,
    /// Bytes; address plus size may be 2^64.
    pub size: u64,
}

/// `GET_INFO`, and its reply.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeviceInfo {
    /// Bytes of the reply.
    pub argsz: u32,
    /// `VFIO_DEVICE_FLAGS_*`.
    pub flags: u32,
    /// Regions.
    pub regions: u32,
    /// Kinds of interrupts.
    pub irqs: u32,
}

/// `GET_REGION_INFO`, and its reply.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RegionInfo {
    /// Bytes of the reply.
    pub argsz: u32,
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: u32,
    /// Which region.
    pub index: u32,
    /// Where capabilities start; 0: none.
    pub cap_offset: u32,
    /// Bytes of the region.
    pub size: u64,
    /// Where `mmap` would find it.
    pub offset: u64,
}

/// `GET_IRQ_INFO`, and its reply.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IrqInfo {
    /// Bytes of the reply.
    pub argsz: u32,
    /// `VFIO_IRQ_INFO_*`.
    pub flags: u32,
    /// Which kind.
    pub index: u32,
    /// Vectors.
    pub count: u32,
}

/// `SET_IRQS`; booleans may follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IrqSet {
    /// Bytes with the data.
    pub argsz: u32,
    /// `VFIO_IRQ_SET_*`.
    pub flags: u32,
    /// Which kind.
    pub index: u32,
    /// First vector.
    pub start: u32,
    /// Vectors.
    pub count: u32,
}

/// `REGION_READ` and `REGION_WRITE`; the data follows it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RegionAccess {
    /// Offset in the region.
    pub offset: u64,
    /// Which region.
    pub region: u32,
    /// Bytes.
    pub count: u32,
}

/// `DMA_READ` and `DMA_WRITE`; the data follows it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DmaAccess {
    /// Address as the device sees it.
    pub address: u64,
    /// Bytes.
    pub count: u64,
}

/// A whole message: header and body in one buffer.
#[must_use]
pub fn message(command: Command, id: u16, flags: u32, body: &[&[u8]]) -> Vec<u8> {
    let size = HEADER_BYTES + body.iter().map(|part| part.len()).sum::<usize>();
    let header = Header {
        id,
        command: command as u16,
        size: u32::try_from(size).unwrap_or(u32::MAX),
        flags,
        error: 0,
    };
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(header.as_bytes());
    for part in body {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The error reply to `header`.
#[must_use]
pub fn error_reply(header: &Header, errno: i32) -> Vec<u8> {
    let reply = Header {
        id: header.id,
        command: header.command,
        size: HEADER_BYTES as u32,
        flags: TYPE_REPLY | ERROR,
        error: errno.unsigned_abs(),
    };
    reply.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::size_of;
    use vfio_bindings::bindings::vfio::{vfio_irq_info, vfio_irq_set, vfio_region_info};

    #[test]
    fn layouts_are_those_of_the_kernel_and_the_specification() {
        assert_eq!(size_of::<Header>(), HEADER_BYTES);
        assert_eq!(size_of::<DmaMap>(), 32);
        assert_eq!(size_of::<DmaUnmap>(), 24);
        assert_eq!(size_of::<DeviceInfo>(), 16);
        assert_eq!(size_of::<RegionInfo>(), size_of::<vfio_region_info>());
        assert_eq!(size_of::<IrqInfo>(), size_of::<vfio_irq_info>());
        assert_eq!(size_of::<IrqSet>(), size_of::<vfio_irq_set>());
        assert_eq!(size_of::<RegionAccess>(), 16);
        assert_eq!(size_of::<DmaAccess>(), 16);
    }

    #[test]
    fn commands_have_their_numbers() {
        for &command in Command::ALL {
            assert_eq!(Command::from_number(command as u16), Some(command));
        }
        assert_eq!(Command::from_number(0), None);
        assert_eq!(Command::from_number(14), None);
    }
}
