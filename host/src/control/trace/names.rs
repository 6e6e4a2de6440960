//! What the indices in records are called.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::Mac;
use crate::control::state::State;

/// Names by index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// VIPs' names.
    pub vips: BTreeMap<u16, String>,
    /// Backends' addresses.
    pub backends: BTreeMap<u16, IpAddr>,
    /// Next hops' MAC addresses.
    #[serde(default)]
    pub next_hops: BTreeMap<u8, Mac>,
}

impl Names {
    /// The names in a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let vips = state.vips.iter();
        let backends = state.backends.iter();
        let next_hops = (backends.clone())
            .flat_map(|backend| state.next_hops_of(backend).ids())
            .filter_map(|id| Some((id, state.hop_at(id)?.0)));
        Self {
            vips: vips.map(|vip| (vip.id, vip.name.clone())).collect(),
            backends: backends
                .map(|backend| (backend.id, backend.address))
                .collect(),
            next_hops: next_hops.collect(),
        }
    }

    /// Takes later names over; those that they do not mention stay.
    pub fn update(&mut self, later: Self) {
        self.vips.extend(later.vips);
        self.backends.extend(later.backends);
        self.next_hops.extend(later.next_hops);
    }
}
