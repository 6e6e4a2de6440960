//! The reference card behind [`Card`]: the path, its rings and interrupts, and how work is interleaved.

use std::collections::VecDeque;

use guideway_hdl::CARD_RESET_KEY;
use guideway_hdl::descriptors::TxDescriptor;
use guideway_hdl::verdict::PortCounter;

use super::admit::HostDoor;
use super::commands::Commanded;
use super::dma::DmaErrors;
use super::msix::{EVENT_VECTOR, Msix};
use super::path::Path;
use super::record_ring::RecordRing;
use super::ring_state::Arm;
use super::rx_ring::RxRing;
use super::tx_ring::transmission;
use super::{DescriptorRing, Dma, beats, command_ring};
use crate::card::{Bar, Card, FunctionState, HostMemory, Model, SentFrame, TickSource, WireFrame};
use crate::registers::{card as at, core as core_at};

/// MSI-X vector of the TX ring.
const TX_VECTOR: u16 = 4;
/// MSI-X vector of the command ring.
const COMMAND_VECTOR: u16 = 5;
/// MSI-X vector of the record ring.
const RECORD_VECTOR: u16 = 7;

/// The card as `CARD.md` describes it.
pub struct ReferenceCard {
    path: Path,
    rx: [RxRing; 4],
    tx: DescriptorRing,
    command: DescriptorRing,
    record: RecordRing,
    msix: Msix,
    function: FunctionState,
    errors: DmaErrors,
    wire: VecDeque<WireFrame>,
    sent: VecDeque<SentFrame>,
    clock: Clock,
}

/// Cycles, and the tick made of them.
struct Clock {
    cycles: u64,
    /// The work at hand keeps the card busy until this cycle.
    busy_until: u64,
    /// When the card was last reset.
    reset_at: u64,
    source: TickSource,
    /// Cycles counted towards ticks, in 64ths of a cycle.
    fraction: u64,
    owed: u64,
}

/// 64ths of a cycle in a microsecond: 322.265625 MHz.
const TICK: u64 = 20_625;

impl Default for ReferenceCard {
    fn default() -> Self {
        Self::new()
    }
}

impl ReferenceCard {
    /// A card at power on: its tables are being cleared.
    #[must_use]
    pub fn new() -> Self {
        Self {
            path: Path::default(),
            rx: std::array::from_fn(|_| RxRing::default()),
            tx: DescriptorRing::default(),
            command: DescriptorRing::default(),
            record: RecordRing::default(),
            msix: Msix::default(),
            function: FunctionState::default(),
            errors: DmaErrors::default(),
            wire: VecDeque::new(),
            sent: VecDeque::new(),
            clock: Clock {
                cycles: 0,
                busy_until: 0,
                reset_at: 0,
                source: TickSource::Clock,
                fraction: 0,
                owed: 0,
            },
        }
    }

    fn doors(&self) -> [HostDoor; 4] {
        std::array::from_fn(|class| HostDoor {
            open: self.rx[class].is_running(),
            stride: self.rx[class].stride(),
        })
    }

    /// The microseconds that the simulator brought pass before anything else happens: an access sees its own moment, not the one before
    /// a sleep.
    fn pass_owed(&mut self) {
        if self.clock.owed > 0 {
            self.path.tick(std::mem::take(&mut self.clock.owed));
        }
    }

    /// Does what can be done now, and returns the cycles that it takes; nothing when there is nothing to do.
    fn step(&mut self, memory: &mut dyn HostMemory) -> Option<u64> {
        if self.clock.owed > 0 {
            self.pass_owed();
            return Some(1);
        }
        if let Some(frame) = self.wire.front() {
            let cycles = beats(frame.bytes.len());
            self.take_wire();
            self.serve_host(memory);
            return Some(cycles);
        }
        if self.path.clearing > 0 {
            return Some(self.path.clearing);
        }
        self.serve_host(memory).then_some(1)
    }

