//! Which entry of the card's next hop table each router has, and each l2 backend's own station.
//!
//! Owns those indices. The node's next hops lie one behind the other, so that a backend's packets can be spread over all of them. A router
//! keeps its place as long as it is configured: a packet on its way never meets another's, but for those of routers that are gone.

use std::collections::HashSet;

use guideway_hdl::tables::NEXT_HOPS;
use serde::{Deserialize, Serialize};

use super::{Backend, State, StateError, free_id, narrow};
use crate::card::{NextHops, Vlan};
use crate::config::{Mac, NextHop};

/// A router: its MAC address, and the tags of frames to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop(pub Mac, pub Vlan);

impl Hop {
    /// The router that the configuration describes.
    #[must_use]
    pub const fn of(hop: &NextHop) -> Self {
        Self(hop.mac, hop.vlan)
    }
}

impl State {
    /// Where the node's next hops lie. Those of the state before are still needed when none is configured and backends are leaving.
    pub(super) fn place_next_hops(&mut self, before: &Self) -> Result<(), StateError> {
        let known = &before.node.next_hops;
        if self.node.next_hops.is_empty() && !before.backends.is_empty() {
            self.node.next_hops.clone_from(known);
            self.node.vlan = before.node.vlan;
        }
        let wanted = &self.node.next_hops;
        let mut placed: Vec<Option<Hop>> = (known.iter())
            .map(|hop| wanted.contains(hop).then_some(*hop))
            .collect();
        for hop in wanted.iter().filter(|hop| !known.contains(hop)) {
            match placed.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(*hop),
                None => placed.push(Some(*hop)),
            }
        }
        while let Some(gap) = placed.iter().position(Option::is_none) {
            let last = placed.pop().flatten();
            if let Some(place) = placed.get_mut(gap) {
                *place = last;
            }
        }
        self.node.next_hops = placed.into_iter().flatten().collect();

        let run = |at: usize, hops: usize| at..at + hops;
        let at = usize::from(before.next_hops_at);
        let (need, had) = (self.node.next_hops.len(), known.len());
        let stations: HashSet<usize> = before.station_ids().collect();
        let is_free = |place: usize| place < NEXT_HOPS && !stations.contains(&place);
        let fits = |at: usize| run(at, need).all(is_free);
        let elsewhere = || {
            let apart = |&first: &usize| !run(at, had).any(|old| run(first, need).contains(&old));
            (0..NEXT_HOPS).filter(apart).find(|&first| fits(first))
        };
        let found = Some(at).filter(|&at| need <= had || fits(at));
        let place = found.or_else(elsewhere);
        self.next_hops_at = narrow(place.ok_or(StateError::Exhausted("run of next hops"))?)?;
        Ok(())
    }

    /// The position of a router among the node's next hops.
    pub(super) fn position_of(&self, hop: &Hop) -> Option<u8> {
        let at = self.node.next_hops.iter().position(|known| known == hop)?;
        u8::try_from(at).ok()
    }

    /// Next hops for l2 backends. Indices of the state before are given to nobody else, so that no packet meets another's.
    pub(super) fn place_stations(&mut self, before: &Self) -> Result<(), StateError> {
        let of_node = |state: &Self| {
            let at = usize::from(state.next_hops_at);
            at..at + state.node.next_hops.len().max(1)
        };
        let mut used: HashSet<usize> = before.station_ids().collect();
        used.extend(of_node(before).chain(of_node(self)));
        let mut stations: Vec<(u8, Mac)> = Vec::new();
        for mac in self.backends.iter().filter_map(Backend::station) {
            if stations.iter().any(|&(_, placed)| placed == mac) {
                continue;
            }
            let known = before.stations.iter().find(|&&(_, known)| known == mac);
            let id = match known {
                Some(&(id, _)) => id,
                None => narrow(free_id(&used, NEXT_HOPS, "next hop")?)?,
            };
            used.insert(usize::from(id));
            stations.push((id, mac));
        }
        stations.sort_unstable_by_key(|&(id, _)| id);
        self.stations = stations;
        Ok(())
    }

    fn station_ids(&self) -> impl Iterator<Item = usize> {
        self.stations.iter().map(|&(id, _)| usize::from(id))
    }

    /// The routers, or the station, that the backend's packets are sent to.
    #[must_use]
    pub fn hops_of(&self, backend: &Backend) -> Vec<Hop> {
        let ids = self.next_hops_of(backend).ids();
        ids.filter_map(|id| self.hop_at(id)).collect()
    }

    /// The router or station at this place of the card's table.
    #[must_use]
    pub fn hop_at(&self, id: u8) -> Option<Hop> {
        let station = self.stations.iter().find(|&&(at, _)| at == id);
        let router = || {
            let position = id.checked_sub(self.next_hops_at)?;
            self.node.next_hops.get(usize::from(position)).copied()
        };
        station.map_or_else(router, |&(_, mac)| Some(Hop(mac, self.node.vlan)))
    }

    /// The next hops that the backend is reached by.
    #[must_use]
    pub fn next_hops_of(&self, backend: &Backend) -> NextHops {
        let place = |mac| self.stations.iter().find(|&&(_, known)| known == mac);
        if let Some(&(id, _)) = backend.station().and_then(place) {
            return NextHops::one(id);
        }
        let hops = u8::try_from(self.node.next_hops.len()).unwrap_or_default();
        match backend.next_hop.filter(|&hop| hop < hops) {
            Some(hop) => NextHops::one(self.next_hops_at + hop),
            None => NextHops {
                first: self.next_hops_at,
                more: hops.saturating_sub(1),
            },
        }
    }
}
