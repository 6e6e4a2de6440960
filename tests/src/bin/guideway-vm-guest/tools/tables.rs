//! Tables with random content: through the command ring into the card, back, and digested there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use guideway::card::flow::{FlowPlace, FlowTarget, flow_key, insert, record_key};
use guideway::card::{
    Backend, BackendId, Card, CardOptions, NextHop, NextHopId, NextHops, Pool, PoolId,
    SecretSource, VipId, Vlan,
};
use guideway::device::PciAddress;
use guideway_hdl::descriptors::{Expect, Status};
use guideway_hdl::tables::{BackendState, Encap, Table};
use guideway_sim::harness::random::Random;
use serde_json::json;

/// The largest ring that there is.
const SLOTS: usize = 65_537;
/// Flows; each at a place of its own choice that may be taken.
const FLOWS: u16 = 2000;
/// What the digests are compared of.
const TABLES: [Table; 5] = [
    Table::Pool,
    Table::Ring,
    Table::Backend,
    Table::NextHop,
    Table::Flow,
];

pub fn fill_and_compare(seed: u64, address: PciAddress) -> Result<()> {
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let options = || CardOptions {
        secrets: SecretSource::Seed(seed),
        ..CardOptions::default()
    };
    let card = Card::open(
        super::open(address)?,
        CardOptions {
            erase: true,
            ..options()
        },
    )?;
    let mut entries = 0;
    entries += backends(&card, &mut random)?;
    entries += ring(&card, &mut random)?;
    entries += flows(&card, &mut random)?;
    let before = digests(&card)?;
    for (table, digest) in TABLES.into_iter().zip(&before) {
        let dumped = dump_digest(&card, table)?;
        ensure!(
            *digest == dumped,
            "the card's digest of {} is {digest:08x}, that of its dump {dumped:08x}",
            table.name()
        );
    }
    // closed and opened: the kernel resets the function twice
    drop(card);
    let card = Card::open(super::open(address)?, options())?;
    let after = digests(&card)?;
    ensure!(
        before == after,
        "digests were {before:08x?}, and are {after:08x?} for the next host"
    );
    drop(card);
    Card::open(
        super::open(address)?,
        CardOptions {
            erase: true,
            ..options()
        },
    )?;
    println!("{}", json!({"entries": entries, "tables": TABLES.len()}));
    Ok(())
}

fn backends(card: &Card, random: &mut Random) -> Result<usize> {
    let sizes = card.sizes();
    let mut hops = Vec::new();
    for i in 0..sizes.next_hops as u16 {
        let bytes = random.bits().to_be_bytes();
        let hop = NextHop {
            destination: [2, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]],
            source: (i % 2 == 0).then_some([2, 0, 0, 0, bytes[6], bytes[7]]),
            vlan: match i % 3 {
                0 => Vlan::Keep,
                1 => Vlan::Remove,
                _ => Vlan::Set(u16::from_be_bytes([bytes[0], bytes[7]])),
            },
        };
        card.write_next_hop(NextHopId(i as u8), &hop)?;
        hops.push(hop);
    }
    let mut backends = Vec::new();
    for i in 0..sizes.backends as u16 {
        let address: IpAddr = if i % 2 == 0 {
            Ipv4Addr::from_bits(random.word()).into()
        } else {
            Ipv6Addr::from_bits(u128::from(random.bits()) << 64 | u128::from(random.bits())).into()
        };
        let backend = Backend {
            state: BackendState::Up,
            encap: Encap::Ipip,
            generation: random.byte(),
            next_hops: NextHops::one(random.byte() % sizes.next_hops as u8),
            address,
            gre_key: None,
        };
        backends.push(backend);
    }
    let beats: Vec<[u32; 16]> = backends
        .iter()
        .map(|backend| {
            let mut beat = [0; 16];
            let words = backend.to_entry().to_words();
            beat[..words.len()].copy_from_slice(&words);
            beat
        })
        .collect();
    card.write(Table::Backend, 0, &beats)?;
    for (read, written) in card.read_next_hops()?.iter().zip(&hops) {
        ensure!(*read == written.to_entry(), "{written:?} reads as {read:?}");
    }
    for (read, written) in card.read_backends()?.iter().zip(&backends) {
        ensure!(*read == written.to_entry(), "{written:?} reads as {read:?}");
    }
    Ok(hops.len() + backends.len())
}

fn ring(card: &Card, random: &mut Random) -> Result<usize> {
    let backends = card.sizes().backends as u16;
    let slots: Vec<u16> = (0..SLOTS).map(|_| random.half() % backends).collect();
    // behind the table's first beat: an offset that is lost would show
    let base = 32 * 1000;
    card.write_ring(base, &slots)?;
    ensure!(
        card.read_ring(base, SLOTS)? == slots,
        "the ring reads otherwise than it was written"
    );
    let pool = Pool {
        ring_base: base,
        ring_size: SLOTS as u32,
    };
    card.write_pool(PoolId(9), &pool)?;
    let read = card.read_pools()?[9];
    ensure!(read == pool.to_entry()?, "{pool:?} reads as {read:?}");
    Ok(SLOTS + 1)
}

fn flows(card: &Card, random: &mut Random) -> Result<usize> {
    let (mut commands, mut wanted) = (Vec::new(), BTreeMap::new());
    for port in 0..FLOWS {
        let source = Ipv4Addr::from_bits(random.word()).into();
        let key = flow_key(VipId(u16::from(random.byte())), source, port, 80);
        let place = FlowPlace {
            bank: random.byte() % 4,
            way: random.byte() % 4,
        };
        let target = FlowTarget {
            backend: BackendId(random.half() % 1024),
            generation: random.byte(),
            pinned: random.byte().is_multiple_of(2),
            confirmed: random.byte().is_multiple_of(2),
        };
        commands.push(insert(&key, place, &target, Expect::Free));
        wanted.insert(port, (key, target));
    }
    for (port, outcome) in (0..FLOWS).zip(card.run(&commands)?) {
        match outcome.status {
            Status::Ok => {}
            // two keys of one row chose one place
            Status::Occupied => drop(wanted.remove(&port)),
            status => anyhow::bail!("inserting flow {port} ended with {status:?}"),
        }
    }
    let found = card.read_flows()?;
    ensure!(
        found.len() == wanted.len(),
        "{} flows were written, {} are there",
        wanted.len(),
        found.len()
    );
    for (_, record) in found {
        let Some((key, target)) = wanted.get(&record.source_port) else {
            anyhow::bail!("{record:?} was never written");
        };
        ensure!(
            record_key(&record) == *key
                && record.backend == target.backend.0
                && record.pinned == target.pinned,
            "{key:?} to {target:?} reads as {record:?}"
        );
    }
    Ok(wanted.len())
}

/// The card's own digests of whole tables.
fn digests(card: &Card) -> Result<Vec<u32>> {
    let digest = |table| Ok(card.digest(table, 0, card.entries(table))?);
    TABLES.into_iter().map(digest).collect()
}

/// CRC-32 over a table as it was read.
fn dump_digest(card: &Card, table: Table) -> Result<u32> {
    let mut digest = crc32fast::Hasher::new();
    for word in card.dump(table, 0, card.entries(table))?.as_flattened() {
        digest.update(&word.to_le_bytes());
    }
    Ok(digest.finalize())
}
