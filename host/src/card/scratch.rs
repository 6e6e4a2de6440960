//! The scratch block: 32 words on the card that belong to the host and outlive it.
//!
//! Owns their layout, and that a host which dies while it writes leaves the old block or the new one. What a host does with what it
//! finds there is the control plane's business.
//!
//! ```text
//! word  0      SCRATCH_MAGIC: a host has configured this card since its reset
//!       1      version of this layout
//!       2      owner (the node's number of its choice)
//!       3      generation: hosts that have taken the card, counted up by each
//!       4      which digest holds: 0 or 1
//!       5..8   reserved, zero
//!       8..16  digest 0 of the configuration that is on the card (SHA-256, its bytes in order)
//!      16..24  digest 1
//!      24..32  reserved, zero
//! ```

use crate::device::{Bar, registers};

use super::{Card, CardError};

/// "GWHS": the block is a Guideway host's.
const SCRATCH_MAGIC: u32 = 0x4757_4853;
/// Version of the layout above.
const SCRATCH_VERSION: u32 = 2;
const OWNER: usize = 2;
const GENERATION: usize = 3;
const WHICH: usize = 4;
const DIGESTS: [usize; 2] = [8, 16];
const DIGEST_WORDS: usize = 8;

/// The block's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// The owner.
    pub owner: u32,
    /// Hosts that have taken the card.
    pub generation: u32,
    /// Digest of the configuration on the card.
    pub digest: [u8; 32],
}

impl Scratch {
    fn from_words(words: &[u32; 32]) -> Option<Self> {
        if words[0] != SCRATCH_MAGIC || words[1] != SCRATCH_VERSION {
            return None;
        }
        let at = *DIGESTS.get(words[WHICH] as usize)?;
        let mut digest = [0; 32];
        for (bytes, word) in digest
            .chunks_exact_mut(4)
            .zip(&words[at..at + DIGEST_WORDS])
        {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Some(Self {
            owner: words[OWNER],
            generation: words[GENERATION],
            digest,
        })
    }

    /// The words to write, in this order, on a card that holds `words`: a digest goes where none holds, and then holds by one write;
    /// on a blank card the magic word makes it so.
    fn writes(&self, words: &[u32; 32]) -> Vec<(usize, u32)> {
        let known = Self::from_words(words);
        let which = match known {
            Some(known) if known.digest == self.digest => words[WHICH],
            Some(_) => 1 - words[WHICH],
            None => 0,
        };
        let at = DIGESTS[which as usize];
        let mut writes = Vec::with_capacity(16);
        if known.is_none() {
            writes.push((0, 0));
        }
        writes.extend((at..at + DIGEST_WORDS).zip(digest_words(&self.digest)));
        writes.extend([(OWNER, self.owner), (GENERATION, self.generation)]);
        writes.push((WHICH, which));
        writes.extend([(1, SCRATCH_VERSION), (0, SCRATCH_MAGIC)]);
        writes
    }
}

fn digest_words(digest: &[u8; 32]) -> [u32; DIGEST_WORDS] {
    std::array::from_fn(|i| {
        u32::from_le_bytes([
            digest[i * 4],
            digest[i * 4 + 1],
            digest[i * 4 + 2],
            digest[i * 4 + 3],
        ])
    })
}

impl Card {
    /// Reads the block; `None` on a card that no host (or one with another layout) has configured.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_scratch(&self) -> Result<Option<Scratch>, CardError> {
        read_scratch(self.bar())
    }

    /// Writes the block. A host that dies in between leaves the digest that was there (on a blank card: no block), or a whole block.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn write_scratch(&self, scratch: &Scratch) -> Result<(), CardError> {
        let registers = registers(self.bar()).core().scratch();
        for (at, word) in scratch.writes(&read_words(self.bar())?) {
            registers[at].try_write(|r| r.set_value(word))?;
        }
        Ok(())
    }
}

pub(super) fn read_scratch(bar: &Bar) -> Result<Option<Scratch>, CardError> {
    Ok(Scratch::from_words(&read_words(bar)?))
}

fn read_words(bar: &Bar) -> Result<[u32; 32], CardError> {
    let mut words = [0; 32];
    for (word, register) in words.iter_mut().zip(registers(bar).core().scratch()) {
        *word = register.try_read()?.value();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(seed: u8) -> Scratch {
        Scratch {
            owner: u32::from(seed) + 1,
            generation: u32::from(seed) + 2,
            digest: std::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8)),
        }
    }

    fn write(words: &mut [u32; 32], writes: &[(usize, u32)]) {
        for &(at, word) in writes {
            words[at] = word;
        }
    }

    #[test]
    fn a_block_survives_its_words() {
        let mut words = [0; 32];
        for seed in [7, 8, 8, 9] {
            let block = scratch(seed);
            let writes = block.writes(&words);
            write(&mut words, &writes);
            assert_eq!(Scratch::from_words(&words), Some(block));
        }
    }

    #[test]
    fn a_host_that_dies_while_it_writes_leaves_one_digest_or_the_other() {
        let (old, new) = (scratch(3), scratch(4));
        let mut before = [0; 32];
        write(&mut before, &old.writes(&[0; 32]));
        let writes = new.writes(&before);
        let mut seen = [0, 0];
        for cut in 0..=writes.len() {
            let mut words = before;
            write(&mut words, &writes[..cut]);
            let digest = Scratch::from_words(&words).unwrap().digest;
            assert!(digest == old.digest || digest == new.digest, "after {cut}");
            seen[usize::from(digest == new.digest)] += 1;
        }
        assert!(seen[0] > 1 && seen[1] > 1, "{seen:?}");
        // on a card of another layout, or a blank one: none, then the new one
        for other in [[0; 32], std::array::from_fn(|i| i as u32)] {
            let writes = new.writes(&other);
            for cut in 0..=writes.len() {
                let mut words = other;
                write(&mut words, &writes[..cut]);
                let whole = cut == writes.len();
                assert_eq!(Scratch::from_words(&words), whole.then_some(new), "{cut}");
            }
        }
    }

    #[test]
    fn what_is_no_host_s_block_is_none() {
        assert_eq!(Scratch::from_words(&[0; 32]), None);
        let mut words = [0; 32];
        write(&mut words, &scratch(1).writes(&[0; 32]));
        for (at, value) in [(0, 1), (1, 1), (WHICH, 2), (WHICH, u32::MAX)] {
            let mut other = words;
            other[at] = value;
            assert_eq!(Scratch::from_words(&other), None, "word {at}");
        }
    }
}
