//! Tags, IPv4 options and IPv6 extension headers (`CARD.md` 2): where layer 4 is found, and what is not walked.

use guideway_hdl::verdict::Disposition as D;

use crate::harness::frame::{PacketSpec, ip_frame, tagged};
use crate::reference::{Packet, Parsed, Source, parse};

use super::config;

const Q: [u8; 4] = [0x81, 0, 0xa0, 7];
const AD: [u8; 4] = [0x88, 0xa8, 0, 0];
const OLD: [u8; 4] = [0x91, 0, 0x0f, 0xff];

fn spec(v6: bool) -> PacketSpec {
    let address = |low: u8| match v6 {
        true => [[0xfc; 15].as_slice(), &[low]].concat(),
        false => vec![10, 200, 1, low],
    };
    let ip = |low: u8| match <[u8; 16]>::try_from(address(low)) {
        Ok(wide) => wide.into(),
        Err(short) => <[u8; 4]>::try_from(short).expect("four bytes").into(),
    };
    PacketSpec {
        ethernet: (super::MAC, [2, 0, 0, 0, 0, 9]),
        source: ip(9),
        destination: ip(1),
        protocol: 6,
        ports: (31337, 80),
        flags: 0x12,
        traffic_class: 0x28,
        payload: b"payload".to_vec(),
    }
}

fn read(frame: &[u8]) -> Result<Packet, D> {
    match parse(&config(), frame, Source::Wire { error: false }) {
        Parsed::Packet(packet) => Ok(packet),
        Parsed::Final(disposition) => Err(disposition),
    }
}

/// What matters of a packet behind all headers.
fn found(frame: &[u8]) -> Result<(u16, u16, bool, usize, usize), D> {
    read(frame).map(|packet| {
        assert!(packet.syn && packet.ack && !packet.fin && !packet.rst);
        assert_eq!(packet.traffic_class, 0x28);
        let (tags, v6) = (packet.tags.as_bytes().len(), packet.is_ipv6());
        (
            packet.source_port,
            packet.destination_port,
            v6,
            tags,
            packet.ip_bytes,
        )
    })
}

/// An extension header of so many bytes, naming the next.
fn extension(next: u8, bytes: usize) -> Vec<u8> {
    let mut header = vec![0; bytes];
    header[0] = next;
    header[1] = u8::try_from(bytes / 8 - 1).expect("a header");
    header
}

fn chain(first: u8, headers: &[Vec<u8>]) -> Vec<u8> {
    let spec = spec(true);
    ip_frame(&spec, first, &headers.concat(), &spec.transport())
}

#[test]
fn up_to_two_tags_count() {
    for v6 in [false, true] {
        let plain = spec(v6).frame();
        let bytes = plain.len() - 14;
        for (tags, expected) in [
            (&[][..], Ok(0)),
            (&[Q], Ok(4)),
            (&[AD], Ok(4)),
            (&[OLD], Ok(4)),
            (&[AD, Q], Ok(8)),
            (&[Q, Q], Ok(8)),
            (&[OLD, AD], Ok(8)),
            (&[AD, Q, Q], Err(D::HostUnsupported)),
        ] {
            let frame = tagged(&plain, tags);
            let expected = expected.map(|length| (31337, 80, v6, length, bytes));
            assert_eq!(found(&frame), expected, "{tags:02x?}");
            if let Ok(packet) = read(&frame) {
                assert_eq!(packet.tags.as_bytes(), tags.concat());
            }
        }
    }
}

#[test]
fn a_tag_that_is_cut_does_not_count() {
    let frame = tagged(&spec(false).frame(), &[AD, Q]);
    for length in 14..frame.len() {
        let expected = match length {
            0..22 => D::HostUnsupported,
            _ => D::DropIpv4Malformed,
        };
        assert_eq!(read(&frame[..length]), Err(expected), "{length}");
    }
    let arp = tagged(&[[2; 12].as_slice(), &[8, 6], &[0; 46]].concat(), &[Q, Q]);
    assert_eq!(read(&arp), Err(D::HostControl));
    assert_eq!(read(&arp[..22]), Err(D::HostControl));
    assert_eq!(read(&arp[..21]), Err(D::HostUnsupported));
}

#[test]
fn a_solicitation_to_a_group_is_control_behind_tags() {
    let spec = spec(true);
    let mut message = vec![0; 24];
    message[0] = 135;
    let mut frame = ip_frame(&spec, 58, &[], &message);
    frame[0] = 0x33;
    for tags in [&[][..], &[Q], &[AD, Q]] {
        let frame = tagged(&frame, tags);
        assert_eq!(read(&frame), Err(D::HostControl));
        let ends = 62 + 4 * tags.len();
        assert_eq!(read(&frame[..ends]), Err(D::HostControl));
        assert_eq!(read(&frame[..ends - 1]), Err(D::HostGroup));
    }
}