    fn take_wire(&mut self) {
        if let Some(frame) = self.wire.pop_front() {
            let doors = self.doors();
            let now = self.clock.cycles;
            self.path.take_wire(frame.bytes, frame.error, &doors, now);
        }
    }

    /// Frames to the host, a command, a transmission, interrupts. Returns whether there was any.
    fn serve_host(&mut self, memory: &mut dyn HostMemory) -> bool {
        let delivered = self.deliver(memory);
        let commanded = self.serve_command(memory);
        let transmitted = self.serve_tx(memory);
        let recorded = self.serve_records(memory);
        let interrupted = self.interrupt(memory);
        delivered || commanded || transmitted || recorded || interrupted
    }

    fn can_deliver(&self, class: usize) -> bool {
        let waits = !self.path.queues[class].is_empty();
        waits && self.function.bus_master && self.rx[class].has_room()
    }

    fn deliver(&mut self, memory: &mut dyn HostMemory) -> bool {
        let mut any = false;
        for class in 0..4 {
            while self.can_deliver(class) {
                let Some(frame) = self.path.queues[class].pop() else {
                    break;
                };
                any = true;
                let mut dma = Dma::new(memory, &mut self.errors);
                let written = self.rx[class].deliver(&frame, &mut dma);
                self.path
                    .handed_over(frame.record.disposition, written.is_ok());
                if written.is_err() {
                    self.msix.fire(EVENT_VECTOR);
                }
            }
        }
        any
    }

    /// Records that the path made go to the ring, and from there into host memory.
    fn serve_records(&mut self, memory: &mut dyn HostMemory) -> bool {
        let made = std::mem::take(&mut self.path.records);
        let mut any = !made.is_empty();
        for record in made {
            if self.record.make(record) {
                self.path.counters.add(PortCounter::RecordLost, 1);
            }
        }
        while self.can_record() {
            any = true;
            let mut dma = Dma::new(memory, &mut self.errors);
            if self.record.deliver(&mut dma).is_err() {
                self.msix.fire(EVENT_VECTOR);
            }
        }
        any
    }

    fn can_record(&self) -> bool {
        self.function.bus_master && self.record.has_work()
    }

    fn can_command(&self) -> bool {
        self.function.bus_master && self.path.is_ready() && self.command.has_work()
    }

    fn serve_command(&mut self, memory: &mut dyn HostMemory) -> bool {
        if !self.can_command() {
            return false;
        }
        let secrets = self.path.registers.config(false).secrets;
        let mut commanded = Commanded {
            tables: &mut self.path.tables,
            counters: &self.path.counters,
            secrets: &secrets,
            time_us: self.path.time_us,
            cycles: self.clock.cycles - self.clock.reset_at,
        };
        let mut dma = Dma::new(memory, &mut self.errors);
        if command_ring::serve(&mut self.command, &mut commanded, &mut dma) {
            self.msix.fire(EVENT_VECTOR);
        }
        true
    }

    fn can_transmit(&self) -> bool {
        self.function.bus_master && self.path.is_ready() && self.tx.has_work()
    }

    fn serve_tx(&mut self, memory: &mut dyn HostMemory) -> bool {
        if !self.can_transmit() {
            return false;
        }
        let mut dma = Dma::new(memory, &mut self.errors);
        let Ok(bytes) = self.tx.fetch(&mut dma) else {
            self.msix.fire(EVENT_VECTOR);
            return true;
        };
        let descriptor = TxDescriptor::from_bytes(&bytes);
        let sent = transmission(&descriptor, &mut dma);
        if self
            .tx
            .complete(descriptor.tag, sent.status, 0, &mut dma)
            .is_err()
        {
            self.msix.fire(EVENT_VECTOR);
        }
        if sent.ends_punt {
            self.path.end_punt();
        }
        if let Some((frame, source)) = sent.frame {
            let doors = self.doors();
            self.path
                .take_inject(frame, source, &doors, self.clock.cycles);
        }
        true
    }

