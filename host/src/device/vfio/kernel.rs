//! What the kernel's VFIO is asked (Linux, `include/uapi/linux/vfio.h`).
//!
//! Owns the questions, as a trait: the unit tests answer them in the kernel's place. How they are asked is [`super::ioctl`]'s.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    vfio_device_info, vfio_iommu_type1_info, vfio_irq_info, vfio_region_info,
};

use crate::device::DmaMem;

/// A structure of the kernel's, and all its bytes: itself again, and the capabilities that follow it ([`super::capability`]).
#[derive(Clone, Debug)]
pub struct Reply<T> {
    /// The structure.
    pub info: T,
    /// Everything, from the structure's first byte on.
    pub bytes: Vec<u8>,
}

/// What becomes of a kind of interrupts.
#[derive(Clone, Copy, Debug)]
pub enum Triggers<'a> {
    /// Vector 0 and following signal these eventfds.
    Eventfds(&'a [BorrowedFd<'a>]),
    /// All vectors are off.
    Off,
}

/// The kernel's VFIO. Each method is one request; errors are the kernel's.
pub trait Kernel: Send + Sync {
    /// `VFIO_GET_API_VERSION` of a container.
    fn api_version(&self, container: BorrowedFd<'_>) -> Result<u32, Errno>;

    /// `VFIO_CHECK_EXTENSION`: whether a container can be of this kind (`VFIO_TYPE1v2_IOMMU`, ...).
    fn has_extension(&self, container: BorrowedFd<'_>, kind: u32) -> Result<bool, Errno>;

    /// `VFIO_SET_IOMMU`: makes the container be of this kind. It has a group by then.
    fn set_iommu(&self, container: BorrowedFd<'_>, kind: u32) -> Result<(), Errno>;

    /// `VFIO_IOMMU_GET_INFO`.
    fn iommu_info(&self, container: BorrowedFd<'_>) -> Result<Reply<vfio_iommu_type1_info>, Errno>;

    /// `VFIO_IOMMU_MAP_DMA`: pins all of `memory` and shows it at `iova`, for reading and writing.
    fn map_dma(&self, container: BorrowedFd<'_>, memory: &DmaMem, iova: u64) -> Result<(), Errno>;

    /// `VFIO_IOMMU_UNMAP_DMA`; answers with how many bytes were unmapped.
    fn unmap_dma(&self, container: BorrowedFd<'_>, iova: u64, bytes: u64) -> Result<u64, Errno>;

    /// `VFIO_GROUP_GET_STATUS`: `VFIO_GROUP_FLAGS_*`.
    fn group_flags(&self, group: BorrowedFd<'_>) -> Result<u32, Errno>;

    /// `VFIO_GROUP_SET_CONTAINER`.
    fn set_container(&self, group: BorrowedFd<'_>, container: BorrowedFd<'_>) -> Result<(), Errno>;

    /// `VFIO_GROUP_GET_DEVICE_FD`: opens the function of this name.
    fn open_function(&self, group: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno>;

    /// `VFIO_DEVICE_GET_INFO`.
    fn function_info(&self, function: BorrowedFd<'_>) -> Result<vfio_device_info, Errno>;

    /// `VFIO_DEVICE_GET_REGION_INFO`.
    fn region_info(
        &self,
        function: BorrowedFd<'_>,
        index: u32,
    ) -> Result<Reply<vfio_region_info>, Errno>;

    /// `VFIO_DEVICE_GET_IRQ_INFO`.
    fn irq_info(&self, function: BorrowedFd<'_>, index: u32) -> Result<vfio_irq_info, Errno>;

    /// `VFIO_DEVICE_SET_IRQS`. Answers 0; or, for MSI-X, how many vectors the machine would have had, when it has not enough: then none is on.
    fn set_irqs(
        &self,
        function: BorrowedFd<'_>,
        index: u32,
        triggers: Triggers<'_>,
    ) -> Result<u32, Errno>;

    /// `VFIO_DEVICE_RESET`.
    fn reset(&self, function: BorrowedFd<'_>) -> Result<(), Errno>;
}
