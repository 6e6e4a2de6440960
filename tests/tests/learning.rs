//! The card learns at the wire's rate: how full its table gets, that nothing is learned twice, and that floods cost no confirmed flow.
//!
//! Frames of 60 bytes come one each two cycles, which is the rate of the shortest frames.

#![allow(clippy::unwrap_used)] // helpers of a test

use guideway::{
    card::flow::{FlowTarget, insert, relocate},
    card::{BackendId, SecretSource, Secrets},
    slow_path::placement::Occupancy,
};
use guideway_hdl::{
    descriptors::{Expect, Status},
    tables::{FLOWS, FlowKey, FlowRecord, MissPolicy, Table, VipMatch},
    verdict::{Disposition, PortCounter},
};
use guideway_sim::{
    harness::{TestHost, frame::PacketSpec, random::Random},
    reference::ReferenceCard,
    rtl::{RtlCard, RtlConfig},
};
use guideway_tests::figures;
use std::collections::{BTreeMap, HashMap};

const BACKENDS: u16 = 64;
const SIZE: u16 = 1021;
const SYN: u8 = 2;
const ACK: u8 = 0x10;

/// A client: address and port.
type Client = (u32, u16);

fn frame((address, port): Client, flags: u8) -> Vec<u8> {
    PacketSpec {
        ethernet: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]),
        source: std::net::Ipv4Addr::from(address).into(),
        destination: [10, 200, 1, 1].into(),
        protocol: 6,
        ports: (port, 80),
        flags,
        traffic_class: 0,
        payload: vec![0; 6],
    }
    .frame()
}

/// Balances 10.200.1.1:80/tcp over 64 backends; keys are spread by secrets from this seed.
fn program(host: &mut TestHost<'_>, seed: u64, policy: MissPolicy) {
    let slots: Vec<u16> = (0..SIZE).map(|slot| slot * 7 % BACKENDS).collect();
    figures::program(host, BACKENDS, &slots, policy).unwrap();
    let random = &mut Random::new(seed);
    host.set_secrets(std::array::from_fn(|_| {
        std::array::from_fn(|_| random.word())
    }));
    let key = VipMatch {
        port: 80,
        protocol: 6,
        address: 0x0ac8_0101,
        valid: true,
        vip: figures::flow(0, 0).vip,
        ..VipMatch::default()
    };
    host.add_match(&key).unwrap();
}

fn clients(random: &mut Random, count: usize) -> Vec<Client> {
    (0..count)
        .map(|_| (random.word() | 0x8000_0000, random.half()))
        .collect()
}

/// Sends frames back to back and waits until all is over.
fn send(host: &mut TestHost<'_>, clients: &[Client], flags: u8) {
    for client in clients {
        host.push(frame(*client, flags), false);
    }
    host.settle().unwrap();
}

fn count(counters: &[u64], number: u8) -> u64 {
    counters[usize::from(number)]
}

/// Entries learned, displaced and refused.
fn learned(host: &mut TestHost<'_>) -> [u64; 3] {
    let counters = host.counters().unwrap();
    [
        PortCounter::Learned,
        PortCounter::LearnDisplaced,
        PortCounter::LearnRefused,
    ]
    .map(|counter| count(&counters, counter.raw()))
}

/// The table's entries, by client.
fn table(host: &mut TestHost<'_>) -> HashMap<Client, FlowRecord> {
    let mut found = HashMap::new();
    for entry in host.dump(Table::Flow, 0, FLOWS).unwrap() {
        let record = FlowRecord::from_bytes(&std::array::from_fn(|i| entry[i]));
        if record.valid {
            let client = ((record.source & 0xffff_ffff) as u32, record.source_port);
            assert_eq!(
                found.insert(client, record),
                None,
                "{client:x?} is there twice"
            );
        }
    }
    found
}

/// What stands in the way of a load: the part of the table that is filled when the first flow is displaced.
fn load_at_first_displaced(host: &mut TestHost<'_>, seed: u64) -> f64 {
    program(host, seed, MissPolicy::Learn);
    let random = &mut Random::new(seed + 1);
    loop {
        send(host, &clients(random, 400), SYN);
        let [learned, displaced, _] = learned(host);
        if displaced > 0 {
            return (learned - displaced) as f64 / FLOWS as f64;
        }
        host.take_sent();
    }
}

#[test]
fn three_quarters_are_filled_before_the_first_is_displaced() {
    for seed in [1, 2, 3] {
        let card = &mut ReferenceCard::new();
        let load = load_at_first_displaced(&mut TestHost::new(card).unwrap(), seed);
        println!(
            "seed {seed}: {:.1} % at the first displaced flow, by the model",
            100.0 * load
        );
        assert!(load >= 0.75, "seed {seed}: {load}");
    }
    let card = &mut RtlCard::new(RtlConfig {
        rx_gap: 1,
        ..RtlConfig::default()
    });
    let load = load_at_first_displaced(&mut TestHost::new(card).unwrap(), 4);
    println!(
        "seed 4: {:.1} % at the first displaced flow, by the RTL",
        100.0 * load
    );
    assert!(load >= 0.75, "the RTL: {load}");
}

