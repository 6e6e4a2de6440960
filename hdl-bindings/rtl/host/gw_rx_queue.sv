// Purpose: the indices and the state of one class's RX queue: where its next frame goes, and whether there is room.
// Latency: 1 cycle.
// Throughput: one frame in, one out each cycle.
// Drops when: never; a failed write stops the queue, and frames under way are then lost (gw_rx_ring counts them).
//
//   Off -- enable --> Run -- failed write --> Stopped;  disabled: Leave until no frame is under way, then Off
module gw_rx_queue
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  gw_rx_queue_config_t config_i,
    output gw_rx_queue_state_t  state_o,

    // gw_rx_ring
    output logic        run_o,
    output logic        ready_o,  // room for one more frame
    output logic [14:0] bytes_o,  // of a buffer
    output logic [15:0] index_o,  // of the next frame
    output logic        phase_o,
    output logic [63:0] buffer_o,  // its buffer
    output logic [63:0] entry_o,  // its completion
    input  logic        enter_i,  // a frame takes the index
    input  logic        issue_i,  // a completion is on its way: the host may see it
    input  logic        leave_i,  // a frame is over
    input  logic        deliver_i,  // with `leave_i`: it and its completion were written
    input  logic        fail_i,  // a write failed

    output logic interrupt_o,
    output logic stopped_o,
    output logic busy_o
);
  typedef enum logic [1:0] {
    StateOff,
    StateRun,
    StateStopped,
    StateLeave
  } state_e;

  state_e      state_q, state_d;
  gw_status_e  start_status;
  logic [ 7:0] status_q, status_d;
  logic [15:0] size, mask, slot;
  logic [15:0] consumer_q, consumer_d, next_q, next_d, issued_q, issued_d, producer_q, producer_d;
  logic        written_q, written_d, ready_q;
  logic [ 6:0] under_way_q, under_way_d;

  assign size = 16'd1 << config_i.size_log2;
  assign mask = size - 16'd1;
  assign slot = next_q & mask;

  always_comb begin
    start_status = StatusOk;
    if (config_i.base[5:0] != '0 || config_i.buffer[5:0] != '0) start_status = StatusBadAddress;
    if (config_i.size_log2 == '0 || config_i.size_log2 > 4'(RingSizeLog2Max) || config_i.stride_log2 < 4'd6 ||
        config_i.stride_log2 > 4'd14) start_status = StatusOutOfRange;
  end

  always_comb begin
    state_d     = state_q;
    status_d    = status_q;
    consumer_d  = consumer_q;
    written_d   = (written_q || config_i.consumer_written) && config_i.enable;
    next_d      = next_q + 16'(enter_i);
    issued_d    = issued_q + 16'(issue_i);
    producer_d  = producer_q + 16'(deliver_i);
    under_way_d = under_way_q + 7'(enter_i) - 7'(leave_i);
    stopped_o   = 1'b0;
    unique case (state_q)
      StateOff: begin
        if (config_i.enable) begin
          consumer_d = '0;
          next_d     = '0;
          issued_d   = '0;
          producer_d = '0;
          status_d   = 8'(start_status);
          stopped_o  = start_status != StatusOk;
          state_d    = start_status == StatusOk ? StateRun : StateStopped;
        end
      end
      StateRun: begin
        if (written_q && !config_i.consumer_written) begin
          written_d  = 1'b0;
          consumer_d = config_i.consumer;
        end
        if (fail_i) begin
          state_d   = StateStopped;
          status_d  = 8'(StatusDmaError);
          stopped_o = 1'b1;
        end
        if (!config_i.enable) state_d = StateLeave;
      end
      StateStopped: begin
        written_d = 1'b0;  // an index for a queue that has stopped means nothing
        if (!config_i.enable) state_d = StateLeave;
      end
      default: begin  // StateLeave
        if (under_way_q == '0) state_d = StateOff;
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q     <= state_d;
    status_q    <= status_d;
    consumer_q  <= consumer_d;
    written_q   <= written_d;
    next_q      <= next_d;
    issued_q    <= issued_d;
    producer_q  <= producer_d;
    under_way_q <= under_way_d;
    ready_q     <= state_d == StateRun && 16'(next_d - consumer_d) < size;
    if (!rst_ni) begin
      state_q     <= StateOff;
      status_q    <= '0;
      written_q   <= 1'b0;
      consumer_q  <= '0;
      next_q      <= '0;
      issued_q    <= '0;
      producer_q  <= '0;
      under_way_q <= '0;
      ready_q     <= 1'b0;
    end
  end

  gw_ring_arm u_arm (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .enable_i     (config_i.enable && state_q != StateLeave && state_q != StateOff),
      .arm_written_i(config_i.arm_written),
      .arm_i        (config_i.arm),
      .done_i       (producer_q),
      .issued_i     (state_q == StateRun ? issued_q : producer_q),
      .fire_o       (interrupt_o)
  );

  assign state_o  = '{producer_q, status_q};
  assign run_o    = state_q == StateRun;
  assign ready_o  = ready_q;
  assign bytes_o  = 15'd1 << config_i.stride_log2;
  assign index_o  = next_q;
  assign phase_o  = (next_q & size) == '0;
  assign buffer_o = config_i.buffer + ({48'd0, slot} << config_i.stride_log2);
  assign entry_o  = config_i.base + {42'd0, slot, 6'd0};
  assign busy_o   = state_q == StateLeave || (state_q == StateOff && config_i.enable) || written_q || config_i.consumer_written;
endmodule
