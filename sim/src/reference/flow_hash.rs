//! Katran's flow hash (`CARD.md` 3): Jenkins' hash over the source and the ports, as Katran loads them.

use std::net::IpAddr;

use guideway_hdl::tables::{HASH_SEED, HASH_SEED_V6, VipEntry};

use super::{Packet, VipHit};

const GOLDEN: u32 = 0xdead_beef;

/// The hash of a packet's flow under a VIP's options.
#[must_use]
pub fn flow_hash(packet: &Packet, vip: &VipEntry, hit: VipHit) -> u32 {
    let keep = vip.hash_keep_destination_port || vip.hash_destination_port_only;
    let destination_port = if hit.any_port && !keep {
        0
    } else {
        packet.destination_port
    };
    let source_port = if vip.hash_destination_port_only {
        destination_port
    } else if vip.hash_no_source_port {
        0
    } else {
        packet.source_port
    };
    let source = match hashed_source(packet, vip) {
        IpAddr::V4(v4) => u32::from_le_bytes(v4.octets()),
        IpAddr::V6(v6) => jhash_16_bytes(&v6.octets(), HASH_SEED_V6),
    };
    let [s0, s1] = source_port.to_be_bytes();
    let [d0, d1] = destination_port.to_be_bytes();
    jhash_2words(source, u32::from_le_bytes([s0, s1, d0, d1]), HASH_SEED)
}

/// The client's address as hash and outer source see it: zeros when the VIP hashes its destination port only.
#[must_use]
pub fn hashed_source(packet: &Packet, vip: &VipEntry) -> IpAddr {
    match packet.source {
        source if !vip.hash_destination_port_only => source,
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    }
}

/// Jenkins' hash of two words, as Linux and Katran compute it.
#[must_use]
pub fn jhash_2words(a: u32, b: u32, seed: u32) -> u32 {
    let initial = seed.wrapping_add(GOLDEN).wrapping_add(8);
    last_mix(a.wrapping_add(initial), b.wrapping_add(initial), initial)
}

/// Jenkins' hash of 16 bytes.
#[must_use]
pub fn jhash_16_bytes(key: &[u8; 16], seed: u32) -> u32 {
    let word = |i: usize| u32::from_le_bytes(std::array::from_fn(|byte| key[4 * i + byte]));
    let initial = seed.wrapping_add(GOLDEN).wrapping_add(16);
    let (a, b, c) = mix(
        initial.wrapping_add(word(0)),
        initial.wrapping_add(word(1)),
        initial.wrapping_add(word(2)),
    );
    last_mix(a.wrapping_add(word(3)), b, c)
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    for [first, second] in [[4, 6], [8, 16], [19, 4]] {
        // each step: x = (x - z) ^ rotl(z, n); z += y; then the three roles turn
        a = a.wrapping_sub(c) ^ c.rotate_left(first);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(second);
        a = a.wrapping_add(c);
        (a, b, c) = (c, a, b);
    }
    (a, b, c)
}

fn last_mix(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    for rotation in [14, 11, 25, 16, 4, 14, 24] {
        c = (c ^ b).wrapping_sub(b.rotate_left(rotation));
        (a, b, c) = (b, c, a);
    }
    // seven turns of three roles: the word changed last stands in `b`
    b
}
