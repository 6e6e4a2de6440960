//! Packets as Katran's fixtures have them (TPR, stable UDP, source routing), and the backend that its program sends each to.

use std::net::IpAddr;

use etherparse::PacketBuilder;

use super::*;
use crate::config::Config;
use crate::slow_path::connections::Connection;
use crate::slow_path::decide::connection_key;

const V4: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const V6: [&str; 3] = ["fc00::1", "fc00::2", "fc00::3"];

/// Katran's pools and ids, and what else the text says of the pools.
fn state(vips: &[(&str, u16, &str, &str, &str)], routes: [&str; 2]) -> State {
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n",
    );
    let ids = [[1022, 1023, 1025], [1024, 1026, 1027]];
    for (i, (name, backends)) in [("v4", V4), ("v6", V6)].iter().enumerate() {
        text += &format!("[[pool]]\nname = {name:?}\ntable = \"maglev-v1\"\n");
        for (address, id) in backends.iter().zip(ids[i]) {
            text += &format!("[[pool.backend]]\naddress = {address:?}\nserver_id = {id}\n");
        }
        text += routes[i];
    }
    for (i, (address, port, protocol, pool, more)) in vips.iter().enumerate() {
        text += &format!(
            "[[vip]]\nname = \"v{i}\"\naddress = {address:?}\nport = {port}\nprotocol = {protocol:?}\npool = {pool:?}\n{more}\n"
        );
    }
    State::default()
        .next(&Config::parse("test", &text).unwrap())
        .unwrap()
}

/// From whom to whom.
type Flow<'a> = (&'a str, u16, &'a str, u16);

fn ip(source: &str, destination: &str) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2([1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]);
    match (source.parse().unwrap(), destination.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        other => panic!("{other:?}"),
    }
}

fn tcp((source, from, destination, to): Flow, syn: bool, options: &[u8]) -> Vec<u8> {
    let builder = ip(source, destination).tcp(from, to, 0, 8192);
    let builder = if syn { builder.syn() } else { builder.ack(0) };
    let mut frame = Vec::new();
    let builder = builder.options_raw(options).unwrap();
    builder.write(&mut frame, b"katran test pkt").unwrap();
    frame
}

