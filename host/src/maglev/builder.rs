//! Who gets which slot: Katran's two builders.
//!
//! Owns the rounds. Both go round the endpoints in the given order (ascending hash); they differ in how often an endpoint has a turn.

use super::permutation::Permutation;
use super::{Algorithm, NOBODY};

/// A member with a weight, as the builders see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What its slots will hold.
    pub number: u32,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Its address's hash.
    pub hash: u64,
}

/// A ring that fills.
struct Filling {
    slots: Vec<u32>,
    left: u32,
}

impl Filling {
    /// Gives the next free slot that `permutation` asks for; false when the ring is full.
    fn claim(&mut self, permutation: &mut Permutation, number: u32) -> bool {
        if self.left == 0 {
            return false;
        }
        loop {
            let slot = &mut self.slots[permutation.wish() as usize];
            if *slot == NOBODY {
                *slot = number;
                self.left -= 1;
                return self.left > 0;
            }
        }
    }
}

/// Builds a ring of `size` slots over endpoints in ascending order of their hash.
#[must_use]
pub fn build(algorithm: Algorithm, size: u32, endpoints: Vec<Endpoint>) -> Vec<u32> {
    match endpoints.as_slice() {
        [] => return vec![NOBODY; size as usize],
        [only] => return vec![only.number; size as usize],
        _ => {}
    }
    let mut turns: Vec<(Endpoint, Permutation)> = endpoints
        .into_iter()
        .map(|endpoint| (endpoint, Permutation::new(endpoint.hash, size)))
        .collect();
    let mut ring = Filling {
        slots: vec![NOBODY; size as usize],
        left: size,
    };
    match algorithm {
        Algorithm::V1 => fill_v1(&mut ring, &mut turns),
        Algorithm::V2 => fill_v2(&mut ring, &mut turns),
    }
    ring.slots
}

/// In the first round an endpoint takes as many slots in a row as its weight says, afterwards one a round.
fn fill_v1(ring: &mut Filling, turns: &mut [(Endpoint, Permutation)]) {
    loop {
        for (endpoint, permutation) in turns.iter_mut() {
            for _ in 0..std::mem::replace(&mut endpoint.weight, 1) {
                if !ring.claim(permutation, endpoint.number) {
                    return;
                }
            }
        }
    }
}

/// Each round an endpoint saves its weight, and takes a slot whenever it has saved the largest weight.
fn fill_v2(ring: &mut Filling, turns: &mut [(Endpoint, Permutation)]) {
    let price = turns
        .iter()
        .map(|(endpoint, _)| u64::from(endpoint.weight))
        .max()
        .unwrap_or(1);
    let mut saved = vec![0u64; turns.len()];
    loop {
        for ((endpoint, permutation), saved) in turns.iter_mut().zip(&mut saved) {
            *saved += u64::from(endpoint.weight);
            if *saved >= price {
                *saved -= price;
                if !ring.claim(permutation, endpoint.number) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
        (0..)
            .zip(weights)
            .map(|(number, &weight)| Endpoint {
                number,
                weight,
                hash: u64::from(number) * 10 + 3,
            })
            .collect()
    }

    fn share(ring: &[u32], number: u32) -> usize {
        ring.iter().filter(|&&slot| slot == number).count()
    }

    #[test]
    fn one_endpoint_takes_all() {
        assert_eq!(build(Algorithm::V1, 7, endpoints(&[5])), [0; 7]);
    }

    #[test]
    fn v1_counts_weights_once() {
        let ring = build(Algorithm::V1, 65537, endpoints(&[1, 10]));
        assert_eq!(share(&ring, 1) - share(&ring, 0), 9);
    }

    #[test]
    fn v1_may_leave_late_endpoints_without_a_slot() {
        let ring = build(Algorithm::V1, 11, endpoints(&[6, 5, 4]));
        assert_eq!(
            (share(&ring, 0), share(&ring, 1), share(&ring, 2)),
            (6, 5, 0)
        );
    }

    #[test]
    fn v2_is_proportional() {
        let ring = build(Algorithm::V2, 65537, endpoints(&[2, 1, 1]));
        assert!(share(&ring, 0).abs_diff(32768) <= 1 && share(&ring, 1).abs_diff(16384) <= 1);
    }

    #[test]
    fn the_smallest_ring_is_filled() {
        for algorithm in [Algorithm::V1, Algorithm::V2] {
            assert!(
                build(algorithm, 2, endpoints(&[1, 1, 1]))
                    .iter()
                    .all(|&slot| slot != NOBODY)
            );
        }
    }
}
