//! QUIC packets with connection ids for tests (`CARD.md` 3): Katran's, and QUIC-LB's in plaintext.
//!
//! Owns how a server writes its id into a connection id. Reading it is the models' affair.

use guideway_hdl::tables::{BackendEntry, QuicId};

use super::random::Random;
use super::scenario::{PoolPlan, VipPlan};

/// QUIC version 2 (RFC 9369).
pub const VERSION_2: u32 = 0x6b33_43cf;

/// The connection id that a server of this id gives out: Katran's of a version from 1 to 3, 20 bytes.
#[must_use]
pub fn katran_id(version: u8, id: u32) -> Vec<u8> {
    let bytes = id.to_be_bytes();
    let mut out = vec![version << 6; 20];
    match version {
        1 => {
            let placed = (1 << 22 | (id & 0xffff) << 6 | 0x15).to_be_bytes();
            out[..3].copy_from_slice(&placed[1..]);
        }
        2 => out[1..4].copy_from_slice(&bytes[1..]),
        _ => out[1..5].copy_from_slice(&bytes),
    }
    out
}

/// A QUIC-LB connection id: rotation, then the server id in `bytes` bytes.
#[must_use]
pub fn quic_lb_id(rotation: u8, bytes: usize, id: u64) -> Vec<u8> {
    let mut out = vec![rotation << 5 | 0x13];
    out.extend_from_slice(&id.to_be_bytes()[8 - bytes.min(8)..]);
    out.resize(20, 0xa5);
    out
}

/// A packet with a short header.
#[must_use]
pub fn short(id: &[u8]) -> Vec<u8> {
    [&[0x43], id, b"quic data"].concat()
}

/// A packet with a long header: type 0 to 3 (of version 1: Initial, 0-RTT, Handshake, Retry).
#[must_use]
pub fn long(kind: u8, version: u32, id: &[u8]) -> Vec<u8> {
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    let first = [0xc3 | kind << 4];
    let version = version.to_be_bytes();
    [&first, version.as_slice(), &[length], id, b"quic data"].concat()
}

/// Server ids of a random world, each for a bank; pools and rotations are few, so that keys meet.
#[must_use]
pub fn server_ids(
    random: &mut Random,
    pools: &[PoolPlan],
    backends: &[(u16, BackendEntry)],
) -> Vec<(usize, QuicId)> {
    let count = random.below(60);
    (0..count)
        .map(|_| {
            let (backend, entry) = *random.pick(backends);
            let right = random.chance(85);
            let lb = random.chance(50);
            let entry = QuicId {
                id: match random.below(4) {
                    0 => u64::from(random.word()) << 32 | u64::from(random.word()),
                    1 => random.word().into(),
                    _ => random.half().into(),
                },
                rotation: if lb { random.below(8) as u8 } else { 0 },
                lb,
                pool: random.pick(pools).pool,
                valid: random.chance(95),
                backend: if random.chance(95) {
                    backend
                } else {
                    random.half()
                },
                generation: entry.generation.wrapping_sub(u8::from(!right)),
            };
            (random.below(4), entry)
        })
        .collect()
}

/// A VIP's UDP payload that names one of the server ids, as far as chance lets it.
#[must_use]
pub fn payload(
    random: &mut Random,
    ids: &[(usize, QuicId)],
    vip: Option<&VipPlan>,
    lengths: u32,
) -> Vec<u8> {
    let fits =
        |id: &QuicId| vip.is_none_or(|vip| id.lb == vip.entry.quic_lb && id.pool == vip.entry.pool);
    let mut candidates: Vec<QuicId> = ids.iter().map(|(_, id)| *id).filter(fits).collect();
    if candidates.is_empty() || random.chance(10) {
        candidates.push(QuicId {
            id: random.word().into(),
            lb: random.chance(50),
            ..QuicId::default()
        });
    }
    let entry = *random.pick(&candidates);
    let mut id = if entry.lb {
        let bytes = lengths >> (4 * u32::from(entry.rotation)) & 15;
        quic_lb_id(entry.rotation, bytes as usize, entry.id)
    } else {
        katran_id(random.between(0, 3) as u8, entry.id as u32)
    };
    id.truncate(*random.pick(&[20, 20, 9, 8, 7, 0]));
    let mut bytes = if random.chance(50) {
        short(&id)
    } else {
        let version = *random.pick(&[1, 1, VERSION_2, 0, 0xff00_001d]);
        long(random.below(4) as u8, version, &id)
    };
    match random.below(10) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => {
            let at = random.below(bytes.len().min(16));
            bytes[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    bytes
}
