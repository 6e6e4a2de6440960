//! Random numbers from a seed: xorshift64*, the same on every machine.

/// A generator; the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed; every seed is good, 0 too.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // splitmix's finalizer spreads small seeds
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Self(if z == 0 { 1 } else { z })
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// 32 bits.
    pub const fn word(&mut self) -> u32 {
        (self.bits() >> 32) as u32
    }

    /// 16 bits.
    pub const fn half(&mut self) -> u16 {
        (self.bits() >> 48) as u16
    }

    /// 8 bits.
    pub const fn byte(&mut self) -> u8 {
        (self.bits() >> 56) as u8
    }

    /// A number below `end`; 0 when `end` is 0.
    pub const fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.bits() >> 16) as usize % end
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `percent` times of a hundred.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the values.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    /// `bytes` random bytes.
    pub fn bytes(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.byte()).collect()
    }
}
