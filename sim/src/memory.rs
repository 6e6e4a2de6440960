//! Host memory for tests: a block of bytes, a range that refuses access, and a record of interrupt messages.
//!
//! Owns no card's behaviour: both models reach it through [`HostMemory`].

use std::ops::Range;

use crate::card::{DmaError, HostMemory};

/// Where [`GuestMemory`] takes MSI-X messages: one 4-byte word a vector, far from any memory.
pub const MSI_BASE: u64 = 0xfee0_0000;
const MSI_BYTES: u64 = 0x1000;

/// A block of host memory at a base address.
#[derive(Clone, Debug)]
pub struct GuestMemory {
    base: u64,
    bytes: Vec<u8>,
    refused: Vec<Range<u64>>,
    messages: Vec<(u64, u32)>,
    reads: u64,
    writes: u64,
}

impl GuestMemory {
    /// `bytes` zeroed bytes from address `base` on.
    #[must_use]
    pub fn new(base: u64, bytes: usize) -> Self {
        Self {
            base,
            bytes: vec![0; bytes],
            refused: Vec::new(),
            messages: Vec::new(),
            reads: 0,
            writes: 0,
        }
    }

    /// The first address.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// The first address behind the block.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.bytes.len() as u64)
    }

    /// Refuses every access that touches `range` from now on, as if it were not mapped any more.
    pub fn refuse(&mut self, range: Range<u64>) {
        self.refused.push(range);
    }

    /// Maps everything again.
    pub fn refuse_nothing(&mut self) {
        self.refused.clear();
    }

    /// Interrupt messages since the last call: address and data, in order.
    pub fn take_messages(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.messages)
    }

    /// Accesses by the card so far: reads and writes, refused ones included.
    #[must_use]
    pub const fn accesses(&self) -> (u64, u64) {
        (self.reads, self.writes)
    }

    /// The bytes at an address, as the host's processor sees them.
    ///
    /// # Errors
    /// When the range is not within the block.
    pub fn view(&self, address: u64, bytes: usize) -> Result<&[u8], DmaError> {
        let range = self.place(address, bytes)?;
        self.bytes.get(range).ok_or(DmaError { address, bytes })
    }

    /// Changes bytes, as the host's processor does.
    ///
    /// # Errors
    /// When the range is not within the block.
    pub fn fill(&mut self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        let bytes = data.len();
        let range = self.place(address, bytes)?;
        let into = self.bytes.get_mut(range);
        into.ok_or(DmaError { address, bytes })?
            .copy_from_slice(data);
        Ok(())
    }

    /// Zeroes bytes, as the host's processor does.
    ///
    /// # Errors
    /// When the range is not within the block.
    pub fn clear(&mut self, address: u64, bytes: usize) -> Result<(), DmaError> {
        let range = self.place(address, bytes)?;
        let into = self.bytes.get_mut(range);
        into.ok_or(DmaError { address, bytes })?.fill(0);
        Ok(())
    }

    fn place(&self, address: u64, bytes: usize) -> Result<Range<usize>, DmaError> {
        let error = DmaError { address, bytes };
        let start = address.checked_sub(self.base).ok_or(error)?;
        let start = usize::try_from(start).map_err(|_| error)?;
        let end = start.checked_add(bytes).ok_or(error)?;
        if end > self.bytes.len() {
            return Err(error);
        }
        Ok(start..end)
    }

    fn allowed(&self, address: u64, bytes: usize) -> Result<(), DmaError> {
        let end = address.saturating_add(bytes as u64);
        let touched = |range: &Range<u64>| range.start < end && address < range.end;
        if self.refused.iter().any(touched) {
            return Err(DmaError { address, bytes });
        }
        Ok(())
    }
}

impl HostMemory for GuestMemory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        self.reads += 1;
        self.allowed(address, data.len())?;
        data.copy_from_slice(self.view(address, data.len())?);
        Ok(())
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        self.writes += 1;
        self.allowed(address, data.len())?;
        if (MSI_BASE..MSI_BASE + MSI_BYTES).contains(&address) {
            let Ok(word) = <[u8; 4]>::try_from(data) else {
                return Err(DmaError {
                    address,
                    bytes: data.len(),
                });
            };
            self.messages.push((address, u32::from_le_bytes(word)));
            return Ok(());
        }
        self.fill(address, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_at_both_ends() {
        let mut memory = GuestMemory::new(0x1000, 0x100);
        let mut word = [0; 4];
        assert!(memory.write(0x10fc, &[1; 4]).is_ok());
        assert!(memory.write(0x10fd, &[1; 4]).is_err());
        assert!(memory.read(0xfff, &mut word).is_err());
        assert!(memory.read(u64::MAX, &mut word).is_err());
        assert!(memory.read(0x10fc, &mut word).is_ok());
        assert_eq!(word, [1; 4]);
        memory.refuse(0x10ff..0x1100);
        assert!(memory.read(0x10fc, &mut word).is_err());
        memory.refuse_nothing();
        assert!(memory.read(0x10fc, &mut word).is_ok());
        assert_eq!(memory.accesses(), (5, 2));
    }

    #[test]
    fn interrupt_messages_are_recorded() {
        let mut memory = GuestMemory::new(0, 64);
        assert!(memory.write(MSI_BASE + 8, &7u32.to_le_bytes()).is_ok());
        assert!(memory.write(MSI_BASE + 8, &[0; 8]).is_err());
        assert_eq!(memory.take_messages(), [(MSI_BASE + 8, 7)]);
        assert!(memory.take_messages().is_empty());
    }
}
