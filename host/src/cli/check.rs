//! `guideway check`: is a configuration right, and what would it program?

use std::net::IpAddr;

use clap::Args;
use serde_json::json;

use super::{ConfigFile, house_table, print};
use crate::config::{Config, Encap};
use crate::control::state::{Hop, State};
use crate::maglev::{Ring, hex};

/// Validate a configuration and print what it would program into the card.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// A backend's row.
struct BackendRow {
    pool: String,
    index: u16,
    address: IpAddr,
    encap: Encap,
    next_hops: Vec<Hop>,
    weight: u32,
    slots: u32,
    share: f64,
    expected: f64,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = self.config.read()?;
        let state = State::default().next(&config)?;
        let rings: Vec<Ring> = config
            .pools
            .iter()
            .map(|pool| Ring::build(pool.table, pool.table_size, &pool.members()))
            .collect();
        let rows = backend_rows(&config, &state, &rings);
        if self.json {
            print(&serde_json::to_string_pretty(&as_json(
                &config, &state, &rings, &rows,
            ))?)
        } else {
            print(&as_tables(&config, &state, &rings, &rows))
        }
    }
}

fn backend_rows(config: &Config, state: &State, rings: &[Ring]) -> Vec<BackendRow> {
    let mut rows = Vec::new();
    for (pool, ring) in config.pools.iter().zip(rings) {
        let total: u64 = pool
            .backends
            .iter()
            .map(|backend| u64::from(backend.weight))
            .sum();
        for (backend, slots) in pool.backends.iter().zip(ring.shares(pool.backends.len())) {
            let placed = state
                .backends
                .iter()
                .find(|b| b.pool == pool.name && b.address == backend.address);
            #[allow(clippy::cast_precision_loss)] // a share is printed with three digits
            let expected = if total == 0 {
                0.0
            } else {
                f64::from(backend.weight) / total as f64
            };
            let share = f64::from(slots) / f64::from(pool.table_size);
            rows.push(BackendRow {
                pool: pool.name.clone(),
                index: placed.map_or(0, |b| b.id),
                address: backend.address,
                encap: backend.encap,
                next_hops: placed.map(|b| state.hops_of(b)).unwrap_or_default(),
                weight: backend.weight,
                slots,
                share,
                expected,
            });
        }
    }
    rows
}

fn as_json(
    config: &Config,
    state: &State,
    rings: &[Ring],
    rows: &[BackendRow],
) -> serde_json::Value {
    let pools: Vec<_> = config.pools.iter().zip(rings).map(|(pool, ring)| {
        let placed = state.pools.iter().find(|p| p.name == pool.name);
        json!({
            "name": pool.name, "index": placed.map(|p| p.id), "table": pool.table.name(), "table_size": pool.table_size,
            "ring_base": placed.map(|p| p.base), "digest": hex(&ring.digest(&pool.members())),
        })
    }).collect();
    let hops = |hops: &[Hop]| -> Vec<_> {
        hops.iter()
            .map(|Hop(mac, vlan)| json!({ "mac": mac, "vlan": vlan }))
            .collect()
    };
    let backends: Vec<_> = rows.iter().map(|row| {
        json!({ "pool": row.pool, "index": row.index, "address": row.address, "encap": row.encap, "next_hops": hops(&row.next_hops), "weight": row.weight, "slots": row.slots, "share": row.share, "expected_share": row.expected })
    }).collect();
    let vips: Vec<_> = state.vips.iter().map(|vip| {
        let pool = state.pool(vip.pool).map(|pool| pool.name.as_str());
        json!({ "name": vip.name, "index": vip.id, "address": vip.address, "port": vip.port, "protocol": vip.protocol.name(), "pool": pool, "on_miss": vip.rules.on_miss,
            "hash": vip.rules.hash.names(), "meter": vip.rules.meter, "quota": vip.rules.quota, "echo": vip.rules.echo, "too_big": vip.rules.too_big, "route_by": vip.rules.route_by.names(), "quic": vip.rules.quic })
    }).collect();
    json!({ "card": config.card, "node": config.node, "pools": pools, "backends": backends, "vips": vips })
}

