//! BARs: the card's registers, mapped into this process or reached by requests.
//!
//! Owns [`Bar`] and its bridge to the generated register API ([`registers`]). A failed access is an error, never all ones.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use guideway_hdl::registers::Guideway;
use peakrdl_rust::io::RawRegisterIO;
use peakrdl_rust::reg::RegInt;
use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use super::{DeviceError, dma::order_before_doorbell};

/// A backend that carries region accesses as requests: messages or system calls.
pub trait RegionIo: Send + Sync {
    /// Reads from a region; answers with exactly these bytes or an error.
    ///
    /// # Errors
    /// When the function is gone or refuses.
    fn region_read(&self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError>;
    /// Writes to a region without waiting, in order with every later access of the function.
    ///
    /// # Errors
    /// When the function is gone. A refusal stays unseen, as on a real bus.
    fn region_write_posted(&self, region: u32, offset: u64, data: &[u8])
    -> Result<(), DeviceError>;
}

/// Tells a register that holds all ones from a function that does not answer: a real bus reads all ones then.
pub trait Presence: Send + Sync {
    /// Whether the function is still there.
    ///
    /// # Errors
    /// When it is not.
    fn check(&self) -> Result<(), DeviceError>;
}

/// A BAR of 32-bit registers.
#[derive(Clone)]
pub enum Bar {
    /// Mapped: accesses are loads and stores.
    Mapped(Arc<MappedBar>),
    /// Trapped: accesses are requests.
    Trapped {
        /// Who carries them.
        io: Arc<dyn RegionIo>,
        /// The region's number.
        region: u32,
        /// Its bytes.
        len: u64,
    },
}

/// A mapped BAR.
pub struct MappedBar {
    start: NonNull<u8>,
    len: usize,
    /// Who is asked when a register reads all ones; `None` where memory answers, which cannot go.
    presence: Option<Arc<dyn Presence>>,
}

// SAFETY: the mapping belongs to this value alone; accesses are single volatile words, which the bus orders.
unsafe impl Send for MappedBar {}
// SAFETY: as for `Send`.
unsafe impl Sync for MappedBar {}

impl MappedBar {
    /// Maps a part of a file that cannot shrink; `None` when it can, or does not have these bytes: a peer that shrinks a mapped file
    /// would kill this process.
    pub(crate) fn of_sealed(
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Option<Result<Self, DeviceError>> {
        let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        let bytes = u64::try_from(fstat(file).ok()?.st_size).ok()?;
        let fits = offset.checked_add(len).is_some_and(|end| end <= bytes)
            && offset.is_multiple_of(page_size() as u64);
        let len = usize::try_from(len).ok().filter(|_| sealed && fits)?;
        Some(map(file, offset, len).map(|start| Self {
            start,
            len,
            presence: None,
        }))
    }

    /// Maps a function's BAR through its VFIO descriptor. The kernel keeps such a mapping valid as long as the function is open, whatever
    /// becomes of the function; `presence` tells what reads as all ones then.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn of_function(
        function: BorrowedFd<'_>,
        offset: u64,
        len: usize,
        presence: Arc<dyn Presence>,
    ) -> Result<Self, DeviceError> {
        Ok(Self {
            start: map(function, offset, len)?,
            len,
            presence: Some(presence),
        })
    }

    /// What a load brought, unless it came from nobody.
    fn believed(&self, value: u32) -> Result<u32, DeviceError> {
        match &self.presence {
            Some(presence) if value == u32::MAX => presence.check().map(|()| value),
            _ => Ok(value),
        }
    }
}

/// Maps `len` bytes of a file from `offset` on, shared.
fn map(file: BorrowedFd<'_>, offset: u64, len: usize) -> Result<NonNull<u8>, DeviceError> {
    // SAFETY: a new mapping at an address of the kernel's choice; the callers vouch for the bytes behind it.
    let start = unsafe {
        mmap(
            std::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            offset,
        )
    }
    .map_err(|e| DeviceError::system("mapping a BAR", e))?;
    NonNull::new(start.cast())
        .ok_or_else(|| DeviceError::system("mapping a BAR", std::io::ErrorKind::OutOfMemory))
}

impl Drop for MappedBar {
    fn drop(&mut self) {
        // SAFETY: the mapping that the constructor made; no pointer into it leaves this module.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            tracing::warn!(%error, "a BAR stays mapped");
        }
    }
}

