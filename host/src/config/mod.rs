//! The configuration file: from TOML text to a checked [`Config`].
//!
//! Owns the checked form. What may stand in the file and how it is spelt is [`schema`]'s, what contradicts what is
//! [`check`]'s, how an error is shown is [`problem`]'s. What the card is programmed with follows from a `Config` in `control`.

pub mod check;
pub mod encap;
mod icmp;
mod next_hop;
mod node;
mod pool;
pub mod problem;
mod quic;
pub mod route;
pub mod schema;
mod vip;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::card::{IcmpLimit, Rules, VipAddress};
use crate::device::DeviceAddress;
use crate::maglev::{Algorithm, Member};
pub use encap::Encap;
pub use next_hop::NextHop;
pub use problem::Problem;
pub use route::SourceRoute;

/// A configuration that was checked: names are unique and refer to what exists, numbers fit the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Which card.
    pub card: Card,
    /// What holds for the whole node.
    pub node: Node,
    /// Pools, in the file's order.
    pub pools: Vec<Pool>,
    /// VIPs, in the file's order.
    pub vips: Vec<Vip>,
}

/// Which card, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Where it is.
    pub device: DeviceAddress,
    /// Most entries of the flow table that the host fills.
    pub flow_entries: u32,
    /// The simulator's executable for [`DeviceAddress::Sim`], when the file names one.
    pub simulator: Option<PathBuf>,
}

/// What holds for the whole node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What the card sends from, and the only unicast address that it takes; none: any, and it answers from the one it was sent to.
    pub mac: Option<Mac>,
    /// Outer source of GRE and GUE, IPv4.
    pub source_v4: Option<Ipv4Addr>,
    /// Outer source of GRE and GUE, IPv6.
    pub source_v6: Option<Ipv6Addr>,
    /// The /16 that IPIP's flow-dependent outer source lies in.
    pub ipip_source_v4: Ipv4Addr,
    /// The /96 that IPIP's flow-dependent outer source lies in.
    pub ipip_source_v6: Ipv6Addr,
    /// UDP port of the backends that GUE is sent to.
    pub gue_port: u16,
    /// Frames for no VIP.
    pub unmatched: Unmatched,
    /// Largest IP packet towards the backends, in bytes.
    pub mtu: u16,
    /// Where encapsulated frames are sent.
    pub next_hops: Vec<NextHop>,
    /// Misses go by the ring whatever the VIPs say, and nothing is recorded.
    pub compute_only: bool,
    /// How often the card answers of itself.
    pub icmp_limit: IcmpLimit,
    /// Bytes of a server id in QUIC-LB's connection ids, by configuration rotation.
    pub quic_lb: Vec<u8>,
}

/// What becomes of frames for no VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmatched {
    /// They go to the host.
    Host,
    /// They are dropped.
    Drop,
}

/// A MAC address, most significant byte first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads six bytes in hexadecimal, two digits each, with colons.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }

    /// As a number: 02:00:00:00:00:01 is 0x0200_0000_0001.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no MAC address")))
    }
}

/// A pool: backends that share VIPs' connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How slots are shared out.
    pub table: Algorithm,
    /// Slots of its ring, a prime.
    pub table_size: u32,
    /// The MTU of the network towards its backends, encapsulation included; none: the node's.
    pub mtu: Option<u16>,
    /// Its backends, in the file's order.
    pub backends: Vec<Backend>,
    /// Which sources' new connections go where.
    pub source_routes: Vec<SourceRoute>,
}

impl Pool {
    /// What its ring is built from.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.backends
            .iter()
            .map(|backend| Member {
                address: backend.address,
                weight: backend.weight,
            })
            .collect()
    }
}

/// A backend of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Its address: where the outer packet goes.
    pub address: IpAddr,
    /// Its weight; 0: no new flows.
    pub weight: u32,
    /// How packets travel to it.
    pub encap: Encap,
    /// The next hop that leads to it, as a position in [`Node::next_hops`]; none: its packets are spread over all of them.
    pub next_hop: Option<usize>,
    /// What its servers call themselves, in connection ids of QUIC, a TCP option or a UDP payload.
    pub server_id: Option<u32>,
}

/// A virtual IP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vip {
    /// Its name.
    pub name: String,
    /// Its address, or the prefix of its addresses.
    pub address: VipAddress,
    /// Its port; 0: any.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its pool, as a position in [`Config::pools`].
    pub pool: usize,
    /// How its packets are hashed, and what becomes of misses.
    pub rules: Rules,
}

/// A VIP's protocol.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The number in IP headers.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl From<Protocol> for crate::card::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every problem of the file, with line and key; or that it cannot be read.
    pub fn read(path: &Path) -> Result<Self, problem::Problems> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| problem::Problems::unreadable(path, &error))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks a file's text; `file` is how problems name it.
    ///
    /// # Errors
    /// Every problem of the text, with line and key.
    pub fn parse(file: &str, text: &str) -> Result<Self, problem::Problems> {
        let (file_form, place) = (schema::parse(text), problem::Place::new(file, text));
        match file_form {
            Ok(raw) => check::check(raw).map_err(|problems| place.problems(problems)),
            Err(error) => Err(place.problems(vec![Problem::from_toml(text, &error)])),
        }
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}

#[cfg(test)]
mod tests;
