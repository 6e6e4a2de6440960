//! Traces (`CARD.md` 9): which frames are traced, and what their records say.
//!
//! Owns filter and sampling. The cycles in a record are not modelled: they are 0. Where records go is [`super::record_ring`]'s.

use guideway_hdl::records::{RecordKind, TraceRecord};
use guideway_hdl::tables::{FLOW_WAYS, FRAME_MAX, SLOT_EMPTY};
use guideway_hdl::verdict::Disposition;

use super::registers::Registers;
use super::{Packet, RingHit, Source, VipHit};
use crate::reference::flow_lookup::FlowHit;
use crate::registers::core as at;

/// A record of which nothing is known but its disposition: a frame that rows 1 to 15 of section 2 decided.
#[must_use]
pub fn bare(disposition: Disposition, bytes: usize) -> TraceRecord {
    let longest = FRAME_MAX as u16 + 1;
    TraceRecord {
        kind: RecordKind::Trace.raw(),
        decided: disposition.raw(),
        length: u16::try_from(bytes).map_or(longest, |bytes| bytes.min(longest)),
        flow_backend: SLOT_EMPTY,
        ring_backend: SLOT_EMPTY,
        backend: SLOT_EMPTY,
        ..TraceRecord::default()
    }
}

/// Adds what the parser says.
pub fn tell_packet(record: &mut TraceRecord, packet: &Packet) {
    record.ipv6 = packet.is_ipv6();
    record.tags = (packet.tags.as_bytes().len() / 4) as u8;
    record.icmp_error = packet.icmp_error;
    record.syn = packet.syn;
    record.fin = packet.fin;
    record.rst = packet.rst;
    record.protocol = packet.protocol;
    record.source = packet.source_value();
    record.destination = packet.destination_value();
    if !packet.echo {
        record.source_port = packet.source_port;
        record.destination_port = packet.destination_port;
    }
}

/// Adds the VIP that the packet is for.
pub fn tell_vip(record: &mut TraceRecord, vip: u16) {
    record.vip_valid = true;
    record.vip = vip & 0x1ff;
}

/// Adds what flow table and ring say.
pub fn tell_lookups(record: &mut TraceRecord, vip: VipHit, flow: Option<&FlowHit>, ring: RingHit) {
    record.any_port = vip.any_port;
    record.ring_index = ring.index;
    record.ring_backend = ring.backend;
    if let Some(flow) = flow {
        record.flow_found = true;
        record.flow_stale = flow.live.is_none();
        record.flow_confirmed = flow.record.confirmed;
        record.flow_pinned = flow.record.pinned;
        record.flow_place = (flow.place.bank * FLOW_WAYS + flow.place.way) as u8;
        record.flow_generation = flow.record.generation;
        record.flow_backend = flow.record.backend;
    }
}

/// Which packets are traced, and how many were matched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracer {
    matched: u16,
}

impl Tracer {
    /// The filter's register was written.
    pub fn filter_written(&mut self, registers: &Registers) {
        if !enabled(registers) {
            self.matched = 0;
        }
    }

    /// The record of an admitted frame, when it is traced.
    pub fn trace(
        &mut self,
        registers: &Registers,
        view: &TraceRecord,
        admitted: Disposition,
        source: Source,
        time_us: u64,
    ) -> Option<TraceRecord> {
        if !enabled(registers) || !matches(registers, view) {
            return None;
        }
        let every = 1u32 << (registers.read(at::TRACE_FILTER) >> 8 & 15);
        let first = u32::from(self.matched).is_multiple_of(every);
        self.matched = (self.matched + 1) & 0x7fff;
        first.then(|| TraceRecord {
            injected: !matches!(source, Source::Wire { .. }),
            disposition: admitted.raw(),
            timestamp: (time_us & 0xffff_ffff) as u32,
            ..*view
        })
    }
}

fn enabled(registers: &Registers) -> bool {
    registers.read(at::TRACE_FILTER) & 1 == 1
}

fn matches(registers: &Registers, view: &TraceRecord) -> bool {
    let filter = registers.read(at::TRACE_FILTER);
    let agrees = |seen: u128, asked: u128, mask: u128| (seen ^ asked) & mask == 0;
    let word = |offset| u128::from(registers.read(offset));
    let protocol = word(at::TRACE_PROTOCOL);
    let ports = u128::from(view.source_port) | u128::from(view.destination_port) << 16;
    let of_vip =
        filter >> 1 & 1 == 0 || view.vip_valid && u32::from(view.vip) == filter >> 16 & 0xfff;
    let of_family = filter >> 2 & 1 == 0 || view.ipv6 == (filter >> 3 & 1 == 1);
    of_vip
        && of_family
        && agrees(
            view.source,
            registers.wide(at::TRACE_SOURCE),
            registers.wide(at::TRACE_SOURCE_MASK),
        )
        && agrees(
            view.destination,
            registers.wide(at::TRACE_DESTINATION),
            registers.wide(at::TRACE_DESTINATION_MASK),
        )
        && agrees(ports, word(at::TRACE_PORTS), word(at::TRACE_PORTS_MASK))
        && agrees(view.protocol.into(), protocol & 0xff, protocol >> 8)
}
