// Purpose: the `vip_prefix` table, which names the VIP of a packet that none of the exact keys is for: the longest prefix (CARD.md 3).
// Latency: Latency cycles from `search_i` to `hit_o`.
// Throughput: one packet and one command access a cycle.
// Drops when: never.
//
//   key, compare 16 bits, match, first of all that match, its VIP, align twice
//
// All entries are compared at once. Which of two goes before the other is settled when one of them is written, so that a packet
// compares no lengths. Searches from the second cycle after a write on see it. It reaches each step of this pipeline when the
// packets before it have passed there: each packet is matched by a whole old or a whole new entry.
module gw_vip_prefix_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned Latency = 7
) (
    input  logic                         clk_i,
    input  logic                         rst_ni,
    input  gw_table_req_t                table_req_i,
    output logic                         rvalid_o,
    output logic          [BeatBits-1:0] rdata_o,
    input  logic                         search_i,
    input  logic          [VipKeyBits-1:0] key_i,  // as gw_vip_match_t has it, from bit 0
    output logic                         hit_o,
    output logic          [        11:0] vip_o
);

  localparam int unsigned IndexBits = $clog2(VipPrefixes);
  localparam int unsigned Parts = 8;
  localparam int unsigned PartBits = 16;
  localparam int unsigned RankBits = 9;
  typedef struct packed {
    logic [127:0] address;
    logic         ipv6;
    logic [7:0]   protocol;
    logic [15:0]  port;
  } key_t;

  if (Latency != 7) begin : gen_check
    $error("gw_vip_prefix_table: the pipeline below has seven steps");
  end

  // What a command reads.
  gw_vip_prefix_t unused_entry;
  gw_entry_table #(
      .Id       (TableVipPrefix),
      .entry_t  (gw_vip_prefix_t),
      .Entries  (VipPrefixes),
      .IndexBits(IndexBits)
  ) u_stored (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_o),
      .rdata_o    (rdata_o),
      .read_i     (1'b0),
      .index_i    ('0),
      .entry_o    (unused_entry)
  );

  // ---- writes, one step a cycle -----------------------------------------------------------------------------------------
  typedef struct packed {
    logic [IndexBits-1:0] index;
    logic [127:0]         address;
    logic [127:0]         mask;  // the bits that count
    logic                 ipv6;
    logic [7:0]           protocol;
    logic [15:0]          port;
    logic                 valid;  // names a VIP that is there
    logic [11:0]          vip;
    logic [RankBits-1:0]  rank;  // length, then whether it has a port
  } write_t;

  // IPv4 prefixes lie behind 96 bits. At most 128, whatever `length` says.
  function automatic logic [7:0] bits(logic ipv6, logic [7:0] length);
    if (ipv6 ? length[7] : length[7:5] != '0) return 8'd128;
    return {1'b0, ipv6 ? length[6:5] : 2'b11, length[4:0]};
  endfunction

  logic                 write_d;
  logic           [5:1] write_q;
  gw_vip_prefix_t       asked_q;
  logic [IndexBits-1:0] asked_index_q;
  write_t               order_d;
  // Each step needs a part of the write.
  // verilator lint_off UNUSEDSIGNAL
  write_t         [5:2] order_q;
  // verilator lint_on UNUSEDSIGNAL
  logic                 unused_asked;

  assign unused_asked = ^asked_q.reserved_top;
  always_comb begin
    write_d = table_req_i.index < 20'(VipPrefixes) && (table_req_i.clear || (table_req_i.write && table_req_i.table_id == TableVipPrefix));
    order_d.index    = asked_index_q;
    order_d.address  = asked_q.address;
    order_d.mask     = ~({128{1'b1}} >> bits(asked_q.ipv6, asked_q.length));
    order_d.ipv6     = asked_q.ipv6;
    order_d.protocol = asked_q.protocol;
    order_d.port     = asked_q.port;
    order_d.valid    = asked_q.valid && asked_q.vip < 12'(Vips);
    order_d.vip      = asked_q.vip;
    order_d.rank     = {bits(asked_q.ipv6, asked_q.length), asked_q.port != '0};
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) write_q <= '0;
    else write_q <= {write_q[4:1], write_d};
  end
  always_ff @(posedge clk_i) begin
    // whatever table it is for: `write_q` tells
    if (table_req_i.write || table_req_i.clear) begin
      asked_q       <= table_req_i.clear ? '0 : table_req_i.wdata[$bits(gw_vip_prefix_t)-1:0];
      asked_index_q <= table_req_i.index[IndexBits-1:0];
    end
    if (write_q[1]) order_q[2] <= order_d;
    for (int unsigned i = 3; i <= 5; i++) if (write_q[i-1]) order_q[i] <= order_q[i-1];
  end

  // ---- compare -------------------------------------------------------------------------------------------------------------
  logic [VipPrefixes-1:0]            valid_q;
  logic [VipPrefixes-1:0][    127:0] address_q, mask_q;
  logic [VipPrefixes-1:0]            ipv6_q;
  logic [VipPrefixes-1:0][      7:0] protocol_q;
  logic [VipPrefixes-1:0][     15:0] port_q;

  always_ff @(posedge clk_i) begin
    if (write_q[2]) begin
      address_q[order_q[2].index]  <= order_q[2].address;
      mask_q[order_q[2].index]     <= order_q[2].mask;
      ipv6_q[order_q[2].index]     <= order_q[2].ipv6;
      protocol_q[order_q[2].index] <= order_q[2].protocol;
      port_q[order_q[2].index]     <= order_q[2].port;
    end
    if (!rst_ni) valid_q <= '0;
    else if (write_q[2]) valid_q[order_q[2].index] <= order_q[2].valid;
  end

  logic [Latency-1:1]                search_q;  // bit i: a search i cycles ago
  key_t                              key_q;
  logic [VipPrefixes-1:0][Parts-1:0] part_d, part_q;
  logic [VipPrefixes-1:0]            rest_d, rest_q;
  logic [VipPrefixes-1:0]            match_d, match_q;

  always_comb begin
    for (int unsigned i = 0; i < VipPrefixes; i++) begin
      logic [127:0] differs;
      differs = (address_q[i] ^ key_q.address) & mask_q[i];
      for (int unsigned p = 0; p < Parts; p++) part_d[i][p] = differs[p*PartBits+:PartBits] == '0;
      rest_d[i] = valid_q[i] && ipv6_q[i] == key_q.ipv6 && protocol_q[i] == key_q.protocol && (port_q[i] == '0 || port_q[i] == key_q.port);
      match_d[i] = rest_q[i] && &part_q[i];
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) search_q <= '0;
    else search_q <= {search_q[Latency-2:1], search_i};
  end
  always_ff @(posedge clk_i) begin
    if (search_i) key_q <= key_i;
    if (search_q[1]) begin
      part_q <= part_d;
      rest_q <= rest_d;
    end
    if (search_q[2]) match_q <= match_d;
  end

  // ---- the first of all that match --------------------------------------------------------------------------------------------
  logic [VipPrefixes-1:0][   RankBits-1:0] rank_q;
  logic [VipPrefixes-1:0][VipPrefixes-1:0] before_q;  // [i][j]: j goes before i
  logic [VipPrefixes-1:0]                  before_new_d, before_new_q;
  logic [VipPrefixes-1:0]                  first_d, first_q;

  always_comb begin
    for (int unsigned j = 0; j < VipPrefixes; j++) begin
      // among equals the lower index; the ranks are those of the writes up to this one
      before_new_d[j] = {rank_q[j], order_q[3].index} > {order_q[3].rank, IndexBits'(j)};
      first_d[j]    = match_q[j] && (match_q & before_q[j]) == '0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (write_q[2]) rank_q[order_q[2].index] <= order_q[2].rank;
    if (write_q[3]) before_new_q <= before_new_d;
    if (write_q[4]) begin
      for (int unsigned i = 0; i < VipPrefixes; i++) before_q[i][order_q[4].index] <= !before_new_q[i];
      before_q[order_q[4].index] <= before_new_q & ~(VipPrefixes'(1) << order_q[4].index);
    end
    if (search_q[3]) first_q <= first_d;
  end

  // ---- its VIP -------------------------------------------------------------------------------------------------------------------
  logic [VipPrefixes-1:0][11:0] named_q;
  logic [11:0]                  vip_d, vip_q, vip_waits_q, vip_aligned_q;
  logic                         hit_q, hit_waits_q, hit_aligned_q;

  always_comb begin
    vip_d = '0;
    for (int unsigned i = 0; i < VipPrefixes; i++) vip_d |= named_q[i] & {12{first_q[i]}};
  end
  always_ff @(posedge clk_i) begin
    if (write_q[5]) named_q[order_q[5].index] <= order_q[5].vip;
    if (search_q[4]) begin
      hit_q <= first_q != '0;
      vip_q <= vip_d;
    end
    if (search_q[5]) begin
      hit_waits_q <= hit_q;
      vip_waits_q <= vip_q;
    end
    if (search_q[6]) begin
      hit_aligned_q <= hit_waits_q;
      vip_aligned_q <= vip_waits_q;
    end
  end
  assign hit_o = hit_aligned_q;
  assign vip_o = vip_aligned_q;
endmodule
