//! A flood of spoofed SYNs on one metered VIP fills the wire, while the way out is slower than it: nobody else loses a frame.

#![allow(clippy::unwrap_used)] // helpers of a test

use guideway_hdl::tables::{FlowRecord, MissPolicy, NextHopEntry, Table, VipEntry, VipMatch};
use guideway_hdl::verdict::{Disposition, EgressClass};
use guideway_sim::card::TickSource;
use guideway_sim::harness::{TestHost, frame::PacketSpec, random::Random};
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

/// `rate`: misses a millisecond of the flood's VIP that reach the host.
fn program(host: &mut TestHost<'_>, rate: u32) {
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
    host.set_backend(0, &WAYS[0].backend(0)).unwrap();
    host.set_ring(0, &[0; 7]).unwrap();
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
    for port in 0..FLOWS {
        let record = FlowRecord {
            destination_port: 80,
            source_port: port,
            source: 0x0a01_0101,
            vip: Kind::Hit as u16,
            backend: 0,
            generation: 1,
            confirmed: true,
            ..FlowRecord::default()
        };
        host.install(&record, (port % 4) as u8, 0).unwrap();
    }
    for (class, beats) in [(EgressClass::OverMeter, 1024), (EgressClass::New, 3072)] {
        host.write(at::EGRESS_THRESHOLD + 4 * u32::from(class.raw()), beats);
    }
    host.write(at::HEARTBEAT, u32::MAX);
    host.write(at::CONTROL, 1);
    host.settle_meters().unwrap();
}

#[test]
fn a_flood_of_syns_loses_only_its_own() {
    // a 60-byte frame each second cycle, more than a 100G wire brings; a tenth of the cycles the way out stands still
    flood(30_000, 0, 1500, 10, 500);
}

#[test]
fn a_flood_of_large_frames_loses_only_its_own() {
    // what waits for the way out would fill the payload ring for everybody, were it counted in frames
    flood(6_000, 1440, 200, 20, 100);
}

/// Plays `frames`, of which the flood's carry `payload` bytes; at least `short` of them must find no way out.
fn flood(frames: usize, payload: usize, rate: u32, tx_stall_percent: u8, short: u64) {
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: 1,
        tx_stall_percent,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(&mut card).unwrap();
    program(&mut host, rate);
    let random = &mut Random::new(1);
    let mut sent = [0u64; 6];
    for i in 0..frames {
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
        let payload = if kind == Kind::Flood { payload } else { 0 };
        host.push(frame(kind, source, port, flags, payload), false);
        sent[kind as usize] += 1;
    }
    host.card.set_tick_source(TickSource::Clock);
    let begin = host.read(at::TIME_US_LOW);
    while host.card.wire_waiting() > 0 {
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
    assert!(lost > short, "the way out was not short: {lost}");
    let drops = Disposition::ALL.iter().filter(|d| d.is_drop());
    assert_eq!(drops.map(|d| count(*d)).sum::<u64>(), lost);
    let admitted = micros * u64::from(rate) / 1000;
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
        let left = out.iter().filter(|frame| frame[50..54] == to).count();
        assert_eq!(left as u64, of(kind), "{kind:?}");
    }
}
