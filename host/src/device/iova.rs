//! The addresses under which a card sees host memory.
//!
//! Owns [`IovaSpace`]: which addresses the other side translates, and which of them are taken. Mapping is the backends'.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Where addresses begin when there is a choice: above everything that platforms reserve below 4 GiB.
const HIGH: u64 = 1 << 32;
/// Where they end when nobody says more: what the narrowest IOMMUs translate.
const DEFAULT_LAST: u64 = (1 << 38) - 1;
/// Never given out: a card that reads a null pointer shall fault.
const LOW: u64 = 1 << 20;
/// Mappings begin on multiples of this, so that huge pages remain possible.
const ALIGN: u64 = 2 << 20;

/// The addresses of a function's mappings.
#[derive(Debug)]
pub struct IovaSpace {
    /// In the order of preference; none overlaps another.
    ranges: Vec<RangeInclusive<u64>>,
    /// Address to bytes.
    taken: BTreeMap<u64, u64>,
}

impl Default for IovaSpace {
    /// What every IOMMU translates, as long as nobody says which ranges there are.
    fn default() -> Self {
        Self::new(&[HIGH..=DEFAULT_LAST])
    }
}

impl IovaSpace {
    /// Addresses within `ranges`: those above 4 GiB first, and low ones only when there is no room above.
    #[must_use]
    pub fn new(ranges: &[RangeInclusive<u64>]) -> Self {
        let part = |from: u64, to: u64| {
            ranges.iter().filter_map(move |range| {
                let (start, last) = (*range.start().max(&from), *range.end().min(&to));
                (start <= last).then_some(start..=last)
            })
        };
        let mut preferred: Vec<_> = part(HIGH, u64::MAX).collect();
        preferred.sort_unstable_by_key(|range| *range.start());
        let mut low: Vec<_> = part(LOW, HIGH - 1).collect();
        low.sort_unstable_by_key(|range| *range.start());
        preferred.append(&mut low);
        Self {
            ranges: preferred,
            taken: BTreeMap::new(),
        }
    }

    /// The first free address with room for `size` bytes.
    #[must_use]
    pub fn find(&self, size: u64) -> Option<u64> {
        self.ranges
            .iter()
            .find_map(|range| self.find_in(range, size))
    }

    fn find_in(&self, range: &RangeInclusive<u64>, size: u64) -> Option<u64> {
        let mut address = range.start().checked_next_multiple_of(ALIGN)?;
        for (start, bytes) in self.taken.range(address..=*range.end()) {
            if start - address >= size {
                break;
            }
            address = start.checked_add(*bytes)?.checked_next_multiple_of(ALIGN)?;
        }
        let last = address.checked_add(size.checked_sub(1)?)?;
        (last <= *range.end()).then_some(address)
    }

    /// Takes what [`IovaSpace::find`] found.
    pub fn take(&mut self, address: u64, size: u64) {
        self.taken.insert(address, size);
    }

    /// Whether exactly this mapping is taken.
    #[must_use]
    pub fn holds(&self, address: u64, size: u64) -> bool {
        self.taken.get(&address) == Some(&size)
    }

    /// Gives an address back.
    pub fn release(&mut self, address: u64) {
        self.taken.remove(&address);
    }

    /// Bytes and number of the mappings.
    #[must_use]
    pub fn mapped(&self) -> (u64, usize) {
        (self.taken.values().sum(), self.taken.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(space: &mut IovaSpace, size: u64) -> Option<u64> {
        let address = space.find(size)?;
        space.take(address, size);
        Some(address)
    }

    #[test]
    fn addresses_are_found_in_gaps_and_end() {
        let mut space = IovaSpace::default();
        assert_eq!(take(&mut space, 4096), Some(HIGH));
        assert_eq!(take(&mut space, 5 << 20), Some(HIGH + (2 << 20)));
        assert_eq!(take(&mut space, 4096), Some(HIGH + (8 << 20)));
        assert_eq!(take(&mut space, DEFAULT_LAST), None);
        assert_eq!(space.mapped(), ((5 << 20) + 8192, 3));
        assert!(space.holds(HIGH + (2 << 20), 5 << 20) && !space.holds(HIGH, 8192));
        space.release(HIGH + (2 << 20));
        assert_eq!(space.find(6 << 20), Some(HIGH + (2 << 20)));
        assert_eq!(space.find(7 << 20), Some(HIGH + (10 << 20)));
        assert_eq!(space.find(0), None);
    }

    #[test]
    fn ranges_are_respected_to_the_last_byte() {
        // a hole in the middle, as platforms have them for their message-signalled interrupts; the second range is not aligned
        let mut space = IovaSpace::new(&[
            HIGH + 0x1000..=HIGH + (6 << 20) - 1,
            HIGH + (8 << 20)..=HIGH + (10 << 20) - 1,
        ]);
        assert_eq!(take(&mut space, 4 << 20), Some(HIGH + (2 << 20)));
        assert_eq!(space.find((2 << 20) + 1), None);
        assert_eq!(take(&mut space, 2 << 20), Some(HIGH + (8 << 20)));
        assert_eq!(space.find(4096), None);
    }

    #[test]
    fn low_addresses_serve_when_there_are_no_others() {
        // an IOMMU of 32 bits, with the window of x86's interrupts cut out
        let mut space = IovaSpace::new(&[0..=0xfedf_ffff, 0xfef0_0000..=0xffff_ffff]);
        assert_eq!(take(&mut space, 4096), Some(2 << 20));
        assert_eq!(take(&mut space, 0xfe00_0000), Some(4 << 20));
        assert_eq!(take(&mut space, 0x100_0000), Some(0xff00_0000));
        let mut wide = IovaSpace::new(&[0..=(1 << 39) - 1]);
        assert_eq!(take(&mut wide, (1 << 39) - HIGH), Some(HIGH));
        assert_eq!(take(&mut wide, 4096), Some(2 << 20));
        assert_eq!(IovaSpace::new(&[]).find(4096), None);
        assert_eq!(
            IovaSpace::new(&[u64::MAX - 4096..=u64::MAX]).find(4096),
            None
        );
    }
}
