//! Carrying a plan out, a step at a time, between turns of the packet loop.
//!
//! Owns what each step does on the card and in the host's copy of it ([`crate::slow_path::view::View`]), in which order.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use guideway_hdl::tables::QuicId;

use super::echo;
use super::entries;
use super::plan::{Step, plan};
use super::state::{Pool, State, Vip};
use super::store::Store;
use crate::card::{
    BackendId, Card, CardError, Control, NextHopId, PoolId, QuicIdTable, Scratch, Sources,
    VipAddress, VipId, VipMatchTable,
};
use crate::slow_path::pin::Pinned;
use crate::slow_path::poll::SlowPath;
use crate::slow_path::routes::Routes;
use crate::slow_path::view::{Matched, VipView};

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
    /// The slow path sends by the ways of `next`.
    announced: bool,
    matches: VipMatchTable,
    server_ids: QuicIdTable,
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
        let matches = card.tidy_vip_matches()?;
        let server_ids = card.tidy_quic_ids()?;
        Ok(Self {
            card: Arc::clone(card),
            store,
            scratch,
            state,
            next: None,
            announced: false,
            matches,
            server_ids,
            pinned: Pinned::default(),
            commits: 0,
        })
    }

    /// The state that the card is in.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Hosts that have taken the card, this one included.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.scratch.generation
    }

    /// Nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.next.is_none()
    }

    /// Whether all keys of `next` find a place on this card, in the order in which a plan writes them.
    ///
    /// # Errors
    /// The key that finds none.
    pub fn check_keys(&self, next: &State) -> Result<(), CardError> {
        let mut matches = self.matches.clone();
        let place = |vip: &Vip| (entries::vip_key(vip), VipId(vip.id));
        let vips: Vec<_> = next.vips.iter().map(place).collect();
        let answering = echo::answering(next);
        let echoes: Vec<_> = (answering.iter())
            .map(|(&address, &vip)| (echo::key(address), vip))
            .collect();
        let held: Vec<_> = matches.iter().map(|(key, _)| key).collect();
        for key in held {
            if !vips.iter().chain(&echoes).any(|(kept, _)| *kept == key) {
                matches.remove(&key);
            }
        }
        for &(key, vip) in vips.iter().chain(&echoes) {
            matches.insert(key, vip)?;
        }
        Ok(())
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
            self.announced = false;
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
        if !self.announced {
            slow_path.outer.change(&next);
            self.announced = true;
        }
        self.carry_out(step, &next, slow_path)?;
        if steps.is_empty() {
            slow_path.view.set_backends(&next);
            slow_path.view.set_vips(&next);
            slow_path.view.routes = Routes::of(&next);
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
            Step::NextHop(id) => self.write_next_hop(id, next)?,
            Step::Backend(id) => self.write_backend(id, next, slow_path)?,
            Step::WriteRing(id) => self.write_ring(id, next)?,
            Step::SwapRing(id) => self.swap_ring(id, next, slow_path)?,
            Step::ChangeVip(id) => self.change_vip(id, next, slow_path)?,
            Step::AddVip(id) => self.add_vip(id, next, slow_path)?,
            Step::SetEcho(address) => self.set_echo(address, next)?,
            Step::ClearEcho(address) => self.clear_echo(address)?,
            Step::RemoveVip(id) => self.remove_vip(id, slow_path)?,
            Step::WriteServerIds => self.write_server_ids(next)?,
            Step::ClearServerIds => self.clear_server_ids(next)?,
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
        self.card.set_gue_port(node.gue_port)?;
        self.card.share_egress()?;
        self.card.set_icmp_limit(&node.icmp_limit)?;
        self.card.set_quic_lb(&node.quic_lb)?;
        self.card
            .set_mac(node.mac.unwrap_or_default(), node.mac.is_some())?;
        let control = self.card.control()?;
        self.card.set_control(Control {
            unmatched_drop: node.unmatched_drop,
            compute_only: node.compute_only,
            ..control
        })
    }

    fn write_next_hop(&self, id: u8, next: &State) -> Result<(), CardError> {
        let Some(next_hop) = entries::next_hop(id, next) else {
            return Ok(());
        };
        // whoever was reached by this index before: no packet for it is on its way any more
        self.card.fence()?;
        self.card.write_next_hop(NextHopId(id), &next_hop)
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
        // one write: a flow that lives goes on to its backend, from one packet to the next by the new way
        self.card
            .write_backend(BackendId(id), &entries::backend(backend, next))?;
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
        let pin = |slow_path: &mut SlowPath| {
            slow_path.pin(|view, key, _| {
                let matched = view.vip_of_connection(key)?;
                (matched.vip.pool == id).then_some((matched, ring.as_slice()))
            })
        };
        self.pin_around(slow_path, pin, |this| {
            this.card.write_pool(PoolId(id), &entries::pool(pool))
        })?;
        // from here on the old region is nobody's
        slow_path.view.set_ring(id, ring);
        Ok(())
    }

    /// Pins what `write` is going to move, writes, and waits until no packet is on its way by the old rule. Flows that the card learned by
    /// that rule meanwhile are pinned then: no more of them come.
    fn pin_around(
        &mut self,
        slow_path: &mut SlowPath,
        pin: impl Fn(&mut SlowPath) -> Result<Pinned, CardError>,
        write: impl FnOnce(&mut Self) -> Result<(), CardError>,
    ) -> Result<(), CardError> {
        slow_path.catch_up()?;
        pin(slow_path)?;
        write(self)?;
        self.card.fence()?;
        slow_path.catch_up()?;
        let pinned = pin(slow_path)?;
        self.add_pinned(pinned);
        Ok(())
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
        let ring = next.pool(vip.pool).map_or_else(Vec::new, Pool::ring);
        let pin = |slow_path: &mut SlowPath| {
            slow_path.pin(|view, key, _| {
                let matched = view.vip_of_connection(key)?;
                let changed = Matched {
                    vip: VipView::of(vip),
                    ..matched
                };
                (matched.vip.id == id).then_some((changed, ring.as_slice()))
            })
        };
        self.pin_around(slow_path, pin, |this| this.write_vip(vip, next))?;
        slow_path.view.set_vip(vip);
        Ok(())
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
        // flows of a wider VIP that this one takes over keep their backends
        let ring = next.pool(vip.pool).map_or_else(Vec::new, Pool::ring);
        let view = VipView::of(vip);
        let pin = |slow_path: &mut SlowPath| {
            slow_path.pin(|known, key, connection| {
                Some((known.taken_by(&view, key, connection)?, ring.as_slice()))
            })
        };
        self.pin_around(slow_path, pin, |this| {
            let writes = this.matches.insert(entries::vip_key(vip), VipId(id))?;
            this.card.write_vip_matches(&writes)
        })?;
        slow_path.view.set_vip(vip);
        Ok(())
    }

    fn set_echo(&mut self, address: VipAddress, next: &State) -> Result<(), CardError> {
        let Some(&vip) = echo::answering(next).get(&address) else {
            return Ok(());
        };
        let writes = self.matches.insert(echo::key(address), vip)?;
        self.card.write_vip_matches(&writes)
    }

    fn clear_echo(&mut self, address: VipAddress) -> Result<(), CardError> {
        match self.matches.remove(&echo::key(address)) {
            Some(write) => self.card.write_vip_matches(&[write]),
            None => Ok(()),
        }
    }

    fn remove_vip(&mut self, id: u16, slow_path: &mut SlowPath) -> Result<(), CardError> {
        let Some(vip) = self.state.vips.iter().find(|vip| vip.id == id).cloned() else {
            return Ok(());
        };
        // and so do flows that fall to a wider VIP
        let pin = |slow_path: &mut SlowPath| slow_path.pin_left_by(id);
        self.pin_around(slow_path, pin, |this| {
            match this.matches.remove(&entries::vip_key(&vip)) {
                Some(write) => this.card.write_vip_matches(&[write]),
                None => Ok(()),
            }
        })?;
        slow_path.view.remove_vip(&vip);
        slow_path.forget_vip(id, vip.key())
    }

    fn write_server_ids(&mut self, next: &State) -> Result<(), CardError> {
        for entry in entries::quic_ids(next) {
            let writes = self.server_ids.put(entry)?;
            self.card.write_quic_ids(&writes)?;
        }
        Ok(())
    }

    fn clear_server_ids(&mut self, next: &State) -> Result<(), CardError> {
        let stay: HashSet<QuicId> = entries::quic_ids(next).into_iter().collect();
        let writes = self.server_ids.retain(|entry| stay.contains(entry));
        self.card.write_quic_ids(&writes)
    }

    fn write_vip(&self, vip: &Vip, next: &State) -> Result<(), CardError> {
        self.card
            .write_vip(VipId(vip.id), &entries::vip(vip, next.node.mtu))
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
