// Purpose: sums the 16-bit words of each frame's IP packet, from its header to the end that its length field names, as they come;
//   and, beside it, of the bytes that an ICMP error of the card sends back of it.
// Latency: 7 cycles from a frame's last beat to its sum.
// Throughput: one beat each cycle.
// Drops when: never.
//
// Tags, EtherType and length stand in the first beat. They are read here without looking at the frame's length: a frame that is
// too short for what it says is not forwarded, and its sum means nothing. Neither does that of a frame without an IP packet.
// The packet begins at an even byte; a last odd byte counts as if a 0 followed.
module gw_ip_sum
  import gw_pkg::*;
#(
    parameter bit Quotes = 1'b1  // the second sum is wanted
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                came_i,  // a beat, of a frame that is taken or not
    input  logic                valid_i,  // its frame is taken
    input  logic                first_i,
    input  logic                ended_i,  // the last beat of a frame that counts
    input  logic [7:0]          index_i,  // beats of the frame before this one
    input  payload_addr_t       payload_i,  // where the frame begins
    input  logic [BeatBits-1:0] data_i,
    output logic                soon_o,  // in the next cycle there is a sum,
    output payload_addr_t       soon_payload_o,  // of this frame
    output logic                valid_o,
    output gw_ip_sum_t          sum_o
);
  localparam int unsigned Stages = 7;
  localparam logic [16:0] Ethernet = 17'd14;
  localparam logic [16:0] EthernetIpv6 = 17'd54;  // an IPv6 header is not in its own length
  localparam logic [15:0] EtherIpv6 = 16'h86dd;

  // Bytes `at` and `at + 1` of a first beat.
  function automatic logic [15:0] word16(logic [BeatBits-1:0] beat, int unsigned at);
    return {beat[at*8+:8], beat[(at+1)*8+:8]};
  endfunction
  function automatic logic is_tpid(logic [15:0] ether_type);
    return ether_type inside {16'h8100, 16'h88a8, 16'h9100};
  endfunction

  // ---- what goes with the beats: [0] belongs to stage 1's registers ------------------------------------------------
  logic          [Stages-1:0] valid_q, ended_q;
  logic          [Stages-2:0] first_q;
  payload_addr_t [Stages-1:0] payload_q;
  logic          [7:0]        index1_q;
  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[Stages-2:0], valid_i} : '0;
    first_q <= {first_q[Stages-3:0], first_i};
    ended_q <= {ended_q[Stages-2:0], ended_i};
    if (came_i) payload_q[0] <= payload_i;
    for (int unsigned i = 1; i < Stages; i++) begin
      if (valid_q[i-1] && ended_q[i-1]) payload_q[i] <= payload_q[i-1];
    end
    if (came_i) index1_q <= index_i;
  end

  // ---- stages 1 to 3: where the packet lies in the beat. What the first beat says holds for the frame's others. ------
  logic [1:0]  tags_d, tags1_q, tags2_q;
  logic        ipv6_d, ipv6_q;
  logic [15:0] length;
  logic [16:0] before_end;  // from the first byte to the end: what the packet's length does not count
  logic        full_q;  // the first beat's bytes belong to the packet up to its last one
  logic [16:0] end_q;  // of the frame
  logic [8:0]  quote_end_q;  // of what is sent back, when the packet is as long
  // Of a beat that is not the frame's first: it lies behind, or before the one with the end.
  logic        behind_q, before_q, quote_behind_q, quote_before_q;
  logic [5:0]  from, to;  // words before, bytes before the end: of this beat
  logic        none, whole, quote_none, quote_whole;
  logic [BeatBytes-1:0] keep_d, keep_q, quote_d, quote_q;
  logic [BeatBits-1:0]  data1_q, data2_q, data3_q;

  always_comb begin
    // stage 1
    tags_d = is_tpid(word16(data_i, 12)) ? (is_tpid(word16(data_i, 16)) ? 2'd2 : 2'd1) : 2'd0;
    unique case (tags_d)
      2'd0: ipv6_d = word16(data_i, 12) == EtherIpv6;
      2'd1: ipv6_d = word16(data_i, 16) == EtherIpv6;
      default: ipv6_d = word16(data_i, 20) == EtherIpv6;
    endcase

    // stage 2
    unique case (tags1_q)
      2'd0: length = ipv6_q ? word16(data1_q, 18) : word16(data1_q, 16);
      2'd1: length = ipv6_q ? word16(data1_q, 22) : word16(data1_q, 20);
      default: length = ipv6_q ? word16(data1_q, 26) : word16(data1_q, 24);
    endcase
    before_end = (ipv6_q ? EthernetIpv6 : Ethernet) + 17'({tags1_q, 2'd0});

    // stage 3
    from   = first_q[1] ? 6'(Ethernet >> 1) + {3'd0, tags2_q, 1'b0} : '0;
    to     = end_q[5:0];
    none   = !first_q[1] && behind_q;
    whole  = first_q[1] ? full_q : before_q;
    quote_none  = !first_q[1] && quote_behind_q;
    quote_whole = first_q[1] ? quote_end_q[8:6] != '0 : quote_before_q;
    keep_d  = '0;
    quote_d = '0;
    for (int unsigned i = 0; i < BeatBytes; i++) begin
      keep_d[i]  = 6'(i / 2) >= from && !none && (whole || 6'(i) < to);
      quote_d[i] = keep_d[i] && !quote_none && (quote_whole || 6'(i) < quote_end_q[5:0]);
    end
  end

  always_ff @(posedge clk_i) begin
    if (came_i) data1_q <= data_i;
    if (first_i) begin
      tags1_q <= tags_d;
      ipv6_q  <= ipv6_d;
    end
    if (valid_q[0]) data2_q <= data1_q;
    if (valid_q[0] && first_q[0]) begin
      tags2_q <= tags1_q;
      end_q   <= 17'(length) + before_end;
      full_q  <= length[15:6] != '0 || 7'(length[5:0]) >= 7'(BeatBytes) - 7'(before_end);
      quote_end_q <= (ipv6_q ? 9'(9'(Ethernet) + 9'(QuoteIpv6)) : 9'(9'(Ethernet) + 9'(QuoteIpv4))) + 9'({tags1_q, 2'd0});
    end
    if (valid_q[0] && !first_q[0]) begin  // its frame's first beat has been here: end_q is this frame's
      behind_q       <= end_q[16:6] < 11'(index1_q);
      before_q       <= end_q[16:6] > 11'(index1_q);
      quote_behind_q <= 8'(quote_end_q[8:6]) < index1_q;
      quote_before_q <= 8'(quote_end_q[8:6]) > index1_q;
    end
    if (valid_q[1]) begin
      data3_q <= data2_q;
      keep_q  <= keep_d;
      quote_q <= quote_d;
    end
  end

  // ---- stages 4 to 7: the words, over the frame's beats ----------------------------------------------------------------
  gw_sums_t sums;
  gw_word_sum u_packet (
      .clk_i  (clk_i),
      .valid_i(valid_q[Stages-2:2]),
      .first_i(first_q[Stages-2]),
      .keep_i (keep_q),
      .data_i (data3_q),
      .sum_o  (sums.packet)
  );
  if (Quotes) begin : gen_quote
    gw_word_sum u_quote (
        .clk_i  (clk_i),
        .valid_i(valid_q[Stages-2:2]),
        .first_i(first_q[Stages-2]),
        .keep_i (quote_q),
        .data_i (data3_q),
        .sum_o  (sums.quote)
    );
  end else begin : gen_no_quote
    assign sums.quote = '0;
    logic unused_quote;
    assign unused_quote = ^quote_q;
  end

  assign soon_o         = valid_q[Stages-2] && ended_q[Stages-2];
  assign soon_payload_o = payload_q[Stages-2];
  assign valid_o = valid_q[Stages-1] && ended_q[Stages-1];
  assign sum_o   = '{payload: payload_q[Stages-1], sums: sums};
endmodule
