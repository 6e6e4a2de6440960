//! Traces of a running host: its socket, the card's filter, and an account in which no record is missing.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guideway::card::{Card, TraceFilter};
use guideway::config::Config;
use guideway::control::host::{Caller, HostError, Order};
use guideway::control::trace::session::{self, SOCKET};
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;
use serde_json::Value;
use tokio::sync::oneshot;

use super::crash::start;
use super::fuse::Fuse;
use super::stage::{ACK, MAC, PATIENCE, SYN, Stage, options};

super::on_both_models!(a_trace_tells_of_exactly_the_packets_that_match);

/// VIPs of these names, at 10.200.1.1, 10.200.1.2 and so on, whose flows the card learns.
fn config(vips: &[&str]) -> Config {
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:fe\"\n[[pool]]\nname = \"web\"\n\
         table_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\n[[pool.backend]]\naddress = \"10.0.0.2\"\n",
    );
    for (name, i) in vips.iter().zip(1..) {
        text += &format!(
            "[[vip]]\nname = \"{name}\"\naddress = \"10.200.1.{i}\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\non_miss = \"learn\"\n"
        );
    }
    Config::parse("test", &text).unwrap()
}

fn frame(client: u8, vip: u8, flags: u8) -> Vec<u8> {
    let packet = PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source: [198, 51, 100, client].into(),
        destination: [10, 200, 1, vip].into(),
        protocol: 6,
        ports: (3000 + u16::from(client), 80),
        flags,
        traffic_class: 0,
        payload: b"hello".to_vec(),
    };
    packet.frame()
}

/// A host that serves its card and its socket, each on a thread.
struct World {
    stage: Stage,
    card: Option<Arc<Card>>,
    caller: Caller,
    host: Option<JoinHandle<Result<(), HostError>>>,
    sessions: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    folder: tempfile::TempDir,
}

