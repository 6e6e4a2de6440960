//! The MAC's side of the card: frames to beats on the way in, beats to frames on the way out.

use super::Dice;
use crate::card::{SentFrame, WireFrame};
use guideway_rtl_model::{Inputs, Outputs};
use std::collections::VecDeque;

const BEAT: usize = 64;

/// The first `bytes` bytes of a beat.
fn keep(bytes: usize) -> u64 {
    if bytes >= BEAT {
        u64::MAX
    } else {
        (1 << bytes) - 1
    }
}

/// Puts a beat on the wire's signals, but for `valid`.
pub(super) fn show(inputs: &mut Inputs, beat: &[u8], last: bool) {
    inputs.rx_data = [0; 16];
    for (word, chunk) in inputs.rx_data.iter_mut().zip(beat.chunks(4)) {
        let mut bytes = [0; 4];
        bytes[..chunk.len()].copy_from_slice(chunk);
        *word = u32::from_le_bytes(bytes);
    }
    inputs.rx_keep = keep(beat.len());
    inputs.rx_last = u8::from(last);
}

/// The wire's receive side.
#[derive(Debug, Default)]
pub(super) struct Receive {
    /// Frames, and the cycles that the wire rests after each.
    frames: VecDeque<(WireFrame, u32)>,
    /// Bytes of the first frame that have entered.
    taken: usize,
    /// Cycles until the next frame may begin.
    rest: u32,
}

impl Receive {
    pub(super) fn push(&mut self, frame: WireFrame, rest: u32) {
        debug_assert!(!frame.bytes.is_empty(), "a frame on the wire has a byte");
        self.frames.push_back((frame, rest));
    }

    pub(super) fn waiting(&self) -> usize {
        self.frames.len()
    }

    #[inline]
    pub(super) fn drive(&mut self, inputs: &mut Inputs, dice: &mut Dice, idle_percent: u8) {
        if self.rest > 0 {
            self.rest -= 1;
            inputs.rx_valid = 0;
            return;
        }
        let Some((frame, rest_after)) = self.frames.front() else {
            inputs.rx_valid = 0;
            return;
        };
        if dice.percent(idle_percent) {
            inputs.rx_valid = 0;
            return;
        }
        let rest = &frame.bytes[self.taken..];
        let beat = &rest[..rest.len().min(BEAT)];
        show(inputs, beat, rest.len() <= BEAT);
        inputs.rx_error = inputs.rx_last & u8::from(frame.error);
        if inputs.rx_last == 1 {
            self.rest = *rest_after;
        }
        inputs.rx_valid = 1;
    }

    /// After the cycle: the beat was taken (the card is always ready; a MAC could not wait).
    #[inline]
    pub(super) fn settle(&mut self, inputs: &Inputs, outputs: &Outputs) {
        if inputs.rx_valid == 0 {
            return;
        }
        assert!(
            outputs.rx_ready == 1 || inputs.rst_n == 0,
            "s_axis_rx_tready fell: a MAC cannot wait"
        );
        if inputs.rx_last == 1 {
            self.frames.pop_front();
            self.taken = 0;
        } else {
            self.taken += BEAT;
        }
    }
}

/// What a 100G wire carries in a cycle of 322.265625 MHz: 12.5e9 / 322.265625e6 bytes are 1280 / 33.
const LINE_BYTES: (u64, u64) = (1280, 33);
/// Preamble, FCS and gap of each frame on the wire, and the least frame without FCS.
const LINE_OVERHEAD: usize = 8 + 4 + 12;
const LINE_LEAST: usize = 60;
/// What the MAC holds between card and wire.
const LINE_BUFFER: usize = 4 * BEAT;

/// A MAC that hands frames on at the rate of a 100G wire, with a small buffer before it.
#[derive(Debug, Default)]
struct Line {
    /// Bytes taken and not yet sent, in 33rds.
    held: u64,
}

impl Line {
    /// Whether there is room for a beat.
    fn ready(&self) -> bool {
        self.held + (BEAT as u64) * LINE_BYTES.1 <= LINE_BUFFER as u64 * LINE_BYTES.1
    }
    /// A cycle, in which this many bytes came.
    fn cycle(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(LINE_BYTES.0) + bytes as u64 * LINE_BYTES.1;
    }
}

/// The wire's transmit side.
#[derive(Debug, Default)]
pub(super) struct Transmit {
    bytes: Vec<u8>,
    first_cycle: u64,
    done: VecDeque<SentFrame>,
    line: Option<Line>,
}

impl Transmit {
    pub(super) fn pop(&mut self) -> Option<SentFrame> {
        self.done.pop_front()
    }

    /// A 100G wire from now on, or one that takes a beat in each cycle.
    pub(super) fn limit(&mut self, limited: bool) {
        self.line = limited.then(Line::default);
    }

    /// Whether the MAC takes a beat in this cycle.
    pub(super) fn ready(&self) -> bool {
        self.line.as_ref().is_none_or(Line::ready)
    }

    #[inline]
    pub(super) fn collect(&mut self, inputs: &Inputs, outputs: &Outputs, cycle: u64) {
        let taken = outputs.tx_valid == 1 && inputs.tx_ready == 1;
        if let Some(line) = &mut self.line {
            let bytes = if taken {
                let bytes = outputs.tx_keep.count_ones() as usize;
                let whole = self.bytes.len() + bytes;
                let end = LINE_LEAST.saturating_sub(whole) + LINE_OVERHEAD;
                bytes + usize::from(outputs.tx_last) * end
            } else {
                0
            };
            line.cycle(bytes);
        }
        assert!(
            outputs.tx_valid == 1 || self.bytes.is_empty(),
            "m_axis_tx starves in mid-frame: a MAC cannot wait"
        );
        if !taken {
            return;
        }
        if self.bytes.is_empty() {
            self.first_cycle = cycle;
        }
        let bytes = outputs.tx_keep.count_ones() as usize;
        assert!(
            outputs.tx_keep == keep(bytes) && bytes > 0,
            "m_axis_tx_tkeep has holes: {:#018x}",
            outputs.tx_keep
        );
        assert!(
            bytes == BEAT || outputs.tx_last == 1,
            "m_axis_tx: a beat that is not full ends no frame"
        );
        let start = self.bytes.len();
        for word in outputs.tx_data {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.truncate(start + bytes);
        if outputs.tx_last == 1 {
            let bytes = std::mem::take(&mut self.bytes);
            self.done.push_back(SentFrame {
                bytes,
                first_cycle: self.first_cycle,
                last_cycle: cycle,
            });
        }
    }
}
