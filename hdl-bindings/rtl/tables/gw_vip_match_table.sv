// The `vip_match` table: what a packet is matched by. Four banks; the exact and the any-port key read at once, each from its
// own copy.
//
// Latency:    TableLatency from `read_i` to the entries.
// Throughput: one packet and one command access a cycle.
// Drops when: never.
module gw_vip_match_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    localparam int unsigned RowBits = $clog2(VipMatchRows)
) (
    input  logic                             clk_i,
    input  logic                             rst_ni,
    input  gw_table_req_t                    table_req_i,
    output logic                             rvalid_o,
    output logic          [    BeatBits-1:0] rdata_o,
    input  logic                             read_i,
    input  logic          [Banks-1:0][RowBits-1:0] exact_row_i,
    input  logic          [Banks-1:0][RowBits-1:0] any_row_i,
    output gw_vip_match_t [       Banks-1:0] exact_o,
    output gw_vip_match_t [       Banks-1:0] any_o
);

  localparam int unsigned Reserved = 26;  // reserved_top of the layout
  localparam int unsigned Width = $bits(gw_vip_match_t) - Reserved;
  localparam int unsigned BankBits = $clog2(Banks);
  localparam int unsigned IndexBits = BankBits + RowBits;

  logic                        here;
  logic                        clear;
  logic [Banks-1:0]            write;
  logic [Banks-1:0]            read;
  logic [Banks-1:0][Width-1:0] command_data;
  logic [BankBits-1:0]         command_bank_q[TableLatency];  // bank of the commands' reads under way

  always_comb begin
    here  = table_req_i.table_id == TableVipMatch && table_req_i.index < 20'(Banks * VipMatchRows);
    clear = table_req_i.clear && table_req_i.index < 20'(VipMatchRows);
    for (int unsigned b = 0; b < Banks; b++) begin
      write[b] = clear || (table_req_i.write && here && table_req_i.index[IndexBits-1:RowBits] == BankBits'(b));
      read[b]  = table_req_i.read && here && table_req_i.index[IndexBits-1:RowBits] == BankBits'(b);
    end
  end

  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    logic [Width-1:0] exact;
    logic [Width-1:0] any;
    logic [Width-1:0] unused_any_command;
    gw_table_ram #(
        .Width  (Width),
        .Depth  (VipMatchRows),
        .Latency(TableLatency)
    ) u_exact (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .a_read_i (read_i),
        .a_index_i(exact_row_i[b]),
        .a_data_o (exact),
        .b_write_i(write[b]),
        .b_read_i (read[b]),
        .b_index_i(table_req_i.index[RowBits-1:0]),
        .b_data_i (clear ? '0 : table_req_i.wdata[Width-1:0]),
        .b_data_o (command_data[b])
    );
    gw_table_ram #(
        .Width  (Width),
        .Depth  (VipMatchRows),
        .Latency(TableLatency)
    ) u_any (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .a_read_i (read_i),
        .a_index_i(any_row_i[b]),
        .a_data_o (any),
        .b_write_i(write[b]),
        .b_read_i (1'b0),
        .b_index_i(table_req_i.index[RowBits-1:0]),
        .b_data_i (clear ? '0 : table_req_i.wdata[Width-1:0]),
        .b_data_o (unused_any_command)
    );
    assign exact_o[b] = {{Reserved{1'b0}}, exact};
    assign any_o[b]   = {{Reserved{1'b0}}, any};
  end

  always_ff @(posedge clk_i) begin
    command_bank_q[0] <= table_req_i.index[IndexBits-1:RowBits];
    for (int unsigned i = 1; i < TableLatency; i++) command_bank_q[i] <= command_bank_q[i-1];
  end

  gw_table_answer #(
      .Width  (Width),
      .Latency(TableLatency)
  ) u_answer (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .read_i  (|read),
      .data_i  (command_data[command_bank_q[TableLatency-1]]),
      .rvalid_o(rvalid_o),
      .rdata_o (rdata_o)
  );
endmodule
