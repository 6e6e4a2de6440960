// The card's packages for proofs: only what the proved modules use, of a card with short beats and frames. The modules move the bits
// of beats and windows and never look at them, so few bits stand for many. A beat still counts as 64 bytes.
package gw_layout_pkg;
  localparam int unsigned FrameMax = 192;  // three beats
  typedef enum logic [5:0] {
    DispositionDropIngressFull,
    DispositionDropPortDisabled
  } gw_disposition_e;
endpackage

package gw_pkg;
  localparam int unsigned BeatBits = 2;
  localparam int unsigned BeatBytes = 64;
  localparam int unsigned WindowBytes = 128;
  localparam int unsigned WireBeats = 8;
  localparam int unsigned EgressFrames = 8;
  localparam int unsigned FrameBeatsMax = 4;  // as in the card: the longest frame's beats and one
  localparam int unsigned TableLatency = 3;

  typedef logic [3:0] payload_addr_t;
  typedef logic [13:0] frame_len_t;
  typedef enum logic {
    SourceWire,
    SourceInject
  } gw_source_e;
  typedef logic gw_inject_t;
  typedef struct packed {
    gw_source_e            source;
    gw_inject_t            inject;
    payload_addr_t         payload;
    logic                  complete;
    logic [7:0]            bytes;
    logic [2*BeatBits-1:0] data;
  } gw_window_t;
  typedef struct packed {
    frame_len_t length;
    logic       error;
  } gw_frame_end_t;
endpackage
