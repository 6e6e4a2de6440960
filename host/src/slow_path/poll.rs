//! One turn of the packet loop: every frame that the card handed over ends here.
//!
//! Owns the order in a turn: decide each punt, install the flows of all in one batch, then send the frames on, so that a connection's
//! next packet finds its entry. A punt always ends in an inject or a release, whatever else failed.

use std::sync::Arc;

use guideway_hdl::descriptors::{Command, RxCompletion, Status};
use guideway_hdl::tables::FlowKey;
use guideway_hdl::verdict::{Disposition, HostClass};
use serde::Serialize;

use super::connections::{Connection, Connections, ConnectionsError};
use super::decide::{Decision, Undecided, connection_key};
use super::flows::Flows;
use super::fragment_class::FragmentClass;
use super::outer::Outer;
use super::packet::ClientPacket;
use super::routes::{By, decide_routed};
use super::view::View;
use crate::card::flow::{FlowTarget, flow_key};
use crate::card::{
    Assignment, BackendId, Card, CardError, Queues, RxFrame, RxQueue, TxRing, VipId,
};

/// Where frames go that are not punts: the host's own network traffic.
pub trait Sink: Send {
    /// Takes a frame.
    fn frame(&mut self, class: HostClass, disposition: Disposition, bytes: &[u8]);
}

/// Frames nobody takes: they are counted by the loop, and that is all.
pub struct NoSink;

impl Sink for NoSink {
    fn frame(&mut self, _class: HostClass, _disposition: Disposition, _bytes: &[u8]) {}
}

/// What the loop has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Misses that the card handed over.
    pub punts: u64,
    /// Punts sent on to a backend.
    pub injects: u64,
    /// Punts of connections that the host knew.
    pub known: u64,
    /// Punts that went to the backend whose id they carry.
    pub by_server_id: u64,
    /// Punts of new connections that went to the backend of their source prefix.
    pub by_source: u64,
    /// Punts for no VIP, released.
    pub released_no_vip: u64,
    /// Punts for a pool without backends, released.
    pub released_no_backend: u64,
    /// Punts whose frame is none that the card may punt, released.
    pub released_unreadable: u64,
    /// Punts whose completion named another connection than the frame.
    pub disagreed: u64,
    /// Connections that could not be recorded.
    pub unrecorded: u64,
    /// Connections that the card had learned by itself, taken into the table before and after changes.
    pub taken_over: u64,
    /// Transmissions that the card refused.
    pub tx_refused: u64,
    /// Control frames (ARP, neighbour discovery, BGP, ...) that came.
    pub control: u64,
    /// Other frames for the host that came.
    pub other: u64,
}

/// What becomes of a punt.
enum Ending {
    Inject(Assignment),
    Release,
}

/// The slow path.
pub struct SlowPath {
    card: Arc<Card>,
    /// The host's copy of what the card decides by.
    pub view: View,
    /// The complete table of connections.
    pub connections: Connections,
    /// The card's flow table.
    pub flows: Flows,
    /// What was done.
    pub stats: Stats,
    /// How packets that the card cannot send travel to backends.
    pub outer: Outer,
    pub(super) sink: Box<dyn Sink>,
    pub(super) fragments: FragmentClass,
    pub(super) batch: usize,
    /// Seconds of the wall clock; set by the loop before each turn.
    pub now: u32,
    /// Entries that the card had learned when its flows were last read: of later ones the picture may know nothing.
    pub(super) pictured: u64,
    /// Flows that were not confirmed then. What else of a flow changes is counted as learned.
    pub(super) unconfirmed: Vec<FlowKey>,
}

impl SlowPath {
    /// A slow path that takes `batch` punts a turn.
    #[must_use]
    pub fn new(
        card: Arc<Card>,
        connections: Connections,
        flow_entries: usize,
        batch: usize,
        sink: Box<dyn Sink>,
    ) -> Self {
        let flows = Flows::new(card.secrets().clone(), flow_entries);
        Self {
            card,
            view: View::default(),
            connections,
            flows,
            stats: Stats::default(),
            outer: Outer::default(),
            sink,
            fragments: FragmentClass::default(),
            batch,
            now: 0,
            pictured: 0,
            unconfirmed: Vec::new(),
        }
    }

    /// The card.
    #[must_use]
    pub fn card(&self) -> &Arc<Card> {
        &self.card
    }

