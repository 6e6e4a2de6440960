//! What the host reads of a fragment.
//!
//! Owns the reading of fragments of IPv4 (RFC 791 3.2) and IPv6 (RFC 8200 4.5): which datagram they are of, and whose packet that is when
//! they are its first. The card has checked the lengths of what comes before (`CARD.md`, section 2, rows 10 and 11).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet::{ClientPacket, over_tags};
use crate::config::Protocol;

/// The largest datagram: what a total length or payload length can name.
const DATAGRAM_MAX: usize = 65_535;
/// Most extension headers of an IPv6 chain that are walked.
const EXTENSIONS_MAX: usize = 8;

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DatagramKey {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// IPv4's protocol; of IPv6, where it is no part of the key, 0.
    pub protocol: u8,
    /// The identification.
    pub identification: u32,
}

/// A fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Its datagram.
    pub key: DatagramKey,
    /// Its place in it.
    pub part: Part,
}

/// Which fragment of its datagram it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one that begins it.
    First(Whose),
    /// All of it (IPv6; RFC 6946: it has nothing to do with others of its identification).
    Atomic(Whose),
    /// One that does not.
    Later,
}

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A packet of a client.
    Client(ClientPacket),
    /// Neither TCP nor UDP.
    Nobody,
}

/// Why a frame is no fragment that could be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is none, or not at the end of its route.
    #[error("no fragment for a VIP")]
    NoFragment,
    /// It ends within a header that a first fragment must hold (RFC 7112, RFC 1858).
    #[error("a first fragment without its ports")]
    Short,
    /// It has no data, or data that cannot be followed by more.
    #[error("a fragment of an impossible length")]
    Length,
    /// It ends beyond the largest datagram.
    #[error("a fragment beyond the largest datagram")]
    Beyond,
}

impl Fragment {
    /// Reads a frame without FCS.
    ///
    /// # Errors
    /// When it is none that could be sent on.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        match over_tags(frame) {
            Some((0x0800, packet)) => ipv4(packet),
            Some((0x86dd, packet)) => ipv6(packet),
            _ => Err(Malformed::NoFragment),
        }
    }
}

