//! `guideway trace` on a running daemon: the packets that are asked for, where they went, and how a trace ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;

use pcap_parser::traits::PcapReaderIterator as _;
use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Clients of each VIP.
const CLIENTS: u8 = 40;
/// The VIPs' ports.
const PORTS: [u16; 2] = [80, 8080];

/// Two VIPs by the ring alone: what becomes of a packet depends on it and nothing else.
fn two_vips(device: &str) -> String {
    let one = config(device, BACKENDS);
    let first = format!("{one}on_miss = \"stateless\"\n");
    let second = one[one.find("[[vip]]").unwrap()..]
        .replace("name = \"v\"", "name = \"w\"")
        .replace("port = 80", "port = 8080");
    format!("{first}{second}on_miss = \"stateless\"\n")
}

fn packet(client: u8, port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [2, 0, 0, 0, 0, 1])
        .ipv4([192, 0, 2, client], VIP, 64)
        .tcp(1024 + u16::from(client), port, 7, 1000)
        .ack(1)
        .write(&mut frame, &[client; 30])
        .unwrap();
    frame
}

/// Where a client's packets go.
fn backend(client: u8, port: u16) -> String {
    let source = Ipv4Addr::new(192, 0, 2, client);
    let hash = flow_hash::of(source.into(), 1024 + u16::from(client), port);
    backend_of_hash(hash).to_string()
}

/// A daemon on a simulator whose wire waits.
struct World {
    folder: tempfile::TempDir,
    daemon: Running,
    _simulator: Running,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let sent: Vec<Vec<u8>> = (0..CLIENTS)
            .flat_map(|client| PORTS.map(|port| packet(client, port)))
            .collect();
        write_pcap(&at("in.pcap"), &sent);
        let simulator = start_simulator(folder.path(), true);
        let device = format!("vfio-user:{}", at("card.sock").display());
        std::fs::write(at("lb.toml"), two_vips(&device)).unwrap();
        let daemon = start_daemon(folder.path());
        await_status(folder.path(), daemon.0.id(), |status| {
            status["settled"] == true
        });
        let begun = Instant::now();
        while !at("run/trace.sock").exists() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            folder,
            daemon,
            _simulator: simulator,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(GUIDEWAY);
        command
            .arg("trace")
            .args(arguments)
            .arg("--runtime-dir")
            .arg(self.folder.path().join("run"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A trace that the card has begun.
    fn trace(&self, arguments: &[&str]) -> Tracing {
        let mut child = Running(self.command(arguments).spawn().unwrap());
        let mut errors = BufReader::new(child.0.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("tracing") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).unwrap(), 0, "no trace begins");
        }
        let output = BufReader::new(child.0.stdout.take().unwrap());
        Tracing {
            child,
            output,
            errors,
        }
    }

    /// What a trace that is refused says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Lets the frames begin, and waits until the card has had all of them.
    fn play(&self) {
        let mut control = UnixStream::connect(self.folder.path().join("control.sock")).unwrap();
        control.write_all(b"{\"command\":\"start\"}\n").unwrap();
        let all = u64::from(CLIENTS) * PORTS.len() as u64;
        await_status(self.folder.path(), self.daemon.0.id(), |status| {
            status["card"]["frames_in"] == all
        });
    }
}

/// A `guideway trace` that runs.
struct Tracing {
    child: Running,
    output: BufReader<std::process::ChildStdout>,
    errors: BufReader<std::process::ChildStderr>,
}

impl Tracing {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child.0);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end: what it printed, and its last words.
    fn end(mut self) -> (Vec<String>, String) {
        let lines = self.output.lines().map(Result::unwrap).collect();
        let mut words = String::new();
        self.errors.read_to_string(&mut words).unwrap();
        let status = self.child.0.wait().unwrap();
        assert!(status.success(), "{status}: {words}");
        (lines, words)
    }
}

const NOTHING_LOST: &str = "lost: 0 traces in the card, 0 records on the way here";

