//! Frames for tests: well-formed TCP and UDP packets, and ways to spoil them.
//!
//! Owns no judgement: what the card makes of a frame is the models' affair.

use std::net::IpAddr;

use super::headers::hostile;
use super::random::Random;

/// A TCP or UDP packet to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSpec {
    /// Destination and source MAC address.
    pub ethernet: ([u8; 6], [u8; 6]),
    /// Client.
    pub source: IpAddr,
    /// Virtual address, of the same family.
    pub destination: IpAddr,
    /// 6 or 17.
    pub protocol: u8,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// TCP flags: FIN 1, SYN 2, RST 4, ACK 16.
    pub flags: u8,
    /// TOS or traffic class.
    pub traffic_class: u8,
    /// Payload behind the TCP or UDP header.
    pub payload: Vec<u8>,
}

/// TCP's header length without options.
const TCP_HEADER: usize = 20;

impl PacketSpec {
    /// The frame, without padding and without checksums of the payload.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let transport = self.transport();
        ip_frame(self, self.protocol, &[], &transport)
    }

    /// TCP or UDP header and payload.
    #[must_use]
    pub fn transport(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TCP_HEADER + self.payload.len());
        out.extend_from_slice(&self.ports.0.to_be_bytes());
        out.extend_from_slice(&self.ports.1.to_be_bytes());
        if self.protocol == 6 {
            out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0x50, self.flags]);
            out.extend_from_slice(&[0x20, 0, 0, 0, 0, 0]);
        } else {
            let length = u16::try_from(8 + self.payload.len()).unwrap_or(0);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
        out.extend_from_slice(&self.payload);
        out
    }
}

/// A frame with an IP header of `spec`'s addresses, a protocol, IPv4 options or IPv6 extension headers, and what follows.
#[must_use]
pub fn ip_frame(spec: &PacketSpec, protocol: u8, between: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(54 + between.len() + payload.len());
    out.extend_from_slice(&spec.ethernet.0);
    out.extend_from_slice(&spec.ethernet.1);
    let rest = between.len() + payload.len();
    match (spec.source, spec.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            out.extend_from_slice(&[8, 0]);
            let words = u8::try_from(5 + between.len() / 4).unwrap_or(15);
            out.extend_from_slice(&[0x40 | words & 15, spec.traffic_class]);
            let total = u16::try_from(20 + rest).unwrap_or(u16::MAX);
            out.extend_from_slice(&total.to_be_bytes());
            out.extend_from_slice(&[0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        (source, destination) => {
            out.extend_from_slice(&[0x86, 0xdd]);
            let first = 6 << 28 | u32::from(spec.traffic_class) << 20 | 0x1_2345;
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&u16::try_from(rest).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(&[protocol, 64]);
            out.extend_from_slice(&octets_v6(source));
            out.extend_from_slice(&octets_v6(destination));
        }
    }
    out.extend_from_slice(between);
    out.extend_from_slice(payload);
    out
}

/// `frame` with tags behind its addresses, each of four bytes.
#[must_use]
pub fn tagged(frame: &[u8], tags: &[[u8; 4]]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12.min(frame.len()));
    [addresses, tags.as_flattened(), rest].concat()
}

fn octets_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Ways in which a frame can be something else than a client's plain packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// ARP, LLDP or LACP.
    Control,
    /// An ICMP or ICMPv6 message of a random type.
    Icmp,
    /// A fragment.
    Fragment,
    /// IPv4 options or IPv6 extension headers that are not what they should be.
    Extended,
    /// Another EtherType, or an 802.3 length.
    OtherEtherType,
    /// Another transport protocol.
    OtherProtocol,
    /// A broadcast or multicast destination.
    Group,
    /// Another station's unicast address.
    OtherStation,
    /// Cut off at a random byte.
    Cut,
    /// Its length field says too much or too little.
    LyingLength,
    /// A version nibble or header length that is wrong.
    WrongVersion,
    /// Padding behind the IP packet.
    Padded,
    /// Longer than any frame may be, or just not.
    Oversize,
    /// Shorter than an Ethernet header.
    Runt,
    /// BGP or BFD.
    Routing,
    /// Random bits flipped in its first 110 bytes.
    Flipped,
    /// Noise from its first byte on.
    Noise,
}

impl Oddity {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Control,
        Self::Icmp,
        Self::Fragment,
        Self::Extended,
        Self::OtherEtherType,
        Self::OtherProtocol,
        Self::Group,
        Self::OtherStation,
        Self::Cut,
        Self::LyingLength,
        Self::WrongVersion,
        Self::Padded,
        Self::Oversize,
        Self::Runt,
        Self::Routing,
        Self::Flipped,
        Self::Noise,
    ];
}

