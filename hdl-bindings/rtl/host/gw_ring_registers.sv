// Purpose: the card's registers (rings, DMA errors) as the rings understand them.
// Latency: a doorbell reaches its ring 2 cycles after the write.
// Throughput: one register access at a time.
// Drops when: never.
module gw_ring_registers
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,  // also at a host reset: rings are disabled and forgotten
    input logic card_rst_ni,  // the error counters stay until the card's reset

    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [ 8:0] s_axil_awaddr,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    input  logic [31:0] s_axil_wdata,
    input  logic [ 3:0] s_axil_wstrb,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    input  logic [ 8:0] s_axil_araddr,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic [31:0] s_axil_rdata,

    output gw_rx_queue_config_t       [3:0] rx_config_o,
    input  gw_rx_queue_state_t        [3:0] rx_state_i,
    output gw_descriptor_ring_config_t      tx_config_o,
    input  gw_descriptor_ring_state_t       tx_state_i,
    output gw_descriptor_ring_config_t      command_config_o,
    input  gw_descriptor_ring_state_t       command_state_i,
    output gw_rx_queue_config_t             record_config_o,
    input  gw_rx_queue_state_t              record_state_i,
    input  logic [1:0][31:0]                record_made_i,

    input logic read_error_i,  // pulses
    input logic write_error_i
);
  gw_card_regs_pkg::gw_card_regs__in_t  to_regs;
  gw_card_regs_pkg::gw_card_regs__out_t from_regs;
  logic [1:0] unused_bresp, unused_rresp;

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
      .s_axil_bresp  (unused_bresp),
      .s_axil_arvalid(s_axil_arvalid),
      .s_axil_arready(s_axil_arready),
      .s_axil_araddr (s_axil_araddr),
      .s_axil_rvalid (s_axil_rvalid),
      .s_axil_rready (s_axil_rready),
      .s_axil_rdata  (s_axil_rdata),
      .s_axil_rresp  (unused_rresp),
      .request_o     (reg_request),
      .write_o       (reg_write),
      .address_o     (reg_address),
      .wdata_o       (reg_wdata),
      .enable_o      (reg_enable),
      .written_i     (reg_written),
      .read_i        (reg_read),
      .rdata_i       (reg_rdata)
  );

  gw_card_regs u_regs (
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

  // A write's strobe comes one cycle before its value.
  logic [3:0]  consumer_written_q, rx_arm_written_q;
  logic        record_written_q, record_arm_written_q;
  logic        tx_written_q, tx_arm_written_q, command_written_q, command_arm_written_q;
  logic [31:0] read_errors_q, write_errors_q;
  always_ff @(posedge clk_i) begin
    for (int unsigned c = 0; c < 4; c++) begin
      consumer_written_q[c] <= from_regs.rx[c].consumer.index.swmod && rst_ni;
      rx_arm_written_q[c]   <= from_regs.rx[c].arm.index.swmod && rst_ni;
    end
    tx_written_q          <= from_regs.tx.producer.index.swmod && rst_ni;
    tx_arm_written_q      <= from_regs.tx.arm.index.swmod && rst_ni;
    command_written_q     <= from_regs.command.producer.index.swmod && rst_ni;
    command_arm_written_q <= from_regs.command.arm.index.swmod && rst_ni;
    record_written_q      <= from_regs.record.consumer.index.swmod && rst_ni;
    record_arm_written_q  <= from_regs.record.arm.index.swmod && rst_ni;
    if (read_error_i) read_errors_q <= read_errors_q + 32'd1;
    if (write_error_i) write_errors_q <= write_errors_q + 32'd1;
    if (!card_rst_ni) begin
      read_errors_q  <= '0;
      write_errors_q <= '0;
    end
  end

  always_comb begin
    for (int unsigned c = 0; c < 4; c++) begin
      rx_config_o[c].enable           = from_regs.rx[c].config_.enable.value;
      rx_config_o[c].size_log2        = from_regs.rx[c].config_.size_log2.value;
      rx_config_o[c].stride_log2      = from_regs.rx[c].config_.stride_log2.value;
      rx_config_o[c].base             = {from_regs.rx[c].base_high.value.value, from_regs.rx[c].base_low.value.value};
      rx_config_o[c].buffer           = {from_regs.rx[c].buffer_high.value.value, from_regs.rx[c].buffer_low.value.value};
      rx_config_o[c].consumer         = from_regs.rx[c].consumer.index.value;
      rx_config_o[c].consumer_written = consumer_written_q[c];
      rx_config_o[c].arm              = from_regs.rx[c].arm.index.value;
      rx_config_o[c].arm_written      = rx_arm_written_q[c];
      to_regs.rx[c].producer.index.next = rx_state_i[c].producer;
      to_regs.rx[c].status.code.next    = rx_state_i[c].status;
    end
    tx_config_o.enable           = from_regs.tx.config_.enable.value;
    tx_config_o.size_log2        = from_regs.tx.config_.size_log2.value;
    tx_config_o.base             = {from_regs.tx.base_high.value.value, from_regs.tx.base_low.value.value};
    tx_config_o.completion       = {from_regs.tx.completion_high.value.value, from_regs.tx.completion_low.value.value};
    tx_config_o.producer         = from_regs.tx.producer.index.value;
    tx_config_o.producer_written = tx_written_q;
    tx_config_o.arm              = from_regs.tx.arm.index.value;
    tx_config_o.arm_written      = tx_arm_written_q;
    to_regs.tx.completed.index.next = tx_state_i.completed;
    to_regs.tx.status.code.next     = tx_state_i.status;

    command_config_o.enable           = from_regs.command.config_.enable.value;
    command_config_o.size_log2        = from_regs.command.config_.size_log2.value;
    command_config_o.base             = {from_regs.command.base_high.value.value, from_regs.command.base_low.value.value};
    command_config_o.completion       = {from_regs.command.completion_high.value.value, from_regs.command.completion_low.value.value};
    command_config_o.producer         = from_regs.command.producer.index.value;
    command_config_o.producer_written = command_written_q;
    command_config_o.arm              = from_regs.command.arm.index.value;
    command_config_o.arm_written      = command_arm_written_q;
    to_regs.command.completed.index.next = command_state_i.completed;
    to_regs.command.status.code.next     = command_state_i.status;

    record_config_o.enable           = from_regs.record.config_.enable.value;
    record_config_o.size_log2        = from_regs.record.config_.size_log2.value;
    record_config_o.stride_log2      = 4'd6;  // it has no buffers
    record_config_o.base             = {from_regs.record.base_high.value.value, from_regs.record.base_low.value.value};
    record_config_o.buffer           = '0;
    record_config_o.consumer         = from_regs.record.consumer.index.value;
    record_config_o.consumer_written = record_written_q;
    record_config_o.arm              = from_regs.record.arm.index.value;
    record_config_o.arm_written      = record_arm_written_q;
    to_regs.record.producer.index.next    = record_state_i.producer;
    to_regs.record.status.code.next       = record_state_i.status;
    to_regs.record.traces.count.next      = record_made_i[0];
    to_regs.record.flow_events.count.next = record_made_i[1];

    to_regs.dma_read_errors.value.next  = read_errors_q;
    to_regs.dma_write_errors.value.next = write_errors_q;
  end
endmodule
