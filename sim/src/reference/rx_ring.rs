//! A receive ring: where the host wants frames of one class (`CARD.md` 7).

use guideway_hdl::descriptors::{RING_ENTRY_BYTES, RING_SIZE_LOG2_MAX, Status};

use super::registers::{half, set_half};
use super::ring_state::{Arm, phase, ring_address, start_status};
use super::{Dma, HostFrame};
use crate::card::DmaError;
use crate::registers::ring as at;

/// Registers and state of one receive ring.
#[derive(Clone, Debug, Default)]
pub struct RxRing {
    /// `base_low`, `base_high`.
    base: u64,
    /// `buffer_low`, `buffer_high`.
    buffer: u64,
    /// Consumer index, as the host last wrote it.
    consumer: u16,
    /// Producer index: frames handed over.
    pub producer: u16,
    /// `config`, as written.
    config: u32,
    /// Status code that stopped the ring, or 0.
    status: u8,
    running: bool,
    live: Live,
    /// The interrupt's arming.
    pub arm: Arm,
}

/// Configuration as it was when the ring was enabled.
#[derive(Clone, Copy, Debug, Default)]
struct Live {
    base: u64,
    buffer: u64,
    size_log2: u32,
    stride_log2: u32,
}

const ENABLE: u32 = 1 << 31;
const CONFIG_BITS: u32 = ENABLE | 0xf0f;

impl RxRing {
    /// Reads one of the ring's registers.
    #[must_use]
    pub fn register_read(&self, offset: u32) -> u32 {
        match offset {
            at::BASE_LOW | at::BASE_HIGH => half(self.base, offset == at::BASE_HIGH),
            at::SECOND_LOW | at::SECOND_HIGH => half(self.buffer, offset == at::SECOND_HIGH),
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
            at::SECOND_LOW | at::SECOND_HIGH => {
                set_half(&mut self.buffer, offset == at::SECOND_HIGH, value);
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

    /// Bytes of a buffer.
    #[must_use]
    pub const fn stride(&self) -> usize {
        1 << self.live.stride_log2
    }

    /// Writes `config`: enabling starts from index 0. Returns whether the ring stopped at once.
    fn set_config(&mut self, value: u32) -> bool {
        let was = self.config & ENABLE != 0;
        self.config = value & CONFIG_BITS;
        let enabled = value & ENABLE != 0;
        if was && !enabled {
            self.running = false;
            self.arm.disarm();
        }
        if was || !enabled {
            return false;
        }
        self.live = Live {
            base: self.base,
            buffer: self.buffer,
            size_log2: value & 15,
            stride_log2: value >> 8 & 15,
        };
        self.producer = 0;
        self.consumer = 0;
        let stride_fits = (6..=14).contains(&self.live.stride_log2);
        let status = start_status(self.live.size_log2, [self.base, self.buffer]);
        self.status = if stride_fits {
            status
        } else {
            Status::OutOfRange
        }
        .raw();
        self.running = self.status == 0;
        !self.running
    }

    /// Whether a frame could be handed over now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let filled = u32::from(self.producer.wrapping_sub(self.consumer));
        self.running && filled < 1 << self.live.size_log2.min(RING_SIZE_LOG2_MAX)
    }

    /// Writes a frame, then its completion.
    ///
    /// # Errors
    /// When memory refuses either: the ring stops.
    pub fn deliver(&mut self, frame: &HostFrame, dma: &mut Dma<'_>) -> Result<(), DmaError> {
        let index = self.producer;
        let slot = u64::from(index) & ((1 << self.live.size_log2) - 1);
        let buffer = self.live.buffer.wrapping_add(slot << self.live.stride_log2);
        let mut record = frame.record;
        record.index = index;
        record.phase = phase(index, self.live.size_log2);
        let completion = ring_address(self.live.base, index, self.live.size_log2);
        let written = dma
            .write(buffer, &frame.bytes)
            .and_then(|()| dma.write(completion, &record.to_bytes()));
        match written {
            Ok(()) => self.producer = index.wrapping_add(1),
            Err(_) => self.stop(Status::DmaError),
        }
        written
    }

    fn stop(&mut self, status: Status) {
        self.status = status.raw();
        self.running = false;
    }
}

const _: () = assert!(RING_ENTRY_BYTES == guideway_hdl::descriptors::RxCompletion::BYTES);
