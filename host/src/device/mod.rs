//! A PCI function as the driver sees it, whatever carries it: a vfio-user socket, or the kernel's VFIO.
//!
//! Owns the [`Device`] trait, its memory ([`DmaMem`]), its BARs ([`Bar`]) and how a device is named in the configuration
//! ([`DeviceAddress`]). Nothing above this module may know which backend it drives. What the registers mean is
//! [`crate::card`]'s.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::PollFd;

mod address;
pub mod binding;
mod config_space;
#[allow(unsafe_code)] // mmap of memory shared with the card, volatile and atomic access to it
mod dma;
mod error;
mod iova;
#[allow(unsafe_code)]
// mapped BARs, and the pointers that the generated register API takes for offsets
mod mmio;
pub mod sim;
pub mod sysfs;
pub mod vfio;
pub mod vfio_user;

pub use address::{AddressError, DeviceAddress, PciAddress};
pub use config_space::{Identity, enable_bus_mastering, enable_memory_space, identify};
pub use dma::{DmaMem, halves, order_after_phase, order_before_doorbell};
pub use error::DeviceError;
pub use iova::IovaSpace;
pub use mmio::{Bar, MappedBar, Presence, RegionIo, registers};

/// A PCI function that the driver owns. Shared between threads: every method is one whole access.
///
/// Dropping the last reference closes the function, which is a *host reset* for the card.
pub trait Device: Send + Sync {
    /// What the function is called in messages: "the simulator at /run/x.sock".
    fn name(&self) -> &str;

    /// Reads configuration space.
    ///
    /// # Errors
    /// When the function is gone or refuses the range.
    fn config_read(&self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes configuration space. Takes effect before it returns.
    ///
    /// # Errors
    /// When the function is gone or refuses the range.
    fn config_write(&self, offset: u16, data: &[u8]) -> Result<(), DeviceError>;

    /// Opens BAR `index`.
    ///
    /// # Errors
    /// When the function has no such BAR, or it cannot be read and written.
    fn bar(&self, index: u8) -> Result<Bar, DeviceError>;

    /// Allocates at least `bytes` of zeroed memory, as this function's mappings like it best. `name` shows in `/proc`.
    ///
    /// # Errors
    /// When the system has no memory, or `bytes` is 0.
    fn allocate(&self, name: &str, bytes: usize) -> Result<DmaMem, DeviceError> {
        DmaMem::new(name, bytes)
    }

    /// Makes `memory` reachable for the card and returns where: the address that descriptors name.
    ///
    /// # Errors
    /// When the other side refuses the mapping, or addresses have run out.
    fn dma_map(&self, memory: &DmaMem) -> Result<u64, DeviceError>;

    /// Takes a mapping of [`Device::dma_map`] back. The card must not use it any more.
    ///
    /// # Errors
    /// When there is no such mapping, or the function is gone (its mappings then are, too).
    fn dma_unmap(&self, iova: u64, bytes: usize) -> Result<(), DeviceError>;

    /// Enables MSI-X vectors 0 to `vectors` - 1 and returns an eventfd (non-blocking) for each.
    ///
    /// # Errors
    /// When the function has fewer vectors or refuses.
    fn enable_msix(&self, vectors: u16) -> Result<Vec<OwnedFd>, DeviceError>;

    /// Resets the function: a *host reset* of the card. Mappings stay, bus mastering and MSI-X are off afterwards.
    ///
    /// # Errors
    /// When the function is gone or cannot be reset.
    fn reset(&self) -> Result<(), DeviceError>;

    /// Why the function has to be given up for good, as the error of `doing`; `None` while it serves. It may have closed, the kernel may want
    /// it back, or it may have reported an error. Cheap enough for a packet loop's slow turns.
    fn gone(&self, doing: &str) -> Option<DeviceError>;

    /// Whether the function has to be given up for good ([`Device::gone`]).
    fn is_gone(&self) -> bool {
        self.gone("").is_some()
    }

    /// What becomes ready, and stays so, when [`Device::gone`] has something to say: for those who sleep.
    fn death(&self) -> Option<PollFd<'_>>;
}

/// Opens the card at `address`. A private simulator (`sim`) is started as `sim` says.
///
/// # Errors
/// When it cannot be reached, or a private simulator is asked for without saying how.
pub fn open(
    address: &DeviceAddress,
    sim: Option<sim::SimOptions>,
) -> Result<Arc<dyn Device>, DeviceError> {
    match address {
        DeviceAddress::Sim => match sim {
            Some(options) => Ok(sim::SimulatedCard::start(options)?),
            None => Err(DeviceError::Open {
                device: "a private simulator".to_owned(),
                reason: "it needs a wire: add --wire veth:NAME".to_owned(),
            }),
        },
        DeviceAddress::VfioUser(path) => Ok(Arc::new(vfio_user::VfioUser::connect(
            path,
            vfio_user::DEFAULT_TIMEOUT,
        )?)),
        DeviceAddress::Vfio(place) => Ok(Arc::new(vfio::Vfio::open(*place)?)),
    }
}

/// DMA memory that the card can reach: mapped at creation, unmapped at the end.
pub struct DmaRegion {
    memory: DmaMem,
    iova: u64,
    device: Arc<dyn Device>,
}

impl DmaRegion {
    /// Allocates `bytes` (rounded up to whole pages) of zeroed memory and maps it.
    ///
    /// # Errors
    /// When memory or mapping is refused.
    pub fn new(device: &Arc<dyn Device>, name: &str, bytes: usize) -> Result<Self, DeviceError> {
        let memory = device.allocate(name, bytes)?;
        let iova = device.dma_map(&memory)?;
        Ok(Self {
            memory,
            iova,
            device: Arc::clone(device),
        })
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &DmaMem {
        &self.memory
    }

    /// Where the card sees its first byte.
    #[must_use]
    pub fn iova(&self) -> u64 {
        self.iova
    }
}

impl Drop for DmaRegion {
    fn drop(&mut self) {
        if let Err(error) = self.device.dma_unmap(self.iova, self.memory.len())
            && !self.device.is_gone()
        {
            tracing::warn!(%error, "DMA memory stays mapped");
        }
    }
}
