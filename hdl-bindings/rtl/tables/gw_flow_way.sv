// Purpose: one way of a flow bank: its words, and the comparison with the packet's key beside them.
// Latency: row to word 2 cycles, word to match 1; reads by commands 2.
// Throughput: one probe and one access by commands each cycle. A probe that meets a write of its row sees the old word, whole.
// Drops when: never.
//
// Comparing here spares the path 16 whole words: a matching word's key is the packet's, so only the rest leaves, and of any word
// whether its place could be taken.
// Rows and enables are registered once for all ways, in gw_flow_table.
module gw_flow_way
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    localparam int unsigned Rows = 1 << FlowRowBits,
    localparam int unsigned WordBits = FlowWordDataBits + 9  // data and SECDED
) (
    input  logic                   clk_i,
    // packets
    input  logic                   read_i,       // the array is read
    input  logic                   read_out_i,   // one cycle later: the output register takes the word
    input  logic [FlowRowBits-1:0] row_i,
    input  logic                   compare_i,    // one cycle later again, with the key
    input  logic [FlowKeyBits-1:0] compare_key_i,
    output logic                   match_o,
    output gw_flow_payload_t       payload_o,
    output gw_flow_tenant_t        tenant_o,
    // commands
    input  logic                   access_write_i,
    input  logic                   access_read_i,
    input  logic                   access_read_out_i,
    input  logic [FlowRowBits-1:0] access_row_i,
    input  logic [WordBits-1:0]    access_data_i,
    output logic [WordBits-1:0]    access_data_o
);
  (* ram_style = "ultra" *) logic [WordBits-1:0] memory[Rows];
  logic [WordBits-1:0] word_q, access_q, access_out_q;
  logic [WordBits-FlowWordDataBits-1:0] ecc_out_q;
  gw_flow_word_t       word_out_q;
  logic                match_q;
  gw_flow_payload_t    payload_q;
  gw_flow_tenant_t     tenant_q;
  logic                held;

  assign held = word_out_q.confirmed || word_out_q.pinned;

  always_ff @(posedge clk_i) begin
    if (read_i) word_q <= memory[row_i];
    if (read_out_i) {ecc_out_q, word_out_q} <= word_q;
    if (compare_i) begin
      tenant_q.valid <= word_out_q.valid;
      tenant_q.held  <= held;
      if (word_out_q.valid && !held) begin
        tenant_q.vip <= word_out_q.key[FlowKeyBits-1-:12];
        tenant_q.own <= word_out_q.key[FlowKeyBits-1-:12] == compare_key_i[FlowKeyBits-1-:12];
      end
      // The ports first: a simulator then rarely compares the rest.
      match_q <= 1'b0;
      if (word_out_q.valid && word_out_q.key[31:0] == compare_key_i[31:0]) begin
        match_q   <= word_out_q.key[FlowKeyBits-1:32] == compare_key_i[FlowKeyBits-1:32];
        payload_q <= '{
          ecc: ecc_out_q,
          confirmed: word_out_q.confirmed,
          pinned: word_out_q.pinned,
          generation: word_out_q.generation,
          backend: word_out_q.backend
        };
      end
    end
  end

  always_ff @(posedge clk_i) begin
    // One port: it writes or reads.
    if (access_write_i) memory[access_row_i] <= access_data_i;
    else if (access_read_i) access_q <= memory[access_row_i];
    if (access_read_out_i) access_out_q <= access_q;
  end

  assign match_o       = match_q;
  assign payload_o     = payload_q;
  assign tenant_o      = tenant_q;
  assign access_data_o = access_out_q;
endmodule
