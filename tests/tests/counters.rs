//! Counters that are held are all of one moment, while packets come at full rate, and nothing is missing afterwards.

#![allow(clippy::unwrap_used)] // helpers of a test

use guideway_hdl::tables::{CounterEntry, MissPolicy, Table};
use guideway_hdl::verdict::{Disposition, PortCounter};
use guideway_sim::harness::TestHost;
use guideway_sim::registers::core as at;
use guideway_sim::rtl::{RtlCard, RtlConfig};
use guideway_tests::figures;

const BACKENDS: u16 = 64;
const SIZE: usize = 1021;
const FRAMES: u32 = 60_000;
const PORT_ENABLE: u32 = 1;

/// All that is counted, as commands read it.
#[derive(Debug, PartialEq)]
struct Seen {
    port: Vec<u64>,
    vips: Vec<CounterEntry>,
    backends: Vec<CounterEntry>,
}

fn look(host: &mut TestHost<'_>) -> Seen {
    Seen {
        port: host.counters().unwrap(),
        vips: host.table_counters(Table::VipCounter).unwrap(),
        backends: host.table_counters(Table::BackendCounter).unwrap(),
    }
}

impl Seen {
    fn of(&self, disposition: Disposition) -> u64 {
        self.port[usize::from(disposition.raw())]
    }

    fn port(&self, counter: PortCounter) -> u64 {
        self.port[usize::from(counter.raw())]
    }

    /// What does not fit together, if anything.
    fn fault(&self) -> Option<String> {
        let sum = |entries: &[CounterEntry]| -> (u64, u64) {
            let packets = entries.iter().map(|entry| entry.packets).sum();
            (packets, entries.iter().map(|entry| entry.bytes).sum())
        };
        let (sent, dropped) = (
            self.of(Disposition::ForwardRing),
            self.of(Disposition::DropEgressOverload),
        );
        let (vips, backends) = (sum(&self.vips), sum(&self.backends));
        let left = self.port(PortCounter::WireOut) + dropped;
        let began = self.port(PortCounter::WireIn) - self.of(Disposition::DropIngressFull);
        // every frame is as long as every other
        let fits = vips.0 == sent + dropped
            && backends.0 == sent
            && backends.1 * vips.0 == vips.1 * backends.0
            && left <= vips.0
            && vips.0 <= began;
        (!fits).then(|| format!("{vips:?} of VIPs, {backends:?} of backends, {sent} forwarded, {dropped} dropped, {began} began, {left} ended"))
    }
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let mut card = RtlCard::new(RtlConfig {
        seed: 3,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(&mut card).unwrap();
    let ring: Vec<u16> = (0..SIZE).map(|slot| slot as u16 % BACKENDS).collect();
    figures::program(&mut host, BACKENDS, &ring, MissPolicy::Stateless).unwrap();
    for client in 0..FRAMES {
        host.push(figures::frame(client, 60), false);
    }
    let (mut snapshots, mut torn, mut last) = (0, 0, 0);
    while host.read(at::IN_FLIGHT) != 0 || snapshots == 0 {
        host.write(at::CONTROL, PORT_ENABLE | at::COUNTERS_HOLD);
        while host.read(at::STATUS) & at::COUNTERS_HOLD == 0 {
            host.run(1);
        }
        let seen = look(&mut host);
        assert_eq!(seen.fault(), None, "snapshot {snapshots}");
        assert_eq!(look(&mut host), seen, "snapshot {snapshots} moved");
        let began = seen.port(PortCounter::WireIn);
        assert!(
            began > last || snapshots == 0,
            "snapshot {snapshots} is an old one"
        );
        last = began;
        snapshots += 1;
        host.write(at::CONTROL, PORT_ENABLE);
        // what is read one after the other does not fit, or this would show nothing
        torn += u32::from(look(&mut host).fault().is_some());
    }
    assert!(
        snapshots > 5 && torn > 3,
        "{snapshots} snapshots, {torn} torn without"
    );
    host.settle().unwrap();
    host.run(10_000);
    let end = look(&mut host);
    assert_eq!(end.fault(), None);
    assert_eq!(end.port(PortCounter::WireIn), u64::from(FRAMES));
    let ended = [
        Disposition::ForwardRing,
        Disposition::DropEgressOverload,
        Disposition::DropIngressFull,
    ];
    let ended: u64 = ended.map(|disposition| end.of(disposition)).iter().sum();
    assert_eq!(ended, u64::from(FRAMES));
}
