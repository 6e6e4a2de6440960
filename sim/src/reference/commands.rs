//! What commands do to the tables (`CARD.md` 7).

use guideway_hdl::descriptors::{Command, Expect, Opcode, Status};
use guideway_hdl::tables::{BACKENDS, FlowKey, FlowRecord, SECRET_WORDS, Table, VIPS};

use super::Dma;
use super::counters::Counters;
use super::flow_lookup::last_seen;
use super::tables::{Beat, FlowPlace, Tables, key_of, secded};

/// The part of the card that commands reach.
pub struct Commanded<'a> {
    /// The tables.
    pub tables: &'a mut Tables,
    /// The counters, to read.
    pub counters: &'a Counters,
    /// The banks' secrets.
    pub secrets: &'a [[u32; SECRET_WORDS]; 4],
    /// Card time.
    pub time_us: u64,
    /// Cycles since the card's reset.
    pub cycles: u64,
}

/// Executes one command: its status, and the completion's result.
pub fn execute(command: &Command, card: &mut Commanded<'_>, dma: &mut Dma<'_>) -> (Status, u32) {
    match Opcode::from_raw(command.opcode) {
        None => (Status::BadOpcode, 0),
        Some(Opcode::Nop | Opcode::Fence) => (Status::Ok, 0),
        Some(Opcode::Insert) => (insert(command, card), 0),
        Some(Opcode::Move) => (relocate(command, card), 0),
        Some(Opcode::Delete) => (delete(command, card), 0),
        Some(op @ (Opcode::Write | Opcode::Copy | Opcode::Dump | Opcode::Digest)) => {
            match checked(op, command) {
                Ok((table, range)) => bulk(op, command, table, range, card, dma),
                Err(status) => (status, 0),
            }
        }
    }
}

type Range = std::ops::Range<usize>;

/// Table, then range, then address.
fn checked(op: Opcode, command: &Command) -> Result<(Table, Range), Status> {
    let table = Table::from_raw(command.table_id).ok_or(Status::BadTable)?;
    let takes = match op {
        Opcode::Write => table.is_writable(),
        Opcode::Copy => table == Table::Ring,
        _ => true,
    };
    if !takes {
        return Err(Status::BadTable);
    }
    let range = within(table, command.index, command.count)?;
    if op == Opcode::Copy {
        let source = within(table, command.source_index, command.count)?;
        if source.start < range.end && range.start < source.end {
            return Err(Status::OutOfRange);
        }
    }
    if matches!(op, Opcode::Write | Opcode::Dump) {
        let last = u64::from(command.count) * 64 - 1;
        if !command.address.is_multiple_of(64) || command.address.checked_add(last).is_none() {
            return Err(Status::BadAddress);
        }
    }
    Ok((table, range))
}

fn within(table: Table, index: u32, count: u32) -> Result<Range, Status> {
    let end = u64::from(index) + u64::from(count);
    if count == 0 || end > table.entries() as u64 {
        return Err(Status::OutOfRange);
    }
    Ok(index as usize..end as usize)
}

fn bulk(
    op: Opcode,
    command: &Command,
    table: Table,
    range: Range,
    card: &mut Commanded<'_>,
    dma: &mut Dma<'_>,
) -> (Status, u32) {
    let mut crc = crc32fast::Hasher::new();
    for (done, index) in (0u32..).zip(range) {
        let address = command.address.wrapping_add(u64::from(done) * 64);
        match op {
            Opcode::Write => {
                let mut beat: Beat = [0; 64];
                if dma.read(address, &mut beat).is_err() {
                    return (Status::DmaError, done);
                }
                card.tables.write(table, index, &beat);
            }
            Opcode::Copy => {
                let source = command.source_index.saturating_add(done) as usize;
                let beat = card.tables.read(table, source);
                card.tables.write(table, index, &beat);
            }
            Opcode::Dump => {
                if dma.write(address, &shown(card, table, index)).is_err() {
                    return (Status::DmaError, done);
                }
            }
            _ => crc.update(&shown(card, table, index)),
        }
    }
    if op == Opcode::Digest {
        (Status::Ok, crc.finalize())
    } else {
        (Status::Ok, command.count)
    }
}

/// An entry as DUMP and DIGEST show it.
fn shown(card: &Commanded<'_>, table: Table, index: usize) -> Beat {
    match table {
        Table::Counter | Table::VipCounter | Table::BackendCounter | Table::VipOverMeter => {
            card.counters.read(table, index, card.cycles)
        }
        _ => card.tables.read(table, index),
    }
}

fn key(command: &Command) -> FlowKey {
    FlowKey {
        destination_port: command.destination_port,
        source_port: command.source_port,
        source: command.source,
        vip: command.vip,
    }
}

/// The place that bank, way and the key's row name.
fn place(command: &Command, card: &Commanded<'_>, bank: u8, way: u8) -> FlowPlace {
    let bank = usize::from(bank & 3);
    FlowPlace {
        bank,
        way: usize::from(way & 3),
        row: key(command).row(&card.secrets[bank]),
    }
}

fn insert(command: &Command, card: &mut Commanded<'_>) -> Status {
    if usize::from(command.vip) >= VIPS || usize::from(command.backend) >= BACKENDS {
        return Status::OutOfRange;
    }
    let Some(expectation) = Expect::from_raw(command.expectation) else {
        return Status::Unsupported;
    };
    let place = place(command, card, command.bank, command.way);
    let found = card.tables.flow(place);
    match expectation {
        Expect::Free if found.valid => return Status::Occupied,
        Expect::Same if !holds(&found, command) => return Status::NotFound,
        Expect::Unconfirmed if found.valid && (found.confirmed || found.pinned) => {
            return Status::Occupied;
        }
        _ => {}
    }
    let mut record = FlowRecord {
        destination_port: command.destination_port,
        source_port: command.source_port,
        source: command.source,
        vip: command.vip,
        backend: command.backend,
        generation: command.generation,
        valid: true,
        pinned: command.pinned,
        confirmed: command.confirmed,
        last_seen: last_seen(card.time_us),
        ..FlowRecord::default()
    };
    record.ecc = secded(&record);
    card.tables.set_flow(place, record);
    Status::Ok
}

/// MOVE.
fn relocate(command: &Command, card: &mut Commanded<'_>) -> Status {
    let from = place(command, card, command.bank, command.way);
    let to = place(command, card, command.to_bank, command.to_way);
    let record = card.tables.flow(from);
    if !holds(&record, command) {
        return Status::NotFound;
    }
    if card.tables.flow(to).valid {
        return Status::Occupied;
    }
    card.tables.set_flow(to, record);
    card.tables.set_flow(from, FlowRecord::default());
    Status::Ok
}

fn delete(command: &Command, card: &mut Commanded<'_>) -> Status {
    let place = place(command, card, command.bank, command.way);
    if !holds(&card.tables.flow(place), command) {
        return Status::NotFound;
    }
    card.tables.set_flow(place, FlowRecord::default());
    Status::Ok
}

fn holds(record: &FlowRecord, command: &Command) -> bool {
    record.valid && key_of(record) == key(command)
}
