// A limit of so many events a millisecond, and so many at once: a bucket that fills with the microsecond tick (CARD.md 5).
//
// Latency:    what a tick brings is there 3 cycles later, what a write of the limit sets 2.
// Throughput: one event a cycle; any number of microseconds a cycle.
// Drops when: never; who takes looks at `ready_o`.
//
// The level is kept in thousandths of an event, which a microsecond fills by whole numbers: nothing is rounded. What is stored is the
// level less one event, so that its sign says whether there is one.
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

  logic [31:0]  gained_q;
  level_t       top_q;  // a full bucket
  logic         fill_q;
  level_t [1:0] step_q, room_q;  // without and with an event: what the level changes by, and the highest that stays below the top
  level_t [1:0] next;
  level_t       level_q;

  // `take_i` comes late: what follows without and with it is worked out beside it.
  always_comb begin
    for (int unsigned t = 0; t < 2; t++) next[t] = fill_q || level_q > room_q[t] ? top_q : level_q + step_q[t];
  end

  always_ff @(posedge clk_i) begin
    gained_q  <= 32'(tick_i) * 32'(rate_i);
    top_q     <= level_t'({18'd0, burst_i} * 34'd1000) - Event;
    fill_q    <= fill_i && rst_ni;
    step_q[0] <= level_t'({2'd0, gained_q});
    step_q[1] <= level_t'({2'd0, gained_q}) - Event;
    room_q[0] <= top_q - level_t'({2'd0, gained_q});
    room_q[1] <= top_q + Event - level_t'({2'd0, gained_q});
    level_q   <= next[take_i];
    if (!rst_ni) begin
      step_q  <= '0;
      level_q <= -Event;
    end
  end
  assign ready_o = !level_q[Bits-1];

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!take_i || ready_o) else $error("gw_token_bucket: an event is taken that is not there");
  end
`endif
endmodule
