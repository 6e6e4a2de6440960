// Purpose: counts what became of every frame, per disposition, port event, VIP and backend; answers commands' reads.
// Latency: a counter shows an event 7 cycles later.
// Throughput: one admission, one refusal and one of every other event each cycle, also to one address.
// Drops when: never. Counters wrap at 2^64.
//
// Register counters are cleared by reset, those in RAM by `request_i.clear` (after reset, while no frame is taken).
module gw_counters
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_command: tables counter, vip_counter, backend_counter, vip_over_meter
    input  gw_table_req_t       request_i,
    output logic                rvalid_o,
    output logic [BeatBits-1:0] rdata_o,

    // gw_admit
    // verilator lint_off UNUSEDSIGNAL
    input gw_admission_t admission_i,  // not its length
    // verilator lint_on UNUSEDSIGNAL

    // gw_ingress, wire
    input logic            wire_began_i,
    input logic [6:0]      wire_bytes_i,
    input logic            refused_i,
    input gw_disposition_e refused_disposition_i,  // drop_port_disabled or drop_ingress_full

    // gw_ingress, inject
    input logic injected_i,

    // gw_egress
    input logic        sent_i,
    input logic [13:0] sent_bytes_i,

    // gw_host_queue
    input logic        host_out_i,
    input logic        host_gone_i,
    input logic [31:0] punt_unanswered_i,

    // host side: a frame that had left towards the host did not reach its memory; it counts as gone, not as out
    input logic host_lost_i,

    // gw_flow_lookup; events in this cycle
    input logic [4:0] flow_ecc_corrected_i,
    input logic [4:0] flow_ecc_uncorrectable_i,

    // gw_flow_learn
    input logic       flow_learned_i,
    input logic       flow_displaced_i,
    input logic [1:0] flow_refused_i,

    // gw_record_ring: records lost in this cycle
    input logic [1:0] record_lost_i,

    // Reads see all counters of one moment while `held_o`, some cycles after `hold_i`. Behind it the counters in RAM are refreshed, in
    // cycles without an admission; another hold waits for that.
    input  logic        hold_i,
    output logic        held_o,

    output logic [31:0] in_flight_o  // frames begun and not yet counted as out, gone or dropped
);
  localparam int unsigned Counters = 64;
  localparam int unsigned FirstPort = 47;  // gw_port_counter_e begins here
  localparam int unsigned PortCounters = 17;
  localparam int unsigned HostOut = int'(PortCounterHostOut) - FirstPort;
  localparam int unsigned ReadLatency = 2;

  // ---- register counters: port events, and the two dispositions of refused frames -------------------------------------
  logic [PortCounters-1:0][63:0] port_q, port_d;
  logic [63:0] disabled_q, full_q;

  function automatic logic [31:0] add(gw_port_counter_e counter);
    unique case (counter)
      PortCounterQuicUnknown: return 32'(admission_i.valid && admission_i.quic_unknown);
      PortCounterWireIn: return 32'(wire_began_i);
      PortCounterWireInBytes: return 32'(wire_bytes_i);
      PortCounterInjected: return 32'(injected_i);
      PortCounterWireOut: return 32'(sent_i);
      PortCounterWireOutBytes: return sent_i ? 32'(sent_bytes_i) : '0;
      PortCounterHostGone: return 32'(host_gone_i) + 32'(host_lost_i);
      PortCounterPuntUnanswered: return punt_unanswered_i;
      PortCounterFlowEccCorrected: return 32'(flow_ecc_corrected_i);
      PortCounterFlowEccUncorrectable: return 32'(flow_ecc_uncorrectable_i);
      PortCounterHeartbeatFallback: return 32'(admission_i.valid && admission_i.heartbeat_fallback);
      PortCounterCycles: return 32'd1;
      PortCounterLearned: return 32'(flow_learned_i);
      PortCounterLearnDisplaced: return 32'(flow_displaced_i);
      PortCounterLearnRefused: return 32'(flow_refused_i);
      PortCounterRecordLost: return 32'(record_lost_i[0]) + 32'(record_lost_i[1]);
      default: return '0;
    endcase
  endfunction

  always_comb begin
    for (int unsigned i = 0; i < PortCounters; i++) begin
      port_d[i] = port_q[i] + 64'(add(gw_port_counter_e'(6'(FirstPort + i))));
    end
    if (host_out_i && !host_lost_i) port_d[HostOut] = port_q[HostOut] + 64'd1;
    if (!host_out_i && host_lost_i) port_d[HostOut] = port_q[HostOut] - 64'd1;
  end

  always_ff @(posedge clk_i) begin
    port_q     <= port_d;
    disabled_q <= disabled_q + 64'(refused_i && refused_disposition_i == DispositionDropPortDisabled);
    full_q     <= full_q + 64'(refused_i && refused_disposition_i != DispositionDropPortDisabled);
    if (!rst_ni) begin
      port_q     <= '0;
      disabled_q <= '0;
      full_q     <= '0;
    end
  end

  // ---- the moment that reads see ---------------------------------------------------------------------------------------
  localparam int unsigned Most = Backends > Vips ? (Backends > Counters ? Backends : Counters) : (Vips > Counters ? Vips : Counters);
  localparam int unsigned RefreshBits = $clog2(Most);
  localparam int unsigned Settled = 4;  // cycles from the last refresh to its counter

  typedef enum logic [1:0] {HoldLive, HoldHeld, HoldRefresh, HoldSettle} hold_e;
  hold_e                  hold_state_q;
  logic [RefreshBits-1:0] refresh_index_q;
  logic [1:0]             settle_q;
  logic                   held, refresh;
  logic [1:0]             held_q;  // of events in the same cycle, counters in RAM are written two cycles behind those in registers
  logic [PortCounters-1:0][63:0] port_shown_q;
  logic [63:0] disabled_shown_q, full_shown_q;

  assign held    = hold_state_q == HoldHeld;
  assign refresh = hold_state_q == HoldRefresh && !admission_i.valid;
  assign held_o  = held && held_q[1];
  always_ff @(posedge clk_i) begin
    held_q <= {held_q[0], held};
    unique case (hold_state_q)
      HoldLive: if (hold_i) hold_state_q <= HoldHeld;
      HoldHeld: begin
        refresh_index_q <= '0;
        if (!hold_i && held_q[1]) hold_state_q <= HoldRefresh;
      end
      HoldRefresh: begin
        settle_q <= '0;
        if (refresh) refresh_index_q <= refresh_index_q + 1'b1;
        if (refresh && refresh_index_q == RefreshBits'(Most - 1)) hold_state_q <= HoldSettle;
      end
      default: begin
        settle_q <= settle_q + 1'b1;
        if (settle_q == 2'(Settled - 1)) hold_state_q <= HoldLive;
      end
    endcase
    if (!held) begin
      port_shown_q     <= port_q;
      disabled_shown_q <= disabled_q;
      full_shown_q     <= full_q;
    end
    if (!rst_ni) begin
      hold_state_q <= HoldLive;
      held_q       <= '0;
    end
  end

  // ---- in flight: begun, and not at an end ------------------------------------------------------------------------------
  logic [31:0] in_flight_q;
  logic [1:0]  begun;
  logic [2:0]  over;
  logic [3:0]  change;  // signed
  logic        dropped;
  assign dropped = admission_i.valid && admission_i.disposition >= DispositionDropPortDisabled;
  assign begun   = 2'(wire_began_i && !refused_i) + 2'(injected_i);
  assign over    = 3'(sent_i) + 3'(host_out_i) + 3'(host_gone_i) + 3'(dropped);
  assign change  = 4'(begun) - 4'(over);
  always_ff @(posedge clk_i) begin
    in_flight_q <= in_flight_q + {{28{change[3]}}, change};
    if (!rst_ni) in_flight_q <= '0;
  end
  assign in_flight_o = in_flight_q;

  // ---- counters in RAM ----------------------------------------------------------------------------------------------
  logic read_counter, read_vip, read_backend, read_over_meter;
  gw_counter_entry_t disposition_entry, vip_entry, backend_entry, over_meter_entry, counter_entry;

  assign read_counter = request_i.read && request_i.table_id == TableCounter;
  assign read_vip     = request_i.read && request_i.table_id == TableVipCounter;
  assign read_backend = request_i.read && request_i.table_id == TableBackendCounter;
  assign read_over_meter = request_i.read && request_i.table_id == TableVipOverMeter;

  gw_counter_ram #(.Entries(Counters)) u_disposition (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .event_i(admission_i.valid),
      .event_index_i(admission_i.disposition),
      .event_bytes_i('0),
      .refresh_i(refresh && 32'(refresh_index_q) < Counters),
      .refresh_index_i(refresh_index_q[$clog2(Counters)-1:0]),
      .hold_i(held_q[0]),
      .clear_i(request_i.clear && request_i.index < 20'(Counters)),
      .clear_index_i(request_i.index[$clog2(Counters)-1:0]),
      .read_i(read_counter),
      .read_index_i(request_i.index[$clog2(Counters)-1:0]),
      .data_o(disposition_entry)
  );
  gw_counter_ram #(.Entries(Vips)) u_vip (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .event_i(admission_i.valid && admission_i.count_vip && admission_i.vip < 12'(Vips)),
      .event_index_i(admission_i.vip[$clog2(Vips)-1:0]),
      .event_bytes_i(admission_i.ip_bytes),
      .refresh_i(refresh && 32'(refresh_index_q) < Vips),
      .refresh_index_i(refresh_index_q[$clog2(Vips)-1:0]),
      .hold_i(held_q[0]),
      .clear_i(request_i.clear && request_i.index < 20'(Vips)),
      .clear_index_i(request_i.index[$clog2(Vips)-1:0]),
      .read_i(read_vip),
      .read_index_i(request_i.index[$clog2(Vips)-1:0]),
      .data_o(vip_entry)
  );
  gw_counter_ram #(.Entries(Vips)) u_over_meter (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .event_i(admission_i.valid && admission_i.over_meter && admission_i.vip < 12'(Vips)),
      .event_index_i(admission_i.vip[$clog2(Vips)-1:0]),
      .event_bytes_i(admission_i.ip_bytes),
      .refresh_i(refresh && 32'(refresh_index_q) < Vips),
      .refresh_index_i(refresh_index_q[$clog2(Vips)-1:0]),
      .hold_i(held_q[0]),
      .clear_i(request_i.clear && request_i.index < 20'(Vips)),
      .clear_index_i(request_i.index[$clog2(Vips)-1:0]),
      .read_i(read_over_meter),
      .read_index_i(request_i.index[$clog2(Vips)-1:0]),
      .data_o(over_meter_entry)
  );
  gw_counter_ram #(.Entries(Backends)) u_backend (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .event_i(admission_i.valid && admission_i.count_backend && admission_i.backend < 16'(Backends)),
      .event_index_i(admission_i.backend[$clog2(Backends)-1:0]),
      .event_bytes_i(admission_i.ip_bytes),
      .refresh_i(refresh && 32'(refresh_index_q) < Backends),
      .refresh_index_i(refresh_index_q[$clog2(Backends)-1:0]),
      .hold_i(held_q[0]),
      .clear_i(request_i.clear && request_i.index < 20'(Backends)),
      .clear_index_i(request_i.index[$clog2(Backends)-1:0]),
      .read_i(read_backend),
      .read_index_i(request_i.index[$clog2(Backends)-1:0]),
      .data_o(backend_entry)
  );

  // ---- answers ------------------------------------------------------------------------------------------------------
  // Registers are taken one cycle after the request and wait for the RAM. A counter is in RAM or in a register, the other is 0.
  logic [63:0] register_q, register_d;
  logic [PortCounters+1:0] chosen_q;  // one of the registers, or none
  logic [ReadLatency-1:0] reading_counter_q, reading_vip_q, reading_over_meter_q;
  always_comb begin
    register_d = ({64{chosen_q[PortCounters]}} & disabled_shown_q) | ({64{chosen_q[PortCounters+1]}} & full_shown_q);
    for (int unsigned i = 0; i < PortCounters; i++) register_d |= {64{chosen_q[i]}} & port_shown_q[i];
  end
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < PortCounters; i++) chosen_q[i] <= request_i.index[5:0] == 6'(FirstPort + i);
    chosen_q[PortCounters]   <= request_i.index[5:0] == DispositionDropPortDisabled;
    chosen_q[PortCounters+1] <= request_i.index[5:0] == DispositionDropIngressFull;
    if (reading_counter_q[0]) register_q <= register_d;
    reading_counter_q <= {reading_counter_q[ReadLatency-2:0], read_counter};
    reading_vip_q     <= {reading_vip_q[ReadLatency-2:0], read_vip};
    reading_over_meter_q <= {reading_over_meter_q[ReadLatency-2:0], read_over_meter};
    if (!rst_ni) begin
      reading_counter_q <= '0;
      reading_vip_q     <= '0;
      reading_over_meter_q <= '0;
    end
  end

  always_comb begin
    counter_entry.bytes   = '0;
    counter_entry.packets = disposition_entry.packets | register_q;
    if (!reading_counter_q[ReadLatency-1]) begin
      if (reading_vip_q[ReadLatency-1]) counter_entry = vip_entry;
      else counter_entry = reading_over_meter_q[ReadLatency-1] ? over_meter_entry : backend_entry;
    end
  end

  gw_table_answer #(.Width($bits(gw_counter_entry_t)), .Latency(ReadLatency)) u_answer (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .read_i(read_counter || read_vip || read_backend || read_over_meter),
      .data_i(counter_entry),
      .rvalid_o(rvalid_o),
      .rdata_o(rdata_o)
  );

  logic unused_request;
  assign unused_request = ^{request_i.write, request_i.wdata, disposition_entry.bytes};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(admission_i.valid && (admission_i.disposition inside {DispositionDropPortDisabled, DispositionDropIngressFull})))
      else $error("gw_counters: a refusal at admission");
      assert (33'(in_flight_q) + 33'(begun) >= 33'(over)) else $error("gw_counters: more frames ended than began");
    end
  end
`endif
endmodule
