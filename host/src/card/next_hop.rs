//! The `next_hop` table.

use guideway_hdl::tables::{NextHopEntry, Table};

use super::{Card, CardError, NextHopId, mac_from_bits, mac_to_bits};

/// A next hop as the card knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Destination MAC address.
    pub destination: [u8; 6],
    /// Source MAC address; `None`: the received frame's destination.
    pub source: Option<[u8; 6]>,
}

impl NextHop {
    /// The table's entry.
    #[must_use]
    pub fn to_entry(&self) -> NextHopEntry {
        NextHopEntry {
            destination: mac_to_bits(self.destination),
            source: self.source.map_or(0, mac_to_bits),
            ..NextHopEntry::default()
        }
    }

    /// What an entry says.
    #[must_use]
    pub fn from_entry(entry: &NextHopEntry) -> Self {
        Self {
            destination: mac_from_bits(entry.destination),
            source: (entry.source != 0).then(|| mac_from_bits(entry.source)),
        }
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
        };
        assert_eq!(
            (hop.to_entry().destination, hop.to_entry().source),
            (0x0200_0000_0001, 0)
        );
        let both = NextHop {
            source: Some([0, 0, 0xde, 0xad, 0xbe, 0xaf]),
            ..hop
        };
        for hop in [hop, both] {
            assert_eq!(
                NextHop::from_entry(&NextHopEntry::from_words(&hop.to_entry().to_words())),
                hop
            );
        }
    }
}
