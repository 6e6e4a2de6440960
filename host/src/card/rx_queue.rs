//! A receive queue: frames of one class, where the card left them.

use std::sync::Arc;

use guideway_hdl::descriptors::{RING_ENTRY_BYTES, RxCompletion};
use guideway_hdl::verdict::{Disposition, HostClass};

use super::CardError;
use super::command_ring::phase;
use super::stop::stop;
use crate::device::{Bar, Device, DmaRegion, halves, registers};

/// A received frame in the queue's buffer, until the queue returns it.
#[derive(Clone, Copy, Debug)]
pub struct RxFrame<'a> {
    /// The frame without FCS.
    pub bytes: &'a [u8],
    /// The card's decision about it.
    pub completion: RxCompletion,
    /// The disposition that it names.
    pub disposition: Disposition,
}

/// The queue of one class.
///
/// The memory is the completions, then a buffer for each. An entry belongs to the card from its return until its completion.
pub struct RxQueue {
    region: DmaRegion,
    device: Arc<dyn Device>,
    bar: Bar,
    class: HostClass,
    size_log2: u8,
    stride_log2: u8,
    /// Index of the oldest entry that the host holds.
    consumer: u16,
    /// Completions from `consumer` on that have been checked: entries that the host holds.
    held: u16,
    /// The interrupt is armed.
    armed: bool,
}

impl RxQueue {
    pub(super) fn start(
        device: &Arc<dyn Device>,
        bar: &Bar,
        class: HostClass,
        size_log2: u8,
        stride_log2: u8,
    ) -> Result<Self, CardError> {
        let completions = RING_ENTRY_BYTES << size_log2;
        let name = format!("guideway-rx-{}", class.name());
        let region = DmaRegion::new(
            device,
            &name,
            completions + (1 << (size_log2 + stride_log2)),
        )?;
        let queue = Self {
            region,
            device: Arc::clone(device),
            bar: bar.clone(),
            class,
            size_log2,
            stride_log2,
            consumer: 0,
            held: 0,
            armed: false,
        };
        let registers = registers(bar).card().rx()[usize::from(class.raw())];
        let (low, high) = halves(queue.region.iova());
        registers.base_low().try_write(|r| r.set_value(low))?;
        registers.base_high().try_write(|r| r.set_value(high))?;
        let (low, high) = halves(queue.region.iova() + completions as u64);
        registers.buffer_low().try_write(|r| r.set_value(low))?;
        registers.buffer_high().try_write(|r| r.set_value(high))?;
        registers.consumer().try_write(|r| r.set_index(0))?;
        registers.config().try_write(|r| {
            r.set_size_log2(size_log2);
            r.set_stride_log2(stride_log2);
            r.set_enable(true);
        })?;
        Ok(queue)
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> HostClass {
        self.class
    }

    /// Entries of the queue.
    #[must_use]
    pub fn size(&self) -> usize {
        1 << self.size_log2
    }

    fn slot(&self, index: u16) -> usize {
        usize::from(index) & (self.size() - 1)
    }

    /// Whether a frame waits beyond those that the host holds.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let index = self.consumer.wrapping_add(self.held);
        usize::from(self.held) < self.size()
            && (self
                .region
                .memory()
                .read_acquire(self.slot(index) * RING_ENTRY_BYTES)
                & 1
                == 1)
                == phase(index, self.size_log2)
    }

    /// Takes completed frames, at most `max` held at once, and returns how many the host holds: [`RxQueue::frame`] shows them.
    ///
    /// # Errors
    /// When the card wrote a completion that cannot be.
    pub fn receive(&mut self, max: usize) -> Result<usize, CardError> {
        while usize::from(self.held) < max && self.has_more() {
            let index = self.consumer.wrapping_add(self.held);
            let completion = self.completion(index);
            check(&completion, index, self.class, 1 << self.stride_log2)?;
            self.held += 1;
        }
        Ok(self.held.into())
    }

    fn completion(&self, index: u16) -> RxCompletion {
        RxCompletion::from_words(
            &self
                .region
                .memory()
                .read_words(self.slot(index) * RING_ENTRY_BYTES),
        )
    }

