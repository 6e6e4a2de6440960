//! The packet path as a whole (the RTL's `gw_core`): a frame goes in, is decided, admitted, counted, and queued.
//!
//! Owns tables, counters, queues, heartbeat, time and the account of punts. Rings and host memory are beyond it.

use guideway_hdl::tables::{BACKENDS, FLOWS, NEXT_HOPS, POOLS, RING_SLOTS, VIPS};
use guideway_hdl::verdict::{Disposition, HostClass, PortCounter};
use guideway_hdl::{LAYOUT_HASH, MAGIC};

use super::admit::{HostDoor, admit_forward, admit_host};
use super::counters::Counters;
use super::egress::{Egress, Held};
use super::learn::{learn, mark};
use super::record_ring::Record;
use super::registers::{Registers, half};
use super::reply::Reply;
use super::token_bucket::TokenBucket;
use super::trace::Tracer;
use super::verdict::{decide, decide_over_meter};
use super::{Config, Decision, HostFrame, HostQueue, Source, Tables, beats};
use crate::card::SentFrame;
use crate::registers::core as at;

/// Beats of the wire's payload ring.
const PAYLOAD_BEATS: u64 = 4096;
/// Beats that a frame must find free at its first one.
const FRAME_BEATS_MAX: u64 = 145;
/// Words of the longest RAM, which the clearing engine takes one a cycle.
const CLEAR_CYCLES: u64 = 32768;

/// The path's state.
pub struct Path {
    /// Tables.
    pub tables: Tables,
    /// Counters.
    pub counters: Counters,
    /// Registers that keep what is written.
    pub registers: Registers,
    /// Card time in us.
    pub time_us: u64,
    /// Punts handed over and not ended.
    pub punts_outstanding: u32,
    /// Class buffers, by class.
    pub queues: [HostQueue; 4],
    /// Frames on their way to the wire.
    pub egress: Egress,
    /// Cycles until the tables are clear.
    pub clearing: u64,
    /// Records that were made, and that the record ring has not taken.
    pub records: Vec<Record>,
    tracer: Tracer,
    heartbeat: u32,
    /// Limits of what the card answers, by [`Reply`].
    buckets: [TokenBucket; 2],
}

impl Default for Path {
    fn default() -> Self {
        Self {
            tables: Tables::default(),
            counters: Counters::default(),
            registers: Registers::default(),
            time_us: 0,
            punts_outstanding: 0,
            queues: std::array::from_fn(|class| HostQueue::new(HostClass::ALL[class])),
            egress: Egress::default(),
            clearing: CLEAR_CYCLES,
            records: Vec::new(),
            tracer: Tracer::default(),
            heartbeat: 0,
            buckets: [TokenBucket::default(); 2],
        }
    }
}

