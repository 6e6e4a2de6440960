//! What the card told of packets, for people: a line a record, in the order of the stations.
//!
//! ```text
//! 12.345678 tcp 192.0.2.7:1031 > 10.200.1.1:80 SYN, 74 bytes | vip web-v4 | ring slot 512: 10.0.0.3 | flow: none | to be learned | to 10.0.0.3 by ipip over 02:00:00:00:00:fe | forward_ring | cycles 4+0
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use guideway_hdl::records::{FlowEventRecord, TraceRecord};
use guideway_hdl::tables::{Encap, SLOT_EMPTY};

use super::filter::{TCP, UDP};
use super::json::{address, client, disposition, has_packet};
use super::names::Names;
use crate::card::Record;

/// The record as a line, without its end.
#[must_use]
pub fn to_line(record: &Record, names: &Names) -> String {
    match record {
        Record::Trace(trace) => trace_line(trace, names),
        Record::FlowEvent(event) => event_line(event, names),
    }
}

fn trace_line(trace: &TraceRecord, names: &Names) -> String {
    let mut parts = vec![packet(trace)];
    if trace.vip_valid {
        parts.push(vip(trace, names));
        if trace.ring_backend != SLOT_EMPTY || trace.ring_index != 0 {
            let backend = backend(trace.ring_backend, names);
            parts.push(format!("ring slot {}: {backend}", trace.ring_index));
        }
        if trace.quic_named {
            let server = ["unknown", "live"][usize::from(trace.quic_live)];
            parts.push(format!("quic id of a server that is {server}"));
        }
        parts.push(flow(trace, names));
        if trace.learns {
            parts.push("to be learned".into());
        }
    }
    if trace.backend != SLOT_EMPTY {
        let encap = Encap::from_raw(trace.encap).map_or("unknown", Encap::name);
        let hop = match names.next_hops.get(&trace.next_hop) {
            Some(mac) => mac.to_string(),
            None => format!("next hop {}", trace.next_hop),
        };
        parts.push(format!(
            "to {} by {encap} over {hop}",
            backend(trace.backend, names)
        ));
    }
    let (ended, decided) = (disposition(trace.disposition), disposition(trace.decided));
    parts.push(if ended == decided {
        ended.to_owned()
    } else {
        format!("{ended} instead of {decided}")
    });
    parts.push(format!(
        "cycles {}+{}",
        at_most(trace.window_cycles, 31),
        at_most(trace.end_cycles, 127)
    ));
    format!("{} {}", seconds(trace.timestamp), parts.join(" | "))
}

/// Card time, which wraps after 71 minutes.
fn seconds(timestamp: u32) -> String {
    format!("{}.{:06}", timestamp / 1_000_000, timestamp % 1_000_000)
}

/// Cycles that are counted up to `most`.
fn at_most(cycles: u8, most: u8) -> String {
    if cycles == most {
        format!("{cycles} or more")
    } else {
        cycles.to_string()
    }
}

fn backend(index: u16, names: &Names) -> String {
    match names.backends.get(&index) {
        Some(address) => address.to_string(),
        None if index == SLOT_EMPTY => "nobody".into(),
        None => format!("backend {index}"),
    }
}

fn vip_name(index: u16, names: &Names) -> String {
    match names.vips.get(&index) {
        Some(name) => format!("vip {name}"),
        None => format!("vip {index}"),
    }
}

