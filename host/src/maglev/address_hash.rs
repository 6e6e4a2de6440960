//! The hash of a backend's address by which Katran orders and places backends.
//!
//! Owns: folly's `IPAddress::hash()` with its quirks: for IPv4 a 32-bit FNV-1 that sign-extends each byte, for IPv6
//! SpookyHash V2 over the 16 bytes, each folded by CityHash's `Hash128to64` with the family. They must not be repaired: a ring
//! depends on every bit of them. An IPv4-mapped IPv6 address hashes as its IPv4 address.

use std::net::IpAddr;

/// The number of the IPv4 family that folly folds in (`AF_INET`).
const FAMILY_V4: u64 = 2;
/// The number of the IPv6 family that folly folds in (`AF_INET6`).
const FAMILY_V6: u64 = 10;

/// The hash of a backend's address.
#[must_use]
pub fn of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => fold(FAMILY_V4, u64::from(fnv_sign_extended(&v4.octets()))),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => of(IpAddr::V4(v4)),
            None => {
                let (first, second) = spooky_16(&v6.octets());
                fold(FAMILY_V6, fold(first, second))
            }
        },
    }
}

/// CityHash's `Hash128to64(lower, upper)`.
fn fold(upper: u64, lower: u64) -> u64 {
    const K: u64 = 0x9ddf_ea08_eb38_2d69;
    let mut a = (lower ^ upper).wrapping_mul(K);
    a ^= a >> 47;
    let mut b = (upper ^ a).wrapping_mul(K);
    b ^= b >> 47;
    b.wrapping_mul(K)
}

/// 32-bit FNV-1 (multiply, then xor) over bytes that are sign-extended, as folly's "broken" variant does.
fn fnv_sign_extended(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, &byte| {
        hash.wrapping_mul(0x0100_0193) ^ i32::from(byte.cast_signed()).cast_unsigned()
    })
}

/// SpookyHash V2 of 16 bytes with both seeds 0: the short form's path for that length.
fn spooky_16(bytes: &[u8; 16]) -> (u64, u64) {
    const FILL: u64 = 0xdead_beef_dead_beef;
    let whole = u128::from_le_bytes(*bytes);
    #[allow(clippy::cast_possible_truncation)] // the two halves
    let (low, high) = (whole as u64, (whole >> 64) as u64);
    let mut h = [0, 0, FILL.wrapping_add(low), FILL.wrapping_add(high)];
    short_mix(&mut h);
    h[3] = h[3].wrapping_add(16 << 56).wrapping_add(FILL); // the length in the top byte; no bytes are left over
    h[2] = h[2].wrapping_add(FILL);
    short_end(&mut h);
    (h[0], h[1])
}

fn short_mix(h: &mut [u64; 4]) {
    for (step, rotation) in [50, 52, 30, 41, 54, 48, 38, 37, 62, 34, 5, 36]
        .into_iter()
        .enumerate()
    {
        let (turned, next, mixed) = ((step + 2) % 4, (step + 3) % 4, step % 4);
        h[turned] = h[turned].rotate_left(rotation).wrapping_add(h[next]);
        h[mixed] ^= h[turned];
    }
}

fn short_end(h: &mut [u64; 4]) {
    for (step, rotation) in [15, 52, 26, 51, 28, 9, 47, 54, 32, 25, 63]
        .into_iter()
        .enumerate()
    {
        let (mixed, turned) = ((step + 3) % 4, (step + 2) % 4);
        h[mixed] ^= h[turned];
        h[turned] = h[turned].rotate_left(rotation);
        h[mixed] = h[mixed].wrapping_add(h[turned]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Values measured on Katran's own build (folly's IPAddress::hash).
    #[test]
    fn known_addresses() {
        for (text, hash) in [
            ("0.0.0.0", 0x1154_961b_360a_62cc),
            ("10.0.0.1", 0xd671_359d_baa1_5954),
            ("255.255.255.255", 0x8f2a_3add_05a6_d637), // bytes of 128 and above: the sign extension shows
            ("fc00::1", 0x64e7_4a25_b986_d744),
            ("::ffff:10.0.0.1", 0xd671_359d_baa1_5954),
        ] {
            assert_eq!(of(text.parse().unwrap()), hash, "{text}");
        }
    }
}
