// One RAM of a table: a packet reads on port A, commands read and write on port B.
//
// Latency:    `Latency` cycles from `*_read_i` to `*_data_o` (address register, array, output registers for silicon); a write
//             is in the array two cycles after `b_write_i`.
// Throughput: one access a cycle and port. A read that meets a write of its entry returns the old or the new entry, whole.
// Drops when: never.
module gw_table_ram #(
    parameter int unsigned Width = 64,
    parameter int unsigned Depth = 128,
    parameter int unsigned Latency = 3,
    localparam int unsigned IndexBits = $clog2(Depth)
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 a_read_i,
    input  logic [IndexBits-1:0] a_index_i,
    output logic [    Width-1:0] a_data_o,   // holds its last value while no read is due
    input  logic                 b_write_i,
    input  logic                 b_read_i,
    input  logic [IndexBits-1:0] b_index_i,
    input  logic [    Width-1:0] b_data_i,
    output logic [    Width-1:0] b_data_o
);

  if (Latency < 2) begin : gen_check
    $error("gw_table_ram: the address register and the array take two cycles");
  end

  logic [    Width-1:0] memory       [Depth];
  // read pulses: bit 0 is the address register's, bit 1 the array output's, and so on
  logic [  Latency-1:0] a_read_q;
  logic [  Latency-1:0] b_read_q;
  logic                 b_write_q;
  logic [IndexBits-1:0] a_index_q;
  logic [IndexBits-1:0] b_index_q;
  logic [    Width-1:0] b_data_q;
  logic [    Width-1:0] a_pipe_q     [Latency-1];
  logic [    Width-1:0] b_pipe_q     [Latency-1];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      a_read_q  <= '0;
      b_read_q  <= '0;
      b_write_q <= 1'b0;
    end else begin
      a_read_q  <= {a_read_q[Latency-2:0], a_read_i};
      b_read_q  <= {b_read_q[Latency-2:0], b_read_i};
      b_write_q <= b_write_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (a_read_i) a_index_q <= a_index_i;
    if (a_read_q != '0) begin
      if (a_read_q[0]) a_pipe_q[0] <= memory[a_index_q];
      for (int unsigned i = 1; i < Latency - 1; i++) begin
        if (a_read_q[i]) a_pipe_q[i] <= a_pipe_q[i-1];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (b_read_i || b_write_i) begin
      b_index_q <= b_index_i;
      b_data_q  <= b_data_i;
    end
    if (b_write_q) memory[b_index_q] <= b_data_q;
    if (b_read_q != '0) begin
      if (b_read_q[0]) b_pipe_q[0] <= memory[b_index_q];
      for (int unsigned i = 1; i < Latency - 1; i++) begin
        if (b_read_q[i]) b_pipe_q[i] <= b_pipe_q[i-1];
      end
    end
  end

  assign a_data_o = a_pipe_q[Latency-2];
  assign b_data_o = b_pipe_q[Latency-2];

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(b_read_i && b_write_i)) else $error("gw_table_ram: port B reads and writes at once");
  end
`endif
endmodule
