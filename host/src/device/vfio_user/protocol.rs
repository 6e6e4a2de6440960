//! The messages of vfio-user (protocol 0.1), as the client sends and reads them.
//!
//! Owns their layouts, all little-endian. The bodies are the kernel's VFIO structures: their sizes are compared with
//! `vfio-bindings`, whose constants the client uses.

use vfio_bindings::bindings::vfio::{
    vfio_device_info, vfio_irq_info, vfio_irq_set, vfio_region_info,
};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version that the client speaks.
pub const MAJOR: u16 = 0;
/// Minor version that the client speaks.
pub const MINOR: u16 = 1;
/// Bytes of [`Header`].
pub const HEADER_BYTES: usize = size_of::<Header>();
/// Longest message that the client takes: a full data transfer and its head.
pub const MAX_MESSAGE: usize = MAX_TRANSFER as usize + 4096;
/// Data of one region access that the client offers to take, and the protocol's default.
pub const MAX_TRANSFER: u64 = 1 << 20;
/// File descriptors a message that the client takes.
pub const MAX_FDS: usize = 8;

bitflags::bitflags! {
    /// A header's flags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// The message answers a command.
        const REPLY = 1;
        /// Nobody waits for an answer.
        const NO_REPLY = 1 << 4;
        /// The command failed; the header's error says why.
        const ERROR = 1 << 5;
        /// Bits of the message's type: 0 command, 1 reply.
        const TYPE = 0xf;
    }
}

/// Commands that the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Command {
    /// Negotiates version and capabilities.
    Version = 1,
    /// Offers memory for DMA.
    DmaMap = 2,
    /// Takes memory back.
    DmaUnmap = 3,
    /// Asks what the device is.
    GetInfo = 4,
    /// Asks about a region.
    GetRegionInfo = 5,
    /// Asks about a kind of interrupt.
    GetIrqInfo = 7,
    /// Wires interrupts to eventfds.
    SetIrqs = 8,
    /// Reads a region.
    RegionRead = 9,
    /// Writes a region.
    RegionWrite = 10,
    /// Resets the device.
    Reset = 13,
}

/// What every message begins with.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Comes back in the reply.
    pub id: U16,
    /// [`Command`].
    pub command: U16,
    /// Bytes of the message, header included.
    pub size: U32,
    /// [`Flags`].
    pub flags: U32,
    /// An errno, with [`Flags::ERROR`].
    pub error: U32,
}

/// VERSION, before its JSON text and a zero byte.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Version {
    /// Major version.
    pub major: U16,
    /// Minor version.
    pub minor: U16,
}

/// DMA_MAP; the memory's file descriptor travels beside it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DmaMap {
    /// Bytes of this structure.
    pub argsz: U32,
    /// `VFIO_DMA_MAP_FLAG_*`.
    pub flags: U32,
    /// Where the memory begins in the file.
    pub offset: U64,
    /// Where the device sees it.
    pub address: U64,
    /// Bytes.
    pub size: U64,
}

/// DMA_UNMAP, and its reply.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DmaUnmap {
    /// Bytes of this structure.
    pub argsz: U32,
    /// Flags; 0.
    pub flags: U32,
    /// Where the device saw it.
    pub address: U64,
    /// Bytes.
    pub size: U64,
}

/// DEVICE_GET_INFO, as far as protocol 0.1 defines it.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DeviceInfo {
    /// Bytes of this structure.
    pub argsz: U32,
    /// `VFIO_DEVICE_FLAGS_*`.
    pub flags: U32,
    /// Regions.
    pub num_regions: U32,
    /// Kinds of interrupts.
    pub num_irqs: U32,
}

/// DEVICE_GET_REGION_INFO.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RegionInfo {
    /// Bytes of this structure and its capabilities.
    pub argsz: U32,
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: U32,
    /// The region.
    pub index: U32,
    /// Offset of the first capability.
    pub cap_offset: U32,
    /// Bytes of the region.
    pub size: U64,
    /// Where it begins in the file descriptor that came along.
    pub offset: U64,
}

/// DEVICE_GET_IRQ_INFO.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct IrqInfo {
    /// Bytes of this structure.
    pub argsz: U32,
    /// `VFIO_IRQ_INFO_*`.
    pub flags: U32,
    /// The kind.
    pub index: U32,
    /// Vectors.
    pub count: U32,
}

/// DEVICE_SET_IRQS; the eventfds travel beside it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct IrqSet {
    /// Bytes of this structure.
    pub argsz: U32,
    /// `VFIO_IRQ_SET_*`.
    pub flags: U32,
    /// The kind.
    pub index: U32,
    /// First vector.
    pub start: U32,
    /// Vectors.
    pub count: U32,
}

/// REGION_READ and REGION_WRITE, before their data.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct RegionAccess {
    /// Offset in the region.
    pub offset: U64,
    /// The region.
    pub region: U32,
    /// Bytes.
    pub count: U32,
}

const _: () = {
    assert!(HEADER_BYTES == 16);
    // The kernel has grown this one since the protocol was written.
    assert!(size_of::<DeviceInfo>() <= size_of::<vfio_device_info>());
    assert!(size_of::<RegionInfo>() == size_of::<vfio_region_info>());
    assert!(size_of::<IrqInfo>() == size_of::<vfio_irq_info>());
    assert!(size_of::<IrqSet>() == size_of::<vfio_irq_set>());
    assert!(
        size_of::<DmaMap>() == 32 && size_of::<DmaUnmap>() == 24 && size_of::<RegionAccess>() == 16
    );
};

/// The sizes of the structures as `argsz` states them.
#[must_use]
pub fn argsz<T>() -> U32 {
    // They have a few dozen bytes.
    U32::new(u32::try_from(size_of::<T>()).unwrap_or(0))
}
