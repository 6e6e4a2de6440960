//! Records (`CARD.md` 9): what traces and flow events say, which packets are traced, and what is lost.

use std::collections::BTreeSet;

use guideway_hdl::descriptors::{Status, TxDescriptor, TxOp};
use guideway_hdl::records::{FlowEventRecord, RECORDS_WAITING, RecordKind, TraceRecord};
use guideway_hdl::tables::{BackendEntry, Encap, MissPolicy, NextHopEntry};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::super::frame::PacketSpec;
use super::super::quic::{katran_id, short};
use super::super::records::{Told, TraceFilter};
use super::super::{HarnessError, TestHost};
use super::{
    BACKEND, Check, GENERATION, VIP, arp, backend, balance, count, flow, packet, quic, same,
};
use crate::memory::MSI_BASE;
use crate::registers::{card, core, record, ring as at};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a trace says what the stations said",
        run: what_a_trace_says,
    },
    Check {
        name: "a trace says which next hop a packet takes, and whether its flow is to be learned",
        run: next_hop_and_learning,
    },
    Check {
        name: "a trace says whether a connection id names a server, and a live one",
        run: connection_ids,
    },
    Check {
        name: "a trace tells the admission from the decision",
        run: admission,
    },
    Check {
        name: "each part of the trace filter decides",
        run: filter,
    },
    Check {
        name: "the first of each 2^n matching packets is traced",
        run: sampling,
    },
    Check {
        name: "learned entries are told, confirmed ones are not",
        run: flow_events,
    },
    Check {
        name: "records beyond what waits are lost and counted",
        run: loss,
    },
    Check {
        name: "flow events beyond what waits are lost and counted, one by one",
        run: lost_events,
    },
    Check {
        name: "the record ring wraps, and interrupts once",
        run: wraps,
    },
    Check {
        name: "a record ring that ends forgets what waits",
        run: forgets,
    },
    Check {
        name: "the record ring stops by name, and waits for bus mastering",
        run: stops,
    },
];

const ACK: u8 = 0x10;
const NONE: u16 = 0xffff;
/// 10.200.1.1, 192.168.1.1
const SERVER: u128 = 0x0ac8_0101;
const CLIENT: u128 = 0xc0a8_0101;

/// The traces that were written, without their cycles.
fn traces(host: &mut TestHost<'_>) -> Result<Vec<TraceRecord>, HarnessError> {
    host.settle()?;
    let told = host.take_records()?;
    Ok(told
        .into_iter()
        .filter_map(|told| match told {
            Told::Trace(trace) => Some(TraceRecord {
                phase: false,
                cycle: 0,
                window_cycles: 0,
                end_cycles: 0,
                timestamp: 0,
                ..trace
            }),
            Told::FlowEvent(_) => None,
        })
        .collect())
}

/// A frame of which only the disposition is known.
fn bare(disposition: Disposition, length: usize) -> TraceRecord {
    TraceRecord {
        kind: RecordKind::Trace.raw(),
        length: length as u16,
        disposition: disposition.raw(),
        decided: disposition.raw(),
        flow_backend: NONE,
        ring_backend: NONE,
        backend: NONE,
        ..TraceRecord::default()
    }
}

fn traced_packet(disposition: Disposition, spec: &PacketSpec) -> TraceRecord {
    TraceRecord {
        protocol: spec.protocol,
        source: CLIENT,
        destination: SERVER,
        source_port: spec.ports.0,
        destination_port: spec.ports.1,
        ..bare(disposition, spec.frame().len())
    }
}