    /// Serves what the queues hold now, and returns how many frames that were.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn serve(&mut self, queues: &mut Queues) -> Result<usize, CardError> {
        let mut frames = 0;
        for class in HostClass::ALL {
            let rx = &mut queues.rx[usize::from(class.raw())];
            self.reap(&mut queues.tx)?;
            frames += match class {
                HostClass::Miss => self.serve_misses(rx, &mut queues.tx)?,
                HostClass::Fragment => self.serve_fragments(rx, &mut queues.tx)?,
                HostClass::Control | HostClass::Other => self.serve_others(rx)?,
            };
        }
        Ok(frames)
    }

    fn serve_others(&mut self, rx: &mut RxQueue) -> Result<usize, CardError> {
        let held = rx.receive(self.batch)?;
        for frame in (0..held).filter_map(|i| rx.frame(i)) {
            match rx.class() {
                HostClass::Control => self.stats.control += 1,
                HostClass::Other | HostClass::Miss | HostClass::Fragment => self.stats.other += 1,
            }
            self.sink.frame(rx.class(), frame.disposition, frame.bytes);
        }
        rx.release(held)?;
        Ok(held)
    }

    fn serve_misses(&mut self, rx: &mut RxQueue, tx: &mut TxRing) -> Result<usize, CardError> {
        let held = rx.receive(self.batch.min(tx.room()))?;
        if held == 0 {
            return Ok(0);
        }
        let mut commands = Vec::new();
        let mut endings = Vec::with_capacity(held);
        for i in 0..held {
            self.stats.punts += 1;
            endings.push(match rx.frame(i) {
                Some(frame) => self.end_of(&frame, &mut commands)?,
                None => Ending::Release,
            });
        }
        self.run(&commands)?;
        for (i, ending) in endings.iter().enumerate() {
            let frame = rx.frame(i);
            match (ending, frame) {
                (Ending::Inject(to), Some(frame)) => match tx.assign(frame.bytes, to, true, 0) {
                    Ok(()) => self.stats.injects += 1,
                    Err(CardError::FrameLength(_)) => {
                        self.stats.released_unreadable += 1;
                        tx.end_punt(0)?;
                    }
                    Err(error) => return Err(error),
                },
                _ => tx.end_punt(0)?,
            }
        }
        tx.flush()?;
        rx.release(held)?;
        Ok(held)
    }

    /// Decides a punt, records its connection, and adds the commands that install its flow.
    fn end_of(
        &mut self,
        frame: &RxFrame<'_>,
        commands: &mut Vec<Command>,
    ) -> Result<Ending, CardError> {
        let Ok(packet) = ClientPacket::read(frame.bytes) else {
            self.stats.released_unreadable += 1;
            return Ok(Ending::Release);
        };
        let decided = decide_routed(&self.view, &self.connections, &packet, frame.bytes);
        let decision = match decided {
            Ok((decision, by)) => {
                self.stats.by_server_id += u64::from(by == By::ServerId);
                self.stats.by_source += u64::from(by == By::Source);
                self.as_learned(&packet, decision)
            }
            Err(Undecided::NoVip) => {
                self.stats.released_no_vip += 1;
                return Ok(Ending::Release);
            }
            Err(Undecided::NoBackend) => {
                self.stats.released_no_backend += 1;
                return Ok(Ending::Release);
            }
        };
        self.stats.known += u64::from(decision.known);
        self.stats.disagreed += u64::from(disagrees(&frame.completion, &packet, &decision));
        // the end of a connection that nobody knows is sent on, but nothing is kept of it
        if decision.known || !packet.closes {
            self.record(&packet, &decision);
            self.install(&packet, &decision, frame.completion.flow_found, commands)?;
        }
        Ok(Ending::Inject(decision.assignment()))
    }

    /// Records a packet's connection, and installs its flow; `on_card`: the card's table names it already.
    pub(super) fn record_and_install(
        &mut self,
        packet: &ClientPacket,
        decision: &Decision,
        on_card: bool,
    ) -> Result<(), CardError> {
        self.record(packet, decision);
        let mut commands = Vec::new();
        self.install(packet, decision, on_card, &mut commands)?;
        self.run(&commands).map(|_| ())
    }

    pub(super) fn record(&mut self, packet: &ClientPacket, decision: &Decision) {
        let connection = Connection {
            pool: decision.backend.pool,
            backend: decision.backend.address,
            last_seen: self.now,
            closing: packet.closes,
            address: (decision.vip.address.one().is_none()).then_some(packet.destination),
        };
        let name = connection_key(packet, &decision.vip);
        if let Err(error) = self.connections.record(name, connection) {
            self.stats.unrecorded += 1;
            if !matches!(error, ConnectionsError::Full) {
                tracing::warn!(%error, "a connection is not recorded");
            }
        }
    }

    fn install(
        &mut self,
        packet: &ClientPacket,
        decision: &Decision,
        on_card: bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), CardError> {
        let key = flow_key(
            VipId(decision.vip.id),
            packet.source,
            packet.source_port,
            packet.destination_port,
        );
        if on_card && !self.flows.holds(&key) {
            // the card knows the flow and the picture does not: plans made from it would collide
            self.run(commands)?;
            commands.clear();
            self.resync()?;
        }
        let target = FlowTarget {
            backend: BackendId(decision.backend.id),
            generation: decision.backend.generation,
            pinned: decision.pinned,
            confirmed: !packet.opens,
        };
        if let Ok(more) = self.flows.install(&key, &target) {
            commands.extend(more);
        }
        Ok(())
    }

    /// Runs flow commands; reads the picture anew when one was refused, or it was known to be wrong. True when all succeeded.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn run(&mut self, commands: &[Command]) -> Result<bool, CardError> {
        let all = commands.is_empty() || {
            let outcomes = self.card.run_flow_commands(commands)?;
            self.delete_copies(commands, &outcomes)?;
            self.flows.settle(commands, &outcomes)
        };
        if self.flows.stale {
            self.resync()?;
        }
        Ok(all)
    }

    fn resync(&mut self) -> Result<(), CardError> {
        self.read_flows().map(|_| ())
    }

    fn reap(&mut self, tx: &mut TxRing) -> Result<(), CardError> {
        while let Some(completion) = tx.reap()? {
            self.stats.tx_refused += u64::from(completion.status != Status::Ok);
        }
        Ok(())
    }
}

/// Whether a completion speaks of another connection than its frame.
fn disagrees(completion: &RxCompletion, packet: &ClientPacket, decision: &Decision) -> bool {
    let same_flow = (
        completion.source,
        completion.source_port,
        completion.destination_port,
    ) == (
        crate::card::address_to_bits(packet.source),
        packet.source_port,
        packet.destination_port,
    );
    !(completion.vip_valid && same_flow && completion.vip == decision.vip.id)
}
