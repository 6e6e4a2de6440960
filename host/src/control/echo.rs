//! Which addresses answer echo requests, and for which VIP they count.
//!
//! Owns the card's keys for that: one for each address or prefix of which a VIP says `echo = true`, with port 0 and the protocol ICMP of its
//! family (`CARD.md`, section 2). It names the lowest of these VIPs, so that no VIP beside the configured ones is needed.

use std::collections::BTreeMap;

use super::state::State;
use crate::card::{Protocol, VipAddress, VipId, VipKey};

/// Every address that answers, with the VIP that its requests count for.
#[must_use]
pub fn answering(state: &State) -> BTreeMap<VipAddress, VipId> {
    let mut answering = BTreeMap::new();
    // by ascending index: the first is the lowest
    for vip in state.vips.iter().filter(|vip| vip.rules.echo) {
        answering.entry(vip.address).or_insert(VipId(vip.id));
    }
    answering
}

/// The key that echo requests to these addresses are found by.
#[must_use]
pub fn key(address: VipAddress) -> VipKey {
    VipKey {
        address,
        port: 0,
        protocol: if address.is_ipv6() {
            Protocol::Icmpv6
        } else {
            Protocol::Icmp
        },
    }
}

/// Whether it is such a key.
#[must_use]
pub fn is_key(other: &VipKey) -> bool {
    *other == key(other.address)
}
