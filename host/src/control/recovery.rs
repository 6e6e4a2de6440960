//! What a card holds when a host comes to it, told by what the runtime directory knows.
//!
//! Owns the decision between taking a card over and programming it anew. The last host may have died at any point of a plan: each entry
//! is then the old state's or the new one's. The view made here follows the card in that, entry by entry, so that packets are decided
//! as the card decides them until the plan has been carried out again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use guideway_hdl::tables::{
    BackendEntry, NextHopEntry, PoolEntry, QuicId, RING_SLOTS_PER_BEAT, Table, VipEntry,
};

use super::echo;
use super::entries;
use super::host::HostError;
use super::state::{Backend, Pool, State, Vip};
use super::store::Store;
use crate::card::{
    Card, CardError, CardOptions, NextHops, QuicIdTable, Scratch, VipId, VipKey, VipMatchTable,
};
use crate::device::{Device, DeviceError};
use crate::slow_path::view::View;

/// A running card that can be believed.
pub struct Known {
    /// The last state that was whole.
    pub state: State,
    /// The one that the last host was bringing the card to.
    pub unfinished: Option<State>,
    /// What the card decides by: a mixture of the two.
    pub view: View,
    /// What the scratch block says.
    pub scratch: Scratch,
}

/// Opens the card. When it is not known it is blank afterwards.
///
/// # Errors
/// When card or runtime directory cannot be used.
pub fn open(
    connect: &impl Fn() -> Result<Arc<dyn Device>, DeviceError>,
    store: &Store,
) -> Result<(Arc<Card>, Option<Known>), HostError> {
    let card = Card::open(connect()?, CardOptions::default())?;
    if let Some(scratch) = card.read_scratch()? {
        if let Some(known) = known(&card, store, scratch)? {
            return Ok((card, Some(known)));
        }
        tracing::warn!(
            "the card was configured by a host that this runtime directory does not know: it is programmed anew"
        );
    } else if card.is_blank()? {
        return Ok((card, None));
    }
    drop(card);
    let options = CardOptions {
        erase: true,
        ..CardOptions::default()
    };
    Ok((Card::open(connect()?, options)?, None))
}

/// The stored states that the card's digest names, when its tables agree with them.
fn known(card: &Card, store: &Store, scratch: Scratch) -> Result<Option<Known>, HostError> {
    let mut unfinished = store.next_state();
    let mut state = store.state();
    if let Some(next) = unfinished.take_if(|next| next.digest() == scratch.digest) {
        // the last host died between its last write to the card and the renaming of its file
        store
            .commit()
            .map_err(|error| HostError::Io("state.json".into(), error))?;
        state = Some(next);
    }
    let Some(state) = state.filter(|state| state.digest() == scratch.digest) else {
        return Ok(None);
    };
    let view = Tables::read(card)?.view(card, &state, unfinished.as_ref().unwrap_or(&state))?;
    Ok(view.map(|view| Known {
        state,
        unfinished,
        view,
        scratch,
    }))
}

/// The tables that decide about packets, as the card holds them.
struct Tables {
    pools: Vec<PoolEntry>,
    backends: Vec<BackendEntry>,
    hops: Vec<NextHopEntry>,
    vips: Vec<VipEntry>,
    matches: VipMatchTable,
    server_ids: QuicIdTable,
}

impl Tables {
    fn read(card: &Card) -> Result<Self, CardError> {
        Ok(Self {
            pools: card.read_pools()?,
            backends: card.read_backends()?,
            hops: card.read_next_hops()?,
            vips: card.read_vips()?,
            matches: card.read_vip_matches()?,
            server_ids: card.read_quic_ids()?.0,
        })
    }

    /// What the card decides by; `None` when something on it is neither of `old` nor of `new`.
    fn view(&self, card: &Card, old: &State, new: &State) -> Result<Option<View>, CardError> {
        let mut view = View::default();
        let told = self.ids_are_known(old, new)
            && self.backends_into(&mut view, old, new)
            && self.vips_into(&mut view, old, new)
            && self.has_echoes(old, new)
            && self.pools_into(&mut view, card, old, new)?;
        Ok(told.then_some(view))
    }

    /// Each server id is one of the sides', and those of both are there.
    fn ids_are_known(&self, old: &State, new: &State) -> bool {
        let held: HashSet<QuicId> = self.server_ids.iter().copied().collect();
        let ids = |state| -> HashSet<QuicId> { entries::quic_ids(state).into_iter().collect() };
        let (old, new) = (ids(old), ids(new));
        held.iter().all(|id| old.contains(id) || new.contains(id))
            && old.intersection(&new).all(|id| held.contains(id))
    }

