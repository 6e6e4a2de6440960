// Purpose: flow lookup, flow table, learning and commands together, as gw_core wires them, with two plain RAMs in the other tables' place.
// Latency: lookups FlowLookupLatency; a found flow is hit `HitDelay` cycles later.
// Throughput: as its parts.
// Drops when: never.
module gw_flow_bench
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned ClearIndices = 4096,  // a reset need not take the ring's length here
    localparam int unsigned HitDelay = DecisionLatency - FlowLookupLatency,
    localparam int unsigned RequestDelay = FlowRequestDelay + FlowLatency - FlowLookupLatency  // from a lookup's answer
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    output logic                 ready_o,
    input  logic [Banks*SecretBits-1:0] secret_i,
    input  logic [29:0]          time_i,
    // lookups; a wire packet's FIN and RST go with them
    input  logic                 lookup_valid_i,
    input  logic [FlowKeyBits-1:0] lookup_key_i,
    input  logic                 lookup_fin_i,
    input  logic                 lookup_rst_i,
    input  logic                 lookup_ask_i,  // learn it when it is not found, else confirm it
    input  logic [15:0]          lookup_backend_i,
    input  logic [7:0]           lookup_generation_i,
    input  logic [19:0]          lookup_quota_i,
    output logic                 learned_o,
    output logic                 displaced_o,
    output logic [1:0]           refused_o,
    output logic                 event_valid_o,
    output logic [$bits(gw_flow_event_t)-1:0] event_o,
    output logic                 lookup_valid_o,
    output logic                 lookup_found_o,
    output logic [15:0]          lookup_backend_o,
    output logic [7:0]           lookup_generation_o,
    output logic [15:0]          lookup_place_o,
    output logic                 ecc_corrected_o,
    output logic                 ecc_uncorrectable_o,
    output logic                 probe_valid_o,
    output logic [Banks*FlowRowBits-1:0] probe_row_o,
    input  logic                 extra_hit_i,  // traffic beyond the wire's rate: hits another place in this cycle
    input  logic [15:0]          extra_hit_place_i,
    // frames on their way, for the fence
    input  logic                 window_i,
    input  logic                 decision_i,
    // commands
    input  logic                 command_valid_i,
    output logic                 command_ready_o,
    input  logic [511:0]         command_i,
    output logic                 command_checked_valid_o,
    output logic [4:0]           command_checked_status_o,
    input  logic                 command_wdata_valid_i,
    output logic                 command_wdata_ready_o,
    input  logic [BeatBits-1:0]  command_wdata_i,
    input  logic                 command_wdata_error_i,
    output logic                 command_rdata_valid_o,
    input  logic                 command_rdata_ready_i,
    output logic [BeatBits-1:0]  command_rdata_o,
    output logic                 command_rdata_last_o,
    output logic                 command_done_valid_o,
    output logic [4:0]           command_done_status_o,
    output logic [31:0]          command_done_result_o,
    input  logic                 command_abort_i
);
  gw_table_req_t       command_req, table_req;
  logic                flow_rvalid, rvalid;
  logic [BeatBits-1:0] flow_rdata, rdata;
  logic [1:0]          ram_rvalid;
  logic [BeatBits-1:0] ram_rdata[2];
  logic                write_valid, write_ready, fence_start, fence_done, command_corrected, command_uncorrectable;
  gw_flow_write_t      write;
  gw_status_e          checked_status;
  gw_command_rsp_t     done;
  logic [Banks-1:0][SecretBits-1:0]  secret;
  logic [Banks-1:0][FlowRowBits-1:0] probe_row;
  logic                compare_valid;
  logic [FlowKeyBits-1:0] compare_key;
  logic [FlowPlaces-1:0]  match;
  gw_flow_payload_t    payload[FlowPlaces];
  gw_flow_tenant_t     tenant[FlowPlaces];
  gw_flow_result_t     result;
  logic                flags_valid, hit_valid, delayed_valid;
  logic [1:0]          flags;
  logic                ask;
  gw_flow_request_t    asked, made, request;
  logic                request_valid, learn_valid, learn_ready, claimed, release_valid, release_ready, drain, drained, hold;
  gw_flow_write_t      learn_write;
  gw_flow_claim_t      claim;
  gw_flow_change_t     change;
  gw_flow_event_t      learned;
  gw_flow_hit_t        delayed, hit;

  assign secret                   = secret_i;
  assign probe_row_o              = probe_row;
  assign command_checked_status_o = checked_status;
  assign command_done_status_o    = done.status;
  assign command_done_result_o    = done.result;
  assign lookup_found_o           = result.found;
  assign lookup_backend_o         = result.backend;
  assign lookup_generation_o      = result.generation;
  assign lookup_place_o           = result.place;
  assign rvalid                   = flow_rvalid || ram_rvalid != '0;
  assign rdata                    = flow_rdata | ram_rdata[0] | ram_rdata[1];

  gw_command u_command (
      .clk_i                   (clk_i),
      .rst_ni                  (rst_ni),
      .tables_ready_i          (ready_o),
      .secret_i                (secret),
      .time_i                  (time_i),
      .command_valid_i         (command_valid_i),
      .command_ready_o         (command_ready_o),
      .command_i               (command_i),
      .command_checked_valid_o (command_checked_valid_o),
      .command_checked_status_o(checked_status),
      .command_wdata_valid_i   (command_wdata_valid_i),
      .command_wdata_ready_o   (command_wdata_ready_o),
      .command_wdata_i         (command_wdata_i),
      .command_wdata_error_i   (command_wdata_error_i),
      .command_rdata_valid_o   (command_rdata_valid_o),
      .command_rdata_ready_i   (command_rdata_ready_i),
      .command_rdata_o         (command_rdata_o),
      .command_rdata_last_o    (command_rdata_last_o),
      .command_done_valid_o    (command_done_valid_o),
      .command_done_o          (done),
      .command_abort_i         (command_abort_i),
      .table_req_o             (command_req),
      .table_rvalid_i          (rvalid),
      .table_rdata_i           (rdata),
      .flow_write_valid_o      (write_valid),
      .flow_write_ready_i      (write_ready),
      .flow_write_o            (write),
      .flow_claim_o            (claim),
      .flow_claimed_i          (claimed),
      .flow_release_valid_o    (release_valid),
      .flow_release_ready_i    (release_ready),
      .flow_change_o           (change),
      .flow_drain_o            (drain),
      .flow_drained_i          (drained),
      .flow_hold_i             (hold),
      .fence_start_o           (fence_start),
      .fence_done_i            (fence_done),
      .ecc_corrected_o         (command_corrected),
      .ecc_uncorrectable_o     (command_uncorrectable)
  );

  gw_clear #(.Indices(ClearIndices)) u_clear (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .ready_o    (ready_o),
      .table_req_i(command_req),
      .table_req_o(table_req)
  );

  gw_fence u_fence (
      .clk_i     (clk_i),
      .rst_ni    (rst_ni),
      .window_i  (window_i),
      .decision_i(decision_i),
      .start_i   (fence_start),
      .done_o    (fence_done)
  );

  gw_flow_lookup u_lookup (
      .clk_i                      (clk_i),
      .rst_ni                     (rst_ni),
      .secret_i                   (secret),
      .valid_i                    (lookup_valid_i),
      .key_i                      (lookup_key_i),
      .valid_o                    (lookup_valid_o),
      .result_o                   (result),
      .probe_valid_o              (probe_valid_o),
      .probe_row_o                (probe_row),
      .compare_valid_o            (compare_valid),
      .compare_key_o              (compare_key),
      .match_i                    (match),
      .payload_i                  (payload),
      .tenant_i                   (tenant),
      .command_ecc_corrected_i    (command_corrected),
      .command_ecc_uncorrectable_i(command_uncorrectable),
      .ecc_corrected_o            (ecc_corrected_o),
      .ecc_uncorrectable_o        (ecc_uncorrectable_o)
  );

  gw_flow_table u_table (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .probe_valid_i  (probe_valid_o),
      .probe_row_i    (probe_row),
      .compare_valid_i(compare_valid),
      .compare_key_i  (compare_key),
      .match_o        (match),
      .payload_o      (payload),
      .tenant_o       (tenant),
      .hit_valid_i    (hit_valid),
      .hit_i          (hit),
      .time_i         (time_i),
      .table_req_i    (table_req),
      .table_rvalid_o (flow_rvalid),
      .table_rdata_o  (flow_rdata),
      .write_valid_i  (write_valid),
      .write_ready_o  (write_ready),
      .write_i        (write),
      .learn_valid_i  (learn_valid),
      .learn_ready_o  (learn_ready),
      .learn_i        (learn_write)
  );

  gw_flow_learn u_learn (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .table_req_i    (table_req),
      .time_i         (time_i),
      .request_valid_i(request_valid),
      .request_i      (request),
      .claim_i        (claim),
      .claimed_o      (claimed),
      .release_valid_i(release_valid),
      .release_ready_o(release_ready),
      .change_i       (change),
      .drain_i        (drain),
      .drained_o      (drained),
      .hold_o         (hold),
      .write_valid_o  (learn_valid),
      .write_ready_i  (learn_ready),
      .write_o        (learn_write),
      .learned_o      (learned_o),
      .displaced_o    (displaced_o),
      .refused_o      (refused_o),
      .event_valid_o  (event_valid_o),
      .event_o        (learned)
  );
  assign event_o = learned;

  // ---- requests, when the path gives them --------------------------------------------------------------------------------
  always_comb begin
    asked            = '0;
    asked.key        = lookup_key_i;
    asked.backend    = lookup_backend_i;
    asked.generation = lookup_generation_i;
    asked.quota      = lookup_quota_i;
    asked.fin        = lookup_fin_i;
    asked.rst        = lookup_rst_i;
    asked.confirm    = lookup_ask_i;
  end
  gw_delay #(.Width($bits(gw_flow_request_t)), .Cycles(FlowLookupLatency)) u_asked (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(lookup_valid_i),
      .data_i (asked),
      .valid_o(ask),
      .data_o (made)
  );
  gw_flow_request_t full;
  always_comb begin
    full            = made;
    full.confirm    = result.found;
    full.pinned     = result.pinned;
    full.way        = result.place[FlowPlaceBits-1:FlowRowBits];
    full.room       = result.room;
    if (result.found) begin
      full.backend    = result.backend;
      full.generation = result.generation;
    end
  end
  gw_delay #(.Width($bits(gw_flow_request_t)), .Cycles(RequestDelay)) u_request (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(ask && made.confirm && !(result.found && result.confirmed)),
      .data_i (full),
      .valid_o(request_valid),
      .data_o (request)
  );

  // ---- hits, as late as the path may give them -------------------------------------------------------------------------
  gw_delay #(.Width(2), .Cycles(FlowLookupLatency)) u_flags (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(lookup_valid_i),
      .data_i ({lookup_fin_i, lookup_rst_i}),
      .valid_o(flags_valid),
      .data_o (flags)
  );
  gw_delay #(.Width($bits(gw_flow_hit_t)), .Cycles(HitDelay)) u_hit (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(lookup_valid_o && result.found),
      .data_i ({result.place, flags}),
      .valid_o(delayed_valid),
      .data_o (delayed)
  );
  assign hit_valid = delayed_valid || extra_hit_i;
  assign hit       = delayed_valid ? delayed : {extra_hit_place_i, 2'b00};

  // ---- tables ---------------------------------------------------------------------------------------------------------------
  localparam int unsigned RingBeats = RingSlots / 32;
  localparam int unsigned RamDepth[2] = '{RingBeats, Vips};
  localparam gw_table_e RamTable[2] = '{TableRing, TableVip};
  for (genvar t = 0; t < 2; t++) begin : gen_ram
    logic                here;
    logic [BeatBits-1:0] unused_a, data;
    assign here = table_req.table_id == RamTable[t];
    gw_table_ram #(.Width(BeatBits), .Depth(RamDepth[t]), .Latency(3)) u_ram (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .a_read_i (1'b0),
        .a_index_i('0),
        .a_data_o (unused_a),
        .b_load_i (table_req.write || table_req.read),
        .b_write_i(table_req.write && here),
        .b_read_i (table_req.read && here),
        .b_index_i(table_req.index[$clog2(RamDepth[t])-1:0]),
        .b_data_i (table_req.wdata),
        .b_data_o (data)
    );
    gw_table_answer #(.Width(BeatBits), .Latency(3)) u_answer (
        .clk_i   (clk_i),
        .rst_ni  (rst_ni),
        .read_i  (table_req.read && here),
        .data_i  (data),
        .rvalid_o(ram_rvalid[t]),
        .rdata_o (ram_rdata[t])
    );
  end

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (flags_valid == lookup_valid_o) else $error("gw_flow_bench: a lookup took another time than it says");
  end
`endif
endmodule
