//! What becomes of frames when hosts come and go (`CARD.md` 4, 6, 8).

use guideway_hdl::CARD_RESET_KEY;
use guideway_hdl::descriptors::{Status, TxDescriptor, TxOp};
use guideway_hdl::tables::{BackendEntry, BackendState, MissPolicy, Table};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::super::{HarnessError, TestHost};
use super::{BACKEND, Check, GENERATION, VIP, arp, backend, balance, count, flow, packet, same};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a known flow leaves in IPIP",
        run: known_flow,
    },
    Check {
        name: "a miss is punted, assigned, and ended",
        run: punt_and_assign,
    },
    Check {
        name: "without heartbeat misses go by the ring",
        run: heartbeat_runs_out,
    },
    Check {
        name: "a SYN leaves a draining backend",
        run: draining_backend,
    },
    Check {
        name: "a closed port drops by name",
        run: closed_port,
    },
    Check {
        name: "thresholds close the egress by class",
        run: thresholds,
    },
    Check {
        name: "a host reset keeps tables and forwarding",
        run: host_reset,
    },
    Check {
        name: "counters that are held stay until they are released, or the host is reset",
        run: held_counters,
    },
    Check {
        name: "a card reset clears everything",
        run: card_reset,
    },
    Check {
        name: "registers keep what they say",
        run: registers,
    },
];

fn known_flow(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.install(&flow(4000), 2, 1)?;
    let mut frame = packet(4000).frame();
    let inner = frame[14..].to_vec();
    frame.resize(60.max(frame.len()) + 3, 0xee); // padding is not forwarded
    host.push(frame, false);
    host.settle()?;
    // outer: 0x45 .. total 65, id 0, ttl 64, protocol 4, 172.16.(1^0xa0).(1^0x0f) -> 10.0.0.1
    let mut expected = vec![0, 0, 0xde, 0xad, 0xbe, 0xaf, 2, 0, 0, 0, 0, 1, 8, 0];
    expected.extend([0x45, 0, 0, 65, 0, 0, 0, 0, 64, 4, 0x23, 0x9a]);
    expected.extend([172, 16, 1 ^ 0xa0, 1 ^ 0x0f, 10, 0, 0, 1]);
    expected.extend(inner);
    same("the frame", &host.take_sent(), &vec![expected])?;
    same("hits", &count(host, Disposition::ForwardHit.raw())?, &1)?;
    let vips = host.table_counters(Table::VipCounter)?;
    same(
        "the VIP's bytes",
        &(vips[usize::from(VIP)].packets, vips[usize::from(VIP)].bytes),
        &(1, 45),
    )?;
    let backends = host.table_counters(Table::BackendCounter)?;
    let backend = backends[usize::from(BACKEND)];
    same(
        "the backend's bytes",
        &(backend.packets, backend.bytes),
        &(1, 45),
    )
}

fn punt_and_assign(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 1000);
    host.push(packet(4000).frame(), false);
    host.settle()?;
    let received = host.receive()?;
    same("frames received", &received.len(), &1)?;
    let record = received[0].record;
    same(
        "the disposition",
        &record.disposition,
        &Disposition::HostPunt.raw(),
    )?;
    same("the VIP", &(record.vip_valid, record.vip), &(true, VIP))?;
    same("the ring's backend", &record.ring_backend, &BACKEND)?;
    same(
        "no flow",
        &(record.flow_found, record.flow_backend),
        &(false, 0xffff),
    )?;
    same(
        "ports",
        &(record.source_port, record.destination_port),
        &(4000, 80),
    )?;
    same("the source", &record.source, &0xc0a8_0101)?;
    same("punts outstanding", &host.card.punts_outstanding(), &1)?;
    let assign = TxDescriptor {
        op: TxOp::Assign.raw(),
        ends_punt: true,
        vip: VIP,
        backend: BACKEND,
        generation: GENERATION,
        ..TxDescriptor::default()
    };
    let stale = TxDescriptor {
        generation: GENERATION + 1,
        ends_punt: false,
        ..assign
    };
    let frame = received[0].bytes.clone();
    same(
        "a stale one is read",
        &host.transmit(stale, &frame)?.status,
        &Status::Ok.raw(),
    )?;
    host.settle()?;
    same(
        "a stale one",
        &count(host, Disposition::DropInjectInvalid.raw())?,
        &1,
    )?;
    same("punts outstanding", &host.card.punts_outstanding(), &1)?;
    host.transmit(assign, &frame)?;
    host.settle()?;
    same("frames sent", &host.take_sent().len(), &1)?;
    same("punts outstanding", &host.card.punts_outstanding(), &0)?;
    let vips = host.table_counters(Table::VipCounter)?;
    same("the VIP counts once", &vips[usize::from(VIP)].packets, &1)?;
    let malformed = host.transmit(assign, &frame[..40])?;
    same("a cut one is read", &malformed.status, &Status::Ok.raw())?;
    host.settle()?;
    same(
        "a cut one",
        &count(host, Disposition::DropInjectInvalid.raw())?,
        &2,
    )?;
    host.check_conservation()
}

