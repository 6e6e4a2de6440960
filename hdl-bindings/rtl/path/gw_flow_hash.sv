// Katran's flow hash, bit for bit (CARD.md 3): jhash over an IPv6 source beside the VIP lookup, then jhash_2words over the
// source and the ports that the VIP wants hashed. Never more than one addition a stage.
//
// Latency:    FlowHashLatency from `valid_i`; the VIP's entry is due VipEntryLatency after `valid_i`.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_flow_hash
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    input  logic                 ipv6_i,
    input  logic         [127:0] source_address_i,
    input  logic         [ 15:0] source_port_i,
    input  logic         [ 15:0] destination_port_i,
    input  logic                 entry_valid_i,  // VipEntryLatency after valid_i
    input  gw_vip_entry_t        entry_i,
    input  logic                 any_port_i,
    output logic                 valid_o,
    output logic         [ 31:0] hash_o
);

  typedef logic [31:0] word_t;
  typedef struct packed {
    word_t a;
    word_t b;
    word_t c;
  } state_t;

  localparam word_t Golden = 32'hdead_beef;
  localparam int unsigned MixSteps = 6;
  localparam int unsigned FinalSteps = 7;
  // the jhash stages: load, mix, the last word, final
  localparam int unsigned LastWord = 1 + MixSteps;

  function automatic word_t rotate(word_t x, int unsigned n);
    return (x << n) | (x >> (32 - n));
  endfunction

  function automatic word_t little_endian(word_t x);
    return {x[7:0], x[15:8], x[23:16], x[31:24]};
  endfunction

  // One step of jhash's mix: the words take turns, three steps a round.
  function automatic state_t mix_step(state_t s, int unsigned step);
    case (step)
      0: return '{a: (s.a - s.c) ^ rotate(s.c, 4), b: s.b, c: s.c + s.b};
      1: return '{a: s.a + s.c, b: (s.b - s.a) ^ rotate(s.a, 6), c: s.c};
      2: return '{a: s.a, b: s.b + s.a, c: (s.c - s.b) ^ rotate(s.b, 8)};
      3: return '{a: (s.a - s.c) ^ rotate(s.c, 16), b: s.b, c: s.c + s.b};
      4: return '{a: s.a + s.c, b: (s.b - s.a) ^ rotate(s.a, 19), c: s.c};
      default: return '{a: s.a, b: s.b + s.a, c: (s.c - s.b) ^ rotate(s.b, 4)};
    endcase
  endfunction

  // One step of jhash's final.
  function automatic state_t final_step(state_t s, int unsigned step);
    case (step)
      0: return '{a: s.a, b: s.b, c: (s.c ^ s.b) - rotate(s.b, 14)};
      1: return '{a: (s.a ^ s.c) - rotate(s.c, 11), b: s.b, c: s.c};
      2: return '{a: s.a, b: (s.b ^ s.a) - rotate(s.a, 25), c: s.c};
      3: return '{a: s.a, b: s.b, c: (s.c ^ s.b) - rotate(s.b, 16)};
      4: return '{a: (s.a ^ s.c) - rotate(s.c, 4), b: s.b, c: s.c};
      5: return '{a: s.a, b: (s.b ^ s.a) - rotate(s.a, 14), c: s.c};
      default: return '{a: s.a, b: s.b, c: (s.c ^ s.b) - rotate(s.b, 24)};
    endcase
  endfunction

  // What an IPv6 source of zeros hashes to: hash_destination_port_only wants it.
  function automatic word_t hash_of_zeros();
    state_t s = '{default: Golden + 32'd16 + HashSeedV6};
    for (int unsigned i = 0; i < MixSteps; i++) s = mix_step(s, i);
    for (int unsigned i = 0; i < FinalSteps; i++) s = final_step(s, i);
    return s.c;
  endfunction
  localparam word_t HashOfZeros = hash_of_zeros();

  if (SourceHashLatency != 2 + MixSteps + FinalSteps || FlowHashLatency != SourceHashLatency + 1 + FinalSteps) begin : gen_check
    $error("gw_flow_hash: the latencies in gw_pkg are not those of the stages");
  end

  // ---- jhash over an IPv6 source ---------------------------------------------------------------------------------
  logic   [SourceHashLatency-1:0] source_valid_q;  // bit i: an IPv6 packet in stage i + 1
  state_t                         source_q      [SourceHashLatency];
  word_t                          last_word_q   [LastWord];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) source_valid_q <= '0;
    else source_valid_q <= {source_valid_q[SourceHashLatency-2:0], valid_i && ipv6_i};
  end
  always_ff @(posedge clk_i) begin
    if (valid_i && ipv6_i) begin
      source_q[0] <= '{
          a: Golden + 32'd16 + HashSeedV6 + little_endian(source_address_i[127:96]),
          b: Golden + 32'd16 + HashSeedV6 + little_endian(source_address_i[95:64]),
          c: Golden + 32'd16 + HashSeedV6 + little_endian(source_address_i[63:32])
      };
      last_word_q[0] <= little_endian(source_address_i[31:0]);
    end
    if (source_valid_q != '0) begin
      for (int unsigned i = 0; i < MixSteps; i++) begin
        if (source_valid_q[i]) begin
          source_q[i+1]    <= mix_step(source_q[i], i);
          last_word_q[i+1] <= last_word_q[i];
        end
      end
      if (source_valid_q[LastWord-1]) begin
        source_q[LastWord] <= '{
            a: source_q[LastWord-1].a + last_word_q[LastWord-1],
            b: source_q[LastWord-1].b,
            c: source_q[LastWord-1].c
        };
      end
      for (int unsigned i = 0; i < FinalSteps; i++) begin
        if (source_valid_q[LastWord+i]) source_q[LastWord+1+i] <= final_step(source_q[LastWord+i], i);
      end
    end
  end

  // ---- the ports that are hashed, as soon as the VIP is known -----------------------------------------------------
  typedef struct packed {
    logic        ipv6;
    word_t       source;  // IPv4's
    logic [15:0] source_port;
    logic [15:0] destination_port;
  } packet_t;
  typedef struct packed {
    logic        ipv6;
    logic        source_zero;
    word_t       source;
    logic [15:0] first;
    logic [15:0] second;
  } choice_t;

  logic    packet_valid, choice_valid_q, choice_valid;
  packet_t packet;
  choice_t choice_d, choice_q, choice;

  gw_delay #(
      .Width ($bits(packet_t)),
      .Cycles(VipEntryLatency)
  ) u_packet_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_i),
      .data_i ({ipv6_i, source_address_i[31:0], source_port_i, destination_port_i}),
      .valid_o(packet_valid),
      .data_o (packet)
  );

  always_comb begin
    choice_d.ipv6 = packet.ipv6;
    choice_d.source_zero = entry_i.hash_destination_port_only;
    choice_d.source = packet.source;
    choice_d.first = entry_i.hash_no_source_port ? '0 : packet.source_port;
    choice_d.second = any_port_i && !entry_i.hash_keep_destination_port ? '0 : packet.destination_port;
    if (entry_i.hash_destination_port_only) begin
      choice_d.first  = packet.destination_port;
      choice_d.second = packet.destination_port;
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) choice_valid_q <= 1'b0;
    else choice_valid_q <= packet_valid;
  end
  always_ff @(posedge clk_i) begin
    if (packet_valid) choice_q <= choice_d;
  end

  gw_delay #(
      .Width ($bits(choice_t)),
      .Cycles(SourceHashLatency - VipEntryLatency - 1)
  ) u_choice_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(choice_valid_q),
      .data_i (choice_q),
      .valid_o(choice_valid),
      .data_o (choice)
  );

  // ---- jhash_2words ----------------------------------------------------------------------------------------------
  localparam word_t Start = Golden + 32'd8 + HashSeed;

  logic   [FinalSteps:0] flow_valid_q;
  state_t                flow_q      [FinalSteps+1];
  word_t                 first_word, port_word;

  always_comb begin
    if (choice.source_zero) first_word = choice.ipv6 ? HashOfZeros : '0;
    else first_word = choice.ipv6 ? source_q[SourceHashLatency-1].c : little_endian(choice.source);
    port_word = little_endian({choice.first, choice.second});
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) flow_valid_q <= '0;
    else flow_valid_q <= {flow_valid_q[FinalSteps-1:0], choice_valid};
  end
  always_ff @(posedge clk_i) begin
    if (choice_valid) flow_q[0] <= '{a: Start + first_word, b: Start + port_word, c: Start};
    if (flow_valid_q != '0) begin
      for (int unsigned i = 0; i < FinalSteps; i++) begin
        if (flow_valid_q[i]) flow_q[i+1] <= final_step(flow_q[i], i);
      end
    end
  end
  assign valid_o = flow_valid_q[FinalSteps];
  assign hash_o  = flow_q[FinalSteps].c;

  // What of the VIP's entry belongs to other stations.
  logic unused_entry;
  assign unused_entry = ^{
    entry_i.reserved_top, entry_i.fragment_too_big, entry_i.quota, entry_i.meter_burst, entry_i.meter_rate, entry_i.mtu, entry_i.quic_lb,
    entry_i.quic, entry_i.echo,
    entry_i.miss_policy, entry_i.pool
  };

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (entry_valid_i == packet_valid) else $error("gw_flow_hash: the VIP's entry is not in step");
  end
`endif
endmodule
