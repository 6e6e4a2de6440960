// Purpose: writes zero at every index of every table after a card reset, before commands may use them.
// Latency: ClearIndices + 1 cycles until `ready_o`; 1 cycle for requests that pass.
// Throughput: one index each cycle.
// Drops when: never; requests before `ready_o` are the caller's error, asserted.
//
// The index counts to the longest RAM's depth (the ring's; the flow table clears all its places at one row together).
module gw_clear
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    output logic ready_o,
    input  gw_table_req_t table_req_i,  // from gw_command
    output gw_table_req_t table_req_o  // to the tables
);
endmodule
