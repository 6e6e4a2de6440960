//! Carrying a plan out, a step at a time, between turns of the packet loop.
//!
//! Owns what each step does on the card and in the host's copy of it ([`crate::slow_path::view::View`]), in which order.

use std::collections::VecDeque;
use std::sync::Arc;

use guideway_hdl::tables::{Encap, MissPolicy, RING_SLOTS_PER_BEAT, Table, VipEntry};

use super::plan::{Step, plan};
use super::state::{Pool, State, Vip};
use super::store::Store;
use crate::card::{
    Backend, BackendId, Card, CardError, Control, NextHop, NextHopId, PoolId, Scratch, Sources,
    VipId, VipKey, VipMatchTable,
};
use crate::slow_path::pin::Pinned;
use crate::slow_path::poll::SlowPath;

/// The one next hop of this build.
const NEXT_HOP: NextHopId = NextHopId(0);

/// Why a plan stopped.
#[derive(Debug, thiserror::Error)]
pub enum CarryOutError {
    /// The card failed.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The runtime directory failed.
    #[error("the runtime directory: {0}")]
    Store(#[from] std::io::Error),
}

/// The card's state, and the way to the next one.
pub struct Deployment {
    card: Arc<Card>,
    store: Option<Store>,
    scratch: Scratch,
    state: State,
    next: Option<(State, VecDeque<Step>)>,
    matches: VipMatchTable,
    /// Ring swaps and VIP changes: flows that were pinned for them.
    pub pinned: Pinned,
    /// Plans that were carried out whole.
    pub commits: u64,
}

impl Deployment {
    /// A deployment on a card that is in `state`; `scratch` is what its scratch block says from now on.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn new(
        card: &Arc<Card>,
        store: Option<Store>,
        scratch: Scratch,
        state: State,
    ) -> Result<Self, CardError> {
        let matches = card.read_vip_matches()?;
        Ok(Self {
            card: Arc::clone(card),
            store,
            scratch,
            state,
            next: None,
            matches,
            pinned: Pinned::default(),
            commits: 0,
        })
    }

