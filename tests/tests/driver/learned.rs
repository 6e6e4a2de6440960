//! Flows that the card learned by itself, without asking anybody: they keep their backends through changes of the ring and of the VIPs,
//! and the host that comes knows them.

use std::collections::BTreeMap;

use guideway::config::Config;
use guideway::control::host::{Caller, Found, Host, Order, Turn};
use guideway_hdl::tables::FlowRecord;
use guideway_hdl::verdict::{Disposition, PortCounter};
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;

use super::crash::start;
use super::fuse::Fuse;
use super::stage::{ACK, MAC, PATIENCE, SYN, Stage};

/// Flows of each kind.
const FLOWS: u8 = 40;
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

/// Where each flow went first.
type Backends = BTreeMap<(usize, u8), [u8; 4]>;

/// Sends a packet of every flow, and fails when one goes elsewhere than the one before.
fn send_all(stage: &Stage, flags: u8, known: &mut Backends, when: &str) {
    for (kind, client) in (0..ADDRESSES.len()).flat_map(|kind| (0..FLOWS).map(move |c| (kind, c))) {
        let packet = PacketSpec {
            ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
            source: [192, 0, 2, client].into(),
            destination: ADDRESSES[kind].into(),
            protocol: 6,
            ports: (3000 + u16::from(client), 80),
            flags,
            traffic_class: 0,
            payload: b"hello".to_vec(),
        };
        stage.wire.send(packet.frame());
        let sent = stage.wire.receive(PATIENCE).unwrap().bytes;
        assert_eq!(sent[46..50], [192, 0, 2, client], "{when}");
        let backend = sent[30..34].try_into().unwrap();
        let before = *known.entry((kind, client)).or_insert(backend);
        assert_eq!(backend, before, "{when}: {client} of {kind}");
    }
}

fn settle(host: &mut Host) {
    host.acquainted();
    while host.turn().unwrap() != Turn::Idle || !host.is_settled() {}
}

fn change(host: &mut Host, caller: &Caller, config: Config) {
    assert!(caller.order(Order::Apply(Box::new(config))));
    settle(host);
}

fn flows(host: &Host) -> Vec<FlowRecord> {
    let records = host.card().read_flows().unwrap();
    records.into_iter().map(|(_, record)| record).collect()
}

#[test]
fn what_the_card_learned_keeps_its_backend() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let fuse = Fuse::default();
    let run = |config: &Config| start(&stage, &fuse, folder.path(), config).unwrap();
    let first = config(&[1, 2, 3], false);
    let (mut host, caller, _) = run(&first);
    let mut known = Backends::new();
    send_all(&stage, SYN, &mut known, "at first");
    send_all(&stage, ACK, &mut known, "a second time");
    let counters = host.card().read_counters().unwrap();
    let all = u64::try_from(known.len()).unwrap();
    assert_eq!(counters.disposition(Disposition::HostPunt), 0);
    assert_eq!(counters.port(PortCounter::Learned), all);
    assert_eq!(counters.disposition(Disposition::ForwardHit), all);
    assert!(
        flows(&host)
            .iter()
            .all(|flow| flow.confirmed && !flow.pinned)
    );
    // a backend goes, another comes
    change(&mut host, &caller, config(&[2, 3, 4], false));
    send_all(&stage, ACK, &mut known, "after the ring's change");
    let hits = |host: &Host| {
        let counters = host.card().read_counters().unwrap();
        counters.disposition(Disposition::ForwardHit)
    };
    assert_eq!(hits(&host), 2 * all);
    let first_ones = known.values().filter(|backend| backend[3] == 1).count();
    let pinned = flows(&host).iter().filter(|flow| flow.pinned).count();
    assert!(
        first_ones > 10 && pinned >= first_ones,
        "{pinned} of {first_ones}"
    );
    // a narrower VIP takes half of them, and leaves them again; its pool has none of their backends
    change(&mut host, &caller, config(&[2, 3, 4], true));
    send_all(&stage, ACK, &mut known, "with a narrower VIP");
    assert_eq!(hits(&host), 3 * all);
    change(&mut host, &caller, config(&[2, 3, 4], false));
    send_all(&stage, ACK, &mut known, "without it");
    assert_eq!(hits(&host), 4 * all);
    // the host is killed; the next host knows all, and changes the ring
    drop((host, caller));
    let later = config(&[2, 3, 4], false);
    send_all(&stage, ACK, &mut known, "without a host");
    let (mut host, caller, found) = run(&later);
    assert!(matches!(found, Found::Running(adopted) if adopted.flows >= known.len()));
    settle(&mut host);
    change(&mut host, &caller, config(&[5, 6], false));
    send_all(&stage, ACK, &mut known, "of another host");
    assert_eq!(hits(&host), 6 * all);
}

#[test]
fn a_flow_of_one_packet_stays_displaceable() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let started = start(
        &stage,
        &Fuse::default(),
        folder.path(),
        &config(&[1, 2, 3], false),
    );
    let (mut host, caller, _) = started.unwrap();
    send_all(&stage, SYN, &mut Backends::new(), "a flood");
    change(&mut host, &caller, config(&[2, 3, 4], false));
    let flows = flows(&host);
    assert_eq!(flows.len(), usize::from(FLOWS) * 2);
    assert!(flows.iter().all(|flow| !flow.confirmed && !flow.pinned));
}
