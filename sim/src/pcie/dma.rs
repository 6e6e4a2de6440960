//! The function's IOMMU: which addresses the client has mapped, and where their bytes are.
//!
//! Owns DMA_MAP and DMA_UNMAP and every DMA access. Files that are sealed against shrinking are mapped, once each; others
//! are reached by pread and pwrite, because a peer that shrinks a mapped file would kill this process. Memory without a file
//! is reached by messages to the client ([`RemoteMemory`]).

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use rustix::fs::{FileType, OFlags, SealFlags};
use rustix::io::Errno;

use super::mapping::FileMapping;

/// Where the platform takes MSI messages: not memory, and not mappable.
pub const MSI_WINDOW: RangeInclusive<u64> = 0xfee0_0000..=0xfeef_ffff;
/// Smallest page of a mapping.
const PAGE: u64 = 4096;

/// Client memory that came without a file descriptor.
pub trait RemoteMemory {
    /// Reads it.
    ///
    /// # Errors
    /// The client's errno, or EIO when it is gone.
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno>;
    /// Writes it.
    ///
    /// # Errors
    /// As [`RemoteMemory::read`].
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Errno>;
}

/// No client: nothing can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRemote;

impl RemoteMemory for NoRemote {
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }
}

/// What a mapping allows the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Reads.
    pub read: bool,
    /// Writes.
    pub write: bool,
}

#[derive(Clone, Debug)]
enum Backing {
    Mapped(Arc<FileMapping>),
    File(Arc<OwnedFd>),
    Remote,
}

#[derive(Debug)]
struct Segment {
    last: u64,
    offset: u64,
    access: Access,
    backing: Backing,
}

/// The mappings of one client.
#[derive(Debug)]
pub struct DmaMap {
    segments: BTreeMap<u64, Segment>,
    /// Mapped files by device, inode and writability: behind a virtual IOMMU one file comes once a page.
    files: HashMap<(u64, u64, bool), Weak<FileMapping>>,
    limit: usize,
}

