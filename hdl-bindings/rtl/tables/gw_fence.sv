// Purpose: tells when every frame that entered the path before a moment has been decided on.
// Latency: 1 cycle after the last such decision was taken by gw_admit.
// Throughput: one fence at a time.
// Drops when: never.
module gw_fence (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic window_i,    // pulse: a window entered gw_parse
    input  logic decision_i,  // pulse: gw_admit took a decision (in the order of the windows)
    input  logic start_i,     // pulse, or held until `done_o`
    output logic done_o       // pulse
);
endmodule
