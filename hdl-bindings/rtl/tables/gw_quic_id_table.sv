// Purpose: the `quic_id` table, where the server ids in QUIC connection ids lead, in four banks.
// Latency: QuicIdLatency from `read_i` to the entries.
// Throughput: one packet and one command access a cycle.
// Drops when: never.
module gw_quic_id_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    localparam int unsigned RowBits = $clog2(QuicIdRows)
) (
    input  logic                                   clk_i,
    input  logic                                   rst_ni,
    input  gw_table_req_t                          table_req_i,
    output logic                                   rvalid_o,
    output logic          [BeatBits-1:0]           rdata_o,
    input  logic                                   read_i,
    input  logic          [Banks-1:0][RowBits-1:0] row_i,
    output gw_quic_id_t   [Banks-1:0]              entry_o
);

  gw_table_req_t [Banks-1:0]               bank_req;
  logic          [Banks-1:0]               bank_rvalid;
  logic          [Banks-1:0][BeatBits-1:0] bank_rdata;

  gw_bank_requests #(
      .RowBits(RowBits)
  ) u_requests (
      .table_req_i(table_req_i),
      .bank_req_o (bank_req)
  );

  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    gw_entry_table #(
        .Id       (TableQuicId),
        .entry_t  (gw_quic_id_t),
        .Entries  (QuicIdRows),
        .IndexBits(RowBits),
        .Latency  (QuicIdLatency)
    ) u_bank (
        .clk_i      (clk_i),
        .rst_ni     (rst_ni),
        .table_req_i(bank_req[b]),
        .rvalid_o   (bank_rvalid[b]),
        .rdata_o    (bank_rdata[b]),
        .read_i     (read_i),
        .index_i    (row_i[b]),
        .entry_o    (entry_o[b])
    );
  end

  assign rvalid_o = |bank_rvalid;
  always_comb begin
    rdata_o = '0;
    for (int unsigned b = 0; b < Banks; b++) rdata_o |= bank_rdata[b];
  end
endmodule
