//! The tables as the path reads them and as commands address them.
//!
//! Owns every table but the counters: typed entries, checked reads, and the 64-byte beats of WRITE, DUMP and DIGEST.
//! Who may write what is decided in [`super::commands`].

use guideway_hdl::tables::{
    BACKENDS, BackendEntry, FLOW_ROWS, FLOW_WAYS, FLOW_WORD_DATA_BITS, FLOWS, FlowKey, FlowRecord,
    NEXT_HOPS, NextHopEntry, POOLS, PoolEntry, QUIC_ID_ROWS, QuicId, RING_SLOTS,
    RING_SLOTS_PER_BEAT, SLOT_EMPTY, Table, VIP_MATCH_ROWS, VIP_PREFIXES, VIPS, VipEntry, VipMatch,
    VipPrefix,
};

use super::meter::Meters;

/// A table entry as it lies in host memory.
pub type Beat = [u8; 64];

/// A place in the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowPlace {
    /// Bank, 0 to 3.
    pub bank: usize,
    /// Way within the bank, 0 to 3.
    pub way: usize,
    /// Row within the bank.
    pub row: usize,
}

impl FlowPlace {
    /// The index of this place in the `flow` table.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.bank * FLOW_WAYS + self.way) * FLOW_ROWS + self.row
    }
}

/// All tables of the path.
#[derive(Clone)]
pub struct Tables {
    vip_match: Vec<VipMatch>,
    vip_prefix: Vec<VipPrefix>,
    quic_id: Vec<QuicId>,
    vip: Vec<VipEntry>,
    pool: Vec<PoolEntry>,
    ring: Vec<u16>,
    backend: Vec<BackendEntry>,
    next_hop: Vec<NextHopEntry>,
    flow: Vec<FlowRecord>,
    meters: Meters,
    /// Entries that each VIP holds in `flow`.
    flows_of: Vec<u32>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            vip_match: vec![VipMatch::default(); Table::VipMatch.entries()],
            vip_prefix: vec![VipPrefix::default(); VIP_PREFIXES],
            quic_id: vec![QuicId::default(); Table::QuicId.entries()],
            vip: vec![VipEntry::default(); VIPS],
            pool: vec![PoolEntry::default(); POOLS],
            ring: vec![0; RING_SLOTS],
            backend: vec![BackendEntry::default(); BACKENDS],
            next_hop: vec![NextHopEntry::default(); NEXT_HOPS],
            flow: vec![FlowRecord::default(); FLOWS],
            meters: Meters::default(),
            flows_of: vec![0; VIPS],
        }
    }
}

impl Tables {
    /// The VIP-match entry of a bank and row.
    #[must_use]
    pub fn vip_match(&self, bank: usize, row: usize) -> VipMatch {
        self.vip_match
            .get(bank * VIP_MATCH_ROWS + row)
            .copied()
            .unwrap_or_default()
    }

    /// All prefixes, those not in use too.
    #[must_use]
    pub fn vip_prefixes(&self) -> &[VipPrefix] {
        &self.vip_prefix
    }

    /// The entry of a QUIC server id's bank and row.
    #[must_use]
    pub fn quic_id(&self, bank: usize, row: usize) -> QuicId {
        self.quic_id
            .get(bank * QUIC_ID_ROWS + row)
            .copied()
            .unwrap_or_default()
    }

    /// A VIP's entry; one that the card does not hold reads as all zero.
    #[must_use]
    pub fn vip(&self, vip: u16) -> VipEntry {
        self.vip.get(usize::from(vip)).copied().unwrap_or_default()
    }

    /// Microseconds pass for the VIPs' meters.
    pub fn pass_time(&mut self, micros: u64) {
        self.meters.pass(&self.vip, micros);
    }

    /// Takes a token of a VIP's meter for a punt; false when it has a meter and no token.
    #[must_use]
    pub fn take_token(&mut self, vip: u16) -> bool {
        let entry = self.vip(vip);
        self.meters.take(vip, &entry)
    }

    /// A pool's entry; one that the card does not hold has no ring.
    #[must_use]
    pub fn pool(&self, pool: u8) -> PoolEntry {
        self.pool
            .get(usize::from(pool))
            .copied()
            .unwrap_or_default()
    }

