// One step through the headers before layer 4: over IPv4's options, or over one IPv6 extension header (CARD.md 2).
//
// Latency:    ParseStepLatency: how many bytes; then the window is shifted by them, and lengths shrink.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_parse_step
  import gw_pkg::*;
(
    input  logic     clk_i,
    input  logic     rst_ni,
    input  logic     valid_i,
    input  gw_walk_t walk_i,
    output logic     valid_o,
    output gw_walk_t walk_o
);
  localparam logic [7:0] HopByHop = 8'd0;
  localparam logic [7:0] Routing = 8'd43;
  localparam logic [7:0] DestinationOptions = 8'd60;
  localparam logic [6:0] HeaderMin = 7'd8;  // the shortest extension header; its first four bytes say all that matters
  localparam int unsigned SkipBits = 12;  // (255 + 1) * 8

  logic                valid_q, done_q;
  gw_walk_t            at_d, at_q, behind_d, behind_q;
  logic [SkipBits-1:0] skip_d, skip_q;
  // The shift, in words of 4 bytes: a copy for each half of the window, as one would have to reach too far.
  localparam int unsigned HalfBits = $bits(walk_i.bytes) / 2;
  (* keep *) logic [1:0][4:0] shift_q;
  logic [8:0]          units;  // of 8 bytes
  logic [16:0]         left;

  // ---- stage 1: what is to be skipped ---------------------------------------------------------------------------------
  assign units = {1'b0, walk_i.bytes[15:8]} + 1'b1;

  always_comb begin
    at_d   = walk_i;
    skip_d = '0;
    if (!walk_i.ipv6) begin
      skip_d = SkipBits'({walk_i.options, 2'b0});
      at_d.options = '0;
    end else if (!walk_i.ended && walk_i.protocol inside {HopByHop, Routing, DestinationOptions}) begin
      if (walk_i.room < HeaderMin) at_d.ended = 1'b1;
      else begin
        skip_d = {units, 3'b0};
        if (walk_i.protocol == Routing && walk_i.bytes[31:24] != '0) at_d.ended = 1'b1;
        else at_d.protocol = walk_i.bytes[7:0];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i && rst_ni;
    if (valid_i) begin
      at_q   <= at_d;
      skip_q <= skip_d;
      shift_q <= {2{skip_d[6:2]}};
    end
  end

  // ---- stage 2: behind it -----------------------------------------------------------------------------------------------
  always_comb begin
    behind_d = at_q;
    left = {1'b0, at_q.left} - 17'(skip_q);
    behind_d.left = left[15:0];
    behind_d.malformed = at_q.malformed || left[16];
    // without room the bytes mean nothing, and a shift by less than the window will do
    behind_d.room = SkipBits'(at_q.room) < skip_q ? '0 : at_q.room - skip_q[6:0];
    for (int unsigned h = 0; h < 2; h++) begin
      behind_d.bytes[h*HalfBits+:HalfBits] = HalfBits'((at_q.bytes >> (h * HalfBits)) >> {shift_q[h], 5'b0});
    end
  end

  always_ff @(posedge clk_i) begin
    done_q <= valid_q && rst_ni;
    if (valid_q) behind_q <= behind_d;
  end

  assign valid_o = done_q;
  assign walk_o  = behind_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni && valid_q) assert (skip_q[1:0] == '0) else $error("gw_parse_step: a header is no multiple of four bytes");
  end
`endif
endmodule
