// Purpose: which frames are traced: those that match the filter, and of these the first of each 2^sample_log2 (CARD.md 9).
// Latency: 2 cycles.
// Throughput: one frame each cycle; never stalls.
// Drops when: never.
module gw_trace_filter
  import gw_pkg::*;
(
    input  logic             clk_i,
    input  logic             rst_ni,
    input  gw_trace_filter_t filter_i,
    input  logic             valid_i,
    input  gw_trace_view_t   view_i,
    output logic             match_o,
    output gw_trace_view_t   view_o  // 2 cycles after it came in, whether it matched or not
);
  localparam int unsigned SampleBits = 15;
  localparam int unsigned Words = 8;  // of both addresses

  logic [Words-1:0] word_q;  // which 32 bits of the addresses differ
  logic             port_q, rest_q, valid_q, match_q;
  gw_trace_view_t   view1_q, view2_q;
  logic [255:0]     differ;
  assign differ = {(view_i.destination ^ filter_i.destination) & filter_i.destination_mask,
                   (view_i.source ^ filter_i.source) & filter_i.source_mask};

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i && filter_i.enable && rst_ni;
    if (valid_i) begin
      for (int unsigned w = 0; w < Words; w++) word_q[w] <= differ[32*w+:32] != '0;
      port_q <= ((view_i.source_port ^ filter_i.source_port) & filter_i.source_port_mask) != '0 ||
          ((view_i.destination_port ^ filter_i.destination_port) & filter_i.destination_port_mask) != '0;
      rest_q <= ((view_i.protocol ^ filter_i.protocol) & filter_i.protocol_mask) != '0 ||
          (filter_i.match_family && view_i.ipv6 != filter_i.ipv6) ||
          (filter_i.match_vip && !(view_i.vip_valid && view_i.vip == filter_i.vip));
      view1_q <= view_i;
    end
    view2_q <= view1_q;
  end

  // ---- one of many ------------------------------------------------------------------------------------------------
  logic [SampleBits-1:0] sample_q, sample_mask;
  logic                  match, first;
  assign match       = valid_q && word_q == '0 && !port_q && !rest_q;
  assign sample_mask = SampleBits'((32'd1 << filter_i.sample_log2) - 32'd1);
  assign first       = (sample_q & sample_mask) == '0;

  always_ff @(posedge clk_i) begin
    match_q <= match && first;
    if (match) sample_q <= sample_q + 1'b1;
    if (!rst_ni || !filter_i.enable) begin
      match_q  <= 1'b0;
      sample_q <= '0;
    end
  end

  assign match_o = match_q;
  assign view_o  = view2_q;
endmodule
