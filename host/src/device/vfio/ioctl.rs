//! The ioctls of VFIO, over `vfio-bindings`' structures: the one place that hands pointers to the kernel's VFIO.

use std::ffi::{CStr, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use vfio_bindings::bindings::vfio as abi;
use vfio_bindings::bindings::vfio::{
    vfio_device_info, vfio_group_status, vfio_iommu_type1_dma_map, vfio_iommu_type1_dma_unmap,
    vfio_iommu_type1_info, vfio_irq_info, vfio_irq_set, vfio_region_info,
};
use zerocopy::IntoBytes;

use super::kernel::{Kernel, Reply, Triggers};
use crate::device::DmaMem;

/// The requests' numbers, counted from `VFIO_BASE`. The kernel uses 12 twice: what it means depends on the descriptor.
mod number {
    pub const GET_API_VERSION: u8 = 0;
    pub const CHECK_EXTENSION: u8 = 1;
    pub const SET_IOMMU: u8 = 2;
    pub const GROUP_GET_STATUS: u8 = 3;
    pub const GROUP_SET_CONTAINER: u8 = 4;
    pub const GROUP_GET_DEVICE_FD: u8 = 6;
    pub const DEVICE_GET_INFO: u8 = 7;
    pub const DEVICE_GET_REGION_INFO: u8 = 8;
    pub const DEVICE_GET_IRQ_INFO: u8 = 9;
    pub const DEVICE_SET_IRQS: u8 = 10;
    pub const DEVICE_RESET: u8 = 11;
    pub const IOMMU_GET_INFO: u8 = 12;
    pub const IOMMU_MAP_DMA: u8 = 13;
    pub const IOMMU_UNMAP_DMA: u8 = 14;
}

/// Longest reply that is asked for: a few dozen capabilities.
const MAX_REPLY: usize = 1 << 16;

/// The running kernel.
pub struct Linux;

/// One request.
struct Request {
    opcode: Opcode,
    argument: *mut c_void,
}

// SAFETY: hands on exactly what it was given; `request`, its only user, has a caller who vouches for the argument.
unsafe impl Ioctl for Request {
    type Output = IoctlOutput;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(
        output: IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<IoctlOutput> {
        Ok(output)
    }
}

/// Makes a request; answers with what the kernel returned, 0 or more.
///
/// # Safety
/// `argument` is what request `number` takes: a number, or a pointer to its structure, whose `argsz` says how many bytes are there.
unsafe fn request(
    fd: BorrowedFd<'_>,
    number: u8,
    argument: *mut c_void,
) -> Result<IoctlOutput, Errno> {
    let opcode = opcode::none(abi::VFIO_TYPE, abi::VFIO_BASE as u8 + number);
    // SAFETY: as this function's caller vouches.
    unsafe { ioctl(fd, Request { opcode, argument }) }
}

/// Makes a request whose argument is a number that is no address.
fn request_number(fd: BorrowedFd<'_>, number: u8, argument: u32) -> Result<IoctlOutput, Errno> {
    // SAFETY: the requests that this module makes so (api version, extension, kind of IOMMU, reset) take a number or nothing.
    unsafe {
        request(
            fd,
            number,
            std::ptr::without_provenance_mut(argument as usize),
        )
    }
}

/// Makes a request over a structure of fixed size.
///
/// # Safety
/// `T` is the structure of request `number`, and its `argsz`, when it has one, is its size.
unsafe fn request_struct<T>(
    fd: BorrowedFd<'_>,
    number: u8,
    structure: &mut T,
) -> Result<IoctlOutput, Errno> {
    // SAFETY: the structure is the one that the request takes and lives until it has returned; the kernel writes `argsz` bytes at most.
    unsafe { request(fd, number, std::ptr::from_mut(structure).cast()) }
}

/// Makes a request over a structure that capabilities follow: again with more room, until all of them fit.
///
/// # Safety
/// `T` is the structure of request `number`; it begins with `argsz`, consists of integers, and is no longer than what the kernel knows.
unsafe fn request_reply<T: Copy>(
    fd: BorrowedFd<'_>,
    number: u8,
    question: T,
) -> Result<Reply<T>, Errno> {
    let mut room = size_of::<T>();
    loop {
        // words of 8 bytes, for the structure's alignment
        let mut words = vec![0u64; room.div_ceil(8)];
        // SAFETY: there are `room` bytes, at least as many as a `T` has, aligned to 8, which no structure exceeds.
        unsafe { words.as_mut_ptr().cast::<T>().write(question) };
        words.as_mut_bytes()[..4].copy_from_slice(&argsz(room).to_ne_bytes());
        // SAFETY: the request's structure, followed by as many bytes as its `argsz` says.
        unsafe { request(fd, number, words.as_mut_ptr().cast())? };
        let mut size = [0; 4];
        size.copy_from_slice(&words.as_bytes()[..4]);
        let wanted = u32::from_ne_bytes(size) as usize;
        if wanted > room && wanted <= MAX_REPLY {
            room = wanted;
            continue;
        }
        return Ok(Reply {
            // SAFETY: a `T` was written there, and the kernel overwrote it with one; any bytes are one.
            info: unsafe { words.as_ptr().cast::<T>().read() },
            bytes: words.as_bytes()[..room].to_vec(),
        });
    }
}

/// A size as structures state it.
fn argsz(bytes: usize) -> u32 {
    // They have a few dozen bytes, and capabilities a few thousand.
    u32::try_from(bytes).unwrap_or(0)
}

impl Kernel for Linux {
    fn api_version(&self, container: BorrowedFd<'_>) -> Result<u32, Errno> {
        request_number(container, number::GET_API_VERSION, 0).map(IoctlOutput::cast_unsigned)
    }

    fn has_extension(&self, container: BorrowedFd<'_>, kind: u32) -> Result<bool, Errno> {
        request_number(container, number::CHECK_EXTENSION, kind).map(|has| has > 0)
    }

    fn set_iommu(&self, container: BorrowedFd<'_>, kind: u32) -> Result<(), Errno> {
        request_number(container, number::SET_IOMMU, kind).map(drop)
    }

    fn iommu_info(&self, container: BorrowedFd<'_>) -> Result<Reply<vfio_iommu_type1_info>, Errno> {
        // SAFETY: the request's structure.
        unsafe {
            request_reply(
                container,
                number::IOMMU_GET_INFO,
                vfio_iommu_type1_info::default(),
            )
        }
    }

    fn map_dma(&self, container: BorrowedFd<'_>, memory: &DmaMem, iova: u64) -> Result<(), Errno> {
        let mut map = vfio_iommu_type1_dma_map {
            argsz: argsz(size_of::<vfio_iommu_type1_dma_map>()),
            flags: abi::VFIO_DMA_MAP_FLAG_READ | abi::VFIO_DMA_MAP_FLAG_WRITE,
            vaddr: memory.address() as u64,
            iova,
            size: memory.len() as u64,
        };
        // SAFETY: the request's structure. The addresses are shared memory, made for the card to write; the kernel keeps the pages until
        // they are unmapped, also when `memory` goes before.
        unsafe { request_struct(container, number::IOMMU_MAP_DMA, &mut map) }.map(drop)
    }

    fn unmap_dma(&self, container: BorrowedFd<'_>, iova: u64, bytes: u64) -> Result<u64, Errno> {
        let mut unmap = vfio_iommu_type1_dma_unmap {
            argsz: argsz(size_of::<vfio_iommu_type1_dma_unmap>()),
            iova,
            size: bytes,
            ..Default::default()
        };
        // SAFETY: the request's structure; no flag asks for the data that may follow it.
        unsafe { request_struct(container, number::IOMMU_UNMAP_DMA, &mut unmap)? };
        Ok(unmap.size)
    }

    fn group_flags(&self, group: BorrowedFd<'_>) -> Result<u32, Errno> {
        let mut status = vfio_group_status {
            argsz: argsz(size_of::<vfio_group_status>()),
            ..Default::default()
        };
        // SAFETY: the request's structure.
        unsafe { request_struct(group, number::GROUP_GET_STATUS, &mut status)? };
        Ok(status.flags)
    }

    fn set_container(&self, group: BorrowedFd<'_>, container: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut fd = container.as_raw_fd();
        // SAFETY: the request takes a pointer to the container's descriptor, which stays open beyond it.
        unsafe { request_struct(group, number::GROUP_SET_CONTAINER, &mut fd) }.map(drop)
    }

    fn open_function(&self, group: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        // SAFETY: the request takes a string that ends with a zero byte, and only reads it.
        let fd = unsafe {
            request(
                group,
                number::GROUP_GET_DEVICE_FD,
                name.as_ptr().cast_mut().cast(),
            )?
        };
        // SAFETY: the kernel has just opened it for this caller (with close-on-exec).
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn function_info(&self, function: BorrowedFd<'_>) -> Result<vfio_device_info, Errno> {
        // Without its capabilities, of which a PCI function has none that matter here.
        let mut info = vfio_device_info {
            argsz: argsz(size_of::<vfio_device_info>()),
            ..Default::default()
        };
        // SAFETY: the request's structure.
        unsafe { request_struct(function, number::DEVICE_GET_INFO, &mut info)? };
        Ok(info)
    }

    fn region_info(
        &self,
        function: BorrowedFd<'_>,
        index: u32,
    ) -> Result<Reply<vfio_region_info>, Errno> {
        let question = vfio_region_info {
            index,
            ..Default::default()
        };
        // SAFETY: the request's structure.
        unsafe { request_reply(function, number::DEVICE_GET_REGION_INFO, question) }
    }

    fn irq_info(&self, function: BorrowedFd<'_>, index: u32) -> Result<vfio_irq_info, Errno> {
        let mut info = vfio_irq_info {
            argsz: argsz(size_of::<vfio_irq_info>()),
            index,
            ..Default::default()
        };
        // SAFETY: the request's structure.
        unsafe { request_struct(function, number::DEVICE_GET_IRQ_INFO, &mut info)? };
        Ok(info)
    }

    fn set_irqs(
        &self,
        function: BorrowedFd<'_>,
        index: u32,
        triggers: Triggers<'_>,
    ) -> Result<u32, Errno> {
        let (data, fds) = match triggers {
            Triggers::Eventfds(fds) => (abi::VFIO_IRQ_SET_DATA_EVENTFD, fds),
            Triggers::Off => (abi::VFIO_IRQ_SET_DATA_NONE, &[][..]),
        };
        // the structure's five words, and a descriptor for each vector
        let mut words = vec![
            argsz(size_of::<vfio_irq_set>() + 4 * fds.len()),
            data | abi::VFIO_IRQ_SET_ACTION_TRIGGER,
            index,
            0,
            argsz(fds.len()),
        ];
        words.extend(fds.iter().map(|fd| fd.as_raw_fd().cast_unsigned()));
        // SAFETY: the request's structure and its data, of `argsz` bytes together; the kernel only reads them.
        unsafe { request(function, number::DEVICE_SET_IRQS, words.as_mut_ptr().cast()) }
            .map(IoctlOutput::cast_unsigned)
    }

    fn reset(&self, function: BorrowedFd<'_>) -> Result<(), Errno> {
        request_number(function, number::DEVICE_RESET, 0).map(drop)
    }
}

const _: () = {
    assert!(size_of::<vfio_irq_set>() == 5 * 4);
    assert!(abi::VFIO_BASE as u8 as u32 == abi::VFIO_BASE);
};
