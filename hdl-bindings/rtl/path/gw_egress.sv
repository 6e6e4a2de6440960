// Purpose: sends admitted frames: header bytes, with the checksum of UDP or ICMP where there is one, then the kept bytes of the received frame.
// Latency: 7 cycles from `egress_valid_i` to `m_valid_o` when nothing waits.
// Throughput: one beat each cycle, no gap between frames; a frame whose kept bytes move forwards (fewer header bytes than
//   were cut off: layer 2 with a tag removed) takes one cycle more.
// Drops when: never; gw_admit keeps the queue from running over. Backpressure stops only the reader.
module gw_egress
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_admit
    input  logic             egress_valid_i,
    input  gw_egress_t       egress_i,
    output logic       [1:0] done_o,  // one frame's payload was read; by source
    output logic       [7:0] done_beats_o,  // that it held in its payload ring

    // gw_payload_ring of wire [0] and inject [1]
    output logic          [1:0]               payload_re_o,
    output payload_addr_t                     payload_raddr_o,
    input  logic          [1:0][BeatBits-1:0] payload_rdata_i,

    // gw_sum_ring of wire [0] and inject [1]
    output logic          [1:0]              sum_re_o,
    output payload_addr_t                    sum_raddr_o,
    input  gw_sums_t      [1:0]              sum_rdata_i,

    // m_axis_tx
    output logic                 m_valid_o,
    input  logic                 m_ready_i,
    output logic [BeatBits-1:0]  m_data_o,
    output logic [BeatBytes-1:0] m_keep_o,
    output logic                 m_last_o,

    // events
    output logic        sent_o,  // a frame's last beat left
    output logic [13:0] sent_bytes_o,  // bytes of that frame
    output logic        empty_o
);
  localparam int unsigned OutDepth = 16;  // beats: reader to output takes 6 cycles, and a credit one more to come back
  localparam int unsigned HalfBits = BeatBits / 2;
  localparam int unsigned Issued = TableLatency + 1;  // cycles from a beat's choice to its data

  // ---- what the reader needs of a frame ----------------------------------------------------------------------------
  typedef struct packed {
    gw_source_e    source;
    payload_addr_t payload;
    logic          checksum;
    logic          icmp_checksum;
    logic [15:0]   checksum_part;
    logic [6:0]    header_bytes;
    logic [HeaderBytes*8-1:0] header;
    logic [6:0]    shift;  // received byte n leaves as byte n + shift
    logic          early;  // shift is negative, above -64
    logic [7:0]    beats;  // held in the payload ring
    logic [7:0]    beats_in;  // beats to read
    logic          reads;  // with the first cycle
    logic [7:0]    beats_out;
    logic          single;  // that is 1, and its first cycle is its last
    logic [6:0]    last_bytes;  // bytes of the last beat that leaves, 1 to 64
  } frame_t;

  frame_t arriving, frame;
  logic frame_valid, frame_pop;

  always_comb begin
    arriving.source       = egress_i.source;
    arriving.payload      = egress_i.payload;
    arriving.checksum     = egress_i.checksum;
    arriving.icmp_checksum = egress_i.icmp_checksum;
    arriving.checksum_part = egress_i.checksum_part;
    arriving.header_bytes = egress_i.header_bytes;
    arriving.header       = egress_i.header;
    arriving.shift        = egress_i.shift;
    arriving.early        = egress_i.early;
    arriving.beats        = egress_i.beats;
    arriving.beats_in     = egress_i.keep_end[13:6] + 8'(egress_i.keep_end[5:0] != '0);
    arriving.reads        = egress_i.keep_end != '0 && (egress_i.early || !egress_i.shift[6]);
    arriving.beats_out    = egress_i.total[13:6] + 8'(egress_i.total[5:0] != '0);
    arriving.single       = !egress_i.early && egress_i.total[13:7] == '0 && (!egress_i.total[6] || egress_i.total[5:0] == '0);
    arriving.last_bytes   = {egress_i.total[5:0] == '0, egress_i.total[5:0]};
  end

  gw_deep_fifo #(.Width($bits(frame_t)), .Depth(EgressFrames), .Latency(TableLatency)) u_queue (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(egress_valid_i),
      .data_i(arriving),
      .valid_o(frame_valid),
      .pop_i(frame_pop),
      .data_o(frame)
  );

  // ---- reader: one beat that leaves each cycle ------------------------------------------------------------------------
  // out beat k needs received beats k-1 and k (shift below 64), k-2 and k-1 (shift 64 and above, `late`), or k and k+1
  // (`early`: beat 0 is read ahead, in a cycle of its own in which nothing leaves).
  typedef struct packed {
    gw_source_e source;
    logic       first;
    logic       second;
    logic       last;
    logic       ahead;  // nothing leaves
    logic [5:0] shift;
    logic [6:0] bytes;
    logic [6:0] covered;  // bytes that the header covers of it
  } beat_t;

  logic [7:0] k_q, k_d;  // beats that have left
  logic [7:0] index, index_q;  // of the beat that is read; of the frame's next one
  logic begins_q, reads_q;  // the frame's first cycle is next; the next one of this frame reads
  logic [$clog2(OutDepth + 1)-1:0] credits_q, credits_d;
  logic issue, late, read, last, last_q, first_q, second_q, out_pop, ahead, ahead_q;
  logic credit_q;  // credits_q is not 0
  logic [1:0] re_q, done_q;
  logic [7:0] done_beats_q;
  payload_addr_t raddr_q;
  logic  [Issued:0] valid_q;
  beat_t [Issued:0] beat_q;  // [0] with the address, [TableLatency] with the data, [Issued] coarsely shifted

  assign late       = frame.shift[6] && !frame.early;
  assign ahead      = frame.early && !ahead_q;
  assign index      = begins_q ? {8{late}} : index_q;
  assign issue      = frame_valid && credit_q;
  assign read       = issue && (begins_q ? frame.reads : reads_q);
  assign last       = begins_q ? frame.single : last_q;  // known early: the queue's next entry waits for it
  assign frame_pop  = issue && last;

  always_comb begin
    k_d = k_q;
    if (issue && !ahead) k_d = last ? '0 : k_q + 1'b1;
    credits_d = credits_q;
    if (issue && !ahead && !out_pop) credits_d = credits_q - 1'b1;
    if (!(issue && !ahead) && out_pop) credits_d = credits_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    k_q       <= k_d;
    if (issue) begin
      index_q  <= index + 1'b1;
      reads_q  <= index + 8'd1 < frame.beats_in;
      begins_q <= last;
    end
    // Behind the cycle that reads ahead the frame's first beat leaves.
    if (issue) last_q <= frame.beats_out == (ahead ? 8'd1 : k_q + 8'd2);
    if (issue && !ahead) begin
      first_q <= last;
      second_q <= first_q && !last;
    end
    credits_q <= credits_d;
    credit_q  <= credits_d != '0;
    re_q[0]   <= read && frame.source == SourceWire;
    re_q[1]   <= read && frame.source == SourceInject;
    done_q[0] <= frame_pop && frame.source == SourceWire;
    done_q[1] <= frame_pop && frame.source == SourceInject;
    done_beats_q <= frame.beats;
    raddr_q   <= frame.payload + payload_addr_t'(index);
    valid_q   <= {valid_q[Issued-1:0], issue};
    if (issue) begin
      beat_q[0].source <= frame.source;
      beat_q[0].first  <= first_q;
      beat_q[0].second <= second_q;
      beat_q[0].last   <= last;
      beat_q[0].ahead  <= ahead;
      ahead_q          <= frame.early && !last;
      beat_q[0].shift  <= frame.shift[5:0];
      beat_q[0].bytes  <= last ? frame.last_bytes : 7'(BeatBytes);
      beat_q[0].covered <= '0;
      if (first_q) beat_q[0].covered <= frame.header_bytes[6] ? 7'(BeatBytes) : frame.header_bytes;
      if (second_q && frame.header_bytes[6]) beat_q[0].covered <= {1'b0, frame.header_bytes[5:0]};
    end
    beat_q[Issued:1] <= beat_q[Issued-1:0];
    if (!rst_ni) begin
      k_q       <= '0;
      begins_q  <= 1'b1;
      first_q   <= 1'b1;
      second_q  <= 1'b0;
      ahead_q   <= 1'b0;
      credits_q <= ($clog2(OutDepth + 1))'(OutDepth);
      credit_q  <= 1'b1;
      re_q      <= '0;
      done_q    <= '0;
      valid_q   <= '0;
    end
  end

  assign payload_re_o    = re_q;
  assign payload_raddr_o = raddr_q;
  assign done_o          = done_q;
  assign done_beats_o    = done_beats_q;

  // The header meets the frame's first beat when that comes from its RAM, and stays for the second.
  logic                     unused_header_valid, header_leaves, with_checksum, with_icmp_checksum;
  logic [6:0]               header_bytes;
  logic [HeaderBytes*8-1:0] header;
  assign header_leaves = issue && first_q && !ahead;
  gw_delay #(.Width(9 + HeaderBytes * 8), .Cycles(Issued)) u_header (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .valid_i(header_leaves),
      .data_i({frame.checksum, frame.icmp_checksum, frame.header_bytes, frame.header}),
      .valid_o(unused_header_valid),
      .data_o({with_checksum, with_icmp_checksum, header_bytes, header})
  );

  // ---- the checksum, ready a cycle after the header ------------------------------------------------------------------------------
  logic        sum_valid, checksummed, sum_icmp;
  gw_source_e  sum_source;
  logic [15:0] checksum_part, checksum;

  assign checksummed = header_leaves && (frame.checksum || frame.icmp_checksum);
  // Also while the frame waits: whether its header leaves is known late.
  assign sum_re_o[0] = frame_valid && frame.source == SourceWire;
  assign sum_re_o[1] = frame_valid && frame.source == SourceInject;
  assign sum_raddr_o = frame.payload;

  gw_delay #(.Width(18), .Cycles(TableLatency)) u_checksum_part (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .valid_i(checksummed),
      .data_i({frame.source, frame.icmp_checksum, frame.checksum_part}),
      .valid_o(sum_valid),
      .data_o({sum_source, sum_icmp, checksum_part})
  );
  gw_checksum u_checksum (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .valid_i(sum_valid),
      .part_i(checksum_part),
      .sum_i(sum_icmp ? sum_rdata_i[sum_source].quote : sum_rdata_i[sum_source].packet),
      .zero_i(sum_icmp),
      .checksum_o(checksum)
  );

  // ---- shift, first by words of 8 bytes; beside it what the header covers of the beat, and where the checksum stands in it ------
  logic [BeatBits-1:0]    data, before_q, shifted, out_data, header_beat, header_beat_q;
  logic [BeatBits+64-1:0] coarse_q;
  logic [BeatBytes-1:0]   covered, covered_q;  // bytes
  logic [BeatBytes/2-1:0] summed, summed_q;  // 16-bit words
  beat_t                  meeting, merged;
  logic                   unused_beat;
  // The shift by bytes: a copy for each half of a beat, as one would have to reach too far.
  (* keep *) logic [1:0][2:0] fine_q;

  assign data        = payload_rdata_i[beat_q[TableLatency].source];
  assign meeting     = beat_q[TableLatency];
  assign merged      = beat_q[Issued];
  assign unused_beat = ^{meeting.source, meeting.last, meeting.ahead, meeting.bytes, merged.source, merged.first, merged.second, merged.shift, merged.covered};

  always_comb begin
    header_beat = meeting.first ? header[BeatBits-1:0] : BeatBits'(header >> BeatBits);
    for (int unsigned i = 0; i < BeatBytes; i++) covered[i] = meeting.covered > 7'(i);
    summed = '0;
    // That of UDP ends the header: 14 bytes, 0 to 2 tags, 28 or 48 bytes. That of ICMP stands six bytes before the end.
    unique case (header_bytes)
      7'd42: begin
        summed[40/2] = meeting.first && with_checksum;
        summed[36/2] = meeting.first && with_icmp_checksum;
      end
      7'd46: begin
        summed[44/2] = meeting.first && with_checksum;
        summed[40/2] = meeting.first && with_icmp_checksum;
      end
      7'd50: begin
        summed[48/2] = meeting.first && with_checksum;
        summed[44/2] = meeting.first && with_icmp_checksum;
      end
      7'd62: begin
        summed[60/2] = meeting.first && with_checksum;
        summed[56/2] = meeting.first && with_icmp_checksum;
      end
      7'd66: begin
        summed[0]    = meeting.second && with_checksum;
        summed[60/2] = meeting.first && with_icmp_checksum;
      end
      7'd70: begin
        summed[4/2] = meeting.second && with_checksum;
        summed[0]   = meeting.second && with_icmp_checksum;
      end
      default: ;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[TableLatency]) begin
      before_q  <= data;
      coarse_q  <= (BeatBits + 64)'(({data, before_q} << {meeting.shift[5:3], 6'b0}) >> (BeatBits - 64));
      covered_q <= covered;
      summed_q  <= summed;
      header_beat_q <= header_beat;
      fine_q    <= {2{meeting.shift[2:0]}};
    end
  end

  // ---- then by bytes, and the header over it ------------------------------------------------------------------------------
  always_comb begin
    shifted  = '0;
    out_data = '0;
    if (valid_q[Issued]) begin  // spares a simulator the wide shifts of idle cycles
      for (int unsigned h = 0; h < 2; h++) begin
        shifted[h*HalfBits+:HalfBits] = HalfBits'((coarse_q << {fine_q[h], 3'b0}) >> (64 + h * HalfBits));
      end
      for (int unsigned i = 0; i < BeatBytes; i++) begin
        out_data[8*i+:8] = covered_q[i] ? header_beat_q[8*i+:8] : shifted[8*i+:8];
      end
      for (int unsigned i = 0; i < BeatBytes / 2; i++) begin
        if (summed_q[i]) out_data[16*i+:16] = {checksum[7:0], checksum[15:8]};
      end
    end
  end

  // ---- output ---------------------------------------------------------------------------------------------------------
  logic [6:0] out_bytes;
  logic [7:0] before_beats_q;  // beats of this frame that have left
  logic unused_full, unused_almost;
  logic [$clog2(OutDepth + 1)-1:0] out_level;

  gw_fifo #(.Width(BeatBits + 8), .Depth(OutDepth)) u_out (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(valid_q[Issued] && !merged.ahead),
      .data_i({out_data, merged.last, merged.bytes}),
      .valid_o(m_valid_o),
      .pop_i(out_pop),
      .data_o({m_data_o, m_last_o, out_bytes}),
      .level_o(out_level),
      .full_o(unused_full),
      .almost_full_o(unused_almost)
  );

  assign out_pop      = m_valid_o && m_ready_i;
  assign m_keep_o     = {BeatBytes{1'b1}} >> (7'(BeatBytes) - out_bytes);
  assign sent_o       = out_pop && m_last_o;
  assign sent_bytes_o = {before_beats_q, 6'b0} + 14'(out_bytes);
  assign empty_o      = !frame_valid && valid_q == '0 && out_level == '0;

  always_ff @(posedge clk_i) begin
    if (out_pop) before_beats_q <= m_last_o ? '0 : before_beats_q + 1'b1;
    if (!rst_ni) before_beats_q <= '0;
  end

`ifdef VERILATOR
  logic                held_q, begun_q;
  logic [BeatBits-1:0] held_data_q;
  always_ff @(posedge clk_i) begin
    held_q      <= rst_ni && m_valid_o && !m_ready_i;
    held_data_q <= m_data_o;
    if (out_pop) begun_q <= !m_last_o;
    if (!rst_ni) begun_q <= 1'b0;
    if (rst_ni) begin
      if (held_q) begin
        assert (m_valid_o && m_data_o == held_data_q) else $error("gw_egress: the output moved while stalled");
      end
      assert (!begun_q || m_valid_o) else $error("gw_egress: a frame starved after its first beat");
      if (egress_valid_i) begin
        assert ((!egress_i.early || egress_i.shift > 7'd64) && egress_i.header_bytes <= 7'(HeaderBytes) && egress_i.total != '0)
        else $error("gw_egress: the decision's lengths contradict each other");
      end
    end
  end
`endif
endmodule