    /// Each ring's arming with its index and vector.
    fn arms(&mut self) -> impl Iterator<Item = (&mut Arm, u16, u16)> {
        let rx = (0..).zip(&mut self.rx);
        let rx = rx.map(|(vector, ring)| (ring.is_running(), &mut ring.arm, ring.producer, vector));
        let tx = (
            self.tx.is_running(),
            &mut self.tx.arm,
            self.tx.completed,
            TX_VECTOR,
        );
        let command = &mut self.command;
        let command = (
            command.is_running(),
            &mut command.arm,
            command.completed,
            COMMAND_VECTOR,
        );
        let record = &mut self.record;
        let record = (
            record.is_running(),
            &mut record.arm,
            record.producer,
            RECORD_VECTOR,
        );
        rx.chain([tx, command, record])
            .filter(|(running, ..)| *running)
            .map(|(_, arm, index, vector)| (arm, index, vector))
    }

    fn interrupt(&mut self, memory: &mut dyn HostMemory) -> bool {
        let due: Vec<u16> = self
            .arms()
            .filter_map(|(arm, index, vector)| arm.take(index).then_some(vector))
            .collect();
        for vector in &due {
            self.msix.fire(*vector);
        }
        let deliver = self.msix.has_work(self.function);
        if deliver {
            let mut dma = Dma::new(memory, &mut self.errors);
            self.msix.deliver(self.function, &mut dma);
        }
        deliver || !due.is_empty()
    }

    fn has_work(&self) -> bool {
        let rings = [
            (self.tx.is_running(), self.tx.arm, self.tx.completed),
            (
                self.command.is_running(),
                self.command.arm,
                self.command.completed,
            ),
            (
                self.record.is_running(),
                self.record.arm,
                self.record.producer,
            ),
        ];
        let rx = self
            .rx
            .iter()
            .map(|ring| (ring.is_running(), ring.arm, ring.producer));
        self.clock.owed > 0
            || self.path.clearing > 0
            || !self.wire.is_empty()
            || !self.path.records.is_empty()
            || self.can_record()
            || (0..4).any(|class| self.can_deliver(class))
            || self.can_command()
            || self.can_transmit()
            || rx
                .chain(rings)
                .any(|(running, arm, index)| running && arm.is_due(index))
            || self.msix.has_work(self.function)
    }

    /// Time passes up to a cycle: frames leave, microseconds are made.
    fn advance_to(&mut self, cycle: u64) {
        let passed = cycle.saturating_sub(self.clock.cycles);
        self.clock.cycles = cycle;
        self.path.clearing = self.path.clearing.saturating_sub(passed);
        if self.clock.source == TickSource::Clock {
            let fraction = self.clock.fraction + passed * 64;
            self.clock.fraction = fraction % TICK;
            if fraction >= TICK {
                self.path.tick(fraction / TICK);
            }
        }
        while let Some(frame) = self.path.leave(cycle) {
            self.sent.push_back(frame);
        }
    }

    fn reset(&mut self) {
        self.path = Path::default();
        self.forget_host();
        self.clock.reset_at = self.clock.cycles;
    }

    /// Rings and interrupts as after power on.
    fn forget_host(&mut self) {
        self.rx = std::array::from_fn(|_| RxRing::default());
        self.tx = DescriptorRing::default();
        self.command = DescriptorRing::default();
        self.record = RecordRing::default();
        self.msix = Msix::default();
    }

    fn ring_read(&self, offset: u32) -> u32 {
        let ring = offset - at::BASE;
        let rx = usize::try_from(ring / at::RX_STEP)
            .ok()
            .and_then(|class| self.rx.get(class));
        match (offset, rx) {
            (at::DMA_READ_ERRORS, _) => self.errors.reads,
            (at::DMA_WRITE_ERRORS, _) => self.errors.writes,
            (_, Some(state)) => state.register_read(ring % at::RX_STEP),
            (at::TX..at::COMMAND, _) => self.tx.register_read(offset - at::TX),
            (at::COMMAND..at::DMA_READ_ERRORS, _) => {
                self.command.register_read(offset - at::COMMAND)
            }
            (at::RECORD.., _) => self.record.register_read(offset - at::RECORD),
            _ => 0,
        }
    }

