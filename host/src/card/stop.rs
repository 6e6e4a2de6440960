//! The end of a ring.

use crate::device::{Device, DeviceError};

/// Stops a ring that is dropped: `clear` writes 0 to its `config`, `read` reads that register. The answer makes sure that the card has seen
/// the write before the ring's memory goes. A failure is told, unless the whole function is gone.
pub(super) fn stop<T>(
    device: &dyn Device,
    ring: &str,
    clear: impl FnOnce() -> Result<(), DeviceError>,
    read: impl FnOnce() -> Result<T, DeviceError>,
) {
    if let Err(error) = clear().and_then(|()| read())
        && !device.is_gone()
    {
        tracing::warn!(%error, ring, "a ring was not stopped");
    }
}
