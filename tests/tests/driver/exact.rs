//! Whether a card's tables are those of a configuration, and nothing else: read back, and followed from VIP to address as a packet
//! is, so that no index that a host chose matters.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use guideway::card::{
    Backend, Card, NextHop, OnMiss, Pool, Protocol, QuicScheme, Rules, TooBig, VipAddress, VipId,
    VipKey, VipMatchTable,
};
use guideway::config::{Config, Encap, Mac};
use guideway::maglev::{Member, NOBODY, Ring};
use guideway_hdl::tables::{
    self, BackendEntry, BackendState, NextHopEntry, PoolEntry, SLOT_EMPTY, Table, VipEntry,
};

/// Fails with what is wrong.
pub fn holds_exactly(card: &Card, config: &Config) -> Result<(), String> {
    let (pools, vips) = (card.read_pools().unwrap(), card.read_vips().unwrap());
    let backends = card.read_backends().unwrap();
    let matches = card.read_vip_matches().unwrap();
    let used = |beats: Vec<[u32; 16]>| beats.iter().filter(|beat| **beat != [0; 16]).count();
    let held = |table| used(card.dump(table, 0, card.entries(table)).unwrap());
    let answering: BTreeSet<VipAddress> = (config.vips.iter())
        .filter(|vip| vip.rules.echo)
        .map(|vip| vip.address)
        .collect();
    let prefixes = (config.vips.iter().map(|vip| &vip.address))
        .chain(&answering)
        .filter(|address| address.one().is_none());
    let (keys, in_prefixes) = (held(Table::VipMatch), held(Table::VipPrefix));
    if in_prefixes != prefixes.count() {
        return Err(format!("{in_prefixes} prefixes"));
    }
    let keys = keys + in_prefixes;
    let echoes = answers(card, config, &matches, &vips)?;
    if keys != config.vips.len() + echoes || matches.iter().count() != keys {
        return Err(format!("{keys} keys for {} VIPs", config.vips.len()));
    }
    if card.control().unwrap().compute_only != config.node.compute_only {
        return Err("compute_only".to_owned());
    }
    node(card, config)?;
    let mut live = HashMap::new();
    for vip in &config.vips {
        let key = VipKey {
            address: vip.address,
            port: vip.port,
            protocol: vip.protocol.into(),
        };
        let id = matches.get(&key).ok_or(format!("no VIP {key}"))?;
        let entry = &vips[usize::from(id.0)];
        let mtu = config.pools[vip.pool].mtu.unwrap_or(config.node.mtu);
        if entry.mtu != mtu {
            return Err(format!("{key}: MTU {}", entry.mtu));
        }
        follows_rules(entry, &vip.rules).map_err(|error| format!("{key}: {error}"))?;
        let name = &config.pools[vip.pool].name;
        if *live.entry(entry.pool).or_insert(name) != name {
            return Err(format!("pool {} is {name} and another", entry.pool));
        }
        let addresses = addresses(card, &pools[usize::from(entry.pool)], &backends)?;
        if addresses != wanted(config, vip.pool) {
            return Err(format!("{key}: not the ring of {name}"));
        }
    }
    for (id, entry) in (0u8..).zip(&pools) {
        if !live.contains_key(&id) && *entry != PoolEntry::default() {
            return Err(format!("pool {id} is nobody's: {entry:?}"));
        }
    }
    regions(&pools)?;
    takers(&backends, &card.read_next_hops().unwrap(), config)
}

/// The card's own address, and the shares of the way out: host and known flows all of it, new ones three quarters, over meter a quarter.
fn node(card: &Card, config: &Config) -> Result<(), String> {
    let mac = config.node.mac.map_or(([0; 6], false), |mac| (mac.0, true));
    if card.mac().unwrap() != mac {
        return Err(format!("{:?} instead of {mac:?}", card.mac()));
    }
    let shares = card.egress_thresholds().unwrap();
    if shares != [4096, 4096, 3072, 1024] {
        return Err(format!("{shares:?} beats of the way out"));
    }
    Ok(())
}

/// Hash options, policy and limits are those of the configuration.
fn follows_rules(entry: &VipEntry, rules: &Rules) -> Result<(), String> {
    let hash = [
        entry.hash_no_source_port,
        entry.hash_destination_port_only,
        entry.hash_keep_destination_port,
    ];
    let wanted = [
        rules.hash.no_source_port,
        rules.hash.destination_port_only,
        rules.hash.keep_destination_port,
    ];
    let policy = match rules.on_miss {
        OnMiss::Punt => 0,
        OnMiss::Learn => 1,
        OnMiss::Stateless => 2,
    };
    let meter = rules
        .meter
        .map_or((0, 0), |meter| (meter.rate, meter.burst));
    let held = (entry.meter_rate, entry.meter_burst);
    if hash == wanted
        && entry.echo == rules.echo
        && entry.fragment_too_big == (rules.too_big == TooBig::Fragment)
        && (entry.quic, entry.quic_lb)
            == (rules.quic.is_some(), rules.quic == Some(QuicScheme::QuicLb))
        && (entry.miss_policy, entry.quota) == (policy, rules.quota.unwrap_or(0))
        && held == meter
    {
        Ok(())
    } else {
        Err(format!("{entry:?} instead of {rules:?}"))
    }
}

