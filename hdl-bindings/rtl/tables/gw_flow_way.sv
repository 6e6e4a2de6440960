// Purpose: one way of a flow bank: its words, and the comparison with the packet's key beside them.
// Latency: row to word 2 cycles, word to match 1; reads by commands 2.
// Throughput: one probe and one access by commands each cycle. A probe that meets a write of its row sees the old word, whole.
// Drops when: never.
//
// Comparing here spares the path 16 whole words: a matching word's key is the packet's, so only the rest leaves.
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
    // commands
    input  logic                   access_write_i,
    input  logic                   access_read_i,
    input  logic                   access_read_out_i,
    input  logic [FlowRowBits-1:0] access_row_i,
    input  logic [WordBits-1:0]    access_data_i,
    output logic [WordBits-1:0]    access_data_o
);
  // The word is a gw_flow_record_t up to its ecc.
  localparam int unsigned BackendAt = FlowKeyBits;
  localparam int unsigned GenerationAt = BackendAt + 16;
  localparam int unsigned ValidAt = GenerationAt + 8;
  localparam int unsigned PinnedAt = ValidAt + 1;
  localparam int unsigned ConfirmedAt = PinnedAt + 1;

  (* ram_style = "ultra" *)logic [WordBits-1:0] memory[Rows];
  logic [WordBits-1:0] word_q, word_out_q, access_q, access_out_q;
  logic                match_q;
  gw_flow_payload_t    payload_q;

  always_ff @(posedge clk_i) begin
    if (read_i) word_q <= memory[row_i];
    if (read_out_i) word_out_q <= word_q;
    if (compare_i) begin
      match_q              <= word_out_q[ValidAt] && word_out_q[FlowKeyBits-1:0] == compare_key_i;
      payload_q.backend    <= word_out_q[BackendAt+:16];
      payload_q.generation <= word_out_q[GenerationAt+:8];
      payload_q.pinned     <= word_out_q[PinnedAt];
      payload_q.confirmed  <= word_out_q[ConfirmedAt];
      payload_q.ecc        <= word_out_q[FlowWordDataBits+:9];
    end
  end

  always_ff @(posedge clk_i) begin
    if (access_write_i) memory[access_row_i] <= access_data_i;
    if (access_read_i) access_q <= memory[access_row_i];
    if (access_read_out_i) access_out_q <= access_q;
  end

  assign match_o       = match_q;
  assign payload_o     = payload_q;
  assign access_data_o = access_out_q;
endmodule
