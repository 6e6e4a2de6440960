// Reduces the flow hash to an index of the pool's ring by Barrett's method and reads the slot (CARD.md 3).
//
// Latency:    RingLookupLatency (RingIndexLatency to the address, RingLatency in the table).
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
//
// q = (hash * barrett) >> 32 is at most one below hash / size, so hash - q * size is below 2 * size: its low 18 bits say it
// all, and one subtraction finishes. Multiplications take 16 x 16 and 18 x 18 bits, a DSP slice each; one addition a stage.
module gw_ring_lookup
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                            clk_i,
    input  logic                            rst_ni,
    input  gw_table_req_t                   table_req_i,
    output logic                            rvalid_o,
    output logic            [BeatBits-1:0]  rdata_o,
    input  logic                            valid_i,
    input  logic            [        31:0]  hash_i,
    input  logic                            pool_valid_i,  // with valid_i
    input  gw_pool_entry_t                  pool_i,
    output logic                            valid_o,
    output gw_ring_result_t                 result_o
);

  localparam int unsigned SlotBits = $clog2(RingSlots);
  localparam int unsigned BaseBits = $bits(pool_i.ring_base);
  localparam int unsigned SizeBits = $bits(pool_i.ring_size);
  localparam int unsigned RestBits = SizeBits + 1;

  logic [RingIndexLatency-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[RingIndexLatency-2:0], valid_i};
  end

  // ---- q: the product's upper half, from four partial products -----------------------------------------------------
  logic [31:0] hash_q, barrett_q;
  logic [31:0] low_q, cross_a_q, cross_b_q, high_q;
  logic [31:0] cross_b2_q, high2_q, high3_q;
  logic [32:0] middle_q;
  logic [33:0] middle2_q;
  logic [31:0] quotient_q;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      hash_q    <= hash_i;
      barrett_q <= pool_i.barrett;
    end
    if (valid_q[0]) begin
      low_q     <= hash_q[15:0] * barrett_q[15:0];
      cross_a_q <= hash_q[31:16] * barrett_q[15:0];
      cross_b_q <= hash_q[15:0] * barrett_q[31:16];
      high_q    <= hash_q[31:16] * barrett_q[31:16];
    end
    if (valid_q[1]) begin
      middle_q   <= 33'(cross_a_q) + 33'(low_q[31:16]);
      cross_b2_q <= cross_b_q;
      high2_q    <= high_q;
    end
    if (valid_q[2]) begin
      middle2_q <= 34'(middle_q) + 34'(cross_b2_q);
      high3_q   <= high2_q;
    end
    if (valid_q[3]) quotient_q <= high3_q + 32'(middle2_q[33:16]);
  end

  // ---- hash - q * size, and the ring's place ---------------------------------------------------------------------
  typedef struct packed {
    logic [31:0]         hash;
    logic [BaseBits-1:0] base;
    logic [SizeBits-1:0] size;
  } ring_t;

  ring_t ring, ring6_q, ring7_q, ring8_q, ring9_q;
  logic  ring_valid;

  gw_delay #(
      .Width ($bits(ring_t)),
      .Cycles(5)
  ) u_ring_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_i),
      .data_i ({hash_i, pool_i.ring_base, pool_i.ring_size}),
      .valid_o(ring_valid),
      .data_o (ring)
  );

  logic [RestBits-1:0] product_q, product2_q;
  logic [RestBits-1:0] rest_q;
  logic [  RestBits:0] reduced;
  logic [SizeBits-1:0] index_q, index2_q;
  logic [  BaseBits:0] slot_q;
  logic [        31:0] hash10_q;
  logic                no_ring_q;

  assign reduced = {1'b0, rest_q} - {2'b0, ring8_q.size};  // the top bit is the borrow

  always_ff @(posedge clk_i) begin
    if (valid_q[4]) begin
      product_q <= RestBits'(quotient_q[RestBits-1:0] * RestBits'(ring.size));
      ring6_q   <= ring;
    end
    if (valid_q[5]) begin
      product2_q <= product_q;
      ring7_q    <= ring6_q;
    end
    if (valid_q[6]) begin
      rest_q  <= ring7_q.hash[RestBits-1:0] - product2_q;
      ring8_q <= ring7_q;
    end
    if (valid_q[7]) begin
      index_q <= ring8_q.size == '0 ? '0 : SizeBits'(reduced[RestBits] ? rest_q : reduced[RestBits-1:0]);
      ring9_q <= ring8_q;
    end
    if (valid_q[8]) begin
      index2_q  <= index_q;
      slot_q    <= {1'b0, ring9_q.base} + (BaseBits + 1)'(index_q);
      hash10_q  <= ring9_q.hash;
      no_ring_q <= ring9_q.size == '0;
    end
  end

  // ---- the slot ----------------------------------------------------------------------------------------------------
  typedef struct packed {
    logic [31:0]         hash;
    logic [SizeBits-1:0] index;
    logic                empty;  // no ring, or beyond the table
  } beside_t;

  logic        read;
  logic        empty;
  beside_t     beside;
  logic [15:0] slot;

  assign empty = no_ring_q || slot_q >= (BaseBits + 1)'(RingSlots);
  assign read  = valid_q[RingIndexLatency-1] && !empty;

  gw_delay #(
      .Width ($bits(beside_t)),
      .Cycles(RingLatency)
  ) u_beside_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_q[RingIndexLatency-1]),
      .data_i ({hash10_q, index2_q, empty}),
      .valid_o(valid_o),
      .data_o (beside)
  );

  gw_ring_table u_ring_table (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .table_req_i (table_req_i),
      .rvalid_o    (rvalid_o),
      .rdata_o     (rdata_o),
      .read_i      (read),
      .slot_index_i(slot_q[SlotBits-1:0]),
      .slot_o      (slot)
  );

  assign result_o = '{hash: beside.hash, index: beside.index, slot: beside.empty ? 16'(SlotEmpty) : slot};

  logic unused_bits;
  assign unused_bits = ^{low_q[15:0], middle2_q[15:0], quotient_q[31:RestBits], pool_i.reserved_top};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (pool_valid_i == valid_i) else $error("gw_ring_lookup: the pool's entry is not in step with the hash");
      assert (ring_valid == valid_q[4]) else $error("gw_ring_lookup: the ring's place is not in step with the quotient");
    end
  end
`endif
endmodule
