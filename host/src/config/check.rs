//! What contradicts what: from the file's keys to a [`Config`].
//!
//! Owns names, references and limits of the card, and what the files of the keys (`node`, `pool`, `vip`, ...) check with. Every problem is
//! found in one pass, not only the first.

use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;

use guideway_hdl::tables;

use super::problem::Problem;
use super::schema::{self, At};
use super::{Card, Config, Mac, Pool, Vip};
use crate::device::{AddressError, DeviceAddress};

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
    let pools = checker.pools(&file.pool, &node.next_hops);
    let vips = checker.vips(&file.vip, &pools);
    checker.limits(&file.pool, &file.vip, &pools, &vips);
    checker.reach(&file.pool, &pools, &node);
    checker.echo(&file.vip, &vips, &node);
    checker.quic_reach(&file.vip, &pools, &vips, &node);
    checker.ipv6_reach(&file.vip, &pools, &vips, &node);
    if node.next_hops.is_empty() && !pools.is_empty() {
        checker.problem(
            "node.next_hop",
            node_span,
            "there are pools but no next hop to send their packets to",
            "add [[node.next_hop]] with mac = \"...\": the router's MAC address",
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

    pub(super) fn unicast(&mut self, key: &str, text: &At<String>) -> Option<IpAddr> {
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
}
