//! What the test host writes into the tables and reads from them.

use guideway_hdl::descriptors::{Command, Expect, Opcode, Status};
use guideway_hdl::tables::{
    BANKS, BackendEntry, CounterEntry, FLOW_ROWS, FLOW_WAYS, FlowKey, FlowRecord, NextHopEntry,
    PoolEntry, QUIC_ID_ROWS, QuicId, RING_SLOTS_PER_BEAT, SLOT_EMPTY, Table, VIP_MATCH_ROWS,
    VipEntry, VipMatch, VipPrefix,
};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::{HarnessError, TestHost};
use crate::registers::core as at;

/// Entries that one WRITE or DUMP of the test host carries.
const CHUNK: usize = 4096;
/// Entries whose digest, one a cycle, takes as long as meters need: 600 cycles.
const METERS_SHOW: usize = 640;

fn beat(bytes: &[u8]) -> [u8; 64] {
    std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0))
}

impl TestHost<'_> {
    /// WRITEs entries of a table from `index` on.
    ///
    /// # Errors
    /// When a command fails.
    pub fn write_table(
        &mut self,
        table: Table,
        index: usize,
        entries: &[[u8; 64]],
    ) -> Result<(), HarnessError> {
        for (chunk, at) in entries.chunks(CHUNK).zip((index..).step_by(CHUNK)) {
            self.memory.fill(self.bulk, chunk.as_flattened())?;
            self.order(self.bulk_command(Opcode::Write, table, at, chunk.len()))?;
        }
        Ok(())
    }

    /// DUMPs entries of a table.
    ///
    /// # Errors
    /// When a command fails.
    pub fn dump(
        &mut self,
        table: Table,
        index: usize,
        count: usize,
    ) -> Result<Vec<[u8; 64]>, HarnessError> {
        let mut entries = Vec::with_capacity(count);
        while entries.len() < count {
            let chunk = (count - entries.len()).min(CHUNK);
            self.memory.clear(self.bulk, chunk * 64)?;
            self.order(self.bulk_command(Opcode::Dump, table, index + entries.len(), chunk))?;
            let bytes = self.memory.view(self.bulk, chunk * 64)?;
            entries.extend(bytes.chunks_exact(64).map(beat));
        }
        Ok(entries)
    }

    /// The card's CRC over entries of a table.
    ///
    /// # Errors
    /// When the command fails.
    pub fn digest(
        &mut self,
        table: Table,
        index: usize,
        count: usize,
    ) -> Result<u32, HarnessError> {
        self.order(self.bulk_command(Opcode::Digest, table, index, count))
    }

    /// A table command over the test host's bulk buffer.
    #[must_use]
    pub fn bulk_command(&self, op: Opcode, table: Table, index: usize, count: usize) -> Command {
        Command {
            opcode: op.raw(),
            table_id: table.raw(),
            tag: 0x7a61_0000 | u32::from(op.raw()),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            address: self.bulk,
            ..Command::default()
        }
    }

    /// Writes a VIP's entry.
    ///
    /// # Errors
    /// When the command fails.
    pub fn set_vip(&mut self, vip: u16, entry: &VipEntry) -> Result<(), HarnessError> {
        self.write_table(Table::Vip, vip.into(), &[beat(&entry.to_bytes())])
    }

    /// Waits until microseconds that passed, and entries that were written, show in the VIPs' meters (`CARD.md` 8). The card
    /// works meanwhile, so that an idle one does not stop.
    ///
    /// # Errors
    /// When the command that takes this time fails.
    pub fn settle_meters(&mut self) -> Result<(), HarnessError> {
        self.digest(Table::Ring, 0, METERS_SHOW)?;
        self.settle()
    }

    /// Writes a key of a VIP into the first free bank.
    ///
    /// # Errors
    /// [`HarnessError::Full`] when every bank's row is taken.
    pub fn add_match(&mut self, key: &VipMatch) -> Result<(), HarnessError> {
        let row = |bank: usize, key: &VipMatch| key.row(&self.secrets[bank]);
        let bank = (0..BANKS)
            .find(|bank| {
                let mut used = self.used_matches.iter();
                !used.any(|(of, other)| of == bank && row(*bank, other) == row(*bank, key))
            })
            .ok_or(HarnessError::Full("a VIP key"))?;
        self.add_match_at(bank, key)
    }

    /// Writes a key of a VIP into a bank, over whatever lies in its row.
    ///
    /// # Errors
    /// When the command fails.
    pub fn add_match_at(&mut self, bank: usize, key: &VipMatch) -> Result<(), HarnessError> {
        self.used_matches.push((bank, *key));
        self.write_match(bank, key)
    }

    /// Writes a key over itself where it was written first, to be another VIP's or nobody's.
    ///
    /// # Errors
    /// [`HarnessError::Protocol`] when it was never written; when the command fails.
    pub fn change_match(&mut self, changed: &VipMatch) -> Result<(), HarnessError> {
        let own = |key: &VipMatch| VipMatch {
            vip: changed.vip,
            valid: changed.valid,
            ..*key
        };
        let mut used = self.used_matches.iter();
        let Some((bank, _)) = used.find(|(_, key)| own(key) == *changed) else {
            return Err(HarnessError::Protocol(format!("{changed:?} has no place")));
        };
        self.write_match(*bank, changed)
    }

    fn write_match(&mut self, bank: usize, key: &VipMatch) -> Result<(), HarnessError> {
        let index = bank * VIP_MATCH_ROWS + key.row(&self.secrets[bank % BANKS]);
        self.write_table(Table::VipMatch, index, &[beat(&key.to_bytes())])
    }

    /// What commands read of the counters is held.
    pub fn are_counters_held(&mut self) -> bool {
        self.read(at::STATUS) & at::COUNTERS_HOLD != 0
    }

    /// Has commands read the counters as they are.
    pub fn release_counters(&mut self) {
        let control = self.read(at::CONTROL);
        self.write(at::CONTROL, control & !at::COUNTERS_HOLD);
    }

    /// Writes a prefix of a VIP.
    ///
    /// # Errors
    /// When the command fails.
    pub fn set_prefix(&mut self, index: usize, prefix: &VipPrefix) -> Result<(), HarnessError> {
        self.write_table(Table::VipPrefix, index, &[beat(&prefix.to_bytes())])
    }

    /// Writes a QUIC server id into a bank, over whatever lies in its row.
    ///
    /// # Errors
    /// When the command fails.
    pub fn set_quic_id(&mut self, bank: usize, entry: &QuicId) -> Result<(), HarnessError> {
        let row = entry.row(&self.secrets[bank % BANKS]);
        let index = bank * QUIC_ID_ROWS + row;
        self.write_table(Table::QuicId, index, &[beat(&entry.to_bytes())])
    }

    /// Writes a ring's slots from `base` (a multiple of 32) on; the last beat is filled up with empty slots.
    ///
    /// # Errors
    /// When a command fails.
    pub fn set_ring(&mut self, base: u32, slots: &[u16]) -> Result<(), HarnessError> {
        let beats: Vec<[u8; 64]> = slots
            .chunks(RING_SLOTS_PER_BEAT)
            .map(|chunk| {
                let mut beat = [0; 64];
                let slots = chunk.iter().copied().chain(std::iter::repeat(SLOT_EMPTY));
                for (bytes, slot) in beat.chunks_exact_mut(2).zip(slots) {
                    bytes.copy_from_slice(&slot.to_le_bytes());
                }
                beat
            })
            .collect();
        self.write_table(Table::Ring, base as usize / RING_SLOTS_PER_BEAT, &beats)
    }

    /// Makes a ring a pool's: its size is a prime from 2 on, or 0 for none.
    ///
    /// # Errors
    /// When the command fails.
    pub fn set_pool(&mut self, pool: u8, base: u32, size: u32) -> Result<(), HarnessError> {
        let barrett = (1u64 << 32).checked_div(size.into()).unwrap_or(0);
        let entry = PoolEntry {
            ring_base: base,
            ring_size: size,
            barrett: u32::try_from(barrett).unwrap_or(u32::MAX),
        };
        self.write_table(Table::Pool, pool.into(), &[beat(&entry.to_bytes())])
    }

    /// Writes a backend.
    ///
    /// # Errors
    /// When the command fails.
    pub fn set_backend(&mut self, backend: u16, entry: &BackendEntry) -> Result<(), HarnessError> {
        self.write_table(Table::Backend, backend.into(), &[beat(&entry.to_bytes())])
    }

    /// Writes a next hop.
    ///
    /// # Errors
    /// When the command fails.
    pub fn set_next_hop(&mut self, next_hop: u8, entry: &NextHopEntry) -> Result<(), HarnessError> {
        self.write_table(Table::NextHop, next_hop.into(), &[beat(&entry.to_bytes())])
    }

    /// The index in the `flow` table of a key's place in a bank and way.
    #[must_use]
    pub fn flow_place(&self, key: &FlowKey, bank: u8, way: u8) -> usize {
        let bank = usize::from(bank) % BANKS;
        let row = key.row(&self.secrets[bank]);
        (bank * FLOW_WAYS + usize::from(way)) * FLOW_ROWS + row
    }

    /// A flow command at a place.
    #[must_use]
    pub fn flow_command(op: Opcode, key: &FlowKey, bank: u8, way: u8) -> Command {
        Command {
            opcode: op.raw(),
            tag: 0xf10_0000 | u32::from(op.raw()),
            destination_port: key.destination_port,
            source_port: key.source_port,
            source: key.source,
            vip: key.vip,
            bank,
            way,
            expectation: Expect::Free.raw(),
            ..Command::default()
        }
    }

    /// Installs a flow at the first free place of its four rows, trying from (`bank`, `way`) on. Only the fields of
    /// `record` that the host decides count.
    ///
    /// # Errors
    /// [`HarnessError::Full`] when every place is taken.
    pub fn install(
        &mut self,
        record: &FlowRecord,
        bank: u8,
        way: u8,
    ) -> Result<(u8, u8), HarnessError> {
        let key = key_of(record);
        let places = (BANKS * FLOW_WAYS) as u8;
        for step in 0..places {
            let place = (bank * FLOW_WAYS as u8 + way + step) % places;
            let (bank, way) = (place / FLOW_WAYS as u8, place % FLOW_WAYS as u8);
            let command = Command {
                backend: record.backend,
                generation: record.generation,
                pinned: record.pinned,
                confirmed: record.confirmed,
                ..Self::flow_command(Opcode::Insert, &key, bank, way)
            };
            match Status::from_raw(self.command(command)?.status) {
                Some(Status::Ok) => return Ok((bank, way)),
                Some(Status::Occupied) => {}
                status => {
                    return Err(HarnessError::Refused {
                        what: "insert".into(),
                        status: status.map_or(u8::MAX, Status::raw),
                    });
                }
            }
        }
        Err(HarnessError::Full("a flow"))
    }

    /// The counters of the port, by number.
    ///
    /// # Errors
    /// When the command fails.
    pub fn counters(&mut self) -> Result<Vec<u64>, HarnessError> {
        let entries = self.dump(Table::Counter, 0, Table::Counter.entries())?;
        Ok(entries.iter().map(|entry| counter(entry).packets).collect())
    }

    /// The counters of VIPs or backends.
    ///
    /// # Errors
    /// When the command fails.
    pub fn table_counters(&mut self, table: Table) -> Result<Vec<CounterEntry>, HarnessError> {
        let entries = self.dump(table, 0, table.entries())?;
        Ok(entries.iter().map(counter).collect())
    }

    /// Checks that every frame that came in is accounted for (`CARD.md` 6). Nothing may be in flight.
    ///
    /// # Errors
    /// [`HarnessError::Protocol`] with both sides of the account when they differ.
    pub fn check_conservation(&mut self) -> Result<(), HarnessError> {
        conserved(&self.counters()?)
    }
}

