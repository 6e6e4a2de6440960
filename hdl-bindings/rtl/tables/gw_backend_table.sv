// The `backend` table: two copies, so that the flow's and the ring's backend are read at once.
//
// Latency:    TableLatency from `read_i` to the entries.
// Throughput: one packet (both its candidates) and one command access a cycle.
// Drops when: never.
module gw_backend_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    localparam int unsigned IndexBits = $clog2(Backends)
) (
    input  logic                              clk_i,
    input  logic                              rst_ni,
    input  gw_table_req_t                     table_req_i,
    output logic                              rvalid_o,
    output logic              [ BeatBits-1:0] rdata_o,
    input  logic                              flow_read_i,
    input  logic              [IndexBits-1:0] flow_index_i,
    output gw_backend_entry_t                 flow_entry_o,
    input  logic                              ring_read_i,
    input  logic              [IndexBits-1:0] ring_index_i,
    output gw_backend_entry_t                 ring_entry_o
);

  localparam int unsigned Reserved = 25;  // reserved_top of the layout
  localparam int unsigned Width = $bits(gw_backend_entry_t) - Reserved;

  logic             here;
  logic             write;
  logic             read;
  logic [Width-1:0] flow_entry;
  logic [Width-1:0] ring_entry;
  logic [Width-1:0] command_data;
  logic [Width-1:0] unused_command_data;

  always_comb begin
    here  = table_req_i.index < 20'(Backends);
    write = here && (table_req_i.clear || (table_req_i.write && table_req_i.table_id == TableBackend));
    read  = here && table_req_i.read && table_req_i.table_id == TableBackend;
  end

  gw_table_ram #(
      .Width  (Width),
      .Depth  (Backends),
      .Latency(TableLatency)
  ) u_flow (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .a_read_i (flow_read_i),
      .a_index_i(flow_index_i),
      .a_data_o (flow_entry),
      .b_write_i(write),
      .b_read_i (read),
      .b_index_i(table_req_i.index[IndexBits-1:0]),
      .b_data_i (table_req_i.clear ? '0 : table_req_i.wdata[Width-1:0]),
      .b_data_o (command_data)
  );

  gw_table_ram #(
      .Width  (Width),
      .Depth  (Backends),
      .Latency(TableLatency)
  ) u_ring (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .a_read_i (ring_read_i),
      .a_index_i(ring_index_i),
      .a_data_o (ring_entry),
      .b_write_i(write),
      .b_read_i (1'b0),
      .b_index_i(table_req_i.index[IndexBits-1:0]),
      .b_data_i (table_req_i.clear ? '0 : table_req_i.wdata[Width-1:0]),
      .b_data_o (unused_command_data)
  );

  assign flow_entry_o = {{Reserved{1'b0}}, flow_entry};
  assign ring_entry_o = {{Reserved{1'b0}}, ring_entry};

  gw_table_answer #(
      .Width  (Width),
      .Latency(TableLatency)
  ) u_answer (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .read_i  (read),
      .data_i  (command_data),
      .rvalid_o(rvalid_o),
      .rdata_o (rdata_o)
  );
endmodule
