// Purpose: the flow word's error correction: generates and checks an extended Hamming code (CARD.md 7, Flow words).
// Latency: `ecc_o` 1 cycle, the checked word 2 cycles.
// Throughput: one word each cycle.
// Drops when: never.
//
// Data bit i has the code position P(i), the i-th number from 3 on that is no power of two. With `ecc_i` 0, `ecc_o` is the word's
// code; otherwise it is the syndrome: 0 is a correct word, odd parity one wrong bit at position `ecc_o[7:0]`, even parity two.
//
// Parities are taken over words of 64 bits that are folded first, one LUT a bit. A data bit is wrong when the syndrome is the code of
// that bit alone: its position's two halves are decoded once for all, so that a bit asks three signals.
module gw_secded
  import gw_pkg::*;
#(
    parameter int unsigned DataBits = 199,
    localparam int unsigned CheckBits = 8
) (
    input  logic                 clk_i,
    input  logic                 valid_i,
    input  logic [DataBits-1:0]  data_i,
    input  logic [CheckBits:0]   ecc_i,
    output logic [CheckBits:0]   ecc_o,
    // 2 cycles after `valid_i`
    output logic [DataBits-1:0]  data_o,           // corrected
    output logic                 corrected_o,      // one bit was wrong
    output logic                 uncorrectable_o,  // more than one was
    output logic                 flipped_o,        // with `corrected_o`: the wrong bit is a data bit
    output logic [CheckBits-1:0] position_o        // with `corrected_o`: its code position; gw_pkg's `code_position` is P
);
  localparam int unsigned Fold = 64;
  localparam int unsigned Folds = (DataBits + Fold) / Fold;  // of the data and one code bit
  localparam int unsigned Half = CheckBits / 2;
  typedef logic [CheckBits-1:0] position_t;
  typedef logic [CheckBits:0][Folds*Fold-1:0] rows_t;

  // The data bits that each code bit is the parity of, and the code bit itself. The last row also counts the code bits that a data
  // bit enters.
  function automatic rows_t rows();
    rows_t     mask;
    position_t p;
    mask = '0;
    for (int unsigned i = 0; i < DataBits; i++) begin
      p = code_position(i);
      for (int unsigned k = 0; k < CheckBits; k++) mask[k][i] = p[k];
      mask[CheckBits][i] = ~^p;
    end
    for (int unsigned k = 0; k <= CheckBits; k++) mask[k][DataBits] = 1'b1;
    return mask;
  endfunction
  localparam rows_t Rows = rows();
  localparam position_t Last = code_position(DataBits - 1);

  logic                 valid_q;
  logic [CheckBits:0]   syndrome_q;
  logic [DataBits-1:0]  data_q, corrected_data_q;
  logic                 single, outside, in_data;
  position_t            position_q;
  logic                 corrected_q, uncorrectable_q, flipped_q;

  function automatic logic parity(input logic [Folds*Fold-1:0] word);
    logic [Fold-1:0] folded;
    folded = '0;
    for (int unsigned f = 0; f < Folds; f++) folded ^= word[f*Fold+:Fold];
    return ^folded;
  endfunction

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;
    if (valid_i) begin
      for (int unsigned k = 0; k <= CheckBits; k++) syndrome_q[k] <= parity((Folds * Fold)'({ecc_i[k], data_i}) & Rows[k]);
      data_q <= data_i;
    end
  end
  assign ecc_o = syndrome_q;

  // The data bits that are wrong: at most one.
  function automatic logic [DataBits-1:0] wrong(input logic [CheckBits:0] syndrome);
    logic [DataBits-1:0]  bits;
    logic [(1<<Half)-1:0] low, high;
    position_t            p;
    bits = '0;
`ifdef VERILATOR
    if (syndrome == '0) return bits;  // spares a simulator the search
`endif
    low  = (1 << Half)'(1) << syndrome[Half-1:0];
    high = (1 << Half)'(1) << syndrome[CheckBits-1:Half];
    for (int unsigned i = 0; i < DataBits; i++) begin
      p = code_position(i);
      bits[i] = low[p[Half-1:0]] && high[p[CheckBits-1:Half]] && syndrome[CheckBits] == ~^p;
    end
    return bits;
  endfunction

  always_comb begin
    single  = ^syndrome_q;
    in_data = single && !$onehot0(syndrome_q[CheckBits-1:0]);
    outside = in_data && syndrome_q[CheckBits-1:0] > Last;
  end

  always_ff @(posedge clk_i) begin
    corrected_q     <= valid_q && single && !outside;
    uncorrectable_q <= valid_q && (outside || (!single && syndrome_q != '0));
    flipped_q       <= in_data && !outside;
    if (valid_q) begin
      corrected_data_q <= data_q ^ wrong(syndrome_q);
      position_q       <= syndrome_q[CheckBits-1:0];
    end
  end

  assign data_o          = corrected_data_q;
  assign corrected_o     = corrected_q;
  assign uncorrectable_o = uncorrectable_q;
  assign flipped_o       = flipped_q;
  assign position_o      = position_q;
endmodule
