// Decides: forward by connection id, by flow, by the host's order or by the ring, punt, host or drop (CARD.md 2 rows 16 to 18, and 4).
//
// Latency:    VerdictLatency: what is known of the candidates, the row that applies, the encapsulation's checks, the meter's answer.
// Throughput: one packet a cycle; never stalls.
// Drops when: never here; it decides drops, which gw_admit carries out.
module gw_verdict
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic              unmatched_drop_i,
    input  logic              compute_only_i,
    input  logic              host_alive_i,
    input  gw_reply_t        replies_i,  // what the card answers at all
    input  logic              valid_i,
    // A station takes the whole packet and the whole entries, and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_parsed_t        parsed_i,
    input  gw_vip_entry_t     entry_i,
    input  gw_quic_result_t   quic_i,  // its backend is a candidate
    // verilator lint_on UNUSEDSIGNAL
    input  gw_vip_found_t     found_i,
    input  gw_flow_result_t   flow_i,
    input  gw_ring_result_t   ring_i,
    input  gw_candidates_t    candidates_i,
    output logic              valid_o,
    output gw_verdict_t       verdict_o,
    output gw_rx_completion_t record_o,
    output logic              want_token_o,  // two cycles after valid_i: a packet that is the host's when gw_meter has a token for it
    input  logic              over_i,  // a cycle later: it has none
    output logic              hit_valid_o,  // a packet of the wire, no ICMP error, hit this flow entry
    output gw_flow_hit_t      hit_o,
    output logic              request_valid_o,  // what it asks of the flow table, in the same cycle as `valid_o`
    output gw_flow_request_t  request_o
);

  localparam int unsigned LengthBits = 17;  // of an IP packet, with the header that an IPv6 length leaves out
  localparam int unsigned SpreadBits = 8;  // of the flow hash, that choose among next hops
  localparam int unsigned HopBits = 4;
  localparam int unsigned DontFragment = 14;  // in an IPv4 header's second word
  localparam logic [5:0] Ipv4Bytes = 6'd20;
  localparam logic [5:0] Ipv6Bytes = 6'd40;
  localparam logic [5:0] GreBytes = 6'd4;
  localparam logic [5:0] GreKeyBytes = 6'd4;
  localparam logic [5:0] UdpBytes = 6'd8;

  function automatic logic is_usable(logic [1:0] state);
    return state == BackendStateUp || state == BackendStateDraining;
  endfunction

  // What the encapsulation puts between Ethernet header and inner packet.
  // verilator lint_off UNUSEDSIGNAL
  function automatic logic [5:0] outer_bytes_of(gw_backend_entry_t entry);
    // verilator lint_on UNUSEDSIGNAL
    logic [5:0] own;
    unique case (entry.encap)
      EncapL2: return '0;
      EncapGre: own = GreBytes + (entry.key_present ? GreKeyBytes : '0);
      EncapGue: own = UdpBytes;
      default: own = '0;
    endcase
    return (entry.ipv6 ? Ipv6Bytes : Ipv4Bytes) + own;
  endfunction

  // Whether an address is that of a single host, which an ICMP error may be sent to (RFC 1122 3.2.2, RFC 4443 2.4 e).
  function automatic logic is_host(logic ipv6, logic [127:0] address);
    if (ipv6) return !(address inside {128'd0, 128'd1}) && address[127:120] != 8'hff;
    return !(address[31:24] inside {8'd0, 8'd127, [8'd224 : 8'd255]});
  endfunction

  logic [VerdictLatency-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[VerdictLatency-2:0], valid_i};
  end
  assign valid_o = valid_q[VerdictLatency-1];

  // ---- stage 1: what is known of the candidates --------------------------------------------------------------------
  typedef struct packed {
    logic                 decided;  // by parse
    logic                 matched;
    logic                 assigned;
    logic                 wire_frame;
    logic                 flow_live;
    logic                 flow_new;  // to be decided afresh: SYN to a draining backend
    logic                 quic_live;
    logic                 ring_exists;
    logic                 ring_usable;
    logic                 wants_host;  // a miss is the host's to decide
    logic                 metered;
    logic                 fallback;  // a miss that the ring gets counts as heartbeat_fallback
    logic                 learns;  // and its flow is learned
    logic                 confirms;  // a hit confirms its entry
    logic                 control_port;
    logic                 icmp_error;
    logic                 echo;
    logic                 echo_answered;
    logic                 too_big_answered;
    logic                 too_big_hosted;  // goes to the host instead
    logic [LengthBits-1:0] inner_length;  // of the whole IP packet
    logic [SpreadBits-1:0] spread;  // of the flow hash
    logic [13:0]          mtu;
    logic [5:0]           flow_outer_bytes;
    logic [5:0]           ring_outer_bytes;
    logic [5:0]           quic_outer_bytes;
    logic [15:0]          flow_backend;  // or the host's
    logic [15:0]          ring_backend;
    logic [15:0]          quic_backend;
  } facts_t;

  facts_t            facts_d, facts_q;
  gw_verdict_t       verdict1_d, verdict1_q;
  gw_backend_entry_t flow_entry_q, ring_entry_q, quic_entry_q;
  gw_flow_hit_t      hit1_d, hit1_q, hit2_q, hit3_q, hit4_q;
  gw_flow_request_t  request1_d, request1_q, request2_q, request3_q, request4_q;
  gw_rx_completion_t record1_d, record1_q, record2_q, record3_q, record4_q;
  logic              punt, opens, flow_usable;
  logic              wants_token_d, wants_token_q;  // a packet for the host whose VIP has a meter
  logic       [ 7:0] generation;

  always_comb begin
    punt = entry_i.miss_policy == MissPolicyPunt;
    opens = parsed_i.syn && !parsed_i.ack;
    facts_d.decided = parsed_i.decided;
    facts_d.matched = found_i.matched;
    facts_d.wire_frame = parsed_i.source == SourceWire;
    facts_d.assigned = !facts_d.wire_frame;
    generation = facts_d.assigned ? parsed_i.inject.generation : flow_i.generation;
    flow_usable = candidates_i.flow_exists && is_usable(candidates_i.flow_entry.state);
    facts_d.flow_live = flow_usable && candidates_i.flow_entry.generation == generation;
    facts_d.flow_new = candidates_i.flow_entry.state == BackendStateDraining && opens;
    facts_d.quic_live = candidates_i.quic_exists && is_usable(candidates_i.quic_entry.state) &&
        candidates_i.quic_entry.generation == quic_i.generation;
    facts_d.ring_exists = candidates_i.ring_exists;
    facts_d.ring_usable = is_usable(candidates_i.ring_entry.state);
    facts_d.wants_host = punt && host_alive_i && !compute_only_i;
    facts_d.metered = entry_i.meter_rate != '0;
    facts_d.fallback = punt && !compute_only_i;
    facts_d.learns = (punt || entry_i.miss_policy == MissPolicyLearn) && !compute_only_i && !parsed_i.rst;
    facts_d.confirms = !flow_i.confirmed && !opens;
    facts_d.control_port = parsed_i.control_port;
    facts_d.icmp_error = parsed_i.icmp_error;
    facts_d.echo = parsed_i.echo;
    facts_d.echo_answered = found_i.matched && entry_i.echo && replies_i.echo;
    facts_d.too_big_answered = replies_i.too_big && facts_d.wire_frame && !parsed_i.icmp_error &&
        (parsed_i.ipv6 || parsed_i.second_word[DontFragment]) && is_host(parsed_i.ipv6, parsed_i.source_address);
    facts_d.too_big_hosted = entry_i.fragment_too_big && host_alive_i && !parsed_i.ipv6 && !parsed_i.second_word[DontFragment];
    // an IPv6 packet's own header is not in its length
    facts_d.inner_length = LengthBits'(parsed_i.ip_length) + (parsed_i.ipv6 ? LengthBits'(Ipv6Bytes) : '0);
    facts_d.spread = facts_d.assigned ? parsed_i.inject.spread : ring_i.hash[31-:SpreadBits];
    facts_d.mtu = entry_i.mtu;
    facts_d.flow_outer_bytes = outer_bytes_of(candidates_i.flow_entry);
    facts_d.ring_outer_bytes = outer_bytes_of(candidates_i.ring_entry);
    facts_d.quic_outer_bytes = outer_bytes_of(candidates_i.quic_entry);
    facts_d.flow_backend = facts_d.assigned ? parsed_i.inject.backend : flow_i.backend;
    facts_d.ring_backend = ring_i.slot;
    facts_d.quic_backend = quic_i.backend;

    verdict1_d = '0;
    verdict1_d.disposition = parsed_i.disposition;
    verdict1_d.when_short = parsed_i.when_short;
    verdict1_d.needed = parsed_i.needed;
    verdict1_d.vip = found_i.vip;
    verdict1_d.mtu = entry_i.mtu;
    verdict1_d.count_vip = facts_d.wire_frame && !parsed_i.decided && found_i.matched;
    verdict1_d.quic_unknown = quic_i.named && !facts_d.quic_live;
    verdict1_d.source_zero = entry_i.hash_destination_port_only;
    verdict1_d.port_zero = entry_i.hash_no_source_port;

    // what the host is told of a punt
    record1_d = '0;
    record1_d.vip_valid = 1'b1;
    record1_d.any_port = found_i.any_port;
    record1_d.flow_found = flow_i.found;
    record1_d.flow_stale = flow_i.found && !facts_d.flow_live;
    record1_d.syn = parsed_i.syn;
    record1_d.fin = parsed_i.fin;
    record1_d.rst = parsed_i.rst;
    record1_d.ipv6 = parsed_i.ipv6;
    record1_d.vip = found_i.vip;
    record1_d.pool = entry_i.pool;
    record1_d.protocol = parsed_i.protocol;
    record1_d.flow_hash = {facts_d.spread, ring_i.hash[31-SpreadBits:0]};
    record1_d.ring_index = ring_i.index;
    record1_d.ring_backend = ring_i.slot;
    record1_d.flow_backend = flow_i.found ? flow_i.backend : '1;
    record1_d.source = parsed_i.source_address;
    record1_d.source_port = parsed_i.source_port;
    record1_d.destination_port = parsed_i.destination_port;
  end

  // A hit that confirms brings its closing bits with the confirmation: should another flow get the place meanwhile, both are refused.
  always_comb begin
    hit1_d = '{
      place: flow_i.place,
      fin: parsed_i.fin && flow_i.confirmed && !opens,
      rst: parsed_i.rst && flow_i.confirmed && !opens
    };
    request1_d        = '0;
    request1_d.key    = {found_i.vip, parsed_i.source_address, parsed_i.source_port, parsed_i.destination_port};
    request1_d.pinned = flow_i.pinned;
    request1_d.fin    = parsed_i.fin;
    request1_d.rst    = parsed_i.rst;
    request1_d.quota  = entry_i.quota;
    request1_d.way    = flow_i.place[FlowPlaceBits-1:FlowRowBits];
    request1_d.room   = flow_i.room;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      facts_q      <= facts_d;
      verdict1_q   <= verdict1_d;
      flow_entry_q <= candidates_i.flow_entry;
      ring_entry_q <= candidates_i.ring_entry;
      quic_entry_q <= candidates_i.quic_entry;
      record1_q    <= record1_d;
      hit1_q       <= hit1_d;
      request1_q   <= request1_d;
    end
  end

  // ---- stage 2: the first row that applies -------------------------------------------------------------------------
  gw_verdict_t          verdict2_d, verdict2_q;
  logic                 by_flow, by_ring;
  gw_disposition_e      ring_row, over_row2_q;  // rows 5 to 7; of a packet that finds no token
  // what the MTU leaves beside the inner packet; negative when that alone is too long
  logic signed [LengthBits:0] room_d, room_q;

  always_comb begin
    if (!facts_q.ring_exists) ring_row = DispositionDropNoBackend;
    else if (!facts_q.ring_usable) ring_row = DispositionDropBackendDown;
    else ring_row = DispositionForwardRing;

    by_flow = facts_q.flow_live && !facts_q.flow_new;
    wants_token_d = facts_q.wants_host && facts_q.metered && !facts_q.decided && !facts_q.assigned && !facts_q.echo && facts_q.matched &&
        !facts_q.quic_live && !by_flow;

    verdict2_d = verdict1_q;
    if (!facts_q.decided) begin
      if (facts_q.assigned) begin
        verdict2_d.disposition = facts_q.matched && facts_q.flow_live ? DispositionForwardInject : DispositionDropInjectInvalid;
      end else if (facts_q.echo) begin
        verdict2_d.disposition = facts_q.echo_answered ? DispositionForwardEcho : DispositionHostUnsupported;
        verdict2_d.count_vip = facts_q.echo_answered;
        verdict2_d.reply.echo = facts_q.echo_answered;
      end else if (!facts_q.matched) begin
        if (facts_q.icmp_error) verdict2_d.disposition = DispositionHostIcmpError;
        else if (facts_q.control_port) verdict2_d.disposition = DispositionHostControl;
        else verdict2_d.disposition = unmatched_drop_i ? DispositionDropUnmatched : DispositionHostUnmatched;
      end
      else if (facts_q.quic_live) verdict2_d.disposition = DispositionForwardQuic;
      else if (by_flow) verdict2_d.disposition = DispositionForwardHit;
      else if (facts_q.wants_host) verdict2_d.disposition = facts_q.icmp_error ? DispositionHostIcmpError : DispositionHostPunt;
      else verdict2_d.disposition = ring_row;
    end

    verdict2_d.heartbeat_fallback = verdict2_d.disposition == DispositionForwardRing && facts_q.fallback;
    // The backend, should one be wanted. A packet that gw_meter has no token for goes by the ring too.
    by_ring = !facts_q.assigned && !facts_q.quic_live && !by_flow;
    verdict2_d.entry = by_ring ? ring_entry_q : facts_q.quic_live ? quic_entry_q : flow_entry_q;
    verdict2_d.backend = by_ring ? facts_q.ring_backend : facts_q.quic_live ? facts_q.quic_backend : facts_q.flow_backend;
    verdict2_d.outer_bytes = by_ring ? facts_q.ring_outer_bytes : facts_q.quic_live ? facts_q.quic_outer_bytes :
        facts_q.flow_outer_bytes;
    room_d = signed'((LengthBits + 1)'(facts_q.mtu)) - signed'((LengthBits + 1)'(facts_q.inner_length));
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[0]) begin
      verdict2_q   <= verdict2_d;
      room_q       <= room_d;
      over_row2_q  <= ring_row == DispositionForwardRing ? DispositionForwardOverMeter : ring_row;
      hit2_q       <= hit1_q;
      request2_q   <= request1_q;
      record2_q    <= record1_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) wants_token_q <= 1'b0;
    else wants_token_q <= valid_q[0] && wants_token_d;
  end
  assign want_token_o = wants_token_q;

  // ---- stage 3: whether the encapsulation can carry it ---------------------------------------------------------------
  // What is known before gw_meter answers.
  typedef struct packed {
    logic forwards;  // to a backend, when the encapsulation can carry it
    logic hits;
    logic rings;
    logic explains;  // the host is told all of a miss, also of one that is an ICMP error
    logic over_forwards;  // likewise, without a token
    logic supported;
    logic too_big;
  } checks_t;

  gw_verdict_t      verdict3_q;
  checks_t          checks_d, checks_q;
  gw_egress_class_e class_d, class_q;  // of a packet that has its token, or wants none
  gw_disposition_e  over_row3_q, blocked_row_q;
  logic [SpreadBits-1:0]         spread2_q;
  logic [SpreadBits+HopBits-1:0] spread_d;
  logic [HopBits-1:0]            hop3_q;  // of the backend's next hops
  logic             stamps2_q, learns2_q, confirms2_q, too_big_answered2_q, too_big_hosted2_q;
  logic             stamps3_q, learns3_q, confirms3_q, too_big_answered3_q, hosted_q;

  always_comb begin
    checks_d.hits = verdict2_q.disposition == DispositionForwardHit;
    checks_d.rings = verdict2_q.disposition == DispositionForwardRing;
    checks_d.forwards = verdict2_q.disposition inside {DispositionForwardHit, DispositionForwardRing, DispositionForwardInject,
                                                       DispositionForwardQuic};
    checks_d.explains = verdict2_q.disposition == DispositionHostPunt ||
        (verdict2_q.disposition == DispositionHostIcmpError && verdict2_q.count_vip);
    checks_d.over_forwards = over_row2_q == DispositionForwardOverMeter;
    checks_d.supported = verdict2_q.entry.encap inside {EncapIpip, EncapGre, EncapGue, EncapL2};
    spread_d = spread2_q * ((SpreadBits + HopBits)'(verdict2_q.entry.more_next_hops) + 1'b1);
    checks_d.too_big = room_q < signed'((LengthBits + 1)'(verdict2_q.outer_bytes));
    unique case (verdict2_q.disposition)
      DispositionForwardRaw: class_d = EgressClassRaw;
      DispositionForwardHit, DispositionForwardQuic: class_d = EgressClassHit;
      default: class_d = EgressClassNew;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[0]) begin
      stamps2_q           <= facts_q.wire_frame && !facts_q.icmp_error;
      learns2_q           <= facts_q.learns;
      confirms2_q         <= facts_q.confirms;
      too_big_answered2_q <= facts_q.too_big_answered;
      too_big_hosted2_q   <= facts_q.too_big_hosted;
      spread2_q           <= facts_q.spread;
    end
    if (valid_q[1]) begin
      verdict3_q          <= verdict2_q;
      checks_q            <= checks_d;
      class_q             <= class_d;
      hop3_q              <= spread_d[SpreadBits+:HopBits];
      over_row3_q         <= over_row2_q;
      blocked_row_q       <= !checks_d.supported ? DispositionDropEncapUnsupported :
          too_big_answered2_q ? DispositionForwardTooBig : too_big_hosted2_q ? DispositionHostTooBig : DispositionDropTooBig;
      hosted_q            <= checks_d.supported && checks_d.too_big && too_big_hosted2_q;
      hit3_q              <= hit2_q;
      request3_q          <= request2_q;
      record3_q           <= record2_q;
      stamps3_q           <= stamps2_q;
      learns3_q           <= learns2_q;
      confirms3_q         <= confirms2_q;
      too_big_answered3_q <= too_big_answered2_q;
    end
  end

  logic unused_spread;
  assign unused_spread = ^spread_d[SpreadBits-1:0];

  // ---- stage 4: whether it has its token -----------------------------------------------------------------------------
  gw_verdict_t verdict4_d, verdict4_q;
  logic        forwards, blocked, carried;
  logic        hit, learn, hit_valid_q, request_valid_q;

  always_comb begin
    forwards = over_i ? checks_q.over_forwards : checks_q.forwards;
    blocked  = !checks_q.supported || checks_q.too_big;
    carried  = !blocked || hosted_q;

    verdict4_d = verdict3_q;
    verdict4_d.entry.next_hop = verdict3_q.entry.next_hop + 8'(hop3_q);
    verdict4_d.disposition  = over_i ? over_row3_q : verdict3_q.disposition;
    verdict4_d.egress_class = over_i ? (checks_q.over_forwards ? EgressClassOverMeter : EgressClassNew) : class_q;
    verdict4_d.over_meter   = over_i;
    if (forwards && blocked) begin
      verdict4_d.disposition   = blocked_row_q;
      verdict4_d.egress_class  = EgressClassNew;
      verdict4_d.reply.too_big = checks_q.supported && too_big_answered3_q;
    end
    verdict4_d.encapsulate   = forwards && !blocked;
    verdict4_d.count_backend = forwards && !blocked;
  end

  assign hit   = valid_q[2] && stamps3_q && checks_q.hits && carried;
  assign learn = valid_q[2] && stamps3_q && learns3_q && carried && (over_i ? checks_q.over_forwards : checks_q.rings);
  always_ff @(posedge clk_i) begin
    hit_valid_q     <= hit;
    request_valid_q <= learn || (hit && confirms3_q);
    if (!rst_ni) begin
      hit_valid_q     <= 1'b0;
      request_valid_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (valid_q[2]) begin
      verdict4_q <= verdict4_d;
      hit4_q     <= hit3_q;
      record4_q  <= checks_q.explains && !over_i ? record3_q : '0;
      if (forwards && hosted_q) begin
        record4_q.vip_valid    <= 1'b1;
        record4_q.vip          <= verdict3_q.vip;
        record4_q.ring_backend <= verdict3_q.backend;
        record4_q.generation   <= verdict3_q.entry.generation;
        record4_q.flow_hash    <= {record3_q.flow_hash[31-:SpreadBits], (32 - SpreadBits)'(0)};
      end
      request4_q            <= request3_q;
      request4_q.confirm    <= hit;
      request4_q.backend    <= verdict3_q.backend;
      request4_q.generation <= verdict3_q.entry.generation;
    end
  end

  assign verdict_o   = verdict4_q;
  assign record_o    = record4_q;
  assign hit_valid_o = hit_valid_q;
  assign hit_o       = hit4_q;
  assign request_valid_o = request_valid_q;
  assign request_o       = request4_q;
endmodule
