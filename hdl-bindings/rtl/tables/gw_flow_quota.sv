// Purpose: counts the flow entries of each VIP, and says whether one is beyond its quota.
// Latency: `over_o` 2 cycles after `ask_i`; what a question led to is given 3 cycles after it, and seen by the next question.
// Throughput: one question and its change each second cycle: questions are an even number of cycles apart.
// Drops when: never.
//
//   cycle 0  ask: the counts of the VIP, and of the other one that may lose an entry, are read
//   cycle 1  the change of the question two cycles ago is brought in; the count is compared with the quota
//   cycle 2  over_o; what the counts would be
//   cycle 3  gain_i writes the VIP's count
//   cycle 4  loss_i of the cycle before writes the other's
module gw_flow_quota
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic          clk_i,
    input  logic          rst_ni,
    input  gw_table_req_t table_req_i,  // gw_clear's zeros
    input  logic          ask_i,
    input  logic [11:0]   vip_i,
    input  logic [11:0]   other_vip_i,  // whose entry may give way
    input  logic [19:0]   quota_i,      // 0: none; one cycle after `ask_i`
    output logic          over_o,
    input  logic          gain_i,       // the VIP has one more
    input  logic          loss_i        // in the same cycle; the other VIP, then a different one, has one less
);
  localparam int unsigned VipBits = $clog2(Vips);
  typedef logic [FlowCountBits-1:0] count_t;

  count_t count[Vips];

  // ---- the one write port: zeros, gains, losses; no two in one cycle ------------------------------------------------------
  logic               clear_q, loss_q, we;
  logic [VipBits-1:0] clear_index_q, index;
  logic [11:0]        gain_vip_q, less_vip_q, loss_vip_q;
  count_t             more_q, less_q, loss_count_q, data;

  always_comb begin
    we    = clear_q;
    index = clear_index_q;
    data  = '0;
    if (loss_q) begin
      we    = loss_vip_q < 12'(Vips);
      index = loss_vip_q[VipBits-1:0];
      data  = loss_count_q;
    end else if (gain_i) begin
      we    = gain_vip_q < 12'(Vips);
      index = gain_vip_q[VipBits-1:0];
      data  = more_q;
    end
  end

  always_ff @(posedge clk_i) begin
    clear_q       <= table_req_i.clear && table_req_i.index >> VipBits == '0;
    clear_index_q <= table_req_i.index[VipBits-1:0];
    loss_q        <= loss_i && rst_ni;
    if (loss_i) begin
      loss_vip_q   <= less_vip_q;
      loss_count_q <= less_q;
    end
    if (we) count[index] <= data;
  end

  // ---- questions -----------------------------------------------------------------------------------------------------------
  logic [1:0]  asked_q;
  logic [11:0] vip_q, other_vip_q;
  logic        gained_q, lost_q, other_gained_q, other_lost_q;  // what the question before may change is asked for
  count_t      read_q, other_read_q, held, other_held, held_q, other_held_q;
  logic        over_q;

  always_comb begin
    held       = read_q;
    other_held = other_read_q;
    if (gain_i && gained_q) held = more_q;
    else if (loss_i && lost_q) held = less_q;
    if (gain_i && other_gained_q) other_held = more_q;
    else if (loss_i && other_lost_q) other_held = less_q;
  end

  always_ff @(posedge clk_i) begin
    asked_q <= {asked_q[0], ask_i};
    if (ask_i) begin
      vip_q          <= vip_i;
      other_vip_q    <= other_vip_i;
      read_q         <= loss_q && loss_vip_q == vip_i ? loss_count_q : count[vip_i[VipBits-1:0]];
      other_read_q   <= loss_q && loss_vip_q == other_vip_i ? loss_count_q : count[other_vip_i[VipBits-1:0]];
      gained_q       <= vip_i == vip_q;
      lost_q         <= vip_i == other_vip_q;
      other_gained_q <= other_vip_i == vip_q;
      other_lost_q   <= other_vip_i == other_vip_q;
    end
    if (asked_q[0]) begin
      held_q       <= held;
      other_held_q <= other_held;
      over_q       <= quota_i != '0 && 20'(held) >= quota_i;
    end
    if (asked_q[1]) begin
      gain_vip_q <= vip_q;
      less_vip_q <= other_vip_q;
      more_q     <= held_q + 1'b1;
      // 0 only when a wrong bit in a stored word lent an entry to this VIP
      less_q     <= other_held_q == '0 ? '0 : other_held_q - 1'b1;
    end
    if (!rst_ni) asked_q <= '0;
  end
  assign over_o = over_q;

  logic unused_request;
  assign unused_request = ^{table_req_i.write, table_req_i.read, table_req_i.table_id, table_req_i.index, table_req_i.wdata};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(ask_i && asked_q[0])) else $error("gw_flow_quota: questions in two cycles that follow one another");
      assert (!(gain_i && loss_q)) else $error("gw_flow_quota: two changes at once");
      assert (!(gain_i && loss_i && gain_vip_q == less_vip_q)) else $error("gw_flow_quota: a gain and a loss of one VIP");
    end
  end
`endif
endmodule
