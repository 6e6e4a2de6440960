// Purpose: merges the windows of wire and injects into one stream, wire first, with one slot in 16 for injects.
// Latency: 2 cycles from the wire, 2 from an inject's announcement, without conflict.
// Throughput: one window each cycle.
// Drops when: never; `wire_full_o` makes gw_ingress refuse frames before the queue of waiting wire windows runs over.
module gw_window_arbiter
  import gw_pkg::*;
#(
    parameter int unsigned Depth = 32,  // wire windows that can wait
    parameter int unsigned Slots = 16  // one of them is an inject's, whatever the wire does
) (
    input  logic       clk_i,
    input  logic       rst_ni,
    input  logic       wire_valid_i,
    input  gw_window_t wire_i,
    output logic       wire_full_o,
    input  logic       inject_soon_i,  // in the next cycle there is an inject: a new one, or one that was not taken
    output logic       inject_take_o,  // this cycle's goes
    input  gw_window_t inject_i,
    output logic       window_valid_o,
    output gw_window_t window_o
);
  localparam int unsigned SlotBits = $clog2(Slots);
  // Windows of frames that had begun when `wire_full_o` rose: at most three.
  localparam int unsigned Margin = 4;

  logic       wire_valid_q;  // what gw_ingress found with its beat; here its path ends
  gw_window_t wire_q;
  always_ff @(posedge clk_i) begin
    wire_valid_q <= wire_valid_i && rst_ni;
    wire_q       <= wire_i;
  end

  logic waiting, waits_d, push, pop, take_inject, wire_pending;
  gw_window_t oldest, window_q;
  logic valid_q;
  logic [SlotBits-1:0] since_q, since_d;  // wire windows since the last inject, saturating
  logic turn_q, turn_d;  // at its end
  logic grant_d;  // an inject may go in the next cycle: no window of the wire is there, or it is the inject's turn
  logic take_q;  // one goes: known from a register
  // The same for the wide multiplexer: a copy, so that the queues' handshakes do not wait for the reach of the other.
  (* keep *) logic take_data_q;
  logic unused_full;
  logic [$clog2(Depth + 1)-1:0] level;

  assign wire_pending   = waiting || wire_valid_q;
  assign take_inject    = take_q;
  assign inject_take_o  = take_q;
  assign pop            = waiting && !take_inject;
  assign push           = wire_valid_q && (waiting || take_inject);

  always_comb begin
    since_d = since_q;
    if (take_inject) since_d = '0;
    else if (wire_pending && !turn_q) since_d = since_q + 1'b1;
    turn_d  = !take_inject && (turn_q || (wire_pending && since_q == SlotBits'(Slots - 2)));
    waits_d = waiting ? take_inject || wire_valid_q || level > 1 : push;
    grant_d = turn_d || !(waits_d || wire_valid_i);
  end

  gw_fifo #(.Width($bits(gw_window_t)), .Depth(Depth), .AlmostFull(Depth - Margin), .EarlyWrite(1'b1)) u_waiting (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(push),
      .data_i(wire_q),
      .valid_o(waiting),
      .pop_i(pop),
      .data_o(oldest),
      .level_o(level),
      .full_o(unused_full),
      .almost_full_o(wire_full_o)
  );

  always_ff @(posedge clk_i) begin
    since_q <= since_d;
    turn_q  <= turn_d;
    take_q  <= inject_soon_i && grant_d;
    take_data_q <= inject_soon_i && grant_d;
    valid_q <= take_inject || wire_pending;
    if (take_data_q || wire_pending) window_q <= take_data_q ? inject_i : waiting ? oldest : wire_q;
    if (!rst_ni) begin
      since_q <= '0;
      turn_q  <= 1'b0;
      take_q  <= 1'b0;
      take_data_q <= 1'b0;
      valid_q <= 1'b0;
    end
  end

  assign window_valid_o = valid_q;
  assign window_o       = window_q;

`ifdef VERILATOR
  logic soon_q;
  always_ff @(posedge clk_i) begin
    soon_q <= inject_soon_i;
    if (rst_ni && soon_q && !take_q) assert (inject_soon_i) else $error("gw_window_arbiter: an announced window was withdrawn");
  end
`endif
endmodule
