// Purpose: joins each decision with the end of its frame, admits or drops the frame, and frees payload in order.
// Latency: 2 cycles from the later of decision and end (both visible) to egress or host queue.
// Throughput: one frame each cycle.
// Drops when: the frame's end says so (CARD.md 2 rows 1 to 3, or shorter than its headers claim), the decision is a drop, or
//   admission fails (CARD.md 4): drop_egress_overload, drop_punt_full, drop_host_full.
module gw_admit
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic             clk_i,
    input logic             rst_ni,
    input logic [31:0]      time_us_i,
    input logic [3:0][15:0] egress_threshold_i,  // frames, by class
    input logic [3:0]       host_class_enable_i,

    // gw_encap; never waits
    input logic         decision_valid_i,
    input gw_decision_t decision_i,

    // gw_ingress of wire [0] and inject [1]
    input  logic          [1:0]      end_valid_i,
    output logic          [1:0]      end_ready_o,
    input  gw_frame_end_t [1:0]      end_i,
    output logic          [1:0]      free_valid_o,  // the oldest frame's payload is free
    output logic          [1:0][7:0] free_beats_o,

    // gw_egress; never waits
    output logic             egress_valid_o,
    output gw_egress_t       egress_o,
    input  logic       [1:0] egress_done_i,  // one frame's payload was read; by source

    // gw_host_queue; never waits
    output logic                 host_valid_o,
    output gw_host_frame_t       host_o,
    input  logic           [1:0] host_done_i,  // one frame's payload was read; by source
    input  logic                 host_free_valid_i,  // a frame left its class's buffer
    input  gw_host_class_e       host_free_class_i,
    input  logic           [7:0] host_free_beats_i,

    // events
    output gw_admission_t admission_o,
    output logic          empty_o  // no decision waits, no payload is to be freed
);
endmodule
