//! How the packets of a VIP are hashed, and what becomes of those whose flow the card does not know.
//!
//! Owns the names and the VIP's entry. What the card makes of them stands in its specification: sections 3 (hash), 4 (misses) and 8.

use std::fmt;

use guideway_hdl::tables::{MissPolicy, VipEntry};
use serde::{Deserialize, Serialize};

use crate::card::QuicScheme;

/// All of it. The default is what a VIP has of which nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// What the flow hash is made from.
    pub hash: HashOptions,
    /// What becomes of misses.
    pub on_miss: OnMiss,
    /// How many misses may reach the host; none: any number.
    pub meter: Option<Meter>,
    /// How many flows the card may hold of the VIP before it learns no more by itself; none: any number.
    pub quota: Option<u32>,
    /// The card answers echo requests to its addresses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub echo: bool,
    /// What becomes of IPv4 packets that are too big to be encapsulated and may be fragmented.
    #[serde(skip_serializing_if = "TooBig::is_usual")]
    pub too_big: TooBig,
    /// What decides about punts before the ring; the card knows nothing of it.
    #[serde(skip_serializing_if = "RouteBy::is_usual")]
    pub route_by: RouteBy,
    /// Packets go where the server id in their QUIC connection id says; none: they do not.
    pub quic: Option<QuicScheme>,
}

/// What becomes of a packet that is too big to be encapsulated, when it may be fragmented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TooBig {
    /// The card drops it (`drop_too_big`).
    #[default]
    Drop,
    /// The host sends it in fragments of the outer packet (`host_too_big`).
    Fragment,
}

impl TooBig {
    /// Nothing is said; stored forms leave it out.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Fragment => "fragment",
        }
    }
}

/// What decides about punts before the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteBy {
    /// The id of a server that a packet carries.
    pub server_id: bool,
    /// Where the packet comes from.
    pub source: bool,
}

impl RouteBy {
    /// Nothing does; stored forms leave it out.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The names in the configuration, of those that are set.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [(self.server_id, "server-id"), (self.source, "source")]
            .into_iter()
            .filter_map(|(set, name)| set.then_some(name))
            .collect()
    }
}

/// Katran's hash options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct HashOptions {
    /// The source port counts as 0 (Katran's `NO_SPORT`).
    pub no_source_port: bool,
    /// The destination port alone counts (Katran's `DPORT_HASH`).
    pub destination_port_only: bool,
    /// The destination port counts for a VIP of any port, and of a prefix, too (Katran's `F_HASH_SRC_DST_PORT`).
    pub keep_destination_port: bool,
}

/// What becomes of a packet whose flow the card does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMiss {
    /// The host decides, records the connection and installs the flow.
    #[default]
    Punt,
    /// It goes by the ring, and the card records the flow.
    Learn,
    /// It goes by the ring, and nothing is recorded.
    Stateless,
}

/// A bucket of tokens, one a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Meter {
    /// Misses a millisecond, of 24 bits; not 0.
    pub rate: u32,
    /// Misses at once.
    pub burst: u16,
}

impl Rules {
    /// Nothing is said; stored forms leave it out.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The VIP's entry.
    #[must_use]
    pub fn to_entry(&self, pool: u8, mtu: u16) -> VipEntry {
        VipEntry {
            pool,
            miss_policy: self.on_miss.policy().raw(),
            hash_no_source_port: self.hash.no_source_port,
            hash_destination_port_only: self.hash.destination_port_only,
            hash_keep_destination_port: self.hash.keep_destination_port,
            mtu,
            meter_rate: self.meter.map_or(0, |meter| meter.rate),
            meter_burst: self.meter.map_or(0, |meter| meter.burst),
            quota: self.quota.unwrap_or(0),
            echo: self.echo,
            quic: self.quic.is_some(),
            quic_lb: self.quic == Some(QuicScheme::QuicLb),
            fragment_too_big: self.too_big == TooBig::Fragment,
        }
    }
}

impl HashOptions {
    /// The options' names in the configuration, of those that are set.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        [
            (self.no_source_port, "no-source-port"),
            (self.destination_port_only, "destination-port-only"),
            (self.keep_destination_port, "keep-destination-port"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect()
    }

    /// Sets the option of this name; false when there is none.
    #[must_use]
    pub fn set(&mut self, name: &str) -> bool {
        match name {
            "no-source-port" => self.no_source_port = true,
            "destination-port-only" => self.destination_port_only = true,
            "keep-destination-port" => self.keep_destination_port = true,
            _ => return false,
        }
        true
    }
}

impl OnMiss {
    /// The card's name for it.
    #[must_use]
    pub const fn policy(self) -> MissPolicy {
        match self {
            Self::Punt => MissPolicy::Punt,
            Self::Learn => MissPolicy::Learn,
            Self::Stateless => MissPolicy::Stateless,
        }
    }

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.policy().name()
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/ms, burst {}", self.rate, self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_field() {
        let usual = Rules::default().to_entry(3, 1500);
        assert_eq!(
            usual,
            VipEntry {
                pool: 3,
                mtu: 1500,
                ..VipEntry::default()
            }
        );
        let mut rules = Rules {
            on_miss: OnMiss::Stateless,
            meter: Some(Meter {
                rate: 20,
                burst: 300,
            }),
            quota: Some(4000),
            echo: true,
            ..Rules::default()
        };
        for (name, field) in [
            ("no-source-port", 0),
            ("destination-port-only", 1),
            ("keep-destination-port", 2),
        ] {
            rules.hash = HashOptions::default();
            assert!(rules.hash.set(name) && rules.hash.names() == [name]);
            let entry = rules.to_entry(0, 0);
            let fields = [
                entry.hash_no_source_port,
                entry.hash_destination_port_only,
                entry.hash_keep_destination_port,
            ];
            assert_eq!(fields, [0, 1, 2].map(|i| i == field), "{name}");
            assert_eq!(
                (
                    entry.miss_policy,
                    entry.meter_rate,
                    entry.meter_burst,
                    entry.quota,
                    entry.echo
                ),
                (2, 20, 300, 4000, true)
            );
        }
        assert!(!rules.hash.set("source"));
        for (too_big, hosted) in [(TooBig::Drop, false), (TooBig::Fragment, true)] {
            rules.too_big = too_big;
            assert_eq!(rules.to_entry(0, 0).fragment_too_big, hosted);
        }
        for (scheme, lb) in [(QuicScheme::Katran, false), (QuicScheme::QuicLb, true)] {
            rules.quic = Some(scheme);
            let entry = rules.to_entry(0, 0);
            assert_eq!((entry.quic, entry.quic_lb), (true, lb));
        }
    }

    #[test]
    fn what_is_stored_reads_back() {
        let rules = Rules {
            hash: HashOptions {
                destination_port_only: true,
                ..HashOptions::default()
            },
            on_miss: OnMiss::Learn,
            meter: Some(Meter { rate: 1, burst: 2 }),
            quota: None,
            echo: false,
            too_big: TooBig::Fragment,
            route_by: RouteBy {
                source: true,
                ..RouteBy::default()
            },
            quic: Some(QuicScheme::QuicLb),
        };
        let json = serde_json::to_string(&rules).unwrap();
        // as hosts stored it before there was one
        assert!(!json.contains("echo"));
        assert_eq!(serde_json::from_str::<Rules>(&json).unwrap(), rules);
        assert_eq!(
            serde_json::from_str::<Rules>("{}").unwrap(),
            Rules::default()
        );
    }
}