/// Checks that every frame that came in is accounted for in the counters of the port.
///
/// # Errors
/// [`HarnessError::Protocol`] with both sides of the account when they differ.
pub(super) fn conserved(counters: &[u64]) -> Result<(), HarnessError> {
    let at = |number: u8| counters.get(usize::from(number)).copied().unwrap_or(0);
    let came = at(PortCounter::WireIn.raw()) + at(PortCounter::Injected.raw());
    let drops = Disposition::ALL.iter().filter(|d| d.is_drop());
    let dropped: u64 = drops.map(|d| at(d.raw())).sum();
    let out = [
        PortCounter::WireOut,
        PortCounter::HostOut,
        PortCounter::HostGone,
    ];
    let left: u64 = out.iter().map(|counter| at(counter.raw())).sum();
    if came == left + dropped {
        return Ok(());
    }
    Err(HarnessError::Protocol(format!(
        "{came} frames came in, {left} went out and {dropped} were dropped"
    )))
}

/// The key of a flow entry.
#[must_use]
pub const fn key_of(record: &FlowRecord) -> FlowKey {
    FlowKey {
        destination_port: record.destination_port,
        source_port: record.source_port,
        source: record.source,
        vip: record.vip,
    }
}

fn counter(entry: &[u8; 64]) -> CounterEntry {
    CounterEntry::from_bytes(&std::array::from_fn(|i| entry[i]))
}
