//! The `vip`, `vip_match` and `vip_prefix` tables.
//!
//! Owns the place of every VIP's key. One address: the match table, four banks of 128 rows, one entry a row, a cuckoo hash; moves write
//! the copy before they overwrite the original, so that a key that is in the table is found at every moment. A prefix: any of 64
//! entries, since the card takes the longest wherever it lies.

use std::fmt;
use std::net::IpAddr;

use guideway_hdl::tables::{
    BANKS, Table, VIP_MATCH_ROWS, VIP_PREFIXES, VipEntry, VipMatch, VipPrefix,
};

use super::moves::path_to_room;
use super::{Card, CardError, Secrets, VipId, address_from_bits, address_to_bits};
pub use address::{VipAddress, VipAddressError};
pub use rules::{HashOptions, Meter, OnMiss, RouteBy, Rules, TooBig};

mod address;
mod rules;

/// A protocol that keys have: those of VIPs, and ICMP, by whose keys echo requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// ICMP of IPv4.
    Icmp = 1,
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// ICMP of IPv6.
    Icmpv6 = 58,
}

impl Protocol {
    /// The protocol with this IP protocol number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Icmp),
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            58 => Some(Self::Icmpv6),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmpv6 => "icmpv6",
        })
    }
}

/// What packets of a VIP are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VipKey {
    /// Destination addresses.
    pub address: VipAddress,
    /// Destination port; 0: any.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

impl fmt::Display for VipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address.one(), self.port) {
            (_, 0) => write!(f, "{} any port/{}", self.address, self.protocol),
            (Some(IpAddr::V6(address)), port) => write!(f, "[{address}]:{port}/{}", self.protocol),
            (Some(IpAddr::V4(address)), port) => write!(f, "{address}:{port}/{}", self.protocol),
            (None, port) => write!(f, "{} port {port}/{}", self.address, self.protocol),
        }
    }
}

impl VipKey {
    /// The entry in the match table; its address is the first when the key is a prefix.
    fn to_match(self, vip: VipId) -> VipMatch {
        VipMatch {
            port: self.port,
            protocol: self.protocol as u8,
            ipv6: self.address.is_ipv6(),
            address: address_to_bits(self.address.first()),
            valid: true,
            vip: vip.0,
        }
    }

    fn from_match(entry: &VipMatch) -> Option<Self> {
        let protocol = Protocol::from_number(entry.protocol)?;
        let key = Self {
            address: address_from_bits(entry.address, entry.ipv6).into(),
            port: entry.port,
            protocol,
        };
        (entry.valid && key.is_written()).then_some(key)
    }

    /// Whether this host writes such keys: of ICMP those by which echo requests are found.
    fn is_written(&self) -> bool {
        match self.protocol {
            Protocol::Tcp | Protocol::Udp => true,
            Protocol::Icmp => self.port == 0 && !self.address.is_ipv6(),
            Protocol::Icmpv6 => self.port == 0 && self.address.is_ipv6(),
        }
    }

    fn to_prefix(self, vip: VipId) -> VipPrefix {
        VipPrefix {
            port: self.port,
            protocol: self.protocol as u8,
            ipv6: self.address.is_ipv6(),
            address: address_to_bits(self.address.first()),
            valid: true,
            vip: vip.0,
            length: self.address.length(),
        }
    }

    /// What a prefix entry is known by. Those of a full length are not written by this host.
    fn from_prefix(entry: &VipPrefix) -> Option<Self> {
        let protocol = Protocol::from_number(entry.protocol)?;
        let first = address_from_bits(entry.address, entry.ipv6);
        let address = VipAddress::new(first, entry.length).ok()?;
        let key = Self {
            address,
            port: entry.port,
            protocol,
        };
        (entry.valid && address.one().is_none() && key.is_written()).then_some(key)
    }
}

/// One entry to write; several are written in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchWrite {
    /// Of the match table.
    Exact {
        /// Its index in `vip_match`.
        index: u32,
        /// What it shall hold.
        entry: VipMatch,
    },
    /// Of the prefixes.
    Prefix {
        /// Its index in `vip_prefix`.
        index: u32,
        /// What it shall hold.
        entry: VipPrefix,
    },
}

impl MatchWrite {
    /// The write of a place, of which the prefixes' come behind the match table's; `None` clears it.
    fn of(place: usize, held: Option<(VipKey, VipId)>) -> Self {
        // places lie below 576
        match u32::try_from(place).unwrap_or(u32::MAX).checked_sub(EXACT) {
            None => Self::Exact {
                index: place as u32,
                entry: held.map_or_else(VipMatch::default, |(key, vip)| key.to_match(vip)),
            },
            Some(index) => Self::Prefix {
                index,
                entry: held.map_or_else(VipPrefix::default, |(key, vip)| key.to_prefix(vip)),
            },
        }
    }
}

/// Places of the match table.
const EXACT: u32 = (BANKS * VIP_MATCH_ROWS) as u32;

/// What a card holds in the two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchEntries {
    /// `vip_match`.
    pub exact: Vec<VipMatch>,
    /// `vip_prefix`.
    pub prefixes: Vec<VipPrefix>,
}

