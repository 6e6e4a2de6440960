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
  localparam int unsigned Whole = KeyBits / Fold;  // whole folds, then one of `Rest` bits
  localparam int unsigned Rest = KeyBits - Whole * Fold;

  if (KeyBits + RowBits - 1 > SecretBits || KeyBits < Fold || Rest == 0) begin : gen_check
    $error("gw_bank_row: the secret is too short, or the key is no mix of folds and a rest");
  end

  logic [Fold-1:0]               folded_q[Banks][RowBits];
  logic                          valid_q;
  logic [Banks-1:0][RowBits-1:0] row_q;

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;  // unknown for a cycle after power on, which only moves unused data
    if (valid_i) begin
      for (int unsigned b = 0; b < Banks; b++) begin
        for (int unsigned j = 0; j < RowBits; j++) begin
          folded_q[b][j] <= fold(key_i, secret_i[b][j+:KeyBits]);
        end
      end
    end
    if (valid_q) begin
      for (int unsigned b = 0; b < Banks; b++) begin
        for (int unsigned j = 0; j < RowBits; j++) row_q[b][j] <= ^folded_q[b][j];
      end
    end
  end

  function automatic logic [Fold-1:0] fold(input logic [KeyBits-1:0] key, input logic [KeyBits-1:0] secret);
    logic [Fold-1:0] sum;
    sum = Fold'(key[Whole*Fold+:Rest] & secret[Whole*Fold+:Rest]);
    for (int unsigned f = 0; f < Whole; f++) sum ^= key[f*Fold+:Fold] & secret[f*Fold+:Fold];
    return sum;
  endfunction

  assign row_o = row_q;
endmodule
