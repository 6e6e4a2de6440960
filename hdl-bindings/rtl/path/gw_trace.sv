// Purpose: makes a record of each traced frame when it is admitted: what its window led to, what became of it, and the cycles.
// Latency: 1 cycle from the admission to the record.
// Throughput: one frame each cycle; beside the path, which never waits for it.
// Drops when: never; gw_record_ring drops.
//
//   view -> gw_trace_filter -> matched (waits for its admission) -> record
//
// Verdicts and admissions come in one order: beside the matched frames stands a bit for each frame, whether it is one of them.
module gw_trace
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic             clk_i,
    input  logic             rst_ni,
    input  gw_trace_filter_t filter_i,
    input  logic [31:0]      time_us_i,

    // gw_intake
    input  logic             wire_began_i,  // a frame of the wire begins, and is not refused
    input  logic             window_valid_i,
    input  gw_source_e       window_source_i,

    // gw_decide
    input  logic             view_valid_i,
    input  gw_trace_view_t   view_i,

    // gw_admit
    // verilator lint_off UNUSEDSIGNAL
    input  gw_admission_t    admission_i,
    // verilator lint_on UNUSEDSIGNAL

    // gw_record_ring; never waits
    output logic             trace_valid_o,
    output gw_trace_record_t trace_o  // without phase and sequence
);
  localparam int unsigned Windows = 64;  // frames of the wire whose window has not come: gw_window_arbiter's, and the one under way
  // Matched frames before their admission: those between verdict and admission, injects that wait behind one of the wire.
  localparam int unsigned Matched = 64;
  localparam int unsigned FilterLatency = 2;
  localparam int unsigned Viewed = 2 * DecisionDepth;  // more than frames between verdict and admission
  localparam int unsigned ViewLatency = DecisionLatency - EncapLatency + 1;  // from the window
  localparam int unsigned AdmitLatency = EncapLatency + 2;  // from the view to an admission that waited for nothing

  typedef struct packed {
    logic [31:0]    cycle;  // of the view
    logic [4:0]     window_cycles;
    gw_trace_view_t view;
  } matched_t;

  function automatic logic [4:0] at_most_31(logic [31:0] cycles);
    return cycles > 32'd31 ? 5'd31 : cycles[4:0];
  endfunction
  function automatic logic [6:0] at_most_127(logic [31:0] cycles);
    return cycles > 32'd127 ? 7'd127 : cycles[6:0];
  endfunction

  logic [31:0] cycle_q;  // as the counter `cycles`
  always_ff @(posedge clk_i) begin
    if (!rst_ni) cycle_q <= '0;
    else cycle_q <= cycle_q + 32'd1;
  end

  // ---- how long the window took ---------------------------------------------------------------------------------------
  logic        began_valid, unused_began_full, unused_began_almost, window_taken;
  logic [31:0] began;
  logic [$clog2(Windows + 1)-1:0] unused_began_level;
  logic [4:0]  window_cycles, due_window_cycles;
  logic        due_window_valid;

  assign window_taken = window_valid_i && window_source_i == SourceWire;
  gw_fifo #(.Width(32), .Depth(Windows)) u_began (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .push_i       (wire_began_i),
      .data_i       (cycle_q),
      .valid_o      (began_valid),
      .pop_i        (window_taken),
      .data_o       (began),
      .level_o      (unused_began_level),
      .full_o       (unused_began_full),
      .almost_full_o(unused_began_almost)
  );
  // the ingress shows a first beat one cycle after it came
  assign window_cycles = window_taken ? at_most_31(cycle_q - began + 32'd1) : '0;

  gw_delay #(.Width(5), .Cycles(ViewLatency + FilterLatency)) u_window_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(window_valid_i),
      .data_i (window_cycles),
      .valid_o(due_window_valid),
      .data_o (due_window_cycles)
  );

  // ---- which are traced ------------------------------------------------------------------------------------------------
  logic           match, view_due, waits, full, unused_almost, pop, traced, viewed;
  gw_trace_view_t view;
  matched_t       matched_in, matched;
  logic [$clog2(Matched + 1)-1:0] unused_level;
  logic [$clog2(Viewed + 1)-1:0]  unused_viewed_level;
  logic unused_viewed_full, unused_viewed_almost;
  logic [FilterLatency-1:0] valid_q;

  gw_trace_filter u_filter (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .filter_i(filter_i),
      .valid_i (view_valid_i),
      .view_i  (view_i),
      .match_o (match),
      .view_o  (view)
  );
  assign view_due   = valid_q[FilterLatency-1];
  assign matched_in = '{cycle_q - 32'(FilterLatency), due_window_cycles, view};

  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[FilterLatency-2:0], view_valid_i} : '0;
  end

  gw_fifo #(.Width(1), .Depth(Viewed)) u_viewed (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .push_i       (view_due),
      .data_i       (match && !full),
      .valid_o      (viewed),
      .pop_i        (admission_i.valid),
      .data_o       (traced),
      .level_o      (unused_viewed_level),
      .full_o       (unused_viewed_full),
      .almost_full_o(unused_viewed_almost)
  );
  gw_fifo #(.Width($bits(matched_t)), .Depth(Matched)) u_matched (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .push_i       (match && !full),
      .data_i       (matched_in),
      .valid_o      (waits),
      .pop_i        (pop),
      .data_o       (matched),
      .level_o      (unused_level),
      .full_o       (full),
      .almost_full_o(unused_almost)
  );
  assign pop = admission_i.valid && traced;

  // ---- the record ----------------------------------------------------------------------------------------------------
  gw_trace_record_t record_d, record_q;
  logic             record_valid_q;

  always_comb begin
    record_d = '0;
    record_d.kind             = RecordKindTrace;
    record_d.injected         = matched.view.injected;
    record_d.cycle            = 10'(matched.cycle - 32'(ViewLatency));
    record_d.window_cycles    = matched.window_cycles;
    record_d.end_cycles       = at_most_127(cycle_q - matched.cycle - 32'(AdmitLatency));
    record_d.timestamp        = time_us_i;
    record_d.length           = admission_i.length;
    record_d.disposition      = admission_i.disposition;
    record_d.decided          = matched.view.decided;
    record_d.ipv6             = matched.view.ipv6;
    record_d.tags             = matched.view.tags;
    record_d.icmp_error       = matched.view.icmp_error;
    record_d.syn              = matched.view.syn;
    record_d.fin              = matched.view.fin;
    record_d.rst              = matched.view.rst;
    record_d.vip_valid        = matched.view.vip_valid;
    record_d.any_port         = matched.view.any_port;
    record_d.over_meter       = matched.view.over_meter;
    record_d.quic_named       = matched.view.quic_named;
    record_d.quic_live        = matched.view.quic_live;
    record_d.learns           = matched.view.learns;
    record_d.flow_found       = matched.view.flow_found;
    record_d.flow_stale       = matched.view.flow_stale;
    record_d.flow_confirmed   = matched.view.flow_confirmed;
    record_d.flow_pinned      = matched.view.flow_pinned;
    record_d.flow_place       = matched.view.flow_place;
    record_d.flow_generation  = matched.view.flow_generation;
    record_d.flow_backend     = matched.view.flow_backend;
    record_d.vip              = matched.view.vip[8:0];
    record_d.ring_index       = matched.view.ring_index;
    record_d.ring_backend     = matched.view.ring_backend;
    record_d.backend          = matched.view.backend;
    record_d.encap            = matched.view.encap;
    record_d.next_hop         = matched.view.next_hop;
    record_d.protocol         = matched.view.protocol;
    record_d.source_port      = matched.view.source_port;
    record_d.destination_port = matched.view.destination_port;
    record_d.source           = matched.view.source;
    record_d.destination      = matched.view.destination;
  end

  always_ff @(posedge clk_i) begin
    record_valid_q <= pop && rst_ni;
    if (waits) record_q <= record_d;  // before its frame is known to be admitted: a wide enable from a register
  end
  assign trace_valid_o = record_valid_q;
  assign trace_o       = record_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(match && full)) else $error("gw_trace: more matched frames wait for their admission than can");
      assert (!(window_taken && !began_valid)) else $error("gw_trace: a window of a frame that did not begin");
      assert (due_window_valid == view_due) else $error("gw_trace: windows and views are not in step");
      assert (!(match && !view_due)) else $error("gw_trace: a match without a view");
      assert (!(admission_i.valid && !viewed)) else $error("gw_trace: an admission before its view");
      assert (!(pop && !waits)) else $error("gw_trace: a traced frame without its view");
    end
  end
`else
  logic unused_valid;
  assign unused_valid = ^{began_valid, due_window_valid, viewed};
`endif
endmodule
