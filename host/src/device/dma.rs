//! Memory that host and card share.
//!
//! Owns [`DmaMem`]: a memfd that kernel VFIO pins and vfio-user hands over. The card writes it at any time, so nobody gets a
//! `&mut` slice of it: words are read and written atomically, bytes are copied. What lies where is the rings' business.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::DeviceError;

/// Bytes of a huge page.
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// Zeroed, page-aligned memory, shared with the card.
///
/// Sealed against shrinking before anyone else sees it: a peer that maps it cannot be killed by its owner.
#[derive(Debug)]
pub struct DmaMem {
    fd: OwnedFd,
    start: NonNull<u8>,
    len: usize,
    page_bytes: usize,
}

// SAFETY: the mapping belongs to this value alone and lives as long; every access through `&self` is atomic, or a byte copy of
// memory whose owner (host or card) the ring protocols name.
unsafe impl Send for DmaMem {}
// SAFETY: as for `Send`.
unsafe impl Sync for DmaMem {}

impl DmaMem {
    /// Allocates `bytes`, rounded up to whole pages. `name` shows in `/proc`.
    ///
    /// # Errors
    /// When the system has no memory, or `bytes` is 0.
    pub fn new(name: &str, bytes: usize) -> Result<Self, DeviceError> {
        Self::on_pages(name, bytes, rustix::param::page_size(), MemfdFlags::empty())
    }

    /// As [`DmaMem::new`], on huge pages of 2 MiB: an IOMMU then needs one entry where it needs 512. They must have been reserved.
    ///
    /// # Errors
    /// When the system has not enough of them free; otherwise as [`DmaMem::new`].
    pub fn huge(name: &str, bytes: usize) -> Result<Self, DeviceError> {
        Self::on_pages(
            name,
            bytes,
            HUGE_PAGE,
            MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB,
        )
    }

    fn on_pages(
        name: &str,
        bytes: usize,
        page_bytes: usize,
        flags: MemfdFlags,
    ) -> Result<Self, DeviceError> {
        let doing = || format!("allocating {bytes} bytes of DMA memory for {name}");
        let len = bytes.checked_next_multiple_of(page_bytes).unwrap_or(0);
        let fd = memfd_create(
            name,
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | flags,
        )
        .map_err(|e| DeviceError::system(doing(), e))?;
        ftruncate(&fd, len as u64).map_err(|e| DeviceError::system(doing(), e))?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&fd, seals).map_err(|e| DeviceError::system(doing(), e))?;
        // Huge pages are reserved here, or the mapping fails: none is missing later.
        // SAFETY: a new mapping at an address of the kernel's choice; the file is `len` bytes long and cannot shrink any more.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )
        }
        .map_err(|e| DeviceError::system(doing(), e))?;
        let start = NonNull::new(start.cast())
            .ok_or_else(|| DeviceError::system(doing(), std::io::ErrorKind::OutOfMemory))?;
        Ok(Self {
            fd,
            start,
            len,
            page_bytes,
        })
    }

    /// Bytes, a multiple of the page size.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the pages that it lies on.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// The file behind it, for a backend that hands it over.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Its first byte's address in this process, for a backend that pins it.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start.as_ptr().addr()
    }

    /// The place of `bytes` at `offset`.
    ///
    /// # Panics
    /// When they do not lie within the memory or not on a multiple of `align`: offsets are the driver's own, never the card's.
    fn at(&self, offset: usize, bytes: usize, align: usize) -> *mut u8 {
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.len);
        assert!(
            inside && offset.is_multiple_of(align),
            "{bytes} bytes at {offset:#x} of DMA memory of {:#x} bytes",
            self.len
        );
        // SAFETY: `offset` was just found to be within the one mapping that `start` begins.
        unsafe { self.start.as_ptr().add(offset) }
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: in bounds and aligned (`at`), alive as long as `self`, and only ever accessed atomically or by byte copies that
        // the ring protocols keep apart from it.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4, 4).cast()) }
    }

    /// Reads a little-endian word that the card may be writing. What the card wrote before it is visible afterwards.
    #[must_use]
    pub fn read_acquire(&self, offset: usize) -> u32 {
        let value = u32::from_le(self.word(offset).load(Ordering::Acquire));
        order_after_phase();
        value
    }

    /// Reads a little-endian word.
    #[must_use]
    pub fn read_word(&self, offset: usize) -> u32 {
        u32::from_le(self.word(offset).load(Ordering::Relaxed))
    }

    /// Writes a little-endian word behind everything written before: the one with the phase bit.
    pub fn write_release(&self, offset: usize, value: u32) {
        order_before_doorbell();
        self.word(offset).store(value.to_le(), Ordering::Release);
    }

    /// Writes a little-endian word.
    pub fn write_word(&self, offset: usize, value: u32) {
        self.word(offset).store(value.to_le(), Ordering::Relaxed);
    }

    /// Reads `N` words from `offset` on.
    #[must_use]
    pub fn read_words<const N: usize>(&self, offset: usize) -> [u32; N] {
        std::array::from_fn(|i| self.read_word(offset + i * 4))
    }

    /// Writes 64 bytes as a ring entry: the first word, which holds the phase bit, last.
    pub fn write_entry(&self, offset: usize, words: &[u32; 16]) {
        for (i, word) in words.iter().enumerate().skip(1) {
            self.write_word(offset + i * 4, *word);
        }
        self.write_release(offset, words[0]);
    }

    /// Copies bytes in. The card must not be reading them.
    pub fn write_bytes(&self, offset: usize, data: &[u8]) {
        let to = self.at(offset, data.len(), 1);
        // SAFETY: `to` has room for the bytes (`at`); `data` lies elsewhere, since nobody has a slice of this memory that overlaps
        // a range that the host writes (`frame` is for ranges that the card writes).
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
    }

    /// Copies bytes out. The card must not be writing them.
    pub fn read_bytes(&self, offset: usize, data: &mut [u8]) {
        let from = self.at(offset, data.len(), 1);
        // SAFETY: `from` has as many bytes (`at`), and `data` is a `&mut` slice, so it lies elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(from, data.as_mut_ptr(), data.len()) };
    }

    /// A frame where the card left it.
    ///
    /// For ranges that only the card writes, between the frame's completion and its return: then nobody writes them. The driver
    /// itself never writes received frames, so the slice cannot change under its reader but by a card that breaks the protocol.
    ///
    /// # Panics
    /// When the range does not lie within the memory.
    #[must_use]
    pub(crate) fn received(&self, offset: usize, bytes: usize) -> &[u8] {
        // SAFETY: in bounds (`at`), initialised (the file began as zeroes), alive as long as `self`; not written by this process, and
        // not by the card while the entry is the host's (`RxQueue::frame` borrows the queue, so the entry cannot be returned).
        unsafe { std::slice::from_raw_parts(self.at(offset, bytes, 1), bytes) }
    }
}

