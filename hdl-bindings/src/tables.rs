//! The card's tables: entry layouts, their numbers and sizes.
//!
//! Owns what lies in the SRAM. How entries are written stands in [`crate::descriptors`], what the path does with them in
//! `CARD.md`, section 5.

use crate::layout::{codes, layout};

/// VIPs that the default build holds.
pub const VIPS: usize = 256;
/// Pools that the default build holds.
pub const POOLS: usize = 64;
/// Backends that the default build holds.
pub const BACKENDS: usize = 1024;
/// Next hops that the default build holds.
pub const NEXT_HOPS: usize = 16;
/// Ring slots that the default build holds.
pub const RING_SLOTS: usize = 1 << 20;
/// Ring slots in a 64-byte beat.
pub const RING_SLOTS_PER_BEAT: usize = 32;
/// Flow entries that the default build holds.
pub const FLOWS: usize = 1 << 16;
/// Banks of the flow, VIP-match and QUIC id tables, each with its own secret.
pub const BANKS: usize = 4;
/// Ways of a flow bank.
pub const FLOW_WAYS: usize = 4;
/// Rows of a flow bank in the default build.
pub const FLOW_ROWS: usize = FLOWS / BANKS / FLOW_WAYS;
/// Rows of a VIP-match bank in the default build.
pub const VIP_MATCH_ROWS: usize = 128;
/// Rows of a bank of QUIC server ids in the default build.
pub const QUIC_ID_ROWS: usize = 8192;
/// VIP prefixes that the default build holds.
pub const VIP_PREFIXES: usize = 64;
/// Largest ring: the prime that Maglev and Katran use.
pub const RING_SIZE_MAX: u32 = 65537;
/// A ring slot that names no backend.
pub const SLOT_EMPTY: u16 = u16::MAX;
/// Words of a bank's secret: 192 bits.
pub const SECRET_WORDS: usize = 6;
/// Longest frame that the card takes, in bytes without FCS.
pub const FRAME_MAX: usize = 9216;
/// Katran's seed of the flow hash: its maximum of VIPs times its ring size.
pub const HASH_SEED: u32 = 512 * 65537;
/// Katran's seed of the hash over an IPv6 source address.
pub const HASH_SEED_V6: u32 = 512;
/// UDP port that GUE is sent to until the host chooses another: Katran's.
pub const GUE_PORT: u16 = 6080;

codes! {
    /// The tables that commands address. One entry is one 64-byte beat in host memory.
    pub enum Table as "gw_table_e": 4 {
        /// `VipMatch`, index = bank x rows + row.
        VipMatch = 0 as "vip_match",
        /// `VipEntry`, index = VIP.
        Vip = 1 as "vip",
        /// `PoolEntry`, index = pool.
        Pool = 2 as "pool",
        /// 32 slots of 16 bits, index = slot / 32.
        Ring = 3 as "ring",
        /// `BackendEntry`, index = backend.
        Backend = 4 as "backend",
        /// `NextHopEntry`, index = next hop.
        NextHop = 5 as "next_hop",
        /// `FlowRecord`, index = (bank x ways + way) x rows + row. Written by INSERT, MOVE and DELETE only.
        Flow = 6 as "flow",
        /// `CounterEntry` with `packets` alone, index = counter. Read only.
        Counter = 7 as "counter",
        /// `CounterEntry`, index = VIP. Read only.
        VipCounter = 8 as "vip_counter",
        /// `CounterEntry`, index = backend. Read only.
        BackendCounter = 9 as "backend_counter",
        /// `VipPrefix`, in any order.
        VipPrefix = 10 as "vip_prefix",
        /// `QuicId`, index = bank x rows + row.
        QuicId = 11 as "quic_id",
        /// `CounterEntry`, index = VIP: misses over the VIP's meter. Read only.
        VipOverMeter = 13 as "vip_over_meter",
    }
}