impl Bar {
    /// Bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // backends do not open empty BARs
    pub fn len(&self) -> u64 {
        match self {
            Self::Mapped(bar) => bar.len as u64,
            Self::Trapped { len, .. } => *len,
        }
    }

    fn check(&self, offset: u64) -> Result<(), DeviceError> {
        if offset.is_multiple_of(4) && offset.checked_add(4).is_some_and(|end| end <= self.len()) {
            return Ok(());
        }
        Err(DeviceError::OutOfRange {
            region: "the BAR".to_owned(),
            offset,
            bytes: 4,
            length: self.len(),
        })
    }

    /// Reads the register at `offset`. Everything written before has taken effect.
    ///
    /// # Errors
    /// When the offset is not a register's place, or the function is gone.
    pub fn read32(&self, offset: u64) -> Result<u32, DeviceError> {
        self.check(offset)?;
        match self {
            // SAFETY: aligned and in bounds (`check`), mapped while `bar` lives.
            Self::Mapped(bar) => bar.believed(u32::from_le(unsafe {
                bar.start
                    .as_ptr()
                    .add(offset as usize)
                    .cast::<u32>()
                    .read_volatile()
            })),
            Self::Trapped { io, region, .. } => {
                let mut data = [0; 4];
                io.region_read(*region, offset, &mut data)?;
                Ok(u32::from_le_bytes(data))
            }
        }
    }

    /// Writes the register at `offset`: posted, behind all earlier writes to registers and DMA memory.
    ///
    /// # Errors
    /// When the offset is not a register's place, or the function is known to be gone.
    pub fn write32(&self, offset: u64, value: u32) -> Result<(), DeviceError> {
        self.check(offset)?;
        order_before_doorbell();
        match self {
            Self::Mapped(bar) => {
                // SAFETY: aligned and in bounds (`check`), mapped while `bar` lives.
                unsafe {
                    bar.start
                        .as_ptr()
                        .add(offset as usize)
                        .cast::<u32>()
                        .write_volatile(value.to_le())
                };
                Ok(())
            }
            Self::Trapped { io, region, .. } => {
                io.region_write_posted(*region, offset, &value.to_le_bytes())
            }
        }
    }
}

impl fmt::Debug for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if matches!(self, Self::Mapped(_)) {
            "mapped"
        } else {
            "trapped"
        };
        write!(f, "Bar({how}, {:#x} bytes)", self.len())
    }
}

impl RawRegisterIO for Bar {
    type Error = DeviceError;

    // "Pointers" are offsets: `registers` starts the map at address 0, and nothing dereferences them.
    unsafe fn try_read<T: RegInt>(&self, ptr: *const T) -> Result<T, DeviceError> {
        let offset = ptr.addr() as u64;
        let wrong = || DeviceError::OutOfRange {
            region: "the BAR".to_owned(),
            offset,
            bytes: size_of::<T>(),
            length: self.len(),
        };
        if size_of::<T>() != 4 {
            return Err(wrong());
        }
        let bytes = self.read32(offset)?.to_ne_bytes();
        Ok(T::from_ne_bytes(
            &bytes.as_slice().try_into().map_err(|_| wrong())?,
        ))
    }

    unsafe fn try_write<T: RegInt>(&self, ptr: *mut T, value: T) -> Result<(), DeviceError> {
        let offset = ptr.addr() as u64;
        let bytes = value.to_ne_bytes();
        let Ok(bytes) = <[u8; 4]>::try_from(bytes.as_ref()) else {
            return Err(DeviceError::OutOfRange {
                region: "the BAR".to_owned(),
                offset,
                bytes: size_of::<T>(),
                length: self.len(),
            });
        };
        self.write32(offset, u32::from_ne_bytes(bytes))
    }
}

