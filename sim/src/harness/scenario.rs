//! Random scenarios: tables, flows and traffic from a seed, the same for every card.
//!
//! Owns what is asked of a card. What it answered, and how two answers differ, is [`super::outcome`]'s. Frames come in
//! batches small enough that no queue overflows while the host waits for the card to become idle: what is dropped for
//! want of room depends on time, and is not what scenarios compare.

use std::net::IpAddr;

use guideway_hdl::descriptors::{Command, Expect, Opcode, TxOp};
use guideway_hdl::tables::{
    BANKS, BackendEntry, FLOW_WAYS, FlowKey, FlowRecord, NextHopEntry, QuicId, SECRET_WORDS,
    VIP_PREFIXES, VipEntry, VipMatch, VipPrefix,
};

use super::TestHost;
use super::frame::{Oddity, PacketSpec, odd_frame};
use super::headers::{extended, perhaps_tagged};
use super::icmp::{random_echo, random_error};
use super::plan::{
    Client, backend, backends, clients, flows, next_hop, other_ring, pools, prefix, prefixes,
    state, vip_entry, vips, wide, with_encapsulation, with_meter,
};
use super::quic::{payload, server_ids};
use super::random::Random;
use super::records::TraceFilter;
use super::tables::key_of;

/// A pool and its ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPlan {
    /// The pool.
    pub pool: u8,
    /// First slot, a multiple of 32.
    pub base: u32,
    /// Slots; empty: no ring.
    pub slots: Vec<u16>,
}

/// A VIP and its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipPlan {
    /// The VIP.
    pub vip: u16,
    /// Its entry.
    pub entry: VipEntry,
    /// What it is matched by.
    pub keys: Vec<VipMatch>,
    /// Its key for echo requests.
    pub ping: Option<VipMatch>,
}

/// A flow to install, and the place from which on one is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowPlan {
    /// Key, backend, generation and flags.
    pub record: FlowRecord,
    /// First bank to try.
    pub bank: u8,
    /// First way to try.
    pub way: u8,
}

/// One thing that happens; the card becomes idle before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Frames on the wire, back to back, with the MAC's error flag.
    Wire(Vec<(Vec<u8>, bool)>),
    /// A frame of the host.
    Inject {
        /// RAW or ASSIGN.
        op: TxOp,
        /// ASSIGN's VIP.
        vip: u16,
        /// ASSIGN's backend.
        backend: u16,
        /// ASSIGN's generation.
        generation: u8,
        /// ASSIGN's share of its flow's hash.
        spread: u8,
        /// It ends a punt.
        ends_punt: bool,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// A punt is over.
    Release,
    /// Microseconds pass.
    Time(u64),
    /// The host writes the heartbeat.
    Heartbeat(u32),
    /// A next hop changes.
    NextHop(u8, NextHopEntry),
    /// A backend changes.
    Backend(u16, BackendEntry),
    /// A VIP's entry changes.
    Vip(u16, VipEntry),
    /// A VIP's key, or its key for echo requests, becomes another VIP's or nobody's, or its own again.
    Key(VipMatch),
    /// A QUIC server id is written into a bank.
    Quic(usize, QuicId),
    /// An entry of the prefix table changes.
    Prefix(usize, VipPrefix),
    /// The control register changes: counters may be held from then on.
    Control(u32),
    /// The egress classes' thresholds change: nothing of a class passes, or all.
    Thresholds([u32; 4]),
    /// A pool gets another ring.
    Ring(PoolPlan),
    /// A flow is inserted, moved or deleted at a place, whatever is there.
    Flow(Command),
    /// The host is gone, and comes back.
    HostReset,
    /// The card is reset, and programmed again.
    CardReset,
}

/// What keeps a world's answers independent of time: learning takes cycles (`CARD.md` 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// The card learns; its frames come [`LEARNING_GAP`] cycles apart.
    Learning,
    /// The same, and all flows of a VIP share a few rows, so that places and quotas run out.
    Crowded,
    /// The card computes only: nothing is learned, whether there is a host or not.
    Alone,
    /// There is always a host, and no VIP that learns.
    Attended,
}

impl World {
    const ALL: [Self; 5] = [
        Self::Learning,
        Self::Crowded,
        Self::Alone,
        Self::Attended,
        Self::Attended,
    ];

