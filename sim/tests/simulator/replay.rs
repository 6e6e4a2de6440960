//! Capture files as the wire: order, pace, control, and lockstep's promise that the host's speed does not matter.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guideway_hdl::descriptors::{RxCompletion, TxDescriptor, TxOp};
use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, MissPolicy, NextHopEntry, VipEntry, VipMatch,
};
use guideway_hdl::verdict::HostClass;
use guideway_sim::card::Card;
use guideway_sim::device::{Options, Pace};
use guideway_sim::harness::TestHost;
use guideway_sim::harness::frame::PacketSpec;
use guideway_sim::reference::ReferenceCard;
use guideway_sim::registers::{card, core, ring};
use guideway_sim::time::TimeMode;
use guideway_sim::wire::capture_file::{FrameReader, PcapWriter};
use guideway_sim::wire::in_process::in_process;
use guideway_sim::wire::pcap::PcapWire;
use rustix::io::{pread, pwrite};
use serde_json::Value;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX,
};

use crate::client::Client;
use crate::rig::{FREE, PATIENCE, Rig, eventfd, interrupted, memfd};

const LOCKSTEP: Options = Options {
    lockstep: true,
    wait_for_start: true,
    ..FREE
};
const GENERATION: u8 = 3;
const VIP: u16 = 7;
const BACKEND: u16 = 5;

/// Makes a card punt every packet to 10.200.1.1:80; it could encapsulate it.
fn configure(mut card: Box<dyn Card>) -> Box<dyn Card> {
    let mut host = TestHost::new(&mut *card).unwrap();
    host.set_vip(
        VIP,
        &VipEntry {
            pool: 1,
            miss_policy: MissPolicy::Punt.raw(),
            mtu: 1500,
            ..VipEntry::default()
        },
    )
    .unwrap();
    host.add_match(&VipMatch {
        port: 80,
        protocol: 6,
        ipv6: false,
        address: 0x0ac8_0101,
        valid: true,
        vip: VIP,
    })
    .unwrap();
    let backend = BackendEntry {
        state: BackendState::Up.raw(),
        encap: Encap::Ipip.raw(),
        generation: GENERATION,
        address: 0x0a00_0001,
        ..BackendEntry::default()
    };
    host.set_backend(BACKEND, &backend).unwrap();
    host.set_next_hop(
        0,
        &NextHopEntry {
            destination: 0x0000_dead_beaf,
            ..NextHopEntry::default()
        },
    )
    .unwrap();
    host.settle().unwrap();
    let mut memory = host.memory;
    card.host_reset(&mut memory); // the test host's rings end with it
    card
}

fn write_input(path: &Path, frames: u16) {
    let mut writer = PcapWriter::create(path).unwrap();
    for port in 0..frames {
        let spec = PacketSpec {
            ethernet: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
            source: Ipv4Addr::new(192, 168, 1, 1).into(),
            destination: Ipv4Addr::new(10, 200, 1, 1).into(),
            protocol: 6,
            ports: (1000 + port, 80),
            flags: 2,
            traffic_class: 0,
            payload: vec![0xab; usize::from(port) % 200],
        };
        writer.write(0, &spec.frame()).unwrap();
    }
    writer.flush().unwrap();
}

/// The other end of a control socket.
struct Control(BufReader<UnixStream>);

impl Control {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut control = Self(BufReader::new(stream));
        assert_eq!(control.line()["event"], "ready");
        control
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, request: &str) -> Value {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        self.0.get_mut().write_all(b"\n").unwrap();
        self.line()
    }
}

const RING_LOG2: u32 = 6;
const RING: u16 = 1 << RING_LOG2;
const STRIDE_LOG2: u32 = 11;
const RX_COMPLETIONS: u64 = 0;
const TX_DESCRIPTORS: u64 = 0x1000;
const TX_COMPLETIONS: u64 = 0x2000;
const BUFFERS: u64 = 0x1_0000;
const MEMORY: u64 = BUFFERS + ((RING as u64) << STRIDE_LOG2);

/// A slow path in thirty lines: sends every punt to one backend.
struct SlowPath {
    client: Client,
    memory: OwnedFd,
    irq: OwnedFd,
    index: u16,
}

