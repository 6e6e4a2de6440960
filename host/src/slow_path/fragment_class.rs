//! The class of fragments, ICMP errors and what is to be sent in fragments: each frame of it ends here.
//!
//! Owns what becomes of them. Those of a client's flow are sent to its backend, in whatever order they come ([`super::fragments`]); those of
//! nobody's go to the host's network; what is too big to be encapsulated in one frame is sent in several ([`super::outer`]); nothing of this class is ever answered. It is the last class of a turn and takes few frames of it,
//! so that neither control nor misses wait for it.

use std::collections::VecDeque;

use guideway_hdl::descriptors::RxCompletion;
use guideway_hdl::verdict::{Disposition, HostClass};
use serde::Serialize;

use super::decide::{Decision, Undecided, connection_key};
use super::fragment::{Fragment, Part, Whose};
use super::fragment_meter::FragmentMeter;
use super::fragments::{FragmentStore, Later, Limits, StoreStats};
use super::icmp_error::{Unattributed, flow_of_error};
use super::outer::NotSent;
use super::packet::ClientPacket;
use super::poll::SlowPath;
use crate::card::flow::flow_key;
use crate::card::{Assignment, CardError, RxFrame, RxQueue, TxRing, VipId};

/// Frames of this class a turn.
const BATCH: usize = 16;
/// Seconds after which a connection's entry and record are written anew while first fragments come.
const RENEW: u32 = 20;

/// What became of fragments. All that came were sent, passed on, dropped by one of these names, or are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FragmentStats {
    /// Fragments that came.
    pub received: u64,
    /// Sent to a backend.
    pub sent: u64,
    /// Given to the [`Sink`](super::poll::Sink), the host's own network: for no VIP, or neither TCP nor UDP.
    pub passed_on: u64,
    /// Dropped: lengths that no datagram is made of, or a first fragment without its ports.
    pub malformed: u64,
    /// Dropped: the pool has no backend, or the first fragment's is gone.
    pub no_backend: u64,
    /// First fragments whose connection was not recorded because their VIP's meter was empty.
    pub over_meter: u64,
    /// Those that the store holds now.
    pub held: usize,
    /// What became of those in the store.
    #[serde(flatten)]
    pub store: StoreStats,
}

/// What became of ICMP errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IcmpErrorStats {
    /// Errors that came.
    pub received: u64,
    /// Sent to the backend of the flow that they are about.
    pub sent: u64,
    /// Given to the [`Sink`](super::poll::Sink), the host's own network: about a flow of no VIP.
    pub no_vip: u64,
    /// Given to the [`Sink`](super::poll::Sink), the host's own network: about another host's packet.
    pub foreign: u64,
    /// Given to the [`Sink`](super::poll::Sink), the host's own network: about a packet that tells no flow.
    pub no_ports: u64,
    /// Dropped: the pool has no backend.
    pub no_backend: u64,
}

/// What became of packets that are too big to be encapsulated in one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TooBigStats {
    /// Packets that came.
    pub received: u64,
    /// Sent, in fragments.
    pub sent: u64,
    /// The fragments that they were sent in.
    pub fragments: u64,
    /// Dropped: the backend is gone.
    pub no_backend: u64,
    /// Dropped: none that can be divided.
    pub unreadable: u64,
}

/// Where the fragments of a datagram go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    whose: Whose,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Backend(Assignment),
    /// The host's own network.
    Host,
    Nowhere,
}

/// What the class keeps between turns.
pub(super) struct FragmentClass {
    store: FragmentStore<Way>,
    meter: FragmentMeter,
    stats: FragmentStats,
    icmp: IcmpErrorStats,
    too_big: TooBigStats,
    /// Fragments that found no room in the ring yet.
    parts: VecDeque<Vec<u8>>,
}

impl Default for FragmentClass {
    fn default() -> Self {
        Self {
            store: FragmentStore::new(Limits::default()),
            meter: FragmentMeter::default(),
            stats: FragmentStats::default(),
            icmp: IcmpErrorStats::default(),
            too_big: TooBigStats::default(),
            parts: VecDeque::new(),
        }
    }
}

impl FragmentClass {
    /// Something can be sent at once.
    fn has_ready(&self) -> bool {
        self.store.has_ready() || !self.parts.is_empty()
    }
}

impl SlowPath {
    /// What became of fragments.
    #[must_use]
    pub fn fragment_stats(&self) -> FragmentStats {
        FragmentStats {
            held: self.fragments.store.len(),
            store: self.fragments.store.stats,
            ..self.fragments.stats
        }
    }

