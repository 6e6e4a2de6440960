//! What is on the card, by name: which index, region and generation everything has.
//!
//! Owns indices. A state follows from the one before it and a configuration ([`State::next`]): what stays keeps its index, what is
//! new gets a free one, and a backend that was removed keeps its index as `leaving` until no flow names it. The state is stored in
//! the runtime directory, and its digest in the card's scratch block, so that the next host knows what it adopts.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guideway_hdl::tables::{
    BACKENDS, BackendState, GUE_PORT, POOLS, RING_SLOTS, RING_SLOTS_PER_BEAT, SLOT_EMPTY, VIPS,
};
pub use next_hops::Hop;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod next_hops;

use crate::card::{IcmpLimit, Rules, VipAddress, Vlan};
use crate::config::{Config, Encap, Mac, Protocol, SourceRoute, Unmatched};
use crate::maglev::{Algorithm, Member, NOBODY, Ring};

/// Version of the stored form.
const VERSION: u32 = 1;

/// Everything on the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The node's own settings.
    pub node: Node,
    /// Pools, by ascending index.
    pub pools: Vec<Pool>,
    /// Backends, by ascending index.
    pub backends: Vec<Backend>,
    /// VIPs, by ascending index.
    pub vips: Vec<Vip>,
    /// The index of the first of the node's next hops; the others follow it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub next_hops_at: u8,
    /// Backends' own MAC addresses, by ascending index; the node's next hops have others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stations: Vec<(u8, Mac)>,
    /// Generations of backend indices that are free again.
    retired: Vec<(u16, u8)>,
}

/// What holds for the whole card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the configuration's keys
pub struct Node {
    pub mac: Option<[u8; 6]>,
    /// In the card's order, which need not be the configuration's.
    #[serde(default)]
    pub next_hops: Vec<Hop>,
    /// The tags of frames to l2 backends: those of the first next hop that is configured.
    #[serde(default)]
    pub vlan: Vlan,
    pub source_v4: Ipv4Addr,
    pub source_v6: Ipv6Addr,
    pub ipip_source_v4: Ipv4Addr,
    pub ipip_source_v6: Ipv6Addr,
    #[serde(default = "usual_gue_port", skip_serializing_if = "is_usual_gue_port")]
    pub gue_port: u16,
    pub unmatched_drop: bool,
    pub mtu: u16,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compute_only: bool,
    /// Where nothing is said the card answers nothing, as after its reset.
    #[serde(default, skip_serializing_if = "IcmpLimit::is_none")]
    pub icmp_limit: IcmpLimit,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quic_lb: Vec<u8>,
}

/// A pool and its ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its index.
    pub id: u8,
    /// Its name.
    pub name: String,
    /// How slots are shared out.
    pub algorithm: Algorithm,
    /// Slots of its ring.
    pub size: u32,
    /// The ring's first slot.
    pub base: u32,
    /// Backends with a weight, by ascending address.
    pub members: Vec<PoolMember>,
    /// Which sources' new connections go where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_routes: Vec<SourceRoute>,
}

/// A backend's part in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMember {
    /// The backend's index.
    pub backend: u16,
    /// Its address.
    pub address: IpAddr,
    /// Its weight.
    pub weight: u32,
}

impl Pool {
    /// The ring as the card holds it: backend indices. Empty when no member has a weight.
    #[must_use]
    pub fn ring(&self) -> Vec<u16> {
        if self.members.is_empty() {
            return Vec::new();
        }
        let members: Vec<Member> = self
            .members
            .iter()
            .map(|member| Member {
                address: member.address,
                weight: member.weight,
            })
            .collect();
        let ring = Ring::build(self.algorithm, self.size, &members);
        ring.slots()
            .iter()
            .map(|&slot| {
                if slot == NOBODY {
                    SLOT_EMPTY
                } else {
                    self.members[slot as usize].backend
                }
            })
            .collect()
    }

    /// Whether the ring of `other` is the same, wherever it lies.
    #[must_use]
    pub fn same_ring(&self, other: &Self) -> bool {
        (self.algorithm, self.size, &self.members) == (other.algorithm, other.size, &other.members)
    }
}

/// Why a backend is on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It takes new connections.
    Up,
    /// It is configured with weight 0: it keeps its connections and gets no new ones.
    Resting,
    /// It is not configured any more, but connections may still name it.
    Leaving,
}

