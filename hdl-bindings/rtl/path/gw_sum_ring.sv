// Purpose: keeps the sums of each frame of one source beside its payload, until the egress asks for it.
// Latency: TableLatency cycles from `re_i` to `sum_o`; a sum that is written meanwhile, that cycle included, is the answer.
// Throughput: one write and one read each cycle.
// Drops when: never.
//
// A long frame may leave before its sum is written: the sum overtakes the read. Which reads it overtakes is compared a cycle before it comes.
module gw_sum_ring
  import gw_pkg::*;
#(
    parameter int unsigned Beats = WireBeats  // of the payload ring, a power of two
) (
    input  logic               clk_i,
    input  logic               soon_i,  // a sum comes in the next cycle,
    input  payload_addr_t      soon_payload_i,  // of this frame
    input  logic               we_i,
    input  gw_ip_sum_t         sum_i,
    input  logic               re_i,
    input  payload_addr_t      raddr_i,  // where the frame begins
    output gw_sums_t           sum_o
);
  localparam int unsigned AddrBits = $clog2(Beats);
  typedef logic [AddrBits-1:0] addr_t;

  addr_t    waddr, raddr;
  addr_t    addr_q [TableLatency-1];
  gw_sums_t late_q [TableLatency];  // where `caught_q`: written since the read began
  logic [TableLatency-1:0] hit_q;  // what is written in this cycle is what the read in stage i asks for
  logic [TableLatency-1:0] caught_q;
  gw_sums_t stored;
  logic     unused_addr;  // a shorter ring ignores the upper bits

  assign waddr       = addr_t'(sum_i.payload);
  assign raddr       = addr_t'(raddr_i);
  assign unused_addr = ^{sum_i.payload, soon_payload_i, raddr_i};

  gw_ram #(.Width($bits(gw_sums_t)), .Depth(Beats), .Latency(TableLatency), .KeepsOld(1'b0)) u_sums (
      .clk_i(clk_i),
      .we_i(we_i),
      .waddr_i(waddr),
      .wdata_i(sum_i.sums),
      .re_i(re_i),
      .raddr_i(raddr),
      .rdata_o(stored)
  );

  always_ff @(posedge clk_i) begin
    addr_q[0]   <= raddr;
    hit_q[0]    <= soon_i && addr_t'(soon_payload_i) == raddr;
    late_q[0]   <= sum_i.sums;
    caught_q[0] <= we_i && waddr == raddr;
    for (int unsigned i = 1; i < TableLatency; i++) begin
      hit_q[i]    <= soon_i && addr_t'(soon_payload_i) == addr_q[i-1];
      late_q[i]   <= hit_q[i-1] ? sum_i.sums : late_q[i-1];
      caught_q[i] <= caught_q[i-1] || hit_q[i-1];
    end
    for (int unsigned i = 1; i < TableLatency - 1; i++) addr_q[i] <= addr_q[i-1];
  end

  always_comb begin
    sum_o = stored;
    if (caught_q[TableLatency-1]) sum_o = late_q[TableLatency-1];
    if (hit_q[TableLatency-1]) sum_o = sum_i.sums;
  end

`ifdef VERILATOR
  logic  soon_q;
  addr_t soon_payload_q;
  always_ff @(posedge clk_i) begin
    soon_q         <= soon_i;
    soon_payload_q <= addr_t'(soon_payload_i);
    assert (!we_i || (soon_q && waddr == soon_payload_q)) else $error("gw_sum_ring: a sum that was not announced");
  end
`endif
endmodule
