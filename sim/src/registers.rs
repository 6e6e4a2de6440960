//! Where BAR0's registers lie, as `regs/guideway.rdl` says.
//!
//! Owns offsets only; a test compares each with the register map's source. Used by the reference model and the test host.

/// Registers of the packet path.
pub mod core {
    /// Identity, "GWAY".
    pub const MAGIC: u32 = 0x000;
    /// Hash over every layout.
    pub const LAYOUT_HASH: u32 = 0x004;
    /// Version: minor in the low half.
    pub const VERSION: u32 = 0x008;
    /// VIPs, and pools in the high half.
    pub const SIZE_VIPS: u32 = 0x00c;
    /// Backends, and next hops in the high half.
    pub const SIZE_BACKENDS: u32 = 0x010;
    /// Ring slots.
    pub const SIZE_RING_SLOTS: u32 = 0x014;
    /// Flow entries.
    pub const SIZE_FLOWS: u32 = 0x018;
    /// Beats of the payload ring.
    pub const SIZE_PAYLOAD_BEATS: u32 = 0x01c;
    /// Port enable (bit 0), unmatched drop (1), compute only (2), hold counters (3).
    pub const CONTROL: u32 = 0x020;
    /// Ready (bit 0), host alive (1), idle (2), counters held (3).
    pub const STATUS: u32 = 0x024;
    /// The bit of `control` that asks for the counters to be held, and that of `status` which says that they are.
    pub const COUNTERS_HOLD: u32 = 1 << 3;
    /// Heartbeat in us.
    pub const HEARTBEAT: u32 = 0x028;
    /// Card reset key.
    pub const CARD_RESET: u32 = 0x02c;
    /// MAC address, low 32 bits.
    pub const MAC_LOW: u32 = 0x030;
    /// MAC address, high 16 bits, and the filter in bit 16.
    pub const MAC_HIGH: u32 = 0x034;
    /// Prefix of the flow-dependent outer IPv4 source.
    pub const IPIP_SOURCE_V4: u32 = 0x038;
    /// Outer IPv4 source of GRE and GUE.
    pub const SOURCE_V4: u32 = 0x03c;
    /// Prefix of the flow-dependent outer IPv6 source, most significant word first.
    pub const IPIP_SOURCE_V6: u32 = 0x040;
    /// Outer IPv6 source of GRE and GUE.
    pub const SOURCE_V6: u32 = 0x050;
    /// Thresholds of the egress classes.
    pub const EGRESS_THRESHOLD: u32 = 0x060;
    /// Card time, low half.
    pub const TIME_US_LOW: u32 = 0x070;
    /// Card time, high half.
    pub const TIME_US_HIGH: u32 = 0x074;
    /// Punts that the host has not ended.
    pub const PUNTS_OUTSTANDING: u32 = 0x078;
    /// Frames in flight.
    pub const IN_FLIGHT: u32 = 0x07c;
    /// The banks' secrets, six words each.
    pub const SECRET: u32 = 0x080;
    /// Words that belong to the host.
    pub const SCRATCH: u32 = 0x100;
    /// Outer destination port of GUE.
    pub const GUE_PORT: u32 = 0x180;
    /// Limits of too-big errors and echo replies: rate in the low half, burst in the high one.
    pub const ICMP_LIMIT: u32 = 0x184;
    /// Bytes of a QUIC-LB server id, four bits a configuration rotation.
    pub const QUIC_LB: u32 = 0x190;
    /// Trace filter: enable (bit 0), match VIP (1), match family (2), IPv6 (3), log2 of the sampling (8 to 11), VIP (16 to 27).
    pub const TRACE_FILTER: u32 = 0x1a0;
    /// Source address that is traced, most significant word first.
    pub const TRACE_SOURCE: u32 = 0x1a4;
    /// Its mask.
    pub const TRACE_SOURCE_MASK: u32 = 0x1b4;
    /// Destination address that is traced.
    pub const TRACE_DESTINATION: u32 = 0x1c4;
    /// Its mask.
    pub const TRACE_DESTINATION_MASK: u32 = 0x1d4;
    /// Source port that is traced, and destination port in the high half.
    pub const TRACE_PORTS: u32 = 0x1e4;
    /// Their masks.
    pub const TRACE_PORTS_MASK: u32 = 0x1e8;
    /// Protocol that is traced, and its mask from bit 8 on.
    pub const TRACE_PROTOCOL: u32 = 0x1ec;
}

/// Rings and DMA: offsets from the start of BAR0.
pub mod card {
    /// Where the block begins.
    pub const BASE: u32 = 0x4000;
    /// First receive queue.
    pub const RX: u32 = BASE;
    /// From one receive queue to the next.
    pub const RX_STEP: u32 = 0x40;
    /// The TX ring.
    pub const TX: u32 = BASE + 0x100;
    /// The command ring.
    pub const COMMAND: u32 = BASE + 0x140;
    /// Failed reads.
    pub const DMA_READ_ERRORS: u32 = BASE + 0x180;
    /// Failed writes.
    pub const DMA_WRITE_ERRORS: u32 = BASE + 0x184;
    /// The record ring.
    pub const RECORD: u32 = BASE + 0x1c0;
}

/// Registers that the record ring has instead of a second address: offsets from its start.
pub mod record {
    /// Trace records made since the ring was enabled.
    pub const TRACES: u32 = 0x08;
    /// Flow events, likewise.
    pub const FLOW_EVENTS: u32 = 0x0c;
}

