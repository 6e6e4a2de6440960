//! What contradicts what: from the file's keys to a [`Config`].
//!
//! Owns ranges, names, references and limits of the card. Every problem is found in one pass, not only the first.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::path::PathBuf;

use guideway_hdl::tables;

use super::problem::Problem;
use super::schema::{self, At};
use super::{Backend, Card, Config, Encap, Mac, Node, Pool, Unmatched, Vip};
use crate::card::Vlan;
use crate::device::{AddressError, DeviceAddress};
use crate::maglev::Algorithm;

/// The smallest MTU of `node.mtu`: what IPv4 hosts must take.
const MTU_MIN: i64 = 576;
/// The largest MTU of `node.mtu`: a jumbo frame's IP packet.
const MTU_MAX: i64 = 9202;
/// The largest VLAN id: 4095 is reserved (IEEE 802.1Q 9.6).
const VLAN_MAX: i64 = 4094;
/// The largest weight.
const WEIGHT_MAX: i64 = 65_535;

/// Problems found so far.
#[derive(Default)]
pub(super) struct Checker {
    problems: Vec<Problem>,
}

/// Checks a file's keys against each other and against the card.
///
/// # Errors
/// Every problem that was found.
pub fn check(file: schema::File) -> Result<Config, Vec<Problem>> {
    let mut checker = Checker::default();
    if *file.version.get_ref() != 1 {
        checker.problem(
            "version",
            file.version.span(),
            format!("version {} is not known", file.version.get_ref()),
            "this build reads version = 1",
        );
    }
    let card = checker.card(file.card.into_inner());
    let node_span = file.node.as_ref().map_or(0..0, At::span);
    let node = checker.node(file.node.map(At::into_inner).unwrap_or_default());
    let pools = checker.pools(&file.pool);
    let vips = checker.vips(&file.vip, &pools);
    checker.limits(&file.pool, &file.vip, &pools, &vips);
    checker.reach(&file.pool, &pools, &node);
    checker.echo(&file.vip, &vips, &node);
    checker.quic_reach(&file.vip, &pools, &vips, &node);
    if node.next_hop.is_none() && !pools.is_empty() {
        checker.problem(
            "node.next_hop",
            node_span,
            "there are pools but no next hop to send their packets to",
            "add [[node.next_hop]] with mac = \"...\": the router's MAC address",
        );
    }
    if let Some(vip) = vips
        .iter()
        .zip(&file.vip)
        .find(|(vip, _)| vip.address.is_ipv6() && node.mtu < 1280)
    {
        checker.problem(
            "node.mtu",
            vip.1.span(),
            format!(
                "an MTU of {} is too small for the IPv6 VIP {:?}",
                node.mtu, vip.0.name
            ),
            "IPv6 needs at least 1280",
        );
    }
    if checker.problems.is_empty() {
        Ok(Config {
            card,
            node,
            pools,
            vips,
        })
    } else {
        Err(checker.problems)
    }
}

