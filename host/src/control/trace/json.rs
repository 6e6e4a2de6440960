//! What the card told of packets, for programs: JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guideway_hdl::records::{FlowEventRecord, TraceRecord};
use guideway_hdl::tables::{Encap, SLOT_EMPTY};
use guideway_hdl::verdict::Disposition;
use serde_json::{Value, json};

use super::names::Names;
use crate::card::Record;

/// A disposition's name.
pub(super) fn disposition(raw: u8) -> &'static str {
    Disposition::from_raw(raw).map_or("unknown", Disposition::name)
}

/// A backend's index; `null` when there is none.
fn backend(index: u16) -> Value {
    if index == SLOT_EMPTY {
        Value::Null
    } else {
        index.into()
    }
}

/// An address as records hold it.
#[allow(clippy::cast_possible_truncation)] // an IPv4 address lies in the low 32 bits
pub(super) fn address(ipv6: bool, value: u128) -> IpAddr {
    if ipv6 {
        Ipv6Addr::from(value).into()
    } else {
        Ipv4Addr::from(value as u32).into()
    }
}

/// A flow event's client. The record does not say the family: no client's IPv6 address lies in `::/96`.
pub(super) fn client(event: &FlowEventRecord) -> IpAddr {
    address(event.source >> 32 != 0, event.source)
}

/// Whether the record says anything of a packet.
pub(super) fn has_packet(trace: &TraceRecord) -> bool {
    trace.protocol != 0 || trace.source != 0 || trace.destination != 0
}

/// The record as JSON, a member for each thing that it says; what has no name has an index only.
#[must_use]
pub fn to_json(record: &Record, names: &Names) -> Value {
    match record {
        Record::Trace(trace) => trace_json(trace, names),
        Record::FlowEvent(event) => event_json(event, names),
    }
}

pub(super) fn trace_json(trace: &TraceRecord, names: &Names) -> Value {
    let mut json = json!({
        "record": "trace",
        "number": trace.sequence_number,
        "time_us": trace.timestamp,
        "cycle": trace.cycle,
        "window_cycles": trace.window_cycles,
        "end_cycles": trace.end_cycles,
        "injected": trace.injected,
        "length": trace.length,
        "disposition": disposition(trace.disposition),
        "decided": disposition(trace.decided),
    });
    if has_packet(trace) {
        json["packet"] = json!({
            "source": address(trace.ipv6, trace.source),
            "destination": address(trace.ipv6, trace.destination),
            "source_port": trace.source_port,
            "destination_port": trace.destination_port,
            "protocol": trace.protocol,
            "tags": trace.tags,
            "icmp_error": trace.icmp_error,
            "syn": trace.syn,
            "fin": trace.fin,
            "rst": trace.rst,
        });
    }
    if trace.vip_valid {
        json["vip"] = json!({
            "index": trace.vip,
            "name": names.vips.get(&trace.vip),
            "any_port": trace.any_port,
            "over_meter": trace.over_meter,
            "learns": trace.learns,
        });
        json["ring"] = json!({
            "index": trace.ring_index,
            "backend": backend(trace.ring_backend),
        });
    }
    if trace.quic_named {
        json["quic"] = json!({ "live": trace.quic_live });
    }
    if trace.flow_found {
        json["flow"] = json!({
            "bank": trace.flow_place >> 2,
            "way": trace.flow_place & 3,
            "backend": backend(trace.flow_backend),
            "generation": trace.flow_generation,
            "stale": trace.flow_stale,
            "confirmed": trace.flow_confirmed,
            "pinned": trace.flow_pinned,
        });
    }
    if trace.backend != SLOT_EMPTY {
        json["backend"] = trace.backend.into();
        json["backend_address"] = json!(names.backends.get(&trace.backend));
        json["encap"] = Encap::from_raw(trace.encap)
            .map_or("unknown", Encap::name)
            .into();
        json["next_hop"] = trace.next_hop.into();
        json["next_hop_mac"] = json!(names.next_hops.get(&trace.next_hop));
    }
    json
}

fn event_json(event: &FlowEventRecord, names: &Names) -> Value {
    json!({
        "record": "flow_event",
        "number": event.sequence_number,
        "time_us": event.timestamp,
        "vip": event.vip,
        "vip_name": names.vips.get(&event.vip),
        "source": client(event),
        "source_port": event.source_port,
        "destination_port": event.destination_port,
        "backend": event.backend,
        "backend_address": names.backends.get(&event.backend),
        "generation": event.generation,
        "bank": event.flow_place >> 2,
        "way": event.flow_place & 3,
        "index": event.index,
        "replaced": event.replaced,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::filter::TCP;
    use super::*;

    pub fn trace() -> TraceRecord {
        TraceRecord {
            kind: 1,
            sequence_number: 7,
            timestamp: 1234,
            length: 74,
            disposition: Disposition::DropEgressOverload.raw(),
            decided: Disposition::ForwardHit.raw(),
            syn: true,
            vip_valid: true,
            vip: 3,
            ring_backend: SLOT_EMPTY,
            flow_found: true,
            flow_place: 9,
            flow_backend: 5,
            backend: 5,
            encap: Encap::Gue.raw(),
            next_hop: 2,
            protocol: TCP,
            source: 0x0a00_0001,
            destination: 0x0ac8_0101,
            source_port: 4000,
            destination_port: 80,
            ..TraceRecord::default()
        }
    }

    #[test]
    fn a_record_says_what_it_knows_and_no_more() {
        let json = to_json(&Record::Trace(trace()), &Names::default());
        assert_eq!(json["disposition"], "drop_egress_overload");
        assert_eq!(json["decided"], "forward_hit");
        assert_eq!(json["packet"]["source"], "10.0.0.1");
        assert_eq!(json["flow"]["bank"], 2);
        assert_eq!(json["flow"]["way"], 1);
        assert_eq!(json["encap"], "gue");
        assert_eq!(json["next_hop"], 2);
        assert_eq!(json["vip"]["learns"], false);
        assert!(json.get("quic").is_none());
        assert_eq!(json["ring"]["backend"], Value::Null);
        let by_id = TraceRecord {
            quic_named: true,
            quic_live: true,
            learns: true,
            ..trace()
        };
        let json = to_json(&Record::Trace(by_id), &Names::default());
        assert_eq!(json["quic"]["live"], true);
        assert_eq!(json["vip"]["learns"], true);
        let bare = TraceRecord {
            disposition: Disposition::HostControl.raw(),
            backend: SLOT_EMPTY,
            ..TraceRecord::default()
        };
        let json = to_json(&Record::Trace(bare), &Names::default());
        for member in ["packet", "vip", "ring", "flow", "backend", "encap"] {
            assert!(json.get(member).is_none(), "{member}");
        }
    }

    #[test]
    fn a_flow_event_names_its_client() {
        let source = |source| {
            let event = FlowEventRecord {
                source,
                ..FlowEventRecord::default()
            };
            to_json(&Record::FlowEvent(event), &Names::default())["source"].clone()
        };
        assert_eq!(source(0xc000_0201), "192.0.2.1");
        assert_eq!(source(0x2001_0db8 << 96 | 1), "2001:db8::1");
    }
}
