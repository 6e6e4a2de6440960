// Purpose: merges the windows of wire and injects into one stream, wire first, with one slot in 16 for injects.
// Latency: 1 cycle without conflict.
// Throughput: one window each cycle.
// Drops when: never; `wire_full_o` makes gw_ingress refuse frames before the queue of waiting wire windows runs over.
module gw_window_arbiter
  import gw_pkg::*;
(
    input  logic       clk_i,
    input  logic       rst_ni,
    input  logic       wire_valid_i,
    input  gw_window_t wire_i,
    output logic       wire_full_o,
    input  logic       inject_valid_i,
    output logic       inject_ready_o,
    input  gw_window_t inject_i,
    output logic       window_valid_o,
    output gw_window_t window_o
);
endmodule
