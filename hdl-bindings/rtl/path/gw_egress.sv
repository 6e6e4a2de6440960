// Purpose: sends admitted frames: header bytes, then the kept bytes of the received frame.
// Latency: 7 cycles from `egress_valid_i` to `m_valid_o` when nothing waits.
// Throughput: one beat each cycle, no gap between frames.
// Drops when: never; gw_admit keeps the queue from running over. Backpressure stops only the reader.
module gw_egress
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_admit
    input  logic             egress_valid_i,
    input  gw_egress_t       egress_i,
    output logic       [1:0] done_o,  // one frame's payload was read; by source

    // gw_payload_ring of wire [0] and inject [1]
    output logic          [1:0]               payload_re_o,
    output payload_addr_t                     payload_raddr_o,
    input  logic          [1:0][BeatBits-1:0] payload_rdata_i,

    // m_axis_tx
    output logic                 m_valid_o,
    input  logic                 m_ready_i,
    output logic [BeatBits-1:0]  m_data_o,
    output logic [BeatBytes-1:0] m_keep_o,
    output logic                 m_last_o,

    // events
    output logic        sent_o,  // a frame's last beat left
    output logic [13:0] sent_bytes_o,  // bytes of that frame
    output logic        empty_o
);
endmodule
