// Purpose: brings a register access to its block: core registers, card registers, debug window, MSI-X table.
// Latency: 4 to 6 cycles from address to answer.
// Throughput: one access at a time, writes first.
// Drops when: never: what is not there reads as 0 and takes writes without effect, with OKAY.
module gw_axil_split (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic hold_i,  // no further access is begun: a reset is near
    output logic idle_o,

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

    // register blocks: 0 core, 1 card
    output logic [1:0]       block_awvalid_o,
    input  logic [1:0]       block_awready_i,
    output logic [1:0]       block_wvalid_o,
    input  logic [1:0]       block_wready_i,
    input  logic [1:0]       block_bvalid_i,
    output logic [1:0]       block_bready_o,
    output logic [1:0]       block_arvalid_o,
    input  logic [1:0]       block_arready_i,
    input  logic [1:0]       block_rvalid_i,
    output logic [1:0]       block_rready_o,
    input  logic [1:0][31:0] block_rdata_i,

    // debug window and MSI-X: a pulse, read data in the next cycle
    output logic        debug_access_o,
    input  logic [31:0] debug_rdata_i,
    output logic        msix_access_o,
    input  logic [31:0] msix_rdata_i,

    // what they share
    output logic        write_o,
    output logic [11:0] address_o,
    output logic [31:0] wdata_o,
    output logic [ 3:0] wstrb_o
);
  typedef enum logic [2:0] {
    TargetNone,
    TargetCore,
    TargetCard,
    TargetDebug,
    TargetMsix
  } target_e;
  typedef enum logic [2:0] {
    StateIdle,
    StateBlock,  // offers the access to a register block
    StateBlockAnswer,
    StatePulse,
    StateData,
    StateRespond
  } state_e;

  function automatic target_e decode(logic [17:9] address);
    if (address[17:9] == 9'h000) return TargetCore;
    if (address[17:9] == 9'h020) return TargetCard;
    if (address[17:12] == 6'h10) return TargetDebug;
    if (address[17:12] == 6'h20) return TargetMsix;
    return TargetNone;
  endfunction

  state_e      state_q, state_d;
  target_e     target_q, target_d;
  logic        write_q, write_d, address_done_q, address_done_d, data_done_q, data_done_d;
  logic [17:0] address_in;
  logic [11:0] address_q;
  logic [31:0] wdata_q, rdata_q, rdata_d;
  logic [ 3:0] wstrb_q;
  logic        accept, accept_write, accept_read, b;

  assign accept_write = state_q == StateIdle && !hold_i && s_axil_awvalid && s_axil_wvalid;
  assign accept_read  = state_q == StateIdle && !hold_i && s_axil_arvalid && !accept_write;
  assign accept       = accept_write || accept_read;
  assign address_in   = accept_write ? s_axil_awaddr : s_axil_araddr;
  assign b            = target_q == TargetCard;  // number of the block

  always_comb begin
    state_d         = state_q;
    target_d        = target_q;
    write_d         = write_q;
    address_done_d  = address_done_q;
    data_done_d     = data_done_q;
    rdata_d         = rdata_q;
    block_awvalid_o = '0;
    block_wvalid_o  = '0;
    block_bready_o  = '0;
    block_arvalid_o = '0;
    block_rready_o  = '0;
    unique case (state_q)
      StateIdle: begin
        if (accept) begin
          write_d        = accept_write;
          target_d       = decode(address_in[17:9]);
          address_done_d = 1'b0;
          data_done_d    = 1'b0;
          rdata_d        = '0;
          unique case (target_d)
            TargetCore, TargetCard:   state_d = StateBlock;
            TargetDebug, TargetMsix:  state_d = StatePulse;
            default:                  state_d = StateRespond;
          endcase
        end
      end
      StateBlock: begin
        block_awvalid_o[b] = write_q && !address_done_q;
        block_wvalid_o[b]  = write_q && !data_done_q;
        block_arvalid_o[b] = !write_q;
        if (write_q) begin
          address_done_d = address_done_q || block_awready_i[b];
          data_done_d    = data_done_q || block_wready_i[b];
          if (address_done_d && data_done_d) state_d = StateBlockAnswer;
        end else if (block_arready_i[b]) begin
          state_d = StateBlockAnswer;
        end
      end
      StateBlockAnswer: begin
        block_bready_o[b] = write_q;
        block_rready_o[b] = !write_q;
        rdata_d           = block_rdata_i[b];
        if (write_q ? block_bvalid_i[b] : block_rvalid_i[b]) state_d = StateRespond;
      end
      StatePulse: state_d = StateData;
      StateData: begin
        rdata_d = target_q == TargetMsix ? msix_rdata_i : debug_rdata_i;
        state_d = StateRespond;
      end
      default: begin  // StateRespond
        if (write_q ? s_axil_bready : s_axil_rready) state_d = StateIdle;
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q        <= state_d;
    target_q       <= target_d;
    write_q        <= write_d;
    address_done_q <= address_done_d;
    data_done_q    <= data_done_d;
    rdata_q        <= rdata_d;
    if (accept) begin
      address_q <= address_in[11:0];
      wdata_q   <= s_axil_wdata;
      wstrb_q   <= s_axil_wstrb;
    end
    if (!rst_ni) state_q <= StateIdle;
  end

  assign s_axil_awready = accept_write;
  assign s_axil_wready  = accept_write;
  assign s_axil_arready = accept_read;
  assign s_axil_bvalid  = state_q == StateRespond && write_q;
  assign s_axil_rvalid  = state_q == StateRespond && !write_q;
  assign s_axil_rdata   = rdata_q;
  assign s_axil_bresp   = 2'b00;
  assign s_axil_rresp   = 2'b00;
  assign debug_access_o = state_q == StatePulse && target_q == TargetDebug;
  assign msix_access_o  = state_q == StatePulse && target_q == TargetMsix;
  assign write_o        = write_q;
  assign address_o      = address_q;
  assign wdata_o        = wdata_q;
  assign wstrb_o        = wstrb_q;
  assign idle_o         = state_q == StateIdle;
endmodule
