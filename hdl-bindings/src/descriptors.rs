//! What host and card say to each other in host memory: descriptors and completions, 64 bytes each.
//!
//! Owns the layouts, op codes and statuses. Rings, doorbells and phases are explained in `CARD.md`, section 7.

use crate::layout::{codes, layout};

/// Bytes of every ring entry.
pub const RING_ENTRY_BYTES: usize = 64;
/// A ring's largest size, as a power of two.
pub const RING_SIZE_LOG2_MAX: u32 = 12;

codes! {
    /// What a command does.
    pub enum Opcode as "gw_opcode_e": 4 {
        /// Does nothing, and completes.
        Nop = 0 as "nop",
        /// Writes `count` entries of `table` from `index` on, from host memory at `address`.
        Write = 1 as "write",
        /// Copies `count` entries of `table` from `source` to `index` (ring only).
        Copy = 2 as "copy",
        /// Writes `count` entries of `table` from `index` on into host memory at `address`.
        Dump = 3 as "dump",
        /// Completes with the CRC-32 over `count` entries of `table` from `index` on.
        Digest = 4 as "digest",
        /// Writes a flow entry at (`bank`, `way`) when it finds there what `expectation` says.
        Insert = 5 as "insert",
        /// Moves a flow entry from (`bank`, `way`) to (`to_bank`, `to_way`), which must be free.
        Move = 6 as "move",
        /// Clears the flow entry at (`bank`, `way`) when it holds this key.
        Delete = 7 as "delete",
        /// Completes when no packet is left that read a table before the command.
        Fence = 8 as "fence",
    }
}

codes! {
    /// What INSERT must find at its place.
    pub enum Expect as "gw_expect_e": 2 {
        /// Nothing.
        Free = 0 as "free",
        /// An entry with the same key.
        Same = 1 as "same",
        /// Nothing, or an entry that is neither confirmed nor pinned.
        Unconfirmed = 2 as "unconfirmed",
    }
}

codes! {
    /// How a descriptor ended.
    pub enum Status as "gw_status_e": 5 {
        /// Done.
        Ok = 0 as "ok",
        /// The op code is not known.
        BadOpcode = 1 as "bad_opcode",
        /// The table is not known, or does not take this operation.
        BadTable = 2 as "bad_table",
        /// Index, count or place exceed the table.
        OutOfRange = 3 as "out_of_range",
        /// The address is not a multiple of 64, or the range wraps.
        BadAddress = 4 as "bad_address",
        /// The length is 0 or above the longest frame.
        BadLength = 5 as "bad_length",
        /// The descriptor's phase bit is not the one due: the ring stops.
        BadPhase = 6 as "bad_phase",
        /// The doorbell is more than the ring's size ahead: the ring stops.
        BadDoorbell = 7 as "bad_doorbell",
        /// Reading or writing host memory failed.
        DmaError = 8 as "dma_error",
        /// The place holds no entry, or one with another key.
        NotFound = 9 as "not_found",
        /// The place is not free.
        Occupied = 10 as "occupied",
        /// This build does not do that.
        Unsupported = 11 as "unsupported",
        /// The ring was disabled or the host reset before it was done.
        Aborted = 12 as "aborted",
    }
}

layout! {
    /// A command. Keys and places are those of the flow commands, the rest those of table commands.
    pub struct Command as "gw_command_t": 512 {
        /// 1 on the ring's first pass, then alternating.
        phase: bool [1],
        /// Reserved.
        reserved0: u8 [7],
        /// [`Opcode`].
        opcode: u8 [8],
        /// [`crate::tables::Table`].
        table_id: u8 [8],
        /// Reserved.
        reserved1: u8 [8],
        /// Comes back in the completion.
        tag: u32 [32],
        /// First entry.
        index: u32 [32],
        /// First entry that COPY reads.
        source_index: u32 [32],
        /// Entries.
        count: u32 [32],
        /// Host memory, a multiple of 64.
        address: u64 [64],
        /// Reserved.
        reserved2: u32 [32],
        /// Flow key: destination port.
        destination_port: u16 [16],
        /// Flow key: source port.
        source_port: u16 [16],
        /// Flow key: source address.
        source: u128 [128],
        /// Flow key: VIP.
        vip: u16 [12],
        /// Place: bank.
        bank: u8 [2],
        /// Place: way.
        way: u8 [2],
        /// MOVE's destination: bank.
        to_bank: u8 [2],
        /// MOVE's destination: way.
        to_way: u8 [2],
        /// [`Expect`].
        expectation: u8 [2],
        /// The entry is pinned.
        pinned: bool [1],
        /// The entry is confirmed.
        confirmed: bool [1],
        /// The entry's backend.
        backend: u16 [16],
        /// The entry's backend generation.
        generation: u8 [8],
    }
}

