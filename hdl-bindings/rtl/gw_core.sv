// The packet path, in the packet's order, with its registers and commands. It drops into a shell that has its own DMA; gw_card
// puts rings around it. Wiring only.
//
//   wire, inject -> gw_intake --------- payload ----------> gw_egress -----> wire
//                       \                                /
//                     windows -> gw_decide -> gw_admit -+-> gw_host_queue -> host
//                                    |            |
//   commands -> gw_command -> gw_clear -> tables  +-> gw_counters, gw_fence, gw_trace
//
// Latency:    DecisionLatency from window to decision; the stations before and after say theirs.
// Throughput: one window a cycle; the wire is never stalled (`s_axis_rx_tready` is always 1).
// Drops when: gw_ingress refuses a frame at its first beat, or gw_admit carries out a drop.
//
// Side-band of frames: `s_axis_inject_tuser` is what the host says of its frame, with the last beat; `m_axis_host_tuser` is the
// decision (without phase and index) and `m_axis_host_tdest` the class, both stable for the frame.
module gw_core
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic [15:0] tick_i,  // microseconds that have passed since the last cycle: 0 or 1 in hardware

    // wire
    input  logic                 s_axis_rx_tvalid,
    output logic                 s_axis_rx_tready,
    input  logic [ BeatBits-1:0] s_axis_rx_tdata,
    input  logic [BeatBytes-1:0] s_axis_rx_tkeep,
    input  logic                 s_axis_rx_tlast,
    input  logic                 s_axis_rx_tuser,  // error, with the last beat
    output logic                 m_axis_tx_tvalid,
    input  logic                 m_axis_tx_tready,
    output logic [ BeatBits-1:0] m_axis_tx_tdata,
    output logic [BeatBytes-1:0] m_axis_tx_tkeep,
    output logic                 m_axis_tx_tlast,

    // host
    input  logic                    s_axis_inject_tvalid,
    output logic                    s_axis_inject_tready,
    input  logic [    BeatBits-1:0] s_axis_inject_tdata,
    input  logic [   BeatBytes-1:0] s_axis_inject_tkeep,
    input  logic                    s_axis_inject_tlast,
    input  gw_inject_t              s_axis_inject_tuser,
    output logic                    m_axis_host_tvalid,
    input  logic                    m_axis_host_tready,
    output logic [    BeatBits-1:0] m_axis_host_tdata,
    output logic [   BeatBytes-1:0] m_axis_host_tkeep,
    output logic                    m_axis_host_tlast,
    output logic [             1:0] m_axis_host_tdest,
    output gw_rx_completion_t       m_axis_host_tuser,
    input  logic              [3:0] host_class_enable_i,  // the class's queue is enabled: frames are admitted
    input  logic              [3:0] host_class_ready_i,  // it has room for one more frame: a frame may start
    input  logic        [3:0][14:0] host_class_bytes_i,  // longest frame that its buffers take
    input  logic                    punt_ended_i,  // pulse: what ends a punt was consumed
    input  logic                    punt_lost_i,  // pulse: one of class miss did not
    input  logic                    host_lost_i,  // pulse: a frame taken from m_axis_host did not reach the host's memory
    input  logic                    host_reset_i,  // level

    // registers
    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [ 8:0] s_axil_awaddr,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    input  logic [31:0] s_axil_wdata,
    input  logic [ 3:0] s_axil_wstrb,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    output logic [ 1:0] s_axil_bresp,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    input  logic [ 8:0] s_axil_araddr,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic [31:0] s_axil_rdata,
    output logic [ 1:0] s_axil_rresp,

    // commands
    input  logic                         command_valid_i,
    output logic                         command_ready_o,
    input  gw_command_t                  command_i,
    output logic                         command_checked_valid_o,  // pulse: Ok begins the data phase, else it is over
    output gw_status_e                   command_checked_status_o,
    input  logic                         command_wdata_valid_i,
    output logic                         command_wdata_ready_o,
    input  logic          [BeatBits-1:0] command_wdata_i,
    input  logic                         command_wdata_error_i,
    output logic                         command_rdata_valid_o,
    input  logic                         command_rdata_ready_i,
    output logic          [BeatBits-1:0] command_rdata_o,
    output logic                         command_rdata_last_o,
    output logic                         command_done_valid_o,
    output gw_command_rsp_t              command_done_o,
    input  logic                         command_abort_i,

    // entries that the card learned, one cycle each
    output logic           flow_event_valid_o,
    output gw_flow_event_t flow_event_o,

    // frames that are traced, one cycle each
    output logic             trace_valid_o,
    output gw_trace_record_t trace_o,
    output logic [31:0]      time_us_o,  // card time, for the shell's records
    input  logic [1:0]       record_lost_i,  // records of either kind that the shell had no room for

    // state
    output logic        card_reset_o,  // pulse: the card_reset key was written; the shell resets this module
    output logic        ready_o,  // tables are clear and usable
    output logic        idle_o,  // no frame is in flight but those that wait for the host alone
    output logic        port_enabled_o,  // frames are taken from the wire
    output logic        host_alive_o,
    output logic [31:0] punts_outstanding_o,
    output logic [31:0] in_flight_o
);

  // ---- configuration, time --------------------------------------------------------------------------------------------
  gw_config_t  controls;
  logic [63:0] time_us;
  logic        ready;
  logic        idle;

  logic counters_held;
  gw_control u_control (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .tick_i             (tick_i),
      .host_reset_i       (host_reset_i),
      .s_axil_awvalid     (s_axil_awvalid),
      .s_axil_awready     (s_axil_awready),
      .s_axil_awaddr      (s_axil_awaddr),
      .s_axil_wvalid      (s_axil_wvalid),
      .s_axil_wready      (s_axil_wready),
      .s_axil_wdata       (s_axil_wdata),
      .s_axil_wstrb       (s_axil_wstrb),
      .s_axil_bvalid      (s_axil_bvalid),
      .s_axil_bready      (s_axil_bready),
      .s_axil_bresp       (s_axil_bresp),
      .s_axil_arvalid     (s_axil_arvalid),
      .s_axil_arready     (s_axil_arready),
      .s_axil_araddr      (s_axil_araddr),
      .s_axil_rvalid      (s_axil_rvalid),
      .s_axil_rready      (s_axil_rready),
      .s_axil_rdata       (s_axil_rdata),
      .s_axil_rresp       (s_axil_rresp),
      .ready_i            (ready),
      .idle_i             (idle),
      .counters_held_i    (counters_held),
      .miss_enable_i      (host_class_enable_i[HostClassMiss]),
      .punts_outstanding_i(punts_outstanding_o),
      .in_flight_i        (in_flight_o),
      .config_o           (controls),
      .port_enabled_o     (port_enabled_o),
      .host_alive_o       (host_alive_o),
      .card_reset_o       (card_reset_o),
      .time_us_o          (time_us)
  );

  // ---- commands ---------------------------------------------------------------------------------------------------------
  gw_table_req_t  command_req, table_req;
  gw_flow_write_t flow_write;
  logic           flow_write_valid, flow_write_ready;
  gw_flow_claim_t  flow_claim;
  gw_flow_change_t flow_change;
  logic           flow_claimed, flow_release_valid, flow_release_ready, flow_drain, flow_drained, flow_hold;
  logic           fence_start, fence_done;
  logic           command_ecc_corrected, command_ecc_uncorrectable;
  logic           path_rvalid, counters_rvalid;
  logic [BeatBits-1:0] path_rdata, counters_rdata;

  gw_command u_command (
      .clk_i                   (clk_i),
      .rst_ni                  (rst_ni),
      .tables_ready_i          (ready),
      .secret_i                (controls.secret),
      .time_i                  (time_us[39:10]),
      .command_valid_i         (command_valid_i),
      .command_ready_o         (command_ready_o),
      .command_i               (command_i),
      .command_checked_valid_o (command_checked_valid_o),
      .command_checked_status_o(command_checked_status_o),
      .command_wdata_valid_i   (command_wdata_valid_i),
      .command_wdata_ready_o   (command_wdata_ready_o),
      .command_wdata_i         (command_wdata_i),
      .command_wdata_error_i   (command_wdata_error_i),
      .command_rdata_valid_o   (command_rdata_valid_o),
      .command_rdata_ready_i   (command_rdata_ready_i),
      .command_rdata_o         (command_rdata_o),
      .command_rdata_last_o    (command_rdata_last_o),
      .command_done_valid_o    (command_done_valid_o),
      .command_done_o          (command_done_o),
      .command_abort_i         (command_abort_i),
      .table_req_o             (command_req),
      .table_rvalid_i          (path_rvalid | counters_rvalid),
      .table_rdata_i           (path_rdata | counters_rdata),
      .flow_write_valid_o      (flow_write_valid),
      .flow_write_ready_i      (flow_write_ready),
      .flow_write_o            (flow_write),
      .flow_claim_o            (flow_claim),
      .flow_claimed_i          (flow_claimed),
      .flow_release_valid_o    (flow_release_valid),
      .flow_release_ready_i    (flow_release_ready),
      .flow_change_o           (flow_change),
      .flow_drain_o            (flow_drain),
      .flow_drained_i          (flow_drained),
      .flow_hold_i             (flow_hold),
      .fence_start_o           (fence_start),
      .fence_done_i            (fence_done),
      .ecc_corrected_o         (command_ecc_corrected),
      .ecc_uncorrectable_o     (command_ecc_uncorrectable)
  );

  gw_clear u_clear (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .ready_o    (ready),
      .table_req_i(command_req),
      .table_req_o(table_req)
  );
  assign ready_o = ready;

  // ---- in -----------------------------------------------------------------------------------------------------------------
  logic                            window_valid;
  gw_window_t                      window;
  logic          [1:0]             end_valid, end_ready;
  gw_frame_end_t [1:0]             frame_end;
  logic          [1:0]             free_valid;
  logic          [1:0][7:0]        free_beats;
  logic          [1:0]             egress_re, host_re;
  payload_addr_t                   egress_raddr, host_raddr;
  logic [1:0][BeatBits-1:0]        egress_payload, host_payload;
  logic          [1:0]             sum_re;
  payload_addr_t                   sum_raddr;
  gw_sums_t      [1:0]             sum;
  logic                            wire_began, wire_refused, inject_whole, intake_empty;
  gw_disposition_e                 wire_refused_disposition;
  logic          [6:0]             wire_bytes;

  gw_intake u_intake (
      .clk_i                     (clk_i),
      .rst_ni                    (rst_ni),
      .wire_enable_i             (port_enabled_o),
      .inject_enable_i           (ready),
      .wire_valid_i              (s_axis_rx_tvalid),
      .wire_ready_o              (s_axis_rx_tready),
      .wire_data_i               (s_axis_rx_tdata),
      .wire_keep_i               (s_axis_rx_tkeep),
      .wire_last_i               (s_axis_rx_tlast),
      .wire_error_i              (s_axis_rx_tuser),
      .inject_valid_i            (s_axis_inject_tvalid),
      .inject_ready_o            (s_axis_inject_tready),
      .inject_data_i             (s_axis_inject_tdata),
      .inject_keep_i             (s_axis_inject_tkeep),
      .inject_last_i             (s_axis_inject_tlast),
      .inject_i                  (s_axis_inject_tuser),
      .window_valid_o            (window_valid),
      .window_o                  (window),
      .end_valid_o               (end_valid),
      .end_ready_i               (end_ready),
      .end_o                     (frame_end),
      .free_valid_i              (free_valid),
      .free_beats_i              (free_beats),
      .egress_re_i               (egress_re),
      .egress_raddr_i            (egress_raddr),
      .egress_rdata_o            (egress_payload),
      .sum_re_i                  (sum_re),
      .sum_raddr_i               (sum_raddr),
      .sum_rdata_o               (sum),
      .host_re_i                 (host_re),
      .host_raddr_i              (host_raddr),
      .host_rdata_o              (host_payload),
      .wire_began_o              (wire_began),
      .wire_bytes_o              (wire_bytes),
      .wire_refused_o            (wire_refused),
      .wire_refused_disposition_o(wire_refused_disposition),
      .inject_whole_o            (inject_whole),
      .empty_o                   (intake_empty)
  );

  // ---- decision ---------------------------------------------------------------------------------------------------------
  logic         decision_valid;
  gw_decision_t decision;
  logic         ecc_corrected, ecc_uncorrectable, learned, displaced;
  logic   [1:0] refused;
  logic           view_valid;
  gw_trace_view_t view;

  gw_decide u_decide (
      .clk_i                      (clk_i),
      .rst_ni                     (rst_ni),
      .config_i                   (controls),
      .host_alive_i               (host_alive_o),
      .tick_i                     (tick_i),
      .time_i                     (time_us[39:10]),
      .window_valid_i             (window_valid),
      .window_i                   (window),
      .decision_valid_o           (decision_valid),
      .decision_o                 (decision),
      .table_req_i                (table_req),
      .table_rvalid_o             (path_rvalid),
      .table_rdata_o              (path_rdata),
      .flow_write_valid_i         (flow_write_valid),
      .flow_write_ready_o         (flow_write_ready),
      .flow_write_i               (flow_write),
      .flow_claim_i               (flow_claim),
      .flow_claimed_o             (flow_claimed),
      .flow_release_valid_i       (flow_release_valid),
      .flow_release_ready_o       (flow_release_ready),
      .flow_change_i              (flow_change),
      .flow_drain_i               (flow_drain),
      .flow_drained_o             (flow_drained),
      .flow_hold_o                (flow_hold),
      .command_ecc_corrected_i    (command_ecc_corrected),
      .command_ecc_uncorrectable_i(command_ecc_uncorrectable),
      .ecc_corrected_o            (ecc_corrected),
      .ecc_uncorrectable_o        (ecc_uncorrectable),
      .learned_o                  (learned),
      .displaced_o                (displaced),
      .refused_o                  (refused),
      .flow_event_valid_o         (flow_event_valid_o),
      .flow_event_o               (flow_event_o),
      .view_valid_o               (view_valid),
      .view_o                     (view)
  );

  // ---- admission --------------------------------------------------------------------------------------------------------
  gw_admission_t        admission;
  logic                 egress_valid, host_valid;
  gw_egress_t           egress;
  gw_host_frame_t       host_frame;
  logic           [1:0] egress_done, host_done;
  logic           [7:0] egress_done_beats;
  logic                 host_free_valid;
  gw_host_class_e       host_free_class;
  logic           [7:0] host_free_beats;
  logic                 admit_empty, egress_empty, host_empty, host_resting;
  logic [15:0]          host_waiting;

  gw_reply_t reply_ready, reply_taken;
  for (genvar i = 0; i < int'($bits(gw_reply_t)); i++) begin : gen_icmp_limit
    gw_token_bucket u_token_bucket (
        .clk_i  (clk_i),
        .rst_ni (rst_ni),
        .tick_i (tick_i),
        .rate_i (controls.icmp_rate[i]),
        .burst_i(controls.icmp_burst[i]),
        .fill_i (controls.icmp_written[i]),
        .take_i (reply_taken[i]),
        .ready_o(reply_ready[i])
    );
  end

  gw_admit u_admit (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .time_us_i          (time_us[31:0]),
      .egress_threshold_i (controls.egress_threshold),
      .host_class_enable_i(host_class_enable_i),
      .host_class_bytes_i (host_class_bytes_i),
      .decision_valid_i   (decision_valid),
      .decision_i         (decision),
      .end_valid_i        (end_valid),
      .end_ready_o        (end_ready),
      .end_i              (frame_end),
      .free_valid_o       (free_valid),
      .free_beats_o       (free_beats),
      .reply_ready_i     (reply_ready),
      .reply_taken_o     (reply_taken),
      .egress_valid_o     (egress_valid),
      .egress_o           (egress),
      .egress_done_i      (egress_done),
      .egress_done_beats_i(egress_done_beats),
      .host_valid_o       (host_valid),
      .host_o             (host_frame),
      .host_done_i        (host_done),
      .host_free_valid_i  (host_free_valid),
      .host_free_class_i  (host_free_class),
      .host_free_beats_i  (host_free_beats),
      .admission_o        (admission),
      .empty_o            (admit_empty)
  );

  gw_fence u_fence (
      .clk_i     (clk_i),
      .rst_ni    (rst_ni),
      .window_i  (window_valid),
      .decision_i(admission.valid),
      .start_i   (fence_start),
      .done_o    (fence_done)
  );

  gw_trace u_trace (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .filter_i       (controls.trace),
      .time_us_i      (time_us[31:0]),
      .wire_began_i   (wire_began && !wire_refused),
      .window_valid_i (window_valid),
      .window_source_i(window.source),
      .view_valid_i   (view_valid),
      .view_i         (view),
      .admission_i    (admission),
      .trace_valid_o  (trace_valid_o),
      .trace_o        (trace_o)
  );
  assign time_us_o = time_us[31:0];

  // ---- out ----------------------------------------------------------------------------------------------------------------
  logic        sent, host_out, host_gone;
  logic [13:0] sent_bytes;
  logic [31:0] punt_unanswered;
  gw_host_class_e host_class;

  gw_egress u_egress (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .egress_valid_i (egress_valid),
      .egress_i       (egress),
      .done_o         (egress_done),
      .done_beats_o   (egress_done_beats),
      .payload_re_o   (egress_re),
      .payload_raddr_o(egress_raddr),
      .payload_rdata_i(egress_payload),
      .sum_re_o       (sum_re),
      .sum_raddr_o    (sum_raddr),
      .sum_rdata_i    (sum),
      .m_valid_o      (m_axis_tx_tvalid),
      .m_ready_i      (m_axis_tx_tready),
      .m_data_o       (m_axis_tx_tdata),
      .m_keep_o       (m_axis_tx_tkeep),
      .m_last_o       (m_axis_tx_tlast),
      .sent_o         (sent),
      .sent_bytes_o   (sent_bytes),
      .empty_o        (egress_empty)
  );

  gw_host_queue u_host_queue (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .frame_valid_i      (host_valid),
      .frame_i            (host_frame),
      .done_o             (host_done),
      .free_valid_o       (host_free_valid),
      .free_class_o       (host_free_class),
      .free_beats_o       (host_free_beats),
      .payload_re_o       (host_re),
      .payload_raddr_o    (host_raddr),
      .payload_rdata_i    (host_payload),
      .host_class_ready_i (host_class_ready_i),
      .punt_ended_i       (punt_ended_i),
      .punt_lost_i        (punt_lost_i),
      .host_reset_i       (host_reset_i),
      .m_valid_o          (m_axis_host_tvalid),
      .m_ready_i          (m_axis_host_tready),
      .m_data_o           (m_axis_host_tdata),
      .m_keep_o           (m_axis_host_tkeep),
      .m_last_o           (m_axis_host_tlast),
      .m_class_o          (host_class),
      .m_record_o         (m_axis_host_tuser),
      .out_o              (host_out),
      .gone_o             (host_gone),
      .punt_unanswered_o  (punt_unanswered),
      .punts_outstanding_o(punts_outstanding_o),
      .resting_o          (host_resting),
      .waiting_o          (host_waiting),
      .empty_o            (host_empty)
  );
  assign m_axis_host_tdest = host_class;

  gw_counters u_counters (
      .clk_i                   (clk_i),
      .rst_ni                  (rst_ni),
      .request_i               (table_req),
      .rvalid_o                (counters_rvalid),
      .rdata_o                 (counters_rdata),
      .admission_i             (admission),
      .wire_began_i            (wire_began),
      .wire_bytes_i            (wire_bytes),
      .refused_i               (wire_refused),
      .refused_disposition_i   (wire_refused_disposition),
      .injected_i              (inject_whole),
      .sent_i                  (sent),
      .sent_bytes_i            (sent_bytes),
      .host_out_i              (host_out),
      .host_gone_i             (host_gone),
      .punt_unanswered_i       (punt_unanswered),
      .host_lost_i             (host_lost_i),
      .flow_ecc_corrected_i    (5'(ecc_corrected)),
      .flow_ecc_uncorrectable_i(5'(ecc_uncorrectable)),
      .flow_learned_i          (learned),
      .flow_displaced_i        (displaced),
      .flow_refused_i          (refused),
      .record_lost_i           (record_lost_i),
      .hold_i                  (controls.counters_hold),
      .held_o                  (counters_held),
      .in_flight_o             (in_flight_o)
  );

  assign idle = in_flight_o == '0 && intake_empty && admit_empty && egress_empty && host_empty;
  assign idle_o = in_flight_o == 32'(host_waiting) && intake_empty && admit_empty && egress_empty && host_resting;

  logic unused_bits;
  assign unused_bits = ^{time_us[63:40], controls.port_enable};
endmodule
