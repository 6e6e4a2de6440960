//! Whose flow an ICMP error is about that the card left to the host.
//!
//! Owns the reading of errors and of the packets inside them (RFC 792, RFC 4443), further than the card does: behind the inner packet's IPv6
//! extension headers, its fragment header when it is a first fragment, and beyond the card's window.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fragment::walk;
use super::packet::{ClientPacket, over_tags};
use crate::config::Protocol;

/// Why an error is about no client's flow that could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unattributed {
    /// The inner packet was not sent from the address that the error is for.
    #[error("an error about another host's packet")]
    Foreign,
    /// It is neither TCP nor UDP, a later fragment, or ends before its ports.
    #[error("an error about a packet without ports")]
    NoPorts,
}

/// The client's packet that an error stands for: the inner packet reversed (`CARD.md`, section 2), of which no flags are known.
///
/// # Errors
/// When it is about no flow.
pub fn flow_of_error(frame: &[u8]) -> Result<ClientPacket, Unattributed> {
    let (destination, inner) = match over_tags(frame) {
        Some((0x0800, packet)) => behind_icmp(packet),
        Some((0x86dd, packet)) => behind_icmpv6(packet),
        _ => None,
    }
    .ok_or(Unattributed::NoPorts)?;
    let (sender, receiver, protocol, ports) = match destination {
        IpAddr::V4(_) => inner_ipv4(inner),
        IpAddr::V6(_) => inner_ipv6(inner),
    }
    .ok_or(Unattributed::NoPorts)?;
    if sender != destination {
        return Err(Unattributed::Foreign);
    }
    let protocol = match protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        _ => return Err(Unattributed::NoPorts),
    };
    let ports: &[u8; 4] = ports
        .and_then(<[u8]>::first_chunk)
        .ok_or(Unattributed::NoPorts)?;
    let (own, other) = (
        u16::from_be_bytes([ports[0], ports[1]]),
        u16::from_be_bytes([ports[2], ports[3]]),
    );
    Ok(ClientPacket::new(
        (receiver, other),
        (sender, own),
        protocol,
        0,
    ))
}

/// An inner packet's source, destination, protocol, and layer 4 if it begins with its ports.
type Inner<'a> = (IpAddr, IpAddr, u8, Option<&'a [u8]>);

/// The error's destination, and what follows its 8 bytes of ICMP.
fn behind_icmp(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let words = usize::from(header[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let inner = packet.get(words..total)?.get(8..)?;
    Some((v4(header, 16)?, inner))
}

fn behind_icmpv6(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    let header: &[u8; 40] = packet.first_chunk()?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let (58, message) = walk(header[6], packet.get(40..40 + payload)?)? else {
        return None;
    };
    Some((v6(header, 24)?, message.get(8..)?))
}

fn inner_ipv4(inner: &[u8]) -> Option<Inner<'_>> {
    let header: &[u8; 20] = inner.first_chunk()?;
    let words = usize::from(header[0] & 15) * 4;
    if header[0] >> 4 != 4 || words < 20 {
        return None;
    }
    // a later fragment's data are no ports
    let begins = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
    let ports = inner.get(words..).filter(|_| begins);
    Some((v4(header, 12)?, v4(header, 16)?, header[9], ports))
}

fn inner_ipv6(inner: &[u8]) -> Option<Inner<'_>> {
    const FRAGMENT: u8 = 44;
    let header: &[u8; 40] = inner.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (source, destination) = (v6(header, 8)?, v6(header, 24)?);
    let found = walk(header[6], &inner[40..]).and_then(|(next, rest)| {
        if next != FRAGMENT {
            return Some((next, rest));
        }
        let fields: &[u8; 8] = rest.first_chunk()?;
        let begins = u16::from_be_bytes([fields[2], fields[3]]) & 0xfff8 == 0;
        if begins {
            walk(fields[0], &rest[8..])
        } else {
            None
        }
    });
    let (protocol, ports) = found.map_or((0, None), |(next, rest)| (next, Some(rest)));
    Some((source, destination, protocol, ports))
}

fn v4(header: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets).into())
}

