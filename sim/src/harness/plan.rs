//! Random tables for scenarios: next hops, backends, pools with rings, VIPs, clients and their flows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, FlowRecord, NextHopEntry, SLOT_EMPTY, VIP_PREFIXES, VIPS,
    VipEntry, VipMatch, VipPrefix,
};

use super::random::Random;
use super::scenario::{FlowPlan, PoolPlan, VipPlan, World};

/// A client's flow to a VIP, or to nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// The VIP.
    pub vip: Option<u16>,
    /// 6 or 17.
    pub protocol: u8,
    /// The client.
    pub source: IpAddr,
    /// The virtual address, or one beside it.
    pub destination: IpAddr,
    /// Source and destination port.
    pub ports: (u16, u16),
}

const PRIMES: &[u32] = &[2, 3, 5, 7, 11, 31, 37, 127, 251, 1009, 4093];
const RING_MAX: u32 = 65537;
/// From one pool's ring to the next: the longest ring in whole beats.
const RING_STEP: u32 = 65568;

pub(super) fn wide(random: &mut Random) -> u128 {
    u128::from(random.bits()) << 64 | u128::from(random.bits())
}

pub(super) fn next_hop(random: &mut Random) -> NextHopEntry {
    let mac = |random: &mut Random| random.bits() & 0xfeff_ffff_ffff;
    NextHopEntry {
        destination: mac(random),
        source: if random.chance(50) { 0 } else { mac(random) },
        vlan_mode: *random.pick(&[0, 0, 1, 2, 2, 3]),
        vlan: random.half(),
    }
}

pub(super) fn state(random: &mut Random) -> u8 {
    match random.below(10) {
        0 => BackendState::Down,
        1 | 2 => BackendState::Draining,
        _ => BackendState::Up,
    }
    .raw()
}

pub(super) fn backends(random: &mut Random) -> Vec<(u16, BackendEntry)> {
    let count = random.between(1, 40);
    let step = random.between(1, 1024 / count);
    let first = random.below(1024 - step * (count - 1));
    (0..count)
        .map(|i| {
            let generation = random.byte();
            ((first + i * step) as u16, backend(random, generation))
        })
        .collect()
}

/// A backend of this generation: anywhere, in any state, over any next hops.
pub(super) fn backend(random: &mut Random, generation: u8) -> BackendEntry {
    let ipv6 = random.chance(50);
    let entry = BackendEntry {
        state: state(random),
        ipv6,
        generation,
        next_hop: random.below(16) as u8,
        more_next_hops: if random.chance(50) {
            0
        } else {
            random.below(16) as u8
        },
        address: if ipv6 {
            wide(random)
        } else {
            random.word().into()
        },
        ..BackendEntry::default()
    };
    with_encapsulation(random, entry)
}

/// The entry with another way to the backend: of those that the card knows, now and then of any code.
pub(super) fn with_encapsulation(random: &mut Random, entry: BackendEntry) -> BackendEntry {
    let encap = match random.below(20) {
        0 => random.byte() & 7,
        1..=6 => Encap::Ipip.raw(),
        7..=11 => Encap::Gre.raw(),
        12..=17 => Encap::Gue.raw(),
        _ => Encap::L2.raw(),
    };
    BackendEntry {
        encap,
        key_present: random.chance(50),
        key: random.word(),
        ..entry
    }
}

pub(super) fn pools(random: &mut Random, backends: &[(u16, BackendEntry)]) -> Vec<PoolPlan> {
    (0..random.between(1, 6) as u32)
        .map(|i| PoolPlan {
            pool: (i * 10) as u8 + random.below(10) as u8,
            base: 2 * i * RING_STEP + 32 * random.below(2049) as u32,
            slots: slots(random, backends),
        })
        .collect()
}

/// Another ring for a pool, beside the one that it began with.
pub(super) fn other_ring(
    random: &mut Random,
    plan: &PoolPlan,
    backends: &[(u16, BackendEntry)],
) -> PoolPlan {
    let place = 2 * (u32::from(plan.pool) / 10) + 1;
    PoolPlan {
        pool: plan.pool,
        base: place * RING_STEP + 32 * random.below(2049) as u32,
        slots: slots(random, backends),
    }
}

