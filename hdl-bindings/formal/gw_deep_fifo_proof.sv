// Proof of gw_deep_fifo: no word lost, duplicated, altered or reordered, none hidden for more than Latency + 1 cycles, and room
// for Depth words at any time.
//
// Where word number n can be, oldest first: prefetch, then the RAM's read stages (the last one first), then the RAM.
module gw_deep_fifo_proof #(
    parameter int unsigned Width = 2,
    parameter int unsigned Depth = 3,
    parameter int unsigned Latency = 2
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic             mark_i,
    input logic             push_i,
    input logic [Width-1:0] data_i,
    input logic             pop_i
);
  localparam int unsigned Prefetch = Latency + 4;

  logic             valid, marked;
  logic [Width-1:0] data, word;
  logic [5:0]       count, ahead;
  logic             started_q = 1'b0;
  logic [5:0]       late_q;  // cycles for which a word has been inside and none was offered

  gw_deep_fifo #(.Width(Width), .Depth(Depth), .Latency(Latency)) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(push_i),
      .data_i(data_i),
      .valid_o(valid),
      .pop_i(pop_i),
      .data_o(data)
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

  // ---- where the marked word must be -----------------------------------------------------------------------------------
  function automatic logic [5:0] wrap(input logic [5:0] place, input logic [5:0] size);
    wrap = place >= size ? place - size : place;
  endfunction

  logic [5:0] level, stored, flying;
  logic [5:0] oldest;  // read under way: cycles since it began
  logic       in_stage;  // not: the marked word is in a stage, and altered

  assign level  = 6'(dut.u_prefetch.level_q);
  assign stored = 6'(dut.stored_q);

  always_comb begin
    flying   = '0;
    in_stage = 1'b1;
    oldest   = '0;
    for (int i = Latency - 1; i >= 0; i--) begin
      if (dut.reading_q[i]) begin
        if (ahead == level + flying) begin
          in_stage = (i == 0 ? dut.u_ram.first_q : dut.u_ram.gen_pipeline.stage_q[i == 0 ? 0 : i-1]) == word;
        end
        if (flying == '0) oldest = 6'(i + 1);
        flying = flying + 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    late_q    <= rst_ni && count != '0 && !valid ? late_q + 1'b1 : '0;
    if (!started_q) assume (!rst_ni);
    // The caller's part; who never has more than Depth words inside keeps it, as the next line shows.
    assume (!(dut.store && stored == 6'(Depth) && !dut.read));
    if (started_q && count < 6'(Depth)) assert (stored < 6'(Depth));
    assume (!(pop_i && !valid));
    if (started_q) begin
      if (count != '0 && !valid) begin
        assert (late_q <= 6'(Latency));
        assert (late_q <= oldest);
      end
      // registers
      assert (dut.some_q == (stored != '0) && dut.claimable_q == (level + flying != 6'(Prefetch)));
      assert (dut.direct_q == (stored == '0 && flying == '0 && level != 6'(Prefetch)));
      assert (count == level + flying + stored);
      assert (6'(dut.claimed_q) == level + flying && level + flying <= 6'(Prefetch));
      assert (stored <= 6'(Depth) && 6'(dut.read_q) < 6'(Depth) && 6'(dut.write_q) < 6'(Depth));
      assert (6'(dut.write_q) == wrap(6'(dut.read_q) + stored, 6'(Depth)));
      assert (6'(dut.u_prefetch.read_q) < 6'(Prefetch));
      assert (6'(dut.u_prefetch.write_q) == wrap(6'(dut.u_prefetch.read_q) + (level == '0 ? '0 : level - 1'b1), 6'(Prefetch)));
      assert (dut.u_prefetch.valid_q == (level != '0) && dut.u_prefetch.behind_q == (level > 6'd1));
      for (int i = 0; i < Latency - 1; i++) assert (!dut.reading_q[i] || dut.u_ram.gen_pipeline.enable_q[i]);
      // the marked word
      if (marked) begin
        if (ahead == '0 && level != '0) assert (dut.u_prefetch.oldest_q == word);
        else if (ahead < level) assert (dut.u_prefetch.mem[wrap(6'(dut.u_prefetch.read_q) + ahead - 1'b1, 6'(Prefetch))] == word);
        else if (ahead < level + flying) assert (in_stage);
        else assert (dut.u_ram.mem[wrap(6'(dut.read_q) + ahead - level - flying, 6'(Depth))] == word);
      end
      cover (rst_ni && marked && stored == 6'(Depth) && ahead >= level + flying + 6'd2 && pop_i);
      cover (rst_ni && marked && flying == 6'(Latency) && ahead == level + 6'd1);
      cover (rst_ni && marked && late_q == 6'(Latency) && pop_i);
    end
  end
endmodule
