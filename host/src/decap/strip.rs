//! Finding the inner packet: IP in IP (RFC 2003, RFC 2473), GRE (RFC 2784) with or without a key (RFC 2890), GUE variant 1 over UDP.
//!
//! Owns what counts as encapsulated: GRE with a checksum, a sequence number or another payload than IP is somebody else's, and so is UDP to another port or of another variant. The outer header's checksum was checked by nobody yet, and is here, as a tunnel's end does.

use std::ops::Range;

/// IPv4 in IP.
const PROTOCOL_IPV4: u8 = 4;
/// UDP.
const PROTOCOL_UDP: u8 = 17;
/// IPv6 in IP.
const PROTOCOL_IPV6: u8 = 41;
/// GRE.
const PROTOCOL_GRE: u8 = 47;

/// GRE's flag word when a key follows, and nothing else.
const GRE_KEY: u16 = 0x2000;

/// Why a frame has no inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEncapsulated {
    /// It says that it is encapsulated, and is not whole.
    Malformed,
    /// Something else.
    Other,
}

/// The inner packet of a frame: its EtherType, and where it lies. At least 20 bytes lie between Ethernet header and inner packet.
/// GUE comes to the UDP port `gue_port`.
///
/// # Errors
/// When there is none.
pub fn strip(frame: &[u8], gue_port: u16) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let ether_type = read_u16(frame, 12).ok_or(NotEncapsulated::Other)?;
    match ether_type {
        0x0800 => strip_ipv4(frame, gue_port),
        0x86dd => strip_ipv6(frame, gue_port),
        _ => Err(NotEncapsulated::Other),
    }
}

fn strip_ipv4(frame: &[u8], gue_port: u16) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let packet = frame.get(14..).unwrap_or_default();
    let protocol = *packet.get(9).ok_or(NotEncapsulated::Other)?;
    if !matches!(
        protocol,
        PROTOCOL_IPV4 | PROTOCOL_IPV6 | PROTOCOL_GRE | PROTOCOL_UDP
    ) {
        return Err(NotEncapsulated::Other);
    }
    let header = usize::from(packet[0] & 0x0f) * 4;
    let total = usize::from(read_u16(packet, 2).unwrap_or(0));
    let fragment = read_u16(packet, 6).unwrap_or(0) & 0x3fff;
    let whole = packet[0] >> 4 == 4
        && header >= 20
        && total >= header
        && packet.len() >= total
        && fragment == 0;
    let range = 14 + header..14 + total;
    if protocol == PROTOCOL_UDP && !(whole && is_gue(&frame[range.clone()], gue_port)) {
        return Err(NotEncapsulated::Other);
    }
    if !whole || sum(&[&packet[..header]]) != 0xffff {
        return Err(NotEncapsulated::Malformed);
    }
    if protocol == PROTOCOL_UDP {
        return behind_udp(frame, &packet[12..20], range);
    }
    behind_gre(frame, protocol, range)
}

fn strip_ipv6(frame: &[u8], gue_port: u16) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let packet = frame.get(14..).unwrap_or_default();
    let protocol = *packet.get(6).ok_or(NotEncapsulated::Other)?;
    if !matches!(
        protocol,
        PROTOCOL_IPV4 | PROTOCOL_IPV6 | PROTOCOL_GRE | PROTOCOL_UDP
    ) {
        return Err(NotEncapsulated::Other);
    }
    let end = 40 + usize::from(read_u16(packet, 4).unwrap_or(0));
    let whole = packet[0] >> 4 == 6 && packet.len() >= end;
    let range = 14 + 40..14 + end;
    if protocol == PROTOCOL_UDP && !(whole && is_gue(&frame[range.clone()], gue_port)) {
        return Err(NotEncapsulated::Other);
    }
    if !whole {
        return Err(NotEncapsulated::Malformed);
    }
    if protocol == PROTOCOL_UDP {
        return behind_udp(frame, &packet[8..40], range);
    }
    behind_gre(frame, protocol, range)
}

/// Whether a UDP datagram comes to this port with an IP packet at once behind its header (GUE variant 1). Other UDP is nobody's
/// business here, however broken.
fn is_gue(datagram: &[u8], gue_port: u16) -> bool {
    let version = datagram.get(8).map(|byte| byte >> 4);
    read_u16(datagram, 2) == Some(gue_port) && matches!(version, Some(4 | 6))
}

