// Purpose: cuts a stream's paths in both directions: valid, data and ready all come from registers.
// Latency: 1 cycle.
// Throughput: one each cycle.
// Drops when: never.
module gw_skid #(
    parameter int unsigned Width = 32
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             valid_i,
    output logic             ready_o,
    input  logic [Width-1:0] data_i,
    output logic             valid_o,
    input  logic             ready_i,
    output logic [Width-1:0] data_o
);
  logic valid_q, ready_q;  // the output register is used; the spare register is free
  logic [Width-1:0] data_q, spare_q;

  always_ff @(posedge clk_i) begin
    if (ready_q) begin
      if (!valid_q || ready_i) begin
        valid_q <= valid_i;
        if (valid_i) data_q <= data_i;
      end else if (valid_i) begin
        spare_q <= data_i;
        ready_q <= 1'b0;
      end
    end else if (ready_i) begin
      data_q  <= spare_q;
      ready_q <= 1'b1;
    end
    if (!rst_ni) begin
      valid_q <= 1'b0;
      ready_q <= 1'b1;
    end
  end

  assign ready_o = ready_q;
  assign valid_o = valid_q;
  assign data_o  = data_q;

`ifdef VERILATOR
  logic             held_q;
  logic [Width-1:0] seen_q;
  always_ff @(posedge clk_i) begin
    held_q <= rst_ni && valid_o && !ready_i;
    seen_q <= data_o;
    if (rst_ni && held_q) assert (valid_o && data_o == seen_q) else $error("gw_skid: the output moved while stalled");
  end
`endif
endmodule
