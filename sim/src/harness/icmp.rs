//! ICMP messages: errors about packets that a VIP sent, as routers send them, and echo requests.
//!
//! Owns the messages; what the card makes of them is the models' affair.

use std::net::IpAddr;

use super::frame::{PacketSpec, ip_frame};
use super::headers::extended;
use super::random::Random;

/// The answer of `spec`'s VIP to its client: what an error is about.
#[must_use]
pub fn reversed(spec: &PacketSpec) -> PacketSpec {
    PacketSpec {
        source: spec.destination,
        destination: spec.source,
        ports: (spec.ports.1, spec.ports.0),
        ..spec.clone()
    }
}

/// A message of this type and code that sends `inner` back, without checksum.
#[must_use]
pub fn message(kind: u8, code: u8, inner: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0, 0, 0, 5, 0], inner].concat()
}

/// An error from `router` about the answer of `spec`'s VIP, of which `inner` comes back.
#[must_use]
pub fn error_frame(spec: &PacketSpec, router: IpAddr, kind: u8, inner: &[u8]) -> Vec<u8> {
    let from = PacketSpec {
        source: router,
        ..spec.clone()
    };
    let protocol = if router.is_ipv6() { 58 } else { 1 };
    ip_frame(&from, protocol, &[], &message(kind, 4, inner))
}

/// An echo request of `spec`'s client to its VIP with this behind type, code and checksum, which is right.
#[must_use]
pub fn echo_frame(spec: &PacketSpec, rest: &[u8]) -> Vec<u8> {
    let (protocol, kind) = match spec.source {
        IpAddr::V4(_) => (1, 8),
        IpAddr::V6(_) => (58, 128),
    };
    let mut message = [&[kind, 0, 0, 0], rest].concat();
    let frame = ip_frame(spec, protocol, &[], &message);
    let pseudo = match spec.source {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(_) => [&frame[22..54], &frame[18..20], &[0, 58]].concat(),
    };
    let mut sum: u32 = ([pseudo, message.clone()].concat().chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!sum as u16).to_be_bytes());
    ip_frame(spec, protocol, &[], &message)
}

/// An echo request, now and then one that is none or whose checksum is anything.
#[must_use]
pub fn random_echo(spec: &PacketSpec, random: &mut Random) -> Vec<u8> {
    let length = match random.below(10) {
        0 => random.below(8),
        1..=3 => random.below(1600),
        _ => random.between(4, 60),
    };
    let mut frame = echo_frame(spec, &random.bytes(length));
    let icmp = if spec.source.is_ipv6() { 54 } else { 34 };
    if random.chance(20) {
        let at = icmp + random.below(4);
        frame[at] = random.byte();
    }
    frame
}

/// An error about the answer of `spec`'s VIP: mostly one that tells its flow, cut anywhere, now and then bent.
#[must_use]
pub fn random_error(spec: &PacketSpec, random: &mut Random) -> Vec<u8> {
    let answer = reversed(spec);
    let frame = if random.chance(30) {
        extended(&answer, random)
    } else {
        answer.frame()
    };
    let mut inner = frame[14..].to_vec();
    let least = if spec.source.is_ipv6() { 48 } else { 28 };
    let length = match random.below(10) {
        0 => random.below(inner.len() + 1),
        1..=5 => least.min(inner.len()),
        _ => inner.len(),
    };
    inner.truncate(length);
    if random.chance(15) && !inner.is_empty() {
        let at = random.below(inner.len().min(60));
        inner[at] ^= 1 << random.below(8);
    }
    let (router, kinds): (IpAddr, &[u8]) = match spec.source {
        IpAddr::V4(_) => (random.word().to_be_bytes().into(), &[3, 3, 11, 12, 4, 5]),
        IpAddr::V6(_) => {
            let address: [u8; 16] = std::array::from_fn(|_| random.byte());
            (address.into(), &[1, 2, 2, 3, 4, 5])
        }
    };
    error_frame(spec, router, *random.pick(kinds), &inner)
}
