//! The VIPs: which addresses they have, and what they may not contradict.
//!
//! Owns the keys of `[[vip]]`. What the card does with them stands in its specification, sections 3 and 4.

use std::collections::HashMap;

use guideway_hdl::tables::VIP_PREFIXES;

use super::check::Checker;
use super::schema::{self, At};
use super::{Backend, Encap, Pool, Protocol, Vip};
use crate::card::{HashOptions, Meter, OnMiss, Rules, TooBig, VipAddress, VipAddressError};

/// The largest rate of a meter: up to here the card is within 8 packets of it (`CARD.md` 8).
const RATE_MAX: i64 = 2000;
/// The largest quota: 20 bits.
const QUOTA_MAX: i64 = (1 << 20) - 1;

impl Checker {
    pub(super) fn vips(&mut self, vips: &[At<schema::Vip>], pools: &[Pool]) -> Vec<Vip> {
        let (mut names, mut keys) = (HashMap::new(), HashMap::new());
        let mut checked = Vec::with_capacity(vips.len());
        for vip in vips {
            let vip = vip.get_ref();
            let name = self.name("vip.name", &vip.name);
            if names.insert(name.clone(), ()).is_some() {
                self.problem(
                    "vip.name",
                    vip.name.span(),
                    format!("there are two VIPs {name:?}"),
                    "give each VIP its own name",
                );
            }
            let address = self.vip_address(&vip.address);
            let port = u16::try_from(self.number("vip.port", Some(&vip.port), 0, 65_535, 0))
                .unwrap_or_default();
            let protocol = self.protocol(&vip.protocol);
            let rules = self.rules(vip);
            let pool = pools
                .iter()
                .position(|pool| &pool.name == vip.pool.get_ref());
            if pool.is_none() {
                self.problem(
                    "vip.pool",
                    vip.pool.span(),
                    format!("there is no pool {:?}", vip.pool.get_ref()),
                    "name a [[pool]] of this file",
                );
            }
            let (Some(address), Some(protocol), Some(pool)) = (address, protocol, pool) else {
                continue;
            };
            if let Some(other) = keys.insert((address, port, protocol), name.clone()) {
                self.problem(
                    "vip.address",
                    vip.address.span(),
                    format!(
                        "the VIPs {other:?} and {name:?} have the same address, port and protocol"
                    ),
                    "change or remove one",
                );
            }
            self.no_loop(&vip.address, address, pools);
            if let (Some(key), TooBig::Fragment, true) =
                (&vip.too_big, rules.too_big, address.is_ipv6())
            {
                self.problem(
                    "vip.too_big",
                    key.span(),
                    "an IPv6 packet is never fragmented on its way: the client is told what fits",
                    "remove it",
                );
            }
            checked.push(Vip {
                name,
                address,
                port,
                protocol,
                pool,
                rules,
            });
        }
        checked
    }

    /// An address, or all of a prefix.
    fn vip_address(&mut self, text: &At<String>) -> Option<VipAddress> {
        let key = "vip.address";
        let address: VipAddress = match text.get_ref().parse() {
            Ok(address) => address,
            Err(error) => {
                let (message, help) = match error {
                    VipAddressError::Form => (
                        format!("{:?} is not an IP address or prefix", text.get_ref()),
                        "write an address, or a prefix as \"10.0.0.0/16\" or \"2001:db8::/64\""
                            .to_owned(),
                    ),
                    VipAddressError::HostBits(whole) => (
                        format!("{:?} has bits set behind its prefix", text.get_ref()),
                        format!("write {:?}", whole.to_string()),
                    ),
                };
                self.problem(key, text.span(), message, help);
                return None;
            }
        };
        if address.is_mapped() {
            self.problem(
                key,
                text.span(),
                "an IPv4-mapped address is an IPv4 address",
                "write it as a.b.c.d",
            );
        } else if !address.is_unicast() {
            let (message, help) = match address.one() {
                Some(address) => (
                    format!("{address} is not the address of one host"),
                    "write a unicast address",
                ),
                None => (
                    format!("{address} holds addresses that are not of one host"),
                    "write a prefix without multicast, broadcast and the unspecified address",
                ),
            };
            self.problem(key, text.span(), message, help);
        }
        Some(address)
    }

    fn protocol(&mut self, text: &At<String>) -> Option<Protocol> {
        match text.get_ref().as_str() {
            "tcp" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            other => {
                self.problem(
                    "vip.protocol",
                    text.span(),
                    format!("{other:?} is not a protocol"),
                    "write \"tcp\" or \"udp\"",
                );
                None
            }
        }
    }

