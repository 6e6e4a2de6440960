// Purpose: remembers the places of the flow table that were just written, until no request of an older lookup can come.
// Latency: a place is compared from the cycle after `insert_i` on; `match_o` 1 cycle after `look_i`.
// Throughput: one insertion, one comparison and one departure each cycle.
// Drops when: never. An insertion while `full_o` is the caller's error, asserted.
//
// Places leave in the order in which they came, which is that of their writes. A request that came (see `horizon_i`) at most Reach
// cycles after a place's write may rest on what a lookup read before it. A key's rows are the same for every place of that key, so
// comparing the row in the written place's bank finds requests of the same key, wherever they would go, as well as requests of the
// same place. Rows are compared by halves, which meet a cycle later.
module gw_flow_recent
  import gw_pkg::*;
#(
    parameter int unsigned Entries = 32,
    parameter int unsigned TimeBits = 10,
    localparam int unsigned Reach = FlowRequestDelay + 4  // a write is seen from its fourth cycle on, `written_i` is its second; some to spare
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic [TimeBits-1:0] now_i,
    input  logic [TimeBits-1:0] horizon_i,  // no request that is still to be compared came before it; never steps back
    input  logic                look_i,
    input  flow_rows_t          rows_i,
    output logic                match_o,
    output logic                full_o,
    output logic                spare_o,    // there is room for three
    input  logic                insert_i,
    input  gw_flow_row_t        insert_row_i,
    input  logic                written_i   // the write of the oldest place that waits for it was taken in the cycle before
);
  localparam int unsigned IndexBits = $clog2(Entries);
  localparam int unsigned Low = FlowRowBits / 2;

  logic         [Entries-1:0]   valid_q, low_q, high_q;
  gw_flow_row_t                 row_q[Entries];
  logic         [IndexBits-1:0] oldest_q, next_q;
  logic         [IndexBits:0]   level_q, level_d;
  logic                         full_q, spare_q;

  // ---- how long each stays ----------------------------------------------------------------------------------------------
  logic                until_valid, leave, leave_q, unused_full, unused_almost_full;
  logic [$clog2(Entries+1)-1:0] unused_level;
  logic [TimeBits-1:0] until_time, ahead;

  gw_fifo #(.Width(TimeBits), .Depth(Entries)) u_until (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .push_i       (written_i),
      .data_i       (now_i + TimeBits'(Reach)),
      .valid_o      (until_valid),
      .pop_i        (leave),
      .data_o       (until_time),
      .level_o      (unused_level),
      .full_o       (unused_full),
      .almost_full_o(unused_almost_full)
  );
  assign ahead = until_time - horizon_i;
  assign leave = until_valid && ahead[TimeBits-1];

  // ---- the places -------------------------------------------------------------------------------------------------------
  assign level_d = level_q + (IndexBits + 1)'(insert_i) - (IndexBits + 1)'(leave_q);
  assign full_o  = full_q;
  assign spare_o = spare_q;
  assign match_o = (low_q & high_q) != '0;

  always_ff @(posedge clk_i) begin
    leave_q <= leave;
    if (leave_q) begin
      valid_q[oldest_q] <= 1'b0;
      oldest_q          <= oldest_q + 1'b1;
    end
    if (insert_i) begin
      valid_q[next_q] <= 1'b1;
      next_q          <= next_q + 1'b1;
    end
    level_q <= level_d;
    full_q  <= level_d == (IndexBits + 1)'(Entries);
    spare_q <= level_d <= (IndexBits + 1)'(Entries - 3);
    if (!rst_ni) begin
      leave_q  <= 1'b0;
      valid_q  <= '0;
      oldest_q <= '0;
      next_q   <= '0;
      level_q  <= '0;
      full_q   <= 1'b0;
      spare_q  <= 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin
    if (insert_i) row_q[next_q] <= insert_row_i;
    if (look_i) begin
      for (int unsigned e = 0; e < Entries; e++) begin
        low_q[e]  <= valid_q[e] && rows_i[row_q[e].bank][Low-1:0] == row_q[e].row[Low-1:0];
        high_q[e] <= rows_i[row_q[e].bank][FlowRowBits-1:Low] == row_q[e].row[FlowRowBits-1:Low];
      end
    end
  end

`ifdef VERILATOR
  if (Entries != 1 << IndexBits) begin : gen_check
    $error("gw_flow_recent: Entries must be a power of two");
  end
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(insert_i && full_o)) else $error("gw_flow_recent: a place more than it holds");
  end
`endif
endmodule
