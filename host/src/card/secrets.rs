//! The secrets of the banks' hashes.
//!
//! Owns how they are made and which are good enough. The hash itself is `guideway_hdl::tables::bank_row`.

use guideway_hdl::tables::{
    BANKS, FlowKey, SECRET_WORDS, VIP_KEY_BITS, VIP_MATCH_ROWS, VIPS, VipMatch, bank_row,
};

use super::CardError;

/// Where the secrets come from when a blank card is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// From the system: what a card on a real wire needs, so that nobody can aim at one row.
    Random,
    /// From a number: the same card state in every replay.
    Seed(u64),
}

/// One secret a bank, for the flow and the VIP-match table alike.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets([[u32; SECRET_WORDS]; BANKS]);

// Not derived: they must not end up in a log.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Bits of the windows in which [`Secrets::spread_neighbours`] looks at keys: 256 neighbours.
const WINDOW_BITS: usize = 8;
/// Draws after which something is wrong with the source.
const MAX_DRAWS: usize = 10_000;

impl Secrets {
    /// Draws secrets until they [spread neighbours](Self::spread_neighbours).
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn draw(source: SecretSource) -> Result<Self, CardError> {
        let mut state = match source {
            SecretSource::Seed(seed) => seed,
            SecretSource::Random => 0,
        };
        for _ in 0..MAX_DRAWS {
            let mut secrets = Self([[0; SECRET_WORDS]; BANKS]);
            for word in secrets.0.as_flattened_mut() {
                *word = match source {
                    SecretSource::Random => {
                        getrandom::u32().map_err(|e| CardError::Random(e.to_string()))?
                    }
                    SecretSource::Seed(_) => splitmix(&mut state),
                };
            }
            if secrets.spread_neighbours() {
                return Ok(secrets);
            }
        }
        Err(CardError::Random(
            "none of many draws was usable".to_owned(),
        ))
    }

    /// The secrets as the registers hold them: bank 0's words first.
    #[must_use]
    pub fn from_words(words: &[u32; BANKS * SECRET_WORDS]) -> Self {
        let mut secrets = Self([[0; SECRET_WORDS]; BANKS]);
        secrets.0.as_flattened_mut().copy_from_slice(words);
        secrets
    }

    /// The registers' words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        self.0.as_flattened()
    }

    /// A bank's secret.
    ///
    /// # Panics
    /// When there is no such bank.
    #[must_use]
    pub fn bank(&self, bank: usize) -> &[u32; SECRET_WORDS] {
        &self.0[bank]
    }

    /// The row of flow bank `bank` that `key` falls into.
    #[must_use]
    pub fn flow_row(&self, bank: usize, key: &FlowKey) -> usize {
        key.row(&self.0[bank])
    }

    /// The row of VIP-match bank `bank` that `key` falls into; only the key's fields count.
    #[must_use]
    pub fn vip_row(&self, bank: usize, key: &VipMatch) -> usize {
        key.row(&self.0[bank])
    }

    /// Whether a full table of neighbouring VIPs (a /24 of addresses, 256 ports) fits.
    ///
    /// The hash is linear: keys that differ in eight neighbouring bits only fall evenly into 2^rank rows of a bank, where rank is that
    /// of the bank's eight rows of the hash matrix. Places for all of them (and, by evenness, a matching that uses them) exist when the
    /// banks' row counts sum up to the number of VIPs. One draw in a hundred would fail a given window.
    fn spread_neighbours(&self) -> bool {
        (0..=VIP_KEY_BITS - WINDOW_BITS).all(|window| {
            let rows: usize = self
                .0
                .iter()
                .map(|secret| 1 << rank_of_window(secret, window))
                .sum();
            rows >= VIPS
        })
    }
}

/// The rank over GF(2) of the hash of the key bits `window` to `window` + 7.
fn rank_of_window(secret: &[u32; SECRET_WORDS], window: usize) -> u32 {
    let mut basis: Vec<usize> = Vec::new();
    for bit in window..window + WINDOW_BITS {
        let mut key = [0u32; SECRET_WORDS];
        key[bit / 32] = 1 << (bit % 32);
        let mut row = bank_row(&key, VIP_KEY_BITS, secret, VIP_MATCH_ROWS);
        for known in &basis {
            row = row.min(row ^ known);
        }
        if row != 0 {
            basis.push(row);
            basis.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
    // At most eight.
    u32::try_from(basis.len()).unwrap_or(0)
}

/// SplitMix64 (Steele, Lea, Flood 2014), its upper half.
fn splitmix(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // The upper half of the result.
    u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_secrets_every_time_and_another_seed_others() {
        let draw = |seed| Secrets::draw(SecretSource::Seed(seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(
            Secrets::draw(SecretSource::Random).unwrap(),
            Secrets::draw(SecretSource::Random).unwrap()
        );
        let words: [u32; 24] = draw(7).words().try_into().unwrap();
        assert_eq!(Secrets::from_words(&words), draw(7));
        assert_eq!(format!("{:?}", draw(7)), "Secrets(..)");
    }

    #[test]
    fn secrets_that_gather_neighbours_are_not_used() {
        assert!(!Secrets([[0; SECRET_WORDS]; BANKS]).spread_neighbours());
        let good = Secrets::draw(SecretSource::Seed(3)).unwrap();
        let mut one_bank = [[0; SECRET_WORDS]; BANKS];
        one_bank[0] = *good.bank(0);
        assert!(!Secrets(one_bank).spread_neighbours());
    }

    #[test]
    fn the_rank_counts_the_rows_that_neighbours_reach() {
        let secrets = Secrets::draw(SecretSource::Seed(11)).unwrap();
        for window in [0, 25, 60, 145] {
            let mut rows = std::collections::HashSet::new();
            for value in 0..256u32 {
                let mut key = [0u32; SECRET_WORDS];
                for bit in 0..WINDOW_BITS {
                    key[(window + bit) / 32] |= (value >> bit & 1) << ((window + bit) % 32);
                }
                rows.insert(bank_row(
                    &key,
                    VIP_KEY_BITS,
                    secrets.bank(2),
                    VIP_MATCH_ROWS,
                ));
            }
            assert_eq!(rows.len(), 1 << rank_of_window(secrets.bank(2), window));
        }
    }
}
