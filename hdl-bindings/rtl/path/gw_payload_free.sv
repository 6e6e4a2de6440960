// Purpose: frees one source's payload in the order in which its frames were admitted, whatever order their readers finish in.
// Latency: 3 cycles from a dropped frame's admission to its payload being free.
// Throughput: one frame each cycle.
// Drops when: never.
//
// Each reader (egress, host queue) reads the frames of one source in their order, so counting its finished frames is enough.
module gw_payload_free
  import gw_pkg::*;
#(
    parameter int unsigned Frames = WireBeats  // most frames whose payload is stored: one a beat
) (
    input  logic       clk_i,
    input  logic       rst_ni,
    input  logic       admitted_i,  // a frame of this source was judged: its reader, if any, and its beats
    input  logic       egress_i,
    input  logic       host_i,
    input  logic [7:0] beats_i,
    input  logic       egress_done_i,  // that reader has read one more frame of this source
    input  logic       host_done_i,
    output logic       free_valid_o,
    output logic [7:0] free_beats_o,
    output logic       empty_o
);
  localparam int unsigned TokenBits = $clog2(Frames + 1);

  logic valid, free, egress, host;
  logic [7:0] beats, beats_q;
  logic free_q;
  logic [TokenBits-1:0] egress_tokens_q, egress_tokens_d, host_tokens_q, host_tokens_d;  // frames read and not freed

  gw_deep_fifo #(.Width(10), .Depth(Frames), .Latency(2)) u_order (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(admitted_i),
      .data_i({egress_i, host_i, beats_i}),
      .valid_o(valid),
      .pop_i(free),
      .data_o({egress, host, beats})
  );

  assign free = valid && (!egress || egress_tokens_q != '0) && (!host || host_tokens_q != '0);

  always_comb begin
    egress_tokens_d = egress_tokens_q + TokenBits'(egress_done_i) - TokenBits'(free && egress);
    host_tokens_d   = host_tokens_q + TokenBits'(host_done_i) - TokenBits'(free && host);
  end

  always_ff @(posedge clk_i) begin
    egress_tokens_q <= egress_tokens_d;
    host_tokens_q   <= host_tokens_d;
    free_q          <= free;
    if (free) beats_q <= beats;
    if (!rst_ni) begin
      egress_tokens_q <= '0;
      host_tokens_q   <= '0;
      free_q          <= 1'b0;
    end
  end

  assign free_valid_o = free_q;
  assign free_beats_o = beats_q;
  assign empty_o      = !valid && !free_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(free && ((egress && egress_tokens_q == '0) || (host && host_tokens_q == '0))))
      else $error("gw_payload_free: payload is freed that its reader has not read");
      assert (egress_tokens_q <= TokenBits'(Frames) && host_tokens_q <= TokenBits'(Frames))
      else $error("gw_payload_free: more frames read than stored");
    end
  end
`endif
endmodule
