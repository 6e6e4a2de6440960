//! The record ring: traced packets and learned entries, as the card tells them (`CARD.md` 9).
//!
//! Owns the ring's memory and the account of what was lost. Which packets are traced is [`super::trace`]'s.

use std::sync::Arc;

use guideway_hdl::descriptors::{RING_ENTRY_BYTES, RING_SIZE_LOG2_MAX};
use guideway_hdl::records::{FlowEventRecord, RecordKind, TraceRecord};

use super::CardError;
use super::command_ring::phase;
use super::stop::stop;
use crate::device::{Bar, Device, DmaRegion, halves, registers};

/// Its name in messages.
pub(super) const NAME: &str = "record";
/// The bits of a record's number.
const SEQUENCE_MASK: u32 = (1 << 20) - 1;

/// What the card told of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It was traced.
    Trace(TraceRecord),
    /// Its flow was learned.
    FlowEvent(FlowEventRecord),
}

/// The ring. Stopped when dropped.
pub struct RecordRing {
    region: DmaRegion,
    device: Arc<dyn Device>,
    bar: Bar,
    size_log2: u8,
    consumer: u16,
    /// The number that is due, by kind: traces, flow events.
    due: [u32; 2],
    lost: [u64; 2],
    armed: bool,
    stopped: bool,
}

impl RecordRing {
    pub(super) fn start(
        device: &Arc<dyn Device>,
        bar: &Bar,
        size_log2: u8,
    ) -> Result<Self, CardError> {
        if !(1..=RING_SIZE_LOG2_MAX).contains(&size_log2.into()) {
            return Err(CardError::OutOfRange {
                what: "record ring size (log2)",
                index: size_log2.into(),
                size: RING_SIZE_LOG2_MAX.into(),
            });
        }
        let region = DmaRegion::new(device, "guideway-records", RING_ENTRY_BYTES << size_log2)?;
        let ring = Self {
            region,
            device: Arc::clone(device),
            bar: bar.clone(),
            size_log2,
            consumer: 0,
            due: [0; 2],
            lost: [0; 2],
            armed: false,
            stopped: false,
        };
        let registers = registers(bar).card().record();
        let (low, high) = halves(ring.region.iova());
        registers.base_low().try_write(|r| r.set_value(low))?;
        registers.base_high().try_write(|r| r.set_value(high))?;
        registers.consumer().try_write(|r| r.set_index(0))?;
        registers.config().try_write(|r| {
            r.set_size_log2(size_log2);
            r.set_enable(true);
        })?;
        Ok(ring)
    }

