// Purpose: writes frames for the host into its memory, then their completions, for four classes.
// Latency: a write of host memory for the frame, one for the completion, then the interrupt.
// Throughput: one beat each cycle; up to 32 frames under way at once.
// Drops when: a write fails or its queue is disabled: the frame is lost (`lost_o`), and a failed write stops its queue.
//
//   m_axis_host -> beats (RAM) -> payload bursts --\                    / completion --> B: delivered, interrupt
//             \--> jobs, records ------------------ AXI ID 0 -> B: whole
//
// All of it is one AXI ID, whose answers keep their order: `u_order` says what each belongs to. A completion is written only
// after its frame's answers, and an index moves on after the completion's.
module gw_rx_ring
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic stop_i,  // level, before a reset; gw_core sees its host reset in the same cycles
    input logic dma_idle_i,  // no write is on the bus

    input  gw_rx_queue_config_t [3:0] config_i,
    output gw_rx_queue_state_t  [3:0] state_o,

    // gw_core
    output logic [3:0]            class_enable_o,
    output logic [3:0]            class_ready_o,
    output logic [3:0][14:0]      class_bytes_o,
    input  logic                  host_valid_i,
    output logic                  host_ready_o,
    input  logic [BeatBits-1:0]   host_data_i,
    input  logic                  host_last_i,
    input  logic [1:0]            host_class_i,
    input  gw_rx_completion_t     host_record_i,
    output logic                  lost_o,  // pulse: a frame that was taken did not reach host memory
    output logic                  punt_lost_o,  // pulse: a punt that was taken did not; not in step with lost_o

    // gw_dma_write
    output logic         write_valid_o,
    input  logic         write_ready_i,
    output gw_dma_beat_t write_o,
    input  logic         done_valid_i,
    input  logic         done_error_i,

    output logic [3:0] interrupt_o,
    output logic       stopped_o,  // pulse: a queue stopped
    output logic       busy_o,
    output logic       quiet_o  // with `stop_i`: nothing is left that the reset would make disappear
);
  localparam int unsigned Beats = 256;
  localparam int unsigned Frames = 32;
  localparam int unsigned Writes = 64;  // bursts not answered

  typedef struct packed {
    logic [1:0]  host_class;
    logic [63:0] address;
    logic [13:0] length;
  } job_t;
  typedef struct packed {
    logic [1:0]        host_class;
    logic [63:0]       entry;
    gw_rx_completion_t completion;
  } record_t;
  typedef enum logic [1:0] {
    OrderBurst,  // a burst of a frame that has more
    OrderWhole,  // a frame's last burst
    OrderCompletion
  } order_e;

  // ---- queues -------------------------------------------------------------------------------------------------------
  logic [3:0] run, ready, enter, issue, leave, deliver, fail, queue_stopped, queue_busy, phase;
  logic [3:0][15:0] index;
  logic [3:0][63:0] buffer, entry;

  for (genvar c = 0; c < 4; c++) begin : gen_queue
    gw_rx_queue u_queue (
        .clk_i      (clk_i),
        .rst_ni     (rst_ni),
        .config_i   (config_i[c]),
        .state_o    (state_o[c]),
        .run_o      (run[c]),
        .ready_o    (ready[c]),
        .bytes_o    (class_bytes_o[c]),
        .index_o    (index[c]),
        .phase_o    (phase[c]),
        .buffer_o   (buffer[c]),
        .entry_o    (entry[c]),
        .enter_i    (enter[c]),
        .issue_i    (issue[c]),
        .leave_i    (leave[c]),
        .deliver_i  (deliver[c]),
        .fail_i     (fail[c]),
        .interrupt_o(interrupt_o[c]),
        .stopped_o  (queue_stopped[c]),
        .busy_o     (queue_busy[c])
    );
  end
  assign class_enable_o = run & {4{!stop_i}};
  assign stopped_o      = queue_stopped != '0;

  // ---- take frames ----------------------------------------------------------------------------------------------------
  logic in_frame_q, in_frame_d, discard_q, discard_d, discard, hopeless, room, take, first, keep;
  logic [8:0] free_q, free_d;  // beats
  logic jobs_full, records_full, job_valid, job_pop, beat_valid, beat_pop;
  logic [BeatBits-1:0] beat;
  job_t    job_in, job;
  record_t record_in, record;
  logic    record_valid, record_pop;

  // A queue that stopped, or that was started anew with smaller buffers, since the core chose the frame.
  assign hopeless     = !run[host_class_i] || 15'(host_record_i.length) > class_bytes_o[host_class_i];
  assign first        = !in_frame_q;
  assign discard      = stop_i || (first ? hopeless : discard_q);
  assign room         = free_q != '0 && (!first || (!jobs_full && !records_full && ready[host_class_i]));
  assign host_ready_o = discard || room;
  assign take         = host_valid_i && host_ready_o;
  assign keep         = take && !discard;
  // A class without room is not offered a frame, so that it does not stand before the others.
  assign class_ready_o = ready & {4{!stop_i && !jobs_full && !records_full}};

  always_comb begin
    in_frame_d = take ? !host_last_i : in_frame_q;
    discard_d  = take ? discard : discard_q;
    free_d     = free_q - 9'(keep) + 9'(beat_pop);
    enter      = '0;
    enter[host_class_i] = keep && first;
    job_in     = '{host_class_i, buffer[host_class_i], host_record_i.length[13:0]};
    record_in.host_class       = host_class_i;
    record_in.entry            = entry[host_class_i];
    record_in.completion       = host_record_i;
    record_in.completion.index = index[host_class_i];
    record_in.completion.phase = phase[host_class_i];
  end

  logic [$clog2(Frames + 1)-1:0] unused_jobs_level, unused_records_level, unused_whole_level;
  logic [$clog2(Writes + 1)-1:0] unused_order_level;
  logic unused_jobs_almost, unused_records_almost, unused_whole_full, unused_whole_almost, unused_order_almost;

  gw_fifo #(.Width($bits(job_t)), .Depth(Frames)) u_jobs (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(keep && first),
      .data_i(job_in),
      .valid_o(job_valid),
      .pop_i(job_pop),
      .data_o(job),
      .level_o(unused_jobs_level),
      .full_o(jobs_full),
      .almost_full_o(unused_jobs_almost)
  );
  gw_fifo #(.Width($bits(record_t)), .Depth(Frames)) u_records (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(keep && first),
      .data_i(record_in),
      .valid_o(record_valid),
      .pop_i(record_pop),
      .data_o(record),
      .level_o(unused_records_level),
      .full_o(records_full),
      .almost_full_o(unused_records_almost)
  );
  gw_deep_fifo #(.Width(BeatBits), .Depth(Beats), .Latency(TableLatency)) u_beats (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(keep),
      .data_i(host_data_i),
      .valid_o(beat_valid),
      .pop_i(beat_pop),
      .data_o(beat)
  );

  // ---- write payload, completions in between --------------------------------------------------------------------------
  logic [13:0] done_q, done_d;  // bytes of the job that were written or skipped
  logic [13:0] left;
  logic [ 7:0] beats_left;
  logic [ 2:0] burst_beats, burst_left_q, burst_left_d;  // `burst_left_q`: beats of the open burst, 0: none
  logic [ 2:0] burst_size_q, burst_size_d;
  logic [63:0] burst_address_q, burst_address_d, address;
  logic        in_burst, job_last, skip_q, skip_d, skip, skipped, payload_beat, payload_ready, completion_beat;
  logic        order_full, order_push, order_pop, order_valid;
  order_e      order_in, order;
  logic [3:0]  order_word;
  logic [1:0]  order_class_in, order_class;
  logic        whole_valid, whole_good, whole_push, whole_pop;

  assign left       = job.length - done_q;
  assign beats_left = 8'((15'(left) + 15'd63) >> 6);
  assign address    = job.address + 64'(done_q);
  assign in_burst   = burst_left_q != '0;
  assign job_last   = beats_left == 8'd1;
  // Decided at the frame's first beat of each burst, so that a burst that began is written whole.
  assign skip       = skip_q || (!in_burst && !run[job.host_class]);
  always_comb begin
    burst_beats = 3'(DmaWriteBeats) - {1'b0, address[7:6]};
    if (beats_left < 8'(burst_beats)) burst_beats = beats_left[2:0];
  end

  assign completion_beat = !in_burst && !order_full && whole_valid && whole_good && record_valid && run[record.host_class];
  // A frame of a queue that no longer runs is over without an answer: it waits for the answers to all before it.
  assign skipped         = skip && job_last && !order_valid;
  assign payload_ready   = job_valid && beat_valid && (in_burst || !order_full);
  assign payload_beat    = payload_ready && !skip && !completion_beat;
  assign write_valid_o   = (payload_beat || completion_beat) && !stop_i;
  assign beat_pop        = (payload_beat && write_valid_o && write_ready_i) || (payload_ready && skip && (skipped || !job_last) && !completion_beat && !stop_i);

  always_comb begin
    if (completion_beat) begin
      write_o = '{record.entry, 3'd1, 1'b1, '1, record.completion};
    end else begin
      write_o.address = in_burst ? burst_address_q : address;
      write_o.beats   = in_burst ? burst_size_q : burst_beats;
      write_o.last    = in_burst ? burst_left_q == 3'd1 : burst_beats == 3'd1;
      write_o.strobe  = job_last && left[5:0] != '0 ? {BeatBytes{1'b1}} >> (7'(BeatBytes) - 7'(left[5:0])) : '1;
      write_o.data    = beat;
    end
  end

  always_comb begin
    done_d          = done_q;
    burst_left_d    = burst_left_q;
    burst_size_d    = burst_size_q;
    burst_address_d = burst_address_q;
    skip_d          = skip_q;
    job_pop         = 1'b0;
    order_push      = 1'b0;
    order_in        = OrderBurst;
    order_class_in  = job.host_class;
    if (beat_pop) begin
      done_d  = done_q + 14'(BeatBytes);
      job_pop = job_last;
      if (job_last) done_d = '0;
      if (skip) begin
        skip_d = !job_last;
      end else begin
        burst_left_d = write_o.last ? '0 : in_burst ? burst_left_q - 1'b1 : burst_beats - 1'b1;
        order_push   = write_o.last;
        order_in     = job_last ? OrderWhole : OrderBurst;
        if (!in_burst) begin
          burst_address_d = address;
          burst_size_d    = burst_beats;
        end
      end
    end else if (completion_beat && write_valid_o && write_ready_i) begin
      order_push     = 1'b1;
      order_in       = OrderCompletion;
      order_class_in = record.host_class;
    end
  end

  gw_fifo #(.Width(4), .Depth(Writes)) u_order (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(order_push),
      .data_i({order_in, order_class_in}),
      .valid_o(order_valid),
      .pop_i(order_pop),
      .data_o(order_word),
      .level_o(unused_order_level),
      .full_o(order_full),
      .almost_full_o(unused_order_almost)
  );
  assign order       = order_e'(order_word[3:2]);
  assign order_class = order_word[1:0];

  // ---- answers --------------------------------------------------------------------------------------------------------
  logic       bad_q, bad_d;  // a burst of the frame failed
  logic       completed;
  logic       lost_record, lost_completion, delivered;

  assign order_pop  = done_valid_i;
  assign whole_push = (order_pop && order == OrderWhole) || (beat_pop && skipped);
  assign completed  = order_pop && order == OrderCompletion;
  always_comb begin
    bad_d = bad_q;
    if (order_pop && order == OrderBurst) bad_d = bad_q || done_error_i;
    if (whole_push) bad_d = 1'b0;
  end

  gw_fifo #(.Width(1), .Depth(Frames)) u_whole (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(whole_push),
      .data_i(order_pop && !bad_q && !done_error_i),
      .valid_o(whole_valid),
      .pop_i(whole_pop),
      .data_o(whole_good),
      .level_o(unused_whole_level),
      .full_o(unused_whole_full),
      .almost_full_o(unused_whole_almost)
  );
  // One frame of a class is over in a cycle: a lost one waits while a completion is answered.
  assign lost_record = whole_valid && record_valid && !(whole_good && run[record.host_class]) && !completed && !stop_i;
  assign record_pop  = lost_record || (completion_beat && write_valid_o && write_ready_i);
  assign whole_pop   = record_pop;

  // A failed completion breaks the order of indices: those behind it, already on their way, do not count either. A failed
  // frame stops its queue only when its turn to complete comes, so that all before it have their completions.
  logic [3:0] broken_q, broken_d;
  assign delivered       = completed && !done_error_i && !broken_q[order_class];
  assign lost_completion = completed && !delivered;

  always_comb begin
    issue   = '0;
    leave   = '0;
    deliver = '0;
    fail    = '0;
    if (completion_beat && write_valid_o && write_ready_i) issue[record.host_class] = 1'b1;
    if (lost_record) leave[record.host_class] = 1'b1;
    deliver[order_class] = delivered;
    fail[order_class]    = completed && done_error_i;
    if (lost_record && !whole_good) fail[record.host_class] = 1'b1;
    broken_d = broken_q & ~run;
    if (completed && done_error_i) broken_d[order_class] = 1'b1;
    if (completed) leave[order_class] = 1'b1;
  end

  // ---- what was taken and has not reached host memory -------------------------------------------------------------------
  logic [7:0] owed_q, owed_d;  // frames that the core counts as out
  logic [7:0] lost_q, lost_d;  // frames to report as lost
  logic [7:0] owed_punts_q, owed_punts_d;  // the punts among both
  logic [7:0] lost_punts_q, lost_punts_d;
  logic       whole_frame, lost_at_door, reset_owed;
  assign whole_frame  = keep && host_last_i;
  assign lost_at_door = take && discard && host_last_i && !stop_i;
  assign reset_owed   = stop_i && dma_idle_i;
  assign lost_o       = lost_q != '0;
  assign punt_lost_o  = lost_punts_q != '0;
  function automatic logic [7:0] punt(logic event_i, logic [1:0] class_i);
    return 8'(event_i && class_i == HostClassMiss);
  endfunction
  always_comb begin
    owed_d = owed_q + 8'(whole_frame) - 8'(completed) - 8'(lost_record);
    lost_d = lost_q - 8'(lost_o) + 8'(lost_at_door) + 8'(lost_record) + 8'(lost_completion);
    owed_punts_d = owed_punts_q + punt(whole_frame, host_class_i) - punt(completed, order_class) - punt(lost_record, record.host_class);
    lost_punts_d = lost_punts_q - 8'(punt_lost_o) + punt(lost_at_door, host_class_i) + punt(lost_record, record.host_class) +
        punt(lost_completion, order_class);
    if (reset_owed) begin
      lost_d       = lost_d + owed_d;
      owed_d       = '0;
      lost_punts_d = lost_punts_d + owed_punts_d;
      owed_punts_d = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    in_frame_q      <= in_frame_d;
    discard_q       <= discard_d;
    free_q          <= free_d;
    done_q          <= done_d;
    burst_left_q    <= burst_left_d;
    burst_size_q    <= burst_size_d;
    burst_address_q <= burst_address_d;
    skip_q          <= skip_d;
    bad_q           <= bad_d;
    broken_q        <= broken_d;
    owed_q          <= owed_d;
    lost_q          <= lost_d;
    owed_punts_q    <= owed_punts_d;
    lost_punts_q    <= lost_punts_d;
    if (!rst_ni) begin
      in_frame_q   <= 1'b0;
      free_q       <= 9'(Beats);
      done_q       <= '0;
      burst_left_q <= '0;
      skip_q       <= 1'b0;
      bad_q        <= 1'b0;
      broken_q     <= '0;
      owed_q       <= '0;
      lost_q       <= '0;
      owed_punts_q <= '0;
      lost_punts_q <= '0;
    end
  end

  assign busy_o  = in_frame_q || owed_q != '0 || lost_q != '0 || lost_punts_q != '0 || order_valid || queue_busy != '0;
  assign quiet_o = dma_idle_i && !in_frame_q && owed_q == '0 && lost_q == '0 && lost_punts_q == '0;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(done_valid_i && !order_valid)) else $error("gw_rx_ring: an answer to no write");
      assert (!(whole_valid && !record_valid)) else $error("gw_rx_ring: a whole frame without its record");
    end
  end
`endif
endmodule
