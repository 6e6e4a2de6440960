// Puts VLAN tags between the MAC addresses and the EtherType of a header that is sent (CARD.md 5).
//
// Latency:    1.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_tag
  import gw_pkg::*;
(
    input  logic         clk_i,
    input  logic         valid_i,
    input  gw_decision_t decision_i,  // its header without tags
    input  logic [1:0]   tags_i,  // how many: 0 to 2; 0 without a header
    input  logic [63:0]  tag_i,  // their bytes, the first one most significant
    output gw_decision_t decision_o
);
  localparam int unsigned MacBytes = 12;
  localparam int unsigned RestBits = (HeaderBytes - MacBytes) * 8;

  gw_decision_t        decision_d, decision_q;
  logic [RestBits-1:0] rest;
  logic [63:0]         tag;  // first byte in bits 7:0

  always_comb begin
    for (int unsigned i = 0; i < 8; i++) tag[i*8+:8] = tag_i[(7-i)*8+:8];
    rest = decision_i.header[HeaderBytes*8-1:MacBytes*8];
    unique case (tags_i)
      2'd0: ;
      2'd1: rest = {rest[RestBits-33:0], tag[31:0]};
      default: rest = {rest[RestBits-65:0], tag};
    endcase
    decision_d = decision_i;
    decision_d.header[HeaderBytes*8-1:MacBytes*8] = rest;
    decision_d.header_bytes = decision_i.header_bytes + {3'd0, tags_i, 2'd0};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) decision_q <= decision_d;
  end
  assign decision_o = decision_q;
endmodule
