// Purpose: executes the host's commands on the tables, one after another.
// Latency: a few cycles and a table access to begin, then one entry each cycle.
// Throughput: WRITE, DUMP, DIGEST an entry each cycle; COPY each second (its RAM's port carries one access a cycle).
// Drops when: never. What is wrong ends with a status.
module gw_command
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  logic tables_ready_i,  // from gw_clear
    input  logic [Banks-1:0][SecretBits-1:0] secret_i,
    input  logic [29:0] time_i,  // card time in units of 1,024 us
    // the command ring (or a shell)
    input  logic command_valid_i,
    output logic command_ready_o,
    input  gw_command_t command_i,
    output logic command_checked_valid_o,
    output gw_status_e command_checked_status_o,
    input  logic command_wdata_valid_i,
    output logic command_wdata_ready_o,
    input  logic [BeatBits-1:0] command_wdata_i,
    input  logic command_wdata_error_i,  // with valid: this beat could not be read
    output logic command_rdata_valid_o,
    input  logic command_rdata_ready_i,
    output logic [BeatBits-1:0] command_rdata_o,
    output logic command_rdata_last_o,
    output logic command_done_valid_o,
    output gw_command_rsp_t command_done_o,
    input  logic command_abort_i,
    // tables, through gw_clear
    output gw_table_req_t table_req_o,
    input  logic table_rvalid_i,
    input  logic [BeatBits-1:0] table_rdata_i,
    // writes of flow entries
    output logic flow_write_valid_o,
    input  logic flow_write_ready_i,
    output gw_flow_write_t flow_write_o,
    // gw_fence
    output logic fence_start_o,
    input  logic fence_done_i,
    // events, one cycle each
    output logic ecc_corrected_o,
    output logic ecc_uncorrectable_o
);
endmodule
