// The UDP or ICMP checksum of a frame that leaves: both sums joined, folded and complemented; UDP's 0 is sent as 0xffff (RFC 768).
//
// Latency:    2.
// Throughput: one a cycle; never stalls.
// Drops when: never.
module gw_checksum
  import gw_pkg::*;
(
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               valid_i,
    input  logic [15:0]        part_i,
    input  logic [SumBits-1:0] sum_i,
    input  logic               zero_i,  // 0 is sent as it is: ICMP
    output logic [15:0]        checksum_o
);
  logic               valid_q, zero_q;
  logic [16:0]        low_q, all;
  logic [SumBits-17:0] high_q;
  logic [15:0]        checksum_d, checksum_q;

  // The sum's upper bits are few: with them and the first carry the rest carries again only when it is small, and is then no more
  // than 7 bits wide.
  always_comb begin
    all = 17'(low_q[15:0]) + 17'(high_q) + 17'(low_q[16]);
    checksum_d = ~all[15:0];
    if (all[16]) checksum_d = {9'h1ff, ~(all[6:0] + 7'd1)};
    else if (all[15:0] == 16'hffff && !zero_q) checksum_d = '1;
  end

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i && rst_ni;
    if (valid_i) begin
      zero_q <= zero_i;
      low_q  <= 17'(part_i) + 17'(sum_i[15:0]);
      high_q <= sum_i[SumBits-1:16];
    end
    if (valid_q) checksum_q <= checksum_d;
  end
  assign checksum_o = checksum_q;
endmodule