impl Drop for DmaMem {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; no reference to it outlives `self`.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            tracing::warn!(%error, "DMA memory stays mapped");
        }
    }
}

/// Orders writes to DMA memory before a following register write, for the card as observer.
///
/// A doorbell is a write to device memory: on aarch64 a release fence, which orders for other processors only, is not enough.
pub fn order_before_doorbell() {
    fence(Ordering::Release);
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier: touches neither memory nor registers of the program.
    unsafe {
        core::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
}

/// Orders reads of DMA memory behind a preceding read of a phase bit, for the card as writer.
pub fn order_after_phase() {
    fence(Ordering::Acquire);
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier: touches neither memory nor registers of the program.
    unsafe {
        core::arch::asm!("dmb oshld", options(nostack, preserves_flags));
    }
}

/// A 64-bit value's two register halves, low then high.
#[must_use]
pub fn halves(address: u64) -> (u32, u32) {
    // Truncation is the point.
    #[allow(clippy::cast_possible_truncation)]
    (address as u32, (address >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fcntl_get_seals;

    #[test]
    fn memory_begins_as_zeroes_and_cannot_shrink() {
        let memory = DmaMem::new("test", 5000).unwrap();
        assert_eq!(memory.len() % rustix::param::page_size(), 0);
        assert!(memory.len() >= 5000);
        assert!(
            (0..memory.len())
                .step_by(4)
                .all(|at| memory.read_word(at) == 0)
        );
        assert!(
            fcntl_get_seals(memory.file())
                .unwrap()
                .contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
        );
        assert!(ftruncate(memory.file(), 0).is_err());
    }

    #[test]
    fn what_one_side_writes_the_other_side_of_the_file_reads() {
        let memory = DmaMem::new("test", 4096).unwrap();
        let words = std::array::from_fn(|i| 0x0101_0101 * i as u32);
        memory.write_entry(64, &words);
        memory.write_bytes(129, b"a frame");
        let mut seen = vec![0u8; 4096];
        rustix::io::pread(memory.file(), &mut seen, 0).unwrap();
        for (i, word) in words.iter().enumerate() {
            assert_eq!(seen[64 + i * 4..68 + i * 4], word.to_le_bytes());
        }
        assert_eq!(&seen[129..136], b"a frame");
        rustix::io::pwrite(memory.file(), &0x1234_5678u32.to_le_bytes(), 64).unwrap();
        assert_eq!(memory.read_acquire(64), 0x1234_5678);
        assert_eq!(memory.read_words::<2>(64), [0x1234_5678, 0x0101_0101]);
    }

    #[test]
    #[should_panic(expected = "of DMA memory")]
    fn an_access_beyond_the_end_does_not_happen() {
        let memory = DmaMem::new("test", 4096).unwrap();
        memory.write_word(memory.len(), 0);
    }

    #[test]
    fn huge_pages_serve_like_others_when_there_are_any() {
        match DmaMem::huge("test", 5000) {
            Ok(memory) => {
                assert_eq!((memory.len(), memory.page_bytes()), (HUGE_PAGE, HUGE_PAGE));
                assert_eq!(memory.address() % HUGE_PAGE, 0);
                memory.write_word(HUGE_PAGE - 4, 7);
                assert_eq!(memory.read_word(HUGE_PAGE - 4), 7);
            }
            Err(error) => assert!(
                error.to_string().contains("allocating 5000 bytes"),
                "{error}"
            ),
        }
    }

    #[test]
    fn nothing_is_allocated_for_zero_bytes() {
        assert!(DmaMem::new("test", 0).is_err());
        assert!(DmaMem::huge("test", 0).is_err());
        assert!(DmaMem::new("test", usize::MAX).is_err());
    }
}
