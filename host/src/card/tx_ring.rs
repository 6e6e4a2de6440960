//! The transmit ring: frames as they are, client packets for a backend, and punts that end without one.

use std::sync::Arc;

use guideway_hdl::descriptors::{Completion, RING_ENTRY_BYTES, Status, TxDescriptor, TxOp};
use guideway_hdl::tables::FRAME_MAX;

use super::command_ring::phase;
use super::stop::stop;
use super::{BackendId, CardError, VipId};
use crate::device::{Bar, Device, DmaRegion, halves, registers};

/// log2 of a transmit buffer's bytes: the longest frame fits.
const STRIDE_LOG2: u8 = 14;
/// Shortest frame that the card sends.
const FRAME_MIN: usize = 14;

/// How a transmission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxCompletion {
    /// What the caller gave with it.
    pub tag: u32,
    /// Its status.
    pub status: Status,
}

/// Where a client's packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The VIP that it is for.
    pub vip: VipId,
    /// The backend.
    pub backend: BackendId,
    /// The generation that the backend must have.
    pub generation: u8,
    /// The upper 8 bits of its flow's hash, which choose among the backend's next hops.
    pub spread: u8,
}

/// The ring. Frames are copied into a buffer of their own, so the caller's is free at once.
pub struct TxRing {
    region: DmaRegion,
    device: Arc<dyn Device>,
    bar: Bar,
    size_log2: u8,
    /// Index of the next descriptor.
    producer: u16,
    /// The producer index that the card knows.
    rung: u16,
    /// Index of the next completion.
    completed: u16,
    /// The interrupt is armed.
    armed: bool,
}

impl TxRing {
    pub(super) fn start(
        device: &Arc<dyn Device>,
        bar: &Bar,
        size_log2: u8,
    ) -> Result<Self, CardError> {
        let ring_bytes = RING_ENTRY_BYTES << size_log2;
        let region = DmaRegion::new(
            device,
            "guideway-tx",
            2 * ring_bytes + (1 << (size_log2 + STRIDE_LOG2)),
        )?;
        let registers = registers(bar).card().tx();
        let (low, high) = halves(region.iova());
        registers.base_low().try_write(|r| r.set_value(low))?;
        registers.base_high().try_write(|r| r.set_value(high))?;
        let (low, high) = halves(region.iova() + ring_bytes as u64);
        registers.completion_low().try_write(|r| r.set_value(low))?;
        registers
            .completion_high()
            .try_write(|r| r.set_value(high))?;
        registers.config().try_write(|r| {
            r.set_size_log2(size_log2);
            r.set_enable(true);
        })?;
        Ok(Self {
            region,
            device: Arc::clone(device),
            bar: bar.clone(),
            size_log2,
            producer: 0,
            rung: 0,
            completed: 0,
            armed: false,
        })
    }

    /// Entries of the ring.
    #[must_use]
    pub fn size(&self) -> usize {
        1 << self.size_log2
    }

