// Decides what becomes of a frame, from its window: the stations from parse to encap, each beside what it need not wait for.
//
//   parse -> vip ---------> hash -> ring -> backend -> verdict -> encap
//               \-> flow, quic --------/          \-> learn
//
// Wiring, and the delays that bring what stations found to where it is wanted; no logic of its own.
//
// Latency:    DecisionLatency from window to decision.
// Throughput: one window a cycle; never stalls.
// Drops when: never here; it decides drops, which gw_admit carries out.
module gw_decide
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,

    // gw_control. Stations read their part of the configuration.
    // verilator lint_off UNUSEDSIGNAL
    input gw_config_t  config_i,
    // verilator lint_on UNUSEDSIGNAL
    input logic        host_alive_i,
    input logic [15:0] tick_i,  // microseconds that have passed, for the meters
    input logic [29:0] time_i,  // of flow entries' stamps, in 1024 us

    // gw_window_arbiter
    input logic       window_valid_i,
    input gw_window_t window_i,

    // gw_admit
    output logic         decision_valid_o,
    output gw_decision_t decision_o,

    // gw_command: the tables of these stations
    input  gw_table_req_t                 table_req_i,
    output logic                          table_rvalid_o,
    output logic           [BeatBits-1:0] table_rdata_o,
    input  logic                          flow_write_valid_i,
    output logic                          flow_write_ready_o,
    input  gw_flow_write_t                flow_write_i,
    input  gw_flow_claim_t                flow_claim_i,
    output logic                          flow_claimed_o,
    input  logic                          flow_release_valid_i,
    output logic                          flow_release_ready_o,
    input  gw_flow_change_t               flow_change_i,
    input  logic                          flow_drain_i,
    output logic                          flow_drained_o,
    output logic                          flow_hold_o,
    input  logic                          command_ecc_corrected_i,
    input  logic                          command_ecc_uncorrectable_i,

    // events: flow words that were met, by lookups and by commands
    output logic ecc_corrected_o,
    output logic ecc_uncorrectable_o,

    // events: what the card learned
    output logic           learned_o,
    output logic           displaced_o,
    output logic [1:0]     refused_o,
    output logic           flow_event_valid_o,
    output gw_flow_event_t flow_event_o,

    // gw_trace
    output logic           view_valid_o,
    output gw_trace_view_t view_o
);

  // ---- when each station's input is due, in cycles after gw_parse's output ------------------------------------------
  localparam int unsigned RingDue = FlowHashLatency;
  localparam int unsigned BackendDue = RingDue + RingLookupLatency;
  localparam int unsigned VerdictDue = BackendDue + BackendLatency;

  if (FlowRequestDelay != VerdictDue + VerdictLatency - (VipFoundLatency + FlowLatency)) begin : gen_check
    $error("gw_decide: a request to learn does not come FlowRequestDelay after its lookup");
  end

  logic vip_rvalid, flow_rvalid, quic_rvalid, ring_rvalid, backend_rvalid, next_hop_rvalid;
  logic [BeatBits-1:0] vip_rdata, flow_rdata, quic_rdata, ring_rdata, backend_rdata, next_hop_rdata;
  assign table_rvalid_o = vip_rvalid | flow_rvalid | quic_rvalid | ring_rvalid | backend_rvalid | next_hop_rvalid;
  assign table_rdata_o  = vip_rdata | flow_rdata | quic_rdata | ring_rdata | backend_rdata | next_hop_rdata;

  // ---- parse ------------------------------------------------------------------------------------------------------------
  logic       parsed_valid;
  gw_parsed_t parsed;
  gw_connection_id_t connection_id;

  gw_parse u_parse (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .mac_filter_i(config_i.mac_filter),
      .mac_i       (config_i.mac),
      .valid_i     (window_valid_i),
      .window_i    (window_i),
      .valid_o     (parsed_valid),
      .parsed_o    (parsed),
      .connection_id_o(connection_id)
  );

  // ---- vip --------------------------------------------------------------------------------------------------------------
  logic           found_valid, entry_valid, pool_valid;
  gw_vip_found_t  found;
  gw_vip_entry_t  entry;
  gw_pool_entry_t pool;

  gw_vip_lookup u_vip_lookup (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .secret_i     (config_i.secret),
      .table_req_i  (table_req_i),
      .rvalid_o     (vip_rvalid),
      .rdata_o      (vip_rdata),
      .valid_i      (parsed_valid),
      .parsed_i     (parsed),
      .found_valid_o(found_valid),
      .found_o      (found),
      .entry_valid_o(entry_valid),
      .entry_o      (entry),
      .pool_valid_o (pool_valid),
      .pool_o       (pool)
  );

  // ---- flow, beside hash and ring --------------------------------------------------------------------------------------
  typedef struct packed {
    logic [127:0] source;
    logic [15:0]  source_port;
    logic [15:0]  destination_port;
    logic         echo;  // no flow
  } client_t;

  client_t client;
  logic    client_valid;

  gw_delay #(
      .Width ($bits(client_t)),
      .Cycles(VipFoundLatency)
  ) u_client_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(parsed_valid),
      .data_i ({parsed.source_address, parsed.source_port, parsed.destination_port, parsed.echo}),
      .valid_o(client_valid),
      .data_o (client)
  );

  logic                                   flow_probe_valid, flow_compare_valid;
  logic [Banks-1:0][FlowRowBits-1:0]      flow_probe_row;
  logic [FlowKeyBits-1:0]                 flow_compare_key;
  logic [FlowPlaces-1:0]                  flow_match;
  gw_flow_payload_t                       flow_payload [FlowPlaces];
  gw_flow_tenant_t                        flow_tenant [FlowPlaces];
  logic                                   flow_valid, due_flow_valid;
  gw_flow_result_t                        flow, due_flow, flow_or_none;
  logic                                   flow_hit_valid;
  gw_flow_hit_t                           flow_hit;
  logic                                   flow_request_valid, learn_write_valid, learn_write_ready;
  gw_flow_request_t                       flow_request;
  gw_flow_write_t                         learn_write;

  gw_flow_lookup u_flow_lookup (
      .clk_i                      (clk_i),
      .rst_ni                     (rst_ni),
      .secret_i                   (config_i.secret),
      .valid_i                    (found_valid && found.matched && !client.echo),
      .key_i                      ({found.vip, client.source, client.source_port, client.destination_port}),
      .valid_o                    (flow_valid),
      .result_o                   (flow),
      .probe_valid_o              (flow_probe_valid),
      .probe_row_o                (flow_probe_row),
      .compare_valid_o            (flow_compare_valid),
      .compare_key_o              (flow_compare_key),
      .match_i                    (flow_match),
      .payload_i                  (flow_payload),
      .tenant_i                   (flow_tenant),
      .command_ecc_corrected_i    (command_ecc_corrected_i),
      .command_ecc_uncorrectable_i(command_ecc_uncorrectable_i),
      .ecc_corrected_o            (ecc_corrected_o),
      .ecc_uncorrectable_o        (ecc_uncorrectable_o)
  );

  gw_flow_table u_flow_table (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .probe_valid_i  (flow_probe_valid),
      .probe_row_i    (flow_probe_row),
      .compare_valid_i(flow_compare_valid),
      .compare_key_i  (flow_compare_key),
      .match_o        (flow_match),
      .payload_o      (flow_payload),
      .tenant_o       (flow_tenant),
      .hit_valid_i    (flow_hit_valid),
      .hit_i          (flow_hit),
      .time_i         (time_i),
      .table_req_i    (table_req_i),
      .table_rvalid_o (flow_rvalid),
      .table_rdata_o  (flow_rdata),
      .write_valid_i  (flow_write_valid_i),
      .write_ready_o  (flow_write_ready_o),
      .write_i        (flow_write_i),
      .learn_valid_i  (learn_write_valid),
      .learn_ready_o  (learn_write_ready),
      .learn_i        (learn_write)
  );

  gw_flow_learn u_flow_learn (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .table_req_i    (table_req_i),
      .time_i         (time_i),
      .request_valid_i(flow_request_valid),
      .request_i      (flow_request),
      .claim_i        (flow_claim_i),
      .claimed_o      (flow_claimed_o),
      .release_valid_i(flow_release_valid_i),
      .release_ready_o(flow_release_ready_o),
      .change_i       (flow_change_i),
      .drain_i        (flow_drain_i),
      .drained_o      (flow_drained_o),
      .hold_o         (flow_hold_o),
      .write_valid_o  (learn_write_valid),
      .write_ready_i  (learn_write_ready),
      .write_o        (learn_write),
      .learned_o      (learned_o),
      .displaced_o    (displaced_o),
      .refused_o      (refused_o),
      .event_valid_o  (flow_event_valid_o),
      .event_o        (flow_event_o)
  );

  gw_delay #(
      .Width ($bits(gw_flow_result_t)),
      .Cycles(BackendDue - VipFoundLatency - FlowLookupLatency)
  ) u_flow_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(flow_valid),
      .data_i (flow),
      .valid_o(due_flow_valid),
      .data_o (due_flow)
  );
  // Packets that no VIP matched were not looked up.
  assign flow_or_none = due_flow_valid ? due_flow : '0;

  // ---- hash, ring -------------------------------------------------------------------------------------------------------
  // What the VIP lookup found is wanted beside the VIP's entry, then by gw_verdict; the pool's entry beside the hash.
  logic            entry_found_valid, due_pool_valid, hash_valid, ring_valid;
  gw_vip_found_t   entry_found;
  gw_pool_entry_t  due_pool;
  logic     [31:0] hash;
  gw_ring_result_t ring;

  gw_delay #(
      .Width ($bits(gw_vip_found_t)),
      .Cycles(VipEntryLatency - VipFoundLatency)
  ) u_found_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(found_valid),
      .data_i (found),
      .valid_o(entry_found_valid),
      .data_o (entry_found)
  );

  gw_flow_hash u_flow_hash (
      .clk_i             (clk_i),
      .rst_ni            (rst_ni),
      .valid_i           (parsed_valid),
      .ipv6_i            (parsed.ipv6),
      .source_address_i  (parsed.source_address),
      .source_port_i     (parsed.source_port),
      .destination_port_i(parsed.destination_port),
      .entry_valid_i     (entry_valid),
      .entry_i           (entry),
      .any_port_i        (entry_found.any_port),
      .valid_o           (hash_valid),
      .hash_o            (hash)
  );

  gw_delay #(
      .Width ($bits(gw_pool_entry_t)),
      .Cycles(RingDue - VipPoolLatency)
  ) u_pool_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(pool_valid),
      .data_i (pool),
      .valid_o(due_pool_valid),
      .data_o (due_pool)
  );

  gw_ring_lookup u_ring_lookup (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .table_req_i (table_req_i),
      .rvalid_o    (ring_rvalid),
      .rdata_o     (ring_rdata),
      .valid_i     (hash_valid),
      .hash_i      (hash),
      .pool_valid_i(due_pool_valid),
      .pool_i      (due_pool),
      .valid_o     (ring_valid),
      .result_o    (ring)
  );

  // ---- quic, beside all of these -----------------------------------------------------------------------------------------
  logic              due_id_valid, quic_valid, due_quic_valid;
  gw_connection_id_t due_id;
  gw_quic_result_t   quic, due_quic, quic_or_none;

  gw_delay #(
      .Width ($bits(gw_connection_id_t)),
      .Cycles(VipEntryLatency)
  ) u_id_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(parsed_valid),
      .data_i (connection_id),
      .valid_o(due_id_valid),
      .data_o (due_id)
  );

  gw_quic u_quic (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .secret_i       (config_i.secret),
      .id_bytes_i     (config_i.quic_lb),
      .table_req_i    (table_req_i),
      .rvalid_o       (quic_rvalid),
      .rdata_o        (quic_rdata),
      .valid_i        (entry_valid),
      .connection_id_i(due_id),
      .matched_i      (entry_found.matched),
      .entry_i        (entry),
      .valid_o        (quic_valid),
      .result_o       (quic)
  );

  gw_delay #(
      .Width ($bits(gw_quic_result_t)),
      .Cycles(BackendDue - VipEntryLatency - QuicLatency)
  ) u_quic_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(quic_valid),
      .data_i (quic),
      .valid_o(due_quic_valid),
      .data_o (due_quic)
  );
  // Packets without a server id were not looked up.
  assign quic_or_none = due_quic_valid ? due_quic : '0;

  // ---- backend ----------------------------------------------------------------------------------------------------------
  typedef struct packed {
    logic        assigned;
    logic [15:0] backend;
  } assignment_t;

  logic            assignment_valid, candidates_valid;
  assignment_t     assignment;
  gw_candidates_t  candidates;

  gw_delay #(
      .Width ($bits(assignment_t)),
      .Cycles(BackendDue)
  ) u_assignment_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(parsed_valid),
      .data_i ({parsed.source == SourceInject, parsed.inject.backend}),
      .valid_o(assignment_valid),
      .data_o (assignment)
  );

  gw_backend u_backend (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .table_req_i     (table_req_i),
      .rvalid_o        (backend_rvalid),
      .rdata_o         (backend_rdata),
      .valid_i         (ring_valid),
      .assign_i        (assignment.assigned),
      .assign_backend_i(assignment.backend),
      .flow_found_i    (flow_or_none.found),
      .flow_backend_i  (flow_or_none.backend),
      .slot_i          (ring.slot),
      .quic_found_i    (quic_or_none.found),
      .quic_backend_i  (quic_or_none.backend),
      .valid_o         (candidates_valid),
      .candidates_o    (candidates)
  );

  // ---- meter, beside backend and verdict ------------------------------------------------------------------------------
  logic        probe_valid, want_token, over;
  logic [11:0] probe_vip;

  gw_delay #(
      .Width (12),
      .Cycles(VerdictDue - MeterLead - VipFoundLatency)
  ) u_probe_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(found_valid && found.matched),
      .data_i (found.vip),
      .valid_o(probe_valid),
      .data_o (probe_vip)
  );

  gw_meter u_meter (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .tick_i       (tick_i),
      .table_req_i  (table_req_i),
      .probe_valid_i(probe_valid),
      .probe_vip_i  (probe_vip),
      .want_i       (want_token),
      .over_o       (over)
  );

  // ---- verdict ----------------------------------------------------------------------------------------------------------
  typedef struct packed {
    gw_vip_found_t found;
    gw_vip_entry_t entry;
  } vip_t;
  typedef struct packed {
    gw_flow_result_t flow;
    gw_ring_result_t ring;
    gw_quic_result_t quic;
  } results_t;

  logic              due_parsed_valid, due_vip_valid, due_results_valid, verdict_valid;
  gw_parsed_t        due_parsed;
  vip_t              due_vip;
  results_t          due_results;
  gw_verdict_t       verdict;
  gw_rx_completion_t record;

  gw_delay #(
      .Width ($bits(gw_parsed_t)),
      .Cycles(VerdictDue)
  ) u_parsed_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(parsed_valid),
      .data_i (parsed),
      .valid_o(due_parsed_valid),
      .data_o (due_parsed)
  );

  gw_delay #(
      .Width ($bits(vip_t)),
      .Cycles(VerdictDue - VipEntryLatency)
  ) u_vip_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(entry_valid),
      .data_i ({entry_found, entry}),
      .valid_o(due_vip_valid),
      .data_o (due_vip)
  );

  gw_delay #(
      .Width ($bits(results_t)),
      .Cycles(BackendLatency)
  ) u_results_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(ring_valid),
      .data_i ({flow_or_none, ring, quic_or_none}),
      .valid_o(due_results_valid),
      .data_o (due_results)
  );

  gw_verdict u_verdict (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .unmatched_drop_i(config_i.unmatched_drop),
      .compute_only_i  (config_i.compute_only),
      .host_alive_i    (host_alive_i),
      .replies_i       (config_i.replies),
      .valid_i         (candidates_valid),
      .parsed_i        (due_parsed),
      .entry_i         (due_vip.entry),
      .found_i         (due_vip.found),
      .flow_i          (due_results.flow),
      .ring_i          (due_results.ring),
      .quic_i          (due_results.quic),
      .candidates_i    (candidates),
      .valid_o         (verdict_valid),
      .verdict_o       (verdict),
      .record_o        (record),
      .want_token_o    (want_token),
      .over_i          (over),
      .hit_valid_o     (flow_hit_valid),
      .hit_o           (flow_hit),
      .request_valid_o (flow_request_valid),
      .request_o       (flow_request)
  );

  // ---- encap ------------------------------------------------------------------------------------------------------------
  logic       encap_parsed_valid;
  gw_parsed_t encap_parsed;

  gw_delay #(
      .Width ($bits(gw_parsed_t)),
      .Cycles(VerdictLatency)
  ) u_encap_parsed_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(due_parsed_valid),
      .data_i (due_parsed),
      .valid_o(encap_parsed_valid),
      .data_o (encap_parsed)
  );

  gw_encap u_encap (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .ipip_source_v4_i(config_i.ipip_source_v4),
      .ipip_source_v6_i(config_i.ipip_source_v6),
      .source_v4_i     (config_i.source_v4),
      .source_v6_i     (config_i.source_v6),
      .gue_port_i      (config_i.gue_port),
      .table_req_i     (table_req_i),
      .rvalid_o        (next_hop_rvalid),
      .rdata_o         (next_hop_rdata),
      .valid_i         (verdict_valid),
      .parsed_i        (encap_parsed),
      .verdict_i       (verdict),
      .record_i        (record),
      .decision_valid_o(decision_valid_o),
      .decision_o      (decision_o)
  );

  // ---- what tracing is told --------------------------------------------------------------------------------------------
  gw_trace_view u_trace_view (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .due_valid_i    (candidates_valid),
      .found_i        (due_vip.found),
      .flow_i         (due_results.flow),
      .ring_i         (due_results.ring),
      .quic_i         (due_results.quic),
      .candidates_i   (candidates),
      .verdict_valid_i(verdict_valid),
      .parsed_i       (encap_parsed),
      .verdict_i      (verdict),
      .learns_i       (flow_request_valid && !flow_hit_valid),  // what is asked for a hit is its confirmation
      .view_valid_o   (view_valid_o),
      .view_o         (view_o)
  );

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (client_valid == found_valid && entry_found_valid == entry_valid)
      else $error("gw_decide: the VIP lookup is not in step");
      assert (due_id_valid == entry_valid && (!due_quic_valid || ring_valid)) else $error("gw_decide: the connection id is not in step");
      assert (assignment_valid == ring_valid) else $error("gw_decide: the ring lookup is not in step");
      assert (due_parsed_valid == candidates_valid && due_vip_valid == candidates_valid && due_results_valid == candidates_valid)
      else $error("gw_decide: what gw_verdict takes is not in step");
      assert (encap_parsed_valid == verdict_valid) else $error("gw_decide: what gw_encap takes is not in step");
      assert (!due_flow_valid || ring_valid) else $error("gw_decide: the flow lookup is not in step");
    end
  end
`endif
endmodule
