//! Headers between Ethernet and layer 4: VLAN tags, IPv4 options, IPv6 extension headers, as they should be and as they should not.
//!
//! Owns what is put between; the packet is [`super::frame`]'s.

use super::frame::{PacketSpec, ip_frame, tagged};
use super::random::Random;

/// `frame` behind no tag, mostly, or behind one to three.
#[must_use]
pub fn perhaps_tagged(frame: &[u8], random: &mut Random) -> Vec<u8> {
    let count = *random.pick(&[0, 0, 0, 0, 0, 1, 1, 2, 2, 3]);
    let tags: Vec<[u8; 4]> = (0..count).map(|_| tag(random)).collect();
    tagged(frame, &tags)
}

fn tag(random: &mut Random) -> [u8; 4] {
    let tpid = *random.pick(&[[0x81, 0], [0x81, 0], [0x88, 0xa8], [0x91, 0], [0x92, 0]]);
    let tci = random.half().to_be_bytes();
    [tpid[0], tpid[1], tci[0], tci[1]]
}

/// The packet with options, or with extension headers that are all walked.
#[must_use]
pub fn extended(spec: &PacketSpec, random: &mut Random) -> Vec<u8> {
    if !spec.source.is_ipv6() {
        let words = random.between(1, 10);
        let options = random.bytes(4 * words);
        return ip_frame(spec, spec.protocol, &options, &spec.transport());
    }
    let kinds: Vec<u8> = (0..random.between(1, 3))
        .map(|_| *random.pick(&[0, 43, 60]))
        .collect();
    let mut room: usize = 5;
    let mut headers = Vec::new();
    for (i, _) in kinds.iter().enumerate() {
        let next = kinds.get(i + 1).copied().unwrap_or(spec.protocol);
        let units = random.below(room.min(3));
        room = room.saturating_sub(units + 1).max(1);
        header(&mut headers, next, units, random);
    }
    ip_frame(spec, kinds[0], &headers, &spec.transport())
}

/// One extension header of `units + 1` times 8 bytes with no segments left.
fn header(out: &mut Vec<u8>, next: u8, units: usize, random: &mut Random) {
    let start = out.len();
    out.extend(random.bytes(8 * (units + 1)));
    out[start] = next;
    out[start + 1] = u8::try_from(units).unwrap_or(u8::MAX);
    out[start + 3] = 0;
}

/// The packet behind headers that are too many, too long, of any kind, or lie about their lengths.
#[must_use]
pub fn hostile(spec: &PacketSpec, random: &mut Random) -> Vec<u8> {
    if !spec.source.is_ipv6() {
        let mut frame = extended(spec, random);
        frame[14] = 0x40 | random.byte() & 15;
        return frame;
    }
    let kind = |random: &mut Random| match random.below(12) {
        0 => *random.pick(&[44, 50, 51, 59, 135, 139, 140]),
        1 => random.byte(),
        _ => *random.pick(&[0, 43, 60]),
    };
    let count = random.between(1, 6);
    let first = kind(random);
    let mut headers = Vec::new();
    for i in 0..count {
        let next = match i + 1 == count {
            true if random.chance(10) => 58,
            true => spec.protocol,
            false => kind(random),
        };
        let units = match random.below(20) {
            0 => random.below(256),
            1..=3 => random.between(4, 9),
            _ => random.below(3),
        };
        let start = headers.len();
        header(&mut headers, next, units, random);
        if random.chance(8) {
            headers[start + 3] = random.byte();
        }
        if random.chance(8) {
            headers[start + 1] = random.byte();
        }
    }
    ip_frame(spec, first, &headers, &spec.transport())
}