fn ipv4(packet: &[u8]) -> Result<Fragment, Malformed> {
    let none = Malformed::NoFragment;
    let header: &[u8; 20] = packet.first_chunk().ok_or(none)?;
    let words = usize::from(header[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let data = packet.get(words..total).ok_or(none)?;
    let field = u16::from_be_bytes([header[6], header[7]]);
    let (offset, more) = (usize::from(field & 0x1fff) * 8, field & 0x2000 != 0);
    if header[0] >> 4 != 4 || words < 20 || !more && offset == 0 {
        return Err(none);
    }
    check_length(data.len(), offset, more, words)?;
    let address = |at: usize| -> IpAddr {
        Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
    };
    let key = DatagramKey {
        source: address(12),
        destination: address(16),
        protocol: header[9],
        identification: u16::from_be_bytes([header[4], header[5]]).into(),
    };
    let part = match offset {
        0 => Part::First(whose(&key, header[9], data)?),
        _ => Part::Later,
    };
    Ok(Fragment { key, part })
}

fn ipv6(packet: &[u8]) -> Result<Fragment, Malformed> {
    let none = Malformed::NoFragment;
    let header: &[u8; 40] = packet.first_chunk().ok_or(none)?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = packet.get(40..40 + payload).ok_or(none)?;
    if header[0] >> 4 != 6 {
        return Err(none);
    }
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    let (FRAGMENT, behind) = walk(header[6], payload).ok_or(none)? else {
        return Err(none);
    };
    let fields: &[u8; 8] = behind.first_chunk().ok_or(none)?;
    let data = &behind[8..];
    let field = u16::from_be_bytes([fields[2], fields[3]]);
    let (offset, more) = (usize::from(field & 0xfff8), field & 1 != 0);
    let before = payload.len() - behind.len();
    check_length(data.len(), offset, more, before)?;
    let key = DatagramKey {
        source: address(8).ok_or(none)?,
        destination: address(24).ok_or(none)?,
        protocol: 0,
        identification: u32::from_be_bytes([fields[4], fields[5], fields[6], fields[7]]),
    };
    if offset > 0 {
        return Ok(Fragment {
            key,
            part: Part::Later,
        });
    }
    let (protocol, transport) = walk(fields[0], data).ok_or(Malformed::Short)?;
    let whose = whose(&key, protocol, transport)?;
    let part = if more {
        Part::First(whose)
    } else {
        Part::Atomic(whose)
    };
    Ok(Fragment { key, part })
}

/// RFC 791 3.2 and RFC 8200 4.5: only the last fragment ends within eight bytes, none has no data, and none ends beyond the largest
/// datagram, of which `before` bytes are headers that each fragment carries.
fn check_length(data: usize, offset: usize, more: bool, before: usize) -> Result<(), Malformed> {
    if data == 0 && (more || offset > 0) || more && !data.is_multiple_of(8) {
        return Err(Malformed::Length);
    }
    if before + offset + data > DATAGRAM_MAX {
        return Err(Malformed::Beyond);
    }
    Ok(())
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Over IPv6 extension headers: the protocol behind them (or the first header that is none of them), and what begins there. `None` when
/// they are cut off, too many, or a routing header has segments left.
pub(super) fn walk(mut next: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..=EXTENSIONS_MAX {
        if !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
            return Some((next, rest));
        }
        let header: &[u8; 4] = rest.first_chunk()?;
        if next == ROUTING && header[3] != 0 {
            return None;
        }
        rest = rest.get(8 * (usize::from(header[1]) + 1)..)?;
        next = header[0];
    }
    None
}

/// Whose datagram it is that begins with this.
fn whose(key: &DatagramKey, protocol: u8, transport: &[u8]) -> Result<Whose, Malformed> {
    let (protocol, bytes) = match protocol {
        6 => (Protocol::Tcp, 20),
        17 => (Protocol::Udp, 8),
        _ => return Ok(Whose::Nobody),
    };
    let header = transport.get(..bytes).ok_or(Malformed::Short)?;
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = header.get(13).copied().unwrap_or_default();
    Ok(Whose::Client(ClientPacket::new(
        (key.source, port(0)),
        (key.destination, port(2)),
        protocol,
        flags,
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A fragment of IPv4: flags and offset in units of 8 bytes, then its data.
    fn v4(field: u16, protocol: u8, data: &[u8]) -> Vec<u8> {
        let mut frame = [[2; 12].as_slice(), &[8, 0, 0x45, 0]].concat();
        frame.extend((20 + data.len() as u16).to_be_bytes());
        frame.extend(0xabcd_u16.to_be_bytes());
        frame.extend(field.to_be_bytes());
        frame.extend([64, protocol, 0, 0, 192, 0, 2, 7, 10, 200, 1, 1]);
        frame.extend(data);
        frame
    }

    /// A fragment of IPv6 with headers before and behind its fragment header.
    fn v6(before: &[u8], field: u16, next: u8, data: &[u8]) -> Vec<u8> {
        let mut frame = [[2; 12].as_slice(), &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
        frame.extend((before.len() as u16 + 8 + data.len() as u16).to_be_bytes());
        frame.extend([if before.is_empty() { 44 } else { 0 }, 64]);
        frame.extend([[1; 16], [3; 16]].concat());
        frame.extend(before);
        frame.extend([next, 0]);
        frame.extend(field.to_be_bytes());
        frame.extend(0xdead_beef_u32.to_be_bytes());
        frame.extend(data);
        frame
    }

    const UDP: [u8; 16] = [0x10, 0x92, 0, 53, 0, 99, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    fn ports(frame: &[u8]) -> (u16, u16) {
        match Fragment::read(frame).unwrap().part {
            Part::First(Whose::Client(packet)) | Part::Atomic(Whose::Client(packet)) => {
                (packet.source_port, packet.destination_port)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_fragment_carries_the_ports() {
        let first = v4(0x2000, 17, &UDP);
        assert_eq!(ports(&first), (4242, 53));
        let read = Fragment::read(&first).unwrap();
        assert_eq!(
            read.key,
            DatagramKey {
                source: [192, 0, 2, 7].into(),
                destination: [10, 200, 1, 1].into(),
                protocol: 17,
                identification: 0xabcd
            }
        );
        for field in [1, 0x2001, 0x1000] {
            let later = Fragment::read(&v4(field, 17, &UDP)).unwrap();
            assert_eq!((later.key, later.part), (read.key, Part::Later));
        }
        let tagged = [&first[..12], &[0x81, 0, 0, 5], &first[12..]].concat();
        assert_eq!(Fragment::read(&tagged), Ok(read));
        let mut options = [&first[..34], &[1; 8], &first[34..]].concat();
        (options[14], options[17]) = (0x47, 44);
        assert_eq!(Fragment::read(&options), Ok(read));
        // padding is no data
        let padded = [first, vec![0; 20]].concat();
        assert_eq!(Fragment::read(&padded), Ok(read));
        let mut tcp = [0; 24];
        tcp[13] = 2;
        let Part::First(Whose::Client(packet)) = Fragment::read(&v4(0x2000, 6, &tcp)).unwrap().part
        else {
            panic!()
        };
        assert!(packet.opens && packet.protocol == Protocol::Tcp);
        assert_eq!(
            Fragment::read(&v4(0x2000, 1, &UDP)).unwrap().part,
            Part::First(Whose::Nobody)
        );
    }

    #[test]
    fn ipv6_chains_are_walked_on_both_sides_of_the_fragment_header() {
        let options = [44, 0, 1, 4, 0, 0, 0, 0];
        let inner = [[17, 0, 1, 4, 0, 0, 0, 0].as_slice(), &UDP].concat();
        for (frame, atomic) in [
            (v6(&[], 1, 17, &UDP), false),
            (v6(&options, 1, 17, &UDP), false),
            (v6(&options, 1, 60, &inner), false),
            (v6(&[], 0, 17, &UDP), true),
        ] {
            assert_eq!(ports(&frame), (4242, 53));
            let read = Fragment::read(&frame).unwrap();
            assert_eq!(matches!(read.part, Part::Atomic(_)), atomic);
            assert_eq!(
                (read.key.protocol, read.key.identification),
                (0, 0xdead_beef)
            );
        }
        // the header that a later fragment names is not looked at
        let later = Fragment::read(&v6(&[], 0x0109, 60, &UDP)).unwrap();
        assert_eq!(later.part, Part::Later);
        assert_eq!(
            later.key,
            Fragment::read(&v6(&[], 1, 17, &UDP)).unwrap().key
        );
        let esp = Fragment::read(&v6(&[], 1, 50, &UDP)).unwrap().part;
        assert_eq!(esp, Part::First(Whose::Nobody));
        let in_transit = [44, 0, 4, 1, 0, 0, 0, 0];
        let mut routed = v6(&in_transit, 1, 17, &UDP);
        routed[20] = 43;
        assert_eq!(Fragment::read(&routed), Err(Malformed::NoFragment));
    }

    #[test]
    fn what_no_datagram_is_made_of_has_a_name() {
        use Malformed::{Beyond, Length, NoFragment, Short};
        for (frame, name) in [
            (v4(0, 17, &UDP), NoFragment),
            (v4(0x4000, 17, &UDP), NoFragment),
            (v4(0x2000, 17, &[]), Length),
            (v4(0x0009, 17, &[]), Length),
            (v4(0x2000, 17, &UDP[..15]), Length),
            (v4(0x2000, 6, &UDP), Short),
            (v4(0x1fff, 17, &UDP), Beyond),
            (v4(0x1ffc, 17, &UDP), Beyond),
            (v6(&[], 0xfff8, 17, &UDP), Beyond),
            (v6(&[], 9, 17, &UDP[..9]), Length),
            (v6(&[], 1, 60, &[17, 9, 0, 0, 0, 0, 0, 0]), Short),
            (v6(&[], 1, 17, &[]), Length),
            (v6(&[], 0, 17, &UDP[..7]), Short),
        ] {
            assert_eq!(Fragment::read(&frame), Err(name), "{frame:02x?}");
        }
        // the largest there is
        assert!(Fragment::read(&v4(0x1ffb, 17, &UDP)).is_ok());
    }

    proptest! {
        #[test]
        fn no_frame_panics(
            mut frame in proptest::collection::vec(any::<u8>(), 0..160),
            v6 in any::<bool>(),
        ) {
            let _ = Fragment::read(&frame);
            if frame.len() > 20 {
                frame[12..15].copy_from_slice(if v6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x45] });
                if v6 {
                    frame[18] = 0;
                    frame[20] = 44;
                }
                let _ = Fragment::read(&frame);
            }
        }
    }
}