    /// Stops the ring: no more records are made. What the card is writing may still come, for some microseconds: the memory has to
    /// stay that long.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub(super) fn stop(&mut self) -> Result<(), CardError> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let ring = registers(&self.bar).card().record();
        ring.config().try_write(|_| ())?;
        // behind the answer: the card has seen the write
        ring.config().try_read()?;
        Ok(())
    }

    fn offset(&self) -> usize {
        (usize::from(self.consumer) & ((1 << self.size_log2) - 1)) * RING_ENTRY_BYTES
    }

    /// Whether a record waits.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let written = self.region.memory().read_acquire(self.offset()) & 1 == 1;
        written == phase(self.consumer, self.size_log2)
    }

    /// Takes at most `max` records, oldest first, and gives their entries back to the card.
    ///
    /// # Errors
    /// When the card wrote a record that cannot be, or cannot be reached.
    pub fn receive(&mut self, max: usize) -> Result<Vec<Record>, CardError> {
        let mut records = Vec::new();
        while records.len() < max && self.has_more() {
            let words = self.region.memory().read_words(self.offset());
            let trace = TraceRecord::from_words(&words);
            let (kind, record) = match RecordKind::from_raw(trace.kind) {
                Some(RecordKind::Trace) => (0, Record::Trace(trace)),
                Some(RecordKind::FlowEvent) => {
                    let event = FlowEventRecord::from_words(&words);
                    (1, Record::FlowEvent(event))
                }
                _ => {
                    return Err(CardError::Corrupt {
                        ring: NAME,
                        reason: format!("a record of kind {}", trace.kind),
                    });
                }
            };
            self.lost[kind] += u64::from(gap(&mut self.due[kind], trace.sequence_number));
            records.push(record);
            self.consumer = self.consumer.wrapping_add(1);
        }
        if !records.is_empty() {
            let ring = registers(&self.bar).card().record();
            ring.consumer().try_write(|r| r.set_index(self.consumer))?;
        }
        Ok(records)
    }

    /// The numbers that the card's next records would have: traces, flow events.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn made(&self) -> Result<[u32; 2], CardError> {
        let ring = registers(&self.bar).card().record();
        Ok([
            ring.traces().try_read()?.count(),
            ring.flow_events().try_read()?.count(),
        ])
    }

    /// Whether all that was made before `made` was received, or is known to be lost.
    #[must_use]
    pub fn has_reached(&self, made: [u32; 2]) -> bool {
        let mut kinds = self.due.iter().zip(made);
        kinds.all(|(due, made)| ahead(*due, made) == 0)
    }

    /// Counts as lost what was made before `made` and was not received. Only when all of it that the card wrote was received.
    pub fn settle(&mut self, made: [u32; 2]) {
        for ((lost, due), made) in self.lost.iter_mut().zip(&mut self.due).zip(made) {
            let missing = ahead(*due, made);
            *lost += u64::from(missing);
            *due = due.wrapping_add(missing) & SEQUENCE_MASK;
        }
    }

    /// Records that the card made and lost, as far as those received, or [`RecordRing::settle`], tell: traces, flow events.
    #[must_use]
    pub fn lost(&self) -> [u64; 2] {
        self.lost
    }

    /// Arms the interrupt for the next record, unless it is armed.
    pub(super) fn arm(&mut self) -> Result<(), CardError> {
        if !self.armed {
            let ring = registers(&self.bar).card().record();
            ring.arm().try_write(|r| r.set_index(self.consumer))?;
            self.armed = true;
        }
        Ok(())
    }

    /// The interrupt has fired.
    pub(super) fn disarmed(&mut self) {
        self.armed = false;
    }

    /// The status code that stopped the ring, or 0.
    pub(super) fn status(&self) -> Result<u8, CardError> {
        Ok(registers(&self.bar)
            .card()
            .record()
            .status()
            .try_read()?
            .code())
    }
}

/// Records from the one that is due to the one of this number.
fn missing(due: u32, number: u32) -> u32 {
    number.wrapping_sub(due) & SEQUENCE_MASK
}

/// As [`missing`], but 0 when the number lies behind the one that is due.
fn ahead(due: u32, number: u32) -> u32 {
    let ahead = missing(due, number);
    if ahead > SEQUENCE_MASK / 2 { 0 } else { ahead }
}

/// Records that are missing before the one of this number; the next one is then due.
fn gap(due: &mut u32, number: u32) -> u32 {
    let missing = missing(*due, number);
    *due = number.wrapping_add(1) & SEQUENCE_MASK;
    missing
}

impl Drop for RecordRing {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        let config = registers(&self.bar).card().record().config();
        let clear = || config.try_write(|_| ());
        stop(&*self.device, NAME, clear, || config.try_read());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_across_the_numbers_end() {
        let mut due = 0;
        let numbers = [0, 1, 5, SEQUENCE_MASK, 0, 2];
        let gaps = numbers.map(|number| gap(&mut due, number));
        assert_eq!(gaps, [0, 0, 3, SEQUENCE_MASK - 6, 0, 1]);
    }

    #[test]
    fn what_lies_behind_is_not_ahead() {
        assert_eq!(ahead(5, 5), 0);
        assert_eq!(ahead(5, 9), 4);
        assert_eq!(ahead(9, 5), 0);
        assert_eq!(ahead(SEQUENCE_MASK, 2), 3);
        assert_eq!(ahead(2, SEQUENCE_MASK), 0);
        // the card's count has more bits than a record's number
        assert_eq!(ahead(1, (1 << 20) + 3), 2);
    }
}
