//! The card's view of host memory: every access checked, every failure counted.

use crate::card::{DmaError, HostMemory};

/// Failed accesses since power on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DmaErrors {
    /// Reads.
    pub reads: u32,
    /// Writes.
    pub writes: u32,
}

/// Host memory during one call, with the card's error counters.
pub struct Dma<'a> {
    memory: &'a mut dyn HostMemory,
    errors: &'a mut DmaErrors,
}

impl<'a> Dma<'a> {
    /// Pairs memory and counters.
    pub fn new(memory: &'a mut dyn HostMemory, errors: &'a mut DmaErrors) -> Self {
        Self { memory, errors }
    }

    /// Reads `data.len()` bytes.
    ///
    /// # Errors
    /// When the range wraps or memory refuses it.
    pub fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        let result = checked(address, data.len()).and_then(|()| self.memory.read(address, data));
        if result.is_err() {
            self.errors.reads = self.errors.reads.wrapping_add(1);
        }
        result
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// When the range wraps or memory refuses it.
    pub fn write(&mut self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        let result = checked(address, data.len()).and_then(|()| self.memory.write(address, data));
        if result.is_err() {
            self.errors.writes = self.errors.writes.wrapping_add(1);
        }
        result
    }
}

fn checked(address: u64, bytes: usize) -> Result<(), DmaError> {
    let last = bytes.saturating_sub(1) as u64;
    match address.checked_add(last) {
        Some(_) => Ok(()),
        None => Err(DmaError { address, bytes }),
    }
}
