//! The `pool` table: which ring of a pool is live. One write is the ring swap.

use guideway_hdl::tables::{PoolEntry, RING_SIZE_MAX, RING_SLOTS_PER_BEAT, Table};

use super::{Card, CardError, PoolId};

/// A pool as the card knows it: where its ring lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// First slot, a multiple of 32.
    pub ring_base: u32,
    /// Slots; 0: no ring.
    pub ring_size: u32,
}

impl Pool {
    /// The table's entry, with the constant of the Barrett reduction.
    ///
    /// # Errors
    /// When base or size are none that the card takes (sizes: 0, or 2 to 65537).
    pub fn to_entry(&self) -> Result<PoolEntry, CardError> {
        if self.ring_size == 1 || self.ring_size > RING_SIZE_MAX {
            return Err(CardError::OutOfRange {
                what: "ring size",
                index: self.ring_size.into(),
                size: RING_SIZE_MAX.into(),
            });
        }
        // A base beyond the table or off a beat would be cut silently.
        if !(self.ring_base as usize).is_multiple_of(RING_SLOTS_PER_BEAT)
            || self.ring_base >= 1 << 24
        {
            return Err(CardError::OutOfRange {
                what: "ring base",
                index: self.ring_base.into(),
                size: 1 << 24,
            });
        }
        Ok(PoolEntry {
            ring_base: self.ring_base,
            ring_size: self.ring_size,
            barrett: barrett(self.ring_size),
        })
    }

    /// What an entry says.
    #[must_use]
    pub fn from_entry(entry: &PoolEntry) -> Self {
        Self {
            ring_base: entry.ring_base,
            ring_size: entry.ring_size,
        }
    }
}

/// `floor(2^32 / size)`; 0 without a ring.
fn barrett(size: u32) -> u32 {
    // For sizes from 2 on the quotient fits.
    (1u64 << 32)
        .checked_div(size.into())
        .and_then(|quotient| u32::try_from(quotient).ok())
        .unwrap_or(0)
}

impl Card {
    /// Writes a pool: from one cycle to the next its packets use the new ring. [`Card::fence`] tells when none uses the old any more.
    ///
    /// # Errors
    /// When the index is beyond the table, the ring is none that the card takes, or the card cannot be reached.
    pub fn write_pool(&self, id: PoolId, pool: &Pool) -> Result<(), CardError> {
        let end = u64::from(pool.ring_base) + u64::from(pool.ring_size);
        if end > u64::from(self.sizes().ring_slots) {
            return Err(CardError::OutOfRange {
                what: "ring slot",
                index: end - 1,
                size: self.sizes().ring_slots.into(),
            });
        }
        self.write_entry(Table::Pool, u32::from(id.0), &pool.to_entry()?.to_words())
    }

    /// Reads the whole table.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_pools(&self) -> Result<Vec<PoolEntry>, CardError> {
        self.dump_entries(Table::Pool, PoolEntry::from_words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_barrett_form_is_the_remainder() {
        for size in [2, 3, 5, 11, 251, 1021, 32749, 65537] {
            let constant = u64::from(
                Pool {
                    ring_base: 0,
                    ring_size: size,
                }
                .to_entry()
                .unwrap()
                .barrett,
            );
            for hash in [
                0,
                1,
                size - 1,
                size,
                size + 1,
                0x1234_5678,
                u32::MAX - 1,
                u32::MAX,
            ] {
                let quotient = (u64::from(hash) * constant) >> 32;
                let mut rest = u64::from(hash) - quotient * u64::from(size);
                if rest >= u64::from(size) {
                    rest -= u64::from(size);
                }
                assert_eq!(rest, u64::from(hash % size), "{hash} mod {size}");
            }
        }
    }

    #[test]
    fn what_the_card_cannot_reduce_is_refused() {
        for pool in [
            Pool {
                ring_base: 0,
                ring_size: 1,
            },
            Pool {
                ring_base: 0,
                ring_size: 65538,
            },
            Pool {
                ring_base: 16,
                ring_size: 5,
            },
            Pool {
                ring_base: 1 << 24,
                ring_size: 5,
            },
        ] {
            assert!(pool.to_entry().is_err(), "{pool:?}");
        }
        assert_eq!(Pool::default().to_entry().unwrap(), PoolEntry::default());
    }
}
