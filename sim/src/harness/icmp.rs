//! ICMP errors about packets that a VIP sent, as routers send them.
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
