// Purpose: fills the VIPs' buckets with what the microseconds bring, and cuts them to what their entries let them hold (CARD.md 8).
// Latency: a microsecond shows in a bucket at most two rounds and `Write` cycles later; a round is a cycle for each VIP, at least 32.
// Throughput: one visit each cycle.
// Drops when: never.
//
//   0 entry   3 products   4 sums, read of the bucket   5 total   6 what was gained, level   7 sum   8 too much?   9 cut   10 granted   11 written
//
// All visits of a round take the microseconds that had passed when it began, so that each is brought to each VIP once.
module gw_meter_refill
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned Latency = 2,  // from `read_o` to the sums
    localparam int unsigned VipBits = $clog2(Vips)
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic        [        15:0] tick_i,
    // Writes of VIP entries, of which two fields are kept.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_table_req_t              table_req_i,
    // verilator lint_on UNUSEDSIGNAL
    output logic                       read_o,
    output logic        [ VipBits-1:0] read_vip_o,
    input  gw_tokens_t                 granted_i,
    input  gw_tokens_t                 spent_i,
    output logic                       write_o,
    output logic        [ VipBits-1:0] write_vip_o,
    output gw_tokens_t                 granted_o
);

  localparam int unsigned RoundBits = VipBits > 5 ? VipBits : 5;  // a bucket is written before it is visited again
  localparam int unsigned Entry = TableLatency;  // stages, in cycles after a visit begins
  localparam int unsigned Level = Entry + 3;
  localparam int unsigned Read = Level - Latency;
  localparam int unsigned Cut = Level + 3;
  localparam int unsigned Write = Cut + 2;
  localparam int unsigned ElapsedBits = 26;  // so many microseconds fill every bucket
  localparam int unsigned RateBits = 24;
  localparam int unsigned BurstBits = 16;
  localparam int unsigned HalfElapsed = ElapsedBits / 2;
  localparam int unsigned HalfRate = RateBits / 2;
  localparam int unsigned PartBits = HalfElapsed + HalfRate;
  localparam int unsigned HalfSumBits = PartBits + HalfRate;
  localparam int unsigned TotalBits = ElapsedBits + RateBits;
  localparam int unsigned FullBits = 26;

  typedef logic [VipBits-1:0] vip_t;
  typedef struct packed {
    logic [BurstBits-1:0] burst;
    logic [RateBits-1:0]  rate;
  } meter_t;

  // ---- visits ----------------------------------------------------------------------------------------------------------
  logic [RoundBits-1:0] round_q;
  logic                 visit;
  logic [Write-1:0]     visit_q;  // bit i: a visit that began i + 1 cycles ago
  vip_t [Write-1:0]     vip_q;

  assign visit = 32'(round_q) < Vips;
  always_ff @(posedge clk_i) begin
    round_q <= round_q + 1'b1;
    visit_q <= {visit_q[Write-2:0], visit};
    if (!rst_ni) begin
      round_q <= '0;
      visit_q <= '0;
    end
  end
  always_ff @(posedge clk_i) vip_q <= {vip_q[Write-2:0], round_q[VipBits-1:0]};

  // ---- microseconds: those that came before the first visit's entry does ----------------------------------------------
  logic [Entry-2:0]       began_q;  // bit i: a round began i + 1 cycles ago
  logic [ElapsedBits-1:0] pending_q, elapsed_q;
  logic [ElapsedBits:0]   pending_d;

  assign pending_d = (ElapsedBits + 1)'(began_q[Entry-2] ? '0 : pending_q) + (ElapsedBits + 1)'(tick_i);
  always_ff @(posedge clk_i) begin
    began_q   <= (Entry - 1)'({began_q, round_q == '0});
    pending_q <= pending_d[ElapsedBits] ? '1 : pending_d[ElapsedBits-1:0];
    if (began_q[Entry-2]) elapsed_q <= pending_q;
    if (!rst_ni) begin
      began_q   <= '0;
      pending_q <= '0;
      elapsed_q <= '0;
    end
  end

  // ---- the VIP's meter -----------------------------------------------------------------------------------------------
  meter_t        meter, written, unused_answer;
  // verilator lint_off UNUSEDSIGNAL
  gw_vip_entry_t entry;
  // verilator lint_on UNUSEDSIGNAL
  logic          here;

  assign entry   = gw_vip_entry_t'(table_req_i.wdata[$bits(gw_vip_entry_t)-1:0]);
  assign written = table_req_i.clear ? '0 : '{burst: entry.meter_burst, rate: entry.meter_rate};
  assign here    = table_req_i.index < 20'(Vips) && (table_req_i.clear || (table_req_i.write && table_req_i.table_id == TableVip));

  gw_table_ram #(
      .Width  ($bits(meter_t)),
      .Depth  (Vips),
      .Latency(Entry)
  ) u_meters (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .a_read_i (visit),
      .a_index_i(round_q[VipBits-1:0]),
      .a_data_o (meter),
      .b_load_i (table_req_i.clear || table_req_i.write),
      .b_write_i(here),
      .b_read_i (1'b0),
      .b_index_i(table_req_i.index[VipBits-1:0]),
      .b_data_i (written),
      .b_data_o (unused_answer)
  );

  // ---- what it gains: elapsed x rate, from four partial products; what it may hold ------------------------------------
  logic [PartBits-1:0]  low_low_q, low_high_q, high_low_q, high_high_q;  // of elapsed, of rate
  logic [HalfSumBits-1:0]   low_q, high_q;
  logic [TotalBits-1:0] total_q;
  gw_tokens_t           gained_q;
  gw_tokens_t           burst_q, least_q;
  logic                 unmetered_q;
  gw_tokens_t [Cut:Entry+2] capacity_q;  // by stage
  logic     [Cut-1:Entry+2] free_q;  // no meter: a full bucket

  always_ff @(posedge clk_i) begin
    low_low_q   <= elapsed_q[HalfElapsed-1:0] * meter.rate[HalfRate-1:0];
    low_high_q  <= elapsed_q[HalfElapsed-1:0] * meter.rate[RateBits-1:HalfRate];
    high_low_q  <= elapsed_q[ElapsedBits-1:HalfElapsed] * meter.rate[HalfRate-1:0];
    high_high_q <= elapsed_q[ElapsedBits-1:HalfElapsed] * meter.rate[RateBits-1:HalfRate];
    burst_q     <= gw_tokens_t'(meter.burst) * MeterToken;
    least_q     <= gw_tokens_t'(meter.rate) + MeterToken;
    unmetered_q <= meter.rate == '0;

    low_q  <= HalfSumBits'(low_low_q) + {low_high_q, HalfRate'(0)};
    high_q <= HalfSumBits'(high_low_q) + {high_high_q, HalfRate'(0)};
    if (unmetered_q) capacity_q[Entry+2] <= MeterFull;
    else capacity_q[Entry+2] <= burst_q > least_q ? burst_q : least_q;
    free_q[Entry+2] <= unmetered_q;

    total_q  <= TotalBits'(low_q) + {high_q, HalfElapsed'(0)};
    gained_q <= total_q[TotalBits-1:FullBits] != '0 ? MeterFull : gw_tokens_t'(total_q[FullBits-1:0]);
    for (int unsigned s = Entry + 3; s <= Cut; s++) capacity_q[s] <= capacity_q[s-1];
    for (int unsigned s = Entry + 3; s < Cut; s++) free_q[s] <= free_q[s-1];
  end

  // ---- the bucket ------------------------------------------------------------------------------------------------------
  gw_tokens_t level_q, sum_q, uncut_q, held_q, granted_q;
  gw_tokens_t spent1_q, spent2_q, spent3_q, spent4_q;
  logic       over_q;  // the bucket would hold more than it may, or is to be full

  assign read_o     = visit_q[Read-1];
  assign read_vip_o = vip_q[Read-1];

  always_ff @(posedge clk_i) begin
    level_q   <= granted_i - spent_i;
    spent1_q  <= spent_i;
    sum_q     <= level_q + gained_q;
    spent2_q  <= spent1_q;
    over_q    <= free_q[Cut-1] || sum_q > capacity_q[Cut-1];
    uncut_q   <= sum_q;
    spent3_q  <= spent2_q;
    held_q    <= over_q ? capacity_q[Cut] : uncut_q;
    spent4_q  <= spent3_q;
    granted_q <= spent4_q + held_q;
  end

  assign write_o     = visit_q[Write-1];
  assign write_vip_o = vip_q[Write-1];
  assign granted_o   = granted_q;

  logic unused_bits;
  assign unused_bits = ^unused_answer;
endmodule
