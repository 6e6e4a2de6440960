// FIFOs, delays and the skid buffer side by side, each with ports of its own.
module gw_common_bench #(
    parameter int unsigned Width = 24,
    parameter int unsigned FifoDepth = 5,
    parameter int unsigned DeepDepth = 20
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    // 0: gw_fifo, 1 and 2: gw_deep_fifo with RAM latency 1 and 3
    input  logic [2:0]       push_i,
    input  logic [2:0]       pop_i,
    input  logic [Width-1:0] fifo_data_i,
    output logic [2:0]       fifo_valid_o,
    output logic [Width-1:0] fifo_data_0_o,
    output logic [Width-1:0] fifo_data_1_o,
    output logic [Width-1:0] fifo_data_2_o,
    output logic [2:0]       level_o,
    output logic             full_o,
    output logic             almost_full_o,
    // delays of 1, 2, 9 and 19 cycles
    input  logic             delay_valid_i,
    input  logic [Width-1:0] delay_data_i,
    output logic [3:0]       delay_valid_o,
    output logic [Width-1:0] delay_data_0_o,
    output logic [Width-1:0] delay_data_1_o,
    output logic [Width-1:0] delay_data_2_o,
    output logic [Width-1:0] delay_data_3_o,
    input  logic             skid_valid_i,
    output logic             skid_ready_o,
    input  logic [Width-1:0] skid_data_i,
    output logic             skid_valid_o,
    input  logic             skid_ready_i,
    output logic [Width-1:0] skid_data_o
);
  gw_fifo #(.Width(Width), .Depth(FifoDepth), .AlmostFull(FifoDepth - 2)) u_fifo (
      .clk_i(clk_i), .rst_ni(rst_ni), .push_i(push_i[0]), .data_i(fifo_data_i), .valid_o(fifo_valid_o[0]), .pop_i(pop_i[0]),
      .data_o(fifo_data_0_o), .level_o(level_o), .full_o(full_o), .almost_full_o(almost_full_o)
  );
  gw_deep_fifo #(.Width(Width), .Depth(DeepDepth), .Latency(1)) u_deep_1 (
      .clk_i(clk_i), .rst_ni(rst_ni), .push_i(push_i[1]), .data_i(fifo_data_i), .valid_o(fifo_valid_o[1]), .pop_i(pop_i[1]),
      .data_o(fifo_data_1_o)
  );
  gw_deep_fifo #(.Width(Width), .Depth(DeepDepth), .Latency(3)) u_deep_3 (
      .clk_i(clk_i), .rst_ni(rst_ni), .push_i(push_i[2]), .data_i(fifo_data_i), .valid_o(fifo_valid_o[2]), .pop_i(pop_i[2]),
      .data_o(fifo_data_2_o)
  );
  gw_delay #(.Width(Width), .Cycles(1)) u_delay_1 (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(delay_valid_i), .data_i(delay_data_i), .valid_o(delay_valid_o[0]),
      .data_o(delay_data_0_o)
  );
  gw_delay #(.Width(Width), .Cycles(2)) u_delay_2 (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(delay_valid_i), .data_i(delay_data_i), .valid_o(delay_valid_o[1]),
      .data_o(delay_data_1_o)
  );
  gw_delay #(.Width(Width), .Cycles(9)) u_delay_9 (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(delay_valid_i), .data_i(delay_data_i), .valid_o(delay_valid_o[2]),
      .data_o(delay_data_2_o)
  );
  gw_delay #(.Width(Width), .Cycles(19)) u_delay_19 (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(delay_valid_i), .data_i(delay_data_i), .valid_o(delay_valid_o[3]),
      .data_o(delay_data_3_o)
  );
  gw_skid #(.Width(Width)) u_skid (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(skid_valid_i), .ready_o(skid_ready_o), .data_i(skid_data_i),
      .valid_o(skid_valid_o), .ready_i(skid_ready_i), .data_o(skid_data_o)
  );
endmodule
