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
  logic [31:0] lane_q[Lanes];
  logic [31:0] entry_q, state_q;

  function automatic logic [31:0] lane_sum(input logic [LaneBits-1:0] data, input logic [LaneBits-1:0][31:0] column);
    logic [31:0] sum;
    sum = '0;
    for (int unsigned i = 0; i < LaneBits; i++) sum ^= {32{data[i]}} & column[i];
    return sum;
  endfunction

  function automatic logic [31:0] lanes_sum(input logic [31:0] lane[Lanes]);
    logic [31:0] sum;
    sum = '0;
    for (int unsigned l = 0; l < Lanes; l++) sum ^= lane[l];
    return sum;
  endfunction

  function automatic logic [31:0] advance(input logic [31:0] state);
    logic [31:0] sum;
    sum = '0;
    for (int unsigned i = 0; i < 32; i++) sum ^= {32{state[i]}} & Columns[i];
    return sum;
  endfunction

  always_ff @(posedge clk_i) begin
    lane_valid_q  <= valid_i;
    entry_valid_q <= lane_valid_q;
    if (valid_i) begin
      for (int unsigned l = 0; l < Lanes; l++) lane_q[l] <= lane_sum(data_i[l*LaneBits+:LaneBits], Columns[l*LaneBits+:LaneBits]);
    end
    if (lane_valid_q) entry_q <= lanes_sum(lane_q);
    if (entry_valid_q) state_q <= advance(state_q) ^ entry_q;
    if (clear_i) begin
      lane_valid_q  <= 1'b0;
      entry_valid_q <= 1'b0;
      state_q       <= '1;
    end
  end

  assign crc_o = ~state_q;
endmodule
