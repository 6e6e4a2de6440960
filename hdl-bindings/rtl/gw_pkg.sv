// Types that travel between the stations of the packet path. Layouts that the host sees are in gw_layout_pkg (generated).
package gw_pkg;
  import gw_layout_pkg::*;

  // ---- the beat -------------------------------------------------------------------------------------------------
  localparam int unsigned BeatBytes = 64;
  localparam int unsigned BeatBits = 512;
  localparam int unsigned WindowBytes = 128;  // the first two beats: all that is parsed
  localparam int unsigned InjectBeats = 512;  // payload ring of injected frames
  localparam int unsigned FrameBeatsMax = 145;  // room that a frame must find at its first beat: (9216 + 63) / 64 + 1
  localparam int unsigned DecisionDepth = 256;  // decisions waiting for the end of their frame
  localparam int unsigned InjectCredits = 32;  // injected frames between window and admission

  // Buffers; those of the ECP5 build (hdl-bindings/synth) fill its block RAMs, which are 512 words deep.
`ifdef GW_SMALL_BUFFERS
  localparam int unsigned WireBeats = 512;
  localparam int unsigned EgressFrames = 512;
  localparam int unsigned HostBeats = 128;  // a frame for the host of more than 8,192 bytes finds no room
  localparam int unsigned MissBeats = 128;
`else
  localparam int unsigned WireBeats = 4096;  // payload ring of the wire, a power of two
  localparam int unsigned EgressFrames = 4096;  // frames in the egress queue
  localparam int unsigned HostBeats = 512;  // buffer of a host class, a power of two
  localparam int unsigned MissBeats = 1024;  // that of class `miss`, a power of two, at least HostBeats