/// The card's registers by name, over BAR0.
#[must_use]
pub fn registers(bar: &Bar) -> Guideway<'_, Bar> {
    // SAFETY: the pointer is the offset 0; `Bar` checks every offset and never dereferences it.
    unsafe { Guideway::from_ptr_with(std::ptr::null_mut(), bar) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::sync::Mutex;

    struct Recorder(Mutex<Vec<(u64, Option<u32>)>>);
    impl RegionIo for Recorder {
        fn region_read(&self, _: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
            self.0.lock().unwrap().push((offset, None));
            data.copy_from_slice(&0x0102_0304u32.to_le_bytes());
            Ok(())
        }
        fn region_write_posted(&self, _: u32, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
            self.0
                .lock()
                .unwrap()
                .push((offset, Some(u32::from_le_bytes(data.try_into().unwrap()))));
            Ok(())
        }
    }

    #[test]
    fn registers_by_name_land_on_their_offsets() {
        let io = Arc::new(Recorder(Mutex::default()));
        let bar = Bar::Trapped {
            io: Arc::clone(&io) as Arc<dyn RegionIo>,
            region: 0,
            len: 0x1_0000,
        };
        let map = registers(&bar);
        map.core()
            .control()
            .try_write(|r| r.set_port_enable(true))
            .unwrap();
        map.card().rx()[2]
            .arm()
            .try_write(|r| r.set_index(0xbeef))
            .unwrap();
        assert_eq!(
            map.core().scratch()[31].try_read().unwrap().value(),
            0x0102_0304
        );
        assert_eq!(
            *io.0.lock().unwrap(),
            [(0x20, Some(1)), (0x40a0, Some(0xbeef)), (0x17c, None)]
        );
    }

    #[test]
    fn an_access_off_the_bar_is_refused() {
        let io = Arc::new(Recorder(Mutex::default()));
        let bar = Bar::Trapped {
            io,
            region: 0,
            len: 0x100,
        };
        assert!(bar.read32(0xfc).is_ok());
        for offset in [0x100, 2, u64::MAX, u64::MAX - 3] {
            assert!(matches!(
                bar.read32(offset),
                Err(DeviceError::OutOfRange { .. })
            ));
            assert!(matches!(
                bar.write32(offset, 0),
                Err(DeviceError::OutOfRange { .. })
            ));
        }
        assert!(registers(&bar).card().dma_read_errors().try_read().is_err());
    }

    #[test]
    fn a_mapped_bar_reads_and_writes_little_endian_words() {
        let memory = crate::device::DmaMem::new("bar", 4096).unwrap();
        let bar = Bar::Mapped(Arc::new(
            MappedBar::of_sealed(memory.file(), 0, 4096)
                .unwrap()
                .unwrap(),
        ));
        bar.write32(8, 0x1122_3344).unwrap();
        assert_eq!(memory.read_word(8), 0x1122_3344);
        assert_eq!(bar.read32(8).unwrap(), 0x1122_3344);
        assert!(bar.read32(4096).is_err());
    }

    #[test]
    fn a_file_that_could_shrink_or_is_too_short_is_not_mapped() {
        let memory = crate::device::DmaMem::new("bar", 4096).unwrap();
        assert!(MappedBar::of_sealed(memory.file(), 0, memory.len() as u64 + 1).is_none());
        assert!(MappedBar::of_sealed(memory.file(), 4, 4).is_none());
        assert!(MappedBar::of_sealed(memory.file(), u64::MAX - 4095, 4096).is_none());
        let plain = rustix::fs::memfd_create("bar", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&plain, 4096).unwrap();
        assert!(MappedBar::of_sealed(plain.as_fd(), 0, 4096).is_none());
    }
}