fn heartbeat_runs_out(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 100);
    same("alive", &(host.read(at::STATUS) & 2), &2)?;
    host.pass_time(99)?;
    same("what is left", &host.read(at::HEARTBEAT), &1)?;
    host.push(packet(4000).frame(), false);
    host.settle()?;
    same("punts", &host.receive()?.len(), &1)?;
    host.pass_time(1)?;
    same("alive", &(host.read(at::STATUS) & 2), &0)?;
    host.push(packet(4000).frame(), false);
    host.settle()?;
    same("frames sent", &host.take_sent().len(), &1)?;
    same(
        "by the ring",
        &count(host, Disposition::ForwardRing.raw())?,
        &1,
    )?;
    same(
        "fallbacks",
        &count(host, PortCounter::HeartbeatFallback.raw())?,
        &1,
    )?;
    // compute only: no punt, and no fallback either
    host.write(at::HEARTBEAT, 100);
    host.write(at::CONTROL, 5);
    host.push(packet(4001).frame(), false);
    host.settle()?;
    same(
        "by the ring",
        &count(host, Disposition::ForwardRing.raw())?,
        &2,
    )?;
    same(
        "fallbacks",
        &count(host, PortCounter::HeartbeatFallback.raw())?,
        &1,
    )?;
    host.check_conservation()
}

fn draining_backend(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 1_000_000);
    host.install(&flow(4000), 0, 0)?;
    let state = |state: BackendState, generation| BackendEntry {
        state: state.raw(),
        generation,
        ..backend()
    };
    let mut hits = 0;
    let cases = [
        (BackendState::Up, GENERATION, 0x02, true),
        (BackendState::Draining, GENERATION, 0x10, true),
        (BackendState::Draining, GENERATION, 0x12, true),
        (BackendState::Draining, GENERATION, 0x02, false),
        (BackendState::Draining, GENERATION + 1, 0x10, false),
        (BackendState::Up, GENERATION - 1, 0x10, false),
        (BackendState::Down, GENERATION, 0x10, false),
    ];
    for (to, generation, flags, hit) in cases {
        host.set_backend(BACKEND, &state(to, generation))?;
        let mut spec = packet(4000);
        spec.flags = flags;
        host.push(spec.frame(), false);
        host.settle()?;
        let received = host.receive()?;
        hits += u64::from(hit);
        same("hits", &count(host, Disposition::ForwardHit.raw())?, &hits)?;
        same("punts", &received.len(), &usize::from(!hit))?;
        if let Some(punt) = received.first() {
            let stale = to == BackendState::Down || generation != GENERATION;
            let record = punt.record;
            same(
                "found",
                &(record.flow_found, record.flow_backend),
                &(true, BACKEND),
            )?;
            same("stale", &record.flow_stale, &stale)?;
            same("syn", &record.syn, &(flags & 2 != 0))?;
        }
    }
    Ok(())
}

