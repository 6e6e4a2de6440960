//! Whether a backend can take a packet (`CARD.md` 4, rows 1, 5 and 6).

use guideway_hdl::tables::{BackendEntry, BackendState, VIPS};
use guideway_hdl::verdict::Disposition;

use super::{RingHit, Tables};

/// The backend that the host assigned.
///
/// # Errors
/// `drop_inject_invalid` for a VIP or backend that does not exist, is down or of another generation.
pub fn assigned_backend(
    tables: &Tables,
    vip: u16,
    backend: u16,
    generation: u8,
) -> Result<BackendEntry, Disposition> {
    tables
        .backend(backend)
        .filter(|entry| usize::from(vip) < VIPS && takes(entry) && entry.generation == generation)
        .ok_or(Disposition::DropInjectInvalid)
}

/// The backend in the ring's slot.
///
/// # Errors
/// `drop_no_backend` when the slot names none, `drop_backend_down` when it is down.
pub fn ring_backend(tables: &Tables, ring: RingHit) -> Result<BackendEntry, Disposition> {
    let entry = tables.backend(ring.backend);
    let entry = entry.ok_or(Disposition::DropNoBackend)?;
    if takes(&entry) {
        Ok(entry)
    } else {
        Err(Disposition::DropBackendDown)
    }
}

fn takes(entry: &BackendEntry) -> bool {
    entry.state == BackendState::Up.raw() || entry.state == BackendState::Draining.raw()
}
