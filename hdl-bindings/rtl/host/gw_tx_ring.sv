// Purpose: the TX ring's work: reads the frames that descriptors name, and injects them into the path once they are whole.
// Latency: two reads of host memory from doorbell to inject (descriptor, frame).
// Throughput: several frames are read at once (up to 512 beats); injects one beat each cycle and about 6 cycles a frame.
// Drops when: a descriptor is wrong or its frame cannot be read: it completes with the status that says so, nothing enters.
//
//   descriptor -> judge -> read request -> frames (RAM, as they lie in memory) -> whole? -> realign -> inject -> completion
module gw_tx_ring
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic stop_i,  // level, before a reset: no further frame is begun

    // gw_descriptor_ring
    input  logic         descriptor_valid_i,
    output logic         descriptor_ready_o,
    input  logic [511:0] descriptor_i,
    output logic         answer_valid_o,
    input  logic         answer_ready_i,
    output gw_answer_t   answer_o,
    input  logic         abort_i,

    // gw_dma_read
    output logic                request_valid_o,
    input  logic                request_ready_i,
    output logic [63:0]         request_address_o,
    output logic [ 7:0]         request_beats_o,
    input  logic                read_valid_i,
    input  logic [BeatBits-1:0] read_data_i,
    input  logic                read_error_i,

    // gw_core
    output logic                 inject_valid_o,
    input  logic                 inject_ready_i,
    output logic [BeatBits-1:0]  inject_data_o,
    output logic [BeatBytes-1:0] inject_keep_o,
    output logic                 inject_last_o,
    output gw_inject_t           inject_user_o,
    output logic                 punt_ended_o,
    output logic                 injecting_o  // a frame is on its way into the path
);
  localparam int unsigned FrameBeats = 512;  // room for frames that were asked for
  localparam int unsigned Frames = 32;  // descriptors at work

  typedef enum logic [1:0] {
    WorkFail,
    WorkRelease,
    WorkFrame
  } work_e;
  typedef struct packed {
    work_e       work;
    gw_status_e  status;  // WorkFail
    logic [31:0] tag;
    gw_inject_t  inject;
    logic [5:0]  offset;
    frame_len_t  length;
    logic [7:0]  beats;  // that host memory holds it in
  } job_t;

  // ---- judge a descriptor, ask for its frame ------------------------------------------------------------------------
  gw_tx_descriptor_t descriptor;
  job_t        judged, job;
  logic        wraps, room, take, take_frame;
  logic [64:0] last_byte;
  logic [ 9:0] free_q, free_d;  // beats not reserved
  logic        jobs_full, job_valid, job_pop, unused_jobs_almost;
  logic [$clog2(Frames + 1)-1:0] unused_jobs_level;

  assign descriptor = gw_tx_descriptor_t'(descriptor_i);
  assign last_byte  = {1'b0, descriptor.address} + 65'(descriptor.length) - 65'd1;
  assign wraps      = last_byte[64];

  logic unused_descriptor;
  assign unused_descriptor = ^{descriptor.reserved_top, descriptor.reserved0, descriptor.reserved1, descriptor.phase, last_byte[63:0]};

  always_comb begin
    judged.work   = WorkFrame;
    judged.status = StatusOk;
    judged.tag    = descriptor.tag;
    judged.offset = descriptor.address[5:0];
    judged.length = frame_len_t'(descriptor.length);
    judged.beats  = 8'((15'(descriptor.address[5:0]) + 15'(judged.length) + 15'd63) >> 6);
    judged.inject = '{gw_tx_op_e'(descriptor.op[1:0]), descriptor.ends_punt, descriptor.vip, descriptor.backend,
                      descriptor.generation, descriptor.spread};
    if (descriptor.op > 8'(TxOpRelease)) begin
      judged.work   = WorkFail;
      judged.status = StatusBadOpcode;
    end else if (descriptor.op == 8'(TxOpRelease)) begin
      judged.work = WorkRelease;
    end else if (descriptor.length == '0 || descriptor.length > 16'(FrameMax)) begin
      judged.work   = WorkFail;
      judged.status = StatusBadLength;
    end else if (wraps) begin
      judged.work   = WorkFail;
      judged.status = StatusDmaError;
    end
  end

  assign room               = 10'(judged.beats) <= free_q;
  assign request_valid_o    = descriptor_valid_i && judged.work == WorkFrame && room && !jobs_full;
  assign request_address_o  = {descriptor.address[63:6], 6'd0};
  assign request_beats_o    = judged.beats;
  assign descriptor_ready_o = !jobs_full && (judged.work != WorkFrame || (room && request_ready_i));
  assign take               = descriptor_valid_i && descriptor_ready_o;
  assign take_frame         = take && judged.work == WorkFrame;

  gw_fifo #(.Width($bits(job_t)), .Depth(Frames)) u_jobs (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(take),
      .data_i(judged),
      .valid_o(job_valid),
      .pop_i(job_pop),
      .data_o(job),
      .level_o(unused_jobs_level),
      .full_o(jobs_full),
      .almost_full_o(unused_jobs_almost)
  );

  // ---- frames come ----------------------------------------------------------------------------------------------------
  logic       arriving_valid, arriving_pop, whole_valid, whole_pop, whole_error;
  logic [7:0] arriving_beats, arrived_q, arrived_d;
  logic       error_q, error_d;
  logic       beat_valid, beat_pop;
  logic [BeatBits-1:0] beat;
  logic [$clog2(Frames + 1)-1:0] unused_arriving_level, unused_whole_level;
  logic unused_arriving_full, unused_arriving_almost, unused_whole_full, unused_whole_almost;

  gw_fifo #(.Width(8), .Depth(Frames)) u_arriving (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(take_frame),
      .data_i(judged.beats),
      .valid_o(arriving_valid),
      .pop_i(arriving_pop),
      .data_o(arriving_beats),
      .level_o(unused_arriving_level),
      .full_o(unused_arriving_full),
      .almost_full_o(unused_arriving_almost)
  );
  gw_fifo #(.Width(1), .Depth(Frames)) u_whole (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(arriving_pop),
      .data_i(error_q || read_error_i),
      .valid_o(whole_valid),
      .pop_i(whole_pop),
      .data_o(whole_error),
      .level_o(unused_whole_level),
      .full_o(unused_whole_full),
      .almost_full_o(unused_whole_almost)
  );
  gw_deep_fifo #(.Width(BeatBits), .Depth(FrameBeats), .Latency(TableLatency)) u_frames (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(read_valid_i),
      .data_i(read_data_i),
      .valid_o(beat_valid),
      .pop_i(beat_pop),
      .data_o(beat)
  );

  assign arriving_pop = read_valid_i && arriving_valid && arrived_q == arriving_beats - 1'b1;
  always_comb begin
    arrived_d = arrived_q;
    error_d   = error_q;
    if (read_valid_i) begin
      arrived_d = arriving_pop ? '0 : arrived_q + 1'b1;
      error_d   = !arriving_pop && (error_q || read_error_i);
    end
    free_d = free_q - (take_frame ? 10'(judged.beats) : '0) + 10'(beat_pop);
  end

  // ---- one job after another ------------------------------------------------------------------------------------------
  typedef enum logic [1:0] {
    StateIdle,
    StateDiscard,
    StateInject,
    StateAnswer
  } state_e;

  state_e     state_q, state_d;
  gw_status_e status_q, status_d;
  logic [7:0] left_q, left_d;
  logic       start, realign_ready, injected;

  assign injected = inject_valid_o && inject_ready_i && inject_last_o;

  always_comb begin
    state_d      = state_q;
    status_d     = status_q;
    left_d       = left_q;
    start        = 1'b0;
    job_pop      = 1'b0;
    whole_pop    = 1'b0;
    punt_ended_o = 1'b0;
    unique case (state_q)
      StateIdle: begin
        if (job_valid && !stop_i) begin
          unique case (job.work)
            WorkFail: begin
              status_d = job.status;
              state_d  = StateAnswer;
            end
            WorkRelease: begin
              status_d     = abort_i ? StatusAborted : StatusOk;
              punt_ended_o = !abort_i;
              state_d      = StateAnswer;
            end
            default: begin
              left_d = job.beats;
              if (whole_valid) begin
                whole_pop = 1'b1;
                status_d  = whole_error ? StatusDmaError : abort_i ? StatusAborted : StatusOk;
                start     = status_d == StatusOk;
                state_d   = start ? StateInject : StateDiscard;
              end
            end
          endcase
        end
      end
      StateDiscard: begin
        if (beat_valid) left_d = left_q - 1'b1;
        if (left_d == '0) state_d = StateAnswer;
      end
      StateInject: begin
        if (injected) begin
          punt_ended_o = job.inject.ends_punt;
          state_d      = StateAnswer;
        end
      end
      default: begin  // StateAnswer
        if (answer_ready_i) begin
          job_pop = 1'b1;
          state_d = StateIdle;
        end
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q   <= state_d;
    status_q  <= status_d;
    left_q    <= left_d;
    arrived_q <= arrived_d;
    error_q   <= error_d;
    free_q    <= free_d;
    if (!rst_ni) begin
      state_q   <= StateIdle;
      arrived_q <= '0;
      error_q   <= 1'b0;
      free_q    <= 10'(FrameBeats);
    end
  end

  assign beat_pop = beat_valid && (state_q == StateDiscard || (state_q == StateInject && realign_ready));

  gw_realign u_realign (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .start_i    (start),
      .offset_i   (job.offset),
      .length_i   (job.length),
      .in_valid_i (beat_valid && state_q == StateInject),
      .in_ready_o (realign_ready),
      .in_data_i  (beat),
      .out_valid_o(inject_valid_o),
      .out_ready_i(inject_ready_i),
      .out_data_o (inject_data_o),
      .out_keep_o (inject_keep_o),
      .out_last_o (inject_last_o)
  );

  assign inject_user_o  = job.inject;
  assign answer_valid_o = state_q == StateAnswer;
  assign answer_o       = '{status_q, job.tag, '0};
  assign injecting_o    = state_q == StateInject;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(read_valid_i && !arriving_valid)) else $error("gw_tx_ring: a beat that belongs to no frame");
      assert (!(state_q == StateDiscard && left_q == '0)) else $error("gw_tx_ring: nothing to discard");
    end
  end
`endif
endmodule
