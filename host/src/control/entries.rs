//! What the card's tables hold for the parts of a state.
//!
//! Owns that one correspondence, so that what is written and what a running card is compared with are the same.

use std::collections::{HashMap, HashSet};

use guideway_hdl::tables::{QuicId, VipEntry};

use super::state::{Backend, Hop, Life, Pool, State, Vip};
use crate::card::{self, NextHop, QuicScheme, VipKey};

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
        next_hops: state.next_hops_of(backend),
        address: backend.address,
        gre_key: backend.encap.key(),
    }
}

/// The next hop of this index, if anything is reached by it: one of the node's, or an l2 backend's own.
#[must_use]
pub fn next_hop(id: u8, state: &State) -> Option<NextHop> {
    let station = state.stations.iter().find(|&&(placed, _)| placed == id);
    let of_node = || {
        let position = id.checked_sub(state.next_hops_at)?;
        state.node.next_hops.get(usize::from(position)).copied()
    };
    let Hop(mac, vlan) = match station {
        Some(&(_, mac)) => Hop(mac, state.node.vlan),
        None => of_node()?,
    };
    Some(NextHop {
        destination: mac.0,
        source: state.node.mac,
        vlan,
    })
}

/// A VIP's properties; `mtu` is the node's, which holds where the pool has none.
#[must_use]
pub fn vip(vip: &Vip, mtu: u16) -> VipEntry {
    vip.rules.to_entry(vip.pool, vip.mtu.unwrap_or(mtu))
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

/// Where the server ids of a state lead: those of the backends of each pool that a VIP routes to by connection id. A backend that leaves
/// keeps its id until it is gone or another one has it.
#[must_use]
pub fn quic_ids(state: &State) -> Vec<QuicId> {
    let wanted: HashSet<(u8, QuicScheme)> = (state.vips.iter())
        .filter_map(|vip| Some((vip.pool, vip.rules.quic?)))
        .collect();
    let pools: HashMap<&str, u8> = (state.pools.iter())
        .map(|pool| (pool.name.as_str(), pool.id))
        .collect();
    let mut ids = HashMap::new();
    let (leaving, staying): (Vec<_>, Vec<_>) =
        (state.backends.iter()).partition(|backend| backend.life == Life::Leaving);
    for backend in leaving.into_iter().chain(staying) {
        let (Some(&pool), Some(id)) = (pools.get(backend.pool.as_str()), backend.server_id) else {
            continue;
        };
        let entry = QuicId {
            id: id.into(),
            pool,
            valid: true,
            backend: backend.id,
            generation: backend.generation,
            ..QuicId::default()
        };
        if wanted.contains(&(pool, QuicScheme::Katran)) {
            ids.insert((pool, None, id), entry);
        }
        if wanted.contains(&(pool, QuicScheme::QuicLb)) {
            for (rotation, bytes) in (0..).zip(&state.node.quic_lb) {
                if *bytes > 3 || id >> (8 * u32::from(*bytes)) == 0 {
                    let lb = true;
                    ids.insert(
                        (pool, Some(rotation), id),
                        QuicId {
                            rotation,
                            lb,
                            ..entry
                        },
                    );
                }
            }
        }
    }
    let mut ids: Vec<QuicId> = ids.into_values().collect();
    ids.sort_unstable_by_key(|id| (id.pool, id.lb, id.rotation, id.id));
    ids
}
