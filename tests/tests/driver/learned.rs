//! Flows that the card learned by itself, without asking anybody: they keep their backends through changes of the ring and of the VIPs,
//! and the host that comes knows them.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use guideway::card::flow::{FlowPlace, delete, flow_key, record_key};
use guideway::card::{Card, VipId};
use guideway::config::Config;
use guideway::control::host::{Caller, Found, Host, Order, Turn};
use guideway_hdl::descriptors::{Command, Status};
use guideway_hdl::tables::FlowRecord;
use guideway_hdl::verdict::{Disposition, PortCounter};
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;

use super::crash::{connect, start};
use super::fuse::{Blows, Fuse};
use super::stage::{ACK, MAC, PATIENCE, SYN, Stage, options};

/// Flows of each kind.
const FLOWS: u16 = 40;
/// One address, and one in a prefix from which a narrower VIP takes it for a while.
const ADDRESSES: [[u8; 4]; 2] = [[10, 200, 1, 1], [10, 201, 2, 2]];

fn config(backends: &[u8], narrow: bool) -> Config {
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:fe\"\n\
         [[pool]]\nname = \"web\"\ntable_size = 1009\n",
    );
    for backend in backends {
        text += &format!("[[pool.backend]]\naddress = \"10.0.0.{backend}\"\n");
    }
    text +=
        "[[pool]]\nname = \"other\"\ntable_size = 251\n[[pool.backend]]\naddress = \"10.0.1.1\"\n";
    let mut vips = vec![("10.200.1.1", "web"), ("10.201.0.0/16", "web")];
    if narrow {
        vips.push(("10.201.2.0/24", "other"));
    }
    for (i, (address, pool)) in vips.iter().enumerate() {
        text += &format!(
            "[[vip]]\nname = \"v{i}\"\naddress = \"{address}\"\nport = 80\nprotocol = \"tcp\"\npool = \"{pool}\"\non_miss = \"learn\"\n"
        );
    }
    Config::parse("test", &text).unwrap()
}

/// A client's number, and which of the addresses it talks to.
type Flow = (usize, u16);
/// Where each flow went first.
type Backends = BTreeMap<Flow, [u8; 4]>;

fn frame((kind, client): Flow, flags: u8) -> Vec<u8> {
    let [high, low] = client.to_be_bytes();
    let packet = PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source: [198, 51, high, low].into(),
        destination: ADDRESSES[kind].into(),
        protocol: 6,
        ports: (3000 + client, 80),
        flags,
        traffic_class: 0,
        payload: b"hello".to_vec(),
    };
    packet.frame()
}

/// Sends a packet of a flow and returns the backend that it goes to.
fn send(stage: &Stage, flow: Flow, flags: u8) -> [u8; 4] {
    stage.wire.send(frame(flow, flags));
    let sent = stage.wire.receive(PATIENCE).unwrap().bytes;
    let [high, low] = flow.1.to_be_bytes();
    assert_eq!(sent[46..50], [198, 51, high, low]);
    sent[30..34].try_into().unwrap()
}

/// Sends a packet of every flow, and fails when one goes elsewhere than the one before.
fn send_each(stage: &Stage, flags: u8, known: &Backends, when: &str) {
    for (&flow, &backend) in known {
        assert_eq!(send(stage, flow, flags), backend, "{when}: {flow:?}");
    }
}

/// Begins this many flows of each kind: a SYN, and where asked an ACK behind it.
fn begin(stage: &Stage, clients: std::ops::Range<u16>, confirmed: bool) -> Backends {
    let flows = (0..ADDRESSES.len()).flat_map(|kind| clients.clone().map(move |c| (kind, c)));
    let known: Backends = flows.map(|flow| (flow, send(stage, flow, SYN))).collect();
    if confirmed {
        send_each(stage, ACK, &known, "a second time");
    }
    known
}

fn settle(host: &mut Host) {
    host.acquainted();
    while host.turn().unwrap() != Turn::Idle || !host.is_settled() {}
}

/// Has the host carry a configuration out.
pub fn change(host: &mut Host, caller: &Caller, config: Config) {
    assert!(caller.order(Order::Apply(Box::new(config))));
    settle(host);
}

fn flows(host: &Host) -> Vec<FlowRecord> {
    let records = host.card().read_flows().unwrap();
    records.into_iter().map(|(_, record)| record).collect()
}

/// Deletes what may be lost at any time: all entries that are not pinned.
fn lose_what_is_not_pinned(card: &Card) {
    let rows = card.flow_rows();
    let deletes: Vec<Command> = (card.read_flows().unwrap().iter())
        .filter(|(_, record)| !record.pinned)
        .map(|(index, record)| {
            let (place, _) = FlowPlace::from_index(*index, rows);
            delete(&record_key(record), place)
        })
        .collect();
    let outcomes = card.run_flow_commands(&deletes).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.status == Status::Ok));
}

fn hits(host: &Host) -> u64 {
    let counters = host.card().read_counters().unwrap();
    counters.disposition(Disposition::ForwardHit)
}

