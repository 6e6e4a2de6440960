//! A simulator whose card has nothing to do leaves the processor to others.

use std::time::{Duration, Instant};

use guideway_sim::card::Card;
use guideway_sim::device::Options;
use guideway_sim::reference::ReferenceCard;
use guideway_sim::registers::core;
use guideway_sim::rtl::{RtlCard, RtlConfig};
use guideway_sim::time::TimeMode;
use guideway_sim::wire::in_process::in_process;
use rustix::process::Pid;

use crate::rig::{FREE, PATIENCE, Rig};

/// A window in which the thread's time is looked at.
const WINDOW: Duration = Duration::from_millis(500);
/// Most of it that an idle simulator may use.
const SHARE: f64 = 0.03;

#[test]
fn an_idle_reference_model_sleeps() {
    sleeps(Box::new(ReferenceCard::new()));
}

#[test]
fn an_idle_rtl_sleeps() {
    sleeps(Box::new(RtlCard::new(RtlConfig::default())));
}

/// By the wall clock, on a live wire, with a client whose heartbeat the card counts down.
fn sleeps(card: Box<dyn Card>) {
    let (wire, _peer) = in_process(true).unwrap();
    let options = Options {
        time: TimeMode::Wall,
        ..FREE
    };
    let rig = Rig::with_card(card, Box::new(wire), options, false);
    let mut client = rig.open();
    client.write32(core::HEARTBEAT, 60_000_000);
    // At first it clears its tables.
    let begun = Instant::now();
    loop {
        let (before, since) = (processor_time(rig.tid), Instant::now());
        std::thread::sleep(WINDOW);
        let used = (processor_time(rig.tid) - before).as_secs_f64() / since.elapsed().as_secs_f64();
        if used < SHARE {
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "an idle simulator uses {:.1} % of a core",
            used * 100.0
        );
    }
    // It slept, and its time went on.
    let left = client.read32(core::HEARTBEAT);
    let passed = Duration::from_micros(60_000_000 - u64::from(left));
    assert!(
        passed >= WINDOW && passed <= begun.elapsed() + Duration::from_secs(1),
        "{passed:?} of the card's time in {:?}",
        begun.elapsed()
    );
}

/// How long a thread of this process has been on a processor.
fn processor_time(tid: Pid) -> Duration {
    let path = format!("/proc/self/task/{}/schedstat", tid.as_raw_nonzero());
    let text = std::fs::read_to_string(path).unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}
