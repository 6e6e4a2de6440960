// Purpose: takes AXI4-Lite accesses, one at a time, and asks a generated register block from registers, where its decoding begins.
// Latency: a write is in its register 3 cycles after its handshake; an answer comes 3 (write) or 4 (read) cycles after it.
// Throughput: one access each 4 (write) or 5 (read) cycles, writes first.
// Drops when: never.
module gw_axil_registers #(
    parameter int unsigned AddressBits = 9
) (
    input  logic clk_i,
    input  logic rst_ni,

    input  logic                   s_axil_awvalid,
    output logic                   s_axil_awready,
    input  logic [AddressBits-1:0] s_axil_awaddr,
    input  logic                   s_axil_wvalid,
    output logic                   s_axil_wready,
    input  logic [           31:0] s_axil_wdata,
    input  logic [            3:0] s_axil_wstrb,
    output logic                   s_axil_bvalid,
    input  logic                   s_axil_bready,
    output logic [            1:0] s_axil_bresp,
    input  logic                   s_axil_arvalid,
    output logic                   s_axil_arready,
    input  logic [AddressBits-1:0] s_axil_araddr,
    output logic                   s_axil_rvalid,
    input  logic                   s_axil_rready,
    output logic [           31:0] s_axil_rdata,
    output logic [            1:0] s_axil_rresp,

    // the block's plain interface: a pulse, answered in the same cycle or later
    output logic                   request_o,
    output logic                   write_o,
    output logic [AddressBits-1:0] address_o,
    output logic [           31:0] wdata_o,
    output logic [           31:0] enable_o,  // by bit
    input  logic                   written_i,
    input  logic                   read_i,
    input  logic [           31:0] rdata_i
);
  typedef enum logic [1:0] {
    Idle,
    Ask,
    Wait,
    Respond
  } state_e;

  state_e                 state_q, state_d;
  logic                   waddress_held_q, wdata_held_q, raddress_held_q;  // an access waits, or is under way
  logic                   write_q, begin_write, begin_read, end_write, end_read;
  logic [AddressBits-1:0] waddress_q, raddress_q, address_q;
  logic [31:0]            wdata_q, rdata_q;
  logic [3:0]             strobe_q;

  assign begin_write = state_q == Idle && waddress_held_q && wdata_held_q;
  assign begin_read  = state_q == Idle && raddress_held_q && !begin_write;
  assign end_write   = state_q == Respond && write_q && s_axil_bready;
  assign end_read    = state_q == Respond && !write_q && s_axil_rready;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      Idle: if (begin_write || begin_read) state_d = Ask;
      Ask, Wait: state_d = (write_q ? written_i : read_i) ? Respond : Wait;
      default: if (end_write || end_read) state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q         <= state_d;
    waddress_held_q <= waddress_held_q ? !end_write : s_axil_awvalid;
    wdata_held_q    <= wdata_held_q ? !end_write : s_axil_wvalid;
    raddress_held_q <= raddress_held_q ? !end_read : s_axil_arvalid;
    if (!waddress_held_q) waddress_q <= s_axil_awaddr;
    if (!raddress_held_q) raddress_q <= s_axil_araddr;
    if (!wdata_held_q) begin
      wdata_q  <= s_axil_wdata;
      strobe_q <= s_axil_wstrb;
    end
    if (state_q == Idle) begin
      write_q   <= begin_write;
      address_q <= begin_write ? waddress_q : raddress_q;
    end
    if (read_i) rdata_q <= rdata_i;
    if (!rst_ni) begin
      state_q         <= Idle;
      waddress_held_q <= 1'b0;
      wdata_held_q    <= 1'b0;
      raddress_held_q <= 1'b0;
    end
  end

  assign s_axil_awready = !waddress_held_q;
  assign s_axil_wready  = !wdata_held_q;
  assign s_axil_arready = !raddress_held_q;
  assign s_axil_bvalid  = state_q == Respond && write_q;
  assign s_axil_rvalid  = state_q == Respond && !write_q;
  assign s_axil_bresp   = 2'b00;
  assign s_axil_rresp   = 2'b00;
  assign s_axil_rdata   = rdata_q;
  assign request_o      = state_q == Ask;
  assign write_o        = write_q;
  assign address_o      = address_q;
  assign wdata_o        = wdata_q;
  assign enable_o       = {{8{strobe_q[3]}}, {8{strobe_q[2]}}, {8{strobe_q[1]}}, {8{strobe_q[0]}}};
endmodule
