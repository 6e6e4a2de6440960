//! MSI-X: the table, the pending bits, and what fires a vector.

use crate::card::{FunctionState, MSIX_VECTORS};

use super::Dma;

/// Vector of events: a ring stopped.
pub const EVENT_VECTOR: u16 = 6;
const PENDING_BITS: u32 = 0x800;
const VECTORS: usize = MSIX_VECTORS as usize;
const MASKED: u32 = 1;

#[derive(Clone, Copy, Debug)]
struct Vector {
    /// Address low, address high, data, control.
    words: [u32; 4],
}

/// The function's interrupt table.
#[derive(Clone, Debug)]
pub struct Msix {
    vectors: [Vector; VECTORS],
    pending: u32,
}

impl Default for Msix {
    fn default() -> Self {
        Self {
            vectors: [Vector {
                words: [0, 0, 0, MASKED],
            }; VECTORS],
            pending: 0,
        }
    }
}

impl Msix {
    /// Reads BAR4.
    #[must_use]
    pub fn read(&self, offset: u32) -> u32 {
        if offset == PENDING_BITS {
            return self.pending;
        }
        let (vector, word) = place(offset);
        self.vectors.get(vector).map_or(0, |v| v.words[word])
    }

    /// Writes BAR4; pending bits are read-only.
    pub fn write(&mut self, offset: u32, value: u32) {
        let (vector, word) = place(offset);
        if let Some(entry) = self.vectors.get_mut(vector) {
            entry.words[word] = match word {
                0 => value & !3,
                3 => value & MASKED,
                _ => value,
            };
        }
    }

    /// A vector's event happened: it is pending until its message could be sent.
    pub fn fire(&mut self, vector: u16) {
        if usize::from(vector) < VECTORS {
            self.pending |= 1 << vector;
        }
    }

    /// Whether a message could be sent now.
    #[must_use]
    pub fn has_work(&self, function: FunctionState) -> bool {
        (0..VECTORS).any(|vector| self.deliverable(vector, function))
    }

    /// Sends every message that may be sent.
    pub fn deliver(&mut self, function: FunctionState, dma: &mut Dma<'_>) {
        for vector in 0..VECTORS {
            if self.deliverable(vector, function) {
                self.pending &= !(1 << vector);
                let [low, high, data, _] = self.vectors[vector].words;
                let address = u64::from(high) << 32 | u64::from(low);
                // nobody can be told that a message went nowhere; the error is counted
                let _ = dma.write(address, &data.to_le_bytes());
            }
        }
    }

    fn deliverable(&self, vector: usize, function: FunctionState) -> bool {
        self.pending >> vector & 1 == 1
            && function.bus_master
            && function.msix_enable
            && !function.msix_mask
            && self.vectors[vector].words[3] & MASKED == 0
    }
}

fn place(offset: u32) -> (usize, usize) {
    (offset as usize / 16, offset as usize % 16 / 4)
}