#[test]
fn layer_4_lies_behind_all_options() {
    let spec = spec(false);
    for words in 0..=10 {
        let frame = ip_frame(&spec, 6, &vec![1; 4 * words], &spec.transport());
        let bytes = 20 + 4 * words + 27;
        let expected = Ok((31337, 80, false, 8, bytes));
        assert_eq!(found(&tagged(&frame, &[AD, Q])), expected, "{words} words");
        // the TCP header must lie in the total length
        let mut short = frame.clone();
        for (total, expected) in [
            (bytes - 7, None),
            (bytes - 8, Some(D::DropL4Malformed)),
            (bytes - 27, Some(D::DropL4Malformed)),
            (bytes - 28, Some(D::DropIpv4Malformed)),
        ] {
            short[16..18].copy_from_slice(&u16::try_from(total).expect("short").to_be_bytes());
            assert_eq!(read(&short).err(), expected, "{words} words, {total} bytes");
        }
        let mut unreachable = ip_frame(&spec, 1, &vec![1; 4 * words], &[3, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&unreachable), Err(D::HostIcmpError));
        unreachable.truncate(unreachable.len() - 1);
        unreachable[17] -= 1;
        assert_eq!(read(&unreachable), Err(D::HostUnsupported));
    }
}

#[test]
fn up_to_three_extension_headers_are_walked() {
    let packet = |bytes: usize| Ok((31337, 80, true, 0, 67 + bytes));
    assert_eq!(found(&chain(60, &[extension(6, 8)])), packet(8));
    let three = [extension(43, 8), extension(60, 16), extension(6, 24)];
    assert_eq!(found(&chain(0, &three)), packet(48));
    assert_eq!(
        found(&chain(60, &[extension(0, 8), extension(6, 8)])),
        packet(16)
    );
    let four = [
        extension(60, 8),
        extension(60, 8),
        extension(60, 8),
        extension(6, 8),
    ];
    assert_eq!(read(&chain(0, &four)), Err(D::HostUnsupported));
    for next in [50, 51, 59, 135, 139, 140, 4, 1] {
        let frame = chain(0, &[extension(next, 8)]);
        assert_eq!(read(&frame), Err(D::HostUnsupported), "{next}");
    }
    for before in 0..=3 {
        let mut headers = vec![extension(60, 8); before];
        headers.push(extension(6, 8));
        if let Some(last) = headers.iter_mut().nth_back(1) {
            last[0] = 44;
        }
        let first = if before == 0 { 44 } else { 60 };
        assert_eq!(
            read(&chain(first, &headers)),
            Err(D::HostFragment),
            "behind {before}"
        );
    }
}

#[test]
fn a_route_with_segments_left_is_the_hosts() {
    for kind in [0, 2, 3, 4, 253] {
        let mut routing = extension(6, 24);
        routing[2] = kind;
        assert!(read(&chain(43, &[routing.clone()])).is_ok());
        routing[3] = 1;
        assert_eq!(
            read(&chain(43, &[routing.clone()])),
            Err(D::HostUnsupported)
        );
        // a header that is too long is malformed before it is a route
        routing[1] = 200;
        assert_eq!(
            read(&chain(43, &[routing.clone()])),
            Err(D::DropIpv6Malformed)
        );
    }
}

#[test]
fn the_window_ends_the_walk() {
    // layer 4 of 20 bytes ends at byte 128 behind 54 bytes of headers, no more than 48 of extensions fit
    for (tags, fits) in [(&[][..], 48), (&[Q], 48), (&[AD, Q], 40)] {
        for bytes in (8..=2048).step_by(8) {
            let frame = tagged(&chain(60, &[extension(6, bytes)]), tags);
            let expected = (bytes > fits).then_some(D::HostUnsupported);
            assert_eq!(read(&frame).err(), expected, "{bytes} bytes");
        }
    }
    // UDP needs 8 bytes only
    let spec = PacketSpec {
        protocol: 17,
        ..spec(true)
    };
    for (bytes, expected) in [(64, None), (72, Some(D::HostUnsupported))] {
        let frame = ip_frame(&spec, 60, &extension(17, bytes), &spec.transport());
        assert_eq!(read(&frame).err(), expected);
    }
    // a fragment is known by its number alone
    let frame = chain(60, &[extension(44, 1024), extension(6, 8)]);
    assert_eq!(read(&frame), Err(D::HostFragment));
    // a header that begins outside is not looked at
    let frame = chain(60, &[extension(60, 80), extension(6, 8)]);
    assert_eq!(read(&frame), Err(D::HostUnsupported));
}

#[test]
fn headers_lie_in_the_payload_length() {
    let frame = chain(0, &[extension(60, 8), extension(6, 16)]);
    for (payload, expected) in [
        (51, None),
        (44, None),
        (43, Some(D::DropL4Malformed)),
        (24, Some(D::DropL4Malformed)),
        (23, Some(D::DropIpv6Malformed)),
        (8, Some(D::DropIpv6Malformed)),
        (0, Some(D::DropIpv6Malformed)),
        (52, Some(D::DropIpv6Malformed)),
    ] {
        let mut lying = frame.clone();
        lying[19] = payload;
        assert_eq!(read(&lying).err(), expected, "{payload}");
    }
    for length in 54..frame.len() {
        assert_eq!(
            read(&frame[..length]),
            Err(D::DropIpv6Malformed),
            "cut to {length}"
        );
    }
}