impl Checker {
    pub(super) fn problem(
        &mut self,
        key: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::new(key, span, message, help));
    }

    fn card(&mut self, card: schema::Card) -> Card {
        let device = self.device(&card.device);
        if let Some(simulator) = &card.simulator
            && device != DeviceAddress::Sim
        {
            self.problem(
                "card.simulator",
                simulator.span(),
                "a simulator is named, but the device is not \"sim\"",
                "remove the key, or write device = \"sim\"",
            );
        }
        let flow_entries = self.number(
            "card.flow_entries",
            card.flow_entries.as_ref(),
            1,
            tables::FLOWS as i64,
            tables::FLOWS as i64,
        );
        Card {
            device,
            flow_entries: u32::try_from(flow_entries).unwrap_or_default(),
            simulator: card.simulator.map(|path| PathBuf::from(path.into_inner())),
        }
    }

    /// Where the card is; a private simulator in place of what is none.
    fn device(&mut self, device: &At<String>) -> DeviceAddress {
        let error = match device.get_ref().parse() {
            Ok(address) => return address,
            Err(error) => error,
        };
        let (message, help) = match &error {
            AddressError::Form(text) => (
                format!("{text:?} is not a device"),
                "write \"sim\", \"vfio-user:/path/of/socket\" or \"vfio:0000:3b:00.0\"",
            ),
            AddressError::RelativePath(_) => (
                "the socket's path is not absolute".to_owned(),
                "write \"vfio-user:/run/guideway/card0.sock\"",
            ),
            AddressError::LongPath(_) => (error.to_string(), "use a shorter path"),
            AddressError::Pci(_) => (
                error.to_string(),
                "guideway device list shows the cards' addresses",
            ),
        };
        self.problem("card.device", device.span(), message, help);
        DeviceAddress::Sim
    }

    fn node(&mut self, node: schema::Node) -> Node {
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

    fn pools(&mut self, pools: &[At<schema::Pool>]) -> Vec<Pool> {
        let mut names = HashMap::new();
        let mut checked = Vec::with_capacity(pools.len());
        for pool in pools {
            let pool = pool.get_ref();
            let name = self.name("pool.name", &pool.name);
            if names.insert(name.clone(), ()).is_some() {
                self.problem(
                    "pool.name",
                    pool.name.span(),
                    format!("there are two pools {name:?}"),
                    "give each pool its own name",
                );
            }
            let table = match pool.table.as_ref().map(|table| table.get_ref().as_str()) {
                None | Some("maglev-v2") => Algorithm::V2,
                Some("maglev-v1") => Algorithm::V1,
                Some(other) => {
                    let span = pool.table.as_ref().map_or(0..0, At::span);
                    self.problem(
                        "pool.table",
                        span,
                        format!("{other:?} is not a table"),
                        "write \"maglev-v2\" or \"maglev-v1\"",
                    );
                    Algorithm::V2
                }
            };
            let table_size = self.table_size(pool.table_size.as_ref());
            let encaps = self.encapsulations(pool);
            let backends = self.backends(&pool.backend, &encaps);
            let source_routes = self.source_routes(&pool.source_route, &backends);
            checked.push(Pool {
                name,
                table,
                table_size,
                backends,
                source_routes,
            });
        }
        checked
    }

    fn table_size(&mut self, size: Option<&At<i64>>) -> u32 {
        let checked = u32::try_from(self.number(
            "pool.table_size",
            size,
            2,
            i64::from(tables::RING_SIZE_MAX),
            i64::from(tables::RING_SIZE_MAX),
        ))
        .unwrap_or_default();
        if let (Some(size), false) = (size, is_prime(checked)) {
            let next = (checked..=tables::RING_SIZE_MAX)
                .find(|&n| is_prime(n))
                .unwrap_or(tables::RING_SIZE_MAX);
            self.problem(
                "pool.table_size",
                size.span(),
                format!("{checked} is not a prime: some backends could not reach every slot"),
                format!("the next prime is {next}; 65537 fits every pool"),
            );
        }
        checked
    }

    fn backends(&mut self, backends: &[At<schema::Backend>], encaps: &[Encap]) -> Vec<Backend> {
        let mut seen = HashMap::new();
        let mut checked = Vec::with_capacity(backends.len());
        let server_ids = self.server_ids(backends);
        for ((backend, &encap), server_id) in backends.iter().zip(encaps).zip(server_ids) {
            let backend = backend.get_ref();
            let weight = u32::try_from(self.number(
                "pool.backend.weight",
                backend.weight.as_ref(),
                0,
                WEIGHT_MAX,
                1,
            ))
            .unwrap_or_default();
            let Some(address) = self.unicast("pool.backend.address", &backend.address) else {
                continue;
            };
            if seen.insert(address, ()).is_some() {
                self.problem(
                    "pool.backend.address",
                    backend.address.span(),
                    format!("the pool has the backend {address} twice"),
                    "keep one, with the sum of the weights",
                );
            }
            checked.push(Backend {
                address,
                weight,
                encap,
                server_id,
            });
        }
        checked
    }

    /// What the card can hold.
    fn limits(
        &mut self,
        pool_keys: &[At<schema::Pool>],
        vip_keys: &[At<schema::Vip>],
        pools: &[Pool],
        vips: &[Vip],
    ) {
        if vips.len() > tables::VIPS {
            self.problem(
                "vip",
                vip_keys[tables::VIPS].span(),
                format!("{} VIPs, but the card holds {}", vips.len(), tables::VIPS),
                "remove some",
            );
        }
        if pools.len() > tables::POOLS {
            self.problem(
                "pool",
                pool_keys[tables::POOLS].span(),
                format!(
                    "{} pools, but the card holds {}",
                    pools.len(),
                    tables::POOLS
                ),
                "remove some",
            );
        }
        self.prefix_limit(vip_keys, vips);
        let (mut backends, mut slots, mut largest) = (0, 0, 0);
        for (pool, keys) in pools.iter().zip(pool_keys) {
            let held = (pool.table_size as usize).next_multiple_of(tables::RING_SLOTS_PER_BEAT);
            (backends, slots, largest) = (
                backends + pool.backends.len(),
                slots + held,
                largest.max(held),
            );
            if backends > tables::BACKENDS {
                self.problem(
                    "pool.backend",
                    keys.span(),
                    format!(
                        "with this pool there are {backends} backends, but the card holds {}",
                        tables::BACKENDS
                    ),
                    "remove some",
                );
                return;
            }
            // a new ring is written beside the old one: room for one more than the pools need
            if slots + largest > tables::RING_SLOTS {
                let message = format!(
                    "with this pool the rings and one spare need {} slots, but the card holds {}",
                    slots + largest,
                    tables::RING_SLOTS
                );
                self.problem(
                    "pool.table_size",
                    keys.span(),
                    message,
                    "use smaller tables or fewer pools",
                );
                return;
            }
        }
    }

    pub(super) fn number(
        &mut self,
        key: &str,
        value: Option<&At<i64>>,
        least: i64,
        most: i64,
        default: i64,
    ) -> i64 {
        let Some(value) = value else { return default };
        if (least..=most).contains(value.get_ref()) {
            return *value.get_ref();
        }
        self.problem(
            key,
            value.span(),
            format!("{} is out of range", value.get_ref()),
            format!("write a number from {least} to {most}"),
        );
        default
    }

    pub(super) fn name(&mut self, key: &str, name: &At<String>) -> String {
        let text = name.get_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 63 || !text.chars().all(fits) {
            self.problem(
                key,
                name.span(),
                format!("{text:?} is not a name"),
                "write 1 to 63 letters, digits, '-', '_' or '.'",
            );
        }
        text.clone()
    }

    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        key: &str,
        text: &At<String>,
        what: &str,
    ) -> Option<T> {
        let value = text.get_ref().parse().ok();
        if value.is_none() {
            self.problem(
                key,
                text.span(),
                format!("{:?} is not {what}", text.get_ref()),
                "",
            );
        }
        value
    }

    fn unicast(&mut self, key: &str, text: &At<String>) -> Option<IpAddr> {
        let address: IpAddr = self.parsed(key, text, "an IP address")?;
        let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if mapped {
            self.problem(
                key,
                text.span(),
                "an IPv4-mapped address is an IPv4 address",
                "write it as a.b.c.d",
            );
        } else if address.is_unspecified() || address.is_multicast() || broadcast {
            self.problem(
                key,
                text.span(),
                format!("{address} is not the address of one host"),
                "write a unicast address",
            );
        }
        Some(address)
    }

    pub(super) fn mac(&mut self, key: &str, text: &At<String>) -> Option<Mac> {
        let Some(mac) = Mac::parse(text.get_ref()) else {
            self.problem(
                key,
                text.span(),
                format!("{:?} is not a MAC address", text.get_ref()),
                "write six bytes, as \"02:00:00:00:00:01\"",
            );
            return None;
        };
        if mac.0[0] & 1 == 1 || mac.0 == [0; 6] {
            self.problem(
                key,
                text.span(),
                format!("{mac} is not the address of one station"),
                "write a unicast address",
            );
        }
        Some(mac)
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

fn is_prime(n: u32) -> bool {
    n >= 2
        && (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
}
