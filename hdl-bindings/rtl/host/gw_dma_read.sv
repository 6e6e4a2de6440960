// Purpose: reads host memory for several channels: cuts requests into bursts, gives each answer to its channel.
// Latency: 2 cycles from request to AR; answers pass in the cycle in which they come.
// Throughput: one burst each cycle, one beat each cycle.
// Drops when: never. `stop_i` ends the issue of bursts; what was not issued is forgotten by the reset that follows.
//
// A channel's number is its AXI ID: its own answers keep their order, those of different channels need not. Channels ask only
// for what they have room for, so R is always taken. A burst never leaves its naturally aligned 512 bytes.
module gw_dma_read
  import gw_pkg::*;
#(
    parameter int unsigned Channels = DmaReadChannels
) (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic bus_master_i,
    input  logic stop_i,
    output logic idle_o,  // nothing of ours is on the bus
    output logic error_o,  // pulse: a beat came back with an error

    input  logic [Channels-1:0]       request_valid_i,
    output logic [Channels-1:0]       request_ready_o,
    input  logic [Channels-1:0][63:0] request_address_i,  // a multiple of 64
    input  logic [Channels-1:0][ 7:0] request_beats_i,  // at least 1
    output logic [Channels-1:0]       answer_valid_o,
    output logic [BeatBits-1:0]       answer_data_o,
    output logic                      answer_error_o,

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
    input  logic         m_axi_dma_rlast
);
  localparam int unsigned ChannelBits = $clog2(Channels);
  localparam int unsigned OutstandingMax = 63;  // bursts

  typedef logic [ChannelBits-1:0] channel_t;

  // ---- the request that is being cut ------------------------------------------------------------------------------
  logic        busy_q, busy_d;
  channel_t    channel_q, channel_d, chosen, last_q, last_d;
  logic [63:0] address_q, address_d;
  logic [ 7:0] left_q, left_d;
  logic        any;
  logic [ 3:0] room, beats;
  logic        load, ar_valid_q, ar_valid_d, ar_shown_q, ar_fire;
  logic [ 5:0] outstanding_q, outstanding_d;

  // Round robin: the first that asks after the one served last.
  channel_t candidate;
  always_comb begin
    any       = 1'b0;
    chosen    = last_q;
    candidate = last_q;
    for (int unsigned i = Channels; i > 0; i--) begin
      candidate = channel_t'((32'(last_q) + i) % Channels);
      if (request_valid_i[candidate]) begin
        any    = 1'b1;
        chosen = candidate;
      end
    end
  end

  always_comb begin
    request_ready_o         = '0;
    request_ready_o[chosen] = any && !busy_q;
    room  = 4'(DmaReadBeats) - {1'b0, address_q[8:6]};
    beats = left_q < 8'(room) ? left_q[3:0] : room;
    load  = busy_q && (!ar_valid_q || ar_fire) && !stop_i && outstanding_q < 6'(OutstandingMax - 1);

    busy_d    = busy_q;
    channel_d = channel_q;
    address_d = address_q;
    left_d    = left_q;
    last_d    = last_q;
    if (load) begin
      address_d = address_q + {54'd0, beats, 6'd0};
      left_d    = left_q - 8'(beats);
      busy_d    = left_d != '0;
    end
    if (!busy_q && any) begin
      busy_d    = 1'b1;
      channel_d = chosen;
      last_d    = chosen;
      address_d = request_address_i[chosen];
      left_d    = request_beats_i[chosen];
    end
    ar_valid_d = load || (ar_valid_q && !ar_fire);
  end

  // ---- AR ---------------------------------------------------------------------------------------------------------
  logic        r_fire;
  logic [63:0] ar_address_q;
  channel_t    ar_channel_q;
  logic [ 3:0] ar_beats_q;

  assign ar_fire = m_axi_dma_arvalid && m_axi_dma_arready;
  assign r_fire  = m_axi_dma_rvalid && m_axi_dma_rready;
  always_comb begin
    outstanding_d = outstanding_q;
    if (ar_fire && !(r_fire && m_axi_dma_rlast)) outstanding_d = outstanding_q + 1'b1;
    if (!ar_fire && r_fire && m_axi_dma_rlast) outstanding_d = outstanding_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    busy_q        <= busy_d;
    channel_q     <= channel_d;
    address_q     <= address_d;
    left_q        <= left_d;
    last_q        <= last_d;
    ar_valid_q    <= ar_valid_d;
    ar_shown_q    <= m_axi_dma_arvalid && !m_axi_dma_arready;
    outstanding_q <= outstanding_d;
    if (load) begin
      ar_address_q <= address_q;
      ar_channel_q <= channel_q;
      ar_beats_q   <= beats;
    end
    if (!rst_ni) begin
      busy_q        <= 1'b0;
      last_q        <= '0;
      ar_valid_q    <= 1'b0;
      ar_shown_q    <= 1'b0;
      outstanding_q <= '0;
    end
  end

  // Bus mastering gates the channel itself: no access may begin after it went off, not even one that waits for AR.
  assign m_axi_dma_arvalid = ar_valid_q && bus_master_i && (!stop_i || ar_shown_q);
  assign m_axi_dma_arid    = 4'(ar_channel_q);
  assign m_axi_dma_araddr  = ar_address_q;
  assign m_axi_dma_arlen   = 8'(ar_beats_q) - 8'd1;
  assign m_axi_dma_arsize  = 3'd6;
  assign m_axi_dma_arburst = 2'b01;
  assign m_axi_dma_rready  = 1'b1;

  always_comb begin
    answer_valid_o = '0;
    for (int unsigned c = 0; c < Channels; c++) answer_valid_o[c] = r_fire && m_axi_dma_rid == 4'(c);
  end
  assign answer_data_o  = m_axi_dma_rdata;
  assign answer_error_o = m_axi_dma_rresp != 2'b00;
  assign error_o        = r_fire && answer_error_o;
  assign idle_o         = !m_axi_dma_arvalid && outstanding_q == '0;

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(r_fire && outstanding_q == '0)) else $error("gw_dma_read: an answer that nobody asked for");
      assert (!(m_axi_dma_arvalid && m_axi_dma_araddr[11:6] + 6'(m_axi_dma_arlen) < m_axi_dma_araddr[11:6]))
      else $error("gw_dma_read: a burst crosses 4 KiB");
    end
  end
`endif
endmodule
