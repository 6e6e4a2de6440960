// Finds a packet's VIP by its exact, then by its any-port key, then by the longest prefix, and reads the VIP's and its pool's entry (CARD.md 3).
//
// Latency:    VipFoundLatency to `found_o`, VipEntryLatency to `entry_o`, VipPoolLatency to `pool_o`.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
//
//   rows in segments, rows, match tables (TableLatency), compare 16 bits, match, select, vip table (TableLatency), pool table (TableLatency)
//   the prefix table beside the first five
//
// An ASSIGN of the host names its VIP itself. What parse decided reads no table.
module gw_vip_lookup
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                                            clk_i,
    input  logic                                            rst_ni,
    input  logic           [      Banks-1:0][SecretBits-1:0] secret_i,
    input  gw_table_req_t                                   table_req_i,
    output logic                                            rvalid_o,
    output logic           [   BeatBits-1:0]                rdata_o,
    input  logic                                            valid_i,
    // A station takes the whole packet and reads its part.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_parsed_t                                      parsed_i,
    // verilator lint_on UNUSEDSIGNAL
    output logic                                            found_valid_o,
    output gw_vip_found_t                                   found_o,
    output logic                                            entry_valid_o,
    output gw_vip_entry_t                                   entry_o,
    output logic                                            pool_valid_o,
    output gw_pool_entry_t                                  pool_o
);

  localparam int unsigned RowBits = $clog2(VipMatchRows);
  localparam int unsigned PortBits = 16;
  // A row is a parity over 153 key bits, taken in two steps: over each segment, then over the segments. Segment 0 is the port,
  // which the any-port key lacks.
  localparam int unsigned Segments = 5;
  localparam int unsigned SegmentBits = 35;
  typedef logic [VipKeyBits-1:0] key_t;
  typedef logic [Segments-1:0][RowBits-1:0] partial_t;

  function automatic partial_t partial_rows(key_t key, logic [SecretBits-1:0] secret);
    partial_t rows;
    for (int unsigned j = 0; j < RowBits; j++) begin
      logic [VipKeyBits-1:0] product;
      product = key & VipKeyBits'(secret >> j);
      rows[0][j] = ^product[PortBits-1:0];
      for (int unsigned s = 1; s < Segments; s++) begin
        rows[s][j] = ^(SegmentBits'(product >> (PortBits + (s - 1) * SegmentBits)));
      end
    end
    return rows;
  endfunction

  if (PortBits + (Segments - 1) * SegmentBits < VipKeyBits) begin : gen_check
    $error("gw_vip_lookup: the segments do not cover the key");
  end

  // ---- rows ------------------------------------------------------------------------------------------------------
  key_t                              key;
  logic                              search;
  logic                              search_q;
  partial_t [Banks-1:0]              partial_q;
  logic     [Banks-1:0][RowBits-1:0] exact_row_d, exact_row_q;
  logic     [Banks-1:0][RowBits-1:0] any_row_d, any_row_q;
  logic                              read_q;

  // The same bits as gw_vip_match_t's, from bit 0.
  assign key = {parsed_i.destination_address, parsed_i.ipv6, parsed_i.protocol, parsed_i.destination_port};
  assign search = valid_i && !parsed_i.decided && parsed_i.source == SourceWire;

  always_comb begin
    for (int unsigned b = 0; b < Banks; b++) begin
      any_row_d[b] = '0;
      for (int unsigned s = 1; s < Segments; s++) any_row_d[b] ^= partial_q[b][s];
      exact_row_d[b] = any_row_d[b] ^ partial_q[b][0];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      search_q <= 1'b0;
      read_q   <= 1'b0;
    end else begin
      search_q <= search;
      read_q   <= search_q;
    end
  end
  always_ff @(posedge clk_i) begin
    if (search) begin
      for (int unsigned b = 0; b < Banks; b++) partial_q[b] <= partial_rows(key, secret_i[b]);
    end
    if (search_q) begin
      exact_row_q <= exact_row_d;
      any_row_q   <= any_row_d;
    end
  end

  // ---- match tables, and the key beside them -------------------------------------------------------------------
  typedef struct packed {
    key_t        key;
    logic        search;
    logic        assigned;  // by the host's ASSIGN
    logic [11:0] vip;  // the ASSIGN's
  } beside_t;

  logic                      rvalid_match, rvalid_prefix, rvalid_vip, rvalid_pool;
  logic      [BeatBits-1:0]  rdata_match, rdata_prefix, rdata_vip, rdata_pool;
  gw_vip_match_t [Banks-1:0] exact, any;
  logic                      compare_valid;
  beside_t                   beside, compare;

  assign beside = '{
          key: key,
          search: search,
          assigned: !parsed_i.decided && parsed_i.source == SourceInject,
          vip: parsed_i.inject.vip
      };

  gw_delay #(
      .Width ($bits(beside_t)),
      .Cycles(2 + TableLatency)
  ) u_key_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_i),
      .data_i (beside),
      .valid_o(compare_valid),
      .data_o (compare)
  );

  gw_vip_match_table u_vip_match_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_match),
      .rdata_o    (rdata_match),
      .read_i     (read_q),
      .exact_row_i(exact_row_q),
      .any_row_i  (any_row_q),
      .exact_o    (exact),
      .any_o      (any)
  );

  logic        prefix_hit;
  logic [11:0] prefix_vip;
  gw_vip_prefix_table #(
      .Latency(2 + TableLatency + 2)
  ) u_vip_prefix_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_prefix),
      .rdata_o    (rdata_prefix),
      .search_i   (search),
      .key_i      (key),
      .hit_o      (prefix_hit),
      .vip_o      (prefix_vip)
  );

  // ---- compare, match, select -----------------------------------------------------------------------------------------
  localparam int unsigned Parts = 10;
  localparam int unsigned PartBits = 16;
  typedef struct packed {
    logic             named;  // a VIP that is there
    logic [Parts-1:0] equal;
    logic [11:0]      vip;
  } compared_t;
  typedef struct packed {
    logic        hit;
    logic [11:0] vip;
  } candidate_t;
  typedef struct packed {
    logic        search;
    logic        assigned;
    logic [11:0] vip;
  } order_t;

  function automatic compared_t compared(logic valid, logic [11:0] vip, key_t held, key_t wanted);
    logic [Parts*PartBits-1:0] differs;
    compared_t                 found;
    differs = (Parts * PartBits)'(held ^ wanted);
    found.named = valid && vip < 12'(Vips);
    found.vip   = vip;
    for (int unsigned p = 0; p < Parts; p++) found.equal[p] = differs[p*PartBits+:PartBits] == '0;
    return found;
  endfunction
  function automatic candidate_t matched(compared_t from, logic asked);
    return '{hit: asked && from.named && (&from.equal), vip: from.vip};
  endfunction
  // The lowest bank of several that hit.
  function automatic candidate_t lowest(candidate_t [Banks-1:0] from);
    candidate_t found;
    found = '{hit: 1'b0, vip: from[Banks-1].vip};
    for (int b = Banks - 1; b >= 0; b--) begin
      found.hit |= from[b].hit;
      if (from[b].hit) found.vip = from[b].vip;
    end
    return found;
  endfunction

  logic                   match_valid_q, select_valid_q, found_valid_q;
  order_t                 match_order_q, select_order_q;
  compared_t  [Banks-1:0] exact_compared_q, any_compared_q;
  candidate_t [Banks-1:0] exact_q, any_q;
  candidate_t             exact_hit, any_hit;
  gw_vip_found_t          found_d, found_q;
  logic                   unused_reserved;

  always_comb begin
    unused_reserved = 1'b0;
    for (int unsigned b = 0; b < Banks; b++) begin
      unused_reserved ^= ^{exact[b].reserved_top, any[b].reserved_top};
    end
  end

  // An exact hit goes before an any-port one, that before a prefix.
  always_comb begin
    exact_hit = lowest(exact_q);
    any_hit   = lowest(any_q);
    found_d   = '0;
    if (exact_hit.hit) found_d = '{matched: 1'b1, any_port: 1'b0, vip: exact_hit.vip};
    else if (any_hit.hit) found_d = '{matched: 1'b1, any_port: 1'b1, vip: any_hit.vip};
    else if (select_order_q.search && prefix_hit) found_d = '{matched: 1'b1, any_port: 1'b1, vip: prefix_vip};
    else if (select_order_q.assigned) found_d = '{matched: select_order_q.vip < 12'(Vips), any_port: 1'b0, vip: select_order_q.vip};
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      match_valid_q  <= 1'b0;
      select_valid_q <= 1'b0;
      found_valid_q  <= 1'b0;
    end else begin
      match_valid_q  <= compare_valid;
      select_valid_q <= match_valid_q;
      found_valid_q  <= select_valid_q;
    end
  end
  always_ff @(posedge clk_i) begin
    if (compare_valid) begin
      match_order_q <= '{search: compare.search, assigned: compare.assigned, vip: compare.vip};
      for (int unsigned b = 0; b < Banks; b++) begin
        exact_compared_q[b] <= compared(
            exact[b].valid, exact[b].vip, {exact[b].address, exact[b].ipv6, exact[b].protocol, exact[b].port}, compare.key
        );
        any_compared_q[b] <= compared(
            any[b].valid, any[b].vip, {any[b].address, any[b].ipv6, any[b].protocol, any[b].port},
            {compare.key[VipKeyBits-1:PortBits], PortBits'(0)}
        );
      end
    end
    if (match_valid_q) begin
      select_order_q <= match_order_q;
      for (int unsigned b = 0; b < Banks; b++) begin
        exact_q[b] <= matched(exact_compared_q[b], match_order_q.search);
        any_q[b]   <= matched(any_compared_q[b], match_order_q.search);
      end
    end
    if (select_valid_q) found_q <= found_d;
  end
  assign found_valid_o = found_valid_q;
  assign found_o = found_q;

  // ---- the VIP's entry, then its pool's --------------------------------------------------------------------------
  logic [TableLatency-1:0] entry_valid_q, pool_valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      entry_valid_q <= '0;
      pool_valid_q  <= '0;
    end else begin
      entry_valid_q <= {entry_valid_q[TableLatency-2:0], found_valid_q};
      pool_valid_q  <= {pool_valid_q[TableLatency-2:0], entry_valid_o};
    end
  end
  assign entry_valid_o = entry_valid_q[TableLatency-1];
  assign pool_valid_o  = pool_valid_q[TableLatency-1];

  gw_entry_table #(
      .Id       (TableVip),
      .entry_t  (gw_vip_entry_t),
      .Entries  (Vips),
      .IndexBits($bits(found_q.vip))
  ) u_vip_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_vip),
      .rdata_o    (rdata_vip),
      .read_i     (found_valid_q),
      .index_i    (found_q.vip),
      .entry_o    (entry_o)
  );

  gw_entry_table #(
      .Id       (TablePool),
      .entry_t  (gw_pool_entry_t),
      .Entries  (Pools),
      .IndexBits($bits(entry_o.pool))
  ) u_pool_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_pool),
      .rdata_o    (rdata_pool),
      .read_i     (entry_valid_o),
      .index_i    (entry_o.pool),
      .entry_o    (pool_o)
  );

  assign rvalid_o = rvalid_match | rvalid_prefix | rvalid_vip | rvalid_pool;
  assign rdata_o  = rdata_match | rdata_prefix | rdata_vip | rdata_pool;
endmodule
