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
    frames: VecDeque<WireFrame>,
    /// Bytes of the first frame that have entered.
    taken: usize,
    /// Cycles until the next frame may begin.
    rest: u32,
}

impl Receive {
    pub(super) fn push(&mut self, frame: WireFrame) {
        debug_assert!(!frame.bytes.is_empty(), "a frame on the wire has a byte");
        self.frames.push_back(frame);
    }

    pub(super) fn waiting(&self) -> usize {
        self.frames.len()
    }

    #[inline]
    pub(super) fn drive(
        &mut self,
        inputs: &mut Inputs,
        dice: &mut Dice,
        idle_percent: u8,
        gap: u32,
    ) {
        if self.rest > 0 {
            self.rest -= 1;
            inputs.rx_valid = 0;
            return;
        }
        let Some(frame) = self.frames.front() else {
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
            self.rest = gap;
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

/// The wire's transmit side.
#[derive(Debug, Default)]
pub(super) struct Transmit {
    bytes: Vec<u8>,
    first_cycle: u64,
    done: VecDeque<SentFrame>,
}

impl Transmit {
    pub(super) fn pop(&mut self) -> Option<SentFrame> {
        self.done.pop_front()
    }

    #[inline]
    pub(super) fn collect(&mut self, inputs: &Inputs, outputs: &Outputs, cycle: u64) {
        if outputs.tx_valid == 0 || inputs.tx_ready == 0 {
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
