// Reads a frame's window: the addresses, ports and lengths that the stations after it use, and the verdicts that need no
// table (CARD.md 2, rows 4 to 15).
//
// Latency:    ParseLatency.
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
    output gw_parsed_t  parsed_o
);

  // Byte offsets in the frame.
  localparam int unsigned Ip = 14;
  localparam int unsigned Ipv4L4 = Ip + 20;  // without options: with options nothing beyond the header is read
  localparam int unsigned Ipv6L4 = Ip + 40;
  localparam int unsigned HeadBytes = Ipv6L4 + 14;  // up to the TCP flags

  localparam logic [15:0] EtherIpv4 = 16'h0800;
  localparam logic [15:0] EtherArp = 16'h0806;
  localparam logic [15:0] EtherIpv6 = 16'h86dd;
  localparam logic [15:0] EtherSlow = 16'h8809;
  localparam logic [15:0] EtherLldp = 16'h88cc;
  localparam logic [7:0] ProtocolIcmp = 8'd1;
  localparam logic [7:0] ProtocolTcp = 8'd6;
  localparam logic [7:0] ProtocolUdp = 8'd17;
  localparam logic [7:0] ProtocolFragment = 8'd44;
  localparam logic [7:0] ProtocolIcmpv6 = 8'd58;
  localparam logic [15:0] PortBgp = 16'd179;

  typedef logic [HeadBytes*8-1:0] head_t;

  // `n` bytes from `offset`, the first one most significant, as headers have it.
  function automatic logic [15:0] word16(head_t head, int unsigned offset);
    return {head[offset*8+:8], head[(offset+1)*8+:8]};
  endfunction
  function automatic logic [31:0] word32(head_t head, int unsigned offset);
    return {word16(head, offset), word16(head, offset + 2)};
  endfunction
  function automatic logic [127:0] word128(head_t head, int unsigned offset);
    return {word32(head, offset), word32(head, offset + 4), word32(head, offset + 8), word32(head, offset + 12)};
  endfunction
  function automatic logic is_neighbour_discovery(logic [7:0] icmp_type);
    return icmp_type inside {[8'd133 : 8'd137]};
  endfunction

  logic [ParseLatency-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[ParseLatency-2:0], valid_i};
  end
  assign valid_o = valid_q[ParseLatency-1];

  // Whether the frame ended in the window is gw_admit's to know: beyond `bytes` nothing is trusted here.
  logic unused_complete;
  assign unused_complete = window_i.complete;

  // ---- stage 1: the bytes --------------------------------------------------------------------------------------
  head_t         head_q;
  logic [7:0]    bytes_q;
  gw_source_e    source_q;
  gw_inject_t    inject_q;
  payload_addr_t payload_q;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      head_q    <= window_i.data[HeadBytes*8-1:0];
      bytes_q   <= window_i.bytes;
      source_q  <= window_i.source;
      inject_q  <= window_i.inject;
      payload_q <= window_i.payload;
    end
  end

  // ---- stage 2: the fields ---------------------------------------------------------------------------------------
  typedef struct packed {
    logic raw;  // row 4
    logic wire_frame;
    logic mac_mismatch;  // row 5
    logic group;  // rows 6, 7
    logic link_control;  // row 8
    logic discovery;  // row 6's IPv6 ICMP
    logic ipv4;
    logic ipv6;
    logic fragment;
    logic extension;
    logic tcp;
    logic udp;
  } facts_t;
  typedef struct packed {
    logic       short_header;  // row 10: the IP header does not fit into the frame
    logic       bad_version;
    logic [3:0] header_words;  // IHL
    logic       icmp;
    logic [7:0] icmp_type;
  } details_t;

  typedef struct packed {
    facts_t     facts;
    details_t   details;
    gw_parsed_t fields;
  } found_t;

  function automatic found_t read_fields(head_t head, logic [7:0] bytes, gw_source_e source, gw_inject_t inject,
                                         payload_addr_t payload, logic mac_filter, logic [47:0] mac);
    found_t found;
    logic [15:0] ether_type;
    ether_type = word16(head, 12);

    found.fields = '0;
    found.fields.source = source;
    found.fields.inject = inject;
    found.fields.payload = payload;
    found.fields.destination_mac = {word32(head, 0), word16(head, 4)};
    found.fields.ipv6 = ether_type == EtherIpv6;
    if (found.fields.ipv6) begin
      found.fields.protocol = head[(Ip+6)*8+:8];
      found.fields.source_address = word128(head, Ip + 8);
      found.fields.destination_address = word128(head, Ip + 24);
      found.fields.source_port = word16(head, Ipv6L4);
      found.fields.destination_port = word16(head, Ipv6L4 + 2);
      found.fields.traffic_class = {head[Ip*8+:4], head[(Ip+1)*8+4+:4]};
      found.fields.ip_length = word16(head, Ip + 4);
      {found.fields.ack, found.fields.rst, found.fields.syn, found.fields.fin} = {
        head[(Ipv6L4+13)*8+4], head[(Ipv6L4+13)*8+2], head[(Ipv6L4+13)*8+1], head[(Ipv6L4+13)*8]
      };
    end else begin
      found.fields.protocol = head[(Ip+9)*8+:8];
      found.fields.source_address = 128'(word32(head, Ip + 12));
      found.fields.destination_address = 128'(word32(head, Ip + 16));
      found.fields.source_port = word16(head, Ipv4L4);
      found.fields.destination_port = word16(head, Ipv4L4 + 2);
      found.fields.traffic_class = head[(Ip+1)*8+:8];
      found.fields.ip_length = word16(head, Ip + 2);
      {found.fields.ack, found.fields.rst, found.fields.syn, found.fields.fin} = {
        head[(Ipv4L4+13)*8+4], head[(Ipv4L4+13)*8+2], head[(Ipv4L4+13)*8+1], head[(Ipv4L4+13)*8]
      };
    end

    found.facts = '0;
    found.details = '0;
    found.facts.wire_frame = source == SourceWire;
    found.facts.raw = source == SourceInject && inject.op == TxOpRaw;
    found.facts.group = found.facts.wire_frame && head[0];
    found.facts.mac_mismatch = found.facts.wire_frame && !head[0] && mac_filter &&
        found.fields.destination_mac != mac;
    found.facts.link_control = ether_type inside {EtherArp, EtherSlow, EtherLldp};
    found.facts.ipv4 = ether_type == EtherIpv4;
    found.facts.ipv6 = found.fields.ipv6;
    found.facts.discovery = found.fields.ipv6 && bytes >= 8'(Ipv6L4 + 8) && found.fields.protocol == ProtocolIcmpv6 &&
        is_neighbour_discovery(head[Ipv6L4*8+:8]);
    found.details.short_header = bytes < (found.fields.ipv6 ? 8'(Ipv6L4) : 8'(Ipv4L4));
    found.details.bad_version = head[Ip*8+4+:4] != (found.fields.ipv6 ? 4'd6 : 4'd4);
    found.details.header_words = head[Ip*8+:4];
    found.facts.fragment = found.fields.ipv6 ? found.fields.protocol == ProtocolFragment
                                     : (word16(head, Ip + 6) & 16'h3fff) != '0;
    found.facts.extension = found.fields.ipv6 ? found.fields.protocol inside {8'd0, 8'd43, 8'd50, 8'd51, 8'd60, 8'd135, 8'd139, 8'd140}
                                      : found.details.header_words > 4'd5;
    found.details.icmp = found.fields.protocol == (found.fields.ipv6 ? ProtocolIcmpv6 : ProtocolIcmp);
    found.details.icmp_type = found.fields.ipv6 ? head[Ipv6L4*8+:8] : head[Ipv4L4*8+:8];
    found.facts.tcp = found.fields.protocol == ProtocolTcp;
    found.facts.udp = found.fields.protocol == ProtocolUdp;
    return found;
  endfunction

  facts_t     facts_q;
  details_t   details_q;
  gw_parsed_t fields_q;

  always_ff @(posedge clk_i) begin
    if (valid_q[0]) begin
      {facts_q, details_q, fields_q} <= read_fields(head_q, bytes_q, source_q, inject_q, payload_q, mac_filter_i, mac_i);
    end
  end

  // ---- stage 3: what the lengths say -----------------------------------------------------------------------------
  typedef struct packed {
    logic malformed;  // row 10, as far as the window tells
    logic l4_short;  // fewer than 8 bytes behind the IP header
    logic tcp_short;
    logic icmp_error;
    logic icmp_discovery;
  } lengths_t;

  facts_t      facts2_q;
  gw_parsed_t  fields2_q, fields2_d;
  lengths_t    lengths_d, lengths_q;
  logic [16:0] needed;
  logic [15:0] behind;  // what the IP length would be with no byte behind a header without options

  always_comb begin
    behind = fields_q.ipv6 ? 16'd0 : 16'd20;
    lengths_d.malformed = details_q.short_header || details_q.bad_version ||
        (facts_q.ipv4 && (details_q.header_words < 4'd5 || fields_q.ip_length < {10'd0, details_q.header_words, 2'd0}));
    lengths_d.l4_short = fields_q.ip_length < behind + 16'd8;
    lengths_d.tcp_short = fields_q.ip_length < behind + 16'd20;
    lengths_d.icmp_error = details_q.icmp &&
        (facts_q.ipv6 ? details_q.icmp_type inside {[8'd1 : 8'd4]} : details_q.icmp_type inside {8'd3, 8'd11, 8'd12});
    lengths_d.icmp_discovery = details_q.icmp && facts_q.ipv6 && is_neighbour_discovery(details_q.icmp_type);

    needed = {1'b0, fields_q.ip_length} + (fields_q.ipv6 ? 17'(Ipv6L4) : 17'(Ip));
    fields2_d = fields_q;
    fields2_d.needed = needed > 17'(FrameMax) ? '1 : 14'(needed);
    fields2_d.when_short = fields_q.ipv6 ? DispositionDropIpv6Malformed : DispositionDropIpv4Malformed;
    fields2_d.control_port =
        (facts_q.tcp && (fields_q.source_port == PortBgp || fields_q.destination_port == PortBgp)) ||
        (facts_q.udp && fields_q.destination_port inside {16'd3784, 16'd3785, 16'd4784});
    // flags are TCP's
    if (!facts_q.tcp) {fields2_d.syn, fields2_d.ack, fields2_d.fin, fields2_d.rst} = '0;
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[1]) begin
      facts2_q  <= facts_q;
      fields2_q <= fields2_d;
      lengths_q <= lengths_d;
    end
  end

  // ---- stage 4: the first row that applies -----------------------------------------------------------------------
  gw_parsed_t parsed_d, parsed_q;
  logic       before_row_10;

  always_comb begin
    parsed_d = fields2_q;
    parsed_d.decided = 1'b1;
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
      else if (facts2_q.fragment) parsed_d.disposition = DispositionHostFragment;
      else if (facts2_q.extension) parsed_d.disposition = DispositionHostUnsupported;
      else if (lengths_q.icmp_error && !lengths_q.l4_short) parsed_d.disposition = DispositionHostIcmpError;
      else if (lengths_q.icmp_discovery && !lengths_q.l4_short) parsed_d.disposition = DispositionHostControl;
      else if (!facts2_q.tcp && !facts2_q.udp) parsed_d.disposition = DispositionHostUnsupported;
      else if (facts2_q.tcp ? lengths_q.tcp_short : lengths_q.l4_short) parsed_d.disposition = DispositionDropL4Malformed;
      else parsed_d.decided = 1'b0;
    end
    if (before_row_10) parsed_d.needed = '0;
    // An ASSIGN must be a packet that a VIP could have.
    if (!facts2_q.wire_frame && !facts2_q.raw) begin
      parsed_d.when_short = DispositionDropInjectInvalid;
      if (parsed_d.decided) parsed_d.disposition = DispositionDropInjectInvalid;
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[2]) parsed_q <= parsed_d;
  end
  assign parsed_o = parsed_q;
endmodule
