// Purpose: the order of resets (CARD.md 8): DMA stops, what is on the bus comes home, then the host side is reset.
// Latency: as long as the outstanding accesses take, and 12 cycles.
// Throughput: one reset at a time.
// Drops when: never.
//
//   Run -- host reset, card reset --> Stop -- quiet --> Reset -- (host reset: Done until it ends) --> Run
//
// A host reset resets rings, MSI-X and DMA. A card reset resets the core as well.
module gw_host_reset (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic host_reset_i,  // level
    input  logic card_reset_i,  // pulse
    output logic host_reset_done_o,  // level, until host_reset_i ends

    output logic stop_o,  // nothing new is begun; the core's host reset
    output logic hold_o,  // no register access is begun
    output logic host_rst_no,
    output logic core_rst_no,
    output logic running_o,

    // what must come to rest
    input logic quiet_i,  // DMA, rings, register accesses
    input logic tx_valid_i,  // m_axis_tx: a frame that began on the wire ends before a card reset
    input logic tx_ready_i,
    input logic tx_last_i
);
  localparam int unsigned StopCycles = 8;  // the least: what was on its way when the stop came
  localparam int unsigned ResetCycles = 4;

  typedef enum logic [1:0] {
    StateRun,
    StateStop,
    StateReset,
    StateDone
  } state_e;

  state_e     state_q, state_d;
  logic [3:0] wait_q, wait_d;
  logic       card_q, card_d, sending_q, sending_d;

  assign sending_d = tx_valid_i ? !(tx_ready_i && tx_last_i) : sending_q;

  always_comb begin
    state_d = state_q;
    wait_d  = wait_q != '0 ? wait_q - 1'b1 : '0;
    card_d  = card_q || card_reset_i;
    unique case (state_q)
      StateRun: begin
        if (host_reset_i || card_d) begin
          state_d = StateStop;
          wait_d  = 4'(StopCycles);
        end
      end
      StateStop: begin
        if (wait_q == '0 && quiet_i && !(card_q && sending_d)) begin
          state_d = StateReset;
          wait_d  = 4'(ResetCycles);
        end
      end
      StateReset: begin
        if (wait_q == '0) begin
          state_d = StateDone;
          card_d  = 1'b0;
        end
      end
      default: begin  // StateDone
        if (card_d) begin
          state_d = StateStop;
          wait_d  = 4'(StopCycles);
        end else if (!host_reset_i) begin
          state_d = StateRun;
        end
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q   <= state_d;
    wait_q    <= wait_d;
    card_q    <= card_d;
    sending_q <= sending_d;
    if (!rst_ni) begin
      state_q   <= StateRun;
      wait_q    <= '0;
      card_q    <= 1'b0;
      sending_q <= 1'b0;
    end
  end

  assign stop_o            = state_q != StateRun;
  assign hold_o            = state_q == StateStop || state_q == StateReset;
  assign host_rst_no       = rst_ni && state_q != StateReset;
  assign core_rst_no       = rst_ni && !(state_q == StateReset && card_q);
  assign host_reset_done_o = state_q == StateDone && host_reset_i;
  assign running_o         = state_q == StateRun || state_q == StateDone;
endmodule