    /// What became of ICMP errors.
    #[must_use]
    pub fn icmp_error_stats(&self) -> IcmpErrorStats {
        self.fragments.icmp
    }

    /// What became of packets that are too big to be encapsulated in one frame.
    #[must_use]
    pub fn too_big_stats(&self) -> TooBigStats {
        self.fragments.too_big
    }

    /// Drops fragments that have waited too long; `now` is card time in microseconds, of which the low 32 bits count.
    pub fn age_fragments(&mut self, now: u32) {
        self.fragments.store.expire(now);
    }

    /// Serves the class's queue, and returns how many frames moved.
    pub(super) fn serve_fragments(
        &mut self,
        rx: &mut RxQueue,
        tx: &mut TxRing,
    ) -> Result<usize, CardError> {
        let mut moved = self.send_ready(tx)?;
        let held = rx.receive(BATCH.min(self.batch).min(tx.room()))?;
        let mut done = 0;
        while let Some(frame) = rx.frame(done).filter(|_| done < held) {
            // what is ready, or finds no room, goes first when the card has sent more
            if tx.room() == 0 || self.fragments.has_ready() {
                break;
            }
            match frame.disposition {
                Disposition::HostIcmpError => self.end_error(&frame, tx)?,
                Disposition::HostTooBig => self.end_too_big(&frame),
                _ => self.end_fragment(&frame, tx)?,
            }
            done += 1;
            moved += 1 + self.send_ready(tx)?;
        }
        tx.flush()?;
        rx.release(done)?;
        Ok(moved)
    }

    /// Sends what waited for a first fragment that has come, and parts of packets, as far as the ring has room.
    fn send_ready(&mut self, tx: &mut TxRing) -> Result<usize, CardError> {
        let mut sent = 0;
        while tx.room() > 0
            && let Some(part) = self.fragments.parts.pop_front()
        {
            tx.raw(&part, false, 0)?;
            self.fragments.too_big.fragments += 1;
            sent += 1;
        }
        while tx.room() > 0
            && let Some((frame, way)) = self.fragments.store.pop_ready()
        {
            self.send_fragment(&frame, way.end, tx)?;
            sent += 1;
        }
        tx.flush()?;
        Ok(sent)
    }

    fn end_fragment(&mut self, frame: &RxFrame<'_>, tx: &mut TxRing) -> Result<(), CardError> {
        self.fragments.stats.received += 1;
        let now = frame.completion.timestamp;
        let Ok(fragment) = Fragment::read(frame.bytes) else {
            self.fragments.stats.malformed += 1;
            return Ok(());
        };
        if !self.is_vip_address(fragment.key.destination) {
            return self.send_fragment(frame.bytes, End::Host, tx);
        }
        let whose = match fragment.part {
            Part::First(whose) | Part::Atomic(whose) => whose,
            Part::Later => {
                let store = &mut self.fragments.store;
                return match store.later(fragment.key, frame.bytes, now) {
                    Later::Goes(way) => self.send_fragment(frame.bytes, way.end, tx),
                    Later::Stays => Ok(()),
                };
            }
        };
        let end = match whose {
            Whose::Nobody => End::Host,
            Whose::Client(packet) => {
                // where a server's id is read, no fragment header may lie between
                let plain = if packet.source.is_ipv4() {
                    frame.bytes
                } else {
                    &[]
                };
                self.end_of_datagram(&packet, plain, now)?
            }
        };
        if let Part::First(_) = fragment.part {
            let way = Way { whose, end };
            self.fragments.store.first(fragment.key, way, now);
        }
        self.send_fragment(frame.bytes, end, tx)
    }

    /// Decides a first fragment's packet, and records it as a punt of the whole packet would be.
    fn end_of_datagram(
        &mut self,
        packet: &ClientPacket,
        frame: &[u8],
        now: u32,
    ) -> Result<End, CardError> {
        let followed = match self.follow(packet, frame)? {
            Ok(followed) => followed,
            Err(Undecided::NoVip) => return Ok(End::Host),
            Err(Undecided::NoBackend) => return Ok(End::Nowhere),
        };
        let decision = &followed.decision;
        // what only the card knows is recorded by the sweep
        if followed.punts && !followed.on_card {
            if followed.recorded {
                self.renew(packet, decision)?;
            } else if packet.closes && !decision.known {
                // the end of a connection that nobody knows: nothing is kept of it
            } else if self.fragments.meter.takes(&decision.vip, now) {
                self.record_and_install(packet, decision, followed.in_table)?;
            } else {
                self.fragments.stats.over_meter += 1;
            }
        }
        Ok(End::Backend(decision.assignment()))
    }

