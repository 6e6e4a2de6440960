// Purpose: counts the flow entries of each VIP, and says whether one is beyond its quota.
// Latency: `over_o` 1 cycle after `ask_i`; a change is seen by the next question that `busy_o` lets pass.
// Throughput: one question and change each second cycle; a loss takes the cycle after its change.
// Drops when: never.
//
//   cycle 0  ask: the VIP's count is read, compared with its quota
//   cycle 1  over_o; the caller decides: gain writes the count and one; the other VIP's count is read
//   cycle 2  loss writes that count less one (the next question may be asked, but not about that VIP: busy_o)
module gw_flow_quota
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic          clk_i,
    input  logic          rst_ni,
    input  gw_table_req_t table_req_i,  // gw_clear's zeros
    input  logic          ask_i,
    input  logic [11:0]   vip_i,
    input  logic [19:0]   quota_i,  // 0: none
    output logic          busy_o,
    output logic          over_o,
    input  logic          gain_i,  // with or after `over_o`, before the next question
    input  logic          loss_i,  // in the same cycle; of another VIP
    input  logic [11:0]   loss_vip_i
);
  localparam int unsigned VipBits = $clog2(Vips);
  typedef logic [FlowCountBits-1:0] count_t;

  count_t      count[Vips];
  count_t      held, held_q, loss_held_q, data;
  logic [11:0] vip_q, loss_vip_q;
  logic        over_q, loss_q, we;
  logic [VipBits-1:0] index;

  assign held   = count[vip_i[VipBits-1:0]];
  assign busy_o = loss_q && loss_vip_q == vip_i;
  assign over_o = over_q;

  always_comb begin
    we    = table_req_i.clear && table_req_i.index < 20'(Vips);
    index = table_req_i.index[VipBits-1:0];
    data  = '0;
    if (loss_q) begin
      // 0 only when a wrong bit in a stored word lent an entry to this VIP
      we    = loss_vip_q < 12'(Vips) && loss_held_q != '0;
      index = loss_vip_q[VipBits-1:0];
      data  = loss_held_q - 1'b1;
    end else if (gain_i) begin
      we    = vip_q < 12'(Vips);
      index = vip_q[VipBits-1:0];
      data  = held_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ask_i) begin
      vip_q  <= vip_i;
      held_q <= held;
      over_q <= quota_i != '0 && 20'(held) >= quota_i;
    end
    if (loss_i) begin
      loss_vip_q  <= loss_vip_i;
      loss_held_q <= count[loss_vip_i[VipBits-1:0]];
    end
    if (we) count[index] <= data;
    loss_q <= loss_i && rst_ni;
  end

  logic unused_request;
  assign unused_request = ^{table_req_i.write, table_req_i.read, table_req_i.table_id, table_req_i.index, table_req_i.wdata};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(ask_i && busy_o)) else $error("gw_flow_quota: a question about a VIP whose count changes");
      assert (!(gain_i && loss_q)) else $error("gw_flow_quota: two changes at once");
      assert (!(gain_i && loss_i && vip_q == loss_vip_i)) else $error("gw_flow_quota: a gain and a loss of one VIP");
    end
  end
`endif
endmodule