/// The inner packet behind a UDP header. Its checksum is looked at unless it is 0: none was sent.
fn behind_udp(
    frame: &[u8],
    addresses: &[u8],
    range: Range<usize>,
) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let datagram = &frame[range.clone()];
    let length = read_u16(datagram, 4).unwrap_or(0);
    let end = usize::from(length);
    if end <= 8 || end > datagram.len() {
        return Err(NotEncapsulated::Malformed);
    }
    let datagram = &datagram[..end];
    let pseudo = [addresses, &[0, PROTOCOL_UDP], &length.to_be_bytes()].concat();
    if datagram[6..8] != [0, 0] && sum(&[&pseudo, datagram]) != 0xffff {
        return Err(NotEncapsulated::Malformed);
    }
    let protocol = if datagram[8] >> 4 == 4 {
        PROTOCOL_IPV4
    } else {
        PROTOCOL_IPV6
    };
    inner(frame, protocol, range.start + 8..range.start + end)
}

/// The inner packet behind a GRE header, or at once.
fn behind_gre(
    frame: &[u8],
    protocol: u8,
    range: Range<usize>,
) -> Result<(u16, Range<usize>), NotEncapsulated> {
    if protocol != PROTOCOL_GRE {
        return inner(frame, protocol, range);
    }
    let header = &frame[range.clone()];
    let flags = read_u16(header, 0).ok_or(NotEncapsulated::Malformed)?;
    let protocol = match read_u16(header, 2).ok_or(NotEncapsulated::Malformed)? {
        0x0800 => PROTOCOL_IPV4,
        0x86dd => PROTOCOL_IPV6,
        _ => return Err(NotEncapsulated::Other),
    };
    let length = match flags {
        0x0000 => 4,
        GRE_KEY => 8,
        _ => return Err(NotEncapsulated::Other),
    };
    if header.len() < length {
        return Err(NotEncapsulated::Malformed);
    }
    inner(frame, protocol, range.start + length..range.end)
}

