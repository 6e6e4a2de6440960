// What every queue owes, for one word that is free to choose: it leaves once, unaltered, after exactly the words before it.
//
// `mark_i` is an input that nothing drives: a solver marks any word it likes, so what holds for the marked word holds for each.
// `count_o`, `marked_o`, `ahead_o` and `word_o` are for the invariants that tie a proof to its module's registers.
module order_check #(
    parameter int unsigned Width = 4,
    parameter int unsigned CountBits = 6
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 started_i,  // one cycle of reset is over
    input  logic                 mark_i,
    input  logic                 in_i,
    input  logic [Width-1:0]     in_data_i,
    input  logic                 valid_i,  // the oldest word is offered
    input  logic                 out_i,  // and taken
    input  logic [Width-1:0]     out_data_i,
    output logic [CountBits-1:0] count_o,  // words inside
    output logic                 marked_o,
    output logic [CountBits-1:0] ahead_o,  // of the marked word
    output logic [Width-1:0]     word_o
);
  logic [CountBits-1:0] count_q, ahead_q;
  logic [Width-1:0]     word_q;
  logic                 marked_q, stalled_q;

  always_ff @(posedge clk_i) begin
    stalled_q <= rst_ni && valid_i && !out_i;
    if (!rst_ni) begin
      count_q  <= '0;
      marked_q <= 1'b0;
    end else begin
      count_q <= count_q + CountBits'(in_i) - CountBits'(out_i);
      if (!marked_q) begin
        if (in_i && mark_i) begin
          marked_q <= 1'b1;
          ahead_q  <= count_q - CountBits'(out_i);
          word_q   <= in_data_i;
        end
      end else if (out_i) begin
        if (ahead_q == '0) marked_q <= 1'b0;
        else ahead_q <= ahead_q - 1'b1;
      end
    end
    if (started_i) begin
      if (rst_ni) begin
        assert (!(valid_i && count_q == '0));  // nothing is duplicated or made up
        assert (!(out_i && !valid_i));
        assert (!(stalled_q && !valid_i));  // what is offered stays
        if (marked_q && ahead_q == '0 && valid_i) assert (out_data_i == word_q);  // in its order, unaltered, also while stalled
      end
      if (marked_q) assert (ahead_q < count_q);
    end
  end
  assign count_o  = count_q;
  assign marked_o = marked_q;
  assign ahead_o  = ahead_q;
  assign word_o   = word_q;
endmodule
