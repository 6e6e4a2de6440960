// Purpose: the command ring's work: gives commands to the core one after another, and moves their data.
// Latency: a read of host memory from doorbell to command; WRITE and DUMP stream.
// Throughput: one beat of data each cycle, in both directions.
// Drops when: never. Data that cannot be read or written ends the command with `dma_error`.
//
//   Idle -> Offer -> Check -> Run -> Drain -> Answer -> Idle;   an abort leads from each of them to Drain
//
// WRITE's data is asked for when the core has found the command good. A completion follows DUMP's last answer.
module gw_command_ring
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  logic stop_i,  // level, before a reset
    output logic quiet_o,  // the core holds no command of ours

    // gw_descriptor_ring
    input  logic         descriptor_valid_i,
    output logic         descriptor_ready_o,
    input  logic [511:0] descriptor_i,
    output logic         answer_valid_o,
    input  logic         answer_ready_i,
    output gw_answer_t   answer_o,
    input  logic         abort_i,

    // gw_core
    output logic                command_valid_o,
    input  logic                command_ready_i,
    output gw_command_t         command_o,
    input  logic                command_checked_valid_i,
    input  gw_status_e          command_checked_status_i,
    output logic                command_wdata_valid_o,
    input  logic                command_wdata_ready_i,
    output logic [BeatBits-1:0] command_wdata_o,
    output logic                command_wdata_error_o,
    input  logic                command_rdata_valid_i,
    output logic                command_rdata_ready_o,
    input  logic [BeatBits-1:0] command_rdata_i,
    input  logic                command_done_valid_i,
    input  gw_command_rsp_t     command_done_i,
    output logic                command_abort_o,

    // gw_dma_read: WRITE's data
    output logic                request_valid_o,
    input  logic                request_ready_i,
    output logic [63:0]         request_address_o,
    output logic [ 7:0]         request_beats_o,
    input  logic                read_valid_i,
    input  logic [BeatBits-1:0] read_data_i,
    input  logic                read_error_i,

    // gw_dma_write: DUMP's data
    output logic         write_valid_o,
    input  logic         write_ready_i,
    output gw_dma_beat_t write_o,
    input  logic         done_valid_i,
    input  logic         done_error_i
);
  localparam int unsigned Depth = 32;  // beats of data, each direction
  localparam int unsigned LevelBits = $clog2(Depth + 1);

  typedef enum logic [2:0] {
    StateIdle,
    StateOffer,
    StateCheck,
    StateRun,
    StateAbort,  // the core is told
    StateAborting,  // it ends the command
    StateDrain,
    StateAnswer
  } state_e;

  state_e          state_q, state_d;
  gw_command_t     command_q;
  gw_command_rsp_t response_q, response_d;
  logic            is_write, is_dump, begin_data, drained, abort;

  assign is_write = command_q.opcode == 8'(OpcodeWrite);
  assign is_dump  = command_q.opcode == 8'(OpcodeDump);
  assign abort    = abort_i || stop_i;

  // ---- WRITE: host memory to core ---------------------------------------------------------------------------------------
  logic [20:0]          read_left_q, read_left_d;  // beats not asked for
  logic [63:0]          read_address_q, read_address_d;
  logic [LevelBits-1:0] coming_q, coming_d, read_level;
  logic [ 7:0]          read_beats;
  logic                 fetch, data_valid, data_pop, unused_read_full, unused_read_almost;

  assign read_beats        = read_left_q < 21'(DmaReadBeats) ? read_left_q[7:0] : 8'(DmaReadBeats);
  assign request_valid_o   = state_q == StateRun && read_left_q != '0 && 32'(read_level) + 32'(coming_q) <= Depth - DmaReadBeats;
  assign request_address_o = read_address_q;
  assign request_beats_o   = read_beats;
  assign fetch             = request_valid_o && request_ready_i;

  gw_fifo #(.Width(BeatBits + 1), .Depth(Depth)) u_wdata (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(read_valid_i),
      .data_i({read_error_i, read_data_i}),
      .valid_o(data_valid),
      .pop_i(data_pop),
      .data_o({command_wdata_error_o, command_wdata_o}),
      .level_o(read_level),
      .full_o(unused_read_full),
      .almost_full_o(unused_read_almost)
  );
  assign command_wdata_valid_o = data_valid && state_q == StateRun;
  assign data_pop = data_valid && (command_wdata_valid_o ? command_wdata_ready_i : state_q == StateDrain);

  // ---- DUMP: core to host memory ------------------------------------------------------------------------------------------
  logic [20:0]          write_left_q, write_left_d;  // beats not written
  logic [63:0]          write_address_q, write_address_d;  // of the open burst, or of the next
  logic [ 2:0]          burst, burst_q, burst_d, burst_left_q, burst_left_d;
  logic [20:0]          writing_q, writing_d;  // bursts not answered
  logic [LevelBits-1:0] write_level;
  logic                 failed_q, failed_d, in_burst, dump_valid, dump_pop, dump_full, discard, collect, write, unused_dump_almost;
  logic [BeatBits-1:0]  dump_data;

  assign in_burst = burst_left_q != '0;
  assign discard  = state_q == StateDrain && (response_q.status != StatusOk);
  assign collect  = state_q == StateRun || (state_q == StateDrain && !discard);
  always_comb begin
    burst = 3'(DmaWriteBeats) - {1'b0, write_address_q[7:6]};
    if (write_left_q < 21'(burst)) burst = write_left_q[2:0];
  end

  gw_fifo #(.Width(BeatBits), .Depth(Depth)) u_rdata (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(command_rdata_valid_i && command_rdata_ready_o && collect),
      .data_i(command_rdata_i),
      .valid_o(dump_valid),
      .pop_i(dump_pop),
      .data_o(dump_data),
      .level_o(write_level),
      .full_o(dump_full),
      .almost_full_o(unused_dump_almost)
  );
  // An abort waits for the end of a burst that began: its beats are here.
  assign command_rdata_ready_o = !dump_full || !collect;
  assign write_valid_o = in_burst || (collect && write_left_q != '0 && write_level >= LevelBits'(burst));
  assign write = write_valid_o && write_ready_i;
  assign write_o.address = write_address_q;
  assign write_o.beats   = in_burst ? burst_q : burst;
  assign write_o.last    = in_burst ? burst_left_q == 3'd1 : burst == 3'd1;
  assign write_o.strobe  = '1;
  assign write_o.data    = dump_data;
  assign dump_pop        = write || (dump_valid && discard && !in_burst);

  always_comb begin
    read_left_d     = read_left_q - (fetch ? 21'(read_beats) : '0);
    read_address_d  = read_address_q + (fetch ? {50'd0, read_beats, 6'd0} : '0);
    coming_d        = coming_q + (fetch ? LevelBits'(read_beats) : '0) - LevelBits'(read_valid_i);
    write_left_d    = write_left_q - 21'(write);
    write_address_d = write_address_q;
    burst_d         = burst_q;
    burst_left_d    = burst_left_q;
    if (write) begin
      burst_left_d = in_burst ? burst_left_q - 1'b1 : burst - 1'b1;
      if (!in_burst) burst_d = burst;
      if (write_o.last) write_address_d = write_address_q + {55'd0, write_o.beats, 6'd0};
    end
    writing_d = writing_q + 21'(write && write_o.last) - 21'(done_valid_i);
    failed_d  = failed_q || (done_valid_i && done_error_i);
    if (begin_data) begin
      read_left_d     = is_write ? command_q.count[20:0] : '0;
      read_address_d  = command_q.address;
      write_left_d    = is_dump ? command_q.count[20:0] : '0;
      write_address_d = command_q.address;
      failed_d        = 1'b0;
    end
  end

  // ---- one command after another ------------------------------------------------------------------------------------------
  assign drained = coming_q == '0 && !data_valid && writing_q == '0 && !in_burst &&
      (discard ? !dump_valid : write_left_q == '0);

  always_comb begin
    state_d            = state_q;
    response_d         = response_q;
    begin_data         = 1'b0;
    command_abort_o    = 1'b0;
    descriptor_ready_o = 1'b0;
    unique case (state_q)
      StateIdle: begin
        descriptor_ready_o = !abort;
        if (descriptor_valid_i && descriptor_ready_o) state_d = StateOffer;
      end
      StateOffer: begin
        begin_data = 1'b1;  // counts are ready when the core has checked them
        response_d = '{StatusAborted, '0};
        if (command_valid_o && command_ready_i) state_d = StateCheck;
        else if (abort) state_d = StateAnswer;
      end
      StateCheck: begin
        if (abort) begin
          state_d = StateAbort;
        end else if (command_checked_valid_i) begin
          response_d = '{command_checked_status_i, '0};
          state_d    = command_checked_status_i == StatusOk ? StateRun : StateAnswer;
        end
      end
      StateRun: begin
        if (command_done_valid_i) begin
          response_d = command_done_i;
          state_d    = StateDrain;
        end else if (abort) begin
          response_d = '{StatusAborted, '0};
          state_d    = StateAbort;
        end
      end
      StateAbort: begin
        command_abort_o = 1'b1;
        response_d      = '{StatusAborted, '0};
        state_d         = StateAborting;
      end
      StateAborting: begin
        if (command_ready_i) state_d = StateDrain;
      end
      StateDrain: begin
        if (drained) begin
          state_d = StateAnswer;
          if (is_dump && failed_q && response_q.status == StatusOk) response_d.status = StatusDmaError;
        end
      end
      default: begin  // StateAnswer
        if (answer_ready_i) state_d = StateIdle;
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q         <= state_d;
    response_q      <= response_d;
    read_left_q     <= read_left_d;
    read_address_q  <= read_address_d;
    coming_q        <= coming_d;
    write_left_q    <= write_left_d;
    write_address_q <= write_address_d;
    burst_q         <= burst_d;
    burst_left_q    <= burst_left_d;
    writing_q       <= writing_d;
    failed_q        <= failed_d;
    if (descriptor_valid_i && descriptor_ready_o) command_q <= gw_command_t'(descriptor_i);
    if (!rst_ni) begin
      state_q      <= StateIdle;
      coming_q     <= '0;
      read_left_q  <= '0;
      write_left_q <= '0;
      burst_left_q <= '0;
      writing_q    <= '0;
      failed_q     <= 1'b0;
    end
  end

  assign command_valid_o = state_q == StateOffer && !abort;
  assign command_o       = command_q;
  assign answer_valid_o  = state_q == StateAnswer;
  assign answer_o        = '{response_q.status, command_q.tag, response_q.result};
  assign quiet_o         = state_q != StateCheck && state_q != StateRun && state_q != StateAbort && state_q != StateAborting;
endmodule