impl Life {
    /// The state that the card is told.
    #[must_use]
    pub const fn on_card(self) -> BackendState {
        match self {
            Self::Up => BackendState::Up,
            Self::Resting | Self::Leaving => BackendState::Draining,
        }
    }
}

/// A backend of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its index.
    pub id: u16,
    /// Its pool's name.
    pub pool: String,
    /// Its address.
    pub address: IpAddr,
    /// Its generation: one more than that of the index's last holder.
    pub generation: u8,
    /// Why it is here.
    pub life: Life,
    /// How packets travel to it.
    #[serde(default, skip_serializing_if = "Encap::is_ipip")]
    pub encap: Encap,
    /// The next hop that leads to it, as a position in [`Node::next_hops`]; none: its packets are spread over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<u8>,
    /// What its servers call themselves in clients' packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<u32>,
}

impl Backend {
    /// Its own MAC address, when packets travel there.
    fn station(&self) -> Option<Mac> {
        match self.encap {
            Encap::L2 { mac } => Some(mac),
            _ => None,
        }
    }
}

/// A VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// Its index.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// Its address, or the prefix of its addresses.
    pub address: VipAddress,
    /// Its port; 0: any.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its pool's index.
    pub pool: u8,
    /// How its packets are hashed, and what becomes of misses.
    #[serde(default, skip_serializing_if = "Rules::is_usual")]
    pub rules: Rules,
    /// Its pool's MTU; none: the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
}

impl Vip {
    /// What its packets are known by.
    #[must_use]
    pub fn key(&self) -> (VipAddress, u16, Protocol) {
        (self.address, self.port, self.protocol)
    }
}

/// Why a configuration cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Indices or ring slots have run out.
    #[error("no {0} is free on the card: wait until removed ones have drained, or use fewer")]
    Exhausted(&'static str),
    /// The stored form is not of this version.
    #[error("the stored state is not of this version: {0}")]
    Stored(String),
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            node: Node::blank(),
            pools: Vec::new(),
            backends: Vec::new(),
            vips: Vec::new(),
            next_hops_at: 0,
            stations: Vec::new(),
            retired: Vec::new(),
        }
    }
}

impl Node {
    fn blank() -> Self {
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
        Self {
            mac: None,
            next_hops: Vec::new(),
            vlan: Vlan::Keep,
            source_v4: v4,
            source_v6: v6,
            ipip_source_v4: v4,
            ipip_source_v6: v6,
            gue_port: GUE_PORT,
            unmatched_drop: false,
            mtu: 0,
            compute_only: false,
            icmp_limit: IcmpLimit::default(),
            quic_lb: Vec::new(),
        }
    }

