// Purpose: a shallow FIFO whose oldest entry is visible before it is taken (show-ahead).
// Latency: 1 cycle from push to visible.
// Throughput: one push and one pop each cycle.
// Drops when: never: a push into a full FIFO is the caller's error, asserted.
//
// Every output comes from a register. The oldest entry stands in `oldest_q`, those behind it in `mem`; into an empty FIFO, or one that is
// emptied in that cycle, a push goes straight to `oldest_q`. A deep FIFO is gw_deep_fifo.
module gw_fifo #(
    parameter int unsigned Width = 32,
    parameter int unsigned Depth = 16,
    parameter int unsigned AlmostFull = Depth,  // level at which `almost_full_o` rises
    parameter bit EarlyWrite = 1'b0,  // `data_i` is written each cycle, to a free place: the RAM's wide enable waits for no late `push_i`
    localparam int unsigned LevelBits = $clog2(Depth + 1)
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 push_i,
    input  logic [Width-1:0]     data_i,
    output logic                 valid_o,
    input  logic                 pop_i,
    output logic [Width-1:0]     data_o,
    output logic [LevelBits-1:0] level_o,
    output logic                 full_o,
    output logic                 almost_full_o
);
  localparam int unsigned AddrBits = Depth > 1 ? $clog2(Depth) : 1;

  logic [Width-1:0]     mem[Depth];
  logic [Width-1:0]     oldest_q;
  logic [AddrBits-1:0]  write_q, write_d, read_q, read_d;  // of `mem`
  logic [LevelBits-1:0] level_q, level_d;
  logic                 valid_q, behind_q, full_q, almost_full_q;
  logic                 store, next;

  assign store = push_i && (behind_q || (valid_q && !pop_i));  // the entry goes behind others
  assign next  = pop_i && behind_q;  // one of `mem` becomes the oldest

  always_comb begin
    write_d = write_q;
    read_d  = read_q;
    level_d = level_q;
    if (store) write_d = write_q == AddrBits'(Depth - 1) ? '0 : write_q + 1'b1;
    if (next) read_d = read_q == AddrBits'(Depth - 1) ? '0 : read_q + 1'b1;
    if (push_i && !pop_i) level_d = level_q + 1'b1;
    if (!push_i && pop_i) level_d = level_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    // Of a push that goes straight to `oldest_q` a copy is left at a free place.
    if (push_i || EarlyWrite) mem[write_q] <= data_i;
    // What comes when nothing is pushed means nothing; waiting for `push_i` would hold up a wide register's enable.
    if (!valid_q || pop_i) oldest_q <= behind_q ? mem[read_q] : data_i;
    write_q       <= write_d;
    read_q        <= read_d;
    level_q       <= level_d;
    valid_q       <= push_i || behind_q || (valid_q && !pop_i);
    // What the level will be compared with, compared before it is known.
    if (push_i && !pop_i) begin
      behind_q      <= valid_q;
      full_q        <= level_q == LevelBits'(Depth - 1);
      almost_full_q <= level_q >= LevelBits'(AlmostFull - 1);
    end else if (!push_i && pop_i) begin
      behind_q      <= level_q > LevelBits'(2);
      full_q        <= 1'b0;
      almost_full_q <= almost_full_q && level_q != LevelBits'(AlmostFull);
    end
    if (!rst_ni) begin
      write_q       <= '0;
      read_q        <= '0;
      level_q       <= '0;
      valid_q       <= 1'b0;
      behind_q      <= 1'b0;
      full_q        <= 1'b0;
      almost_full_q <= 1'b0;
    end
  end

  assign valid_o       = valid_q;
  assign data_o        = oldest_q;
  assign level_o       = level_q;
  assign full_o        = full_q;
  assign almost_full_o = almost_full_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(push_i && full_q && !pop_i)) else $error("gw_fifo: push into a full FIFO");
      assert (!(pop_i && !valid_q)) else $error("gw_fifo: pop from an empty FIFO");
    end
  end
`endif
endmodule