/// The inner packet, when its version and length agree with the outer header.
fn inner(
    frame: &[u8],
    protocol: u8,
    range: Range<usize>,
) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let packet = &frame[range.clone()];
    let (version, ether_type, least) = if protocol == PROTOCOL_IPV4 {
        (4, 0x0800, 20)
    } else {
        (6, 0x86dd, 40)
    };
    let says = match protocol {
        PROTOCOL_IPV4 => read_u16(packet, 2).map(usize::from),
        _ => read_u16(packet, 4).map(|payload| 40 + usize::from(payload)),
    };
    match says {
        Some(length)
            if packet.len() >= least
                && packet[0] >> 4 == version
                && length >= least
                && length <= packet.len() =>
        {
            Ok((ether_type, range.start..range.start + length))
        }
        _ => Err(NotEncapsulated::Malformed),
    }
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The one's complement sum (RFC 1071) over parts of which only the last may have an odd byte: 0xffff where the checksum is right.
fn sum(parts: &[&[u8]]) -> u16 {
    let total: u32 = parts
        .iter()
        .flat_map(|part| part.chunks(2))
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    let folded = (total & 0xffff) + (total >> 16);
    // two folds leave 16 bits
    u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use etherparse::{IpNumber, PacketBuilder};
    use proptest::prelude::*;

    use super::*;

    const PORT: u16 = 6080;

    fn strip(frame: &[u8]) -> Result<(u16, Range<usize>), NotEncapsulated> {
        super::strip(frame, PORT)
    }

    fn inner_v4() -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [10, 200, 1, 1], 63)
            .tcp(1024, 80, 1, 1000)
            .write(&mut bytes, b"hello")
            .unwrap();
        bytes
    }

    fn inner_v6() -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ipv6([1; 16], [2; 16], 63)
            .udp(1024, 80)
            .write(&mut bytes, b"hello")
            .unwrap();
        bytes
    }

    fn outer_v4(inner: &[u8], protocol: u8) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([172, 16, 3, 4], [10, 0, 0, 1], 64)
            .write(&mut frame, IpNumber(protocol), inner)
            .unwrap();
        frame
    }

    fn outer_v6(inner: &[u8], protocol: u8) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv6([9; 16], [8; 16], 64)
            .write(&mut frame, IpNumber(protocol), inner)
            .unwrap();
        frame
    }

    #[test]
    fn the_inner_packet_is_found_in_every_combination() {
        for (frame, inner, ether_type) in [
            (outer_v4(&inner_v4(), 4), inner_v4(), 0x0800),
            (outer_v6(&inner_v4(), 4), inner_v4(), 0x0800),
            (outer_v6(&inner_v6(), 41), inner_v6(), 0x86dd),
            (outer_v4(&inner_v6(), 41), inner_v6(), 0x86dd),
        ] {
            let mut padded = frame;
            padded.extend([0; 7]);
            let (found, range) = strip(&padded).unwrap();
            assert_eq!(
                (found, &padded[range.clone()]),
                (ether_type, inner.as_slice())
            );
            assert!(range.start >= 14 + 20);
        }
    }

    fn gre(key: Option<u32>, protocol_type: u16, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![if key.is_some() { 0x20 } else { 0 }, 0];
        bytes.extend(protocol_type.to_be_bytes());
        bytes.extend(key.iter().flat_map(|key| key.to_be_bytes()));
        bytes.extend(inner);
        bytes
    }

    #[test]
    fn the_inner_packet_is_found_behind_gre() {
        for key in [None, Some(0), Some(0xdead_beef)] {
            for (protocol_type, inner) in [(0x0800, inner_v4()), (0x86dd, inner_v6())] {
                let carried = gre(key, protocol_type, &inner);
                for mut frame in [outer_v4(&carried, 47), outer_v6(&carried, 47)] {
                    frame.extend([0; 7]);
                    let (found, range) = strip(&frame).unwrap();
                    assert_eq!((found, &frame[range]), (protocol_type, inner.as_slice()));
                }
            }
        }
    }

    #[test]
    fn gre_of_others_is_left_alone_and_what_is_cut_is_malformed() {
        for (flags, kind) in [
            (0x8000, 0x0800),
            (0x3000, 0x0800),
            (0x0001, 0x0800),
            (0x2000, 0x6558),
        ] {
            let mut carried = gre(Some(7), kind, &inner_v4());
            carried[..2].copy_from_slice(&u16::to_be_bytes(flags));
            assert_eq!(strip(&outer_v4(&carried, 47)), Err(NotEncapsulated::Other));
        }
        let carried = gre(Some(7), 0x0800, &inner_v4());
        for length in [0, 1, 3, 5, 7, 8, 20, carried.len() - 1] {
            let frame = outer_v6(&carried[..length], 47);
            let cut = Err(NotEncapsulated::Malformed);
            assert_eq!(strip(&frame), cut, "{length} bytes");
        }
        // the inner packet is of another family than GRE says
        let frame = outer_v4(&gre(None, 0x86dd, &inner_v4()), 47);
        assert_eq!(strip(&frame), Err(NotEncapsulated::Malformed));
    }

    /// As the card sends it; the checksum is etherparse's.
    fn gue(outer_v6: bool, port: u16, inner: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
        if outer_v6 {
            let builder = builder.ipv6([9; 16], [8; 16], 64).udp(0x1234, port);
            builder.write(&mut frame, inner).unwrap();
        } else {
            let builder = builder.ipv4([10, 0, 13, 37], [10, 0, 0, 1], 64);
            builder.udp(0x1234, port).write(&mut frame, inner).unwrap();
        }
        frame
    }

    #[test]
    fn the_inner_packet_is_found_behind_gue() {
        for outer_v6 in [false, true] {
            let udp = if outer_v6 { 54 } else { 34 };
            for (ether_type, inner) in [(0x0800, inner_v4()), (0x86dd, inner_v6())] {
                let good = gue(outer_v6, PORT, &inner);
                let mut padded = good.clone();
                padded.extend([0; 7]);
                let (found, range) = strip(&padded).unwrap();
                assert_eq!((found, &padded[range]), (ether_type, inner.as_slice()));
                // one bit anywhere behind the ports is told by the checksum, unless that says that there is none
                for at in udp + 4..good.len() {
                    let mut frame = good.clone();
                    frame[at] ^= 1;
                    assert_eq!(strip(&frame), Err(NotEncapsulated::Malformed), "byte {at}");
                }
                let mut without = good.clone();
                without[udp + 6..udp + 8].fill(0);
                assert!(strip(&without).is_ok());
                for cut in 0..good.len() {
                    let error = strip(&good[..cut]).unwrap_err();
                    assert_eq!(error, NotEncapsulated::Other, "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn udp_of_others_is_left_alone() {
        for outer_v6 in [false, true] {
            for (port, payload) in [
                (PORT + 1, inner_v4()),
                (53, b"what is my name".to_vec()),
                (PORT, vec![]),
                (PORT, vec![0x01, 4, 0, 0, 0x45]), // variant 0
                (PORT, vec![0x85; 40]),
            ] {
                let frame = gue(outer_v6, port, &payload);
                assert_eq!(strip(&frame), Err(NotEncapsulated::Other), "port {port}");
            }
        }
    }

    #[test]
    fn what_lies_is_malformed_and_what_is_not_encapsulated_is_left_alone() {
        let good = outer_v4(&inner_v4(), 4);
        for (at, value) in [
            (14, 0x44),
            (16, 0xff),
            (20, 0x20),
            (24, 0),
            (34, 0x65),
            (36, 0xff),
        ] {
            let mut frame = good.clone();
            frame[at] = value;
            assert_eq!(strip(&frame), Err(NotEncapsulated::Malformed), "byte {at}");
        }
        assert_eq!(
            strip(&good[..good.len() - 1]),
            Err(NotEncapsulated::Malformed)
        );
        assert_eq!(
            strip(&outer_v4(&inner_v4(), 6)),
            Err(NotEncapsulated::Other)
        );
        assert_eq!(strip(&[0; 60]), Err(NotEncapsulated::Other));
    }

    #[test]
    fn what_lies_in_an_ipv6_header_is_malformed_too() {
        for (inner, protocol) in [(inner_v4(), 4), (inner_v6(), 41)] {
            let good = outer_v6(&inner, protocol);
            // outer version, outer length (too long, none, too short for the inner header and for the inner packet), inner version,
            // and the high byte of the inner length
            let inner_length = 54 + if protocol == 4 { 2 } else { 4 };
            let short = u8::try_from(inner.len() - 1).unwrap();
            for (at, value) in [
                (14, 0x40),
                (18, 0xff),
                (19, 0),
                (19, 19),
                (19, short),
                (54, 0x50),
                (inner_length, 0xff),
            ] {
                let mut frame = good.clone();
                frame[at] = value;
                assert_eq!(
                    strip(&frame),
                    Err(NotEncapsulated::Malformed),
                    "byte {at} of {protocol} in IPv6"
                );
            }
            for cut in 0..good.len() {
                let error = strip(&good[..cut]).unwrap_err();
                let is_told = cut > 20;
                assert_eq!(error == NotEncapsulated::Malformed, is_told, "cut at {cut}");
            }
            // an extension header before the inner packet is not looked behind
            for other in [0, 6, 17, 43, 44, 58, 60] {
                let mut frame = good.clone();
                frame[20] = other;
                assert_eq!(strip(&frame), Err(NotEncapsulated::Other), "{other}");
            }
        }
    }

    #[test]
    fn an_inner_packet_that_claims_less_than_its_header_is_malformed() {
        for outer in [outer_v4, outer_v6] {
            let mut inner = inner_v4();
            inner[2..4].copy_from_slice(&19u16.to_be_bytes());
            assert_eq!(strip(&outer(&inner, 4)), Err(NotEncapsulated::Malformed));
            // the version says IPv6, the outer header IPv4, and the other way round
            assert_eq!(
                strip(&outer(&inner_v6(), 4)),
                Err(NotEncapsulated::Malformed)
            );
            assert_eq!(
                strip(&outer(&inner_v4(), 41)),
                Err(NotEncapsulated::Malformed)
            );
        }
    }

    proptest! {
        #[test]
        fn no_frame_panics(mut frame in proptest::collection::vec(any::<u8>(), 0..200), v6: bool, protocol in prop_oneof![Just(4u8), Just(41u8), Just(47u8), Just(17u8)], flags in prop_oneof![Just(0u8), Just(0x20)]) {
            if frame.len() > 40 {
                frame[12..14].copy_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
                frame[if v6 { 20 } else { 23 }] = protocol;
                let gre = if v6 { 54 } else { 34 };
                if frame.len() >= gre + 4 {
                    let port = PORT.to_be_bytes();
                    let behind = if protocol == 17 { port } else { [8, 0] };
                    frame[gre..gre + 4].copy_from_slice(&[flags, 0, behind[0], behind[1]]);
                }
            }
            if let Ok((_, range)) = strip(&frame) {
                prop_assert!(range.start >= 34 && range.end <= frame.len());
            }
        }
    }
}