layout! {
    /// A command's or transmission's completion.
    pub struct Completion as "gw_completion_t": 512 {
        /// 1 on the ring's first pass, then alternating. The card writes the whole completion in one beat.
        phase: bool [1],
        /// Reserved.
        reserved0: u8 [7],
        /// [`Status`].
        status: u8 [8],
        /// The descriptor's index in its ring, free-running.
        index: u16 [16],
        /// The descriptor's tag.
        tag: u32 [32],
        /// DIGEST: the CRC. Table commands: entries done.
        result: u32 [32],
    }
}

codes! {
    /// What a transmission is.
    pub enum TxOp as "gw_tx_op_e": 2 {
        /// The frame leaves as it is.
        Raw = 0 as "raw",
        /// The frame is a client's packet: encapsulate it for VIP `vip` to `backend` of `generation`.
        Assign = 1 as "assign",
        /// No frame: the punt is over.
        Release = 2 as "release",
    }
}

layout! {
    /// A transmission.
    pub struct TxDescriptor as "gw_tx_descriptor_t": 512 {
        /// 1 on the ring's first pass, then alternating.
        phase: bool [1],
        /// Ends a punt.
        ends_punt: bool [1],
        /// Reserved.
        reserved0: u8 [6],
        /// [`TxOp`].
        op: u8 [8],
        /// Bytes of the frame without FCS: 14 to 9,216.
        length: u16 [16],
        /// Comes back in the completion.
        tag: u32 [32],
        /// The frame in host memory, any alignment.
        address: u64 [64],
        /// ASSIGN: the VIP.
        vip: u16 [12],
        /// Reserved.
        reserved1: u8 [4],
        /// ASSIGN: the backend.
        backend: u16 [16],
        /// ASSIGN: the generation that the backend must have.
        generation: u8 [8],
        /// ASSIGN: the upper 8 bits of its flow's hash, which choose among the backend's next hops.
        spread: u8 [8],
    }
}

layout! {
    /// A received frame, and the card's whole decision about it.
    pub struct RxCompletion as "gw_rx_completion_t": 512 {
        /// 1 on the ring's first pass, then alternating. The card writes the whole completion in one beat.
        phase: bool [1],
        /// Reserved.
        reserved0: u8 [7],
        /// [`crate::verdict::Disposition`].
        disposition: u8 [6],
        /// [`crate::verdict::HostClass`], the queue's number.
        host_class: u8 [2],
        /// The completion's index in its ring, free-running; the frame lies in the buffer of this index.
        index: u16 [16],
        /// Bytes of the frame without FCS.
        length: u16 [16],
        /// The frame came in with this error flag.
        error: bool [1],
        /// `vip` and the fields after it are valid.
        vip_valid: bool [1],
        /// The VIP was found by its any-port key.
        any_port: bool [1],
        /// The flow table held the key.
        flow_found: bool [1],
        /// The flow entry's backend is down or of another generation.
        flow_stale: bool [1],
        /// The packet carries SYN.
        syn: bool [1],
        /// The packet carries FIN.
        fin: bool [1],
        /// The packet carries RST.
        rst: bool [1],
        /// The packet is IPv6.
        ipv6: bool [1],
        /// Reserved.
        reserved1: u8 [7],
        /// Card time at the decision, in us, low 32 bits.
        timestamp: u32 [32],
        /// The VIP.
        vip: u16 [12],
        /// Reserved.
        reserved2: u8 [4],
        /// Its pool.
        pool: u8 [8],
        /// IP protocol.
        protocol: u8 [8],
        /// Katran's flow hash.
        flow_hash: u32 [32],
        /// The ring's slot.
        ring_index: u32 [17],
        /// `host_too_big`: the generation of `ring_backend`.
        generation: u8 [8],
        /// Reserved.
        reserved3: u8 [7],
        /// The backend in that slot; `host_too_big`: the one that it is for.
        ring_backend: u16 [16],
        /// The backend of the flow entry.
        flow_backend: u16 [16],
        /// Source address; IPv4 in the low 32 bits.
        source: u128 [128],
        /// Source port.
        source_port: u16 [16],
        /// Destination port.
        destination_port: u16 [16],
    }
}
