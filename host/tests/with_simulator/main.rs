//! The host against the simulator's reference model: replays, and a daemon that is killed.
//!
//! Needs `guideway-sim` (environment variable `GUIDEWAY_SIM`, beside this test's folder, or on `PATH`); says so in one line when it is missing.

#![allow(clippy::unwrap_used)] // a test's helpers, too, fail by panicking

mod fragments;
mod trace;
mod vips;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket};
use guideway::maglev::{Algorithm, Member, Ring};
use guideway::slow_path::flow_hash;
use serde_json::Value;

const GUIDEWAY: &str = env!("CARGO_BIN_EXE_guideway");
const VIP: [u8; 4] = [10, 200, 1, 1];

fn is_missing() -> bool {
    let missing = guideway::device::sim::find(None).is_err();
    if missing {
        eprintln!("skipped: guideway-sim is not built (cargo build -p guideway-sim)");
    }
    missing
}

fn config(device: &str, backends: &[(&str, u32)]) -> String {
    let mut text = format!(
        "version = 1\n[card]\ndevice = \"{device}\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:02\"\n\
         [[pool]]\nname = \"web\"\ntable_size = 1009\n"
    );
    for (address, weight) in backends {
        text += &format!("[[pool.backend]]\naddress = \"{address}\"\nweight = {weight}\n");
    }
    text + "[[vip]]\nname = \"v\"\naddress = \"10.200.1.1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n"
}

const BACKENDS: &[(&str, u32)] = &[("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)];

/// Where a packet that hashes to `hash` goes: its slot of the ring of `BACKENDS`.
fn backend_of_hash(hash: u32) -> IpAddr {
    let members: Vec<Member> = (BACKENDS.iter())
        .map(|(address, weight)| Member {
            address: address.parse().unwrap(),
            weight: *weight,
        })
        .collect();
    let ring = Ring::build(Algorithm::V2, 1009, &members);
    members[ring.slots()[(hash % 1009) as usize] as usize].address
}

/// A SYN and two more packets of each of `clients` clients, then an ARP-like broadcast.
fn frames(clients: u8) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for client in 0..clients {
        for packet in 0..3 {
            let builder = PacketBuilder::ethernet2([2; 6], [2, 0, 0, 0, 0, 1])
                .ipv4([192, 0, 2, client], VIP, 64)
                .tcp(1024 + u16::from(client), 80, packet, 1000);
            let builder = if packet == 0 {
                builder.syn()
            } else {
                builder.ack(1)
            };
            let mut frame = Vec::new();
            builder.write(&mut frame, &[client; 30]).unwrap();
            frames.push(frame);
        }
    }
    let mut broadcast = vec![0xff; 60];
    broadcast[12..14].copy_from_slice(&[0x12, 0x34]);
    frames.push(broadcast);
    frames
}

fn write_pcap(path: &Path, frames: &[Vec<u8>]) {
    use guideway::control::pcap::PcapSink;
    use guideway::slow_path::poll::Sink as _;
    let mut file = PcapSink::create(path).unwrap();
    for frame in frames {
        file.frame(
            guideway_hdl::verdict::HostClass::Other,
            guideway_hdl::verdict::Disposition::HostGroup,
            frame,
        );
    }
    file.finish().unwrap();
}

fn read_pcap(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, _) = pcap_parser::pcap::parse_pcap_header(&bytes).unwrap();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (after, frame) = pcap_parser::pcap::parse_pcap_frame(rest).unwrap();
        frames.push(frame.data.to_vec());
        rest = after;
    }
    frames
}

fn replay(folder: &Path, run: usize, pace: &str) -> (Vec<u8>, Vec<u8>, Value) {
    replay_with(folder, run, pace, &[])
}

fn replay_with(folder: &Path, run: usize, pace: &str, more: &[&str]) -> (Vec<u8>, Vec<u8>, Value) {
    let at = |name: &str| folder.join(format!("{name}{run}"));
    let output = Command::new(GUIDEWAY)
        .args(["replay", "--model", "reference", "--pace", pace, "--config"])
        .arg(folder.join("lb.toml"))
        .arg("--in")
        .arg(folder.join("in.pcap"))
        .arg("--out")
        .arg(at("out"))
        .arg("--host-out")
        .arg(at("host"))
        .arg("--json")
        .arg(at("stats"))
        .args(more)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stats = serde_json::from_slice(&std::fs::read(at("stats")).unwrap()).unwrap();
    (
        std::fs::read(at("out")).unwrap(),
        std::fs::read(at("host")).unwrap(),
        stats,
    )
}

