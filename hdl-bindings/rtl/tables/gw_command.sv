// Purpose: executes the host's commands on the tables, one after another.
// Latency: 4 cycles from a command to its check, one more to its start, then a table access or two.
// Throughput: WRITE, DUMP, DIGEST an entry each cycle; COPY each second (its table's second port carries one access a cycle).
// Drops when: never. What is wrong ends with a status.
//
//   Idle -> Check -> Table (WRITE, COPY, DUMP, DIGEST) | Flow (INSERT, MOVE, DELETE) | Settle -> Fence -> Drain | Finish -> Idle
//
// An abort ends a command without `done`: table commands after the entry under way, flow commands when they are whole.
module gw_command
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  logic tables_ready_i,  // from gw_clear
    input  logic [Banks-1:0][SecretBits-1:0] secret_i,
    input  logic [29:0] time_i,  // card time in units of 1,024 us
    // the command ring (or a shell)
    input  logic command_valid_i,
    output logic command_ready_o,
    input  gw_command_t command_i,
    output logic command_checked_valid_o,
    output gw_status_e command_checked_status_o,
    input  logic command_wdata_valid_i,
    output logic command_wdata_ready_o,
    input  logic [BeatBits-1:0] command_wdata_i,
    input  logic command_wdata_error_i,  // with valid: this beat could not be read
    output logic command_rdata_valid_o,
    input  logic command_rdata_ready_i,
    output logic [BeatBits-1:0] command_rdata_o,
    output logic command_rdata_last_o,
    output logic command_done_valid_o,
    output gw_command_rsp_t command_done_o,
    input  logic command_abort_i,
    // tables, through gw_clear
    output gw_table_req_t table_req_o,
    input  logic table_rvalid_i,
    input  logic [BeatBits-1:0] table_rdata_i,
    // writes of flow entries
    output logic flow_write_valid_o,
    input  logic flow_write_ready_i,
    output gw_flow_write_t flow_write_o,
    // gw_flow_learn
    output gw_flow_claim_t flow_claim_o,
    input  logic flow_claimed_i,
    output logic flow_release_valid_o,
    input  logic flow_release_ready_i,
    output gw_flow_change_t flow_change_o,
    output logic flow_drain_o,
    input  logic flow_drained_i,
    input  logic flow_hold_i,
    // gw_fence
    output logic fence_start_o,
    input  logic fence_done_i,
    // events, one cycle each
    output logic ecc_corrected_o,
    output logic ecc_uncorrectable_o
);
  localparam int unsigned SettleCycles = TableAccessLatency;  // a write has reached its RAM, wherever its table keeps it
  localparam int unsigned WaitBits = $clog2(SettleCycles);

  typedef enum logic [2:0] {
    Idle,
    Check,
    Table,
    Flow,
    Settle,
    Fence,
    Drain,
    Finish
  } state_e;

  state_e              state_q, state_d;
  gw_command_t         command_q;
  gw_opcode_e          opcode;
  gw_command_rsp_t     response_q, response_d;
  logic [WaitBits-1:0] wait_q, wait_d;
  logic                check_q, checked, start_table, start_flow;
  logic                start_table_q, start_flow_q;  // in the cycle after the check
  logic                aborted_q, aborted_d, abort;  // the command runs out without `done`
  gw_status_e          checked_status, flow_status;
  logic                table_busy, table_done, flow_done;
  gw_command_rsp_t     table_result;
  logic                take;
  logic                idle_q;  // state_q is Idle

  assign opcode = gw_opcode_e'(command_q.opcode[3:0]);
  assign take   = command_valid_i && command_ready_o;
  assign abort  = command_abort_i || aborted_q;

  assign command_ready_o = idle_q && tables_ready_i && !command_abort_i;

  always_comb begin
    state_d     = state_q;
    response_d  = response_q;
    wait_d      = wait_q - 1'b1;
    start_table = 1'b0;
    start_flow  = 1'b0;
    aborted_d   = abort && state_q != Idle;
    unique case (state_q)
      Idle: begin
        if (take) state_d = Check;
      end
      Check: begin
        if (checked) begin
          response_d.status = StatusOk;
          response_d.result = '0;
          wait_d            = WaitBits'(SettleCycles - 1);
          if (checked_status != StatusOk || abort) begin
            state_d = Idle;
          end else begin
            unique case (opcode)
              OpcodeWrite, OpcodeCopy, OpcodeDump, OpcodeDigest: begin
                state_d     = Table;
                start_table = 1'b1;
              end
              OpcodeInsert, OpcodeMove, OpcodeDelete: begin
                state_d    = Flow;
                start_flow = 1'b1;
              end
              OpcodeFence: state_d = Settle;
              default:     state_d = Finish;
            endcase
          end
        end
      end
      Table: begin
        if (table_done) begin
          state_d    = Finish;
          response_d = table_result;
        end else if (abort && !table_busy && !start_table_q) begin
          state_d = Idle;
        end
      end
      Flow: begin
        if (flow_done) begin
          state_d           = Finish;
          response_d.status = flow_status;
        end
      end
      Settle: begin
        if (abort) state_d = Idle;
        else if (wait_q == '0) state_d = Fence;
      end
      Fence: begin
        if (abort) state_d = Idle;
        else if (fence_done_i) state_d = Drain;
      end
      Drain: begin
        if (abort) state_d = Idle;
        else if (flow_drained_i) state_d = Finish;
      end
      Finish:  state_d = Idle;
      default: state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q    <= state_d;
    idle_q     <= state_d == Idle;
    check_q    <= take;
    start_table_q <= start_table;
    start_flow_q  <= start_flow;
    aborted_q  <= aborted_d;
    wait_q     <= wait_d;
    response_q <= response_d;
    if (idle_q) command_q <= command_i;  // the last one is the one that was taken
    if (!rst_ni) begin
      state_q   <= Idle;
      idle_q    <= 1'b1;
      check_q   <= 1'b0;
      start_table_q <= 1'b0;
      start_flow_q  <= 1'b0;
      aborted_q <= 1'b0;
    end
  end

  gw_command_check u_check (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .valid_i  (check_q),
      .command_i(command_q),
      .valid_o  (checked),
      .status_o (checked_status)
  );

  logic        flow_read;
  flow_place_t flow_read_place;

  gw_command_table u_table (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .start_i        (start_table_q),
      .opcode_i       (opcode),
      .table_id_i     (gw_table_e'(command_q.table_id[3:0])),
      .index_i        (command_q.index[19:0]),
      .source_index_i (command_q.source_index[19:0]),
      .count_i        (command_q.count[20:0]),
      .abort_i        (abort),
      .busy_o         (table_busy),
      .done_o         (table_done),
      .result_o       (table_result),
      .wdata_valid_i  (command_wdata_valid_i),
      .wdata_ready_o  (command_wdata_ready_o),
      .wdata_i        (command_wdata_i),
      .wdata_error_i  (command_wdata_error_i),
      .rdata_valid_o  (command_rdata_valid_o),
      .rdata_ready_i  (command_rdata_ready_i),
      .rdata_o        (command_rdata_o),
      .rdata_last_o   (command_rdata_last_o),
      .flow_read_i      (flow_read),
      .flow_read_place_i(flow_read_place),
      .flow_hold_i      (flow_hold_i),
      .request_o        (table_req_o),
      .rvalid_i       (table_rvalid_i && table_busy),
      .rdata_i        (table_rdata_i)
  );

  gw_flow_command u_flow (
      .clk_i              (clk_i),
      .rst_ni             (rst_ni),
      .secret_i           (secret_i),
      .time_i             (time_i),
      .start_i            (start_flow_q),
      .command_i          (command_q),
      .done_o             (flow_done),
      .status_o           (flow_status),
      .read_o             (flow_read),
      .read_place_o       (flow_read_place),
      .rvalid_i           (table_rvalid_i),
      .rdata_i            (table_rdata_i),
      .write_valid_o      (flow_write_valid_o),
      .write_ready_i      (flow_write_ready_i),
      .write_o            (flow_write_o),
      .claim_o            (flow_claim_o),
      .claimed_i          (flow_claimed_i),
      .release_valid_o    (flow_release_valid_o),
      .release_ready_i    (flow_release_ready_i),
      .change_o           (flow_change_o),
      .ecc_corrected_o    (ecc_corrected_o),
      .ecc_uncorrectable_o(ecc_uncorrectable_o)
  );

  assign command_checked_valid_o  = checked && !abort;
  assign command_checked_status_o = checked_status;
  assign command_done_valid_o     = state_q == Finish && !abort;
  assign command_done_o           = response_q;
  assign fence_start_o            = state_q == Fence && !abort;
  assign flow_drain_o             = state_q == Drain;  // what the fenced packets asked of the flow table

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(state_q == Idle && table_busy)) else $error("gw_command: idle while a part is busy");
    end
  end
`endif
endmodule
