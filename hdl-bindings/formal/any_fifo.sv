// Stands for gw_deep_fifo in the proof of a module that uses one: any queue that keeps what the proof of gw_deep_fifo shows, however
// long a word takes to become visible. `visible` has no driver: a solver chooses it anew in each cycle.
module gw_deep_fifo #(
    parameter int unsigned Width = 32,
    parameter int unsigned Depth = 512,
    parameter int unsigned Latency = 3
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             push_i,
    input  logic [Width-1:0] data_i,
    output logic             valid_o,
    input  logic             pop_i,
    output logic [Width-1:0] data_o
);
  logic                        visible;
  logic                        shown_q;  // what was visible stays so
  logic [Depth-1:0][Width-1:0] word_q, shifted;  // word 0 is the oldest
  logic [$clog2(Depth+1)-1:0]  level_q, left;

  assign shifted = pop_i ? word_q >> Width : word_q;
  assign left    = level_q - ($clog2(Depth + 1))'(pop_i);
  always_ff @(posedge clk_i) begin
    word_q <= shifted;
    for (int i = 0; i < Depth; i++) if (push_i && i == int'(left)) word_q[i] <= data_i;
    level_q <= left + ($clog2(Depth + 1))'(push_i);
    shown_q <= valid_o && !pop_i;
    if (!rst_ni) begin
      level_q <= '0;
      shown_q <= 1'b0;
    end
  end
  assign valid_o = level_q != '0 && (visible || shown_q);
  assign data_o  = word_q[0];
endmodule