/// Each address of a VIP that answers echo requests has a key for them, which names a VIP of that address that answers. How many there are.
fn answers(
    card: &Card,
    config: &Config,
    matches: &VipMatchTable,
    vips: &[VipEntry],
) -> Result<usize, String> {
    if card.icmp_limit().unwrap() != config.node.icmp_limit {
        return Err(format!("{:?}", card.icmp_limit()));
    }
    let mut answering: HashMap<VipAddress, Vec<Option<VipId>>> = HashMap::new();
    for vip in config.vips.iter().filter(|vip| vip.rules.echo) {
        let key = VipKey {
            address: vip.address,
            port: vip.port,
            protocol: vip.protocol.into(),
        };
        let ids = answering.entry(vip.address).or_default();
        ids.push(matches.get(&key));
    }
    for (&address, ids) in &answering {
        let protocol = match address.is_ipv6() {
            true => Protocol::Icmpv6,
            false => Protocol::Icmp,
        };
        let key = VipKey {
            address,
            port: 0,
            protocol,
        };
        let named = matches.get(&key);
        let answers = named.is_some_and(|id| vips[usize::from(id.0)].echo);
        if !answers || !ids.contains(&named) {
            return Err(format!("{address} answers for {named:?} of {ids:?}"));
        }
    }
    Ok(answering.len())
}

/// A pool's ring as the addresses that packets would go to.
fn addresses(
    card: &Card,
    pool: &PoolEntry,
    backends: &[BackendEntry],
) -> Result<Vec<Option<IpAddr>>, String> {
    let pool = Pool::from_entry(pool);
    let ring = card
        .read_ring(pool.ring_base, pool.ring_size as usize)
        .unwrap();
    ring.iter()
        .map(|&slot| {
            if slot == SLOT_EMPTY {
                return Ok(None);
            }
            let backend = Backend::from_entry(&backends[usize::from(slot)]).unwrap();
            match backend.state {
                BackendState::Up => Ok(Some(backend.address)),
                state => Err(format!("a ring names {} ({state:?})", backend.address)),
            }
        })
        .collect()
}

/// The same of the configuration.
fn wanted(config: &Config, pool: usize) -> Vec<Option<IpAddr>> {
    let pool = &config.pools[pool];
    let members: Vec<Member> = pool
        .backends
        .iter()
        .map(|backend| Member {
            address: backend.address,
            weight: backend.weight,
        })
        .collect();
    let ring = Ring::build(pool.table, pool.table_size, &members);
    ring.slots()
        .iter()
        .map(|&slot| (slot != NOBODY).then(|| members[slot as usize].address))
        .collect()
}

/// Rings of different pools share no beat.
fn regions(pools: &[PoolEntry]) -> Result<(), String> {
    let mut taken = BTreeSet::new();
    for pool in pools {
        let beats = pool.ring_base / 32..(pool.ring_base + pool.ring_size).div_ceil(32);
        for beat in beats {
            if !taken.insert(beat) {
                return Err(format!("beat {beat} lies in two rings"));
            }
        }
    }
    Ok(())
}

/// Backends that take new flows are the configured ones, each reached its own way; others drain.
fn takers(backends: &[BackendEntry], hops: &[NextHopEntry], config: &Config) -> Result<(), String> {
    let known = backends
        .iter()
        .filter(|entry| **entry != BackendEntry::default());
    let mut up: Vec<(IpAddr, Encap)> = Vec::new();
    for entry in known {
        let backend = Backend::from_entry(entry).unwrap();
        let encap = way(&backend, hops, config)?;
        match backend.state {
            BackendState::Up => up.push((backend.address, encap)),
            BackendState::Draining => {}
            BackendState::Down => return Err(format!("{} is down", backend.address)),
        }
    }
    let mut wanted: Vec<(IpAddr, Encap)> = config
        .pools
        .iter()
        .flat_map(|pool| &pool.backends)
        .filter(|backend| backend.weight > 0)
        .map(|backend| (backend.address, backend.encap))
        .collect();
    up.sort_by_key(|(address, _)| *address);
    wanted.sort_by_key(|(address, _)| *address);
    if up == wanted {
        Ok(())
    } else {
        Err(format!("{up:?} are up instead of {wanted:?}"))
    }
}

/// How the card reaches a backend, its next hop included.
fn way(backend: &Backend, hops: &[NextHopEntry], config: &Config) -> Result<Encap, String> {
    let mut hops = (backend.next_hops.ids()).map(|id| NextHop::from_entry(&hops[usize::from(id)]));
    let hops: Vec<NextHop> = hops.by_ref().collect();
    let hop = hops[0];
    let encap = match backend.encap {
        tables::Encap::Ipip => Encap::Ipip,
        tables::Encap::Gre => Encap::Gre {
            key: backend.gre_key,
        },
        tables::Encap::Gue => Encap::Gue,
        tables::Encap::L2 => Encap::L2 {
            mac: Mac(hop.destination),
        },
        other => return Err(format!("{} in {other:?}", backend.address)),
    };
    let macs = |hops: &[NextHop]| -> BTreeSet<[u8; 6]> {
        hops.iter().map(|hop| hop.destination).collect()
    };
    let configured = (config.pools.iter().flat_map(|pool| &pool.backends))
        .find(|known| known.address == backend.address);
    let all = || config.node.next_hops.iter().map(|hop| hop.mac.0).collect();
    let wanted: BTreeSet<[u8; 6]> = match configured.and_then(|known| known.next_hop) {
        Some(hop) => BTreeSet::from([config.node.next_hops[hop].mac.0]),
        None => all(),
    };
    let by_node = macs(&hops) == wanted && hops.len() == wanted.len();
    let hop_fits = by_node != matches!(encap, Encap::L2 { .. });
    let key_fits = backend.gre_key.is_none() || matches!(encap, Encap::Gre { .. });
    if hop_fits && key_fits && hop.source == config.node.mac.map(|mac| mac.0) {
        Ok(encap)
    } else {
        Err(format!("{backend:?} by {hop:?}"))
    }
}