impl Table {
    /// Entries (for [`Table::Ring`]: beats of 32 slots) in the default build.
    #[must_use]
    pub const fn entries(self) -> usize {
        match self {
            Self::VipMatch => BANKS * VIP_MATCH_ROWS,
            Self::Vip | Self::VipCounter | Self::VipOverMeter => VIPS,
            Self::Pool => POOLS,
            Self::Ring => RING_SLOTS / RING_SLOTS_PER_BEAT,
            Self::Backend | Self::BackendCounter => BACKENDS,
            Self::NextHop => NEXT_HOPS,
            Self::Flow => FLOWS,
            Self::Counter => 64,
            Self::VipPrefix => VIP_PREFIXES,
            Self::QuicId => BANKS * QUIC_ID_ROWS,
        }
    }
    /// Whether WRITE may address it.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.raw() <= Self::NextHop.raw() || matches!(self, Self::VipPrefix | Self::QuicId)
    }
}

layout! {
    /// What a packet is matched by: IPv4 addresses lie in the low 32 bits, in the order of their value (10.0.0.1 is 0x0a000001).
    pub struct VipMatch as "gw_vip_match_t": 192 {
        /// Destination port; 0 in an any-port key.
        port: u16 [16],
        /// IP protocol: 6 or 17.
        protocol: u8 [8],
        /// The address is IPv6.
        ipv6: bool [1],
        /// Destination address.
        address: u128 [128],
        /// The entry is in use.
        valid: bool [1],
        /// The VIP that it names.
        vip: u16 [12],
    }
}

layout! {
    /// A VIP of many addresses: a packet for none of the keys in [`VipMatch`] is matched by the longest of these.
    pub struct VipPrefix as "gw_vip_prefix_t": 192 {
        /// Destination port; 0: any.
        port: u16 [16],
        /// IP protocol: 6 or 17.
        protocol: u8 [8],
        /// The prefix is of IPv6.
        ipv6: bool [1],
        /// Prefix, in the place of the addresses in [`VipMatch`]. Bits behind `length` are not looked at.
        address: u128 [128],
        /// The entry is in use.
        valid: bool [1],
        /// The VIP that it names.
        vip: u16 [12],
        /// Length in bits, of an IPv4 prefix 0 to 32, of an IPv6 prefix 0 to 128.
        length: u8 [8],
    }
}

codes! {
    /// What a VIP's misses do.
    pub enum MissPolicy as "gw_miss_policy_e": 2 {
        /// The host decides and installs.
        Punt = 0 as "punt",
        /// The card uses the ring and records the flow.
        Learn = 1 as "learn",
        /// The card uses the ring and records nothing.
        Stateless = 2 as "stateless",
    }
}

layout! {
    /// A VIP's properties.
    pub struct VipEntry as "gw_vip_entry_t": 160 {
        /// Its pool.
        pool: u8 [8],
        /// [`MissPolicy`].
        miss_policy: u8 [2],
        /// Hash with source port 0 (Katran's NO_SRC_PORT).
        hash_no_source_port: bool [1],
        /// Hash the destination port only (Katran's HASH_DPORT_ONLY).
        hash_destination_port_only: bool [1],
        /// Keep the destination port in the hash of an any-port VIP (Katran's HASH_SRC_DST_PORT).
        hash_keep_destination_port: bool [1],
        /// Answer echo requests.
        echo: bool [1],
        /// Route by QUIC connection id.
        quic: bool [1],
        /// Its connection ids are QUIC-LB's; 0: Katran's.
        quic_lb: bool [1],
        /// Largest outer IP packet towards the backends, in bytes.
        mtu: u16 [14],
        /// Meter: misses a millisecond that may reach the host; 0: no meter.
        meter_rate: u32 [24],
        /// Meter: burst in misses.
        meter_burst: u16 [16],
        /// Most flow entries that the VIP may hold; 0: no quota.
        quota: u32 [20],
        /// What is too big to be encapsulated and may be fragmented is the host's; 0: it is dropped.
        fragment_too_big: bool [1],
    }
}