    /// What may happen in the scenario of this seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        *Random::new(seed).pick(&Self::ALL)
    }

    /// How many of so many frames it has: those of worlds that learn take many cycles each.
    #[must_use]
    pub const fn share(self, frames: usize) -> usize {
        if self.learns() {
            frames.div_ceil(4)
        } else {
            frames
        }
    }

    /// Cycles that the wire must rest after each frame.
    #[must_use]
    pub const fn gap(self) -> u32 {
        match self {
            Self::Learning | Self::Crowded => LEARNING_GAP,
            Self::Alone | Self::Attended => 0,
        }
    }

    /// The card learns.
    #[must_use]
    pub const fn learns(self) -> bool {
        self.gap() != 0
    }
}

/// Cycles after which a packet sees what the one before it asked of the flow table (`CARD.md` 4).
pub const LEARNING_GAP: u32 = 128;

/// Tables, flows, registers, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it was made from.
    pub seed: u64,
    /// What may happen in it.
    pub world: World,
    /// No frame's end contradicts its beginning: stamps of flows are then exact too.
    pub honest: bool,
    /// The node's MAC address.
    pub mac: [u8; 6],
    /// Whether unicast frames for others are dropped.
    pub mac_filter: bool,
    /// Prefix of IPIP's outer IPv4 source.
    pub ipip_source_v4: u32,
    /// Prefix of IPIP's outer IPv6 source.
    pub ipip_source_v6: u128,
    /// Outer IPv4 source of GRE and GUE.
    pub source_v4: u32,
    /// Outer IPv6 source of GRE and GUE.
    pub source_v6: u128,
    /// Outer destination port of GUE.
    pub gue_port: u16,
    /// Bytes of QUIC-LB's server ids.
    pub quic_lb: u32,
    /// Limits of too-big errors and echo replies.
    pub icmp_limit: [u32; 2],
    /// The banks' secrets.
    pub secrets: [[u32; SECRET_WORDS]; 4],
    /// Next hops from index 0 on.
    pub next_hops: Vec<NextHopEntry>,
    /// Backends.
    pub backends: Vec<(u16, BackendEntry)>,
    /// Pools.
    pub pools: Vec<PoolPlan>,
    /// VIPs.
    pub vips: Vec<VipPlan>,
    /// QUIC server ids, and their banks.
    pub quic_ids: Vec<(usize, QuicId)>,
    /// Prefixes, and their places.
    pub prefixes: Vec<(usize, VipPrefix)>,
    /// Flows.
    pub flows: Vec<FlowPlan>,
    /// Which packets are traced.
    pub traces: Option<TraceFilter>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Beats of frames in one batch, at most: what the smallest class buffer holds.
const BATCH_BEATS: usize = 400;
/// Frames in one batch, at most: a few less than what a receive queue of the test host holds.
const BATCH_FRAMES: usize = 60;

impl Scenario {
    /// A scenario with the world's share of `frames` frames.
    #[must_use]
    pub fn random(seed: u64, frames: usize) -> Self {
        let random = &mut Random::new(seed);
        let world = *random.pick(&World::ALL);
        let frames = world.share(frames);
        let next_hops = (0..16).map(|_| next_hop(random)).collect();
        let backends = backends(random);
        let pools = pools(random, &backends);
        let vips = vips(random, &pools, world);
        let prefixes = prefixes(random, &vips);
        let quic_ids = server_ids(random, &pools, &backends);
        let clients = clients(random, &vips, &prefixes);
        let mut flows = flows(random, &clients, &backends);
        if world == World::Crowded {
            flows.truncate(BANKS * FLOW_WAYS); // they may all be of one row
        }
        let mac = [2, random.byte(), random.byte(), random.byte(), 0, 1];
        let mut scenario = Self {
            seed,
            world,
            honest: world.learns() || random.chance(30),
            mac,
            mac_filter: random.chance(50),
            ipip_source_v4: if random.chance(50) {
                0xac10_0000
            } else {
                random.word()
            },
            ipip_source_v6: if random.chance(50) {
                1 << 120
            } else {
                wide(random)
            },
            source_v4: random.word(),
            source_v6: wide(random),
            gue_port: if random.chance(50) {
                6080
            } else {
                random.half()
            },
            // mostly lengths that there are
            quic_lb: if random.chance(80) {
                0x0765_4321
            } else {
                random.word() & 0x0fff_ffff
            },
            icmp_limit: std::array::from_fn(|_| icmp_limit(random)),
            secrets: std::array::from_fn(|_| match world {
                // of a flow, only the destination port counts
                World::Crowded => [u32::from(random.half()), 0, 0, 0, 0, 0],
                _ => std::array::from_fn(|_| random.word()),
            }),
            next_hops,
            backends,
            pools,
            vips,
            prefixes,
            quic_ids,
            flows,
            traces: None,
            steps: Vec::new(),
        };
        if !scenario.is_metered() {
            // frames whose end is bad may take tokens, and over-meter packets are learned
            for plan in &mut scenario.vips {
                plan.entry.meter_rate = 0;
            }
        }
        scenario.steps = scenario.steps(random, &clients, frames);
        scenario.traces = scenario.traces(random, &clients);
        scenario
    }

