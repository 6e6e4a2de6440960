//! What the card's tables hold for the parts of a state.
//!
//! Owns that one correspondence, so that what is written and what a running card is compared with are the same.

use guideway_hdl::tables::{Encap, MissPolicy, VipEntry};

use super::state::{Backend, Pool, Vip};
use crate::card::{self, NextHopId, VipKey};

/// The one next hop of this build.
pub const NEXT_HOP: NextHopId = NextHopId(0);

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

/// A backend.
#[must_use]
pub fn backend(backend: &Backend) -> card::Backend {
    card::Backend {
        state: backend.life.on_card(),
        encap: Encap::Ipip,
        generation: backend.generation,
        next_hop: NEXT_HOP,
        address: backend.address,
    }
}

/// A VIP's properties; `mtu` is the node's.
#[must_use]
pub fn vip(vip: &Vip, mtu: u16) -> VipEntry {
    VipEntry {
        pool: vip.pool,
        miss_policy: MissPolicy::Punt.raw(),
        mtu,
        ..VipEntry::default()
    }
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
