//! What the data path is measured by, in cycles, packets and bytes of the RTL.
//!
//! Owns the world in which it is measured and each measurement; tests assert the figures, `make bench` prints them.

use guideway_hdl::{
    tables::{
        BackendEntry, BackendState, Encap, FlowRecord, MissPolicy, NextHopEntry, VipEntry, VipMatch,
    },
    verdict::{Disposition, PortCounter},
};
use guideway_sim::{
    card::SentFrame,
    harness::{HarnessError, TestHost, frame::PacketSpec},
    registers::core as at,
    rtl::{RtlCard, RtlConfig},
};

/// Bytes that IPIP in IPv4 adds.
pub const IPIP: usize = WAYS[0].outer;
/// Bytes of a beat.
pub const BEAT: usize = 64;
/// The card's clock, in MHz.
pub const CLOCK_MHZ: f64 = 322.265_625;
const VIP: u16 = 3;
const POOL: u8 = 2;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// How packets travel to the backends.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// Bytes that it adds.
    pub outer: usize,
    encap: Encap,
    ipv6: bool,
    key: Option<u32>,
}

impl Way {
    const fn new(
        name: &'static str,
        outer: usize,
        encap: Encap,
        ipv6: bool,
        key: Option<u32>,
    ) -> Self {
        Self {
            name,
            outer,
            encap,
            ipv6,
            key,
        }
    }

    /// The backend with this index: 10.0.(index / 256).(index mod 256), or the same number in IPv6.
    #[must_use]
    pub fn backend(&self, index: u16) -> BackendEntry {
        BackendEntry {
            state: BackendState::Up.raw(),
            encap: self.encap.raw(),
            ipv6: self.ipv6,
            generation: 1,
            address: 0x0a00_0000 | u128::from(index),
            key_present: self.key.is_some(),
            key: self.key.unwrap_or(0),
            ..BackendEntry::default()
        }
    }
}

/// Every way of an IPv4 packet. The first is what is measured when no other is named.
pub const WAYS: &[Way] = &[
    Way::new("ipip-4in4", 20, Encap::Ipip, false, None),
    Way::new("ipip-4in6", 40, Encap::Ipip, true, None),
    Way::new("gre-4", 24, Encap::Gre, false, None),
    Way::new("gre-4-key", 28, Encap::Gre, false, Some(7)),
    Way::new("gre-6-key", 48, Encap::Gre, true, Some(7)),
    Way::new("gue-4", 28, Encap::Gue, false, None),
    Way::new("gue-6", 48, Encap::Gue, true, None),
    Way::new("l2", 0, Encap::L2, false, None),
];

/// Beats of this many bytes.
#[must_use]
pub const fn beats(bytes: usize) -> u64 {
    bytes.div_ceil(BEAT) as u64
}

/// A frame of `bytes` bytes (at least 60) from a client to the VIP; `client` chooses its address and port.
///
/// # Panics
/// When `bytes` is below 60.
#[must_use]
pub fn frame(client: u32, bytes: usize) -> Vec<u8> {
    assert!(
        bytes >= 60,
        "an Ethernet frame has at least 60 bytes without FCS"
    );
    let [_, high, middle, low] = client.to_be_bytes();
    let mut frame = PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 9]),
        source: [10, 1, high, middle].into(),
        destination: [10, 200, 1, 1].into(),
        protocol: 6,
        ports: (1024 + u16::from(low), 80),
        flags: 0x10,
        traffic_class: 0,
        payload: vec![low; bytes - 54],
    }
    .frame();
    frame.resize(bytes, 0);
    frame
}