layout! {
    /// Where the server id in a QUIC connection id leads.
    pub struct QuicId as "gw_quic_id_t": 128 {
        /// Server id.
        id: u64 [64],
        /// QUIC-LB's configuration rotation; Katran's scheme: 0.
        rotation: u8 [3],
        /// Scheme: QUIC-LB; 0: Katran's.
        lb: bool [1],
        /// The pool of the VIPs that it counts for.
        pool: u8 [8],
        /// The entry is in use.
        valid: bool [1],
        /// The backend that it names.
        backend: u16 [16],
        /// The backend's generation.
        generation: u8 [8],
    }
}

layout! {
    /// A pool: the ring that is live. Written whole in one cycle: this write is the ring swap.
    pub struct PoolEntry as "gw_pool_entry_t": 96 {
        /// First slot of the ring, a multiple of 32.
        ring_base: u32 [24],
        /// Slots of the ring, a prime of at most 65537; 0: no ring.
        ring_size: u32 [17],
        /// `floor(2^32 / ring_size)` for the Barrett reduction; ring sizes start at 2.
        barrett: u32 [32],
    }
}

codes! {
    /// What a backend takes.
    pub enum BackendState as "gw_backend_state_e": 2 {
        /// Nothing: a hit is a miss, a ring slot that names it drops.
        Down = 0 as "down",
        /// Known and new flows.
        Up = 1 as "up",
        /// Known flows; a SYN is decided afresh.
        Draining = 2 as "draining",
    }
}

codes! {
    /// How packets travel to a backend.
    pub enum Encap as "gw_encap_e": 3 {
        /// Not at all.
        None = 0 as "none",
        /// IP in IP (RFC 2003, RFC 2473).
        Ipip = 1 as "ipip",
        /// GRE (RFC 2784, RFC 2890).
        Gre = 2 as "gre",
        /// GUE variant 1 over UDP.
        Gue = 3 as "gue",
        /// Layer 2: only the Ethernet header is rewritten.
        L2 = 4 as "l2",
    }
}

layout! {
    /// A backend.
    pub struct BackendEntry as "gw_backend_entry_t": 224 {
        /// [`BackendState`].
        state: u8 [2],
        /// [`Encap`].
        encap: u8 [3],
        /// The outer address is IPv6.
        ipv6: bool [1],
        /// Generation: a flow entry with another one is a miss.
        generation: u8 [8],
        /// Its next hop, or the first of several.
        next_hop: u8 [8],
        /// Outer destination address.
        address: u128 [128],
        /// GRE key is present.
        key_present: bool [1],
        /// GRE key.
        key: u32 [32],
        /// How many next hops behind the first its packets are spread over too, by flow hash.
        more_next_hops: u8 [4],
    }
}

layout! {
    /// A next hop. MAC addresses lie most significant byte first: 02:00:00:00:00:01 is 0x020000000001.
    pub struct NextHopEntry as "gw_next_hop_entry_t": 128 {
        /// Destination MAC address.
        destination: u64 [48],
        /// Source MAC address; 0: the received frame's destination.
        source: u64 [48],
        /// 0 tag kept, 1 removed, 2 set to `vlan`.
        vlan_mode: u8 [2],
        /// VLAN tag: priority, DEI and id.
        vlan: u16 [16],
    }
}

layout! {
    /// The key of a flow, and the bits that the flow table's banks hash (172 bits from bit 0).
    pub struct FlowKey as "gw_flow_key_t": 192 {
        /// The packet's destination port.
        destination_port: u16 [16],
        /// The packet's source port.
        source_port: u16 [16],
        /// Source address; IPv4 in the low 32 bits.
        source: u128 [128],
        /// The VIP, which implies family, destination and protocol.
        vip: u16 [12],
    }
}