fn v6(header: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    const VIP: [u8; 4] = [10, 200, 1, 1];
    const CLIENT: [u8; 4] = [192, 0, 2, 7];
    const VIP6: [u8; 16] = [2; 16];
    const CLIENT6: [u8; 16] = [1; 16];

    /// The VIP's answer to its client, from its IP header on.
    fn answer(v6: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if v6 {
            let builder = PacketBuilder::ipv6(VIP6, CLIENT6, 64).udp(443, 4242);
            builder.write(&mut bytes, &[0; 16]).unwrap();
        } else {
            let builder = PacketBuilder::ipv4(VIP, CLIENT, 64).udp(443, 4242);
            builder.write(&mut bytes, &[0; 16]).unwrap();
        }
        bytes
    }

    /// An error of a router about `inner`.
    fn error(v6: bool, inner: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        if v6 {
            let builder = PacketBuilder::ethernet2([4; 6], [2; 6])
                .ipv6([9; 16], VIP6, 64)
                .icmpv6_raw(2, 0, [0, 0, 5, 0]);
            builder.write(&mut frame, inner).unwrap();
        } else {
            let builder = PacketBuilder::ethernet2([4; 6], [2; 6])
                .ipv4([9; 4], VIP, 64)
                .icmpv4_raw(3, 4, [0, 0, 5, 0]);
            builder.write(&mut frame, inner).unwrap();
        }
        frame
    }

    fn ports(frame: &[u8]) -> Result<(u16, u16), Unattributed> {
        flow_of_error(frame).map(|flow| (flow.source_port, flow.destination_port))
    }

    #[test]
    fn an_error_is_about_the_inner_packet_reversed() {
        let flow = flow_of_error(&error(false, &answer(false)[..28])).unwrap();
        assert_eq!(
            (flow.source, flow.destination, flow.protocol),
            (CLIENT.into(), VIP.into(), Protocol::Udp)
        );
        assert!((flow.source_port, flow.destination_port) == (4242, 443));
        assert!(!flow.opens && !flow.closes);
        let flow = flow_of_error(&error(true, &answer(true)[..48])).unwrap();
        assert_eq!(
            (flow.source, flow.destination),
            (CLIENT6.into(), VIP6.into())
        );
        assert_eq!((flow.source_port, flow.destination_port), (4242, 443));
        let tagged = error(false, &answer(false));
        let tagged = [&tagged[..12], &[0x81, 0, 0, 5], &tagged[12..]].concat();
        assert_eq!(ports(&tagged), Ok((4242, 443)));
    }

    #[test]
    fn ports_are_found_where_the_card_does_not_look() {
        // behind IPv4 options that fill the card's window
        let mut inner = answer(false);
        inner[0] = 0x4f;
        let inner = [&inner[..20], &[1; 40], &inner[20..]].concat();
        assert_eq!(ports(&error(false, &inner)), Ok((4242, 443)));
        // behind extension headers, and a fragment header when the first fragment is meant
        let with = |first: u8, headers: &[u8]| {
            let mut inner = answer(true);
            inner[6] = first;
            let inner = [&inner[..40], headers, &inner[40..]].concat();
            ports(&error(true, &inner))
        };
        assert_eq!(with(0, &[17, 0, 1, 4, 0, 0, 0, 0]), Ok((4242, 443)));
        assert_eq!(with(44, &[17, 0, 0, 1, 0, 0, 0, 7]), Ok((4242, 443)));
        let both = [60, 0, 0, 1, 0, 0, 0, 7, 17, 0, 1, 4, 0, 0, 0, 0];
        assert_eq!(with(44, &both), Ok((4242, 443)));
        let none = Err(Unattributed::NoPorts);
        assert_eq!(with(44, &[17, 0, 0, 9, 0, 0, 0, 7]), none);
        assert_eq!(with(43, &[17, 0, 4, 1, 0, 0, 0, 0]), none);
        assert_eq!(with(50, &[]), none);
        assert_eq!(with(0, &[17, 200, 1, 4, 0, 0, 0, 0]), none);
    }

    #[test]
    fn what_tells_no_flow_has_a_name() {
        let good = answer(false);
        let changed = |at: usize, to: u8| {
            let mut inner = good.clone();
            inner[at] = to;
            ports(&error(false, &inner))
        };
        assert_eq!(changed(15, 9), Err(Unattributed::Foreign));
        for (at, to) in [(0, 0x65), (0, 0x44), (7, 1), (6, 1), (9, 1)] {
            assert_eq!(changed(at, to), Err(Unattributed::NoPorts), "{at}");
        }
        // a first fragment is as good as the packet
        assert_eq!(changed(6, 0x20), Ok((4242, 443)));
        for length in 0..24 {
            let cut = error(false, &good[..length]);
            assert_eq!(ports(&cut), Err(Unattributed::NoPorts), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_panics(
            mut frame in proptest::collection::vec(any::<u8>(), 0..200),
            v6 in any::<bool>(),
        ) {
            let _ = flow_of_error(&frame);
            if frame.len() > 24 {
                frame[12..15].copy_from_slice(if v6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x45] });
                frame[if v6 { 18 } else { 16 }] = 0;
                frame[20] = 58;
                let _ = flow_of_error(&frame);
            }
        }
    }
}
