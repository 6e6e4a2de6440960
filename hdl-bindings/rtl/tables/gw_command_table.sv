// Purpose: the commands on a range of entries: WRITE, COPY, DUMP, DIGEST.
// Latency: WRITE 1 cycle from beat to request; reads take the tables' latency and one cycle, in which the answer is registered.
// Throughput: WRITE, DUMP, DIGEST one entry each cycle; COPY one each second, as a table's second port carries one access a cycle.
// Drops when: never.
//
// DUMP reads only what its FIFO can take (credits). A place of the flow table whose `valid` is 0 is shown as zeros. An abort
// stops requests at once; `busy_o` falls when all answers under way have come.
module gw_command_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                start_i,  // pulse, with the checked command; it stays until `busy_o` falls
    input  gw_opcode_e          opcode_i,
    input  gw_table_e           table_id_i,
    input  logic [19:0]         index_i,
    input  logic [19:0]         source_index_i,
    input  logic [20:0]         count_i,
    input  logic                abort_i,
    output logic                busy_o,
    output logic                done_o,   // pulse; not after an abort
    output gw_command_rsp_t     result_o,
    input  logic                wdata_valid_i,
    output logic                wdata_ready_o,
    input  logic [BeatBits-1:0] wdata_i,
    input  logic                wdata_error_i,
    output logic                rdata_valid_o,
    input  logic                rdata_ready_i,
    output logic [BeatBits-1:0] rdata_o,
    output logic                rdata_last_o,
    input  logic                flow_read_i,  // gw_flow_command reads a record; never while this is busy
    input  flow_place_t         flow_read_place_i,
    input  logic                flow_hold_i,  // no read of the flow table in this cycle: learning waits for its port
    output gw_table_req_t       request_o,
    input  logic                rvalid_i,
    input  logic [BeatBits-1:0] rdata_i
);
  localparam int unsigned FifoDepth = 32;  // covers request, table, answer and credit: TableAccessLatency + 7
  localparam int unsigned CreditBits = $clog2(FifoDepth + 1);
  localparam int unsigned CrcLatency = 3;
  localparam int unsigned ValidIndex = FlowKeyBits + 24;  // `valid` in a flow record
  typedef logic [20:0] count_t;

  typedef enum logic [2:0] {
    Idle,
    Write,
    Read,    // DUMP, DIGEST
    Copy,
    Settle,  // DIGEST: the CRC's last stages
    Drain,   // aborted: answers under way
    Done
  } state_e;

  // What wide logic asks of the state, each from a register of its own.
  typedef struct packed {
    logic idle;
    logic write;
    logic dump;
    logic sum;   // DIGEST
    logic copy;
    logic flow;  // the command is on the flow table
  } is_t;

  state_e          state_q, state_d;
  is_t             is_q;
  count_t          to_ask_q, to_ask_d;    // entries whose read has not been issued (WRITE: whose beat has not come)
  count_t          to_come_q, to_come_d;  // entries that have not been written, handed over or summed
  count_t          under_way_q, under_way_d;  // reads without answer
  count_t          done_q, done_d;        // entries done
  logic [19:0]     read_index_q, read_index_d, write_index_q, write_index_d;
  logic [CreditBits-1:0] credit_q, credit_d;
  logic [1:0]      settle_q, settle_d;
  logic            failed_q, failed_d;
  logic            request_write_d, request_read_d;
  gw_table_req_t   request_q;
  logic            take_beat, answered_q, digest, handed_over;
  logic            more_q, more_d;  // reads are still to be asked for
  logic            credit_left_q;   // credit_q is not 0
  logic            last_q, last_d;  // one entry is to come
  logic [BeatBits-1:0] shown_q;  // the answer, in the cycle in which answered_q is 1
  logic [31:0]     crc;
  logic            fifo_valid, unused_full, unused_almost_full;
  logic [CreditBits-1:0] unused_level;

  assign digest        = opcode_i == OpcodeDigest;
  assign wdata_ready_o = is_q.write;
  assign rdata_valid_o = fifo_valid && is_q.dump;
  assign rdata_last_o  = last_q;
  assign handed_over   = rdata_valid_o && rdata_ready_i;

  always_comb begin
    state_d         = state_q;
    to_ask_d        = to_ask_q;
    to_come_d       = to_come_q;
    under_way_d     = under_way_q;
    done_d          = done_q;
    read_index_d    = read_index_q;
    write_index_d   = write_index_q;
    credit_d        = credit_q;
    settle_d        = settle_q;
    failed_d        = failed_q;
    request_write_d = 1'b0;
    request_read_d  = 1'b0;
    take_beat       = 1'b0;
    more_d          = more_q;
    last_d          = last_q;
    unique case (state_q)
      Idle: begin
        if (start_i) begin
          to_ask_d      = count_i;
          to_come_d     = count_i;
          more_d        = count_i != '0;
          last_d        = count_i == count_t'(1);
          done_d        = '0;
          failed_d      = 1'b0;
          read_index_d  = opcode_i == OpcodeCopy ? source_index_i : index_i;
          write_index_d = index_i;
          credit_d      = CreditBits'(FifoDepth);
          settle_d      = 2'(CrcLatency);
          unique case (opcode_i)
            OpcodeWrite: state_d = Write;
            OpcodeCopy:  state_d = Copy;
            default:     state_d = Read;
          endcase
        end
      end
      Write: begin
        if (wdata_valid_i) begin
          take_beat       = !wdata_error_i;
          failed_d        = wdata_error_i;
          request_write_d = take_beat;
          if (take_beat) begin
            write_index_d = write_index_q + 1'b1;
            to_come_d     = to_come_q - 1'b1;
            done_d        = done_q + 1'b1;
          end
          if (wdata_error_i || last_q) state_d = Done;
        end
      end
      Read: begin
        request_read_d = more_q && (digest || credit_left_q) && !(flow_hold_i && is_q.flow);
        if (digest ? answered_q : handed_over) begin
          to_come_d = to_come_q - 1'b1;
          done_d    = done_q + 1'b1;
          if (last_q) state_d = digest ? Settle : Done;
        end
        credit_d = credit_q + CreditBits'(handed_over) - CreditBits'(request_read_d);
      end
      Copy: begin
        // Every other cycle a read is asked for. As an answer rests for a cycle, its write falls between two reads.
        if (answered_q) begin
          request_write_d = 1'b1;
          write_index_d   = write_index_q + 1'b1;
          to_come_d       = to_come_q - 1'b1;
          done_d          = done_q + 1'b1;
          if (last_q) state_d = Done;
        end else begin
          request_read_d = more_q && !request_q.read;
        end
      end
      Settle: begin
        settle_d = settle_q - 1'b1;
        if (settle_q == '0) state_d = Done;
      end
      Drain:   if (under_way_q == '0) state_d = Idle;
      Done:    state_d = Idle;
      default: state_d = Idle;
    endcase
    if (request_read_d) begin
      read_index_d = read_index_q + 1'b1;
      to_ask_d     = to_ask_q - 1'b1;
      more_d       = to_ask_q != count_t'(1);
    end
    if (to_come_d != to_come_q && state_q != Idle) last_d = to_come_q == count_t'(2);
    if (abort_i && state_q != Idle && state_q != Drain) begin
      state_d        = Drain;
      request_read_d = 1'b0;
    end
    under_way_d = under_way_q + count_t'(request_read_d) - count_t'(answered_q && under_way_q != '0);
  end

  always_ff @(posedge clk_i) begin
    state_q         <= state_d;
    is_q.idle       <= state_d == Idle;
    is_q.write      <= state_d == Write;
    is_q.dump       <= state_d == Read && !digest;
    is_q.sum        <= state_d == Read && digest;
    is_q.copy       <= state_d == Copy;
    is_q.flow       <= table_id_i == TableFlow;
    under_way_q     <= under_way_d;
    answered_q      <= rvalid_i;
    if (!is_q.idle || start_i) begin
      to_ask_q        <= to_ask_d;
      to_come_q       <= to_come_d;
      done_q          <= done_d;
      read_index_q    <= read_index_d;
      write_index_q   <= write_index_d;
      credit_q        <= credit_d;
      credit_left_q   <= credit_d != '0;
      settle_q        <= settle_d;
      failed_q        <= failed_d;
      more_q          <= more_d;
      last_q          <= last_d;
    end
    shown_q         <= is_q.flow && !rdata_i[ValidIndex] ? '0 : rdata_i;
    if (!rst_ni) begin
      state_q         <= Idle;
      is_q            <= '{idle: 1'b1, default: 1'b0};
      under_way_q     <= '0;
      answered_q      <= 1'b0;
    end
  end
  // The request leaves from a register; what it says beside `write` and `read` has no meaning without them, and waits for neither.
  always_ff @(posedge clk_i) begin
    request_q.clear <= 1'b0;
    request_q.write <= request_write_d;
    request_q.read  <= request_read_d || flow_read_i;
    if (!is_q.idle) begin
      request_q.table_id <= table_id_i;
      request_q.index    <= is_q.write || (is_q.copy && answered_q) ? write_index_q : read_index_q;
    end else if (flow_read_i) begin
      request_q.table_id <= TableFlow;
      request_q.index    <= 20'(flow_read_place_i);
    end
    if (is_q.write) request_q.wdata <= wdata_i;
    else if (is_q.copy) request_q.wdata <= shown_q;
    if (!rst_ni) begin
      request_q.write <= 1'b0;
      request_q.read  <= 1'b0;
    end
  end

  gw_fifo #(.Width(BeatBits), .Depth(FifoDepth)) u_fifo (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni && !is_q.idle),  // an abort leaves nothing behind
      .push_i       (answered_q && is_q.dump),
      .data_i       (shown_q),
      .valid_o      (fifo_valid),
      .pop_i        (handed_over),
      .data_o       (rdata_o),
      .level_o      (unused_level),
      .full_o       (unused_full),
      .almost_full_o(unused_almost_full)
  );

  gw_crc32 u_crc (
      .clk_i  (clk_i),
      .clear_i(is_q.idle),
      .valid_i(answered_q && is_q.sum),
      .data_i (shown_q),
      .crc_o  (crc)
  );

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(flow_read_i && state_q != Idle)) else $error("gw_command_table: a flow command reads beside a table command");
      assert (!(request_write_d && request_read_d)) else $error("gw_command_table: a read and a write at once");
    end
  end
`endif

  assign busy_o          = !is_q.idle;
  assign done_o          = state_q == Done && !abort_i;
  assign result_o.status = failed_q ? StatusDmaError : StatusOk;
  assign result_o.result = digest ? crc : 32'(done_q);
  assign request_o       = request_q;
endmodule