impl SlowPath {
    fn start(mut client: Client) -> Self {
        let memory = memfd(MEMORY, true);
        let irq = eventfd();
        let class = HostClass::Miss as u32;
        client.map(0, MEMORY, 0, Some(&memory)).unwrap();
        let wire = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        client
            .set_irqs(wire, VFIO_PCI_MSIX_IRQ_INDEX, class, 1, &[], &[irq.as_fd()])
            .unwrap();
        client.region_write(7, 4, &[6, 0]).unwrap();
        for (block, first, second, config) in [
            (
                card::RX + class * card::RX_STEP,
                RX_COMPLETIONS,
                BUFFERS,
                STRIDE_LOG2 << 8,
            ),
            (card::TX, TX_DESCRIPTORS, TX_COMPLETIONS, 0),
        ] {
            client.write32(block + ring::BASE_LOW, first as u32);
            client.write32(block + ring::SECOND_LOW, second as u32);
            client.write32(block + ring::CONFIG, ring::ENABLE | config | RING_LOG2);
        }
        client.write32(Self::rx(ring::ARM), 0);
        client.write32(core::HEARTBEAT, u32::MAX);
        client.write32(core::CONTROL, 1);
        Self {
            client,
            memory,
            irq,
            index: 0,
        }
    }

    fn rx(register: u32) -> u32 {
        card::RX + HostClass::Miss as u32 * card::RX_STEP + register
    }

    /// Answers what has come; each step after `pause`.
    fn work(&mut self, pause: &mut dyn FnMut()) {
        let before = self.index;
        loop {
            pause();
            let slot = u64::from(self.index % RING);
            let mut bytes = [0; 64];
            pread(&self.memory, &mut bytes, RX_COMPLETIONS + 64 * slot).unwrap();
            let completion = RxCompletion::from_bytes(&bytes);
            let phase = (self.index / RING).is_multiple_of(2);
            if completion.phase != phase {
                break;
            }
            let descriptor = TxDescriptor {
                phase,
                ends_punt: true,
                op: TxOp::Assign as u8,
                length: completion.length,
                address: BUFFERS + (slot << STRIDE_LOG2),
                vip: VIP,
                backend: BACKEND,
                generation: GENERATION,
                ..TxDescriptor::default()
            };
            pwrite(
                &self.memory,
                &descriptor.to_bytes(),
                TX_DESCRIPTORS + 64 * slot,
            )
            .unwrap();
            self.index = self.index.wrapping_add(1);
        }
        if self.index != before {
            self.client
                .post32(card::TX + ring::DOORBELL, u32::from(self.index));
            pause();
            // The frames lie in the receive buffers until they have left.
            while self.client.read32(card::TX + ring::PROGRESS) != u32::from(self.index) {}
            self.client
                .post32(Self::rx(ring::DOORBELL), u32::from(self.index));
            pause();
        }
        self.client
            .post32(Self::rx(ring::ARM), u32::from(self.index));
    }

    fn run(mut self, over: &AtomicBool, mut pause: impl FnMut()) -> u16 {
        while !over.load(Ordering::Relaxed) {
            if interrupted(&self.irq, Duration::from_millis(5)) {
                self.work(&mut pause);
            }
        }
        self.index
    }
}

/// Plays a file through a card whose host takes its time as `jitter` says: cycles, frames out, the output file.
fn play(card: Box<dyn Card>, frames: u16, options: Options, jitter: u64) -> (u64, u64, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.pcap"),
        folder.path().join("out.pcap"),
    );
    write_input(&input, frames);
    let wire = Box::new(PcapWire::open(&input, &output).unwrap());
    let rig = Rig::with_card(configure(card), wire, options, true);
    let mut control = Control::connect(&rig.control());
    let slow_path = SlowPath::start(rig.open());
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let mut dice = jitter;
    let host = std::thread::spawn(move || {
        slow_path.run(&seen, || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if jitter != 0 && dice >> 61 == 0 {
                std::thread::sleep(Duration::from_micros(dice >> 40 & 0x7ff));
            }
        })
    });
    assert_eq!(control.ask("{\"command\":\"start\"}")["reply"], "start");
    let drained = control.line();
    assert_eq!(drained["event"], "drained");
    over.store(true, Ordering::Relaxed);
    assert_eq!(host.join().unwrap(), frames, "punts");
    assert_eq!(drained["frames_in"], frames);
    let stats = control.ask("{\"command\":\"stats\"}");
    assert_eq!(
        (&stats["punts_outstanding"], &stats["dma_errors"]),
        (&0.into(), &0.into()),
        "{stats}"
    );
    drop(rig);
    (
        drained["cycles"].as_u64().unwrap(),
        drained["frames_out"].as_u64().unwrap(),
        std::fs::read(output).unwrap(),
    )
}

fn reference() -> Box<dyn Card> {
    Box::new(ReferenceCard::new())
}

/// Plays `frames` with hosts of different speeds: cycles and output must be the same.
fn assert_repeatable(card: impl Fn() -> Box<dyn Card>, frames: u16, hosts: u64) {
    for pace in [Pace::Line, Pace::Step] {
        let options = Options { pace, ..LOCKSTEP };
        let first = play(card(), frames, options, 0);
        assert_eq!(first.1, u64::from(frames), "every punt leaves again");
        for jitter in 1..=hosts {
            let again = play(card(), frames, options, jitter);
            assert_eq!(again.0, first.0, "{pace:?}: cycles with jitter {jitter}");
            assert!(again == first, "{pace:?}: output with jitter {jitter}");
        }
    }
}

