//! Admission (`CARD.md` 4): the last word on a decided frame, from what the queues hold.

use guideway_hdl::verdict::{Disposition, EgressClass, HostClass};

use super::HostQueue;

/// What admission knows of a class's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostDoor {
    /// The ring runs.
    pub open: bool,
    /// Bytes of a buffer.
    pub stride: usize,
}

/// A forward: admitted while the beats that the queue holds are fewer than its class's threshold.
#[must_use]
pub fn admit_forward(
    disposition: Disposition,
    class: EgressClass,
    queued: u64,
    thresholds: [u16; 4],
) -> Disposition {
    let threshold = u64::from(thresholds[usize::from(class.raw())]);
    if queued < threshold.min(EGRESS_BEATS) {
        disposition
    } else {
        Disposition::DropEgressOverload
    }
}

/// No class is admitted to more.
const EGRESS_BEATS: u64 = 4096;

/// A frame for the host: admitted when its ring runs and the class's buffer has room for all of it.
#[must_use]
pub fn admit_host(
    disposition: Disposition,
    class: HostClass,
    bytes: usize,
    door: HostDoor,
    queue: &HostQueue,
) -> Disposition {
    if door.open && bytes > door.stride {
        Disposition::DropHostFull
    } else if door.open && queue.has_room(bytes) {
        disposition
    } else if class == HostClass::Miss {
        Disposition::DropPuntFull
    } else {
        Disposition::DropHostFull
    }
}
