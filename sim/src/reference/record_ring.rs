//! The record ring (`CARD.md` 9): traced packets and learned entries on their way into host memory.

use std::collections::VecDeque;

use guideway_hdl::descriptors::{RING_SIZE_LOG2_MAX, Status};
use guideway_hdl::records::{FlowEventRecord, RECORDS_WAITING, TraceRecord};

use super::Dma;
use super::registers::{half, set_half};
use super::ring_state::{Arm, phase, ring_address, start_status};
use crate::card::DmaError;
use crate::registers::{record, ring as at};

/// What the path tells of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It was traced.
    Trace(TraceRecord),
    /// Its flow was learned.
    FlowEvent(FlowEventRecord),
}

/// Registers and state of the record ring.
#[derive(Clone, Debug, Default)]
pub struct RecordRing {
    /// `base_low`, `base_high`.
    base: u64,
    /// Consumer index, as the host last wrote it.
    consumer: u16,
    /// Producer index: records written.
    pub producer: u16,
    /// `config`, as written.
    config: u32,
    /// Status code that stopped the ring, or 0.
    status: u8,
    running: bool,
    /// Base and size as they were when the ring was enabled.
    live: (u64, u32),
    /// The interrupt's arming.
    pub arm: Arm,
    /// Records made since the ring was enabled, by kind.
    made: [u32; 2],
    waiting: [VecDeque<Record>; 2],
}

const ENABLE: u32 = 1 << 31;
const CONFIG_BITS: u32 = ENABLE | 0xf;
/// Bits of a record's number.
const SEQUENCE_MASK: u32 = (1 << 20) - 1;

impl RecordRing {
    /// Reads one of the ring's registers.
    #[must_use]
    pub fn register_read(&self, offset: u32) -> u32 {
        match offset {
            at::BASE_LOW | at::BASE_HIGH => half(self.base, offset == at::BASE_HIGH),
            record::TRACES => self.made[0],
            record::FLOW_EVENTS => self.made[1],
            at::CONFIG => self.config,
            at::DOORBELL => self.consumer.into(),
            at::PROGRESS => self.producer.into(),
            at::STATUS => self.status.into(),
            at::ARM => self.arm.index.into(),
            _ => 0,
        }
    }

    /// Writes one of the ring's registers. Returns whether that stopped the ring.
    pub fn register_write(&mut self, offset: u32, value: u32) -> bool {
        let index = (value & 0xffff) as u16;
        match offset {
            at::BASE_LOW | at::BASE_HIGH => {
                set_half(&mut self.base, offset == at::BASE_HIGH, value);
            }
            at::CONFIG => return self.set_config(value),
            at::DOORBELL => self.consumer = index,
            at::ARM => self.arm.arm(index),
            _ => {}
        }
        false
    }

    /// The ring runs: enabled, and not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    fn set_config(&mut self, value: u32) -> bool {
        let was = self.config & ENABLE != 0;
        self.config = value & CONFIG_BITS;
        let enabled = value & ENABLE != 0;
        if was && !enabled {
            self.end();
            self.made = [0; 2];
            self.arm.disarm();
        }
        if was || !enabled {
            return false;
        }
        self.live = (self.base, value & 15);
        self.producer = 0;
        self.consumer = 0;
        self.status = start_status(value & 15, [self.base, 0]).raw();
        self.running = self.status == 0;
        !self.running
    }

    fn end(&mut self) {
        self.running = false;
        for waiting in &mut self.waiting {
            waiting.clear();
        }
    }

    /// Takes a record that the path made. Returns whether it was lost.
    pub fn make(&mut self, mut record: Record) -> bool {
        if !self.running {
            return false;
        }
        let (kind, number) = match &mut record {
            Record::Trace(trace) => (0, &mut trace.sequence_number),
            Record::FlowEvent(event) => (1, &mut event.sequence_number),
        };
        *number = self.made[kind] & SEQUENCE_MASK;
        self.made[kind] = self.made[kind].wrapping_add(1);
        let lost = self.waiting[kind].len() >= RECORDS_WAITING;
        if !lost {
            self.waiting[kind].push_back(record);
        }
        lost
    }

    /// Whether a record could be written now.
    #[must_use]
    pub fn has_work(&self) -> bool {
        let filled = u32::from(self.producer.wrapping_sub(self.consumer));
        self.running
            && filled < 1 << self.live.1.min(RING_SIZE_LOG2_MAX)
            && self.waiting.iter().any(|waiting| !waiting.is_empty())
    }

    /// Writes the oldest record of a kind.
    ///
    /// # Errors
    /// When memory refuses it: the ring stops.
    pub fn deliver(&mut self, dma: &mut Dma<'_>) -> Result<(), DmaError> {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| !waiting.is_empty()) else {
            return Ok(());
        };
        let (base, size_log2) = self.live;
        let due = phase(self.producer, size_log2);
        let bytes = match waiting.pop_front() {
            Some(Record::Trace(trace)) => TraceRecord {
                phase: due,
                ..trace
            }
            .to_bytes(),
            Some(Record::FlowEvent(event)) => FlowEventRecord {
                phase: due,
                ..event
            }
            .to_bytes(),
            None => return Ok(()),
        };
        let written = dma.write(ring_address(base, self.producer, size_log2), &bytes);
        if written.is_ok() {
            self.producer = self.producer.wrapping_add(1);
        } else {
            self.status = Status::DmaError.raw();
            self.end();
        }
        written
    }
}
