//! A ring swap while the wire is full: each packet follows the whole old ring or the whole new one.

#![allow(clippy::unwrap_used)] // helpers of a test

use guideway_hdl::{
    descriptors::{Command, Opcode},
    tables::{MissPolicy, SLOT_EMPTY},
};
use guideway_sim::{
    harness::TestHost,
    reference::ReferenceCard,
    rtl::{DmaTiming, RtlCard, RtlConfig},
};
use guideway_tests::figures;

const BACKENDS: u16 = 64;
const SIZE: usize = 1021;
const NEW_BASE: u32 = 32 * 64;
const FRAMES: u32 = 12_000;

/// Where each client's frame goes by a ring of its own, as the reference model has it.
fn by_ring(slots: &[u16]) -> Vec<Vec<u8>> {
    let mut card = ReferenceCard::new();
    let mut host = TestHost::new(&mut card).unwrap();
    figures::program(&mut host, BACKENDS, slots, MissPolicy::Stateless).unwrap();
    (0..FRAMES)
        .map(|client| {
            host.push(figures::frame(client, 60), false);
            host.settle().unwrap();
            host.take_sent().pop().unwrap()
        })
        .collect()
}

#[test]
fn every_packet_follows_one_whole_ring() {
    // no slot is the same in both, so that every packet tells
    let old: Vec<u16> = (0..SIZE).map(|slot| (slot % 32) as u16).collect();
    let new: Vec<u16> = (0..SIZE).map(|slot| 32 + (slot * 7 % 32) as u16).collect();
    let (by_old, by_new) = (by_ring(&old), by_ring(&new));

    for seed in 0..8 {
        // the swap falls on another cycle each time
        let dma = DmaTiming {
            latency: 1..=150,
            reorder: true,
            stall_percent: 10,
        };
        let mut card = RtlCard::new(RtlConfig {
            seed,
            rx_gap: 1,
            dma,
            ..RtlConfig::default()
        });
        let mut host = TestHost::new(&mut card).unwrap();
        figures::program(&mut host, BACKENDS, &old, MissPolicy::Stateless).unwrap();
        host.set_ring(NEW_BASE, &new).unwrap();
        for client in 0..FRAMES {
            host.push(figures::frame(client, 60), false);
        }
        host.run(4000 + seed);
        figures::swap_ring(&mut host, NEW_BASE, SIZE as u32).unwrap();
        host.order(Command {
            opcode: Opcode::Fence.raw(),
            ..Command::default()
        })
        .unwrap();
        assert!(
            host.card.wire_waiting() > 1000,
            "seed {seed}: the wire must still be full when the fence has completed"
        );
        // the fence has said that nobody reads the old region any more: make it poison
        host.set_ring(0, &[SLOT_EMPTY; SIZE]).unwrap();
        assert!(
            host.card.wire_waiting() > 0,
            "seed {seed}: the wire must still be full when the region is reused"
        );
        host.settle().unwrap();

        let sent = host.take_sent();
        assert_eq!(sent.len(), FRAMES as usize, "seed {seed}: frames were lost");
        let first_new = sent
            .iter()
            .zip(&by_old)
            .position(|(sent, old)| sent != old)
            .expect("a packet by the new ring");
        assert!(
            first_new > 1000,
            "seed {seed}: the swap came before the traffic"
        );
        assert_eq!(
            sent[first_new..],
            by_new[first_new..],
            "seed {seed}: after the swap"
        );
        host.check_conservation().unwrap();
    }
}

#[test]
fn reusing_the_region_without_a_fence_shows() {
    // the test above can fail: without swap and fence the poison is read
    let old: Vec<u16> = vec![0; SIZE];
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: 1,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(&mut card).unwrap();
    figures::program(&mut host, BACKENDS, &old, MissPolicy::Stateless).unwrap();
    for client in 0..FRAMES {
        host.push(figures::frame(client, 60), false);
    }
    host.run(4000);
    host.set_ring(0, &[SLOT_EMPTY; SIZE]).unwrap();
    host.settle().unwrap();
    assert!(host.take_sent().len() < FRAMES as usize);
}
