//! What the card learns by itself (`CARD.md` 4, Learning): which packets, where to, within which quota, and what confirms it.

use guideway_hdl::descriptors::{Command, Expect, Opcode};
use guideway_hdl::tables::{
    BANKS, BackendEntry, BackendState, FLOW_WAYS, FlowRecord, MissPolicy, Table, VipEntry,
};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::super::tables::key_of;
use super::super::{HarnessError, TestHost};
use super::{
    BACKEND, Check, GENERATION, POOL, VIP, backend, balance, count, flow, holds, packet, same,
};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a flow is learned, hit, confirmed, and marked as closing",
        run: learned_and_confirmed,
    },
    Check {
        name: "only misses of learning VIPs are learned",
        run: who_is_learned,
    },
    Check {
        name: "new flows fill the emptiest bank, then displace the unconfirmed",
        run: places,
    },
    Check {
        name: "a stale entry and a SYN on a draining backend are learned in place",
        run: in_place,
    },
    Check {
        name: "a quota bounds what a VIP learns",
        run: quota,
    },
    Check {
        name: "a flood of new flows evicts no confirmed flow",
        run: flood,
    },
];

const SYN: u8 = 2;
const ACK: u8 = 0x10;

/// One packet of the flow with this source port, and all that comes of it.
fn send(host: &mut TestHost<'_>, source_port: u16, flags: u8) -> Result<(), HarnessError> {
    let spec = super::super::frame::PacketSpec {
        flags,
        ..packet(source_port)
    };
    host.push(spec.frame(), false);
    host.settle()
}

/// Counts of `forward_hit`, `forward_ring`, `learned`, `learn_displaced` and `learn_refused`.
fn counts(host: &mut TestHost<'_>) -> Result<[u64; 5], HarnessError> {
    let counters = host.counters()?;
    let numbers = [
        Disposition::ForwardHit.raw(),
        Disposition::ForwardRing.raw(),
        PortCounter::Learned.raw(),
        PortCounter::LearnDisplaced.raw(),
        PortCounter::LearnRefused.raw(),
    ];
    Ok(numbers.map(|number| counters[usize::from(number)]))
}

/// The last three of them.
fn learning(host: &mut TestHost<'_>) -> Result<[u64; 3], HarnessError> {
    let [_, _, learned, displaced, refused] = counts(host)?;
    Ok([learned, displaced, refused])
}

/// What the place of this flow in a bank and way holds, without its code.
fn entry(
    host: &mut TestHost<'_>,
    source_port: u16,
    bank: u8,
    way: u8,
) -> Result<FlowRecord, HarnessError> {
    let place = host.flow_place(&key_of(&flow(source_port)), bank, way);
    let entry = host.dump(Table::Flow, place, 1)?;
    let record = FlowRecord::from_bytes(&std::array::from_fn(|i| entry[0][i]));
    Ok(FlowRecord { ecc: 0, ..record })
}

/// The flow as the card learns it.
fn learned(source_port: u16, last_seen: u32) -> FlowRecord {
    FlowRecord {
        valid: true,
        last_seen,
        ..flow(source_port)
    }
}

