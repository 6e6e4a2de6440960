//! What the host reads of a punted frame.
//!
//! Owns the reading of Ethernet, IPv4, IPv6, TCP and UDP headers (RFC 791, 8200, 9293, 768) with the card's rules (`CARD.md`, section 2).
//! A punt's connection is taken from the frame's own bytes; the completion's fields are only compared with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u128};
use nom::{IResult, Parser as _};

use crate::config::Protocol;

/// A client's packet for a VIP, as far as the slow path cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientPacket {
    /// The client's address.
    pub source: IpAddr,
    /// The VIP's address.
    pub destination: IpAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The client's port.
    pub source_port: u16,
    /// The port on the VIP.
    pub destination_port: u16,
    /// TCP: SYN without ACK. A new connection.
    pub opens: bool,
    /// TCP: FIN or RST.
    pub closes: bool,
}

/// Why a frame is no client's packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAClientPacket {
    /// It ends within a header.
    #[error("the frame ends within a header")]
    Truncated,
    /// Neither IPv4 nor IPv6, a fragment, or behind headers that the card does not walk.
    #[error("the card does not punt such a packet")]
    Other,
}

impl ClientPacket {
    /// Reads a frame without FCS.
    ///
    /// # Errors
    /// When the frame is none that the card may punt.
    pub fn read(frame: &[u8]) -> Result<Self, NotAClientPacket> {
        let (packet, ether_type) = ethernet(frame)?;
        let (transport, header) = match ether_type {
            0x0800 => ipv4(packet)?,
            0x86dd => ipv6(packet)?,
            _ => return Err(NotAClientPacket::Other),
        };
        let protocol = match header.protocol {
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            _ => return Err(NotAClientPacket::Other),
        };
        if !header.for_the_vip {
            return Err(NotAClientPacket::Other);
        }
        let (rest, (source_port, destination_port)) = ports(transport)?;
        let flags = if protocol == Protocol::Tcp {
            tcp_flags(rest)?.1
        } else {
            0
        };
        Ok(Self::new(
            (header.source, source_port),
            (header.destination, destination_port),
            protocol,
            flags,
        ))
    }

    /// The packet with these addresses, ports and TCP flags (of UDP: 0).
    pub(super) fn new(
        (source, source_port): (IpAddr, u16),
        (destination, destination_port): (IpAddr, u16),
        protocol: Protocol,
        flags: u8,
    ) -> Self {
        Self {
            source,
            destination,
            protocol,
            source_port,
            destination_port,
            opens: flags & (SYN | ACK) == SYN,
            closes: flags & (FIN | RST) != 0,
        }
    }
}

/// The EtherType behind up to two VLAN tags, and what follows it.
pub(super) fn over_tags(frame: &[u8]) -> Option<(u16, &[u8])> {
    let (rest, ether_type) = ethernet(frame).ok()?;
    Some((ether_type, rest))
}

/// 802.1Q, 802.1ad, and the outer tag of older bridges.
const TPIDS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const TAGS_MAX: usize = 2;
const EXTENSIONS_MAX: usize = 3;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What matters of an IP header.
struct IpHeader {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// No fragment, and at the end of its route.
    for_the_vip: bool,
}

impl From<nom::Err<nom::error::Error<&[u8]>>> for NotAClientPacket {
    fn from(error: nom::Err<nom::error::Error<&[u8]>>) -> Self {
        match error {
            nom::Err::Failure(_) => Self::Other,
            nom::Err::Error(_) | nom::Err::Incomplete(_) => Self::Truncated,
        }
    }
}

/// The EtherType behind the addresses and up to two VLAN tags.
fn ethernet(frame: &[u8]) -> IResult<&[u8], u16> {
    let (mut rest, (_addresses, mut ether_type)) = (take(12usize), be_u16).parse(frame)?;
    for _ in 0..TAGS_MAX {
        if !TPIDS.contains(&ether_type) {
            break;
        }
        (rest, (_, ether_type)) = (be_u16, be_u16).parse(rest)?;
    }
    Ok((rest, ether_type))
}