    /// All packets, those of a part of the clients, or none.
    fn traces(&self, random: &mut Random, clients: &[Client]) -> Option<TraceFilter> {
        let all = TraceFilter {
            // a frame whose end is bad may count
            sample_log2: match self.honest {
                true => random.below(3) as u32,
                false => 0,
            },
            ..TraceFilter::default()
        };
        let client = random.pick(clients);
        let few_bits = |random: &mut Random| 1 << random.below(16) | 1 << random.below(16);
        match random.below(8) {
            0..=2 => None,
            3 | 4 => Some(all),
            5 => Some(TraceFilter {
                vip: client.vip,
                protocol: (client.protocol, 0xff),
                ..all
            }),
            6 => Some(TraceFilter {
                ipv6: Some(client.source.is_ipv6()),
                source_port: (client.ports.0, few_bits(random)),
                ..all
            }),
            _ => {
                let address = match client.destination {
                    IpAddr::V4(v4) => u32::from(v4).into(),
                    IpAddr::V6(v6) => u128::from(v6),
                };
                Some(TraceFilter {
                    destination: (address, u128::MAX << random.below(128)),
                    source: (wide(random), u128::from(few_bits(random))),
                    ..all
                })
            }
        }
    }

    /// Whether any VIP ever has a meter: a frame whose end contradicts its beginning may take a token, and a packet that finds
    /// none is learned.
    #[must_use]
    pub fn is_metered(&self) -> bool {
        self.honest && self.world.learns()
    }

    /// Frames of the wire and of the host in it.
    #[must_use]
    pub fn frames(&self) -> usize {
        let frames = self.steps.iter().map(|step| match step {
            Step::Wire(frames) => frames.len(),
            Step::Inject { .. } => 1,
            _ => 0,
        });
        frames.sum()
    }

    fn steps(&self, random: &mut Random, clients: &[Client], frames: usize) -> Vec<Step> {
        let alone = u32::from(self.world == World::Alone) << 2;
        let attended = self.world == World::Attended;
        let mut steps = vec![Step::Control(1 | alone | u32::from(random.chance(20)) << 1)];
        if attended {
            steps.push(Step::Heartbeat(u32::MAX));
        } else if random.chance(70) {
            steps.push(Step::Heartbeat(random.between(1, 100_000) as u32));
        }
        let mut made = 0;
        while made < frames {
            let step = match random.below(20) {
                0 => Step::Time(random.between(1, 5000) as u64),
                1 if attended => Step::Heartbeat(u32::MAX),
                1 => Step::Heartbeat(*random.pick(&[0, 1, 3000, 1_000_000])),
                2 => Step::Release,
                3 | 4 => self.change(random, alone),
                5 => {
                    steps.extend(self.upheaval(random, alone));
                    continue;
                }
                6..=8 => self.inject(random, clients),
                _ => self.batch(random, clients, (frames - made).min(BATCH_FRAMES)),
            };
            made += match &step {
                Step::Wire(frames) => frames.len(),
                Step::Inject { .. } => 1,
                _ => 0,
            };
            steps.push(step);
        }
        steps
    }

    /// An entry of a table, or a register, changes.
    fn change(&self, random: &mut Random, alone: u32) -> Step {
        match random.below(20) {
            0 | 1 => Step::NextHop(random.below(16) as u8, next_hop(random)),
            2..=4 => self.prefix_change(random),
            5 | 6 if !self.quic_ids.is_empty() => self.quic_change(random),
            7 | 8 => Step::Control(1 | alone | random.word() & 0xe),
            9 => Step::Thresholds(std::array::from_fn(|_| match random.chance(20) {
                true => 0,
                false => 0x1000,
            })),
            10 | 11 => self.key_change(random),
            12..=14 => self.vip_change(random),
            _ => self.backend_change(random),
        }
    }

