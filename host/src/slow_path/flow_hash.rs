//! Katran's flow hash, as the card computes it (`CARD.md`, section 3): which ring slot a client's packet falls into.
//!
//! Owns `jhash` (Bob Jenkins' lookup3 as Linux has it) for the two lengths that Katran uses.

use std::net::IpAddr;

use guideway_hdl::tables::{HASH_SEED, HASH_SEED_V6};

const INITIAL: u32 = 0xdead_beef;

/// The hash of a client and a port of the VIP; `destination_port` is 0 for a VIP of any port.
#[must_use]
pub fn of(source: IpAddr, source_port: u16, destination_port: u16) -> u32 {
    let first = match source {
        IpAddr::V4(v4) => u32::from_le_bytes(v4.octets()),
        IpAddr::V6(v6) => jhash_16(&v6.octets(), HASH_SEED_V6),
    };
    let ([a, b], [c, d]) = (source_port.to_be_bytes(), destination_port.to_be_bytes());
    jhash_2words(first, u32::from_le_bytes([a, b, c, d]), HASH_SEED)
}

/// Linux's `jhash_2words`.
#[must_use]
pub fn jhash_2words(a: u32, b: u32, seed: u32) -> u32 {
    let start = seed.wrapping_add(INITIAL).wrapping_add(8);
    last([a.wrapping_add(start), b.wrapping_add(start), start])
}

/// Linux's `jhash` over 16 bytes.
#[must_use]
pub fn jhash_16(bytes: &[u8; 16], seed: u32) -> u32 {
    let word = |i: usize| {
        u32::from_le_bytes([
            bytes[4 * i],
            bytes[4 * i + 1],
            bytes[4 * i + 2],
            bytes[4 * i + 3],
        ])
    };
    let start = INITIAL.wrapping_add(16).wrapping_add(seed);
    let mut s = [
        start.wrapping_add(word(0)),
        start.wrapping_add(word(1)),
        start.wrapping_add(word(2)),
    ];
    for (step, rotation) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        let (to, from, also) = (step % 3, (step + 2) % 3, (step + 1) % 3);
        s[to] = s[to].wrapping_sub(s[from]) ^ s[from].rotate_left(rotation);
        s[from] = s[from].wrapping_add(s[also]);
    }
    s[0] = s[0].wrapping_add(word(3));
    last(s)
}

fn last(mut s: [u32; 3]) -> u32 {
    for (step, rotation) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (to, from) = ((step + 2) % 3, (step + 1) % 3);
        s[to] = (s[to] ^ s[from]).wrapping_sub(s[from].rotate_left(rotation));
    }
    s[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    // Values measured on Katran's own program.
    #[test]
    fn known_hashes() {
        assert_eq!(jhash_2words(1, 2, 3), 623_346_101);
        assert_eq!(
            jhash_16(&std::array::from_fn(|i| i as u8), 512),
            818_810_219
        );
        for (source, source_port, destination_port, hash) in [
            ("192.168.1.1", 31337, 80, 3_353_773_618),
            ("192.168.1.1", 31337, 0, 29_859_297),
            ("fc00:2::1", 31337, 80, 2_623_155_930),
            ("fc00:2::42", 31337, 443, 3_609_689_876),
        ] {
            assert_eq!(
                of(source.parse().unwrap(), source_port, destination_port),
                hash,
                "{source}"
            );
        }
    }
}
