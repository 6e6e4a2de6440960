//! Where encapsulated packets are sent: the routers of this node's network, and which of them lead to a backend.
//!
//! Owns the keys of `[[node.next_hop]]`, and `next_hop` of pools and backends.

use std::collections::HashMap;

use guideway_hdl::tables;
use serde::Serialize;

use super::check::Checker;
use super::schema::{self, At};
use super::{Encap, Mac};
use crate::card::Vlan;

/// The largest VLAN id: 4095 is reserved (IEEE 802.1Q 9.6).
const VLAN_MAX: i64 = 4094;

/// A router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHop {
    /// What pools and backends call it.
    pub name: Option<String>,
    /// Its MAC address.
    pub mac: Mac,
    /// What becomes of VLAN tags on the way there.
    pub vlan: Vlan,
}

impl Checker {
    pub(super) fn next_hops(&mut self, hops: &[At<schema::NextHop>]) -> Vec<NextHop> {
        let mut checked: Vec<NextHop> = Vec::with_capacity(hops.len());
        for hop in hops {
            let keys = hop.get_ref();
            if let Some(address) = &keys.address {
                self.problem(
                    "node.next_hop.address",
                    address.span(),
                    "not supported yet",
                    "give the next hop's mac",
                );
            }
            let mac = match &keys.mac {
                Some(mac) => self.mac("node.next_hop.mac", mac),
                None => {
                    self.problem(
                        "node.next_hop.mac",
                        hop.span(),
                        "the next hop has no MAC address",
                        "add mac = \"02:...\"",
                    );
                    None
                }
            };
            let name = (keys.name.as_ref()).map(|name| self.name("node.next_hop.name", name));
            let vlan = self.vlan(keys);
            let hop = NextHop {
                name,
                mac: mac.unwrap_or_default(),
                vlan,
            };
            if let (Some(name), Some(key)) = (&hop.name, &keys.name)
                && checked
                    .iter()
                    .any(|known| known.name.as_ref() == Some(name))
            {
                self.problem(
                    "node.next_hop.name",
                    key.span(),
                    format!("there are two next hops {name:?}"),
                    "give each next hop its own name",
                );
            }
            let same = |known: &NextHop| (known.mac, known.vlan) == (hop.mac, hop.vlan);
            if let (Some(key), true) = (&keys.mac, mac.is_some() && checked.iter().any(same)) {
                self.problem(
                    "node.next_hop.mac",
                    key.span(),
                    format!("{} is a next hop already, with the same tags", hop.mac),
                    "keep one of them",
                );
            }
            checked.push(hop);
        }
        if let Some(beyond) = hops.get(tables::NEXT_HOPS) {
            self.problem(
                "node.next_hop",
                beyond.span(),
                format!(
                    "there are {} next hops, but the card holds {}",
                    hops.len(),
                    tables::NEXT_HOPS
                ),
                "remove some",
            );
        }
        checked
    }

    /// The next hop of each of the pool's backends, as a position in `hops`; none: its packets are spread over all of them.
    pub(super) fn next_hops_of(
        &mut self,
        pool: &schema::Pool,
        encaps: &[Encap],
        hops: &[NextHop],
    ) -> Vec<Option<usize>> {
        let usual = self.named_hop("pool.next_hop", pool.next_hop.as_ref(), hops);
        let mut resolved = Vec::with_capacity(encaps.len());
        for (backend, encap) in pool.backend.iter().zip(encaps) {
            let key = backend.get_ref().next_hop.as_ref();
            let own = self.named_hop("pool.backend.next_hop", key, hops);
            let is_l2 = matches!(encap, Encap::L2 { .. });
            if let (Some(key), true) = (key, is_l2) {
                self.problem(
                    "pool.backend.next_hop",
                    key.span(),
                    "packets in l2 go to the backend's MAC address, not to a next hop",
                    "remove it, or choose another encap",
                );
            }
            resolved.push(own.or(usual).filter(|_| !is_l2));
        }
        resolved
    }

    fn named_hop(
        &mut self,
        key: &str,
        name: Option<&At<String>>,
        hops: &[NextHop],
    ) -> Option<usize> {
        let name = name?;
        let positions: HashMap<&str, usize> = (hops.iter().enumerate())
            .filter_map(|(i, hop)| Some((hop.name.as_deref()?, i)))
            .collect();
        let found = positions.get(name.get_ref().as_str()).copied();
        if found.is_none() {
            let mut known: Vec<_> = positions.keys().map(|name| format!("{name:?}")).collect();
            known.sort_unstable();
            let help = match known.as_slice() {
                [] => "give a [[node.next_hop]] this name".to_owned(),
                known => format!("write one of {}", known.join(", ")),
            };
            self.problem(
                key,
                name.span(),
                format!("no next hop is called {:?}", name.get_ref()),
                help,
            );
        }
        found
    }

    fn vlan(&mut self, keys: &schema::NextHop) -> Vlan {
        let id = match &keys.vlan {
            None => None,
            Some(value) => match (value.get_ref().as_str(), value.get_ref().as_integer()) {
                (Some("keep"), _) => None,
                (Some("remove"), _) => {
                    self.priority_without_id(keys);
                    return Vlan::Remove;
                }
                (_, Some(id @ 0..=VLAN_MAX)) => Some(id),
                _ => {
                    self.problem(
                        "node.next_hop.vlan",
                        value.span(),
                        format!("{} is not a VLAN", value.get_ref()),
                        "write \"keep\", \"remove\", or a VLAN id from 0 to 4094",
                    );
                    return Vlan::Keep;
                }
            },
        };
        let Some(id) = id else {
            self.priority_without_id(keys);
            return Vlan::Keep;
        };
        let key = "node.next_hop.vlan_priority";
        let priority = self.number(key, keys.vlan_priority.as_ref(), 0, 7, 0);
        Vlan::Set(u16::try_from(priority << 13 | id).unwrap_or_default())
    }

    /// A priority belongs to the tag that is set.
    fn priority_without_id(&mut self, keys: &schema::NextHop) {
        if let Some(priority) = &keys.vlan_priority {
            self.problem(
                "node.next_hop.vlan_priority",
                priority.span(),
                "there is no tag that could carry the priority",
                "give the VLAN id too: vlan = 42",
            );
        }
    }
}
