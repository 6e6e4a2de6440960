//! Katran's packet fixtures on a card: what Katran sends, the card sends byte for byte.
//!
//! Owns the reading of the sets and a small Maglev (version 1) of its own, so that the card's rings here do not come
//! from the product's builder. The fixtures are not part of the project: tests take their folder as an argument.

use std::net::IpAddr;
use std::path::Path;

use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, MissPolicy, NextHopEntry, QuicId, VipEntry, VipMatch,
};
use serde_json::Value;

use super::random::Random;
use super::{HarnessError, TestHost};
use crate::card::Card;
use crate::registers::core as at;

const RING: u32 = 65537;
/// Where the fixtures send GUE.
const GUE_PORT: u16 = 9886;

/// A VIP of Katran's configuration: address, port, protocol, hashed by destination port only, and where its packets go. Those of
/// UDP port 443 route by QUIC connection id.
type FixtureVip = (&'static str, u16, u8, bool, To);

#[derive(Clone, Copy, Debug)]
enum To {
    /// The ring of the IPv4 backends.
    Ring,
    /// This backend alone: the IPv6 ring is not built here.
    Backend(u16),
    /// Nowhere: a VIP without backends.
    Nobody,
}

/// A set of fixtures: its file, how packets travel, the VIPs that are within the card's scope.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    file: &'static str,
    encap: Encap,
    vips: &'static [FixtureVip],
    /// The longest packet that clients may send, of which the card tells them; otherwise 1500 bytes with the encapsulation.
    inner_mtu: Option<u16>,
}

/// The sets that the card is held against.
pub const SETS: [Set; 4] = [
    Set {
        file: "ipip_base.json",
        encap: Encap::Ipip,
        vips: VIPS,
        inner_mtu: None,
    },
    Set {
        file: "gue_base.json",
        encap: Encap::Gue,
        vips: VIPS,
        inner_mtu: None,
    },
    Set {
        file: "gue_cidr_vip.json",
        encap: Encap::Gue,
        vips: CIDR_VIPS,
        inner_mtu: None,
    },
    Set {
        file: "ipip_icmp_toobig.json",
        encap: Encap::Ipip,
        vips: VIPS,
        inner_mtu: Some(1500),
    },
];

const VIPS: &[FixtureVip] = &[
    ("10.200.1.1", 80, 17, false, To::Ring),
    ("10.200.1.1", 80, 6, false, To::Ring),
    ("10.200.1.2", 0, 6, false, To::Ring),
    ("10.200.1.4", 0, 6, true, To::Ring),
    ("10.200.1.3", 80, 6, false, To::Backend(4)),
    ("fc00:1::1", 80, 6, false, To::Backend(6)),
    ("10.200.1.5", 443, 17, false, To::Ring),
    ("fc00:1::2", 443, 17, false, To::Backend(4)),
    ("10.200.1.6", 80, 17, false, To::Ring),
    ("10.200.1.99", 80, 6, false, To::Nobody),
    ("fc00:1::11", 80, 17, false, To::Nobody),
];

/// Katran's prefixes as the addresses that the cases name: what is compared are the frames that leave.
const CIDR_VIPS: &[FixtureVip] = &[
    ("fc00:1::100", 0, 6, false, To::Backend(4)),
    ("fc00:1::200", 0, 6, false, To::Backend(4)),
    ("fc00:1::400", 0, 6, false, To::Backend(4)),
    ("fc00:2::100", 443, 6, false, To::Backend(7)),
    ("fc00:3::100", 0, 17, false, To::Backend(8)),
    ("fc00:4::100", 443, 17, false, To::Backend(10)),
];

/// Cases of which Katran's outer UDP checksum is wrong: it relies on the inner one, which ICMP has without pseudo header, or which is wrong.
const WRONG_CHECKSUM: &[&str] = &[
    "v4 ICMP dest-unreachabe fragmentation-needed",
    "v6 ICMP packet-too-big",
];

/// Katran's server ids (of connection id versions 1 and 2) of its backends, by their indices here.
const SERVER_IDS: [(u16, [u64; 2]); 6] = [
    (1, [1022, 197_630]),
    (2, [1023, 197_631]),
    (3, [1025, 197_633]),
    (4, [1024, 197_632]),
    (5, [1026, 197_634]),
    (6, [1027, 197_635]),
];

