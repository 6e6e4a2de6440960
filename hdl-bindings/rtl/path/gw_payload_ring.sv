// Purpose: keeps the beats of one source's frames until they have left; two readers (egress and host queue) at full rate.
// Latency: TableLatency cycles from address to data.
// Throughput: one write and one read for each reader, each cycle: two copies of the RAM.
// Drops when: never; gw_ingress writes only where there is room.
//
// Nobody reads a place in the cycle in which it is written: readers read frames that have ended.
module gw_payload_ring
  import gw_pkg::*;
#(
    parameter int unsigned Beats = WireBeats  // a power of two
) (
    input  logic                clk_i,
    input  logic                we_i,
    input  payload_addr_t       waddr_i,
    input  logic [BeatBits-1:0] wdata_i,
    input  logic                egress_re_i,
    input  payload_addr_t       egress_raddr_i,
    output logic [BeatBits-1:0] egress_rdata_o,
    input  logic                host_re_i,
    input  payload_addr_t       host_raddr_i,
    output logic [BeatBits-1:0] host_rdata_o
);
  localparam int unsigned AddrBits = $clog2(Beats);
  logic unused_addr;  // a shorter ring ignores the upper bits
  assign unused_addr = ^{waddr_i, egress_raddr_i, host_raddr_i};

  gw_ram #(.Width(BeatBits), .Depth(Beats), .Latency(TableLatency), .KeepsOld(1'b0)) u_egress (
      .clk_i(clk_i),
      .we_i(we_i),
      .waddr_i(AddrBits'(waddr_i)),
      .wdata_i(wdata_i),
      .re_i(egress_re_i),
      .raddr_i(AddrBits'(egress_raddr_i)),
      .rdata_o(egress_rdata_o)
  );

  gw_ram #(.Width(BeatBits), .Depth(Beats), .Latency(TableLatency), .KeepsOld(1'b0)) u_host (
      .clk_i(clk_i),
      .we_i(we_i),
      .waddr_i(AddrBits'(waddr_i)),
      .wdata_i(wdata_i),
      .re_i(host_re_i),
      .raddr_i(AddrBits'(host_raddr_i)),
      .rdata_o(host_rdata_o)
  );

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (we_i) begin
      assert (!(egress_re_i && AddrBits'(egress_raddr_i) == AddrBits'(waddr_i))) else $error("gw_payload_ring: egress reads what is being written");
      assert (!(host_re_i && AddrBits'(host_raddr_i) == AddrBits'(waddr_i))) else $error("gw_payload_ring: the host reads what is being written");
    end
  end
`endif
endmodule
