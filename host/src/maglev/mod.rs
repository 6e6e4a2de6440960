//! Maglev tables as Katran builds them, bit for bit.
//!
//! Owns: from a set of weighted addresses to a ring of positions, and the digest by which nodes compare rings. How an
//! address is hashed stands in [`address_hash`], where a backend wants its slots in [`permutation`], who gets them in
//! [`builder`]. Which card index a position becomes is the control plane's business.

pub mod address_hash;
pub mod builder;
pub mod permutation;

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

/// A ring slot that nobody holds: the pool has no backend with a weight.
pub const NOBODY: u32 = u32::MAX;

/// How slots are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    /// Katran's first builder: weights count in the first round only.
    #[serde(rename = "maglev-v1")]
    V1,
    /// Katran's second builder: slots in proportion to weights.
    #[serde(rename = "maglev-v2")]
    V2,
}

impl Algorithm {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "maglev-v1",
            Self::V2 => "maglev-v2",
        }
    }
}

/// A backend of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its address: with the weight all that the ring depends on.
    pub address: IpAddr,
    /// Its weight; 0 gets no slot.
    pub weight: u32,
}

/// A ring: for each slot the position of a member in the caller's order, or [`NOBODY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    slots: Vec<u32>,
}

impl Ring {
    /// Builds the ring of `size` slots (a prime) over `members`.
    ///
    /// The result is a function of the set of members: their order changes positions, never which address a slot goes to.
    /// Members of equal hash are ordered by address; addresses must be distinct.
    #[must_use]
    pub fn build(algorithm: Algorithm, size: u32, members: &[Member]) -> Self {
        let mut endpoints: Vec<builder::Endpoint> = members
            .iter()
            .zip(0u32..)
            .filter(|(member, _)| member.weight > 0)
            .map(|(member, number)| builder::Endpoint {
                number,
                weight: member.weight,
                hash: address_hash::of(member.address),
            })
            .collect();
        endpoints.sort_by_key(|endpoint| {
            (
                endpoint.hash,
                octets(members[endpoint.number as usize].address),
            )
        });
        Self {
            slots: builder::build(algorithm, size, endpoints),
        }
    }

    /// The positions, slot by slot.
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// How many slots each of `members` members holds.
    #[must_use]
    pub fn shares(&self, members: usize) -> Vec<u32> {
        let mut shares = vec![0; members];
        for &slot in &self.slots {
            if let Some(share) = shares.get_mut(slot as usize) {
                *share += 1;
            }
        }
        shares
    }

    /// SHA-256 over the slots' addresses, 16 bytes each in network order (IPv4 as `::ffff:a.b.c.d`, a slot of nobody as `::`).
    #[must_use]
    pub fn digest(&self, members: &[Member]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for &slot in &self.slots {
            hash.update(
                members
                    .get(slot as usize)
                    .map_or([0; 16], |member| octets(member.address)),
            );
        }
        hash.finalize().into()
    }
}

/// An address as 16 bytes, IPv4 mapped into IPv6: the form in which addresses are compared and digested.
#[must_use]
pub fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A digest in hexadecimal.
#[must_use]
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &str, weight: u32) -> Member {
        Member {
            address: text.parse().unwrap(),
            weight,
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let mut members = vec![
            member("10.0.0.1", 1),
            member("10.0.0.2", 2),
            member("fc00::1", 3),
            member("10.0.0.9", 0),
            member("10.0.0.4", 4),
        ];
        let digest = Ring::build(Algorithm::V2, 1009, &members).digest(&members);
        for _ in 0..members.len() {
            members.rotate_left(1);
            assert_eq!(
                Ring::build(Algorithm::V2, 1009, &members).digest(&members),
                digest
            );
        }
        members[0].weight += 1;
        assert_ne!(
            Ring::build(Algorithm::V2, 1009, &members).digest(&members),
            digest
        );
    }

    #[test]
    fn shares_follow_weights() {
        let members = [
            member("10.0.0.1", 1),
            member("10.0.0.2", 2),
            member("10.0.0.3", 3),
            member("10.0.0.4", 4),
            member("10.0.0.5", 0),
        ];
        let shares = Ring::build(Algorithm::V2, 65537, &members).shares(members.len());
        assert_eq!(shares.iter().sum::<u32>(), 65537);
        for (share, member) in shares.iter().zip(&members) {
            assert!(
                share.abs_diff(65537 * member.weight / 10) <= 2,
                "{shares:?}"
            );
        }
    }

    #[test]
    fn an_empty_pool_has_no_slot_for_anybody() {
        let ring = Ring::build(Algorithm::V2, 7, &[member("10.0.0.1", 0)]);
        assert_eq!(ring.slots(), [NOBODY; 7]);
        assert_eq!(ring.shares(1), [0]);
    }
}