fn closed_port(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    same("the port", &host.card.port_enabled(), &false)?;
    host.push(arp(), false);
    host.settle()?;
    same(
        "drops",
        &count(host, Disposition::DropPortDisabled.raw())?,
        &1,
    )?;
    host.write(at::CONTROL, 1);
    same("the port", &host.card.port_enabled(), &true)?;
    host.push(arp(), false);
    host.settle()?;
    same("frames received", &host.receive()?.len(), &1)?;
    host.check_conservation()
}

fn thresholds(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.install(&flow(4000), 0, 0)?;
    let raw = TxDescriptor {
        op: TxOp::Raw.raw(),
        ..TxDescriptor::default()
    };
    for closed in 0..3u32 {
        for class in 0..4 {
            let frames = if class == closed { 0 } else { 0x1000 };
            host.write(at::EGRESS_THRESHOLD + 4 * class, frames);
        }
        host.transmit(raw, &arp())?;
        host.push(packet(4000).frame(), false);
        host.push(packet(4001).frame(), false);
        host.settle()?;
        same("frames sent", &host.take_sent().len(), &2)?;
        let drops = count(host, Disposition::DropEgressOverload.raw())?;
        same("drops", &drops, &u64::from(closed + 1))?;
    }
    host.check_conservation()
}

fn held_counters(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    const HOLD: u32 = at::COUNTERS_HOLD;
    balance(host, MissPolicy::Stateless)?;
    let hit = |host: &mut TestHost<'_>| -> Result<(u64, u64, u64), HarnessError> {
        host.push(packet(4000).frame(), false);
        host.settle()?;
        let vips = host.table_counters(Table::VipCounter)?;
        let backends = host.table_counters(Table::BackendCounter)?;
        Ok((
            count(host, Disposition::ForwardRing.raw())?,
            vips[usize::from(VIP)].packets,
            backends[usize::from(BACKEND)].packets,
        ))
    };
    let hold = |host: &mut TestHost<'_>| {
        host.write(at::CONTROL, 1 | HOLD);
        for _ in 0..100 {
            host.run(100);
        }
        host.read(at::STATUS) & HOLD
    };
    same("before", &hit(host)?, &(1, 1, 1))?;
    same("held", &hold(host), &HOLD)?;
    same("held once", &hit(host)?, &(1, 1, 1))?;
    same("held twice", &hit(host)?, &(1, 1, 1))?;
    host.write(at::CONTROL, 1);
    host.run(10_000);
    same("not held", &(host.read(at::STATUS) & HOLD), &0)?;
    same("released", &hit(host)?, &(4, 4, 4))?;
    same("held again", &hold(host), &HOLD)?;
    same("of the second moment", &hit(host)?, &(4, 4, 4))?;
    host.card.host_reset(&mut host.memory);
    host.run(10_000);
    host.attach()?;
    same("control", &(host.read(at::CONTROL) & HOLD), &0)?;
    same("after the host", &hit(host)?, &(6, 6, 6))?;
    same("a card reset forgets it", &hold(host), &HOLD)?;
    host.write(at::CARD_RESET, CARD_RESET_KEY);
    host.settle()?;
    same("reset", &(host.read(at::STATUS) & HOLD), &0)
}

fn host_reset(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 1_000_000);
    host.write(at::SCRATCH, 0x5ca1_ab1e);
    host.install(&flow(4000), 1, 1)?;
    host.push(packet(4001).frame(), false);
    host.settle()?;
    same("punts", &host.receive()?.len(), &1)?;
    // one punt waits in the class buffer when the host dies
    host.card
        .set_function(crate::card::FunctionState::default());
    host.push(packet(4002).frame(), false);
    host.run(20_000);
    host.card.host_reset(&mut host.memory);
    host.settle()?;
    same("alive", &(host.read(at::STATUS) & 2), &0)?;
    host.push(packet(4000).frame(), false);
    host.push(packet(4003).frame(), false);
    host.settle()?;
    same("frames sent", &host.take_sent().len(), &2)?;
    host.attach()?;
    same("scratch", &host.read(at::SCRATCH), &0x5ca1_ab1e)?;
    same("hits", &count(host, Disposition::ForwardHit.raw())?, &1)?;
    same(
        "by the ring",
        &count(host, Disposition::ForwardRing.raw())?,
        &1,
    )?;
    same("host gone", &count(host, PortCounter::HostGone.raw())?, &1)?;
    same(
        "unanswered",
        &count(host, PortCounter::PuntUnanswered.raw())?,
        &1,
    )?;
    same("punts outstanding", &host.card.punts_outstanding(), &0)?;
    host.check_conservation()
}