#[test]
fn what_the_card_learned_keeps_its_backend() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let fuse = Fuse::default();
    let run = |config: &Config| start(&stage, &fuse, folder.path(), config).unwrap();
    let (mut host, caller, _) = run(&config(&[1, 2, 3], false));
    let known = begin(&stage, 0..FLOWS, true);
    let all = known.len() as u64;
    let counters = host.card().read_counters().unwrap();
    assert_eq!(counters.disposition(Disposition::HostPunt), 0);
    assert_eq!(counters.port(PortCounter::Learned), all);
    assert_eq!(hits(&host), all);
    let learned = flows(&host);
    assert!(learned.iter().all(|flow| flow.confirmed && !flow.pinned));
    // a backend goes, another comes
    change(&mut host, &caller, config(&[2, 3, 4], false));
    send_each(&stage, ACK, &known, "after the ring's change");
    assert_eq!(hits(&host), 2 * all);
    let first_ones = known.values().filter(|backend| backend[3] == 1).count();
    let pinned = flows(&host).iter().filter(|flow| flow.pinned).count();
    assert!(
        first_ones > 10 && pinned >= first_ones,
        "{pinned} of {first_ones}"
    );
    // a narrower VIP takes half of them, and leaves them again; its pool has none of their backends
    change(&mut host, &caller, config(&[2, 3, 4], true));
    send_each(&stage, ACK, &known, "with a narrower VIP");
    assert_eq!(hits(&host), 3 * all);
    change(&mut host, &caller, config(&[2, 3, 4], false));
    send_each(&stage, ACK, &known, "without it");
    assert_eq!(hits(&host), 4 * all);
    // the host is killed; the next host knows all, and changes the ring
    drop((host, caller));
    let later = config(&[2, 3, 4], false);
    send_each(&stage, ACK, &known, "without a host");
    let (mut host, caller, found) = run(&later);
    assert!(matches!(found, Found::Running(adopted) if adopted.flows >= known.len()));
    settle(&mut host);
    change(&mut host, &caller, config(&[5, 6], false));
    send_each(&stage, ACK, &known, "of another host");
    assert_eq!(hits(&host), 6 * all);
    lose_what_is_not_pinned(host.card());
    send_each(&stage, ACK, &known, "from the pinned entries alone");
}

#[test]
fn a_flow_of_one_packet_stays_displaceable_and_is_pinned_when_it_goes_on() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let first = config(&[1, 2, 3], false);
    let started = start(&stage, &Fuse::default(), folder.path(), &first);
    let (mut host, caller, _) = started.unwrap();
    let known = begin(&stage, 0..FLOWS, false);
    change(&mut host, &caller, config(&[2, 3, 4], false));
    let some = flows(&host);
    assert_eq!(some.len(), known.len());
    assert!(some.iter().all(|flow| !flow.confirmed && !flow.pinned));
    // they go on where they began, and the sweep finds those that the new ring would send elsewhere
    send_each(&stage, ACK, &known, "after the ring's change");
    let moved = known.values().filter(|backend| backend[3] == 1).count();
    let begun = Instant::now();
    while flows(&host).iter().filter(|flow| flow.pinned).count() < moved {
        assert!(begun.elapsed() < 2 * PATIENCE, "the sweep pins none");
        host.turn().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    // again, and now of a ring with none of their backends
    change(&mut host, &caller, config(&[5, 6], false));
    lose_what_is_not_pinned(host.card());
    send_each(&stage, ACK, &known, "from the pinned entries alone");
}

#[test]
fn a_connection_that_begins_anew_leaves_a_draining_backend_for_good() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let first = config(&[1, 2, 3], false);
    let started = start(&stage, &Fuse::default(), folder.path(), &first);
    let (mut host, caller, _) = started.unwrap();
    let mut known = begin(&stage, 0..FLOWS, true);
    change(&mut host, &caller, config(&[2, 3], false));
    // every other client of the backend that drains opens its connection anew
    let old: Vec<Flow> = (known.iter())
        .filter(|(_, backend)| backend[3] == 1)
        .map(|(flow, _)| *flow)
        .step_by(2)
        .collect();
    assert!(old.len() > 5);
    for flow in old {
        let backend = send(&stage, flow, SYN);
        assert_ne!(backend[3], 1, "{flow:?}");
        known.insert(flow, backend);
    }
    send_each(&stage, ACK, &known, "after the new SYNs");
    change(&mut host, &caller, config(&[5, 6], false));
    lose_what_is_not_pinned(host.card());
    send_each(&stage, ACK, &known, "after a second change");
}

/// Changes to `later` while a flow begins before each of the host's writes; returns the flows.
fn begin_at_each_write(
    stage: &Stage,
    fuse: &Fuse,
    (host, caller): (&mut Host, &Caller),
    (later, first): (Config, u16),
) -> Backends {
    let (asked, asks) = mpsc::channel();
    let (done, goes_on) = mpsc::channel::<()>();
    fuse.before_each(Some(Box::new(move || {
        if asked.send(()).is_ok() {
            let _ = goes_on.recv_timeout(PATIENCE);
        }
    })));
    let mut known = Backends::new();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| change(host, caller, later));
        while !changing.is_finished() {
            if asks.recv_timeout(Duration::from_millis(10)).is_ok() {
                let next = first + (known.len() / ADDRESSES.len()) as u16;
                known.extend(begin(stage, next..next + 1, true));
                done.send(()).unwrap();
            }
        }
        changing.join().unwrap();
    });
    fuse.before_each(None);
    known
}