    /// A ring slot; one that the card does not hold is empty.
    #[must_use]
    pub fn ring_slot(&self, slot: usize) -> u16 {
        self.ring.get(slot).copied().unwrap_or(SLOT_EMPTY)
    }

    /// A backend's entry, when the card holds it.
    #[must_use]
    pub fn backend(&self, backend: u16) -> Option<BackendEntry> {
        self.backend.get(usize::from(backend)).copied()
    }

    /// A next hop; one that the card does not hold reads as all zero.
    #[must_use]
    pub fn next_hop(&self, next_hop: u8) -> NextHopEntry {
        self.next_hop
            .get(usize::from(next_hop))
            .copied()
            .unwrap_or_default()
    }

    /// The flow entry at a place.
    #[must_use]
    pub fn flow(&self, place: FlowPlace) -> FlowRecord {
        self.flow.get(place.index()).copied().unwrap_or_default()
    }

    /// Puts an entry at a place, and keeps the VIPs' counts.
    pub fn set_flow(&mut self, place: FlowPlace, record: FlowRecord) {
        let Some(entry) = self.flow.get_mut(place.index()) else {
            return;
        };
        let old = std::mem::replace(entry, record);
        if old.valid
            && let Some(held) = self.flows_of.get_mut(usize::from(old.vip))
        {
            *held = held.saturating_sub(1);
        }
        if record.valid
            && let Some(held) = self.flows_of.get_mut(usize::from(record.vip))
        {
            *held += 1;
        }
    }

    /// Entries of the flow table that a VIP holds.
    #[must_use]
    pub fn flows_of(&self, vip: u16) -> u32 {
        self.flows_of
            .get(usize::from(vip))
            .copied()
            .unwrap_or_default()
    }

    /// What DUMP shows of an entry; counters and entries beyond the table read as zero here.
    #[must_use]
    pub fn read(&self, table: Table, index: usize) -> Beat {
        match table {
            Table::VipMatch => beat(self.vip_match.get(index).map(VipMatch::to_bytes)),
            Table::VipPrefix => beat(self.vip_prefix.get(index).map(VipPrefix::to_bytes)),
            Table::QuicId => beat(self.quic_id.get(index).map(QuicId::to_bytes)),
            Table::Vip => beat(self.vip.get(index).map(VipEntry::to_bytes)),
            Table::Pool => beat(self.pool.get(index).map(PoolEntry::to_bytes)),
            Table::Backend => beat(self.backend.get(index).map(BackendEntry::to_bytes)),
            Table::NextHop => beat(self.next_hop.get(index).map(NextHopEntry::to_bytes)),
            // most of a large table is empty
            Table::Flow => beat(
                self.flow
                    .get(index)
                    .filter(|record| **record != FlowRecord::default())
                    .map(FlowRecord::to_bytes),
            ),
            Table::Ring => {
                let mut out = [0; 64];
                let first = index * RING_SLOTS_PER_BEAT;
                let slots = self.ring.get(first..first + RING_SLOTS_PER_BEAT);
                for (bytes, slot) in out.chunks_exact_mut(2).zip(slots.unwrap_or_default()) {
                    bytes.copy_from_slice(&slot.to_le_bytes());
                }
                out
            }
            Table::Counter | Table::VipCounter | Table::BackendCounter | Table::VipOverMeter => {
                [0; 64]
            }
        }
    }