fn card_reset(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.install(&flow(4000), 1, 1)?;
    host.write(at::SCRATCH, 7);
    host.push(packet(4001).frame(), false);
    host.settle()?;
    same("frames sent", &host.take_sent().len(), &1)?;
    host.write(at::CARD_RESET, CARD_RESET_KEY ^ 1);
    same("another key does nothing", &host.read(at::SCRATCH), &7)?;
    let place = host.flow_place(&super::super::tables::key_of(&flow(4000)), 1, 1);
    host.write(at::CARD_RESET, CARD_RESET_KEY);
    host.attach()?;
    same("scratch", &host.read(at::SCRATCH), &0)?;
    same("control", &host.read(at::CONTROL), &0)?;
    same(
        "frames counted",
        &count(host, PortCounter::WireIn.raw())?,
        &0,
    )?;
    for (table, index) in [
        (Table::Vip, usize::from(VIP)),
        (Table::Backend, usize::from(BACKEND)),
        (Table::Ring, 2),
        (Table::Flow, place),
        (Table::VipCounter, usize::from(VIP)),
        (Table::BackendCounter, usize::from(BACKEND)),
    ] {
        same(table.name(), &host.dump(table, index, 1)?, &vec![[0; 64]])?;
    }
    host.write(at::CONTROL, 1);
    host.push(packet(4000).frame(), false);
    host.settle()?;
    same(
        "unmatched",
        &count(host, Disposition::HostUnmatched.raw())?,
        &1,
    )
}

fn registers(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    same("identity", &host.read(at::MAGIC), &guideway_hdl::MAGIC)?;
    same(
        "layout hash",
        &host.read(at::LAYOUT_HASH),
        &guideway_hdl::LAYOUT_HASH,
    )?;
    same("sizes", &host.read(at::SIZE_VIPS), &(64 << 16 | 256))?;
    same("sizes", &host.read(at::SIZE_BACKENDS), &(16 << 16 | 1024))?;
    same("sizes", &host.read(at::SIZE_RING_SLOTS), &(1 << 20))?;
    same("sizes", &host.read(at::SIZE_FLOWS), &(1 << 16))?;
    same("sizes", &host.read(at::SIZE_PAYLOAD_BEATS), &4096)?;
    let kept = [
        (at::CONTROL, 15),
        (at::MAC_LOW, u32::MAX),
        (at::MAC_HIGH, 0x1_ffff),
        (at::IPIP_SOURCE_V4, u32::MAX),
        (at::SOURCE_V4, u32::MAX),
        (at::EGRESS_THRESHOLD + 4, 0xffff),
        (at::SECRET + 23 * 4, u32::MAX),
        (at::SCRATCH + 31 * 4, u32::MAX),
        (at::GUE_PORT, 0xffff),
        (at::ICMP_LIMIT + 4, u32::MAX),
        (at::IPIP_SOURCE_V6 + 12, u32::MAX),
        (at::SOURCE_V6 + 4, u32::MAX),
        (at::MAGIC, 0),
        (at::SIZE_FLOWS, 0),
        (at::TIME_US_LOW, 0),
    ];
    for (offset, mask) in kept {
        let before = host.read(offset);
        for value in [u32::MAX, 0x5a5a_5a5a, 0xa5a5_a5a5, 0] {
            host.write(offset, value);
            let expected = if mask == 0 { before } else { value & mask };
            same(
                "a register",
                &(offset, host.read(offset)),
                &(offset, expected),
            )?;
        }
    }
    let before = u64::from(host.read(at::TIME_US_LOW));
    host.pass_time(1234)?;
    same(
        "time",
        &(u64::from(host.read(at::TIME_US_LOW))),
        &(before + 1234),
    )
}