impl MatchEntries {
    /// Whether a place holds anything, whatever it means.
    fn is_used(&self, place: usize) -> bool {
        match place.checked_sub(EXACT as usize) {
            None => (self.exact.get(place)).is_some_and(|entry| *entry != VipMatch::default()),
            Some(at) => (self.prefixes.get(at)).is_some_and(|entry| *entry != VipPrefix::default()),
        }
    }
}

/// The two tables as the host has planned them.
#[derive(Clone, Debug)]
pub struct VipMatchTable {
    secrets: Secrets,
    /// The match table's places, then the prefixes'.
    places: Vec<Option<(VipKey, VipId)>>,
}

impl VipMatchTable {
    /// Empty tables.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            secrets: secrets.clone(),
            places: vec![None; EXACT as usize + VIP_PREFIXES],
        }
    }

    /// The tables that a card holds. Entries that this host does not understand, that lie where their key does not belong, or that
    /// repeat another (a host died in the middle of a move) count as free places.
    #[must_use]
    pub fn from_entries(secrets: &Secrets, entries: &MatchEntries) -> Self {
        let mut table = Self::new(secrets);
        let exact = (entries.exact.iter()).map(|entry| (VipKey::from_match(entry), entry.vip));
        let prefixes =
            (entries.prefixes.iter()).map(|entry| (VipKey::from_prefix(entry), entry.vip));
        let exact = (0..EXACT as usize).zip(exact);
        let prefixes = (EXACT as usize..table.places.len()).zip(prefixes);
        for (place, (key, vip)) in exact.chain(prefixes) {
            if let Some(key) = key
                && table.candidates(&key).contains(&place)
                && table.find(&key).is_none()
            {
                table.places[place] = Some((key, VipId(vip)));
            }
        }
        table
    }

    /// The writes that clear what `entries` (the card's) hold beside these tables: what a host left behind that died in the middle of a
    /// move. No packet finds such an entry while the table's own is there; without it, it would.
    #[must_use]
    pub fn strays(&self, entries: &MatchEntries) -> Vec<MatchWrite> {
        (0..self.places.len())
            .filter(|&place| self.places[place].is_none() && entries.is_used(place))
            .map(|place| MatchWrite::of(place, None))
            .collect()
    }

    /// The places where a key may lie: four rows, or any of the prefixes'.
    fn candidates(&self, key: &VipKey) -> Vec<usize> {
        if key.address.one().is_none() {
            return (EXACT as usize..self.places.len()).collect();
        }
        let entry = key.to_match(VipId(0));
        (0..BANKS)
            .map(|bank| bank * VIP_MATCH_ROWS + self.secrets.vip_row(bank, &entry))
            .collect()
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
    /// others but for one case in very many. Of prefixes there are 64.
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
            writes.push(MatchWrite::of(step[1], self.places[step[1]]));
        }
        self.places[path[0]] = Some((key, vip));
        writes.push(MatchWrite::of(path[0], self.places[path[0]]));
        Ok(writes)
    }

    /// Takes a key out, and returns the write that does it on the card.
    pub fn remove(&mut self, key: &VipKey) -> Option<MatchWrite> {
        let place = self.find(key)?;
        self.places[place] = None;
        Some(MatchWrite::of(place, None))
    }

    /// Both tables as entries.
    #[must_use]
    pub fn to_entries(&self) -> MatchEntries {
        let (exact, prefixes) = self.places.split_at(EXACT as usize);
        MatchEntries {
            exact: exact
                .iter()
                .map(|held| held.map_or_else(VipMatch::default, |(key, vip)| key.to_match(vip)))
                .collect(),
            prefixes: prefixes
                .iter()
                .map(|held| held.map_or_else(VipPrefix::default, |(key, vip)| key.to_prefix(vip)))
                .collect(),
        }
    }

    fn path_to_room(&self, key: &VipKey) -> Option<Vec<usize>> {
        path_to_room(self.candidates(key), |place| {
            self.places[place].map(|(held, _)| self.candidates(&held))
        })
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
        writes.iter().try_for_each(|write| match write {
            MatchWrite::Exact { index, entry } => {
                self.write_entry(Table::VipMatch, *index, &entry.to_words())
            }
            MatchWrite::Prefix { index, entry } => {
                self.write_entry(Table::VipPrefix, *index, &entry.to_words())
            }
        })
    }

    /// Reads the match table and the prefixes.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_vip_matches(&self) -> Result<VipMatchTable, CardError> {
        let entries = self.read_match_entries()?;
        Ok(VipMatchTable::from_entries(self.secrets(), &entries))
    }

    /// Reads the match table and the prefixes, and clears what a host left behind that died in the middle of a move.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn tidy_vip_matches(&self) -> Result<VipMatchTable, CardError> {
        let entries = self.read_match_entries()?;
        let table = VipMatchTable::from_entries(self.secrets(), &entries);
        self.write_vip_matches(&table.strays(&entries))?;
        Ok(table)
    }

    fn read_match_entries(&self) -> Result<MatchEntries, CardError> {
        Ok(MatchEntries {
            exact: self.dump_entries(Table::VipMatch, VipMatch::from_words)?,
            prefixes: self.dump_entries(Table::VipPrefix, VipPrefix::from_words)?,
        })
    }
}

#[cfg(test)]
mod tests;
