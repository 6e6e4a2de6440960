//! The container: which addresses its IOMMU translates, and what is mapped there.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use vfio_bindings::bindings::vfio as abi;

use super::kernel::Kernel;
use super::{capability, refusal};
use crate::device::{DmaMem, IovaSpace};

/// A container's mappings.
pub struct Dma {
    kernel: Arc<dyn Kernel>,
    container: OwnedFd,
    addresses: Mutex<IovaSpace>,
}

impl Dma {
    /// Learns what the container's IOMMU translates.
    ///
    /// # Errors
    /// The reason, when the kernel does not say it or the IOMMU's pages are larger than this machine's.
    pub fn new(kernel: Arc<dyn Kernel>, container: OwnedFd) -> Result<Self, String> {
        let reply = kernel
            .iommu_info(container.as_fd())
            .map_err(|errno| refusal::other("to say what its IOMMU translates", errno))?;
        let info = reply.info;
        // a bit for each size of page
        let smallest = info.iova_pgsizes & info.iova_pgsizes.wrapping_neg();
        let page = rustix::param::page_size() as u64;
        if info.flags & abi::VFIO_IOMMU_INFO_PGSIZES != 0 && smallest > page {
            return Err(format!(
                "its IOMMU's smallest pages ({smallest:#x} bytes) are larger than this machine's ({page:#x})"
            ));
        }
        let first = match info.flags & abi::VFIO_IOMMU_INFO_CAPS {
            0 => 0,
            _ => info.cap_offset,
        };
        let ranges = capability::iova_ranges(&reply.bytes, first);
        tracing::debug!(
            ?ranges,
            page_sizes = format_args!("{:#x}", info.iova_pgsizes),
            mappings_left = capability::mappings_left(&reply.bytes, first),
            "IOMMU"
        );
        let addresses = match ranges {
            Some(ranges) => IovaSpace::new(&ranges),
            None => IovaSpace::default(),
        };
        Ok(Self {
            kernel,
            container,
            addresses: Mutex::new(addresses),
        })
    }

    fn lock(&self) -> MutexGuard<'_, IovaSpace> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Maps all of `memory` and returns where.
    ///
    /// # Errors
    /// The reason, when no address is free or the kernel refuses.
    pub fn map(&self, memory: &DmaMem) -> Result<u64, String> {
        let mut addresses = self.lock();
        let size = memory.len() as u64;
        let address = addresses.find(size).ok_or_else(|| {
            "the addresses that its IOMMU translates have no room left".to_owned()
        })?;
        let (pinned, mappings) = addresses.mapped();
        self.kernel
            .map_dma(self.container.as_fd(), memory, address)
            .map_err(|errno| match errno {
                Errno::NOMEM => {
                    refusal::not_pinned(getrlimit(Resource::Memlock).current, pinned, size)
                }
                Errno::NOSPC => refusal::no_mappings_left(mappings),
                _ => errno.to_string(),
            })?;
        addresses.take(address, size);
        Ok(address)
    }

    /// Takes a mapping back.
    ///
    /// # Errors
    /// The reason, when there is none, or the kernel refuses.
    pub fn unmap(&self, address: u64, bytes: u64) -> Result<(), String> {
        let mut addresses = self.lock();
        if !addresses.holds(address, bytes) {
            return Err("there is no such mapping".to_owned());
        }
        let unmapped = self
            .kernel
            .unmap_dma(self.container.as_fd(), address, bytes)
            .map_err(|errno| errno.to_string())?;
        if unmapped != bytes {
            return Err(format!("the kernel had {unmapped:#x} bytes there"));
        }
        addresses.release(address);
        Ok(())
    }
}
