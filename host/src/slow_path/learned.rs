//! Flows that the card recorded by itself: of `learn` VIPs, over a meter, and while no host was there.
//!
//! Owns how the host comes to know of them. The card tells only how many it has learned, so the whole table is read before and after a
//! change of the rules, and where it was not read since, what the host inserts is looked for in the key's other places.

use guideway_hdl::descriptors::{Command, Status};
use guideway_hdl::tables::{FlowKey, FlowRecord, Table};
use guideway_hdl::verdict::PortCounter;

use super::connections::Connection;
use super::decide::Decision;
use super::packet::ClientPacket;
use super::poll::SlowPath;
use super::view::BackendView;
use crate::card::flow::{flow_key, record_key};
use crate::card::{CardError, Outcome, VipId};
use crate::control::state::Life;

/// Entries that are read one by one rather than with the whole table.
const EACH_MAX: usize = 1024;

impl SlowPath {
    /// Entries that the card has learned by itself since its reset.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn learned_by_card(&self) -> Result<u64, CardError> {
        let counters = self.card().read_counters()?;
        Ok(counters.port(PortCounter::Learned))
    }

    /// Reads the card's flows into the picture. Of a flow that stands in two places the one that lookups do not find is deleted.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub(super) fn read_flows(&mut self) -> Result<Vec<(usize, FlowRecord)>, CardError> {
        // counted first: what is learned while the table is read may or may not be in it
        let learned = self.learned_by_card()?;
        let records = self.card().read_flows()?;
        let copies = self.flows.resync(&records);
        self.flows.stats.copies += copies.len() as u64;
        self.card().run_flow_commands(&copies)?;
        self.pictured = learned;
        let unconfirmed = records.iter().filter(|(_, record)| !record.confirmed);
        self.unconfirmed = unconfirmed.map(|(_, record)| record_key(record)).collect();
        Ok(records)
    }

    /// Reads again what was not confirmed when the table was read; the whole table when that is much.
    fn read_unconfirmed(&mut self) -> Result<Vec<(usize, FlowRecord)>, CardError> {
        if self.unconfirmed.len() > EACH_MAX {
            return self.read_flows();
        }
        let keys = std::mem::take(&mut self.unconfirmed);
        let known: Vec<(usize, FlowKey)> = (keys.into_iter())
            .filter_map(|key| Some((self.flows.index(&key)?, key)))
            .collect();
        let indices: Vec<u32> = (known.iter())
            .filter_map(|&(index, _)| u32::try_from(index).ok())
            .collect();
        let beats = self.card().dump_each(Table::Flow, &indices)?;
        let mut records = Vec::new();
        for ((index, key), beat) in known.into_iter().zip(beats) {
            let record = FlowRecord::from_words(&std::array::from_fn(|i| beat[i]));
            if record.valid && record_key(&record) == key {
                self.flows.note(index, &record);
                if !record.confirmed {
                    self.unconfirmed.push(key);
                }
                records.push((index, record));
            }
        }
        Ok(records)
    }

    /// Takes over what the card has learned by itself: into the picture, and confirmed flows into the connection table.
    ///
    /// A flow of which no second packet came is left to the card alone: it may be one of a flood, and must stay displaceable. The
    /// sweep takes it over, and pins it where the ring has changed, when it is confirmed later.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn catch_up(&mut self) -> Result<(), CardError> {
        let learned = self.learned_by_card()?;
        if learned == 0 {
            return Ok(());
        }
        // entries that come or change are counted, confirmations are not
        let records = if learned == self.pictured {
            self.read_unconfirmed()?
        } else {
            self.read_flows()?
        };
        for (_, record) in records.iter().filter(|(_, record)| record.confirmed) {
            let Some((name, seen)) = self.connection_of(record) else {
                continue;
            };
            let goes_there =
                |known: &Connection| (known.pool, known.backend) == (seen.pool, seen.backend);
            if !self.connections.get(&name).is_some_and(goes_there) {
                match self.connections.record(name, seen) {
                    Ok(()) => self.stats.taken_over += 1,
                    Err(_) => self.stats.unrecorded += 1,
                }
            }
        }
        Ok(())
    }

    /// Deletes copies that the card learned of flows which `commands` have inserted into free places. The insertion comes first: once it is
    /// done the card finds the flow and does not learn it any more, so that nothing slips in between.
    pub(super) fn delete_copies(
        &mut self,
        commands: &[Command],
        outcomes: &[Outcome],
    ) -> Result<(), CardError> {
        let elsewhere = self.flows.elsewhere(commands, outcomes);
        if elsewhere.is_empty() || self.learned_by_card()? == self.pictured {
            return Ok(());
        }
        let outcomes = self.card().run_flow_commands(&elsewhere)?;
        let deleted = outcomes
            .iter()
            .filter(|outcome| outcome.status == Status::Ok);
        self.flows.stats.copies += deleted.count() as u64;
        Ok(())
    }

    /// A connection that nobody had recorded when its packet was punted, and that the card has learned since, by a ring that may have been
    /// replaced meanwhile, keeps the backend that it has there.
    pub(super) fn as_learned(&self, packet: &ClientPacket, decision: Decision) -> Decision {
        let key = flow_key(
            VipId(decision.vip.id),
            packet.source,
            packet.source_port,
            packet.destination_port,
        );
        let backend = self.flows.target(&key).and_then(|target| {
            let takes = |backend: &&BackendView| {
                backend.generation == target.generation
                    && (backend.life == Life::Up || !packet.opens)
            };
            self.view.backend(target.backend.0).filter(takes)
        });
        match backend {
            Some(&backend) if !decision.known && backend.id != decision.backend.id => Decision {
                backend,
                pinned: true,
                ..decision
            },
            _ => decision,
        }
    }
}