    /// A backend is held with all that leads to it: how packets travel, and the next hop that its entry names.
    fn backends_into(&self, view: &mut View, old: &State, new: &State) -> bool {
        let by_id = |state: &'_ State| -> HashMap<u16, Backend> {
            let known = state.backends.iter();
            known.map(|known| (known.id, known.clone())).collect()
        };
        let known = [by_id(new), by_id(old)];
        (0..).zip(&self.backends).all(|(id, entry)| {
            let sides = [known[0].get(&id), known[1].get(&id)];
            let held = sides.into_iter().zip([new, old]).find_map(|(side, state)| {
                side.filter(|side| entries::backend(side, state).to_entry() == *entry)
            });
            match held {
                Some(backend) => view.set_backend(backend),
                None => return is_absent(sides, entry),
            }
            NextHops::from_entry(entry)
                .ids()
                .all(|id| self.has_hop(id, old, new))
        })
    }

    /// Whether the next hop is that of one of the sides. Of those that no backend names nothing is known: they are never cleared.
    fn has_hop(&self, id: u8, old: &State, new: &State) -> bool {
        let held = self.hops.get(usize::from(id));
        [new, old].into_iter().any(|state| {
            entries::next_hop(id, state).is_some_and(|hop| held == Some(&hop.to_entry()))
        })
    }

    fn vips_into(&self, view: &mut View, old: &State, new: &State) -> bool {
        let mut names: HashMap<VipKey, [Option<&Vip>; 2]> = HashMap::new();
        for (side, state) in [new, old].into_iter().enumerate() {
            for vip in &state.vips {
                names.entry(entries::vip_key(vip)).or_default()[side] = Some(vip);
            }
        }
        let strangers = self
            .matches
            .iter()
            .any(|(key, _)| !names.contains_key(&key) && !echo::is_key(&key));
        !strangers
            && names.iter().all(|(key, sides)| {
                let Some(VipId(id)) = self.matches.get(key) else {
                    return sides.contains(&None);
                };
                let entry = self.vips.get(usize::from(id));
                let mtus = [new.node.mtu, old.node.mtu];
                let held = sides.iter().zip(mtus).find_map(|(side, mtu)| {
                    side.filter(|vip| vip.id == id && entry == Some(&entries::vip(vip, mtu)))
                });
                held.map(|vip| view.set_vip(vip)).is_some()
            })
    }

    /// Whether each address answers echo requests, for which VIP, as one of the sides says.
    fn has_echoes(&self, old: &State, new: &State) -> bool {
        let sides = [echo::answering(new), echo::answering(old)];
        let held = self.matches.iter().map(|(key, _)| key);
        let wanted = (sides.iter()).flat_map(|side| side.keys().map(|&address| echo::key(address)));
        held.filter(echo::is_key).chain(wanted).all(|key| {
            let vip = self.matches.get(&key);
            (sides.iter()).any(|side| side.get(&key.address).copied() == vip)
        })
    }

    fn pools_into(
        &self,
        view: &mut View,
        card: &Card,
        old: &State,
        new: &State,
    ) -> Result<bool, CardError> {
        for (id, entry) in (0..).zip(&self.pools) {
            let sides = [new.pool(id), old.pool(id)];
            let held = |side: &&Pool| entries::pool(side).to_entry().ok().as_ref() == Some(entry);
            let ring = match sides.into_iter().flatten().find(held) {
                Some(pool) => pool.ring(),
                None if is_absent(sides, entry) => continue,
                None => return Ok(false),
            };
            if !holds_ring(card, entry, &ring)? {
                return Ok(false);
            }
            view.set_ring(id, ring);
        }
        Ok(true)
    }
}

/// Whether an entry is empty because one of the sides has nothing there.
fn is_absent<T, E: Default + PartialEq>(sides: [Option<&T>; 2], entry: &E) -> bool {
    sides.iter().any(Option::is_none) && *entry == E::default()
}

/// Whether the slots that `pool` names are those of `ring`.
fn holds_ring(card: &Card, pool: &PoolEntry, ring: &[u16]) -> Result<bool, CardError> {
    let beats = u32::try_from(ring.len().div_ceil(RING_SLOTS_PER_BEAT)).unwrap_or(u32::MAX);
    if beats == 0 {
        return Ok(true);
    }
    let first = pool.ring_base / RING_SLOTS_PER_BEAT as u32;
    Ok(card.digest(Table::Ring, first, beats)? == Card::ring_digest(ring))
}