fn what_a_trace_says(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.install(&flow(7000), 2, 1)?;
    host.start_records(4)?;
    host.trace(&TraceFilter::default());
    let miss = PacketSpec {
        flags: 2,
        ..packet(4000)
    };
    let other = PacketSpec {
        ports: (4000, 81),
        ..packet(4000)
    };
    let hash_slots = 7;
    host.push(arp(), false);
    host.push(other.frame(), false);
    host.push(miss.frame(), false);
    host.push(packet(7000).frame(), false);
    let seen = traces(host)?;
    same("traces", &seen.len(), &4)?;
    same(
        "ring indices",
        &seen.iter().all(|trace| trace.ring_index < hash_slots),
        &true,
    )?;
    let by_vip = |trace: TraceRecord, sequence_number: u32, ring_index: u32| TraceRecord {
        sequence_number,
        vip_valid: true,
        vip: VIP,
        ring_index,
        ring_backend: BACKEND,
        backend: BACKEND,
        encap: Encap::Ipip.raw(),
        ..trace
    };
    let expected = [
        bare(Disposition::HostControl, 60),
        TraceRecord {
            sequence_number: 1,
            ..traced_packet(Disposition::HostUnmatched, &other)
        },
        TraceRecord {
            syn: true,
            ..by_vip(
                traced_packet(Disposition::ForwardRing, &miss),
                2,
                seen[2].ring_index,
            )
        },
        TraceRecord {
            flow_found: true,
            flow_place: 2 * 4 + 1,
            flow_generation: GENERATION,
            flow_backend: BACKEND,
            ..by_vip(
                traced_packet(Disposition::ForwardHit, &packet(7000)),
                3,
                seen[3].ring_index,
            )
        },
    ];
    for (trace, expected) in seen.iter().zip(&expected) {
        same("a trace", trace, expected)?;
    }
    // the ring index is the punt's: of the same packet, which the host is told
    host.write(core::HEARTBEAT, 1_000_000);
    let entry = guideway_hdl::tables::VipEntry {
        pool: super::POOL,
        miss_policy: MissPolicy::Punt.raw(),
        mtu: 1500,
        ..guideway_hdl::tables::VipEntry::default()
    };
    host.set_vip(VIP, &entry)?;
    host.push(miss.frame(), false);
    let punted = traces(host)?;
    let frames = host.receive()?;
    let frame = frames.last().map(|frame| frame.record.ring_index);
    same("traces of a punt", &punted.len(), &1)?;
    same("its ring index", &Some(punted[0].ring_index), &frame)?;
    same(
        "that of the forward",
        &punted[0].ring_index,
        &seen[2].ring_index,
    )?;
    same("a punt's backend", &punted[0].backend, &NONE)?;
    // an assigned packet asks neither flow table nor ring
    let assign = TxDescriptor {
        op: TxOp::Assign.raw(),
        vip: VIP,
        backend: BACKEND,
        generation: GENERATION,
        ..TxDescriptor::default()
    };
    host.transmit(assign, &packet(7000).frame())?;
    let assigned = TraceRecord {
        injected: true,
        ring_index: 0,
        ring_backend: NONE,
        ..by_vip(
            traced_packet(Disposition::ForwardInject, &packet(7000)),
            5,
            0,
        )
    };
    same("an assigned packet", &traces(host)?, &vec![assigned])
}

fn next_hop_and_learning(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Learn)?;
    for next_hop in 3..7 {
        let entry = NextHopEntry {
            destination: 0x0200_0000_0000 | u64::from(next_hop),
            ..NextHopEntry::default()
        };
        host.set_next_hop(next_hop, &entry)?;
    }
    let spread = BackendEntry {
        next_hop: 3,
        more_next_hops: 3,
        ..backend()
    };
    host.set_backend(BACKEND, &spread)?;
    host.start_records(6)?;
    host.trace(&TraceFilter::default());
    let mut taken = BTreeSet::new();
    for port in 4000..4016 {
        for (known, flags) in [(false, 2), (true, ACK)] {
            let spec = PacketSpec {
                flags,
                ..packet(port)
            };
            host.push(spec.frame(), false);
            let seen = traces(host)?;
            let to = host.take_sent().first().map(|frame| frame[5]);
            same("traces", &seen.len(), &1)?;
            same("the next hop", &Some(seen[0].next_hop), &to)?;
            same("flow known", &seen[0].flow_found, &known)?;
            same("to be learned", &seen[0].learns, &!known)?;
            taken.insert(seen[0].next_hop);
        }
    }
    same("next hops", &taken, &(3..7).collect())?;
    // of what the host assigns, the host says
    for (spread, next_hop) in [(0, 3), (63, 3), (64, 4), (191, 5), (192, 6), (255, 6)] {
        let assign = TxDescriptor {
            op: TxOp::Assign.raw(),
            vip: VIP,
            backend: BACKEND,
            generation: GENERATION,
            spread,
            ..TxDescriptor::default()
        };
        host.transmit(assign, &packet(4000).frame())?;
        let seen = traces(host)?;
        let to = host.take_sent().first().map(|frame| frame[5]);
        same("where an assigned frame went", &to, &Some(next_hop))?;
        same("and was said to", &seen[0].next_hop, &next_hop)?;
    }
    let reset = PacketSpec {
        flags: 4,
        ..packet(4100)
    };
    host.push(reset.frame(), false);
    same("a RST is not", &traces(host)?[0].learns, &false)
}

fn connection_ids(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    quic::setup(host, MissPolicy::Stateless, false)?;
    host.set_quic_id(0, &quic::id(7, 0))?;
    host.start_records(4)?;
    host.trace(&TraceFilter::default());
    let payloads = [
        short(&katran_id(1, 7)),
        short(&katran_id(1, 8)),
        short(&katran_id(4, 7)),
    ];
    for payload in payloads {
        host.push(quic::datagram(&payload).frame(), false);
    }
    let told: Vec<(bool, bool)> = (traces(host)?.iter())
        .map(|trace| (trace.quic_named, trace.quic_live))
        .collect();
    let expected = vec![(true, true), (true, false), (false, false)];
    same("named, live", &told, &expected)
}

