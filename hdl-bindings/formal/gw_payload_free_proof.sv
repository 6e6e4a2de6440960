// Proof of gw_payload_free: frames are freed in the order of their admission, each once, with its own number of beats, and never
// before the reader that it was given to has read it; none is kept for ever.
//
// The readers are free to take any time, in any order between them; each reads its frames in their order. What waits stands in
// any_fifo.sv, which is any queue that keeps what the proof of gw_deep_fifo shows.
module gw_payload_free_proof #(
    parameter int unsigned Frames = 4
) (
    input logic       clk_i,
    input logic       rst_ni,
    input logic       mark_i,
    input logic       admitted_i,
    input logic       egress_i,
    input logic       host_i,
    input logic [7:0] beats_i,
    input logic       egress_done_i,
    input logic       host_done_i
);
  logic       free_valid, empty, started_q = 1'b0;
  logic [7:0] free_beats;

  gw_payload_free #(.Frames(Frames)) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .admitted_i(admitted_i),
      .egress_i(egress_i),
      .host_i(host_i),
      .beats_i(beats_i),
      .egress_done_i(egress_done_i),
      .host_done_i(host_done_i),
      .free_valid_o(free_valid),
      .free_beats_o(free_beats),
      .empty_o(empty)
  );

  logic [3:0] stored_q;  // frames admitted and not freed
  logic [3:0] egress_left_q, host_left_q;  // that a reader was given and has not read
  logic       marked_q, egress_q, host_q;  // the marked frame, and whom it was given to
  logic [7:0] beats_q;
  logic [3:0] ahead_q;  // stored frames before it
  logic [3:0] egress_ahead_q, host_ahead_q;  // frames before it that their reader has not read
  logic       egress_read_q, host_read_q;  // its reader has read it

  // What waits: frames of each reader among all, and among those before the marked one.
  logic [3:0] level, egress_all, host_all, egress_before, host_before, place;
  assign level = 4'(dut.u_order.level_q);
  assign place = ahead_q - 4'(free_valid);
  always_comb begin
    egress_all    = '0;
    host_all      = '0;
    egress_before = '0;
    host_before   = '0;
    for (int i = 0; i < Frames; i++) begin
      if (i < int'(level)) begin
        egress_all = egress_all + 4'(dut.u_order.word_q[i][9]);
        host_all   = host_all + 4'(dut.u_order.word_q[i][8]);
        if (i < int'(place)) begin
          egress_before = egress_before + 4'(dut.u_order.word_q[i][9]);
          host_before   = host_before + 4'(dut.u_order.word_q[i][8]);
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) assume (!rst_ni);
    assume (!(admitted_i && stored_q == 4'(Frames)));
    assume (!(egress_done_i && egress_left_q == '0));
    assume (!(host_done_i && host_left_q == '0));

    stored_q      <= stored_q + 4'(admitted_i) - 4'(free_valid);
    egress_left_q <= egress_left_q + 4'(admitted_i && egress_i) - 4'(egress_done_i);
    host_left_q   <= host_left_q + 4'(admitted_i && host_i) - 4'(host_done_i);
    if (!marked_q) begin
      if (admitted_i && mark_i) begin
        marked_q       <= 1'b1;
        egress_q       <= egress_i;
        host_q         <= host_i;
        beats_q        <= beats_i;
        ahead_q        <= stored_q - 4'(free_valid);
        egress_ahead_q <= egress_left_q - 4'(egress_done_i);
        host_ahead_q   <= host_left_q - 4'(host_done_i);
        egress_read_q  <= 1'b0;
        host_read_q    <= 1'b0;
      end
    end else begin
      if (egress_done_i) begin
        if (egress_ahead_q != '0) egress_ahead_q <= egress_ahead_q - 1'b1;
        else egress_read_q <= 1'b1;
      end
      if (host_done_i) begin
        if (host_ahead_q != '0) host_ahead_q <= host_ahead_q - 1'b1;
        else host_read_q <= 1'b1;
      end
      if (free_valid) begin
        if (ahead_q == '0) marked_q <= 1'b0;
        else ahead_q <= ahead_q - 1'b1;
      end
    end
    if (!rst_ni) begin
      stored_q      <= '0;
      egress_left_q <= '0;
      host_left_q   <= '0;
      marked_q      <= 1'b0;
    end

    if (started_q) begin
      assert (!(free_valid && stored_q == '0));
      if (marked_q && free_valid && ahead_q == '0) begin
        assert (free_beats == beats_q);
        assert (!egress_q || egress_read_q);
        assert (!host_q || host_read_q);
      end
      // none is kept: when all was read and the oldest is visible, it goes
      if (dut.valid && egress_left_q == '0 && host_left_q == '0) assert (dut.free);
      // registers
      assert (stored_q == level + 4'(free_valid) && stored_q <= 4'(Frames));
      assert (4'(dut.egress_tokens_q) + egress_left_q == egress_all && 4'(dut.host_tokens_q) + host_left_q == host_all);
      assert (egress_left_q <= 4'(Frames) && host_left_q <= 4'(Frames));
      if (marked_q) begin
        assert (ahead_q < stored_q);
        assert (egress_ahead_q <= egress_left_q && host_ahead_q <= host_left_q);
        if (free_valid && ahead_q == '0) begin
          // it has left: nothing more to tie
        end else begin
          assert (dut.u_order.word_q[place[1:0]] == {egress_q, host_q, beats_q});
          if (!egress_read_q) assert (4'(dut.egress_tokens_q) + egress_ahead_q == egress_before);
          else assert (egress_ahead_q == '0 && egress_before + 4'(egress_q) <= 4'(dut.egress_tokens_q));
          if (!host_read_q) assert (4'(dut.host_tokens_q) + host_ahead_q == host_before);
          else assert (host_ahead_q == '0 && host_before + 4'(host_q) <= 4'(dut.host_tokens_q));
        end
      end
      cover (rst_ni && marked_q && free_valid && ahead_q == '0 && egress_q && host_left_q == 4'd2);
      cover (rst_ni && marked_q && ahead_q == 4'd2 && host_read_q && host_q && egress_ahead_q == 4'd2);
    end
  end
endmodule
