//! What decides about a punted packet beside connection table and ring: the server's id that it carries, and where it comes from.
//!
//! Owns which backend has which id, and which source prefix goes to which backend, for each pool; and their order, which is Katran's: the
//! packet's own id, then what is recorded, then the longest prefix of its source, then the ring. A packet of a flow that the card
//! knows is never asked.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::connections::Connections;
use super::decide::{Decision, Undecided, decide};
use super::packet::{ClientPacket, transport};
use super::server_id;
use super::view::{BackendView, View, VipView};
use crate::card::VipAddress;
use crate::control::state::{Life, State};

/// What a pool's packets can be told by.
#[derive(Clone, Debug, Default)]
struct PoolRoutes {
    by_id: HashMap<u32, u16>,
    /// The longest prefix first.
    by_source: Vec<(VipAddress, u16)>,
}

/// The routes of all pools, by the pool's index.
#[derive(Clone, Debug, Default)]
pub struct Routes(HashMap<u8, PoolRoutes>);

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Connection table or ring.
    Usual,
    /// The id in the packet.
    ServerId,
    /// The packet's source.
    Source,
}

impl Routes {
    /// The routes of a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut routes = HashMap::new();
        for pool in &state.pools {
            let known = || state.backends.iter().filter(|b| b.pool == pool.name);
            let ids = |leaving: bool| {
                known()
                    .filter(move |b| (b.life == Life::Leaving) == leaving)
                    .filter_map(|b| Some((b.server_id?, b.id)))
            };
            // one that leaves keeps its connections, unless its id is another's by now
            let by_id = ids(true).chain(ids(false)).collect();
            let mut by_source: Vec<(VipAddress, u16)> = (pool.source_routes.iter())
                .filter_map(|route| {
                    let backend = known().find(|b| b.address == route.backend)?;
                    Some((route.prefix, backend.id))
                })
                .collect();
            by_source.sort_unstable_by_key(|(prefix, _)| Reverse(prefix.length()));
            routes.insert(pool.id, PoolRoutes { by_id, by_source });
        }
        Self(routes)
    }

    fn by_id(&self, vip: &VipView, packet: &ClientPacket, frame: &[u8]) -> Option<u16> {
        let by_id = &self
            .0
            .get(&vip.pool)
            .filter(|_| vip.rules.route_by.server_id)?
            .by_id;
        let id = server_id::read(packet.protocol, transport(frame)?)?;
        by_id.get(&id).copied()
    }

    fn by_source(&self, vip: &VipView, packet: &ClientPacket) -> Option<u16> {
        let routes = self
            .0
            .get(&vip.pool)
            .filter(|_| vip.rules.route_by.source)?;
        let source = packet.source.into();
        let longest = routes
            .by_source
            .iter()
            .find(|(prefix, _)| prefix.holds(&source));
        longest.map(|&(_, backend)| backend)
    }
}

/// Decides a packet; `frame` is what it came in. A decision by its id counts as known: the packet itself says whose it is.
///
/// # Errors
/// When it cannot be sent anywhere.
pub fn decide_routed(
    view: &View,
    connections: &Connections,
    packet: &ClientPacket,
    frame: &[u8],
) -> Result<(Decision, By), Undecided> {
    let usual = decide(view, connections, packet);
    let Some(matched) = view.vip(packet) else {
        return usual.map(|decision| (decision, By::Usual));
    };
    let vip = matched.vip;
    let routed = |backend: &BackendView, known| {
        let agrees = |decision: &Decision| decision.backend.id == backend.id && !decision.pinned;
        Decision {
            vip,
            backend: *backend,
            pinned: !usual.as_ref().is_ok_and(agrees),
            known,
            spread: matched.spread(packet),
        }
    };
    let backend = |id: Option<u16>| id.and_then(|id| view.backend(id));
    if let Some(backend) = backend(view.routes.by_id(&vip, packet, frame)) {
        return Ok((routed(backend, true), By::ServerId));
    }
    if usual.as_ref().is_ok_and(|decision| decision.known) {
        return usual.map(|decision| (decision, By::Usual));
    }
    match backend(view.routes.by_source(&vip, packet)) {
        Some(backend) => Ok((routed(backend, false), By::Source)),
        None => usual.map(|decision| (decision, By::Usual)),
    }
}

#[cfg(test)]
mod tests;
