//! Where a whole packet of a flow would go, for frames that the card cannot ask about: fragments, and errors about packets it did not read.
//!
//! Owns that question. It is answered as the card would answer it: by the flow's entry; else, where misses are the host's, by its table of
//! connections; else by the ring.

use std::net::IpAddr;

use super::decide::{Decision, Undecided};
use super::packet::ClientPacket;
use super::poll::SlowPath;
use super::routes::{By, decide_routed};
use crate::card::flow::flow_key;
use crate::card::{CardError, OnMiss, VipId};
use crate::control::state::Life;

/// A decision, and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The decision.
    pub decision: Decision,
    /// The host's table knows the connection.
    pub recorded: bool,
    /// The card knows the flow.
    pub on_card: bool,
    /// The card's table names it, if only an entry that does not count.
    pub in_table: bool,
    /// A whole packet of it that the card does not know would come to the host.
    pub punts: bool,
}

impl SlowPath {
    /// Whether any VIP has this address.
    pub(super) fn is_vip_address(&self, address: IpAddr) -> bool {
        let address = address.into();
        (self.view.vips()).any(|(_, vip)| vip.address.holds(&address))
    }

    /// What the host decides of a packet; `frame` is what its first bytes came in, empty when that is not the packet itself.
    pub(super) fn by_host(
        &self,
        packet: &ClientPacket,
        frame: &[u8],
    ) -> Result<(Decision, By), Undecided> {
        let (decision, by) = decide_routed(&self.view, &self.connections, packet, frame)?;
        Ok((self.as_learned(packet, decision), by))
    }

    /// Where a whole packet like this would go now; `frame` as for [`SlowPath::by_host`].
    ///
    /// # Errors
    /// When the card cannot be reached any more; inside, when the packet would go nowhere.
    pub(super) fn follow(
        &self,
        packet: &ClientPacket,
        frame: &[u8],
    ) -> Result<Result<Followed, Undecided>, CardError> {
        let Some(matched) = self.view.vip(packet) else {
            return Ok(Err(Undecided::NoVip));
        };
        let vip = matched.vip;
        let punts = vip.rules.on_miss == OnMiss::Punt && !self.card().control()?.compute_only;
        let by_ring = || {
            let hash = matched.hash(packet.source, packet.source_port, packet.destination_port);
            let backend = self.view.ring_backend(vip.pool, hash);
            let decided = backend.map(|backend| Decision {
                vip,
                backend: *backend,
                pinned: false,
                known: false,
                spread: matched.spread(packet),
            });
            let decided = decided.ok_or(Undecided::NoBackend)?;
            Ok((decided, By::Usual))
        };
        let otherwise = if punts {
            self.by_host(packet, frame)
        } else {
            by_ring()
        };
        let told = |decision, recorded, on_card, in_table| Followed {
            decision,
            recorded,
            on_card,
            in_table,
            punts,
        };
        // the host's table and the card agree about what the host has recorded
        if let (true, Ok((decision, By::Usual))) = (punts, &otherwise)
            && decision.known
        {
            return Ok(Ok(told(*decision, true, false, false)));
        }
        let key = flow_key(
            VipId(vip.id),
            packet.source,
            packet.source_port,
            packet.destination_port,
        );
        let record = self.card().find_flow(&key)?;
        let live = record.as_ref().and_then(|record| {
            let backend = self.view.backend(record.backend)?;
            let counts = backend.generation == record.generation
                && (backend.life == Life::Up || !packet.opens);
            counts.then_some(Decision {
                vip,
                backend: *backend,
                pinned: record.pinned,
                known: true,
                spread: matched.spread(packet),
            })
        });
        Ok(match live {
            Some(decision) => Ok(told(decision, false, true, true)),
            None => otherwise.map(|(decision, _)| told(decision, false, false, record.is_some())),
        })
    }
}
