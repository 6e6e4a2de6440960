//! A flood of spoofed SYNs on one metered VIP fills the wire, while the way out is slower than it: nobody else loses a frame, and a
//! ring change in the middle moves no connection.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of a test

use guideway_hdl::descriptors::{Command, Expect, Opcode};
use guideway_hdl::tables::{FlowRecord, MissPolicy, NextHopEntry, Table, VipEntry, VipMatch};
use guideway_hdl::verdict::{Disposition, EgressClass};
use guideway_sim::card::TickSource;
use guideway_sim::harness::{TestHost, frame::PacketSpec, key_of, random::Random};
use guideway_sim::registers::core as at;
use guideway_sim::rtl::{RtlCard, RtlConfig};
use guideway_tests::figures::WAYS;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const BURST: u16 = 20;

/// Who sends, and the VIP of the same number that it is for: 10.200.1.(number).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Flood = 1,
    Hit = 2,
    ByRing = 3,
    Punted = 4,
    Control = 5,
}

const VIPS: [(Kind, MissPolicy); 4] = [
    (Kind::Flood, MissPolicy::Punt),
    (Kind::Hit, MissPolicy::Stateless),
    (Kind::ByRing, MissPolicy::Stateless),
    (Kind::Punted, MissPolicy::Punt),
];
const FLOWS: u16 = 500;
/// The ring's backend, and that of the ring after it.
const OLD: u16 = 0;
const NEW: u16 = 1;

fn frame(kind: Kind, source: [u8; 4], port: u16, flags: u8, payload: usize) -> Vec<u8> {
    let mut frame = PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 9]),
        source: source.into(),
        destination: [10, 200, 1, kind as u8].into(),
        protocol: 6,
        ports: (port, 80),
        flags,
        traffic_class: 0,
        payload: vec![0; payload],
    }
    .frame();
    frame.resize(frame.len().max(60), 0);
    if kind == Kind::Control {
        frame[12..14].copy_from_slice(&[8, 6]); // ARP
    }
    frame
}

/// `rate`: misses a millisecond of the flood's VIP that reach the host. Returns the known flows and their places.
fn program(host: &mut TestHost<'_>, rate: u32) -> Vec<(FlowRecord, (u8, u8))> {
    let random = &mut Random::new(7);
    host.set_secrets(std::array::from_fn(|_| {
        std::array::from_fn(|_| random.word())
    }));
    host.write(at::MAC_LOW, 1);
    host.write(at::MAC_HIGH, 0x0200);
    let next_hop = NextHopEntry {
        destination: 0x0000_dead_beaf,
        ..NextHopEntry::default()
    };
    host.set_next_hop(0, &next_hop).unwrap();
    for backend in [OLD, NEW] {
        host.set_backend(backend, &WAYS[0].backend(backend))
            .unwrap();
    }
    host.set_ring(0, &[OLD; 7]).unwrap();
    host.set_pool(0, 0, 7).unwrap();
    for (kind, policy) in VIPS {
        let vip = kind as u16;
        let entry = VipEntry {
            miss_policy: policy.raw(),
            mtu: 1500,
            meter_rate: if kind == Kind::Flood { rate } else { 0 },
            meter_burst: BURST,
            ..VipEntry::default()
        };
        host.set_vip(vip, &entry).unwrap();
        let key = VipMatch {
            port: 80,
            protocol: 6,
            address: 0x0ac8_0100 | u128::from(vip),
            valid: true,
            vip,
            ..VipMatch::default()
        };
        host.add_match(&key).unwrap();
    }
    let known = |port: u16| FlowRecord {
        destination_port: 80,
        source_port: port,
        source: 0x0a01_0101,
        vip: Kind::Hit as u16,
        backend: OLD,
        generation: 1,
        confirmed: true,
        ..FlowRecord::default()
    };
    let flows = (0..FLOWS).map(|port| {
        let place = host.install(&known(port), (port % 4) as u8, 0).unwrap();
        (known(port), place)
    });
    let flows = flows.collect();
    for (class, beats) in [(EgressClass::OverMeter, 1024), (EgressClass::New, 3072)] {
        host.write(at::EGRESS_THRESHOLD + 4 * u32::from(class.raw()), beats);
    }
    host.write(at::HEARTBEAT, u32::MAX);
    host.write(at::CONTROL, 1);
    host.settle_meters().unwrap();
    flows
}

/// What a host does for another ring: pins the flows that it would move, writes it beside the old one, makes it live.
fn swap(host: &mut TestHost<'_>, flows: &[(FlowRecord, (u8, u8))]) {
    let pin = |(record, (bank, way)): &(FlowRecord, (u8, u8))| Command {
        backend: record.backend,
        generation: record.generation,
        confirmed: true,
        pinned: true,
        expectation: Expect::Same.raw(),
        ..TestHost::flow_command(Opcode::Insert, &key_of(record), *bank, *way)
    };
    host.orders(&flows.iter().map(pin).collect::<Vec<_>>())
        .unwrap();
    host.set_ring(32, &[NEW; 7]).unwrap();
    host.set_pool(0, 32, 7).unwrap();
}

/// A flood, and what goes on beside it.
struct Flood {
    frames: usize,
    /// Bytes that its frames carry.
    payload: usize,
    /// Misses a millisecond that reach the host.
    rate: u32,
    tx_stall_percent: u8,
    /// At least so many of its frames find no way out.
    short: u64,
    /// The ring changes when a quarter of the frames have come.
    swap: bool,
}

