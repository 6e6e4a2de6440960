// The framing stations with a stub in place of gw_decide: each frame's first bytes say what becomes of it.
//
//   byte 0 disposition  1 header_bytes  2 keep_from  3,4 keep_to (LE)  5,6 needed (LE)  7 when_short  8 egress class
//   9 flags: count_vip, count_backend, heartbeat_fallback  10 vip  11,12 backend (LE)  13 header seed (header byte i = seed + i)
//
// The record's `source` repeats the first 13 bytes; `ip_bytes` is `needed`.
module gw_frame_path_bench
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned LookupLatency = 64
) (
    input logic clk_i,
    input logic rst_ni,
    input logic ready_i,
    input logic port_enable_i,
    input logic [63:0] egress_threshold_i,
    input logic [31:0] time_us_i,

    input  logic         rx_valid_i,
    output logic         rx_ready_o,
    input  logic [511:0] rx_data_i,
    input  logic [63:0]  rx_keep_i,
    input  logic         rx_last_i,
    input  logic         rx_error_i,
    input  logic         inject_valid_i,
    output logic         inject_ready_o,
    input  logic [511:0] inject_data_i,
    input  logic [63:0]  inject_keep_i,
    input  logic         inject_last_i,
    output logic         tx_valid_o,
    input  logic         tx_ready_i,
    output logic [511:0] tx_data_o,
    output logic [63:0]  tx_keep_o,
    output logic         tx_last_o,
    output logic         host_valid_o,
    input  logic         host_ready_i,
    output logic [511:0] host_data_o,
    output logic [63:0]  host_keep_o,
    output logic         host_last_o,
    output logic [1:0]   host_class_o,
    output logic [511:0] host_record_o,

    input  logic [3:0]   host_class_enable_i,
    input  logic [59:0]  host_class_bytes_i,
    input  logic [3:0]   host_class_ready_i,
    input  logic         punt_ended_i,
    input  logic         punt_lost_i,
    input  logic         host_reset_i,
    input  logic         host_lost_i,

    input  logic         table_read_i,
    input  logic         table_clear_i,
    input  logic [3:0]   table_id_i,
    input  logic [19:0]  table_index_i,
    output logic         table_rvalid_o,
    output logic [511:0] table_rdata_o,

    output logic [31:0]  punts_outstanding_o,
    output logic [31:0]  in_flight_o,
    output logic         empty_o
);
  logic          [1:0]               end_valid, end_ready, free_valid;
  gw_frame_end_t [1:0]               frame_end;
  logic          [1:0][7:0]          free_beats;
  logic began, refused, whole, intake_empty, window_out_valid;
  logic [6:0] bytes;
  gw_disposition_e refused_disposition;
  gw_window_t window;
  logic [1:0] egress_re, host_re, egress_done, host_done;
  logic [7:0] egress_done_beats;
  payload_addr_t egress_raddr, host_raddr;
  logic [1:0][BeatBits-1:0] egress_rdata, host_rdata;
  logic [1:0] sum_re;
  payload_addr_t sum_raddr;
  gw_sums_t [1:0] sum_rdata;
  gw_reply_t unused_taken;

  gw_intake u_intake (
      .clk_i(clk_i), .rst_ni(rst_ni), .wire_enable_i(port_enable_i && ready_i), .inject_enable_i(ready_i),
      .wire_valid_i(rx_valid_i), .wire_ready_o(rx_ready_o), .wire_data_i(rx_data_i), .wire_keep_i(rx_keep_i),
      .wire_last_i(rx_last_i), .wire_error_i(rx_error_i),
      .inject_valid_i(inject_valid_i), .inject_ready_o(inject_ready_o), .inject_data_i(inject_data_i),
      .inject_keep_i(inject_keep_i), .inject_last_i(inject_last_i), .inject_i('0),
      .window_valid_o(window_out_valid), .window_o(window),
      .end_valid_o(end_valid), .end_ready_i(end_ready), .end_o(frame_end),
      .free_valid_i(free_valid), .free_beats_i(free_beats),
      .egress_re_i(egress_re), .egress_raddr_i(egress_raddr), .egress_rdata_o(egress_rdata),
      .sum_re_i(sum_re), .sum_raddr_i(sum_raddr), .sum_rdata_o(sum_rdata),
      .host_re_i(host_re), .host_raddr_i(host_raddr), .host_rdata_o(host_rdata),
      .wire_began_o(began), .wire_bytes_o(bytes), .wire_refused_o(refused),
      .wire_refused_disposition_o(refused_disposition), .inject_whole_o(whole), .empty_o(intake_empty)
  );

  // ---- the stub -----------------------------------------------------------------------------------------------------
  gw_decision_t decided, decision;
  logic decision_valid, unused_window;
  assign unused_window = ^{window.complete, window.bytes, window.data[1023:128]};
  always_comb begin
    decided                    = '0;
    decided.source             = window.source;
    decided.inject             = window.inject;
    decided.payload            = window.payload;
    decided.when_whole         = gw_disposition_e'(window.data[5:0]);
    decided.header_bytes       = window.data[14:8];
    decided.keep_from          = window.data[22:16];
    decided.keep_to            = window.data[37:24];
    decided.needed             = window.data[53:40];
    decided.when_short         = gw_disposition_e'(window.data[61:56]);
    decided.egress_class       = gw_egress_class_e'(window.data[65:64]);
    decided.count_vip          = window.data[72];
    decided.count_backend      = window.data[73];
    decided.heartbeat_fallback = window.data[74];
    decided.vip                = 12'(window.data[87:80]);
    decided.backend            = window.data[103:88];
    decided.ip_bytes           = 16'(window.data[53:40]);
    decided.record.source      = 128'(window.data[103:0]);
    for (int i = 0; i < int'(HeaderBytes); i++) decided.header[8*i+:8] = window.data[111:104] + 8'(i);
  end
  gw_delay #(.Width($bits(gw_decision_t)), .Cycles(LookupLatency)) u_lookup (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(window_out_valid), .data_i(decided),
      .valid_o(decision_valid), .data_o(decision)
  );

  logic egress_valid, frame_valid, host_free_valid, sent, host_out, host_gone;
  gw_egress_t egress;
  gw_host_frame_t frame;
  gw_host_class_e host_free_class, host_class;
  logic [7:0] host_free_beats;
  gw_admission_t admission;
  logic [13:0] sent_bytes;
  logic [31:0] punt_unanswered;
  logic [2:0] stations_empty;
  gw_rx_completion_t record;

  gw_admit u_admit (
      .clk_i(clk_i), .rst_ni(rst_ni), .time_us_i(time_us_i), .egress_threshold_i(egress_threshold_i),
      .host_class_enable_i(host_class_enable_i), .host_class_bytes_i(host_class_bytes_i), .decision_valid_i(decision_valid), .decision_i(decision),
      .end_valid_i(end_valid), .end_ready_o(end_ready), .end_i(frame_end),
      .free_valid_o(free_valid), .free_beats_o(free_beats), .reply_ready_i('1), .reply_taken_o(unused_taken),
      .egress_valid_o(egress_valid), .egress_o(egress), .egress_done_i(egress_done), .egress_done_beats_i(egress_done_beats),
      .host_valid_o(frame_valid), .host_o(frame), .host_done_i(host_done), .host_free_valid_i(host_free_valid),
      .host_free_class_i(host_free_class), .host_free_beats_i(host_free_beats),
      .admission_o(admission), .empty_o(stations_empty[0])
  );
  gw_egress u_egress (
      .clk_i(clk_i), .rst_ni(rst_ni), .egress_valid_i(egress_valid), .egress_i(egress), .done_o(egress_done), .done_beats_o(egress_done_beats),
      .payload_re_o(egress_re), .payload_raddr_o(egress_raddr), .payload_rdata_i(egress_rdata),
      .sum_re_o(sum_re), .sum_raddr_o(sum_raddr), .sum_rdata_i(sum_rdata),
      .m_valid_o(tx_valid_o), .m_ready_i(tx_ready_i), .m_data_o(tx_data_o), .m_keep_o(tx_keep_o), .m_last_o(tx_last_o),
      .sent_o(sent), .sent_bytes_o(sent_bytes), .empty_o(stations_empty[1])
  );
  logic unused_resting;
  logic [15:0] unused_waiting;
  gw_host_queue u_host_queue (
      .clk_i(clk_i), .rst_ni(rst_ni), .frame_valid_i(frame_valid), .frame_i(frame), .done_o(host_done),
      .free_valid_o(host_free_valid), .free_class_o(host_free_class), .free_beats_o(host_free_beats),
      .payload_re_o(host_re), .payload_raddr_o(host_raddr), .payload_rdata_i(host_rdata),
      .host_class_ready_i(host_class_ready_i), .punt_ended_i(punt_ended_i), .punt_lost_i(punt_lost_i), .host_reset_i(host_reset_i),
      .m_valid_o(host_valid_o), .m_ready_i(host_ready_i), .m_data_o(host_data_o), .m_keep_o(host_keep_o),
      .m_last_o(host_last_o), .m_class_o(host_class), .m_record_o(record),
      .out_o(host_out), .gone_o(host_gone), .punt_unanswered_o(punt_unanswered),
      .punts_outstanding_o(punts_outstanding_o), .resting_o(unused_resting), .waiting_o(unused_waiting), .empty_o(stations_empty[2])
  );
  assign host_class_o  = host_class;
  assign host_record_o = record;

  gw_table_req_t request;
  always_comb begin
    request          = '0;
    request.read     = table_read_i;
    request.clear    = table_clear_i;
    request.table_id = gw_table_e'(table_id_i);
    request.index    = table_index_i;
  end
  gw_counters u_counters (
      .clk_i(clk_i), .rst_ni(rst_ni), .request_i(request), .rvalid_o(table_rvalid_o), .rdata_o(table_rdata_o),
      .admission_i(admission), .wire_began_i(began), .wire_bytes_i(bytes), .refused_i(refused),
      .refused_disposition_i(refused_disposition), .injected_i(whole), .sent_i(sent), .sent_bytes_i(sent_bytes),
      .host_out_i(host_out), .host_gone_i(host_gone), .punt_unanswered_i(punt_unanswered), .host_lost_i(host_lost_i),
      .flow_ecc_corrected_i('0), .flow_ecc_uncorrectable_i('0), .hold_i(1'b0), .held_o(), .in_flight_o(in_flight_o)
  );
  assign empty_o = intake_empty && &stations_empty && in_flight_o == '0;
endmodule
