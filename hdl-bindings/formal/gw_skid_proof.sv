// Proof of gw_skid: no word lost, duplicated, altered or reordered; it takes a word whenever it holds less than two.
module gw_skid_proof #(
    parameter int unsigned Width = 4
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic             mark_i,
    input logic             valid_i,
    input logic [Width-1:0] data_i,
    input logic             ready_i
);
  logic             ready, valid, marked;
  logic [Width-1:0] data, word;
  logic [5:0]       count, ahead;
  logic             started_q = 1'b0;

  gw_skid #(.Width(Width)) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .valid_i(valid_i),
      .ready_o(ready),
      .data_i(data_i),
      .valid_o(valid),
      .ready_i(ready_i),
      .data_o(data)
  );

  order_check #(.Width(Width)) u_order (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .started_i(started_q),
      .mark_i(mark_i),
      .in_i(valid_i && ready),
      .in_data_i(data_i),
      .valid_i(valid),
      .out_i(valid && ready_i),
      .out_data_i(data),
      .count_o(count),
      .marked_o(marked),
      .ahead_o(ahead),
      .word_o(word)
  );

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) assume (!rst_ni);
    if (started_q) begin
      assert (count <= 6'd2);
      assert (valid == (count != '0));  // nothing is lost: a word inside is offered
      assert (ready == (count != 6'd2));  // both paths are cut, at full rate
      if (marked) assert ((ahead == '0 ? dut.data_q : dut.spare_q) == word);
      cover (rst_ni && marked && count == 6'd2 && ahead == 6'd1);
      cover (rst_ni && marked && ahead == '0 && valid && ready_i && valid_i && ready);
    end
  end
endmodule
