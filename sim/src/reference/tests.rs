//! The reference model against its specification, Katran's values, other packet libraries, and itself.

mod admission;
mod conformance;
mod decide;
mod faulty;
mod headers;
mod katran;
mod never_panic;
mod parse;
mod scenarios;

use guideway_hdl::descriptors::{Command, Opcode};
use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, FlowRecord, MissPolicy, NextHopEntry, PoolEntry, SLOT_EMPTY,
    Table, VipEntry, VipMatch,
};

use super::Config;
use super::commands::{Commanded, execute};
use super::counters::Counters;
use super::dma::{Dma, DmaErrors};
use super::tables::{Tables, beat};
use crate::memory::GuestMemory;

/// The node's MAC address in these tests.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A station without secrets: every key lies in row 0 of its bank.
fn config() -> Config {
    Config {
        mac: MAC,
        ipip_source_v4: 0xac10_0000,
        ipip_source_v6: 1 << 120,
        source_v4: 0x0a00_0d25,
        source_v6: 0xfc00_2307 << 96 | 0x1337,
        gue_port: 6080,
        ..Config::default()
    }
}

/// VIP 10.200.1.1:80/tcp over backends 1 (IPv4) and 2 (IPv6), and VIP fc00:1::1:80/tcp over 2.
fn tables() -> Tables {
    let mut tables = Tables::default();
    let mut put = |table, index, bytes: &[u8]| {
        let bytes = std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0));
        tables.write(table, index, &bytes);
    };
    let key = |bank: usize, ipv6, address, vip| {
        let key = VipMatch {
            port: 80,
            protocol: 6,
            ipv6,
            address,
            valid: true,
            vip,
        };
        (bank * 128, key.to_bytes())
    };
    for (index, bytes) in [
        key(0, false, 0x0ac8_0101, 1),
        key(2, true, 0xfc00_0001 << 96 | 1, 2),
    ] {
        put(Table::VipMatch, index, &bytes);
    }
    for vip in [1u8, 2] {
        let entry = VipEntry {
            pool: vip,
            miss_policy: MissPolicy::Punt.raw(),
            mtu: 1500,
            ..VipEntry::default()
        };
        put(Table::Vip, vip.into(), &entry.to_bytes());
        let pool = PoolEntry {
            ring_base: u32::from(vip) * 32,
            ring_size: 3,
            barrett: 0x5555_5555,
        };
        put(Table::Pool, vip.into(), &pool.to_bytes());
        let slots: Vec<u8> = [u16::from(vip); 3]
            .iter()
            .flat_map(|slot| slot.to_le_bytes())
            .collect();
        put(Table::Ring, vip.into(), &slots);
        let backend = BackendEntry {
            state: BackendState::Up.raw(),
            encap: Encap::Ipip.raw(),
            ipv6: vip == 2,
            generation: 7,
            next_hop: vip,
            address: if vip == 2 {
                0xfc00 << 112 | 2
            } else {
                0x0a00_0001
            },
            ..BackendEntry::default()
        };
        put(Table::Backend, vip.into(), &backend.to_bytes());
    }
    let next_hop = NextHopEntry {
        destination: 0x0000_dead_beaf,
        ..NextHopEntry::default()
    };
    put(Table::NextHop, 1, &next_hop.to_bytes());
    let named = NextHopEntry {
        source: 0x0200_0000_00aa,
        ..next_hop
    };
    put(Table::NextHop, 2, &named.to_bytes());
    tables
}

/// Writes an entry as the host would.
fn set<const N: usize>(tables: &mut Tables, table: Table, index: usize, bytes: [u8; N]) {
    tables.write(table, index, &beat(Some(bytes)));
}

/// Installs a flow at bank 0, way 0.
fn install(tables: &mut Tables, record: &FlowRecord) {
    let command = Command {
        opcode: Opcode::Insert.raw(),
        destination_port: record.destination_port,
        source_port: record.source_port,
        source: record.source,
        vip: record.vip,
        backend: record.backend,
        generation: record.generation,
        ..Command::default()
    };
    let mut memory = GuestMemory::new(0, 0);
    let mut errors = DmaErrors::default();
    let mut commanded = Commanded {
        tables,
        counters: &Counters::default(),
        secrets: &[[0; 6]; 4],
        time_us: 0,
        cycles: 0,
    };
    let (status, _) = execute(
        &command,
        &mut commanded,
        &mut Dma::new(&mut memory, &mut errors),
    );
    assert_eq!(status, guideway_hdl::descriptors::Status::Ok);
}

/// Empties a pool's ring.
fn empty_ring(tables: &mut Tables, pool: usize) {
    let slots = [SLOT_EMPTY.to_le_bytes(); 32];
    let bytes = std::array::from_fn(|i| slots[i / 2][i % 2]);
    tables.write(Table::Ring, pool, &bytes);
}
