// The `next_hop` table: where encapsulated frames are sent to.
//
// Latency:    TableLatency from `read_i` to `entry_o`, which reads zero for an index beyond the table.
// Throughput: one packet and one command access a cycle.
// Drops when: never.
module gw_next_hop_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                         clk_i,
    input  logic                         rst_ni,
    input  gw_table_req_t                table_req_i,
    output logic                         rvalid_o,
    output logic          [BeatBits-1:0] rdata_o,
    input  logic                         read_i,
    input  logic          [       7:0] index_i,
    output gw_next_hop_entry_t entry_o
);

  localparam int unsigned Reserved = 14;  // reserved_top of the layout
  localparam int unsigned Width = $bits(gw_next_hop_entry_t) - Reserved;
  localparam int unsigned IndexBits = $clog2(NextHops);

  logic                    here;
  logic                    write;
  logic                    read;
  logic [       Width-1:0] entry;
  logic [       Width-1:0] command_data;
  logic [TableLatency-1:0] beyond_q;  // bit i: the read i + 1 cycles ago was beyond the table

  always_comb begin
    here  = table_req_i.index < 20'(NextHops);
    write = here && (table_req_i.clear || (table_req_i.write && table_req_i.table_id == TableNextHop));
    read  = here && table_req_i.read && table_req_i.table_id == TableNextHop;
  end

  gw_table_ram #(
      .Width  (Width),
      .Depth  (NextHops),
      .Latency(TableLatency)
  ) u_ram (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .a_read_i (read_i),
      .a_index_i(index_i[IndexBits-1:0]),
      .a_data_o (entry),
      .b_write_i(write),
      .b_read_i (read),
      .b_index_i(table_req_i.index[IndexBits-1:0]),
      .b_data_i (table_req_i.clear ? '0 : table_req_i.wdata[Width-1:0]),
      .b_data_o (command_data)
  );

  always_ff @(posedge clk_i) begin
    beyond_q <= {beyond_q[TableLatency-2:0], index_i >= 8'(NextHops)};
  end

  assign entry_o = beyond_q[TableLatency-1] ? '0 : {{Reserved{1'b0}}, entry};

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
