//! Checks of a card against its specification, for every model.
//!
//! Each takes a fresh card (power on) behind a [`TestHost`], does one thing of `CARD.md` and says what it saw instead. They
//! wait for the card to become idle and ask nothing of time.

mod commands;
mod encapsulation;
mod gue;
mod headers;
mod icmp;
mod learning;
mod meters;
mod path;
mod prefixes;
mod quic;
mod records;
mod replies;
mod rings;

use std::net::{IpAddr, Ipv6Addr};

use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, FlowRecord, MissPolicy, NextHopEntry, VipEntry, VipMatch,
};

use super::frame::PacketSpec;
use super::random::Random;
use super::{HarnessError, TestHost};
use crate::card::Card;
use crate::registers::core as at;

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What holds.
    pub name: &'static str,
    run: fn(&mut TestHost<'_>) -> Result<(), HarnessError>,
}

impl Check {
    /// Runs the check on a card at power on.
    ///
    /// # Errors
    /// What the card did instead.
    pub fn run(&self, card: &mut dyn Card) -> Result<(), HarnessError> {
        let mut host = TestHost::new(card)?;
        (self.run)(&mut host)?;
        host.settle()
    }
}

/// Every check.
#[must_use]
pub fn checks() -> Vec<Check> {
    [
        commands::CHECKS,
        rings::CHECKS,
        path::CHECKS,
        meters::CHECKS,
        prefixes::CHECKS,
        encapsulation::CHECKS,
        gue::CHECKS,
        headers::CHECKS,
        icmp::CHECKS,
        replies::CHECKS,
        quic::CHECKS,
        learning::CHECKS,
        records::CHECKS,
    ]
    .concat()
}

/// Fails with both values when they differ.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    seen: &T,
    expected: &T,
) -> Result<(), HarnessError> {
    if seen == expected {
        return Ok(());
    }
    Err(HarnessError::Protocol(format!(
        "{what}: {seen:02x?} instead of {expected:02x?}"
    )))
}

/// Fails with a sentence unless it holds.
fn holds(what: &str, condition: bool) -> Result<(), HarnessError> {
    if condition {
        return Ok(());
    }
    Err(HarnessError::Protocol(format!("not so: {what}")))
}

/// A counter of the card.
fn count(host: &mut TestHost<'_>, number: u8) -> Result<u64, HarnessError> {
    Ok(host.counters()?[usize::from(number)])
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const VIP: u16 = 3;
const POOL: u8 = 2;
const BACKEND: u16 = 5;
const GENERATION: u8 = 9;

/// Opens the port and balances 10.200.1.1:80/tcp over one backend, 10.0.0.1.
pub(crate) fn balance(host: &mut TestHost<'_>, policy: MissPolicy) -> Result<(), HarnessError> {
    let random = &mut Random::new(1);
    host.set_secrets(std::array::from_fn(|_| {
        std::array::from_fn(|_| random.word())
    }));
    host.write(at::MAC_LOW, 1);
    host.write(at::MAC_HIGH, 0x0200);
    host.write(at::IPIP_SOURCE_V4, 0xac10_0000);
    let next_hop = NextHopEntry {
        destination: 0x0000_dead_beaf,
        ..NextHopEntry::default()
    };
    host.set_next_hop(0, &next_hop)?;
    host.set_backend(BACKEND, &backend())?;
    host.set_ring(64, &[BACKEND; 7])?;
    host.set_pool(POOL, 64, 7)?;
    let entry = VipEntry {
        pool: POOL,
        miss_policy: policy.raw(),
        mtu: 1500,
        ..VipEntry::default()
    };
    host.set_vip(VIP, &entry)?;
    host.add_match(&VipMatch {
        port: 80,
        protocol: 6,
        ipv6: false,
        address: 0x0ac8_0101,
        valid: true,
        vip: VIP,
    })?;
    host.write(at::CONTROL, 1);
    Ok(())
}

fn backend() -> BackendEntry {
    BackendEntry {
        state: BackendState::Up.raw(),
        encap: Encap::Ipip.raw(),
        generation: GENERATION,
        address: 0x0a00_0001,
        ..BackendEntry::default()
    }
}

/// Sends a frame and returns what left.
fn sent(host: &mut TestHost<'_>, frame: &[u8]) -> Result<Vec<Vec<u8>>, HarnessError> {
    host.push(frame.to_vec(), false);
    host.settle()?;
    Ok(host.take_sent())
}

/// Makes [fc00::1]:80/tcp the balanced VIP too; a packet of client [fc00::909] to it.
fn client_v6(host: &mut TestHost<'_>) -> Result<PacketSpec, HarnessError> {
    let service = Ipv6Addr::from(0xfc00 << 112 | 1);
    host.add_match(&VipMatch {
        port: 80,
        protocol: 6,
        ipv6: true,
        address: service.into(),
        valid: true,
        vip: VIP,
    })?;
    let client: IpAddr = Ipv6Addr::from(0xfc00 << 112 | 0x0909).into();
    Ok(PacketSpec {
        source: client,
        destination: service.into(),
        ..packet(4000)
    })
}

/// A packet of client 192.168.1.1 to the balanced VIP.
pub(crate) fn packet(source_port: u16) -> PacketSpec {
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 9]),
        source: [192, 168, 1, 1].into(),
        destination: [10, 200, 1, 1].into(),
        protocol: 6,
        ports: (source_port, 80),
        flags: 0x10,
        traffic_class: 0,
        payload: b"hello".to_vec(),
    }
}

/// A frame of 60 bytes for the `control` queue.
pub(crate) fn arp() -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&MAC);
    frame[12..14].copy_from_slice(&[8, 6]);
    frame
}

/// The flow of [`packet`], going to the backend.
pub(crate) fn flow(source_port: u16) -> FlowRecord {
    FlowRecord {
        destination_port: 80,
        source_port,
        source: 0xc0a8_0101,
        vip: VIP,
        backend: BACKEND,
        generation: GENERATION,
        ..FlowRecord::default()
    }
}
