//! Katran's flow hash, as the card computes it (`CARD.md`, section 3): which ring slot a client's packet falls into.
//!
//! Owns `jhash` (Bob Jenkins' lookup3 as Linux has it) for the two lengths that Katran uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guideway_hdl::tables::{HASH_SEED, HASH_SEED_V6};

use crate::card::HashOptions;

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

/// The hash of a packet for a VIP of these options, with its ports as on the wire: source, destination. `exact`: the VIP was found by
/// address, port and protocol.
#[must_use]
pub fn with_options(
    options: &HashOptions,
    exact: bool,
    source: IpAddr,
    (source_port, destination_port): (u16, u16),
) -> u32 {
    if options.destination_port_only {
        let nobody: IpAddr = match source {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        return of(nobody, destination_port, destination_port);
    }
    let counts = |port, does: bool| if does { port } else { 0 };
    let source_port = counts(source_port, !options.no_source_port);
    let keeps = exact || options.keep_destination_port;
    of(source, source_port, counts(destination_port, keeps))
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

    #[test]
    fn options_choose_what_counts() {
        let v4: IpAddr = "192.168.1.1".parse().unwrap();
        let v6: IpAddr = "fc00:2::1".parse().unwrap();
        let hash = |names: &[&str], exact| {
            let mut options = HashOptions::default();
            assert!(names.iter().all(|name| options.set(name)));
            [v4, v6].map(|source| with_options(&options, exact, source, (31337, 80)))
        };
        let plain = |source_port, port| [v4, v6].map(|source| of(source, source_port, port));
        // measured on Katran's own program
        assert_eq!(hash(&[], true), [3_353_773_618, 2_623_155_930]);
        assert_eq!(hash(&[], false)[0], 29_859_297);
        assert_eq!(hash(&["keep-destination-port"], false), plain(31337, 80));
        assert_eq!(hash(&["no-source-port"], true), plain(0, 80));
        assert_eq!(hash(&["no-source-port"], false), plain(0, 0));
        let both = ["no-source-port", "keep-destination-port"];
        assert_eq!(hash(&both, false), plain(0, 80));
        // {80, 80} as they lie on the wire, over a source of zeros
        let ports = u32::from_le_bytes([0, 80, 0, 80]);
        let only = [0, jhash_16(&[0; 16], HASH_SEED_V6)]
            .map(|source| jhash_2words(source, ports, HASH_SEED));
        for exact in [true, false] {
            for more in [None, Some("no-source-port"), Some("keep-destination-port")] {
                let names: Vec<_> = more.into_iter().chain(["destination-port-only"]).collect();
                assert_eq!(hash(&names, exact), only, "{names:?}");
            }
        }
    }
}
