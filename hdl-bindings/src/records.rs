//! What the card tells of single packets: records of 64 bytes in a lossy ring of host memory.
//!
//! Owns their layouts and kinds. When a record is made, what its fields hold where nothing was found, and what is lost stand in
//! `CARD.md`, section 9.

use crate::layout::{codes, layout};

/// Records of one kind that wait in the card for the ring.
pub const RECORDS_WAITING: usize = 64;
/// log2 of the rarest sampling of traced packets.
pub const TRACE_SAMPLE_LOG2_MAX: u32 = 15;

codes! {
    /// What a record is about.
    pub enum RecordKind as "gw_record_kind_e": 2 {
        /// Nothing was written here.
        None = 0 as "none",
        /// A packet that the trace filter matched: [`TraceRecord`].
        Trace = 1 as "trace",
        /// An entry that the card learned: [`FlowEventRecord`].
        FlowEvent = 2 as "flow_event",
    }
}

layout! {
    /// A traced packet: what each station said of it.
    pub struct TraceRecord as "gw_trace_record_t": 512 {
        /// 1 on the ring's first pass, then alternating. The card writes the whole record in one beat.
        phase: bool [1],
        /// [`RecordKind`]: trace.
        kind: u8 [2],
        /// The host injected the frame.
        injected: bool [1],
        /// The record's number among those of its kind since the ring was enabled, lost ones included.
        sequence_number: u32 [20],
        /// Low bits of the `cycles` counter when the window reached the parser.
        cycle: u16 [10],
        /// Cycles from the frame's first beat on the wire to that; 31: that or more.
        window_cycles: u8 [5],
        /// Cycles that the decision waited for the frame's end; 127: that or more.
        end_cycles: u8 [7],
        /// Card time at admission, in us, low 32 bits.
        timestamp: u32 [32],
        /// Bytes of the frame without FCS, 9,217: more than the longest.
        length: u16 [14],
        /// [`crate::verdict::Disposition`]: what became of it.
        disposition: u8 [6],
        /// [`crate::verdict::Disposition`]: what was decided before admission.
        decided: u8 [6],
        /// The packet is IPv6.
        ipv6: bool [1],
        /// VLAN tags that count.
        tags: u8 [2],
        /// An ICMP error: the addresses and ports are those of the flow that it is about.
        icmp_error: bool [1],
        /// The packet carries SYN.
        syn: bool [1],
        /// The packet carries FIN.
        fin: bool [1],
        /// The packet carries RST.
        rst: bool [1],
        /// `vip`, and the fields after it, say something.
        vip_valid: bool [1],
        /// The VIP was found otherwise than by its exact key.
        any_port: bool [1],
        /// The VIP's meter had no token.
        over_meter: bool [1],
        /// The packet's QUIC connection id names a server.
        quic_named: bool [1],
        /// That server has a live entry, by which the packet goes.
        quic_live: bool [1],
        /// The flow table held the key.
        flow_found: bool [1],
        /// The flow entry's backend is down or of another generation.
        flow_stale: bool [1],
        /// The flow entry is confirmed.
        flow_confirmed: bool [1],
        /// The flow entry is pinned.
        flow_pinned: bool [1],
        /// The flow entry's bank (upper two bits) and way.
        flow_place: u8 [4],
        /// The flow entry's generation.
        flow_generation: u8 [8],
        /// The flow entry's backend.
        flow_backend: u16 [16],
        /// The packet goes by the ring, and the card is asked to learn its flow.
        learns: bool [1],
        /// The VIP.
        vip: u16 [9],
        /// The ring's slot.
        ring_index: u32 [17],
        /// The backend in that slot.
        ring_backend: u16 [16],
        /// The backend that was chosen.
        backend: u16 [16],
        /// [`crate::tables::Encap`] of that backend.
        encap: u8 [3],
        /// The next hop: one of that backend's.
        next_hop: u8 [6],
        /// IP protocol.
        protocol: u8 [8],
        /// Source port.
        source_port: u16 [16],
        /// Destination port.
        destination_port: u16 [16],
        /// Source address; IPv4 in the low 32 bits.
        source: u128 [128],
        /// Destination address, likewise.
        destination: u128 [128],
    }
}

layout! {
    /// An entry that the card learned.
    pub struct FlowEventRecord as "gw_flow_event_record_t": 512 {
        /// 1 on the ring's first pass, then alternating. The card writes the whole record in one beat.
        phase: bool [1],
        /// [`RecordKind`]: flow event.
        kind: u8 [2],
        /// Another, unconfirmed flow's entry was there.
        replaced: bool [1],
        /// The record's number among those of its kind since the ring was enabled, lost ones included.
        sequence_number: u32 [20],
        /// Reserved.
        reserved0: u32 [28],
        /// Card time of the learning, in us, low 32 bits.
        timestamp: u32 [32],
        /// Destination port.
        destination_port: u16 [16],
        /// Source port.
        source_port: u16 [16],
        /// Source address; IPv4 in the low 32 bits.
        source: u128 [128],
        /// The VIP.
        vip: u16 [12],
        /// The entry's bank (upper two bits) and way.
        flow_place: u8 [4],
        /// The entry's backend.
        backend: u16 [16],
        /// That backend's generation.
        generation: u8 [8],
        /// Its index in the `flow` table.
        index: u32 [20],
    }
}
