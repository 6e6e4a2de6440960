// Reads the inner packet of an ICMP error: whether it is usable, and the flow that it is about, reversed (CARD.md 2).
//
// Latency:    2: what the headers say; whether all of it is good, and the ports.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_inner_flow
  import gw_pkg::*;
(
    input  logic           clk_i,
    input  logic           valid_i,
    input  logic           error_i,  // a cycle later: the packet is an ICMP error of its family
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

  localparam int unsigned Parts = 8;
  localparam int unsigned PartBits = 128 / Parts;

  // ---- stage 1: what the headers say ----------------------------------------------------------------------------------
  gw_inner_flow_t flow1_d, flow1_q;  // but for `usable` and ports
  logic [127:0]   sender, differs;
  logic [Parts-1:0] equal_d, equal_q;  // the sender is the received packet's destination
  logic [3:0][31:0] ports_d, ports_q;  // where they are with a header of so many words, without the last two bits of the number
  logic [1:0]     ports_at_d, ports_at_q;
  logic           good_d, good_q, fits_d, fits_q, valid_q;
  logic [3:0]     header_words;
  logic [4:0]     words, left_words, room_words;  // up to the end of the inner layer 4's first 8 bytes; up to the ends of packet and window
  logic           header_good;

  always_comb begin
    header_words = inner[3:0];
    if (ipv6_i) begin
      header_good = inner[7:4] == 4'd6;
      words = Ipv6Words + Around;
      sender = word128(inner, 8);
      flow1_d.source_address = word128(inner, 24);
      flow1_d.protocol = inner[6*8+:8];
      ports_at_d = 2'd0;
    end else begin
      header_good = inner[7:4] == 4'd4 && header_words >= 4'd5 && {inner[6*8+:5], inner[7*8+:8]} == '0;
      words = {1'b0, header_words} + Around;
      sender = 128'(word32(inner, 12));
      flow1_d.source_address = 128'(word32(inner, 16));
      flow1_d.protocol = inner[9*8+:8];
      ports_at_d = header_words[3:2];
    end
    ports_d[0] = word32(inner, Ipv6);
    for (int unsigned n = 1; n < 4; n++) begin
      unique case (header_words[1:0])
        2'd0: ports_d[n] = word32(inner, 16 * n);
        2'd1: ports_d[n] = word32(inner, 16 * n + 4);
        2'd2: ports_d[n] = word32(inner, 16 * n + 8);
        default: ports_d[n] = word32(inner, 16 * n + 12);
      endcase
    end
    // a packet beyond what 5 bits count has room for any of these headers
    left_words = walk_i.left[15:7] != '0 ? '1 : walk_i.left[6:2];
    room_words = walk_i.room[6:2];

    differs = sender ^ destination_i;
    for (int unsigned p = 0; p < Parts; p++) equal_d[p] = differs[p*PartBits+:PartBits] == '0;
    good_d = header_good && flow1_d.protocol inside {8'd6, 8'd17};
    fits_d = words <= left_words && words <= room_words;
    flow1_d.destination_address = sender;
    flow1_d.source_port = '0;
    flow1_d.destination_port = '0;
    flow1_d.usable = 1'b0;
  end

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;  // unknown for a cycle after power on, which only moves unused data
    if (valid_i) begin
      flow1_q    <= flow1_d;
      equal_q    <= equal_d;
      ports_q    <= ports_d;
      ports_at_q <= ports_at_d;
      good_q     <= good_d;
      fits_q     <= fits_d;
    end
  end

  // ---- stage 2: all of it ---------------------------------------------------------------------------------------------
  gw_inner_flow_t flow_d, flow_q;

  always_comb begin
    flow_d = flow1_q;
    {flow_d.destination_port, flow_d.source_port} = ports_q[ports_at_q];
    flow_d.usable = error_i && good_q && fits_q && (&equal_q);
  end

  always_ff @(posedge clk_i) begin
    if (valid_q) flow_q <= flow_d;
  end
  assign flow_o = flow_q;
endmodule
