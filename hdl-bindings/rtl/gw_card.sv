// The card: the packet path with rings, DMA and interrupts around it, towards a PCIe bridge. Wiring only.
//
// BARs on s_axil: 0x00000 BAR0 (core registers; card registers at 0x4000), 0x10000 BAR2 (debug window), 0x20000 BAR4
// (MSI-X table; pending bits at 0x800). What is not there reads as 0.
// m_axi_dma: INCR bursts of whole beats at addresses that are multiples of 64 (a write's strobes say which bytes, always one
// run of them), at most 512 bytes read and 256 written, naturally aligned so that none crosses 4 KiB. IDs order what must be
// ordered: reads 0 command descriptors, 1 command data, 2 TX descriptors, 3 TX frames; writes 0 RX, 1 TX, 2 command, 3 MSI-X.
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
    output logic        idle_o,  // nothing in flight, no DMA outstanding, no ring has work
    output logic        ready_o,  // tables are clear and usable
    output logic        port_enabled_o,  // frames are taken from the wire
    output logic [31:0] punts_outstanding_o,  // handed to the host and not ended
    output logic        host_alive_o
);
endmodule
