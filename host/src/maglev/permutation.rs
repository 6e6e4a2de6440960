//! Where a backend wants its slots: Maglev's permutation (Maglev 3.4), seeded as Katran seeds it.
//!
//! Owns: MurmurHash3 (x64, 128 bits, upper half dropped) of two words, and the sequence of slots.

/// Katran's seeds of the permutation's offset.
const OFFSET_SEEDS: (u64, u32) = (42, 0);
/// Katran's seeds of the permutation's skip.
const SKIP_SEEDS: (u64, u32) = (2_718_281_828, 2307);

/// The first word of MurmurHash3 x64/128 over the 16 bytes of `a` and `b`.
#[must_use]
pub fn murmur3_x64_64(a: u64, b: u64, seed: u32) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let (mut h1, mut h2) = (u64::from(seed), u64::from(seed));
    h1 ^= a.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    h1 = h1
        .rotate_left(27)
        .wrapping_add(h2)
        .wrapping_mul(5)
        .wrapping_add(0x52dc_e729);
    h2 ^= b.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    h2 = h2
        .rotate_left(31)
        .wrapping_add(h1)
        .wrapping_mul(5)
        .wrapping_add(0x3849_5ab5);
    h1 ^= 16; // the length
    h2 ^= 16;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

/// The order in which a backend asks for slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    /// Its first wish.
    pub offset: u32,
    /// From one wish to the next.
    pub skip: u32,
    size: u32,
    /// Wishes already made.
    next: u32,
}

impl Permutation {
    /// The permutation of a backend's address hash over `size` slots: a prime, at least 2.
    #[must_use]
    pub fn new(hash: u64, size: u32) -> Self {
        assert!(size >= 2, "a ring has at least two slots");
        let draw = |(word, seed): (u64, u32), modulus: u32| {
            #[allow(clippy::cast_possible_truncation)] // the remainder is below a u32
            let remainder = (murmur3_x64_64(hash, word, seed) % u64::from(modulus)) as u32;
            remainder
        };
        Self {
            offset: draw(OFFSET_SEEDS, size),
            skip: draw(SKIP_SEEDS, size - 1) + 1,
            size,
            next: 0,
        }
    }

    /// The next wish.
    ///
    /// Katran multiplies in 32 bits. With 65537 slots and a skip of 65536 the products wrap and one slot is never asked for: a
    /// backend whose turn it is when only that slot is left would search for ever. After a whole round the wishes are therefore exact.
    pub fn wish(&mut self) -> u32 {
        let k = self.next;
        self.next += 1;
        if k < self.size {
            return self.offset.wrapping_add(k.wrapping_mul(self.skip)) % self.size;
        }
        #[allow(clippy::cast_possible_truncation)] // the remainder is below a u32
        let exact = ((u64::from(self.offset) + u64::from(k) * u64::from(self.skip))
            % u64::from(self.size)) as u32;
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur_of_known_words() {
        assert_eq!(murmur3_x64_64(0, 42, 0), 0x3ac7_9cd6_e3db_d8e0);
        assert_eq!(
            murmur3_x64_64(1, 2_718_281_828, 2307),
            0x811a_3d93_5479_4c04
        );
    }

    #[test]
    fn known_permutations() {
        for (hash, offset, skip) in [
            (0, 22292, 48325),
            (0x2a, 41180, 65402),
            (u64::MAX, 13282, 25913),
        ] {
            let permutation = Permutation::new(hash, 65537);
            assert_eq!(
                (permutation.offset, permutation.skip),
                (offset, skip),
                "{hash:#x}"
            );
        }
    }

    #[test]
    fn two_rounds_reach_every_slot_even_where_the_products_wrap() {
        let mut permutation = Permutation {
            offset: 17,
            skip: 65536,
            size: 65537,
            next: 0,
        };
        let mut reached = vec![false; 65537];
        for _ in 0..2 * 65537 {
            reached[permutation.wish() as usize] = true;
        }
        assert!(reached.iter().all(|&slot| slot));
    }
}
