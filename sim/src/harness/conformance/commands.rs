//! Commands (`CARD.md` 7): what they check, what they change, and how they end.

use guideway_hdl::descriptors::{Command, Expect, Opcode, Status};
use guideway_hdl::layout::Layout;
use guideway_hdl::tables::{
    BackendEntry, FlowKey, FlowRecord, NextHopEntry, PoolEntry, QuicId, Table, VipEntry, VipMatch,
    VipPrefix,
};

use super::super::random::Random;
use super::super::{HarnessError, TestHost};
use super::{BACKEND, Check, GENERATION, flow, same};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "tables hold what is written",
        run: tables_hold,
    },
    Check {
        name: "table commands check before they begin",
        run: checks_come_first,
    },
    Check {
        name: "copy moves ring slots",
        run: copy_moves,
    },
    Check {
        name: "flow commands find what they expect",
        run: flow_commands,
    },
    Check {
        name: "memory that vanishes ends a command",
        run: memory_vanishes,
    },
    Check {
        name: "an unconfirmed flow gives way",
        run: unconfirmed_gives_way,
    },
];

fn status(host: &mut TestHost<'_>, command: Command) -> Result<Option<Status>, HarnessError> {
    Ok(Status::from_raw(host.command(command)?.status))
}

fn ends(
    host: &mut TestHost<'_>,
    what: &str,
    command: Command,
    with: Status,
) -> Result<(), HarnessError> {
    same(what, &status(host, command)?, &Some(with))
}

/// The bits of a beat that a table keeps.
fn kept(table: Table) -> usize {
    let bits = |layout: Layout| layout.fields.iter().map(|field| field.bits).sum();
    match table {
        Table::VipMatch => bits(VipMatch::LAYOUT),
        Table::VipPrefix => bits(VipPrefix::LAYOUT),
        Table::QuicId => bits(QuicId::LAYOUT),
        Table::Vip => bits(VipEntry::LAYOUT),
        Table::Pool => bits(PoolEntry::LAYOUT),
        Table::Backend => bits(BackendEntry::LAYOUT),
        Table::NextHop => bits(NextHopEntry::LAYOUT),
        _ => 512,
    }
}

fn tables_hold(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let random = &mut Random::new(7);
    for table in Table::ALL
        .iter()
        .copied()
        .filter(|table| table.is_writable())
    {
        let count = table.entries().min(40);
        let last = table.entries() - count;
        for first in [0, last] {
            let entries: Vec<[u8; 64]> = (0..count)
                .map(|_| std::array::from_fn(|_| random.byte()))
                .collect();
            host.write_table(table, first, &entries)?;
            let mut expected = entries;
            for entry in &mut expected {
                for bit in kept(table)..512 {
                    entry[bit / 8] &= !(1 << (bit % 8));
                }
            }
            let dumped = host.dump(table, first, count)?;
            same(table.name(), &dumped, &expected)?;
            let crc = crc32fast::hash(expected.as_flattened());
            same("digest", &host.digest(table, first, count)?, &crc)?;
        }
    }
    Ok(())
}

