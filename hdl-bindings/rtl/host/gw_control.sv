// The core's registers and what keeps time: configuration of the path, heartbeat, card time, card reset.
//
// Latency:    a register write takes effect in the path 3 cycles after its handshake.
// Throughput: one register access at a time.
// Drops when: never.
module gw_control
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic [15:0] tick_i,  // microseconds that have passed since the last cycle: 0 or 1 in hardware
    input logic host_reset_i,  // level; the heartbeat is 0 as long as it lasts

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

    // what the path reports
    input logic        ready_i,  // tables are clear and usable
    input logic        idle_i,  // nothing is in flight
    input logic        counters_held_i,
    input logic        miss_enable_i,  // the host's miss queue is enabled
    input logic [31:0] punts_outstanding_i,
    input logic [31:0] in_flight_i,

    // what the path is told
    output gw_config_t  config_o,
    output logic        port_enabled_o,  // frames are taken from the wire: control.port_enable and ready
    output logic        host_alive_o,  // heartbeat runs and the miss queue is enabled
    output logic        card_reset_o,  // pulse: the key was written
    output logic [63:0] time_us_o  // card time
);

  gw_core_regs_pkg::gw_core_regs__in_t  to_regs;
  gw_core_regs_pkg::gw_core_regs__out_t from_regs;

  logic        reg_request, reg_write, reg_written, reg_read;
  logic [ 8:0] reg_address;
  logic [31:0] reg_wdata, reg_enable, reg_rdata;
  logic        unused_stall_wr, unused_stall_rd, unused_wr_err, unused_rd_err;  // one access at a time; nothing is an error

  gw_axil_registers #(
      .AddressBits(9)
  ) u_access (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .s_axil_awvalid(s_axil_awvalid),
      .s_axil_awready(s_axil_awready),
      .s_axil_awaddr (s_axil_awaddr),
      .s_axil_wvalid (s_axil_wvalid),
      .s_axil_wready (s_axil_wready),
      .s_axil_wdata  (s_axil_wdata),
      .s_axil_wstrb  (s_axil_wstrb),
      .s_axil_bvalid (s_axil_bvalid),
      .s_axil_bready (s_axil_bready),
      .s_axil_bresp  (s_axil_bresp),
      .s_axil_arvalid(s_axil_arvalid),
      .s_axil_arready(s_axil_arready),
      .s_axil_araddr (s_axil_araddr),
      .s_axil_rvalid (s_axil_rvalid),
      .s_axil_rready (s_axil_rready),
      .s_axil_rdata  (s_axil_rdata),
      .s_axil_rresp  (s_axil_rresp),
      .request_o     (reg_request),
      .write_o       (reg_write),
      .address_o     (reg_address),
      .wdata_o       (reg_wdata),
      .enable_o      (reg_enable),
      .written_i     (reg_written),
      .read_i        (reg_read),
      .rdata_i       (reg_rdata)
  );

  gw_core_regs u_regs (
      .clk                 (clk_i),
      .rst_n               (rst_ni),
      .s_cpuif_req         (reg_request),
      .s_cpuif_req_is_wr   (reg_write),
      .s_cpuif_addr        (reg_address),
      .s_cpuif_wr_data     (reg_wdata),
      .s_cpuif_wr_biten    (reg_enable),
      .s_cpuif_req_stall_wr(unused_stall_wr),
      .s_cpuif_req_stall_rd(unused_stall_rd),
      .s_cpuif_rd_ack      (reg_read),
      .s_cpuif_rd_err      (unused_rd_err),
      .s_cpuif_rd_data     (reg_rdata),
      .s_cpuif_wr_ack      (reg_written),
      .s_cpuif_wr_err      (unused_wr_err),
      .hwif_in             (to_regs),
      .hwif_out            (from_regs)
  );

  // ---- time ------------------------------------------------------------------------------------------------------
  logic [63:0] time_us_q;
  logic        heartbeat_runs;
  assign heartbeat_runs = from_regs.heartbeat.remaining_us.value != 32'd0;
  assign time_us_o      = time_us_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) time_us_q <= '0;
    else time_us_q <= time_us_q + 64'(tick_i);
  end

  // ---- card reset: the key shows one cycle after the write's strobe ------------------------------------------------
  logic key_written_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) key_written_q <= 1'b0;
    else key_written_q <= from_regs.card_reset.key.swmod;
  end
  // ---- limits of answers, likewise -----------------------------------------------------------------------------------
  logic [1:0] limit_written_q;
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < 2; i++) limit_written_q[i] <= rst_ni && from_regs.icmp_limit[i].rate.swmod;
  end

  assign card_reset_o = key_written_q && from_regs.card_reset.key.value == CardResetKey;

  // ---- to and from the registers ---------------------------------------------------------------------------------
  assign host_alive_o   = heartbeat_runs && miss_enable_i;
  assign port_enabled_o = from_regs.control.port_enable.value && ready_i;

  always_comb begin
    to_regs.layout_hash.value.next         = LayoutHash;
    to_regs.size_vips.vips.next            = 16'(Vips);
    to_regs.size_vips.pools.next           = 16'(Pools);
    to_regs.size_backends.backends.next    = 16'(Backends);
    to_regs.size_backends.next_hops.next   = 16'(NextHops);
    to_regs.size_ring_slots.value.next     = RingSlots;
    to_regs.size_flows.value.next          = Flows;
    to_regs.size_payload_beats.value.next  = WireBeats;
    to_regs.status.ready.next              = ready_i;
    to_regs.status.host_alive.next         = host_alive_o;
    to_regs.status.idle.next               = idle_i;
    to_regs.status.counters_held.next      = counters_held_i;
    to_regs.control.counters_hold.hwclr    = host_reset_i;
    to_regs.heartbeat.remaining_us.we      = host_reset_i || (tick_i != '0 && heartbeat_runs);
    to_regs.heartbeat.remaining_us.next    = host_reset_i || from_regs.heartbeat.remaining_us.value <= 32'(tick_i) ?
        '0 : from_regs.heartbeat.remaining_us.value - 32'(tick_i);
    to_regs.time_us_low.value.next         = time_us_q[31:0];
    to_regs.time_us_high.value.next        = time_us_q[63:32];
    to_regs.punts_outstanding.value.next   = punts_outstanding_i;
    to_regs.in_flight.value.next           = in_flight_i;
  end

  always_comb begin
    config_o.port_enable    = from_regs.control.port_enable.value;
    config_o.unmatched_drop = from_regs.control.unmatched_drop.value;
    config_o.compute_only   = from_regs.control.compute_only.value;
    config_o.counters_hold  = from_regs.control.counters_hold.value;
    config_o.replies        = {from_regs.icmp_limit[1].burst.value != '0, from_regs.icmp_limit[0].burst.value != '0};
    config_o.icmp_written   = limit_written_q;
    for (int unsigned i = 0; i < 2; i++) begin
      config_o.icmp_rate[i]  = from_regs.icmp_limit[i].rate.value;
      config_o.icmp_burst[i] = from_regs.icmp_limit[i].burst.value;
    end
    config_o.mac_filter     = from_regs.mac_high.filter.value;
    config_o.mac            = {from_regs.mac_high.high.value, from_regs.mac_low.value.value};
    config_o.ipip_source_v4 = from_regs.ipip_source_v4.value.value;
    config_o.source_v4      = from_regs.source_v4.value.value;
    config_o.gue_port       = from_regs.gue_port.port.value;
    config_o.quic_lb        = from_regs.quic_lb.bytes.value;
    for (int unsigned i = 0; i < 4; i++) begin
      config_o.ipip_source_v6[127-32*i-:32] = from_regs.ipip_source_v6[i].value.value;
      config_o.source_v6[127-32*i-:32]      = from_regs.source_v6[i].value.value;
      config_o.egress_threshold[i]          = from_regs.egress_threshold[i].beats.value;
    end
    config_o.trace.enable                = from_regs.trace_filter.enable.value;
    config_o.trace.match_vip             = from_regs.trace_filter.match_vip.value;
    config_o.trace.match_family          = from_regs.trace_filter.match_family.value;
    config_o.trace.ipv6                  = from_regs.trace_filter.ipv6.value;
    config_o.trace.sample_log2           = from_regs.trace_filter.sample_log2.value;
    config_o.trace.vip                   = from_regs.trace_filter.vip.value;
    config_o.trace.source_port           = from_regs.trace_ports.source.value;
    config_o.trace.source_port_mask      = from_regs.trace_ports_mask.source.value;
    config_o.trace.destination_port      = from_regs.trace_ports.destination.value;
    config_o.trace.destination_port_mask = from_regs.trace_ports_mask.destination.value;
    config_o.trace.protocol              = from_regs.trace_protocol.value.value;
    config_o.trace.protocol_mask         = from_regs.trace_protocol.mask.value;
    for (int unsigned i = 0; i < 4; i++) begin
      config_o.trace.source[127-32*i-:32]           = from_regs.trace_source[i].value.value;
      config_o.trace.source_mask[127-32*i-:32]      = from_regs.trace_source_mask[i].value.value;
      config_o.trace.destination[127-32*i-:32]      = from_regs.trace_destination[i].value.value;
      config_o.trace.destination_mask[127-32*i-:32] = from_regs.trace_destination_mask[i].value.value;
    end
    for (int unsigned bank = 0; bank < Banks; bank++) begin
      for (int unsigned i = 0; i < SecretBits / 32; i++) begin
        config_o.secret[bank][32*i+:32] = from_regs.secret[bank*(SecretBits/32)+i].value.value;
      end
    end
  end

  // The host's scratch block: kept for the host, not used by the path.
  logic unused_ok;
  always_comb begin
    unused_ok = from_regs.heartbeat.remaining_us.swmod;
    for (int unsigned i = 0; i < 32; i++) unused_ok ^= ^from_regs.scratch[i].value.value;
  end
endmodule