fn learned_and_confirmed(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Learn)?;
    host.pass_time(5 * 1024)?;
    let start = (host.read(at::TIME_US_LOW)) >> 10;
    send(host, 4000, SYN)?;
    same("a new flow", &counts(host)?, &[0, 1, 1, 0, 0])?;
    same(
        "its entry",
        &entry(host, 4000, 0, 0)?,
        &learned(4000, start),
    )?;
    host.pass_time(1024)?;
    send(host, 4000, SYN | 1)?;
    let expected = learned(4000, start + 1);
    same("a SYN again", &entry(host, 4000, 0, 0)?, &expected)?;
    host.pass_time(1024)?;
    send(host, 4000, ACK)?;
    let mut expected = FlowRecord {
        confirmed: true,
        ..learned(4000, start + 2)
    };
    same("its next packet", &entry(host, 4000, 0, 0)?, &expected)?;
    send(host, 4000, ACK | 1)?;
    expected.fin = true;
    same("a FIN", &entry(host, 4000, 0, 0)?, &expected)?;
    send(host, 4000, 4)?;
    expected.rst = true;
    same("a RST", &entry(host, 4000, 0, 0)?, &expected)?;
    same("the counts", &counts(host)?, &[4, 1, 1, 0, 0])?;
    // what confirms may close at once; and the host's unconfirmed entries are confirmed alike
    let pinned = FlowRecord {
        pinned: true,
        ..flow(4001)
    };
    host.install(&pinned, 2, 1)?;
    send(host, 4001, ACK | 1)?;
    let expected = FlowRecord {
        valid: true,
        confirmed: true,
        fin: true,
        last_seen: start + 2,
        ..pinned
    };
    same("the host's own entry", &entry(host, 4001, 2, 1)?, &expected)?;
    for frame in host.take_sent() {
        same("the backend", &frame[30..34].to_vec(), &vec![10, 0, 0, 1])?;
    }
    host.check_conservation()
}

fn policy(host: &mut TestHost<'_>, policy: MissPolicy, quota: u32) -> Result<(), HarnessError> {
    let entry = VipEntry {
        pool: POOL,
        miss_policy: policy.raw(),
        mtu: 1500,
        quota,
        ..VipEntry::default()
    };
    host.set_vip(VIP, &entry)
}

fn who_is_learned(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    let learns = |host: &mut TestHost<'_>, what: &str, port, flags, learns: u64| {
        let before = counts(host)?;
        send(host, port, flags)?;
        let after = counts(host)?;
        same(what, &(after[2] - before[2]), &learns)?;
        same("refusals", &after[4], &0)
    };
    learns(host, "stateless", 4000, SYN, 0)?;
    policy(host, MissPolicy::Punt, 0)?;
    learns(host, "without a host", 4000, SYN, 1)?;
    learns(host, "its next packet", 4000, ACK, 0)?;
    same(
        "fallbacks",
        &count(host, PortCounter::HeartbeatFallback.raw())?,
        &1,
    )?;
    host.write(at::HEARTBEAT, 1_000_000);
    learns(host, "a punt", 4001, SYN, 0)?;
    same("punts", &host.receive()?.len(), &1)?;
    policy(host, MissPolicy::Learn, 0)?;
    learns(host, "a RST", 4002, 4, 0)?;
    learns(host, "beside a host", 4002, ACK, 1)?;
    host.write(at::CONTROL, 5);
    learns(host, "compute only", 4003, SYN, 0)?;
    learns(host, "a known flow, compute only", 4002, ACK, 0)?;
    let record = entry(host, 4002, 0, 0)?;
    holds("a hit confirms, compute only too", record.confirmed)?;
    host.write(at::CONTROL, 1);
    host.set_backend(
        BACKEND,
        &BackendEntry {
            state: BackendState::Down.raw(),
            ..backend()
        },
    )?;
    learns(host, "no backend", 4004, SYN, 0)?;
    host.set_backend(
        BACKEND,
        &BackendEntry {
            encap: 0,
            ..backend()
        },
    )?;
    learns(host, "no encapsulation", 4004, SYN, 0)
}

/// Every key in row 0 of every bank: sixteen places for all.
fn one_row(host: &mut TestHost<'_>, vip_policy: MissPolicy) -> Result<(), HarnessError> {
    balance(host, vip_policy)?;
    host.set_secrets([[0; 6]; 4]);
    host.add_match(&guideway_hdl::tables::VipMatch {
        port: 80,
        protocol: 6,
        ipv6: false,
        address: 0x0ac8_0101,
        valid: true,
        vip: VIP,
    })
}

