//! The flow table (`CARD.md` 4): which entry holds a packet's flow, and whether it still counts.

use guideway_hdl::tables::{BANKS, BackendEntry, BackendState, FLOW_WAYS, FlowKey, FlowRecord};

use super::tables::{FlowPlace, key_of};
use super::{Config, Packet, Tables};

/// A flow entry that holds the packet's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHit {
    /// Where it lies.
    pub place: FlowPlace,
    /// What it says.
    pub record: FlowRecord,
    /// Its backend's entry, when the entry is live; otherwise it is stale.
    pub live: Option<BackendEntry>,
    /// The SYN rule sets it aside: a new connection on a draining backend is decided afresh.
    pub set_aside: bool,
}

/// The key that a packet of this VIP is looked up by.
#[must_use]
pub fn flow_key(packet: &Packet, vip: u16) -> FlowKey {
    FlowKey {
        destination_port: packet.destination_port,
        source_port: packet.source_port,
        source: packet.source_value(),
        vip: vip & 0xfff,
    }
}

/// Searches the flow table; the lowest bank, then the lowest way wins.
#[must_use]
pub fn flow_lookup(tables: &Tables, config: &Config, packet: &Packet, vip: u16) -> Option<FlowHit> {
    let key = flow_key(packet, vip);
    let (place, record) = (0..BANKS).find_map(|bank| {
        let row = key.row(&config.secrets[bank]);
        (0..FLOW_WAYS).find_map(|way| {
            let place = FlowPlace { bank, way, row };
            let record = tables.flow(place);
            (record.valid && key_of(&record) == key).then_some((place, record))
        })
    })?;
    let live = tables.backend(record.backend).filter(|backend| {
        let takes = backend.state == BackendState::Up.raw()
            || backend.state == BackendState::Draining.raw();
        takes && backend.generation == record.generation
    });
    let draining = live.is_some_and(|backend| backend.state == BackendState::Draining.raw());
    Some(FlowHit {
        place,
        record,
        live,
        set_aside: draining && packet.syn && !packet.ack,
    })
}

/// Card time in the stamps' unit of 1,024 us, cut to their 30 bits.
#[must_use]
pub const fn last_seen(time_us: u64) -> u32 {
    (time_us >> 10 & 0x3fff_ffff) as u32
}
