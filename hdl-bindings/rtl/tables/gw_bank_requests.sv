// Purpose: gives each bank of a table its part of the commands' accesses. A command's index is {bank, row}; a clear's is the row, in all
//   banks at once. What is another bank's shows as an access beyond the table, so that only its index waits for the comparison.
// Latency: none, combinational.
// Throughput: one access a cycle.
// Drops when: never.
module gw_bank_requests
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned RowBits = 10
) (
    input  gw_table_req_t             table_req_i,
    output gw_table_req_t [Banks-1:0] bank_req_o
);
  always_comb begin
    for (int unsigned b = 0; b < Banks; b++) begin
      bank_req_o[b] = table_req_i;
      if (!table_req_i.clear) begin
        bank_req_o[b].index = table_req_i.index >> RowBits == 20'(b) ? 20'(table_req_i.index[RowBits-1:0]) : '1;
      end
    end
  end
endmodule