/// Registers of one ring: offsets from its start.
pub mod ring {
    /// Ring address, low half.
    pub const BASE_LOW: u32 = 0x00;
    /// Ring address, high half.
    pub const BASE_HIGH: u32 = 0x04;
    /// RX: buffers; others: completion ring; low half.
    pub const SECOND_LOW: u32 = 0x08;
    /// The same, high half.
    pub const SECOND_HIGH: u32 = 0x0c;
    /// Size, stride, enable (bit 31).
    pub const CONFIG: u32 = 0x10;
    /// The host's index: RX consumer, others producer.
    pub const DOORBELL: u32 = 0x14;
    /// The card's index: RX producer, others completed.
    pub const PROGRESS: u32 = 0x18;
    /// Status that stopped the ring.
    pub const STATUS: u32 = 0x1c;
    /// Arms the interrupt.
    pub const ARM: u32 = 0x20;
    /// `config`: the ring is enabled.
    pub const ENABLE: u32 = 1 << 31;
}

#[cfg(test)]
mod tests {
    use super::{card, core, record, ring};

    const RDL: &str = include_str!("../../hdl-bindings/regs/guideway.rdl");

    /// The offset that the map's source gives a register of a block.
    fn offset(block: &str, name: &str) -> u32 {
        let start = RDL.find(block).expect("the block");
        let name = format!(" {name} @ 0x");
        let array = name.replace(" @", "[");
        let body = &RDL[start..];
        let at = body.find(&name).map(|at| at + name.len());
        let at = at.unwrap_or_else(|| {
            let array = array.split(' ').collect::<Vec<_>>()[1].to_owned();
            let from = body.find(&format!(" {array}")).expect("the register");
            from + body[from..].find("@ 0x").expect("an offset") + 4
        });
        let digits: String = body[at..]
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .collect();
        u32::from_str_radix(&digits, 16).expect("hexadecimal")
    }

    #[test]
    fn offsets_are_those_of_the_map() {
        for (name, expected) in [
            ("layout_hash", core::LAYOUT_HASH),
            ("magic", core::MAGIC),
            ("version", core::VERSION),
            ("size_vips", core::SIZE_VIPS),
            ("size_backends", core::SIZE_BACKENDS),
            ("size_ring_slots", core::SIZE_RING_SLOTS),
            ("size_flows", core::SIZE_FLOWS),
            ("size_payload_beats", core::SIZE_PAYLOAD_BEATS),
            ("control", core::CONTROL),
            ("status", core::STATUS),
            ("heartbeat", core::HEARTBEAT),
            ("card_reset", core::CARD_RESET),
            ("mac_low", core::MAC_LOW),
            ("mac_high", core::MAC_HIGH),
            ("ipip_source_v4", core::IPIP_SOURCE_V4),
            ("source_v4", core::SOURCE_V4),
            ("ipip_source_v6", core::IPIP_SOURCE_V6),
            ("source_v6", core::SOURCE_V6),
            ("egress_threshold", core::EGRESS_THRESHOLD),
            ("time_us_low", core::TIME_US_LOW),
            ("time_us_high", core::TIME_US_HIGH),
            ("punts_outstanding", core::PUNTS_OUTSTANDING),
            ("in_flight", core::IN_FLIGHT),
            ("secret", core::SECRET),
            ("scratch", core::SCRATCH),
            ("gue_port", core::GUE_PORT),
            ("quic_lb", core::QUIC_LB),
            ("icmp_limit", core::ICMP_LIMIT),
            ("trace_filter", core::TRACE_FILTER),
            ("trace_source", core::TRACE_SOURCE),
            ("trace_source_mask", core::TRACE_SOURCE_MASK),
            ("trace_destination", core::TRACE_DESTINATION),
            ("trace_destination_mask", core::TRACE_DESTINATION_MASK),
            ("trace_ports", core::TRACE_PORTS),
            ("trace_ports_mask", core::TRACE_PORTS_MASK),
            ("trace_protocol", core::TRACE_PROTOCOL),
        ] {
            assert_eq!(offset("addrmap gw_core_regs", name), expected, "{name}");
        }
        for (block, second, doorbell, progress) in [
            ("regfile gw_rx_queue", "buffer", "consumer", "producer"),
            (
                "regfile gw_descriptor_ring",
                "completion",
                "producer",
                "completed",
            ),
        ] {
            for (name, expected) in [
                ("base_low", ring::BASE_LOW),
                ("base_high", ring::BASE_HIGH),
                (&format!("{second}_low"), ring::SECOND_LOW),
                (&format!("{second}_high"), ring::SECOND_HIGH),
                ("config", ring::CONFIG),
                (doorbell, ring::DOORBELL),
                (progress, ring::PROGRESS),
                ("status", ring::STATUS),
                ("arm", ring::ARM),
            ] {
                assert_eq!(offset(block, name), expected, "{block} {name}");
            }
        }
        for (name, expected) in [
            ("base_low", ring::BASE_LOW),
            ("traces", record::TRACES),
            ("flow_events", record::FLOW_EVENTS),
            ("config", ring::CONFIG),
            ("consumer", ring::DOORBELL),
            ("producer", ring::PROGRESS),
            ("status", ring::STATUS),
            ("arm", ring::ARM),
        ] {
            assert_eq!(offset("regfile gw_record_ring", name), expected, "{name}");
        }
        let card_block = "gw_rx_queue rx[4]";
        let base = offset("addrmap guideway {", "card");
        assert_eq!(base, card::BASE);
        assert_eq!(base + offset(card_block, "rx"), card::RX);
        assert_eq!(base + offset(card_block, "tx"), card::TX);
        assert_eq!(base + offset(card_block, "command"), card::COMMAND);
        assert_eq!(
            base + offset(card_block, "dma_read_errors"),
            card::DMA_READ_ERRORS
        );
        assert_eq!(
            base + offset(card_block, "dma_write_errors"),
            card::DMA_WRITE_ERRORS
        );
        assert_eq!(base + offset(card_block, "record"), card::RECORD);
    }
}
