// Purpose: a table whose entries packets read by their index, whole: `vip`, `pool`, `backend`, `next_hop`. A write changes the
//   whole entry in one cycle, so that writing a pool's entry is the ring swap.
// Latency: Latency from `read_i` to `entry_o`, which is zero for an index beyond the table.
// Throughput: one packet (all readers) and one command access a cycle: each reader has its own copy of the RAM.
// Drops when: never.
module gw_entry_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter gw_table_e Id = TableVip,
    parameter type entry_t = gw_vip_entry_t,  // a layout that begins with `reserved_top`, which is not stored
    parameter int unsigned Entries = Vips,
    parameter int unsigned Readers = 1,
    parameter int unsigned IndexBits = 12,  // of a packet's index, at least as many as the table needs
    parameter int unsigned Latency = TableLatency
) (
    input  logic                                        clk_i,
    input  logic                                        rst_ni,
    input  gw_table_req_t                               table_req_i,
    output logic                                        rvalid_o,
    output logic          [BeatBits-1:0]                rdata_o,
    input  logic          [ Readers-1:0]                read_i,
    input  logic          [ Readers-1:0][IndexBits-1:0] index_i,
    output entry_t        [ Readers-1:0]                entry_o
);

  localparam entry_t Zero = '0;
  localparam int unsigned Width = $bits(entry_t) - $bits(Zero.reserved_top);
  localparam int unsigned RowBits = $clog2(Entries);

  logic here;
  logic load;  // any table's access, known early for the wide registers
  logic write;
  logic read;

  always_comb begin
    load  = table_req_i.clear || table_req_i.write || table_req_i.read;
    here  = Entries == 1 << RowBits ? table_req_i.index >> RowBits == '0 : table_req_i.index < 20'(Entries);  // mostly without an adder
    write = here && (table_req_i.clear || (table_req_i.write && table_req_i.table_id == Id));
    read  = here && table_req_i.read && table_req_i.table_id == Id;
  end

  for (genvar r = 0; r < Readers; r++) begin : gen_reader
    logic [       Width-1:0] entry;
    logic [       Width-1:0] command_data;
    logic [     Latency-1:0] beyond_q;  // bit i: the read i + 1 cycles ago was beyond the table

    gw_table_ram #(
        .Width  (Width),
        .Depth  (Entries),
        .Latency(Latency)
    ) u_ram (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .a_read_i (read_i[r]),
        .a_index_i(index_i[r][RowBits-1:0]),
        .a_data_o (entry),
        .b_load_i (load),
        .b_write_i(write),
        .b_read_i (read && r == 0),
        .b_index_i(table_req_i.index[RowBits-1:0]),
        .b_data_i (table_req_i.wdata[Width-1:0]),  // zero with `clear`
        .b_data_o (command_data)
    );

    always_ff @(posedge clk_i) begin
      beyond_q <= {beyond_q[Latency-2:0], 32'(index_i[r]) >= Entries};
    end
    assign entry_o[r] = beyond_q[Latency-1] ? '0 : $bits(entry_t)'(entry);

    // Copies differ in nothing: commands read the first.
    if (r == 0) begin : gen_answer
      gw_table_answer #(
          .Width  (Width),
          .Latency(Latency)
      ) u_answer (
          .clk_i   (clk_i),
          .rst_ni  (rst_ni),
          .read_i  (read),
          .data_i  (command_data),
          .rvalid_o(rvalid_o),
          .rdata_o (rdata_o)
      );
    end else begin : gen_copy
      logic unused_command_data;
      assign unused_command_data = ^command_data;
    end
  end
endmodule