    /// What is sent to a backend must not come back as a packet for a VIP. In layer 2 the station decides where it goes.
    fn no_loop(&mut self, key: &At<String>, address: VipAddress, pools: &[Pool]) {
        let comes_back = |backend: &&Backend| {
            address.holds(&backend.address.into()) && !matches!(backend.encap, Encap::L2 { .. })
        };
        let found = pools.iter().find_map(|pool| {
            let backend = pool.backends.iter().find(comes_back)?;
            Some((&pool.name, backend.address))
        });
        if let Some((pool, backend)) = found {
            let message = match address.one() {
                Some(_) => format!(
                    "{backend} is a backend of pool {pool:?} too: packets sent there would come back to this node"
                ),
                None => format!(
                    "{backend}, a backend of pool {pool:?}, lies in {address}: packets sent there would come back to this node"
                ),
            };
            self.problem(
                "vip.address",
                key.span(),
                message,
                "give the backend an address of its own, or reach it by encap = \"l2\"",
            );
        }
    }

    /// How packets are hashed, and what becomes of misses.
    fn rules(&mut self, vip: &schema::Vip) -> Rules {
        let on_miss = self.on_miss(vip.on_miss.as_ref());
        let rules = Rules {
            hash: self.hash(vip.hash.as_deref().unwrap_or_default()),
            on_miss,
            route_by: self.route_by(vip, on_miss),
            meter: vip.meter.as_ref().map(|meter| self.meter(meter.get_ref())),
            quota: (vip.quota.as_ref()).map(|quota| {
                let quota = self.number("vip.quota", Some(quota), 1, QUOTA_MAX, QUOTA_MAX);
                u32::try_from(quota).unwrap_or_default()
            }),
            echo: vip.echo.as_ref().is_some_and(|echo| *echo.get_ref()),
            too_big: self.too_big(vip.too_big.as_ref()),
            quic: self.quic(vip),
        };
        if let (Some(meter), false) = (&vip.meter, rules.on_miss == OnMiss::Punt) {
            self.problem(
                "vip.meter",
                meter.span(),
                format!(
                    "a meter limits what reaches the host, but misses of this VIP do not: on_miss is {:?}",
                    rules.on_miss.name()
                ),
                "remove it, or write on_miss = \"punt\"",
            );
        }
        if let (Some(quota), OnMiss::Stateless) = (&vip.quota, rules.on_miss) {
            self.problem(
                "vip.quota",
                quota.span(),
                "a quota limits what the card records, which is nothing of a stateless VIP",
                "remove it, or write on_miss = \"learn\" or \"punt\"",
            );
        }
        rules
    }

    fn hash(&mut self, names: &[At<String>]) -> HashOptions {
        let mut options = HashOptions::default();
        for name in names {
            if !options.set(name.get_ref()) {
                self.problem(
                    "vip.hash",
                    name.span(),
                    format!("{:?} is not a hash option", name.get_ref()),
                    "write \"no-source-port\", \"destination-port-only\" or \"keep-destination-port\"",
                );
            }
        }
        options
    }

    fn meter(&mut self, meter: &schema::Meter) -> Meter {
        let rate = self.number("vip.meter.rate", Some(&meter.rate), 1, RATE_MAX, 1);
        let burst = self.number("vip.meter.burst", Some(&meter.burst), 1, u16::MAX.into(), 1);
        Meter {
            rate: u32::try_from(rate).unwrap_or_default(),
            burst: u16::try_from(burst).unwrap_or_default(),
        }
    }

    fn on_miss(&mut self, on_miss: Option<&At<String>>) -> OnMiss {
        let Some(on_miss) = on_miss else {
            return OnMiss::default();
        };
        let (message, help) = match on_miss.get_ref().as_str() {
            "punt" => return OnMiss::Punt,
            "stateless" => return OnMiss::Stateless,
            "learn" => return OnMiss::Learn,
            other => (
                format!("{other:?} is not a policy"),
                "write \"punt\", \"learn\" or \"stateless\"",
            ),
        };
        self.problem("vip.on_miss", on_miss.span(), message, help);
        OnMiss::default()
    }

    fn too_big(&mut self, too_big: Option<&At<String>>) -> TooBig {
        let Some(too_big) = too_big else {
            return TooBig::default();
        };
        match too_big.get_ref().as_str() {
            "drop" => TooBig::Drop,
            "fragment" => TooBig::Fragment,
            other => {
                self.problem(
                    "vip.too_big",
                    too_big.span(),
                    format!("{other:?} is nothing that becomes of a packet"),
                    "write \"drop\" or \"fragment\"",
                );
                TooBig::default()
            }
        }
    }

    /// Prefixes have a table of their own.
    pub(super) fn prefix_limit(&mut self, keys: &[At<schema::Vip>], vips: &[Vip]) {
        let prefixes = || (vips.iter()).filter(|vip| vip.address.one().is_none());
        let Some(first_too_many) = prefixes().nth(VIP_PREFIXES) else {
            return;
        };
        let named = |key: &&At<schema::Vip>| *key.get_ref().name.get_ref() == first_too_many.name;
        self.problem(
            "vip.address",
            keys.iter()
                .find(named)
                .map_or(0..0, |key| key.get_ref().address.span()),
            format!(
                "{} VIPs are prefixes, but the card holds {VIP_PREFIXES} of them",
                prefixes().count()
            ),
            "join neighbours into shorter prefixes, or remove some",
        );
    }
}
