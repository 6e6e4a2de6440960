//! The `flow` table: connections that the card knows.
//!
//! Owns places, and the commands that insert, move and delete. Which place to choose is the slow path's business.

use std::net::IpAddr;

use guideway_hdl::descriptors::{Command, Expect, Opcode};
use guideway_hdl::tables::{BANKS, FLOW_WAYS, FlowKey, FlowRecord, Table};

use super::{BackendId, Card, CardError, Outcome, Secrets, VipId, address_to_bits};

/// A place for a key: the row follows from the bank's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowPlace {
    /// Bank, below 4.
    pub bank: u8,
    /// Way, below 4.
    pub way: u8,
}

impl FlowPlace {
    /// All places of a key, in the order in which the card looks.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BANKS as u8).flat_map(|bank| (0..FLOW_WAYS as u8).map(move |way| Self { bank, way }))
    }

    /// The table's index of this place in `row`, with `rows` rows a bank.
    #[must_use]
    pub fn index(self, row: usize, rows: usize) -> usize {
        (usize::from(self.bank) * FLOW_WAYS + usize::from(self.way)) * rows + row
    }

    /// The place and row of a table index.
    #[must_use]
    pub fn from_index(index: usize, rows: usize) -> (Self, usize) {
        let (place, row) = (index / rows, index % rows);
        // Truncation cannot happen for indices within the table.
        #[allow(clippy::cast_possible_truncation)]
        (
            Self {
                bank: (place / FLOW_WAYS) as u8,
                way: (place % FLOW_WAYS) as u8,
            },
            row,
        )
    }
}

/// What an entry holds beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTarget {
    /// The backend.
    pub backend: BackendId,
    /// The generation that it must have.
    pub generation: u8,
    /// Not to be displaced.
    pub pinned: bool,
    /// Not to be displaced by unconfirmed ones.
    pub confirmed: bool,
}

/// A key for the flow table.
#[must_use]
pub fn flow_key(vip: VipId, source: IpAddr, source_port: u16, destination_port: u16) -> FlowKey {
    FlowKey {
        destination_port,
        source_port,
        source: address_to_bits(source),
        vip: vip.0,
    }
}

/// A record's key.
#[must_use]
pub fn record_key(record: &FlowRecord) -> FlowKey {
    FlowKey {
        destination_port: record.destination_port,
        source_port: record.source_port,
        source: record.source,
        vip: record.vip,
    }
}

/// The command that writes an entry at a place that is as `expect` says.
#[must_use]
pub fn insert(key: &FlowKey, place: FlowPlace, target: &FlowTarget, expect: Expect) -> Command {
    Command {
        bank: place.bank,
        way: place.way,
        expectation: expect.raw(),
        pinned: target.pinned,
        confirmed: target.confirmed,
        backend: target.backend.0,
        generation: target.generation,
        ..keyed(Opcode::Insert, key)
    }
}

/// The command that moves an entry to a free place: at no moment is the flow in neither.
#[must_use]
pub fn relocate(key: &FlowKey, from: FlowPlace, to: FlowPlace) -> Command {
    Command {
        bank: from.bank,
        way: from.way,
        to_bank: to.bank,
        to_way: to.way,
        ..keyed(Opcode::Move, key)
    }
}

/// The command that clears an entry.
#[must_use]
pub fn delete(key: &FlowKey, place: FlowPlace) -> Command {
    Command {
        bank: place.bank,
        way: place.way,
        ..keyed(Opcode::Delete, key)
    }
}

fn keyed(opcode: Opcode, key: &FlowKey) -> Command {
    Command {
        opcode: opcode.raw(),
        table_id: Table::Flow.raw(),
        destination_port: key.destination_port,
        source_port: key.source_port,
        source: key.source,
        vip: key.vip,
        ..Command::default()
    }
}

impl Secrets {
    /// The table index of a key's place.
    #[must_use]
    pub fn flow_index(&self, place: FlowPlace, key: &FlowKey, rows: usize) -> usize {
        place.index(self.flow_row(usize::from(place.bank), key), rows)
    }
}

impl Card {
    /// The entry of a flow, wherever it lies: the first in the order in which the card looks.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn find_flow(&self, key: &FlowKey) -> Result<Option<FlowRecord>, CardError> {
        let rows = self.flow_rows();
        let index = |place| self.secrets().flow_index(place, key, rows);
        // below the table's size, which is a u32
        let indices: Vec<u32> = FlowPlace::all()
            .map(|place| u32::try_from(index(place)).unwrap_or(u32::MAX))
            .collect();
        let beats = self.dump_each(Table::Flow, &indices)?;
        Ok((beats.iter())
            .map(|beat| FlowRecord::from_words(&std::array::from_fn(|i| beat[i])))
            .find(|record| record.valid && record_key(record) == *key))
    }

    /// Runs flow commands ([`insert`], [`relocate`], [`delete`]) in order and returns how each ended. `occupied` and `not_found` are
    /// answers, not errors; a batch goes on behind them.
    ///
    /// # Errors
    /// When the card cannot be reached or has stopped the ring.
    pub fn run_flow_commands(&self, commands: &[Command]) -> Result<Vec<Outcome>, CardError> {
        self.run(commands)
    }

    /// Rows of a flow bank.
    #[must_use]
    pub fn flow_rows(&self) -> usize {
        self.sizes().flows as usize / BANKS / FLOW_WAYS
    }

    /// Reads the whole table: (index, record) of every valid entry.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_flows(&self) -> Result<Vec<(usize, FlowRecord)>, CardError> {
        let records = self.dump_entries(Table::Flow, FlowRecord::from_words)?;
        Ok(records
            .into_iter()
            .enumerate()
            .filter(|(_, record)| record.valid)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_its_row_make_the_index_of_the_table() {
        assert_eq!(FlowPlace::all().count(), 16);
        assert_eq!(
            FlowPlace { bank: 2, way: 3 }.index(7, 4096),
            (2 * 4 + 3) * 4096 + 7
        );
        for index in [0, 4095, 4096, 65535] {
            let (place, row) = FlowPlace::from_index(index, 4096);
            assert_eq!(place.index(row, 4096), index);
        }
    }

    #[test]
    fn commands_carry_key_place_and_expectation() {
        let key = flow_key(VipId(9), "10.1.2.3".parse().unwrap(), 31337, 80);
        assert_eq!(key.source, 0x0a01_0203);
        let target = FlowTarget {
            backend: BackendId(500),
            generation: 3,
            pinned: true,
            confirmed: false,
        };
        let command = insert(
            &key,
            FlowPlace { bank: 3, way: 1 },
            &target,
            Expect::Unconfirmed,
        );
        assert_eq!(
            (
                command.opcode,
                command.bank,
                command.way,
                command.expectation
            ),
            (5, 3, 1, 2)
        );
        assert_eq!(
            (
                command.backend,
                command.generation,
                command.pinned,
                command.confirmed
            ),
            (500, 3, true, false)
        );
        assert_eq!(
            (command.vip, command.source_port, command.destination_port),
            (9, 31337, 80)
        );
        let moved = relocate(
            &key,
            FlowPlace { bank: 3, way: 1 },
            FlowPlace { bank: 0, way: 2 },
        );
        assert_eq!(
            (
                moved.opcode,
                moved.bank,
                moved.way,
                moved.to_bank,
                moved.to_way
            ),
            (6, 3, 1, 0, 2)
        );
        assert_eq!(delete(&key, FlowPlace { bank: 0, way: 2 }).opcode, 7);
    }
}
