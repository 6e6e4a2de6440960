// Purpose: keeps the sums of each frame of one source beside its payload, until the egress asks for it.
// Latency: TableLatency cycles from `re_i` to `sum_o`; a sum that is written meanwhile, that cycle included, is the answer.
// Throughput: one write and one read each cycle.
// Drops when: never.
//
// A long frame may leave before its sum is written: the sum overtakes the read.
module gw_sum_ring
  import gw_pkg::*;
#(
    parameter int unsigned Beats = WireBeats  // of the payload ring, a power of two
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               we_i,
    input  gw_ip_sum_t         sum_i,
    input  logic               re_i,
    input  payload_addr_t      raddr_i,  // where the frame begins
    output gw_sums_t           sum_o
);
  localparam int unsigned AddrBits = $clog2(Beats);
  typedef logic [AddrBits-1:0] addr_t;

  addr_t              waddr;
  addr_t              addr_q  [TableLatency];
  gw_sums_t           late_q  [TableLatency];  // where `caught_q`: written since the read began
  logic [TableLatency-1:0] reading_q, caught_q;
  gw_sums_t           stored;
  logic unused_addr;  // a shorter ring ignores the upper bits

  assign waddr       = addr_t'(sum_i.payload);
  assign unused_addr = ^{sum_i.payload, raddr_i};

  gw_ram #(.Width($bits(gw_sums_t)), .Depth(Beats), .Latency(TableLatency), .KeepsOld(1'b0)) u_sums (
      .clk_i(clk_i),
      .we_i(we_i),
      .waddr_i(waddr),
      .wdata_i(sum_i.sums),
      .re_i(re_i),
      .raddr_i(addr_t'(raddr_i)),
      .rdata_o(stored)
  );

  always_ff @(posedge clk_i) begin
    reading_q <= rst_ni ? {reading_q[TableLatency-2:0], re_i} : '0;
    if (re_i) begin
      addr_q[0]   <= addr_t'(raddr_i);
      late_q[0]   <= sum_i.sums;
      caught_q[0] <= we_i && waddr == addr_t'(raddr_i);
    end
    for (int unsigned i = 1; i < TableLatency; i++) begin
      if (reading_q[i-1]) begin
        addr_q[i]   <= addr_q[i-1];
        late_q[i]   <= we_i && waddr == addr_q[i-1] ? sum_i.sums : late_q[i-1];
        caught_q[i] <= caught_q[i-1] || (we_i && waddr == addr_q[i-1]);
      end
    end
  end

  always_comb begin
    sum_o = stored;
    if (caught_q[TableLatency-1]) sum_o = late_q[TableLatency-1];
    if (we_i && waddr == addr_q[TableLatency-1]) sum_o = sum_i.sums;
  end

  logic unused_reading;
  assign unused_reading = reading_q[TableLatency-1];
endmodule
