// Purpose: remembers the places of the flow table that were just written, until no request of an older lookup can come.
// Latency: a place is compared from the cycle after `insert_i` on; `match_o` is combinational.
// Throughput: one insertion, one comparison and one departure each cycle.
// Drops when: never. An insertion while `full_o` is the caller's error, asserted.
//
// Places leave in the order in which they came. A request that came (see `horizon_i`) at most Reach cycles after a place's write was
// accepted may rest on what a lookup read before it. A key's rows are the same for every place of that key, so comparing the row in
// the written place's bank finds requests of the same key, wherever they would go, as well as requests of the same place.
module gw_flow_recent
  import gw_pkg::*;
#(
    parameter int unsigned Entries = 32,
    parameter int unsigned TimeBits = 10,
    localparam int unsigned Reach = FlowRequestDelay + 4  // a write is seen from its third cycle on; one to spare
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic [TimeBits-1:0] now_i,
    input  logic [TimeBits-1:0] horizon_i,  // when the oldest request that waits came; now, when none does
    input  flow_rows_t          rows_i,
    output logic [Entries-1:0]  match_o,
    output logic                full_o,
    input  logic                insert_i,
    input  gw_flow_row_t        insert_row_i,
    input  logic                insert_written_i,  // its write was accepted before
    input  logic                written_i  // the newest one's write is accepted in this cycle
);
  localparam int unsigned IndexBits = $clog2(Entries);

  logic         [Entries-1:0]   valid_q;
  gw_flow_row_t                 row_q[Entries];
  logic         [TimeBits-1:0]  until_q[Entries];
  logic         [IndexBits-1:0] oldest_q, newest_q, next;
  logic         [IndexBits:0]   level_q;
  logic                         waiting_q;  // the newest one's write was not yet accepted
  logic         [TimeBits-1:0]  past;
  logic                         leave;

  assign next   = newest_q + 1'b1;
  assign past   = horizon_i - until_q[oldest_q];
  assign leave  = level_q != '0 && !(waiting_q && oldest_q == newest_q) && !past[TimeBits-1] && past != '0;
  assign full_o = level_q == (IndexBits + 1)'(Entries);

  for (genvar e = 0; e < Entries; e++) begin : gen_match
    assign match_o[e] = valid_q[e] && rows_i[row_q[e].bank] == row_q[e].row;
  end

  always_ff @(posedge clk_i) begin
    if (leave) begin
      valid_q[oldest_q] <= 1'b0;
      oldest_q          <= oldest_q + 1'b1;
    end
    if (insert_i) begin
      valid_q[next] <= 1'b1;
      newest_q      <= next;
    end
    waiting_q <= insert_i ? !insert_written_i : waiting_q && !written_i;
    level_q   <= level_q + (IndexBits + 1)'(insert_i) - (IndexBits + 1)'(leave);
    if (!rst_ni) begin
      valid_q   <= '0;
      oldest_q  <= '0;
      newest_q  <= '1;
      waiting_q <= 1'b0;
      level_q   <= '0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (insert_i) row_q[next] <= insert_row_i;
    if (written_i && waiting_q) until_q[newest_q] <= now_i + TimeBits'(Reach);
    if (insert_i && insert_written_i) until_q[next] <= now_i + TimeBits'(Reach);
  end

`ifdef VERILATOR
  if (Entries != 1 << IndexBits) begin : gen_check
    $error("gw_flow_recent: Entries must be a power of two");
  end
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(insert_i && full_o)) else $error("gw_flow_recent: a place more than it holds");
      assert (!(insert_i && waiting_q && !written_i)) else $error("gw_flow_recent: two places whose writes wait");
    end
  end
`endif
endmodule
