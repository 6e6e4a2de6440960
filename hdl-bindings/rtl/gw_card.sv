// The card: the packet path with rings, DMA and interrupts around it, towards a PCIe bridge. Wiring only.
//
// BARs on s_axil: 0x00000 BAR0 (core registers; card registers at 0x4000), 0x10000 BAR2 (debug window), 0x20000 BAR4
// (MSI-X table; pending bits at 0x800). What is not there reads as 0.
// m_axi_dma: INCR bursts of whole beats at addresses that are multiples of 64 (a write's strobes say which bytes, always one
// run of them), at most 512 bytes read and 256 written, naturally aligned so that none crosses 4 KiB. IDs order what must be
// ordered: reads 0 command descriptors, 1 command data, 2 TX descriptors, 3 TX frames; writes 0 RX, 1 TX
// completions, 2 command data, 3 command completions, 4 MSI-X, 5 records.
//
// Latency, throughput, drops: those of gw_core and of the rings.
module gw_card
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic [15:0] tick_i,  // microseconds that have passed since the last cycle: 0 or 1 in hardware

    // wire
    input  logic         s_axis_rx_tvalid,
    output logic         s_axis_rx_tready,
    input  logic [511:0] s_axis_rx_tdata,
    input  logic [ 63:0] s_axis_rx_tkeep,
    input  logic         s_axis_rx_tlast,
    input  logic         s_axis_rx_tuser,  // error, with the last beat
    output logic         m_axis_tx_tvalid,
    input  logic         m_axis_tx_tready,
    output logic [511:0] m_axis_tx_tdata,
    output logic [ 63:0] m_axis_tx_tkeep,
    output logic         m_axis_tx_tlast,

    // BARs
    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [17:0] s_axil_awaddr,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    input  logic [31:0] s_axil_wdata,
    input  logic [ 3:0] s_axil_wstrb,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    output logic [ 1:0] s_axil_bresp,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    input  logic [17:0] s_axil_araddr,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic [31:0] s_axil_rdata,
    output logic [ 1:0] s_axil_rresp,

    // host memory
    output logic         m_axi_dma_awvalid,
    input  logic         m_axi_dma_awready,
    output logic [  3:0] m_axi_dma_awid,
    output logic [ 63:0] m_axi_dma_awaddr,
    output logic [  7:0] m_axi_dma_awlen,
    output logic [  2:0] m_axi_dma_awsize,
    output logic [  1:0] m_axi_dma_awburst,
    output logic         m_axi_dma_wvalid,
    input  logic         m_axi_dma_wready,
    output logic [511:0] m_axi_dma_wdata,
    output logic [ 63:0] m_axi_dma_wstrb,
    output logic         m_axi_dma_wlast,
    input  logic         m_axi_dma_bvalid,
    output logic         m_axi_dma_bready,
    input  logic [  3:0] m_axi_dma_bid,
    input  logic [  1:0] m_axi_dma_bresp,
    output logic         m_axi_dma_arvalid,
    input  logic         m_axi_dma_arready,
    output logic [  3:0] m_axi_dma_arid,
    output logic [ 63:0] m_axi_dma_araddr,
    output logic [  7:0] m_axi_dma_arlen,
    output logic [  2:0] m_axi_dma_arsize,
    output logic [  1:0] m_axi_dma_arburst,
    input  logic         m_axi_dma_rvalid,
    output logic         m_axi_dma_rready,
    input  logic [  3:0] m_axi_dma_rid,
    input  logic [511:0] m_axi_dma_rdata,
    input  logic [  1:0] m_axi_dma_rresp,
    input  logic         m_axi_dma_rlast,

    // state of the PCI function
    input  logic bus_master_i,  // no new DMA without it
    input  logic msix_enable_i,
    input  logic msix_mask_i,
    input  logic host_reset_i,  // level, held until host_reset_done_o
    output logic host_reset_done_o,  // DMA has drained and the host side is reset; holds until host_reset_i ends

    // what a simulator and a shell want to know
    output logic        idle_o,  // nothing in flight but what waits for the host, no DMA outstanding, no ring has work
    output logic        ready_o,  // tables are clear and usable
    output logic        port_enabled_o,  // frames are taken from the wire
    output logic [31:0] punts_outstanding_o,  // handed to the host and not ended
    output logic        host_alive_o
);

  // ---- resets -----------------------------------------------------------------------------------------------------------
  logic stop, hold, host_rst_n, core_rst_n, running, quiet, card_reset;
  logic read_idle, write_idle, split_idle, rx_quiet, command_quiet, injecting;
  logic tx_valid;  // m_axis_tx, before a card reset cuts it off

  gw_host_reset u_host_reset (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .host_reset_i     (host_reset_i),
      .card_reset_i     (card_reset),
      .host_reset_done_o(host_reset_done_o),
      .stop_o           (stop),
      .hold_o           (hold),
      .host_rst_no      (host_rst_n),
      .core_rst_no      (core_rst_n),
      .running_o        (running),
      .quiet_i          (quiet),
      .tx_valid_i       (tx_valid),
      .tx_ready_i       (m_axis_tx_tready),
      .tx_last_i        (m_axis_tx_tlast)
  );
  assign quiet            = read_idle && write_idle && split_idle && rx_quiet && command_quiet && !injecting;
  assign m_axis_tx_tvalid = tx_valid && core_rst_n;

  // ---- registers ----------------------------------------------------------------------------------------------------------
  localparam int unsigned Core = 0;
  localparam int unsigned Card = 1;
  logic [1:0] block_awvalid, block_awready, block_wvalid, block_wready, block_bvalid, block_bready;
  logic [1:0] block_arvalid, block_arready, block_rvalid, block_rready;
  logic [1:0][31:0] block_rdata;
  logic [1:0] unused_core_bresp, unused_core_rresp;
  logic debug_access, msix_access, access_write;
  logic [11:0] access_address;
  logic [31:0] access_wdata, debug_rdata, msix_rdata;
  logic [3:0] access_wstrb;

  gw_axil_split u_axil_split (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .hold_i         (hold),
      .idle_o         (split_idle),
      .s_axil_awvalid (s_axil_awvalid),
      .s_axil_awready (s_axil_awready),
      .s_axil_awaddr  (s_axil_awaddr),
      .s_axil_wvalid  (s_axil_wvalid),
      .s_axil_wready  (s_axil_wready),
      .s_axil_wdata   (s_axil_wdata),
      .s_axil_wstrb   (s_axil_wstrb),
      .s_axil_bvalid  (s_axil_bvalid),
      .s_axil_bready  (s_axil_bready),
      .s_axil_bresp   (s_axil_bresp),
      .s_axil_arvalid (s_axil_arvalid),
      .s_axil_arready (s_axil_arready),
      .s_axil_araddr  (s_axil_araddr),
      .s_axil_rvalid  (s_axil_rvalid),
      .s_axil_rready  (s_axil_rready),
      .s_axil_rdata   (s_axil_rdata),
      .s_axil_rresp   (s_axil_rresp),
      .block_awvalid_o(block_awvalid),
      .block_awready_i(block_awready),
      .block_wvalid_o (block_wvalid),
      .block_wready_i (block_wready),
      .block_bvalid_i (block_bvalid),
      .block_bready_o (block_bready),
      .block_arvalid_o(block_arvalid),
      .block_arready_i(block_arready),
      .block_rvalid_i (block_rvalid),
      .block_rready_o (block_rready),
      .block_rdata_i  (block_rdata),
      .debug_access_o (debug_access),
      .debug_rdata_i  (debug_rdata),
      .msix_access_o  (msix_access),
      .msix_rdata_i   (msix_rdata),
      .write_o        (access_write),
      .address_o      (access_address),
      .wdata_o        (access_wdata),
      .wstrb_o        (access_wstrb)
  );

  gw_rx_queue_config_t [3:0] rx_config;
  gw_rx_queue_state_t [3:0] rx_state;
  gw_descriptor_ring_config_t tx_config, command_config;
  gw_descriptor_ring_state_t tx_state, command_state;
  gw_rx_queue_config_t record_config;
  gw_rx_queue_state_t record_state;
  logic [1:0][31:0] record_made;
  logic read_error, write_error;

  gw_ring_registers u_ring_registers (
      .clk_i           (clk_i),
      .rst_ni          (host_rst_n),
      .card_rst_ni     (core_rst_n),
      .s_axil_awvalid  (block_awvalid[Card]),
      .s_axil_awready  (block_awready[Card]),
      .s_axil_awaddr   (access_address[8:0]),
      .s_axil_wvalid   (block_wvalid[Card]),
      .s_axil_wready   (block_wready[Card]),
      .s_axil_wdata    (access_wdata),
      .s_axil_wstrb    (access_wstrb),
      .s_axil_bvalid   (block_bvalid[Card]),
      .s_axil_bready   (block_bready[Card]),
      .s_axil_arvalid  (block_arvalid[Card]),
      .s_axil_arready  (block_arready[Card]),
      .s_axil_araddr   (access_address[8:0]),
      .s_axil_rvalid   (block_rvalid[Card]),
      .s_axil_rready   (block_rready[Card]),
      .s_axil_rdata    (block_rdata[Card]),
      .rx_config_o     (rx_config),
      .rx_state_i      (rx_state),
      .tx_config_o     (tx_config),
      .tx_state_i      (tx_state),
      .command_config_o(command_config),
      .command_state_i (command_state),
      .record_config_o (record_config),
      .record_state_i  (record_state),
      .record_made_i   (record_made),
      .read_error_i    (read_error),
      .write_error_i   (write_error)
  );

  // ---- DMA ----------------------------------------------------------------------------------------------------------------
  logic [DmaReadChannels-1:0] request_valid, request_ready, read_valid;
  logic [DmaReadChannels-1:0][63:0] request_address;
  logic [DmaReadChannels-1:0][7:0] request_beats;
  logic [BeatBits-1:0] read_data;
  logic read_data_error;
  logic [DmaWriteChannels-1:0] write_valid, write_ready, done_valid;
  gw_dma_beat_t [DmaWriteChannels-1:0] write_beat;
  logic done_error;

  gw_dma_read u_dma_read (
      .clk_i            (clk_i),
      .rst_ni           (host_rst_n),
      .bus_master_i     (bus_master_i),
      .stop_i           (stop),
      .idle_o           (read_idle),
      .error_o          (read_error),
      .request_valid_i  (request_valid),
      .request_ready_o  (request_ready),
      .request_address_i(request_address),
      .request_beats_i  (request_beats),
      .answer_valid_o   (read_valid),
      .answer_data_o    (read_data),
      .answer_error_o   (read_data_error),
      .m_axi_dma_arvalid(m_axi_dma_arvalid),
      .m_axi_dma_arready(m_axi_dma_arready),
      .m_axi_dma_arid   (m_axi_dma_arid),
      .m_axi_dma_araddr (m_axi_dma_araddr),
      .m_axi_dma_arlen  (m_axi_dma_arlen),
      .m_axi_dma_arsize (m_axi_dma_arsize),
      .m_axi_dma_arburst(m_axi_dma_arburst),
      .m_axi_dma_rvalid (m_axi_dma_rvalid),
      .m_axi_dma_rready (m_axi_dma_rready),
      .m_axi_dma_rid    (m_axi_dma_rid),
      .m_axi_dma_rdata  (m_axi_dma_rdata),
      .m_axi_dma_rresp  (m_axi_dma_rresp),
      .m_axi_dma_rlast  (m_axi_dma_rlast)
  );

  gw_dma_write u_dma_write (
      .clk_i            (clk_i),
      .rst_ni           (host_rst_n),
      .bus_master_i     (bus_master_i),
      .stop_i           (stop),
      .idle_o           (write_idle),
      .error_o          (write_error),
      .write_valid_i    (write_valid),
      .write_ready_o    (write_ready),
      .write_i          (write_beat),
      .done_valid_o     (done_valid),
      .done_error_o     (done_error),
      .m_axi_dma_awvalid(m_axi_dma_awvalid),
      .m_axi_dma_awready(m_axi_dma_awready),
      .m_axi_dma_awid   (m_axi_dma_awid),
      .m_axi_dma_awaddr (m_axi_dma_awaddr),
      .m_axi_dma_awlen  (m_axi_dma_awlen),
      .m_axi_dma_awsize (m_axi_dma_awsize),
      .m_axi_dma_awburst(m_axi_dma_awburst),
      .m_axi_dma_wvalid (m_axi_dma_wvalid),
      .m_axi_dma_wready (m_axi_dma_wready),
      .m_axi_dma_wdata  (m_axi_dma_wdata),
      .m_axi_dma_wstrb  (m_axi_dma_wstrb),
      .m_axi_dma_wlast  (m_axi_dma_wlast),
      .m_axi_dma_bvalid (m_axi_dma_bvalid),
      .m_axi_dma_bready (m_axi_dma_bready),
      .m_axi_dma_bid    (m_axi_dma_bid),
      .m_axi_dma_bresp  (m_axi_dma_bresp)
  );

  // ---- MSI-X --------------------------------------------------------------------------------------------------------------
  logic [MsixVectors-1:0] fire;
  logic [3:0] rx_interrupt;
  logic tx_interrupt, command_interrupt, record_interrupt, rx_stopped, tx_stopped, command_stopped, record_stopped, msix_busy;
  assign fire = {record_interrupt, rx_stopped || tx_stopped || command_stopped || record_stopped, command_interrupt, tx_interrupt, rx_interrupt};

  gw_msix u_msix (
      .clk_i           (clk_i),
      .rst_ni          (host_rst_n),
      .enable_i        (msix_enable_i),
      .mask_i          (msix_mask_i),
      .fire_i          (fire),
      .access_i        (msix_access),
      .access_write_i  (access_write),
      .access_address_i(access_address),
      .access_wdata_i  (access_wdata),
      .access_wstrb_i  (access_wstrb),
      .access_rdata_o  (msix_rdata),
      .write_valid_o   (write_valid[DmaWriteMsix]),
      .write_ready_i   (write_ready[DmaWriteMsix]),
      .write_o         (write_beat[DmaWriteMsix]),
      .busy_o          (msix_busy)
  );
  logic unused_msix_done;
  assign unused_msix_done = done_valid[DmaWriteMsix];

  // ---- RX -----------------------------------------------------------------------------------------------------------------
  logic [3:0] class_enable, class_ready;
  logic [3:0][14:0] class_bytes;
  logic host_valid, host_ready, host_last, host_lost, punt_lost, rx_busy;
  logic [BeatBits-1:0] host_data;
  logic [BeatBytes-1:0] unused_host_keep;  // the record has the length
  logic [1:0] host_class;
  gw_rx_completion_t host_record;

  gw_rx_ring u_rx_ring (
      .clk_i         (clk_i),
      .rst_ni        (host_rst_n),
      .stop_i        (stop),
      .dma_idle_i    (write_idle),
      .config_i      (rx_config),
      .state_o       (rx_state),
      .class_enable_o(class_enable),
      .class_ready_o (class_ready),
      .class_bytes_o (class_bytes),
      .host_valid_i  (host_valid),
      .host_ready_o  (host_ready),
      .host_data_i   (host_data),
      .host_last_i   (host_last),
      .host_class_i  (host_class),
      .host_record_i (host_record),
      .lost_o        (host_lost),
      .punt_lost_o   (punt_lost),
      .write_valid_o (write_valid[DmaWriteRx]),
      .write_ready_i (write_ready[DmaWriteRx]),
      .write_o       (write_beat[DmaWriteRx]),
      .done_valid_i  (done_valid[DmaWriteRx]),
      .done_error_i  (done_error),
      .interrupt_o   (rx_interrupt),
      .stopped_o     (rx_stopped),
      .busy_o        (rx_busy),
      .quiet_o       (rx_quiet)
  );

  // ---- TX -----------------------------------------------------------------------------------------------------------------
  logic tx_descriptor_valid, tx_descriptor_ready, tx_answer_valid, tx_answer_ready, tx_abort, tx_busy;
  logic [511:0] tx_descriptor;
  gw_answer_t tx_answer;
  logic inject_valid, inject_ready, inject_last, punt_ended;
  logic [BeatBits-1:0] inject_data;
  logic [BeatBytes-1:0] inject_keep;
  gw_inject_t inject_user;

  gw_descriptor_ring u_tx_descriptors (
      .clk_i             (clk_i),
      .rst_ni            (host_rst_n),
      .config_i          (tx_config),
      .state_o           (tx_state),
      .descriptor_valid_o(tx_descriptor_valid),
      .descriptor_ready_i(tx_descriptor_ready),
      .descriptor_o      (tx_descriptor),
      .answer_valid_i    (tx_answer_valid),
      .answer_ready_o    (tx_answer_ready),
      .answer_i          (tx_answer),
      .abort_o           (tx_abort),
      .request_valid_o   (request_valid[DmaReadTx]),
      .request_ready_i   (request_ready[DmaReadTx]),
      .request_address_o (request_address[DmaReadTx]),
      .request_beats_o   (request_beats[DmaReadTx]),
      .read_valid_i      (read_valid[DmaReadTx]),
      .read_data_i       (read_data),
      .read_error_i      (read_data_error),
      .write_valid_o     (write_valid[DmaWriteTx]),
      .write_ready_i     (write_ready[DmaWriteTx]),
      .write_o           (write_beat[DmaWriteTx]),
      .done_valid_i      (done_valid[DmaWriteTx]),
      .done_error_i      (done_error),
      .interrupt_o       (tx_interrupt),
      .stopped_o         (tx_stopped),
      .busy_o            (tx_busy)
  );

  gw_tx_ring u_tx_ring (
      .clk_i             (clk_i),
      .rst_ni            (host_rst_n),
      .stop_i            (stop),
      .descriptor_valid_i(tx_descriptor_valid),
      .descriptor_ready_o(tx_descriptor_ready),
      .descriptor_i      (tx_descriptor),
      .answer_valid_o    (tx_answer_valid),
      .answer_ready_i    (tx_answer_ready),
      .answer_o          (tx_answer),
      .abort_i           (tx_abort),
      .request_valid_o   (request_valid[DmaReadFrame]),
      .request_ready_i   (request_ready[DmaReadFrame]),
      .request_address_o (request_address[DmaReadFrame]),
      .request_beats_o   (request_beats[DmaReadFrame]),
      .read_valid_i      (read_valid[DmaReadFrame]),
      .read_data_i       (read_data),
      .read_error_i      (read_data_error),
      .inject_valid_o    (inject_valid),
      .inject_ready_i    (inject_ready),
      .inject_data_o     (inject_data),
      .inject_keep_o     (inject_keep),
      .inject_last_o     (inject_last),
      .inject_user_o     (inject_user),
      .punt_ended_o      (punt_ended),
      .injecting_o       (injecting)
  );

  // ---- commands -----------------------------------------------------------------------------------------------------------
  logic command_descriptor_valid, command_descriptor_ready, command_answer_valid, command_answer_ready, command_stop, command_busy;
  logic [511:0] command_descriptor;
  gw_answer_t command_answer;
  logic command_valid, command_ready, checked_valid, wdata_valid, wdata_ready, wdata_error, rdata_valid, rdata_ready;
  logic command_done_valid, command_abort, unused_rdata_last;
  gw_command_t command;
  gw_status_e checked_status;
  gw_command_rsp_t command_done;
  logic [BeatBits-1:0] wdata, rdata;

  gw_descriptor_ring u_command_descriptors (
      .clk_i             (clk_i),
      .rst_ni            (host_rst_n),
      .config_i          (command_config),
      .state_o           (command_state),
      .descriptor_valid_o(command_descriptor_valid),
      .descriptor_ready_i(command_descriptor_ready),
      .descriptor_o      (command_descriptor),
      .answer_valid_i    (command_answer_valid),
      .answer_ready_o    (command_answer_ready),
      .answer_i          (command_answer),
      .abort_o           (command_stop),
      .request_valid_o   (request_valid[DmaReadCommand]),
      .request_ready_i   (request_ready[DmaReadCommand]),
      .request_address_o (request_address[DmaReadCommand]),
      .request_beats_o   (request_beats[DmaReadCommand]),
      .read_valid_i      (read_valid[DmaReadCommand]),
      .read_data_i       (read_data),
      .read_error_i      (read_data_error),
      .write_valid_o     (write_valid[DmaWriteCommand]),
      .write_ready_i     (write_ready[DmaWriteCommand]),
      .write_o           (write_beat[DmaWriteCommand]),
      .done_valid_i      (done_valid[DmaWriteCommand]),
      .done_error_i      (done_error),
      .interrupt_o       (command_interrupt),
      .stopped_o         (command_stopped),
      .busy_o            (command_busy)
  );

  gw_command_ring u_command_ring (
      .clk_i                   (clk_i),
      .rst_ni                  (host_rst_n),
      .stop_i                  (stop),
      .quiet_o                 (command_quiet),
      .descriptor_valid_i      (command_descriptor_valid),
      .descriptor_ready_o      (command_descriptor_ready),
      .descriptor_i            (command_descriptor),
      .answer_valid_o          (command_answer_valid),
      .answer_ready_i          (command_answer_ready),
      .answer_o                (command_answer),
      .abort_i                 (command_stop),
      .command_valid_o         (command_valid),
      .command_ready_i         (command_ready),
      .command_o               (command),
      .command_checked_valid_i (checked_valid),
      .command_checked_status_i(checked_status),
      .command_wdata_valid_o   (wdata_valid),
      .command_wdata_ready_i   (wdata_ready),
      .command_wdata_o         (wdata),
      .command_wdata_error_o   (wdata_error),
      .command_rdata_valid_i   (rdata_valid),
      .command_rdata_ready_o   (rdata_ready),
      .command_rdata_i         (rdata),
      .command_done_valid_i    (command_done_valid),
      .command_done_i          (command_done),
      .command_abort_o         (command_abort),
      .request_valid_o         (request_valid[DmaReadTable]),
      .request_ready_i         (request_ready[DmaReadTable]),
      .request_address_o       (request_address[DmaReadTable]),
      .request_beats_o         (request_beats[DmaReadTable]),
      .read_valid_i            (read_valid[DmaReadTable]),
      .read_data_i             (read_data),
      .read_error_i            (read_data_error),
      .write_valid_o           (write_valid[DmaWriteTable]),
      .write_ready_i           (write_ready[DmaWriteTable]),
      .write_o                 (write_beat[DmaWriteTable]),
      .done_valid_i            (done_valid[DmaWriteTable]),
      .done_error_i            (done_error)
  );

  // ---- records ------------------------------------------------------------------------------------------------------------
  logic             trace_valid, flow_event_valid, record_busy;
  gw_trace_record_t trace;
  gw_flow_event_t   flow_event;
  logic [31:0]      time_us;
  logic [1:0]       record_lost;

  gw_record_ring u_record_ring (
      .clk_i        (clk_i),
      .rst_ni       (host_rst_n),
      .stop_i       (stop),
      .bus_master_i (bus_master_i),
      .time_us_i    (time_us),
      .config_i     (record_config),
      .state_o      (record_state),
      .made_o       (record_made),
      .trace_valid_i(trace_valid),
      .trace_i      (trace),
      .event_valid_i(flow_event_valid),
      .event_i      (flow_event),
      .lost_o       (record_lost),
      .write_valid_o(write_valid[DmaWriteRecord]),
      .write_ready_i(write_ready[DmaWriteRecord]),
      .write_o      (write_beat[DmaWriteRecord]),
      .done_valid_i (done_valid[DmaWriteRecord]),
      .done_error_i (done_error),
      .interrupt_o  (record_interrupt),
      .stopped_o    (record_stopped),
      .busy_o       (record_busy)
  );

  // The debug window comes with its own issue; until then it reads as 0.
  logic unused_debug;
  assign debug_rdata  = '0;
  assign unused_debug = debug_access;

  // ---- the packet path ----------------------------------------------------------------------------------------------------
  logic core_idle;
  logic [31:0] unused_in_flight;

  gw_core u_core (
      .clk_i                   (clk_i),
      .rst_ni                  (core_rst_n),
      .tick_i                  (tick_i),
      .s_axis_rx_tvalid        (s_axis_rx_tvalid),
      .s_axis_rx_tready        (s_axis_rx_tready),
      .s_axis_rx_tdata         (s_axis_rx_tdata),
      .s_axis_rx_tkeep         (s_axis_rx_tkeep),
      .s_axis_rx_tlast         (s_axis_rx_tlast),
      .s_axis_rx_tuser         (s_axis_rx_tuser),
      .m_axis_tx_tvalid        (tx_valid),
      .m_axis_tx_tready        (m_axis_tx_tready),
      .m_axis_tx_tdata         (m_axis_tx_tdata),
      .m_axis_tx_tkeep         (m_axis_tx_tkeep),
      .m_axis_tx_tlast         (m_axis_tx_tlast),
      .s_axis_inject_tvalid    (inject_valid),
      .s_axis_inject_tready    (inject_ready),
      .s_axis_inject_tdata     (inject_data),
      .s_axis_inject_tkeep     (inject_keep),
      .s_axis_inject_tlast     (inject_last),
      .s_axis_inject_tuser     (inject_user),
      .m_axis_host_tvalid      (host_valid),
      .m_axis_host_tready      (host_ready),
      .m_axis_host_tdata       (host_data),
      .m_axis_host_tkeep       (unused_host_keep),
      .m_axis_host_tlast       (host_last),
      .m_axis_host_tdest       (host_class),
      .m_axis_host_tuser       (host_record),
      .host_class_enable_i     (class_enable),
      .host_class_ready_i      (class_ready),
      .host_class_bytes_i      (class_bytes),
      .punt_ended_i            (punt_ended),
      .host_lost_i             (host_lost),
      .punt_lost_i             (punt_lost),
      .host_reset_i            (stop),
      .s_axil_awvalid          (block_awvalid[Core]),
      .s_axil_awready          (block_awready[Core]),
      .s_axil_awaddr           (access_address[8:0]),
      .s_axil_wvalid           (block_wvalid[Core]),
      .s_axil_wready           (block_wready[Core]),
      .s_axil_wdata            (access_wdata),
      .s_axil_wstrb            (access_wstrb),
      .s_axil_bvalid           (block_bvalid[Core]),
      .s_axil_bready           (block_bready[Core]),
      .s_axil_bresp            (unused_core_bresp),
      .s_axil_arvalid          (block_arvalid[Core]),
      .s_axil_arready          (block_arready[Core]),
      .s_axil_araddr           (access_address[8:0]),
      .s_axil_rvalid           (block_rvalid[Core]),
      .s_axil_rready           (block_rready[Core]),
      .s_axil_rdata            (block_rdata[Core]),
      .s_axil_rresp            (unused_core_rresp),
      .command_valid_i         (command_valid),
      .command_ready_o         (command_ready),
      .command_i               (command),
      .command_checked_valid_o (checked_valid),
      .command_checked_status_o(checked_status),
      .command_wdata_valid_i   (wdata_valid),
      .command_wdata_ready_o   (wdata_ready),
      .command_wdata_i         (wdata),
      .command_wdata_error_i   (wdata_error),
      .command_rdata_valid_o   (rdata_valid),
      .command_rdata_ready_i   (rdata_ready),
      .command_rdata_o         (rdata),
      .command_rdata_last_o    (unused_rdata_last),
      .command_done_valid_o    (command_done_valid),
      .command_done_o          (command_done),
      .command_abort_i         (command_abort),
      .flow_event_valid_o      (flow_event_valid),
      .flow_event_o            (flow_event),
      .trace_valid_o           (trace_valid),
      .trace_o                 (trace),
      .time_us_o               (time_us),
      .record_lost_i           (record_lost),
      .card_reset_o            (card_reset),
      .ready_o                 (ready_o),
      .idle_o                  (core_idle),
      .port_enabled_o          (port_enabled_o),
      .host_alive_o            (host_alive_o),
      .punts_outstanding_o     (punts_outstanding_o),
      .in_flight_o             (unused_in_flight)
  );

  assign idle_o = running && core_idle && read_idle && write_idle && split_idle && !rx_busy && !tx_busy && !command_busy && !record_busy && !msix_busy;
endmodule