    /// The `i`-th frame that the host holds, oldest first; `None` beyond them.
    #[must_use]
    pub fn frame(&self, i: usize) -> Option<RxFrame<'_>> {
        let offset = u16::try_from(i).ok().filter(|offset| *offset < self.held)?;
        let index = self.consumer.wrapping_add(offset);
        let completion = self.completion(index);
        // Checked again: a card that rewrites its completions must not lead out of the buffer.
        let disposition = check(&completion, index, self.class, 1 << self.stride_log2).ok()?;
        let at = (RING_ENTRY_BYTES << self.size_log2) + (self.slot(index) << self.stride_log2);
        let bytes = self.region.memory().received(at, completion.length.into());
        Some(RxFrame {
            bytes,
            completion,
            disposition,
        })
    }

    /// Gives the oldest `count` entries back to the card.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn release(&mut self, count: usize) -> Result<(), CardError> {
        let count = u16::try_from(count).unwrap_or(u16::MAX).min(self.held);
        if count == 0 {
            return Ok(());
        }
        self.held -= count;
        self.consumer = self.consumer.wrapping_add(count);
        let queue = registers(&self.bar).card().rx()[usize::from(self.class.raw())];
        Ok(queue.consumer().try_write(|r| r.set_index(self.consumer))?)
    }

    /// Arms the interrupt for the next frame, unless it is armed.
    pub(super) fn arm(&mut self) -> Result<(), CardError> {
        if self.armed {
            return Ok(());
        }
        let next = self.consumer.wrapping_add(self.held);
        registers(&self.bar).card().rx()[usize::from(self.class.raw())]
            .arm()
            .try_write(|r| r.set_index(next))?;
        self.armed = true;
        Ok(())
    }

    /// The interrupt has fired.
    pub(super) fn disarmed(&mut self) {
        self.armed = false;
    }

    /// The status code that stopped the queue, or 0.
    pub(super) fn status(&self) -> Result<u8, CardError> {
        Ok(
            registers(&self.bar).card().rx()[usize::from(self.class.raw())]
                .status()
                .try_read()?
                .code(),
        )
    }
}

fn check(
    completion: &RxCompletion,
    index: u16,
    class: HostClass,
    stride: usize,
) -> Result<Disposition, CardError> {
    let corrupt = |reason: String| CardError::Corrupt {
        ring: ring_name(class),
        reason,
    };
    if completion.index != index {
        return Err(corrupt(format!(
            "index {} where {index} is due",
            completion.index
        )));
    }
    if completion.length == 0 || usize::from(completion.length) > stride {
        return Err(corrupt(format!(
            "a frame of {} bytes in a buffer of {stride}",
            completion.length
        )));
    }
    let disposition = Disposition::from_raw(completion.disposition);
    disposition
        .filter(|disposition| {
            disposition.host_class() == Some(class) && completion.host_class == class.raw()
        })
        .ok_or_else(|| {
            corrupt(format!(
                "disposition {} of class {}",
                completion.disposition, completion.host_class
            ))
        })
}

/// A queue's name in messages.
pub(super) fn ring_name(class: HostClass) -> &'static str {
    match class {
        HostClass::Control => "control receive",
        HostClass::Other => "other receive",
        HostClass::Miss => "miss receive",
        HostClass::Fragment => "fragment receive",
    }
}

impl Drop for RxQueue {
    fn drop(&mut self) {
        let queue = registers(&self.bar).card().rx()[usize::from(self.class.raw())];
        let config = queue.config();
        let clear = || config.try_write(|_| ());
        let name = ring_name(self.class);
        stop(&*self.device, name, clear, || config.try_read());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_that_cannot_be_is_named() {
        let good = RxCompletion {
            disposition: 8,
            host_class: 2,
            index: 5,
            length: 64,
            ..RxCompletion::default()
        };
        assert_eq!(
            check(&good, 5, HostClass::Miss, 2048).unwrap(),
            Disposition::HostPunt
        );
        let bad = [
            RxCompletion { index: 6, ..good },
            RxCompletion { length: 0, ..good },
            RxCompletion {
                length: 2049,
                ..good
            },
            RxCompletion {
                disposition: 9,
                ..good
            },
            RxCompletion {
                disposition: 0,
                ..good
            },
            RxCompletion {
                disposition: 63,
                ..good
            },
            RxCompletion {
                host_class: 0,
                ..good
            },
        ];
        for completion in bad {
            assert!(matches!(
                check(&completion, 5, HostClass::Miss, 2048),
                Err(CardError::Corrupt {
                    ring: "miss receive",
                    ..
                })
            ));
        }
    }
}
