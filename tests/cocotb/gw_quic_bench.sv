// gw_connection_id, then gw_quic, with packet, VIP entry and command access as ports of their own, all in the same cycle.
module gw_quic_bench
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                           clk_i,
    input  logic                           rst_ni,
    input  logic                           write_i,
    input  logic                           read_i,
    input  logic                           clear_i,
    input  logic [                    3:0] table_i,
    input  logic [                   19:0] index_i,
    input  logic [           BeatBits-1:0] wdata_i,
    output logic                           rvalid_o,
    output logic [           BeatBits-1:0] rdata_o,
    input  logic [   Banks*SecretBits-1:0] secret_i,
    input  logic [   QuicRotations*4-1:0]  id_bytes_i,
    input  logic                           valid_i,
    input  logic                           ask_i,
    input  logic [          WalkBytes*8-1:0] bytes_i,  // from the UDP header on
    input  logic [                   15:0] left_i,
    input  logic [                    6:0] room_i,
    input  logic                           matched_i,
    input  logic                           quic_i,
    input  logic                           quic_lb_i,
    input  logic [                    7:0] pool_i,
    output logic                           valid_o,
    output logic                           named_o,
    output logic                           found_o,
    output logic [                   15:0] backend_o,
    output logic [                    7:0] generation_o
);
  localparam int unsigned IdLatency = 2;

  gw_table_req_t     table_req;
  gw_walk_t          walk;
  gw_connection_id_t connection_id;
  gw_vip_entry_t     entry_d, entry;
  gw_quic_result_t   result;
  logic              valid, matched;

  always_comb begin
    table_req.write    = write_i;
    table_req.read     = read_i;
    table_req.clear    = clear_i;
    table_req.table_id = gw_table_e'(table_i);
    table_req.index    = index_i;
    table_req.wdata    = clear_i ? '0 : wdata_i;  // as gw_clear gives it
    walk = '0;
    walk.left = left_i;
    walk.room = room_i;
    walk.bytes = bytes_i;
    entry_d = '0;
    entry_d.quic = quic_i;
    entry_d.quic_lb = quic_lb_i;
    entry_d.pool = pool_i;
  end

  gw_connection_id u_connection_id (
      .clk_i  (clk_i),
      .valid_i(valid_i),
      .ask_i  (ask_i),
      .walk_i (walk),
      .id_o   (connection_id)
  );

  gw_delay #(
      .Width ($bits(gw_vip_entry_t) + 1),
      .Cycles(IdLatency)
  ) u_entry_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_i),
      .data_i ({matched_i, entry_d}),
      .valid_o(valid),
      .data_o ({matched, entry})
  );

  gw_quic u_quic (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .secret_i       (secret_i),
      .id_bytes_i     (id_bytes_i),
      .table_req_i    (table_req),
      .rvalid_o       (rvalid_o),
      .rdata_o        (rdata_o),
      .valid_i        (valid),
      .connection_id_i(connection_id),
      .matched_i      (matched),
      .entry_i        (entry),
      .valid_o        (valid_o),
      .result_o       (result)
  );
  assign named_o      = result.named;
  assign found_o      = result.found;
  assign backend_o    = result.backend;
  assign generation_o = result.generation;
endmodule
