// A limit of so many events a millisecond, and so many at once: a bucket that fills with the microsecond tick (CARD.md 5).
//
// Latency:    what a tick brings is there 3 cycles later, what a write of the limit sets 2.
// Throughput: one event a cycle; any number of microseconds a cycle.
// Drops when: never; who takes looks at `ready_o`.
//
// The level is kept in thousandths of an event, which a microsecond fills by whole numbers: nothing is rounded. What is stored is the
// level less one event, so that its sign says whether there is one. A tick counts before an event of the same cycle.
module gw_token_bucket (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic [15:0] tick_i,  // microseconds that have passed since the last cycle
    input  logic [15:0] rate_i,  // events a millisecond
    input  logic [15:0] burst_i,
    input  logic        fill_i,  // pulse: rate and burst are new, the bucket is full
    input  logic        take_i,  // one event; only with `ready_o`
    output logic        ready_o
);
  localparam int unsigned Bits = 34;  // a tick of 65,535 us at 65,535 events a millisecond, and a sign
  typedef logic signed [Bits-1:0] level_t;
  localparam level_t Event = 34'sd1000;

  logic [31:0] gained_q;
  level_t      top_q, top_less_q;  // a full bucket; the same with an event taken
  logic        one_q, two_q;  // a full bucket holds an event, or two
  level_t      gain_q, gain_less_q, room_q;  // what the level changes by, without and with an event; the highest that it takes the gain on
  level_t      level, sum_q, sum_less_q;
  logic        over_q, take_q, fill_q;

  // Neither the comparison with the top nor the event is waited for: each comes a cycle later, and what it chooses between stands ready.
  always_comb begin
    if (over_q) level = take_q ? top_less_q : top_q;
    else level = take_q ? sum_less_q : sum_q;
  end

  logic   unused_short;
  level_t short_by;
  assign short_by     = room_q - level;
  assign unused_short = ^short_by[Bits-2:0];

  always_ff @(posedge clk_i) begin
    gained_q    <= 32'(tick_i) * 32'(rate_i);
    top_q       <= level_t'({18'd0, burst_i} * 34'd1000) - Event;
    top_less_q  <= level_t'({18'd0, burst_i} * 34'd1000) - 2 * Event;
    one_q       <= burst_i != '0;
    two_q       <= burst_i[15:1] != '0;
    fill_q      <= fill_i && rst_ni;
    gain_q      <= level_t'({2'd0, gained_q});
    gain_less_q <= level_t'({2'd0, gained_q}) - Event;
    room_q      <= top_q - level_t'({2'd0, gained_q});
    sum_q       <= level + gain_q;
    sum_less_q  <= level + gain_less_q;
    over_q      <= fill_q || short_by[Bits-1];
    take_q      <= take_i;
    if (!rst_ni) begin
      gain_q     <= '0;
      sum_q      <= -Event;
      sum_less_q <= -2 * Event;
      over_q     <= 1'b0;
      take_q     <= 1'b0;
    end
  end
  assign ready_o = over_q ? (take_q ? two_q : one_q) : (take_q ? !sum_less_q[Bits-1] : !sum_q[Bits-1]);

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!take_i || ready_o) else $error("gw_token_bucket: an event is taken that is not there");
  end
`endif
endmodule