/// A 60-byte frame each second cycle, more than a 100G wire brings; a tenth of the cycles the way out stands still.
const SYNS: Flood = Flood {
    frames: 30_000,
    payload: 0,
    rate: 1500,
    tx_stall_percent: 10,
    short: 500,
    swap: false,
};

#[test]
fn a_flood_of_syns_loses_only_its_own() {
    play(&SYNS);
}

#[test]
fn a_ring_change_in_a_flood_moves_no_known_flow() {
    play(&Flood { swap: true, ..SYNS });
}

#[test]
fn a_flood_of_large_frames_loses_only_its_own() {
    // what waits for the way out would fill the payload ring for everybody, were it counted in frames
    play(&Flood {
        frames: 6_000,
        payload: 1440,
        rate: 200,
        tx_stall_percent: 20,
        short: 100,
        ..SYNS
    });
}

fn play(flood: &Flood) {
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: 1,
        tx_stall_percent: flood.tx_stall_percent,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(&mut card).unwrap();
    let flows = program(&mut host, flood.rate);
    let random = &mut Random::new(1);
    let mut sent = [0u64; 6];
    for i in 0..flood.frames {
        let kind = match i % 100 {
            0 => Kind::Control,
            50 if i % 300 == 50 => Kind::Punted,
            1..=20 => Kind::Hit,
            21..=30 => Kind::ByRing,
            _ => Kind::Flood,
        };
        let (source, port, flags) = match kind {
            Kind::Hit => ([10, 1, 1, 1], random.half() % FLOWS, 0x10),
            _ => (random.word().to_be_bytes(), random.half(), 0x02),
        };
        let payload = if kind == Kind::Flood {
            flood.payload
        } else {
            0
        };
        host.push(frame(kind, source, port, flags, payload), false);
        sent[kind as usize] += 1;
    }
    host.card.set_tick_source(TickSource::Clock);
    let begin = host.read(at::TIME_US_LOW);
    let mut swapped = false;
    while host.card.wire_waiting() > 0 {
        if flood.swap && !swapped && host.card.wire_waiting() < flood.frames / 4 * 3 {
            swap(&mut host, &flows);
            swapped = true;
            assert!(
                host.card.wire_waiting() > flood.frames / 10,
                "the flood was over"
            );
        }
        host.run(1000);
    }
    let micros = u64::from(host.read(at::TIME_US_LOW) - begin);
    host.card.set_tick_source(TickSource::Given);
    host.settle().unwrap();
    while !host.receive().unwrap().is_empty() {
        host.settle().unwrap();
    }

    let counters = host.counters().unwrap();
    let count = |disposition: Disposition| counters[usize::from(disposition.raw())];
    let of = |kind: Kind| sent[kind as usize];
    let punts = count(Disposition::HostPunt) - of(Kind::Punted);
    let over = count(Disposition::ForwardOverMeter);
    let lost = count(Disposition::DropEgressOverload);
    println!(
        "{} of the flood in {micros} us: {punts} punted, {over} by the ring, {lost} lost",
        of(Kind::Flood)
    );

    // nobody else lost anything
    assert_eq!(count(Disposition::ForwardHit), of(Kind::Hit));
    assert_eq!(count(Disposition::ForwardRing), of(Kind::ByRing));
    assert_eq!(count(Disposition::HostControl), of(Kind::Control));
    // the flood's frames are all counted, and it was one
    assert_eq!(punts + over + lost, of(Kind::Flood));
    assert!(lost > flood.short, "the way out was not short: {lost}");
    let drops = Disposition::ALL.iter().filter(|d| d.is_drop());
    assert_eq!(drops.map(|d| count(*d)).sum::<u64>(), lost);
    let admitted = micros * u64::from(flood.rate) / 1000;
    assert!(punts <= u64::from(BURST) + admitted + 8, "{punts} punts");
    assert!(punts + 8 >= u64::from(BURST) + admitted, "{punts} punts");

    // by VIP
    let vips = host.table_counters(Table::VipCounter).unwrap();
    let metered = host.table_counters(Table::VipOverMeter).unwrap();
    for (kind, _) in VIPS {
        let vip = kind as usize;
        assert_eq!(vips[vip].packets, of(kind), "{kind:?}");
        let expected = if kind == Kind::Flood { over + lost } else { 0 };
        assert_eq!(metered[vip].packets, expected, "{kind:?}");
    }
    host.check_conservation().unwrap();
    let out = host.take_sent();
    for kind in [Kind::Hit, Kind::ByRing] {
        let to = [10, 200, 1, kind as u8];
        let backends: Vec<u16> = out
            .iter()
            .filter(|frame| frame[50..54] == to)
            .map(|frame| u16::from_be_bytes([frame[32], frame[33]]))
            .collect();
        assert_eq!(backends.len() as u64, of(kind), "{kind:?}");
        // known flows stay; what goes by the ring goes by the old one, then by the new one
        let new = backends.iter().filter(|backend| **backend == NEW).count();
        assert_eq!(new > 0, flood.swap && kind == Kind::ByRing, "{kind:?}");
        assert!(backends.is_sorted(), "{kind:?}");
    }
    for (record, (bank, way)) in flows {
        let place = host.flow_place(&key_of(&record), bank, way);
        let entry = FlowRecord::from_bytes(
            host.dump(Table::Flow, place, 1).unwrap()[0]
                .first_chunk()
                .unwrap(),
        );
        let found = (entry.source_port, entry.vip, entry.backend, entry.pinned);
        let expected = (record.source_port, record.vip, OLD, flood.swap);
        assert!(
            entry.valid && entry.confirmed && found == expected,
            "{entry:?}"
        );
    }
}