/// The routers by name, or MAC address where they have none; an l2 backend's own MAC address.
fn next_hops_text(config: &Config, hops: &[Hop]) -> String {
    let routers = &config.node.next_hops;
    let text = |hop: &Hop| {
        let router = routers.iter().find(|router| Hop::of(router) == *hop);
        let name = router.and_then(|router| router.name.clone());
        name.unwrap_or_else(|| hop.0.to_string())
    };
    match hops {
        [] => "none".to_owned(),
        [hop] => text(hop),
        hops => format!(
            "by flow: {}",
            hops.iter().map(text).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn as_tables(config: &Config, state: &State, rings: &[Ring], rows: &[BackendRow]) -> String {
    let mut pools = house_table(
        &[
            "pool",
            "index",
            "table",
            "slots",
            "ring base",
            "digest over slot addresses",
        ],
        &[1, 3, 4],
    );
    for (pool, ring) in config.pools.iter().zip(rings) {
        let placed = state.pools.iter().find(|p| p.name == pool.name);
        let of = |value: Option<String>| value.unwrap_or_default();
        pools.add_row([
            pool.name.clone(),
            of(placed.map(|p| p.id.to_string())),
            pool.table.name().to_owned(),
            pool.table_size.to_string(),
            of(placed.map(|p| p.base.to_string())),
            hex(&ring.digest(&pool.members())),
        ]);
    }
    let mut backends = house_table(
        &[
            "backend", "pool", "index", "encap", "next hop", "weight", "slots", "share", "expected",
        ],
        &[2, 5, 6, 7, 8],
    );
    for row in rows {
        let percent = |share: f64| format!("{:.3} %", share * 100.0);
        backends.add_row([
            row.address.to_string(),
            row.pool.clone(),
            row.index.to_string(),
            row.encap.to_string(),
            next_hops_text(config, &row.next_hops),
            row.weight.to_string(),
            row.slots.to_string(),
            percent(row.share),
            percent(row.expected),
        ]);
    }
    let mut vips = house_table(
        &[
            "vip", "index", "address", "port", "protocol", "pool", "on miss", "hash", "meter",
            "quota", "echo", "route by",
        ],
        &[1, 3, 9],
    );
    for vip in &state.vips {
        let port = if vip.port == 0 {
            "any".to_owned()
        } else {
            vip.port.to_string()
        };
        let pool = state.pool(vip.pool).map_or("", |pool| pool.name.as_str());
        let hash = match vip.rules.hash.names() {
            none if none.is_empty() => "katran's".to_owned(),
            names => names.join(", "),
        };
        let or_none = |value: Option<String>| value.unwrap_or("none".to_owned());
        vips.add_row([
            &vip.name,
            &vip.id.to_string(),
            &vip.address.to_string(),
            &port,
            vip.protocol.name(),
            pool,
            vip.rules.on_miss.name(),
            &hash,
            &or_none(vip.rules.meter.map(|meter| meter.to_string())),
            &or_none(vip.rules.quota.map(|quota| quota.to_string())),
            ["no", "answered"][usize::from(vip.rules.echo)],
            &match vip.rules.route_by.names() {
                none if none.is_empty() => "ring".to_owned(),
                names => names.join(", "),
            },
        ]);
    }
    let node = &config.node;
    let hops: Vec<_> = (node.next_hops.iter())
        .map(|hop| match &hop.name {
            Some(name) => format!("{name}, {} with {}", hop.mac, hop.vlan),
            None => format!("{} with {}", hop.mac, hop.vlan),
        })
        .collect();
    let hops = match hops.as_slice() {
        [] => "no next hop".to_owned(),
        [hop] => format!("next hop {hop}"),
        hops => format!("next hops {}", hops.join("; ")),
    };
    let source = node
        .mac
        .map_or("the received destination MAC".to_owned(), |mac| {
            mac.to_string()
        });
    let compute_only = if node.compute_only {
        ", compute only: misses go by the ring"
    } else {
        ""
    };
    format!(
        "{}: {hops}; sends from {source}, MTU {}{compute_only}; too-big errors {}; echo replies {}\n\n{pools}\n\n{backends}\n\n{vips}",
        node.name, node.mtu, node.icmp_limit.too_big, node.icmp_limit.echo
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_each_backends_packets_are_sent() {
        let text = "version = 1\n[card]\ndevice = \"sim\"\n\
            [[node.next_hop]]\nname = \"east\"\nmac = \"02:00:00:00:00:01\"\n\
            [[node.next_hop]]\nmac = \"02:00:00:00:00:02\"\nvlan = 42\n\
            [[pool]]\nname = \"web\"\ntable_size = 1009\n\
            [[pool.backend]]\naddress = \"10.0.0.1\"\nnext_hop = \"east\"\n\
            [[pool.backend]]\naddress = \"10.0.0.2\"\n\
            [[pool.backend]]\naddress = \"10.0.0.3\"\nencap = \"l2\"\nmac = \"02:00:00:00:00:05\"\n";
        let config = Config::parse("test", text).unwrap();
        let state = State::default().next(&config).unwrap();
        let pool = &config.pools[0];
        let ring = Ring::build(pool.table, pool.table_size, &pool.members());
        let rings = [ring];
        let rows = backend_rows(&config, &state, &rings);
        let texts: Vec<String> = (rows.iter())
            .map(|row| next_hops_text(&config, &row.next_hops))
            .collect();
        assert_eq!(
            texts,
            [
                "east",
                "by flow: east, 02:00:00:00:00:02",
                "02:00:00:00:00:05"
            ]
        );
        let json = as_json(&config, &state, &rings, &rows);
        let second = &json["backends"][1]["next_hops"][1];
        assert_eq!(second["mac"], "02:00:00:00:00:02");
        assert_eq!(second["vlan"], json!({ "set": 42 }));
    }
}
