//! The class buffers between the path and the host's rings (`CARD.md` 4, admission).

use std::collections::VecDeque;

use guideway_hdl::descriptors::RxCompletion;
use guideway_hdl::verdict::HostClass;

use super::beats;

/// A frame on its way to the host.
#[derive(Clone, Debug)]
pub struct HostFrame {
    /// The frame as it was received.
    pub bytes: Vec<u8>,
    /// The card's decision, complete but for phase and index.
    pub record: RxCompletion,
}

/// One class's buffer.
#[derive(Clone, Debug)]
pub struct HostQueue {
    frames: VecDeque<HostFrame>,
    beats: u64,
    capacity: u64,
}

impl HostQueue {
    /// The empty buffer of a class.
    #[must_use]
    pub fn new(class: HostClass) -> Self {
        Self {
            frames: VecDeque::new(),
            beats: 0,
            capacity: if class == HostClass::Miss { 1024 } else { 512 },
        }
    }

    /// Whether a whole frame of this length finds room.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.beats + beats(bytes) <= self.capacity
    }

    /// Queues a frame that was admitted.
    pub fn push(&mut self, frame: HostFrame) {
        self.beats += beats(frame.bytes.len());
        self.frames.push_back(frame);
    }

    /// Takes the oldest frame.
    pub fn pop(&mut self) -> Option<HostFrame> {
        let frame = self.frames.pop_front()?;
        self.beats -= beats(frame.bytes.len());
        Some(frame)
    }

    /// Frames that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no frame waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}
