// Purpose: the ring that the host fills and the card answers (TX, command): descriptors in, completions out, in order.
// Latency: a read of host memory from doorbell to descriptor; a write from answer to `completed`.
// Throughput: up to 8 descriptors a read; one completion a cycle.
// Drops when: never. A wrong doorbell or phase, or a failed access stops the ring, after all earlier descriptors completed.
//
//          enable          bad doorbell, bad phase, failed access
//   Off ---------> Run ------------------------------------------> Stopping -- all answered --> Stopped
//    ^              |                                                  |                          |
//    +--- quiet --- Leave <------------------- disabled ---------------+--------------------------+
module gw_descriptor_ring
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  gw_descriptor_ring_config_t config_i,
    output gw_descriptor_ring_state_t  state_o,

    // descriptors, each once; the taker answers each with one completion, in order
    output logic         descriptor_valid_o,
    input  logic         descriptor_ready_i,
    output logic [511:0] descriptor_o,
    input  logic         answer_valid_i,
    output logic         answer_ready_o,
    input  gw_answer_t   answer_i,
    output logic         abort_o,  // level: answer what was taken as soon as possible; nothing is written any more

    // gw_dma_read
    output logic                request_valid_o,
    input  logic                request_ready_i,
    output logic [63:0]         request_address_o,
    output logic [ 7:0]         request_beats_o,
    input  logic                read_valid_i,
    input  logic [BeatBits-1:0] read_data_i,
    input  logic                read_error_i,

    // gw_dma_write
    output logic         write_valid_o,
    input  logic         write_ready_i,
    output gw_dma_beat_t write_o,
    input  logic         done_valid_i,
    input  logic         done_error_i,

    output logic interrupt_o,  // pulse: the armed interrupt is due
    output logic stopped_o,  // pulse: the ring stopped
    output logic busy_o  // it has work
);
  localparam int unsigned Depth = 16;  // descriptors read ahead
  localparam int unsigned Batch = 8;
  localparam int unsigned LevelBits = $clog2(Depth + 1);

  typedef enum logic [2:0] {
    StateOff,
    StateRun,
    StateStopping,
    StateStopped,
    StateLeave
  } state_e;

  state_e      state_q, state_d;
  gw_status_e  cause_q, cause_d, start_status;
  logic [ 7:0] status_q, status_d;
  logic        doorbell_q, doorbell_d, bad_doorbell_q, bad_doorbell_d, failed_q, failed_d, start, all_answered;
  logic [15:0] size, mask;
  logic [15:0] producer_q, producer_d;  // the last good doorbell
  logic [15:0] fetched_q, fetched_d;  // descriptors asked for
  logic [15:0] taken_q, taken_d;  // descriptors given to the taker
  logic [15:0] answered_q, answered_d;  // completions on their way: the host may have seen them
  logic [15:0] completed_q, completed_d;  // completions that host memory answered
  logic [LevelBits-1:0] coming_q, coming_d;  // descriptors asked for and not here yet
  logic [ 6:0] writing_q, writing_d;  // completions not answered yet

  assign size = 16'd1 << config_i.size_log2;
  assign mask = size - 16'd1;

  always_comb begin
    start_status = StatusOk;
    if (config_i.base[5:0] != '0 || config_i.completion[5:0] != '0) start_status = StatusBadAddress;
    if (config_i.size_log2 == '0 || config_i.size_log2 > 4'(RingSizeLog2Max)) start_status = StatusOutOfRange;
  end

  // ---- fetch --------------------------------------------------------------------------------------------------------
  logic [15:0] pending, to_end, batch;
  logic        fetch;
  logic [LevelBits-1:0] level;
  always_comb begin
    pending = producer_q - fetched_q;
    to_end  = size - (fetched_q & mask);
    batch   = 16'(Batch);
    if (pending < batch) batch = pending;
    if (to_end < batch) batch = to_end;
  end
  assign request_valid_o   = state_q == StateRun && pending != '0 && 32'(level) + 32'(coming_q) <= Depth - Batch;
  assign request_address_o = config_i.base + {42'd0, fetched_q & mask, 6'd0};
  assign request_beats_o   = batch[7:0];
  assign fetch             = request_valid_o && request_ready_i;

  logic head_valid, head_pop, head_error, unused_full, unused_almost;
  gw_fifo #(.Width(BeatBits + 1), .Depth(Depth)) u_descriptors (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(read_valid_i),
      .data_i({read_error_i, read_data_i}),
      .valid_o(head_valid),
      .pop_i(head_pop),
      .data_o({head_error, descriptor_o}),
      .level_o(level),
      .full_o(unused_full),
      .almost_full_o(unused_almost)
  );

  // ---- give -----------------------------------------------------------------------------------------------------------
  logic due_phase, head_good, take;
  assign due_phase          = !((taken_q & size) != '0);
  assign head_good          = !head_error && descriptor_o[0] == due_phase;
  assign descriptor_valid_o = state_q == StateRun && head_valid && head_good;
  assign take               = descriptor_valid_o && descriptor_ready_i;
  assign head_pop           = head_valid && (take || state_q != StateRun);

  // ---- answer ---------------------------------------------------------------------------------------------------------
  gw_completion_t completion;
  logic           silent, answered;
  always_comb begin
    completion        = '0;
    completion.phase  = !((answered_q & size) != '0);
    completion.status = 8'(answer_i.status);
    completion.index  = answered_q;
    completion.tag    = answer_i.tag;
    completion.result = answer_i.result;
  end
  assign silent         = state_q == StateLeave || failed_q;
  assign write_valid_o  = answer_valid_i && !silent && writing_q < 7'd64;
  assign write_o        = '{config_i.completion + {42'd0, answered_q & mask, 6'd0}, 3'd1, 1'b1, '1, completion};
  assign answer_ready_o = silent || (write_valid_o && write_ready_i);
  assign answered       = answer_valid_i && answer_ready_o;
  assign abort_o        = state_q == StateLeave;

  // ---- state ----------------------------------------------------------------------------------------------------------
  always_comb begin
    state_d        = state_q;
    cause_d        = cause_q;
    status_d       = status_q;
    doorbell_d     = (doorbell_q || config_i.producer_written) && config_i.enable;
    bad_doorbell_d = bad_doorbell_q;
    failed_d       = failed_q;
    producer_d     = producer_q;
    fetched_d      = fetched_q + (fetch ? batch : '0);
    taken_d        = taken_q + 16'(take);
    answered_d     = answered_q + 16'(answered);
    completed_d    = completed_q;
    coming_d       = coming_q + (fetch ? LevelBits'(batch) : '0) - LevelBits'(read_valid_i);
    writing_d      = writing_q + 7'(write_valid_o && write_ready_i) - 7'(done_valid_i);
    stopped_o      = 1'b0;
    start          = 1'b0;
    all_answered   = answered_q == taken_q && writing_q == '0;

    if (done_valid_i) begin
      if (done_error_i || failed_q) failed_d = 1'b1;
      else completed_d = completed_q + 1'b1;
    end

    unique case (state_q)
      StateOff: begin
        if (config_i.enable) begin
          start    = 1'b1;
          status_d = 8'(start_status);
          state_d  = start_status == StatusOk ? StateRun : StateStopped;
          stopped_o = start_status != StatusOk;
          producer_d     = '0;
          fetched_d      = '0;
          taken_d        = '0;
          answered_d     = '0;
          completed_d    = '0;
          bad_doorbell_d = 1'b0;
          failed_d       = 1'b0;
        end
      end
      StateRun: begin
        // The host counts what it has seen: completions whose write was not answered yet count as completed here.
        if (doorbell_q && !config_i.producer_written) begin
          doorbell_d = 1'b0;
          if (!bad_doorbell_q) begin
            if (16'(config_i.producer - producer_q) > size || 16'(config_i.producer - answered_q) > size) bad_doorbell_d = 1'b1;
            else producer_d = config_i.producer;
          end
        end
        if (failed_d) begin
          state_d = StateStopping;
          cause_d = StatusDmaError;
        end else if (head_valid && !head_good) begin
          state_d = StateStopping;
          cause_d = head_error ? StatusDmaError : StatusBadPhase;
        end else if (bad_doorbell_q && taken_q == producer_q) begin
          state_d = StateStopping;
          cause_d = StatusBadDoorbell;
        end
        if (!config_i.enable) state_d = StateLeave;
      end
      StateStopping: begin
        if (failed_q) cause_d = StatusDmaError;
        if (all_answered) begin
          state_d   = StateStopped;
          status_d  = 8'(cause_d);
          stopped_o = 1'b1;
        end
        if (!config_i.enable) state_d = StateLeave;
      end
      StateStopped: begin
        if (!config_i.enable) state_d = StateLeave;
      end
      default: begin  // StateLeave
        if (all_answered && coming_q == '0 && !head_valid) state_d = StateOff;
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q        <= state_d;
    cause_q        <= cause_d;
    status_q       <= status_d;
    doorbell_q     <= doorbell_d;
    bad_doorbell_q <= bad_doorbell_d;
    failed_q       <= failed_d;
    producer_q     <= producer_d;
    fetched_q      <= fetched_d;
    taken_q        <= taken_d;
    answered_q     <= answered_d;
    completed_q    <= completed_d;
    coming_q       <= coming_d;
    writing_q      <= writing_d;
    if (!rst_ni) begin
      state_q     <= StateOff;
      status_q    <= '0;
      doorbell_q  <= 1'b0;
      completed_q <= '0;
      coming_q    <= '0;
      writing_q   <= '0;
      taken_q     <= '0;
      answered_q  <= '0;
      fetched_q   <= '0;
      producer_q  <= '0;
      failed_q    <= 1'b0;
      bad_doorbell_q <= 1'b0;
    end
  end

  gw_ring_arm u_arm (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .enable_i     (config_i.enable && state_q != StateLeave && !start),
      .arm_written_i(config_i.arm_written),
      .arm_i        (config_i.arm),
      .done_i       (completed_q),
      .issued_i     (silent ? completed_q : answered_q),
      .fire_o       (interrupt_o)
  );

  assign state_o = '{completed_q, status_q};
  // In StateOff with `enable` it starts in the next cycle.
  assign busy_o  = config_i.producer_written || (state_q == StateOff && config_i.enable) || state_q == StateStopping ||
      state_q == StateLeave || (state_q == StateRun && (doorbell_q || bad_doorbell_q || producer_q != completed_q));

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(answer_valid_i && answered_q == taken_q)) else $error("gw_descriptor_ring: an answer without a descriptor");
    end
  end
`endif
endmodule
