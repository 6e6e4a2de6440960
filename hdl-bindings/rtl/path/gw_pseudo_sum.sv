// Sums what a checksum covers before what is carried: the pseudo header and that of UDP (RFC 768, RFC 8200 8.1) or of an ICMP error,
// which has no pseudo header in IPv4 (RFC 792, RFC 4443 2.3).
//
// Latency:    Cycles: pairs of words; fours; addresses; all; folded to 17 bits, then to 16.
// Throughput: one header a cycle; never stalls.
// Drops when: never.
module gw_pseudo_sum (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic         valid_i,
    input  logic         ipv6_i,  // else only the low 32 bits of the addresses count
    input  logic         icmp_i,
    input  logic [127:0] source_i,
    input  logic [127:0] destination_i,
    input  logic [15:0]  first_i,  // words of the header: ports, or type and code
    input  logic [15:0]  second_i,  // and an ICMP error's MTU
    input  logic [15:0]  length_i,
    output logic [15:0]  sum_o  // keeps its value until the next one
);
  localparam int unsigned Cycles = 6;
  localparam int unsigned Words = 16;  // both addresses
  localparam logic [18:0] ProtocolUdp = 19'd17;
  localparam logic [18:0] ProtocolIcmpv6 = 19'd58;

  logic [Cycles-1:0] valid_q;
  logic [Words*16-1:0] addresses;
  logic [Words/2-1:0][16:0] pairs_q;
  logic [Words/4-1:0][17:0] fours_q;
  logic [1:0][18:0] eights_q;
  logic [16:0] ports_q;
  logic [16:0] lengths_q;
  logic [18:0] protocol1_q, protocol2_q;
  logic [17:0] header_q;
  logic [18:0] rest_q;
  logic [20:0] all_q;
  logic [16:0] folded_q;
  logic [15:0] sum_q;

  always_comb begin
    addresses = ipv6_i ? {source_i, destination_i} : (Words * 16)'({source_i[31:0], destination_i[31:0]});
    if (icmp_i && !ipv6_i) addresses = '0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Cycles-2:0], valid_i};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int unsigned i = 0; i < Words / 2; i++) pairs_q[i] <= 17'(addresses[32*i+:16]) + 17'(addresses[32*i+16+:16]);
      ports_q <= 17'(first_i) + 17'(second_i);
      // pseudo header and UDP header both hold the length
      lengths_q   <= icmp_i ? (ipv6_i ? 17'(length_i) : '0) : {length_i, 1'b0};
      protocol1_q <= icmp_i ? (ipv6_i ? ProtocolIcmpv6 : '0) : ProtocolUdp;
    end
    if (valid_q[0]) begin
      for (int unsigned i = 0; i < Words / 4; i++) fours_q[i] <= 18'(pairs_q[2*i]) + 18'(pairs_q[2*i+1]);
      header_q    <= 18'(ports_q) + 18'(lengths_q);
      protocol2_q <= protocol1_q;
    end
    if (valid_q[1]) begin
      for (int unsigned i = 0; i < 2; i++) eights_q[i] <= 19'(fours_q[2*i]) + 19'(fours_q[2*i+1]);
      rest_q <= 19'(header_q) + protocol2_q;
    end
    if (valid_q[2]) all_q <= 21'(eights_q[0]) + 21'(eights_q[1]) + 21'(rest_q);
    if (valid_q[3]) folded_q <= 17'(all_q[15:0]) + 17'(all_q[20:16]);
    if (valid_q[4]) sum_q <= folded_q[15:0] + 16'(folded_q[16]);
  end

  assign sum_o = sum_q;

  logic unused_valid;
  assign unused_valid = valid_q[Cycles-1];
endmodule