`endif

  // ---- RAM read latencies, in cycles, from address to data (silicon's, error correction included) ---------------
  localparam int unsigned RingLatency = 12;
  localparam int unsigned FlowLatency = 10;
  localparam int unsigned TableLatency = 3;
  localparam int unsigned QuicIdLatency = 6;

  // ---- latencies of the stations from window to decision, in cycles from a station's input to its output -------
  localparam int unsigned ParseStepLatency = 2;  // one extension header: its length, then the window shifted
  localparam int unsigned ParseSteps = 3;
  localparam int unsigned ParseLatency = 3 + ParseSteps * ParseStepLatency + 3;  // tags, view, fields; steps; lengths, ports, rows
  localparam int unsigned VipFoundLatency = 2 + TableLatency + 3;  // rows of the banks, match tables, compare, match, select
  localparam int unsigned VipEntryLatency = VipFoundLatency + TableLatency;
  localparam int unsigned VipPoolLatency = VipEntryLatency + TableLatency;
  localparam int unsigned SourceHashLatency = 15;  // jhash over 16 bytes, one addition a stage
  localparam int unsigned FlowHashLatency = SourceHashLatency + 8;
  localparam int unsigned RingIndexLatency = 10;  // Barrett reduction and the ring's base
  localparam int unsigned RingLookupLatency = RingIndexLatency + RingLatency;
  localparam int unsigned FlowLookupLatency = 2 + FlowLatency + 5;  // gw_flow_lookup: rows, tables, compare, select, check, correct, judge
  localparam int unsigned QuicLatency = 2 + 2 + QuicIdLatency + 2;  // gw_quic: scheme, id, rows, table, compare, select
  localparam int unsigned BackendLatency = 1 + TableLatency;  // range check, backend entries
  localparam int unsigned VerdictLatency = 4;
  localparam int unsigned MeterLead = 3;  // gw_meter learns of a packet's VIP so long before gw_verdict takes the packet
  localparam int unsigned EncapLatency = 2 + TableLatency + 3;  // parts; checksum, beside it the next hop; the header; its tags
  // from the read of the flow table's arrays to the request that comes of it: see gw_flow_learn
  localparam int unsigned FlowRequestDelay =
      FlowHashLatency + RingLookupLatency + BackendLatency + VerdictLatency - VipFoundLatency - FlowLatency;
  // window in to decision out
  localparam int unsigned DecisionLatency =
      ParseLatency + FlowHashLatency + RingLookupLatency + BackendLatency + VerdictLatency + EncapLatency;

  function automatic int unsigned longest(input int unsigned a, input int unsigned b);
    return a > b ? a : b;
  endfunction

  typedef logic [11:0] payload_addr_t;  // beat in a payload ring
  typedef logic [13:0] frame_len_t;  // bytes, up to 9216 (larger ones saturate at 9217)

  typedef enum logic {
    SourceWire   = 1'b0,
    SourceInject = 1'b1
  } gw_source_e;

  // What the host says beside an injected frame.
  typedef struct packed {
    gw_tx_op_e   op;
    logic        ends_punt;
    logic [11:0] vip;
    logic [15:0] backend;
    logic [7:0]  generation;
    logic [7:0]  spread;
  } gw_inject_t;

  // ingress -> parse: the window of one frame.
  typedef struct packed {
    gw_source_e    source;
    gw_inject_t    inject;  // valid with SourceInject
    payload_addr_t payload;  // first beat in its source's ring
    logic          complete;  // the frame ended inside the window
    logic [7:0]    bytes;  // bytes of the frame in `data`, 1 to 128
    logic [WindowBytes*8-1:0] data;  // byte 0 in bits 7:0
  } gw_window_t;

  // ingress -> admit: the end of one frame, in the order of each source's windows.
  typedef struct packed {
    frame_len_t length;
    logic       error;  // the MAC's error flag
  } gw_frame_end_t;

  // ingress -> sum ring: the sum of the 16-bit words of one frame's IP packet, some cycles after the frame's end.
  localparam int unsigned SumBits = 22;
  typedef struct packed {
    logic [SumBits-1:0] quote;  // over what an ICMP error of the card sends back of it
    logic [SumBits-1:0] packet;  // over all of it
  } gw_sums_t;  // not folded to 16 bits
  typedef struct packed {
    payload_addr_t payload;  // where the frame begins in its ring
    gw_sums_t      sums;
  } gw_ip_sum_t;
  localparam int unsigned QuoteIpv4 = 84;  // bytes of a packet that an ICMP error of the card sends back: Katran's
  localparam int unsigned QuoteIpv6 = 248;

  localparam int unsigned HeaderBytes = 70;  // Ethernet 14, two tags 8, IPv6 40, GRE with key, UDP or ICMP 8

  // What the card answers of itself, each with its own limit.
  typedef struct packed {
    logic echo;
    logic too_big;
  } gw_reply_t;

  // encap -> admit: everything that the window decided.
  // `when_whole` holds unless the frame's end says otherwise: row 1 (error), 2 (oversize), 3 (runt), then a frame shorter
  // than `needed` is `when_short`.
  typedef struct packed {
    gw_source_e      source;
    gw_inject_t      inject;
    payload_addr_t   payload;
    gw_disposition_e when_whole;
    gw_disposition_e when_short;
    frame_len_t      needed;  // bytes that the frame must have: up to the end of the IP packet; 0: any
    gw_egress_class_e egress_class;
    logic            heartbeat_fallback;  // count it when `when_whole` stands
    logic            quic_unknown;  // likewise
    logic            over_meter;  // count it for the VIP when `when_whole` stands
    logic            count_vip;  // count the VIP, whatever admission says (not for when_short, error, oversize)
    logic            count_backend;  // count the backend when the frame is forwarded
    logic [11:0]     vip;
    logic [15:0]     backend;
    logic [15:0]     ip_bytes;  // inner IP packet, for the byte counters
    // egress: the frame that leaves is `header`, then the received bytes from `keep_from` to `keep_to`
    gw_reply_t       reply;  // it takes a place of this limit
    logic            checksum;  // egress puts the checksum of UDP into the header's last two bytes
    logic            icmp_checksum;  // or that of ICMP, over what is sent back, into the third and fourth of its last eight
    logic [15:0]     checksum_part;  // sum of what it covers before the inner packet
    logic [6:0]      header_bytes;  // 0, or 14 (layer 2) to 62 (GRE with key, GUE in IPv6), and 4 for each tag; up to HeaderBytes
    logic [HeaderBytes*8-1:0] header;  // byte 0 in bits 7:0
    logic [6:0]      keep_from;  // 0 (raw), or where the IP packet begins: 14, 18, 22
    frame_len_t      keep_to;  // where it ends; raw: all ones, meaning the frame's length
    gw_rx_completion_t record;  // for the host: everything but phase, index, length, error, timestamp, disposition, class
  } gw_decision_t;

  // admit -> egress
  typedef struct packed {
    gw_source_e    source;
    payload_addr_t payload;
    logic          checksum;
    logic          icmp_checksum;
    logic [15:0]   checksum_part;
    logic [6:0]    header_bytes;
    logic [HeaderBytes*8-1:0] header;
    logic [6:0]    shift;  // received byte n leaves as byte n + shift
    logic          early;  // shift is negative, above -64
    frame_len_t    total;  // bytes that leave
    frame_len_t    keep_end;  // where what is kept of it ends
    logic [7:0]    beats;  // that it holds in its payload ring
  } gw_egress_t;

  // admit -> host queue; the record is complete but for phase and index
  typedef struct packed {
    gw_source_e    source;
    payload_addr_t payload;
    gw_rx_completion_t record;
  } gw_host_frame_t;

  // ---- inside parse --------------------------------------------------------------------------------------------------
  localparam int unsigned WalkBytes = WindowBytes - 34;  // of the window behind an IPv4 header without options
  // A place in the packet: behind the IP header's fixed part, then one header further with each step.
  typedef struct packed {
    logic        ipv6;
    logic        malformed;  // a header ends beyond the IP length
    logic        ended;  // the walk ended outside the window, or in transit
    logic [3:0]  options;  // words of IPv4 options that are still to be skipped
    logic [7:0]  protocol;  // what begins here
    logic [15:0] left;  // bytes from here to the end that the IP length names
    logic [6:0]  room;  // bytes from here to the end of the window
    logic [WalkBytes*8-1:0] bytes;  // from here on; byte 0 in bits 7:0
  } gw_walk_t;

  // parse -> quic: the connection id that a QUIC packet may have.
  localparam int unsigned ConnectionIdBytes = 9;  // that are looked at
  typedef struct packed {
    logic present;  // the packet holds at least the first eight of `bytes`
    logic ninth;  // and the ninth
    logic [ConnectionIdBytes-1:0][7:0] bytes;  // the first one in bits 7:0
  } gw_connection_id_t;

  // What an ICMP error is about: the inner packet's flow, reversed.
  typedef struct packed {
    logic         usable;
    logic [127:0] source_address;
    logic [127:0] destination_address;
    logic [15:0]  source_port;
    logic [15:0]  destination_port;
    logic [7:0]   protocol;
  } gw_inner_flow_t;

  // ---- between the stations of the lookup --------------------------------------------------------------------------
  // parse -> vip, hash, verdict: what the window says. The fields below `control_port` hold only while `decided` is 0.
  typedef struct packed {
    gw_source_e      source;
    gw_inject_t      inject;
    payload_addr_t   payload;
    logic            decided;  // rows 4 to 15 of CARD.md 2 gave `disposition`
    gw_disposition_e disposition;
    gw_disposition_e when_short;
    frame_len_t      needed;
    logic            control_port;  // row 17's ports
    logic            echo;  // an echo request; `source_port` is its checksum
    logic            icmp_error;  // the flow is that of its inner packet, reversed; `disposition` is what it gets without a VIP
    logic            ipv6;
    logic [7:0]      protocol;
    logic [127:0]    source_address;  // IPv4 in the low 32 bits
    logic [127:0]    destination_address;
    logic [15:0]     source_port;
    logic [15:0]     destination_port;
    logic            syn;
    logic            ack;
    logic            fin;
    logic            rst;
    logic [7:0]      traffic_class;  // IPv4: TOS
    logic [15:0]     ip_length;  // IPv4 total length, IPv6 payload length
    logic [31:0]     second_word;  // of an IPv4 header: identification, flags, offset; of an IPv6 one the flow label
    logic [47:0]     source_mac;
    logic [47:0]     destination_mac;
    logic [1:0]      tags;  // VLAN tags that count
    logic [63:0]     tag;  // their bytes, the first one most significant; without meaning beyond `tags`
  } gw_parsed_t;

  // vip -> flow, verdict: which VIP the packet is for.
  typedef struct packed {
    logic        matched;
    logic        any_port;
    logic [11:0] vip;
  } gw_vip_found_t;

  localparam int unsigned FlowPlaces = Banks * FlowWays;  // places of a key, by {bank, way}
  localparam int unsigned FlowRowBits = $clog2(Flows / FlowPlaces);  // log2 of the rows of a flow bank
  localparam int unsigned FlowPlaceBits = $clog2(Flows);
  typedef logic [FlowPlaceBits-1:0] flow_place_t;  // index in the `flow` table: {bank, way, row}
  localparam int unsigned FlowPlacesMax = 16;  // that a command can name: 2 bits each for bank and way

  localparam int unsigned FlowCountBits = FlowPlaceBits + 1;  // flow entries of a VIP
  typedef logic [$clog2(FlowPlaces)-1:0] flow_way_t;  // {bank, way}
  typedef logic [Banks-1:0][FlowRowBits-1:0] flow_rows_t;  // of a key, by bank

  // A row of a bank: what two flows' places must share to be in each other's way.
  typedef struct packed {
    logic [$clog2(Banks)-1:0] bank;
    logic [FlowRowBits-1:0]   row;
  } gw_flow_row_t;

  // Where a key that was looked up could be learned, as the stored words had it then.
  typedef struct packed {
    logic        hidden;  // a wrong bit made another flow's key look like this one: not to be learned
    logic        same;  // the result's place holds the key
    flow_rows_t  rows;
    logic        free;
    flow_way_t   free_way;  // in the bank with the most free ways
    logic        open;  // a place is neither confirmed nor pinned
    flow_way_t   open_way;
    logic [11:0] open_vip;  // whose it is
    logic        own;  // and one of these is the key's VIP's
    flow_way_t   own_way;
  } gw_flow_room_t;

  // flow -> backend: what the flow table holds for the packet's key.
  typedef struct packed {
    logic        found;
    logic        confirmed;
    logic        pinned;
    logic [15:0] backend;
    logic [7:0]  generation;
    flow_place_t place;
    gw_flow_room_t room;
  } gw_flow_result_t;

  localparam int unsigned QuicRotations = 7;  // configurations of QUIC-LB; ids of an eighth are not routable

  // quic -> backend: what the table of server ids holds for the packet's.
  typedef struct packed {
    logic        named;  // the connection id names a server
    logic        found;
    logic [15:0] backend;
    logic [7:0]  generation;
  } gw_quic_result_t;

  // ring -> backend
  typedef struct packed {
    logic [31:0] hash;
    logic [16:0] index;
    logic [15:0] slot;  // SlotEmpty without a ring
  } gw_ring_result_t;

  // backend -> verdict: the candidates with their entries; `exists` 0: no backend of that index
  typedef struct packed {
    logic              flow_exists;
    gw_backend_entry_t flow_entry;  // of the flow's backend; ASSIGN: of the descriptor's
    logic              ring_exists;
    gw_backend_entry_t ring_entry;
    logic              quic_exists;
    gw_backend_entry_t quic_entry;  // of the backend that the connection id names
  } gw_candidates_t;

  // P(i) of the flow word's error correction (CARD.md 7): the code position of data bit i, the i-th number from 3 on that is no
  // power of two.
  function automatic logic [7:0] code_position(input int unsigned bit_index);
    int unsigned p;
    p = bit_index + 3;  // P(0); each power of two at or below moves it on by one
    for (int unsigned k = 2; k < 8; k++) if (p >= (1 << k)) p = p + 1;
    return 8'(p);
  endfunction

  // A word of the flow table without its SECDED bits: the first fields of gw_flow_record_t.
  typedef struct packed {
    logic        confirmed;
    logic        pinned;
    logic        valid;
    logic [7:0]  generation;
    logic [15:0] backend;
    logic [FlowKeyBits-1:0] key;  // {VIP, source, source port, destination port}
  } gw_flow_word_t;

  // flow table -> flow lookup: what a word whose key matched says besides its key.
  typedef struct packed {
    logic [8:0]  ecc;
    logic        confirmed;
    logic        pinned;
    logic [7:0]  generation;
    logic [15:0] backend;
  } gw_flow_payload_t;

  // flow table -> flow lookup: who lives in a place of the key's rows.
  typedef struct packed {
    logic        valid;
    logic        held;  // confirmed or pinned
    logic        own;  // of the key's VIP
    logic [11:0] vip;  // only where it is neither free nor held
  } gw_flow_tenant_t;

  // verdict -> learn: what a packet asks of the flow table.
  typedef struct packed {
    logic        confirm;  // the entry that it hit; otherwise learn its flow
    logic [FlowKeyBits-1:0] key;
    logic [15:0] backend;
    logic [7:0]  generation;
    logic        pinned;  // confirm: as the entry is
    logic        fin;  // confirm: closing bits to set
    logic        rst;
    logic [19:0] quota;
    flow_way_t   way;  // confirm, or `room.same`: where the key is
    gw_flow_room_t room;
  } gw_flow_request_t;

  // flow commands -> learn: the places that a command has to itself, and what it changed.
  typedef struct packed {
    logic         from_valid;
    gw_flow_row_t from;
    logic         into_valid;  // MOVE's destination
    gw_flow_row_t into;
  } gw_flow_claim_t;
  typedef struct packed {
    logic        gain;  // a VIP has an entry more
    logic [11:0] gain_vip;
    logic        loss;  // another one has one less
    logic [11:0] loss_vip;
  } gw_flow_change_t;

  // learn -> host: an entry that the card learned.
  typedef struct packed {
    logic [FlowKeyBits-1:0] key;
    flow_place_t place;
    logic [15:0] backend;
    logic [7:0]  generation;
    logic        replaced;  // another flow's entry was there
  } gw_flow_event_t;

  // Who writes the flow table (commands, learning; later the sweep) -> flow table: one write.
  typedef struct packed {
    logic        word;   // write the entry; the table adds the SECDED bits
    logic        stamp;  // write `last_seen`
    logic        replace;  // write both closing bits
    logic        close;  // set those closing bits that are 1
    flow_place_t place;
    gw_flow_word_t data;
    logic [29:0] last_seen;
    logic        fin;
    logic        rst;
  } gw_flow_write_t;

  // verdict -> encap: the decision, and what encapsulation needs of VIP and backend.
  typedef struct packed {
    gw_disposition_e   disposition;
    gw_disposition_e   when_short;
    frame_len_t        needed;
    gw_egress_class_e  egress_class;
    logic              heartbeat_fallback;
    logic              quic_unknown;  // the connection id's server has no live entry
    logic              over_meter;
    logic              count_vip;
    logic              count_backend;
    logic [11:0]       vip;
    logic [15:0]       backend;
    gw_backend_entry_t entry;  // of `backend`
    logic              encapsulate;
    gw_reply_t         reply;
    logic [13:0]       mtu;  // the VIP's
    logic [5:0]        outer_bytes;  // with `encapsulate`: between the Ethernet header and the inner packet
    logic              source_zero;  // the VIP hashes the destination port only
    logic              port_zero;  // the VIP hashes without the source port
  } gw_verdict_t;

  // Tokens of a meter, in thousandths. A bucket holds at most MeterFull, and now and then lacks a few: signed.
  localparam int unsigned MeterBits = 28;
  typedef logic signed [MeterBits-1:0] gw_tokens_t;
  localparam gw_tokens_t MeterToken = 28'sd1000;
  localparam gw_tokens_t MeterFull = 28'sh3ff_ffff;  // of a VIP without a meter; above every burst
  // ---- inside encap ------------------------------------------------------------------------------------------------
  // What a header that is sent is made of.
  typedef struct packed {
    logic         reply;  // back to where the frame came from, behind its own tags
    logic         type_ipv6;  // the EtherType is IPv6
    logic         outer_ipv6;
    logic         udp;
    logic         icmp;  // an ICMP error of the card
    logic [7:0]   protocol;
    logic [7:0]   traffic_class;
    logic [15:0]  length;  // the header's length field
    logic [31:0]  second_word;  // identification, flags and offset, or a flow label
    logic [127:0] source;  // IPv4 in the low 32 bits
    logic [127:0] destination;
    logic [63:0]  tail;  // behind the IP header: GRE, UDP or ICMP
    logic [47:0]  sender_mac;  // of the received frame
    logic [47:0]  received_mac;
  } gw_outer_t;

  // verdict -> flow stamps: a packet of the wire hit this entry.
  typedef struct packed {
    flow_place_t place;
    logic        fin;
    logic        rst;
  } gw_flow_hit_t;

  // admit -> counters: the final disposition of one frame.
  typedef struct packed {
    logic            valid;
    gw_disposition_e disposition;
    logic            heartbeat_fallback;
    logic            quic_unknown;
    logic            over_meter;
    logic            count_vip;
    logic [11:0]     vip;
    logic            count_backend;
    logic [15:0]     backend;
    logic [15:0]     ip_bytes;
    frame_len_t      length;  // of the frame
  } gw_admission_t;

  // decide -> trace: what the window of one frame led to, in the cycle of its verdict. What section 9 of CARD.md wants 0 is 0.
  typedef struct packed {
    logic            injected;
    gw_disposition_e decided;
    logic            ipv6;
    logic [1:0]      tags;
    logic            icmp_error;
    logic            syn;
    logic            fin;
    logic            rst;
    logic            vip_valid;
    logic            any_port;
    logic            over_meter;
    logic            quic_named;
    logic            quic_live;
    logic            learns;
    logic            flow_found;
    logic            flow_stale;
    logic            flow_confirmed;
    logic            flow_pinned;
    logic [3:0]      flow_place;
    logic [7:0]      flow_generation;
    logic [15:0]     flow_backend;
    logic [11:0]     vip;
    logic [16:0]     ring_index;
    logic [15:0]     ring_backend;
    logic [15:0]     backend;
    logic [2:0]      encap;
    logic [5:0]      next_hop;
    logic [7:0]      protocol;
    logic [15:0]     source_port;
    logic [15:0]     destination_port;
    logic [127:0]    source;
    logic [127:0]    destination;
  } gw_trace_view_t;

  // Which packets are traced.
  typedef struct packed {
    logic         enable;
    logic         match_vip;
    logic         match_family;
    logic         ipv6;
    logic [3:0]   sample_log2;
    logic [11:0]  vip;
    logic [127:0] source;
    logic [127:0] source_mask;
    logic [127:0] destination;
    logic [127:0] destination_mask;
    logic [15:0]  source_port;
    logic [15:0]  source_port_mask;
    logic [15:0]  destination_port;
    logic [15:0]  destination_port_mask;
    logic [7:0]   protocol;
    logic [7:0]   protocol_mask;
  } gw_trace_filter_t;

  // ---- configuration that registers give the path ------------------------------------------------------------------
  typedef struct packed {
    logic         port_enable;
    logic         unmatched_drop;
    logic         compute_only;
    logic         counters_hold;
    gw_reply_t    replies;  // what the card answers at all
    logic         mac_filter;
    logic [47:0]  mac;  // most significant byte first
    logic [31:0]  ipip_source_v4;
    logic [127:0] ipip_source_v6;  // register word 0 is the most significant
    logic [31:0]  source_v4;  // of GRE and GUE
    logic [127:0] source_v6;
    logic [15:0]  gue_port;
    logic [QuicRotations-1:0][3:0] quic_lb;  // bytes of a QUIC-LB server id, by rotation
    logic [3:0][15:0] egress_threshold;
    logic [1:0][15:0] icmp_rate;  // of answers, numbered as gw_reply_t's bits
    logic [1:0][15:0] icmp_burst;
    logic [1:0]       icmp_written;  // pulse: rate and burst are new
    logic [Banks-1:0][SecretBits-1:0] secret;
    gw_trace_filter_t trace;
  } gw_config_t;

  // ---- table access by commands ------------------------------------------------------------------------------------
  // One port for all tables, driven by gw_command. `write` takes effect in one cycle. A `read` is answered by the table's
  // `rvalid` TableAccessLatency cycles later for every table (tables with shorter latency pad). `clear` (after a card reset)
  // writes zero, which `wdata` then is, at `index` of every table at once, where the table is that long.
  localparam int unsigned TableAccessLatency = 16;
  typedef struct packed {
    logic              write;
    logic              read;
    logic              clear;
    gw_table_e         table_id;
    logic [19:0]       index;
    logic [BeatBits-1:0] wdata;
  } gw_table_req_t;

  // One command, checked in `gw_command`; see CARD.md 7.
  typedef struct packed {
    gw_status_e  status;
    logic [31:0] result;
  } gw_command_rsp_t;

  // ---- host side: rings and DMA -------------------------------------------------------------------------------------
  // Registers of a ring; `*_written` pulses when `producer`, `consumer` or `arm` holds what was just written.
  typedef struct packed {
    logic        enable;
    logic [3:0]  size_log2;
    logic [63:0] base;  // descriptors
    logic [63:0] completion;
    logic [15:0] producer;
    logic        producer_written;
    logic [15:0] arm;
    logic        arm_written;
  } gw_descriptor_ring_config_t;
  typedef struct packed {
    logic [15:0] completed;
    logic [7:0]  status;
  } gw_descriptor_ring_state_t;
  typedef struct packed {
    logic        enable;
    logic [3:0]  size_log2;
    logic [3:0]  stride_log2;
    logic [63:0] base;  // completions
    logic [63:0] buffer;
    logic [15:0] consumer;
    logic        consumer_written;
    logic [15:0] arm;
    logic        arm_written;
  } gw_rx_queue_config_t;
  typedef struct packed {
    logic [15:0] producer;
    logic [7:0]  status;
  } gw_rx_queue_state_t;

  // How a descriptor ended, on its way into its completion.
  typedef struct packed {
    gw_status_e  status;
    logic [31:0] tag;
    logic [31:0] result;
  } gw_answer_t;

  localparam int unsigned DmaReadBeats = 8;  // longest burst: 512 bytes, naturally aligned
  localparam int unsigned DmaWriteBeats = 4;  // 256 bytes, naturally aligned

  // One beat of a write burst. `address` and `beats` hold with every beat.
  typedef struct packed {
    logic [63:0] address;  // of the burst, a multiple of 64
    logic [2:0]  beats;  // 1 to DmaWriteBeats
    logic        last;
    logic [BeatBytes-1:0] strobe;
    logic [BeatBits-1:0]  data;
  } gw_dma_beat_t;

  // Channels of the DMA master are its AXI IDs.
  localparam int unsigned DmaReadCommand = 0;  // command descriptors
  localparam int unsigned DmaReadTable = 1;  // data of WRITE
  localparam int unsigned DmaReadTx = 2;  // TX descriptors
  localparam int unsigned DmaReadFrame = 3;  // TX frames
  localparam int unsigned DmaReadChannels = 4;
  localparam int unsigned DmaWriteRx = 0;
  localparam int unsigned DmaWriteTx = 1;
  localparam int unsigned DmaWriteTable = 2;  // what DUMP read
  localparam int unsigned DmaWriteCommand = 3;  // completions of commands
  localparam int unsigned DmaWriteMsix = 4;
  localparam int unsigned DmaWriteRecord = 5;  // traced packets and learned entries: last of all
  localparam int unsigned DmaWriteChannels = 6;

  localparam int unsigned MsixVectors = 8;
  localparam int unsigned VectorTx = 4;  // RX class c: c
  localparam int unsigned VectorCommand = 5;
  localparam int unsigned VectorEvent = 6;
  localparam int unsigned VectorRecord = 7;
endpackage
