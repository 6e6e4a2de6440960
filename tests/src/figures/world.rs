//! The card's tables as they are when it is measured.

use guideway_hdl::{
    descriptors::{Command, Opcode},
    tables::{
        BANKS, FLOW_ROWS, FLOW_WAYS, FlowKey, FlowRecord, MissPolicy, NextHopEntry, VipEntry,
        VipMatch,
    },
};
use guideway_sim::{
    harness::{HarnessError, TestHost},
    registers::core as at,
};
use std::net::IpAddr;

use super::{WAYS, Way};

const VIP: u16 = 3;
const POOL: u8 = 2;

/// A frame of `bytes` bytes (at least 60) from a client to the IPv4 VIP; `client` chooses its address and port.
///
/// # Panics
/// When `bytes` is below 60.
#[must_use]
pub fn frame(client: u32, bytes: usize) -> Vec<u8> {
    assert!(
        bytes >= WAYS[0].least(),
        "an Ethernet frame has at least 60 bytes without FCS"
    );
    WAYS[0].frame(client, bytes, 0)
}

/// The flow of [`frame`], to this backend.
#[must_use]
pub fn flow(client: u32, backend: u16) -> FlowRecord {
    flow_by(&WAYS[0], client, backend)
}

/// The flow of [`Way::frame`], to this backend.
#[must_use]
pub fn flow_by(way: &Way, client: u32, backend: u16) -> FlowRecord {
    let [_, high, middle, low] = client.to_be_bytes();
    let number = u128::from(u16::from_be_bytes([high, middle]));
    let network = if way.inner_ipv6 {
        0x2001_0db8_0001_0002_0003_0004_0005_0000
    } else {
        0x0a01_0000
    };
    FlowRecord {
        destination_port: 80,
        source_port: 1024 + u16::from(low),
        source: network | number,
        vip: VIP,
        backend,
        generation: 1,
        confirmed: true,
        ..FlowRecord::default()
    }
}

/// Programs a card: 10.200.1.1:80/tcp over `backends` backends by a ring of these slots; the port is open. MTU 9,256.
///
/// # Errors
/// When a command fails.
pub fn program(
    host: &mut TestHost<'_>,
    backends: u16,
    slots: &[u16],
    policy: MissPolicy,
) -> Result<(), HarnessError> {
    program_by(&WAYS[0], host, backends, slots, policy)
}

/// As [`program`], by this way; the VIP takes TCP and UDP.
///
/// # Errors
/// As [`program`].
pub fn program_by(
    way: &Way,
    host: &mut TestHost<'_>,
    backends: u16,
    slots: &[u16],
    policy: MissPolicy,
) -> Result<(), HarnessError> {
    host.set_secrets(std::array::from_fn(|bank| {
        std::array::from_fn(|word| (bank as u32 * 7 + word as u32 + 1).wrapping_mul(0x9e37_79b1))
    }));
    host.write(at::MAC_LOW, 1);
    host.write(at::MAC_HIGH, 0x0200);
    host.write(at::IPIP_SOURCE_V4, 0xac10_0000);
    host.set_next_hop(
        0,
        &NextHopEntry {
            destination: 0x0000_dead_beaf,
            ..NextHopEntry::default()
        },
    )?;
    set_way(way, host, backends)?;
    host.set_ring(0, slots)?;
    host.set_pool(POOL, 0, u32::try_from(slots.len()).unwrap_or(0))?;
    set_policy(host, policy)?;
    let (address, ipv6) = match way.vip() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), false),
        IpAddr::V6(address) => (address.to_bits(), true),
    };
    for protocol in [6, 17] {
        host.add_match(&VipMatch {
            port: 80,
            protocol,
            ipv6,
            address,
            valid: true,
            vip: VIP,
        })?;
    }
    host.write(at::CONTROL, 1);
    host.settle()
}

/// Makes another ring the pool's, in the one write that a swap is.
///
/// # Errors
/// When the command fails.
pub fn swap_ring(host: &mut TestHost<'_>, base: u32, size: u32) -> Result<(), HarnessError> {
    host.set_pool(POOL, base, size)
}

/// Makes packets travel to the first `backends` backends by this way.
///
/// # Errors
/// When a command fails.
pub fn set_way(way: &Way, host: &mut TestHost<'_>, backends: u16) -> Result<(), HarnessError> {
    (0..backends).try_for_each(|index| host.set_backend(index, &way.backend(index)))
}

/// What the VIP's misses do from now on.
///
/// # Errors
/// When the command fails.
pub fn set_policy(host: &mut TestHost<'_>, policy: MissPolicy) -> Result<(), HarnessError> {
    host.set_vip(
        VIP,
        &VipEntry {
            pool: POOL,
            miss_policy: policy.raw(),
            mtu: 9256,
            ..VipEntry::default()
        },
    )
}

/// Installs many flows, each in the bank whose row holds the fewest; the table was empty.
///
/// # Errors
/// When a place is taken, or a command fails.
pub fn install_all(host: &mut TestHost<'_>, flows: &[FlowRecord]) -> Result<(), HarnessError> {
    let mut held = vec![0; BANKS * FLOW_ROWS];
    let mut commands = Vec::with_capacity(flows.len());
    for flow in flows {
        let key = FlowKey {
            destination_port: flow.destination_port,
            source_port: flow.source_port,
            source: flow.source,
            vip: flow.vip,
        };
        let row =
            |bank: u8| usize::from(bank) * FLOW_ROWS + host.flow_place(&key, bank, 0) % FLOW_ROWS;
        let bank = (0..BANKS as u8)
            .min_by_key(|bank| held[row(*bank)])
            .unwrap_or(0);
        let way: u8 = held[row(bank)];
        if usize::from(way) >= FLOW_WAYS {
            return Err(HarnessError::Full("a flow that is measured"));
        }
        held[row(bank)] += 1;
        commands.push(Command {
            backend: flow.backend,
            generation: flow.generation,
            confirmed: flow.confirmed,
            ..TestHost::flow_command(Opcode::Insert, &key, bank, way)
        });
    }
    host.orders(&commands)
}
