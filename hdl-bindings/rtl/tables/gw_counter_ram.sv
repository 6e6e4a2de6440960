// Purpose: counters of one table in RAM, {packets, bytes} each, exact at one event a cycle, also to one address.
// Latency: 2 cycles from `read_i` to `data_o`; a read sees events that came 4 cycles before it.
// Throughput: one event and one read each cycle.
// Drops when: never.
//
// An event reads its counter, adds and writes it back; what the RAM does not show yet is forwarded from the last three sums. While
// `hold_i`, what reads see stays as it is: all events up to three cycles before its first cycle, and no other. Behind a hold each counter
// has to be refreshed, which is an event that adds nothing.
module gw_counter_ram
  import gw_layout_pkg::*;
#(
    parameter int unsigned Entries = 256,
    localparam int unsigned IndexBits = $clog2(Entries)
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 event_i,
    input  logic [IndexBits-1:0] event_index_i,
    input  logic [15:0]          event_bytes_i,
    input  logic                 refresh_i,  // never with an event
    input  logic [IndexBits-1:0] refresh_index_i,
    input  logic                 hold_i,
    input  logic                 clear_i,  // never with events under way
    input  logic [IndexBits-1:0] clear_index_i,
    input  logic                 read_i,
    input  logic [IndexBits-1:0] read_index_i,
    output gw_counter_entry_t    data_o
);
  localparam int unsigned Latency = 2;
  localparam int unsigned Recent = 3;

  typedef struct packed {
    logic [IndexBits-1:0] index;
    logic                 counts;
    logic [15:0]          bytes;
  } event_t;

  logic   [Latency-1:0] valid_q;
  event_t [Latency-1:0] event_q;
  logic   [Recent-1:0]                recent_valid_q;  // sums that a read of the RAM may not have seen, newest in [0]
  logic   [Recent-1:0][IndexBits-1:0] recent_index_q;
  gw_counter_entry_t                  recent_q [Recent];
  logic   [Recent-1:0]                newer;  // the next event's counter is that of recent_q[i] in its cycle
  logic   [1:0]                       base_q;  // 0: what is stored; else the newest of them, and one
  gw_counter_entry_t stored, base, sum, wdata;
  logic                 we;
  logic [IndexBits-1:0] waddr;
  event_t now, next;
  logic   show_q;  // recent_q[0] is shown

  assign now  = event_q[Latency-1];
  assign next = '{index: refresh_i ? refresh_index_i : event_index_i, counts: !refresh_i, bytes: refresh_i ? '0 : event_bytes_i};
  always_comb begin
    newer[0] = valid_q[Latency-1] && now.index == event_q[Latency-2].index;
    for (int unsigned i = 1; i < Recent; i++) begin
      newer[i] = recent_valid_q[i-1] && recent_index_q[i-1] == event_q[Latency-2].index;
    end
    unique case (base_q)
      2'd1: base = recent_q[0];
      2'd2: base = recent_q[1];
      2'd3: base = recent_q[2];
      default: base = stored;
    endcase
    sum.packets = base.packets + 64'(now.counts);
    sum.bytes   = base.bytes + 64'(now.bytes);
  end

  always_ff @(posedge clk_i) begin
    valid_q        <= {valid_q[Latency-2:0], event_i || refresh_i};
    event_q        <= {event_q[Latency-2:0], next};
    recent_valid_q <= {recent_valid_q[Recent-2:0], valid_q[Latency-1]};
    recent_index_q <= {recent_index_q[Recent-2:0], now.index};
    show_q <= valid_q[Latency-1] && !hold_i;
    base_q <= newer[0] ? 2'd1 : newer[1] ? 2'd2 : newer[2] ? 2'd3 : 2'd0;
    if (valid_q[Latency-1]) recent_q[0] <= sum;
    for (int unsigned i = 1; i < Recent; i++) begin
      if (recent_valid_q[i-1]) recent_q[i] <= recent_q[i-1];
    end
    if (!rst_ni) begin
      valid_q        <= '0;
      recent_valid_q <= '0;
      show_q         <= 1'b0;
    end
  end

  assign we    = recent_valid_q[0] || clear_i;
  assign waddr = recent_valid_q[0] ? recent_index_q[0] : clear_index_i;
  assign wdata = recent_valid_q[0] ? recent_q[0] : '0;

  // Two copies: one that events read, one that commands read.
  gw_ram #(.Width($bits(gw_counter_entry_t)), .Depth(Entries), .Latency(Latency)) u_count (
      .clk_i(clk_i),
      .we_i(we),
      .waddr_i(waddr),
      .wdata_i(wdata),
      .re_i(event_i || refresh_i),
      .raddr_i(next.index),
      .rdata_o(stored)
  );
  gw_ram #(.Width($bits(gw_counter_entry_t)), .Depth(Entries), .Latency(Latency)) u_show (
      .clk_i(clk_i),
      .we_i(show_q || clear_i),
      .waddr_i(waddr),
      .wdata_i(wdata),
      .re_i(read_i),
      .raddr_i(read_index_i),
      .rdata_o(data_o)
  );

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(refresh_i && event_i)) else $error("gw_counter_ram: a refresh and an event");
    if (rst_ni) assert (!(clear_i && (valid_q != '0 || recent_valid_q[0]))) else $error("gw_counter_ram: cleared while it counts");
  end
`endif
endmodule
