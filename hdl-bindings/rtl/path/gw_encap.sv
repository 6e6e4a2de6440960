// Builds the headers that are sent: of encapsulations (IPIP and GUE with Katran's bytes, GRE, layer 2) and of the card's own answers;
// and with them the decision for gw_admit (CARD.md 5).
//
// Latency:    EncapLatency: what is added to the length; outer source and length; the checksum in five steps, the next hop beside
//             it; the header; its VLAN tags.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_encap
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                             clk_i,
    input  logic                             rst_ni,
    input  logic              [        31:0] ipip_source_v4_i,
    input  logic              [       127:0] ipip_source_v6_i,
    input  logic              [        31:0] source_v4_i,
    input  logic              [       127:0] source_v6_i,
    input  logic              [        15:0] gue_port_i,
    input  gw_table_req_t                    table_req_i,
    output logic                             rvalid_o,
    output logic              [BeatBits-1:0] rdata_o,
    input  logic                             valid_i,
    // A station takes the whole packet and the whole entries, and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_parsed_t                       parsed_i,
    input  gw_verdict_t                      verdict_i,
    // verilator lint_on UNUSEDSIGNAL
    input  gw_rx_completion_t                record_i,
    output logic                             decision_valid_o,
    output gw_decision_t                     decision_o
);

  localparam logic [15:0] EtherIpv4 = 16'h0800;
  localparam logic [15:0] EtherIpv6 = 16'h86dd;
  localparam logic [15:0] Tpid8021q = 16'h8100;
  localparam logic [1:0] VlanRemove = 2'd1;  // next_hop.vlan_mode; anything else keeps the received tags
  localparam logic [1:0] VlanSet = 2'd2;
  localparam logic [7:0] ProtocolIpv4 = 8'd4;
  localparam logic [7:0] ProtocolUdp = 8'd17;
  localparam logic [7:0] ProtocolIpv6 = 8'd41;
  localparam logic [7:0] ProtocolGre = 8'd47;
  localparam logic [7:0] Ttl = 8'd64;
  localparam int unsigned EthernetBytes = 14;
  localparam int unsigned Ipv4Bytes = 20;
  localparam int unsigned Ipv6Bytes = 40;
  localparam int unsigned TailBytes = 8;  // GRE with key, UDP, ICMP
  localparam int unsigned UdpBytes = 8;

  localparam int unsigned HeaderBits = HeaderBytes * 8;
  localparam int unsigned BelowBits = $bits(decision_o.keep_from) + $bits(decision_o.keep_to) + $bits(gw_rx_completion_t);
  localparam int unsigned AboveBits = $bits(gw_decision_t) - HeaderBits - BelowBits;

  // VLAN tags as gw_tag takes them.
  typedef struct packed {
    logic [1:0]  count;
    logic [63:0] bytes;
  } tags_t;

  // ---- stages 1 and 2: outer source and length ---------------------------------------------------------------------
  logic         [EncapLatency-1:0] valid_q;
  gw_outer_t                       parts_d, parts_q, parts, reply;
  tags_t                           received_q, received;
  gw_decision_t                    plain_d;  // the decision but for the header
  logic          [AboveBits-1:0]   above_q, above;  // what stands above the header in gw_decision_t
  logic          [BelowBits-1:0]   below_q, below;
  logic                            built_d, built_q;  // there is a header
  logic                     [ 6:0] reply_header_bytes, reply_keep_from;
  frame_len_t                      reply_keep_to;
  logic                     [15:0] port, port_q;
  logic                     [15:0] added, added_q;  // to the inner length field, which makes the outer one
  logic                     [31:0] client, client_q;
  logic                     [15:0] source_port, udp_length;  // of UDP
  logic                     [15:0] swapped;  // the client's last two bytes and its port's, in Katran's order
  logic                            own_source;  // the outer source is the card's

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[EncapLatency-2:0], valid_i};
  end

  // verilator lint_off UNUSEDSIGNAL
  gw_parsed_t  parsed_q;
  gw_verdict_t verdict_q;
  // verilator lint_on UNUSEDSIGNAL
  gw_rx_completion_t record_q;
  logic        l2_q, gre_q, udp_q, reply_q;

  always_comb begin
    port   = verdict_i.port_zero ? '0 : parsed_i.source_port;
    client = verdict_i.source_zero ? '0 : parsed_i.source_address[31:0];
    // An IPv6 header is not in its own length. gw_verdict saw to it that this is at most the MTU.
    added  = 16'(verdict_i.outer_bytes);
    if (parsed_i.ipv6 && !verdict_i.entry.ipv6) added = added + 16'(Ipv6Bytes);
    else if (verdict_i.entry.ipv6 && !parsed_i.ipv6) added = added - 16'(Ipv6Bytes);
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      parsed_q  <= parsed_i;
      verdict_q <= verdict_i;
      record_q  <= record_i;
      l2_q      <= verdict_i.entry.encap == EncapL2;
      gre_q     <= verdict_i.entry.encap == EncapGre;
      udp_q     <= verdict_i.entry.encap == EncapGue;
      reply_q   <= verdict_i.reply != '0;
      port_q    <= port;
      client_q  <= client;
      added_q   <= added;
    end
  end

  gw_reply u_reply (
      .clk_i         (clk_i),
      .valid_i       (valid_i),
      .parsed_i      (parsed_i),
      .verdict_i     (verdict_i),
      .parsed1_i     (parsed_q),
      .verdict1_i    (verdict_q),
      .parts_o       (reply),
      .header_bytes_o(reply_header_bytes),
      .keep_from_o   (reply_keep_from),
      .keep_to_o     (reply_keep_to)
  );

  always_comb begin
    swapped = client_q[15:0] ^ {port_q[7:0], port_q[15:8]};
    built_d = verdict_q.encapsulate || reply_q;

    parts_d = '0;
    parts_d.udp = udp_q;
    own_source = gre_q || udp_q;
    parts_d.outer_ipv6 = verdict_q.entry.ipv6;
    parts_d.type_ipv6 = l2_q ? parsed_q.ipv6 : verdict_q.entry.ipv6;
    if (gre_q) parts_d.protocol = ProtocolGre;
    else if (udp_q) parts_d.protocol = ProtocolUdp;
    else parts_d.protocol = parsed_q.ipv6 ? ProtocolIpv6 : ProtocolIpv4;
    parts_d.traffic_class = parsed_q.traffic_class;
    parts_d.destination = verdict_q.entry.address;
    parts_d.received_mac = parsed_q.destination_mac;
    if (parts_d.outer_ipv6) parts_d.source = own_source ? source_v6_i : {ipip_source_v6_i[127:32], client_q ^ {port_q, 16'd0}};
    else parts_d.source = 128'(own_source ? source_v4_i : {ipip_source_v4_i[31:16], swapped});
    if (parts_d.outer_ipv6) source_port = (parsed_q.ipv6 ? client_q[31:16] : client_q[15:0]) ^ port_q;
    else source_port = swapped;
    udp_length = parsed_q.ip_length + (parsed_q.ipv6 ? 16'(Ipv6Bytes + UdpBytes) : 16'(UdpBytes));
    // What stands beyond `header_bytes` means nothing: GRE is always written. gw_egress knows the checksum of UDP.
    parts_d.tail = {
      2'b00, verdict_q.entry.key_present, 13'd0, parsed_q.ipv6 ? EtherIpv6 : EtherIpv4, verdict_q.entry.key
    };
    if (udp_q) parts_d.tail = {source_port, gue_port_i, udp_length, 16'd0};
    parts_d.length = parsed_q.ip_length + added_q;
    if (reply_q) parts_d = reply;

    plain_d = '0;
    plain_d.source = parsed_q.source;
    plain_d.inject = parsed_q.inject;
    plain_d.payload = parsed_q.payload;
    plain_d.when_whole = verdict_q.disposition;
    plain_d.when_short = verdict_q.when_short;
    plain_d.needed = verdict_q.needed;
    plain_d.egress_class = verdict_q.egress_class;
    plain_d.heartbeat_fallback = verdict_q.heartbeat_fallback;
    plain_d.quic_unknown = verdict_q.quic_unknown;
    plain_d.over_meter = verdict_q.over_meter;
    plain_d.count_vip = verdict_q.count_vip;
    plain_d.count_backend = verdict_q.count_backend;
    plain_d.vip = verdict_q.vip;
    plain_d.backend = verdict_q.backend;
    plain_d.ip_bytes = parsed_q.ip_length + (parsed_q.ipv6 ? 16'(Ipv6Bytes) : 16'd0);
    plain_d.reply = verdict_q.reply;
    plain_d.keep_to = '1;
    if (verdict_q.encapsulate) begin
      plain_d.checksum = udp_q;
      plain_d.header_bytes = 7'(EthernetBytes) + 7'(verdict_q.outer_bytes);
      plain_d.keep_from = 7'(EthernetBytes) + {3'd0, parsed_q.tags, 2'd0};
      plain_d.keep_to = verdict_q.needed;
    end
    if (reply_q) begin
      plain_d.icmp_checksum = reply.icmp;
      plain_d.header_bytes = reply_header_bytes;
      plain_d.keep_from = reply_keep_from;
      plain_d.keep_to = reply_keep_to;
    end
    plain_d.record = record_q;
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[0]) begin
      parts_q       <= parts_d;
      received_q    <= '{count: parsed_q.tags, bytes: parsed_q.tag};
      above_q       <= plain_d[$bits(gw_decision_t)-1-:AboveBits];
      below_q       <= plain_d[BelowBits-1:0];
      built_q       <= built_d;
    end
  end

  // ---- stages 3 to 6: the IPv4 header's checksum ------------------------------------------------------------------
  logic [16:0] sum_length_q, sum_source_q, sum_destination_q, sum_second_q;
  logic [17:0] sum_fields_q;
  logic [18:0] sum_addresses_q;
  logic [19:0] sum_q;
  logic [16:0] folded_q;
  logic [ 7:0] protocol_q;

  always_ff @(posedge clk_i) begin
    if (valid_q[1]) begin
      sum_length_q      <= {9'h045, parts_q.traffic_class} + 17'(parts_q.length);
      sum_source_q      <= 17'(parts_q.source[31:16]) + 17'(parts_q.source[15:0]);
      sum_destination_q <= 17'(parts_q.destination[31:16]) + 17'(parts_q.destination[15:0]);
      sum_second_q      <= 17'(parts_q.second_word[31:16]) + 17'(parts_q.second_word[15:0]);
      protocol_q        <= parts_q.protocol;
    end
    if (valid_q[2]) begin
      sum_fields_q    <= 18'(sum_length_q) + {2'd0, Ttl, protocol_q};
      sum_addresses_q <= 19'(sum_source_q) + 19'(sum_destination_q) + 19'(sum_second_q);
    end
    if (valid_q[3]) sum_q <= 20'(sum_fields_q) + 20'(sum_addresses_q);
    if (valid_q[4]) folded_q <= 17'(sum_q[15:0]) + 17'(sum_q[19:16]);
  end

  // ---- stages 3 to 8: what a checksum of UDP or ICMP covers before what is carried -----------------------------------
  logic [15:0] checksum_part;
  gw_pseudo_sum u_pseudo_sum (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .valid_i      (valid_q[1] && built_q && (parts_q.udp || parts_q.icmp)),
      .ipv6_i       (parts_q.outer_ipv6),
      .icmp_i       (parts_q.icmp),
      .source_i     (parts_q.source),
      .destination_i(parts_q.destination),
      .first_i      (parts_q.tail[63:48]),
      .second_i     (parts_q.icmp ? parts_q.tail[15:0] : parts_q.tail[47:32]),
      .length_i     (parts_q.icmp ? parts_q.length : parts_q.tail[31:16]),
      .sum_o        (checksum_part)
  );

  // ---- beside it: the next hop, and what waits ---------------------------------------------------------------------
  localparam int unsigned TagLatency = 1;
  localparam int unsigned HeaderStage = EncapLatency - TagLatency;  // the header's
  localparam int unsigned BesideCycles = HeaderStage - 3;
  localparam int unsigned NextHopWait = HeaderStage - 1 - TableLatency;

  typedef struct packed {
    logic [47:0] source;
    logic [47:0] destination;
  } macs_t;
  typedef struct packed {
    logic [1:0]  mode;
    logic [15:0] tci;
  } vlan_t;

  logic               hop_valid, macs_valid, parts_valid;
  gw_next_hop_entry_t next_hop;
  macs_t              macs;
  vlan_t              vlan;
  logic               built;  // `parts` and `macs` are this packet's

  gw_entry_table #(
      .Id       (TableNextHop),
      .entry_t  (gw_next_hop_entry_t),
      .Entries  (NextHops),
      .IndexBits($bits(verdict_i.entry.next_hop))
  ) u_next_hop_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_o),
      .rdata_o    (rdata_o),
      .read_i     (valid_i && verdict_i.encapsulate),
      .index_i    (verdict_i.entry.next_hop),
      .entry_o    (next_hop)
  );

  // The decision waits without its header, which is still to come.
  gw_delay #(
      .Width ($bits(gw_decision_t) - HeaderBits),
      .Cycles(BesideCycles)
  ) u_plain_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_q[1]),
      .data_i ({above_q, below_q}),
      .valid_o(parts_valid),
      .data_o ({above, below})
  );
  gw_delay #(
      .Width ($bits(gw_outer_t) + $bits(tags_t)),
      .Cycles(BesideCycles)
  ) u_parts_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_q[1] && built_q),
      .data_i ({parts_q, received_q}),
      .valid_o(built),
      .data_o ({parts, received})
  );
  assign hop_valid = valid_q[TableLatency-1];
  gw_delay #(
      .Width ($bits(macs_t) + $bits(vlan_t)),
      .Cycles(NextHopWait)
  ) u_macs_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(hop_valid),
      .data_i ({next_hop.source, next_hop.destination, next_hop.vlan_mode, next_hop.vlan}),
      .valid_o(macs_valid),
      .data_o ({macs, vlan})
  );

  // ---- stage 7: the header -----------------------------------------------------------------------------------------
  typedef logic [HeaderBits-1:0] header_t;

  // `udp` and `icmp` are gw_pseudo_sum's
  // verilator lint_off UNUSEDSIGNAL
  function automatic header_t header_of(gw_outer_t from, macs_t hop, logic [15:0] checksum);
    // verilator lint_on UNUSEDSIGNAL
    header_t written;  // first byte in the top bits
    header_t turned;  // byte 0 in bits 7:0
    logic [47:0] to_mac, from_mac;
    to_mac   = from.reply ? from.sender_mac : hop.destination;
    from_mac = from.reply || hop.source == '0 ? from.received_mac : hop.source;
    written  = '0;
    written[HeaderBits-1-:EthernetBytes*8] = {to_mac, from_mac, from.type_ipv6 ? EtherIpv6 : EtherIpv4};
    if (from.outer_ipv6) begin
      written[(HeaderBytes-EthernetBytes)*8-1-:(Ipv6Bytes+TailBytes)*8] = {
        4'd6, from.traffic_class, from.second_word[19:0],
        from.length, from.protocol, Ttl,
        from.source,
        from.destination,
        from.tail
      };
    end else begin
      written[(HeaderBytes-EthernetBytes)*8-1-:(Ipv4Bytes+TailBytes)*8] = {
        8'h45, from.traffic_class, from.length,
        from.second_word,
        Ttl, from.protocol, checksum,
        from.source[31:0],
        from.destination[31:0],
        from.tail
      };
    end
    for (int unsigned i = 0; i < HeaderBytes; i++) turned[i*8+:8] = written[(HeaderBytes-1-i)*8+:8];
    return turned;
  endfunction

  logic [AboveBits-1:0] above_out_q;
  logic [BelowBits-1:0] below_out_q;
  header_t              header_q;
  logic [         15:0] checksum;
  tags_t                tags_d, tags_q;

  assign checksum = ~(folded_q[15:0] + {15'd0, folded_q[16]});

  always_comb begin
    tags_d = received;
    if (built && parts.reply) tags_d = received;
    else if (vlan.mode == VlanRemove || !built) tags_d.count = 2'd0;
    else if (vlan.mode == VlanSet) tags_d = '{count: 2'd1, bytes: {Tpid8021q, vlan.tci, 32'd0}};
  end

  always_ff @(posedge clk_i) begin
    if (parts_valid) begin
      above_out_q <= above;
      below_out_q <= below;
      tags_q      <= tags_d;
    end
    if (built) header_q <= header_of(parts, macs, checksum);
  end

  // ---- stage 8: the tags -------------------------------------------------------------------------------------------
  gw_decision_t with_tags;

  gw_tag u_tag (
      .clk_i     (clk_i),
      .valid_i   (valid_q[HeaderStage-1]),
      .decision_i({above_out_q, header_q, below_out_q}),  // without `header_bytes` the header means nothing
      .tags_i    (tags_q.count),
      .tag_i     (tags_q.bytes),
      .decision_o(with_tags)
  );

  always_comb begin
    decision_o = with_tags;
    decision_o.checksum_part = checksum_part;
  end
  assign decision_valid_o = valid_q[EncapLatency-1];

  logic unused_bits;
  assign unused_bits = ^{plain_d.header, with_tags.checksum_part, next_hop.reserved_top, ipip_source_v4_i[15:0], ipip_source_v6_i[31:0], parts.udp, parts.icmp};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (parts_valid == valid_q[HeaderStage-2] && macs_valid == parts_valid)
      else $error("gw_encap: what waits is not in step");
    end
  end
`endif
endmodule
