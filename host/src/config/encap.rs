//! How packets travel to a backend: the keys of pools and backends, resolved for each backend.
//!
//! Owns which keys go together. What the card does with them stands in its specification, section 5.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

use guideway_hdl::tables;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::schema::{self, At};
use super::{Mac, Node, Pool};

/// How packets travel to a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encap {
    /// IP in IP, from a source that depends on the flow.
    #[default]
    Ipip,
    /// GRE, from the node's `source_v4` or `source_v6`.
    Gre {
        /// RFC 2890's key.
        key: Option<u32>,
    },
    /// GUE variant 1 over UDP, from the node's `source_v4` or `source_v6` to its `gue_port`.
    Gue,
    /// Only the Ethernet header is new: the backend is in the node's own network.
    L2 {
        /// The backend's MAC address.
        mac: Mac,
    },
}

impl Encap {
    /// What a backend is when nothing is said; stored forms leave it out.
    #[must_use]
    pub fn is_ipip(&self) -> bool {
        *self == Self::Ipip
    }

    /// The code that the card knows it by.
    #[must_use]
    pub const fn code(self) -> tables::Encap {
        match self {
            Self::Ipip => tables::Encap::Ipip,
            Self::Gre { .. } => tables::Encap::Gre,
            Self::Gue => tables::Encap::Gue,
            Self::L2 { .. } => tables::Encap::L2,
        }
    }

    /// Whether it is sent from the node's own addresses.
    #[must_use]
    pub const fn has_own_source(self) -> bool {
        matches!(self, Self::Gre { .. } | Self::Gue)
    }

    /// The bytes that it puts between the Ethernet header and the packet, towards a backend of this family.
    #[must_use]
    pub const fn outer_bytes(self, to_ipv6: bool) -> u16 {
        let ip = if to_ipv6 { 40 } else { 20 };
        match self {
            Self::Ipip => ip,
            Self::Gre { key: None } => ip + 4,
            Self::Gre { key: Some(_) } | Self::Gue => ip + 8,
            Self::L2 { .. } => 0,
        }
    }

    /// GRE's key.
    #[must_use]
    pub const fn key(self) -> Option<u32> {
        match self {
            Self::Gre { key } => key,
            _ => None,
        }
    }
}

impl std::fmt::Display for Encap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gre { key: Some(key) } => write!(f, "gre, key {key}"),
            Self::L2 { mac } => write!(f, "l2 to {mac}"),
            _ => f.write_str(self.code().name()),
        }
    }
}

impl Checker {
    /// The encapsulation that a key names; an unknown one is told.
    fn kind(&mut self, key: &str, text: Option<&At<String>>) -> Option<tables::Encap> {
        let text = text?;
        let message = match text.get_ref().as_str() {
            "ipip" => return Some(tables::Encap::Ipip),
            "gre" => return Some(tables::Encap::Gre),
            "l2" => return Some(tables::Encap::L2),
            "gue" => return Some(tables::Encap::Gue),
            other => format!("{other:?} is not an encapsulation"),
        };
        self.problem(
            key,
            text.span(),
            message,
            "write \"ipip\", \"gre\", \"gue\" or \"l2\"",
        );
        None
    }

    /// A GRE key: 32 bits.
    fn gre_key(&mut self, key: &str, value: Option<&At<i64>>) -> Option<u32> {
        value?;
        u32::try_from(self.number(key, value, 0, u32::MAX.into(), 0)).ok()
    }

