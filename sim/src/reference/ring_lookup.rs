//! The pool's ring (`CARD.md` 3): which backend a hash falls to.

use guideway_hdl::tables::{PoolEntry, SLOT_EMPTY};

use super::Tables;

/// The slot that a hash fell into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingHit {
    /// Slot within the ring.
    pub index: u32,
    /// The backend in it, or [`SLOT_EMPTY`].
    pub backend: u16,
}

/// Looks a hash up in a pool's ring; without a ring the slot is 0 and empty.
///
/// The card divides by Barrett's constant from the pool entry; this is the division that it must agree with.
#[must_use]
pub fn ring_lookup(tables: &Tables, pool: &PoolEntry, hash: u32) -> RingHit {
    let Some(index) = hash.checked_rem(pool.ring_size) else {
        return RingHit {
            index: 0,
            backend: SLOT_EMPTY,
        };
    };
    let slot = u64::from(pool.ring_base) + u64::from(index);
    RingHit {
        index,
        backend: usize::try_from(slot).map_or(SLOT_EMPTY, |slot| tables.ring_slot(slot)),
    }
}
