//! The `next_hop` table.

use guideway_hdl::tables::{BackendEntry, NextHopEntry, Table};
use serde::{Deserialize, Serialize};

use super::{Card, CardError, NextHopId, mac_from_bits, mac_to_bits};

/// The VLAN tags of the frames that leave for a next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vlan {
    /// Those of the received frame.
    #[default]
    Keep,
    /// None.
    Remove,
    /// One 802.1Q tag with this TCI: priority in the upper three bits, id in the lower twelve (IEEE 802.1Q 9.6).
    Set(u16),
}

impl std::fmt::Display for Vlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keep => write!(f, "tags as received"),
            Self::Remove => write!(f, "no tags"),
            Self::Set(tci) => write!(f, "VLAN {} priority {}", tci & 0xfff, tci >> 13),
        }
    }
}

/// A next hop as the card knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Destination MAC address.
    pub destination: [u8; 6],
    /// Source MAC address; `None`: the received frame's destination.
    pub source: Option<[u8; 6]>,
    /// Tags of the frames that leave.
    pub vlan: Vlan,
}

impl NextHop {
    /// The table's entry.
    #[must_use]
    pub fn to_entry(&self) -> NextHopEntry {
        let (vlan_mode, vlan) = match self.vlan {
            Vlan::Keep => (0, 0),
            Vlan::Remove => (1, 0),
            Vlan::Set(tci) => (2, tci),
        };
        NextHopEntry {
            destination: mac_to_bits(self.destination),
            source: self.source.map_or(0, mac_to_bits),
            vlan_mode,
            vlan,
        }
    }

    /// What an entry says.
    #[must_use]
    pub fn from_entry(entry: &NextHopEntry) -> Self {
        Self {
            destination: mac_from_bits(entry.destination),
            source: (entry.source != 0).then(|| mac_from_bits(entry.source)),
            vlan: match entry.vlan_mode {
                1 => Vlan::Remove,
                2 => Vlan::Set(entry.vlan),
                _ => Vlan::Keep,
            },
        }
    }
}

/// The next hops that a backend's packets are spread over, by flow hash: entries one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHops {
    /// The first one's index.
    pub first: u8,
    /// How many follow it: up to 15.
    pub more: u8,
}

impl NextHops {
    /// A single one.
    #[must_use]
    pub const fn one(id: u8) -> Self {
        Self { first: id, more: 0 }
    }

    /// Those that a backend's entry names.
    #[must_use]
    pub const fn from_entry(entry: &BackendEntry) -> Self {
        Self {
            first: entry.next_hop,
            more: entry.more_next_hops,
        }
    }

    /// Their indices.
    pub fn ids(self) -> impl Iterator<Item = u8> {
        (0..=self.more).map(move |i| self.first.wrapping_add(i))
    }
}

impl Card {
    /// Writes a next hop. Takes effect for every packet that reads the table afterwards.
    ///
    /// # Errors
    /// When the index is beyond the table, or the card cannot be reached.
    pub fn write_next_hop(&self, id: NextHopId, next_hop: &NextHop) -> Result<(), CardError> {
        self.write_entry(
            Table::NextHop,
            u32::from(id.0),
            &next_hop.to_entry().to_words(),
        )
    }

    /// Reads the whole table.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_next_hops(&self) -> Result<Vec<NextHopEntry>, CardError> {
        self.dump_entries(Table::NextHop, NextHopEntry::from_words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lie_most_significant_byte_first() {
        let hop = NextHop {
            destination: [2, 0, 0, 0, 0, 1],
            source: None,
            vlan: Vlan::Keep,
        };
        assert_eq!(
            (hop.to_entry().destination, hop.to_entry().source),
            (0x0200_0000_0001, 0)
        );
        let both = NextHop {
            source: Some([0, 0, 0xde, 0xad, 0xbe, 0xaf]),
            ..hop
        };
        let set = NextHop {
            vlan: Vlan::Set(0xe02a),
            ..both
        };
        let remove = NextHop {
            vlan: Vlan::Remove,
            ..hop
        };
        let entry = set.to_entry();
        assert_eq!((entry.vlan_mode, entry.vlan), (2, 0xe02a));
        for hop in [hop, both, set, remove] {
            assert_eq!(
                NextHop::from_entry(&NextHopEntry::from_words(&hop.to_entry().to_words())),
                hop
            );
        }
    }
}
