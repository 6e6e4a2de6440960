//! What packets ask of the flow table (`CARD.md` 4, Learning): new entries, confirmation, stamps.
//!
//! Owns the choice of the place. Here it is done at once; when the card does it, and what it refuses meanwhile, is not
//! modelled: packets that come as far apart as the specification asks see the same.

use guideway_hdl::records::{FlowEventRecord, RecordKind};
use guideway_hdl::tables::{BANKS, FLOW_WAYS, FlowKey, FlowRecord, SECRET_WORDS};
use guideway_hdl::verdict::PortCounter;

use super::counters::Counters;
use super::flow_lookup::last_seen;
use super::tables::{FlowPlace, secded};
use super::{Packet, Tables};

/// A flow that is to be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFlow {
    /// Its key.
    pub key: FlowKey,
    /// The ring's backend.
    pub backend: u16,
    /// That backend's generation.
    pub generation: u8,
    /// Where the lookup found the key.
    pub found: Option<FlowPlace>,
}

/// Where a new flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// Its own old place, or a free one.
    Take(FlowPlace),
    /// That of an unconfirmed flow.
    Displace(FlowPlace),
    /// Nowhere.
    Refuse,
}

/// Learns a flow and says so, or counts why not.
pub fn learn(
    tables: &mut Tables,
    counters: &mut Counters,
    secrets: &[[u32; SECRET_WORDS]; BANKS],
    flow: &NewFlow,
    time_us: u64,
) -> Option<FlowEventRecord> {
    let (place, replaced) = match choose(tables, secrets, flow) {
        Choice::Take(place) => (place, false),
        Choice::Displace(place) => {
            counters.add(PortCounter::LearnDisplaced, 1);
            (place, true)
        }
        Choice::Refuse => {
            counters.add(PortCounter::LearnRefused, 1);
            return None;
        }
    };
    counters.add(PortCounter::Learned, 1);
    let mut record = FlowRecord {
        destination_port: flow.key.destination_port,
        source_port: flow.key.source_port,
        source: flow.key.source,
        vip: flow.key.vip,
        backend: flow.backend,
        generation: flow.generation,
        valid: true,
        last_seen: last_seen(time_us),
        ..FlowRecord::default()
    };
    record.ecc = secded(&record);
    tables.set_flow(place, record);
    Some(FlowEventRecord {
        kind: RecordKind::FlowEvent.raw(),
        replaced,
        timestamp: (time_us & 0xffff_ffff) as u32,
        destination_port: flow.key.destination_port,
        source_port: flow.key.source_port,
        source: flow.key.source,
        vip: flow.key.vip,
        flow_place: (place.bank * FLOW_WAYS + place.way) as u8,
        backend: flow.backend,
        generation: flow.generation,
        index: place.index() as u32,
        ..FlowEventRecord::default()
    })
}

fn choose(tables: &Tables, secrets: &[[u32; SECRET_WORDS]; BANKS], flow: &NewFlow) -> Choice {
    if let Some(place) = flow.found {
        return Choice::Take(place);
    }
    let row = |bank: usize| flow.key.row(&secrets[bank]);
    let ways = |bank| {
        let row = row(bank);
        (0..FLOW_WAYS).map(move |way| FlowPlace { bank, way, row })
    };
    let is_free = |place: &FlowPlace| !tables.flow(*place).valid;
    let vip = flow.key.vip;
    let quota = tables.vip(vip).quota;
    let over = quota != 0 && tables.flows_of(vip) >= quota;
    if !over {
        let mut best: Option<(usize, FlowPlace)> = None;
        for bank in 0..BANKS {
            let free: Vec<FlowPlace> = ways(bank).filter(is_free).collect();
            if let Some(first) = free.first()
                && best.is_none_or(|(most, _)| free.len() > most)
            {
                best = Some((free.len(), *first));
            }
        }
        if let Some((_, place)) = best {
            return Choice::Take(place);
        }
    }
    let gives_way = |place: &FlowPlace| {
        let record = tables.flow(*place);
        let open = record.valid && !record.confirmed && !record.pinned;
        open && (!over || record.vip == vip)
    };
    (0..BANKS)
        .flat_map(ways)
        .find(gives_way)
        .map_or(Choice::Refuse, Choice::Displace)
}

/// What a packet that hit leaves at its entry: the stamp, and unless it opens a connection its closing bits and `confirmed`.
pub fn mark(tables: &mut Tables, place: FlowPlace, packet: &Packet, time_us: u64) {
    let mut record = tables.flow(place);
    record.last_seen = last_seen(time_us);
    if !packet.syn || packet.ack {
        record.fin |= packet.fin;
        record.rst |= packet.rst;
        if !record.confirmed {
            record.confirmed = true;
            record.ecc = secded(&record);
        }
    }
    tables.set_flow(place, record);
}