    /// The state that the card is in.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.next.is_none()
    }

    /// Begins to bring the card to `next`, and returns how many steps that takes.
    ///
    /// # Errors
    /// When the runtime directory cannot be written; nothing has happened then.
    pub fn begin(&mut self, next: State) -> Result<usize, CarryOutError> {
        let steps: VecDeque<Step> = plan(&self.state, &next).into();
        let count = steps.len();
        if count > 0 {
            if let Some(store) = &self.store {
                store.begin(&next)?;
            }
            self.next = Some((next, steps));
        }
        Ok(count)
    }

    /// Does the next step; `None` when nothing is left to do.
    ///
    /// # Errors
    /// When the card cannot be reached. The card is then somewhere on its way, with every packet whole.
    pub fn step(&mut self, slow_path: &mut SlowPath) -> Result<Option<Step>, CarryOutError> {
        let Some((next, mut steps)) = self.next.take() else {
            return Ok(None);
        };
        let Some(step) = steps.pop_front() else {
            return Ok(None);
        };
        tracing::debug!(%step, "step");
        self.carry_out(step, &next, slow_path)?;
        if steps.is_empty() {
            slow_path.view.set_backends(&next);
            slow_path.view.set_vips(&next);
            self.state = next;
            self.commits += 1;
        } else {
            self.next = Some((next, steps));
        }
        Ok(Some(step))
    }

    /// Does all steps that are left.
    ///
    /// # Errors
    /// As [`Deployment::step`].
    pub fn finish(&mut self, slow_path: &mut SlowPath) -> Result<(), CarryOutError> {
        while self.step(slow_path)?.is_some() {}
        Ok(())
    }

    fn carry_out(
        &mut self,
        step: Step,
        next: &State,
        slow_path: &mut SlowPath,
    ) -> Result<(), CarryOutError> {
        match step {
            Step::Node => self.write_node(next)?,
            Step::NextHop => self.write_next_hop(next)?,
            Step::Backend(id) => self.write_backend(id, next, slow_path)?,
            Step::WriteRing(id) => self.write_ring(id, next)?,
            Step::SwapRing(id) => self.swap_ring(id, next, slow_path)?,
            Step::ChangeVip(id) => self.change_vip(id, next, slow_path)?,
            Step::AddVip(id) => self.add_vip(id, next, slow_path)?,
            Step::RemoveVip(id) => self.remove_vip(id, slow_path)?,
            Step::ClearPool(id) => {
                self.card
                    .write_pool(PoolId(id), &crate::card::Pool::default())?;
                slow_path.view.set_ring(id, Vec::new());
            }
            Step::ClearBackend(id) => {
                self.card.clear_backend(BackendId(id))?;
                self.card.fence()?;
            }
            Step::Commit => self.commit(next)?,
        }
        Ok(())
    }

    fn write_node(&self, next: &State) -> Result<(), CardError> {
        let node = &next.node;
        self.card.set_sources(&Sources {
            ipip_v4: node.ipip_source_v4,
            ipip_v6: node.ipip_source_v6,
            v4: node.source_v4,
            v6: node.source_v6,
        })?;
        self.card
            .set_mac(node.mac.unwrap_or_default(), node.mac.is_some())?;
        let control = self.card.control()?;
        self.card.set_control(Control {
            unmatched_drop: node.unmatched_drop,
            ..control
        })
    }

    fn write_next_hop(&self, next: &State) -> Result<(), CardError> {
        let hop = NextHop {
            destination: next.node.next_hop.unwrap_or_default(),
            source: next.node.mac,
        };
        self.card.write_next_hop(NEXT_HOP, &hop)
    }

    fn write_backend(
        &self,
        id: u16,
        next: &State,
        slow_path: &mut SlowPath,
    ) -> Result<(), CardError> {
        let Some(backend) = next.backends.iter().find(|backend| backend.id == id) else {
            return Ok(());
        };
        let entry = Backend {
            state: backend.life.on_card(),
            encap: Encap::Ipip,
            generation: backend.generation,
            next_hop: NEXT_HOP,
            address: backend.address,
        };
        self.card.write_backend(BackendId(id), &entry)?;
        slow_path.view.set_backend(backend);
        Ok(())
    }

    fn write_ring(&self, id: u8, next: &State) -> Result<(), CardError> {
        match next.pool(id) {
            Some(pool) if !pool.members.is_empty() => self.card.write_ring(pool.base, &pool.ring()),
            _ => Ok(()),
        }
    }

    fn swap_ring(
        &mut self,
        id: u8,
        next: &State,
        slow_path: &mut SlowPath,
    ) -> Result<(), CardError> {
        let Some(pool) = next.pool(id) else {
            return Ok(());
        };
        let ring = pool.ring();
        let pinned = slow_path.pin(|vip| (vip.pool == id).then_some(ring.as_slice()))?;
        self.add_pinned(pinned);
        self.card.write_pool(PoolId(id), &on_card(pool))?;
        slow_path.view.set_ring(id, ring);
        // from here on the old region is nobody's
        self.card.fence()
    }

    fn change_vip(
        &mut self,
        id: u16,
        next: &State,
        slow_path: &mut SlowPath,
    ) -> Result<(), CardError> {
        let Some(vip) = next.vips.iter().find(|vip| vip.id == id) else {
            return Ok(());
        };
        if let Some(pool) = next.pool(vip.pool) {
            let ring = pool.ring();
            let pinned = slow_path.pin(|view| (view.id == id).then_some(ring.as_slice()))?;
            self.add_pinned(pinned);
        }
        self.write_vip(vip, next)?;
        slow_path.view.set_vip(vip);
        self.card.fence()
    }

    fn add_vip(
        &mut self,
        id: u16,
        next: &State,
        slow_path: &mut SlowPath,
    ) -> Result<(), CardError> {
        let Some(vip) = next.vips.iter().find(|vip| vip.id == id) else {
            return Ok(());
        };
        self.write_vip(vip, next)?;
        slow_path.view.set_vip(vip);
        let writes = self.matches.insert(vip_key(vip), VipId(id))?;
        self.card.write_vip_matches(&writes)
    }

    fn remove_vip(&mut self, id: u16, slow_path: &mut SlowPath) -> Result<(), CardError> {
        let Some(vip) = self.state.vips.iter().find(|vip| vip.id == id) else {
            return Ok(());
        };
        if let Some(write) = self.matches.remove(&vip_key(vip)) {
            self.card.write_vip_matches(&[write])?;
        }
        self.card.fence()?;
        slow_path.view.remove_vip(vip);
        slow_path.forget_vip(id, vip.key())
    }

    fn write_vip(&self, vip: &Vip, next: &State) -> Result<(), CardError> {
        let entry = VipEntry {
            pool: vip.pool,
            miss_policy: MissPolicy::Punt.raw(),
            mtu: next.node.mtu,
            ..VipEntry::default()
        };
        self.card.write_vip(VipId(vip.id), &entry)
    }

    fn commit(&mut self, next: &State) -> Result<(), CarryOutError> {
        self.scratch.digest = next.digest();
        self.card.write_scratch(&self.scratch)?;
        if let Some(store) = &self.store {
            store.commit()?;
        }
        Ok(())
    }

    fn add_pinned(&mut self, more: Pinned) {
        self.pinned.moved += more.moved;
        self.pinned.without_place += more.without_place;
    }
}

/// A pool as the card's table holds it.
fn on_card(pool: &Pool) -> crate::card::Pool {
    if pool.members.is_empty() {
        crate::card::Pool::default()
    } else {
        crate::card::Pool {
            ring_base: pool.base,
            ring_size: pool.size,
        }
    }
}

fn vip_key(vip: &Vip) -> VipKey {
    VipKey {
        address: vip.address,
        port: vip.port,
        protocol: vip.protocol.into(),
    }
}

/// Whether the card holds what `state` says: pools and the rings that they name.
///
/// # Errors
/// When the card cannot be reached.
pub fn verify(card: &Card, state: &State) -> Result<bool, CardError> {
    let pools = card.read_pools()?;
    for pool in &state.pools {
        let entry = pools
            .get(usize::from(pool.id))
            .map(crate::card::Pool::from_entry);
        if entry != Some(on_card(pool)) {
            return Ok(false);
        }
        let ring = pool.ring();
        let beats = u32::try_from(ring.len().div_ceil(RING_SLOTS_PER_BEAT)).unwrap_or(u32::MAX);
        if beats > 0
            && card.digest(Table::Ring, pool.base / RING_SLOTS_PER_BEAT as u32, beats)?
                != Card::ring_digest(&ring)
        {
            return Ok(false);
        }
    }
    let backends = card.read_backends()?;
    let same = |backend: &super::state::Backend| {
        let entry = backends
            .get(usize::from(backend.id))
            .and_then(Backend::from_entry);
        entry.is_some_and(|entry| {
            (entry.address, entry.generation, entry.state)
                == (backend.address, backend.generation, backend.life.on_card())
        })
    };
    Ok(state.backends.iter().all(same))
}