fn checks_come_first(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let ring = host.bulk_command(Opcode::Write, Table::Ring, 0, 1);
    let op = |opcode: u8, command: Command| Command { opcode, ..command };
    let table = |table_id: u8, command: Command| Command {
        table_id,
        ..command
    };
    for opcode in [9, 15, 16, 255] {
        let command = table(99, op(opcode, ring));
        ends(host, "an unknown op code", command, Status::BadOpcode)?;
    }
    for opcode in [Opcode::Write, Opcode::Dump, Opcode::Digest, Opcode::Copy] {
        for table_id in [14, 15, 16, 255] {
            let command = Command {
                count: 0,
                ..table(table_id, op(opcode.raw(), ring))
            };
            ends(host, "an unknown table", command, Status::BadTable)?;
        }
    }
    for read_only in [
        Table::Flow,
        Table::Counter,
        Table::VipCounter,
        Table::BackendCounter,
        Table::VipOverMeter,
    ] {
        ends(
            host,
            "a read-only table",
            table(read_only.raw(), ring),
            Status::BadTable,
        )?;
    }
    let copy = op(Opcode::Copy.raw(), ring);
    ends(
        host,
        "copy of backends",
        table(Table::Backend.raw(), copy),
        Status::BadTable,
    )?;
    for known in Table::ALL.iter().copied() {
        let entries = u32::try_from(known.entries()).unwrap_or(u32::MAX);
        let ranges = [
            (0, 0),
            (entries, 1),
            (0, entries + 1),
            (1, entries),
            (u32::MAX, 1),
            (0, u32::MAX),
        ];
        for (index, count) in ranges
            .into_iter()
            .chain([(u32::MAX, u32::MAX), (entries - 1, 2)])
        {
            let dump = table(known.raw(), op(Opcode::Dump.raw(), ring));
            let command = Command {
                index,
                count,
                address: 1,
                ..dump
            };
            ends(
                host,
                "a range beyond the table",
                command,
                Status::OutOfRange,
            )?;
        }
    }
    for opcode in [Opcode::Write, Opcode::Dump] {
        for (address, count) in [(1, 1), (32, 1), (u64::MAX - 63, 2), (u64::MAX - 127, 3)] {
            let command = Command {
                address,
                count,
                ..op(opcode.raw(), ring)
            };
            ends(host, "a bad address", command, Status::BadAddress)?;
        }
    }
    ends(host, "nop", op(Opcode::Nop.raw(), ring), Status::Ok)?;
    ends(host, "fence", op(Opcode::Fence.raw(), ring), Status::Ok)
}

fn copy_moves(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let slots: Vec<u16> = (0..320).collect();
    host.set_ring(0, &slots)?;
    let copy = |source_index, index, count| Command {
        opcode: Opcode::Copy.raw(),
        table_id: Table::Ring.raw(),
        source_index,
        index,
        count,
        ..Command::default()
    };
    same("entries copied", &host.order(copy(0, 100, 10))?, &10)?;
    let (from, to) = (
        host.dump(Table::Ring, 0, 10)?,
        host.dump(Table::Ring, 100, 10)?,
    );
    same("the copy", &to, &from)?;
    for (source, index) in [
        (0, 0),
        (0, 9),
        (9, 0),
        (32768, 0),
        (0, 32759),
        (u32::MAX, 0),
    ] {
        ends(
            host,
            "an overlap or overrun",
            copy(source, index, 10),
            Status::OutOfRange,
        )?;
    }
    // neighbours do not overlap
    ends(host, "a copy beside itself", copy(0, 10, 10), Status::Ok)
}

fn key() -> FlowKey {
    FlowKey {
        destination_port: 80,
        source_port: 4000,
        source: 0xc0a8_0101,
        vip: 3,
    }
}

fn at(op: Opcode, bank: u8, way: u8) -> Command {
    Command {
        backend: BACKEND,
        generation: GENERATION,
        ..TestHost::flow_command(op, &key(), bank, way)
    }
}

