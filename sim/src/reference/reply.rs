//! What the card answers of itself (`CARD.md` 5): echo replies, and errors that a packet is too big.
//!
//! Owns the frames. Whether the card answers is [`super::verdict`]'s, how often [`super::token_bucket`]'s.

use std::net::IpAddr;

use super::Packet;
use super::encap::{internet_checksum, ipv4_header, ipv6_header, length};

/// What the card answers; the numbers are those of the `icmp_limit` registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An error: the packet is too big.
    TooBig = 0,
    /// An echo reply.
    Echo = 1,
}

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Bytes that an error sends back: Katran's.
const QUOTE_IPV4: usize = 84;
const QUOTE_IPV6: usize = 248;

/// The frame with its MAC addresses swapped, up to the end of its IP packet; and where that begins.
fn back(frame: &[u8], packet: &Packet) -> (Vec<u8>, usize) {
    let ip = 14 + packet.tags.as_bytes().len();
    let end = frame.len().min(ip + packet.ip_bytes);
    let mut out = [&frame[6..12], &frame[..6], &frame[12..end]].concat();
    out.truncate(end);
    (out, ip)
}

fn swap(bytes: &mut [u8]) {
    let half = bytes.len() / 2;
    bytes.rotate_left(half);
}

/// The reply to an echo request.
#[must_use]
pub fn echo(frame: &[u8], packet: &Packet) -> Vec<u8> {
    let (mut out, ip) = back(frame, packet);
    let checksum = |out: &[u8], at: usize| u32::from(out[at]) << 8 | u32::from(out[at + 1]);
    if packet.is_ipv6() {
        out[ip + 7] = 64;
        swap(&mut out[ip + 8..ip + 40]);
        // the complement grows by what the type does (RFC 1624)
        let sum = (0xffff ^ checksum(&out, ip + 42)) + 0x0100;
        let sum = (sum & 0xffff) + (sum >> 16);
        out[ip + 40] = 129;
        out[ip + 42..ip + 44].copy_from_slice(&(!sum as u16).to_be_bytes());
    } else {
        out[ip + 8] = 64;
        out[ip + 10..ip + 12].fill(0);
        swap(&mut out[ip + 12..ip + 20]);
        let header = internet_checksum(&out[ip..ip + 20]);
        out[ip + 10..ip + 12].copy_from_slice(&header.to_be_bytes());
        let sum = checksum(&out, ip + 22) + 0x0800;
        let sum = (sum & 0xffff) + (sum >> 16);
        out[ip + 20] = 0;
        out[ip + 22..ip + 24].copy_from_slice(&(sum as u16).to_be_bytes());
    }
    out
}

/// Whether an error may be sent to this address: that of a single host (RFC 1122 3.2.2, RFC 4443 2.4 e).
#[must_use]
pub fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(v6) => !(v6.is_multicast() || v6.is_unspecified() || v6.is_loopback()),
    }
}

/// The error that a packet is too big; `mtu` is what would fit.
#[must_use]
pub fn too_big(frame: &[u8], packet: &Packet, mtu: usize) -> Vec<u8> {
    let (mut out, ip) = back(frame, packet);
    let quote = out.split_off(ip.min(out.len()));
    let mtu = length(mtu).to_be_bytes();
    match (packet.source, packet.destination) {
        (IpAddr::V4(to), IpAddr::V4(from)) => {
            let quote = &quote[..quote.len().min(QUOTE_IPV4)];
            let total = length(28 + quote.len());
            ipv4_header(&mut out, 0, total, ICMP, from.octets(), to.into());
            let message = [&[3, 4, 0, 0, 0, 0], mtu.as_slice(), quote].concat();
            out.extend(with_checksum(&[], message));
        }
        (IpAddr::V6(to), IpAddr::V6(from)) => {
            let quote = &quote[..quote.len().min(QUOTE_IPV6)];
            let carried = length(8 + quote.len());
            ipv6_header(&mut out, 0, carried, ICMPV6, from.octets(), to.into());
            let message = [&[2, 0, 0, 0, 0, 0], mtu.as_slice(), quote].concat();
            let pseudo = [&from.octets(), &to.octets(), [0, ICMPV6].as_slice()].concat();
            out.extend(with_checksum(
                &[pseudo, carried.to_be_bytes().to_vec()].concat(),
                message,
            ));
        }
        _ => {}
    }
    out
}

/// The message with its checksum, which also covers what goes before.
fn with_checksum(before: &[u8], mut message: Vec<u8>) -> Vec<u8> {
    let checksum = internet_checksum(&[before, &message].concat());
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}
