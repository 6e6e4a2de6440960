// What comes in: frames of wire and host, each into its payload ring, their windows in one stream.
//
//   wire   -> gw_ingress -> gw_payload_ring, gw_ip_sum and gw_sum_ring ---> egress and host queue read them
//   inject -> gw_ingress -> gw_payload_ring, gw_ip_sum and gw_sum_ring -/
//                \-> both windows -> gw_window_arbiter -> gw_decide
//
// Wiring only. Pairs are {inject, wire}, numbered as gw_source_e.
//
// Latency:    that of gw_ingress and gw_window_arbiter.
// Throughput: a beat a cycle from each side; one window a cycle.
// Drops when: gw_ingress refuses a frame of the wire at its first beat.
module gw_intake
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic wire_enable_i,  // frames of the wire are taken, else refused
    input logic inject_enable_i,

    input  logic                 wire_valid_i,
    output logic                 wire_ready_o,  // always 1
    input  logic [ BeatBits-1:0] wire_data_i,
    input  logic [BeatBytes-1:0] wire_keep_i,
    input  logic                 wire_last_i,
    input  logic                 wire_error_i,  // with the last beat
    input  logic                 inject_valid_i,
    output logic                 inject_ready_o,
    input  logic [ BeatBits-1:0] inject_data_i,
    input  logic [BeatBytes-1:0] inject_keep_i,
    input  logic                 inject_last_i,
    input  gw_inject_t           inject_i,  // with the last beat

    // gw_decide
    output logic       window_valid_o,
    output gw_window_t window_o,

    // gw_admit
    output logic          [1:0]      end_valid_o,
    input  logic          [1:0]      end_ready_i,
    output gw_frame_end_t [1:0]      end_o,
    input  logic          [1:0]      free_valid_i,
    input  logic          [1:0][7:0] free_beats_i,

    // gw_egress, gw_host_queue: payload, and sums of the frames' IP packets
    input  logic          [1:0]               egress_re_i,
    input  payload_addr_t                     egress_raddr_i,
    output logic          [1:0][BeatBits-1:0] egress_rdata_o,
    input  logic          [1:0]               sum_re_i,
    input  payload_addr_t                     sum_raddr_i,
    output gw_sums_t      [1:0]               sum_rdata_o,
    input  logic          [1:0]               host_re_i,
    input  payload_addr_t                     host_raddr_i,
    output logic          [1:0][BeatBits-1:0] host_rdata_o,

    // events
    output logic            wire_began_o,
    output logic      [6:0] wire_bytes_o,  // of the beat that came
    output logic            wire_refused_o,
    output gw_disposition_e wire_refused_disposition_o,
    output logic            inject_whole_o,
    output logic            empty_o
);

  localparam int unsigned Wire = 0;
  localparam int unsigned Inject = 1;

  // ---- ingress ----------------------------------------------------------------------------------------------------------
  logic                 [1:0] payload_we;
  payload_addr_t        [1:0] payload_waddr;
  logic [1:0][BeatBits-1:0]   payload_wdata;
  logic                       window_valid, unused_valid, inject_soon, unused_soon, inject_take;
  gw_window_t           [1:0] window;
  logic                 [1:0] beat_came, beat_valid, beat_first, beat_ended;
  logic            [1:0][7:0] beat_index;
  payload_addr_t        [1:0] beat_payload;
  logic [1:0][BeatBits-1:0]   beat_data;
  logic                 [1:0] sum_valid, sum_soon;
  payload_addr_t        [1:0] sum_soon_payload;
  gw_ip_sum_t           [1:0] sum;
  logic                       wire_window_full;
  logic                 [1:0] empty;
  // an inject is never refused, and the wire's frames need no `whole`
  logic                       unused_wire_whole, unused_inject_began, unused_inject_refused;
  gw_disposition_e            unused_inject_disposition;
  logic                 [6:0] unused_inject_bytes;

  gw_ingress #(
      .Source (SourceWire),
      .Beats  (WireBeats),
      .Credits(DecisionDepth)
  ) u_wire_ingress (
      .clk_i                (clk_i),
      .rst_ni               (rst_ni),
      .enable_i             (wire_enable_i),
      .s_valid_i            (wire_valid_i),
      .s_ready_o            (wire_ready_o),
      .s_data_i             (wire_data_i),
      .s_keep_i             (wire_keep_i),
      .s_last_i             (wire_last_i),
      .s_error_i            (wire_error_i),
      .s_inject_i           ('0),
      .payload_we_o         (payload_we[Wire]),
      .payload_waddr_o      (payload_waddr[Wire]),
      .payload_wdata_o      (payload_wdata[Wire]),
      .window_valid_o       (window_valid),
      .window_soon_o        (unused_soon),
      .window_take_i        (1'b0),
      .window_full_i        (wire_window_full),
      .window_o             (window[Wire]),
      .end_valid_o          (end_valid_o[Wire]),
      .end_ready_i          (end_ready_i[Wire]),
      .end_o                (end_o[Wire]),
      .free_valid_i         (free_valid_i[Wire]),
      .free_beats_i         (free_beats_i[Wire]),
      .beat_came_o          (beat_came[Wire]),
      .beat_valid_o         (beat_valid[Wire]),
      .beat_first_o         (beat_first[Wire]),
      .beat_ended_o         (beat_ended[Wire]),
      .beat_index_o         (beat_index[Wire]),
      .beat_payload_o       (beat_payload[Wire]),
      .beat_data_o          (beat_data[Wire]),
      .began_o              (wire_began_o),
      .refused_o            (wire_refused_o),
      .refused_disposition_o(wire_refused_disposition_o),
      .bytes_o              (wire_bytes_o),
      .whole_o              (unused_wire_whole),
      .empty_o              (empty[Wire])
  );

  gw_ingress #(
      .Source (SourceInject),
      .Beats  (InjectBeats),
      .Credits(InjectCredits)
  ) u_inject_ingress (
      .clk_i                (clk_i),
      .rst_ni               (rst_ni),
      .enable_i             (inject_enable_i),
      .s_valid_i            (inject_valid_i),
      .s_ready_o            (inject_ready_o),
      .s_data_i             (inject_data_i),
      .s_keep_i             (inject_keep_i),
      .s_last_i             (inject_last_i),
      .s_error_i            (1'b0),
      .s_inject_i           (inject_i),
      .payload_we_o         (payload_we[Inject]),
      .payload_waddr_o      (payload_waddr[Inject]),
      .payload_wdata_o      (payload_wdata[Inject]),
      .window_valid_o       (unused_valid),
      .window_soon_o        (inject_soon),
      .window_take_i        (inject_take),
      .window_full_i        (1'b0),
      .window_o             (window[Inject]),
      .end_valid_o          (end_valid_o[Inject]),
      .end_ready_i          (end_ready_i[Inject]),
      .end_o                (end_o[Inject]),
      .free_valid_i         (free_valid_i[Inject]),
      .free_beats_i         (free_beats_i[Inject]),
      .beat_came_o          (beat_came[Inject]),
      .beat_valid_o         (beat_valid[Inject]),
      .beat_first_o         (beat_first[Inject]),
      .beat_ended_o         (beat_ended[Inject]),
      .beat_index_o         (beat_index[Inject]),
      .beat_payload_o       (beat_payload[Inject]),
      .beat_data_o          (beat_data[Inject]),
      .began_o              (unused_inject_began),
      .refused_o            (unused_inject_refused),
      .refused_disposition_o(unused_inject_disposition),
      .bytes_o              (unused_inject_bytes),
      .whole_o              (inject_whole_o),
      .empty_o              (empty[Inject])
  );

  // ---- payload ----------------------------------------------------------------------------------------------------------
  for (genvar s = 0; s < 2; s++) begin : gen_payload
    gw_payload_ring #(
        .Beats(s == Wire ? WireBeats : InjectBeats)
    ) u_payload_ring (
        .clk_i         (clk_i),
        .we_i          (payload_we[s]),
        .waddr_i       (payload_waddr[s]),
        .wdata_i       (payload_wdata[s]),
        .egress_re_i   (egress_re_i[s]),
        .egress_raddr_i(egress_raddr_i),
        .egress_rdata_o(egress_rdata_o[s]),
        .host_re_i     (host_re_i[s]),
        .host_raddr_i  (host_raddr_i),
        .host_rdata_o  (host_rdata_o[s])
    );
    // only clients are told of packets that are too big
    gw_ip_sum #(
        .Quotes(s == Wire)
    ) u_ip_sum (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .came_i   (beat_came[s]),
        .valid_i  (beat_valid[s]),
        .first_i  (beat_first[s]),
        .ended_i  (beat_ended[s]),
        .index_i  (beat_index[s]),
        .payload_i(beat_payload[s]),
        .data_i   (beat_data[s]),
        .soon_o   (sum_soon[s]),
        .soon_payload_o(sum_soon_payload[s]),
        .valid_o  (sum_valid[s]),
        .sum_o    (sum[s])
    );
    gw_sum_ring #(
        .Beats(s == Wire ? WireBeats : InjectBeats)
    ) u_sum_ring (
        .clk_i  (clk_i),
        .soon_i (sum_soon[s]),
        .soon_payload_i(sum_soon_payload[s]),
        .we_i   (sum_valid[s]),
        .sum_i  (sum[s]),
        .re_i   (sum_re_i[s]),
        .raddr_i(sum_raddr_i),
        .sum_o  (sum_rdata_o[s])
    );
  end

  // ---- windows ----------------------------------------------------------------------------------------------------------
  gw_window_arbiter u_window_arbiter (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .wire_valid_i  (window_valid),
      .wire_i        (window[Wire]),
      .wire_full_o   (wire_window_full),
      .inject_soon_i (inject_soon),
      .inject_take_o (inject_take),
      .inject_i      (window[Inject]),
      .window_valid_o(window_valid_o),
      .window_o      (window_o)
  );

  assign empty_o = &empty;
endmodule
