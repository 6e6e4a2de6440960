//! The capture of `--capture`: both directions of the wire in one pcapng file.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::card::{SentFrame, WireFrame};
use crate::time::{TimeMode, cycles_to_nanos};
use crate::wire::capture_file::{CaptureError, PcapngWriter};

const IN: u32 = 0;
const OUT: u32 = 1;

/// A capture being written.
#[derive(Debug)]
pub struct Capture {
    writer: PcapngWriter,
    by_cycle: bool,
}

impl Capture {
    /// Creates the file. Under `cycles` time stamps are the card's and the same every time, otherwise the wall clock's.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path, time: TimeMode) -> Result<Self, CaptureError> {
        let writer = PcapngWriter::create(path, &["wire-in", "wire-out"])?;
        Ok(Self {
            writer,
            by_cycle: time == TimeMode::Cycles,
        })
    }

    /// A frame goes to the card, whose clock stands at `cycle`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn incoming(&mut self, frame: &WireFrame, cycle: u64) -> Result<(), CaptureError> {
        let nanos = self.stamp(cycle);
        self.writer.write(IN, nanos, &frame.bytes, frame.error)
    }

    /// A frame has left the card.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn outgoing(&mut self, frame: &SentFrame) -> Result<(), CaptureError> {
        let nanos = self.stamp(frame.last_cycle);
        self.writer.write(OUT, nanos, &frame.bytes, false)
    }

    /// Hands buffered frames to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        self.writer.flush()
    }

    fn stamp(&self, cycle: u64) -> u64 {
        if self.by_cycle {
            return cycles_to_nanos(cycle);
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}
