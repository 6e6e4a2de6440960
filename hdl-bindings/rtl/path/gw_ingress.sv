// Purpose: takes the frames of one source: stores their beats, collects their windows, tells their ends.
// Latency: window 1 cycle after its last beat, end visible 2 cycles after the last beat.
// Throughput: one beat each cycle.
// Drops when: (wire) at the first beat, for the whole frame, when the port is not enabled, the payload ring has less than
//   FrameBeatsMax beats, no descriptor is free or the window queue is full. Injects wait instead.
//
// Wire: `s_ready_o` is always 1; a window goes as soon as two beats or the whole frame have come. Inject: a window is offered
// once its frame is whole, because the host's DMA may stall inside a frame; a last beat with no byte in `s_keep_i` cancels
// the frame, and nothing of it counts. Beats beyond 9,216 bytes are not stored; the length then saturates at 9,217.
// `keep` runs from byte 0; beats before the last are taken as full. Bytes of a window beyond `bytes` are unspecified.
module gw_ingress
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter gw_source_e Source = SourceWire,
    parameter int unsigned Beats = WireBeats,  // of its payload ring
    parameter int unsigned Frames = EgressFrames,  // most frames whose payload is in the ring
    parameter int unsigned Credits = 256  // most frames between window and admission; sizes the queue of ends
) (
    input logic clk_i,
    input logic rst_ni,
    input logic enable_i,  // wire: port enabled and tables ready; inject: tables ready

    // stream
    input  logic                s_valid_i,
    output logic                s_ready_o,
    input  logic [BeatBits-1:0] s_data_i,
    input  logic [BeatBytes-1:0] s_keep_i,
    input  logic                s_last_i,
    input  logic                s_error_i,  // wire: with the last beat
    input  gw_inject_t          s_inject_i,  // inject: with the last beat

    // gw_payload_ring
    output logic                payload_we_o,
    output payload_addr_t       payload_waddr_o,
    output logic [BeatBits-1:0] payload_wdata_o,

    // gw_window_arbiter
    output logic       window_valid_o,
    input  logic       window_ready_i,  // inject only; the wire's windows cannot wait
    input  logic       window_full_i,  // wire only: refuse frames that begin
    output gw_window_t window_o,

    // gw_admit
    output logic          end_valid_o,
    input  logic          end_ready_i,
    output gw_frame_end_t end_o,
    input  logic          free_valid_i,  // the oldest frame's payload is free
    input  logic [7:0]    free_beats_i,

    // events
    output logic            began_o,  // wire: a first beat
    output logic            refused_o,  // wire: that first beat was refused
    output gw_disposition_e refused_disposition_o,
    output logic [6:0]      bytes_o,  // wire: bytes of this cycle's beat
    output logic            whole_o,  // inject: a frame is whole
    output logic            empty_o  // no payload stored, no frame begun
);
endmodule