    /// How packets travel to each backend of the pool, in the file's order.
    pub(super) fn encapsulations(&mut self, pool: &schema::Pool) -> Vec<Encap> {
        let usual = self.kind("pool.encap", pool.encap.as_ref());
        let usual_key = self.gre_key("pool.gre_key", pool.gre_key.as_ref());
        let mut resolved = Vec::with_capacity(pool.backend.len());
        for backend in &pool.backend {
            let span = backend.span();
            let backend = backend.get_ref();
            let kind = self.kind("pool.backend.encap", backend.encap.as_ref());
            let kind = kind.or(usual).unwrap_or(tables::Encap::Ipip);
            let key = self.gre_key("pool.backend.gre_key", backend.gre_key.as_ref());
            if let (Some(value), false) = (&backend.gre_key, kind == tables::Encap::Gre) {
                self.problem(
                    "pool.backend.gre_key",
                    value.span(),
                    format!("a backend in {} has no GRE key", kind.name()),
                    "remove it, or write encap = \"gre\"",
                );
            }
            resolved.push(match kind {
                tables::Encap::Gre => Encap::Gre {
                    key: key.or(usual_key),
                },
                tables::Encap::Gue => Encap::Gue,
                tables::Encap::L2 => Encap::L2 {
                    mac: self.station(span.clone(), backend),
                },
                _ => Encap::Ipip,
            });
            if let (Some(mac), false) = (&backend.mac, kind == tables::Encap::L2) {
                self.problem(
                    "pool.backend.mac",
                    mac.span(),
                    format!(
                        "packets in {} go to the next hop, not to the backend's MAC address",
                        kind.name()
                    ),
                    "remove it, or write encap = \"l2\"",
                );
            }
        }
        let is_gre = |encap: &Encap| matches!(encap, Encap::Gre { .. });
        if let (Some(key), false) = (&pool.gre_key, resolved.iter().any(is_gre)) {
            self.problem(
                "pool.gre_key",
                key.span(),
                "no backend of the pool is reached in gre",
                "remove it, or write encap = \"gre\"",
            );
        }
        resolved
    }

    fn station(&mut self, span: Range<usize>, backend: &schema::Backend) -> Mac {
        match &backend.mac {
            Some(mac) => self.mac("pool.backend.mac", mac).unwrap_or_default(),
            None => {
                self.problem(
                    "pool.backend.mac",
                    span,
                    "an l2 backend needs its MAC address",
                    "add mac = \"02:...\": the backend's own, it must be in this node's network",
                );
                Mac::default()
            }
        }
    }

    /// What encapsulations need of the node and of the card.
    pub(super) fn reach(&mut self, keys: &[At<schema::Pool>], pools: &[Pool], node: &Node) {
        let mut missing = BTreeSet::new();
        let mut stations = BTreeSet::new();
        let room = tables::NEXT_HOPS.saturating_sub(node.next_hops.len().max(1));
        for (pool, keys) in pools.iter().zip(keys) {
            for backend in &pool.backends {
                match (backend.encap, backend.address) {
                    (encap, IpAddr::V4(_))
                        if encap.has_own_source() && node.source_v4.is_none() =>
                    {
                        self.missing_source(&mut missing, "source_v4", "IPv4", pool, encap, keys);
                    }
                    (encap, IpAddr::V6(_))
                        if encap.has_own_source() && node.source_v6.is_none() =>
                    {
                        self.missing_source(&mut missing, "source_v6", "IPv6", pool, encap, keys);
                    }
                    (Encap::L2 { mac }, _) => {
                        stations.insert(mac.0);
                    }
                    _ => {}
                }
            }
            if stations.len() > room {
                let message = format!(
                    "with this pool there are {} MAC addresses of l2 backends, but beside the node's next hops the card holds {room}",
                    stations.len()
                );
                self.problem(
                    "pool.backend.mac",
                    keys.span(),
                    message,
                    "use \"ipip\", \"gre\" or \"gue\" for some",
                );
                return;
            }
        }
    }

    /// Told once a family, at the first pool that needs it.
    fn missing_source(
        &mut self,
        told: &mut BTreeSet<&'static str>,
        key: &'static str,
        family: &str,
        pool: &Pool,
        encap: Encap,
        keys: &At<schema::Pool>,
    ) {
        if told.insert(key) {
            self.problem(
                &format!("node.{key}"),
                keys.span(),
                format!(
                    "pool {:?} has {family} backends in {}, but the node has no {key} to send from",
                    pool.name,
                    encap.code().name()
                ),
                format!("add {key} = \"...\" to [node]: an {family} address of this node"),
            );
        }
    }
}
