// Purpose: joins each decision with the end of its frame, admits or drops the frame, and frees payload in order.
// Latency: 2 cycles from the later of decision and end (both visible) to egress or host queue.
// Throughput: one frame each cycle.
// Drops when: the frame's end says so (CARD.md 2 rows 1 to 3, or shorter than its headers claim), the decision is a drop, or
//   admission fails (CARD.md 4): drop_icmp_limited, drop_egress_overload, drop_punt_full, drop_host_full.
module gw_admit
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic             clk_i,
    input logic             rst_ni,
    input logic [31:0]      time_us_i,
    input logic [3:0][15:0] egress_threshold_i,  // beats, by class
    input logic [3:0]       host_class_enable_i,
    input logic [3:0][14:0] host_class_bytes_i,  // the longest frame that the class's ring takes (its stride)

    // gw_encap; never waits
    input logic         decision_valid_i,
    input gw_decision_t decision_i,

    // gw_ingress of wire [0] and inject [1]
    input  logic          [1:0]      end_valid_i,
    output logic          [1:0]      end_ready_o,
    input  gw_frame_end_t [1:0]      end_i,
    output logic          [1:0]      free_valid_o,  // the oldest frame's payload is free
    output logic          [1:0][7:0] free_beats_o,

    // gw_token_bucket of each kind of answer
    input  gw_reply_t reply_ready_i,
    output gw_reply_t reply_taken_o,

    // gw_egress; never waits
    output logic             egress_valid_o,
    output gw_egress_t       egress_o,
    input  logic       [1:0] egress_done_i,  // one frame's payload was read; by source
    input  logic       [7:0] egress_done_beats_i,  // that it held

    // gw_host_queue; never waits
    output logic                 host_valid_o,
    output gw_host_frame_t       host_o,
    input  logic           [1:0] host_done_i,  // one frame's payload was read; by source
    input  logic                 host_free_valid_i,  // a frame left its class's buffer
    input  gw_host_class_e       host_free_class_i,
    input  logic           [7:0] host_free_beats_i,

    // events
    output gw_admission_t admission_o,
    output logic          empty_o  // no decision waits, no payload is to be freed
);
  localparam frame_len_t RuntBytes = 14'd14;
  // A frame that is admitted at the last free beat brings a whole frame's.
  localparam int unsigned LevelBits = $clog2(EgressFrames + FrameBeatsMax);

  // ---- decisions wait for the end of their frame ------------------------------------------------------------------
  logic head_valid, join_now;
  gw_decision_t head;
  gw_frame_end_t head_end;

  gw_deep_fifo #(.Width($bits(gw_decision_t)), .Depth(DecisionDepth), .Latency(TableLatency)) u_decisions (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(decision_valid_i),
      .data_i(decision_i),
      .valid_o(head_valid),
      .pop_i(join_now),
      .data_o(head)
  );

  assign head_end = end_i[head.source];
  assign join_now = head_valid && end_valid_i[head.source];
  always_comb begin
    end_ready_o = '0;
    if (head_valid) end_ready_o[head.source] = 1'b1;
  end

  // ---- stage 1: decision and end are one --------------------------------------------------------------------------
  logic            joined_q;
  gw_decision_t    decision_q;
  gw_frame_end_t   end_q;
  logic [7:0]      beats_q, beats;  // of this frame in its payload ring
  frame_len_t      keep_end_q;  // where what is kept of it ends
  logic [6:0]      shift_q;  // by which that moves; `early_q`: forwards
  logic            early_q;
  logic            whole_q, whole;  // `when_whole` stands
  gw_disposition_e verdict_q, verdict;

  always_comb begin
    whole = 1'b0;
    if (head_end.error) verdict = DispositionDropRxError;
    else if (head_end.length > frame_len_t'(FrameMax)) verdict = DispositionDropOversize;
    else if (head_end.length < RuntBytes) verdict = DispositionDropRunt;
    else if (head_end.length < head.needed) verdict = head.when_short;
    else begin
      verdict = head.when_whole;
      whole   = 1'b1;
    end
    beats = head_end.length[13:6] + 8'(head_end.length[5:0] != '0);
    if (head_end.length > frame_len_t'(FrameMax)) beats = 8'(FrameMax / BeatBytes);
    if (head_end.length == '0) beats = 8'd1;
  end

  logic unused_decision;
  assign unused_decision = ^{decision_q.inject, decision_q.when_whole, decision_q.when_short, decision_q.needed, decision_q.keep_from, decision_q.keep_to};

  always_ff @(posedge clk_i) begin
    joined_q <= join_now && rst_ni;
    if (join_now) begin
      decision_q <= head;
      end_q      <= head_end;
      whole_q    <= whole;
      verdict_q  <= verdict;
      beats_q    <= beats;
      shift_q    <= head.header_bytes - head.keep_from;
      early_q    <= head.header_bytes < head.keep_from;
      keep_end_q <= head.keep_to < head_end.length ? head.keep_to : head_end.length;
    end
  end

  // ---- stage 2: admission -----------------------------------------------------------------------------------------
  // Beats in the payload rings of frames admitted to the egress and not yet read: what the classes share. A frame has one at
  // least, so fewer than EgressFrames beats are fewer frames than the egress queue holds.
  logic [LevelBits-1:0] level_q, level_d;
  logic [3:0][10:0]     room_q, room_d;  // beats that are not reserved, by host class
  logic is_forward, is_host, forward, deliver, beyond_stride, limited;
  logic [3:0]           below, fits, beyond, of_class;  // by class
  logic [7:0]           done_beats, free_beats;
  gw_host_class_e       host_class;
  gw_disposition_e      disposition;

  always_comb begin
    unique case (verdict_q)
      DispositionHostControl: host_class = HostClassControl;
      DispositionHostPunt: host_class = HostClassMiss;
      DispositionHostFragment, DispositionHostIcmpError, DispositionHostTooBig: host_class = HostClassFragment;
      default: host_class = HostClassOther;
    endcase
    of_class = 4'd1 << host_class;
    is_forward = verdict_q[5:3] == 3'd0;
    is_host    = verdict_q[5:3] == 3'd1;
    limited    = (decision_q.reply & ~reply_ready_i) != '0;
    // All classes are compared at once: which one it is comes as late.
    for (int unsigned c = 0; c < 4; c++) begin
      below[c]  = 16'(level_q) < egress_threshold_i[c];
      fits[c]   = host_class_enable_i[c] && room_q[c] >= 11'(beats_q);
      beyond[c] = host_class_enable_i[c] && 15'(end_q.length) > host_class_bytes_i[c];
    end
    forward = joined_q && is_forward && !limited && below[decision_q.egress_class] && level_q < LevelBits'(EgressFrames);
    beyond_stride = (of_class & beyond) != '0;
    deliver = joined_q && is_host && (of_class & fits & ~beyond) != '0;

    disposition = verdict_q;
    if (is_forward && !forward) disposition = limited ? DispositionDropIcmpLimited : DispositionDropEgressOverload;
    reply_taken_o = forward ? decision_q.reply : '0;
    if (is_host && !deliver) begin
      disposition = host_class == HostClassMiss && !beyond_stride ? DispositionDropPuntFull : DispositionDropHostFull;
    end
  end

  always_comb begin
    // Both outcomes of the admission are summed beside it.
    done_beats = egress_done_i != '0 ? egress_done_beats_i : '0;
    level_d = forward ? level_q + LevelBits'(beats_q) - LevelBits'(done_beats) : level_q - LevelBits'(done_beats);
    for (int unsigned c = 0; c < 4; c++) begin
      free_beats = host_free_valid_i && host_free_class_i == gw_host_class_e'(c) ? host_free_beats_i : '0;
      room_d[c] = deliver && of_class[c] ? room_q[c] - 11'(beats_q) + 11'(free_beats) :
          room_q[c] + 11'(free_beats);
    end
  end

  always_ff @(posedge clk_i) begin
    level_q <= level_d;
    room_q  <= room_d;
    if (!rst_ni) begin
      level_q <= '0;
      for (int unsigned c = 0; c < 4; c++) room_q[c] <= 11'(HostBeats);
      room_q[HostClassMiss] <= 11'(MissBeats);
    end
  end

  // ---- out --------------------------------------------------------------------------------------------------------
  logic           egress_valid_q, host_valid_q;
  gw_egress_t     egress_q;
  gw_host_frame_t host_q;
  gw_admission_t  admission_q;

  always_ff @(posedge clk_i) begin
    egress_valid_q <= forward && rst_ni;
    host_valid_q   <= deliver && rst_ni;
    // What is not forwarded or delivered loads them too: the verdict comes too late to enable so many bits.
    if (joined_q) begin
      egress_q.source       <= decision_q.source;
      egress_q.payload      <= decision_q.payload;
      egress_q.checksum     <= decision_q.checksum;
      egress_q.icmp_checksum <= decision_q.icmp_checksum;
      egress_q.checksum_part <= decision_q.checksum_part;
      egress_q.header_bytes <= decision_q.header_bytes;
      egress_q.header       <= decision_q.header;
      egress_q.shift        <= shift_q;
      egress_q.early        <= early_q;
      egress_q.total        <= keep_end_q + {{7{early_q}}, shift_q};
      egress_q.keep_end     <= keep_end_q;
      egress_q.beats        <= beats_q;
    end
    if (joined_q) begin
      host_q.source             <= decision_q.source;
      host_q.payload            <= decision_q.payload;
      host_q.record             <= decision_q.record;
      host_q.record.phase       <= 1'b0;
      host_q.record.index       <= '0;
      host_q.record.disposition <= verdict_q;
      host_q.record.host_class  <= host_class;
      host_q.record.length      <= 16'(end_q.length);
      host_q.record.error       <= end_q.error;
      host_q.record.timestamp   <= time_us_i;
    end
    admission_q.valid <= joined_q && rst_ni;
    if (joined_q) begin
      admission_q.disposition        <= disposition;
      admission_q.heartbeat_fallback <= whole_q && decision_q.heartbeat_fallback;
      admission_q.quic_unknown       <= whole_q && decision_q.quic_unknown;
      admission_q.over_meter         <= whole_q && decision_q.over_meter;
      admission_q.count_vip          <= whole_q && decision_q.count_vip;
      admission_q.vip                <= decision_q.vip;
      admission_q.count_backend      <= whole_q && forward && decision_q.count_backend;
      admission_q.backend            <= decision_q.backend;
      admission_q.ip_bytes           <= decision_q.ip_bytes;
      admission_q.length             <= end_q.length;
    end
  end

  assign egress_valid_o = egress_valid_q;
  assign egress_o       = egress_q;
  assign host_valid_o   = host_valid_q;
  assign host_o         = host_q;
  assign admission_o    = admission_q;

  // ---- payload is freed in the order of each source's frames -------------------------------------------------------
  logic [1:0] nothing_to_free;
  for (genvar s = 0; s < 2; s++) begin : gen_source
    gw_payload_free #(.Frames(s == 0 ? WireBeats : InjectBeats)) u_free (
        .clk_i(clk_i),
        .rst_ni(rst_ni),
        .admitted_i(admission_q.valid && egress_q.source == gw_source_e'(s)),
        .egress_i(egress_valid_q),
        .host_i(host_valid_q),
        .beats_i(egress_q.beats),
        .egress_done_i(egress_done_i[s]),
        .host_done_i(host_done_i[s]),
        .free_valid_o(free_valid_o[s]),
        .free_beats_o(free_beats_o[s]),
        .empty_o(nothing_to_free[s])
    );
  end

  assign empty_o = !head_valid && !joined_q && !admission_q.valid && &nothing_to_free;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (egress_done_i != 2'b11) else $error("gw_admit: one reader finished two frames");
      assert (!(egress_done_i != '0 && level_q < LevelBits'(egress_done_beats_i)))
      else $error("gw_admit: more beats read than admitted");
      assert (!(joined_q && !whole_q && is_forward)) else $error("gw_admit: a short frame is forwarded");
      assert (room_q[HostClassMiss] <= 11'(MissBeats) && room_q[HostClassControl] <= 11'(HostBeats) &&
              room_q[HostClassOther] <= 11'(HostBeats) && room_q[HostClassFragment] <= 11'(HostBeats))
      else $error("gw_admit: more room than the buffer has");
    end
  end
`endif
endmodule
