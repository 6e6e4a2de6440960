// What an answer of the card is made of: an echo reply, or the error that a packet is too big (CARD.md 5).
//
// Latency:    1; gw_encap takes it into its second stage.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
//
// An echo reply is a new header up to the ICMP checksum, over the received one; an error a new header before a part of the received packet.
module gw_reply
  import gw_pkg::*;
(
    input  logic        clk_i,
    input  logic        valid_i,
    // A station takes the whole packet and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_parsed_t  parsed_i,
    input  gw_verdict_t verdict_i,
    input  gw_parsed_t  parsed1_i,  // the same, a cycle later
    input  gw_verdict_t verdict1_i,
    // verilator lint_on UNUSEDSIGNAL
    output gw_outer_t   parts_o,
    output logic [6:0]  header_bytes_o,
    output logic [6:0]  keep_from_o,
    output frame_len_t  keep_to_o
);
  localparam logic [6:0] Ethernet = 7'd14;
  localparam logic [6:0] Ipv4 = 7'd20;
  localparam logic [6:0] Ipv6 = 7'd40;
  localparam logic [6:0] Icmp = 7'd8;
  localparam logic [6:0] ToChecksum = 7'd4;  // of an ICMP header, its checksum included

  logic [6:0]  tags, ip_bytes;

  // Where the part of a packet that an error sends back ends in the received frame, when the packet is that long.
  function automatic frame_len_t quote_end_of(logic ipv6, logic [1:0] tag_count);
    return 14'(Ethernet) + 14'({tag_count, 2'd0}) + (ipv6 ? 14'(QuoteIpv6) : 14'(QuoteIpv4));
  endfunction

  // ---- stage 1: sums and comparisons -----------------------------------------------------------------------------------
  logic        short_q;  // the whole packet is sent back
  logic [15:0] short_length_q;  // the answer's length field then
  logic [16:0] patched_d, patched_q;  // with a carry, or a borrow
  logic [14:0] mtu_d, mtu_q;  // with a borrow

  always_comb begin
    // type 8 becomes 0: its word less 0x0800; type 128 becomes 129: its word and 0x0100 (RFC 1624)
    patched_d = {1'b0, parsed_i.source_port} + (parsed_i.ipv6 ? -17'h100 : 17'h800);
    mtu_d     = {1'b0, verdict_i.mtu} - 15'(verdict_i.outer_bytes);
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      short_q        <= verdict_i.needed < quote_end_of(parsed_i.ipv6, parsed_i.tags);
      short_length_q <= parsed_i.ip_length + (parsed_i.ipv6 ? 16'(Ipv6 + Icmp) : 16'(Ipv4 + Icmp));
      patched_q      <= patched_d;
      mtu_q          <= mtu_d;
    end
  end

  // ---- stage 2: the parts ----------------------------------------------------------------------------------------------
  logic        echo;
  logic [13:0] mtu;
  logic [15:0] checksum;

  always_comb begin
    echo     = verdict1_i.reply.echo;
    tags     = {3'd0, parsed1_i.tags, 2'd0};
    ip_bytes = parsed1_i.ipv6 ? Ipv6 : Ipv4;
    checksum = patched_q[15:0] + (patched_q[16] ? (parsed1_i.ipv6 ? 16'hffff : 16'h0001) : '0);
    mtu      = mtu_q[14] ? '0 : mtu_q[13:0];

    parts_o               = '0;
    parts_o.reply        = 1'b1;
    parts_o.type_ipv6     = parsed1_i.ipv6;
    parts_o.outer_ipv6    = parsed1_i.ipv6;
    parts_o.icmp          = !echo;
    parts_o.protocol      = parsed1_i.ipv6 ? 8'd58 : 8'd1;
    parts_o.source        = parsed1_i.destination_address;
    parts_o.destination   = parsed1_i.source_address;
    parts_o.sender_mac    = parsed1_i.source_mac;
    parts_o.received_mac  = parsed1_i.destination_mac;
    if (echo) begin
      parts_o.traffic_class = parsed1_i.traffic_class;
      parts_o.length        = parsed1_i.ip_length;
      parts_o.second_word   = parsed1_i.second_word;
      parts_o.tail          = {parsed1_i.ipv6 ? 16'h8100 : 16'h0000, checksum, 32'd0};
      header_bytes_o        = Ethernet + ip_bytes + ToChecksum;
      keep_from_o           = Ethernet + tags + ip_bytes + ToChecksum;
      keep_to_o             = verdict1_i.needed;
    end else begin
      parts_o.length        = short_q ? short_length_q : parsed1_i.ipv6 ? 16'(QuoteIpv6) + 16'(Icmp) : 16'(QuoteIpv4) + 16'(Ipv4 + Icmp);
      parts_o.tail          = {parsed1_i.ipv6 ? 16'h0200 : 16'h0304, 32'd0, 2'd0, mtu};  // gw_egress knows the checksum
      header_bytes_o        = Ethernet + ip_bytes + Icmp;
      keep_from_o           = Ethernet + tags;
      keep_to_o             = short_q ? verdict1_i.needed : quote_end_of(parsed1_i.ipv6, parsed1_i.tags);
    end
  end
endmodule