/// Bits of a flow key that the banks hash.
pub const FLOW_KEY_BITS: usize = 172;
/// Bits of a VIP-match key that its banks hash.
pub const VIP_KEY_BITS: usize = 153;
/// Bits of a QUIC server id's key that its banks hash.
pub const QUIC_KEY_BITS: usize = 76;

layout! {
    /// A flow entry as DUMP shows it: the word of the table, and what the stamp RAMs hold.
    pub struct FlowRecord as "gw_flow_record_t": 288 {
        /// The key's destination port.
        destination_port: u16 [16],
        /// The key's source port.
        source_port: u16 [16],
        /// The key's source address.
        source: u128 [128],
        /// The key's VIP.
        vip: u16 [12],
        /// The backend that the flow goes to.
        backend: u16 [16],
        /// The backend's generation when the flow was installed.
        generation: u8 [8],
        /// The entry is in use.
        valid: bool [1],
        /// Not to be displaced: the ring no longer agrees with it.
        pinned: bool [1],
        /// A second packet of the flow was seen.
        confirmed: bool [1],
        /// SECDED over the 199 bits below.
        ecc: u16 [9],
        /// Reserved up to the table word's 216 bits.
        reserved: u8 [8],
        /// When a packet last hit it, in units of 1,024 us of card time.
        last_seen: u32 [30],
        /// A FIN was seen.
        fin: bool [1],
        /// A RST was seen.
        rst: bool [1],
    }
}

/// Data bits of a flow word that its SECDED covers.
pub const FLOW_WORD_DATA_BITS: usize = 199;

layout! {
    /// A counter: events, and bytes where the table counts them.
    pub struct CounterEntry as "gw_counter_entry_t": 128 {
        /// Packets (or events).
        packets: u64 [64],
        /// Bytes of the inner IP packets; 0 in the `counter` table.
        bytes: u64 [64],
    }
}

/// The row of `bank` that a key falls into: a Toeplitz hash, `row[j]` = parity of `key AND (secret >> j)`.
///
/// `key` is the layout's words cut to `key_bits`; `secret` the bank's 192 bits, lowest word first; `rows` a power of two.
#[must_use]
pub fn bank_row(key: &[u32], key_bits: usize, secret: &[u32; SECRET_WORDS], rows: usize) -> usize {
    let mut row = 0;
    for j in 0..rows.trailing_zeros() as usize {
        let mut parity = 0u32;
        for (i, word) in key.iter().enumerate().take(key_bits.div_ceil(32)) {
            let kept = (key_bits - i * 32).min(32);
            let mask = if kept == 32 {
                u32::MAX
            } else {
                (1 << kept) - 1
            };
            let low = secret[i] >> j;
            let high = if j == 0 || i + 1 == SECRET_WORDS {
                0
            } else {
                secret[i + 1] << (32 - j)
            };
            parity ^= word & mask & (low | high);
        }
        row |= (parity.count_ones() as usize & 1) << j;
    }
    row
}

impl FlowKey {
    /// The row of a flow bank that this key falls into.
    #[must_use]
    pub fn row(&self, secret: &[u32; SECRET_WORDS]) -> usize {
        bank_row(&self.to_words(), FLOW_KEY_BITS, secret, FLOW_ROWS)
    }
}

impl QuicId {
    /// The row of a bank that this key falls into.
    #[must_use]
    pub fn row(&self, secret: &[u32; SECRET_WORDS]) -> usize {
        bank_row(&self.to_words(), QUIC_KEY_BITS, secret, QUIC_ID_ROWS)
    }
}

impl VipMatch {
    /// The row of a VIP-match bank that this key falls into.
    #[must_use]
    pub fn row(&self, secret: &[u32; SECRET_WORDS]) -> usize {
        bank_row(&self.to_words(), VIP_KEY_BITS, secret, VIP_MATCH_ROWS)
    }
}