impl World {
    fn new(model: Model, vips: &[&str]) -> Self {
        let (stage, folder) = (Stage::new(model), tempfile::tempdir().unwrap());
        let started = start(&stage, &Fuse::default(), folder.path(), &config(vips));
        let (host, caller, _) = started.unwrap();
        let card = Arc::clone(host.card());
        let (stop, stopped) = oneshot::channel::<()>();
        let (path, orders) = (folder.path().to_owned(), caller.clone());
        let (bound, is_bound) = std::sync::mpsc::channel();
        let sessions = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = session::bind(&path).unwrap();
                bound.send(()).unwrap();
                tokio::select! {
                    () = session::serve(listener, orders) => {}
                    _ = stopped => {}
                }
            });
        });
        is_bound.recv_timeout(PATIENCE).unwrap();
        Self {
            stage,
            card: Some(card),
            caller,
            host: Some(std::thread::spawn(move || host.run())),
            sessions: Some(sessions),
            stop: Some(stop),
            folder,
        }
    }

    fn ask(&self, line: &str) -> Client {
        let stream = UnixStream::connect(self.folder.path().join(SOCKET)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // one that is refused at once may be closed before all of this is written
        let _ = (&stream).write_all(line.as_bytes());
        Client(BufReader::new(stream))
    }

    /// A trace that the card has begun.
    fn trace(&self, request: &str) -> Client {
        let mut client = self.ask(&format!("{request}\n"));
        let first = client.line().unwrap();
        assert!(first["tracing"]["layout"].is_u64(), "{first}");
        client
    }

    fn send(&self, frame: Vec<u8>) {
        self.stage.wire.send(frame);
        self.stage.wire.receive(PATIENCE).unwrap();
    }

    fn await_filter(&self, on: bool) {
        let begun = Instant::now();
        while self.card.as_ref().unwrap().is_tracing().unwrap() != on {
            assert!(begun.elapsed() < PATIENCE, "the filter is not {on}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        drop(self.stop.take());
        self.sessions.take().unwrap().join().unwrap();
        self.card = None;
        self.caller.order(Order::Stop);
        self.host.take().unwrap().join().unwrap().unwrap();
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    /// The next line; none when the host has closed.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// A line that comes in time.
    fn line_within(&mut self, time: Duration) -> Option<Value> {
        self.0.get_ref().set_read_timeout(Some(time)).unwrap();
        let waits = self.0.fill_buf().is_ok();
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        if waits { self.line() } else { None }
    }

    /// Ends the trace: its records, its names, and what was lost.
    fn end(mut self) -> (Vec<[u32; 16]>, Value, Value) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
        let (mut records, mut names) = (Vec::new(), Value::Null);
        loop {
            let mut line = self.line().unwrap();
            if line.get("record").is_some() {
                records.push(serde_json::from_value(line["record"].take()).unwrap());
            } else if line.get("names").is_some() {
                names = line["names"].take();
            } else if line.get("end").is_some() {
                assert_eq!(self.line(), None);
                return (records, names, line["end"].take());
            } else {
                assert!(line["lost"].is_object(), "{line}");
            }
        }
    }

    /// The reason of a refusal.
    fn refusal(mut self) -> String {
        let line = self.line().unwrap();
        let reason = line["error"].as_str();
        reason.unwrap_or_else(|| panic!("{line}")).to_owned()
    }
}

/// The bits of a record from `at` on, `bits` of them: an account of the layout of `CARD.md` 9 that does not use the host's.
fn bits(words: &[u32; 16], at: usize, bits: usize) -> u64 {
    let bit = |i: usize| u64::from(words[i / 32] >> (i % 32) & 1);
    (0..bits).map(|i| bit(at + i) << i).sum()
}

const TRACE: u64 = 1;
const FLOW_EVENT: u64 = 2;

fn a_trace_tells_of_exactly_the_packets_that_match(model: Model) {
    use guideway_hdl::records::{FlowEventRecord, TraceRecord};
    use guideway_hdl::verdict::Disposition;
    let world = World::new(model, &["v", "w"]);
    let client = world.trace(r#"{"filter":{"source":"198.51.100.8/29","vip":"w"},"events":true}"#);
    for flags in [SYN, ACK] {
        for i in 0..24 {
            for vip in [1, 2] {
                world.send(frame(i, vip, flags));
            }
        }
    }
    let (records, names, end) = client.end();
    assert_eq!(names["vips"]["1"], "w");
    assert_eq!(names["backends"]["0"], "10.0.0.1");
    assert_eq!(
        end.to_string(),
        r#"{"lost":{"traces":0,"flow_events":0,"dropped":0},"because":null}"#
    );
    let of = |kind| {
        let records = records.iter();
        records.filter(move |words| bits(words, 1, 2) == kind)
    };
    let traces: Vec<TraceRecord> = of(TRACE).map(TraceRecord::from_words).collect();
    assert_eq!(traces.len(), 16);
    for (i, trace) in traces.iter().enumerate() {
        let second = i >= 8;
        assert_eq!(trace.source, 0xc633_6408 + i as u128 % 8);
        assert_eq!(trace.destination, 0x0ac8_0102);
        assert_eq!((trace.vip_valid, trace.vip), (true, 1));
        assert_eq!(trace.sequence_number as usize, i);
        assert_eq!((trace.syn, trace.flow_found), (!second, second));
        let disposition = [Disposition::ForwardRing, Disposition::ForwardHit][usize::from(second)];
        assert_eq!(trace.disposition, disposition.raw());
        assert_eq!(trace.backend, trace.ring_backend);
    }
    // all flows are learned, whoever traces what
    let events: Vec<FlowEventRecord> = of(FLOW_EVENT).map(FlowEventRecord::from_words).collect();
    assert_eq!(events.len(), 48);
    assert!(events.iter().all(|event| !event.replaced));
    world.await_filter(false);
    // who does not ask for events gets none
    let client = world.trace("{}");
    world.send(frame(100, 1, SYN));
    let (records, _, _) = client.end();
    assert_eq!(records.len(), 1);
    assert_eq!(bits(&records[0], 1, 2), TRACE);
}

#[test]
fn a_client_that_does_not_read_loses_records_and_no_packet_waits() {
    /// More than socket, channel and rings hold.
    const FRAMES: u64 = 51_200;
    const BURST: u64 = 512;
    let world = World::new(Model::Reference, &["v"]);
    let client = world.trace("{}");
    // bursts that the card's way out holds
    for burst in 0..FRAMES / BURST {
        for i in 0..BURST {
            world.stage.wire.send(frame(i as u8, 1, ACK));
        }
        for i in 0..BURST {
            let sent = world.stage.wire.receive(PATIENCE);
            assert!(sent.is_ok(), "frame {i} of burst {burst}");
        }
    }
    let (records, _, end) = client.end();
    let lost = ["traces", "dropped"].map(|kind| end["lost"][kind].as_u64().unwrap());
    assert!(lost[0] + lost[1] > 0, "{end}");
    assert_eq!(records.len() as u64 + lost[0] + lost[1], FRAMES, "{end}");
    assert_eq!(end["lost"]["flow_events"], 0);
    // the next one loses nothing
    let client = world.trace("{}");
    world.send(frame(0, 1, ACK));
    let (records, _, end) = client.end();
    assert_eq!((records.len(), &end["lost"]["dropped"]), (1, &0.into()));
}

#[test]
fn what_makes_no_sense_is_refused_by_name_and_the_next_client_is_served() {
    let world = World::new(Model::Reference, &["v", "w"]);
    let endless = "x".repeat(5000);
    let refused = [
        ("nonsense\n", "a request is one line like"),
        ("\n", "a request is one line like"),
        ("{\"filters\":{}}\n", "unknown field `filters`"),
        ("{\"filter\":{\"port\":1}}\n", "unknown field `port`"),
        (endless.as_str(), "does not end within 4096 bytes"),
        (
            "{\"filter\":{\"vip\":\"x\"}}\n",
            "no VIP of this name, but v, w",
        ),
        (
            "{\"filter\":{\"source\":\"1.2.3.4\",\"destination\":\"::/0\"}}\n",
            "leave one out",
        ),
        ("{\"filter\":{\"source\":\"1.2.3.4/33\"}}\n", "0 to 32"),
        ("{\"filter\":{\"sample\":3}}\n", "not one of 3"),
        (
            "{\"filter\":{\"protocol\":47,\"source_port\":80}}\n",
            "have no ports",
        ),
    ];
    for (line, reason) in refused {
        let said = world.ask(line).refusal();
        assert!(said.contains(reason), "{line:?}: {said}");
    }
    // gone before anything was said, or answered
    drop(world.ask(""));
    drop(world.ask("{}\n"));
    let client = world.trace("{}");
    world.send(frame(1, 2, ACK));
    assert_eq!(client.end().0.len(), 1);
}

#[test]
fn one_client_at_a_time_and_a_dead_one_s_filter_goes() {
    let world = World::new(Model::Reference, &["v"]);
    let first = world.trace(r#"{"filter":{"source":"198.51.100.1"}}"#);
    world.await_filter(true);
    let said = world.ask("{}\n").refusal();
    let reason = format!("process {} traces already", std::process::id());
    assert!(said.contains(&reason), "{said}");
    world.send(frame(1, 1, ACK));
    drop(first);
    world.await_filter(false);
    let second = world.trace(r#"{"filter":{"source":"198.51.100.2"}}"#);
    for client in 0..4 {
        world.send(frame(client, 1, ACK));
    }
    let (records, ..) = second.end();
    assert_eq!(records.len(), 1);
    world.await_filter(false);
}

#[test]
fn a_trace_follows_its_vip_and_ends_with_it() {
    let world = World::new(Model::Reference, &["v", "w"]);
    let mut client = world.trace(r#"{"filter":{"vip":"w"}}"#);
    let apply = |vips| {
        let order = Order::Apply(Box::new(config(vips)));
        assert!(world.caller.order(order));
    };
    // another VIP has its address now, and so its index; it has another's
    apply(&["w", "x"]);
    let begun = Instant::now();
    let traced = loop {
        assert!(begun.elapsed() < PATIENCE, "the trace does not follow");
        world.send(frame(1, 2, ACK));
        world.send(frame(1, 1, ACK));
        // while the filter changes none of the two may be traced
        let Some(line) = client.line_within(Duration::from_millis(100)) else {
            continue;
        };
        let Ok(words) = serde_json::from_value(line["record"].clone()) else {
            continue;
        };
        let trace = guideway_hdl::records::TraceRecord::from_words(&words);
        if trace.destination == 0x0ac8_0101 {
            break trace;
        }
    };
    assert_eq!(traced.vip, 0);
    apply(&["y", "x"]);
    let end = loop {
        let line = client.line().unwrap();
        if line.get("end").is_some() {
            break line;
        }
    };
    let because = end["end"]["because"].as_str().unwrap();
    assert!(
        because.contains("no VIP of this name, but y, x"),
        "{because}"
    );
    world.await_filter(false);
}

#[test]
fn a_killed_host_s_filter_is_taken_off() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let card = Card::open(stage.connect(), options()).unwrap();
    card.set_trace_filter(Some(&TraceFilter::default()))
        .unwrap();
    assert!(card.is_tracing().unwrap());
    drop(card);
    let started = start(&stage, &Fuse::default(), folder.path(), &config(&["v"]));
    let (host, ..) = started.unwrap();
    assert!(!host.card().is_tracing().unwrap());
}