    /// Transmissions that have not been reaped.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.producer.wrapping_sub(self.completed).into()
    }

    /// Transmissions that fit before something must be reaped.
    #[must_use]
    pub fn room(&self) -> usize {
        self.size() - self.outstanding()
    }

    fn slot(&self, index: u16) -> usize {
        usize::from(index) & (self.size() - 1)
    }

    fn post(&mut self, descriptor: TxDescriptor, frame: &[u8]) -> Result<(), CardError> {
        if self.room() == 0 {
            return Err(CardError::RingFull { ring: "transmit" });
        }
        let slot = self.slot(self.producer);
        let buffer = ((2 * RING_ENTRY_BYTES) << self.size_log2) + (slot << STRIDE_LOG2);
        self.region.memory().write_bytes(buffer, frame);
        let entry = TxDescriptor {
            phase: phase(self.producer, self.size_log2),
            // At most the longest frame, checked by the callers.
            length: u16::try_from(frame.len()).unwrap_or(u16::MAX),
            address: self.region.iova() + buffer as u64,
            ..descriptor
        };
        self.region
            .memory()
            .write_entry(slot * RING_ENTRY_BYTES, &entry.to_words());
        self.producer = self.producer.wrapping_add(1);
        Ok(())
    }

    fn check_length(frame: &[u8]) -> Result<(), CardError> {
        if (FRAME_MIN..=FRAME_MAX).contains(&frame.len()) {
            Ok(())
        } else {
            Err(CardError::FrameLength(frame.len()))
        }
    }

    /// Queues a frame to leave as it is. Nothing moves before [`TxRing::flush`].
    ///
    /// # Errors
    /// When the ring is full or the frame's length is none that the card sends.
    pub fn raw(&mut self, frame: &[u8], ends_punt: bool, tag: u32) -> Result<(), CardError> {
        Self::check_length(frame)?;
        self.post(
            TxDescriptor {
                op: TxOp::Raw.raw(),
                ends_punt,
                tag,
                ..TxDescriptor::default()
            },
            frame,
        )
    }

    /// Queues a client's packet for a VIP, to a backend.
    ///
    /// # Errors
    /// As [`TxRing::raw`].
    pub fn assign(
        &mut self,
        frame: &[u8],
        to: &Assignment,
        ends_punt: bool,
        tag: u32,
    ) -> Result<(), CardError> {
        Self::check_length(frame)?;
        let descriptor = TxDescriptor {
            op: TxOp::Assign.raw(),
            ends_punt,
            tag,
            vip: to.vip.0,
            backend: to.backend.0,
            generation: to.generation,
            spread: to.spread,
            ..TxDescriptor::default()
        };
        self.post(descriptor, frame)
    }

    /// Queues the end of a punt without a frame.
    ///
    /// # Errors
    /// When the ring is full.
    pub fn end_punt(&mut self, tag: u32) -> Result<(), CardError> {
        self.post(
            TxDescriptor {
                op: TxOp::Release.raw(),
                ends_punt: true,
                tag,
                ..TxDescriptor::default()
            },
            &[],
        )
    }

    /// Tells the card of everything queued.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn flush(&mut self) -> Result<(), CardError> {
        if self.rung != self.producer {
            registers(&self.bar)
                .card()
                .tx()
                .producer()
                .try_write(|r| r.set_index(self.producer))?;
            self.rung = self.producer;
        }
        Ok(())
    }

    fn completion_at(&self) -> usize {
        (RING_ENTRY_BYTES << self.size_log2) + self.slot(self.completed) * RING_ENTRY_BYTES
    }

    /// Whether a transmission has completed and was not reaped.
    #[must_use]
    pub fn has_completion(&self) -> bool {
        self.outstanding() > 0
            && (self.region.memory().read_acquire(self.completion_at()) & 1 == 1)
                == phase(self.completed, self.size_log2)
    }

    /// Takes the next completion, if there is one.
    ///
    /// # Errors
    /// When the card wrote a completion that cannot be.
    pub fn reap(&mut self) -> Result<Option<TxCompletion>, CardError> {
        if !self.has_completion() {
            return Ok(None);
        }
        let at = self.completion_at();
        let completion = check(
            &Completion::from_words(&self.region.memory().read_words(at)),
            self.completed,
        )?;
        self.completed = self.completed.wrapping_add(1);
        Ok(Some(completion))
    }

    /// Arms the interrupt for the next completion, unless it is armed or none is due.
    pub(super) fn arm(&mut self) -> Result<(), CardError> {
        if self.armed || self.outstanding() == 0 {
            return Ok(());
        }
        registers(&self.bar)
            .card()
            .tx()
            .arm()
            .try_write(|r| r.set_index(self.completed))?;
        self.armed = true;
        Ok(())
    }

    /// The interrupt has fired.
    pub(super) fn disarmed(&mut self) {
        self.armed = false;
    }

    /// Whether the card knows the ring: a host reset makes it forget.
    pub(super) fn is_enabled(&self) -> Result<bool, CardError> {
        let config = registers(&self.bar).card().tx().config().try_read()?;
        Ok(config.enable())
    }

    /// The status code that stopped the ring, or 0.
    pub(super) fn status(&self) -> Result<u8, CardError> {
        Ok(registers(&self.bar).card().tx().status().try_read()?.code())
    }
}

fn check(completion: &Completion, index: u16) -> Result<TxCompletion, CardError> {
    let corrupt = |reason: String| CardError::Corrupt {
        ring: "transmit",
        reason,
    };
    if completion.index != index {
        return Err(corrupt(format!(
            "index {} where {index} is due",
            completion.index
        )));
    }
    let status = Status::from_raw(completion.status)
        .ok_or_else(|| corrupt(format!("status {}", completion.status)))?;
    Ok(TxCompletion {
        tag: completion.tag,
        status,
    })
}

impl Drop for TxRing {
    fn drop(&mut self) {
        let config = registers(&self.bar).card().tx().config();
        let clear = || config.try_write(|_| ());
        stop(&*self.device, "transmit", clear, || config.try_read());
    }
}
