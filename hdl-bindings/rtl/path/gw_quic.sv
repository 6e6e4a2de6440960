// Finds the backend that the server id in a packet's QUIC connection id names: Katran's ids, or QUIC-LB's in plaintext (CARD.md 3).
//
// Latency:    QuicLatency: the VIP's scheme; the id; rows 2; table QuicIdLatency; compare; select.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
//
// `valid_o` comes for packets with a server id alone, whether the table knows it or not.
module gw_quic
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                                             clk_i,
    input  logic                                             rst_ni,
    input  logic              [Banks-1:0][SecretBits-1:0]    secret_i,
    input  logic              [QuicRotations-1:0][3:0]       id_bytes_i,  // of a QUIC-LB server id, by rotation
    input  gw_table_req_t                                    table_req_i,
    output logic                                             rvalid_o,
    output logic              [BeatBits-1:0]                 rdata_o,
    input  logic                                             valid_i,
    input  gw_connection_id_t                                connection_id_i,
    input  logic                                             matched_i,  // a VIP matched
    // A station takes the whole entry and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_vip_entry_t                                    entry_i,  // the VIP's
    // verilator lint_on UNUSEDSIGNAL
    output logic                                             valid_o,
    output gw_quic_result_t                                  result_o
);
  localparam int unsigned RowBits = $clog2(QuicIdRows);
  localparam int unsigned RowLatency = 2;
  localparam logic [3:0] IdBytesMax = 4'(ConnectionIdBytes - 1);
  typedef logic [QuicKeyBits-1:0] key_t;  // {pool, scheme, rotation, id}, the same bits as gw_quic_id_t's, from bit 0

  if (QuicLatency != 2 + RowLatency + QuicIdLatency + 2) begin : gen_check
    $error("gw_quic: QuicLatency does not fit the stages");
  end

  // ---- the VIP's scheme -------------------------------------------------------------------------------------------------
  logic       asks_q, lb_q, ninth_q;
  logic [7:0] pool_q;
  logic [3:0] bytes_q;  // of the server id under QUIC-LB
  logic [ConnectionIdBytes-1:0][7:0] c_q;  // the connection id, as CARD.md calls it

  always_ff @(posedge clk_i) begin
    if (!rst_ni) asks_q <= 1'b0;
    else asks_q <= valid_i && matched_i && entry_i.quic && connection_id_i.present;
  end
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      lb_q    <= entry_i.quic_lb;
      pool_q  <= entry_i.pool;
      ninth_q <= connection_id_i.ninth;
      c_q     <= connection_id_i.bytes;
      bytes_q <= '0;  // of rotation 7
      for (int unsigned r = 0; r < QuicRotations; r++) begin
        if (connection_id_i.bytes[0][7:5] == 3'(r)) bytes_q <= id_bytes_i[r];
      end
    end
  end

  // ---- the id -----------------------------------------------------------------------------------------------------------
  logic        names_d, names_q;
  logic [63:0] id;
  key_t        key_d, key_q;

  always_comb begin
    id = '0;
    if (lb_q) begin
      for (int unsigned n = 1; n < ConnectionIdBytes; n++) begin
        // the last of n bytes is the least significant
        if (bytes_q == 4'(n)) for (int unsigned i = 0; i < n; i++) id[i*8+:8] = c_q[n-i];
      end
      names_d = bytes_q != '0 && bytes_q <= IdBytesMax && (bytes_q != IdBytesMax || ninth_q);
    end else begin
      unique case (c_q[0][7:6])
        2'd1: id = 64'({c_q[0][5:0], c_q[1], c_q[2][7:6]});
        2'd2: id = 64'({c_q[1], c_q[2], c_q[3]});
        2'd3: id = 64'({c_q[1], c_q[2], c_q[3], c_q[4]});
        default: id = '0;
      endcase
      names_d = id != '0;
    end
    key_d = {pool_q, lb_q, lb_q ? c_q[0][7:5] : 3'd0, id};
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) names_q <= 1'b0;
    else names_q <= asks_q && names_d;
  end
  always_ff @(posedge clk_i) begin
    if (asks_q) key_q <= key_d;
  end

  // ---- rows, table, and the key beside them -----------------------------------------------------------------------------
  logic [RowLatency-1:0]         hashing_q;
  logic [Banks-1:0][RowBits-1:0] row;
  gw_quic_id_t [Banks-1:0]       entry;
  logic                          compare_valid;
  key_t                          key;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) hashing_q <= '0;
    else hashing_q <= {hashing_q[RowLatency-2:0], names_q};
  end

  gw_bank_row #(
      .KeyBits(QuicKeyBits),
      .RowBits(RowBits),
      .Banks  (Banks)
  ) u_row (
      .clk_i   (clk_i),
      .valid_i (names_q),
      .key_i   (key_q),
      .secret_i(secret_i),
      .row_o   (row)
  );

  gw_quic_id_table u_quic_id_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_o),
      .rdata_o    (rdata_o),
      .read_i     (hashing_q[RowLatency-1]),
      .row_i      (row),
      .entry_o    (entry)
  );

  gw_delay #(
      .Width (QuicKeyBits),
      .Cycles(RowLatency + QuicIdLatency)
  ) u_key_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(names_q),
      .data_i (key_q),
      .valid_o(compare_valid),
      .data_o (key)
  );

  // ---- compare, select --------------------------------------------------------------------------------------------------
  gw_quic_result_t [Banks-1:0] candidate_q;
  gw_quic_result_t             result_d, result_q;
  logic                        select_valid_q, result_valid_q;
  logic                        unused_reserved;

  always_comb begin
    unused_reserved = 1'b0;
    for (int unsigned b = 0; b < Banks; b++) unused_reserved ^= ^entry[b].reserved_top;
  end

  // The lowest bank comes last and stays.
  always_comb begin
    result_d = '0;
    for (int b = Banks - 1; b >= 0; b--) if (candidate_q[b].found) result_d = candidate_q[b];
    result_d.named = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      select_valid_q <= 1'b0;
      result_valid_q <= 1'b0;
    end else begin
      select_valid_q <= compare_valid;
      result_valid_q <= select_valid_q;
    end
  end
  always_ff @(posedge clk_i) begin
    if (compare_valid) begin
      for (int unsigned b = 0; b < Banks; b++) begin
        candidate_q[b] <= '{
            named: 1'b1,
            found: entry[b].valid && {entry[b].pool, entry[b].lb, entry[b].rotation, entry[b].id} == key,
            backend: entry[b].backend,
            generation: entry[b].generation
        };
      end
    end
    if (select_valid_q) result_q <= result_d;
  end
  assign valid_o  = result_valid_q;
  assign result_o = result_q;
endmodule
