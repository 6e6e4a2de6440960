//! Rows of `CARD.md` 2: description, frame, disposition. Frames come from etherparse where it can build them.

use etherparse::{PacketBuilder, TcpOptionElement};
use guideway_hdl::verdict::Disposition;

use crate::reference::{Config, Packet, Parsed, Source, parse};

use super::{MAC, config};

const PEER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const WIRE: Source = Source::Wire { error: false };
const ASSIGN: Source = Source::Assign {
    vip: 1,
    backend: 1,
    generation: 7,
    spread: 0,
};

fn v4(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2(PEER, MAC)
        .ipv4([192, 168, 1, 1], [10, 200, 1, 1], 64)
        .tcp(31337, 80, 1, 1000)
        .syn()
        .write(&mut out, payload)
        .expect("a packet");
    out
}

fn v6(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2(PEER, MAC)
        .ipv6([0xfc; 16], [0xfd; 16], 64)
        .udp(5000, 443)
        .write(&mut out, payload)
        .expect("a packet");
    out
}

fn icmp(kind: u8, v6: bool, bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut message = vec![0; bytes];
    message.iter_mut().take(1).for_each(|byte| *byte = kind);
    let builder = PacketBuilder::ethernet2(PEER, MAC);
    if v6 {
        let packet = builder.ipv6([0xfc; 16], [0xfd; 16], 255);
        packet
            .write(&mut out, 58.into(), &message)
            .expect("a packet");
    } else {
        let packet = builder.ipv4([1; 4], [2; 4], 64);
        packet
            .write(&mut out, 1.into(), &message)
            .expect("a packet");
    }
    out
}

fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn cut(mut frame: Vec<u8>, length: usize) -> Vec<u8> {
    frame.truncate(length);
    frame
}

fn disposition(config: &Config, frame: &[u8], source: Source) -> Option<Disposition> {
    match parse(config, frame, source) {
        Parsed::Final(disposition) => Some(disposition),
        // without a VIP that answers
        Parsed::Packet(packet) if packet.echo => Some(Disposition::HostUnsupported),
        Parsed::Packet(_) => None,
    }
}