    /// Writes an entry of a writable table; the rest of the beat is ignored.
    pub fn write(&mut self, table: Table, index: usize, data: &Beat) {
        match table {
            Table::VipMatch => put(&mut self.vip_match, index, VipMatch::from_bytes(&low(data))),
            Table::VipPrefix => put(
                &mut self.vip_prefix,
                index,
                VipPrefix::from_bytes(&low(data)),
            ),
            Table::QuicId => put(&mut self.quic_id, index, QuicId::from_bytes(&low(data))),
            Table::Vip => {
                let entry = VipEntry::from_bytes(&low(data));
                put(&mut self.vip, index, entry);
                self.meters.written(index, &entry);
            }
            Table::Pool => put(&mut self.pool, index, PoolEntry::from_bytes(&low(data))),
            Table::Backend => put(
                &mut self.backend,
                index,
                BackendEntry::from_bytes(&low(data)),
            ),
            Table::NextHop => put(
                &mut self.next_hop,
                index,
                NextHopEntry::from_bytes(&low(data)),
            ),
            Table::Ring => {
                let first = index * RING_SLOTS_PER_BEAT;
                if let Some(slots) = self.ring.get_mut(first..first + RING_SLOTS_PER_BEAT) {
                    for (slot, bytes) in slots.iter_mut().zip(data.chunks_exact(2)) {
                        *slot = u16::from_le_bytes([bytes[0], bytes[1]]);
                    }
                }
            }
            Table::Flow
            | Table::Counter
            | Table::VipCounter
            | Table::BackendCounter
            | Table::VipOverMeter => {}
        }
    }
}

/// The key that a flow entry holds.
#[must_use]
pub const fn key_of(record: &FlowRecord) -> FlowKey {
    FlowKey {
        destination_port: record.destination_port,
        source_port: record.source_port,
        source: record.source,
        vip: record.vip,
    }
}

/// The flow word's extended Hamming code over its data bits.
#[must_use]
pub(super) fn secded(record: &FlowRecord) -> u16 {
    let words = record.to_words();
    let positions = (3u16..).filter(|position| !position.is_power_of_two());
    let mut code = 0u16;
    let mut ones = 0;
    for (bit, position) in (0..FLOW_WORD_DATA_BITS).zip(positions) {
        if words[bit / 32] >> (bit % 32) & 1 == 1 {
            code ^= position;
            ones += 1;
        }
    }
    let parity = (ones + code.count_ones() as u16) & 1;
    code | parity << 8
}

fn put<T>(entries: &mut [T], index: usize, value: T) {
    if let Some(entry) = entries.get_mut(index) {
        *entry = value;
    }
}

/// An entry's bytes in the low bits of a beat.
pub(super) fn beat<const N: usize>(bytes: Option<[u8; N]>) -> Beat {
    let mut out = [0; 64];
    for (to, from) in out.iter_mut().zip(bytes.iter().flatten()) {
        *to = *from;
    }
    out
}

fn low<const N: usize>(data: &Beat) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(data) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_dump_shows() {
        let mut tables = Tables::default();
        for table in Table::ALL.iter().copied().filter(|t| t.is_writable()) {
            let last = table.entries() - 1;
            tables.write(table, last, &[0xff; 64]);
            let used = match table {
                Table::VipMatch => VipMatch::LAYOUT.fields,
                Table::VipPrefix => VipPrefix::LAYOUT.fields,
                Table::QuicId => QuicId::LAYOUT.fields,
                Table::Vip => VipEntry::LAYOUT.fields,
                Table::Pool => PoolEntry::LAYOUT.fields,
                Table::Backend => BackendEntry::LAYOUT.fields,
                Table::NextHop => NextHopEntry::LAYOUT.fields,
                _ => &[],
            }
            .iter()
            .map(|field| field.bits as u32)
            .sum::<u32>();
            let ones: u32 = tables
                .read(table, last)
                .iter()
                .map(|b| b.count_ones())
                .sum();
            let expected = if table == Table::Ring { 512 } else { used };
            assert_eq!(ones, expected, "{}", table.name());
            tables.write(table, table.entries(), &[0xff; 64]); // beyond: nothing, and no panic
            assert_eq!(tables.read(table, table.entries()), [0; 64]);
        }
    }

    #[test]
    fn a_ring_beat_holds_32_slots_in_order() {
        let mut tables = Tables::default();
        let mut data = [0; 64];
        data[2..4].copy_from_slice(&513u16.to_le_bytes());
        tables.write(Table::Ring, 3, &data);
        assert_eq!(tables.ring_slot(97), 513);
        assert_eq!(tables.ring_slot(96), 0);
        assert_eq!(tables.ring_slot(RING_SLOTS), SLOT_EMPTY);
    }
}