fn slots(random: &mut Random, backends: &[(u16, BackendEntry)]) -> Vec<u16> {
    let size = match random.below(20) {
        0 => 0,
        1 | 2 => RING_MAX,
        _ => *random.pick(PRIMES),
    };
    let slot = |random: &mut Random| match random.below(50) {
        0 => SLOT_EMPTY,
        1 => 1024 + random.half() % 1000,
        _ => random.pick(backends).0,
    };
    // a long ring repeats a short one: only its length matters
    let short: Vec<u16> = (0..size.min(5000)).map(|_| slot(random)).collect();
    short.iter().copied().cycle().take(size as usize).collect()
}

pub(super) fn vips(random: &mut Random, pools: &[PoolPlan], world: World) -> Vec<VipPlan> {
    let count = match world {
        World::Crowded => random.between(1, 3),
        _ => random.between(1, 24),
    };
    let first = random.below(256 / count);
    (0..count)
        .map(|i| {
            let vip = (first + i * (256 / count)) as u16;
            let ipv6 = random.chance(50);
            let protocol = *random.pick(&[6u8, 6, 17]);
            let port = if random.chance(30) { 0 } else { random.half() };
            let key = VipMatch {
                port,
                protocol,
                ipv6,
                address: if ipv6 {
                    wide(random)
                } else {
                    random.word().into()
                },
                valid: true,
                vip,
            };
            let mut keys = vec![key];
            if port != 0 && random.chance(20) {
                keys.push(VipMatch { port: 0, ..key });
            }
            let ping = VipMatch {
                port: 0,
                protocol: if ipv6 { 58 } else { 1 },
                ..key
            };
            VipPlan {
                vip,
                entry: vip_entry(random, protocol, pools, world),
                keys,
                // in a crowded world all keys of port 0 share a row
                ping: Some(ping).filter(|_| random.chance(50) && world != World::Crowded),
            }
        })
        .collect()
}

/// An entry for a VIP of this protocol, with a meter that packets of a scenario empty, or with none.
pub(super) fn vip_entry(
    random: &mut Random,
    protocol: u8,
    pools: &[PoolPlan],
    world: World,
) -> VipEntry {
    let policies: &[u8] = match world {
        World::Learning | World::Crowded => &[0, 0, 1, 1, 2],
        World::Alone => &[0, 1, 2],
        World::Attended => &[0, 0, 0, 2, 2],
    };
    let entry = VipEntry {
        echo: random.chance(70),
        quic: random.chance(if protocol == 17 { 70 } else { 10 }),
        quic_lb: random.chance(50),
        pool: random.pick(pools).pool,
        miss_policy: *random.pick(policies),
        quota: *random.pick(&[0, 0, 1, 3, 8]),
        fragment_too_big: random.chance(50),
        hash_no_source_port: random.chance(15),
        hash_destination_port_only: random.chance(15),
        hash_keep_destination_port: random.chance(30),
        mtu: *random.pick(&[1500, 1500, 1500, 9216, 100, 60, 16383]),
        ..VipEntry::default()
    };
    with_meter(random, entry)
}

/// The entry with another meter, or none.
pub(super) fn with_meter(random: &mut Random, entry: VipEntry) -> VipEntry {
    let rates = [0, 0, 1, 7, 300, 1000, 45_000, 0xff_ffff];
    VipEntry {
        meter_rate: *random.pick(&rates),
        meter_burst: *random.pick(&[0, 1, 2, 5, 9, 30, 100, u16::MAX]),
        ..entry
    }
}

