// Purpose: the flow entries, their stamps and closing bits, and the arbiter of their writes.
// Latency: probe to match FlowLatency + 1; reads by commands TableAccessLatency; a write is seen by probes of later cycles.
// Throughput: one probe, one hit and one access by commands each cycle.
// Drops when: never. A hit's stamp gives way to a command's that waited long (see gw_flow_stamp).
module gw_flow_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    // gw_flow_lookup
    input  logic probe_valid_i,
    input  logic [Banks-1:0][FlowRowBits-1:0] probe_row_i,
    input  logic compare_valid_i,
    input  logic [FlowKeyBits-1:0] compare_key_i,
    output logic [FlowPlaces-1:0] match_o,
    output gw_flow_payload_t payload_o[FlowPlaces],
    // gw_verdict: packets that hit; at most DecisionLatency cycles after their lookup began
    input  logic hit_valid_i,
    input  gw_flow_hit_t hit_i,
    input  logic [29:0] time_i,  // card time in units of 1,024 us
    // commands: reads and clear by the tables' port, writes by their own
    input  gw_table_req_t table_req_i,
    output logic table_rvalid_o,
    output logic [BeatBits-1:0] table_rdata_o,
    input  logic write_valid_i,
    output logic write_ready_o,
    input  gw_flow_write_t write_i
);
endmodule