/// Row, frame, and its disposition; `None`: a packet for the VIP table.
fn rows() -> Vec<(&'static str, Vec<u8>, Option<Disposition>)> {
    use Disposition as D;
    let mut options = Vec::new();
    PacketBuilder::ethernet2(PEER, MAC)
        .ipv4([192, 168, 1, 1], [10, 200, 1, 1], 64)
        .tcp(31337, 80, 1, 1000)
        .options(&[TcpOptionElement::MaximumSegmentSize(1460)])
        .expect("an option")
        .write(&mut options, b"")
        .expect("a packet");
    vec![
        ("TCP", v4(b""), None),
        ("TCP with its own options", options, None),
        ("UDP over IPv6", v6(b""), None),
        ("padding", [v4(b""), vec![0; 6]].concat(), None),
        ("oversize", vec![0; 9217], Some(D::DropOversize)),
        ("runt", vec![0; 13], Some(D::DropRunt)),
        ("the shortest frame", vec![0; 14], Some(D::HostUnsupported)),
        ("ARP", with(vec![0; 60], 12, &[8, 6]), Some(D::HostControl)),
        (
            "ARP to all",
            with(with(vec![0; 60], 12, &[8, 6]), 0, &[255; 6]),
            Some(D::HostControl),
        ),
        (
            "LACP",
            with(vec![0; 60], 12, &[0x88, 9]),
            Some(D::HostControl),
        ),
        (
            "LLDP",
            with(vec![0; 60], 12, &[0x88, 0xcc]),
            Some(D::HostControl),
        ),
        ("broadcast", with(v4(b""), 0, &[255; 6]), Some(D::HostGroup)),
        (
            "a neighbour solicitation to a group",
            with(icmp(135, true, 24), 0, &[0x33]),
            Some(D::HostControl),
        ),
        (
            "a short one",
            with(icmp(135, true, 7), 0, &[0x33]),
            Some(D::HostGroup),
        ),
        (
            "an echo to a group",
            with(icmp(128, true, 24), 0, &[0x33]),
            Some(D::HostGroup),
        ),
        (
            "the packet read as a tag",
            with(v4(b""), 12, &[0x81, 0]),
            Some(D::HostUnsupported),
        ),
        (
            "802.3",
            with(v4(b""), 12, &[0, 40]),
            Some(D::HostUnsupported),
        ),
        (
            "no room for IPv4",
            cut(v4(b""), 33),
            Some(D::DropIpv4Malformed),
        ),
        (
            "version 5",
            with(v4(b""), 14, &[0x55]),
            Some(D::DropIpv4Malformed),
        ),
        (
            "header length 4",
            with(v4(b""), 14, &[0x44]),
            Some(D::DropIpv4Malformed),
        ),
        (
            "total length below the header",
            with(v4(b""), 16, &[0, 19]),
            Some(D::DropIpv4Malformed),
        ),
        (
            "total length beyond the frame",
            with(v4(b""), 16, &[0, 41]),
            Some(D::DropIpv4Malformed),
        ),
        (
            "one byte cut",
            cut(v4(b"abc"), 56),
            Some(D::DropIpv4Malformed),
        ),
        (
            "no room for IPv6",
            cut(v6(b""), 53),
            Some(D::DropIpv6Malformed),
        ),
        (
            "version 4 in IPv6",
            with(v6(b""), 14, &[0x40]),
            Some(D::DropIpv6Malformed),
        ),
        (
            "payload beyond the frame",
            with(v6(b""), 18, &[0, 9]),
            Some(D::DropIpv6Malformed),
        ),
        (
            "first fragment",
            with(v4(b""), 20, &[0x20, 0]),
            Some(D::HostFragment),
        ),
        (
            "last fragment",
            with(v4(b""), 20, &[0, 1]),
            Some(D::HostFragment),
        ),
        ("do not fragment", with(v4(b""), 20, &[0x40, 0]), None),
        (
            "IPv6 fragment",
            with(v6(b""), 20, &[44]),
            Some(D::HostFragment),
        ),
        (
            "the segment read as options",
            with(v4(b""), 14, &[0x46]),
            Some(D::DropL4Malformed),
        ),
        (
            "options beyond the total length",
            with(v4(b""), 14, &[0x4b]),
            Some(D::DropIpv4Malformed),
        ),
        (
            "a fragment with options",
            with(with(v4(b""), 14, &[0x46]), 20, &[0x20]),
            Some(D::HostFragment),
        ),
        (
            "the ports read as a long hop by hop header",
            with(v6(b""), 20, &[0]),
            Some(D::DropIpv6Malformed),
        ),
        ("ESP", with(v6(b""), 20, &[50]), Some(D::HostUnsupported)),
        (
            "no next header",
            with(v6(b""), 20, &[59]),
            Some(D::HostUnsupported),
        ),
        ("GRE", with(v4(b""), 23, &[47]), Some(D::HostUnsupported)),
        (
            "TCP too short",
            with(v4(b""), 16, &[0, 39]),
            Some(D::DropL4Malformed),
        ),
        (
            "UDP too short",
            with(v6(b""), 18, &[0, 7]),
            Some(D::DropL4Malformed),
        ),
        (
            "a jumbogram's length",
            with(v6(b""), 18, &[0, 0]),
            Some(D::DropL4Malformed),
        ),
        ("unreachable", icmp(3, false, 8), Some(D::HostIcmpError)),
        (
            "unreachable, short",
            icmp(3, false, 7),
            Some(D::HostUnsupported),
        ),
        ("time exceeded", icmp(11, false, 36), Some(D::HostIcmpError)),
        (
            "parameter problem",
            icmp(12, false, 36),
            Some(D::HostIcmpError),
        ),
        ("redirect", icmp(5, false, 36), Some(D::HostUnsupported)),
        ("echo", icmp(8, false, 36), Some(D::HostUnsupported)),
        ("packet too big", icmp(2, true, 48), Some(D::HostIcmpError)),
        ("error type 5", icmp(5, true, 48), Some(D::HostUnsupported)),
        (
            "echo over IPv6",
            icmp(128, true, 8),
            Some(D::HostUnsupported),
        ),
        (
            "router solicitation",
            icmp(133, true, 8),
            Some(D::HostControl),
        ),
        (
            "redirect over IPv6",
            icmp(137, true, 8),
            Some(D::HostControl),
        ),
        (
            "ICMPv6 type 138",
            icmp(138, true, 8),
            Some(D::HostUnsupported),
        ),
        (
            "ICMPv6 type 135, short",
            icmp(135, true, 7),
            Some(D::HostUnsupported),
        ),
        (
            "ICMPv6 in IPv4",
            with(icmp(135, false, 36), 23, &[58]),
            Some(D::HostUnsupported),
        ),
    ]
}

