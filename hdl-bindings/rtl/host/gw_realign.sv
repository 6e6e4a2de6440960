// Purpose: turns the beats of host memory that hold a frame into the frame's own beats: its first byte moves to byte 0.
// Latency: 1 cycle, 2 when the frame does not begin at a beat.
// Throughput: one beat each cycle; one more cycle for a frame whose bytes straddle beats.
// Drops when: never.
module gw_realign
  import gw_pkg::*;
(
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 start_i,  // pulse while idle: a frame of these measures follows
    input  logic [5:0]           offset_i,
    input  frame_len_t           length_i,
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    input  logic [BeatBits-1:0]  in_data_i,
    output logic                 out_valid_o,
    input  logic                 out_ready_i,
    output logic [BeatBits-1:0]  out_data_o,
    output logic [BeatBytes-1:0] out_keep_o,
    output logic                 out_last_o
);
  logic [5:0] offset_q, offset_d, tail_q, tail_d;  // `tail_q`: bytes of the last beat, 0 for 64
  logic [7:0] in_left_q, in_left_d, out_left_q, out_left_d;
  logic       primed_q, primed_d;  // `carry_q` holds the beat before
  logic [BeatBits-1:0] carry_q, data_q, shifted;
  logic [BeatBytes-1:0] keep_q;
  logic       valid_q, valid_d, last_q, free, can_make, need_input, make;

  assign free       = !valid_q || out_ready_i;
  assign need_input = in_left_q != '0;
  // A frame with an offset first fills `carry_q`; its last bytes may come from there alone.
  assign can_make   = out_left_q != '0 && (offset_q == '0 || primed_q) && (!need_input || in_valid_i);
  assign make       = can_make && free;
  assign in_ready_o = need_input && (make || (offset_q != '0 && !primed_q));
  assign shifted    = offset_q == '0 ? in_data_i : BeatBits'({need_input ? in_data_i : '0, carry_q} >> {offset_q, 3'd0});

  always_comb begin
    offset_d   = offset_q;
    tail_d     = tail_q;
    in_left_d  = in_left_q;
    out_left_d = out_left_q;
    primed_d   = primed_q;
    if (in_valid_i && in_ready_o) begin
      in_left_d = in_left_q - 1'b1;
      primed_d  = 1'b1;
    end
    if (make) out_left_d = out_left_q - 1'b1;
    if (start_i) begin
      offset_d   = offset_i;
      tail_d     = length_i[5:0];
      in_left_d  = 8'((15'(offset_i) + 15'(length_i) + 15'd63) >> 6);
      out_left_d = 8'((15'(length_i) + 15'd63) >> 6);
      primed_d   = 1'b0;
    end
    valid_d = make || (valid_q && !out_ready_i);
  end

  always_ff @(posedge clk_i) begin
    offset_q   <= offset_d;
    tail_q     <= tail_d;
    in_left_q  <= in_left_d;
    out_left_q <= out_left_d;
    primed_q   <= primed_d;
    valid_q    <= valid_d;
    if (in_valid_i && in_ready_o) carry_q <= in_data_i;
    if (make) begin
      data_q <= shifted;
      last_q <= out_left_q == 8'd1;
      keep_q <= out_left_q == 8'd1 && tail_q != '0 ? {BeatBytes{1'b1}} >> (7'(BeatBytes) - 7'(tail_q)) : '1;
    end
    if (!rst_ni) begin
      in_left_q  <= '0;
      out_left_q <= '0;
      valid_q    <= 1'b0;
    end
  end

  assign out_valid_o = valid_q;
  assign out_data_o  = data_q;
  assign out_keep_o  = keep_q;
  assign out_last_o  = last_q;
endmodule
