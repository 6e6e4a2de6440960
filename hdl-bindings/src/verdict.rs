//! What can become of a frame: dispositions, the counters that count them, and the classes that queue them.
//!
//! Owns the names. The order in which the card decides stands in `CARD.md`, section 4.

use crate::layout::codes;

codes! {
    /// The final disposition of a frame. Every frame that enters the card ends in exactly one.
    pub enum Disposition as "gw_disposition_e": 6 {
        /// Sent to the backend that the flow table names.
        ForwardHit = 0 as "forward_hit",
        /// A miss, sent to the backend that the ring names, without the host.
        ForwardRing = 1 as "forward_ring",
        /// Injected by the host for a VIP, sent to the backend that the host chose.
        ForwardInject = 2 as "forward_inject",
        /// Injected by the host as it is, sent unchanged.
        ForwardRaw = 3 as "forward_raw",
        /// A miss beyond its VIP's meter, sent to the backend that the ring names.
        ForwardOverMeter = 4 as "forward_over_meter",
        /// Sent to the backend that the server id in its QUIC connection id names.
        ForwardQuic = 5 as "forward_quic",
        /// An echo request to a VIP, answered by the card.
        ForwardEcho = 6 as "forward_echo",
        /// A client is told that its packet is too big to be encapsulated, by an ICMP error of the card.
        ForwardTooBig = 7 as "forward_too_big",
        /// To the host: a miss of a VIP, for the host to decide.
        HostPunt = 8 as "host_punt",
        /// To the host: ARP, neighbour discovery, LACP, BGP, BFD.
        HostControl = 9 as "host_control",
        /// To the host: a fragment.
        HostFragment = 10 as "host_fragment",
        /// To the host: an ICMP error.
        HostIcmpError = 11 as "host_icmp_error",
        /// To the host: TCP or UDP for no VIP.
        HostUnmatched = 12 as "host_unmatched",
        /// To the host: a protocol or header that the card does not look into (a third tag, a fourth extension header, other protocols).
        HostUnsupported = 13 as "host_unsupported",
        /// To the host: sent to a broadcast or multicast MAC address.
        HostGroup = 14 as "host_group",
        /// To the host: too big to be encapsulated, and may be fragmented: the host sends it in outer fragments.
        HostTooBig = 15 as "host_too_big",
        /// Dropped: the port is not enabled.
        DropPortDisabled = 16 as "drop_port_disabled",
        /// Dropped at its first beat: the payload ring or descriptor FIFO has no room for a maximum frame.
        DropIngressFull = 17 as "drop_ingress_full",
        /// Dropped: the MAC reported a bad FCS or a cut frame.
        DropRxError = 18 as "drop_rx_error",
        /// Dropped: shorter than an Ethernet header.
        DropRunt = 19 as "drop_runt",
        /// Dropped: longer than 9,216 bytes without FCS.
        DropOversize = 20 as "drop_oversize",
        /// Dropped: sent to another station's MAC address.
        DropMacMismatch = 21 as "drop_mac_mismatch",
        /// Dropped: the IPv4 header's version or lengths contradict the frame.
        DropIpv4Malformed = 22 as "drop_ipv4_malformed",
        /// Dropped: the IPv6 header's version or lengths contradict the frame.
        DropIpv6Malformed = 23 as "drop_ipv6_malformed",
        /// Dropped: too short for its TCP or UDP header.
        DropL4Malformed = 24 as "drop_l4_malformed",
        /// Dropped: for no VIP, and the card is configured to drop such frames.
        DropUnmatched = 25 as "drop_unmatched",
        /// Dropped: the pool has no ring, or the ring's slot names no backend.
        DropNoBackend = 26 as "drop_no_backend",
        /// Dropped: the ring's backend is down.
        DropBackendDown = 27 as "drop_backend_down",
        /// Dropped: the backend's encapsulation cannot carry this packet.
        DropEncapUnsupported = 28 as "drop_encap_unsupported",
        /// Dropped: the encapsulated packet would exceed the VIP's MTU.
        DropTooBig = 29 as "drop_too_big",
        /// Dropped: the egress queue is above its class's threshold.
        DropEgressOverload = 30 as "drop_egress_overload",
        /// Dropped: the host's queue for misses is full.
        DropPuntFull = 31 as "drop_punt_full",
        /// Dropped: the host's queue for this class is full or not enabled.
        DropHostFull = 32 as "drop_host_full",
        /// Dropped: an inject whose packet, VIP or backend generation is not valid.
        DropInjectInvalid = 33 as "drop_inject_invalid",
        /// Dropped: the card would answer, but has answered as often as it may.
        DropIcmpLimited = 34 as "drop_icmp_limited",
    }
}

