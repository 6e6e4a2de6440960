//! The `vip` and `vip_match` tables.
//!
//! Owns the place of every VIP's key in the match table: four banks of 128 rows, one entry a row, a cuckoo hash. Moves write the copy
//! before they overwrite the original, so that a key that is in the table is found at every moment.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

use guideway_hdl::tables::{BANKS, Table, VIP_MATCH_ROWS, VipEntry, VipMatch};

use super::{Card, CardError, Secrets, VipId, address_from_bits, address_to_bits};

/// A transport protocol that VIPs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
}

impl Protocol {
    /// The protocol with this IP protocol number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// What packets of a VIP are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VipKey {
    /// Destination address.
    pub address: IpAddr,
    /// Destination port; 0: any.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

impl fmt::Display for VipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (address, 0) => write!(f, "{address} any port/{}", self.protocol),
            (IpAddr::V4(address), port) => write!(f, "{address}:{port}/{}", self.protocol),
            (IpAddr::V6(address), port) => write!(f, "[{address}]:{port}/{}", self.protocol),
        }
    }
}

impl VipKey {
    fn to_entry(self, vip: VipId) -> VipMatch {
        VipMatch {
            port: self.port,
            protocol: self.protocol as u8,
            ipv6: self.address.is_ipv6(),
            address: address_to_bits(self.address),
            valid: true,
            vip: vip.0,
        }
    }

    fn from_entry(entry: &VipMatch) -> Option<Self> {
        let protocol = Protocol::from_number(entry.protocol)?;
        entry.valid.then(|| Self {
            address: address_from_bits(entry.address, entry.ipv6),
            port: entry.port,
            protocol,
        })
    }
}

/// One entry to write; several are written in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchWrite {
    /// Its index in `vip_match`.
    pub index: u32,
    /// What it shall hold.
    pub entry: VipMatch,
}

/// The match table as the host has planned it.
#[derive(Clone, Debug)]
pub struct VipMatchTable {
    secrets: Secrets,
    places: Vec<Option<(VipKey, VipId)>>,
}

