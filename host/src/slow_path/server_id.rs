//! The backend that a packet names by itself: a server's id in a TCP option, or in the first bytes of a UDP payload.
//!
//! Owns the reading of both, as Katran does it: TCP option 0xb7 of six bytes with the id in little-endian order, among the first 15 options
//! (server-id routing, "TPR"); or a first payload byte 0x52 with the id in the next three, in network order, of a UDP payload of at least
//! eight bytes (stable routing). Which backend has which id is [`super::routes`]'s.

use crate::config::Protocol;

/// The option's kind.
const OPTION: u8 = 0xb7;
/// Its length, with kind and length.
const OPTION_BYTES: u8 = 6;
/// Options that are looked at, one-byte ones among them.
const OPTIONS_MAX: usize = 15;
/// The first byte of a stable payload.
const STABLE: u8 = 0x52;
/// The least that one holds.
const STABLE_BYTES: usize = 8;
const TCP_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const SYN: u8 = 0x02;

/// The id that a packet carries; `transport` is it from its TCP or UDP header to its end. Id 0 is none.
#[must_use]
pub fn read(protocol: Protocol, transport: &[u8]) -> Option<u32> {
    match protocol {
        Protocol::Tcp => of_tcp(transport),
        Protocol::Udp => of_udp(transport),
    }
    .filter(|&id| id != 0)
}

/// A SYN's option is not looked at: a connection that begins is nobody's.
fn of_tcp(transport: &[u8]) -> Option<u32> {
    let end = usize::from(transport.get(12)? >> 4) * 4;
    let mut options = transport.get(TCP_HEADER_BYTES..end)?;
    if transport[13] & SYN != 0 {
        return None;
    }
    for _ in 0..OPTIONS_MAX {
        options = match options {
            [] | [0, ..] => return None,
            [1, rest @ ..] => rest,
            [OPTION, OPTION_BYTES, a, b, c, d, ..] => {
                return Some(u32::from_le_bytes([*a, *b, *c, *d]));
            }
            // an option of this kind with another length is passed over like any other; one without room for itself ends the walk
            [_, length, ..] if *length >= 2 => options.get(usize::from(*length)..)?,
            _ => return None,
        };
    }
    None
}

fn of_udp(transport: &[u8]) -> Option<u32> {
    let end = usize::from(u16::from_be_bytes([*transport.get(4)?, *transport.get(5)?]));
    // a length that says more than came is not believed
    let payload = transport.get(UDP_HEADER_BYTES..end.min(transport.len()))?;
    match payload {
        [STABLE, a, b, c, ..] if payload.len() >= STABLE_BYTES => {
            Some(u32::from_be_bytes([0, *a, *b, *c]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP header with these options, padded with zeros.
    fn tcp(flags: u8, options: &[u8]) -> Vec<u8> {
        let words = options.len().div_ceil(4);
        let mut header = vec![0; 20];
        header[12] = ((5 + words) << 4) as u8;
        header[13] = flags;
        header.extend(options);
        header.resize(20 + words * 4, 0);
        header.extend(b"katran test pkt");
        header
    }

    fn of(options: &[u8]) -> Option<u32> {
        read(Protocol::Tcp, &tcp(0x10, options))
    }

    #[test]
    fn the_option_is_found_where_katran_finds_it() {
        let id = [0xb7, 6, 0x01, 0x04, 0, 0];
        let behind = |before: &[u8]| of(&[before, &id].concat());
        assert_eq!(behind(&[]), Some(1025));
        assert_eq!(behind(&[1; 4]), Some(1025));
        // behind a timestamp
        assert_eq!(behind(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 3]), Some(1025));
        // the fifteenth is looked at, the sixteenth is not
        assert_eq!(behind(&[1; 14]), Some(1025));
        assert_eq!(behind(&[1; 15]), None);
        // the end of the options
        assert_eq!(behind(&[0]), None);
        assert_eq!(behind(&[0, 1]), None);
        // another length than its own
        assert_eq!(of(&[0xb7, 4, 4, 0]), None);
        assert_eq!(of(&[0xb7, 8, 1, 4, 0, 0, 0, 0]), None);
        assert_eq!(of(&[0xb7, 6, 0xff, 0, 0, 0xff]), Some(0xff00_00ff));
        assert_eq!(of(&[0xb7, 6, 0, 0, 0, 0]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_connection_that_begins_names_nobody() {
        let id = [0xb7, 6, 0x13, 0, 0, 0];
        assert_eq!(read(Protocol::Tcp, &tcp(0x02, &id)), None);
        assert_eq!(read(Protocol::Tcp, &tcp(0x12, &id)), None);
        assert_eq!(read(Protocol::Tcp, &tcp(0x11, &id)), Some(0x13));
    }

    #[test]
    fn options_that_lie_about_their_length_end_the_walk() {
        for options in [&[9, 0][..], &[9, 1], &[9, 40, 0, 0], &[0xb7], &[1, 1, 1, 9]] {
            assert_eq!(of(options), None, "{options:?}");
        }
        // a data offset beyond the packet, or within the header
        let mut header = tcp(0x10, &[0xb7, 6, 1, 4, 0, 0]);
        header[12] = 0xf0;
        assert_eq!(read(Protocol::Tcp, &header), None);
        header[12] = 0x40;
        assert_eq!(read(Protocol::Tcp, &header), None);
        // cut at each byte
        let whole = tcp(0x10, &[0xb7, 6, 1, 4, 0, 0]);
        for length in 0..28 {
            assert_eq!(read(Protocol::Tcp, &whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_stable_payload_begins_with_its_byte_and_its_id() {
        let udp = |payload: &[u8], length: u16| {
            let mut packet = vec![0x7a, 0x69, 0, 80];
            packet.extend((8 + length).to_be_bytes());
            packet.extend([0, 0]);
            packet.extend(payload);
            read(Protocol::Udp, &packet)
        };
        let payload = *b"R\x03\x04\x01\0\0\0\0local";
        assert_eq!(udp(&payload, 13), Some(0x03_0401));
        assert_eq!(udp(&payload[..8], 8), Some(0x03_0401));
        assert_eq!(udp(&payload[..7], 7), None);
        // seven of the bytes are padding of the frame's
        assert_eq!(udp(&payload, 7), None);
        assert_eq!(udp(&payload[..8], 40), Some(0x03_0401));
        assert_eq!(udp(b"R\0\0\0\0\0\0\0local", 13), None);
        assert_eq!(udp(b"S\x03\x04\x01\0\0\0\0local", 13), None);
        assert_eq!(udp(b"", 0), None);
    }
}
