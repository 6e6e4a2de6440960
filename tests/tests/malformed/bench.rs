//! A card with its tables, and what became of the frames that it was given.
//!
//! Owns the world that the seeds of [`super::frames`] live in, and how a fate is read from counters, wire and rings.

use guideway_hdl::{
    descriptors::{RxCompletion, Status, TxDescriptor, TxOp},
    tables::{
        BackendEntry, BackendState, Encap, FlowRecord, MissPolicy, NextHopEntry, VipEntry, VipMatch,
    },
    verdict::Disposition,
};
use guideway_sim::{
    card::Card,
    harness::{HarnessError, TestHost},
    registers::core as at,
};

use super::frames::{ICMPV6, MAC, SERVICE_V6, SMALL_PORT, TCP, UDP};

/// How a frame comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Wire,
    Assign,
}

/// What became of some frames, as far as time has no say in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// How many ended so, by the disposition's number.
    pub counts: Vec<u64>,
    /// What left on the wire.
    pub sent: Vec<Vec<u8>>,
    /// What the host got.
    pub received: Vec<(RxCompletion, Vec<u8>)>,
}

impl Fate {
    /// The one disposition that a lone frame ended in.
    pub fn disposition(&self) -> Option<Disposition> {
        let mut ended = (0u8..).zip(&self.counts).filter(|(_, count)| **count > 0);
        match (ended.next(), ended.next()) {
            (Some((number, 1)), None) => Disposition::from_raw(number),
            _ => None,
        }
    }

    /// In words, for whoever has to find the difference.
    pub fn told(&self) -> String {
        let name = self
            .disposition()
            .map_or("not one disposition", Disposition::name);
        let sent: Vec<String> = self.sent.iter().map(|frame| hex(frame)).collect();
        let received: Vec<_> = (self.received.iter())
            .map(|(record, frame)| (record, hex(frame)))
            .collect();
        format!("{name}, sent {sent:?}, received {received:?}")
    }

    /// Both together, in this order.
    pub fn join(&mut self, other: &Self) {
        self.counts.resize(other.counts.len(), 0);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sent.extend_from_slice(&other.sent);
        self.received.extend_from_slice(&other.received);
    }
}

/// Bytes as captures print them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Dispositions are the counters before this one.
const DISPOSITIONS: usize = 48;
const GENERATION: u8 = 9;

/// A card at work.
pub struct Bench<'c> {
    host: TestHost<'c>,
    counters: Vec<u64>,
}

impl<'c> Bench<'c> {
    pub fn new(card: &'c mut dyn Card) -> Result<Self, HarnessError> {
        let mut host = TestHost::new(card)?;
        program(&mut host)?;
        let counters = host.counters()?;
        Ok(Self { host, counters })
    }

    /// Sends frames, few enough that no queue fills, and waits for their end.
    pub fn send(&mut self, way: Way, frames: &[&[u8]]) -> Result<Fate, HarnessError> {
        let assign = TxDescriptor {
            op: TxOp::Assign.raw(),
            vip: 0,
            backend: 0,
            generation: GENERATION,
            ..TxDescriptor::default()
        };
        for frame in frames {
            match way {
                Way::Wire => self.host.push(frame.to_vec(), false),
                Way::Assign => {
                    let status = self.host.transmit(assign, frame)?.status;
                    if status != Status::Ok.raw() {
                        let what = "an inject".to_owned();
                        return Err(HarnessError::Refused { what, status });
                    }
                }
            }
        }
        self.host.settle()?;
        let before = std::mem::take(&mut self.counters);
        self.counters = self.host.counters()?;
        let now = self.counters.iter().take(DISPOSITIONS);
        Ok(Fate {
            counts: now.zip(&before).map(|(now, before)| now - before).collect(),
            sent: self.host.take_sent(),
            received: (self.host.receive()?.into_iter())
                .map(|frame| (lasting(frame.record), frame.bytes))
                .collect(),
        })
    }

    /// Nothing was lost without a name.
    pub fn check_conservation(&mut self) -> Result<(), HarnessError> {
        self.host.check_conservation()
    }
}

