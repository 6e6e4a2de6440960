//! Sizes of the builds: how many entries the card's tables hold.
//!
//! Owns the builds' names and numbers. Host and simulator are built for [`Sizes::DEFAULT`]; the others are what `make synth` and
//! `make fmax` build, from a layout package of their own. A card of another build has another layout hash.

use crate::tables::{
    BACKENDS, BANKS, FLOW_KEY_BITS, FLOW_WAYS, FLOWS, NEXT_HOPS, POOLS, QUIC_ID_ROWS,
    QUIC_KEY_BITS, RING_SIZE_MAX, RING_SLOTS, RING_SLOTS_PER_BEAT, SECRET_WORDS, VIP_KEY_BITS,
    VIP_MATCH_ROWS, VIP_PREFIXES, VIPS,
};

/// Entries of each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The build's name.
    pub name: &'static str,
    /// VIPs: an index of 12 bits.
    pub vips: usize,
    /// Pools: an index of 8 bits.
    pub pools: usize,
    /// Backends: an index of 16 bits, of which one says that there is none.
    pub backends: usize,
    /// Next hops: an index of 8 bits.
    pub next_hops: usize,
    /// Ring slots, whole beats: a base of 24 bits.
    pub ring_slots: usize,
    /// Flow entries, a power of two for each way of each bank.
    pub flows: usize,
    /// Ways of a flow bank: 1, 2 or 4.
    pub flow_ways: usize,
    /// Rows of a VIP-match bank, a power of two.
    pub vip_match_rows: usize,
    /// VIP prefixes.
    pub vip_prefixes: usize,
    /// Rows of a bank of QUIC server ids, a power of two.
    pub quic_id_rows: usize,
}

/// Entries that a command's index of 20 bits reaches.
const COMMAND_INDICES: usize = 1 << 20;

impl Sizes {
    /// What host and simulator are built for.
    pub const DEFAULT: Self = Self {
        name: "default",
        vips: VIPS,
        pools: POOLS,
        backends: BACKENDS,
        next_hops: NEXT_HOPS,
        ring_slots: RING_SLOTS,
        flows: FLOWS,
        flow_ways: FLOW_WAYS,
        vip_match_rows: VIP_MATCH_ROWS,
        vip_prefixes: VIP_PREFIXES,
        quic_id_rows: QUIC_ID_ROWS,
    }
    .checked();
    /// An Alveo U55C: 66 of the largest rings, each of whole beats.
    pub const U55C: Self = Self {
        name: "u55c",
        vips: 512,
        pools: 64,
        backends: 4096,
        next_hops: 64,
        ring_slots: 66 * (RING_SIZE_MAX as usize).next_multiple_of(RING_SLOTS_PER_BEAT),
        flows: 1 << 18,
        flow_ways: FLOW_WAYS,
        vip_match_rows: 256,
        vip_prefixes: VIP_PREFIXES,
        quic_id_rows: QUIC_ID_ROWS,
    }
    .checked();
    /// A Lattice ECP5-85K.
    pub const ECP5: Self = Self {
        name: "ecp5",
        vips: 8,
        pools: 4,
        backends: 64,
        next_hops: 4,
        ring_slots: 1 << 12,
        flows: 1 << 10,
        flow_ways: 1,
        vip_match_rows: 8,
        vip_prefixes: 8,
        quic_id_rows: 16,
    }
    .checked();
    /// Every build.
    pub const ALL: &'static [Self] = &[Self::DEFAULT, Self::U55C, Self::ECP5];

    /// The build of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|sizes| sizes.name == name)
    }

    /// These sizes, when the fields of the layouts can hold them: a build that they cannot does not compile.
    const fn checked(self) -> Self {
        let rows = self.flows / BANKS / self.flow_ways;
        assert!(self.vips <= 1 << 12, "a VIP's index has 12 bits");
        assert!(self.pools <= 1 << 8, "a pool's index has 8 bits");
        assert!(
            self.backends < 1 << 16,
            "a backend's index has 16 bits, and the last one names none"
        );
        assert!(self.next_hops <= 1 << 8, "a next hop's index has 8 bits");
        assert!(
            self.ring_slots.is_multiple_of(RING_SLOTS_PER_BEAT) && self.ring_slots <= 1 << 24,
            "the ring table is whole beats, and a ring's base has 24 bits"
        );
        assert!(
            self.flow_ways.is_power_of_two() && self.flow_ways <= FLOW_WAYS,
            "a command names a way by 2 bits"
        );
        assert!(
            rows.is_power_of_two() && rows * BANKS * self.flow_ways == self.flows,
            "the rows of a flow bank are a power of two"
        );
        assert!(
            self.vip_match_rows.is_power_of_two(),
            "the rows of a VIP-match bank are a power of two"
        );
        assert!(
            self.quic_id_rows.is_power_of_two(),
            "the rows of a bank of QUIC server ids are a power of two"
        );
        assert!(
            FLOW_KEY_BITS + rows.trailing_zeros() as usize <= SECRET_WORDS * 32 + 1
                && VIP_KEY_BITS + self.vip_match_rows.trailing_zeros() as usize
                    <= SECRET_WORDS * 32 + 1
                && QUIC_KEY_BITS + self.quic_id_rows.trailing_zeros() as usize
                    <= SECRET_WORDS * 32 + 1,
            "a bank's secret is too short for its rows"
        );
        assert!(
            self.flows <= COMMAND_INDICES
                && self.ring_slots / RING_SLOTS_PER_BEAT <= COMMAND_INDICES,
            "a command's index has 20 bits"
        );
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_refuses_a_card_of_another_build() {
        for sizes in &Sizes::ALL[1..] {
            assert_ne!(
                crate::layout_hash(sizes),
                crate::LAYOUT_HASH,
                "{}",
                sizes.name
            );
        }
    }
}
