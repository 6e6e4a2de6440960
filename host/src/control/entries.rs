//! What the card's tables hold for the parts of a state.
//!
//! Owns that one correspondence, so that what is written and what a running card is compared with are the same.

use guideway_hdl::tables::VipEntry;

use super::state::{Backend, Pool, State, Vip};
use crate::card::{self, NextHop, NextHopId, VipKey};

/// A pool: no ring when no member has a weight.
#[must_use]
pub fn pool(pool: &Pool) -> card::Pool {
    if pool.members.is_empty() {
        card::Pool::default()
    } else {
        card::Pool {
            ring_base: pool.base,
            ring_size: pool.size,
        }
    }
}

/// A backend of `state`.
#[must_use]
pub fn backend(backend: &Backend, state: &State) -> card::Backend {
    card::Backend {
        state: backend.life.on_card(),
        encap: backend.encap.code(),
        generation: backend.generation,
        next_hop: NextHopId(state.next_hop_of(backend)),
        address: backend.address,
        gre_key: backend.encap.key(),
    }
}

/// The next hop of this index, if anything is reached by it: 0 is the node's, others are l2 backends' own.
#[must_use]
pub fn next_hop(id: u8, state: &State) -> Option<NextHop> {
    let station = state.stations.iter().find(|&&(placed, _)| placed == id);
    let destination = match (id, station) {
        (0, _) => state.node.next_hop.unwrap_or_default(),
        (_, station) => station?.1.0,
    };
    Some(NextHop {
        destination,
        source: state.node.mac,
        vlan: state.node.vlan,
    })
}

/// A VIP's properties; `mtu` is the node's.
#[must_use]
pub fn vip(vip: &Vip, mtu: u16) -> VipEntry {
    vip.rules.to_entry(vip.pool, mtu)
}

/// What a VIP's packets are known by.
#[must_use]
pub fn vip_key(vip: &Vip) -> VipKey {
    VipKey {
        address: vip.address,
        port: vip.port,
        protocol: vip.protocol.into(),
    }
}
