//! One IP packet as several that fit: fragments.
//!
//! Owns the making of fragments of IPv4 (RFC 791 3.2) and IPv6 (RFC 8200 4.5), and the Internet checksum (RFC 1071). Reading them is
//! [`super::fragment`]'s.

/// Bytes of an IPv4 header without options.
const IPV4: usize = 20;
/// Bytes of an IPv6 header.
const IPV6: usize = 40;
/// Bytes of IPv6's fragment header.
const FRAGMENT_HEADER: usize = 8;
/// Next header: a fragment header.
const FRAGMENT: u8 = 44;
/// More fragments follow, in IPv4's flags and offset.
const MORE: u16 = 0x2000;
/// The offset, in IPv4's flags and offset, in units of 8 bytes.
const OFFSET: u16 = 0x1fff;

/// The sum of RFC 1071 over 16-bit words, the last one padded with zeros: complemented it is the checksum.
#[must_use]
pub fn sum(parts: &[&[u8]]) -> u16 {
    // each part but the last has an even length
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u64 = words
        .map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |&low| low.into()))
        .sum();
    let mut folded = sum;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    folded as u16
}

/// The fragments of a packet, each of at most `mtu` bytes, in order; the packet alone when it fits. `identification` is that of an IPv6
/// datagram; IPv4 has its own. `None` when it is none that can be divided so.
#[must_use]
pub fn split(packet: &[u8], mtu: usize, identification: u32) -> Option<Vec<Vec<u8>>> {
    if packet.len() <= mtu {
        return Some(vec![packet.to_vec()]);
    }
    match packet.first()? >> 4 {
        4 => split_ipv4(packet, mtu),
        6 => split_ipv6(packet, mtu, identification),
        _ => None,
    }
}

fn split_ipv4(packet: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let words = usize::from(packet.first()? & 15) * 4;
    if words < IPV4 || packet.len() <= words {
        return None;
    }
    let (first, data) = packet.split_at(words);
    let field = u16::from_be_bytes([first[6], first[7]]);
    let later = later_header(first);
    let mut fragments = Vec::new();
    let mut done = 0;
    while done < data.len() {
        let mut header = if done == 0 { first } else { &later }.to_vec();
        let room = mtu.checked_sub(header.len())?;
        let rest = data.len() - done;
        let take = if rest <= room { rest } else { room & !7 };
        if take == 0 {
            return None;
        }
        let is_last = take == rest;
        // a fragment may be divided again: what follows it is still to come
        let more = if is_last { field & MORE } else { MORE };
        let offset = (field & OFFSET) + u16::try_from(done / 8).ok()?;
        header[6..8].copy_from_slice(&(more | offset).to_be_bytes());
        let length = u16::try_from(header.len() + take).ok()?;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[10..12].fill(0);
        let checksum = !sum(&[&header]);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header.extend_from_slice(&data[done..done + take]);
        fragments.push(header);
        done += take;
    }
    Some(fragments)
}

/// The header of fragments that do not begin the datagram: only the options that say so are copied into them.
fn later_header(first: &[u8]) -> Vec<u8> {
    let (fixed, mut options) = first.split_at(IPV4);
    let mut header = fixed.to_vec();
    while let Some(&kind) = options.first() {
        let length = match kind {
            0 => break,
            1 => 1,
            _ => match options.get(1) {
                Some(&length) if length >= 2 && usize::from(length) <= options.len() => {
                    usize::from(length)
                }
                _ => break,
            },
        };
        if kind & 0x80 != 0 {
            header.extend_from_slice(&options[..length]);
        }
        options = &options[length..];
    }
    header.resize(header.len().next_multiple_of(4), 0);
    header[0] = 0x40 | (header.len() / 4) as u8;
    header
}

fn split_ipv6(packet: &[u8], mtu: usize, identification: u32) -> Option<Vec<Vec<u8>>> {
    let (header, data) = packet.split_at_checked(IPV6)?;
    let each = mtu.checked_sub(IPV6 + FRAGMENT_HEADER)? & !7;
    if each == 0 {
        return None;
    }
    let count = data.chunks(each).count();
    let fragments = data.chunks(each).enumerate().map(|(i, part)| {
        let mut fragment = header.to_vec();
        let length = u16::try_from(FRAGMENT_HEADER + part.len()).ok()?;
        fragment[4..6].copy_from_slice(&length.to_be_bytes());
        fragment[6] = FRAGMENT;
        let offset = u16::try_from(i * each).ok()? | u16::from(i + 1 < count);
        fragment.extend([header[6], 0]);
        fragment.extend(offset.to_be_bytes());
        fragment.extend(identification.to_be_bytes());
        fragment.extend_from_slice(part);
        Some(fragment)
    });
    fragments.collect()
}

#[cfg(test)]
mod tests {
    use etherparse::{Ipv4Header, Ipv6FragmentHeader, Ipv6Header, ip_number};