#[test]
fn a_replay_traces_the_packets_that_are_asked_for() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lb.toml"), config("sim", BACKENDS)).unwrap();
    write_pcap(&folder.path().join("in.pcap"), &frames(20));
    let traced = |run: usize, more: &[&str]| -> Vec<Value> {
        let file = folder.path().join(format!("trace{run}"));
        let mut arguments = vec!["--trace", file.to_str().unwrap()];
        arguments.extend(more);
        let (_, _, stats) = replay_with(folder.path(), run, "step", &arguments);
        assert_eq!(stats["records_lost"]["traces"], 0);
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| line["record"] == "trace")
            .collect()
    };
    // each client's first packet goes to the host and comes back assigned, the next two hit; then a broadcast
    let all = traced(1, &[]);
    assert_eq!(all.len(), 20 * 4 + 1);
    assert_eq!(all.last().unwrap()["disposition"], "host_group");
    let one = traced(
        2,
        &["--trace-source", "192.0.2.7", "--trace-protocol", "tcp"],
    );
    let dispositions: Vec<&Value> = one.iter().map(|line| &line["disposition"]).collect();
    assert_eq!(
        dispositions,
        ["host_punt", "forward_inject", "forward_hit", "forward_hit"]
    );
    for line in &one {
        assert_eq!(line["packet"]["source"], "192.0.2.7");
        assert_eq!(line["packet"]["source_port"], 1024 + 7);
        assert_eq!(line["packet"]["destination_port"], 80);
    }
    assert_eq!(one[0]["packet"]["syn"], true);
    assert_eq!(one[1]["injected"], true);
    assert_eq!(one[2]["flow"]["backend"], one[1]["backend"]);
    assert!(traced(3, &["--trace-protocol", "udp"]).is_empty());
    assert_eq!(traced(4, &["--trace-vip", "v"]).len(), 20 * 4);
    assert_eq!(traced(5, &["--trace-sample", "8"]).len(), 11);
    assert_eq!(traced(6, &[]), all, "the same every time");
}

#[test]
fn a_trace_that_no_packet_matches_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("lb.toml"), config("sim", BACKENDS)).unwrap();
    write_pcap(&at("in.pcap"), &frames(1));
    let refused = [
        (
            "--trace-source 192.0.2.1 --trace-destination 2001:db8::/32",
            "leave one out",
        ),
        (
            "--trace-protocol 47 --trace-source-port 80",
            "leave out --trace-source-port",
        ),
        ("--trace-vip w", "no VIP of this name, but v"),
        ("--trace-source 192.0.2.0/33", "0 to 32"),
        ("--trace-protocol icmp", "neither tcp nor udp"),
        ("--trace-sample 65536", "up to 32768 packets"),
        ("--trace-sample 3", "not one of 3"),
    ];
    for (arguments, reason) in refused {
        let output = Command::new(GUIDEWAY)
            .args(["replay", "--model", "reference", "--config"])
            .arg(at("lb.toml"))
            .arg("--in")
            .arg(at("in.pcap"))
            .arg("--out")
            .arg(at("out"))
            .arg("--trace")
            .arg(at("trace"))
            .args(arguments.split(' '))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments}");
        assert!(error.contains(reason), "{arguments}: {error}");
        assert!(!at("trace").exists(), "{arguments}");
    }
}

#[test]
fn a_replay_follows_the_ring_and_repeats_exactly() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lb.toml"), config("sim", BACKENDS)).unwrap();
    write_pcap(&folder.path().join("in.pcap"), &frames(60));
    let first = replay(folder.path(), 1, "line");
    let second = replay(folder.path(), 2, "line");
    assert_eq!(first.2, second.2, "statistics differ");
    assert!(first.0 == second.0, "what left on the wire differs");
    assert!(first.1 == second.1, "what the host got differs");
    let (_, _, stats) = replay(folder.path(), 3, "step");
    assert_eq!(stats["frames_in"], 181);
    assert_eq!(stats["dispositions"]["host_punt"], 60);
    assert_eq!(stats["dispositions"]["forward_hit"], 120);
    assert_eq!(stats["dispositions"]["host_group"], 1);
    assert_eq!(stats["host"]["installs"], 60);
    assert_eq!(stats["vips"][0]["packets"], 180);
    let sent = read_pcap(&folder.path().join("out1"));
    assert_eq!(sent.len(), 180);
    for frame in sent {
        let Some(NetSlice::Ipv4(outer)) = SlicedPacket::from_ethernet(&frame).unwrap().net else {
            panic!("{frame:?}")
        };
        let inner = &frame[34..];
        let client = Ipv4Addr::new(inner[12], inner[13], inner[14], inner[15]);
        let port = u16::from_be_bytes([inner[20], inner[21]]);
        let expected = backend_of_hash(flow_hash::of(client.into(), port, 80));
        assert_eq!(
            IpAddr::from(outer.header().destination_addr()),
            expected,
            "{client}:{port}"
        );
    }
    assert_eq!(read_pcap(&folder.path().join("host1")).len(), 1);
}

