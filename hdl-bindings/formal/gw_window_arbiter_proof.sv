// Proof of gw_window_arbiter: of either source no window lost, duplicated, altered or reordered; an inject waits for at most
// Slots - 1 windows of the wire; an inject that makes the wire wait is the first in Slots windows; the waiting windows never run over.
//
// The wire's side is gw_ingress as the arbiter sees it: a frame begins only while `wire_full_o` is 0, and gives its window then or
// later, before the next one begins.
module gw_window_arbiter_proof
  import gw_pkg::*;
#(
    parameter int unsigned Depth = 32,
    parameter int unsigned Slots = 16
) (
    input logic       clk_i,
    input logic       rst_ni,
    input logic       mark_wire_i,
    input logic       mark_inject_i,
    input logic       begin_i,  // a frame begins
    input logic       wire_valid_i,
    input gw_window_t wire_i,
    input logic       inject_soon_i,
    input gw_window_t inject_i
);
  localparam int unsigned Margin = 4;
  localparam int unsigned Width = $bits(gw_window_t);

  logic       wire_full, window_valid, wire_out, inject_out, taken, started_q = 1'b0;
  gw_window_t window;
  logic       open_q;  // a frame has begun and has not given its window
  logic       offered_q;  // there is an inject
  logic       taken_q;  // one was
  logic [4:0] waited_q;  // windows of the wire that left while an inject was offered
  logic [4:0] since_q;  // windows of the wire since the last inject, up to Slots

  gw_window_arbiter #(.Depth(Depth), .Slots(Slots)) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .wire_valid_i(wire_valid_i),
      .wire_i(wire_i),
      .wire_full_o(wire_full),
      .inject_soon_i(inject_soon_i),
      .inject_take_o(taken),
      .inject_i(inject_i),
      .window_valid_o(window_valid),
      .window_o(window)
  );
  assign wire_out   = window_valid && !taken_q;
  assign inject_out = window_valid && taken_q;  // one cycle after it was taken, so windows need not say whose they are

  logic             wire_marked, inject_marked;
  logic [Width-1:0] wire_word, inject_word;
  logic [5:0]       wire_count, wire_ahead, inject_count, inject_ahead;

  order_check #(.Width(Width)) u_wire (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .started_i(started_q),
      .mark_i(mark_wire_i),
      .in_i(wire_valid_i),
      .in_data_i(wire_i),
      .valid_i(wire_out),
      .out_i(wire_out),
      .out_data_i(window),
      .count_o(wire_count),
      .marked_o(wire_marked),
      .ahead_o(wire_ahead),
      .word_o(wire_word)
  );
  order_check #(.Width(Width)) u_inject (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .started_i(started_q),
      .mark_i(mark_inject_i),
      .in_i(taken),
      .in_data_i(inject_i),
      .valid_i(inject_out),
      .out_i(inject_out),
      .out_data_i(window),
      .count_o(inject_count),
      .marked_o(inject_marked),
      .ahead_o(inject_ahead),
      .word_o(inject_word)
  );

  logic       late;  // a window stands before the queue
  logic [5:0] level, behind, read;
  assign late   = dut.wire_valid_q;
  assign level  = 6'(dut.u_waiting.level_q);
  assign read   = 6'(dut.u_waiting.read_q);
  assign behind = wire_ahead - 6'(wire_out);  // of the marked window, among those that wait

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) assume (!rst_ni);
    assume (!(offered_q && !taken && !inject_soon_i));
    assume (!(begin_i && (wire_full || open_q)));
    assume (!(wire_valid_i && !(begin_i || open_q)));
    open_q <= rst_ni && (begin_i || open_q) && !wire_valid_i;
    taken_q <= rst_ni && taken;
    offered_q <= rst_ni && inject_soon_i;
    if (!rst_ni) begin
      waited_q <= '0;
      since_q  <= 5'd0;
    end else begin
      waited_q <= offered_q && !taken ? waited_q + 1'b1 : '0;
      if (taken) since_q <= '0;
      else if ((level != '0 || late) && since_q != 5'(Slots)) since_q <= since_q + 1'b1;
    end

    if (started_q) begin
      if (rst_ni) begin
        assert (waited_q <= 5'(Slots - 1));
        if (taken && (level != '0 || late)) assert (since_q >= 5'(Slots - 1));
        assert (!(dut.push && level == 6'(Depth) && !dut.pop));
      end
      assert (!taken_q || window_valid);
      assert (inject_count == 6'(inject_out));
      assert (wire_count == level + 6'(wire_out) + 6'(late));
      assert (level == '0 || window_valid);  // a slot is empty only when no window waits
      // registers
      assert (level <= 6'(Depth - Margin + 1));
      assert (level + 6'(open_q) + 6'(late) <= 6'(Depth - Margin + 1));
      assert (wire_full == (level >= 6'(Depth - Margin)));
      assert (dut.u_waiting.full_q == 1'b0);
      assert (since_q <= 5'(Slots));
      assert (5'(dut.since_q) == (since_q == 5'(Slots) ? 5'(Slots - 1) : since_q));
      assert (dut.turn_q == (5'(dut.since_q) == 5'(Slots - 1)));
      assert (dut.take_q == (offered_q && (dut.turn_q || (level == '0 && !late))) && dut.take_data_q == dut.take_q);
      assert (waited_q <= since_q);
      assert (6'(dut.u_waiting.write_q) == ((read + (level == '0 ? '0 : level - 1'b1)) & 6'(Depth - 1)));
      assert (dut.u_waiting.valid_q == (level != '0) && dut.u_waiting.behind_q == (level > 6'd1));
      if (wire_marked && !(wire_out && wire_ahead == '0)) begin
        if (behind == level) assert (dut.wire_q == wire_word);
        else if (behind == '0) assert (dut.u_waiting.oldest_q == wire_word);
        else assert (dut.u_waiting.mem[(read + behind - 1'b1) & 6'(Depth - 1)] == wire_word);
      end
      cover (rst_ni && wire_full && offered_q);
      cover (rst_ni && wire_marked && wire_ahead == 6'd2 && waited_q == 5'(Slots - 1) && taken);
    end
  end
endmodule