impl DmaMap {
    /// No mappings; at most `limit` are taken.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            segments: BTreeMap::new(),
            files: HashMap::new(),
            limit,
        }
    }

    /// Mappings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Maps `size` bytes at `address` to `file` from `offset` on, or to the client itself.
    ///
    /// # Errors
    /// EINVAL: not whole pages, nothing, beyond the file's end, over the MSI window, not a regular file; EEXIST: something
    /// is mapped there; ENOSPC: too many; EACCES: the file's descriptor does not allow it.
    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        offset: u64,
        access: Access,
        file: Option<OwnedFd>,
    ) -> Result<(), Errno> {
        let last = size
            .checked_sub(1)
            .and_then(|more| address.checked_add(more))
            .ok_or(Errno::INVAL)?;
        let end = offset.checked_add(size).ok_or(Errno::INVAL)?;
        let whole = [address, size, offset]
            .iter()
            .all(|value| value.is_multiple_of(PAGE));
        let over_msi = address <= *MSI_WINDOW.end() && last >= *MSI_WINDOW.start();
        if !whole || over_msi || !(access.read || access.write) {
            return Err(Errno::INVAL);
        }
        if self.overlapping(address, last).next().is_some() {
            return Err(Errno::EXIST);
        }
        if self.segments.len() >= self.limit {
            return Err(Errno::NOSPC);
        }
        let backing = match file {
            None => Backing::Remote,
            Some(file) => self.back(file, end, access)?,
        };
        self.segments.insert(
            address,
            Segment {
                last,
                offset,
                access,
                backing,
            },
        );
        Ok(())
    }

    /// Unmaps every mapping in the range, which may have holes and may end at 2^64; returns the bytes unmapped.
    ///
    /// # Errors
    /// EINVAL: the range is empty, exceeds 2^64 or cuts a mapping.
    pub fn unmap(&mut self, address: u64, size: u64) -> Result<u64, Errno> {
        let last = size
            .checked_sub(1)
            .and_then(|more| address.checked_add(more))
            .ok_or(Errno::INVAL)?;
        if self
            .overlapping(address, last)
            .any(|(start, segment)| start < address || segment.last > last)
        {
            return Err(Errno::INVAL);
        }
        let starts: Vec<u64> = self
            .segments
            .range(address..=last)
            .map(|(&start, _)| start)
            .collect();
        let removed = starts.iter().filter_map(|start| {
            self.segments
                .remove(start)
                .map(|segment| segment.last - start + 1)
        });
        let bytes = removed.fold(0u64, u64::saturating_add);
        self.files.retain(|_, file| file.strong_count() > 0);
        Ok(bytes)
    }

    /// Unmaps everything.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.files.clear();
    }

    /// Reads `data.len()` bytes at `address`.
    ///
    /// # Errors
    /// EFAULT: a byte is not mapped for reading, or vanished; the client's errno.
    pub fn read(
        &self,
        remote: &mut dyn RemoteMemory,
        address: u64,
        data: &mut [u8],
    ) -> Result<(), Errno> {
        let mut at = address;
        let mut rest = data;
        while !rest.is_empty() {
            let (segment, offset, len) = self.find(at, rest.len())?;
            let (piece, tail) = rest.split_at_mut(len);
            if !segment.access.read {
                return Err(Errno::FAULT);
            }
            match &segment.backing {
                Backing::Mapped(file) => file
                    .read(to_usize(offset)?, piece)
                    .then_some(())
                    .ok_or(Errno::FAULT)?,
                Backing::File(file) => read_file(file, offset, piece)?,
                Backing::Remote => remote.read(at, piece)?,
            }
            at = at.wrapping_add(len as u64);
            rest = tail;
        }
        Ok(())
    }

    /// Writes `data` at `address`.
    ///
    /// # Errors
    /// As [`DmaMap::read`].
    pub fn write(
        &self,
        remote: &mut dyn RemoteMemory,
        address: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        let mut at = address;
        let mut rest = data;
        while !rest.is_empty() {
            let (segment, offset, len) = self.find(at, rest.len())?;
            let (piece, tail) = rest.split_at(len);
            if !segment.access.write {
                return Err(Errno::FAULT);
            }
            match &segment.backing {
                Backing::Mapped(file) => file
                    .write(to_usize(offset)?, piece)
                    .then_some(())
                    .ok_or(Errno::FAULT)?,
                Backing::File(file) => write_file(file, offset, piece)?,
                Backing::Remote => remote.write(at, piece)?,
            }
            at = at.wrapping_add(len as u64);
            rest = tail;
        }
        Ok(())
    }

    fn overlapping(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, &Segment)> {
        let before = self
            .segments
            .range(..first)
            .next_back()
            .filter(move |(_, segment)| segment.last >= first);
        before
            .into_iter()
            .chain(self.segments.range(first..=last))
            .map(|(&start, segment)| (start, segment))
    }

    /// The mapping of `address`, the place in its file, and how many of `len` bytes lie in it.
    fn find(&self, address: u64, len: usize) -> Result<(&Segment, u64, usize), Errno> {
        let (&start, segment) = self
            .segments
            .range(..=address)
            .next_back()
            .ok_or(Errno::FAULT)?;
        let left = segment.last.checked_sub(address).ok_or(Errno::FAULT)?;
        let len = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
            .min(len);
        Ok((segment, segment.offset + (address - start), len))
    }

    fn back(&mut self, file: OwnedFd, end: u64, access: Access) -> Result<Backing, Errno> {
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let size = u64::try_from(stat.st_size).map_err(|_| Errno::INVAL)?;
        if end > size {
            return Err(Errno::INVAL);
        }
        let mode = rustix::fs::fcntl_getfl(&file)? & OFlags::RWMODE;
        if (access.write && mode == OFlags::RDONLY) || (access.read && mode == OFlags::WRONLY) {
            return Err(Errno::ACCESS);
        }
        let sealed =
            rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        if !sealed || mode == OFlags::WRONLY {
            return Ok(Backing::File(Arc::new(file)));
        }
        let key = (stat.st_dev, stat.st_ino, access.write);
        if let Some(mapping) = self
            .files
            .get(&key)
            .and_then(Weak::upgrade)
            .filter(|mapping| mapping.len() as u64 >= end)
        {
            return Ok(Backing::Mapped(mapping));
        }
        match FileMapping::new(file.as_fd(), to_usize(size)?, access.write) {
            Ok(mapping) => {
                let mapping = Arc::new(mapping);
                self.files.insert(key, Arc::downgrade(&mapping));
                Ok(Backing::Mapped(mapping))
            }
            // Sealed against writing by mappings, or too large: it is still a file.
            Err(_) => Ok(Backing::File(Arc::new(file))),
        }
    }
}

fn to_usize(value: u64) -> Result<usize, Errno> {
    usize::try_from(value).map_err(|_| Errno::INVAL)
}

fn read_file(file: &OwnedFd, mut offset: u64, mut data: &mut [u8]) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::pread(file, &mut *data, offset) {
            Ok(0) => return Err(Errno::FAULT), // the file has shrunk
            Ok(read) => {
                offset += read as u64;
                data = &mut data[read..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn write_file(file: &OwnedFd, offset: u64, data: &[u8]) -> Result<(), Errno> {
    // pwrite would let a shrunk file grow again: vanished memory stays vanished.
    let size = rustix::fs::fstat(file)?.st_size;
    if u64::try_from(size).map_err(|_| Errno::FAULT)? < offset + data.len() as u64 {
        return Err(Errno::FAULT);
    }
    // As in a mapping: the word with the phase bit last.
    let first = if data.len() <= 64 && offset.is_multiple_of(64) {
        data.len().min(8)
    } else {
        data.len()
    };
    write_all(file, offset + first as u64, &data[first..])?;
    write_all(file, offset, &data[..first])
}

fn write_all(file: &OwnedFd, mut offset: u64, mut data: &[u8]) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::pwrite(file, data, offset) {
            Ok(0) => return Err(Errno::FAULT),
            Ok(written) => {
                offset += written as u64;
                data = &data[written..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