/// A packet from its TCP or UDP header to the end that its IP length names.
pub(super) fn transport(frame: &[u8]) -> Option<&[u8]> {
    let (packet, ether_type) = ethernet(frame).ok()?;
    let length = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *packet.get(at)?,
            *packet.get(at + 1)?,
        ])))
    };
    let (rest, _) = match ether_type {
        0x0800 => ipv4(packet.get(..length(2)?)?),
        0x86dd => ipv6(packet.get(..40 + length(4)?)?),
        _ => return None,
    }
    .ok()?;
    Some(rest)
}

fn ipv4(packet: &[u8]) -> IResult<&[u8], IpHeader> {
    let (rest, (version_ihl, _tos, _length, _id, fragment, _ttl, protocol, _checksum)) =
        (be_u8, be_u8, be_u16, be_u16, be_u16, be_u8, be_u8, be_u16).parse(packet)?;
    let (rest, (source, destination)) = (be_u32, be_u32).parse(rest)?;
    let options = match version_ihl {
        0x45..=0x4f => usize::from(version_ihl & 15) * 4 - 20,
        _ => return Err(malformed(packet)),
    };
    let (rest, _) = take(options).parse(rest)?;
    let header = IpHeader {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        protocol,
        for_the_vip: fragment & 0x3fff == 0,
    };
    Ok((rest, header))
}

fn ipv6(packet: &[u8]) -> IResult<&[u8], IpHeader> {
    let (rest, (first, _length, protocol, _hops)) = (be_u32, be_u16, be_u8, be_u8).parse(packet)?;
    let (rest, (source, destination)) = (be_u128, be_u128).parse(rest)?;
    if first >> 28 != 6 {
        return Err(malformed(packet));
    }
    let (rest, (protocol, arrived)) = extensions(rest, protocol)?;
    let header = IpHeader {
        source: Ipv6Addr::from(source).into(),
        destination: Ipv6Addr::from(destination).into(),
        protocol,
        for_the_vip: arrived,
    };
    Ok((rest, header))
}

/// Over up to three extension headers: the protocol behind them, and whether no routing header has segments left.
fn extensions(mut rest: &[u8], mut next: u8) -> IResult<&[u8], (u8, bool)> {
    let mut arrived = true;
    for _ in 0..EXTENSIONS_MAX {
        if !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
            break;
        }
        let (behind, (following, units, _type, segments_left)) =
            (be_u8, be_u8, be_u8, be_u8).parse(rest)?;
        arrived &= next != ROUTING || segments_left == 0;
        (rest, _) = take(usize::from(units) * 8 + 4).parse(behind)?;
        next = following;
    }
    Ok((rest, (next, arrived)))
}

/// No packet of this version; told as a packet of no known kind.
fn malformed(packet: &[u8]) -> nom::Err<nom::error::Error<&[u8]>> {
    nom::Err::Failure(nom::error::Error::new(
        packet,
        nom::error::ErrorKind::Verify,
    ))
}

fn ports(transport: &[u8]) -> IResult<&[u8], (u16, u16)> {
    (be_u16, be_u16).parse(transport)
}

