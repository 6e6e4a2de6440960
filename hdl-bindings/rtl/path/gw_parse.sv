// Reads a frame's window: tags, addresses, ports and lengths that the stations after it use, and the verdicts that need no
// table (CARD.md 2, rows 4 to 15).
//
// Latency:    ParseLatency: tags; the view behind them; fields; a step an extension header; lengths; ports; rows.
// Throughput: one window a cycle; never stalls.
// Drops when: never here; it decides drops, which gw_admit carries out.
//
// Rows 1 to 3 need the frame's end and are gw_admit's. So is the part of row 10 that compares the IP length with the frame's:
// `needed` and `when_short` tell it.
module gw_parse
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        mac_filter_i,
    input  logic [47:0] mac_i,
    input  logic        valid_i,
    input  gw_window_t  window_i,
    output logic        valid_o,
    output gw_parsed_t  parsed_o,
    output gw_connection_id_t connection_id_o
);

  localparam int unsigned Ethernet = 14;
  localparam int unsigned Tag = 4;
  localparam int unsigned Ipv4 = 20;  // without options
  localparam int unsigned Ipv6 = 40;
  localparam int unsigned ViewBytes = WindowBytes - Ethernet;

  localparam logic [15:0] EtherIpv4 = 16'h0800;
  localparam logic [15:0] EtherArp = 16'h0806;
  localparam logic [15:0] EtherIpv6 = 16'h86dd;
  localparam logic [15:0] EtherSlow = 16'h8809;
  localparam logic [15:0] EtherLldp = 16'h88cc;
  localparam logic [15:0] Tpid8021q = 16'h8100;
  localparam logic [15:0] Tpid8021ad = 16'h88a8;
  localparam logic [15:0] TpidOld = 16'h9100;  // outer tag of bridges older than 802.1ad
  localparam logic [7:0] ProtocolIcmp = 8'd1;
  localparam logic [7:0] ProtocolTcp = 8'd6;
  localparam logic [7:0] ProtocolUdp = 8'd17;
  localparam logic [7:0] ProtocolFragment = 8'd44;
  localparam logic [7:0] ProtocolIcmpv6 = 8'd58;
  localparam logic [15:0] PortBgp = 16'd179;
  localparam logic [6:0] TcpBytes = 7'd20;
  localparam logic [6:0] UdpBytes = 7'd8;  // and ICMP's

  typedef logic [ViewBytes*8-1:0] view_t;

  // `n` bytes from `offset`, the first one most significant, as headers have it.
  function automatic logic [15:0] word16(view_t from, int unsigned offset);
    return {from[offset*8+:8], from[(offset+1)*8+:8]};
  endfunction
  function automatic logic [31:0] word32(view_t from, int unsigned offset);
    return {word16(from, offset), word16(from, offset + 2)};
  endfunction
  function automatic logic [127:0] word128(view_t from, int unsigned offset);
    return {word32(from, offset), word32(from, offset + 4), word32(from, offset + 8), word32(from, offset + 12)};
  endfunction
  function automatic logic is_tpid(logic [15:0] ether_type);
    return ether_type inside {Tpid8021q, Tpid8021ad, TpidOld};
  endfunction
  function automatic logic is_neighbour_discovery(logic [7:0] icmp_type);
    return icmp_type inside {[8'd133 : 8'd137]};
  endfunction

  // Whether the frame ended in the window is gw_admit's to know: beyond `bytes` nothing is trusted here.
  logic unused_complete;
  assign unused_complete = window_i.complete;

  logic valid1_q, valid2_q, valid3_q, walked_valid, lengths_valid_q, ports_valid_q, rows_valid_q;
  always_ff @(posedge clk_i) begin
    valid1_q        <= valid_i && rst_ni;
    valid2_q        <= valid1_q && rst_ni;
    valid3_q        <= valid2_q && rst_ni;
    lengths_valid_q <= walked_valid && rst_ni;
    ports_valid_q   <= lengths_valid_q && rst_ni;
    rows_valid_q    <= ports_valid_q && rst_ni;
  end
  assign valid_o = rows_valid_q;

  // ---- stage 1: how many tags ------------------------------------------------------------------------------------
  typedef struct packed {
    gw_source_e    source;
    gw_inject_t    inject;
    payload_addr_t payload;
    logic [47:0]   destination_mac;
    logic [47:0]   source_mac;
    logic [1:0]    tags;
    logic [7:0]    bytes;  // of the frame in the window
  } front_t;

  // What begins behind the tags.
  typedef struct packed {
    logic ipv4;
    logic ipv6;
    logic link_control;
  } kind_t;

  function automatic kind_t kind_of(logic [15:0] ether_type);
    return '{
        ipv4: ether_type == EtherIpv4,
        ipv6: ether_type == EtherIpv6,
        link_control: ether_type inside {EtherArp, EtherSlow, EtherLldp}
    };
  endfunction

  front_t                   front1_d, front1_q, front2_q;
  kind_t [2:0]              kinds_q;  // by the number of tags
  logic [WindowBytes*8-1:0] data_q;
  view_t                    start;

  assign start = view_t'(window_i.data);
  always_comb begin
    front1_d.source = window_i.source;
    front1_d.inject = window_i.inject;
    front1_d.payload = window_i.payload;
    front1_d.destination_mac = {word32(start, 0), word16(start, 4)};
    front1_d.source_mac = {word16(start, 6), word32(start, 8)};
    front1_d.bytes = window_i.bytes;
    front1_d.tags = 2'd0;
    if (is_tpid(word16(start, 12)) && window_i.bytes >= 8'(Ethernet + Tag)) begin
      front1_d.tags = is_tpid(word16(start, 16)) && window_i.bytes >= 8'(Ethernet + 2 * Tag) ? 2'd2 : 2'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      front1_q <= front1_d;
      data_q   <= window_i.data;
      for (int unsigned n = 0; n < 3; n++) kinds_q[n] <= kind_of(word16(start, 12 + Tag * n));
    end
  end

  // ---- stage 2: the view behind them -----------------------------------------------------------------------------
  kind_t       kind_d, kind_q;
  logic [7:0]  bytes_behind_tags_q;
  logic [63:0] tag_q;
  view_t       view_d, view_q;

  always_comb begin
    unique case (front1_q.tags)
      2'd0: begin
        kind_d = kinds_q[0];
        view_d = view_t'(data_q >> Ethernet * 8);
      end
      2'd1: begin
        kind_d = kinds_q[1];
        view_d = view_t'(data_q >> (Ethernet + Tag) * 8);
      end
      default: begin
        kind_d = kinds_q[2];
        view_d = view_t'(data_q >> (Ethernet + 2 * Tag) * 8);
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (valid1_q) begin
      front2_q     <= front1_q;
      kind_q       <= kind_d;
      bytes_behind_tags_q <= front1_q.bytes - {4'd0, front1_q.tags, 2'd0};
      tag_q        <= {word32(view_t'(data_q), 12), word32(view_t'(data_q), 16)};
      view_q       <= view_d;
    end
  end

  // ---- stage 3: the fields ---------------------------------------------------------------------------------------
  typedef struct packed {
    logic raw;  // row 4
    logic wire_frame;
    logic mac_mismatch;  // row 5
    logic group;  // rows 6, 7
    logic link_control;  // row 8
    logic discovery;  // row 6's IPv6 ICMP
    logic ipv4;
    logic ipv6;
    logic malformed;  // row 10, as far as the IP header's first bytes tell
    logic fragment;  // IPv4's
    logic plain;  // no options, or layer 4 right behind IPv6's header: where an echo request may be
  } facts_t;

  facts_t     facts_d, facts_q, facts;
  gw_parsed_t fields_d, fields_q, fields;  // ports, flags, protocol and lengths come later
  gw_walk_t   walk_d, walk_q;
  logic [3:0] header_words;
  logic       short_total;  // below the header without options

  always_comb begin
    header_words = view_q[3:0];

    fields_d = '0;
    fields_d.source = front2_q.source;
    fields_d.inject = front2_q.inject;
    fields_d.payload = front2_q.payload;
    fields_d.destination_mac = front2_q.destination_mac;
    fields_d.source_mac = front2_q.source_mac;
    fields_d.tags = front2_q.tags;
    fields_d.tag = tag_q;
    fields_d.ipv6 = kind_q.ipv6;

    walk_d = '0;
    walk_d.ipv6 = fields_d.ipv6;
    if (fields_d.ipv6) begin
      fields_d.second_word = {12'd0, view_q[11:8], word16(view_q, 2)};
      fields_d.source_address = word128(view_q, 8);
      fields_d.destination_address = word128(view_q, 24);
      fields_d.traffic_class = {view_q[3:0], view_q[15:12]};
      fields_d.ip_length = word16(view_q, 4);
      short_total = 1'b0;
      walk_d.protocol = view_q[6*8+:8];
      walk_d.left = word16(view_q, 4);
      walk_d.room = 7'(ViewBytes - Ipv6);
      walk_d.bytes = (WalkBytes * 8)'(view_q[ViewBytes*8-1:Ipv6*8]);
    end else begin
      fields_d.second_word = word32(view_q, 4);
      fields_d.source_address = 128'(word32(view_q, 12));
      fields_d.destination_address = 128'(word32(view_q, 16));
      fields_d.traffic_class = view_q[15:8];
      fields_d.ip_length = word16(view_q, 2);
      {short_total, walk_d.left} = {1'b0, word16(view_q, 2)} - 17'(Ipv4);
      walk_d.options = header_words - 4'd5;
      walk_d.protocol = view_q[9*8+:8];
      walk_d.room = 7'(ViewBytes - Ipv4);
      walk_d.bytes = view_q[Ipv4*8+:WalkBytes*8];
    end
    walk_d.room = walk_d.room - {3'd0, front2_q.tags, 2'd0};

    facts_d.wire_frame = front2_q.source == SourceWire;
    facts_d.raw = front2_q.source == SourceInject && front2_q.inject.op == TxOpRaw;
    facts_d.group = facts_d.wire_frame && front2_q.destination_mac[40];
    facts_d.mac_mismatch = facts_d.wire_frame && !facts_d.group && mac_filter_i && front2_q.destination_mac != mac_i;
    facts_d.link_control = kind_q.link_control;
    facts_d.ipv4 = kind_q.ipv4;
    facts_d.ipv6 = fields_d.ipv6;
    facts_d.discovery = fields_d.ipv6 && bytes_behind_tags_q >= 8'(Ethernet + Ipv6 + 8) && walk_d.protocol == ProtocolIcmpv6 &&
        is_neighbour_discovery(walk_d.bytes[7:0]);
    if (fields_d.ipv6) begin
      facts_d.malformed = bytes_behind_tags_q < 8'(Ethernet + Ipv6) || view_q[7:4] != 4'd6;
    end else begin
      facts_d.malformed = bytes_behind_tags_q < 8'(Ethernet + Ipv4) || view_q[7:4] != 4'd4 || header_words < 4'd5 || short_total;
    end
    facts_d.plain = fields_d.ipv6 ? walk_d.protocol == ProtocolIcmpv6 : header_words == 4'd5;
    facts_d.fragment = facts_d.ipv4 && (word16(view_q, 6) & 16'h3fff) != '0;
  end

  always_ff @(posedge clk_i) begin
    if (valid2_q) begin
      facts_q  <= facts_d;
      fields_q <= fields_d;
      walk_q   <= walk_d;
    end
  end

  // ---- the steps, and beside them what waits ---------------------------------------------------------------------
  logic     [ParseSteps:0] step_valid;
  gw_walk_t [ParseSteps:0] step_walk;
  gw_walk_t                walk;
  logic                    fields_valid;

  assign step_valid[0] = valid3_q;
  assign step_walk[0]  = walk_q;
  for (genvar i = 0; i < int'(ParseSteps); i++) begin : gen_step
    gw_parse_step u_step (
        .clk_i  (clk_i),
        .rst_ni (rst_ni),
        .valid_i(step_valid[i]),
        .walk_i (step_walk[i]),
        .valid_o(step_valid[i+1]),
        .walk_o (step_walk[i+1])
    );
  end
  assign walked_valid = step_valid[ParseSteps];
  assign walk         = step_walk[ParseSteps];

  gw_delay #(
      .Width ($bits(facts_t) + $bits(gw_parsed_t)),
      .Cycles(ParseSteps * ParseStepLatency)
  ) u_fields_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid3_q),
      .data_i ({facts_q, fields_q}),
      .valid_o(fields_valid),
      .data_o ({facts, fields})
  );

  // ---- what the lengths say --------------------------------------------------------------------------------------
  typedef struct packed {
    logic malformed;  // row 10
    logic fragment;  // row 11
    logic outside;  // row 12
    logic tcp;
    logic udp;
    logic l4_short;  // fewer than 8 bytes of layer 4
    logic tcp_short;
    logic icmp_error;
    logic icmp_discovery;
    logic icmp_echo;
    logic bgp;  // a port of BGP
    logic bfd;  // the destination port is one of BFD
  } lengths_t;

  facts_t      facts1_q, facts2_q;
  gw_parsed_t  fields1_q, fields1_d, fields2_q, fields2_d;
  lengths_t    lengths_d, lengths1_q, lengths_q;
  logic [16:0] needed_d, needed1_q, needed_q;
  gw_walk_t    walk1_q;
  logic [6:0]  ip_at;  // what the IP length counts from
  logic [7:0]  icmp_type;
  view_t       l4;
  logic        icmp;
  logic        portless;

  // of what layer 4 carries only gw_inner_flow and gw_connection_id read more, and malformed packets and fragments are known with the lengths
  logic unused_bits;
  assign unused_bits = ^{walk1_q, front2_q.bytes, facts2_q.malformed, facts2_q.fragment, facts2_q.plain, lengths_q.bgp, lengths_q.bfd};

  always_comb begin
    l4 = view_t'(walk.bytes[14*8-1:0]);
    icmp_type = l4[7:0];
    icmp = walk.protocol == (facts.ipv6 ? ProtocolIcmpv6 : ProtocolIcmp);
    lengths_d.tcp = walk.protocol == ProtocolTcp;
    lengths_d.udp = walk.protocol == ProtocolUdp;
    lengths_d.malformed = facts.malformed || walk.malformed;
    lengths_d.fragment = facts.fragment || (facts.ipv6 && walk.protocol == ProtocolFragment);
    lengths_d.outside = walk.ended || walk.room < (lengths_d.tcp ? TcpBytes : UdpBytes);
    lengths_d.l4_short = walk.left < 16'(UdpBytes);
    lengths_d.tcp_short = walk.left < 16'(TcpBytes);
    lengths_d.icmp_error = icmp && (facts.ipv6 ? icmp_type inside {[8'd1 : 8'd4]} : icmp_type inside {8'd3, 8'd11, 8'd12});
    lengths_d.icmp_discovery = icmp && facts.ipv6 && is_neighbour_discovery(icmp_type);
    lengths_d.icmp_echo = icmp && facts.plain && !facts.fragment && word16(l4, 0) == (facts.ipv6 ? 16'h8000 : 16'h0800);

    ip_at = (facts.ipv6 ? 7'(Ethernet + Ipv6) : 7'(Ethernet)) + {3'd0, fields.tags, 2'd0};
    needed_d = {1'b0, fields.ip_length} + 17'(ip_at);

    lengths_d.bgp = word16(l4, 0) == PortBgp || word16(l4, 2) == PortBgp;
    lengths_d.bfd = word16(l4, 2) inside {16'd3784, 16'd3785, 16'd4784};

    fields1_d = fields;
    fields1_d.protocol = walk.protocol;
    {fields1_d.ack, fields1_d.rst, fields1_d.syn, fields1_d.fin} = {l4[13*8+4], l4[13*8+2], l4[13*8+1], l4[13*8]};
    {fields1_d.source_port, fields1_d.destination_port} = {word16(l4, 0), word16(l4, 2)};
  end

  always_ff @(posedge clk_i) begin
    if (walked_valid) begin
      facts1_q   <= facts;
      fields1_q  <= fields1_d;
      lengths1_q <= lengths_d;
      needed1_q  <= needed_d;
      walk1_q    <= walk;
    end
  end

  // ---- which ports it has --------------------------------------------------------------------------------------------
  always_comb begin
    fields2_d = fields1_q;
    if (!lengths1_q.tcp || lengths1_q.fragment) {fields2_d.ack, fields2_d.rst, fields2_d.syn, fields2_d.fin} = '0;
    fields2_d.when_short = facts1_q.ipv6 ? DispositionDropIpv6Malformed : DispositionDropIpv4Malformed;
    fields2_d.control_port = (lengths1_q.tcp && lengths1_q.bgp) || (lengths1_q.udp && lengths1_q.bfd);
    // fragments, ICMP errors and echo requests have no ports of their own
    portless = lengths1_q.fragment || lengths1_q.icmp_error;
    if (portless) fields2_d.source_port = '0;
    if (lengths1_q.icmp_echo) fields2_d.source_port = fields1_q.destination_port;  // the checksum
    if (portless || lengths1_q.icmp_echo) fields2_d.destination_port = '0;
  end

  gw_inner_flow_t inner;
  gw_inner_flow u_inner_flow (
      .clk_i        (clk_i),
      .valid_i      (walked_valid),
      .error_i      (lengths1_q.icmp_error && !lengths1_q.fragment),
      .ipv6_i       (facts.ipv6),
      .destination_i(fields.destination_address),
      .walk_i       (walk),
      .flow_o       (inner)
  );

  gw_connection_id u_connection_id (
      .clk_i  (clk_i),
      .valid_i(lengths_valid_q),
      .ask_i  (lengths1_q.udp && facts1_q.wire_frame),
      .walk_i (walk1_q),
      .id_o   (connection_id_o)
  );

  always_ff @(posedge clk_i) begin
    if (lengths_valid_q) begin
      facts2_q  <= facts1_q;
      fields2_q <= fields2_d;
      lengths_q <= lengths1_q;
      needed_q  <= needed1_q;
    end
  end

  // ---- the first row that applies --------------------------------------------------------------------------------
  gw_parsed_t parsed_d, parsed_q;
  logic       before_row_10;
  logic       assigned;

  always_comb begin
    assigned = !facts2_q.wire_frame && !facts2_q.raw;
    parsed_d = fields2_q;
    if (inner.usable) begin
      parsed_d.source_address = inner.source_address;
      parsed_d.destination_address = inner.destination_address;
      parsed_d.source_port = inner.source_port;
      parsed_d.destination_port = inner.destination_port;
      parsed_d.protocol = inner.protocol;
    end
    parsed_d.decided = 1'b1;
    parsed_d.needed = needed_q > 17'(FrameMax) ? '1 : 14'(needed_q);
    before_row_10 = 1'b1;
    if (facts2_q.raw) parsed_d.disposition = DispositionForwardRaw;
    else if (facts2_q.mac_mismatch) parsed_d.disposition = DispositionDropMacMismatch;
    else if (facts2_q.group) begin
      parsed_d.disposition = facts2_q.link_control || facts2_q.discovery ? DispositionHostControl : DispositionHostGroup;
    end else if (facts2_q.link_control) parsed_d.disposition = DispositionHostControl;
    else if (!facts2_q.ipv4 && !facts2_q.ipv6) parsed_d.disposition = DispositionHostUnsupported;
    else begin
      before_row_10 = 1'b0;
      if (lengths_q.malformed) parsed_d.disposition = fields2_q.when_short;
      else if (lengths_q.fragment) begin
        parsed_d.disposition = DispositionHostFragment;
        parsed_d.decided = !assigned;
      end else if (lengths_q.outside) parsed_d.disposition = DispositionHostUnsupported;
      else if (lengths_q.icmp_error && !lengths_q.l4_short) begin
        parsed_d.disposition = DispositionHostIcmpError;
        parsed_d.icmp_error = 1'b1;
        parsed_d.decided = !assigned && !inner.usable;
      end else if (lengths_q.icmp_discovery && !lengths_q.l4_short) parsed_d.disposition = DispositionHostControl;
      else if (lengths_q.icmp_echo && !lengths_q.l4_short) begin
        parsed_d.disposition = DispositionHostUnsupported;
        parsed_d.echo = 1'b1;
        parsed_d.decided = assigned;
      end else if (!lengths_q.tcp && !lengths_q.udp) parsed_d.disposition = DispositionHostUnsupported;
      else if (lengths_q.tcp ? lengths_q.tcp_short : lengths_q.l4_short) parsed_d.disposition = DispositionDropL4Malformed;
      else parsed_d.decided = 1'b0;
    end
    if (before_row_10) parsed_d.needed = '0;
    // An ASSIGN must be a packet that a VIP could have, a fragment, or an ICMP error.
    if (assigned) begin
      parsed_d.when_short = DispositionDropInjectInvalid;
      if (parsed_d.decided) parsed_d.disposition = DispositionDropInjectInvalid;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ports_valid_q) parsed_q <= parsed_d;
  end
  assign parsed_o = parsed_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (fields_valid == walked_valid) else $error("gw_parse: what waits is not in step");
  end
`else
  logic unused_valid;
  assign unused_valid = fields_valid;
`endif
endmodule
