// Purpose: writes records of traced packets and learned entries into a ring of host memory (CARD.md 9).
// Latency: 3 cycles from a record to its write.
// Throughput: a record of each kind in each cycle in, one out, as gw_dma_write serves this channel last.
// Drops when: RecordsWaiting records of its kind wait already: the record is lost (`lost_o`). What waits when the ring ends is forgotten.
//
//   traces ------> waiting --\
//                             one a cycle -> write -> B: delivered, interrupt
//   flow events -> waiting --/
module gw_record_ring
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  logic stop_i,  // level, before a reset
    input  logic bus_master_i,
    input  logic [31:0] time_us_i,

    input  gw_rx_queue_config_t config_i,  // as an RX queue without buffers
    output gw_rx_queue_state_t  state_o,
    output logic [1:0][31:0]    made_o,  // records since the ring was enabled, lost ones included: traces, flow events

    // gw_core
    input  logic             trace_valid_i,
    input  gw_trace_record_t trace_i,
    input  logic             event_valid_i,
    input  gw_flow_event_t   event_i,
    output logic [1:0]       lost_o,  // records that were lost, a cycle later

    // gw_dma_write
    output logic         write_valid_o,
    input  logic         write_ready_i,
    output gw_dma_beat_t write_o,
    input  logic         done_valid_i,
    input  logic         done_error_i,

    output logic interrupt_o,
    output logic stopped_o,
    output logic busy_o
);
  localparam int unsigned UnderWay = 16;  // writes that were not answered
  localparam int unsigned SequenceBits = 20;

  // ---- the ring -------------------------------------------------------------------------------------------------------
  logic        run, ready, phase, take, done, queue_busy;
  logic [63:0] entry, unused_buffer;
  logic [14:0] unused_bytes;
  logic [15:0] unused_index;
  assign done = done_valid_i;

  gw_rx_queue u_queue (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .config_i   (config_i),
      .state_o    (state_o),
      .run_o      (run),
      .ready_o    (ready),
      .bytes_o    (unused_bytes),
      .index_o    (unused_index),
      .phase_o    (phase),
      .buffer_o   (unused_buffer),
      .entry_o    (entry),
      .enter_i    (take),
      .issue_i    (take),
      .leave_i    (done),
      .deliver_i  (done && !done_error_i && run),
      .fail_i     (done && done_error_i),
      .interrupt_o(interrupt_o),
      .stopped_o  (stopped_o),
      .busy_o     (queue_busy)
  );

  // ---- records wait -----------------------------------------------------------------------------------------------------
  gw_flow_event_record_t event_record;
  logic [1:0]            made, full, push, waits, pop, lost_q;
  logic [1:0][511:0]     record, waiting;
  logic [1:0][31:0]      made_q;

  always_comb begin
    event_record = '0;
    event_record.kind             = RecordKindFlowEvent;
    event_record.replaced         = event_i.replaced;
    event_record.timestamp        = time_us_i;
    {event_record.vip, event_record.source, event_record.source_port, event_record.destination_port} = event_i.key;
    event_record.flow_place       = {2'(32'(event_i.place >> FlowRowBits) / FlowWays), 2'(32'(event_i.place >> FlowRowBits) % FlowWays)};
    event_record.backend          = event_i.backend;
    event_record.generation       = event_i.generation;
    event_record.index            = 20'(event_i.place);
    event_record.sequence_number  = made_q[1][SequenceBits-1:0];
    record[1] = event_record;
  end
  gw_trace_record_t trace_record;
  always_comb begin
    trace_record = trace_i;
    trace_record.sequence_number = made_q[0][SequenceBits-1:0];
    record[0] = trace_record;
  end

  assign made = {event_valid_i, trace_valid_i} & {2{run}};
  assign push = made & ~full;
  for (genvar k = 0; k < 2; k++) begin : gen_kind
    logic unused_almost;
    logic [$clog2(RecordsWaiting + 1)-1:0] unused_level;
    gw_fifo #(.Width(512), .Depth(RecordsWaiting)) u_waiting (
        .clk_i        (clk_i),
        .rst_ni       (rst_ni && run),
        .push_i       (push[k]),
        .data_i       (record[k]),
        .valid_o      (waits[k]),
        .pop_i        (pop[k]),
        .data_o       (waiting[k]),
        .level_o      (unused_level),
        .full_o       (full[k]),
        .almost_full_o(unused_almost)
    );
  end

  always_ff @(posedge clk_i) begin
    lost_q <= made & full;
    for (int unsigned k = 0; k < 2; k++) made_q[k] <= made_q[k] + 32'(made[k]);
    if (!rst_ni) lost_q <= '0;
    if (!rst_ni || !config_i.enable) made_q <= '0;
  end
  assign lost_o = lost_q;
  assign made_o = made_q;

  // ---- one of them is written -----------------------------------------------------------------------------------------
  logic         out_valid_q, turn_q, chosen, may;
  gw_dma_beat_t out_q;
  logic [$clog2(UnderWay + 1)-1:0] under_way_q;

  assign may    = run && ready && bus_master_i && !stop_i && under_way_q != $bits(under_way_q)'(UnderWay);
  assign chosen = waits == 2'b11 ? turn_q : waits[1];
  assign take   = may && waits != '0 && (!out_valid_q || write_ready_i);
  always_comb begin
    pop = '0;
    pop[chosen] = take;
  end

  always_ff @(posedge clk_i) begin
    out_valid_q <= take || (out_valid_q && !write_ready_i);
    under_way_q <= under_way_q + $bits(under_way_q)'(take) - $bits(under_way_q)'(done);
    if (take) begin
      turn_q <= !chosen;
      out_q  <= '{entry, 3'd1, 1'b1, '1, waiting[chosen] | 512'(phase)};
    end
    if (!rst_ni) begin
      out_valid_q <= 1'b0;
      under_way_q <= '0;
      turn_q      <= 1'b0;
    end
  end
  assign write_valid_o = out_valid_q;
  assign write_o       = out_q;

  assign busy_o = queue_busy || out_valid_q || under_way_q != '0 || made != '0 || (may && waits != '0);

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(done_valid_i && under_way_q == '0)) else $error("gw_record_ring: an answer to no write");
  end
`endif
endmodule
