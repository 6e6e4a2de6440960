// Purpose: MSI-X: the function's vector table and pending bits (BAR4), and the messages.
// Latency: 2 cycles from an event to the message's write.
// Throughput: one message a cycle.
// Drops when: never: an event whose vector is masked stays pending. Events of a vector that is pending merge, as MSI-X has it.
//
// Table entries lie at 16 x vector: address low, address high, data, vector control (bit 0: masked); pending bits at 0x800.
module gw_msix
  import gw_pkg::*;
(
    input logic clk_i,
    input logic rst_ni,
    input logic enable_i,  // MSI-X control: enable
    input logic mask_i,  // MSI-X control: function mask

    input logic [MsixVectors-1:0] fire_i,  // pulses

    // gw_axil_split
    input  logic        access_i,  // pulse
    input  logic        access_write_i,
    input  logic [11:0] access_address_i,
    input  logic [31:0] access_wdata_i,
    input  logic [ 3:0] access_wstrb_i,
    output logic [31:0] access_rdata_o,  // in the next cycle

    // gw_dma_write
    output logic         write_valid_o,
    input  logic         write_ready_i,
    output gw_dma_beat_t write_o,

    output logic busy_o  // a message is due
);
  localparam int unsigned VectorBits = $clog2(MsixVectors);
  localparam logic [11:0] PendingAddress = 12'h800;
  typedef logic [VectorBits-1:0] vector_t;

  logic [MsixVectors-1:0][3:0][31:0] table_q, table_d;
  logic [MsixVectors-1:0] pending_q, pending_d, due;
  logic [31:0] rdata_q, rdata_d;
  logic        in_table;
  vector_t     accessed, chosen;
  logic [63:2] address;

  assign in_table = access_address_i[11:VectorBits+4] == '0;
  assign accessed = access_address_i[VectorBits+3:4];

  always_comb begin
    table_d = table_q;
    if (access_i && access_write_i && in_table) begin
      for (int unsigned b = 0; b < 4; b++) begin
        if (access_wstrb_i[b]) table_d[accessed][access_address_i[3:2]][8*b+:8] = access_wdata_i[8*b+:8];
      end
    end
    rdata_d = '0;
    if (in_table) rdata_d = table_q[accessed][access_address_i[3:2]];
    else if (access_address_i == PendingAddress) rdata_d = 32'(pending_q);
    // vector control has one bit; an address is that of a word
    if (in_table && access_address_i[3:2] == 2'd3) rdata_d = rdata_d & 32'd1;
    if (in_table && access_address_i[3:2] == 2'd0) rdata_d[1:0] = 2'd0;
  end

  always_comb begin
    chosen = '0;
    for (int unsigned v = 0; v < MsixVectors; v++) due[v] = pending_q[v] && enable_i && !mask_i && !table_q[v][3][0];
    for (int unsigned v = MsixVectors; v > 0; v--) begin
      if (due[v-1]) chosen = vector_t'(v - 1);
    end
  end
  always_comb begin
    pending_d = pending_q;
    if (write_valid_o && write_ready_i) pending_d[chosen] = 1'b0;
    pending_d = pending_d | fire_i;
  end

  always_ff @(posedge clk_i) begin
    table_q   <= table_d;
    pending_q <= pending_d;
    if (access_i) rdata_q <= rdata_d;
    if (!rst_ni) begin
      table_q   <= '0;
      pending_q <= '0;
      for (int unsigned v = 0; v < MsixVectors; v++) table_q[v][3] <= 32'd1;
    end
  end

  assign address        = {table_q[chosen][1], table_q[chosen][0][31:2]};
  assign write_valid_o  = due != '0;
  assign write_o        = '{{address[63:6], 6'd0}, 3'd1, 1'b1, 64'hf << {address[5:2], 2'd0}, {16{table_q[chosen][2]}}};
  assign access_rdata_o = rdata_q;
  assign busy_o         = write_valid_o || fire_i != '0;
endmodule