fn admission(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.start_records(4)?;
    host.trace(&TraceFilter::default());
    host.write(core::EGRESS_THRESHOLD + 8, 0);
    host.push(packet(4000).frame(), false);
    let seen = traces(host)?;
    same("traces", &seen.len(), &1)?;
    same("decided", &seen[0].decided, &Disposition::ForwardRing.raw())?;
    same(
        "what became of it",
        &seen[0].disposition,
        &Disposition::DropEgressOverload.raw(),
    )?;
    same("its backend", &seen[0].backend, &BACKEND)
}

fn filter(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.start_records(4)?;
    let all = TraceFilter::default();
    let whole = u128::MAX;
    let cases = [
        (all, true),
        (
            TraceFilter {
                source: (CLIENT, whole),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                source: (CLIENT ^ 1, whole),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                source: (CLIENT ^ 1, !0xff),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                source: (CLIENT | 1 << 100, whole),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                destination: (SERVER, whole),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                destination: (SERVER ^ 1 << 31, 1 << 31),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                source_port: (4000, NONE),
                destination_port: (80, NONE),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                source_port: (4001, NONE),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                source_port: (4001, 0xfffe),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                destination_port: (4000, NONE),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                protocol: (6, 0xff),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                protocol: (17, 0xff),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                ipv6: Some(false),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                ipv6: Some(true),
                ..all
            },
            false,
        ),
        (
            TraceFilter {
                vip: Some(VIP),
                ..all
            },
            true,
        ),
        (
            TraceFilter {
                vip: Some(VIP + 1),
                ..all
            },
            false,
        ),
    ];
    for (filter, traced) in cases {
        host.trace(&filter);
        host.push(packet(4000).frame(), false);
        let seen = traces(host)?;
        same(
            &format!("traced by {filter:02x?}"),
            &!seen.is_empty(),
            &traced,
        )?;
    }
    // VIP 0 and no VIP are not the same
    host.trace(&TraceFilter {
        vip: Some(0),
        ..all
    });
    host.push(arp(), false);
    same("an ARP frame of VIP 0", &traces(host)?, &Vec::new())?;
    host.write(core::TRACE_FILTER, 0);
    host.push(arp(), false);
    same("without `enable`", &traces(host)?, &Vec::new())
}

fn sampling(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.start_records(4)?;
    for _ in 0..2 {
        host.trace(&TraceFilter {
            sample_log2: 2,
            destination_port: (80, NONE),
            ..TraceFilter::default()
        });
        for port in 0..10 {
            host.push(arp(), false);
            host.push(packet(4000 + port).frame(), false);
        }
        let seen = traces(host)?;
        let ports: Vec<u16> = seen.iter().map(|trace| trace.source_port).collect();
        same("traced", &ports, &vec![4000, 4004, 4008])?;
    }
    Ok(())
}

fn flow_events(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Learn)?;
    host.start_records(4)?;
    host.pass_time(3)?;
    for flags in [2, ACK, ACK] {
        let spec = PacketSpec {
            flags,
            ..packet(4000)
        };
        host.push(spec.frame(), false);
        host.settle()?;
    }
    host.install(&flow(4001), 0, 0)?;
    let key = super::super::tables::key_of(&flow(4000));
    let index = host.flow_place(&key, 0, 0);
    let expected = FlowEventRecord {
        phase: true,
        kind: RecordKind::FlowEvent.raw(),
        timestamp: host.read(core::TIME_US_LOW),
        destination_port: 80,
        source_port: 4000,
        source: CLIENT,
        vip: VIP,
        backend: BACKEND,
        generation: GENERATION,
        index: index as u32,
        ..FlowEventRecord::default()
    };
    let told = host.take_records()?;
    same("what is told", &told, &vec![Told::FlowEvent(expected)])?;
    same(
        "flow events made",
        &host.read(card::RECORD + record::FLOW_EVENTS),
        &1,
    )
}

fn lost(host: &mut TestHost<'_>) -> Result<u64, HarnessError> {
    count(host, PortCounter::RecordLost.raw())
}

/// Frames one after another, so that what a bridge delays cannot be what is lost.
fn push_each(host: &mut TestHost<'_>, frames: usize) -> Result<(), HarnessError> {
    for _ in 0..frames {
        host.push(arp(), false);
        host.settle()?;
        host.receive()?;
    }
    Ok(())
}