/// The host's own plans, each carried out on a card by its commands: what the picture says is what the card does.
#[test]
fn the_hosts_moves_fill_the_table() {
    for seed in [1, 2] {
        let card = &mut ReferenceCard::new();
        let mut host = TestHost::new(card).unwrap();
        let secrets = Secrets::draw(SecretSource::Seed(seed)).unwrap();
        host.set_secrets(std::array::from_fn(|bank| *secrets.bank(bank)));
        let mut occupancy = Occupancy::new(secrets, usize::MAX);
        let random = &mut Random::new(seed);
        let mut moved = 0;
        let target = FlowTarget {
            backend: BackendId(5),
            generation: 1,
            pinned: false,
            confirmed: true,
        };
        loop {
            let key = FlowKey {
                destination_port: 80,
                source_port: random.half(),
                source: random.word().into(),
                vip: 3,
            };
            if occupancy.find(&key).is_some() {
                continue;
            }
            let Ok(plan) = occupancy.plan(&key) else {
                break;
            };
            let mut commands = Vec::new();
            for step in plan.moves {
                commands.push(relocate(&step.key, step.from, step.to));
                occupancy.set(step.key, step.to);
                moved += 1;
            }
            commands.push(insert(&key, plan.place, &target, Expect::Free));
            occupancy.set(key, plan.place);
            for command in commands {
                let status = host.command(command).unwrap().status;
                assert_eq!(status, Status::Ok.raw(), "seed {seed}: {command:?}");
            }
        }
        let load = occupancy.len() as f64 / FLOWS as f64;
        println!(
            "seed {seed}: {:.1} % at the first flow that the host cannot place, {moved} moves",
            100.0 * load
        );
        assert!(load >= 0.98, "seed {seed}: {load}");
        let held = host.dump(Table::Flow, 0, FLOWS).unwrap();
        let valid = held
            .iter()
            .filter(|entry| FlowRecord::from_bytes(&std::array::from_fn(|i| entry[i])).valid);
        assert_eq!(valid.count(), occupancy.len());
    }
}

#[test]
fn a_flow_is_learned_once_whatever_the_rate() {
    let random = &mut Random::new(7);
    let flows = clients(random, 48);
    let packets: Vec<Client> = (0..12_000).map(|_| *random.pick(&flows)).collect();
    // where the ring sends each, by the model
    let mut by_ring: BTreeMap<Client, Vec<u8>> = BTreeMap::new();
    let model = &mut ReferenceCard::new();
    let mut host = TestHost::new(model).unwrap();
    program(&mut host, 7, MissPolicy::Stateless);
    for client in &flows {
        send(&mut host, &[*client], ACK);
        by_ring.insert(*client, host.take_sent().pop().unwrap());
    }

    for gap in [0, 1, 3] {
        let card = &mut RtlCard::new(RtlConfig {
            rx_gap: gap,
            ..RtlConfig::default()
        });
        let mut host = TestHost::new(card).unwrap();
        program(&mut host, 7, MissPolicy::Learn);
        // at one frame a cycle, no more than the card can hold
        for batch in packets.chunks(2000) {
            send(&mut host, batch, ACK);
        }
        let sent = host.take_sent();
        assert_eq!(sent.len(), packets.len());
        for (client, frame) in packets.iter().zip(&sent) {
            assert_eq!(
                frame, &by_ring[client],
                "gap {gap}: a packet of {client:x?}"
            );
        }
        let found = table(&mut host);
        assert_eq!(found.len(), flows.len(), "gap {gap}");
        for (client, record) in &found {
            let backend = 0x0a00_0000 | u32::from(record.backend);
            assert_eq!(by_ring[client][30..34], backend.to_be_bytes());
            assert!(record.confirmed, "gap {gap}: each came again");
        }
        let counters = host.counters().unwrap();
        let [learned, displaced, refused] = learned(&mut host);
        assert_eq!(learned, flows.len() as u64, "gap {gap}");
        assert_eq!(displaced, 0);
        let ring = count(&counters, Disposition::ForwardRing.raw());
        assert_eq!(learned + refused, ring, "gap {gap}: each miss asked");
        host.check_conservation().unwrap();
    }
}

#[test]
fn a_flood_evicts_no_confirmed_flow() {
    let card = &mut RtlCard::new(RtlConfig {
        rx_gap: 1,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(card).unwrap();
    program(&mut host, 11, MissPolicy::Learn);
    let random = &mut Random::new(12);
    let known = clients(random, 4000);
    send(&mut host, &known, SYN);
    // what was refused for another's sake is learned or confirmed by a later packet
    for _ in 0..6 {
        send(&mut host, &known, ACK);
    }
    host.take_sent();
    let flood = clients(random, 90_000);
    send(&mut host, &flood, SYN);
    assert_eq!(host.take_sent().len(), flood.len(), "each went by the ring");
    let counters = host.counters().unwrap();
    let hits = count(&counters, Disposition::ForwardHit.raw());
    let ring = count(&counters, Disposition::ForwardRing.raw());
    let [learned, displaced, refused] = learned(&mut host);
    println!("{learned} learned, {displaced} of them in another's place, {refused} refused");
    assert!(displaced > 1000, "the flood must fill the table");
    assert_eq!(learned + refused, ring);
    send(&mut host, &known, ACK);
    let counters = host.counters().unwrap();
    let after = count(&counters, Disposition::ForwardHit.raw());
    assert_eq!(after - hits, known.len() as u64, "a confirmed flow is gone");
    let found = table(&mut host);
    assert_eq!(found.len() as u64, learned - displaced);
    assert!(known.iter().all(|client| found[client].confirmed));
    host.check_conservation().unwrap();
}