#[test]
fn rows_1_to_15() {
    for (description, frame, expected) in rows() {
        let seen = disposition(&config(), &frame, WIRE);
        assert_eq!(seen, expected, "{description}");
        let error = disposition(&config(), &frame, Source::Wire { error: true });
        assert_eq!(
            error,
            Some(Disposition::DropRxError),
            "{description} with an error flag"
        );
    }
}

#[test]
fn injects_have_their_own_rows() {
    for (description, frame, on_the_wire) in rows() {
        let raw = disposition(&config(), &frame, Source::Raw);
        let assign = disposition(&config(), &frame, ASSIGN);
        match on_the_wire {
            Some(Disposition::DropOversize | Disposition::DropRunt) => {
                assert_eq!((raw, assign), (on_the_wire, on_the_wire), "{description}");
            }
            // rows 5 to 7 are the wire's: an assigned packet may carry a group address
            Some(Disposition::HostGroup) if frame[12..14] == [8, 0] => assert_eq!(assign, None),
            // what the host was given it may send on
            Some(Disposition::HostFragment | Disposition::HostIcmpError) => {
                assert_eq!(assign, None, "{description}");
            }
            Some(_) => {
                assert_eq!(raw, Some(Disposition::ForwardRaw), "{description}");
                assert_eq!(
                    assign,
                    Some(Disposition::DropInjectInvalid),
                    "{description}"
                );
            }
            None => assert_eq!(assign, None, "{description}"),
        }
    }
}

#[test]
fn the_filter_is_for_unicast_from_the_wire() {
    let filtered = Config {
        mac_filter: true,
        mac: [2, 0, 0, 0, 0, 7],
        ..config()
    };
    let mismatch = Some(Disposition::DropMacMismatch);
    assert_eq!(disposition(&filtered, &v4(b""), WIRE), mismatch);
    assert_eq!(disposition(&filtered, &v4(b""), ASSIGN), None);
    let group = with(v4(b""), 0, &[255; 6]);
    assert_eq!(
        disposition(&filtered, &group, WIRE),
        Some(Disposition::HostGroup)
    );
    let ours = Config {
        mac: MAC,
        ..filtered
    };
    assert_eq!(disposition(&ours, &v4(b""), WIRE), None);
}

#[test]
fn a_packet_is_read_as_etherparse_reads_it() {
    for frame in [v4(b"payload"), v6(b"payload")] {
        let Parsed::Packet(packet) = parse(&config(), &frame, WIRE) else {
            panic!("a packet");
        };
        compare(&packet, &frame);
    }
}

fn compare(packet: &Packet, frame: &[u8]) {
    let sliced = etherparse::SlicedPacket::from_ethernet(frame).expect("a packet");
    let (source, bytes) = match sliced.net.expect("an IP header") {
        etherparse::NetSlice::Ipv4(v4) => (
            v4.header().source_addr().into(),
            usize::from(v4.header().total_len()),
        ),
        etherparse::NetSlice::Ipv6(v6) => (
            std::net::IpAddr::from(v6.header().source_addr()),
            usize::from(v6.header().payload_length()) + 40,
        ),
        other => panic!("{other:?}"),
    };
    assert_eq!((packet.source, packet.ip_bytes), (source, bytes));
    let (ports, syn) = match sliced.transport.expect("a transport header") {
        etherparse::TransportSlice::Tcp(tcp) => {
            ((tcp.source_port(), tcp.destination_port()), tcp.syn())
        }
        etherparse::TransportSlice::Udp(udp) => {
            ((udp.source_port(), udp.destination_port()), false)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((packet.source_port, packet.destination_port), ports);
    assert_eq!(packet.syn, syn);
}
