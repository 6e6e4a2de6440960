// What an answer of the card is made of: an echo reply, or the error that a packet is too big (CARD.md 5).
//
// Latency:    0; gw_encap takes it into its first stage.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
//
// An echo reply is a new header up to the ICMP checksum, over the received one; an error a new header before a part of the received packet.
module gw_reply
  import gw_pkg::*;
(
    // A station takes the whole packet and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_parsed_t  parsed_i,
    input  gw_verdict_t verdict_i,
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

  logic        echo;
  logic [6:0]  tags, ip_bytes;
  logic [13:0] mtu;
  frame_len_t  quote_end;  // in the received frame
  logic [15:0] quote, checksum;
  logic [16:0] patched;  // with a carry, or a borrow

  always_comb begin
    echo     = verdict_i.reply.echo;
    tags     = {3'd0, parsed_i.tags, 2'd0};
    ip_bytes = parsed_i.ipv6 ? Ipv6 : Ipv4;

    // type 8 becomes 0: its word less 0x0800; type 128 becomes 129: its word and 0x0100 (RFC 1624)
    patched  = parsed_i.ipv6 ? {1'b0, parsed_i.source_port} - 17'h100 : {1'b0, parsed_i.source_port} + 17'h800;
    checksum = parsed_i.ipv6 ? patched[15:0] - 16'(patched[16]) : patched[15:0] + 16'(patched[16]);

    mtu = verdict_i.mtu < 14'(verdict_i.outer_bytes) ? '0 : verdict_i.mtu - 14'(verdict_i.outer_bytes);
    quote = parsed_i.ipv6 ? 16'(QuoteIpv6) : 16'(QuoteIpv4);
    quote_end = 14'(Ethernet) + 14'(tags) + 14'(quote);
    if (verdict_i.needed < quote_end) begin
      quote_end = verdict_i.needed;
      quote = parsed_i.ip_length + (parsed_i.ipv6 ? 16'(Ipv6) : '0);
    end

    parts_o               = '0;
    parts_o.reply        = 1'b1;
    parts_o.type_ipv6     = parsed_i.ipv6;
    parts_o.outer_ipv6    = parsed_i.ipv6;
    parts_o.icmp          = !echo;
    parts_o.protocol      = parsed_i.ipv6 ? 8'd58 : 8'd1;
    parts_o.source        = parsed_i.destination_address;
    parts_o.destination   = parsed_i.source_address;
    parts_o.sender_mac    = parsed_i.source_mac;
    parts_o.received_mac  = parsed_i.destination_mac;
    if (echo) begin
      parts_o.traffic_class = parsed_i.traffic_class;
      parts_o.length        = parsed_i.ip_length;
      parts_o.second_word   = parsed_i.second_word;
      parts_o.tail          = {parsed_i.ipv6 ? 16'h8100 : 16'h0000, checksum, 32'd0};
      header_bytes_o        = Ethernet + ip_bytes + ToChecksum;
      keep_from_o           = Ethernet + tags + ip_bytes + ToChecksum;
      keep_to_o             = verdict_i.needed;
    end else begin
      parts_o.length        = quote + 16'(Icmp) + (parsed_i.ipv6 ? '0 : 16'(Ipv4));
      parts_o.tail          = {parsed_i.ipv6 ? 16'h0200 : 16'h0304, 32'd0, 2'd0, mtu};  // gw_egress knows the checksum
      header_bytes_o        = Ethernet + ip_bytes + Icmp;
      keep_from_o           = Ethernet + tags;
      keep_to_o             = quote_end;
    end
  end
endmodule