    /// What operators, hosts and their deaths do to tables.
    fn upheaval(&self, random: &mut Random, alone: u32) -> Vec<Step> {
        let attended = (self.world == World::Attended).then_some(Step::Heartbeat(u32::MAX));
        match random.below(50) {
            0 => [Step::CardReset, Step::Control(1 | alone)]
                .into_iter()
                .chain(attended)
                .collect(),
            1..5 => [Step::HostReset].into_iter().chain(attended).collect(),
            5..15 => {
                let plan = random.pick(&self.pools).clone();
                vec![Step::Ring(other_ring(random, &plan, &self.backends))]
            }
            _ if self.flows.is_empty() => Vec::new(),
            _ => vec![Step::Flow(self.flow_command(random))],
        }
    }

    /// The flows that the host writes unconfirmed.
    #[must_use]
    pub fn unconfirmed_keys(&self) -> Vec<FlowKey> {
        let planned = (self.flows.iter()).filter(|plan| !plan.record.confirmed);
        let written = self.steps.iter().filter_map(|step| match step {
            Step::Flow(command) if !command.confirmed => Some(FlowKey {
                destination_port: command.destination_port,
                source_port: command.source_port,
                source: command.source,
                vip: command.vip,
            }),
            _ => None,
        });
        planned
            .map(|plan| key_of(&plan.record))
            .chain(written)
            .collect()
    }

    fn flow_command(&self, random: &mut Random) -> Command {
        let plan = random.pick(&self.flows);
        let (backend, entry) = *random.pick(&self.backends);
        let near = random.chance(60);
        let place = |random: &mut Random, first: u8| {
            if near { first } else { random.below(4) as u8 }
        };
        Command {
            backend,
            generation: entry.generation,
            pinned: random.chance(30),
            confirmed: random.chance(50),
            // a frame that its end drops may have confirmed a flow, or not
            expectation: match random.below(if self.honest { 3 } else { 2 }) {
                0 => Expect::Free.raw(),
                1 => Expect::Same.raw(),
                _ => Expect::Unconfirmed.raw(),
            },
            to_bank: random.below(4) as u8,
            to_way: random.below(4) as u8,
            ..TestHost::flow_command(
                *random.pick(&[Opcode::Insert, Opcode::Insert, Opcode::Move, Opcode::Delete]),
                &key_of(&plan.record),
                place(random, plan.bank),
                place(random, plan.way),
            )
        }
    }

    fn batch(&self, random: &mut Random, clients: &[Client], most: usize) -> Step {
        let mut frames = Vec::new();
        let mut beats = 0;
        for _ in 0..random.between(1, most) {
            let frame = self.frame(random, clients);
            beats += frame.len().div_ceil(64);
            if beats > BATCH_BEATS {
                break;
            }
            frames.push((frame, !self.honest && random.chance(2)));
        }
        Step::Wire(frames)
    }

    fn frame(&self, random: &mut Random, clients: &[Client]) -> Vec<u8> {
        let spec = self.packet(random, clients);
        let frame = match random.below(100) {
            0..45 => fragmentable(spec.frame(), random),
            45..60 => extended(&spec, random),
            60..68 => random_error(&spec, random),
            68..72 => random_echo(&spec, random),
            _ => odd_frame(&spec, *random.pick(Oddity::ALL), random),
        };
        let frame = perhaps_tagged(&frame, random);
        if self.honest && lies(&frame) {
            return spec.frame();
        }
        frame
    }

    fn packet(&self, random: &mut Random, clients: &[Client]) -> PacketSpec {
        let client = *random.pick(clients);
        let length = match random.below(10) {
            0 => random.between(0, 1600),
            1 => random.between(60, 140),
            2 => 1460 - random.below(70),
            _ => random.below(24),
        };
        PacketSpec {
            ethernet: (self.mac, [2, 0xc1, 0, 0, 0, random.byte()]),
            source: client.source,
            destination: client.destination,
            protocol: client.protocol,
            ports: if random.chance(85) {
                client.ports
            } else {
                (random.half(), client.ports.1)
            },
            flags: *random.pick(&[
                0x02, 0x12, 0x10, 0x10, 0x10, 0x18, 0x11, 0x14, 0x04, 0x00, 0x3f,
            ]),
            traffic_class: if random.chance(70) { 0 } else { random.byte() },
            payload: if client.protocol == 17 && random.chance(60) {
                let plan = self.vips.iter().find(|plan| Some(plan.vip) == client.vip);
                payload(random, &self.quic_ids, plan, self.quic_lb)
            } else {
                random.bytes(length)
            },
        }
    }

