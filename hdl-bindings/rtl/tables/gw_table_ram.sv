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
    localparam int unsigned IndexBits = $clog2(Depth),
    localparam int unsigned PipeBits = (Latency - 1) * Width
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 a_read_i,
    input  logic [IndexBits-1:0] a_index_i,
    output logic [    Width-1:0] a_data_o,   // holds its last value while no read is due
    input  logic                 b_load_i,   // with each read and write, or more often: index and data are taken
    input  logic                 b_write_i,
    input  logic                 b_read_i,
    input  logic [IndexBits-1:0] b_index_i,
    input  logic [    Width-1:0] b_data_i,
    output logic [    Width-1:0] b_data_o
);

  if (Latency < 2) begin : gen_check
    $error("gw_table_ram: the address register and the array take two cycles");
  end

  logic [Width-1:0] memory[Depth];

  // ---- port A: address register, array, output registers; they move together while any read is under way ---------------
  logic [          Latency-2:0] a_read_q;  // bit i: a read i + 1 cycles ago
  logic [        IndexBits-1:0] a_index_q;
  logic [Latency-2:0][Width-1:0] a_pipe_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) a_read_q <= '0;
    else a_read_q <= (Latency - 1)'({a_read_q, a_read_i});
  end
  always_ff @(posedge clk_i) begin
    if (a_read_i) a_index_q <= a_index_i;
    if (a_read_q != '0) a_pipe_q <= PipeBits'({a_pipe_q, memory[a_index_q]});
  end
  assign a_data_o = a_pipe_q[Latency-2];

  // ---- port B ------------------------------------------------------------------------------------------------------------
  logic [          Latency-2:0] b_read_q;
  logic                         b_write_q;
  logic [        IndexBits-1:0] b_index_q;
  logic [            Width-1:0] b_data_q;
  logic [Latency-2:0][Width-1:0] b_pipe_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      b_read_q  <= '0;
      b_write_q <= 1'b0;
    end else begin
      b_read_q  <= (Latency - 1)'({b_read_q, b_read_i});
      b_write_q <= b_write_i;
    end
  end
  always_ff @(posedge clk_i) begin
    if (b_load_i) begin
      b_index_q <= b_index_i;
      b_data_q  <= b_data_i;
    end
    // One port: it writes or reads.
    if (b_write_q) memory[b_index_q] <= b_data_q;
    else if (b_read_q[0]) b_pipe_q[0] <= memory[b_index_q];
    for (int unsigned i = 1; i < Latency - 1; i++) if (b_read_q[i]) b_pipe_q[i] <= b_pipe_q[i-1];
  end
  assign b_data_o = b_pipe_q[Latency-2];

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(b_read_i && b_write_i)) else $error("gw_table_ram: port B reads and writes at once");
      assert (b_load_i || !(b_read_i || b_write_i)) else $error("gw_table_ram: an access without its index");
    end
  end
`endif
endmodule
