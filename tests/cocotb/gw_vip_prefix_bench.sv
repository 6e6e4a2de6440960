// gw_vip_prefix_table with the command's access as ports of their own.
module gw_vip_prefix_bench
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  write_i,
    input  logic                  read_i,
    input  logic                  clear_i,
    input  logic [           3:0] table_i,
    input  logic [          19:0] index_i,
    input  logic [  BeatBits-1:0] wdata_i,
    output logic                  rvalid_o,
    output logic [  BeatBits-1:0] rdata_o,
    input  logic                  search_i,
    input  logic [VipKeyBits-1:0] key_i,
    output logic                  hit_o,
    output logic [          11:0] vip_o
);
  gw_table_req_t table_req;

  always_comb begin
    table_req.write    = write_i;
    table_req.read     = read_i;
    table_req.clear    = clear_i;
    table_req.table_id = gw_table_e'(table_i);
    table_req.index    = index_i;
    table_req.wdata    = clear_i ? '0 : wdata_i;  // as gw_clear gives it
  end

  gw_vip_prefix_table u_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req),
      .rvalid_o   (rvalid_o),
      .rdata_o    (rdata_o),
      .search_i   (search_i),
      .key_i      (key_i),
      .hit_o      (hit_o),
      .vip_o      (vip_o)
  );
endmodule
