//! What an ICMP error is about (`CARD.md` 2): the flow of its inner packet, reversed.
//!
//! Owns the reading of inner packets. What becomes of an error is [`super::parse`]'s and [`super::verdict`]'s.

use std::net::IpAddr;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Bytes of an inner layer 4 that every error brings (RFC 792), the ports among them.
const LAYER_4: usize = 8;

/// A flow as the packets of its client have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerFlow {
    /// Client.
    pub source: IpAddr,
    /// Virtual address.
    pub destination: IpAddr,
    /// 6 or 17.
    pub protocol: u8,
    /// The client's port and the virtual one.
    pub ports: (u16, u16),
}

/// Whether a message of this type is an error of its family.
#[must_use]
pub const fn is_error(protocol: u8, ipv6: bool, kind: u8) -> bool {
    match (protocol, ipv6) {
        (ICMP, false) => matches!(kind, 3 | 11 | 12),
        (ICMPV6, true) => matches!(kind, 1..=4),
        _ => false,
    }
}

/// The flow that an error is about: `inner` are the bytes of its inner packet within window and packet, `to` who the error is for,
/// which also says the family. Nothing when the inner packet is not usable.
#[must_use]
pub fn inner_flow(inner: &[u8], to: IpAddr) -> Option<InnerFlow> {
    let sent = match to {
        IpAddr::V4(_) => sent_ipv4(inner)?,
        IpAddr::V6(_) => sent_ipv6(inner)?,
    };
    let transport = matches!(sent.protocol, TCP | UDP);
    (transport && sent.source == to).then_some(InnerFlow {
        source: sent.destination,
        destination: sent.source,
        protocol: sent.protocol,
        ports: (sent.ports.1, sent.ports.0),
    })
}

/// What the packet that was sent back says of itself.
fn sent_ipv4(inner: &[u8]) -> Option<InnerFlow> {
    let header = usize::from(inner.first()? & 15) * 4;
    let offset = u16::from_be_bytes(field(inner, 6)?) & 0x1fff;
    if inner[0] >> 4 != 4 || header < 20 || offset != 0 {
        return None;
    }
    Some(InnerFlow {
        source: field::<4>(inner, 12)?.into(),
        destination: field::<4>(inner, 16)?.into(),
        protocol: inner[9],
        ports: ports(inner, header)?,
    })
}

fn sent_ipv6(inner: &[u8]) -> Option<InnerFlow> {
    if inner.first()? >> 4 != 6 {
        return None;
    }
    Some(InnerFlow {
        source: field::<16>(inner, 8)?.into(),
        destination: field::<16>(inner, 24)?.into(),
        protocol: inner[6],
        ports: ports(inner, 40)?,
    })
}

fn ports(inner: &[u8], at: usize) -> Option<(u16, u16)> {
    let [s0, s1, d0, d1, ..] = field::<LAYER_4>(inner, at)?;
    Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
