//! The kernel's VFIO: a card in this machine, bound to vfio-pci.
//!
//! Owns what the requests of [`Device`] are for the kernel. Opening and its refusals are [`group`]'s, accesses [`regions`]', events
//! [`interrupts`]', mappings [`dma`]'s. Binding a function to vfio-pci is not done here: that is the operator's decision.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::PollFd;
use vfio_bindings::bindings::vfio as abi;

use super::config_space::disable_bus_mastering;
use super::{Bar, Device, DeviceError, DmaMem, PciAddress};

mod capability;
mod dma;
mod group;
mod interrupts;
#[allow(unsafe_code)] // the kernel's requests take pointers to structures
mod ioctl;
mod kernel;
mod refusal;
mod regions;

use dma::Dma;
use group::Places;
use ioctl::Linux;
use kernel::Kernel;
use regions::Function;

/// Memory of so many bytes lies on huge pages when there are any: at most half of them is unused then.
const WORTH_HUGE_PAGES: usize = 1 << 20;

/// How long a busy function is asked for again.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two attempts.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// A function that vfio-pci holds.
pub struct Vfio {
    // Closed in this order.
    function: Arc<Function>,
    _group: OwnedFd,
    dma: Dma,
    can_reset: bool,
    told_pages: AtomicBool,
}

impl Vfio {
    /// Opens the function at `address`. The kernel resets it first: a *host reset* for the card.
    ///
    /// # Errors
    /// When it cannot be had; the message says what to do.
    pub fn open(address: PciAddress) -> Result<Self, DeviceError> {
        let (places, kernel) = (Places::default(), Arc::new(Linux) as Arc<dyn Kernel>);
        let begun = Instant::now();
        loop {
            match Self::open_in(&places, Arc::clone(&kernel), address) {
                // A host that was killed is still being cleaned up after: closing a function resets it, which takes a while.
                Err(DeviceError::Busy { .. }) if begun.elapsed() < BUSY_PATIENCE => {
                    std::thread::sleep(BUSY_PAUSE);
                }
                other => return other,
            }
        }
    }

    fn open_in(
        places: &Places,
        kernel: Arc<dyn Kernel>,
        address: PciAddress,
    ) -> Result<Self, DeviceError> {
        let name = format!("the card at {address}");
        let opened = group::open(places, &*kernel, address, &name)?;
        let cannot = |reason: String| DeviceError::Open {
            device: name.clone(),
            reason,
        };
        let info = kernel
            .function_info(opened.function.as_fd())
            .map_err(|errno| cannot(refusal::other("to say what it is", errno)))?;
        if info.flags & abi::VFIO_DEVICE_FLAGS_PCI == 0 {
            return Err(cannot(
                "the kernel says that it is no PCI function".to_owned(),
            ));
        }
        let dma = Dma::new(Arc::clone(&kernel), opened.container).map_err(cannot)?;
        Ok(Self {
            function: Arc::new(Function::new(&name, opened.function, kernel)?),
            _group: opened.group,
            dma,
            can_reset: info.flags & abi::VFIO_DEVICE_FLAGS_RESET != 0,
            told_pages: AtomicBool::new(false),
        })
    }

    /// A refusal of `doing`, or what explains it: that the function is gone.
    fn refused(&self, doing: &str, reason: String) -> DeviceError {
        self.gone(doing).unwrap_or_else(|| DeviceError::Refused {
            device: self.name().to_owned(),
            doing: doing.to_owned(),
            reason,
        })
    }
}

impl Device for Vfio {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.function
            .read(abi::VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.function
            .write(abi::VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        self.function.bar(index)
    }

    fn allocate(&self, name: &str, bytes: usize) -> Result<DmaMem, DeviceError> {
        if bytes >= WORTH_HUGE_PAGES {
            match DmaMem::huge(name, bytes) {
                Ok(memory) => return Ok(memory),
                Err(error) if !self.told_pages.swap(true, Ordering::Relaxed) => tracing::info!(
                    %error,
                    "DMA memory lies on small pages: not enough huge pages of 2 MiB are free (sysctl vm.nr_hugepages=32 reserves what \
                     a host needs)"
                ),
                Err(_) => {}
            }
        }
        DmaMem::new(name, bytes)
    }

    fn dma_map(&self, memory: &DmaMem) -> Result<u64, DeviceError> {
        self.dma.map(memory).map_err(|reason| {
            self.refused(
                &format!("mapping {:#x} bytes for DMA", memory.len()),
                reason,
            )
        })
    }

    fn dma_unmap(&self, iova: u64, bytes: usize) -> Result<(), DeviceError> {
        self.dma.unmap(iova, bytes as u64).map_err(|reason| {
            self.refused(&format!("unmapping {bytes:#x} bytes at {iova:#x}"), reason)
        })
    }

    fn enable_msix(&self, vectors: u16) -> Result<Vec<OwnedFd>, DeviceError> {
        let doing = "enabling MSI-X";
        let (kernel, function) = (self.function.kernel(), self.function.fd());
        // What is on already would set how many vectors there can be.
        interrupts::disable_msix(kernel, function)
            .map_err(|errno| self.refused(doing, errno.to_string()))?;
        interrupts::enable_msix(kernel, function, vectors)
            .map_err(|reason| self.refused(doing, reason))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        let doing = "resetting the function";
        if !self.can_reset {
            let reason = "the kernel knows no way to reset it (it has no FLR)".to_owned();
            return Err(self.refused(doing, reason));
        }
        let (kernel, function) = (self.function.kernel(), self.function.fd());
        // The kernel saves configuration space before a reset and writes it back: what shall be off afterwards must be off before.
        interrupts::disable_msix(kernel, function)
            .map_err(|errno| self.refused(doing, errno.to_string()))?;
        disable_bus_mastering(self)?;
        kernel
            .reset(function)
            .map_err(|errno| self.refused(doing, errno.to_string()))
    }

    fn gone(&self, doing: &str) -> Option<DeviceError> {
        self.function.gone(doing)
    }

    fn death(&self) -> Option<PollFd<'_>> {
        Some(self.function.events().poll_fd())
    }
}

#[cfg(test)]
mod tests;
