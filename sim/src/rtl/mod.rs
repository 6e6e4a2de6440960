//! The Verilated card behind [`Card`]: drives its wire, its registers and its memory, one clock cycle at a time.
//!
//! Owns the clock and what stands around the card: the MAC's streams here, the AXI memory of the PCIe bridge in [`axi`],
//! register accesses in [`axil`]. The signals themselves are `guideway-rtl-model`'s.

mod axi;
mod axil;
mod stream;

use crate::card::{Bar, Card, FunctionState, HostMemory, Model, SentFrame, TickSource, WireFrame};
use guideway_rtl_model::{Inputs, Outputs, RtlModel};
use std::{io, ops::RangeInclusive, path::Path};

/// How the bridge answers the card's DMA.
#[derive(Clone, Debug)]
pub struct DmaTiming {
    /// Cycles from an access to its answer.
    pub latency: RangeInclusive<u32>,
    /// Answers of different IDs may overtake each other.
    pub reorder: bool,
    /// Percentage of cycles in which a channel is not ready.
    pub stall_percent: u8,
}

impl Default for DmaTiming {
    fn default() -> Self {
        Self {
            latency: 40..=40,
            reorder: false,
            stall_percent: 0,
        }
    }
}

/// What stands around the card. The default is an ideal wire and a bridge with a short, constant latency.
#[derive(Clone, Debug, Default)]
pub struct RtlConfig {
    /// Seed of every random choice below.
    pub seed: u64,
    /// Percentage of cycles in which the wire brings no beat although one waits.
    pub rx_idle_percent: u8,
    /// Cycles that the wire rests after each frame.
    pub rx_gap: u32,
    /// Percentage of cycles in which the MAC does not take a beat.
    pub tx_stall_percent: u8,
    /// The bridge.
    pub dma: DmaTiming,
}

/// A small generator for idle cycles and delays: the same seed, the same run.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn percent(&mut self, percent: u8) -> bool {
        percent != 0 && self.next() % 100 < u64::from(percent)
    }
    fn within(&mut self, range: &RangeInclusive<u32>) -> u32 {
        let span = u64::from(range.end() - range.start()) + 1;
        // the remainder is below 2^32
        #[allow(clippy::cast_possible_truncation)]
        let offset = (self.next() % span) as u32;
        range.start() + offset
    }
}

/// Cycles in 64 microseconds: 322.265625 MHz is 20625 cycles in 64 us.
const CYCLES_IN_64_US: u32 = 20_625;
/// Cycles in which a change at the inputs has reached `idle`.
const SETTLE: u32 = 24;
/// Cycles after which a register access or reset that was not answered is a fault of the card.
const ANSWER_LIMIT: u32 = 1_000_000;

/// The RTL under Verilator.
#[derive(Debug)]
pub struct RtlCard {
    model: RtlModel,
    inputs: Inputs,
    outputs: Outputs,
    dice: Dice,
    config: RtlConfig,
    receive: stream::Receive,
    transmit: stream::Transmit,
    bridge: axi::Bridge,
    cycles: u64,
    tick_source: TickSource,
    tick_phase: u32,
    ticks_owed: u64,
    settle: u32,
}

impl RtlCard {
    /// A card after power on: reset is over, tables are clear.
    ///
    /// # Panics
    /// When the card does not become ready: a fault of the RTL.
    #[must_use]
    pub fn new(config: RtlConfig) -> Self {
        let mut card = Self {
            model: RtlModel::new(config.seed),
            inputs: Inputs {
                tx_ready: 1,
                axil_wstrb: 0xf,
                ..Inputs::default()
            },
            outputs: Outputs::default(),
            dice: Dice(config.seed),
            receive: stream::Receive::default(),
            transmit: stream::Transmit::default(),
            bridge: axi::Bridge::new(config.seed, config.dma.clone()),
            config,
            cycles: 0,
            // time begins when the card is ready
            tick_source: TickSource::Given,
            tick_phase: 0,
            ticks_owed: 0,
            settle: SETTLE,
        };
        card.power_on();
        card.tick_source = TickSource::Clock;
        card
    }

