//! A ring that the host fills and the card answers: the state that TX and command ring share (`CARD.md` 7).

use guideway_hdl::descriptors::{Completion, Status};

use super::Dma;
use super::registers::{half, set_half};
use super::ring_state::{Arm, phase, ring_address, start_status};
use crate::registers::ring as at;

/// Registers and state of one descriptor ring.
#[derive(Clone, Debug, Default)]
pub struct DescriptorRing {
    /// `base_low`, `base_high`.
    base: u64,
    /// `completion_low`, `completion_high`.
    completion: u64,
    /// Producer index, as the host last wrote it.
    producer: u16,
    /// Descriptors that were answered.
    pub completed: u16,
    /// Status code that stopped the ring, or 0.
    status: u8,
    /// The interrupt's arming.
    pub arm: Arm,
    config: u32,
    running: bool,
    live: Live,
}

/// Configuration as it was when the ring was enabled.
#[derive(Clone, Copy, Debug, Default)]
struct Live {
    base: u64,
    completion: u64,
    size_log2: u32,
}

const ENABLE: u32 = 1 << 31;
const CONFIG_BITS: u32 = ENABLE | 0xf;

impl DescriptorRing {
    /// Reads one of the ring's registers.
    #[must_use]
    pub fn register_read(&self, offset: u32) -> u32 {
        match offset {
            at::BASE_LOW | at::BASE_HIGH => half(self.base, offset == at::BASE_HIGH),
            at::SECOND_LOW | at::SECOND_HIGH => half(self.completion, offset == at::SECOND_HIGH),
            at::CONFIG => self.config,
            at::DOORBELL => self.producer.into(),
            at::PROGRESS => self.completed.into(),
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
                set_half(&mut self.completion, offset == at::SECOND_HIGH, value);
            }
            at::CONFIG => return self.set_config(value),
            at::DOORBELL => return self.ring(index),
            at::ARM => self.arm.arm(index),
            _ => {}
        }
        false
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
            completion: self.completion,
            size_log2: value & 15,
        };
        self.producer = 0;
        self.completed = 0;
        self.status = start_status(self.live.size_log2, [self.base, self.completion]).raw();
        self.running = self.status == 0;
        !self.running
    }

    /// The doorbell. Returns whether it stopped the ring.
    fn ring(&mut self, producer: u16) -> bool {
        self.producer = producer;
        let ahead = u32::from(producer.wrapping_sub(self.completed));
        if self.running && ahead > 1 << self.live.size_log2 {
            self.stop(Status::BadDoorbell);
            return true;
        }
        false
    }

    /// The ring runs: enabled, and not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Whether a descriptor waits.
    #[must_use]
    pub const fn has_work(&self) -> bool {
        self.running && self.producer != self.completed
    }

    /// Reads the descriptor that is due.
    ///
    /// # Errors
    /// The status that stopped the ring: memory refused it, or its phase is not due.
    pub fn fetch(&mut self, dma: &mut Dma<'_>) -> Result<[u8; 64], Status> {
        let mut bytes = [0; 64];
        let address = ring_address(self.live.base, self.completed, self.live.size_log2);
        let due = phase(self.completed, self.live.size_log2);
        let status = match dma.read(address, &mut bytes) {
            Err(_) => Status::DmaError,
            Ok(()) if (bytes[0] & 1 == 1) != due => Status::BadPhase,
            Ok(()) => return Ok(bytes),
        };
        self.stop(status);
        Err(status)
    }

    /// Writes the completion of the descriptor that is due.
    ///
    /// # Errors
    /// When memory refuses it: the ring stops.
    pub fn complete(
        &mut self,
        tag: u32,
        status: Status,
        result: u32,
        dma: &mut Dma<'_>,
    ) -> Result<(), Status> {
        let completion = Completion {
            phase: phase(self.completed, self.live.size_log2),
            status: status.raw(),
            index: self.completed,
            tag,
            result,
            ..Completion::default()
        };
        let address = ring_address(self.live.completion, self.completed, self.live.size_log2);
        if dma.write(address, &completion.to_bytes()).is_err() {
            self.stop(Status::DmaError);
            return Err(Status::DmaError);
        }
        self.completed = self.completed.wrapping_add(1);
        Ok(())
    }

    fn stop(&mut self, status: Status) {
        self.status = status.raw();
        self.running = false;
    }
}
