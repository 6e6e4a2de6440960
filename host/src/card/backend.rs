//! The `backend` table.

use std::net::IpAddr;

use guideway_hdl::tables::{BackendEntry, BackendState, Encap, Table};

use super::{BackendId, Card, CardError, NextHopId, address_from_bits, address_to_bits};

/// A backend as the card knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// What it takes.
    pub state: BackendState,
    /// How packets travel to it.
    pub encap: Encap,
    /// Its generation: flow entries of another one are misses.
    pub generation: u8,
    /// Its next hop.
    pub next_hop: NextHopId,
    /// Outer destination address.
    pub address: IpAddr,
}

impl Backend {
    /// The table's entry.
    #[must_use]
    pub fn to_entry(&self) -> BackendEntry {
        BackendEntry {
            state: self.state.raw(),
            encap: self.encap.raw(),
            ipv6: self.address.is_ipv6(),
            generation: self.generation,
            next_hop: self.next_hop.0,
            address: address_to_bits(self.address),
            ..BackendEntry::default()
        }
    }

    /// What an entry says; `None` for codes that this host does not know.
    #[must_use]
    pub fn from_entry(entry: &BackendEntry) -> Option<Self> {
        Some(Self {
            state: BackendState::from_raw(entry.state)?,
            encap: Encap::from_raw(entry.encap)?,
            generation: entry.generation,
            next_hop: NextHopId(entry.next_hop),
            address: address_from_bits(entry.address, entry.ipv6),
        })
    }
}

impl Card {
    /// Writes a backend. Takes effect for every packet that reads the table afterwards.
    ///
    /// # Errors
    /// When the index is beyond the table, or the card cannot be reached.
    pub fn write_backend(&self, id: BackendId, backend: &Backend) -> Result<(), CardError> {
        self.write_entry(
            Table::Backend,
            u32::from(id.0),
            &backend.to_entry().to_words(),
        )
    }

    /// Makes a backend's place empty: state `down`.
    ///
    /// # Errors
    /// As [`Card::write_backend`].
    pub fn clear_backend(&self, id: BackendId) -> Result<(), CardError> {
        self.write_entry(
            Table::Backend,
            u32::from(id.0),
            &BackendEntry::default().to_words(),
        )
    }

    /// Reads the whole table.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_backends(&self) -> Result<Vec<BackendEntry>, CardError> {
        self.dump_entries(Table::Backend, BackendEntry::from_words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_survives_its_entry() {
        for address in ["10.0.0.1", "fc00::1:2"] {
            let backend = Backend {
                state: BackendState::Draining,
                encap: Encap::Ipip,
                generation: 200,
                next_hop: NextHopId(15),
                address: address.parse().unwrap(),
            };
            assert_eq!(
                Backend::from_entry(&BackendEntry::from_words(&backend.to_entry().to_words())),
                Some(backend)
            );
        }
        let entry = Backend {
            state: BackendState::Up,
            encap: Encap::Ipip,
            generation: 1,
            next_hop: NextHopId(0),
            address: "10.0.0.1".parse().unwrap(),
        }
        .to_entry();
        assert_eq!((entry.address, entry.ipv6), (0x0a00_0001, false));
        assert_eq!(
            Backend::from_entry(&BackendEntry { state: 3, ..entry }),
            None
        );
    }
}
