// Purpose: counts what became of every frame, per disposition, port event, VIP and backend; answers commands' reads.
// Latency: a counter shows an event 6 cycles later.
// Throughput: one admission, one refusal and one of every other event each cycle, also to one address.
// Drops when: never. Counters wrap at 2^64.
//
// Register counters are cleared by reset, those in RAM by `request_i.clear` (after reset, while no frame is taken).
module gw_counters
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_command: tables counter, vip_counter, backend_counter
    input  gw_table_req_t       request_i,
    output logic                rvalid_o,
    output logic [BeatBits-1:0] rdata_o,

    // gw_admit
    input gw_admission_t admission_i,

    // gw_ingress, wire
    input logic            wire_began_i,
    input logic [6:0]      wire_bytes_i,
    input logic            refused_i,
    input gw_disposition_e refused_disposition_i,  // drop_port_disabled or drop_ingress_full

    // gw_ingress, inject
    input logic injected_i,

    // gw_egress
    input logic        sent_i,
    input logic [13:0] sent_bytes_i,

    // gw_host_queue
    input logic        host_out_i,
    input logic        host_gone_i,
    input logic [31:0] punt_unanswered_i,

    // host side: a frame that had left towards the host did not reach its memory; it counts as gone, not as out
    input logic host_lost_i,

    // gw_flow_lookup; events in this cycle
    input logic [4:0] flow_ecc_corrected_i,
    input logic [4:0] flow_ecc_uncorrectable_i,

    output logic [31:0] in_flight_o  // frames begun and not yet counted as out, gone or dropped
);
endmodule
