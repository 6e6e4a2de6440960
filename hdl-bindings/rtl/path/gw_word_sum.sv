// Sums the 16-bit words of a frame's kept bytes, beat by beat; bytes that are not kept count as 0.
//
// Latency:    4: the words four by four, then these, then halves, then over the frame's beats.
// Throughput: one beat a cycle.
// Drops when: never.
module gw_word_sum
  import gw_pkg::*;
(
    input  logic                 clk_i,
    input  logic [3:0]           valid_i,  // of each stage's input
    input  logic                 first_i,  // the last stage's beat is its frame's first
    input  logic [BeatBytes-1:0] keep_i,
    input  logic [BeatBits-1:0]  data_i,
    output logic [SumBits-1:0]   sum_o  // so far
);
  localparam int unsigned Words = BeatBytes / 2;
  logic [Words-1:0][15:0]   word;
  logic [Words/4-1:0][17:0] fours_q;
  logic [1:0][19:0]         halves_q;
  logic [20:0]              beat_q;
  logic [SumBits-1:0]       sum_q;

  always_comb begin
    for (int unsigned i = 0; i < Words; i++) begin
      word[i] = {data_i[16*i+:8] & {8{keep_i[2*i]}}, data_i[16*i+8+:8] & {8{keep_i[2*i+1]}}};
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i[0]) begin
      for (int unsigned i = 0; i < Words / 4; i++) begin
        fours_q[i] <= (18'(word[4*i]) + 18'(word[4*i+1])) + (18'(word[4*i+2]) + 18'(word[4*i+3]));
      end
    end
    if (valid_i[1]) begin
      for (int unsigned i = 0; i < 2; i++) begin
        halves_q[i] <= (20'(fours_q[4*i]) + 20'(fours_q[4*i+1])) + (20'(fours_q[4*i+2]) + 20'(fours_q[4*i+3]));
      end
    end
    if (valid_i[2]) beat_q <= 21'(halves_q[0]) + 21'(halves_q[1]);
    if (valid_i[3]) begin
      // what is above 16 bits goes round, so that no frame is too long
      sum_q <= SumBits'(beat_q) + (first_i ? '0 : SumBits'(sum_q[15:0]) + SumBits'(sum_q[SumBits-1:16]));
    end
  end
  assign sum_o = sum_q;
endmodule