#[test]
fn lockstep_makes_a_run_repeatable_whatever_the_host_does() {
    assert_repeatable(reference, 300, 3);
}

#[cfg(feature = "rtl")]
#[test]
fn lockstep_makes_the_rtl_repeatable_whatever_the_host_does() {
    use guideway_sim::rtl::{RtlCard, RtlConfig};
    assert_repeatable(|| Box::new(RtlCard::new(RtlConfig::default())), 100, 1);
}

#[test]
fn without_lockstep_every_frame_comes_through_as_well() {
    let options = Options {
        wait_for_start: true,
        ..FREE
    };
    let (_, out, file) = play(reference(), 60, options, 0);
    assert_eq!(out, 60);
    assert!(file.len() > 60 * 60);
}

#[test]
fn a_capture_file_waits_for_start_and_port() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.pcap"),
        folder.path().join("out.pcap"),
    );
    write_input(&input, 5);
    let wire = Box::new(PcapWire::open(&input, &output).unwrap());
    let rig = Rig::with_wire(wire, LOCKSTEP, true);
    let mut control = Control::connect(&rig.control());
    let mut client = rig.open();
    client.write32(core::CONTROL, 1);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        control.ask("{\"command\":\"stats\"}")["frames_in"],
        0,
        "no start"
    );
    client.write32(core::CONTROL, 0);
    control.ask("{\"command\":\"start\"}");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        control.ask("{\"command\":\"stats\"}")["frames_in"],
        0,
        "no port"
    );
    client.write32(core::CONTROL, 1);
    assert_eq!(control.line()["event"], "drained");
    let stats = control.ask("{\"command\":\"stats\"}");
    assert_eq!(
        (&stats["frames_in"], &stats["drained"]),
        (&5.into(), &true.into())
    );
    assert!(control.ask("nonsense")["error"].is_string());
    assert!(
        control.ask("{\"command\":\"advance\",\"micros\":1}")["error"]
            .as_str()
            .unwrap()
            .contains("manual")
    );
    assert_eq!(control.ask("{\"command\":\"stop\"}")["reply"], "stop");
    assert!(
        FrameReader::open(&output)
            .unwrap()
            .next_frame()
            .unwrap()
            .is_none()
    );
}

#[test]
fn manual_time_moves_by_command_only() {
    let (wire, _peer) = in_process(true).unwrap();
    let rig = Rig::with_wire(
        Box::new(wire),
        Options {
            time: TimeMode::Manual,
            ..FREE
        },
        true,
    );
    let mut control = Control::connect(&rig.control());
    let mut client = rig.open();
    client.write32(core::HEARTBEAT, 5000);
    let start = client.read32(core::TIME_US_LOW);
    control.ask("{\"command\":\"advance\",\"micros\":1234}");
    crate::rig::eventually("the time", || {
        client.read32(core::TIME_US_LOW) == start + 1234
    });
    assert_eq!(client.read32(core::HEARTBEAT), 5000 - 1234);
}

/// Before the port is enabled a live wire's frames go nowhere; afterwards all of them reach the card.
#[test]
fn a_live_wire_is_flushed_until_the_port_is_enabled() {
    let (wire, peer) = in_process(true).unwrap();
    let rig = Rig::with_wire(Box::new(wire), FREE, true);
    let mut control = Control::connect(&rig.control());
    let mut client = rig.open();
    let mut count = |what: &str, frames: u64| {
        crate::rig::eventually(what, || {
            let stats = control.ask("{\"command\":\"stats\"}");
            let seen = if what == "flushed" {
                &stats["wire"][what]
            } else {
                &stats[what]
            };
            seen.as_u64() == Some(frames)
        });
    };
    for _ in 0..10 {
        peer.send(vec![0; 60]);
    }
    count("flushed", 10);
    count("frames_in", 0);
    client.write32(core::CONTROL, 3);
    // The write is posted: the answer to a read says that the card has it, before a frame comes.
    assert_eq!(client.read32(core::CONTROL), 3);
    for _ in 0..7 {
        peer.send(vec![0; 60]);
    }
    count("frames_in", 7);
    count("flushed", 10);
}

#[test]
fn with_once_the_simulator_ends_with_its_host_and_not_with_a_passer_by() {
    let (wire, _peer) = in_process(true).unwrap();
    let options = Options { once: true, ..FREE };
    let rig = Rig::with_wire(Box::new(wire), options, false);
    drop(Client::connect(&rig.socket()));
    rig.assert_alive(); // a whole client: opens, reads, goes
    crate::rig::eventually("the end", || rig.has_ended());
}