fn udp((source, from, destination, to): Flow, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = ip(source, destination).udp(from, to);
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// A host that has met the packets before, of flows that its card forgot each time.
struct Host(View, Connections);

impl Host {
    fn new(state: &State) -> Self {
        Self(View::of(state), Connections::in_memory())
    }

    /// Where a punt goes, what decided, and whether its entry is pinned. It is recorded.
    fn meets(&mut self, frame: &[u8]) -> (String, By, bool) {
        let packet = ClientPacket::read(frame).unwrap();
        let (decision, by) = decide_routed(&self.0, &self.1, &packet, frame).unwrap();
        let connection = Connection {
            pool: decision.backend.pool,
            backend: decision.backend.address,
            last_seen: 0,
            closing: false,
            address: None,
        };
        self.1
            .record(connection_key(&packet, &decision.vip), connection)
            .unwrap();
        (decision.backend.address.to_string(), by, decision.pinned)
    }
}

#[test]
fn server_ids_in_tcp_options_as_katran_routes_by_them() {
    let by_id = "route_by = [\"server-id\"]";
    let dport = "route_by = [\"server-id\"]\nhash = [\"destination-port-only\"]";
    let mut host = Host::new(&state(
        &[
            ("10.200.1.1", 80, "tcp", "v4", by_id),
            ("10.200.1.2", 0, "tcp", "v4", by_id),
            ("10.200.1.4", 0, "tcp", "v4", dport),
            ("10.200.1.3", 80, "tcp", "v6", by_id),
            ("fc00:1::1", 80, "tcp", "v6", by_id),
        ],
        [""; 2],
    ));
    let id = |id: u32| [&[0xb7, 6][..], &id.to_le_bytes()].concat();
    let after_nops = |n, last: u32| [vec![1; n], id(last)].concat();
    let one: Flow = ("192.168.1.1", 31337, "10.200.1.1", 80);
    let any: Flow = ("192.168.1.1", 31337, "10.200.1.2", 42);
    let mixed: Flow = ("192.168.1.1", 31337, "10.200.1.3", 80);
    let six: Flow = ("fc00:2::1", 31337, "fc00:1::1", 80);
    let (ring, named) = (By::Usual, By::ServerId);
    for (n, flow, syn, options, backend, by) in [
        (1, one, true, id(0x13), "10.0.0.3", ring),
        (2, one, false, id(1025), "10.0.0.3", named),
        (3, any, false, id(1023), "10.0.0.2", named),
        (4, mixed, false, after_nops(4, 1024), "fc00::1", named),
        (5, six, false, id(1024), "fc00::1", named),
        (6, one, false, vec![], "10.0.0.3", ring),
        (7, one, false, id(1025), "10.0.0.3", named),
        (
            8,
            six,
            false,
            vec![8, 10, 0, 0, 0, 1, 0, 0, 0, 3, 1, 1],
            "fc00::1",
            ring,
        ),
        (9, six, false, id(0), "fc00::1", ring),
        (10, six, false, vec![0xb7, 4, 4, 0], "fc00::1", ring),
        (11, six, false, id(1024), "fc00::1", named),
        (
            12,
            ("fc00:2::1", 31332, "fc00:1::1", 80),
            false,
            id(0xff00_0000),
            "fc00::1",
            ring,
        ),
        (13, six, false, after_nops(14, 1024), "fc00::1", named),
        (
            14,
            ("192.168.1.1", 31337, "10.200.1.4", 42),
            false,
            vec![],
            "10.0.0.2",
            ring,
        ),
        (
            15,
            ("192.168.1.100", 1337, "10.200.1.4", 42),
            false,
            id(1023),
            "10.0.0.2",
            named,
        ),
        (
            16,
            six,
            false,
            [vec![0], id(1025)].concat(),
            "fc00::1",
            ring,
        ),
        (17, mixed, false, after_nops(4, 1021), "fc00::1", ring),
    ] {
        let (to, decided, _) = host.meets(&tcp(flow, syn, &options));
        assert_eq!((to.as_str(), decided), (backend, by), "case {n}");
    }
    // what its packet says goes before what is recorded, and is pinned; a backend of another pool is nobody's
    for (named, backend) in [(1022, "10.0.0.1"), (1023, "10.0.0.2")] {
        let (to, by, pinned) = host.meets(&tcp(one, false, &id(named)));
        assert_eq!((to.as_str(), by, pinned), (backend, By::ServerId, true));
    }
    assert_eq!(host.meets(&tcp(one, false, &id(1024))).1, By::Usual);
}

#[test]
fn stable_udp_as_katran_routes_it() {
    let by_id = "route_by = [\"server-id\"]";
    let mut host = Host::new(&state(
        &[
            ("fc00:1::9", 80, "udp", "v6", by_id),
            ("fc00:1::8", 80, "udp", "v6", ""),
        ],
        [""; 2],
    ));
    let named = |id: u32| {
        let [_, a, b, c] = id.to_be_bytes();
        [&[0x52, a, b, c, 0, 0, 0, 0][..], b"local test pkt"].concat()
    };
    let first: Flow = ("fc00:1::1", 31337, "fc00:1::9", 80);
    for (n, flow, id, by) in [
        (1, first, 0, By::Usual),
        (2, first, 1027, By::ServerId),
        (3, ("fc00:1::1", 31339, "fc00:1::9", 80), 1027, By::ServerId),
        (4, ("fc00:1::5", 31339, "fc00:1::9", 80), 1027, By::ServerId),
        (5, first, 0, By::Usual),
    ] {
        let (to, decided, _) = host.meets(&udp(flow, &named(id)));
        assert_eq!((to.as_str(), decided), ("fc00::3", by), "case {n}");
    }
    // the bytes mean nothing to a VIP that does not route by them
    let other: Flow = ("fc00:1::1", 31337, "fc00:1::8", 80);
    assert_eq!(host.meets(&udp(other, &named(1026))).1, By::Usual);
}

#[test]
fn sources_as_katran_routes_them() {
    let by_source = "route_by = [\"source\"]";
    let routed = |addresses: &[&str], routes: &[(&str, &str)]| {
        let backend = |a: &&str| format!("[[pool.backend]]\naddress = {a:?}\nweight = 0\n");
        let route = |(prefix, backend): &(&str, &str)| {
            format!("[[pool.source_route]]\nprefix = {prefix:?}\nbackend = {backend:?}\n")
        };
        let backends: String = addresses.iter().map(backend).collect();
        backends + &routes.iter().map(route).collect::<String>()
    };
    let v4 = routed(
        &["fc00::2307:1", "fc00::2307:2"],
        &[
            ("192.168.0.0/17", "fc00::2307:1"),
            ("192.168.100.0/24", "fc00::2307:2"),
        ],
    );
    let v6 = routed(
        &["fc00::2307:3", "fc00::2307:4", "fc00::2307:10"],
        &[
            ("fc00:2307::/32", "fc00::2307:3"),
            ("fc00:2307::/64", "fc00::2307:4"),
            ("fc00:2::/64", "fc00::2307:10"),
        ],
    );
    let mut host = Host::new(&state(
        &[
            ("10.200.1.1", 80, "udp", "v4", by_source),
            ("fc00:1::1", 80, "tcp", "v6", by_source),
            ("10.200.1.7", 80, "udp", "v4", ""),
        ],
        [&v4, &v6],
    ));
    let four = |source| udp((source, 31337, "10.200.1.1", 80), b"katran test pkt");
    let six = |source| tcp((source, 31337, "fc00:1::1", 80), false, &[]);
    for (n, frame, backend, by) in [
        (1, four("192.168.1.2"), "fc00::2307:1", By::Source),
        (2, four("192.168.1.2"), "fc00::2307:1", By::Usual), // recorded by now
        (3, four("192.168.100.1"), "fc00::2307:2", By::Source),
        (4, four("192.168.200.1"), "10.0.0.3", By::Usual),
        (5, six("fc00:2::2"), "fc00::2307:10", By::Source),
        (6, six("fc00:2307::1"), "fc00::2307:4", By::Source),
        (7, six("fc00:2308:1::1"), "fc00::1", By::Usual),
        (8, six("fc00:2::1"), "fc00::2307:10", By::Source),
    ] {
        let (to, decided, pinned) = host.meets(&frame);
        assert_eq!((to.as_str(), decided), (backend, by), "case {n}");
        assert_eq!(pinned, backend.contains("2307"), "case {n}");
    }
    let (to, by, _) = host.meets(&udp(("192.168.1.2", 31337, "10.200.1.7", 80), b"x"));
    assert!(V4.contains(&to.as_str()) && by == By::Usual);
}

#[test]
fn a_backend_that_leaves_keeps_its_id_until_another_has_it() {
    let text = |backends: &str| {
        let text = format!(
            "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\ntable_size = 11\n\
             {backends}[[vip]]\nname = \"v\"\naddress = \"10.200.1.1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\nroute_by = [\"server-id\"]\n"
        );
        Config::parse("test", &text).unwrap()
    };
    let backend =
        |address: &str, id| format!("[[pool.backend]]\naddress = {address:?}\nserver_id = {id}\n");
    let frame = tcp(
        ("192.0.2.1", 5, "10.200.1.1", 80),
        false,
        &[0xb7, 6, 7, 0, 0, 0],
    );
    let goes = |state: &State| Host::new(state).meets(&frame).0;
    let first = State::default()
        .next(&text(&(backend("10.0.0.1", 7) + &backend("10.0.0.2", 8))))
        .unwrap();
    assert_eq!(goes(&first), "10.0.0.1");
    let second = first.next(&text(&backend("10.0.0.2", 8))).unwrap();
    assert_eq!(goes(&second), "10.0.0.1");
    let third = first.next(&text(&backend("10.0.0.2", 7))).unwrap();
    assert_eq!(goes(&third), "10.0.0.2");
    // its stored form knows
    assert_eq!(State::from_json(&second.to_json()).unwrap(), second);
}
