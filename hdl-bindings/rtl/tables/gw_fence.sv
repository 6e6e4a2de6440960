// Purpose: tells when every frame that entered the path before a moment has been decided on.
// Latency: 2 cycles after the last such decision was taken by gw_admit.
// Throughput: one fence at a time.
// Drops when: never.
module gw_fence (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic window_i,    // pulse: a window entered gw_parse
    input  logic decision_i,  // pulse: gw_admit took a decision (in the order of the windows)
    input  logic start_i,     // held until `done_o`; taking it away ends the fence
    output logic done_o       // pulse
);
  // Far more than the windows that can be on their way, so that a difference tells before from after.
  localparam int unsigned CountBits = 16;
  typedef logic [CountBits-1:0] count_t;

  count_t entered_q, entered_d, decided_q, decided_d, mark_q, mark_d, behind;
  logic   waiting_q, waiting_d, done_q, done_d;

  always_comb begin
    entered_d = entered_q + CountBits'(window_i);
    decided_d = decided_q + CountBits'(decision_i);
    mark_d    = mark_q;
    behind    = decided_q - mark_q;
    waiting_d = start_i && !done_q;
    done_d    = start_i && waiting_q && !done_q && !behind[CountBits-1];
    if (start_i && !waiting_q) mark_d = entered_d;
  end

  always_ff @(posedge clk_i) begin
    entered_q <= entered_d;
    decided_q <= decided_d;
    mark_q    <= mark_d;
    waiting_q <= waiting_d;
    done_q    <= done_d;
    if (!rst_ni) begin
      entered_q <= '0;
      decided_q <= '0;
      waiting_q <= 1'b0;
      done_q    <= 1'b0;
    end
  end
  assign done_o = done_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (decided_d - entered_q == '0 || 16'(entered_d - decided_d) < 16'h8000) else $error("gw_fence: more decisions than windows");
  end
`endif
endmodule
