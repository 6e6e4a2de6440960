// Purpose: one ring's interrupt: fires once when the ring's index has left the one that the host armed it with.
// Latency: 1 cycle from the answered completion.
// Throughput: one interrupt a cycle.
// Drops when: never; disabling the ring forgets an arming.
//
// `done_i` is the index whose completions were answered, `issued_i` (ahead of it) the index whose completions are on their way.
// The host may already have seen those, and arm with their index: such an index has not been left.
module gw_ring_arm (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        enable_i,
    input  logic        arm_written_i,
    input  logic [15:0] arm_i,
    input  logic [15:0] done_i,
    input  logic [15:0] issued_i,
    output logic        fire_o
);
  logic armed_q, armed_d, enable_q, left;

  assign left   = 16'(arm_i - done_i) > 16'(issued_i - done_i);
  assign fire_o = armed_q && enable_q && left && !arm_written_i;

  always_comb begin
    armed_d = armed_q && !fire_o && !(enable_q && !enable_i);
    if (arm_written_i) armed_d = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    armed_q  <= armed_d;
    enable_q <= enable_i;
    if (!rst_ni) begin
      armed_q  <= 1'b0;
      enable_q <= 1'b0;
    end
  end
endmodule