fn places(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    one_row(host, MissPolicy::Learn)?;
    // the host takes two of bank 0: the others are filled up to it first
    host.install(&flow(100), 0, 0)?;
    host.install(
        &FlowRecord {
            pinned: true,
            ..flow(101)
        },
        0,
        1,
    )?;
    let order = [
        (1, 0),
        (2, 0),
        (3, 0),
        (1, 1),
        (2, 1),
        (3, 1),
        (0, 2),
        (1, 2),
        (2, 2),
        (3, 2),
        (0, 3),
        (1, 3),
        (2, 3),
        (3, 3),
    ];
    for (port, (bank, way)) in (4000..).zip(order) {
        send(host, port, SYN)?;
        let record = entry(host, port, bank, way)?;
        same("the flow's place", &record.source_port, &port)?;
    }
    same("all are learned", &learning(host)?, &[14, 0, 0])?;
    send(host, 5000, SYN)?;
    let record = entry(host, 5000, 0, 0)?;
    same("the lowest gives way", &record.source_port, &5000)?;
    // confirm all but the one in (2, 1), which is then the only one to give way; (0, 1) is pinned
    send(host, 5000, ACK)?;
    for port in (4000..4014).filter(|port| *port != 4004) {
        send(host, port, ACK)?;
    }
    send(host, 5001, SYN)?;
    let record = entry(host, 5001, 2, 1)?;
    same("the only one gives way", &record.source_port, &5001)?;
    send(host, 5001, ACK)?;
    send(host, 5002, SYN)?;
    same("nobody gives way", &learning(host)?, &[16, 2, 1])?;
    // a freed place is used again
    let delete = TestHost::flow_command(Opcode::Delete, &key_of(&flow(4013)), 3, 3);
    host.order(delete)?;
    send(host, 5002, SYN)?;
    let record = entry(host, 5002, 3, 3)?;
    same("the freed place", &record.source_port, &5002)?;
    host.check_conservation()
}

fn in_place(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Learn)?;
    let old = FlowRecord {
        generation: GENERATION - 1,
        pinned: true,
        confirmed: true,
        ..flow(4000)
    };
    host.install(&old, 3, 2)?;
    send(host, 4000, ACK)?;
    let record = entry(host, 4000, 3, 2)?;
    same(
        "the stale entry's place",
        &record,
        &learned(4000, record.last_seen),
    )?;
    // its backend drains: a SYN goes by the ring, which names another
    host.set_backend(
        BACKEND,
        &BackendEntry {
            state: BackendState::Draining.raw(),
            ..backend()
        },
    )?;
    let other = BackendEntry {
        address: 0x0a00_0002,
        ..backend()
    };
    host.set_backend(BACKEND + 1, &other)?;
    host.set_ring(64, &[BACKEND + 1; 7])?;
    send(host, 4000, ACK)?;
    let record = entry(host, 4000, 3, 2)?;
    same(
        "a known flow",
        &(record.backend, record.confirmed),
        &(BACKEND, true),
    )?;
    send(host, 4000, SYN)?;
    let record = entry(host, 4000, 3, 2)?;
    let expected = FlowRecord {
        backend: BACKEND + 1,
        ..learned(4000, record.last_seen)
    };
    same("the new connection", &record, &expected)?;
    send(host, 4000, ACK)?;
    let sent = host.take_sent();
    let to: Vec<u8> = sent.iter().map(|frame| frame[33]).collect();
    same("the backends", &to, &vec![1, 1, 2, 2])?;
    same("the counts", &counts(host)?, &[2, 2, 2, 0, 0])
}

