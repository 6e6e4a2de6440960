// Proof of gw_fifo: no word lost, duplicated, altered or reordered, and its level, `full_o` and `almost_full_o` exact,
// for callers that push only where there is room (a pop in the same cycle makes room) and pop only what is offered.
module gw_fifo_proof #(
    parameter int unsigned Width = 4,
    parameter int unsigned Depth = 5,
    parameter int unsigned AlmostFull = 3,
    parameter bit EarlyWrite = 1'b0
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic             mark_i,
    input logic             push_i,
    input logic [Width-1:0] data_i,
    input logic             pop_i
);
  logic             valid, full, almost_full, marked;
  logic [Width-1:0] data, word;
  logic [5:0]       count, ahead, place, behind;
  logic [$clog2(Depth + 1)-1:0] level;
  logic             started_q = 1'b0;

  gw_fifo #(.Width(Width), .Depth(Depth), .AlmostFull(AlmostFull), .EarlyWrite(EarlyWrite)) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(push_i),
      .data_i(data_i),
      .valid_o(valid),
      .pop_i(pop_i),
      .data_o(data),
      .level_o(level),
      .full_o(full),
      .almost_full_o(almost_full)
  );

  order_check #(.Width(Width)) u_order (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .started_i(started_q),
      .mark_i(mark_i),
      .in_i(push_i),
      .in_data_i(data_i),
      .valid_i(valid),
      .out_i(pop_i),
      .out_data_i(data),
      .count_o(count),
      .marked_o(marked),
      .ahead_o(ahead),
      .word_o(word)
  );

  // Where the marked word must be, when it is not the oldest.
  always_comb begin
    behind = count == '0 ? '0 : count - 1'b1;
    place = 6'(dut.read_q) + ahead - 1'b1;
    if (place >= 6'(Depth)) place = place - 6'(Depth);
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) assume (!rst_ni);
    assume (!(push_i && count == 6'(Depth) && !pop_i));
    assume (!(pop_i && !valid));
    if (started_q) begin
      assert (count <= 6'(Depth));
      assert (6'(level) == count);
      assert (valid == (count != '0));
      assert (full == (count == 6'(Depth)));
      assert (almost_full == (count >= 6'(AlmostFull)));
      assert (6'(dut.read_q) < 6'(Depth) && 6'(dut.write_q) < 6'(Depth));
      assert (6'(dut.write_q) == (6'(dut.read_q) + behind >= 6'(Depth) ? 6'(dut.read_q) + behind - 6'(Depth) : 6'(dut.read_q) + behind));
      assert (dut.behind_q == (behind != '0));
      if (marked) assert ((ahead == '0 ? dut.oldest_q : dut.mem[place]) == word);
      cover (rst_ni && full && push_i && pop_i && marked && ahead == 6'(Depth - 1));
      cover (rst_ni && marked && ahead == '0 && pop_i && dut.read_q < dut.write_q && count == 6'd2);
    end
  end
endmodule
