// Purpose: finds a packet's flow: hashes the key for each bank, probes all places in one cycle, checks the word it chose.
// Latency: FlowLookupLatency: rows 2, table FlowLatency, compare, select, check, correct.
// Throughput: one lookup each cycle.
// Drops when: never. An uncorrectable word is a miss.
//
// The lowest {bank, way} that holds the key wins. The commands' events are counted here too, in a cycle without one of a lookup's.
module gw_flow_lookup
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  logic [Banks-1:0][SecretBits-1:0] secret_i,
    // the key: {VIP, source, source port, destination port}, as in gw_flow_key_t
    input  logic valid_i,
    input  logic [FlowKeyBits-1:0] key_i,
    output logic valid_o,
    output gw_flow_result_t result_o,
    // gw_flow_table: rows at `probe`, FlowLatency cycles later the key at `compare`, one cycle later the answer
    output logic probe_valid_o,
    output logic [Banks-1:0][FlowRowBits-1:0] probe_row_o,
    output logic compare_valid_o,
    output logic [FlowKeyBits-1:0] compare_key_o,
    input  logic [FlowPlaces-1:0] match_i,
    input  gw_flow_payload_t payload_i[FlowPlaces],
    // events, one cycle each
    input  logic command_ecc_corrected_i,
    input  logic command_ecc_uncorrectable_i,
    output logic ecc_corrected_o,
    output logic ecc_uncorrectable_o
);
endmodule
