// Purpose: the rows of a table's banks that a key falls into: Toeplitz hashes, `row[j]` = parity of `key AND (secret >> j)`.
// Latency: 2 cycles.
// Throughput: one key each cycle.
// Drops when: never.
//
// The products are folded to 64 bits (one LUT a bit), then their parity is taken. `row_o` holds its value between keys.
module gw_bank_row
  import gw_layout_pkg::SecretBits;
#(
    parameter int unsigned KeyBits = 172,
    parameter int unsigned RowBits = 12,
    parameter int unsigned Banks = 4
) (
    input  logic                              clk_i,
    input  logic                              valid_i,
    input  logic [KeyBits-1:0]                key_i,
    input  logic [Banks-1:0][SecretBits-1:0]  secret_i,  // changes only while no result is used
    output logic [Banks-1:0][RowBits-1:0]     row_o
);
  localparam int unsigned Fold = 64;
  localparam int unsigned Folds = SecretBits / Fold;  // also of the key, whose top bits are then 0
  typedef logic [Banks-1:0][RowBits-1:0][Fold-1:0] folded_t;
  typedef logic [Banks-1:0][RowBits-1:0] rows_t;

  if (KeyBits + RowBits - 1 > SecretBits || KeyBits > Folds * Fold) begin : gen_check
    $error("gw_bank_row: the secret is too short for the key");
  end

  // Functions that a simulator calls only with a key; assigned element by element, or inlined, they would cost it in every cycle.
  function automatic folded_t fold(input logic [Folds*Fold-1:0] key, input logic [Banks-1:0][SecretBits-1:0] secret);
    /* verilator no_inline_task */
    folded_t         sum;
    logic [Fold-1:0] part, low, high;
    for (int unsigned b = 0; b < Banks; b++) begin
      for (int unsigned j = 0; j < RowBits; j++) begin
        part = '0;
        for (int unsigned f = 0; f < Folds; f++) begin
          low  = secret[b][f*Fold+:Fold];
          high = f + 1 < Folds ? secret[b][((f+1)%Folds)*Fold+:Fold] : '0;
          part ^= key[f*Fold+:Fold] & ((low >> j) | (high << (Fold - j)));
        end
        sum[b][j] = part;
      end
    end
    return sum;
  endfunction

  function automatic rows_t parities(input folded_t folded);
    /* verilator no_inline_task */
    rows_t rows;
    for (int unsigned b = 0; b < Banks; b++) begin
      for (int unsigned j = 0; j < RowBits; j++) rows[b][j] = ^folded[b][j];
    end
    return rows;
  endfunction

  folded_t folded_q;
  rows_t   row_q;
  logic    valid_q;

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;  // unknown for a cycle after power on, which only moves unused data
    if (valid_i) folded_q <= fold((Folds * Fold)'(key_i), secret_i);
    if (valid_q) row_q <= parities(folded_q);
  end

  assign row_o = row_q;
endmodule
