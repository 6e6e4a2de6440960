//! Katran's packet fixtures on a card: what Katran sends, the card sends byte for byte.
//!
//! Owns the reading of `ipip_base.json` and a small Maglev (version 1) of its own, so that the card's rings here do not come
//! from the product's builder. The fixtures are not part of the project: tests take their folder as an argument.

use std::net::IpAddr;
use std::path::Path;

use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, MissPolicy, NextHopEntry, VipEntry, VipMatch,
};
use serde_json::Value;

use super::random::Random;
use super::{HarnessError, TestHost};
use crate::card::Card;
use crate::registers::core as at;

const RING: u32 = 65537;

/// A VIP of Katran's configuration: address, port, protocol, hashed by destination port only, and its pool.
type FixtureVip = (&'static str, u16, u8, bool, u8);

/// The VIPs of the set that are within the card's scope.
const VIPS: &[FixtureVip] = &[
    ("10.200.1.1", 80, 17, false, 0),
    ("10.200.1.1", 80, 6, false, 0),
    ("10.200.1.2", 0, 6, false, 0),
    ("10.200.1.4", 0, 6, true, 0),
    ("10.200.1.3", 80, 6, false, 1),
    ("fc00:1::1", 80, 6, false, 2),
    ("10.200.1.6", 80, 17, false, 0),
];

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

/// The cases of `ipip_base.json` within the scope of TCP and UDP: no ICMP, QUIC, fragments or options.
///
/// # Errors
/// When the file cannot be read.
pub fn ipip_cases(folder: &Path) -> Result<Vec<FixtureCase>, HarnessError> {
    let set = read_json(folder, "ipip_base.json")?;
    let cases = set["cases"].as_array().ok_or_else(|| broken("no cases"))?;
    let mut in_scope = Vec::new();
    for case in cases {
        let description = text(case, "description")?;
        let outside = ["ICMP", "QUIC", "fragmented", "options"];
        if outside.iter().any(|word| description.contains(word)) {
            continue;
        }
        in_scope.push(FixtureCase {
            description: description.to_owned(),
            input: hex(text(case, "input_hex")?)?,
            verdict: text(case, "expected_return")?.to_owned(),
            output: hex(text(case, "expected_output_hex")?)?,
        });
    }
    Ok(in_scope)
}

/// Runs the cases on a card at power on, misses going by the ring. Returns how many there were.
///
/// # Errors
/// The first case that the card treats otherwise than Katran.
pub fn check_ipip(card: &mut dyn Card, folder: &Path) -> Result<usize, HarnessError> {
    let cases = ipip_cases(folder)?;
    let mut host = TestHost::new(card)?;
    program(&mut host)?;
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

/// The fixtures' configuration: backends 1 to 3 are IPv4, 4 to 6 IPv6.
fn program(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let random = &mut Random::new(42);
    host.set_secrets(std::array::from_fn(|_| {
        std::array::from_fn(|_| random.word())
    }));
    host.write(at::IPIP_SOURCE_V4, 0xac10_0000);
    host.write(at::IPIP_SOURCE_V6, 0x0100_0000);
    let next_hop = NextHopEntry {
        destination: 0x0000_dead_beaf,
        ..NextHopEntry::default()
    };
    host.set_next_hop(0, &next_hop)?;
    for last in 1..=3u16 {
        let entry = |ipv6, address: u128| BackendEntry {
            state: BackendState::Up.raw(),
            encap: Encap::Ipip.raw(),
            ipv6,
            address,
            ..BackendEntry::default()
        };
        host.set_backend(last, &entry(false, 0x0a00_0000 | u128::from(last)))?;
        host.set_backend(last + 3, &entry(true, 0xfc00 << 112 | u128::from(last)))?;
    }
    let hashes = [1, 2, 3].map(|last| (last, address_hash([10, 0, 0, last as u8])));
    host.set_ring(0, &maglev(&hashes))?;
    host.set_pool(0, 0, RING)?;
    // the IPv6 ring is not built here: these pools hold the backend that the fixtures name for the VIP's flows
    for (pool, base, backend) in [(1, 0x2_0000, 4), (2, 0x2_0020, 6)] {
        host.set_ring(base, &[backend; 2])?;
        host.set_pool(pool, base, 2)?;
    }
    for (vip, (address, port, protocol, destination_port_only, pool)) in (0u16..).zip(VIPS) {
        let address: IpAddr = address.parse().map_err(broken)?;
        let entry = VipEntry {
            pool: *pool,
            miss_policy: MissPolicy::Stateless.raw(),
            hash_destination_port_only: *destination_port_only,
            mtu: 1500,
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