#[test]
fn flows_that_begin_while_the_rules_change_are_pinned() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let (fuse, first) = (Fuse::default(), config(&[1, 2, 3], false));
    let (mut host, caller, _) = start(&stage, &fuse, folder.path(), &first).unwrap();
    for (later, first) in [
        config(&[2, 3, 4], false),
        config(&[2, 3, 4], true),
        config(&[1, 4, 5], true),
        config(&[1, 4, 5], false),
    ]
    .into_iter()
    .zip((0..).step_by(2000))
    {
        let known = begin_at_each_write(&stage, &fuse, (&mut host, &caller), (later, first));
        assert!(known.len() > 60, "only {} flows", known.len());
        lose_what_is_not_pinned(host.card());
        send_each(&stage, ACK, &known, "of what began meanwhile");
    }
}

#[test]
fn a_host_that_dies_while_the_ring_changes_leaves_no_flow_behind() {
    let stage = Stage::new(Model::Reference);
    let (first, second) = (config(&[1, 2, 3], false), config(&[2, 3, 4], true));
    for write in (0..).step_by(3) {
        let (fuse, folder) = (Fuse::default(), tempfile::tempdir().unwrap());
        let (mut host, caller, _) = start(&stage, &fuse, folder.path(), &first).unwrap();
        let known = begin(&stage, 0..FLOWS, true);
        let blows = [Blows::Before, Blows::After][write as usize % 2];
        fuse.set(write, blows);
        assert!(caller.order(Order::Apply(Box::new(second.clone()))));
        host.acquainted();
        let ended = loop {
            match host.turn() {
                Ok(Turn::Idle) if host.is_settled() => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        let blown = fuse.take();
        assert_eq!(ended.is_err(), blown, "write {write}");
        drop((host, caller));
        let when = format!("write {write} ({blows:?})");
        send_each(&stage, ACK, &known, &when);
        // whatever was not pinned goes where it went, also when nobody remembers it
        lose_what_is_not_pinned(
            &Card::adopt(connect(&stage, &Fuse::default()).unwrap(), options()).unwrap(),
        );
        send_each(&stage, ACK, &known, &when);
        send_each(&stage, ACK, &known, &when);
        let (mut host, _caller, found) =
            start(&stage, &Fuse::default(), folder.path(), &second).unwrap();
        assert!(matches!(found, Found::Running(_)), "{when}: erased");
        settle(&mut host);
        send_each(&stage, ACK, &known, &when);
        lose_what_is_not_pinned(host.card());
        send_each(&stage, ACK, &known, &when);
        if !blown {
            assert!(write > 30, "only {write} writes: this shows little");
            return;
        }
    }
}

#[test]
fn a_flow_that_host_and_card_record_at_once_stands_once() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let text = "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:fe\"\n[[pool]]\nname = \"web\"\n\
                table_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\n[[pool.backend]]\naddress = \"10.0.0.2\"\n\
                [[vip]]\nname = \"v\"\naddress = \"10.200.1.1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n\
                meter = { rate = 1, burst = 1 }\n";
    let config = Config::parse("test", text).unwrap();
    let started = start(&stage, &Fuse::default(), folder.path(), &config);
    let (mut host, _caller, _) = started.unwrap();
    let row = |flow: Flow| {
        let [high, low] = flow.1.to_be_bytes();
        let key = flow_key(VipId(0), [198, 51, high, low].into(), 3000 + flow.1, 80);
        host.card().secrets().flow_row(0, &key)
    };
    // the host takes the lowest bank, the card the emptiest: a flow is there already that shares the other's row in the lowest
    let (before, flow) = (0..u16::MAX - 3000)
        .find_map(|n| {
            let same = (0..n).find(|&m| row((0, m)) == row((0, n)))?;
            Some(((0, same), (0, n)))
        })
        .unwrap();
    let wait = |host: &mut Host| {
        let begun = Instant::now();
        while host.card().punts_outstanding().unwrap() == 0 {
            assert!(begun.elapsed() < PATIENCE);
        }
        while host.turn().unwrap() != Turn::Idle {}
    };
    stage.wire.send(frame(before, SYN));
    wait(&mut host);
    stage.wire.receive(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    // the first one takes the token and waits for the host, the second goes by the ring
    (0..4).for_each(|_| stage.wire.send(frame(flow, SYN)));
    stage.wire.receive(PATIENCE).unwrap();
    let counters = host.card().read_counters().unwrap();
    assert!(counters.port(PortCounter::Learned) > 0);
    assert!(counters.disposition(Disposition::ForwardOverMeter) > 0);
    wait(&mut host);
    let mut keys: Vec<_> = flows(&host)
        .iter()
        .map(record_key)
        .map(|key| (key.source, key.source_port))
        .collect();
    keys.sort_unstable();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_ne!(keys[0], keys[1]);
}
