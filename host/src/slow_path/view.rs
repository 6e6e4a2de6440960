//! The host's copy of what the card decides by: VIPs, rings, backends.
//!
//! Owns looking a client's packet up in it. It follows the card step by step while a plan is carried out, so that host and card
//! never decide by different rings.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use guideway_hdl::tables::SLOT_EMPTY;

use super::connections::{Connection, ConnectionKey, pool_tag};
use super::flow_hash;
use super::packet::ClientPacket;
use super::routes::Routes;
use crate::card::{Rules, VipAddress};
use crate::config::Protocol;
use crate::control::state::{Backend, Life, State, Vip};

/// A VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipView {
    /// Its index.
    pub id: u16,
    /// Its address, or the prefix of its addresses.
    pub address: VipAddress,
    /// Its port; 0: any.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its pool's index.
    pub pool: u8,
    /// How its packets are hashed, and what becomes of misses.
    pub rules: Rules,
    /// Its pool's MTU; none: the node's.
    pub mtu: Option<u16>,
}

impl VipView {
    /// A VIP of a state.
    #[must_use]
    pub fn of(vip: &Vip) -> Self {
        Self {
            id: vip.id,
            address: vip.address,
            port: vip.port,
            protocol: vip.protocol,
            pool: vip.pool,
            rules: vip.rules,
            mtu: vip.mtu,
        }
    }

    /// How narrow its key is: of two that match a packet the greater one is its VIP.
    fn rank(&self) -> (u8, bool) {
        (self.address.length(), self.port != 0)
    }
}

/// A packet's VIP, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// The VIP.
    pub vip: VipView,
    /// By its exact key: address, port and protocol.
    pub exact: bool,
}

impl Matched {
    /// The match of a packet to this port by the VIP's key.
    fn by(vip: VipView, destination_port: u16) -> Self {
        Self {
            vip,
            exact: vip.address.one().is_some() && vip.port == destination_port,
        }
    }

    /// The hash of a packet with these fields.
    #[must_use]
    pub fn hash(&self, source: IpAddr, source_port: u16, destination_port: u16) -> u32 {
        let options = &self.vip.rules.hash;
        flow_hash::with_options(options, self.exact, source, (source_port, destination_port))
    }

