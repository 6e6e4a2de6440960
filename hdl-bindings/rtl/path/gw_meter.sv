// Purpose: gives misses their tokens: one for a packet that is to reach the host, from its VIP's bucket (CARD.md 8).
// Latency: MeterLead + 3 cycles from `probe_*` to `over_o`; `want_i` comes one cycle before `over_o`.
// Throughput: one packet a cycle, also of one VIP; never stalls.
// Drops when: never; a packet without a token goes by the ring.
//
// A bucket is two running sums, each with one writer: what gw_meter_refill has granted, and what packets have spent. A packet
// reads both; what packets shortly before it spent is not in the RAM yet, and is counted from what they took.
//
// A packet is decided in one cycle, the one behind it in the next: all but what the last packet took is counted ahead, and whether
// there is enough is chosen from both outcomes.
//
//   cycle  0 read   2 level   3 enough for 1, 2, ... packets? those before it   4 enough with the last one or without it
//          5 the last one, `want_i` -> taken, over   6, 7 write `spent`
module gw_meter
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic          [15:0] tick_i,  // microseconds that have passed since the last cycle
    input  gw_table_req_t        table_req_i,
    // gw_vip_lookup: a packet of this VIP will reach gw_verdict
    input  logic                 probe_valid_i,
    input  logic          [11:0] probe_vip_i,  // below Vips
    // gw_verdict, MeterLead + 2 cycles later: it wants a token
    input  logic                 want_i,
    output logic                 over_o  // a cycle after `want_i`: there was none
);

  localparam int unsigned Latency = 2;  // of the sums' RAMs
  localparam int unsigned Recent = 7;  // packets whose taking a read of `spent` may not have seen
  localparam int unsigned VipBits = $clog2(Vips);
  localparam int unsigned CountBits = $clog2(Recent + 1);
  localparam int unsigned Decide = Latency + 3;  // the stage that decides
  typedef logic [VipBits-1:0] vip_t;

  // ---- the sums ----------------------------------------------------------------------------------------------------
  logic       refill_read, refill_write, spent_write_q, clear;
  vip_t       probe_vip, refill_read_vip, refill_write_vip, spent_vip_q;
  gw_tokens_t refill_granted, granted, spent, granted_to_refill, spent_to_refill, spent_q;

  assign probe_vip = probe_vip_i[VipBits-1:0];
  assign clear     = table_req_i.clear && table_req_i.index < 20'(Vips);

  gw_ram #(.Width(MeterBits), .Depth(Vips), .Latency(Latency)) u_granted (
      .clk_i  (clk_i),
      .we_i   (refill_write),
      .waddr_i(refill_write_vip),
      .wdata_i(refill_granted),
      .re_i   (probe_valid_i),
      .raddr_i(probe_vip),
      .rdata_o(granted)
  );
  gw_ram #(.Width(MeterBits), .Depth(Vips), .Latency(Latency)) u_granted_to_refill (
      .clk_i  (clk_i),
      .we_i   (refill_write),
      .waddr_i(refill_write_vip),
      .wdata_i(refill_granted),
      .re_i   (refill_read),
      .raddr_i(refill_read_vip),
      .rdata_o(granted_to_refill)
  );
  // Cleared, so that both copies begin alike; the first visits then grant.
  gw_ram #(.Width(MeterBits), .Depth(Vips), .Latency(Latency)) u_spent (
      .clk_i  (clk_i),
      .we_i   (spent_write_q || clear),
      .waddr_i(clear ? table_req_i.index[VipBits-1:0] : spent_vip_q),
      .wdata_i(clear ? '0 : spent_q),
      .re_i   (probe_valid_i),
      .raddr_i(probe_vip),
      .rdata_o(spent)
  );
  gw_ram #(.Width(MeterBits), .Depth(Vips), .Latency(Latency)) u_spent_to_refill (
      .clk_i  (clk_i),
      .we_i   (spent_write_q || clear),
      .waddr_i(clear ? table_req_i.index[VipBits-1:0] : spent_vip_q),
      .wdata_i(clear ? '0 : spent_q),
      .re_i   (refill_read),
      .raddr_i(refill_read_vip),
      .rdata_o(spent_to_refill)
  );

  gw_meter_refill #(
      .Latency(Latency)
  ) u_refill (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .tick_i     (tick_i),
      .table_req_i(table_req_i),
      .read_o     (refill_read),
      .read_vip_o (refill_read_vip),
      .granted_i  (granted_to_refill),
      .spent_i    (spent_to_refill),
      .write_o    (refill_write),
      .write_vip_o(refill_write_vip),
      .granted_o  (refill_granted)
  );

  // ---- packets -------------------------------------------------------------------------------------------------------
  localparam int unsigned Near = 2;  // packets that are decided too late to be counted before the step of `count4_q`
  logic [Decide-1:0]       valid_q;  // bit i: probed i + 1 cycles ago
  vip_t [Recent+1:0]       vip_q;
  gw_tokens_t              paid_q;  // for a packet and those before it
  gw_tokens_t              level_q, spent3_q, spent4_q, spent5_q, spent6_q;
  logic [Recent:0]         enough_d, enough_q;  // bit k: for k + 1 packets
  logic [Recent:1]         same_d, same_q;  // the packet i cycles before this one is of its VIP
  logic [Near:1]           near_q;
  logic                    last_q;
  logic [Recent-Near-1:0]  taken_q;  // who took a token; the last packet in bit 0
  logic [CountBits-1:0]    count3_d, count3_q, count4_d, count4_q;  // of those before, without the last two; without the last
  logic                    without_d, without_q, with_d, with_q;  // enough for this packet when the last one took none, or one
  logic                    second, last, enough, take, over_d, over_q;

  // Of one packet and `others` before it: a constant for each, not a multiplier.
  function automatic gw_tokens_t price(logic [CountBits-1:0] others);
    price = '0;
    for (int unsigned k = 0; k <= Recent; k++) begin
      if (others == CountBits'(k)) price = MeterToken * gw_tokens_t'(k + 1);
    end
  endfunction

  always_comb begin
    for (int unsigned k = 0; k <= Recent; k++) enough_d[k] = level_q >= MeterToken * gw_tokens_t'(k + 1);
    for (int unsigned i = 1; i <= Recent; i++) same_d[i] = vip_q[1] == vip_q[i+1];
    count3_d = '0;
    for (int unsigned i = 0; i < Recent - Near; i++) count3_d += CountBits'(same_q[i+Near+1] && taken_q[i]);

    second    = near_q[2] && taken_q[0];
    count4_d  = count3_q + CountBits'(second);
    without_d = second ? enough_q[count3_q+CountBits'(1)] : enough_q[count3_q];
    with_d    = second ? enough_q[count3_q+CountBits'(2)] : enough_q[count3_q+CountBits'(1)];

    last   = last_q && taken_q[0];
    enough = last ? with_q : without_q;
    take   = want_i && enough;
    over_d = want_i && !enough;
  end

  always_ff @(posedge clk_i) begin
    valid_q       <= {valid_q[Decide-2:0], probe_valid_i};
    taken_q       <= {taken_q[Recent-Near-2:0], take};
    over_q        <= over_d;
    spent_write_q <= taken_q[0];
    if (!rst_ni) begin
      valid_q       <= '0;
      taken_q       <= '0;
      over_q        <= 1'b0;
      spent_write_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    vip_q <= {vip_q[Recent:0], probe_vip};
    if (valid_q[1]) begin
      level_q  <= granted - spent;
      spent3_q <= spent;
      same_q   <= same_d;
    end
    if (valid_q[2]) begin
      enough_q <= enough_d;
      count3_q <= count3_d;
      near_q   <= same_q[Near:1];
      spent4_q <= spent3_q;
    end
    if (valid_q[3]) begin
      without_q <= without_d;
      with_q    <= with_d;
      count4_q  <= count4_d;
      last_q    <= near_q[1];
      spent5_q  <= spent4_q;
    end
    if (valid_q[4]) begin
      paid_q   <= price(count4_q + CountBits'(last));
      spent6_q <= spent5_q;
    end
    if (taken_q[0]) begin
      spent_q     <= spent6_q + paid_q;
      spent_vip_q <= vip_q[Decide];
    end
  end
  assign over_o = over_q;

  logic unused_bits;
  assign unused_bits = ^{probe_vip_i[11:VipBits]};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!want_i || valid_q[Decide-1]) else $error("gw_meter: a packet wants a token whose VIP was not probed");
      assert (!probe_valid_i || probe_vip_i < 12'(Vips)) else $error("gw_meter: a VIP beyond the table");
      assert (!(spent_write_q && clear)) else $error("gw_meter: cleared while packets pass");
    end
  end
`endif
endmodule
