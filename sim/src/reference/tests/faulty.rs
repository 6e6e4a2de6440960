//! The comparison of two models can fail: a card with one fault is told apart from a sound one.

use crate::card::{Bar, Card, FunctionState, HostMemory, Model, SentFrame, TickSource, WireFrame};
use crate::harness::outcome::play;
use crate::harness::scenario::Scenario;
use crate::reference::ReferenceCard;
use crate::registers::core as at;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// One bit of one frame that leaves is wrong.
    Bit,
    /// One frame never arrives on the wire's other side.
    Lost,
    /// Two frames leave in the wrong order.
    Swapped,
    /// One register write is lost: the heartbeat's.
    Heartbeat,
    /// One frame's error flag is not seen.
    ErrorFlag,
    /// Counters are not held.
    Hold,
    /// The egress classes' thresholds stay as they are at power on.
    Thresholds,
}

/// A reference card with a fault.
struct Faulty {
    card: ReferenceCard,
    fault: Fault,
    sent: usize,
    held: Option<SentFrame>,
}

/// The frame that the fault meets.
const VICTIM: usize = 20;

impl Card for Faulty {
    fn model(&self) -> Model {
        self.card.model()
    }
    fn cycles(&self) -> u64 {
        self.card.cycles()
    }
    fn register_read(&mut self, memory: &mut dyn HostMemory, bar: Bar, offset: u32) -> u32 {
        self.card.register_read(memory, bar, offset)
    }
    fn register_write(
        &mut self,
        memory: &mut dyn HostMemory,
        bar: Bar,
        offset: u32,
        mut value: u32,
    ) {
        if bar == Bar::Registers {
            match (self.fault, offset) {
                (Fault::Heartbeat, at::HEARTBEAT) => return,
                (Fault::Hold, at::CONTROL) => value &= !at::COUNTERS_HOLD,
                (Fault::Thresholds, at::EGRESS_THRESHOLD..at::TIME_US_LOW) => value = 0x1000,
                _ => {}
            }
        }
        self.card.register_write(memory, bar, offset, value);
    }
    fn set_function(&mut self, state: FunctionState) {
        self.card.set_function(state);
    }
    fn host_reset(&mut self, memory: &mut dyn HostMemory) {
        self.card.host_reset(memory);
    }
    fn wire_push(&mut self, mut frame: WireFrame) {
        frame.error &= !matches!(self.fault, Fault::ErrorFlag);
        self.card.wire_push(frame);
    }
    fn wire_waiting(&self) -> usize {
        self.card.wire_waiting()
    }
    fn wire_pop(&mut self) -> Option<SentFrame> {
        if self.held.is_some() && self.sent > VICTIM {
            return self.held.take();
        }
        let mut frame = self.card.wire_pop()?;
        self.sent += 1;
        if self.sent == VICTIM {
            match self.fault {
                Fault::Bit => frame.bytes[10] ^= 0x40,
                Fault::Lost => return self.card.wire_pop(),
                Fault::Swapped => {
                    self.held = Some(frame);
                    return self.wire_pop();
                }
                Fault::Heartbeat | Fault::ErrorFlag | Fault::Hold | Fault::Thresholds => {}
            }
        }
        Some(frame)
    }
    fn set_tick_source(&mut self, source: TickSource) {
        self.card.set_tick_source(source);
    }
    fn add_ticks(&mut self, micros: u64) {
        self.card.add_ticks(micros);
    }
    fn run(&mut self, memory: &mut dyn HostMemory, cycles: u64) -> u64 {
        self.card.run(memory, cycles)
    }
    fn is_idle(&self) -> bool {
        self.card.is_idle()
    }
    fn punts_outstanding(&self) -> u32 {
        self.card.punts_outstanding()
    }
    fn port_enabled(&self) -> bool {
        self.card.port_enabled()
    }
}

#[test]
fn one_fault_makes_a_difference() {
    for fault in [
        Fault::Bit,
        Fault::Lost,
        Fault::Swapped,
        Fault::Heartbeat,
        Fault::ErrorFlag,
        Fault::Hold,
        Fault::Thresholds,
    ] {
        let told_apart = (0..16).any(|seed| {
            let scenario = Scenario::random(seed, 600);
            let sound = play(&mut ReferenceCard::new(), &scenario).expect("it works");
            let card = ReferenceCard::new();
            let mut faulty = Faulty {
                card,
                fault,
                sent: 0,
                held: None,
            };
            let outcome = play(&mut faulty, &scenario);
            outcome.map_or(true, |outcome| outcome.difference(&sound).is_some())
        });
        assert!(told_apart, "{fault:?}");
    }
}