    /// What of its flow's hash chooses a packet's next hop: the upper 8 bits.
    #[must_use]
    pub fn spread(&self, packet: &ClientPacket) -> u8 {
        (self.hash(packet.source, packet.source_port, packet.destination_port) >> 24) as u8
    }
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
    vips: HashMap<(VipAddress, u16, Protocol), VipView>,
    /// Prefixes among the VIPs' addresses, each once, the longest first.
    prefixes: Vec<VipAddress>,
    rings: HashMap<u8, Vec<u16>>,
    backends: HashMap<u16, BackendView>,
    by_identity: HashMap<(u64, IpAddr), u16>,
    /// What decides before the ring.
    pub routes: Routes,
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
        view.routes = Routes::of(state);
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
        self.vips.insert(vip.key(), VipView::of(vip));
        self.order_prefixes();
    }

    fn order_prefixes(&mut self) {
        let addresses = self.vips.values().map(|vip| vip.address);
        self.prefixes = addresses
            .filter(|address| address.one().is_none())
            .collect();
        (self.prefixes).sort_unstable_by_key(|prefix| (Reverse(prefix.length()), *prefix));
        self.prefixes.dedup();
    }

    /// This VIP is gone.
    pub fn remove_vip(&mut self, vip: &Vip) {
        self.vips.remove(&vip.key());
        self.order_prefixes();
    }

    /// The VIPs are those of `state` from now on.
    pub fn set_vips(&mut self, state: &State) {
        self.vips.clear();
        self.prefixes.clear();
        for vip in &state.vips {
            self.set_vip(vip);
        }
    }

    /// The pool's ring is this one from now on.
    pub fn set_ring(&mut self, pool: u8, slots: Vec<u16>) {
        self.rings.insert(pool, slots);
    }

    /// The VIP that a packet is for (`CARD.md`, section 3): by its exact key first, then by any port, then by the longest prefix.
    #[must_use]
    pub fn vip(&self, packet: &ClientPacket) -> Option<Matched> {
        self.vip_of(
            packet.destination.into(),
            packet.destination_port,
            packet.protocol,
        )
    }

    /// The VIP that packets to all of these addresses are for.
    #[must_use]
    pub fn vip_of(
        &self,
        destination: VipAddress,
        port: u16,
        protocol: Protocol,
    ) -> Option<Matched> {
        self.matches(destination, port, protocol).next()
    }

    /// All VIPs that packets to all of these addresses match, the one that they are for first.
    fn matches(
        &self,
        destination: VipAddress,
        port: u16,
        protocol: Protocol,
    ) -> impl Iterator<Item = Matched> {
        let holding = (self.prefixes.iter()).filter(move |prefix| prefix.holds(&destination));
        (destination.one().map(|_| destination).into_iter())
            .chain(holding.copied())
            .flat_map(move |address| [(address, port), (address, 0)])
            .filter_map(move |(address, key_port)| {
                let vip = *self.vips.get(&(address, key_port, protocol))?;
                Some(Matched::by(vip, port))
            })
    }

    /// The VIP that a connection's packets are for.
    #[must_use]
    pub fn vip_of_connection(&self, key: &ConnectionKey) -> Option<Matched> {
        self.vip_of(key.destination, key.destination_port, key.protocol)
    }

    /// The match of a connection whose packets would be for `vip` if it came. Of a prefix's name whose address is not known: whose packets
    /// may be.
    #[must_use]
    pub fn taken_by(
        &self,
        vip: &VipView,
        key: &ConnectionKey,
        connection: &Connection,
    ) -> Option<Matched> {
        let destination = (connection.address).map_or(key.destination, VipAddress::from);
        let port_fits = vip.port == 0 || vip.port == key.destination_port;
        let present = self.vip_of_connection(key)?.vip;
        let fits = key.protocol == vip.protocol && port_fits && present.id != vip.id;
        let whole = vip.address.holds(&destination) && vip.rank() > present.rank();
        let part = destination != vip.address && destination.holds(&vip.address);
        (fits && (whole || part)).then(|| Matched::by(*vip, key.destination_port))
    }

    /// The match of a connection whose packets are for the VIP `id`, if that went.
    #[must_use]
    pub fn left_by(&self, id: u16, key: &ConnectionKey) -> Option<Matched> {
        let mut matches = self.matches(key.destination, key.destination_port, key.protocol);
        (matches.next()?.vip.id == id)
            .then(|| matches.next())
            .flatten()
    }

    /// The pool's ring.
    #[must_use]
    pub fn ring(&self, pool: u8) -> &[u16] {
        self.rings.get(&pool).map_or(&[], Vec::as_slice)
    }

    /// The backend that the pool's ring names for a hash.
    #[must_use]
    pub fn ring_backend(&self, pool: u8, hash: u32) -> Option<&BackendView> {
        self.ring_backend_in(self.ring(pool), hash)
    }

    /// The backend that `ring` names for a hash.
    #[must_use]
    pub fn ring_backend_in(&self, ring: &[u16], hash: u32) -> Option<&BackendView> {
        let size = u32::try_from(ring.len()).ok().filter(|&size| size > 0)?;
        let slot = ring[(hash % size) as usize];
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
    pub fn vips(&self) -> impl Iterator<Item = (&(VipAddress, u16, Protocol), &VipView)> {
        self.vips.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn view(vips: &[(&str, u16)]) -> View {
        let mut text = String::from(
            "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\n\
             table_size = 11\n[[pool.backend]]\naddress = \"192.0.2.1\"\n",
        );
        for (address, port) in vips {
            text += &format!(
                "[[vip]]\nname = \"{}\"\naddress = \"{address}\"\nport = {port}\nprotocol = \"tcp\"\npool = \"web\"\n",
                format!("v-{address}-{port}").replace(['/', ':'], "_")
            );
        }
        View::of(
            &State::default()
                .next(&Config::parse("test", &text).unwrap())
                .unwrap(),
        )
    }

    #[test]
    fn the_narrowest_key_is_the_vip() {
        let mut view = view(&[
            ("10.0.0.0/8", 80),
            ("10.1.0.0/16", 0),
            ("10.1.0.0/16", 443),
            ("10.1.2.3", 0),
            ("10.1.2.3", 80),
            ("2001:db8::/32", 0),
        ]);
        let found = |view: &View, address: &str, port| {
            view.vip_of(address.parse().unwrap(), port, Protocol::Tcp)
                .map(|matched| (matched.vip.id, matched.exact))
        };
        for (address, port, expected) in [
            ("10.1.2.3", 80, Some((4, true))),
            ("10.1.2.3", 443, Some((3, false))),
            ("10.1.2.4", 443, Some((2, false))),
            ("10.1.2.4", 80, Some((1, false))),
            ("10.2.2.4", 80, Some((0, false))),
            ("10.2.2.4", 81, None),
            ("2001:db8::1", 81, Some((5, false))),
            ("2001:db9::1", 81, None),
            // of whole prefixes: what holds them
            ("10.1.0.0/16", 443, Some((2, false))),
            ("10.1.0.0/16", 80, Some((1, false))),
            ("10.1.2.0/24", 80, Some((1, false))),
            ("10.0.0.0/8", 80, Some((0, false))),
            ("8.0.0.0/6", 80, None),
        ] {
            assert_eq!(found(&view, address, port), expected, "{address} {port}");
        }
        assert!(
            view.vip_of([10, 2, 2, 4].into(), 80, Protocol::Udp)
                .is_none()
        );
        let vips: Vec<_> = view.vips().map(|(key, vip)| (*key, *vip)).collect();
        for ((address, port, protocol), vip) in vips {
            view.remove_vip(&Vip {
                id: vip.id,
                name: String::new(),
                address,
                port,
                protocol,
                pool: vip.pool,
                rules: vip.rules,
                mtu: vip.mtu,
            });
        }
        assert!(view.prefixes.is_empty() && found(&view, "10.1.2.4", 80).is_none());
    }
}
