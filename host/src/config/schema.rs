//! What may stand in the configuration file, and how it is spelt.
//!
//! Owns the keys. Unknown ones are errors; those of later builds are known here, so that their error can say so. Values keep
//! their place in the file ([`Spanned`]).

use serde::Deserialize;
use toml::Spanned;

/// A value with its place.
pub type At<T> = Spanned<T>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The file's version: 1.
    pub version: At<i64>,
    /// `[card]`.
    pub card: At<Card>,
    /// `[node]`.
    #[serde(default)]
    pub node: Option<At<Node>>,
    /// `[[pool]]`.
    #[serde(default)]
    pub pool: Vec<At<Pool>>,
    /// `[[vip]]`.
    #[serde(default)]
    pub vip: Vec<At<Vip>>,
}

/// `[card]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the keys are explained with the checked form
pub struct Card {
    pub device: At<String>,
    pub flow_entries: Option<At<i64>>,
    pub simulator: Option<At<String>>,
}

/// `[node]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Node {
    pub name: Option<At<String>>,
    pub mac: Option<At<String>>,
    pub source_v4: Option<At<String>>,
    pub source_v6: Option<At<String>>,
    pub ipip_source_v4: Option<At<String>>,
    pub ipip_source_v6: Option<At<String>>,
    pub gue_port: Option<At<i64>>,
    pub unmatched: Option<At<String>>,
    pub mtu: Option<At<i64>>,
    pub compute_only: Option<At<bool>>,
    pub icmp_limit: Option<At<IcmpLimit>>,
    pub quic_lb: Option<Vec<At<i64>>>,
    #[serde(default)]
    pub next_hop: Vec<At<NextHop>>,
}

/// `[[node.next_hop]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct NextHop {
    pub name: Option<At<String>>,
    pub mac: Option<At<String>>,
    /// Later.
    pub address: Option<At<toml::Value>>,
    pub vlan: Option<At<toml::Value>>,
    pub vlan_priority: Option<At<i64>>,
}

/// `[[pool]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Pool {
    pub name: At<String>,
    pub encap: Option<At<String>>,
    pub gre_key: Option<At<i64>>,
    pub next_hop: Option<At<String>>,
    pub mtu: Option<At<i64>>,
    pub table: Option<At<String>>,
    pub table_size: Option<At<i64>>,
    #[serde(default)]
    pub backend: Vec<At<Backend>>,
    #[serde(default)]
    pub source_route: Vec<At<SourceRoute>>,
}

/// `[[pool.source_route]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SourceRoute {
    pub prefix: At<String>,
    pub backend: At<String>,
}

/// `[[pool.backend]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Backend {
    pub address: At<String>,
    pub weight: Option<At<i64>>,
    pub encap: Option<At<String>>,
    pub gre_key: Option<At<i64>>,
    pub next_hop: Option<At<String>>,
    pub mac: Option<At<String>>,
    pub server_id: Option<At<i64>>,
}

/// `[[vip]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Vip {
    pub name: At<String>,
    pub address: At<String>,
    pub port: At<i64>,
    pub protocol: At<String>,
    pub pool: At<String>,
    pub on_miss: Option<At<String>>,
    pub hash: Option<Vec<At<String>>>,
    pub meter: Option<At<Meter>>,
    pub quota: Option<At<i64>>,
    pub echo: Option<At<bool>>,
    pub too_big: Option<At<String>>,
    pub route_by: Option<Vec<At<String>>>,
    pub quic: Option<At<String>>,
}

/// `meter` of a VIP, and each limit of `icmp_limit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Meter {
    pub rate: At<i64>,
    pub burst: At<i64>,
}

/// `icmp_limit` of the node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct IcmpLimit {
    pub too_big: Option<At<Meter>>,
    pub echo: Option<At<Meter>>,
}

/// Reads the text, without judging values.
///
/// # Errors
/// The first thing that is not TOML, not a known key, or not of the key's type.
pub fn parse(text: &str) -> Result<File, toml::de::Error> {
    toml::from_str(text)
}
