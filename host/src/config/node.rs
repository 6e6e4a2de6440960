//! What holds for the whole node: its addresses, its MTU.
//!
//! Owns the keys of `[node]`, but for `next_hop`, `icmp_limit` and `quic_lb`.

use std::net::{Ipv4Addr, Ipv6Addr};

use guideway_hdl::tables;

use super::check::Checker;
use super::schema::{self, At};
use super::{Node, Pool, Unmatched, Vip};

/// The smallest MTU: what IPv4 hosts must take.
const MTU_MIN: i64 = 576;
/// The largest MTU: a jumbo frame's IP packet.
const MTU_MAX: i64 = 9202;
/// The smallest MTU of IPv6 (RFC 8200 section 5).
const IPV6_MTU_MIN: u16 = 1280;

impl Checker {
    pub(super) fn node(&mut self, node: schema::Node) -> Node {
        let mac = node.mac.as_ref().and_then(|mac| self.mac("node.mac", mac));
        let next_hops = self.next_hops(&node.next_hop);
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
            mtu: self.mtu("node.mtu", node.mtu.as_ref()).unwrap_or(1500),
            next_hops,
            compute_only: node.compute_only.is_some_and(At::into_inner),
            icmp_limit: self.icmp_limit(node.icmp_limit.as_ref()),
            quic_lb: self.quic_lb(node.quic_lb.as_deref().unwrap_or_default()),
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
    /// An MTU, when one is given.
    pub(super) fn mtu(&mut self, key: &str, mtu: Option<&At<i64>>) -> Option<u16> {
        mtu?;
        u16::try_from(self.number(key, mtu, MTU_MIN, MTU_MAX, MTU_MIN)).ok()
    }

    /// What IPv6 asks of every network (RFC 8200 section 5) has to fit behind the encapsulation: a client that is told less goes on as before
    /// (RFC 8201 section 4).
    pub(super) fn ipv6_reach(
        &mut self,
        keys: &[At<schema::Vip>],
        pools: &[Pool],
        vips: &[Vip],
        node: &Node,
    ) {
        for (vip, key) in vips
            .iter()
            .zip(keys)
            .filter(|(vip, _)| vip.address.is_ipv6())
        {
            let pool = &pools[vip.pool];
            let (mtu, whose) = match pool.mtu {
                Some(mtu) => (mtu, "pool.mtu"),
                None => (node.mtu, "node.mtu"),
            };
            let backends = pool.backends.iter();
            let adds = backends.map(|backend| backend.encap.outer_bytes(backend.address.is_ipv6()));
            let need = IPV6_MTU_MIN + adds.max().unwrap_or_default();
            if mtu < need {
                self.problem(
                    whose,
                    key.span(),
                    format!("an MTU of {mtu} is too small for the IPv6 VIP {:?}", vip.name),
                    format!("IPv6 needs at least {need} here: {IPV6_MTU_MIN}, and what the encapsulation adds"),
                );
            }
        }
    }
}