fn quota(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    one_row(host, MissPolicy::Learn)?;
    policy(host, MissPolicy::Learn, 3)?;
    let foreign = FlowRecord {
        vip: VIP + 1,
        ..flow(1)
    };
    host.install(&foreign, 0, 0)?;
    for port in 4000..4003 {
        send(host, port, SYN)?;
    }
    same("within the quota", &learning(host)?, &[3, 0, 0])?;
    // (1,0), (2,0), (3,0) are taken; beyond the quota only one of these gives way, not the foreign one
    send(host, 4003, SYN)?;
    same("beyond it", &learning(host)?, &[4, 1, 0])?;
    let record = entry(host, 4003, 1, 0)?;
    same("its own lowest", &record.source_port, &4003)?;
    for port in [4001, 4002, 4003] {
        send(host, port, ACK)?;
    }
    send(host, 4004, SYN)?;
    same("all confirmed", &learning(host)?, &[4, 1, 1])?;
    // what the host inserts counts, and is not bound
    let insert = |host: &mut TestHost<'_>, port: u16, expectation: Expect, bank, way| {
        host.order(Command {
            expectation: expectation.raw(),
            backend: BACKEND,
            generation: GENERATION,
            ..TestHost::flow_command(Opcode::Insert, &key_of(&flow(port)), bank, way)
        })
    };
    insert(host, 4005, Expect::Unconfirmed, 0, 0)?; // over the foreign one: four
    host.order(TestHost::flow_command(
        Opcode::Delete,
        &key_of(&flow(4001)),
        2,
        0,
    ))?; // three
    send(host, 4006, SYN)?; // takes the place of 4005
    same("still beyond", &learning(host)?, &[5, 2, 1])?;
    let record = entry(host, 4006, 0, 0)?;
    same("the host's unconfirmed one", &record.source_port, &4006)?;
    insert(host, 4006, Expect::Same, 0, 0)?; // no more than before
    host.order(Command {
        to_bank: 1,
        to_way: 3,
        ..TestHost::flow_command(Opcode::Move, &key_of(&flow(4006)), 0, 0)
    })?;
    host.order(TestHost::flow_command(
        Opcode::Delete,
        &key_of(&flow(4006)),
        1,
        3,
    ))?; // two
    send(host, 4007, SYN)?;
    send(host, 4007, ACK)?;
    send(host, 4008, SYN)?;
    same("one more", &learning(host)?, &[6, 2, 2])?;
    policy(host, MissPolicy::Learn, 0)?;
    send(host, 4008, SYN)?;
    same("no quota", &learning(host)?, &[7, 2, 2])
}

fn flood(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Learn)?;
    // few rows, so that a small flood fills them: one bit of the key a bank
    host.set_secrets(std::array::from_fn(|bank| {
        [1 << (16 + bank), 0, 0, 0, 0, 0]
    }));
    host.add_match(&guideway_hdl::tables::VipMatch {
        port: 80,
        protocol: 6,
        ipv6: false,
        address: 0x0ac8_0101,
        valid: true,
        vip: VIP,
    })?;
    let kept: Vec<u16> = (4000..4020).collect();
    for port in &kept {
        send(host, *port, SYN)?;
        send(host, *port, ACK)?;
    }
    // at the wire's rate, then one by one, so that none is refused for another's sake
    for port in 10_000..10_300 {
        host.push(
            super::super::frame::PacketSpec {
                flags: SYN,
                ..packet(port)
            }
            .frame(),
            false,
        );
    }
    host.settle()?;
    for port in 10_300..10_600 {
        send(host, port, SYN)?;
    }
    let [hits, _, learned, displaced, refused] = counts(host)?;
    same("hits", &hits, &20)?;
    same("learned or refused", &(learned + refused), &620)?;
    holds("the flood displaced its own", displaced > 0)?;
    for port in &kept {
        send(host, *port, ACK)?;
    }
    same("the confirmed flows are hit", &counts(host)?[0], &40)?;
    let entries = host.dump(Table::Flow, 0, Table::Flow.entries())?;
    let records: Vec<FlowRecord> = entries
        .iter()
        .map(|entry| FlowRecord::from_bytes(&std::array::from_fn(|i| entry[i])))
        .filter(|record| record.valid)
        .collect();
    let mut ports: Vec<u16> = records.iter().map(|record| record.source_port).collect();
    ports.sort_unstable();
    let before = ports.len();
    ports.dedup();
    same("keys that are there twice", &(before - ports.len()), &0)?;
    let taken = u64::try_from(before).unwrap_or(u64::MAX);
    same("entries", &taken, &(learned - displaced))?;
    holds("it filled the rows", before > BANKS * FLOW_WAYS)?;
    host.check_conservation()
}
