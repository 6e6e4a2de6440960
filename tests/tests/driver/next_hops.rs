//! Several next hops: all packets of a flow take one, those that the host sends on included.

use std::collections::BTreeSet;

use etherparse::{IpFragOffset, Ipv4Header};
use guideway::config::Config;
use guideway_hdl::verdict::{Disposition, PortCounter};
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;

use super::crash::start;
use super::fuse::Fuse;
use super::on_both_models;
use super::stage::{MAC, Stage};
use super::too_big::answers;

/// A VIP by its own key, one of any port, and one of a prefix; their hashes count the destination port or not.
const VIPS: [(&str, [u8; 4], u16); 3] = [
    ("10.200.1.1", [10, 200, 1, 1], 53),
    ("10.200.1.2", [10, 200, 1, 2], 0),
    ("10.201.0.0/16", [10, 201, 7, 7], 53),
];

fn config() -> Config {
    let mut text = String::from("version = 1\n[card]\ndevice = \"sim\"\n");
    for i in 0..4 {
        text += &format!("[[node.next_hop]]\nmac = \"02:00:00:00:00:0{i}\"\n");
    }
    text +=
        "[[pool]]\nname = \"dns\"\ntable_size = 251\n[[pool.backend]]\naddress = \"10.0.0.1\"\n";
    for (i, (address, _, port)) in VIPS.iter().enumerate() {
        text += &format!(
            "[[vip]]\nname = \"v{i}\"\naddress = \"{address}\"\nport = {port}\nprotocol = \"udp\"\npool = \"dns\"\n"
        );
    }
    Config::parse("test", &text).unwrap()
}

fn datagram(vip: usize, client: u8) -> Vec<u8> {
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source: [198, 51, 100, client].into(),
        destination: VIPS[vip].1.into(),
        protocol: 17,
        ports: (4000 + u16::from(client), 53),
        flags: 0,
        traffic_class: 0,
        payload: vec![client; 64],
    }
    .frame()
}

/// The two fragments of a datagram: its first 24 bytes, and the others.
fn fragments(frame: &[u8]) -> [Vec<u8>; 2] {
    let (ethernet, packet) = frame.split_at(14);
    let (whole, payload) = Ipv4Header::from_slice(packet).unwrap();
    let part = |bytes: &[u8], offset, more_fragments| {
        let mut header = whole.clone();
        header.dont_fragment = false;
        header.more_fragments = more_fragments;
        header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        header.set_payload_len(bytes.len()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        [ethernet, header.to_bytes().as_slice(), bytes].concat()
    };
    [
        part(&payload[..24], 0, true),
        part(&payload[24..], 3, false),
    ]
}

fn a_flow_keeps_its_next_hop(model: Model) {
    let (stage, folder) = (Stage::new(model), tempfile::tempdir().unwrap());
    let (mut host, _caller, _) = start(&stage, &Fuse::default(), folder.path(), &config()).unwrap();
    let mut taken = BTreeSet::new();
    for vip in 0..VIPS.len() {
        for client in 0..8 {
            let whole = datagram(vip, client);
            let [first, second] = fragments(&whole);
            let hops: Vec<u8> = [whole.clone(), whole, first, second]
                .into_iter()
                .flat_map(|frame| answers(&stage, &mut host, frame))
                .map(|frame| frame[5])
                .collect();
            assert_eq!(hops, [hops[0]; 4], "VIP {vip}, client {client}");
            taken.insert(hops[0]);
        }
    }
    assert_eq!(taken, (0..4).collect());
    let counters = host.card().read_counters().unwrap();
    let flows = 8 * VIPS.len() as u64;
    for (disposition, count) in [
        (Disposition::HostPunt, flows),
        (Disposition::ForwardHit, flows),
        (Disposition::HostFragment, 2 * flows),
        (Disposition::ForwardInject, 3 * flows),
    ] {
        assert_eq!(counters.disposition(disposition), count, "{disposition:?}");
    }
    assert_eq!(counters.port(PortCounter::WireOut), 4 * flows);
}

on_both_models! {
    a_flow_keeps_its_next_hop,
}