    /// A connection that lives by fragments alone stays young: the card's stamps tell nothing of them.
    fn renew(&mut self, packet: &ClientPacket, decision: &Decision) -> Result<(), CardError> {
        let name = connection_key(packet, &decision.vip);
        let known = self.connections.get(&name);
        if known.is_some_and(|known| self.now.saturating_sub(known.last_seen) < RENEW) {
            return Ok(());
        }
        self.record(packet, decision);
        let key = flow_key(
            VipId(decision.vip.id),
            packet.source,
            packet.source_port,
            packet.destination_port,
        );
        if let Some(command) = self.flows.renew(&key) {
            self.run(&[command])?;
        }
        Ok(())
    }

    fn send_fragment(&mut self, bytes: &[u8], end: End, tx: &mut TxRing) -> Result<(), CardError> {
        let sent = self.end_frame(bytes, Disposition::HostFragment, end, tx)?;
        let stats = &mut self.fragments.stats;
        match (end, sent) {
            (End::Backend(_), true) => stats.sent += 1,
            (End::Host, _) => stats.passed_on += 1,
            _ => stats.no_backend += 1,
        }
        Ok(())
    }

    /// Makes the frames that a packet is sent in, to the backend that the card decided on.
    fn end_too_big(&mut self, frame: &RxFrame<'_>) {
        let RxCompletion {
            vip,
            ring_backend,
            generation,
            flow_hash,
            ..
        } = frame.completion;
        let found = self.view.vips().find(|(_, held)| held.id == vip);
        let rules = found
            .map(|(_, held)| (held.rules.hash, held.mtu))
            .unwrap_or_default();
        let to = (ring_backend, generation);
        let parts = (self.outer).frames(frame.bytes, to, rules, flow_hash);
        let stats = &mut self.fragments.too_big;
        stats.received += 1;
        match parts {
            Ok(parts) => {
                stats.sent += 1;
                self.fragments.parts.extend(parts);
            }
            Err(NotSent::NoBackend) => stats.no_backend += 1,
            Err(NotSent::Unreadable) => stats.unreadable += 1,
        }
    }

    fn end_error(&mut self, frame: &RxFrame<'_>, tx: &mut TxRing) -> Result<(), CardError> {
        let followed = match flow_of_error(frame.bytes) {
            Err(why) => Err(why),
            // the card has looked, and found neither flow nor, while a host is there, a reason to take the ring
            Ok(packet) if frame.completion.vip_valid => {
                Ok(self.by_host(&packet, &[]).map(|(decision, _)| decision))
            }
            Ok(packet) => Ok(self.follow(&packet, &[])?.map(|followed| followed.decision)),
        };
        let end = match &followed {
            Ok(Ok(decision)) => End::Backend(decision.assignment()),
            Ok(Err(Undecided::NoBackend)) => End::Nowhere,
            Ok(Err(Undecided::NoVip)) | Err(_) => End::Host,
        };
        let sent = self.end_frame(frame.bytes, frame.disposition, end, tx)?;
        let stats = &mut self.fragments.icmp;
        stats.received += 1;
        match followed {
            Ok(Ok(_)) if sent => stats.sent += 1,
            Ok(Ok(_) | Err(Undecided::NoBackend)) => stats.no_backend += 1,
            Ok(Err(Undecided::NoVip)) => stats.no_vip += 1,
            Err(Unattributed::Foreign) => stats.foreign += 1,
            Err(Unattributed::NoPorts) => stats.no_ports += 1,
        }
        Ok(())
    }

    /// Brings a frame to its end; true when it was sent to a backend.
    fn end_frame(
        &mut self,
        bytes: &[u8],
        disposition: Disposition,
        end: End,
        tx: &mut TxRing,
    ) -> Result<bool, CardError> {
        match end {
            End::Backend(to) => {
                // decided a while ago, perhaps: the card would refuse what is gone
                let held = self.view.backend(to.backend.0);
                let lives = held.is_some_and(|held| held.generation == to.generation)
                    && self.view.vips().any(|(_, held)| held.id == to.vip.0);
                if lives {
                    tx.assign(bytes, &to, false, 0)?;
                }
                Ok(lives)
            }
            End::Host => {
                self.sink.frame(HostClass::Fragment, disposition, bytes);
                Ok(false)
            }
            End::Nowhere => Ok(false),
        }
    }
}