fn loss(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core::CONTROL, 1);
    host.start_records(1)?;
    host.trace(&TraceFilter::default());
    push_each(host, 2 + RECORDS_WAITING)?;
    same("nothing is lost", &lost(host)?, &0)?;
    push_each(host, 5)?;
    same("what found no room", &lost(host)?, &5)?;
    let made = 7 + RECORDS_WAITING as u32;
    same(
        "traces made",
        &host.read(card::RECORD + record::TRACES),
        &made,
    )?;
    let mut numbers = Vec::new();
    for _ in 0..RECORDS_WAITING {
        let seen = traces(host)?;
        numbers.extend(seen.iter().map(|trace| trace.sequence_number));
    }
    push_each(host, 1)?;
    numbers.extend(traces(host)?.iter().map(|trace| trace.sequence_number));
    let expected: Vec<u32> = (0..made - 5).chain([made]).collect();
    same("the numbers, with a gap", &numbers, &expected)?;
    same("frames for the host", &lost(host)?, &5)
}

fn lost_events(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Learn)?;
    host.start_records(1)?;
    let flows = 2 + RECORDS_WAITING as u16 + 5;
    for port in 4000..4000 + flows {
        host.push(packet(port).frame(), false);
        host.settle()?;
    }
    same(
        "learned",
        &count(host, PortCounter::Learned.raw())?,
        &u64::from(flows),
    )?;
    same("what found no room", &lost(host)?, &5)
}

fn wraps(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core::CONTROL, 1);
    host.start_records(2)?;
    host.trace(&TraceFilter::default());
    for number in 0..18u32 {
        let index = host.read(card::RECORD + at::PROGRESS);
        same("the producer", &index, &number)?;
        host.memory.take_messages();
        host.write(card::RECORD + at::ARM, index);
        host.settle()?;
        same("no news", &host.memory.take_messages(), &Vec::new())?;
        push_each(host, 1)?;
        let message = (MSI_BASE + 28, 0x107);
        same("one message", &host.memory.take_messages(), &vec![message])?;
        let seen = traces(host)?;
        same("records", &seen.len(), &1)?;
        same("its number", &seen[0].sequence_number, &number)?;
    }
    Ok(())
}

fn forgets(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core::CONTROL, 1);
    host.trace(&TraceFilter::default());
    push_each(host, 3)?;
    for by_reset in [false, true] {
        host.start_records(1)?;
        push_each(host, 6)?;
        same("the ring is full", &host.look_at_records()?.len(), &2)?;
        if by_reset {
            host.card.host_reset(&mut host.memory);
            host.attach()?;
        } else {
            host.write(card::RECORD + at::CONFIG, 0);
            host.settle()?;
        }
        push_each(host, 1)?;
        same(
            "no ring, no traces",
            &host.read(card::RECORD + record::TRACES),
            &0,
        )?;
        host.start_records(4)?;
        push_each(host, 1)?;
        let numbers: Vec<u32> = traces(host)?
            .iter()
            .map(|trace| trace.sequence_number)
            .collect();
        same("a new beginning", &numbers, &vec![0])?;
    }
    same("nothing counts as lost", &lost(host)?, &0)
}

fn stops(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    use crate::card::FunctionState;
    host.write(core::CONTROL, 1);
    host.trace(&TraceFilter::default());
    for (base, size, expected) in [
        (0x20, 4, Status::BadAddress),
        (0, 0, Status::OutOfRange),
        (0, 13, Status::OutOfRange),
    ] {
        host.memory.take_messages();
        host.write(card::RECORD + at::CONFIG, 0);
        host.write(card::RECORD + at::BASE_LOW, base);
        host.write(card::RECORD + at::CONFIG, at::ENABLE | size);
        host.settle()?;
        same("the status", &host.record_status(), &expected.raw())?;
        let event = (MSI_BASE + 24, 0x106);
        same("the event", &host.memory.take_messages(), &vec![event])?;
    }
    host.start_records(4)?;
    let blind = FunctionState {
        bus_master: false,
        msix_enable: true,
        msix_mask: false,
    };
    host.card.set_function(blind);
    host.push(arp(), false);
    host.run(2000);
    same("nothing written", &host.take_records()?, &Vec::new())?;
    host.card.set_function(FunctionState {
        bus_master: true,
        ..blind
    });
    same("the record that waited", &traces(host)?.len(), &1)?;
    let base = host.records_base();
    host.memory.refuse(base..base + 64 * 16);
    host.push(arp(), false);
    host.settle()?;
    host.memory.refuse_nothing();
    same(
        "without memory",
        &host.record_status(),
        &Status::DmaError.raw(),
    )?;
    host.receive().map(drop)
}