    fn ring_write(&mut self, offset: u32, value: u32) {
        let ring = offset - at::BASE;
        let class = (ring / at::RX_STEP) as usize;
        let stopped = match (offset, self.rx.get_mut(class)) {
            (_, Some(state)) => state.register_write(ring % at::RX_STEP, value),
            (at::TX..at::COMMAND, _) => self.tx.register_write(offset - at::TX, value),
            (at::COMMAND..at::DMA_READ_ERRORS, _) => {
                self.command.register_write(offset - at::COMMAND, value)
            }
            (at::RECORD.., _) => self.record.register_write(offset - at::RECORD, value),
            _ => false,
        };
        if stopped {
            self.msix.fire(EVENT_VECTOR);
        }
    }
}

impl Card for ReferenceCard {
    fn model(&self) -> Model {
        Model::Reference
    }

    fn cycles(&self) -> u64 {
        self.clock.cycles
    }

    fn register_read(&mut self, _memory: &mut dyn HostMemory, bar: Bar, offset: u32) -> u32 {
        self.pass_owed();
        match bar {
            Bar::Registers if offset < at::BASE => self.path.register_read(offset, &self.doors()),
            Bar::Registers => self.ring_read(offset),
            Bar::Msix => self.msix.read(offset),
            Bar::Debug => 0,
        }
    }

    fn register_write(&mut self, _memory: &mut dyn HostMemory, bar: Bar, offset: u32, value: u32) {
        self.pass_owed();
        match bar {
            Bar::Registers if offset == core_at::CARD_RESET && value == CARD_RESET_KEY => {
                self.reset();
            }
            Bar::Registers if offset < at::BASE => {
                self.path.register_write(offset, value, self.clock.cycles);
            }
            Bar::Registers => self.ring_write(offset, value),
            Bar::Msix => self.msix.write(offset, value),
            Bar::Debug => {}
        }
    }

    fn set_function(&mut self, state: FunctionState) {
        self.function = state;
    }

    fn host_reset(&mut self, _memory: &mut dyn HostMemory) {
        self.forget_host();
        self.path.host_reset();
    }

    fn wire_push(&mut self, frame: WireFrame) {
        self.wire.push_back(frame);
    }

    fn wire_waiting(&self) -> usize {
        self.wire.len()
    }

    fn wire_pop(&mut self) -> Option<SentFrame> {
        self.sent.pop_front()
    }

    fn set_tick_source(&mut self, source: TickSource) {
        self.clock.source = source;
    }

    fn add_ticks(&mut self, micros: u64) {
        self.clock.owed = self.clock.owed.saturating_add(micros);
    }

    fn run(&mut self, memory: &mut dyn HostMemory, cycles: u64) -> u64 {
        let start = self.clock.cycles;
        let end = start.saturating_add(cycles);
        while self.clock.cycles < end {
            let until = if self.clock.cycles < self.clock.busy_until {
                self.clock.busy_until
            } else if let Some(cycles) = self.step(memory) {
                self.clock.busy_until = self.clock.cycles.saturating_add(cycles);
                continue;
            } else if let Some(cycle) = self.path.egress.next_cycle() {
                cycle
            } else {
                break;
            };
            self.advance_to(until.min(end));
        }
        self.clock.cycles - start
    }

    fn is_idle(&self) -> bool {
        self.clock.cycles >= self.clock.busy_until
            && self.path.egress.is_empty()
            && !self.has_work()
    }

    fn punts_outstanding(&self) -> u32 {
        self.path.punts_outstanding
    }

    fn port_enabled(&self) -> bool {
        self.path.port_enabled()
    }
}