    fn of(config: &Config) -> Self {
        let node = &config.node;
        Self {
            mac: node.mac.map(|mac| mac.0),
            next_hops: node.next_hops.iter().map(Hop::of).collect(),
            vlan: node.next_hops.first().map_or(Vlan::Keep, |hop| hop.vlan),
            source_v4: node.source_v4.unwrap_or(Ipv4Addr::UNSPECIFIED),
            source_v6: node.source_v6.unwrap_or(Ipv6Addr::UNSPECIFIED),
            ipip_source_v4: node.ipip_source_v4,
            ipip_source_v6: node.ipip_source_v6,
            gue_port: node.gue_port,
            unmatched_drop: node.unmatched == Unmatched::Drop,
            mtu: node.mtu,
            compute_only: node.compute_only,
            icmp_limit: node.icmp_limit,
            quic_lb: node.quic_lb.clone(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// GUE's port where nothing is said; stored forms leave it out.
const fn usual_gue_port() -> u16 {
    GUE_PORT
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_usual_gue_port(port: &u16) -> bool {
    *port == GUE_PORT
}

/// The lowest number that nothing uses.
fn free_id(used: &HashSet<usize>, size: usize, what: &'static str) -> Result<usize, StateError> {
    (0..size)
        .find(|id| !used.contains(id))
        .ok_or(StateError::Exhausted(what))
}

fn narrow<T: TryFrom<usize>>(id: usize) -> Result<T, StateError> {
    T::try_from(id).map_err(|_| StateError::Exhausted("index"))
}

impl State {
    /// The state after `config` was applied to this one.
    ///
    /// # Errors
    /// When indices or ring slots have run out. Nothing has happened then.
    pub fn next(&self, config: &Config) -> Result<Self, StateError> {
        let mut next = Self {
            node: Node::of(config),
            retired: self.retired.clone(),
            ..Self::default()
        };
        next.place_next_hops(self)?;
        next.place_backends(self, config)?;
        next.place_pools(self, config)?;
        next.place_vips(self, config)?;
        next.place_stations(self)?;
        next.keep_reach(self, config);
        Ok(next)
    }

    fn place_backends(&mut self, before: &Self, config: &Config) -> Result<(), StateError> {
        let known: HashMap<(&str, IpAddr), &Backend> = before
            .backends
            .iter()
            .map(|b| ((b.pool.as_str(), b.address), b))
            .collect();
        let mut used: HashSet<usize> = before.backends.iter().map(|b| usize::from(b.id)).collect();
        let mut configured = HashSet::new();
        for pool in &config.pools {
            for backend in &pool.backends {
                let life = if backend.weight > 0 {
                    Life::Up
                } else {
                    Life::Resting
                };
                let (id, generation) = match known.get(&(pool.name.as_str(), backend.address)) {
                    Some(known) => (known.id, known.generation),
                    None => {
                        let id = narrow(free_id(&used, BACKENDS, "backend")?)?;
                        (id, self.unretire(id))
                    }
                };
                used.insert(usize::from(id));
                configured.insert(id);
                self.backends.push(Backend {
                    id,
                    pool: pool.name.clone(),
                    address: backend.address,
                    generation,
                    life,
                    encap: backend.encap,
                    next_hop: backend
                        .next_hop
                        .and_then(|hop| self.position_of(&Hop::of(&config.node.next_hops[hop]))),
                    server_id: backend.server_id,
                });
            }
        }
        let leaving = before
            .backends
            .iter()
            .filter(|b| !configured.contains(&b.id))
            .map(|b| Backend {
                life: Life::Leaving,
                next_hop: (b.next_hop)
                    .and_then(|hop| self.position_of(before.node.next_hops.get(usize::from(hop))?)),
                ..b.clone()
            });
        let leaving: Vec<_> = leaving.collect();
        self.backends.extend(leaving);
        self.backends.sort_by_key(|backend| backend.id);
        Ok(())
    }

    /// The generation for a new holder of a backend index.
    fn unretire(&mut self, id: u16) -> u8 {
        match self.retired.iter().position(|&(retired, _)| retired == id) {
            Some(at) => self.retired.swap_remove(at).1.wrapping_add(1),
            None => 1,
        }
    }

    fn place_pools(&mut self, before: &Self, config: &Config) -> Result<(), StateError> {
        let known: HashMap<&str, &Pool> = before
            .pools
            .iter()
            .map(|pool| (pool.name.as_str(), pool))
            .collect();
        let ids: HashMap<(&str, IpAddr), u16> = self
            .backends
            .iter()
            .map(|b| ((b.pool.as_str(), b.address), b.id))
            .collect();
        let mut used: HashSet<usize> = before
            .pools
            .iter()
            .map(|pool| usize::from(pool.id))
            .collect();
        let mut space = Space::new(before.pools.iter().map(|pool| (pool.base, pool.size)));
        let mut pools = Vec::new();
        // in the order in which a plan works them off, so that a region is taken only when it is free by then
        let mut ordered: Vec<_> = config.pools.iter().collect();
        ordered.sort_by_key(|pool| {
            known
                .get(pool.name.as_str())
                .map_or(usize::MAX, |known| usize::from(known.id))
        });
        for pool in ordered {
            let mut members: Vec<PoolMember> = (pool.backends.iter().filter(|b| b.weight > 0))
                .filter_map(|b| {
                    ids.get(&(pool.name.as_str(), b.address))
                        .map(|&backend| PoolMember {
                            backend,
                            address: b.address,
                            weight: b.weight,
                        })
                })
                .collect();
            members.sort_by_key(|member| member.address);
            let mut next = Pool {
                id: 0,
                name: pool.name.clone(),
                algorithm: pool.table,
                size: pool.table_size,
                base: 0,
                members,
                source_routes: pool.source_routes.clone(),
            };
            match known.get(pool.name.as_str()) {
                Some(known) if known.same_ring(&next) => {
                    (next.id, next.base) = (known.id, known.base)
                }
                Some(known) => {
                    // written beside the old ring, whose region is free once the swap is done: before the next pool's turn
                    (next.id, next.base) = (known.id, space.take(next.size)?);
                    space.free(known.base);
                }
                None => {
                    let id = free_id(&used, POOLS, "pool")?;
                    used.insert(id);
                    (next.id, next.base) = (narrow(id)?, space.take(next.size)?);
                }
            }
            pools.push(next);
        }
        pools.sort_by_key(|pool| pool.id);
        self.pools = pools;
        Ok(())
    }

    fn place_vips(&mut self, before: &Self, config: &Config) -> Result<(), StateError> {
        let known: HashMap<_, u16> = before.vips.iter().map(|vip| (vip.key(), vip.id)).collect();
        let pools: HashMap<&str, u8> = self
            .pools
            .iter()
            .map(|pool| (pool.name.as_str(), pool.id))
            .collect();
        let mut used: HashSet<usize> = before.vips.iter().map(|vip| usize::from(vip.id)).collect();
        let mut vips = Vec::new();
        for vip in &config.vips {
            let id = match known.get(&(vip.address, vip.port, vip.protocol)) {
                Some(&id) => id,
                None => narrow(free_id(&used, VIPS, "VIP")?)?,
            };
            used.insert(usize::from(id));
            let pool = pools
                .get(config.pools[vip.pool].name.as_str())
                .copied()
                .unwrap_or_default();
            vips.push(Vip {
                id,
                name: vip.name.clone(),
                address: vip.address,
                port: vip.port,
                protocol: vip.protocol,
                pool,
                rules: vip.rules,
                mtu: config.pools[vip.pool].mtu,
            });
        }
        vips.sort_by_key(|vip| vip.id);
        self.vips = vips;
        Ok(())
    }

    /// What the configuration does not say any more, but packets to backends of the state before still need: those that leave, and
    /// those that get another way, until it is written.
    fn keep_reach(&mut self, before: &Self, config: &Config) {
        let from_own_source = |v6: bool| {
            before
                .backends
                .iter()
                .any(|backend| backend.encap.has_own_source() && backend.address.is_ipv6() == v6)
        };
        if config.node.source_v4.is_none() && from_own_source(false) {
            self.node.source_v4 = before.node.source_v4;
        }
        if config.node.source_v6.is_none() && from_own_source(true) {
            self.node.source_v6 = before.node.source_v6;
        }
    }

    /// The state without those leaving backends that `is_named` does not hold: their indices are free again.
    #[must_use]
    pub fn without_drained(&self, is_named: impl Fn(u16) -> bool) -> Self {
        let mut next = self.clone();
        next.backends
            .retain(|backend| backend.life != Life::Leaving || is_named(backend.id));
        let kept: HashSet<u16> = next.backends.iter().map(|backend| backend.id).collect();
        let gone = self
            .backends
            .iter()
            .filter(|backend| !kept.contains(&backend.id))
            .map(|backend| (backend.id, backend.generation));
        next.retired.extend(gone);
        next.retired.sort_unstable();
        let stations: HashSet<Mac> = next.backends.iter().filter_map(Backend::station).collect();
        next.stations.retain(|(_, mac)| stations.contains(mac));
        next
    }

    /// The pool of this index.
    #[must_use]
    pub fn pool(&self, id: u8) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.id == id)
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> String {
        // maps of strings and numbers always have a JSON form
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The state of a stored form.
    ///
    /// # Errors
    /// When it is none of this version.
    pub fn from_json(text: &str) -> Result<Self, StateError> {
        let state: Self =
            serde_json::from_str(text).map_err(|error| StateError::Stored(error.to_string()))?;
        if state.version == VERSION {
            Ok(state)
        } else {
            Err(StateError::Stored(format!("version {}", state.version)))
        }
    }

    /// SHA-256 over the stored form: what the card's scratch block holds.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_json()).into()
    }
}

/// Which ring regions are free, in beats.
struct Space {
    used: Vec<(u32, u32)>,
}

impl Space {
    fn new(regions: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut used: Vec<(u32, u32)> = regions
            .map(|(base, size)| (base, Self::beats(size)))
            .collect();
        used.sort_unstable();
        Self { used }
    }

    fn beats(size: u32) -> u32 {
        size.next_multiple_of(RING_SLOTS_PER_BEAT as u32)
    }

    fn take(&mut self, size: u32) -> Result<u32, StateError> {
        let need = Self::beats(size);
        let mut base = 0;
        for &(from, held) in &self.used {
            if from - base >= need {
                break;
            }
            base = from + held;
        }
        if base + need > RING_SLOTS as u32 {
            return Err(StateError::Exhausted("ring region"));
        }
        self.used.push((base, need));
        self.used.sort_unstable();
        Ok(base)
    }

    fn free(&mut self, base: u32) {
        self.used.retain(|&(from, _)| from != base);
    }
}

#[cfg(test)]
mod tests;
