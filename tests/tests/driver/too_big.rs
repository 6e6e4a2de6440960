//! Packets that are too big to be encapsulated in one frame: put together again, their outer fragments are what the card sends when the
//! way to the backends has room for all of it.

use std::time::{Duration, Instant};

use etherparse::defrag::IpDefragPool;
use etherparse::{Ethernet2Header, IpHeaders, Ipv4Header, SlicedPacket};
use guideway::config::Config;
use guideway::control::host::{Found, Host};
use guideway_hdl::verdict::Disposition;
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;

use super::crash::start;
use super::fuse::Fuse;
use super::learned::change;
use super::on_both_models;
use super::stage::{MAC, PATIENCE, Stage};

/// The MTU towards the backends.
const MTU: usize = 1500;
/// Backends: address and the keys that say how packets travel there.
const WAYS: [(&str, &str); 8] = [
    ("10.0.0.1", ""),
    ("fc00::1", ""),
    ("10.0.0.2", "encap = \"gre\""),
    ("10.0.0.3", "encap = \"gre\"\ngre_key = 7"),
    ("fc00::2", "encap = \"gre\"\ngre_key = 0"),
    ("10.0.0.4", "encap = \"gue\"\nnext_hop = \"b\""),
    ("fc00::3", "encap = \"gue\""),
    ("10.0.0.5", "encap = \"l2\"\nmac = \"02:00:00:00:01:05\""),
];

/// A VIP for each way, all with the node's MTU or their pool's, and these keys.
fn config(mtu: usize, of_pool: &str, rules: &str) -> Config {
    let mut text = format!(
        "version = 1\n[card]\ndevice = \"sim\"\n[node]\nmac = \"02:00:00:00:00:01\"\nmtu = {mtu}\n\
         source_v4 = \"10.0.13.37\"\nsource_v6 = \"fc00:2307::1\"\ngue_port = 9886\n\
         [[node.next_hop]]\nname = \"a\"\nmac = \"02:00:00:00:00:0a\"\n\
         [[node.next_hop]]\nname = \"b\"\nmac = \"02:00:00:00:00:0b\"\nvlan = 42\nvlan_priority = 5\n\
         [[node.next_hop]]\nmac = \"02:00:00:00:00:0c\"\nvlan = \"remove\"\n"
    );
    for (i, (address, way)) in WAYS.iter().enumerate() {
        text += &format!(
            "[[pool]]\nname = \"p{i}\"\ntable_size = 251\n{of_pool}\n[[pool.backend]]\naddress = \"{address}\"\n{way}\n\
             [[vip]]\nname = \"v{i}\"\naddress = \"10.200.1.{i}\"\nport = 53\nprotocol = \"udp\"\npool = \"p{i}\"\n{rules}\n"
        );
    }
    Config::parse("test", &text).unwrap()
}

/// A client's datagram to the VIP of a way, with a VLAN tag; its IP packet has `bytes` and may be fragmented.
fn datagram(way: usize, client: u8, bytes: usize) -> Vec<u8> {
    let mut frame = PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source: [198, 51, 100, client].into(),
        destination: [10, 200, 1, way as u8].into(),
        protocol: 17,
        ports: (4000 + u16::from(client), 53),
        flags: 0,
        traffic_class: 0xb8,
        payload: (0..bytes - 28).map(|i| (i * 7) as u8).collect(),
    }
    .frame();
    frame[20] = 0;
    let (header, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
    frame[24..26].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
    frame.splice(12..12, [0x81, 0, 0x20, 9]);
    frame
}

/// What leaves after a frame came in, until nothing more does.
pub fn answers(stage: &Stage, host: &mut Host, frame: Vec<u8>) -> Vec<Vec<u8>> {
    stage.wire.send(frame);
    let begun = Instant::now();
    let (mut sent, mut quiet) = (Vec::new(), 0);
    while quiet < 20 && begun.elapsed() < PATIENCE {
        host.turn().unwrap();
        match stage.wire.receive(Duration::from_millis(1)) {
            Ok(frame) => sent.push(frame.bytes),
            Err(_) if sent.is_empty() => {}
            Err(_) => quiet += 1,
        }
    }
    sent
}

/// The Ethernet header with its tags, and the IP packet.
fn open(frame: &[u8]) -> (Vec<u8>, &[u8]) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let tags = sliced.link_exts.len() * 4;
    let behind = Ethernet2Header::LEN + tags;
    (frame[..behind].to_vec(), &frame[behind..])
}

/// What the receiver of fragments makes of them, by etherparse: the IP header's addresses and traffic class, the next header, the payload.
#[derive(Debug, PartialEq)]
struct Whole {
    source: Vec<u8>,
    destination: Vec<u8>,
    traffic_class: u8,
    hops: u8,
    next_header: u8,
    payload: Vec<u8>,
}