/// QUIC packets without a known server id: Katran sends them where the last one with an id of this client went, which here is no flow's.
const AFTER_AN_ID: &[&str] = &["No connection id", "non-existing mapping", "host id = 0"];

/// Addresses that echo requests name: Katran answers for any, the card for VIPs.
const PINGED: [(u8, &str); 2] = [(1, "10.200.1.3"), (58, "fc00:1::1")];

impl Set {
    /// Fewer cases than these cannot be all of it.
    #[must_use]
    pub const fn least(&self) -> usize {
        if self.inner_mtu.is_some() { 3 } else { 9 }
    }
}

/// What a fixture expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixtureCase {
    /// Its description.
    pub description: String,
    /// The frame on the wire.
    pub input: Vec<u8>,
    /// `XDP_TX`, `XDP_PASS` or `XDP_DROP`.
    pub verdict: String,
    /// The frame that Katran sends.
    pub output: Vec<u8>,
}

fn broken(what: impl std::fmt::Display) -> HarnessError {
    HarnessError::Protocol(format!("Katran's fixtures: {what}"))
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, HarnessError> {
    value[key]
        .as_str()
        .ok_or_else(|| broken(format!("no {key}")))
}

fn hex(text: &str) -> Result<Vec<u8>, HarnessError> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.map(byte).collect();
    bytes.ok_or_else(|| broken("not hexadecimal"))
}

/// Reads a JSON file of the fixtures' folder.
///
/// # Errors
/// When it cannot be read.
pub fn read_json(folder: &Path, name: &str) -> Result<Value, HarnessError> {
    let bytes =
        std::fs::read(folder.join(name)).map_err(|error| broken(format!("{name}: {error}")))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(format!("{name}: {error}")))
}

/// The cases of a set within the scope of TCP, UDP, ICMP and QUIC: no fragments or options.
///
/// # Errors
/// When the file cannot be read.
pub fn cases(folder: &Path, set: &Set) -> Result<Vec<FixtureCase>, HarnessError> {
    let (encap, told) = (set.encap, set.inner_mtu.is_some());
    let set = read_json(folder, set.file)?;
    let cases = set["cases"].as_array().ok_or_else(|| broken("no cases"))?;
    let mut in_scope = Vec::new();
    for case in cases {
        let description = text(case, "description")?;
        let outside = ["fragmented", "options"].iter().chain(AFTER_AN_ID);
        if outside.into_iter().any(|word| description.contains(word)) {
            continue;
        }
        let case = FixtureCase {
            description: description.to_owned(),
            input: hex(text(case, "input_hex")?)?,
            verdict: text(case, "expected_return")?.to_owned(),
            output: hex(text(case, "expected_output_hex")?)?,
        };
        if told && case.input[12..14] == [8, 0] {
            in_scope.extend(by_dont_fragment(&case));
        } else {
            in_scope.push(verified(case, encap)?);
        }
    }
    Ok(in_scope)
}