impl VipMatchTable {
    /// An empty table.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            secrets: secrets.clone(),
            places: vec![None; BANKS * VIP_MATCH_ROWS],
        }
    }

    /// The table that a card holds. Entries that this host does not understand, that lie where their key does not belong, or that
    /// repeat another (a host died in the middle of a move) count as free places.
    #[must_use]
    pub fn from_entries(secrets: &Secrets, entries: &[VipMatch]) -> Self {
        let mut table = Self::new(secrets);
        for (index, entry) in entries.iter().enumerate().take(table.places.len()) {
            if let Some(key) = VipKey::from_entry(entry)
                && table.candidates(&key).contains(&index)
                && table.find(&key).is_none()
            {
                table.places[index] = Some((key, VipId(entry.vip)));
            }
        }
        table
    }

    /// The writes that clear what `entries` (the card's) hold beside this table: what a host left behind that died in the middle of a
    /// move. No packet finds such an entry while the table's own is there; without it, it would.
    #[must_use]
    pub fn strays(&self, entries: &[VipMatch]) -> Vec<MatchWrite> {
        let places = (0..).zip(entries).zip(&self.places);
        places
            .filter(|((_, entry), held)| held.is_none() && **entry != VipMatch::default())
            .map(|((index, _), _)| MatchWrite {
                index,
                entry: VipMatch::default(),
            })
            .collect()
    }

    /// The four places where a key may lie.
    fn candidates(&self, key: &VipKey) -> [usize; BANKS] {
        let entry = key.to_entry(VipId(0));
        std::array::from_fn(|bank| bank * VIP_MATCH_ROWS + self.secrets.vip_row(bank, &entry))
    }

    /// Where a key lies.
    fn find(&self, key: &VipKey) -> Option<usize> {
        self.candidates(key)
            .into_iter()
            .find(|place| self.places[*place].is_some_and(|(held, _)| held == *key))
    }

    /// The VIP that a key names.
    #[must_use]
    pub fn get(&self, key: &VipKey) -> Option<VipId> {
        self.find(key)
            .and_then(|place| self.places[place])
            .map(|(_, vip)| vip)
    }

    /// Every key with its VIP.
    pub fn iter(&self) -> impl Iterator<Item = (VipKey, VipId)> + '_ {
        self.places.iter().filter_map(|place| *place)
    }

    /// Gives a key a place, or another VIP, and returns the writes that bring the card there.
    ///
    /// # Errors
    /// When no sequence of moves makes room. Secrets of [`Secrets::draw`] leave room for 256 neighbouring keys always, and for 256
    /// others but for one case in very many.
    pub fn insert(&mut self, key: VipKey, vip: VipId) -> Result<Vec<MatchWrite>, CardError> {
        let path = match self.find(&key) {
            Some(place) => vec![place],
            None => self
                .path_to_room(&key)
                .ok_or(CardError::VipMatchFull(key))?,
        };
        // From the free end back: each key is written at its new place before the next one overwrites its old place.
        let mut writes = Vec::with_capacity(path.len());
        for step in path.windows(2).rev() {
            self.places[step[1]] = self.places[step[0]];
            writes.extend(self.write_of(step[1]));
        }
        self.places[path[0]] = Some((key, vip));
        writes.extend(self.write_of(path[0]));
        Ok(writes)
    }

    /// Takes a key out, and returns the write that does it on the card.
    pub fn remove(&mut self, key: &VipKey) -> Option<MatchWrite> {
        let place = self.find(key)?;
        self.places[place] = None;
        // Places lie below 512.
        Some(MatchWrite {
            index: u32::try_from(place).ok()?,
            entry: VipMatch::default(),
        })
    }

    /// The whole table as entries, for a blank card.
    #[must_use]
    pub fn to_entries(&self) -> Vec<VipMatch> {
        self.places
            .iter()
            .map(|place| place.map_or_else(VipMatch::default, |(key, vip)| key.to_entry(vip)))
            .collect()
    }

    fn write_of(&self, place: usize) -> Option<MatchWrite> {
        let (key, vip) = self.places[place]?;
        Some(MatchWrite {
            index: u32::try_from(place).ok()?,
            entry: key.to_entry(vip),
        })
    }

    /// The shortest way from one of the key's places over those of the keys in the way to a free one: the places in order.
    fn path_to_room(&self, key: &VipKey) -> Option<Vec<usize>> {
        let mut from = vec![None; self.places.len()];
        let mut seen = vec![false; self.places.len()];
        let mut open: VecDeque<usize> = self.candidates(key).into();
        for place in &open {
            seen[*place] = true;
        }
        while let Some(place) = open.pop_front() {
            let Some((held, _)) = self.places[place] else {
                let mut path = vec![place];
                while let Some(before) = from[path[path.len() - 1]] {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            };
            for next in self.candidates(&held) {
                if !seen[next] {
                    seen[next] = true;
                    from[next] = Some(place);
                    open.push_back(next);
                }
            }
        }
        None
    }
}

impl Card {
    /// Writes a VIP's properties.
    ///
    /// # Errors
    /// When the index is beyond the table, or the card cannot be reached.
    pub fn write_vip(&self, id: VipId, entry: &VipEntry) -> Result<(), CardError> {
        self.write_entry(Table::Vip, u32::from(id.0), &entry.to_words())
    }

