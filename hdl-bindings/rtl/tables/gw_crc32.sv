// Purpose: the CRC-32 of IEEE 802.3 (reflected; zlib's) over a series of 64-byte entries.
// Latency: 3 cycles from an entry to `crc_o`.
// Throughput: one entry each cycle.
// Drops when: never.
//
// The CRC is linear: what data bit i adds is fixed, so an entry's part is summed in two stages beside the running value; the
// running value itself moves on by one entry as if it were the first 32 bits of data.
module gw_crc32 (
    input  logic         clk_i,
    input  logic         clear_i,  // begin anew; not while entries are under way
    input  logic         valid_i,
    input  logic [511:0] data_i,   // byte 0, the first, in bits 7:0
    output logic [31:0]  crc_o
);
  localparam int unsigned Bits = 512;
  localparam int unsigned Lanes = 8;
  localparam int unsigned LaneBits = Bits / Lanes;
  localparam logic [31:0] Polynomial = 32'hedb88320;
  typedef logic [Bits-1:0][31:0] columns_t;

  // What data bit i has become when all bits after it have passed.
  function automatic columns_t columns();
    columns_t    column;
    logic [31:0] value;
    value = Polynomial;
    for (int unsigned i = Bits; i > 0; i--) begin
      column[i-1] = value;
      value = (value >> 1) ^ (value[0] ? Polynomial : 32'h0);
    end
    return column;
  endfunction
  localparam columns_t Columns = columns();

  logic        lane_valid_q, entry_valid_q;
  logic [Lanes-1:0][31:0] lane_q;
  logic [31:0] entry_q, state_q;

  function automatic logic [Lanes-1:0][31:0] lane_sums(input logic [Bits-1:0] data);
    /* verilator no_inline_task */
    logic [Lanes-1:0][31:0] sums;
    logic [31:0]            sum;
    for (int unsigned l = 0; l < Lanes; l++) begin
      sum = '0;
      for (int unsigned i = l * LaneBits; i < (l + 1) * LaneBits; i++) sum ^= {32{data[i]}} & Columns[i];
      sums[l] = sum;
    end
    return sums;
  endfunction

  function automatic logic [31:0] total(input logic [Lanes-1:0][31:0] lane);
    /* verilator no_inline_task */
    logic [31:0] sum;
    sum = '0;
    for (int unsigned l = 0; l < Lanes; l++) sum ^= lane[l];
    return sum;
  endfunction

  function automatic logic [31:0] advance(input logic [31:0] state);
    /* verilator no_inline_task */
    logic [31:0] sum;
    sum = '0;
    for (int unsigned i = 0; i < 32; i++) sum ^= {32{state[i]}} & Columns[i];
    return sum;
  endfunction

  always_ff @(posedge clk_i) begin
    lane_valid_q  <= valid_i;
    entry_valid_q <= lane_valid_q;
    if (valid_i) lane_q <= lane_sums(data_i);
    if (lane_valid_q) entry_q <= total(lane_q);
    if (entry_valid_q) state_q <= advance(state_q) ^ entry_q;
    if (clear_i) begin
      lane_valid_q  <= 1'b0;
      entry_valid_q <= 1'b0;
      state_q       <= '1;
    end
  end

  assign crc_o = ~state_q;
endmodule