    fn inject(&self, random: &mut Random, clients: &[Client]) -> Step {
        let (backend, entry) = *random.pick(&self.backends);
        let right = random.chance(85);
        Step::Inject {
            op: if random.chance(70) {
                TxOp::Assign
            } else {
                TxOp::Raw
            },
            vip: if random.chance(90) {
                random.pick(&self.vips).vip
            } else {
                random.half() & 0xfff
            },
            backend: if random.chance(95) {
                backend
            } else {
                random.half()
            },
            generation: entry.generation.wrapping_add(u8::from(!right)),
            spread: random.byte(),
            ends_punt: random.chance(60),
            bytes: self.frame(random, clients).into_iter().take(9216).collect(),
        }
    }

    /// Another meter, or all anew, as the host writes it: over the entry as it is.
    fn vip_change(&self, random: &mut Random) -> Step {
        let plan = random.pick(&self.vips);
        let mut entry = match random.chance(50) {
            true => with_meter(random, plan.entry),
            false => vip_entry(random, plan.keys[0].protocol, &self.pools, self.world),
        };
        if !self.is_metered() {
            entry.meter_rate = 0;
        }
        Step::Vip(plan.vip, entry)
    }

    fn key_change(&self, random: &mut Random) -> Step {
        let plan = random.pick(&self.vips);
        let keys: Vec<VipMatch> = plan.keys.iter().chain(&plan.ping).copied().collect();
        Step::Key(VipMatch {
            valid: random.chance(60),
            vip: random.pick(&self.vips).vip,
            ..*random.pick(&keys)
        })
    }

    fn quic_change(&self, random: &mut Random) -> Step {
        let (bank, entry) = *random.pick(&self.quic_ids);
        let (backend, _) = *random.pick(&self.backends);
        Step::Quic(
            bank,
            QuicId {
                backend,
                valid: random.chance(70),
                ..entry
            },
        )
    }

    fn prefix_change(&self, random: &mut Random) -> Step {
        let place = match self.prefixes.is_empty() {
            false if random.chance(70) => random.pick(&self.prefixes).0,
            _ => random.below(VIP_PREFIXES),
        };
        Step::Prefix(place, prefix(random, &self.vips))
    }

    fn backend_change(&self, random: &mut Random) -> Step {
        let (number, entry) = *random.pick(&self.backends);
        let step = u8::from(random.chance(20));
        let generation = entry.generation.wrapping_add(step);
        let changed = BackendEntry {
            state: state(random),
            generation,
            ..entry
        };
        match random.below(10) {
            0..=5 => Step::Backend(number, changed),
            6 | 7 => Step::Backend(number, with_encapsulation(random, changed)),
            _ => Step::Backend(number, backend(random, generation)),
        }
    }
}

/// No answers, few, many, or any.
fn icmp_limit(random: &mut Random) -> u32 {
    match random.below(6) {
        0 => random.word(),
        1 => 0,
        2 => 1 << 16 | 1,
        3 => 4 << 16 | random.below(20) as u32,
        _ => 5000 << 16 | 100,
    }
}

/// The frame, at times without IPv4's don't-fragment bit.
fn fragmentable(mut frame: Vec<u8>, random: &mut Random) -> Vec<u8> {
    if frame[12..14] == [8, 0] && random.chance(25) {
        frame[20] &= 0xbf;
    }
    frame
}

/// Whether an IP header promises more bytes than the frame has, or the frame is too long.
fn lies(frame: &[u8]) -> bool {
    let be16 = |at: usize| match frame.get(at..at + 2) {
        Some(bytes) => usize::from(bytes[0]) << 8 | usize::from(bytes[1]),
        None => 0,
    };
    let tag = |at: usize| frame.len() >= at + 6 && matches!(be16(at), 0x8100 | 0x88a8 | 0x9100);
    let tags = match (tag(12), tag(16)) {
        (true, true) => 8,
        (true, false) => 4,
        (false, _) => 0,
    };
    let promised = match be16(12 + tags) {
        0x0800 => 14 + tags + be16(16 + tags),
        0x86dd => 54 + tags + be16(18 + tags),
        _ => 0,
    };
    frame.len() > 9216 || promised > frame.len()
}
