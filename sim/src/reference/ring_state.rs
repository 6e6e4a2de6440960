//! What all rings have in common: phases, addresses, what they may be started with, arming.

use guideway_hdl::descriptors::{RING_ENTRY_BYTES, RING_SIZE_LOG2_MAX, Status};

/// The phase bit of an index: 1 on the ring's first pass, then alternating.
#[must_use]
pub const fn phase(index: u16, size_log2: u32) -> bool {
    index as u32 >> size_log2 & 1 == 0
}

/// Where the entry of an index lies.
#[must_use]
pub const fn ring_address(base: u64, index: u16, size_log2: u32) -> u64 {
    let slot = index as u64 & ((1 << size_log2) - 1);
    base.wrapping_add(slot * RING_ENTRY_BYTES as u64)
}

/// What a ring of this size and these addresses starts with: `ok`, or what stops it at once.
#[must_use]
pub fn start_status(size_log2: u32, addresses: [u64; 2]) -> Status {
    if !(1..=RING_SIZE_LOG2_MAX).contains(&size_log2) {
        Status::OutOfRange
    } else if addresses.iter().any(|address| !address.is_multiple_of(64)) {
        Status::BadAddress
    } else {
        Status::Ok
    }
}

/// An `arm` register: fires once when an index differs from the one written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arm {
    /// What was last written.
    pub index: u16,
    armed: bool,
}

impl Arm {
    /// Arms with an index.
    pub fn arm(&mut self, index: u16) {
        self.index = index;
        self.armed = true;
    }

    /// Forgets an arming.
    pub fn disarm(&mut self) {
        self.armed = false;
    }

    /// Whether it would fire.
    #[must_use]
    pub const fn is_due(&self, index: u16) -> bool {
        self.armed && self.index != index
    }

    /// Fires, once, when it is due.
    pub fn take(&mut self, index: u16) -> bool {
        let due = self.is_due(index);
        self.armed &= !due;
        due
    }
}
