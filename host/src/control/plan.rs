//! From one state of the card to the next: the steps, in the order that keeps every packet whole.
//!
//! Owns the order. What must be there first comes first (backends before the ring that names them, a ring before the pool that names
//! it, a VIP's entry before its key), what goes is told last. Each step is one thing on the card; doing it twice does no harm, so
//! that a plan that a crash cut short is simply carried out again.

use std::collections::{HashMap, HashSet};
use std::fmt;

use guideway_hdl::tables::{NEXT_HOPS, QuicId};

use super::echo;
use super::entries;
use super::state::{Backend, Life, State};
use crate::card::VipAddress;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Registers: addresses, MAC, what becomes of unmatched frames.
    Node,
    /// A next hop: one of the node's, or an l2 backend's own.
    NextHop(u8),
    /// A backend's entry.
    Backend(u16),
    /// A pool's ring, into a region that nothing uses.
    WriteRing(u8),
    /// Flows that the new ring would move are pinned, then the pool names the new ring; fenced.
    SwapRing(u8),
    /// A VIP that exists gets another pool, rules or MTU; flows that this moves are pinned first; fenced.
    ChangeVip(u16),
    /// A new VIP: its entry, then its key; flows that it takes from a wider one are pinned before.
    AddVip(u16),
    /// Echo requests to these addresses count for the first VIP of theirs that answers: the key is written.
    SetEcho(VipAddress),
    /// Echo requests to these addresses are answered no more.
    ClearEcho(VipAddress),
    /// A VIP goes: its key, then (fenced) its flows; those that fall to a wider one are pinned before.
    RemoveVip(u16),
    /// QUIC server ids that are new, or lead elsewhere.
    WriteServerIds,
    /// QUIC server ids go that lead nowhere any more.
    ClearServerIds,
    /// A pool that no VIP names goes.
    ClearPool(u8),
    /// A backend that nothing names goes.
    ClearBackend(u16),
    /// The new state's digest is written to the card: the change is whole.
    Commit,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("set the node's addresses"),
            Self::NextHop(id) => write!(f, "write next hop {id}"),
            Self::Backend(id) => write!(f, "write backend {id}"),
            Self::WriteRing(id) => write!(f, "write the ring of pool {id}"),
            Self::SwapRing(id) => write!(f, "swap the ring of pool {id}"),
            Self::ChangeVip(id) => write!(f, "change VIP {id}"),
            Self::AddVip(id) => write!(f, "add VIP {id}"),
            Self::SetEcho(address) => write!(f, "answer echo requests to {address}"),
            Self::ClearEcho(address) => write!(f, "answer no echo requests to {address}"),
            Self::RemoveVip(id) => write!(f, "remove VIP {id}"),
            Self::WriteServerIds => f.write_str("write QUIC server ids"),
            Self::ClearServerIds => f.write_str("clear QUIC server ids"),
            Self::ClearPool(id) => write!(f, "clear pool {id}"),
            Self::ClearBackend(id) => write!(f, "clear backend {id}"),
            Self::Commit => f.write_str("commit"),
        }
    }
}

/// The steps from `old` to `new`; empty when they are equal.
#[must_use]
pub fn plan(old: &State, new: &State) -> Vec<Step> {
    if old == new {
        return Vec::new();
    }
    let mut steps = Vec::new();
    if old.node != new.node {
        steps.push(Step::Node);
    }
    let hops = (0..).take(NEXT_HOPS).filter(|&id| {
        let hop = entries::next_hop(id, new);
        hop.is_some() && hop != entries::next_hop(id, old)
    });
    steps.extend(hops.map(Step::NextHop));
    let known: HashMap<u16, &Backend> = old
        .backends
        .iter()
        .map(|backend| (backend.id, backend))
        .collect();
    let changed = |backend: &&Backend| {
        known.get(&backend.id).is_none_or(|before| {
            before != backend || entries::backend(before, old) != entries::backend(backend, new)
        })
    };
    let (early, late): (Vec<&Backend>, Vec<&Backend>) = new
        .backends
        .iter()
        .filter(changed)
        .partition(|backend| backend.life == Life::Up || !known.contains_key(&backend.id));
    steps.extend(early.iter().map(|backend| Step::Backend(backend.id)));
    let ids = [old, new].map(|state| HashSet::from_iter(entries::quic_ids(state)));
    let [old_ids, new_ids]: [HashSet<QuicId>; 2] = ids;
    if !new_ids.is_subset(&old_ids) {
        steps.push(Step::WriteServerIds);
    }
    ring_steps(old, new, &mut steps);
    let (answered, answering) = (echo::answering(old), echo::answering(new));
    let silent = answered
        .keys()
        .filter(|address| !answering.contains_key(address));
    steps.extend(silent.map(|&address| Step::ClearEcho(address)));
    vip_steps(old, new, &mut steps);
    // behind the entries, which say that their VIPs answer
    let others = answering
        .iter()
        .filter(|&(address, vip)| answered.get(address) != Some(vip));
    steps.extend(others.map(|(&address, _)| Step::SetEcho(address)));
    steps.extend(late.iter().map(|backend| Step::Backend(backend.id)));
    if !old_ids.is_subset(&new_ids) {
        steps.push(Step::ClearServerIds);
    }
    let pools: HashSet<u8> = new.pools.iter().map(|pool| pool.id).collect();
    steps.extend(
        old.pools
            .iter()
            .filter(|pool| !pools.contains(&pool.id))
            .map(|pool| Step::ClearPool(pool.id)),
    );
    let backends: HashSet<u16> = new.backends.iter().map(|backend| backend.id).collect();
    steps.extend(
        old.backends
            .iter()
            .filter(|backend| !backends.contains(&backend.id))
            .map(|backend| Step::ClearBackend(backend.id)),
    );
    steps.push(Step::Commit);
    steps
}

/// One pool after the other: a region is used again only after the fence of the swap that freed it.
fn ring_steps(old: &State, new: &State, steps: &mut Vec<Step>) {
    let stays = |pool: &&super::state::Pool| old.pool(pool.id).is_some();
    let (known, fresh): (Vec<_>, Vec<_>) = new.pools.iter().partition(stays);
    for pool in known.into_iter().chain(fresh) {
        if old
            .pool(pool.id)
            .is_none_or(|before| before.base != pool.base || !before.same_ring(pool))
        {
            steps.extend([Step::WriteRing(pool.id), Step::SwapRing(pool.id)]);
        }
    }
}

fn vip_steps(old: &State, new: &State, steps: &mut Vec<Step>) {
    let before: HashMap<u16, _> = old
        .vips
        .iter()
        .map(|vip| (vip.id, (vip.key(), entries::vip(vip, old.node.mtu))))
        .collect();
    let after: HashMap<u16, _> = new.vips.iter().map(|vip| (vip.id, vip.key())).collect();
    let gone = old
        .vips
        .iter()
        .filter(|vip| after.get(&vip.id) != Some(&vip.key()));
    steps.extend(gone.map(|vip| Step::RemoveVip(vip.id)));
    for vip in &new.vips {
        match before.get(&vip.id) {
            Some((key, entry)) if *key == vip.key() => {
                if *entry != entries::vip(vip, new.node.mtu) {
                    steps.push(Step::ChangeVip(vip.id));
                }
            }
            _ => steps.push(Step::AddVip(vip.id)),
        }
    }
}

#[cfg(test)]
mod tests;
