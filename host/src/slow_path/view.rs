//! The host's copy of what the card decides by: VIPs, rings, backends.
//!
//! Owns looking a client's packet up in it. It follows the card step by step while a plan is carried out, so that host and card
//! never decide by different rings.

use std::collections::HashMap;
use std::net::IpAddr;

use guideway_hdl::tables::SLOT_EMPTY;

use super::connections::pool_tag;
use super::flow_hash;
use super::packet::ClientPacket;
use crate::config::Protocol;
use crate::control::state::{Backend, Life, State, Vip};

/// A VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipView {
    /// Its index.
    pub id: u16,
    /// Its pool's index.
    pub pool: u8,
}

/// A backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendView {
    /// Its index.
    pub id: u16,
    /// Its pool, by [`pool_tag`].
    pub pool: u64,
    /// Its address.
    pub address: IpAddr,
    /// Its generation.
    pub generation: u8,
    /// Why it is on the card.
    pub life: Life,
}

/// What the card decides by.
#[derive(Clone, Debug, Default)]
pub struct View {
    vips: HashMap<(IpAddr, u16, Protocol), VipView>,
    rings: HashMap<u8, Vec<u16>>,
    backends: HashMap<u16, BackendView>,
    by_identity: HashMap<(u64, IpAddr), u16>,
}

impl View {
    /// The view of a card that is in `state`.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut view = Self::default();
        view.set_backends(state);
        view.set_vips(state);
        for pool in &state.pools {
            view.set_ring(pool.id, pool.ring());
        }
        view
    }

    /// The backends are those of `state` from now on.
    pub fn set_backends(&mut self, state: &State) {
        self.backends.clear();
        self.by_identity.clear();
        for backend in &state.backends {
            self.set_backend(backend);
        }
    }

    /// This backend is as `backend` says from now on.
    pub fn set_backend(&mut self, backend: &Backend) {
        let view = BackendView {
            id: backend.id,
            pool: pool_tag(&backend.pool),
            address: backend.address,
            generation: backend.generation,
            life: backend.life,
        };
        self.backends.insert(view.id, view);
        self.by_identity.insert((view.pool, view.address), view.id);
    }

    /// This VIP is as `vip` says from now on.
    pub fn set_vip(&mut self, vip: &Vip) {
        self.vips.insert(
            vip.key(),
            VipView {
                id: vip.id,
                pool: vip.pool,
            },
        );
    }

    /// This VIP is gone.
    pub fn remove_vip(&mut self, vip: &Vip) {
        self.vips.remove(&vip.key());
    }

    /// The VIPs are those of `state` from now on.
    pub fn set_vips(&mut self, state: &State) {
        self.vips.clear();
        for vip in &state.vips {
            self.set_vip(vip);
        }
    }

    /// The pool's ring is this one from now on.
    pub fn set_ring(&mut self, pool: u8, slots: Vec<u16>) {
        self.rings.insert(pool, slots);
    }

    /// The VIP that a packet is for, and the port that counts in its hash: the exact one first, then any port.
    #[must_use]
    pub fn vip(&self, packet: &ClientPacket) -> Option<(VipView, u16)> {
        let at = |port| {
            self.vips
                .get(&(packet.destination, port, packet.protocol))
                .map(|vip| (*vip, port))
        };
        at(packet.destination_port).or_else(|| at(0))
    }

    /// The backend that the pool's ring names for a packet.
    #[must_use]
    pub fn ring_backend(
        &self,
        pool: u8,
        packet: &ClientPacket,
        hash_port: u16,
    ) -> Option<&BackendView> {
        self.ring_backend_in(self.rings.get(&pool)?, packet, hash_port)
    }

    /// The backend that `ring` names for a packet.
    #[must_use]
    pub fn ring_backend_in(
        &self,
        ring: &[u16],
        packet: &ClientPacket,
        hash_port: u16,
    ) -> Option<&BackendView> {
        let size = u32::try_from(ring.len()).ok().filter(|&size| size > 0)?;
        let slot =
            ring[(flow_hash::of(packet.source, packet.source_port, hash_port) % size) as usize];
        (slot != SLOT_EMPTY)
            .then(|| self.backends.get(&slot))
            .flatten()
    }

    /// A backend by its index.
    #[must_use]
    pub fn backend(&self, id: u16) -> Option<&BackendView> {
        self.backends.get(&id)
    }

    /// A backend by pool and address.
    #[must_use]
    pub fn backend_of(&self, pool: u64, address: IpAddr) -> Option<&BackendView> {
        self.by_identity
            .get(&(pool, address))
            .and_then(|id| self.backends.get(id))
    }

    /// Every VIP: its key and index.
    pub fn vips(&self) -> impl Iterator<Item = (&(IpAddr, u16, Protocol), &VipView)> {
        self.vips.iter()
    }
}
