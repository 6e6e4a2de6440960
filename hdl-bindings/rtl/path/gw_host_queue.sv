// Purpose: holds frames for the host in one buffer a class, and hands them over with their record, lowest class first.
// Latency: about 20 cycles and the frame's beats, from `frame_valid_i` to `m_valid_o`.
// Throughput: copies one beat each cycle; hands over one frame each (beats + 9) cycles.
// Drops when: never; gw_admit reserves room. After a host reset every frame admitted before is flushed and counted.
//
// `host_class_ready_i[c]` is looked at when a frame is chosen, a cycle before it begins and at the earliest 3 cycles after the last beat before it was taken.
// On `host_reset_i` the frame that is being handed over is finished (the taker goes on taking). It counts as gone when its last
// beat is taken during the reset, else as out; a taker that throws it away afterwards says so (gw_counters, `host_lost_i`).
module gw_host_queue
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_admit
    input  logic                 frame_valid_i,
    input  gw_host_frame_t       frame_i,
    output logic           [1:0] done_o,  // one frame's payload was read; by source
    output logic                 free_valid_o,  // a frame left its class's buffer
    output gw_host_class_e       free_class_o,
    output logic           [7:0] free_beats_o,

    // gw_payload_ring of wire [0] and inject [1]
    output logic          [1:0]               payload_re_o,
    output payload_addr_t                     payload_raddr_o,
    input  logic          [1:0][BeatBits-1:0] payload_rdata_i,

    // host
    input logic [3:0] host_class_ready_i,  // the class's queue has room for one more frame
    input logic       punt_ended_i,
    input logic       punt_lost_i,  // a punt that was handed over did not reach the host's memory
    input logic       host_reset_i,  // a pulse or longer

    // m_axis_host
    output logic                 m_valid_o,
    input  logic                 m_ready_i,
    output logic [BeatBits-1:0]  m_data_o,
    output logic [BeatBytes-1:0] m_keep_o,
    output logic                 m_last_o,
    output gw_host_class_e       m_class_o,  // tdest
    output gw_rx_completion_t    m_record_o,  // tuser; without phase and index

    // events
    output logic        out_o,  // a frame's last beat left
    output logic        gone_o,  // a frame was flushed by a host reset
    output logic [31:0] punt_unanswered_o,  // punts that a host reset ended, in the cycle after its end
    output logic [31:0] punts_outstanding_o,
    output logic       resting_o,  // what is here waits for the host alone
    output logic [15:0] waiting_o,  // frames that have not begun to leave
    output logic        empty_o
);
  localparam int unsigned Rows = MissBeats + 3 * HostBeats;
  localparam int unsigned RowBits = $clog2(Rows);
  localparam int unsigned PlaceBits = $clog2(MissBeats);
  localparam int unsigned CountBits = $clog2(MissBeats + 1);
  localparam int unsigned OutDepth = 8;
  // A reset also covers frames that admission lets pass while it begins.
  localparam int unsigned ResetCycles = 4;

  typedef logic [PlaceBits-1:0] place_t;  // beat in a class's buffer

  // Buffers lie one behind the other: miss, control, other, fragment. A frame's record lies at its first beat's row.
  function automatic logic [RowBits-1:0] row(gw_host_class_e host_class, place_t place);
    unique case (host_class)
      HostClassMiss: return RowBits'(place);
      HostClassControl: return RowBits'(MissBeats) + RowBits'(place);
      HostClassOther: return RowBits'(MissBeats + HostBeats) + RowBits'(place);
      default: return RowBits'(MissBeats + 2 * HostBeats) + RowBits'(place);
    endcase
  endfunction
  function automatic place_t advance(gw_host_class_e host_class, place_t place, logic [7:0] beats);
    place_t next;
    next = place + place_t'(beats);
    return host_class == HostClassMiss ? next : next & place_t'(HostBeats - 1);
  endfunction
  function automatic logic [7:0] beats_of(logic [15:0] length);
    return 8'((length + 16'(BeatBytes - 1)) >> 6);
  endfunction

  logic reset_now;
  logic [ResetCycles-1:0] reset_q;
  assign reset_now = host_reset_i || reset_q != '0;
  always_ff @(posedge clk_i) begin
    reset_q <= {reset_q[ResetCycles-2:0], host_reset_i};
    if (!rst_ni) reset_q <= '0;
  end

  // ---- copy: from payload ring to buffer, in the order of admission -------------------------------------------------
  typedef struct packed {
    gw_source_e     source;
    payload_addr_t  payload;
    gw_host_class_e host_class;
    place_t         place;
    logic [7:0]     last;  // beats but one
  } job_t;
  typedef struct packed {
    gw_source_e         source;
    logic               last;
    gw_host_class_e     host_class;
    logic [RowBits-1:0] row;
  } copy_t;

  place_t [3:0] tail_q, tail_d;  // where the class's next frame goes
  job_t arriving, job;
  logic job_valid, job_pop;
  logic [7:0] k_q, k_d;
  logic [1:0] re_q, done_q;
  payload_addr_t raddr_q;
  logic  [TableLatency:0] copy_valid_q;  // [0] with the address, [TableLatency] with the data
  copy_t [TableLatency:0] copy_q;
  logic copied;
  copy_t copy_now;

  always_comb begin
    arriving.source     = frame_i.source;
    arriving.payload    = frame_i.payload;
    arriving.host_class = gw_host_class_e'(frame_i.record.host_class);
    arriving.place      = tail_q[arriving.host_class];
    arriving.last       = 8'((frame_i.record.length - 16'd1) >> 6);
    tail_d = tail_q;
    if (frame_valid_i) tail_d[arriving.host_class] = advance(arriving.host_class, arriving.place, beats_of(frame_i.record.length));
    k_d = k_q;
    if (job_valid) k_d = job_pop ? '0 : k_q + 1'b1;
  end

  // Every waiting job has a beat reserved, so Rows of them is the most.
  gw_deep_fifo #(.Width($bits(job_t)), .Depth(Rows), .Latency(2)) u_jobs (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(frame_valid_i),
      .data_i(arriving),
      .valid_o(job_valid),
      .pop_i(job_pop),
      .data_o(job)
  );
  assign job_pop = job_valid && k_q == job.last;

  always_ff @(posedge clk_i) begin
    tail_q       <= tail_d;
    k_q          <= k_d;
    re_q[0]      <= job_valid && job.source == SourceWire;
    re_q[1]      <= job_valid && job.source == SourceInject;
    done_q[0]    <= job_pop && job.source == SourceWire;
    done_q[1]    <= job_pop && job.source == SourceInject;
    raddr_q      <= job.payload + payload_addr_t'(k_q);
    copy_valid_q <= {copy_valid_q[TableLatency-1:0], job_valid};
    copy_q[0]    <= '{job.source, job_pop, job.host_class, row(job.host_class, advance(job.host_class, job.place, k_q))};
    copy_q[TableLatency:1] <= copy_q[TableLatency-1:0];
    if (!rst_ni) begin
      tail_q       <= '0;
      k_q          <= '0;
      re_q         <= '0;
      done_q       <= '0;
      copy_valid_q <= '0;
    end
  end

  assign payload_re_o    = re_q;
  assign payload_raddr_o = raddr_q;
  assign done_o          = done_q;
  assign copy_now        = copy_q[TableLatency];
  assign copied          = copy_valid_q[TableLatency] && copy_now.last;

  // ---- buffers ----------------------------------------------------------------------------------------------------
  logic                record_re, buffer_re;
  logic [RowBits-1:0]  head_row, buffer_row;
  gw_rx_completion_t   record;
  logic [BeatBits-1:0] buffer_data;

  gw_ram #(.Width($bits(gw_rx_completion_t)), .Depth(Rows), .Latency(TableLatency)) u_records (
      .clk_i(clk_i),
      .we_i(frame_valid_i),
      .waddr_i(row(arriving.host_class, arriving.place)),
      .wdata_i(frame_i.record),
      .re_i(record_re),
      .raddr_i(head_row),
      .rdata_o(record)
  );
  gw_ram #(.Width(BeatBits), .Depth(Rows), .Latency(TableLatency)) u_beats (
      .clk_i(clk_i),
      .we_i(copy_valid_q[TableLatency]),
      .waddr_i(copy_now.row),
      .wdata_i(payload_rdata_i[copy_now.source]),
      .re_i(buffer_re),
      .raddr_i(buffer_row),
      .rdata_o(buffer_data)
  );

  // ---- hand over, one frame at a time ---------------------------------------------------------------------------------
  typedef enum logic [1:0] {
    StateChoose,
    StateRecord,  // its record is read
    StateBeats,  // its beats are read
    StateLeave  // its last beats are taken
  } state_e;

  state_e state_q, state_d;
  logic [2:0] wait_q, wait_d;
  gw_host_class_e class_q, class_d, chosen, chosen_q;
  logic rested_q;  // a frame may be chosen: state_q is StateChoose, wait_q 0
  logic choose, some_q, begin_frame, discard_q, discard_d, left, finish;
  logic enters, is_whole, leaves;
  logic doomed_q, doomed_d;  // a reset came after the frame was chosen
  logic [3:0] eligible;
  place_t [3:0] head_q, head_d;  // the class's oldest frame
  logic [3:0][CountBits-1:0] admitted_q, admitted_d;  // frames not begun to leave
  logic [3:0][CountBits-1:0] whole_q, whole_d;  // those of them that are copied
  logic [3:0][CountBits-1:0] flush_q, flush, flush_d;  // those of them that a reset flushes
  logic flush_all_q;  // the reset lasts: all of them, of which flush_q knows a cycle later
  logic [7:0] beats_q, beats_d, sent_q, sent_d;
  gw_rx_completion_t record_q;
  logic [$clog2(OutDepth + 1)-1:0] credits_q, credits_d;
  logic [TableLatency-1:0] out_valid_q, out_last_q;
  logic out_pop;
  logic unused_full, unused_almost;
  logic [$clog2(OutDepth + 1)-1:0] out_level;

  always_comb begin
    chosen = HostClassControl;
    flush  = flush_all_q ? admitted_q : flush_q;
    for (int unsigned c = 0; c < 4; c++) begin
      eligible[c] = whole_q[c] != '0 && (flush[c] != '0 || (host_class_ready_i[c] && !reset_now));
    end
    if (eligible[0]) chosen = gw_host_class_e'(2'd0);
    else if (eligible[1]) chosen = gw_host_class_e'(2'd1);
    else if (eligible[2]) chosen = gw_host_class_e'(2'd2);
    else chosen = gw_host_class_e'(2'd3);
    choose = rested_q && some_q;
  end

  always_comb begin
    state_d   = state_q;
    wait_d    = wait_q != '0 ? wait_q - 1'b1 : '0;
    class_d   = class_q;
    discard_d = discard_q;
    doomed_d  = doomed_q || reset_now;
    beats_d   = beats_q;
    sent_d    = sent_q;
    head_d    = head_q;
    begin_frame = 1'b0;
    finish      = 1'b0;
    buffer_re   = 1'b0;
    unique case (state_q)
      StateChoose: begin
        doomed_d = reset_now;
        if (choose) begin
          state_d   = StateRecord;
          wait_d    = 3'(TableLatency - 1);
          class_d   = chosen_q;
          discard_d = flush[chosen_q] != '0;
        end
      end
      StateRecord: begin
        if (wait_q == '0) begin
          begin_frame = 1'b1;
          beats_d     = beats_of(record.length);
          sent_d      = '0;
          discard_d   = discard_q || doomed_d;
          state_d     = discard_d ? StateLeave : StateBeats;
        end
      end
      StateBeats: begin
        if (credits_q != '0) begin
          buffer_re = 1'b1;
          sent_d    = sent_q + 1'b1;
          if (sent_d == beats_q) state_d = StateLeave;
        end
      end
      default: begin  // StateLeave
        if (discard_q || left) begin
          finish  = 1'b1;
          head_d[class_q] = advance(class_q, head_q[class_q], beats_q);
          state_d = StateChoose;
          wait_d  = discard_q ? 3'd2 : 3'd4;
        end
      end
    endcase
  end

  assign record_re  = choose;
  assign head_row   = row(chosen_q, head_q[chosen_q]);
  assign buffer_row = row(class_q, advance(class_q, head_q[class_q], sent_q));
  assign left       = out_pop && m_last_o;

  always_comb begin
    for (int unsigned c = 0; c < 4; c++) begin
      enters = frame_valid_i && arriving.host_class == gw_host_class_e'(c);
      is_whole = copied && copy_now.host_class == gw_host_class_e'(c);
      leaves = choose && chosen_q == gw_host_class_e'(c);
      // one up, one down, or neither: one addition
      admitted_d[c] = admitted_q[c] + {{(CountBits - 1){leaves && !enters}}, leaves != enters};
      whole_d[c]    = whole_q[c] + {{(CountBits - 1){leaves && !is_whole}}, leaves != is_whole};
    end
    flush_d = flush;
    if (choose && flush[chosen_q] != '0) flush_d[chosen_q] = flush[chosen_q] - 1'b1;

    credits_d = credits_q;
    if (buffer_re && !out_pop) credits_d = credits_q - 1'b1;
    if (!buffer_re && out_pop) credits_d = credits_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    state_q     <= state_d;
    wait_q      <= wait_d;
    rested_q    <= state_d == StateChoose && wait_d == '0;
    class_q     <= class_d;
    chosen_q    <= chosen;
    some_q      <= eligible != '0;
    discard_q   <= discard_d;
    doomed_q    <= doomed_d;
    beats_q     <= beats_d;
    sent_q      <= sent_d;
    head_q      <= head_d;
    admitted_q  <= admitted_d;
    whole_q     <= whole_d;
    flush_q     <= flush_d;
    flush_all_q <= reset_now;
    credits_q   <= credits_d;
    out_valid_q <= {out_valid_q[TableLatency-2:0], buffer_re};
    out_last_q  <= {out_last_q[TableLatency-2:0], sent_d == beats_q};
    if (begin_frame) record_q <= record;
    if (!rst_ni) begin
      state_q     <= StateChoose;
      wait_q      <= '0;
      rested_q    <= 1'b1;
      head_q      <= '0;
      admitted_q  <= '0;
      whole_q     <= '0;
      flush_q     <= '0;
      flush_all_q <= 1'b0;
      credits_q   <= ($clog2(OutDepth + 1))'(OutDepth);
      out_valid_q <= '0;
    end
  end

  gw_fifo #(.Width(BeatBits + 1), .Depth(OutDepth)) u_out (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(out_valid_q[TableLatency-1]),
      .data_i({buffer_data, out_last_q[TableLatency-1]}),
      .valid_o(m_valid_o),
      .pop_i(out_pop),
      .data_o({m_data_o, m_last_o}),
      .level_o(out_level),
      .full_o(unused_full),
      .almost_full_o(unused_almost)
  );
  assign out_pop    = m_valid_o && m_ready_i;
  assign m_keep_o   = m_last_o && record_q.length[5:0] != '0 ? {BeatBytes{1'b1}} >> (7'(BeatBytes) - 7'(record_q.length[5:0])) : '1;
  assign m_class_o  = class_q;
  assign m_record_o = record_q;

  assign free_valid_o = finish;
  assign free_class_o = class_q;
  assign free_beats_o = beats_q;

  // ---- events -----------------------------------------------------------------------------------------------------
  // A reset is counted when it ends: until then the taker says which punts never reached the host.
  logic [31:0] punts_q, punts_left, unanswered_q;
  logic [1:0] punts_over;
  logic [2:0] punts_change;  // signed
  logic more, delivered, reset_ends, punted;
  assign delivered  = left && !host_reset_i;
  assign reset_ends = !host_reset_i && reset_q == {1'b1, (ResetCycles - 1)'(0)};
  always_comb begin
    punts_over   = 2'(punt_ended_i) + 2'(punt_lost_i);
    punted       = delivered && !doomed_q && class_q == HostClassMiss;
    punts_change = 3'(punted) - 3'(punts_over);
    more         = punts_q[31:2] != '0 || punts_q[1:0] > punts_over;  // else none is left but a new one
    punts_left   = more ? punts_q - 32'(punts_over) : '0;
  end
  always_ff @(posedge clk_i) begin
    if (more && !reset_ends) punts_q <= punts_q + {{29{punts_change[2]}}, punts_change};
    else punts_q <= 32'(punted);
    unanswered_q <= reset_ends && rst_ni ? punts_left : '0;
    if (!rst_ni) punts_q <= '0;
  end
  assign out_o               = delivered;
  assign gone_o              = finish && !delivered;
  assign punt_unanswered_o   = unanswered_q;
  assign punts_outstanding_o = reset_now ? '0 : punts_q;
  always_comb begin
    waiting_o = '0;
    for (int unsigned c = 0; c < 4; c++) waiting_o += 16'(admitted_q[c]);
    resting_o = rested_q && eligible == '0 && !some_q && !job_valid && copy_valid_q == '0 && out_level == '0;
    for (int unsigned c = 0; c < 4; c++) resting_o &= whole_q[c] == admitted_q[c];
  end
  assign empty_o = state_q == StateChoose && admitted_q == '0 && !job_valid && copy_valid_q == '0 && out_level == '0;

`ifdef VERILATOR
  logic                held_q;
  logic [BeatBits-1:0] held_data_q;
  always_ff @(posedge clk_i) begin
    held_q      <= rst_ni && m_valid_o && !m_ready_i;
    held_data_q <= m_data_o;
    if (rst_ni) begin
      if (held_q) begin
        assert (m_valid_o && m_data_o == held_data_q) else $error("gw_host_queue: the output moved while stalled");
      end
      for (int unsigned c = 0; c < 4; c++) begin
        assert (whole_q[c] <= admitted_q[c]) else $error("gw_host_queue: more frames copied than admitted");
      end
    end
  end
`endif
endmodule
