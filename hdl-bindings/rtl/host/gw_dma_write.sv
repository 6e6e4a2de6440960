// Purpose: writes host memory for several channels: takes whole bursts, one after another, and gives each answer to its channel.
// Latency: 2 cycles from a burst's last beat to AW.
// Throughput: one beat each cycle.
// Drops when: never. `stop_i` ends the issue of bursts; what was not issued is forgotten by the reset that follows.
//
// A channel's number is its AXI ID: its bursts are written and answered in their order. AW waits for the burst's last beat, so
// that W never stalls for us. A channel brings the beats of a burst without long pauses: the others wait for it.
//
// Channels take turns, but for `Last`: it is served when no other asks, or when LastShare - 1 bursts of others went before it.
module gw_dma_write
  import gw_pkg::*;
#(
    parameter int unsigned Channels = DmaWriteChannels,
    parameter int unsigned Last = DmaWriteRecord
) (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic bus_master_i,
    input  logic stop_i,
    output logic idle_o,  // nothing of ours is on the bus
    output logic error_o,  // pulse: a burst was answered with an error

    input  logic         [Channels-1:0] write_valid_i,
    output logic         [Channels-1:0] write_ready_o,
    input  gw_dma_beat_t [Channels-1:0] write_i,
    output logic         [Channels-1:0] done_valid_o,  // pulse: the channel's oldest burst was answered
    output logic                        done_error_o,

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
    input  logic [  1:0] m_axi_dma_bresp
);
  localparam int unsigned ChannelBits = $clog2(Channels);
  localparam int unsigned WDepth = 16;  // beats
  localparam int unsigned AwDepth = 16;  // bursts: no more than beats
  localparam int unsigned OutstandingMax = 64;  // bursts
  localparam int unsigned LastShare = 16;

  typedef logic [ChannelBits-1:0] channel_t;
  typedef struct packed {
    channel_t    channel;
    logic [63:0] address;
    logic [2:0]  beats;
  } burst_t;

  // ---- choose a channel, and stay with it to the end of its burst -----------------------------------------------------
  logic     locked_q, locked_d, any, take, w_full, unused_aw_full;
  channel_t chosen, first, last_q, last_d;

  // The last of all is due when it has waited for enough others.
  logic [$clog2(LastShare)-1:0] others_q, others_d;
  logic [Channels-1:0]          asks;
  logic                         last_is_due;
  always_comb begin
    asks        = write_valid_i;
    asks[Last]  = 1'b0;
    last_is_due = others_q == $bits(others_q)'(LastShare - 1);
    if (asks == '0 || (last_is_due && write_valid_i[Last])) begin
      asks       = '0;
      asks[Last] = write_valid_i[Last];
    end
  end

  // Round robin: the first that asks after the one served last.
  channel_t candidate;
  always_comb begin
    any       = 1'b0;
    first     = last_q;
    candidate = last_q;
    for (int unsigned i = Channels; i > 0; i--) begin
      candidate = channel_t'((32'(last_q) + i) % Channels);
      if (asks[candidate]) begin
        any   = 1'b1;
        first = candidate;
      end
    end
    chosen = locked_q ? last_q : first;
    take   = !w_full && (locked_q ? write_valid_i[last_q] : any);
    write_ready_o         = '0;
    write_ready_o[chosen] = take;
    last_d   = take ? chosen : last_q;
    locked_d = take ? !write_i[chosen].last : locked_q;
    others_d = others_q;
    if (!write_valid_i[Last] || (take && chosen == channel_t'(Last))) others_d = '0;
    else if (take && write_i[chosen].last && !last_is_due) others_d = others_q + 1'b1;
  end

  gw_dma_beat_t beat;
  burst_t       burst_in, burst;
  logic         aw_valid, aw_fire, w_valid, w_fire, unused_aw_almost, unused_w_almost;
  logic [$clog2(WDepth + 1)-1:0]  unused_w_level;
  logic [$clog2(AwDepth + 1)-1:0] unused_aw_level;
  assign beat     = write_i[chosen];
  assign burst_in = '{chosen, beat.address, beat.beats};

  gw_fifo #(.Width(BeatBits + BeatBytes + 1), .Depth(WDepth)) u_w (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(take),
      .data_i({beat.last, beat.strobe, beat.data}),
      .valid_o(w_valid),
      .pop_i(w_fire),
      .data_o({m_axi_dma_wlast, m_axi_dma_wstrb, m_axi_dma_wdata}),
      .level_o(unused_w_level),
      .full_o(w_full),
      .almost_full_o(unused_w_almost)
  );
  gw_fifo #(.Width($bits(burst_t)), .Depth(AwDepth)) u_aw (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(take && beat.last),
      .data_i(burst_in),
      .valid_o(aw_valid),
      .pop_i(aw_fire),
      .data_o(burst),
      .level_o(unused_aw_level),
      .full_o(unused_aw_full),
      .almost_full_o(unused_aw_almost)
  );

  // ---- AW, then its W, then B --------------------------------------------------------------------------------------
  logic       aw_shown_q;
  logic [4:0] owed_q, owed_d;  // bursts whose AW was taken and whose W was not
  logic [6:0] outstanding_q, outstanding_d;
  logic       b_fire;

  assign aw_fire = m_axi_dma_awvalid && m_axi_dma_awready;
  assign w_fire  = m_axi_dma_wvalid && m_axi_dma_wready;
  assign b_fire  = m_axi_dma_bvalid && m_axi_dma_bready;

  always_comb begin
    owed_d        = owed_q + 5'(aw_fire) - 5'(w_fire && m_axi_dma_wlast);
    outstanding_d = outstanding_q + 7'(aw_fire) - 7'(b_fire);
  end

  always_ff @(posedge clk_i) begin
    locked_q      <= locked_d;
    others_q      <= others_d;
    last_q        <= last_d;
    aw_shown_q    <= m_axi_dma_awvalid && !m_axi_dma_awready;
    owed_q        <= owed_d;
    outstanding_q <= outstanding_d;
    if (!rst_ni) begin
      locked_q      <= 1'b0;
      others_q      <= '0;
      last_q        <= '0;
      aw_shown_q    <= 1'b0;
      owed_q        <= '0;
      outstanding_q <= '0;
    end
  end

  // Bus mastering gates AW itself: no access may begin after it went off. A burst that began is finished.
  assign m_axi_dma_awvalid = aw_valid && bus_master_i && (!stop_i || aw_shown_q) && outstanding_q < 7'(OutstandingMax);
  assign m_axi_dma_awid    = 4'(burst.channel);
  assign m_axi_dma_awaddr  = burst.address;
  assign m_axi_dma_awlen   = 8'(burst.beats) - 8'd1;
  assign m_axi_dma_awsize  = 3'd6;
  assign m_axi_dma_awburst = 2'b01;
  assign m_axi_dma_wvalid  = w_valid && owed_q != '0;
  assign m_axi_dma_bready  = 1'b1;

  always_comb begin
    done_valid_o = '0;
    for (int unsigned c = 0; c < Channels; c++) done_valid_o[c] = b_fire && m_axi_dma_bid == 4'(c);
  end
  assign done_error_o = m_axi_dma_bresp != 2'b00;
  assign error_o      = b_fire && done_error_o;
  assign idle_o       = !m_axi_dma_awvalid && outstanding_q == '0;

`ifdef VERILATOR
  logic [2:0] beat_q;
  always_ff @(posedge clk_i) begin
    if (take) beat_q <= beat.last ? '0 : beat_q + 1'b1;
    if (!rst_ni) beat_q <= '0;
    else begin
      assert (!(take && beat.last != (beat_q + 3'd1 == beat.beats))) else $error("gw_dma_write: `last` does not fit the burst");
      assert (!(take && {1'b0, beat.address[7:6]} + beat.beats > 3'd4)) else $error("gw_dma_write: a burst leaves its 256 bytes");
      assert (!(b_fire && outstanding_q == '0)) else $error("gw_dma_write: an answer that nobody asked for");
    end
  end
`endif
endmodule
