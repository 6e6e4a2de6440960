// Purpose: holds frames for the host in one buffer a class, and hands them over with their record, lowest class first.
// Latency: about 20 cycles and the frame's beats, from `frame_valid_i` to `m_valid_o`.
// Throughput: copies one beat each cycle; hands over one frame each (beats + 8) cycles.
// Drops when: never; gw_admit reserves room. After a host reset every frame admitted before is flushed and counted.
//
// `host_class_ready_i[c]` is looked at when a frame is chosen, at the earliest 3 cycles after the last beat before it was taken.
// On `host_reset_i` the frame that is being handed over is finished (the taker goes on taking) and counts as gone.
module gw_host_queue
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_admit
    input  logic                 frame_valid_i,
    input  gw_host_frame_t       frame_i,
    output logic           [1:0] done_o,  // one frame's payload was read; by source
    output logic                 free_valid_o,  // a frame left its class's buffer
    output gw_host_class_e       free_class_o,
    output logic           [7:0] free_beats_o,

    // gw_payload_ring of wire [0] and inject [1]
    output logic          [1:0]               payload_re_o,
    output payload_addr_t                     payload_raddr_o,
    input  logic          [1:0][BeatBits-1:0] payload_rdata_i,

    // host
    input logic [3:0] host_class_ready_i,  // the class's queue has room for one more frame
    input logic       punt_ended_i,
    input logic       host_reset_i,  // a pulse or longer

    // m_axis_host
    output logic                 m_valid_o,
    input  logic                 m_ready_i,
    output logic [BeatBits-1:0]  m_data_o,
    output logic [BeatBytes-1:0] m_keep_o,
    output logic                 m_last_o,
    output gw_host_class_e       m_class_o,  // tdest
    output gw_rx_completion_t    m_record_o,  // tuser; without phase and index

    // events
    output logic        out_o,  // a frame's last beat left
    output logic        gone_o,  // a frame was flushed by a host reset
    output logic [31:0] punt_unanswered_o,  // punts that a host reset ended, in this cycle
    output logic [31:0] punts_outstanding_o,
    output logic        empty_o
);
endmodule
