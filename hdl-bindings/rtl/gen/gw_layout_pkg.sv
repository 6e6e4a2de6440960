// Generated from hdl-bindings/src by `make generate`: change it there.
package gw_layout_pkg;
  localparam logic [31:0] LayoutHash = 32'h4fe7abaf;
  localparam int unsigned Magic = 1196900697;
  localparam int unsigned CardResetKey = 1380275013;
  localparam int unsigned Vips = 256;
  localparam int unsigned Pools = 64;
  localparam int unsigned Backends = 1024;
  localparam int unsigned NextHops = 16;
  localparam int unsigned RingSlots = 1048576;
  localparam int unsigned Flows = 65536;
  localparam int unsigned Banks = 4;
  localparam int unsigned FlowWays = 4;
  localparam int unsigned VipMatchRows = 128;
  localparam int unsigned VipPrefixes = 64;
  localparam int unsigned QuicIdRows = 8192;
  localparam int unsigned RingSizeMax = 65537;
  localparam int unsigned SlotEmpty = 65535;
  localparam int unsigned SecretBits = 192;
  localparam int unsigned FlowKeyBits = 172;
  localparam int unsigned VipKeyBits = 153;
  localparam int unsigned QuicKeyBits = 76;
  localparam int unsigned FlowWordDataBits = 199;
  localparam int unsigned FrameMax = 9216;
  localparam int unsigned HashSeed = 33554944;
  localparam int unsigned HashSeedV6 = 512;
  localparam int unsigned GuePort = 6080;
  localparam int unsigned RingSizeLog2Max = 12;
  localparam int unsigned RecordsWaiting = 64;

  // The final disposition of a frame. Every frame that enters the card ends in exactly one.
  typedef enum logic [5:0] {
    DispositionForwardHit = 6'd0,  // Sent to the backend that the flow table names.
    DispositionForwardRing = 6'd1,  // A miss, sent to the backend that the ring names, without the host.
    DispositionForwardInject = 6'd2,  // Injected by the host for a VIP, sent to the backend that the host chose.
    DispositionForwardRaw = 6'd3,  // Injected by the host as it is, sent unchanged.
    DispositionForwardOverMeter = 6'd4,  // A miss beyond its VIP's meter, sent to the backend that the ring names.
    DispositionForwardQuic = 6'd5,  // Sent to the backend that the server id in its QUIC connection id names.
    DispositionForwardEcho = 6'd6,  // An echo request to a VIP, answered by the card.
    DispositionForwardTooBig = 6'd7,  // A client is told that its packet is too big to be encapsulated, by an ICMP error of the card.
    DispositionHostPunt = 6'd8,  // To the host: a miss of a VIP, for the host to decide.
    DispositionHostControl = 6'd9,  // To the host: ARP, neighbour discovery, LACP, BGP, BFD.
    DispositionHostFragment = 6'd10,  // To the host: a fragment.
    DispositionHostIcmpError = 6'd11,  // To the host: an ICMP error.
    DispositionHostUnmatched = 6'd12,  // To the host: TCP or UDP for no VIP.
    DispositionHostUnsupported = 6'd13,  // To the host: a protocol or header that the card does not look into (a third tag, a fourth extension header, other protocols).
    DispositionHostGroup = 6'd14,  // To the host: sent to a broadcast or multicast MAC address.
    DispositionHostTooBig = 6'd15,  // To the host: too big to be encapsulated, and may be fragmented: the host sends it in outer fragments.
    DispositionDropPortDisabled = 6'd16,  // Dropped: the port is not enabled.
    DispositionDropIngressFull = 6'd17,  // Dropped at its first beat: the payload ring or descriptor FIFO has no room for a maximum frame.
    DispositionDropRxError = 6'd18,  // Dropped: the MAC reported a bad FCS or a cut frame.
    DispositionDropRunt = 6'd19,  // Dropped: shorter than an Ethernet header.
    DispositionDropOversize = 6'd20,  // Dropped: longer than 9,216 bytes without FCS.
    DispositionDropMacMismatch = 6'd21,  // Dropped: sent to another station's MAC address.
    DispositionDropIpv4Malformed = 6'd22,  // Dropped: the IPv4 header's version or lengths contradict the frame.
    DispositionDropIpv6Malformed = 6'd23,  // Dropped: the IPv6 header's version or lengths contradict the frame.
    DispositionDropL4Malformed = 6'd24,  // Dropped: too short for its TCP or UDP header.
    DispositionDropUnmatched = 6'd25,  // Dropped: for no VIP, and the card is configured to drop such frames.
    DispositionDropNoBackend = 6'd26,  // Dropped: the pool has no ring, or the ring's slot names no backend.
    DispositionDropBackendDown = 6'd27,  // Dropped: the ring's backend is down.
    DispositionDropEncapUnsupported = 6'd28,  // Dropped: the backend's encapsulation cannot carry this packet.
    DispositionDropTooBig = 6'd29,  // Dropped: the encapsulated packet would exceed the VIP's MTU.
    DispositionDropEgressOverload = 6'd30,  // Dropped: the egress queue is above its class's threshold.
    DispositionDropPuntFull = 6'd31,  // Dropped: the host's queue for misses is full.
    DispositionDropHostFull = 6'd32,  // Dropped: the host's queue for this class is full or not enabled.
    DispositionDropInjectInvalid = 6'd33,  // Dropped: an inject whose packet, VIP or backend generation is not valid.
    DispositionDropIcmpLimited = 6'd34  // Dropped: the card would answer, but has answered as often as it may.
  } gw_disposition_e;

  // The host's receive queues. A lower number is served first.
  typedef enum logic [1:0] {
    HostClassControl = 2'd0,  // ARP, neighbour discovery, LACP, BGP, BFD.
    HostClassOther = 2'd1,  // Other traffic for the host.
    HostClassMiss = 2'd2,  // Misses of VIPs.
    HostClassFragment = 2'd3  // Fragments, ICMP errors, and what is to be sent in fragments.
  } gw_host_class_e;

  // Classes of frames at the egress queue; each has its own threshold.
  typedef enum logic [1:0] {
    EgressClassRaw = 2'd0,  // Raw frames of the host: routing protocols depend on them.
    EgressClassHit = 2'd1,  // Packets of flows in the flow table, and those that a QUIC connection id routes.
    EgressClassNew = 2'd2,  // New flows that host or ring admitted, and what the card itself answers.
    EgressClassOverMeter = 2'd3  // Misses beyond a meter.
  } gw_egress_class_e;

  // The card's counters, in the `counters` table. The first 47 are the dispositions, by their numbers.
  typedef enum logic [5:0] {
    PortCounterQuicUnknown = 6'd47,  // Packets of which the QUIC connection id names a server that has no live entry.
    PortCounterWireIn = 6'd48,  // Frames that began on the wire's receive side.
    PortCounterWireInBytes = 6'd49,  // Bytes of them, as far as they came.
    PortCounterInjected = 6'd50,  // Frames of the host that entered.
    PortCounterWireOut = 6'd51,  // Frames whose last beat left on the wire.
    PortCounterWireOutBytes = 6'd52,  // Bytes of them.
    PortCounterHostOut = 6'd53,  // Frames whose last beat left towards the host's rings.
    PortCounterHostGone = 6'd54,  // Frames admitted for the host that a host reset flushed.
    PortCounterPuntUnanswered = 6'd55,  // Punts handed over that the host had neither injected nor released when it was reset.
    PortCounterFlowEccCorrected = 6'd56,  // Flow entries whose single-bit error was corrected.
    PortCounterFlowEccUncorrectable = 6'd57,  // Flow entries that held more than one wrong bit and were taken as a miss.
    PortCounterHeartbeatFallback = 6'd58,  // Misses that went by the ring because the heartbeat had run out.
    PortCounterCycles = 6'd59,  // Clock cycles since the card's reset.
    PortCounterLearned = 6'd60,  // Flow entries that the card learned, displacing another or not.
    PortCounterLearnDisplaced = 6'd61,  // Those of them that took the place of another, unconfirmed flow.
    PortCounterLearnRefused = 6'd62,  // Packets that were to be learned and were not: no place, no quota, or too soon after another one.
    PortCounterRecordLost = 6'd63  // Records (traced packets, learned entries) that were lost because as many waited for the host as the card holds.
  } gw_port_counter_e;

  // The tables that commands address. One entry is one 64-byte beat in host memory.
  typedef enum logic [3:0] {
    TableVipMatch = 4'd0,  // `VipMatch`, index = bank x rows + row.
    TableVip = 4'd1,  // `VipEntry`, index = VIP.
    TablePool = 4'd2,  // `PoolEntry`, index = pool.
    TableRing = 4'd3,  // 32 slots of 16 bits, index = slot / 32.
    TableBackend = 4'd4,  // `BackendEntry`, index = backend.
    TableNextHop = 4'd5,  // `NextHopEntry`, index = next hop.
    TableFlow = 4'd6,  // `FlowRecord`, index = (bank x ways + way) x rows + row. Written by INSERT, MOVE and DELETE only.
    TableCounter = 4'd7,  // `CounterEntry` with `packets` alone, index = counter. Read only.
    TableVipCounter = 4'd8,  // `CounterEntry`, index = VIP. Read only.
    TableBackendCounter = 4'd9,  // `CounterEntry`, index = backend. Read only.
    TableVipPrefix = 4'd10,  // `VipPrefix`, in any order.
    TableQuicId = 4'd11,  // `QuicId`, index = bank x rows + row.
    TableVipOverMeter = 4'd13  // `CounterEntry`, index = VIP: misses over the VIP's meter. Read only.
  } gw_table_e;

  // What a VIP's misses do.
  typedef enum logic [1:0] {
    MissPolicyPunt = 2'd0,  // The host decides and installs.
    MissPolicyLearn = 2'd1,  // The card uses the ring and records the flow.
    MissPolicyStateless = 2'd2  // The card uses the ring and records nothing.
  } gw_miss_policy_e;

  // What a backend takes.
  typedef enum logic [1:0] {
    BackendStateDown = 2'd0,  // Nothing: a hit is a miss, a ring slot that names it drops.
    BackendStateUp = 2'd1,  // Known and new flows.
    BackendStateDraining = 2'd2  // Known flows; a SYN is decided afresh.
  } gw_backend_state_e;

  // How packets travel to a backend.
  typedef enum logic [2:0] {
    EncapNone = 3'd0,  // Not at all.
    EncapIpip = 3'd1,  // IP in IP (RFC 2003, RFC 2473).
    EncapGre = 3'd2,  // GRE (RFC 2784, RFC 2890).
    EncapGue = 3'd3,  // GUE variant 1 over UDP.
    EncapL2 = 3'd4  // Layer 2: only the Ethernet header is rewritten.
  } gw_encap_e;

  // What a command does.
  typedef enum logic [3:0] {
    OpcodeNop = 4'd0,  // Does nothing, and completes.
    OpcodeWrite = 4'd1,  // Writes `count` entries of `table` from `index` on, from host memory at `address`.
    OpcodeCopy = 4'd2,  // Copies `count` entries of `table` from `source` to `index` (ring only).
    OpcodeDump = 4'd3,  // Writes `count` entries of `table` from `index` on into host memory at `address`.
    OpcodeDigest = 4'd4,  // Completes with the CRC-32 over `count` entries of `table` from `index` on.
    OpcodeInsert = 4'd5,  // Writes a flow entry at (`bank`, `way`) when it finds there what `expectation` says.
    OpcodeMove = 4'd6,  // Moves a flow entry from (`bank`, `way`) to (`to_bank`, `to_way`), which must be free.
    OpcodeDelete = 4'd7,  // Clears the flow entry at (`bank`, `way`) when it holds this key.
    OpcodeFence = 4'd8  // Completes when no packet is left that read a table before the command.
  } gw_opcode_e;

  // What INSERT must find at its place.
  typedef enum logic [1:0] {
    ExpectFree = 2'd0,  // Nothing.
    ExpectSame = 2'd1,  // An entry with the same key.
    ExpectUnconfirmed = 2'd2  // Nothing, or an entry that is neither confirmed nor pinned.
  } gw_expect_e;

  // How a descriptor ended.
  typedef enum logic [4:0] {
    StatusOk = 5'd0,  // Done.
    StatusBadOpcode = 5'd1,  // The op code is not known.
    StatusBadTable = 5'd2,  // The table is not known, or does not take this operation.
    StatusOutOfRange = 5'd3,  // Index, count or place exceed the table.
    StatusBadAddress = 5'd4,  // The address is not a multiple of 64, or the range wraps.
    StatusBadLength = 5'd5,  // The length is 0 or above the longest frame.
    StatusBadPhase = 5'd6,  // The descriptor's phase bit is not the one due: the ring stops.
    StatusBadDoorbell = 5'd7,  // The doorbell is more than the ring's size ahead: the ring stops.
    StatusDmaError = 5'd8,  // Reading or writing host memory failed.
    StatusNotFound = 5'd9,  // The place holds no entry, or one with another key.
    StatusOccupied = 5'd10,  // The place is not free.
    StatusUnsupported = 5'd11,  // This build does not do that.
    StatusAborted = 5'd12  // The ring was disabled or the host reset before it was done.
  } gw_status_e;

  // What a transmission is.
  typedef enum logic [1:0] {
    TxOpRaw = 2'd0,  // The frame leaves as it is.
    TxOpAssign = 2'd1,  // The frame is a client's packet: encapsulate it for VIP `vip` to `backend` of `generation`.
    TxOpRelease = 2'd2  // No frame: the punt is over.
  } gw_tx_op_e;

  // What a record is about.
  typedef enum logic [1:0] {
    RecordKindNone = 2'd0,  // Nothing was written here.
    RecordKindTrace = 2'd1,  // A packet that the trace filter matched: [`TraceRecord`].
    RecordKindFlowEvent = 2'd2  // An entry that the card learned: [`FlowEventRecord`].
  } gw_record_kind_e;

  // What a packet is matched by: IPv4 addresses lie in the low 32 bits, in the order of their value (10.0.0.1 is 0x0a000001).
  typedef struct packed {
    logic [25:0] reserved_top;
    logic [11:0] vip;  // The VIP that it names.
    logic valid;  // The entry is in use.
    logic [127:0] address;  // Destination address.
    logic ipv6;  // The address is IPv6.
    logic [7:0] protocol;  // IP protocol: 6 or 17.
    logic [15:0] port;  // Destination port; 0 in an any-port key.
  } gw_vip_match_t;

  // A VIP of many addresses: a packet for none of the keys in [`VipMatch`] is matched by the longest of these.
  typedef struct packed {
    logic [17:0] reserved_top;
    logic [7:0] length;  // Length in bits, of an IPv4 prefix 0 to 32, of an IPv6 prefix 0 to 128.
    logic [11:0] vip;  // The VIP that it names.
    logic valid;  // The entry is in use.
    logic [127:0] address;  // Prefix, in the place of the addresses in [`VipMatch`]. Bits behind `length` are not looked at.
    logic ipv6;  // The prefix is of IPv6.
    logic [7:0] protocol;  // IP protocol: 6 or 17.
    logic [15:0] port;  // Destination port; 0: any.
  } gw_vip_prefix_t;

  // Where the server id in a QUIC connection id leads.
  typedef struct packed {
    logic [26:0] reserved_top;
    logic [7:0] generation;  // The backend's generation.
    logic [15:0] backend;  // The backend that it names.
    logic valid;  // The entry is in use.
    logic [7:0] pool;  // The pool of the VIPs that it counts for.
    logic lb;  // Scheme: QUIC-LB; 0: Katran's.
    logic [2:0] rotation;  // QUIC-LB's configuration rotation; Katran's scheme: 0.
    logic [63:0] id;  // Server id.
  } gw_quic_id_t;

  // A VIP's properties.
  typedef struct packed {
    logic [68:0] reserved_top;
    logic fragment_too_big;  // What is too big to be encapsulated and may be fragmented is the host's; 0: it is dropped.
    logic [19:0] quota;  // Most flow entries that the VIP may hold; 0: no quota.
    logic [15:0] meter_burst;  // Meter: burst in misses.
    logic [23:0] meter_rate;  // Meter: misses a millisecond that may reach the host; 0: no meter.
    logic [13:0] mtu;  // Largest outer IP packet towards the backends, in bytes.
    logic quic_lb;  // Its connection ids are QUIC-LB's; 0: Katran's.
    logic quic;  // Route by QUIC connection id.
    logic echo;  // Answer echo requests.
    logic hash_keep_destination_port;  // Keep the destination port in the hash of an any-port VIP (Katran's HASH_SRC_DST_PORT).
    logic hash_destination_port_only;  // Hash the destination port only (Katran's HASH_DPORT_ONLY).
    logic hash_no_source_port;  // Hash with source port 0 (Katran's NO_SRC_PORT).
    logic [1:0] miss_policy;  // [`MissPolicy`].
    logic [7:0] pool;  // Its pool.
  } gw_vip_entry_t;

  // A pool: the ring that is live. Written whole in one cycle: this write is the ring swap.
  typedef struct packed {
    logic [22:0] reserved_top;
    logic [31:0] barrett;  // `floor(2^32 / ring_size)` for the Barrett reduction; ring sizes start at 2.
    logic [16:0] ring_size;  // Slots of the ring, a prime of at most 65537; 0: no ring.
    logic [23:0] ring_base;  // First slot of the ring, a multiple of 32.
  } gw_pool_entry_t;

  // A backend.
  typedef struct packed {
    logic [36:0] reserved_top;
    logic [3:0] more_next_hops;  // How many next hops behind the first its packets are spread over too, by flow hash.
    logic [31:0] key;  // GRE key.
    logic key_present;  // GRE key is present.
    logic [127:0] address;  // Outer destination address.
    logic [7:0] next_hop;  // Its next hop, or the first of several.
    logic [7:0] generation;  // Generation: a flow entry with another one is a miss.
    logic ipv6;  // The outer address is IPv6.
    logic [2:0] encap;  // [`Encap`].
    logic [1:0] state;  // [`BackendState`].
  } gw_backend_entry_t;

  // A next hop. MAC addresses lie most significant byte first: 02:00:00:00:00:01 is 0x020000000001.
  typedef struct packed {
    logic [13:0] reserved_top;
    logic [15:0] vlan;  // VLAN tag: priority, DEI and id.
    logic [1:0] vlan_mode;  // 0 tag kept, 1 removed, 2 set to `vlan`.
    logic [47:0] source;  // Source MAC address; 0: the received frame's destination.
    logic [47:0] destination;  // Destination MAC address.
  } gw_next_hop_entry_t;

  // The key of a flow, and the bits that the flow table's banks hash (172 bits from bit 0).
  typedef struct packed {
    logic [19:0] reserved_top;
    logic [11:0] vip;  // The VIP, which implies family, destination and protocol.
    logic [127:0] source;  // Source address; IPv4 in the low 32 bits.
    logic [15:0] source_port;  // The packet's source port.
    logic [15:0] destination_port;  // The packet's destination port.
  } gw_flow_key_t;

  // A flow entry as DUMP shows it: the word of the table, and what the stamp RAMs hold.
  typedef struct packed {
    logic [39:0] reserved_top;
    logic rst;  // A RST was seen.
    logic fin;  // A FIN was seen.
    logic [29:0] last_seen;  // When a packet last hit it, in units of 1,024 us of card time.
    logic [7:0] reserved;  // Reserved up to the table word's 216 bits.
    logic [8:0] ecc;  // SECDED over the 199 bits below.
    logic confirmed;  // A second packet of the flow was seen.
    logic pinned;  // Not to be displaced: the ring no longer agrees with it.
    logic valid;  // The entry is in use.
    logic [7:0] generation;  // The backend's generation when the flow was installed.
    logic [15:0] backend;  // The backend that the flow goes to.
    logic [11:0] vip;  // The key's VIP.
    logic [127:0] source;  // The key's source address.
    logic [15:0] source_port;  // The key's source port.
    logic [15:0] destination_port;  // The key's destination port.
  } gw_flow_record_t;

  // A counter: events, and bytes where the table counts them.
  typedef struct packed {
    logic [63:0] bytes;  // Bytes of the inner IP packets; 0 in the `counter` table.
    logic [63:0] packets;  // Packets (or events).
  } gw_counter_entry_t;

  // A command. Keys and places are those of the flow commands, the rest those of table commands.
  typedef struct packed {
    logic [47:0] reserved_top;
    logic [7:0] generation;  // The entry's backend generation.
    logic [15:0] backend;  // The entry's backend.
    logic confirmed;  // The entry is confirmed.
    logic pinned;  // The entry is pinned.
    logic [1:0] expectation;  // [`Expect`].
    logic [1:0] to_way;  // MOVE's destination: way.
    logic [1:0] to_bank;  // MOVE's destination: bank.
    logic [1:0] way;  // Place: way.
    logic [1:0] bank;  // Place: bank.
    logic [11:0] vip;  // Flow key: VIP.
    logic [127:0] source;  // Flow key: source address.
    logic [15:0] source_port;  // Flow key: source port.
    logic [15:0] destination_port;  // Flow key: destination port.
    logic [31:0] reserved2;  // Reserved.
    logic [63:0] address;  // Host memory, a multiple of 64.
    logic [31:0] count;  // Entries.
    logic [31:0] source_index;  // First entry that COPY reads.
    logic [31:0] index;  // First entry.
    logic [31:0] tag;  // Comes back in the completion.
    logic [7:0] reserved1;  // Reserved.
    logic [7:0] table_id;  // [`crate::tables::Table`].
    logic [7:0] opcode;  // [`Opcode`].
    logic [6:0] reserved0;  // Reserved.
    logic phase;  // 1 on the ring's first pass, then alternating.
  } gw_command_t;

  // A command's or transmission's completion.
  typedef struct packed {
    logic [415:0] reserved_top;
    logic [31:0] result;  // DIGEST: the CRC. Table commands: entries done.
    logic [31:0] tag;  // The descriptor's tag.
    logic [15:0] index;  // The descriptor's index in its ring, free-running.
    logic [7:0] status;  // [`Status`].
    logic [6:0] reserved0;  // Reserved.
    logic phase;  // 1 on the ring's first pass, then alternating. The card writes the whole completion in one beat.
  } gw_completion_t;

  // A transmission.
  typedef struct packed {
    logic [335:0] reserved_top;
    logic [7:0] spread;  // ASSIGN: the upper 8 bits of its flow's hash, which choose among the backend's next hops.
    logic [7:0] generation;  // ASSIGN: the generation that the backend must have.
    logic [15:0] backend;  // ASSIGN: the backend.
    logic [3:0] reserved1;  // Reserved.
    logic [11:0] vip;  // ASSIGN: the VIP.
    logic [63:0] address;  // The frame in host memory, any alignment.
    logic [31:0] tag;  // Comes back in the completion.
    logic [15:0] length;  // Bytes of the frame without FCS: 14 to 9,216.
    logic [7:0] op;  // [`TxOp`].
    logic [5:0] reserved0;  // Reserved.
    logic ends_punt;  // Ends a punt.
    logic phase;  // 1 on the ring's first pass, then alternating.
  } gw_tx_descriptor_t;

  // A received frame, and the card's whole decision about it.
  typedef struct packed {
    logic [127:0] reserved_top;
    logic [15:0] destination_port;  // Destination port.
    logic [15:0] source_port;  // Source port.
    logic [127:0] source;  // Source address; IPv4 in the low 32 bits.
    logic [15:0] flow_backend;  // The backend of the flow entry.
    logic [15:0] ring_backend;  // The backend in that slot; `host_too_big`: the one that it is for.
    logic [6:0] reserved3;  // Reserved.
    logic [7:0] generation;  // `host_too_big`: the generation of `ring_backend`.
    logic [16:0] ring_index;  // The ring's slot.
    logic [31:0] flow_hash;  // Katran's flow hash.
    logic [7:0] protocol;  // IP protocol.
    logic [7:0] pool;  // Its pool.
    logic [3:0] reserved2;  // Reserved.
    logic [11:0] vip;  // The VIP.
    logic [31:0] timestamp;  // Card time at the decision, in us, low 32 bits.
    logic [6:0] reserved1;  // Reserved.
    logic ipv6;  // The packet is IPv6.
    logic rst;  // The packet carries RST.
    logic fin;  // The packet carries FIN.
    logic syn;  // The packet carries SYN.
    logic flow_stale;  // The flow entry's backend is down or of another generation.
    logic flow_found;  // The flow table held the key.
    logic any_port;  // The VIP was found by its any-port key.
    logic vip_valid;  // `vip` and the fields after it are valid.
    logic error;  // The frame came in with this error flag.
    logic [15:0] length;  // Bytes of the frame without FCS.
    logic [15:0] index;  // The completion's index in its ring, free-running; the frame lies in the buffer of this index.
    logic [1:0] host_class;  // [`crate::verdict::HostClass`], the queue's number.
    logic [5:0] disposition;  // [`crate::verdict::Disposition`].
    logic [6:0] reserved0;  // Reserved.
    logic phase;  // 1 on the ring's first pass, then alternating. The card writes the whole completion in one beat.
  } gw_rx_completion_t;

  // A traced packet: what each station said of it.
  typedef struct packed {
    logic [127:0] destination;  // Destination address, likewise.
    logic [127:0] source;  // Source address; IPv4 in the low 32 bits.
    logic [15:0] destination_port;  // Destination port.
    logic [15:0] source_port;  // Source port.
    logic [7:0] protocol;  // IP protocol.
    logic [5:0] next_hop;  // The next hop: one of that backend's.
    logic [2:0] encap;  // [`crate::tables::Encap`] of that backend.
    logic [15:0] backend;  // The backend that was chosen.
    logic [15:0] ring_backend;  // The backend in that slot.
    logic [16:0] ring_index;  // The ring's slot.
    logic [8:0] vip;  // The VIP.
    logic learns;  // The packet goes by the ring, and the card is asked to learn its flow.
    logic [15:0] flow_backend;  // The flow entry's backend.
    logic [7:0] flow_generation;  // The flow entry's generation.
    logic [3:0] flow_place;  // The flow entry's bank (upper two bits) and way.
    logic flow_pinned;  // The flow entry is pinned.
    logic flow_confirmed;  // The flow entry is confirmed.
    logic flow_stale;  // The flow entry's backend is down or of another generation.
    logic flow_found;  // The flow table held the key.
    logic quic_live;  // That server has a live entry, by which the packet goes.
    logic quic_named;  // The packet's QUIC connection id names a server.
    logic over_meter;  // The VIP's meter had no token.
    logic any_port;  // The VIP was found otherwise than by its exact key.
    logic vip_valid;  // `vip`, and the fields after it, say something.
    logic rst;  // The packet carries RST.
    logic fin;  // The packet carries FIN.
    logic syn;  // The packet carries SYN.
    logic icmp_error;  // An ICMP error: the addresses and ports are those of the flow that it is about.
    logic [1:0] tags;  // VLAN tags that count.
    logic ipv6;  // The packet is IPv6.
    logic [5:0] decided;  // [`crate::verdict::Disposition`]: what was decided before admission.
    logic [5:0] disposition;  // [`crate::verdict::Disposition`]: what became of it.
    logic [13:0] length;  // Bytes of the frame without FCS, 9,217: more than the longest.
    logic [31:0] timestamp;  // Card time at admission, in us, low 32 bits.
    logic [6:0] end_cycles;  // Cycles that the decision waited for the frame's end; 127: that or more.
    logic [4:0] window_cycles;  // Cycles from the frame's first beat on the wire to that; 31: that or more.
    logic [9:0] cycle;  // Low bits of the `cycles` counter when the window reached the parser.
    logic [19:0] sequence_number;  // The record's number among those of its kind since the ring was enabled, lost ones included.
    logic injected;  // The host injected the frame.
    logic [1:0] kind;  // [`RecordKind`]: trace.
    logic phase;  // 1 on the ring's first pass, then alternating. The card writes the whole record in one beat.
  } gw_trace_record_t;

  // An entry that the card learned.
  typedef struct packed {
    logic [207:0] reserved_top;
    logic [19:0] index;  // Its index in the `flow` table.
    logic [7:0] generation;  // That backend's generation.
    logic [15:0] backend;  // The entry's backend.
    logic [3:0] flow_place;  // The entry's bank (upper two bits) and way.
    logic [11:0] vip;  // The VIP.
    logic [127:0] source;  // Source address; IPv4 in the low 32 bits.
    logic [15:0] source_port;  // Source port.
    logic [15:0] destination_port;  // Destination port.
    logic [31:0] timestamp;  // Card time of the learning, in us, low 32 bits.
    logic [27:0] reserved0;  // Reserved.
    logic [19:0] sequence_number;  // The record's number among those of its kind since the ring was enabled, lost ones included.
    logic replaced;  // Another, unconfirmed flow's entry was there.
    logic [1:0] kind;  // [`RecordKind`]: flow event.
    logic phase;  // 1 on the ring's first pass, then alternating. The card writes the whole record in one beat.
  } gw_flow_event_record_t;
endpackage
