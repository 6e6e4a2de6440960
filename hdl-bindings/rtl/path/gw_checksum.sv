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
  logic        valid_q, zero_q;
  logic [17:0] all_q;
  logic [15:0] checksum_d, checksum_q;

  // `all_q` is at most 2 * 0xffff + 0x3f: the carries are 0, 1 or 2, and with 2 the rest is small. Adding them carries again in
  // one case only, and the sum is all ones in two.
  always_comb begin
    unique case (all_q)
      18'h0ffff, 18'h1fffe: checksum_d = zero_q ? '0 : '1;
      18'h1ffff: checksum_d = 16'hfffe;
      default: checksum_d = ~(all_q[15:0] + 16'(all_q[17:16]));
    endcase
  end

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i && rst_ni;
    if (valid_i) zero_q <= zero_i;
    if (valid_i) all_q <= 18'(part_i) + 18'(sum_i[15:0]) + 18'(sum_i[SumBits-1:16]);
    if (valid_q) checksum_q <= checksum_d;
  end
  assign checksum_o = checksum_q;
endmodule
