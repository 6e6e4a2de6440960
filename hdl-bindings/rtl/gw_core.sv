// The packet path, in the packet's order. Wiring only. It drops into a shell that has its own DMA; gw_card puts rings around it.
//
//   ingress -> window arbiter -> parse -> vip -> hash -> ring -> backend -> verdict -> encap -> admit -> egress, host queue
//                                            \-> flow --------/
//
// Latency:    DecisionLatency from window to decision; the stations before and after say theirs.
// Throughput: one window a cycle; the wire is never stalled (`s_axis_rx_tready` is always 1).
// Drops when: gw_ingress refuses a frame at its first beat, or gw_admit carries out a drop.
//
// Side-band of frames: `s_axis_inject_tuser` is what the host says of its frame, with the last beat; `m_axis_host_tuser` is the
// decision (without phase and index) and `m_axis_host_tdest` the class, both stable for the frame.
module gw_core
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic [15:0] tick_i,  // microseconds that have passed since the last cycle: 0 or 1 in hardware

    // wire
    input  logic                 s_axis_rx_tvalid,
    output logic                 s_axis_rx_tready,
    input  logic [ BeatBits-1:0] s_axis_rx_tdata,
    input  logic [BeatBytes-1:0] s_axis_rx_tkeep,
    input  logic                 s_axis_rx_tlast,
    input  logic                 s_axis_rx_tuser,  // error, with the last beat
    output logic                 m_axis_tx_tvalid,
    input  logic                 m_axis_tx_tready,
    output logic [ BeatBits-1:0] m_axis_tx_tdata,
    output logic [BeatBytes-1:0] m_axis_tx_tkeep,
    output logic                 m_axis_tx_tlast,

    // host
    input  logic                    s_axis_inject_tvalid,
    output logic                    s_axis_inject_tready,
    input  logic [    BeatBits-1:0] s_axis_inject_tdata,
    input  logic [   BeatBytes-1:0] s_axis_inject_tkeep,
    input  logic                    s_axis_inject_tlast,
    input  gw_inject_t              s_axis_inject_tuser,
    output logic                    m_axis_host_tvalid,
    input  logic                    m_axis_host_tready,
    output logic [    BeatBits-1:0] m_axis_host_tdata,
    output logic [   BeatBytes-1:0] m_axis_host_tkeep,
    output logic                    m_axis_host_tlast,
    output logic [             1:0] m_axis_host_tdest,
    output gw_rx_completion_t       m_axis_host_tuser,
    input  logic              [3:0] host_class_enable_i,  // the class's queue is enabled: frames are admitted
    input  logic              [3:0] host_class_ready_i,  // it has room for one more frame: a frame may start
    input  logic        [3:0][14:0] host_class_bytes_i,  // longest frame that its buffers take
    input  logic                    punt_ended_i,  // pulse: what ends a punt was consumed
    input  logic                    punt_lost_i,  // pulse: one of class miss did not
    input  logic                    host_lost_i,  // pulse: a frame taken from m_axis_host did not reach the host's memory
    input  logic                    host_reset_i,  // level

    // registers
    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [ 8:0] s_axil_awaddr,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    input  logic [31:0] s_axil_wdata,
    input  logic [ 3:0] s_axil_wstrb,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    output logic [ 1:0] s_axil_bresp,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    input  logic [ 8:0] s_axil_araddr,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic [31:0] s_axil_rdata,
    output logic [ 1:0] s_axil_rresp,

    // commands
    input  logic                         command_valid_i,
    output logic                         command_ready_o,
    input  gw_command_t                  command_i,
    output logic                         command_checked_valid_o,  // pulse: Ok begins the data phase, else it is over
    output gw_status_e                   command_checked_status_o,
    input  logic                         command_wdata_valid_i,
    output logic                         command_wdata_ready_o,
    input  logic          [BeatBits-1:0] command_wdata_i,
    input  logic                         command_wdata_error_i,
    output logic                         command_rdata_valid_o,
    input  logic                         command_rdata_ready_i,
    output logic          [BeatBits-1:0] command_rdata_o,
    output logic                         command_rdata_last_o,
    output logic                         command_done_valid_o,
    output gw_command_rsp_t              command_done_o,
    input  logic                         command_abort_i,

    // state
    output logic        card_reset_o,  // pulse: the card_reset key was written; the shell resets this module
    output logic        ready_o,  // tables are clear and usable
    output logic        idle_o,  // no frame is in flight but those that wait for the host alone
    output logic        port_enabled_o,  // frames are taken from the wire
    output logic        host_alive_o,
    output logic [31:0] punts_outstanding_o,
    output logic [31:0] in_flight_o
);

  // ---- when each station's input is due, in cycles after gw_parse's output ------------------------------------------
  localparam int unsigned RingDue = FlowHashLatency;
  localparam int unsigned BackendDue = RingDue + RingLookupLatency;
  localparam int unsigned VerdictDue = BackendDue + BackendLatency;

  // sources, as gw_admit and the payload readers number them
  localparam int unsigned Wire = 0;
  localparam int unsigned Inject = 1;

  // ---- configuration, time --------------------------------------------------------------------------------------------
  gw_config_t  controls;
  logic [63:0] time_us;
  logic        ready;
  logic        idle;

  gw_control u_control (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .tick_i             (tick_i),
      .host_reset_i       (host_reset_i),
      .s_axil_awvalid     (s_axil_awvalid),
      .s_axil_awready     (s_axil_awready),
      .s_axil_awaddr      (s_axil_awaddr),
      .s_axil_wvalid      (s_axil_wvalid),
      .s_axil_wready      (s_axil_wready),
      .s_axil_wdata       (s_axil_wdata),
      .s_axil_wstrb       (s_axil_wstrb),
      .s_axil_bvalid      (s_axil_bvalid),
      .s_axil_bready      (s_axil_bready),
      .s_axil_bresp       (s_axil_bresp),
      .s_axil_arvalid     (s_axil_arvalid),
      .s_axil_arready     (s_axil_arready),
      .s_axil_araddr      (s_axil_araddr),
      .s_axil_rvalid      (s_axil_rvalid),
      .s_axil_rready      (s_axil_rready),
      .s_axil_rdata       (s_axil_rdata),
      .s_axil_rresp       (s_axil_rresp),
      .ready_i            (ready),
      .idle_i             (idle),
      .miss_enable_i      (host_class_enable_i[HostClassMiss]),
      .punts_outstanding_i(punts_outstanding_o),
      .in_flight_i        (in_flight_o),
      .config_o           (controls),
      .port_enabled_o     (port_enabled_o),
      .host_alive_o       (host_alive_o),
      .card_reset_o       (card_reset_o),
      .time_us_o          (time_us)
  );

  // ---- commands ---------------------------------------------------------------------------------------------------------
  gw_table_req_t  command_req, table_req;
  gw_flow_write_t flow_write;
  logic           flow_write_valid, flow_write_ready;
  logic           fence_start, fence_done;
  logic           command_ecc_corrected, command_ecc_uncorrectable;
  logic           rvalid, vip_rvalid, flow_rvalid, ring_rvalid, backend_rvalid, next_hop_rvalid, counters_rvalid;
  logic [BeatBits-1:0] rdata, vip_rdata, flow_rdata, ring_rdata, backend_rdata, next_hop_rdata, counters_rdata;

  assign rvalid = vip_rvalid | flow_rvalid | ring_rvalid | backend_rvalid | next_hop_rvalid | counters_rvalid;
  assign rdata = vip_rdata | flow_rdata | ring_rdata | backend_rdata | next_hop_rdata | counters_rdata;

  gw_command u_command (
      .clk_i                   (clk_i),
      .rst_ni                  (rst_ni),
      .tables_ready_i          (ready),
      .secret_i                (controls.secret),
      .time_i                  (time_us[39:10]),
      .command_valid_i         (command_valid_i),
      .command_ready_o         (command_ready_o),
      .command_i               (command_i),
      .command_checked_valid_o (command_checked_valid_o),
      .command_checked_status_o(command_checked_status_o),
      .command_wdata_valid_i   (command_wdata_valid_i),
      .command_wdata_ready_o   (command_wdata_ready_o),
      .command_wdata_i         (command_wdata_i),
      .command_wdata_error_i   (command_wdata_error_i),
      .command_rdata_valid_o   (command_rdata_valid_o),
      .command_rdata_ready_i   (command_rdata_ready_i),
      .command_rdata_o         (command_rdata_o),
      .command_rdata_last_o    (command_rdata_last_o),
      .command_done_valid_o    (command_done_valid_o),
      .command_done_o          (command_done_o),
      .command_abort_i         (command_abort_i),
      .table_req_o             (command_req),
      .table_rvalid_i          (rvalid),
      .table_rdata_i           (rdata),
      .flow_write_valid_o      (flow_write_valid),
      .flow_write_ready_i      (flow_write_ready),
      .flow_write_o            (flow_write),
      .fence_start_o           (fence_start),
      .fence_done_i            (fence_done),
      .ecc_corrected_o         (command_ecc_corrected),
      .ecc_uncorrectable_o     (command_ecc_uncorrectable)
  );

  gw_clear u_clear (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .ready_o    (ready),
      .table_req_i(command_req),
      .table_req_o(table_req)
  );
  assign ready_o = ready;

  // ---- ingress ----------------------------------------------------------------------------------------------------------
  logic                 [1:0] payload_we;
  payload_addr_t        [1:0] payload_waddr;
  logic [1:0][BeatBits-1:0]   payload_wdata;
  logic                 [1:0] source_window_valid;
  gw_window_t           [1:0] source_window;
  logic                       wire_window_full, inject_window_ready;
  logic                 [1:0] end_valid, end_ready;
  gw_frame_end_t        [1:0] frame_end;
  logic                 [1:0] free_valid;
  logic                 [1:0][7:0] free_beats;
  logic                 [1:0] ingress_empty;
  logic                       wire_began, wire_refused, inject_whole;
  gw_disposition_e            wire_refused_disposition;
  logic                 [6:0] wire_bytes;
  // an inject is never refused, and the wire's frames need no `whole`
  logic                       unused_wire_whole, unused_inject_began, unused_inject_refused;
  gw_disposition_e            unused_inject_disposition;
  logic                 [6:0] unused_inject_bytes;

  gw_ingress #(
      .Source (SourceWire),
      .Beats  (WireBeats),
      .Frames (EgressFrames),
      .Credits(DecisionDepth)
  ) u_wire_ingress (
      .clk_i                (clk_i),
      .rst_ni               (rst_ni),
      .enable_i             (port_enabled_o),
      .s_valid_i            (s_axis_rx_tvalid),
      .s_ready_o            (s_axis_rx_tready),
      .s_data_i             (s_axis_rx_tdata),
      .s_keep_i             (s_axis_rx_tkeep),
      .s_last_i             (s_axis_rx_tlast),
      .s_error_i            (s_axis_rx_tuser),
      .s_inject_i           ('0),
      .payload_we_o         (payload_we[Wire]),
      .payload_waddr_o      (payload_waddr[Wire]),
      .payload_wdata_o      (payload_wdata[Wire]),
      .window_valid_o       (source_window_valid[Wire]),
      .window_ready_i       (1'b1),
      .window_full_i        (wire_window_full),
      .window_o             (source_window[Wire]),
      .end_valid_o          (end_valid[Wire]),
      .end_ready_i          (end_ready[Wire]),
      .end_o                (frame_end[Wire]),
      .free_valid_i         (free_valid[Wire]),
      .free_beats_i         (free_beats[Wire]),
      .began_o              (wire_began),
      .refused_o            (wire_refused),
      .refused_disposition_o(wire_refused_disposition),
      .bytes_o              (wire_bytes),
      .whole_o              (unused_wire_whole),
      .empty_o              (ingress_empty[Wire])
  );

  gw_ingress #(
      .Source (SourceInject),
      .Beats  (InjectBeats),
      .Frames (InjectBeats),
      .Credits(InjectCredits)
  ) u_inject_ingress (
      .clk_i                (clk_i),
      .rst_ni               (rst_ni),
      .enable_i             (ready),
      .s_valid_i            (s_axis_inject_tvalid),
      .s_ready_o            (s_axis_inject_tready),
      .s_data_i             (s_axis_inject_tdata),
      .s_keep_i             (s_axis_inject_tkeep),
      .s_last_i             (s_axis_inject_tlast),
      .s_error_i            (1'b0),
      .s_inject_i           (s_axis_inject_tuser),
      .payload_we_o         (payload_we[Inject]),
      .payload_waddr_o      (payload_waddr[Inject]),
      .payload_wdata_o      (payload_wdata[Inject]),
      .window_valid_o       (source_window_valid[Inject]),
      .window_ready_i       (inject_window_ready),
      .window_full_i        (1'b0),
      .window_o             (source_window[Inject]),
      .end_valid_o          (end_valid[Inject]),
      .end_ready_i          (end_ready[Inject]),
      .end_o                (frame_end[Inject]),
      .free_valid_i         (free_valid[Inject]),
      .free_beats_i         (free_beats[Inject]),
      .began_o              (unused_inject_began),
      .refused_o            (unused_inject_refused),
      .refused_disposition_o(unused_inject_disposition),
      .bytes_o              (unused_inject_bytes),
      .whole_o              (inject_whole),
      .empty_o              (ingress_empty[Inject])
  );

  // ---- payload ----------------------------------------------------------------------------------------------------------
  logic                 [1:0] egress_re, host_re;
  payload_addr_t              egress_raddr, host_raddr;
  logic [1:0][BeatBits-1:0]   egress_payload, host_payload;

  for (genvar s = 0; s < 2; s++) begin : gen_payload
    gw_payload_ring #(
        .Beats(s == Wire ? WireBeats : InjectBeats)
    ) u_payload_ring (
        .clk_i         (clk_i),
        .we_i          (payload_we[s]),
        .waddr_i       (payload_waddr[s]),
        .wdata_i       (payload_wdata[s]),
        .egress_re_i   (egress_re[s]),
        .egress_raddr_i(egress_raddr),
        .egress_rdata_o(egress_payload[s]),
        .host_re_i     (host_re[s]),
        .host_raddr_i  (host_raddr),
        .host_rdata_o  (host_payload[s])
    );
  end

  // ---- window -> parse -------------------------------------------------------------------------------------------------
  logic       window_valid;
  gw_window_t window;
  logic       parsed_valid;
  gw_parsed_t parsed;

  gw_window_arbiter u_window_arbiter (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .wire_valid_i  (source_window_valid[Wire]),
      .wire_i        (source_window[Wire]),
      .wire_full_o   (wire_window_full),
      .inject_valid_i(source_window_valid[Inject]),
      .inject_ready_o(inject_window_ready),
      .inject_i      (source_window[Inject]),
      .window_valid_o(window_valid),
      .window_o      (window)
  );

  gw_parse u_parse (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .mac_filter_i(controls.mac_filter),
      .mac_i       (controls.mac),
      .valid_i     (window_valid),
      .window_i    (window),
      .valid_o     (parsed_valid),
      .parsed_o    (parsed)
  );

  // ---- vip --------------------------------------------------------------------------------------------------------------
  logic           found_valid, entry_valid, pool_valid;
  gw_vip_found_t  found;
  gw_vip_entry_t  entry;
  gw_pool_entry_t pool;

  gw_vip_lookup u_vip_lookup (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .secret_i     (controls.secret),
      .table_req_i  (table_req),
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
      .data_i ({parsed.source_address, parsed.source_port, parsed.destination_port}),
      .valid_o(client_valid),
      .data_o (client)
  );

  logic                                   flow_probe_valid, flow_compare_valid;
  logic [Banks-1:0][FlowRowBits-1:0]      flow_probe_row;
  logic [FlowKeyBits-1:0]                 flow_compare_key;
  logic [FlowPlaces-1:0]                  flow_match;
  gw_flow_payload_t                       flow_payload [FlowPlaces];
  logic                                   flow_valid, due_flow_valid;
  gw_flow_result_t                        flow, due_flow, flow_or_none;
  logic                                   flow_hit_valid;
  gw_flow_hit_t                           flow_hit;
  logic                                   ecc_corrected, ecc_uncorrectable;

  gw_flow_lookup u_flow_lookup (
      .clk_i                      (clk_i),
      .rst_ni                     (rst_ni),
      .secret_i                   (controls.secret),
      .valid_i                    (found_valid && found.matched),
      .key_i                      ({found.vip, client}),
      .valid_o                    (flow_valid),
      .result_o                   (flow),
      .probe_valid_o              (flow_probe_valid),
      .probe_row_o                (flow_probe_row),
      .compare_valid_o            (flow_compare_valid),
      .compare_key_o              (flow_compare_key),
      .match_i                    (flow_match),
      .payload_i                  (flow_payload),
      .command_ecc_corrected_i    (command_ecc_corrected),
      .command_ecc_uncorrectable_i(command_ecc_uncorrectable),
      .ecc_corrected_o            (ecc_corrected),
      .ecc_uncorrectable_o        (ecc_uncorrectable)
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
      .hit_valid_i    (flow_hit_valid),
      .hit_i          (flow_hit),
      .time_i         (time_us[39:10]),
      .table_req_i    (table_req),
      .table_rvalid_o (flow_rvalid),
      .table_rdata_o  (flow_rdata),
      .write_valid_i  (flow_write_valid),
      .write_ready_o  (flow_write_ready),
      .write_i        (flow_write)
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
      .table_req_i (table_req),
      .rvalid_o    (ring_rvalid),
      .rdata_o     (ring_rdata),
      .valid_i     (hash_valid),
      .hash_i      (hash),
      .pool_valid_i(due_pool_valid),
      .pool_i      (due_pool),
      .valid_o     (ring_valid),
      .result_o    (ring)
  );

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
      .table_req_i     (table_req),
      .rvalid_o        (backend_rvalid),
      .rdata_o         (backend_rdata),
      .valid_i         (ring_valid),
      .assign_i        (assignment.assigned),
      .assign_backend_i(assignment.backend),
      .flow_found_i    (flow_or_none.found),
      .flow_backend_i  (flow_or_none.backend),
      .slot_i          (ring.slot),
      .valid_o         (candidates_valid),
      .candidates_o    (candidates)
  );

  // ---- verdict ----------------------------------------------------------------------------------------------------------
  typedef struct packed {
    gw_vip_found_t found;
    gw_vip_entry_t entry;
  } vip_t;
  typedef struct packed {
    gw_flow_result_t flow;
    gw_ring_result_t ring;
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
      .data_i ({flow_or_none, ring}),
      .valid_o(due_results_valid),
      .data_o (due_results)
  );

  gw_verdict u_verdict (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .unmatched_drop_i(controls.unmatched_drop),
      .compute_only_i  (controls.compute_only),
      .host_alive_i    (host_alive_o),
      .valid_i         (candidates_valid),
      .parsed_i        (due_parsed),
      .entry_i         (due_vip.entry),
      .found_i         (due_vip.found),
      .flow_i          (due_results.flow),
      .ring_i          (due_results.ring),
      .candidates_i    (candidates),
      .valid_o         (verdict_valid),
      .verdict_o       (verdict),
      .record_o        (record),
      .hit_valid_o     (flow_hit_valid),
      .hit_o           (flow_hit)
  );

  // ---- encap ------------------------------------------------------------------------------------------------------------
  logic         encap_parsed_valid, decision_valid;
  gw_parsed_t   encap_parsed;
  gw_decision_t decision;

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
      .ipip_source_v4_i(controls.ipip_source_v4),
      .ipip_source_v6_i(controls.ipip_source_v6),
      .table_req_i     (table_req),
      .rvalid_o        (next_hop_rvalid),
      .rdata_o         (next_hop_rdata),
      .valid_i         (verdict_valid),
      .parsed_i        (encap_parsed),
      .verdict_i       (verdict),
      .record_i        (record),
      .decision_valid_o(decision_valid),
      .decision_o      (decision)
  );

  // ---- admission --------------------------------------------------------------------------------------------------------
  gw_admission_t        admission;
  logic                 egress_valid, host_valid;
  gw_egress_t           egress;
  gw_host_frame_t       host_frame;
  logic           [1:0] egress_done, host_done;
  logic                 host_free_valid;
  gw_host_class_e       host_free_class;
  logic           [7:0] host_free_beats;
  logic                 admit_empty, egress_empty, host_empty, host_resting;
  logic [15:0]          host_waiting;

  gw_admit u_admit (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .time_us_i          (time_us[31:0]),
      .egress_threshold_i (controls.egress_threshold),
      .host_class_enable_i(host_class_enable_i),
      .host_class_bytes_i (host_class_bytes_i),
      .decision_valid_i   (decision_valid),
      .decision_i         (decision),
      .end_valid_i        (end_valid),
      .end_ready_o        (end_ready),
      .end_i              (frame_end),
      .free_valid_o       (free_valid),
      .free_beats_o       (free_beats),
      .egress_valid_o     (egress_valid),
      .egress_o           (egress),
      .egress_done_i      (egress_done),
      .host_valid_o       (host_valid),
      .host_o             (host_frame),
      .host_done_i        (host_done),
      .host_free_valid_i  (host_free_valid),
      .host_free_class_i  (host_free_class),
      .host_free_beats_i  (host_free_beats),
      .admission_o        (admission),
      .empty_o            (admit_empty)
  );

  gw_fence u_fence (
      .clk_i     (clk_i),
      .rst_ni    (rst_ni),
      .window_i  (window_valid),
      .decision_i(admission.valid),
      .start_i   (fence_start),
      .done_o    (fence_done)
  );

  // ---- out ----------------------------------------------------------------------------------------------------------------
  logic        sent, host_out, host_gone;
  logic [13:0] sent_bytes;
  logic [31:0] punt_unanswered;
  gw_host_class_e host_class;

  gw_egress u_egress (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .egress_valid_i (egress_valid),
      .egress_i       (egress),
      .done_o         (egress_done),
      .payload_re_o   (egress_re),
      .payload_raddr_o(egress_raddr),
      .payload_rdata_i(egress_payload),
      .m_valid_o      (m_axis_tx_tvalid),
      .m_ready_i      (m_axis_tx_tready),
      .m_data_o       (m_axis_tx_tdata),
      .m_keep_o       (m_axis_tx_tkeep),
      .m_last_o       (m_axis_tx_tlast),
      .sent_o         (sent),
      .sent_bytes_o   (sent_bytes),
      .empty_o        (egress_empty)
  );

  gw_host_queue u_host_queue (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .frame_valid_i      (host_valid),
      .frame_i            (host_frame),
      .done_o             (host_done),
      .free_valid_o       (host_free_valid),
      .free_class_o       (host_free_class),
      .free_beats_o       (host_free_beats),
      .payload_re_o       (host_re),
      .payload_raddr_o    (host_raddr),
      .payload_rdata_i    (host_payload),
      .host_class_ready_i (host_class_ready_i),
      .punt_ended_i       (punt_ended_i),
      .punt_lost_i        (punt_lost_i),
      .host_reset_i       (host_reset_i),
      .m_valid_o          (m_axis_host_tvalid),
      .m_ready_i          (m_axis_host_tready),
      .m_data_o           (m_axis_host_tdata),
      .m_keep_o           (m_axis_host_tkeep),
      .m_last_o           (m_axis_host_tlast),
      .m_class_o          (host_class),
      .m_record_o         (m_axis_host_tuser),
      .out_o              (host_out),
      .gone_o             (host_gone),
      .punt_unanswered_o  (punt_unanswered),
      .punts_outstanding_o(punts_outstanding_o),
      .resting_o          (host_resting),
      .waiting_o          (host_waiting),
      .empty_o            (host_empty)
  );
  assign m_axis_host_tdest = host_class;

  gw_counters u_counters (
      .clk_i                   (clk_i),
      .rst_ni                  (rst_ni),
      .request_i               (table_req),
      .rvalid_o                (counters_rvalid),
      .rdata_o                 (counters_rdata),
      .admission_i             (admission),
      .wire_began_i            (wire_began),
      .wire_bytes_i            (wire_bytes),
      .refused_i               (wire_refused),
      .refused_disposition_i   (wire_refused_disposition),
      .injected_i              (inject_whole),
      .sent_i                  (sent),
      .sent_bytes_i            (sent_bytes),
      .host_out_i              (host_out),
      .host_gone_i             (host_gone),
      .punt_unanswered_i       (punt_unanswered),
      .host_lost_i             (host_lost_i),
      .flow_ecc_corrected_i    (5'(ecc_corrected)),
      .flow_ecc_uncorrectable_i(5'(ecc_uncorrectable)),
      .in_flight_o             (in_flight_o)
  );

  assign idle = in_flight_o == '0 && (&ingress_empty) && admit_empty && egress_empty && host_empty;
  assign idle_o = in_flight_o == 32'(host_waiting) && (&ingress_empty) && admit_empty && egress_empty && host_resting;

  logic unused_bits;
  assign unused_bits = ^{time_us[63:40], controls.port_enable};

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (client_valid == found_valid && entry_found_valid == entry_valid)
      else $error("gw_core: the VIP lookup is not in step");
      assert (assignment_valid == ring_valid) else $error("gw_core: the ring lookup is not in step");
      assert (due_parsed_valid == candidates_valid && due_vip_valid == candidates_valid && due_results_valid == candidates_valid)
      else $error("gw_core: what gw_verdict takes is not in step");
      assert (encap_parsed_valid == verdict_valid) else $error("gw_core: what gw_encap takes is not in step");
      assert (!due_flow_valid || ring_valid) else $error("gw_core: the flow lookup is not in step");
    end
  end
`endif
endmodule
