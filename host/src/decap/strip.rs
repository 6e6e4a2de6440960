//! Finding the inner packet: IP in IP (RFC 2003, RFC 2473).
//!
//! Owns what counts as encapsulated. The outer header's checksum was checked by nobody yet, and is here, as a tunnel's end does.

use std::ops::Range;

/// IPv4 in IP.
const PROTOCOL_IPV4: u8 = 4;
/// IPv6 in IP.
const PROTOCOL_IPV6: u8 = 41;

/// Why a frame has no inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEncapsulated {
    /// It says that it is encapsulated, and is not whole.
    Malformed,
    /// Something else.
    Other,
}

/// The inner packet of a frame: its EtherType, and where it lies. At least 20 bytes lie between Ethernet header and inner packet.
///
/// # Errors
/// When there is none.
pub fn strip(frame: &[u8]) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let ether_type = read_u16(frame, 12).ok_or(NotEncapsulated::Other)?;
    match ether_type {
        0x0800 => strip_ipv4(frame),
        0x86dd => strip_ipv6(frame),
        _ => Err(NotEncapsulated::Other),
    }
}

fn strip_ipv4(frame: &[u8]) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let packet = frame.get(14..).unwrap_or_default();
    let protocol = *packet.get(9).ok_or(NotEncapsulated::Other)?;
    if !matches!(protocol, PROTOCOL_IPV4 | PROTOCOL_IPV6) {
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
    if !whole || sum(&packet[..header]) != 0xffff {
        return Err(NotEncapsulated::Malformed);
    }
    inner(frame, protocol, 14 + header..14 + total)
}

fn strip_ipv6(frame: &[u8]) -> Result<(u16, Range<usize>), NotEncapsulated> {
    let packet = frame.get(14..).unwrap_or_default();
    let protocol = *packet.get(6).ok_or(NotEncapsulated::Other)?;
    if !matches!(protocol, PROTOCOL_IPV4 | PROTOCOL_IPV6) {
        return Err(NotEncapsulated::Other);
    }
    let end = 40 + usize::from(read_u16(packet, 4).unwrap_or(0));
    if packet[0] >> 4 != 6 || packet.len() < end {
        return Err(NotEncapsulated::Malformed);
    }
    inner(frame, protocol, 14 + 40..14 + end)
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

/// The one's complement sum (RFC 1071): 0xffff over a header whose checksum is right.
fn sum(header: &[u8]) -> u16 {
    let total: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
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
        fn no_frame_panics(mut frame in proptest::collection::vec(any::<u8>(), 0..200), v6: bool, protocol in prop_oneof![Just(4u8), Just(41u8)]) {
            if frame.len() > 40 {
                frame[12..14].copy_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
                frame[if v6 { 20 } else { 23 }] = protocol;
            }
            if let Ok((_, range)) = strip(&frame) {
                prop_assert!(range.start >= 34 && range.end <= frame.len());
            }
        }
    }
}
