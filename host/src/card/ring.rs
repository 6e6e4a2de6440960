//! The `ring` table: the slots of all pools' rings, and which parts of it are in use.

use guideway_hdl::tables::{RING_SLOTS_PER_BEAT, SLOT_EMPTY, Table};

use super::{BackendId, Card, CardError};

/// 32 slots as they lie in host memory.
type Beat = [u32; 16];

/// A ring's slots as beats. What is beyond its end in the last beat is empty.
fn to_beats(slots: &[u16]) -> Vec<Beat> {
    slots
        .chunks(RING_SLOTS_PER_BEAT)
        .map(|chunk| {
            let slot = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(SLOT_EMPTY));
            std::array::from_fn(|word| slot(word * 2) | slot(word * 2 + 1) << 16)
        })
        .collect()
}

/// The slots of beats, lowest first.
fn from_beats(beats: &[Beat]) -> Vec<u16> {
    // Truncation takes the halves.
    #[allow(clippy::cast_possible_truncation)]
    beats
        .iter()
        .flatten()
        .flat_map(|word| [*word as u16, (*word >> 16) as u16])
        .collect()
}

/// A slot's content: the backend that it names, if any.
#[must_use]
pub fn slot_backend(slot: u16) -> Option<BackendId> {
    (slot != SLOT_EMPTY).then_some(BackendId(slot))
}

impl Card {
    /// Writes a ring at `base` (a multiple of 32) and compares the card's digest of it. No pool may use the region yet.
    ///
    /// # Errors
    /// When the ring does not fit, the card cannot be reached, or what it holds afterwards is not what was written.
    pub fn write_ring(&self, base: u32, slots: &[u16]) -> Result<(), CardError> {
        let first = self.ring_beat(base, slots.len())?;
        self.write_verified(Table::Ring, first, &to_beats(slots))
    }

    /// The digest that the card computes over a ring of these slots.
    #[must_use]
    pub fn ring_digest(slots: &[u16]) -> u32 {
        super::transfer::digest_of(&to_beats(slots))
    }

    /// Reads `count` slots from `base` (a multiple of 32) on.
    ///
    /// # Errors
    /// When the range is not within the table, or the card cannot be reached.
    pub fn read_ring(&self, base: u32, count: usize) -> Result<Vec<u16>, CardError> {
        let first = self.ring_beat(base, count)?;
        let beats = u32::try_from(count.div_ceil(RING_SLOTS_PER_BEAT)).unwrap_or(u32::MAX);
        let mut slots = from_beats(&self.dump(Table::Ring, first, beats)?);
        slots.truncate(count);
        Ok(slots)
    }

    fn ring_beat(&self, base: u32, count: usize) -> Result<u32, CardError> {
        let size = u64::from(self.sizes().ring_slots);
        let end = u64::from(base) + count as u64;
        if end > size || !(base as usize).is_multiple_of(RING_SLOTS_PER_BEAT) {
            return Err(CardError::OutOfRange {
                what: "ring slot",
                index: end.max(1) - 1,
                size,
            });
        }
        Ok(base / RING_SLOTS_PER_BEAT as u32)
    }
}

/// Which parts of the ring table are in use: first fit, in whole beats.
#[derive(Clone, Debug)]
pub struct RingSpace {
    slots: u32,
    /// Used ranges (base, end), sorted, apart.
    used: Vec<(u32, u32)>,
}

impl RingSpace {
    /// All of a table of `slots` slots is free.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            slots,
            used: Vec::new(),
        }
    }

    fn rounded(slots: u32) -> u32 {
        slots.next_multiple_of(RING_SLOTS_PER_BEAT as u32)
    }

    /// Takes room for a ring and returns its base; `None` when no gap is large enough.
    pub fn take(&mut self, slots: u32) -> Option<u32> {
        let need = Self::rounded(slots);
        let mut base = 0;
        for (from, to) in &self.used {
            if from - base >= need {
                break;
            }
            base = *to;
        }
        (self.slots.checked_sub(base)? >= need && self.reserve(base, slots)).then_some(base)
    }

    /// Marks a region as used: what an adopted card's pools name. False when it overlaps another or exceeds the table.
    pub fn reserve(&mut self, base: u32, slots: u32) -> bool {
        let Some(end) = base
            .checked_add(Self::rounded(slots))
            .filter(|end| *end <= self.slots)
        else {
            return false;
        };
        if slots == 0 || self.used.iter().any(|(from, to)| base < *to && *from < end) {
            return false;
        }
        let at = self.used.partition_point(|(from, _)| *from < base);
        self.used.insert(at, (base, end));
        true
    }

    /// Gives a region back, after a fence. Unknown bases are ignored.
    pub fn free(&mut self, base: u32) {
        self.used.retain(|(from, _)| *from != base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_two_a_word_and_the_rest_of_the_last_beat_is_empty() {
        let slots: Vec<u16> = (0..33).map(|i| i * 3).collect();
        let beats = to_beats(&slots);
        assert_eq!(beats.len(), 2);
        assert_eq!(beats[0][0], 3 << 16);
        assert_eq!(beats[0][15], 90 | 93 << 16);
        assert_eq!(beats[1][0], 96 | 0xffff_0000);
        assert_eq!(beats[1][15], u32::MAX);
        assert_eq!(from_beats(&beats)[..33], slots);
        assert_eq!(
            (slot_backend(7), slot_backend(SLOT_EMPTY)),
            (Some(BackendId(7)), None)
        );
    }

    #[test]
    fn regions_do_not_overlap_and_come_back() {
        let mut space = RingSpace::new(1 << 20);
        let bases: Vec<u32> = std::iter::from_fn(|| space.take(65537)).collect();
        assert_eq!(bases.len(), 15); // 65568 slots each
        assert!(bases.windows(2).all(|pair| pair[1] - pair[0] == 65568));
        space.free(bases[3]);
        assert_eq!(space.take(5), Some(bases[3]));
        assert_eq!(space.take(65537), None);
        assert_eq!(space.take(65505), Some(bases[3] + 32));
        assert!(!space.reserve(bases[5] + 64, 1));
        assert!(!space.reserve((1 << 20) - 32, 33));
        assert!(!RingSpace::new(64).reserve(0, 0));
    }
}
