//! What must happen to live flows before the rules change, and after a host has come back.
//!
//! Owns two passes over the connection table. [`SlowPath::pin`]: every connection that a new ring would send elsewhere is installed
//! and pinned first, so that entries that are not pinned always agree with the ring. [`SlowPath::adopt`]: what a running
//! card holds is merged into the table; where both know a connection, the card is right.

use guideway_hdl::descriptors::Command;
use guideway_hdl::tables::{FlowKey, FlowRecord};

use super::connections::{Connection, ConnectionKey};
use super::poll::SlowPath;
use super::view::{Matched, View};
use crate::card::flow::{FlowTarget, delete, flow_key, record_key};
use crate::card::{BackendId, CardError, VipAddress, VipId, address_from_bits};
use crate::config::Protocol;

/// Flows that are installed between two looks at the card's answers.
const CHUNK: usize = 64;

/// What a pass over live flows came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pinned {
    /// Connections that the new ring would send elsewhere.
    pub moved: usize,
    /// Those of them that found no place on the card: only the host keeps them.
    pub without_place: usize,
}

/// What an adopted card held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Adopted {
    /// Flows taken over.
    pub flows: usize,
    /// Flows deleted because they named a VIP or backend that is gone.
    pub stale: usize,
}

impl SlowPath {
    /// Installs and pins every connection that `rule_of` sends elsewhere: its match and its ring, as they are about to be. `None` for
    /// those of which nothing changes.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn pin<'a>(
        &mut self,
        rule_of: impl Fn(&View, &ConnectionKey, &Connection) -> Option<(Matched, &'a [u16])>,
    ) -> Result<Pinned, CardError> {
        let moved: Vec<(FlowKey, FlowTarget)> = (self.connections.iter())
            .filter_map(|(key, connection)| {
                let (matched, ring) = rule_of(&self.view, key, connection)?;
                self.moved(key, connection, &matched, ring)
            })
            .collect();
        self.install_all(&moved)
    }

