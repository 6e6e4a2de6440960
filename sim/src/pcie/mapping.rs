//! A client's file, mapped into this process: the only place where its memory is touched directly.
//!
//! Owns the mapping and the order in which bytes are moved. The client runs beside us and reads what we write, so a line's
//! first word, which holds the phase bit, is written last and read first.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

/// Bytes of a ring entry, and of the line within which the order is kept.
const LINE: usize = 64;
const WORD: usize = size_of::<u64>();

/// A shared mapping of a whole file that cannot shrink.
#[derive(Debug)]
pub struct FileMapping {
    start: NonNull<u8>,
    bytes: usize,
    writable: bool,
}

// SAFETY: the mapping is plain shared memory, accessed by atomics only; nothing about it belongs to a thread.
unsafe impl Send for FileMapping {}
// SAFETY: as above.
unsafe impl Sync for FileMapping {}

impl FileMapping {
    /// Maps the first `bytes` bytes of `file`. The caller has checked that the file has them and is sealed against shrinking.
    ///
    /// # Errors
    /// mmap's.
    pub fn new(file: BorrowedFd<'_>, bytes: usize, writable: bool) -> Result<Self, Errno> {
        let protection = if writable {
            ProtFlags::READ | ProtFlags::WRITE
        } else {
            ProtFlags::READ
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice; nothing else refers to it.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self {
            start,
            bytes,
            writable,
        })
    }

    /// Bytes mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// It can be written.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        assert!(
            offset < self.bytes,
            "offset {offset} within a mapping of {} bytes",
            self.bytes
        );
        // SAFETY: within the mapping, which lives as long as `self`; other processes see it too, hence the atomic.
        unsafe { AtomicU8::from_ptr(self.start.as_ptr().add(offset)) }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(WORD) && offset + WORD <= self.bytes,
            "word {offset} within a mapping of {} bytes",
            self.bytes
        );
        // SAFETY: within the mapping (page aligned) and aligned; as above.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// Copies `data.len()` bytes at `offset` out of the file; false when it does not have them.
    #[must_use]
    pub fn read(&self, offset: usize, data: &mut [u8]) -> bool {
        if offset
            .checked_add(data.len())
            .is_none_or(|end| end > self.bytes)
        {
            return false;
        }
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at_mut(piece_len(at, rest.len()));
            if let Ok(word) = <&mut [u8; WORD]>::try_from(&mut *piece) {
                // Acquire: what is read after a line's first word is not older than it.
                *word = self.word(at).load(Ordering::Acquire).to_le_bytes();
            } else {
                for (index, byte) in piece.iter_mut().enumerate() {
                    *byte = self.byte(at + index).load(Ordering::Acquire);
                }
            }
            at += piece.len();
            rest = tail;
        }
        true
    }

    /// Copies `data` into the file at `offset`; false when it does not have the place or is not writable.
    #[must_use]
    pub fn write(&self, offset: usize, data: &[u8]) -> bool {
        if !self.writable
            || offset
                .checked_add(data.len())
                .is_none_or(|end| end > self.bytes)
        {
            return false;
        }
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (line, tail) = rest.split_at((LINE - at % LINE).min(rest.len()));
            let first = piece_len(at, line.len());
            self.store(at + first, &line[first..], Ordering::Relaxed);
            // Release: the reader of the first word sees the rest of the line.
            self.store(at, &line[..first], Ordering::Release);
            at += line.len();
            rest = tail;
        }
        true
    }

    fn store(&self, offset: usize, data: &[u8], order: Ordering) {
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(piece_len(at, rest.len()));
            if let Ok(word) = <[u8; WORD]>::try_from(piece) {
                self.word(at).store(u64::from_le_bytes(word), order);
            } else {
                for (index, &byte) in piece.iter().enumerate() {
                    self.byte(at + index).store(byte, order);
                }
            }
            at += piece.len();
            rest = tail;
        }
    }
}

/// How much of `len` bytes at `at` moves at once: an aligned word, or the bytes before the next one.
fn piece_len(at: usize, len: usize) -> usize {
    let before = (WORD - at % WORD) % WORD;
    if before != 0 {
        before.min(len)
    } else {
        WORD.min(len)
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, of which no reference is left.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::fs::MemfdFlags;
    use std::os::fd::{AsFd, OwnedFd};

    fn memory(bytes: usize) -> OwnedFd {
        let file = rustix::fs::memfd_create("mapping", MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, bytes as u64).unwrap();
        file
    }

    proptest! {
        #[test]
        fn any_range_reads_back_what_was_written(offset in 0usize..200, data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let file = memory(4096);
            let mapping = FileMapping::new(file.as_fd(), 4096, true).unwrap();
            prop_assert!(mapping.write(offset, &data));
            let mut plain = vec![0; data.len() + 16];
            rustix::io::pread(&file, &mut plain, offset as u64).unwrap();
            prop_assert_eq!(&plain[..data.len()], &data[..]);
            prop_assert!(plain[data.len()..].iter().all(|&byte| byte == 0));
            let mut back = vec![0xaa; data.len()];
            prop_assert!(mapping.read(offset, &mut back));
            prop_assert_eq!(back, data);
        }
    }

    #[test]
    fn nothing_beyond_the_file_is_touched() {
        let file = memory(4096);
        let mapping = FileMapping::new(file.as_fd(), 4096, true).unwrap();
        assert!(!mapping.write(4090, &[1; 7]));
        assert!(!mapping.read(usize::MAX, &mut [0; 2]));
        assert!(mapping.write(4090, &[1; 6]));
        let readable = FileMapping::new(file.as_fd(), 4096, false).unwrap();
        assert!(!readable.write(0, &[1]));
    }
}