/// The flow of [`frame`], to this backend.
#[must_use]
pub fn flow(client: u32, backend: u16) -> FlowRecord {
    let [_, high, middle, low] = client.to_be_bytes();
    FlowRecord {
        destination_port: 80,
        source_port: 1024 + u16::from(low),
        source: u128::from(u32::from_be_bytes([10, 1, high, middle])),
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

fn program_by(
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
    for index in 0..backends {
        host.set_backend(index, &way.backend(index))?;
    }
    host.set_ring(0, slots)?;
    host.set_pool(POOL, 0, u32::try_from(slots.len()).unwrap_or(0))?;
    host.set_vip(
        VIP,
        &VipEntry {
            pool: POOL,
            miss_policy: policy.raw(),
            mtu: 9256,
            ..VipEntry::default()
        },
    )?;
    host.add_match(&VipMatch {
        port: 80,
        protocol: 6,
        address: 0x0ac8_0101,
        valid: true,
        vip: VIP,
        ..VipMatch::default()
    })?;
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

fn sent(host: &mut TestHost<'_>) -> Vec<SentFrame> {
    std::iter::from_fn(|| host.card.wire_pop()).collect()
}

/// Latency of a lone frame in cycles: from its first two beats in, and from its last beat in, to its first beat out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Bytes of the frame.
    pub bytes: usize,
    /// Cycles from the window's completion.
    pub from_window: u64,
    /// Cycles from the last beat.
    pub from_end: u64,
}

/// Sends one frame of each size through an idle card.
///
/// # Errors
/// When the card does not answer, or a frame does not come out.
pub fn latencies(sizes: impl IntoIterator<Item = usize>) -> Result<Vec<Latency>, HarnessError> {
    latencies_by(&WAYS[0], sizes)
}

/// As [`latencies`], by this way.
///
/// # Errors
/// As [`latencies`].
pub fn latencies_by(
    way: &Way,
    sizes: impl IntoIterator<Item = usize>,
) -> Result<Vec<Latency>, HarnessError> {
    let mut card = RtlCard::new(RtlConfig::default());
    let host = &mut TestHost::new(&mut card)?;
    program_by(way, host, 1, &[0; 7], MissPolicy::Stateless)?;
    host.install(&flow(1, 0), 0, 0)?;
    let mut rows = Vec::new();
    for bytes in sizes {
        host.settle()?;
        let first_in = host.card.cycles();
        host.push(frame(1, bytes), false);
        host.settle()?;
        let out = sent(host)
            .pop()
            .ok_or(HarnessError::Full("a lone frame's way"))?;
        let window = first_in + beats(bytes).min(2) - 1;
        let end = first_in + beats(bytes) - 1;
        rows.push(Latency {
            bytes,
            from_window: out.first_cycle - window,
            from_end: out.first_cycle - end,
        });
    }
    Ok(rows)
}

/// What became of many frames of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Frames that came.
    pub frames: u64,
    /// Frames that left.
    pub sent: u64,
    /// Frames that found no room.
    pub full: u64,
    /// Frames that were dropped otherwise.
    pub dropped: u64,
    /// From the first beat out to the last, both included.
    pub cycles_out: u64,
    /// From the first beat in to the first beat out.
    pub delay: u64,
}

/// Sends `count` frames of known flows, `gap` cycles apart (end to begin), through the card.
///
/// # Errors
/// When the card does not answer, or a frame comes out wrong.
pub fn run(bytes: usize, count: u32, gap: u32, flows: u32) -> Result<Run, HarnessError> {
    run_by(&WAYS[0], bytes, count, gap, flows)
}

/// As [`run`], by this way.
///
/// # Errors
/// As [`run`].
pub fn run_by(
    way: &Way,
    bytes: usize,
    count: u32,
    gap: u32,
    flows: u32,
) -> Result<Run, HarnessError> {
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: gap,
        ..RtlConfig::default()
    });
    let host = &mut TestHost::new(&mut card)?;
    program_by(way, host, 4, &[SLOT_OF_NO_FLOW; 7], MissPolicy::Stateless)?;
    for client in 0..flows {
        host.install(&flow(client, (client % 3) as u16), (client % 4) as u8, 0)?;
    }
    host.settle()?;
    let first_in = host.card.cycles();
    for i in 0..count {
        host.push(frame(i % flows, bytes), false);
    }
    host.settle()?;
    let out = sent(host);
    check(way, &out, bytes, flows)?;
    let counters = host.counters()?;
    let count_of = |disposition: Disposition| counters[usize::from(disposition.raw())];
    let drops = Disposition::ALL
        .iter()
        .filter(|d| d.is_drop())
        .map(|d| count_of(*d))
        .sum::<u64>();
    host.check_conservation()?;
    let (first, last) = (
        out.first().map_or(0, |f| f.first_cycle),
        out.last().map_or(0, |f| f.last_cycle),
    );
    Ok(Run {
        frames: counters[usize::from(PortCounter::WireIn.raw())],
        sent: out.len() as u64,
        full: count_of(Disposition::DropIngressFull),
        dropped: drops - count_of(Disposition::DropIngressFull),
        cycles_out: last - first + 1,
        delay: first - first_in,
    })
}

/// The ring's slots name this backend, so that a packet which went by the ring shows.
const SLOT_OF_NO_FLOW: u16 = 3;

/// Every frame went where its flow says, whole, and those of one flow in order.
fn check(way: &Way, out: &[SentFrame], bytes: usize, flows: u32) -> Result<(), HarnessError> {
    // the outer destination's last four bytes; in l2 no byte names the backend
    let named = match (way.encap, way.ipv6) {
        (Encap::L2, _) => None,
        (_, false) => Some(30..34),
        (_, true) => Some(50..54),
    };
    for sent in out {
        let wrong = |what: &str| {
            HarnessError::Protocol(format!("a frame came out with {what}: {:02x?}", sent.bytes))
        };
        if sent.bytes.len() != bytes + way.outer {
            return Err(wrong("another length"));
        }
        let inner = &sent.bytes[14 + way.outer..];
        let source: [u8; 4] = [0, inner[14], inner[15], inner[21]];
        let client = u32::from_be_bytes(source);
        if client >= flows || *inner != frame(client, bytes)[14..] {
            return Err(wrong("another payload"));
        }
        let backend = [10, 0, 0, (client % 3) as u8];
        if named.clone().is_some_and(|at| sent.bytes[at] != backend) {
            return Err(wrong("another backend"));
        }
        if way.encap == Encap::Gue && !checksum_verifies(&sent.bytes, way.ipv6) {
            return Err(wrong("a wrong UDP checksum"));
        }
    }
    Ok(())
}

/// The UDP checksum behind an outer header, as a receiver verifies it (RFC 768, RFC 8200 8.1).
fn checksum_verifies(frame: &[u8], ipv6: bool) -> bool {
    let (addresses, udp) = if ipv6 { (22, 54) } else { (26, 34) };
    let length = frame.len() - udp;
    let words = frame[addresses..].chunks(2);
    let words = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    // addresses, then the datagram: they lie one behind the other
    let mut sum = words.sum::<u32>() + 17 + u32::try_from(length).unwrap_or(0);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff && frame[udp + 6..udp + 8] != [0, 0]
}
