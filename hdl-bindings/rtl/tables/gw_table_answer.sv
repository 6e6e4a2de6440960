// Brings a table's answer to a command's read to the latency that all tables share, so that answers can be ORed.
//
// Latency:    TableAccessLatency cycles from `read_i` to `rvalid_o`; the data comes `Latency` cycles after `read_i`.
// Throughput: one a cycle.
// Drops when: never.
module gw_table_answer
  import gw_pkg::*;
#(
    parameter int unsigned Width = 64,
    parameter int unsigned Latency = 3
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                read_i,
    input  logic [   Width-1:0] data_i,
    output logic                rvalid_o,
    output logic [BeatBits-1:0] rdata_o   // all zero without `rvalid_o`
);

  localparam int unsigned PlaceBits = $clog2(TableAccessLatency);

  if (Latency + 2 > TableAccessLatency) begin : gen_check
    $error("gw_table_answer: the table is slower than TableAccessLatency allows");
  end

  logic [TableAccessLatency-2:0] read_q;  // bit i: a read i + 1 cycles ago
  logic                          rvalid_q;
  logic [         PlaceBits-1:0] put_q;
  logic [         PlaceBits-1:0] take_q;
  logic [             Width-1:0] waiting      [TableAccessLatency];
  logic [             Width-1:0] rdata_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_q   <= '0;
      rvalid_q <= 1'b0;
      put_q    <= '0;
      take_q   <= '0;
    end else begin
      read_q   <= {read_q[TableAccessLatency-3:0], read_i};
      rvalid_q <= read_q[TableAccessLatency-2];
      if (read_q[Latency-1]) put_q <= put_q + 1'b1;
      if (read_q[TableAccessLatency-2]) take_q <= take_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (read_q[Latency-1]) waiting[put_q] <= data_i;
    if (read_q[TableAccessLatency-2]) rdata_q <= waiting[take_q];
  end

  assign rvalid_o = rvalid_q;
  assign rdata_o  = rvalid_q ? BeatBits'(rdata_q) : '0;
endmodule
