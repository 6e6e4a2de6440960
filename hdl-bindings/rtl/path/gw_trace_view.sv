// Purpose: what gw_trace is told of each frame: the stations' answers, beside the verdict, with 0 where a station was not asked.
// Latency: 1 cycle from the verdict.
// Throughput: one frame each cycle; never stalls.
// Drops when: never.
module gw_trace_view
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    // A station takes whole answers, and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    // beside gw_verdict's input
    input  logic            due_valid_i,
    input  gw_vip_found_t   found_i,
    input  gw_flow_result_t flow_i,
    input  gw_ring_result_t ring_i,
    input  gw_quic_result_t quic_i,
    input  gw_candidates_t  candidates_i,
    // gw_verdict's output, and the packet beside it
    input  logic            verdict_valid_i,
    input  gw_parsed_t      parsed_i,
    input  gw_verdict_t     verdict_i,
    input  logic            learns_i,
    // verilator lint_on UNUSEDSIGNAL
    // gw_trace
    output logic            view_valid_o,
    output gw_trace_view_t  view_o
);
  typedef struct packed {
    logic        any_port;
    logic        quic_named;
    logic        found;
    logic        stale;
    logic        confirmed;
    logic        pinned;
    logic [3:0]  place;
    logic [7:0]  generation;
    logic [15:0] backend;
    logic [16:0] index;
    logic [15:0] slot;
  } answers_t;

  answers_t  answers_in, answers;
  logic      answers_valid, usable, bare, asked;
  flow_way_t way;

  assign usable = candidates_i.flow_exists && candidates_i.flow_entry.generation == flow_i.generation &&
      (candidates_i.flow_entry.state == BackendStateUp || candidates_i.flow_entry.state == BackendStateDraining);
  assign way = flow_i.place[FlowPlaceBits-1:FlowRowBits];
  always_comb begin
    answers_in = '0;
    answers_in.any_port   = found_i.any_port;
    answers_in.quic_named = quic_i.named;
    answers_in.backend    = SlotEmpty[15:0];
    answers_in.index      = ring_i.index;
    answers_in.slot       = ring_i.slot;
    if (flow_i.found) begin
      answers_in.found      = 1'b1;
      answers_in.stale      = !usable;
      answers_in.confirmed  = flow_i.confirmed;
      answers_in.pinned     = flow_i.pinned;
      answers_in.place      = {2'(32'(way) / FlowWays), 2'(32'(way) % FlowWays)};
      answers_in.generation = flow_i.generation;
      answers_in.backend    = flow_i.backend;
    end
  end

  gw_delay #(
      .Width ($bits(answers_t)),
      .Cycles(VerdictLatency)
  ) u_answers_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(due_valid_i),
      .data_i (answers_in),
      .valid_o(answers_valid),
      .data_o (answers)
  );

  gw_trace_view_t view_d, view_q;
  logic           valid_q, injected, vip_valid;

  // What was decided without tables, and what asked flow table and ring.
  assign bare      = parsed_i.decided;
  assign injected  = parsed_i.source == SourceInject;
  assign vip_valid = !bare && (injected ? verdict_i.disposition != DispositionDropInjectInvalid : verdict_i.count_vip);
  assign asked     = vip_valid && !injected && !parsed_i.echo;

  always_comb begin
    view_d = '0;
    view_d.injected     = injected;
    view_d.vip_valid    = vip_valid;
    view_d.decided      = verdict_i.disposition;
    view_d.flow_backend = SlotEmpty[15:0];
    view_d.ring_backend = SlotEmpty[15:0];
    view_d.backend      = SlotEmpty[15:0];
    if (!bare) begin
      view_d.ipv6             = parsed_i.ipv6;
      view_d.tags             = parsed_i.tags;
      view_d.icmp_error       = parsed_i.icmp_error;
      view_d.syn              = parsed_i.syn;
      view_d.fin              = parsed_i.fin;
      view_d.rst              = parsed_i.rst;
      view_d.protocol         = parsed_i.protocol;
      view_d.source           = parsed_i.source_address;
      view_d.destination      = parsed_i.destination_address;
      view_d.source_port      = parsed_i.echo ? '0 : parsed_i.source_port;
      view_d.destination_port = parsed_i.echo ? '0 : parsed_i.destination_port;
    end
    if (vip_valid) view_d.vip = verdict_i.vip;
    if (asked) begin
      view_d.any_port        = answers.any_port;
      view_d.over_meter      = verdict_i.over_meter;
      view_d.quic_named      = answers.quic_named;
      view_d.quic_live       = answers.quic_named && !verdict_i.quic_unknown;
      view_d.learns          = learns_i;
      view_d.flow_found      = answers.found;
      view_d.flow_stale      = answers.stale;
      view_d.flow_confirmed  = answers.confirmed;
      view_d.flow_pinned     = answers.pinned;
      view_d.flow_place      = answers.place;
      view_d.flow_generation = answers.generation;
      view_d.flow_backend    = answers.backend;
      view_d.ring_index      = answers.index;
      view_d.ring_backend    = answers.slot;
    end
    if (verdict_i.disposition inside {DispositionForwardHit, DispositionForwardQuic, DispositionForwardRing, DispositionForwardInject,
                                      DispositionForwardOverMeter, DispositionForwardTooBig, DispositionHostTooBig, DispositionDropTooBig,
                                      DispositionDropEncapUnsupported}) begin
      view_d.backend  = verdict_i.backend;
      view_d.encap    = verdict_i.entry.encap;
      view_d.next_hop = verdict_i.entry.next_hop[5:0];
    end
  end

  always_ff @(posedge clk_i) begin
    valid_q <= verdict_valid_i && rst_ni;
    if (verdict_valid_i) view_q <= view_d;
  end
  assign view_valid_o = valid_q;
  assign view_o       = view_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (answers_valid == verdict_valid_i) else $error("gw_trace_view: what gw_trace is told is not in step");
  end
`endif
endmodule