/// The completion without its place in the ring, its time, and what means nothing.
fn lasting(record: RxCompletion) -> RxCompletion {
    let always = RxCompletion {
        disposition: record.disposition,
        host_class: record.host_class,
        length: record.length,
        error: record.error,
        ..RxCompletion::default()
    };
    if !record.vip_valid {
        return always;
    }
    RxCompletion {
        phase: always.phase,
        index: always.index,
        timestamp: always.timestamp,
        ..record
    }
}

/// One VIP a way to be decided: a known flow and the ring (TCP over IPv4), the ring (UDP over IPv4, TCP over IPv6), the host (UDP
/// over IPv6); a backend each for IPIP, GRE and layer 2; a next hop each that keeps, removes and sets tags.
fn program(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.set_secrets(std::array::from_fn(|bank| {
        std::array::from_fn(|word| (bank as u32 * 7 + word as u32 + 1).wrapping_mul(0x9e37_79b1))
    }));
    let [high, low @ ..] = MAC;
    host.write(
        at::MAC_LOW,
        u32::from_be_bytes([low[1], low[2], low[3], low[4]]),
    );
    host.write(
        at::MAC_HIGH,
        1 << 16 | u32::from(high) << 8 | u32::from(low[0]),
    );
    host.write(at::IPIP_SOURCE_V4, 0xac10_0000);
    host.write(at::SOURCE_V4, 0x0a0a_0a0a);
    for vlan_mode in 0..3 {
        let entry = NextHopEntry {
            destination: 0x0000_dead_beaf,
            vlan_mode,
            vlan: 0xb007,
            ..NextHopEntry::default()
        };
        host.set_next_hop(vlan_mode, &entry)?;
    }
    for (backend, encap) in (0u16..).zip([Encap::Ipip, Encap::Gre, Encap::L2]) {
        let entry = BackendEntry {
            state: BackendState::Up.raw(),
            encap: encap.raw(),
            ipv6: encap == Encap::Gre,
            key_present: true,
            key: 0xfeed,
            generation: GENERATION,
            next_hop: backend as u8,
            address: 0x0a00_0001 + u128::from(backend),
            ..BackendEntry::default()
        };
        host.set_backend(backend, &entry)?;
    }
    host.set_ring(0, &[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])?;
    host.set_pool(0, 0, 11)?;
    let keys = [
        (TCP, false, MissPolicy::Stateless),
        (UDP, false, MissPolicy::Stateless),
        (TCP, true, MissPolicy::Stateless),
        (UDP, true, MissPolicy::Punt),
    ];
    for (vip, (protocol, ipv6, policy)) in (0u16..).zip(keys) {
        let entry = VipEntry {
            pool: 0,
            miss_policy: policy.raw(),
            mtu: 9216,
            echo: true,
            ..VipEntry::default()
        };
        host.set_vip(vip, &entry)?;
        host.add_match(&VipMatch {
            port: if protocol == TCP { 80 } else { 443 },
            protocol,
            ipv6,
            address: if ipv6 { SERVICE_V6.into() } else { 0x0ac8_0101 },
            valid: true,
            vip,
        })?;
    }
    // pings of the VIPs, and a VIP that next to nothing fits
    let small = VipEntry {
        pool: 0,
        miss_policy: MissPolicy::Stateless.raw(),
        mtu: 120,
        ..VipEntry::default()
    };
    host.set_vip(4, &small)?;
    for (vip, protocol, port, address) in [
        (0, 1, 0, 0x0ac8_0101),
        (2, ICMPV6, 0, SERVICE_V6.into()),
        (4, TCP, SMALL_PORT, 0x0ac8_0101),
        (4, TCP, SMALL_PORT, SERVICE_V6.into()),
    ] {
        host.add_match(&VipMatch {
            port,
            protocol,
            ipv6: address > u128::from(u32::MAX),
            address,
            valid: true,
            vip,
        })?;
    }
    // answers never run out here
    for register in [at::ICMP_LIMIT, at::ICMP_LIMIT + 4] {
        host.write(register, 0xffff_0000);
    }
    let flow = FlowRecord {
        destination_port: 80,
        source_port: 4000,
        source: 0xc0a8_0101,
        vip: 0,
        backend: 0,
        generation: GENERATION,
        confirmed: true,
        ..FlowRecord::default()
    };
    host.install(&flow, 1, 2)?;
    host.write(at::HEARTBEAT, 1_000_000);
    host.write(at::CONTROL, 1);
    host.settle()
}