/// Builds a frame with an oddity from a plain packet.
#[must_use]
pub fn odd_frame(spec: &PacketSpec, oddity: Oddity, random: &mut Random) -> Vec<u8> {
    let v6 = spec.source.is_ipv6();
    let mut frame = spec.frame();
    match oddity {
        Oddity::Control => {
            let kind = *random.pick(&[0x0806u16, 0x8809, 0x88cc]);
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
            if random.chance(50) {
                frame[0] |= 1;
            }
        }
        Oddity::Icmp => frame = icmp_frame(spec, random),
        Oddity::Fragment if v6 => {
            frame = ip_frame(spec, 44, &[6, 0, 0, 1, 0, 0, 0, 9], &spec.transport())
        }
        Oddity::Fragment => {
            let field = *random.pick(&[0x2000u16, 0x0001, 0x1fff, 0x3abc, 0x6000]);
            frame[20..22].copy_from_slice(&field.to_be_bytes());
        }
        Oddity::Extended => frame = hostile(spec, random),
        Oddity::OtherEtherType => frame[12..14].copy_from_slice(&random.half().to_be_bytes()),
        Oddity::OtherProtocol => {
            let at = if v6 { 20 } else { 23 };
            frame[at] = random.byte();
        }
        Oddity::Group => {
            frame[0] |= 1;
            if random.chance(30) {
                frame[..6].fill(0xff);
            }
        }
        Oddity::OtherStation => frame[5] ^= random.byte() | 1,
        Oddity::Cut => frame.truncate(random.between(1, frame.len())),
        Oddity::LyingLength => {
            let at = if v6 { 18 } else { 16 };
            let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
            let step = *random.pick(&[1, 2, 8, 20, 28, 0x8000, 0xff00]);
            let new = if random.chance(50) {
                old.wrapping_add(step)
            } else {
                old.wrapping_sub(step)
            };
            frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
        }
        Oddity::WrongVersion => frame[14] = random.byte(),
        Oddity::Padded => {
            let pad = random.between(1, 60);
            frame.extend(random.bytes(pad));
        }
        Oddity::Oversize => {
            let length = *random.pick(&[9215, 9216, 9217, 9218, 9300]);
            frame.resize(length, 0x5a);
            if random.chance(70) {
                stretch(&mut frame, v6);
            }
        }
        Oddity::Runt => frame.truncate(random.between(1, 13)),
        Oddity::Routing => {
            let at = if v6 { 54 } else { 34 };
            let port = *random.pick(&[179u16, 3784, 3785, 4784]);
            let side = at + 2 * random.below(2);
            frame[side..side + 2].copy_from_slice(&port.to_be_bytes());
        }
        Oddity::Flipped => {
            for _ in 0..random.between(1, 4) {
                let at = random.below(frame.len().min(110));
                frame[at] ^= 1 << random.below(8);
            }
        }
        Oddity::Noise => {
            let length = random.between(1, 200);
            frame = random.bytes(length);
        }
    }
    frame
}

/// Makes the IP packet as long as its frame.
fn stretch(frame: &mut [u8], v6: bool) {
    let (at, before) = if v6 { (18, 54) } else { (16, 14) };
    let length = u16::try_from(frame.len() - before).unwrap_or(u16::MAX);
    frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// An ICMP message: of the types that the card tells apart, or of any.
fn icmp_frame(spec: &PacketSpec, random: &mut Random) -> Vec<u8> {
    let (protocol, kinds): (u8, &[u8]) = if spec.source.is_ipv6() {
        (
            58,
            &[1, 2, 3, 4, 5, 128, 129, 132, 133, 134, 135, 136, 137, 138],
        )
    } else {
        (1, &[0, 3, 5, 8, 11, 12, 13])
    };
    let length = *random.pick(&[0, 1, 7, 8, 9, 36, 64]);
    let mut message = random.bytes(length);
    if let Some(kind) = message.first_mut() {
        *kind = *random.pick(kinds);
    }
    let mut frame = ip_frame(spec, protocol, &[], &message);
    if random.chance(30) {
        frame[0] |= 1;
    }
    if random.chance(10) {
        // the other family's ICMP in this one's header
        let at = if protocol == 58 { 20 } else { 23 };
        frame[at] = if protocol == 58 { 1 } else { 58 };
    }
    frame
}