impl Path {
    /// Tables are clear and usable.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.clearing == 0
    }

    /// Frames are taken from the wire.
    #[must_use]
    pub fn port_enabled(&self) -> bool {
        self.is_ready() && self.registers.port_enable()
    }

    /// Microseconds pass.
    pub fn tick(&mut self, micros: u64) {
        self.time_us = self.time_us.wrapping_add(micros);
        self.tables.pass_time(micros);
        for reply in [Reply::TooBig, Reply::Echo] {
            self.buckets[reply as usize].pass(micros, self.registers.limit(reply));
        }
        let micros = u32::try_from(micros).unwrap_or(u32::MAX);
        self.heartbeat = self.heartbeat.saturating_sub(micros);
    }

    /// The configuration that frames are decided by now.
    #[must_use]
    pub fn config(&self, doors: &[HostDoor; 4]) -> Config {
        self.registers.config(self.host_alive(doors))
    }

    fn host_alive(&self, doors: &[HostDoor; 4]) -> bool {
        self.heartbeat != 0 && doors[usize::from(HostClass::Miss.raw())].open
    }

    /// A frame begins on the wire.
    pub fn take_wire(&mut self, frame: Vec<u8>, error: bool, doors: &[HostDoor; 4], now: u64) {
        self.counters.add(PortCounter::WireIn, 1);
        self.counters
            .add(PortCounter::WireInBytes, frame.len() as u64);
        if !self.port_enabled() {
            self.counters.disposition(Disposition::DropPortDisabled);
        } else if self.egress.wire_beats() + FRAME_BEATS_MAX > PAYLOAD_BEATS {
            self.counters.disposition(Disposition::DropIngressFull);
        } else {
            self.take(frame, Source::Wire { error }, doors, now);
        }
    }

    /// A whole frame of the host enters.
    pub fn take_inject(&mut self, frame: Vec<u8>, source: Source, doors: &[HostDoor; 4], now: u64) {
        self.counters.add(PortCounter::Injected, 1);
        self.take(frame, source, doors, now);
    }

    fn take(&mut self, frame: Vec<u8>, source: Source, doors: &[HostDoor; 4], now: u64) {
        let config = self.config(doors);
        let mut decision = decide(&self.tables, &config, &frame, source);
        // a miss for the host: a punt, or an ICMP error of a VIP
        let miss = matches!(
            decision.disposition,
            Disposition::HostPunt | Disposition::HostIcmpError
        ) && decision.record.vip_valid;
        let vip = decision.record.vip;
        if miss && !self.tables.take_token(vip) {
            decision = decide_over_meter(&self.tables, &config, &frame, source);
            self.counters.over_meter(vip, decision.ip_bytes);
        }
        if let Some((place, packet)) = &decision.hit {
            mark(&mut self.tables, *place, packet, self.time_us);
        }
        if let Some(flow) = &decision.learn {
            let event = learn(
                &mut self.tables,
                &mut self.counters,
                &config.secrets,
                flow,
                self.time_us,
            );
            self.records.extend(event.map(Record::FlowEvent));
        }
        if decision.heartbeat_fallback {
            self.counters.add(PortCounter::HeartbeatFallback, 1);
        }
        if decision.quic_unknown {
            self.counters.add(PortCounter::QuicUnknown, 1);
        }
        if let Some(vip) = decision.count_vip {
            self.counters.vip(vip, decision.ip_bytes);
        }
        self.admit(frame, source, decision, doors, now);
    }

    fn admit(
        &mut self,
        frame: Vec<u8>,
        source: Source,
        decision: Decision,
        doors: &[HostDoor; 4],
        now: u64,
    ) {
        let decided = decision.disposition;
        let admitted = match decided.host_class() {
            Some(class) => {
                let number = usize::from(class.raw());
                admit_host(
                    decided,
                    class,
                    frame.len(),
                    doors[number],
                    &self.queues[number],
                )
            }
            None if decided.is_forward() && !self.may_reply(decision.reply) => {
                Disposition::DropIcmpLimited
            }
            None if decided.is_forward() => admit_forward(
                decided,
                decision.egress_class,
                self.egress.beats(),
                self.registers.egress_thresholds(),
            ),
            None => decided,
        };
        self.counters.disposition(admitted);
        let trace = self.tracer.trace(
            &self.registers,
            &decision.view,
            admitted,
            source,
            self.time_us,
        );
        self.records.extend(trace.map(Record::Trace));
        if let Some(class) = admitted.host_class() {
            let mut record = decision.record;
            record.timestamp = half(self.time_us, false);
            self.queues[usize::from(class.raw())].push(HostFrame {
                bytes: frame,
                record,
            });
        } else if admitted.is_forward() {
            if let Some(reply) = decision.reply {
                self.buckets[reply as usize].take();
            }
            if let Some(backend) = decision.count_backend {
                self.counters.backend(backend, decision.ip_bytes);
            }
            let held = Held {
                beats: beats(frame.len()),
                wire: matches!(source, Source::Wire { .. }),
            };
            self.egress.push(decision.output, held, now);
        }
    }

    fn may_reply(&self, reply: Option<Reply>) -> bool {
        reply.is_none_or(|reply| self.buckets[reply as usize].is_ready())
    }

    /// Takes a frame that has left on the wire by cycle `now`.
    pub fn leave(&mut self, now: u64) -> Option<SentFrame> {
        let frame = self.egress.pop(now)?;
        self.counters.add(PortCounter::WireOut, 1);
        self.counters
            .add(PortCounter::WireOutBytes, frame.bytes.len() as u64);
        Some(frame)
    }

    /// A frame of this disposition was handed to the host, or its ring failed.
    pub fn handed_over(&mut self, disposition: u8, delivered: bool) {
        if !delivered {
            self.counters.add(PortCounter::HostGone, 1);
            return;
        }
        self.counters.add(PortCounter::HostOut, 1);
        if disposition == Disposition::HostPunt.raw() {
            self.punts_outstanding = self.punts_outstanding.saturating_add(1);
        }
    }

    /// The host ended a punt.
    pub fn end_punt(&mut self) {
        self.punts_outstanding = self.punts_outstanding.saturating_sub(1);
    }

    /// The host is gone: what it was owed is counted, forwarding goes on.
    pub fn host_reset(&mut self) {
        self.heartbeat = 0;
        self.registers.release_counters();
        self.counters.hold(false, 0);
        for queue in &mut self.queues {
            while queue.pop().is_some() {
                self.counters.add(PortCounter::HostGone, 1);
            }
        }
        let unanswered = u64::from(self.punts_outstanding);
        self.counters.add(PortCounter::PuntUnanswered, unanswered);
        self.punts_outstanding = 0;
    }

    /// Frames that are neither out nor dropped.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        let queued: usize = self.queues.iter().map(HostQueue::len).sum();
        u32::try_from(self.egress.len() + queued).unwrap_or(u32::MAX)
    }

    /// Reads a register of the path.
    #[must_use]
    pub fn register_read(&self, offset: u32, doors: &[HostDoor; 4]) -> u32 {
        let pair = |low: usize, high: usize| (high << 16 | low) as u32;
        match offset {
            at::MAGIC => MAGIC,
            at::LAYOUT_HASH => LAYOUT_HASH,
            at::VERSION => 1,
            at::SIZE_VIPS => pair(VIPS, POOLS),
            at::SIZE_BACKENDS => pair(BACKENDS, NEXT_HOPS),
            at::SIZE_RING_SLOTS => RING_SLOTS as u32,
            at::SIZE_FLOWS => FLOWS as u32,
            at::SIZE_PAYLOAD_BEATS => PAYLOAD_BEATS as u32,
            at::STATUS => {
                u32::from(self.is_ready())
                    | u32::from(self.host_alive(doors)) << 1
                    | u32::from(self.in_flight() == 0) << 2
                    | u32::from(self.counters.is_held()) << 3
            }
            at::HEARTBEAT => self.heartbeat,
            at::TIME_US_LOW => half(self.time_us, false),
            at::TIME_US_HIGH => half(self.time_us, true),
            at::PUNTS_OUTSTANDING => self.punts_outstanding,
            at::IN_FLIGHT => self.in_flight(),
            _ => self.registers.read(offset),
        }
    }

    /// Writes a register of the path in this cycle; the card reset is its owner's.
    pub fn register_write(&mut self, offset: u32, value: u32, cycles: u64) {
        if offset == at::HEARTBEAT {
            self.heartbeat = value;
        } else {
            self.registers.write(offset, value);
            self.tracer.filter_written(&self.registers);
            self.counters.hold(self.registers.holds_counters(), cycles);
        }
        for reply in [Reply::TooBig, Reply::Echo] {
            if offset == at::ICMP_LIMIT + 4 * reply as u32 {
                self.buckets[reply as usize].fill(self.registers.limit(reply));
            }
        }
    }
}