    /// Like [`RtlCard::new`], writing a waveform (FST) from the first cycle on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn with_wave(config: RtlConfig, path: &Path) -> io::Result<Self> {
        let mut card = Self::new(config);
        card.model.wave(path)?;
        Ok(card)
    }

    /// Clocks the model alone, with this frame of one beat in every second cycle and nothing looked at: what the simulator's
    /// speed is measured against. What leaves meanwhile is lost.
    pub fn clock_bare(&mut self, frame: &[u8], cycles: u64) {
        let mut inputs = self.inputs.clone();
        inputs.tx_ready = 1;
        inputs.tick = 0;
        stream::show(&mut inputs, frame, true);
        for cycle in 0..cycles {
            inputs.rx_valid = u8::from(cycle % 2 == 0);
            self.model.cycle(&inputs, &mut self.outputs);
        }
        self.cycles += cycles;
    }

    /// Like [`Card::wire_push`]; the wire rests this many cycles after the frame.
    pub fn wire_push_spaced(&mut self, frame: WireFrame, rest: u32) {
        self.receive.push(frame, rest);
        self.settle = SETTLE;
    }

    /// From now on the MAC sends at the rate of a 100G wire, overhead and padding included, or takes a beat in each cycle, as
    /// it does at first.
    pub fn limit_transmit(&mut self, limited: bool) {
        self.transmit.limit(limited);
    }

    fn power_on(&mut self) {
        let memory = &mut Unconnected;
        for _ in 0..8 {
            self.cycle(memory);
        }
        self.inputs.rst_n = 1;
        let mut waited = 0;
        while waited < 8 || self.outputs.ready == 0 {
            self.cycle(memory);
            waited += 1;
            assert!(
                waited < ANSWER_LIMIT,
                "the card does not become ready after its reset"
            );
        }
    }

    /// One clock cycle.
    #[inline]
    fn cycle(&mut self, memory: &mut dyn HostMemory) {
        self.receive.drive(
            &mut self.inputs,
            &mut self.dice,
            self.config.rx_idle_percent,
        );
        let stalled = self.dice.percent(self.config.tx_stall_percent);
        self.inputs.tx_ready = u8::from(!stalled && self.transmit.ready());
        self.inputs.tick = self.tick();
        self.bridge.drive(&mut self.inputs, memory, self.cycles);
        self.model.cycle(&self.inputs, &mut self.outputs);
        self.receive.settle(&self.inputs, &self.outputs);
        self.transmit
            .collect(&self.inputs, &self.outputs, self.cycles);
        self.bridge
            .collect(&self.inputs, &self.outputs, self.cycles);
        self.cycles += 1;
        // A beat that was just taken does not show in `idle` yet, when what came before it on the wire is over already.
        self.settle = if self.inputs.rx_valid == 1 {
            SETTLE
        } else {
            self.settle.saturating_sub(1)
        };
    }

    fn tick(&mut self) -> u16 {
        match self.tick_source {
            TickSource::Clock => {
                self.tick_phase += 64;
                let due = self.tick_phase >= CYCLES_IN_64_US;
                if due {
                    self.tick_phase -= CYCLES_IN_64_US;
                }
                u16::from(due)
            }
            TickSource::Given => {
                let now = self.ticks_owed.min(u64::from(u16::MAX));
                self.ticks_owed -= now;
                u16::try_from(now).unwrap_or(u16::MAX)
            }
        }
    }
}

/// Host memory of a card that no host has opened.
struct Unconnected;

impl HostMemory for Unconnected {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), crate::card::DmaError> {
        Err(crate::card::DmaError {
            address,
            bytes: data.len(),
        })
    }
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), crate::card::DmaError> {
        Err(crate::card::DmaError {
            address,
            bytes: data.len(),
        })
    }
}

impl Card for RtlCard {
    fn model(&self) -> Model {
        Model::Rtl
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn register_read(&mut self, memory: &mut dyn HostMemory, bar: Bar, offset: u32) -> u32 {
        self.axil_read(memory, bar, offset)
    }

    fn register_write(&mut self, memory: &mut dyn HostMemory, bar: Bar, offset: u32, value: u32) {
        self.axil_write(memory, bar, offset, value);
        self.settle = SETTLE;
    }

    fn set_function(&mut self, state: FunctionState) {
        self.inputs.bus_master = u8::from(state.bus_master);
        self.inputs.msix_enable = u8::from(state.msix_enable);
        self.inputs.msix_mask = u8::from(state.msix_mask);
        self.settle = SETTLE;
    }

    fn host_reset(&mut self, memory: &mut dyn HostMemory) {
        self.inputs.host_reset = 1;
        for waited in 0.. {
            self.cycle(memory);
            if self.outputs.host_reset_done == 1 {
                break;
            }
            if waited >= ANSWER_LIMIT {
                tracing::error!("the card does not finish its host reset");
                break;
            }
        }
        self.inputs.host_reset = 0;
        self.settle = SETTLE;
        self.cycle(memory);
    }

    fn wire_push(&mut self, frame: WireFrame) {
        self.wire_push_spaced(frame, self.config.rx_gap);
    }

    fn wire_waiting(&self) -> usize {
        self.receive.waiting()
    }

    fn wire_pop(&mut self) -> Option<SentFrame> {
        self.transmit.pop()
    }

    fn set_tick_source(&mut self, source: TickSource) {
        self.tick_source = source;
    }

    fn add_ticks(&mut self, micros: u64) {
        self.ticks_owed += micros;
    }

    fn run(&mut self, memory: &mut dyn HostMemory, cycles: u64) -> u64 {
        let start = self.cycles;
        while self.cycles - start < cycles && !self.is_idle() {
            self.cycle(memory);
        }
        self.cycles - start
    }

    fn is_idle(&self) -> bool {
        // a card that clears its tables works, although no frame is in it
        self.outputs.idle == 1
            && self.outputs.ready == 1
            && self.settle == 0
            && self.receive.waiting() == 0
            && self.bridge.is_idle()
            && (self.ticks_owed == 0 || self.tick_source == TickSource::Clock)
    }

    fn punts_outstanding(&self) -> u32 {
        self.outputs.punts_outstanding
    }

    fn port_enabled(&self) -> bool {
        self.outputs.port_enabled == 1
    }
}
