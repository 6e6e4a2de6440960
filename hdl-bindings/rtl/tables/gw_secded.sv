// Purpose: the flow word's error correction: generates and checks an extended Hamming code (CARD.md 7, Flow words).
// Latency: `ecc_o` 1 cycle, the checked word 2 cycles.
// Throughput: one word each cycle.
// Drops when: never.
//
// Data bit i has the code position P(i), the i-th number from 3 on that is no power of two. With `ecc_i` 0, `ecc_o` is the word's
// code; otherwise it is the syndrome: 0 is a correct word, odd parity one wrong bit at position `ecc_o[7:0]`, even parity two.
module gw_secded #(
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
    output logic                 flipped_o,        // with `corrected_o`: the wrong bit was data bit `flip_o`
    output logic [CheckBits-1:0] flip_o
);
  typedef logic [CheckBits-1:0] position_t;
  typedef logic [CheckBits:0][DataBits-1:0] rows_t;

  function automatic position_t position(input int unsigned bit_index);
    int unsigned p;
    p = bit_index + 3;  // P(0); each power of two at or below moves it on by one
    for (int unsigned k = 2; k < CheckBits; k++) if (p >= (1 << k)) p = p + 1;
    return position_t'(p);
  endfunction

  // The data bits that each code bit is the parity of. The last row also counts the code bits that a data bit enters.
  function automatic rows_t rows();
    rows_t     mask;
    position_t p;
    mask = '0;
    for (int unsigned i = 0; i < DataBits; i++) begin
      p = position(i);
      for (int unsigned k = 0; k < CheckBits; k++) mask[k][i] = p[k];
      mask[CheckBits][i] = ~^p;
    end
    return mask;
  endfunction
  localparam rows_t Rows = rows();
  localparam position_t Last = position(DataBits - 1);

  logic                 valid_q;
  logic [CheckBits:0]   syndrome_q;
  logic [DataBits-1:0]  data_q, corrected_data_q;
  logic                 single, outside, in_data;
  position_t            flip_d, flip_q;
  logic                 corrected_q, uncorrectable_q, flipped_q;

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;
    if (valid_i) begin
      for (int unsigned k = 0; k <= CheckBits; k++) syndrome_q[k] <= ecc_i[k] ^ (^(data_i & Rows[k]));
      data_q <= data_i;
    end
  end
  assign ecc_o = syndrome_q;

  // Data bit i at position s is i = s - (powers of two up to s) - 1.
  always_comb begin
    single  = ^syndrome_q;
    in_data = single && (syndrome_q[CheckBits-1:0] & (syndrome_q[CheckBits-1:0] - 1'b1)) != '0;
    outside = in_data && syndrome_q[CheckBits-1:0] > Last;
    flip_d  = syndrome_q[CheckBits-1:0] - 1'b1;
    for (int unsigned k = 0; k < CheckBits; k++) if (syndrome_q[CheckBits-1:0] >= position_t'(1 << k)) flip_d = flip_d - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    corrected_q     <= valid_q && single && !outside;
    uncorrectable_q <= valid_q && (outside || (!single && syndrome_q != '0));
    flipped_q       <= in_data && !outside;
    if (valid_q) begin
      corrected_data_q <= data_q;
      flip_q           <= flip_d;
      if (in_data && !outside) begin
        for (int unsigned i = 0; i < DataBits; i++) begin
          if (flip_d == position_t'(i)) corrected_data_q[i] <= !data_q[i];
        end
      end
    end
  end

  assign data_o          = corrected_data_q;
  assign corrected_o     = corrected_q;
  assign uncorrectable_o = uncorrectable_q;
  assign flipped_o       = flipped_q;
  assign flip_o          = flip_q;
endmodule