fn flow_commands(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    super::balance(host, guideway_hdl::tables::MissPolicy::Punt)?;
    host.pass_time(5000)?;
    let insert = at(Opcode::Insert, 1, 2);
    let expecting = |expectation: u8| Command {
        expectation,
        ..insert
    };
    ends(
        host,
        "delete of nothing",
        at(Opcode::Delete, 1, 2),
        Status::NotFound,
    )?;
    ends(
        host,
        "move of nothing",
        at(Opcode::Move, 1, 2),
        Status::NotFound,
    )?;
    ends(
        host,
        "update of nothing",
        expecting(Expect::Same.raw()),
        Status::NotFound,
    )?;
    ends(
        host,
        "no such expectation",
        expecting(3),
        Status::Unsupported,
    )?;
    ends(
        host,
        "no such VIP",
        Command { vip: 256, ..insert },
        Status::OutOfRange,
    )?;
    ends(
        host,
        "no such backend",
        Command {
            backend: 1024,
            ..insert
        },
        Status::OutOfRange,
    )?;
    ends(host, "insert", insert, Status::Ok)?;
    ends(host, "insert again", insert, Status::Occupied)?;
    let update = Command {
        confirmed: true,
        pinned: true,
        ..expecting(Expect::Same.raw())
    };
    ends(host, "update", update, Status::Ok)?;
    ends(
        host,
        "a confirmed flow stays",
        expecting(Expect::Unconfirmed.raw()),
        Status::Occupied,
    )?;

    let here = host.flow_place(&key(), 1, 2);
    let entry = host.dump(Table::Flow, here, 1)?;
    let record = FlowRecord::from_bytes(&std::array::from_fn(|i| entry[0][i]));
    let expected = FlowRecord {
        valid: true,
        pinned: true,
        confirmed: true,
        last_seen: 4,
        ecc: record.ecc,
        ..flow(4000)
    };
    same("the entry", &record, &expected)?;

    let to = |bank, way| Command {
        to_bank: bank,
        to_way: way,
        ..at(Opcode::Move, 1, 2)
    };
    ends(host, "move onto itself", to(1, 2), Status::Occupied)?;
    ends(host, "move", to(3, 0), Status::Ok)?;
    ends(
        host,
        "the old place is free",
        at(Opcode::Delete, 1, 2),
        Status::NotFound,
    )?;
    same(
        "the old place",
        &host.dump(Table::Flow, here, 1)?,
        &vec![[0; 64]],
    )?;
    let there = host.flow_place(&key(), 3, 0);
    same("the new place", &host.dump(Table::Flow, there, 1)?, &entry)?;
    let crc = crc32fast::hash(entry.as_flattened());
    same(
        "digest of a flow",
        &host.digest(Table::Flow, there, 1)?,
        &crc,
    )?;
    ends(host, "insert at the old place", insert, Status::Ok)?;
    ends(host, "move onto another", to(3, 0), Status::Occupied)?;
    ends(host, "delete", at(Opcode::Delete, 3, 0), Status::Ok)?;
    ends(
        host,
        "delete again",
        at(Opcode::Delete, 3, 0),
        Status::NotFound,
    )
}

fn unconfirmed_gives_way(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let insert = |pinned, confirmed, expectation: Expect| Command {
        pinned,
        confirmed,
        expectation: expectation.raw(),
        ..at(Opcode::Insert, 0, 0)
    };
    // with all secrets zero every key falls into row 0: another flow's place
    ends(
        host,
        "insert",
        insert(false, false, Expect::Unconfirmed),
        Status::Ok,
    )?;
    let other = Command {
        source_port: 4001,
        ..insert(false, true, Expect::Unconfirmed)
    };
    ends(host, "an unconfirmed flow", other, Status::Ok)?;
    let third = Command {
        source_port: 4002,
        ..insert(false, false, Expect::Unconfirmed)
    };
    ends(host, "a confirmed flow", third, Status::Occupied)?;
    let same_key = Command {
        source_port: 4002,
        ..insert(false, false, Expect::Same)
    };
    ends(host, "another flow's place", same_key, Status::NotFound)?;
    let pinned = Command {
        source_port: 4001,
        ..insert(true, false, Expect::Same)
    };
    ends(host, "its own place", pinned, Status::Ok)?;
    ends(host, "a pinned flow", third, Status::Occupied)
}

fn memory_vanishes(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.set_ring(0, &[7; 64])?;
    let write = host.bulk_command(Opcode::Write, Table::Ring, 0, 2);
    let beyond = host.memory.end();
    for opcode in [Opcode::Write, Opcode::Dump] {
        for address in [beyond, beyond - 64, 0, u64::MAX - 127, 1 << 63] {
            let command = Command {
                opcode: opcode.raw(),
                address,
                ..write
            };
            ends(host, "memory that is not there", command, Status::DmaError)?;
        }
    }
    let tables = host.dump(Table::Ring, 1, 1)?;
    let slots: [u8; 64] = std::array::from_fn(|i| if i % 2 == 0 { 7 } else { 0 });
    same("the entry that was not read", &tables[0], &slots)?;
    ends(host, "the next command", write, Status::Ok)
}