fn whole(packets: &[&[u8]]) -> Option<Whole> {
    let mut pool = IpDefragPool::<(), ()>::new();
    let mut whole = None;
    for packet in packets {
        let sliced = SlicedPacket::from_ip(packet).unwrap();
        let (next_header, payload) = match pool.process_sliced_packet(&sliced, (), ()).unwrap() {
            Some(done) => (done.ip_number, done.payload),
            None => match sliced.ip_payload() {
                Some(ip) if !ip.fragmented => (ip.ip_number, ip.payload.to_vec()),
                _ => continue,
            },
        };
        let (headers, _) = IpHeaders::from_slice(packet).unwrap();
        let (source, destination, traffic_class, hops) = match headers {
            IpHeaders::Ipv4(ip, _) => {
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                let class = packet[1];
                (
                    ip.source.to_vec(),
                    ip.destination.to_vec(),
                    class,
                    ip.time_to_live,
                )
            }
            IpHeaders::Ipv6(ip, _) => {
                let class = ip.traffic_class;
                (
                    ip.source.to_vec(),
                    ip.destination.to_vec(),
                    class,
                    ip.hop_limit,
                )
            }
        };
        assert!(whole.is_none(), "more than one packet");
        whole = Some(Whole {
            source,
            destination,
            traffic_class,
            hops,
            next_header: next_header.0,
            payload,
        });
    }
    whole
}

fn counted(host: &Host, disposition: Disposition) -> u64 {
    host.card()
        .read_counters()
        .unwrap()
        .disposition(disposition)
}

fn outer_fragments_make_up_what_the_card_would_send(model: Model) {
    let (stage, folder) = (Stage::new(model), tempfile::tempdir().unwrap());
    let (wide, narrow) = (
        config(9202, "", ""),
        config(9202, "mtu = 1500", "too_big = \"fragment\""),
    );
    let (mut host, caller, found) = start(&stage, &Fuse::default(), folder.path(), &wide).unwrap();
    assert_eq!(found, Found::Blank);
    let mut stations = Vec::new();
    let sizes = [(1, 1501), (5, 2960), (6, 9000)];
    let cases = (0..WAYS.len()).flat_map(|way| sizes.map(|(client, bytes)| (way, client, bytes)));
    let cases: Vec<(usize, u8, usize)> = cases.collect();
    let alone: Vec<Vec<u8>> = (cases.iter())
        .map(|&(way, client, bytes)| {
            let mut sent = answers(&stage, &mut host, datagram(way, client, bytes));
            assert_eq!(sent.len(), 1, "{way}");
            sent.remove(0)
        })
        .collect();
    change(&mut host, &caller, narrow);
    // flows that the card knows, and then new ones, which are punted and come back
    for (round, offset) in [("known", 0), ("new", 100)] {
        for (&(way, client, bytes), alone) in cases.iter().zip(&alone) {
            let context = format!("{round}, way {way}, {bytes} bytes");
            let sent = answers(&stage, &mut host, datagram(way, client + offset, bytes));
            assert!(sent.len() > 1, "{context}: {} frames", sent.len());
            let (ethernet, packet) = open(alone);
            let parts: Vec<(Vec<u8>, &[u8])> = sent.iter().map(|frame| open(frame)).collect();
            assert!(
                parts.iter().all(|(_, packet)| packet.len() <= MTU),
                "{context}"
            );
            let packets: Vec<&[u8]> = parts.iter().map(|(_, packet)| *packet).collect();
            let (wanted, got) = (whole(&[packet]).unwrap(), whole(&packets));
            let got = got.unwrap_or_else(|| panic!("{context}: not whole"));
            if round == "known" {
                assert!(parts.iter().all(|(head, _)| *head == ethernet), "{context}");
                assert_eq!(got, wanted, "{context}");
                stations.push(ethernet[..6].to_vec());
            } else {
                // another flow: other outer sources and ports
                assert_eq!(got.payload.len(), wanted.payload.len(), "{context}");
                assert_eq!(got.destination, wanted.destination, "{context}");
            }
        }
    }
    stations.sort_unstable();
    stations.dedup();
    assert_eq!(
        stations.len(),
        4,
        "three routers and a station: {stations:?}"
    );

    // what must not be fragmented is answered, and what need not be goes as ever
    let mut whole = datagram(0, 1, 2000);
    whole[24] = 0x40;
    let sent = answers(&stage, &mut host, whole);
    assert_eq!(
        (sent.len(), counted(&host, Disposition::ForwardTooBig)),
        (1, 1)
    );
    assert_eq!(answers(&stage, &mut host, datagram(0, 1, 1480)).len(), 1);
    // nothing of it when it is not asked for
    change(&mut host, &caller, config(MTU, "", ""));
    stage.wire.send(datagram(0, 1, 2000));
    let begun = Instant::now();
    while counted(&host, Disposition::DropTooBig) == 0 {
        assert!(begun.elapsed() < PATIENCE);
        host.turn().unwrap();
    }
    assert!(stage.wire.receive(Duration::from_millis(20)).is_err());
    assert_eq!(
        counted(&host, Disposition::HostTooBig),
        2 * cases.len() as u64
    );
}

on_both_models! {
    outer_fragments_make_up_what_the_card_would_send,
}