/// Each backend has another way; what leaves is what its way says, and `decap` finds the client's packet in it again.
#[test]
fn each_backend_is_reached_its_own_way() {
    if is_missing() {
        return;
    }
    // address, keys, sent from the node's own address, what comes before the inner packet
    let ways: &[(&str, &str, bool, &[u8])] = &[
        ("10.0.0.1", "encap = \"ipip\"", false, &[]),
        ("10.0.0.2", "", true, &[0, 0, 8, 0]),
        (
            "10.0.0.3",
            "gre_key = 258",
            true,
            &[0x20, 0, 8, 0, 0, 0, 1, 2],
        ),
        ("fc00::4", "", true, &[0, 0, 8, 0]),
        (
            "10.0.0.5",
            "encap = \"l2\"\nmac = \"02:00:00:00:00:55\"",
            false,
            &[],
        ),
        ("10.0.0.6", "encap = \"gue\"", true, &[]),
        ("fc00::7", "encap = \"gue\"", true, &[]),
    ];
    let mut text = config("sim", &[]).replace(
        "[[node.next_hop]]",
        "[node]\nmtu = 1560\nsource_v4 = \"10.0.13.37\"\nsource_v6 = \"fc00:2307::1337\"\ngue_port = 9886\n[[node.next_hop]]",
    );
    let mut backends = String::from("table_size = 1009\nencap = \"gre\"\n");
    for (address, keys, ..) in ways {
        backends += &format!("[[pool.backend]]\naddress = \"{address}\"\n{keys}\n");
    }
    text = text.replace("table_size = 1009\n", &backends);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lb.toml"), text).unwrap();
    let sent_in = frames(60);
    write_pcap(&folder.path().join("in.pcap"), &sent_in);
    let (_, _, stats) = replay(folder.path(), 1, "step");
    assert_eq!(stats["dispositions"]["forward_hit"], 120, "{stats}");
    let members: Vec<Member> = (ways.iter())
        .map(|(address, ..)| Member {
            address: address.parse().unwrap(),
            weight: 1,
        })
        .collect();
    let ring = Ring::build(Algorithm::V2, 1009, &members);
    let mut seen = [0; 7];
    for frame in read_pcap(&folder.path().join("out1")) {
        let inner = (frame.windows(4).position(|bytes| bytes == VIP)).map(|at| at - 16);
        let inner = &frame[inner.unwrap()..];
        let client = Ipv4Addr::new(inner[12], inner[13], inner[14], inner[15]);
        let port = u16::from_be_bytes([inner[20], inner[21]]);
        let slot = flow_hash::of(client.into(), port, 80) % 1009;
        let way = ring.slots()[slot as usize] as usize;
        seen[way] += 1;
        assert!(sent_in.iter().any(|sent| &sent[14..] == inner));
        let before = &frame[..frame.len() - inner.len()];
        let (address, _, own_source, last) = ways[way];
        if address == "10.0.0.5" {
            assert_eq!(before[..6], [2, 0, 0, 0, 0, 0x55]);
            assert_eq!(before[12..], [8, 0]);
            continue;
        }
        assert_eq!(before[..6], [2, 0, 0, 0, 0, 2]);
        assert!(before.ends_with(last), "{address}: {before:02x?}");
        let (ether_type, range) = guideway::decap::strip::strip(&frame, 9886).unwrap();
        assert_eq!((ether_type, &frame[range]), (0x0800, inner));
        let (source, destination): (IpAddr, IpAddr) =
            match SlicedPacket::from_ethernet(&frame).unwrap().net.unwrap() {
                NetSlice::Ipv4(outer) => (
                    outer.header().source_addr().into(),
                    outer.header().destination_addr().into(),
                ),
                NetSlice::Ipv6(outer) => (
                    outer.header().source_addr().into(),
                    outer.header().destination_addr().into(),
                ),
                other => panic!("{other:?}"),
            };
        assert_eq!(destination, members[way].address);
        let fixed = match source {
            IpAddr::V4(_) => "10.0.13.37",
            IpAddr::V6(_) => "fc00:2307::1337",
        };
        assert_eq!(source.to_string() == fixed, own_source);
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
    assert_eq!(seen.iter().sum::<i32>(), 180);
}

#[test]
fn a_broken_capture_is_an_error_and_not_a_hang() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lb.toml"), config("sim", BACKENDS)).unwrap();
    std::fs::write(folder.path().join("in.pcap"), b"no capture").unwrap();
    let output = Command::new(GUIDEWAY)
        .args(["replay", "--model", "reference", "--config"])
        .arg(folder.path().join("lb.toml"))
        .arg("--in")
        .arg(folder.path().join("in.pcap"))
        .arg("--out")
        .arg(folder.path().join("out.pcap"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("in.pcap"),
        "{output:?}"
    );
}

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A simulator whose wire plays in.pcap: when a host enables the port, or, if it `waits`, when control.sock says start.
fn start_simulator(folder: &Path, waits: bool) -> Running {
    let at = |name: &str| folder.join(name);
    let mut wire = std::ffi::OsString::from("pcap:");
    wire.push(at("in.pcap"));
    wire.push(",");
    wire.push(at("out.pcap"));
    let mut command = Command::new(guideway::device::sim::find(None).unwrap());
    command.arg("--socket").arg(at("card.sock"));
    command.arg("--wire").arg(wire);
    command.args(["--model", "reference", "--time", "wall"]);
    if waits {
        command.arg("--control").arg(at("control.sock"));
    }
    let simulator = Running(command.stderr(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    while !at("card.sock").exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    simulator
}

fn start_daemon(folder: &Path) -> Running {
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(folder.join("log"))
        .unwrap();
    let child = Command::new(GUIDEWAY)
        .args(["run", "--config"])
        .arg(folder.join("lb.toml"))
        .arg("--runtime-dir")
        .arg(folder.join("run"))
        .stderr(log)
        .spawn()
        .unwrap();
    Running(child)
}

/// Waits until the daemon `pid` has published a status that `is_it` says.
fn await_status(folder: &Path, pid: u32, is_it: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(folder.join("run/status.json")).unwrap_or_default();
        if let Ok(status) = serde_json::from_str::<Value>(&text)
            && status["pid"] == pid
            && is_it(&status)
        {
            return status;
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "status {text}\nlog {log}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What `guideway device info` says of the simulator's card.
fn info(folder: &Path) -> Value {
    let output = Command::new(GUIDEWAY)
        .args(["device", "info", "--json", "--runtime-dir"])
        .arg(folder.join("run"))
        .arg(format!("vfio-user:{}", folder.join("card.sock").display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_killed_host_s_card_is_taken_over_and_then_changed() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_pcap(&at("in.pcap"), &frames(60));
    let _simulator = start_simulator(folder.path(), false);
    let device = format!("vfio-user:{}", at("card.sock").display());
    std::fs::write(at("lb.toml"), config(&device, BACKENDS)).unwrap();
    let blank = &info(folder.path())["card"];
    assert_eq!(
        (&blank["compatible"], &blank["owner"]),
        (&Value::Bool(true), &Value::Null)
    );
    assert_eq!(blank["sizes"]["vips"], 256);
    // the first host: all 60 connections become known
    let first = start_daemon(folder.path());
    let status = await_status(folder.path(), first.0.id(), |status| {
        status["host"]["flows"] == 60
    });
    assert_eq!(status["host"]["takeovers"], 0);
    // a card that a daemon has is not opened: the daemon is asked
    let owned = info(folder.path());
    assert_eq!(owned["card"], Value::Null);
    assert_eq!(owned["daemon"]["pid"], first.0.id());
    drop(first); // SIGKILL
    // a card that nobody has is opened, which the second host must not notice
    let left = info(folder.path());
    assert_eq!(left["daemon"], Value::Null);
    assert_eq!(left["card"]["owner"]["generation"], 1);
    assert_eq!(left["card"]["control"]["port_enable"], true);
    // the second: takes them over, and then removes a backend
    std::fs::write(at("lb.toml"), config(&device, &BACKENDS[..2])).unwrap();
    let second = start_daemon(folder.path());
    let status = await_status(folder.path(), second.0.id(), |status| {
        status["host"]["takeovers"] == 1
    });
    assert_eq!(status["host"]["connections"], 60);
    let status = await_status(folder.path(), second.0.id(), |status| {
        status["settled"] == true
    });
    assert_eq!(status["host"]["flows"], 60);
    assert_eq!(status["backends"][2]["state"], "draining");
    // those of the removed backend are pinned, and the few that the ring gave another backend
    assert!(
        status["host"]["pinned"]["moved"].as_u64().unwrap() >= 15,
        "{status}"
    );
    assert_eq!(status["host"]["refused"], 0);
}
