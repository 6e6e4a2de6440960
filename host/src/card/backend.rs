//! The `backend` table.

use std::net::IpAddr;

use guideway_hdl::tables::{BackendEntry, BackendState, Encap, Table};

use super::{BackendId, Card, CardError, NextHops, address_from_bits, address_to_bits};

/// A backend as the card knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// What it takes.
    pub state: BackendState,
    /// How packets travel to it.
    pub encap: Encap,
    /// Its generation: flow entries of another one are misses.
    pub generation: u8,
    /// Its next hops.
    pub next_hops: NextHops,
    /// Outer destination address.
    pub address: IpAddr,
    /// Key in the GRE header.
    pub gre_key: Option<u32>,
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
            next_hop: self.next_hops.first,
            more_next_hops: self.next_hops.more,
            address: address_to_bits(self.address),
            key_present: self.gre_key.is_some(),
            key: self.gre_key.unwrap_or_default(),
        }
    }

    /// What an entry says; `None` for codes that this host does not know.
    #[must_use]
    pub fn from_entry(entry: &BackendEntry) -> Option<Self> {
        Some(Self {
            state: BackendState::from_raw(entry.state)?,
            encap: Encap::from_raw(entry.encap)?,
            generation: entry.generation,
            next_hops: NextHops::from_entry(entry),
            address: address_from_bits(entry.address, entry.ipv6),
            gre_key: entry.key_present.then_some(entry.key),
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
        for (address, encap, gre_key) in [
            ("10.0.0.1", Encap::Ipip, None),
            ("fc00::1:2", Encap::Gre, Some(7)),
            ("fc00::1:3", Encap::Gre, Some(0)),
        ] {
            let backend = Backend {
                state: BackendState::Draining,
                encap,
                generation: 200,
                next_hops: NextHops { first: 1, more: 14 },
                address: address.parse().unwrap(),
                gre_key,
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
            next_hops: NextHops::one(0),
            address: "10.0.0.1".parse().unwrap(),
            gre_key: None,
        }
        .to_entry();
        assert_eq!((entry.address, entry.ipv6), (0x0a00_0001, false));
        assert_eq!(
            Backend::from_entry(&BackendEntry { state: 3, ..entry }),
            None
        );
    }
}
