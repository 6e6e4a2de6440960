// Purpose: a RAM with one write port and one read port, as block RAM gives it.
// Latency: read Latency cycles from address to data; a write is seen by reads that start in a later cycle.
// Throughput: one write and one read each cycle.
// Drops when: never.
//
// A read in the cycle of a write to its place gives what stood there before, or, without KeepsOld, anything: block RAM gives no more
// by itself, and what synthesis adds is a bypass as wide as the word behind the RAM.
// Data registers have no reset, so that they merge into the RAM's output registers. `rdata_o` keeps its value while no read ends.
module gw_ram #(
    parameter int unsigned Width = 32,
    parameter int unsigned Depth = 512,
    parameter int unsigned Latency = 1,
    parameter bit KeepsOld = 1'b1,
    localparam int unsigned AddrBits = Depth > 1 ? $clog2(Depth) : 1
) (
    input  logic                clk_i,
    input  logic                we_i,
    input  logic [AddrBits-1:0] waddr_i,
    input  logic [Width-1:0]    wdata_i,
    input  logic                re_i,
    input  logic [AddrBits-1:0] raddr_i,
    output logic [Width-1:0]    rdata_o
);
  (* no_rw_check = !KeepsOld *) logic [Width-1:0] mem[Depth];
  logic [Width-1:0] first_q;
  logic             unused_keeps_old;  // only synthesis asks
  assign unused_keeps_old = KeepsOld;

  always_ff @(posedge clk_i) begin
    if (we_i) mem[waddr_i] <= wdata_i;
    if (re_i) first_q <= mem[raddr_i];
  end

  if (Latency == 1) begin : gen_one
    assign rdata_o = first_q;
  end else begin : gen_pipeline
    // `enable_q[i]`: a read is in stage i. Unknown after power on for Latency cycles, which only moves unused data.
    logic [Latency-2:0] enable_q;
    logic [Width-1:0]   stage_q [Latency-1];
    always_ff @(posedge clk_i) begin
      enable_q[0] <= re_i;
      if (enable_q[0]) stage_q[0] <= first_q;
      for (int unsigned i = 1; i < Latency - 1; i++) begin
        enable_q[i] <= enable_q[i-1];
        if (enable_q[i]) stage_q[i] <= stage_q[i-1];
      end
    end
    assign rdata_o = stage_q[Latency-2];
  end

`ifdef VERILATOR
  if (Latency < 1) begin : gen_bad_latency
    $error("gw_ram: Latency must be at least 1");
  end
`endif
endmodule
