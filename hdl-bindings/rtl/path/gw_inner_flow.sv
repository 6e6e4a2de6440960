// Reads the inner packet of an ICMP error: whether it is usable, and the flow that it is about, reversed (CARD.md 2).
//
// Latency:    1.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_inner_flow
  import gw_pkg::*;
(
    input  logic           clk_i,
    input  logic           valid_i,
    input  logic           error_i,  // the packet is an ICMP error of its family
    input  logic           ipv6_i,
    input  logic [127:0]   destination_i,  // of the received packet; IPv4 in the low 32 bits
    // Its lengths, and the bytes from its ICMP header on.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_walk_t       walk_i,
    // verilator lint_on UNUSEDSIGNAL
    output gw_inner_flow_t flow_o  // without meaning unless `usable`
);
  localparam int unsigned Icmp = 8;  // bytes before the inner packet
  localparam int unsigned InnerBytes = WalkBytes - Icmp;
  localparam int unsigned Ipv6 = 40;
  localparam logic [4:0] Around = 5'd4;  // words of the ICMP header, and of the inner layer 4 that must be there
  localparam logic [4:0] Ipv6Words = 5'(Ipv6 / 4);

  logic [InnerBytes*8-1:0] inner;
  assign inner = walk_i.bytes[WalkBytes*8-1:Icmp*8];

  function automatic logic [31:0] word32(logic [InnerBytes*8-1:0] from, int unsigned offset);
    return {from[offset*8+:8], from[(offset+1)*8+:8], from[(offset+2)*8+:8], from[(offset+3)*8+:8]};
  endfunction
  function automatic logic [127:0] word128(logic [InnerBytes*8-1:0] from, int unsigned offset);
    return {word32(from, offset), word32(from, offset + 4), word32(from, offset + 8), word32(from, offset + 12)};
  endfunction

  gw_inner_flow_t flow_d, flow_q;
  logic [127:0]   sender;
  logic [31:0]    ports;
  logic [3:0]     header_words;
  logic [4:0]     words, left_words, room_words;  // up to the end of the inner layer 4's first 8 bytes; up to the ends of packet and window
  logic           header_good;

  always_comb begin
    header_words = inner[3:0];
    if (ipv6_i) begin
      header_good = inner[7:4] == 4'd6;
      words = Ipv6Words + Around;
      sender = word128(inner, 8);
      flow_d.source_address = word128(inner, 24);
      flow_d.protocol = inner[6*8+:8];
      ports = word32(inner, Ipv6);
    end else begin
      header_good = inner[7:4] == 4'd4 && header_words >= 4'd5 && {inner[6*8+:5], inner[7*8+:8]} == '0;
      words = {1'b0, header_words} + Around;
      sender = 128'(word32(inner, 12));
      flow_d.source_address = 128'(word32(inner, 16));
      flow_d.protocol = inner[9*8+:8];
      ports = word32(inner, 20);
      for (int unsigned n = 6; n < 16; n++) begin
        if (header_words == 4'(n)) ports = word32(inner, 4 * n);
      end
    end
    // a packet beyond what 5 bits count has room for any of these headers
    left_words = walk_i.left[15:7] != '0 ? '1 : walk_i.left[6:2];
    room_words = walk_i.room[6:2];

    {flow_d.destination_port, flow_d.source_port} = ports;
    flow_d.destination_address = sender;
    flow_d.usable = error_i && header_good && sender == destination_i && flow_d.protocol inside {8'd6, 8'd17} &&
        words <= left_words && words <= room_words;
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) flow_q <= flow_d;
  end
  assign flow_o = flow_q;
endmodule