#[test]
fn a_trace_shows_the_packets_that_are_asked_for() {
    if is_missing() {
        return;
    }
    let world = World::start();
    let trace = world.trace(&["--vip", "w", "--source", "192.0.2.16/28", "--json"]);
    world.play();
    trace.signal(Signal::INT);
    let (lines, words) = trace.end();
    assert_eq!(lines.len(), 16, "{lines:?}");
    for (line, client) in lines.iter().zip(16..) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["record"], "trace");
        assert_eq!(line["packet"]["source"], format!("192.0.2.{client}"));
        assert_eq!(line["packet"]["destination_port"], 8080);
        assert_eq!(line["vip"]["name"], "w");
        assert_eq!(line["disposition"], "forward_ring");
        assert_eq!(line["backend_address"], backend(client, 8080));
        assert_eq!(line["backend"], line["ring"]["backend"]);
        assert_eq!(line["encap"], "ipip");
    }
    assert!(words.contains("16 records; "), "{words}");
    assert!(words.contains(NOTHING_LOST), "{words}");
}

#[test]
fn a_trace_ends_after_its_count_and_writes_a_capture() {
    if is_missing() {
        return;
    }
    let world = World::start();
    let file = world.folder.path().join("out.pcapng");
    let trace = world.trace(&["--count", "30", "--write", file.to_str().unwrap()]);
    world.play();
    let (lines, words) = trace.end();
    assert!(lines.is_empty(), "{lines:?}");
    assert!(words.contains("30 records; "), "{words}");
    let bytes = std::fs::read(file).unwrap();
    let mut reader = pcap_parser::PcapNGReader::new(65536, bytes.as_slice()).unwrap();
    let mut seen = Vec::new();
    while let Ok((used, block)) = reader.next() {
        if let pcap_parser::PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(packet)) = block {
            let data = &packet.data[..packet.caplen as usize];
            seen.push((data[29], u16::from_be_bytes([data[36], data[37]])));
        }
        reader.consume(used);
    }
    let sent = (0..CLIENTS).flat_map(|client| PORTS.map(|port| (client, port)));
    assert_eq!(seen, sent.take(30).collect::<Vec<_>>());
}

#[test]
fn a_trace_is_refused_with_what_to_do_and_a_dead_one_makes_room() {
    if is_missing() {
        return;
    }
    let world = World::start();
    for (arguments, reason) in [
        (&["--vip", "x"][..], "no VIP of this name, but v, w"),
        (
            &["--source", "10.0.0.1", "--destination", "::1"],
            "leave one out",
        ),
        (&["--sample", "5"], "not one of 5"),
        (&["--for", "10"], "no time like"),
        (&["--write", "/no/such/file"], "/no/such/file"),
    ] {
        let words = world.refused(arguments);
        assert!(words.contains(reason), "{arguments:?}: {words}");
    }
    // a second one, while one runs
    let first = world.trace(&["--vip", "v"]);
    let pid = first.child.0.id();
    let words = world.refused(&[]);
    let reason = format!("process {pid} traces already");
    assert!(words.contains(&reason), "{words}");
    // the first is killed: the next has the filter to itself
    first.signal(Signal::KILL);
    let mut first = first.child;
    assert_eq!(first.0.wait().unwrap().signal(), Some(9));
    let trace = world.trace(&["--destination-port", "8080", "--source", "192.0.2.3"]);
    world.play();
    trace.signal(Signal::TERM);
    let (lines, words) = trace.end();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let to = backend(3, 8080);
    for part in [
        "tcp 192.0.2.3:1027 > 10.200.1.1:8080, 84 bytes | vip w | ring slot ",
        &format!(
            ": {to} | flow: none | to {to} by ipip over 02:00:00:00:00:02 | forward_ring | cycles "
        ),
    ] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
    assert!(words.contains(NOTHING_LOST), "{words}");
    // without a daemon there is none
    drop(world.daemon);
    let output = Command::new(GUIDEWAY)
        .args(["trace", "--runtime-dir"])
        .arg(world.folder.path().join("run"))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(words.contains("start one with guideway run"), "{words}");
}