/// A prefix around the address of a VIP's key or around any other; seldom of a VIP that is not there.
pub(super) fn prefix(random: &mut Random, vips: &[VipPlan]) -> VipPrefix {
    let plan = random.pick(vips);
    let key = random.pick(&plan.keys);
    let (vip, key) = (plan.vip, *key);
    let most = if key.ipv6 { 128 } else { 32 };
    let length = match random.below(20) {
        0 => random.byte(),
        1 => 0,
        _ => random.below(most + 1) as u8,
    };
    let below = if random.chance(50) {
        0
    } else {
        wide(random) >> 100
    };
    VipPrefix {
        port: if random.chance(60) { 0 } else { key.port },
        protocol: key.protocol,
        ipv6: key.ipv6 ^ random.chance(2),
        address: key.address ^ below,
        valid: random.chance(95),
        vip: if random.chance(97) {
            vip
        } else {
            random.half() & 0xfff
        },
        length,
    }
}

pub(super) fn prefixes(random: &mut Random, vips: &[VipPlan]) -> Vec<(usize, VipPrefix)> {
    let count = *random.pick(&[0, 1, 4, 16, VIP_PREFIXES]);
    (0..count)
        .map(|_| (random.below(VIP_PREFIXES), prefix(random, vips)))
        .collect()
}

pub(super) fn clients(
    random: &mut Random,
    vips: &[VipPlan],
    prefixes: &[(usize, VipPrefix)],
) -> Vec<Client> {
    let mut clients = Vec::new();
    for (_, prefix) in prefixes {
        // inside, at the edge, or just outside
        let most = if prefix.ipv6 { 128 } else { 32 };
        let free = most - u32::from(prefix.length).min(most);
        let inside = wide(random) & !u128::MAX.checked_shl(free).unwrap_or(0);
        let edge = 1u128.checked_shl(free).filter(|_| random.chance(15));
        let key = VipMatch {
            protocol: prefix.protocol,
            ipv6: prefix.ipv6,
            address: prefix.address ^ inside ^ edge.unwrap_or(0),
            ..VipMatch::default()
        };
        let port = match prefix.port {
            0 => random.half(),
            port if random.chance(80) => port,
            port => port ^ 1,
        };
        let vip = Some(prefix.vip).filter(|vip| usize::from(*vip) < VIPS);
        clients.push(client(random, vip, &key, port));
    }
    for plan in vips {
        let keys = &plan.keys;
        for _ in 0..random.between(2, 12) {
            let key = random.pick(keys);
            let port = if key.port == 0 {
                random.half()
            } else {
                key.port
            };
            clients.push(client(random, Some(plan.vip), key, port));
        }
        let key = random.pick(keys);
        // near misses: another port, protocol or address
        let other = match random.below(3) {
            0 => VipMatch {
                port: key.port ^ 1,
                ..*key
            },
            1 => VipMatch {
                protocol: if key.protocol == 6 { 17 } else { 6 },
                ..*key
            },
            _ => VipMatch {
                address: key.address ^ 1,
                ..*key
            },
        };
        clients.push(client(random, None, &other, other.port));
    }
    clients
}

fn client(random: &mut Random, vip: Option<u16>, key: &VipMatch, port: u16) -> Client {
    let address = |value: u128| -> IpAddr {
        if key.ipv6 {
            Ipv6Addr::from(value).into()
        } else {
            Ipv4Addr::from((value & 0xffff_ffff) as u32).into()
        }
    };
    Client {
        vip,
        protocol: key.protocol,
        source: address(wide(random)),
        destination: address(key.address),
        ports: (random.half(), port),
    }
}

pub(super) fn flows(
    random: &mut Random,
    clients: &[Client],
    backends: &[(u16, BackendEntry)],
) -> Vec<FlowPlan> {
    let mut flows = Vec::new();
    for client in clients {
        let Some(vip) = client.vip.filter(|_| random.chance(45)) else {
            continue;
        };
        let (backend, entry) = *random.pick(backends);
        let source = match client.source {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        let right = random.chance(80);
        flows.push(FlowPlan {
            record: FlowRecord {
                destination_port: client.ports.1,
                source_port: client.ports.0,
                source,
                vip,
                backend,
                generation: entry.generation.wrapping_sub(u8::from(!right)),
                pinned: random.chance(30),
                confirmed: random.chance(50),
                ..FlowRecord::default()
            },
            bank: random.below(4) as u8,
            way: random.below(4) as u8,
        });
    }
    flows
}
