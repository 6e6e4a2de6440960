//! The `quic_id` table: where the server ids in QUIC connection ids lead.
//!
//! Owns the place of every id: four banks of one entry a row, a cuckoo hash, as the VIP-match table; moves write the copy before they
//! overwrite the original, so that an id that is in the table is found at every moment.

use std::collections::BTreeMap;

use guideway_hdl::tables::{BANKS, QUIC_ID_ROWS, QuicId, Table};
use serde::{Deserialize, Serialize};

use super::moves::path_to_room;
use super::{Card, CardError, Secrets};

/// How the servers of a VIP write their ids into connection ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QuicScheme {
    /// As Katran's: versions 1 to 3, with ids of 16, 24 and 32 bits.
    #[serde(rename = "katran")]
    Katran,
    /// QUIC-LB in plaintext, with ids of as many bytes as the node's rotations say.
    #[serde(rename = "quic-lb")]
    QuicLb,
}

/// Rotations that QUIC-LB's ids can name; an eighth says that an id is not routable.
pub const QUIC_ROTATIONS: usize = 7;
/// Bytes of a QUIC-LB server id that the card reads at most.
pub const QUIC_LB_BYTES_MAX: u8 = 8;

/// One entry to write; several are written in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicIdWrite {
    /// Its index in `quic_id`.
    pub index: u32,
    /// What it shall hold.
    pub entry: QuicId,
}

impl QuicIdWrite {
    /// `place` is below 2^15.
    fn of(place: usize, entry: QuicId) -> Self {
        Self {
            index: place as u32,
            entry,
        }
    }
}

/// Entries of the table.
const PLACES: usize = BANKS * QUIC_ID_ROWS;

/// The card's digest of a table of zeros: the CRC-32 of 2 MiB of them.
const EMPTY_DIGEST: u32 = 0x8d89_877e;

/// What tells one entry from another.
fn key_of(entry: &QuicId) -> (u8, bool, u8, u64) {
    (entry.pool, entry.lb, entry.rotation, entry.id)
}

/// The table as the host has planned it.
#[derive(Clone, Debug)]
pub struct QuicIdTable {
    secrets: Secrets,
    places: BTreeMap<usize, QuicId>,
}

impl QuicIdTable {
    /// An empty table.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            secrets: secrets.clone(),
            places: BTreeMap::new(),
        }
    }

    /// The table that a card holds, and the writes that clear what no packet can find or finds twice: a host may have died in the
    /// middle of a move.
    #[must_use]
    pub fn from_entries(secrets: &Secrets, entries: &[QuicId]) -> (Self, Vec<QuicIdWrite>) {
        let mut table = Self::new(secrets);
        let mut strays = Vec::new();
        for (index, entry) in (0..).zip(entries) {
            let belongs = entry.valid && table.candidates(entry).contains(&index);
            if belongs && table.find(entry).is_none() {
                table.places.insert(index, *entry);
            } else if *entry != QuicId::default() {
                strays.push(QuicIdWrite::of(index, QuicId::default()));
            }
        }
        (table, strays)
    }

    /// Every entry.
    pub fn iter(&self) -> impl Iterator<Item = &QuicId> {
        self.places.values()
    }

    /// What an id's entry says now.
    #[must_use]
    pub fn get(&self, key: &QuicId) -> Option<QuicId> {
        self.find(key)
            .and_then(|place| self.places.get(&place).copied())
    }

    /// Gives an id a place, or another backend, and returns the writes that bring the card there: none when it is so already.
    ///
    /// # Errors
    /// When no sequence of moves makes room, which takes a table that is nearly full.
    pub fn put(&mut self, entry: QuicId) -> Result<Vec<QuicIdWrite>, CardError> {
        if self.get(&entry) == Some(entry) {
            return Ok(Vec::new());
        }
        let path = match self.find(&entry) {
            Some(place) => vec![place],
            None => self.path_to_room(&entry).ok_or(CardError::QuicIdsFull)?,
        };
        // from the free end back
        let mut writes = Vec::with_capacity(path.len());
        for step in path.windows(2).rev() {
            if let Some(&moved) = self.places.get(&step[0]) {
                writes.push(self.set(step[1], moved));
            }
        }
        writes.push(self.set(path[0], entry));
        Ok(writes)
    }

    /// Takes out every id that `stays` does not hold, and returns the writes that do it on the card.
    pub fn retain(&mut self, stays: impl Fn(&QuicId) -> bool) -> Vec<QuicIdWrite> {
        let gone: Vec<usize> = (self.places.iter())
            .filter(|(_, entry)| !stays(entry))
            .map(|(&index, _)| index)
            .collect();
        gone.into_iter()
            .map(|index| {
                self.places.remove(&index);
                QuicIdWrite::of(index, QuicId::default())
            })
            .collect()
    }

    fn set(&mut self, place: usize, entry: QuicId) -> QuicIdWrite {
        self.places.insert(place, entry);
        QuicIdWrite::of(place, entry)
    }

    /// The four places of an id.
    fn candidates(&self, key: &QuicId) -> [usize; BANKS] {
        std::array::from_fn(|bank| bank * QUIC_ID_ROWS + key.row(self.secrets.bank(bank)))
    }

    fn find(&self, key: &QuicId) -> Option<usize> {
        let holds = |place: &usize| {
            (self.places.get(place)).is_some_and(|held| key_of(held) == key_of(key))
        };
        self.candidates(key).into_iter().find(holds)
    }

    fn path_to_room(&self, key: &QuicId) -> Option<Vec<usize>> {
        path_to_room(self.candidates(key), |place| {
            self.places.get(&place).map(|held| self.candidates(held))
        })
    }
}

