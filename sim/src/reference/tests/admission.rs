//! Queues that fill up: each refuses by its own name, exactly at its size.

use guideway_hdl::tables::MissPolicy;
use guideway_hdl::verdict::{Disposition, PortCounter};

use crate::card::FunctionState;
use crate::harness::TestHost;
use crate::harness::conformance::{arp, balance, flow, packet};
use crate::reference::ReferenceCard;
use crate::registers::core as at;

fn count(host: &mut TestHost<'_>, number: u8) -> u64 {
    host.counters().expect("counters")[usize::from(number)]
}

/// A frame of one beat that leaves as two.
fn small(source_port: u16) -> Vec<u8> {
    let mut frame = packet(source_port).frame();
    frame.resize(60, 0);
    frame
}

#[test]
fn class_buffers_refuse_at_their_size() {
    let mut card = ReferenceCard::new();
    let mut host = TestHost::new(&mut card).expect("a card");
    balance(&mut host, MissPolicy::Punt).expect("tables");
    host.write(at::HEARTBEAT, 1_000_000);
    // without bus mastering nothing leaves the buffers
    host.card.set_function(FunctionState::default());
    for source_port in 0..1100 {
        host.push(small(source_port), false);
    }
    for _ in 0..600 {
        host.push(arp(), false);
    }
    host.run(20_000);
    assert!(host.card.is_idle());
    assert_eq!(host.read(at::IN_FLIGHT), 1024 + 512);
    assert_eq!(host.read(at::STATUS) & 4, 0);
    host.card.host_reset(&mut host.memory);
    host.attach().expect("a card");
    assert_eq!(count(&mut host, Disposition::DropPuntFull.raw()), 76);
    assert_eq!(count(&mut host, Disposition::DropHostFull.raw()), 88);
    assert_eq!(count(&mut host, PortCounter::HostGone.raw()), 1024 + 512);
    host.check_conservation().expect("no frame is lost");
}

#[test]
fn bursts_are_absorbed_up_to_the_payload_ring() {
    let mut card = ReferenceCard::new();
    let mut host = TestHost::new(&mut card).expect("a card");
    balance(&mut host, MissPolicy::Punt).expect("tables");
    host.install(&flow(4000), 0, 0).expect("a place");
    for _ in 0..4096 {
        host.push(small(4000), false);
    }
    host.settle().expect("rest");
    assert_eq!(host.take_sent().len(), 4096);
    for _ in 0..20_000 {
        host.push(small(4000), false);
    }
    host.settle().expect("rest");
    let sent = host.take_sent().len() as u64;
    let full = count(&mut host, Disposition::DropIngressFull.raw());
    assert!(full > 1000, "{full}");
    assert_eq!(sent + full, 20_000);
    host.check_conservation().expect("no frame is lost");
}

#[test]
fn a_class_is_refused_at_its_threshold() {
    let mut card = ReferenceCard::new();
    let mut host = TestHost::new(&mut card).expect("a card");
    balance(&mut host, MissPolicy::Stateless).expect("tables");
    host.install(&flow(4000), 0, 0).expect("a place");
    host.write(at::EGRESS_THRESHOLD + 8, 10); // new flows
    for i in 0..200 {
        host.push(small(if i % 2 == 0 { 4000 } else { 4001 }), false);
    }
    host.settle().expect("rest");
    assert_eq!(count(&mut host, Disposition::ForwardHit.raw()), 100);
    let over = count(&mut host, Disposition::DropEgressOverload.raw());
    assert!((50..100).contains(&over), "{over}");
    host.check_conservation().expect("no frame is lost");
}
