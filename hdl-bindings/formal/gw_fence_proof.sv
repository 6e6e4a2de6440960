// Proof of gw_fence: `done_o` comes once a fence, only when every window that entered up to its first cycle has its decision, and at
// most two cycles after the last of them; for paths that decide in order and hold less than 2^15 windows.
//
// What lies on the path is a count here: decisions come in the order of the windows, so the first `before_q` ones are the fence's.
module gw_fence_proof (
    input logic clk_i,
    input logic rst_ni,
    input logic window_i,
    input logic decision_i,
    input logic start_i
);
  logic        done;
  logic        started_q = 1'b0;
  logic        fence_q;  // a fence is under way, and its first cycle is over
  logic [15:0] inside_q;  // windows without their decision
  logic [15:0] before_q;  // those of them that entered before the fence
  logic [1:0]  late_q;  // cycles for which `before_q` has been 0

  gw_fence dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .window_i(window_i),
      .decision_i(decision_i),
      .start_i(start_i),
      .done_o(done)
  );

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) assume (!rst_ni);
    if (!rst_ni) begin
      inside_q <= '0;
      fence_q  <= 1'b0;
    end else begin
      assume (!(decision_i && inside_q == '0));
      assume (!(window_i && inside_q == 16'h7fff && !decision_i));
      inside_q   <= inside_q + 16'(window_i) - 16'(decision_i);
      fence_q  <= start_i && !done;
      if (start_i && !fence_q) before_q <= inside_q + 16'(window_i) - 16'(decision_i);
      else if (decision_i && before_q != '0) before_q <= before_q - 1'b1;
      late_q <= start_i && fence_q && before_q == '0 ? late_q + 1'b1 : '0;
    end
    if (started_q) begin
      if (done) begin
        assert (fence_q);
        assert (before_q == '0);  // not too early: nothing of before is undecided
      end
      assert (!(fence_q && before_q == '0 && late_q == 2'd2 && start_i && !done && rst_ni));  // not lost
      // registers
      assert (dut.entered_q - dut.decided_q == inside_q && inside_q <= 16'h7fff);
      assert (dut.waiting_q == fence_q);
      if (fence_q) begin
        assert (before_q <= inside_q);
        if (before_q != '0) assert (dut.mark_q - dut.decided_q == before_q);
        else assert (dut.decided_q - dut.mark_q <= 16'(late_q) + 16'd1);
      end
      cover (rst_ni && done && inside_q >= 16'd2);
      cover (rst_ni && fence_q && before_q == 16'd3 && inside_q == 16'd5);
    end
  end
endmodule
