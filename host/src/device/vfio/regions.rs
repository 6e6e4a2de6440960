//! The open function: configuration space and BARs, through its descriptor.
//!
//! Owns which bytes of the descriptor are which region, what may be mapped, and when a function counts as gone.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::{Errno, pread, pwrite};
use vfio_bindings::bindings::vfio as abi;

use super::capability;
use super::interrupts::{Cause, Events};
use super::kernel::Kernel;
use crate::device::{Bar, DeviceError, MappedBar, Presence, RegionIo};

/// A region of the function.
#[derive(Clone, Debug, Default)]
struct Region {
    /// Where it begins in the function's descriptor.
    offset: u64,
    /// Its bytes; 0: there is none.
    size: u64,
    /// `VFIO_REGION_INFO_FLAG_*`.
    flags: u32,
    /// The only parts that may be mapped; `None`: all.
    areas: Option<Vec<(u64, u64)>>,
}

impl Region {
    fn may(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Whether all of it may be mapped. Where only parts may (one that holds an MSI-X table, on kernels before 4.16), all accesses are
    /// trapped: a BAR is one or the other.
    fn is_mappable(&self) -> bool {
        let all = self.areas.as_ref().is_none_or(|areas| {
            let mut areas = areas.clone();
            areas.sort_unstable();
            let covered = areas.iter().fold(0, |covered, (offset, size)| {
                if *offset <= covered {
                    covered.max(offset.saturating_add(*size))
                } else {
                    covered
                }
            });
            covered >= self.size
        });
        let pages = self.size.is_multiple_of(rustix::param::page_size() as u64);
        self.may(abi::VFIO_REGION_INFO_FLAG_MMAP) && all && pages
    }
}

/// An open function.
pub struct Function {
    name: String,
    fd: OwnedFd,
    kernel: Arc<dyn Kernel>,
    /// BAR0 to configuration space, by VFIO's index.
    regions: Vec<Region>,
    events: Events,
}

impl Function {
    /// Learns which regions the function has, and asks for its events.
    ///
    /// # Errors
    /// When the kernel does not say them.
    pub fn new(name: &str, fd: OwnedFd, kernel: Arc<dyn Kernel>) -> Result<Self, DeviceError> {
        let regions = (0..=abi::VFIO_PCI_CONFIG_REGION_INDEX)
            .map(|index| match kernel.region_info(fd.as_fd(), index) {
                Ok(reply) => {
                    let info = reply.info;
                    let areas = (info.flags & abi::VFIO_REGION_INFO_FLAG_CAPS != 0)
                        .then(|| capability::mappable_areas(&reply.bytes, info.cap_offset))
                        .flatten();
                    Ok(Region {
                        offset: info.offset,
                        size: info.size,
                        flags: info.flags,
                        areas,
                    })
                }
                // as older kernels say that a function has no such region
                Err(Errno::INVAL) => Ok(Region::default()),
                Err(errno) => Err(DeviceError::Refused {
                    device: name.to_owned(),
                    doing: format!("to describe region {index}"),
                    reason: errno.to_string(),
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let events = Events::new(&*kernel, fd.as_fd())?;
        Ok(Self {
            name: name.to_owned(),
            fd,
            kernel,
            regions,
            events,
        })
    }

    /// What it is in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Who is asked about it.
    pub fn kernel(&self) -> &dyn Kernel {
        &*self.kernel
    }

    /// What tells that it has to be given up.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Why it has to be given up, as the error of `doing`.
    pub fn gone(&self, doing: &str) -> Option<DeviceError> {
        let device = self.name.clone();
        self.events.cause().map(|cause| match cause {
            Cause::AskedBack => DeviceError::AskedBack { device },
            Cause::Faulted => DeviceError::Faulted { device },
            Cause::Vanished => DeviceError::Vanished {
                device,
                doing: doing.to_owned(),
            },
        })
    }

    /// Opens a BAR: mapped where the kernel lets that be.
    ///
    /// # Errors
    /// When there is no such BAR, or it cannot be read and written.
    pub fn bar(self: &Arc<Self>, index: u8) -> Result<Bar, DeviceError> {
        let cannot = |reason: &str| DeviceError::Open {
            device: self.name.clone(),
            reason: format!("BAR{index} {reason}"),
        };
        let number = abi::VFIO_PCI_BAR0_REGION_INDEX + u32::from(index);
        let region = match self.regions.get(number as usize) {
            Some(region) if number <= abi::VFIO_PCI_BAR5_REGION_INDEX => region,
            _ => return Err(cannot("does not exist")),
        };
        if region.size == 0 {
            return Err(cannot("is empty"));
        }
        if !region.may(abi::VFIO_REGION_INFO_FLAG_READ | abi::VFIO_REGION_INFO_FLAG_WRITE) {
            return Err(cannot("cannot be read and written"));
        }
        if region.is_mappable() {
            let len = usize::try_from(region.size).map_err(|_| cannot("is too large"))?;
            let presence = Arc::clone(self) as Arc<dyn Presence>;
            let mapped = MappedBar::of_function(self.fd(), region.offset, len, presence)?;
            return Ok(Bar::Mapped(Arc::new(mapped)));
        }
        Ok(Bar::Trapped {
            io: Arc::clone(self) as Arc<dyn RegionIo>,
            region: number,
            len: region.size,
        })
    }

    /// Where an access lies in the descriptor.
    fn place(&self, index: u32, offset: u64, bytes: usize) -> Result<u64, DeviceError> {
        let region = self.regions.get(index as usize);
        let size = region.map_or(0, |region| region.size);
        let end = offset.checked_add(bytes as u64);
        match region {
            Some(region) if end.is_some_and(|end| end <= size) => Ok(region.offset + offset),
            _ => Err(DeviceError::OutOfRange {
                region: region_name(index),
                offset,
                bytes,
                length: size,
            }),
        }
    }

    /// Reads exactly these bytes.
    ///
    /// # Errors
    /// When the function is gone, or refuses the range.
    pub fn read(&self, index: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let place = self.place(index, offset, data.len())?;
        let bytes = data.len();
        let outcome = restart(|| pread(&self.fd, &mut *data, place));
        self.whole(outcome, bytes, || {
            format!(
                "reading {bytes} bytes at {offset:#x} of {}",
                region_name(index)
            )
        })?;
        // What is not there reads as all ones, without an error.
        if data.iter().all(|byte| *byte == 0xff) {
            self.check()?;
        }
        Ok(())
    }

    /// Writes exactly these bytes.
    ///
    /// # Errors
    /// When the function is gone, or refuses the range.
    pub fn write(&self, index: u32, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let place = self.place(index, offset, data.len())?;
        let bytes = data.len();
        let outcome = restart(|| pwrite(&self.fd, data, place));
        self.whole(outcome, bytes, || {
            format!(
                "writing {bytes} bytes at {offset:#x} of {}",
                region_name(index)
            )
        })
    }

    fn whole(
        &self,
        outcome: Result<usize, Errno>,
        bytes: usize,
        doing: impl Fn() -> String,
    ) -> Result<(), DeviceError> {
        let reason = match outcome {
            Ok(count) if count == bytes => return Ok(()),
            Ok(count) => format!("only {count} of {bytes} bytes were moved"),
            Err(errno) => errno.to_string(),
        };
        // A function that is gone refuses too.
        self.check()?;
        Err(DeviceError::Refused {
            device: self.name.clone(),
            doing: doing(),
            reason,
        })
    }
}

impl Presence for Function {
    /// A function that is there has a class code: of all ones it is none (PCI 3.0, 6.2.1). The ids would not do: the kernel answers
    /// for them from its memory.
    fn check(&self) -> Result<(), DeviceError> {
        const CLASS_AND_REVISION: u64 = 8;
        let place = self.place(
            abi::VFIO_PCI_CONFIG_REGION_INDEX,
            CLASS_AND_REVISION,
            size_of::<u32>(),
        )?;
        let mut class = [0xff; 4];
        match restart(|| pread(&self.fd, &mut class, place)) {
            Ok(4) if class != [0xff; 4] => Ok(()),
            _ => {
                self.events.vanished();
                Err(DeviceError::Vanished {
                    device: self.name.clone(),
                    doing: "the host accessed it".to_owned(),
                })
            }
        }
    }
}

impl RegionIo for Function {
    fn region_read(&self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.read(region, offset, data)
    }

    fn region_write_posted(
        &self,
        region: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        self.write(region, offset, data)
    }
}

fn region_name(index: u32) -> String {
    match index {
        abi::VFIO_PCI_CONFIG_REGION_INDEX => "configuration space".to_owned(),
        0..=abi::VFIO_PCI_BAR5_REGION_INDEX => format!("BAR{index}"),
        _ => format!("region {index}"),
    }
}

fn restart(mut access: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match access() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