    use super::*;

    /// A packet of `bytes` with these options, as etherparse writes it.
    fn ipv4(options: &[u8], field: u16, bytes: usize) -> Vec<u8> {
        let payload: Vec<u8> = (0..bytes).map(|i| (i * 7) as u8).collect();
        let mut header = Ipv4Header::new(
            bytes as u16,
            9,
            ip_number::UDP,
            [192, 0, 2, 1],
            [10, 0, 0, 1],
        )
        .unwrap();
        header.identification = 0xabcd;
        header.dont_fragment = false;
        header.more_fragments = field & MORE != 0;
        header.fragment_offset = (field & OFFSET).try_into().unwrap();
        header.options = options.try_into().unwrap();
        header.header_checksum = header.calc_header_checksum();
        [header.to_bytes().to_vec(), payload].concat()
    }

    #[test]
    fn ipv4_fragments_make_up_the_packet() {
        // record route (not copied), no operation, loose source route (copied), end
        let options = [7, 3, 4, 1, 0x83, 3, 4, 0];
        for (options, copied) in [(&[][..], &[][..]), (&options, &[0x83, 3, 4, 0])] {
            for (field, mtu, bytes) in [(0, 576, 1500), (0, 100, 3001), (MORE | 185, 576, 1480)] {
                let packet = ipv4(options, field, bytes);
                let fragments = split(&packet, mtu, 0).unwrap();
                let (mut data, count) = (Vec::new(), fragments.len());
                for (i, fragment) in fragments.iter().enumerate() {
                    assert!(fragment.len() <= mtu);
                    let (header, rest) = Ipv4Header::from_slice(fragment).unwrap();
                    assert_eq!(header.header_checksum, header.calc_header_checksum());
                    assert_eq!(usize::from(header.total_len), fragment.len());
                    assert_eq!(header.identification, 0xabcd);
                    assert_eq!(&*header.options, if i == 0 { options } else { copied });
                    let begins = usize::from(header.fragment_offset.value()) * 8;
                    assert_eq!(begins, usize::from(field & OFFSET) * 8 + data.len());
                    assert_eq!(header.more_fragments, i + 1 < count || field & MORE != 0);
                    data.extend_from_slice(rest);
                    // no smaller than need be
                    assert!(i + 1 == count || fragment.len() + 8 > mtu);
                }
                assert_eq!(data, packet[20 + options.len()..]);
            }
        }
    }

    #[test]
    fn ipv6_fragments_make_up_the_packet() {
        let payload: Vec<u8> = (0..2000).map(|i| (i * 5) as u8).collect();
        let header = Ipv6Header {
            traffic_class: 0x2e,
            payload_length: 2000,
            next_header: ip_number::IPV4,
            hop_limit: 64,
            source: [0x20; 16],
            destination: [0xfc; 16],
            ..Ipv6Header::default()
        };
        let packet = [header.to_bytes().to_vec(), payload.clone()].concat();
        let fragments = split(&packet, 1280, 0x0102_0304).unwrap();
        assert_eq!(fragments.len(), 2);
        let mut data = Vec::new();
        for (i, fragment) in fragments.iter().enumerate() {
            let (ip, rest) = Ipv6Header::from_slice(fragment).unwrap();
            assert_eq!(usize::from(ip.payload_length), rest.len());
            assert_eq!(
                (ip.next_header, ip.traffic_class),
                (ip_number::IPV6_FRAG, 0x2e)
            );
            assert_eq!(ip.destination, [0xfc; 16]);
            let (part, rest) = Ipv6FragmentHeader::from_slice(rest).unwrap();
            assert_eq!(part.identification, 0x0102_0304);
            assert_eq!(usize::from(part.fragment_offset.value()) * 8, data.len());
            assert_eq!(
                (part.more_fragments, part.next_header),
                (i == 0, ip_number::IPV4)
            );
            data.extend_from_slice(rest);
        }
        assert_eq!(data, payload);
    }

    #[test]
    fn what_fits_stays_whole_and_what_cannot_be_divided_is_refused() {
        let packet = ipv4(&[], 0, 100);
        assert_eq!(split(&packet, 120, 0), Some(vec![packet.clone()]));
        assert_eq!(split(&packet, 27, 0), None);
        assert_eq!(split(&packet, 19, 0), None);
        assert_eq!(split(&[0x44; 60], 30, 0), None);
        assert_eq!(split(&[0x50; 60], 30, 0), None);
        assert_eq!(split(&[], 0, 0), Some(vec![vec![]]));
    }

    #[test]
    fn the_sum_is_rfc_1071s() {
        // the example of RFC 1071 3
        assert_eq!(
            sum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]),
            0xddf2
        );
        assert_eq!(sum(&[&[0x00, 0x01], &[0xf2]]), 0xf201);
    }
}