/// The case with the outer UDP checksum that its bytes have (RFC 768): Katran's own, but for those known to be wrong.
fn verified(mut case: FixtureCase, encap: Encap) -> Result<FixtureCase, HarnessError> {
    let ipv6 = case.output[12..14] == [0x86, 0xdd];
    let (addresses, udp) = if ipv6 { (22, 54) } else { (26, 34) };
    let to_port = case.output.get(udp + 2..udp + 4);
    if encap != Encap::Gue || case.verdict != "XDP_TX" || to_port != Some(&GUE_PORT.to_be_bytes()) {
        return Ok(case);
    }
    let length = case.output[udp + 4..udp + 6].to_vec();
    let given = [case.output[udp + 6], case.output[udp + 7]];
    case.output[udp + 6..udp + 8].fill(0);
    let covered = [&[0, 17], length.as_slice(), &case.output[addresses..]].concat();
    let mut sum: u32 = (covered.chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let right = (!sum as u16).to_be_bytes();
    case.output[udp + 6..udp + 8].copy_from_slice(&right);
    let wrong = WRONG_CHECKSUM.contains(&case.description.as_str());
    if wrong == (right == given) {
        let what = &case.description;
        return Err(broken(format!(
            "{what}: checksum {given:02x?}, computed {right:02x?}"
        )));
    }
    Ok(case)
}

/// A too-big packet of IPv4 twice: Katran tells who may not know what that means, we drop it; and Katran's answer to the same packet with
/// the don't-fragment bit, which the answer sends back.
fn by_dont_fragment(case: &FixtureCase) -> [FixtureCase; 2] {
    let mut dropped = case.clone();
    dropped.verdict = "XDP_DROP".to_owned();
    let mut told = case.clone();
    told.input[20] |= 0x40;
    told.output[42 + 6] |= 0x40;
    let checksum = u32::from(told.output[36]) << 8 | u32::from(told.output[37]);
    let sum = (0xffff ^ checksum) + 0x4000;
    let sum = (sum & 0xffff) + (sum >> 16);
    told.output[36..38].copy_from_slice(&(!sum as u16).to_be_bytes());
    [dropped, told]
}

/// Runs the cases on a card at power on, misses going by the ring. Returns how many there were.
///
/// # Errors
/// The first case that the card treats otherwise than Katran.
pub fn check(card: &mut dyn Card, folder: &Path, set: &Set) -> Result<usize, HarnessError> {
    let cases = cases(folder, set)?;
    let mut host = TestHost::new(card)?;
    program(&mut host, set)?;
    for case in &cases {
        host.push(case.input.clone(), false);
        host.settle()?;
        let sent = host.take_sent();
        let received = host.receive()?;
        let as_katran = match case.verdict.as_str() {
            "XDP_TX" => sent == [case.output.clone()],
            "XDP_PASS" => sent.is_empty() && received.len() == 1 && received[0].bytes == case.input,
            _ => sent.is_empty() && received.is_empty(),
        };
        if !as_katran {
            let (what, expected) = (&case.description, &case.output);
            return Err(broken(format!(
                "{what}: {sent:02x?} instead of {expected:02x?}"
            )));
        }
    }
    host.check_conservation()?;
    Ok(cases.len())
}

/// The fixtures' configuration: backends 1 to 3 are IPv4, 4 to 11 IPv6.
fn program(host: &mut TestHost<'_>, set: &Set) -> Result<(), HarnessError> {
    let random = &mut Random::new(42);
    host.set_secrets(std::array::from_fn(|_| {
        std::array::from_fn(|_| random.word())
    }));
    host.write(at::IPIP_SOURCE_V4, 0xac10_0000);
    host.write(at::IPIP_SOURCE_V6, 0x0100_0000);
    host.write(at::SOURCE_V4, 0x0a00_0d25);
    host.write_wide(at::SOURCE_V6, 0xfc00_2307 << 96 | 0x1337);
    host.write(at::GUE_PORT, GUE_PORT.into());
    if set.inner_mtu.is_some() {
        host.write(at::ICMP_LIMIT, 100 << 16);
    }
    host.write(at::ICMP_LIMIT + 4, 100 << 16);
    let next_hop = NextHopEntry {
        destination: 0x0000_dead_beaf,
        ..NextHopEntry::default()
    };
    host.set_next_hop(0, &next_hop)?;
    let entry = |ipv6, address: u128| BackendEntry {
        state: BackendState::Up.raw(),
        encap: set.encap.raw(),
        ipv6,
        address,
        ..BackendEntry::default()
    };
    for last in 1..=8u16 {
        if last <= 3 {
            host.set_backend(last, &entry(false, 0x0a00_0000 | u128::from(last)))?;
        }
        host.set_backend(last + 3, &entry(true, 0xfc00 << 112 | u128::from(last)))?;
    }
    let hashes = [1, 2, 3].map(|last| (last, address_hash([10, 0, 0, last as u8])));
    host.set_ring(0, &maglev(&hashes))?;
    host.set_pool(0, 0, RING)?;
    for (vip, (address, port, protocol, destination_port_only, to)) in (0u16..).zip(set.vips) {
        let pool = match to {
            To::Ring => 0,
            To::Nobody => 63,
            To::Backend(backend) => {
                let base = 0x2_0000 + 32 * u32::from(*backend);
                let pool = u8::try_from(*backend).unwrap_or(0);
                host.set_ring(base, &[*backend; 2])?;
                host.set_pool(pool, base, 2)?;
                pool
            }
        };
        let address: IpAddr = address.parse().map_err(broken)?;
        let entry = VipEntry {
            pool,
            miss_policy: MissPolicy::Stateless.raw(),
            hash_destination_port_only: *destination_port_only,
            echo: true,
            quic: (*port, *protocol) == (443, 17),
            mtu: set.inner_mtu.map_or(1500, |mtu| match address {
                IpAddr::V4(_) => mtu + 20, // both families in IPIP of their own
                IpAddr::V6(_) => mtu + 40,
            }),
            ..VipEntry::default()
        };
        host.set_vip(vip, &entry)?;
        host.add_match(&VipMatch {
            port: *port,
            protocol: *protocol,
            ipv6: address.is_ipv6(),
            address: match address {
                IpAddr::V4(v4) => u128::from(u32::from(v4)),
                IpAddr::V6(v6) => u128::from(v6),
            },
            valid: true,
            vip,
        })?;
    }
    for (bank, pool) in [(0, 0), (2, 4)] {
        for (backend, ids) in SERVER_IDS {
            for (step, id) in ids.into_iter().enumerate() {
                let entry = QuicId {
                    id,
                    pool,
                    valid: true,
                    backend,
                    ..QuicId::default()
                };
                host.set_quic_id(bank + step, &entry)?;
            }
        }
    }
    for (protocol, address) in PINGED {
        let address: IpAddr = address.parse().map_err(broken)?;
        host.add_match(&VipMatch {
            port: 0,
            protocol,
            ipv6: address.is_ipv6(),
            address: match address {
                IpAddr::V4(v4) => u128::from(u32::from(v4)),
                IpAddr::V6(v6) => u128::from(v6),
            },
            valid: true,
            vip: 0,
        })?;
    }
    host.write(at::CONTROL, 1);
    Ok(())
}

/// Maglev's table (paper, 3.4) as Katran's first version fills it, every weight 1.
fn maglev(backends: &[(u16, u64)]) -> Vec<u16> {
    let mut sorted = backends.to_vec();
    sorted.sort_by_key(|(_, hash)| *hash);
    let size = u64::from(RING);
    let mut turns: Vec<(u16, u64, u64)> = sorted
        .iter()
        .map(|(backend, hash)| {
            let offset = murmur3(*hash, 42, 0) % size;
            let skip = murmur3(*hash, 2_718_281_828, 2307) % (size - 1) + 1;
            (*backend, offset, skip)
        })
        .collect();
    let mut ring = vec![None; RING as usize];
    let mut filled = 0;
    loop {
        for (backend, next, skip) in &mut turns {
            while ring[*next as usize].is_some() {
                *next = (*next + *skip) % size;
            }
            ring[*next as usize] = Some(*backend);
            filled += 1;
            if filled == ring.len() {
                return ring.into_iter().flatten().collect();
            }
        }
    }
}

/// Katran's hash of an IPv4 backend address: FNV-1 over sign-extended bytes, then City's mix with the family.
pub(crate) fn address_hash(octets: [u8; 4]) -> u64 {
    let fnv = octets.iter().fold(2_166_136_261u32, |hash, octet| {
        let extended = (*octet).cast_signed() as i32;
        hash.wrapping_mul(16_777_619) ^ extended.cast_unsigned()
    });
    let (upper, lower) = (2u64, u64::from(fnv));
    let k = 0x9ddf_ea08_eb38_2d69u64;
    let mut a = (lower ^ upper).wrapping_mul(k);
    a ^= a >> 47;
    let mut b = (upper ^ a).wrapping_mul(k);
    b ^= b >> 47;
    b.wrapping_mul(k)
}

/// MurmurHash3 (x64, 128 bits) of two words; the upper half.
fn murmur3(first: u64, second: u64, seed: u64) -> u64 {
    let (c1, c2) = (0x87c3_7b91_1142_53d5u64, 0x4cf5_ad43_2745_937fu64);
    let mix = |hash: u64| {
        let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    };
    let k1 = first.wrapping_mul(c1).rotate_left(31).wrapping_mul(c2);
    let h1 = (seed ^ k1).rotate_left(27).wrapping_add(seed);
    let h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
    let k2 = second.wrapping_mul(c2).rotate_left(33).wrapping_mul(c1);
    let h2 = (seed ^ k2).rotate_left(31).wrapping_add(h1);
    let h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    let (h1, h2) = (h1 ^ 16, h2 ^ 16);
    let h1 = h1.wrapping_add(h2);
    let h2 = h2.wrapping_add(h1);
    mix(h1).wrapping_add(mix(h2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_backends_share_the_ring_equally() {
        let ring = maglev(&[(1, 1000), (2, 2000)]);
        let ones = ring.iter().filter(|backend| **backend == 1).count();
        assert_eq!(ring.len(), 65537);
        assert!((32768..=32769).contains(&ones));
    }
}