impl Card {
    /// Makes the writes of [`QuicIdTable`], in their order.
    ///
    /// # Errors
    /// When the card cannot be reached; the table on the card then is somewhere between: read it back.
    pub fn write_quic_ids(&self, writes: &[QuicIdWrite]) -> Result<(), CardError> {
        writes.iter().try_for_each(|write| {
            self.write_entry(Table::QuicId, write.index, &write.entry.to_words())
        })
    }

    /// Reads the table, and clears what a host left behind that died in the middle of a move.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn tidy_quic_ids(&self) -> Result<QuicIdTable, CardError> {
        let (table, strays) = self.read_quic_ids()?;
        self.write_quic_ids(&strays)?;
        Ok(table)
    }

    /// Reads the table, and tells what [`Card::tidy_quic_ids`] would clear.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_quic_ids(&self) -> Result<(QuicIdTable, Vec<QuicIdWrite>), CardError> {
        let entries = if self.has_no_quic_ids()? {
            Vec::new()
        } else {
            self.dump_entries(Table::QuicId, QuicId::from_words)?
        };
        Ok(QuicIdTable::from_entries(self.secrets(), &entries))
    }

    /// Whether the table is as after a card reset. Most are, and the card reads its table faster than the host.
    pub(super) fn has_no_quic_ids(&self) -> Result<bool, CardError> {
        Ok(self.digest(Table::QuicId, 0, PLACES as u32)? == EMPTY_DIGEST)
    }

    /// Sets how many bytes a QUIC-LB server id has, by configuration rotation; 0: its connection ids name none.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn set_quic_lb(&self, bytes: &[u8]) -> Result<(), CardError> {
        let lengths = (bytes.iter().take(QUIC_ROTATIONS).rev())
            .fold(0, |lengths, bytes| lengths << 4 | u32::from(bytes & 15));
        let core = crate::device::registers(self.bar()).core();
        Ok(core.quic_lb().try_write(|r| r.set_bytes(lengths))?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SecretSource;
    use super::*;

    fn secrets() -> Secrets {
        Secrets::draw(SecretSource::Seed(5)).unwrap()
    }

    fn id(id: u64, backend: u16) -> QuicId {
        QuicId {
            id,
            backend,
            pool: 3,
            valid: true,
            ..QuicId::default()
        }
    }

    /// What the card makes of writes: each entry whole, one after the other.
    fn carry_out(card: &mut [QuicId], writes: &[QuicIdWrite], known: impl Fn(&[QuicId])) {
        for write in writes {
            card[write.index as usize] = write.entry;
            known(card);
        }
    }

    #[test]
    fn sixteen_thousand_ids_find_places_and_each_stays_findable_on_the_way() {
        let secrets = secrets();
        let mut table = QuicIdTable::new(&secrets);
        let mut card = vec![QuicId::default(); PLACES];
        let find = |card: &[QuicId], key: &QuicId| {
            (0..BANKS)
                .map(|bank| card[bank * QUIC_ID_ROWS + key.row(secrets.bank(bank))])
                .find(|entry| entry.valid && key_of(entry) == key_of(key))
        };
        let count = 31_000; // of 32,768: moves are needed
        let spread = |n: u64| id(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n as u16);
        let mut moves = 0;
        for n in 0..count {
            let writes = table.put(spread(n)).unwrap();
            moves += writes.len() - 1;
            let moved: Vec<QuicId> = writes[..writes.len() - 1].iter().map(|w| w.entry).collect();
            carry_out(&mut card, &writes, |card| {
                assert!(moved.iter().all(|entry| find(card, entry).is_some()));
            });
        }
        assert!(moves > 100, "{moves}");
        assert!((0..count).all(|n| find(&card, &spread(n)) == Some(spread(n))));
        let (read, strays) = QuicIdTable::from_entries(&secrets, &card);
        assert_eq!((read.places, strays), (table.places, Vec::new()));
    }

    #[test]
    fn ids_that_follow_one_another_find_places_too() {
        // The hash is linear: of such ids a bank may reach half of its rows only.
        for seed in 0..20 {
            let secrets = Secrets::draw(SecretSource::Seed(seed)).unwrap();
            let mut table = QuicIdTable::new(&secrets);
            for n in 1..=16_384 {
                table.put(id(n, 1)).unwrap();
            }
        }
    }

    #[test]
    fn the_digest_of_an_empty_table_is_that_of_zeros() {
        let zeros = vec![[0; 16]; PLACES];
        assert_eq!(super::super::transfer::digest_of(&zeros), EMPTY_DIGEST);
    }

    #[test]
    fn what_is_so_already_is_not_written() {
        let mut table = QuicIdTable::new(&secrets());
        assert_eq!(table.put(id(7, 1)).unwrap().len(), 1);
        assert_eq!(table.put(id(7, 1)).unwrap(), []);
        let other = table.put(id(7, 2)).unwrap();
        assert_eq!((other.len(), other[0].entry), (1, id(7, 2)));
        assert_eq!(table.iter().count(), 1);
        // the same number of another pool, scheme or rotation is another id
        for entry in [
            QuicId {
                pool: 4,
                ..id(7, 1)
            },
            QuicId {
                lb: true,
                ..id(7, 1)
            },
            QuicId {
                rotation: 1,
                ..id(7, 1)
            },
        ] {
            assert_eq!(table.put(entry).unwrap().len(), 1);
            assert_eq!(table.get(&entry), Some(entry));
        }
        let writes = table.retain(|entry| entry.pool == 4);
        assert_eq!(writes.len(), 3);
        assert!(writes.iter().all(|w| w.entry == QuicId::default()));
        assert_eq!(table.get(&id(7, 0)), None);
    }

    #[test]
    fn what_a_dead_host_left_is_cleared() {
        let secrets = secrets();
        let mut table = QuicIdTable::new(&secrets);
        let place = table.put(id(7, 1)).unwrap()[0].index as usize;
        let places = table.candidates(&id(7, 1));
        let copy = places.into_iter().find(|other| *other != place).unwrap();
        let astray = (0..PLACES).find(|n| !places.contains(n)).unwrap();
        let mut card = vec![QuicId::default(); PLACES];
        for index in [place, copy, astray] {
            card[index] = id(7, 1);
        }
        let (read, strays) = QuicIdTable::from_entries(&secrets, &card);
        assert_eq!(read.get(&id(7, 0)), Some(id(7, 1)));
        assert_eq!(strays.len(), 2);
        carry_out(&mut card, &strays, |_| {});
        assert_eq!(card.iter().filter(|entry| entry.valid).count(), 1);
        assert_eq!(card[place.min(copy)], id(7, 1));
    }
}
