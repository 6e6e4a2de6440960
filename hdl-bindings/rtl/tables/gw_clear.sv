// Purpose: writes zero at every index of every table after a card reset, before commands may use them.
// Latency: `Indices` + 1 cycles until `ready_o`; 1 cycle for requests that pass.
// Throughput: one index each cycle.
// Drops when: never; requests before `ready_o` are the caller's error, asserted.
//
// The index counts to the longest RAM's depth, which in most builds is the ring's beats; the flow table clears all its places at one
// row together.
module gw_clear
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned Indices = longest(longest(RingSlots / 32, QuicIdRows), longest(1 << FlowRowBits, longest(Vips, Backends)))
) (
    input  logic clk_i,
    input  logic rst_ni,
    output logic ready_o,
    input  gw_table_req_t table_req_i,  // from gw_command
    output gw_table_req_t table_req_o   // to the tables
);
  localparam int unsigned IndexBits = $bits(table_req_o.index);

  logic [IndexBits-1:0] index_q;
  logic                 ready_q;
  gw_table_req_t        request_q;

  always_ff @(posedge clk_i) begin
    if (!ready_q) begin
      index_q         <= index_q + 1'b1;
      ready_q         <= index_q == IndexBits'(Indices - 1);
      request_q.clear <= 1'b1;
      request_q.write <= 1'b0;
      request_q.read  <= 1'b0;
      request_q.index <= index_q;
      request_q.wdata <= '0;
    end else begin
      request_q.clear <= table_req_i.clear;
      request_q.write <= table_req_i.write;
      request_q.read  <= table_req_i.read;
      if (table_req_i.write || table_req_i.read) begin
        request_q.table_id <= table_req_i.table_id;
        request_q.index    <= table_req_i.index;
      end
      if (table_req_i.write) request_q.wdata <= table_req_i.wdata;
    end
    if (!rst_ni) begin
      index_q         <= '0;
      ready_q         <= 1'b0;
      request_q.clear <= 1'b0;
      request_q.write <= 1'b0;
      request_q.read  <= 1'b0;
    end
  end

  assign ready_o     = ready_q;
  assign table_req_o = request_q;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni && !ready_q) assert (!table_req_i.write && !table_req_i.read) else $error("gw_clear: a request before the tables are clear");
  end
`endif
endmodule