    /// Installs and pins the connections of the VIP `id` that will be another VIP's when it goes.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn pin_left_by(&mut self, id: u16) -> Result<Pinned, CardError> {
        let moved: Vec<(FlowKey, FlowTarget)> = (self.connections.iter())
            .filter_map(|(key, connection)| {
                let matched = self.view.left_by(id, key)?;
                self.moved(key, connection, &matched, self.view.ring(matched.vip.pool))
            })
            .collect();
        self.install_all(&moved)
    }

    fn install_all(&mut self, moved: &[(FlowKey, FlowTarget)]) -> Result<Pinned, CardError> {
        let mut pinned = Pinned {
            moved: moved.len(),
            without_place: 0,
        };
        for chunk in moved.chunks(CHUNK) {
            pinned.without_place += self.install_pinned(chunk)?;
        }
        Ok(pinned)
    }

    /// The entry that a connection needs when its ring is going to name another backend for it.
    fn moved(
        &self,
        key: &ConnectionKey,
        connection: &Connection,
        matched: &Matched,
        ring: &[u16],
    ) -> Option<(FlowKey, FlowTarget)> {
        let backend = self.view.backend_of(connection.pool, connection.backend)?;
        let hash = matched.hash(key.source, key.source_port, key.destination_port);
        let named = self.view.ring_backend_in(ring, hash);
        if named.map(|named| named.id) == Some(backend.id) {
            return None;
        }
        let target = FlowTarget {
            backend: BackendId(backend.id),
            generation: backend.generation,
            pinned: true,
            confirmed: true,
        };
        Some((
            flow_key(
                VipId(matched.vip.id),
                key.source,
                key.source_port,
                key.destination_port,
            ),
            target,
        ))
    }

    /// The commands that pin a confirmed flow which the ring, as it is, would send elsewhere: one that was confirmed only after the ring
    /// had changed.
    pub fn pin_confirmed(&mut self, record: &FlowRecord) -> Vec<Command> {
        if record.pinned || !record.confirmed {
            return Vec::new();
        }
        let moved = self.connection_of(record).and_then(|(name, connection)| {
            let matched = self.view.vip_of_connection(&name)?;
            self.moved(
                &name,
                &connection,
                &matched,
                self.view.ring(matched.vip.pool),
            )
        });
        moved
            .filter(|(key, _)| *key == record_key(record))
            .and_then(|(key, target)| self.flows.install(&key, &target).ok())
            .unwrap_or_default()
    }

    /// Installs flows; returns how many found no place. What was refused is tried once more with a fresh picture.
    fn install_pinned(&mut self, flows: &[(FlowKey, FlowTarget)]) -> Result<usize, CardError> {
        for _ in 0..2 {
            let (mut commands, mut without) = (Vec::new(), 0);
            for (key, target) in flows {
                match self.flows.install(key, target) {
                    Ok(more) => commands.extend(more),
                    Err(_) => without += 1,
                }
            }
            if self.run(&commands)? {
                return Ok(without);
            }
        }
        Ok(flows
            .iter()
            .filter(|(key, _)| !self.flows.holds(key))
            .count())
    }

    /// Deletes every flow of a VIP from the card, and its connections from the table.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn forget_vip(
        &mut self,
        vip: u16,
        (address, port, protocol): (VipAddress, u16, Protocol),
    ) -> Result<(), CardError> {
        let keys = self.flows.keys(|key| key.vip == vip);
        for chunk in keys.chunks(CHUNK) {
            let commands: Vec<_> = chunk
                .iter()
                .filter_map(|key| self.flows.remove(key))
                .collect();
            self.run(&commands)?;
        }
        let of_vip = |key: &&ConnectionKey| {
            (key.destination, key.protocol) == (address, protocol)
                && (port == 0 || key.destination_port == port)
        };
        // a port of its own may have been another VIP's: its connections stay
        let gone: Vec<ConnectionKey> = self
            .connections
            .iter()
            .map(|(key, _)| key)
            .filter(of_vip)
            .filter(|key| self.view.vip_of_connection(key).is_none())
            .copied()
            .collect();
        for key in gone {
            if let Err(error) = self.connections.forget(&key) {
                tracing::warn!(%error, "a connection of a removed VIP is not forgotten");
            }
        }
        Ok(())
    }

    /// Takes over what a running card's flow table holds.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn adopt(&mut self) -> Result<Adopted, CardError> {
        let records = self.read_flows()?;
        let (mut adopted, mut stale) = (Adopted::default(), Vec::new());
        for (index, record) in &records {
            let key = record_key(record);
            match self.connection_of(record) {
                Some((name, connection)) => {
                    adopted.flows += 1;
                    // one of which the card saw a single packet is left to it, as in `catch_up`
                    let goes_on = record.confirmed || self.connections.get(&name).is_some();
                    if goes_on && let Err(error) = self.connections.record(name, connection) {
                        self.stats.unrecorded += 1;
                        tracing::warn!(%error, "an adopted connection is not recorded");
                    }
                }
                None => {
                    adopted.stale += 1;
                    let (place, _) =
                        crate::card::flow::FlowPlace::from_index(*index, self.card().flow_rows());
                    stale.push(delete(&key, place));
                }
            }
        }
        for chunk in stale.chunks(CHUNK) {
            self.card().run_flow_commands(chunk)?;
        }
        if !stale.is_empty() {
            self.read_flows()?;
        }
        Ok(adopted)
    }

    /// The connection that a flow entry is about.
    #[must_use]
    pub fn connection_of(&self, record: &FlowRecord) -> Option<(ConnectionKey, Connection)> {
        let (&(destination, _, protocol), _) =
            self.view.vips().find(|(_, vip)| vip.id == record.vip)?;
        let backend = self
            .view
            .backend(record.backend)
            .filter(|backend| backend.generation == record.generation)?;
        let name = ConnectionKey {
            protocol,
            destination,
            destination_port: record.destination_port,
            source: address_from_bits(record.source, destination.is_ipv6()),
            source_port: record.source_port,
        };
        let connection = Connection {
            pool: backend.pool,
            backend: backend.address,
            last_seen: self.now,
            closing: record.fin || record.rst,
            address: None,
        };
        Some((name, connection))
    }
}