/// The flags byte: nine bytes after the ports.
fn tcp_flags(rest: &[u8]) -> IResult<&[u8], u8> {
    let (rest, (_, flags)) = (take(9usize), be_u8).parse(rest)?;
    Ok((rest, flags))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    fn tcp4(syn: bool, ack: bool) -> Vec<u8> {
        let mut builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 7], [10, 200, 1, 1], 64)
            .tcp(4242, 80, 1, 1000);
        if syn {
            builder = builder.syn();
        }
        if ack {
            builder = builder.ack(5);
        }
        let mut frame = Vec::new();
        builder.write(&mut frame, b"x").unwrap();
        frame
    }

    #[test]
    fn a_tcp_packet_is_read() {
        let packet = ClientPacket::read(&tcp4(true, false)).unwrap();
        assert_eq!(
            (packet.source.to_string(), packet.destination.to_string()),
            ("10.0.0.7".into(), "10.200.1.1".into())
        );
        assert_eq!(
            (packet.source_port, packet.destination_port, packet.opens),
            (4242, 80, true)
        );
        assert!(!ClientPacket::read(&tcp4(true, true)).unwrap().opens);
        assert!(!ClientPacket::read(&tcp4(false, true)).unwrap().opens);
    }

    #[test]
    fn a_udp_packet_of_ipv6_is_read() {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv6([1; 16], [2; 16], 64)
            .udp(53, 443);
        let mut frame = Vec::new();
        builder.write(&mut frame, b"").unwrap();
        let packet = ClientPacket::read(&frame).unwrap();
        assert_eq!(
            (packet.protocol, packet.source_port, packet.destination_port),
            (Protocol::Udp, 53, 443)
        );
        assert!(packet.source.is_ipv6() && !packet.opens);
    }

    /// `frame` with bytes put in at `at`.
    fn between(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        [&frame[..at], bytes, &frame[at..]].concat()
    }

    #[test]
    fn tags_and_options_are_passed_over() {
        let plain = tcp4(true, false);
        let expected = ClientPacket::read(&plain);
        let mut options = between(&plain, 34, &[1; 40]);
        options[14] = 0x4f;
        for frame in [&plain, &options] {
            let one = between(frame, 12, &[0x81, 0, 0x20, 5]);
            let two = between(&one, 12, &[0x88, 0xa8, 0, 0]);
            let three = between(&two, 12, &[0x91, 0, 0, 1]);
            for tagged in [frame, &one, &two] {
                assert_eq!(ClientPacket::read(tagged), expected);
            }
            assert_eq!(ClientPacket::read(&three), Err(NotAClientPacket::Other));
        }
    }

    #[test]
    fn extension_headers_are_passed_over() {
        let udp = |headers: &[u8], first: u8| {
            let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv6([1; 16], [2; 16], 64)
                .udp(53, 443);
            let mut frame = Vec::new();
            builder.write(&mut frame, b"").unwrap();
            frame[20] = first;
            ClientPacket::read(&between(&frame, 54, headers))
        };
        let expected = udp(&[], 17);
        assert!(expected.is_ok());
        let hop = [43, 0, 1, 4, 0, 0, 0, 0];
        let routing = [60, 0, 4, 0, 0, 0, 0, 0];
        let destination = [[17, 1, 1, 12, 0, 0, 0, 0], [0; 8]].concat();
        let chain = [hop.as_slice(), &routing, &destination].concat();
        assert_eq!(udp(&chain, 0), expected);
        let fourth = [[0, 0, 1, 4, 0, 0, 0, 0].as_slice(), &chain].concat();
        assert_eq!(udp(&fourth, 60), Err(NotAClientPacket::Other));
        let mut in_transit = chain.clone();
        in_transit[8 + 3] = 1;
        assert_eq!(udp(&in_transit, 0), Err(NotAClientPacket::Other));
        let fragment = [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(udp(&fragment, 0), Err(NotAClientPacket::Other));
        let mut long = chain;
        long[1] = 255;
        assert_eq!(udp(&long, 0), Err(NotAClientPacket::Truncated));
    }

    #[test]
    fn what_the_card_never_punts_is_refused() {
        let mut version = tcp4(true, false);
        version[14] = 0x55;
        let mut words = tcp4(true, false);
        words[14] = 0x44;
        let mut fragment = tcp4(true, false);
        fragment[20] = 0x20;
        let mut icmp = tcp4(true, false);
        icmp[23] = 1;
        let mut arp = tcp4(true, false);
        arp[12..14].copy_from_slice(&[8, 6]);
        for frame in [version, words, fragment, icmp, arp] {
            assert_eq!(ClientPacket::read(&frame), Err(NotAClientPacket::Other));
        }
        for length in 0..48 {
            assert_eq!(
                ClientPacket::read(&tcp4(true, false)[..length]),
                Err(NotAClientPacket::Truncated),
                "{length} bytes"
            );
        }
    }

    proptest! {
        #[test]
        fn no_frame_panics(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ClientPacket::read(&frame);
        }
    }
}
