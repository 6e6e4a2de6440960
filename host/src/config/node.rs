//! What holds for the whole node: its addresses, its MTU, its next hop.
//!
//! Owns the keys of `[node]` and `[[node.next_hop]]`, but for `icmp_limit` and `quic_lb`.

use std::net::{Ipv4Addr, Ipv6Addr};

use guideway_hdl::tables;

use super::check::Checker;
use super::schema::{self, At};
use super::{Mac, Node, Unmatched};
use crate::card::Vlan;

/// The smallest MTU of `node.mtu`: what IPv4 hosts must take.
const MTU_MIN: i64 = 576;
/// The largest MTU of `node.mtu`: a jumbo frame's IP packet.
const MTU_MAX: i64 = 9202;
/// The largest VLAN id: 4095 is reserved (IEEE 802.1Q 9.6).
const VLAN_MAX: i64 = 4094;

impl Checker {
    pub(super) fn node(&mut self, node: schema::Node) -> Node {
        let mac = node.mac.as_ref().and_then(|mac| self.mac("node.mac", mac));
        let (next_hop, vlan) = self.next_hop(&node.next_hop);
        let unmatched = match node.unmatched.as_ref().map(|text| text.get_ref().as_str()) {
            None | Some("host") => Unmatched::Host,
            Some("drop") => Unmatched::Drop,
            Some(other) => {
                let span = node.unmatched.as_ref().map_or(0..0, At::span);
                self.problem(
                    "node.unmatched",
                    span,
                    format!("{other:?} is not known"),
                    "write \"host\" or \"drop\"",
                );
                Unmatched::Host
            }
        };
        let name = match &node.name {
            Some(name) => self.name("node.name", name),
            None => "guideway".to_owned(),
        };
        Node {
            name,
            mac,
            source_v4: node
                .source_v4
                .as_ref()
                .and_then(|text| self.parsed("node.source_v4", text, "an IPv4 address")),
            source_v6: node
                .source_v6
                .as_ref()
                .and_then(|text| self.parsed("node.source_v6", text, "an IPv6 address")),
            ipip_source_v4: self.prefix_v4(node.ipip_source_v4.as_ref()),
            ipip_source_v6: self.prefix_v6(node.ipip_source_v6.as_ref()),
            gue_port: u16::try_from(self.number(
                "node.gue_port",
                node.gue_port.as_ref(),
                1,
                u16::MAX.into(),
                tables::GUE_PORT.into(),
            ))
            .unwrap_or_default(),
            unmatched,
            mtu: u16::try_from(self.number("node.mtu", node.mtu.as_ref(), MTU_MIN, MTU_MAX, 1500))
                .unwrap_or_default(),
            next_hop,
            vlan,
            compute_only: node.compute_only.is_some_and(At::into_inner),
            icmp_limit: self.icmp_limit(node.icmp_limit.as_ref()),
            quic_lb: self.quic_lb(node.quic_lb.as_deref().unwrap_or_default()),
        }
    }

    fn next_hop(&mut self, hops: &[At<schema::NextHop>]) -> (Option<Mac>, Vlan) {
        let mut found = (None, Vlan::Keep);
        for (i, hop) in hops.iter().enumerate() {
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
            let vlan = self.vlan(keys);
            if i == 0 {
                found = (mac, vlan);
            }
            if i == 1 {
                self.problem(
                    "node.next_hop",
                    hop.span(),
                    "more than one next hop is not supported yet",
                    "keep one [[node.next_hop]]",
                );
            }
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

    fn prefix_v4(&mut self, text: Option<&At<String>>) -> Ipv4Addr {
        let default = Ipv4Addr::new(172, 16, 0, 0);
        let Some(text) = text else { return default };
        let parsed = text
            .get_ref()
            .strip_suffix("/16")
            .and_then(|address| address.parse::<Ipv4Addr>().ok());
        match parsed.filter(|address| address.to_bits().trailing_zeros() >= 16) {
            Some(address) => address,
            None => {
                self.problem(
                    "node.ipip_source_v4",
                    text.span(),
                    format!("{:?} is not a /16", text.get_ref()),
                    "write the prefix with its host bits 0, as \"172.16.0.0/16\"",
                );
                default
            }
        }
    }

    fn prefix_v6(&mut self, text: Option<&At<String>>) -> Ipv6Addr {
        let default = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0);
        let Some(text) = text else { return default };
        let parsed = text
            .get_ref()
            .strip_suffix("/96")
            .and_then(|address| address.parse::<Ipv6Addr>().ok());
        match parsed.filter(|address| address.to_bits().trailing_zeros() >= 32) {
            Some(address) => address,
            None => {
                self.problem(
                    "node.ipip_source_v6",
                    text.span(),
                    format!("{:?} is not a /96", text.get_ref()),
                    "write the prefix with its host bits 0, as \"0100::/96\"",
                );
                default
            }
        }
    }
}
