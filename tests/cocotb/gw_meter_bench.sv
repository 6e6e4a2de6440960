// gw_meter with the one command that matters to it, and `want_i` when it is due.
module gw_meter_bench
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic [ 15:0] tick_i,
    input  logic         write_i,
    input  logic         clear_i,
    input  logic [  3:0] table_i,
    input  logic [ 19:0] index_i,
    input  logic [159:0] entry_i,
    input  logic         probe_i,
    input  logic [ 11:0] vip_i,
    input  logic         want_i,   // beside the probe
    output logic         probed_o,
    output logic         wanted_o,  // of the packet whose answer is `over_o`
    output logic         over_o
);
  gw_table_req_t            request;
  logic [MeterLead+2:0]     probe_q, want_q;

  always_comb begin
    request          = '0;
    request.write    = write_i;
    request.clear    = clear_i;
    request.table_id = gw_table_e'(table_i);
    request.index    = index_i;
    request.wdata    = BeatBits'(entry_i);
  end

  always_ff @(posedge clk_i) begin
    probe_q <= {probe_q[MeterLead+1:0], probe_i};
    want_q  <= {want_q[MeterLead+1:0], probe_i && want_i};
    if (!rst_ni) begin
      probe_q <= '0;
      want_q  <= '0;
    end
  end
  assign probed_o = probe_q[MeterLead+2];
  assign wanted_o = want_q[MeterLead+2];

  gw_meter u_meter (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .tick_i       (tick_i),
      .table_req_i  (request),
      .probe_valid_i(probe_i),
      .probe_vip_i  (vip_i),
      .want_i       (want_q[MeterLead+1]),
      .over_o       (over_o)
  );
endmodule