impl Disposition {
    /// Leaves on the wire.
    #[must_use]
    pub const fn is_forward(self) -> bool {
        self.raw() < 8
    }
    /// Goes to a queue of the host.
    #[must_use]
    pub const fn is_host(self) -> bool {
        self.raw() >= 8 && self.raw() < 16
    }
    /// Is dropped.
    #[must_use]
    pub const fn is_drop(self) -> bool {
        self.raw() >= 16
    }
    /// The queue of the host that a frame of this disposition waits in.
    #[must_use]
    pub const fn host_class(self) -> Option<HostClass> {
        match self {
            Self::HostControl => Some(HostClass::Control),
            Self::HostPunt => Some(HostClass::Miss),
            Self::HostFragment | Self::HostIcmpError | Self::HostTooBig => {
                Some(HostClass::Fragment)
            }
            Self::HostUnmatched | Self::HostUnsupported | Self::HostGroup => Some(HostClass::Other),
            _ => None,
        }
    }
}

codes! {
    /// The host's receive queues. A lower number is served first.
    pub enum HostClass as "gw_host_class_e": 2 {
        /// ARP, neighbour discovery, LACP, BGP, BFD.
        Control = 0 as "control",
        /// Other traffic for the host.
        Other = 1 as "other",
        /// Misses of VIPs.
        Miss = 2 as "miss",
        /// Fragments, ICMP errors, and what is to be sent in fragments.
        Fragment = 3 as "fragment",
    }
}

codes! {
    /// Classes of frames at the egress queue; each has its own threshold.
    pub enum EgressClass as "gw_egress_class_e": 2 {
        /// Raw frames of the host: routing protocols depend on them.
        Raw = 0 as "raw",
        /// Packets of flows in the flow table, and those that a QUIC connection id routes.
        Hit = 1 as "hit",
        /// New flows that host or ring admitted, and what the card itself answers.
        New = 2 as "new",
        /// Misses beyond a meter.
        OverMeter = 3 as "over_meter",
    }
}

codes! {
    /// The card's counters, in the `counters` table. The first 47 are the dispositions, by their numbers.
    pub enum PortCounter as "gw_port_counter_e": 6 {
        /// Packets of which the QUIC connection id names a server that has no live entry.
        QuicUnknown = 47 as "quic_unknown",
        /// Frames that began on the wire's receive side.
        WireIn = 48 as "wire_in",
        /// Bytes of them, as far as they came.
        WireInBytes = 49 as "wire_in_bytes",
        /// Frames of the host that entered.
        Injected = 50 as "injected",
        /// Frames whose last beat left on the wire.
        WireOut = 51 as "wire_out",
        /// Bytes of them.
        WireOutBytes = 52 as "wire_out_bytes",
        /// Frames whose last beat left towards the host's rings.
        HostOut = 53 as "host_out",
        /// Frames admitted for the host that a host reset flushed.
        HostGone = 54 as "host_gone",
        /// Punts handed over that the host had neither injected nor released when it was reset.
        PuntUnanswered = 55 as "punt_unanswered",
        /// Flow entries whose single-bit error was corrected.
        FlowEccCorrected = 56 as "flow_ecc_corrected",
        /// Flow entries that held more than one wrong bit and were taken as a miss.
        FlowEccUncorrectable = 57 as "flow_ecc_uncorrectable",
        /// Misses that went by the ring because the heartbeat had run out.
        HeartbeatFallback = 58 as "heartbeat_fallback",
        /// Clock cycles since the card's reset.
        Cycles = 59 as "cycles",
        /// Flow entries that the card learned, displacing another or not.
        Learned = 60 as "learned",
        /// Those of them that took the place of another, unconfirmed flow.
        LearnDisplaced = 61 as "learn_displaced",
        /// Packets that were to be learned and were not: no place, no quota, or too soon after another one.
        LearnRefused = 62 as "learn_refused",
        /// Records (traced packets, learned entries) that were lost because as many waited for the host as the card holds.
        RecordLost = 63 as "record_lost",
    }
}