fn end(address: IpAddr, port: u16) -> String {
    if address.is_ipv6() {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

fn packet(trace: &TraceRecord) -> String {
    let mut text = String::new();
    if trace.injected {
        text += "injected ";
    }
    if has_packet(trace) {
        let of = |value| address(trace.ipv6, value);
        let (source, destination) = (of(trace.source), of(trace.destination));
        if trace.icmp_error {
            text += "icmp error about ";
        }
        text += &match trace.protocol {
            TCP => "tcp".to_owned(),
            UDP => "udp".to_owned(),
            1 | 58 => "icmp".to_owned(),
            other => format!("protocol {other}"),
        };
        if matches!(trace.protocol, TCP | UDP) {
            let (source, destination) = (
                end(source, trace.source_port),
                end(destination, trace.destination_port),
            );
            let _ = write!(text, " {source} > {destination}");
        } else {
            let _ = write!(text, " {source} > {destination}");
        }
        let flags = [(trace.syn, "SYN"), (trace.fin, "FIN"), (trace.rst, "RST")];
        for (_, name) in flags.iter().filter(|(set, _)| *set) {
            let _ = write!(text, " {name}");
        }
    } else {
        text += "frame";
    }
    let _ = write!(text, ", {} bytes", trace.length);
    match trace.tags {
        0 => {}
        1 => text += ", 1 tag",
        tags => {
            let _ = write!(text, ", {tags} tags");
        }
    }
    text
}

fn vip(trace: &TraceRecord, names: &Names) -> String {
    let mut text = vip_name(trace.vip, names);
    if trace.any_port {
        text += " (not by its own key)";
    }
    if trace.over_meter {
        text += ", over its meter";
    }
    text
}

fn flow(trace: &TraceRecord, names: &Names) -> String {
    if !trace.flow_found {
        return "flow: none".into();
    }
    let mut text = format!("flow: {}", backend(trace.flow_backend, names));
    for (set, name) in [
        (trace.flow_confirmed, "confirmed"),
        (trace.flow_pinned, "pinned"),
        (trace.flow_stale, "stale"),
    ] {
        if set {
            let _ = write!(text, ", {name}");
        }
    }
    text
}

fn event_line(event: &FlowEventRecord, names: &Names) -> String {
    let done = if event.replaced {
        "learned in another's place"
    } else {
        "learned"
    };
    format!(
        "{} {done}: {} > port {} | {} | flow: {}, entry {}",
        seconds(event.timestamp),
        end(client(event), event.source_port),
        event.destination_port,
        vip_name(event.vip, names),
        backend(event.backend, names),
        event.index
    )
}

#[cfg(test)]
mod tests {
    use super::super::json::tests::trace;
    use super::*;
    use crate::config::Mac;

    fn names() -> Names {
        let mut names = Names::default();
        names.vips.insert(3, "web-v4".into());
        names.backends.insert(5, [10, 1, 0, 5].into());
        names.next_hops.insert(2, Mac([2, 0, 0, 0, 0, 0xfe]));
        names
    }

    #[test]
    fn a_line_tells_what_each_station_said() {
        assert_eq!(
            trace_line(&trace(), &names()),
            "0.001234 tcp 10.0.0.1:4000 > 10.200.1.1:80 SYN, 74 bytes | vip web-v4 | flow: 10.1.0.5 | to 10.1.0.5 by gue over 02:00:00:00:00:fe \
             | drop_egress_overload instead of forward_hit | cycles 0+0"
        );
        let elsewhere = TraceRecord {
            vip: 4,
            ring_backend: 9,
            ring_index: 77,
            flow_found: false,
            disposition: trace().decided,
            end_cycles: 127,
            quic_named: true,
            learns: true,
            next_hop: 6,
            tags: 1,
            ..trace()
        };
        assert_eq!(
            trace_line(&elsewhere, &names()),
            "0.001234 tcp 10.0.0.1:4000 > 10.200.1.1:80 SYN, 74 bytes, 1 tag | vip 4 | ring slot 77: backend 9 \
             | quic id of a server that is unknown | flow: none | to be learned | to 10.1.0.5 by gue over next hop 6 | forward_hit | cycles 0+127 or more"
        );
    }

    #[test]
    fn a_frame_without_a_packet_and_an_event_have_lines_too() {
        let bare = TraceRecord {
            length: 60,
            timestamp: 12_000_345,
            backend: SLOT_EMPTY,
            ..TraceRecord::default()
        };
        let line = trace_line(&bare, &names());
        assert!(line.starts_with("12.000345 frame, 60 bytes | "), "{line}");
        let event = FlowEventRecord {
            source: 0x2001_0db8 << 96 | 1,
            source_port: 9,
            destination_port: 443,
            vip: 3,
            backend: 5,
            index: 1234,
            replaced: true,
            ..FlowEventRecord::default()
        };
        assert_eq!(
            event_line(&event, &names()),
            "0.000000 learned in another's place: [2001:db8::1]:9 > port 443 | vip web-v4 | flow: 10.1.0.5, entry 1234"
        );
    }
}
