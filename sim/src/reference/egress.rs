//! The egress queue: frames leave one after another, a beat a cycle.

use std::collections::VecDeque;

use crate::card::SentFrame;

use super::beats;

/// Frames that were admitted to the wire and have not left.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    waiting: VecDeque<Leaving>,
    free_at: u64,
    wire_beats: u64,
    beats: u64,
}

#[derive(Clone, Debug)]
struct Leaving {
    frame: SentFrame,
    held: Held,
}

/// What a frame occupies of a payload ring until it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Beats of 64 bytes, of the frame as it was received.
    pub beats: u64,
    /// In the wire's ring, not the injects'.
    pub wire: bool,
}

impl Egress {
    /// Queues a frame at cycle `now`.
    pub fn push(&mut self, bytes: Vec<u8>, held: Held, now: u64) {
        let first_cycle = self.free_at.max(now + 1);
        let last_cycle = first_cycle + beats(bytes.len()) - 1;
        self.free_at = last_cycle + 1;
        self.beats += held.beats;
        self.wire_beats += held.beats * u64::from(held.wire);
        self.waiting.push_back(Leaving {
            frame: SentFrame {
                bytes,
                first_cycle,
                last_cycle,
            },
            held,
        });
    }

    /// Takes the next frame whose last beat has left by cycle `now`.
    pub fn pop(&mut self, now: u64) -> Option<SentFrame> {
        let leaves = self.next_cycle().is_some_and(|cycle| cycle <= now);
        let leaving = if leaves {
            self.waiting.pop_front()
        } else {
            None
        }?;
        self.beats -= leaving.held.beats;
        self.wire_beats -= leaving.held.beats * u64::from(leaving.held.wire);
        Some(leaving.frame)
    }

    /// Frames in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every frame has left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The cycle at which the next frame has left.
    #[must_use]
    pub fn next_cycle(&self) -> Option<u64> {
        self.waiting.front().map(|leaving| leaving.frame.last_cycle)
    }

    /// Beats of the wire's payload ring that frames in the queue occupy.
    #[must_use]
    pub const fn wire_beats(&self) -> u64 {
        self.wire_beats
    }

    /// Beats of both payload rings that frames in the queue occupy: what the classes' thresholds count.
    #[must_use]
    pub const fn beats(&self) -> u64 {
        self.beats
    }
}