    /// Reads the whole `vip` table.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_vips(&self) -> Result<Vec<VipEntry>, CardError> {
        self.dump_entries(Table::Vip, VipEntry::from_words)
    }

    /// Makes the writes of [`VipMatchTable`], in their order.
    ///
    /// # Errors
    /// When the card cannot be reached; the table on the card then is somewhere between: read it back.
    pub fn write_vip_matches(&self, writes: &[MatchWrite]) -> Result<(), CardError> {
        writes.iter().try_for_each(|write| {
            self.write_entry(Table::VipMatch, write.index, &write.entry.to_words())
        })
    }

    /// Reads the match table.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_vip_matches(&self) -> Result<VipMatchTable, CardError> {
        let entries = self.read_match_entries()?;
        Ok(VipMatchTable::from_entries(self.secrets(), &entries))
    }

    /// Reads the match table, and clears what a host left behind that died in the middle of a move.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn tidy_vip_matches(&self) -> Result<VipMatchTable, CardError> {
        let entries = self.read_match_entries()?;
        let table = VipMatchTable::from_entries(self.secrets(), &entries);
        self.write_vip_matches(&table.strays(&entries))?;
        Ok(table)
    }

    fn read_match_entries(&self) -> Result<Vec<VipMatch>, CardError> {
        self.dump_entries(Table::VipMatch, VipMatch::from_words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::SecretSource;
    use proptest::prelude::*;

    fn secrets(seed: u64) -> Secrets {
        Secrets::draw(SecretSource::Seed(seed)).unwrap()
    }

    fn key(i: u32) -> VipKey {
        let address = IpAddr::from(0x0ac8_0100u32.wrapping_add(i).to_be_bytes());
        VipKey {
            address,
            port: 80,
            protocol: Protocol::Tcp,
        }
    }

    /// The card's lookup: banks in order, the row by the hash (`CARD.md` 3), the whole key compared.
    fn card_finds(entries: &[VipMatch], secrets: &Secrets, key: &VipKey) -> Option<u16> {
        let wanted = key.to_entry(VipId(0));
        (0..BANKS).find_map(|bank| {
            let entry = entries[bank * VIP_MATCH_ROWS + wanted.row(secrets.bank(bank))];
            (VipMatch { vip: 0, ..entry } == wanted).then_some(entry.vip)
        })
    }

    fn apply(entries: &mut [VipMatch], writes: &[MatchWrite]) {
        for write in writes {
            entries[write.index as usize] = write.entry;
        }
    }

    #[test]
    fn a_full_set_of_neighbouring_vips_fits_whatever_the_secrets() {
        for seed in 0..200 {
            let mut table = VipMatchTable::new(&secrets(seed));
            for i in 0..256 {
                table
                    .insert(key(i), VipId(i as u16))
                    .unwrap_or_else(|e| panic!("seed {seed}, key {i}: {e}"));
            }
            let mut ports = VipMatchTable::new(&secrets(seed));
            for i in 0..256 {
                ports
                    .insert(
                        VipKey {
                            port: 8000 + i,
                            ..key(0)
                        },
                        VipId(i),
                    )
                    .unwrap_or_else(|e| panic!("seed {seed}, port {i}: {e}"));
            }
        }
    }

    #[test]
    fn every_key_is_found_at_every_moment_of_every_move() {
        let secrets = secrets(5);
        let mut table = VipMatchTable::new(&secrets);
        let mut card = table.to_entries();
        let mut moves = 0;
        for i in 0..490u32 {
            let scattered = VipKey {
                port: (i % 3) as u16,
                ..key(i.wrapping_mul(0x9e37_79b1))
            };
            let Ok(writes) = table.insert(scattered, VipId((i % 256) as u16)) else {
                continue;
            };
            moves += writes.len() - 1;
            let before: Vec<_> = table
                .iter()
                .filter(|(held, _)| *held != scattered)
                .collect();
            for write in &writes {
                apply(&mut card, std::slice::from_ref(write));
                for (held, vip) in &before {
                    assert_eq!(card_finds(&card, &secrets, held), Some(vip.0), "{held}");
                }
            }
            assert_eq!(
                card_finds(&card, &secrets, &scattered),
                Some((i % 256) as u16)
            );
        }
        assert!(moves > 20, "only {moves} moves: the test shows nothing");
        assert_eq!(card, table.to_entries());
    }

    #[test]
    fn exact_and_any_port_are_keys_of_their_own() {
        let secrets = secrets(1);
        let mut table = VipMatchTable::new(&secrets);
        let (exact, any) = (key(0), VipKey { port: 0, ..key(0) });
        let udp = VipKey {
            protocol: Protocol::Udp,
            ..exact
        };
        table.insert(exact, VipId(1)).unwrap();
        table.insert(any, VipId(2)).unwrap();
        assert_eq!(
            (table.get(&exact), table.get(&any), table.get(&udp)),
            (Some(VipId(1)), Some(VipId(2)), None)
        );
        assert_eq!(table.insert(exact, VipId(9)).unwrap().len(), 1);
        assert_eq!(table.iter().count(), 2);
        let mut card = table.to_entries();
        apply(&mut card, &[table.remove(&exact).unwrap()]);
        assert_eq!(
            (
                card_finds(&card, &secrets, &exact),
                card_finds(&card, &secrets, &any)
            ),
            (None, Some(2))
        );
        assert_eq!(table.remove(&exact), None);
    }

    #[test]
    fn a_table_read_back_is_the_table_that_was_written() {
        let secrets = secrets(2);
        let mut table = VipMatchTable::new(&secrets);
        for i in 0..100 {
            table.insert(key(i * 977), VipId(i as u16)).unwrap();
        }
        let mut entries = table.to_entries();
        let again = VipMatchTable::from_entries(&secrets, &entries);
        assert_eq!(again.to_entries(), entries);
        // an entry of an unknown protocol and one at a place that is not its own are free places
        let free: Vec<usize> = entries
            .iter()
            .enumerate()
            .filter(|(_, e)| !e.valid)
            .map(|(i, _)| i)
            .collect();
        entries[free[0]] = VipMatch {
            protocol: 99,
            ..key(1 << 20).to_entry(VipId(1))
        };
        let stray = key(2 << 20).to_entry(VipId(2));
        let off = *free
            .iter()
            .skip(1)
            .find(|at| **at % VIP_MATCH_ROWS != secrets.vip_row(**at / VIP_MATCH_ROWS, &stray))
            .unwrap();
        entries[off] = stray;
        assert_eq!(
            VipMatchTable::from_entries(&secrets, &entries).to_entries(),
            table.to_entries()
        );
    }

    #[test]
    fn a_host_that_dies_in_the_middle_of_a_move_leaves_nothing_behind() {
        let secrets = secrets(5);
        let mut table = VipMatchTable::new(&secrets);
        let mut cuts = 0;
        for i in 0..490u32 {
            let (before, key) = (table.to_entries(), key(i.wrapping_mul(0x9e37_79b1)));
            let Ok(writes) = table.insert(key, VipId((i % 256) as u16)) else {
                continue;
            };
            for cut in 1..writes.len() {
                let mut card = before.clone();
                apply(&mut card, &writes[..cut]);
                let mut next = VipMatchTable::from_entries(&secrets, &card);
                let strays = next.strays(&card);
                assert_eq!(strays.len(), 1, "{cut} of {writes:?}");
                apply(&mut card, &strays);
                assert_eq!(card, next.to_entries());
                for (held, _) in VipMatchTable::from_entries(&secrets, &before).iter() {
                    apply(&mut card, next.remove(&held).as_slice());
                    assert_eq!(card_finds(&card, &secrets, &held), None, "{held}");
                }
                cuts += 1;
            }
        }
        assert!(cuts > 20, "only {cuts} moves: the test shows nothing");
    }

    #[test]
    fn a_table_without_room_says_which_key_it_refused() {
        let mut table = VipMatchTable::new(&Secrets::from_words(&[0; 24])); // every key in row 0 of every bank
        for i in 0..4 {
            table.insert(key(i), VipId(0)).unwrap();
        }
        let before = table.to_entries();
        assert!(
            matches!(table.insert(key(4), VipId(0)), Err(CardError::VipMatchFull(refused)) if refused == key(4))
        );
        assert_eq!(table.to_entries(), before);
    }

    proptest! {
        #[test]
        fn random_inserts_and_removals_agree_with_a_map(steps in proptest::collection::vec((0u32..300, any::<bool>(), 0u16..256), 1..400), seed in 0u64..50) {
            let secrets = secrets(seed);
            let mut table = VipMatchTable::new(&secrets);
            let mut card = table.to_entries();
            let mut map = std::collections::BTreeMap::new();
            for (i, add, vip) in steps {
                let key = key(i * 7919);
                if add {
                    apply(&mut card, &table.insert(key, VipId(vip)).unwrap());
                    map.insert(key, vip);
                } else {
                    let write = table.remove(&key);
                    prop_assert_eq!(write.is_some(), map.remove(&key).is_some());
                    apply(&mut card, write.as_slice());
                }
            }
            for i in 0..300 {
                let key = key(i * 7919);
                prop_assert_eq!(card_finds(&card, &secrets, &key), map.get(&key).copied());
            }
        }
    }
}
