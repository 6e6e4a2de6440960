// Purpose: the commands on one flow entry: INSERT, MOVE, DELETE. Reads what the place holds, compares, then writes.
// Latency: about 50 cycles for a place that is read, DecisionLatency + 4 more when something had to leave (see below).
// Throughput: one command at a time.
// Drops when: never.
//
//   From: row of the place -> claim it -> its record -> correct   Into (MOVE): the same for the destination
//   Judge: is it the command's key, which status
//   Decide: a status, or
//     INSERT into a free place or over the same key: entry, stamp and closing bits in one cycle
//     INSERT over another key:                       Vacate, Quiet, then the same
//     MOVE:   copy (entry, stamp, closing bits), Leave, Quiet, then Late: what hits wrote at the old place meanwhile
//     DELETE: Leave, Quiet
//   Release: gw_flow_learn remembers the places, and counts what the VIPs have gained and lost
//
// Quiet waits until every lookup that found the old entry has written its stamp, so that no late hit marks the next flow: a free
// place has no hits under way. MOVE writes the copy before it clears; a lookup reads both places in one cycle and finds one.
module gw_flow_command
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                              clk_i,
    input  logic                              rst_ni,
    input  logic [Banks-1:0][SecretBits-1:0]  secret_i,
    input  logic [29:0]                       time_i,
    input  logic                              start_i,    // pulse
    input  gw_command_t                       command_i,  // stable until `done_o`
    output logic                              done_o,     // pulse
    output gw_status_e                        status_o,
    output logic                              read_o,     // pulse
    output flow_place_t                       read_place_o,
    input  logic                              rvalid_i,
    input  logic [BeatBits-1:0]               rdata_i,
    output logic                              write_valid_o,
    input  logic                              write_ready_i,
    output gw_flow_write_t                    write_o,        // stable while `write_valid_o`
    // gw_flow_learn: the places are claimed before they are read, and released when all is written
    output gw_flow_claim_t                    claim_o,
    input  logic                              claimed_i,
    output logic                              release_valid_o,
    input  logic                              release_ready_i,
    output gw_flow_change_t                   change_o,
    output logic                              ecc_corrected_o,
    output logic                              ecc_uncorrectable_o
);
  localparam int unsigned QuietCycles = DecisionLatency + 4;
  localparam int unsigned WaitBits = $clog2(QuietCycles) + 1;  // counts down to -1: its sign ends the wait
  localparam int unsigned RowLatency = 2;
  localparam int unsigned SecdedLatency = 2;
  localparam int unsigned JudgeLatency = 2;

  typedef enum logic [4:0] {
    Idle,
    Row,      // its bank's secret, hash
    Claim,    // keep learning away from the place
    Ask,      // read
    Answer,   // wait for the record
    Correct,
    Judge,    // compare the key, then weigh the status: 2 cycles
    Decide,
    Vacate,   // INSERT over another key, MOVE onto a word that cannot be corrected
    Put,      // write the entry
    Leave,    // clear the old place
    Quiet,
    Recall,   // MOVE: read the old place's stamp again
    Weigh,    // MOVE: is it newer?
    Late,     // MOVE: bring it along
    Release,  // what was written is remembered for requests under way
    Done
  } state_e;

  typedef struct packed {
    flow_place_t place;
    logic        known;  // the word could be read
    logic        rst;
    logic        fin;
    logic [29:0] last_seen;
    gw_flow_word_t data;  // corrected
  } place_t;

  state_e              state_q, state_d;
  logic                into_q, into_d;  // the place being read is MOVE's destination
  logic                vacated_q, vacated_d;
  logic [WaitBits-1:0] wait_q, wait_d;  // one less than the cycles between a state's first and last
  gw_status_e          status_q, status_d;
  logic                recall_q;  // Recall has begun
  gw_flow_record_t     record, record_q;  // as stored
  place_t              from_q;
  flow_place_t         into_place_q;
  logic                into_known_q, into_free_q;
  logic                into_stale_q;  // a word that cannot be corrected counts for a VIP
  logic [11:0]         into_vip_q;
  logic                is_insert_q, is_move_q;
  logic                waited;

  // The command is there cycles before its start.
  always_ff @(posedge clk_i) begin
    is_insert_q <= command_i.opcode == 8'(OpcodeInsert);
    is_move_q   <= command_i.opcode == 8'(OpcodeMove);
  end
  assign waited    = wait_q[WaitBits-1];

  // ---- the place: bank and way from the command, row from the key --------------------------------------------------------
  logic [1:0]                    bank, way;
  flow_place_t                   place;
  logic [SecretBits-1:0]         secret_q;
  logic [0:0][FlowRowBits-1:0]   row;
  logic [FlowKeyBits-1:0]        key;
  logic                          hash;

  assign bank = into_q ? command_i.to_bank : command_i.bank;
  assign way  = into_q ? command_i.to_way : command_i.way;
  assign key  = {command_i.vip, command_i.source, command_i.source_port, command_i.destination_port};
  assign place = flow_place_t'({32'(bank) * FlowWays + 32'(way), row});
  assign hash = state_q == Row && wait_q == WaitBits'(RowLatency - 1);

  gw_bank_row #(.KeyBits(FlowKeyBits), .RowBits(FlowRowBits), .Banks(1)) u_row (
      .clk_i   (clk_i),
      .valid_i (hash),
      .key_i   (key),
      .secret_i(secret_q),
      .row_o   (row)
  );

  // ---- its record, corrected ------------------------------------------------------------------------------------------------
  gw_flow_word_t corrected_word;
  logic          check, corrected, uncorrectable, unused_flipped;
  logic [8:0]    unused_syndrome;
  logic [7:0]    unused_position;

  assign record = rdata_i[$bits(gw_flow_record_t)-1:0];
  assign check  = state_q == Correct && wait_q == WaitBits'(SecdedLatency - 1);
  gw_secded #(.DataBits(FlowWordDataBits)) u_secded (
      .clk_i          (clk_i),
      .valid_i        (check),
      .data_i         (record_q[FlowWordDataBits-1:0]),
      .ecc_i          (record_q.ecc),
      .ecc_o          (unused_syndrome),
      .data_o         (corrected_word),
      .corrected_o    (corrected),
      .uncorrectable_o(uncorrectable),
      .flipped_o      (unused_flipped),
      .position_o     (unused_position)
  );

  always_ff @(posedge clk_i) begin
    if (state_q == Row && wait_q == WaitBits'(RowLatency)) secret_q <= secret_i[bank];
    if (rvalid_i && (state_q == Answer || state_q == Recall)) record_q <= record;
    if (state_q == Correct && waited) begin
      if (into_q) begin
        into_place_q <= place;
        into_known_q <= !uncorrectable;
        into_free_q  <= uncorrectable || !corrected_word.valid;
        into_stale_q <= uncorrectable && corrected_word.valid;
        into_vip_q   <= corrected_word.key[FlowKeyBits-1-:12];
      end else begin
        from_q <= '{
          place: place,
          known: !uncorrectable,
          rst: record_q.rst,
          fin: record_q.fin,
          last_seen: record_q.last_seen,
          data: corrected_word
        };
      end
    end
  end

  // ---- the decision -----------------------------------------------------------------------------------------------------
  logic       from_free, from_held;
  logic       same_q;  // the place holds the command's key
  logic       ready_place_q;  // what is written needs no Vacate before it
  gw_status_e verdict, verdict_q;

  always_comb begin
    from_free = !from_q.known || !from_q.data.valid;
    from_held = from_q.data.confirmed || from_q.data.pinned;
    verdict   = StatusOk;
    if (is_insert_q) begin
      unique case (command_i.expectation)
        2'(ExpectFree): if (!from_free) verdict = StatusOccupied;
        2'(ExpectSame): if (!same_q) verdict = StatusNotFound;
        default:        if (!from_free && from_held) verdict = StatusOccupied;
      endcase
    end else if (!same_q) begin
      verdict = StatusNotFound;
    end else if (is_move_q && !into_free_q) begin
      verdict = StatusOccupied;
    end
  end
  always_ff @(posedge clk_i) begin
    if (state_q == Judge) begin
      same_q        <= from_q.known && from_q.data.valid && from_q.data.key == key;
      verdict_q     <= verdict;
      ready_place_q <= is_insert_q ? from_q.known && (!from_q.data.valid || same_q) : into_known_q;
    end
  end

  // ---- the writes ---------------------------------------------------------------------------------------------------------
  // What the write asks of the state, each from a register of its own.
  typedef struct packed {
    logic writing;
    logic vacate;
    logic put;
    logic late;
  } is_t;

  gw_flow_write_t write_q;
  is_t            is_q;
  logic           prepared_q;  // a write is made ready in its state's first cycle

  always_ff @(posedge clk_i) begin
    is_q.writing <= state_d == Vacate || state_d == Put || state_d == Leave || state_d == Late;
    is_q.vacate  <= state_d == Vacate;
    is_q.put     <= state_d == Put;
    is_q.late    <= state_d == Late;
    prepared_q   <= is_q.writing && !write_ready_i && rst_ni;
    if (is_q.writing && !prepared_q) begin
      write_q.word      <= !is_q.late;
      write_q.stamp     <= is_q.put || (is_q.late && record_q.last_seen != from_q.last_seen);
      write_q.replace   <= is_q.put;
      write_q.close     <= is_q.late;
      write_q.place     <= is_q.late || (is_move_q && (is_q.vacate || is_q.put)) ? into_place_q : from_q.place;
      write_q.data      <= '0;
      write_q.last_seen <= is_q.late ? record_q.last_seen : is_move_q ? from_q.last_seen : time_i;
      write_q.fin       <= is_q.late ? record_q.fin : is_move_q && from_q.fin;
      write_q.rst       <= is_q.late ? record_q.rst : is_move_q && from_q.rst;
      if (is_q.put) begin
        write_q.data <= is_move_q ? from_q.data : {
          command_i.confirmed, command_i.pinned, 1'b1, command_i.generation, command_i.backend, key
        };
      end
    end
    if (!rst_ni) is_q <= '0;
  end
  assign write_o       = write_q;
  assign write_valid_o = prepared_q;

  // ---- its places, and what changes ----------------------------------------------------------------------------------------
  logic [1:0] claim_q;  // from, into

  always_ff @(posedge clk_i) begin
    if (state_q == Row && waited) claim_q <= {into_q, 1'b1};
    if (state_q == Done || !rst_ni) claim_q <= '0;
  end
  assign claim_o.from_valid = claim_q[0];
  assign claim_o.from.bank  = into_q ? from_q.place[FlowPlaceBits-1-:2] : bank;
  assign claim_o.from.row   = into_q ? from_q.place[FlowRowBits-1:0] : row;
  assign claim_o.into_valid = claim_q[1];
  assign claim_o.into       = {bank, row};
  assign release_valid_o    = state_q == Release;

  // Entries of VIPs. A word that cannot be corrected is taken at its word.
  logic        overwritten;
  logic [11:0] old_vip;
  assign overwritten = from_q.data.valid && !same_q;
  assign old_vip     = from_q.data.key[FlowKeyBits-1-:12];
  always_comb begin
    change_o          = '0;
    change_o.gain_vip = command_i.vip;
    change_o.loss_vip = command_i.vip;
    if (is_insert_q) begin
      change_o.gain     = !same_q && !(overwritten && old_vip == command_i.vip);
      change_o.loss     = overwritten && old_vip != command_i.vip;
      change_o.loss_vip = old_vip;
    end else if (is_move_q) begin
      change_o.loss     = into_stale_q;
      change_o.loss_vip = into_vip_q;
    end else begin
      change_o.loss     = 1'b1;
    end
  end

  always_comb begin
    state_d   = state_q;
    into_d    = into_q;
    vacated_d = vacated_q;
    status_d  = status_q;
    wait_d    = waited ? wait_q : wait_q - 1'b1;
    unique case (state_q)
      Idle: begin
        into_d    = 1'b0;
        vacated_d = 1'b0;
        if (start_i) begin
          state_d = Row;
          wait_d  = WaitBits'(RowLatency);
        end
      end
      Row: if (waited) state_d = Claim;
      Claim: if (claimed_i) state_d = Ask;
      Ask: state_d = Answer;
      Answer: begin
        if (rvalid_i) begin
          state_d = Correct;
          wait_d  = WaitBits'(SecdedLatency - 1);
        end
      end
      Correct: begin
        if (waited) begin
          state_d = Judge;
          wait_d  = WaitBits'(JudgeLatency - 2);
          if (is_move_q && !into_q) begin
            into_d  = 1'b1;
            state_d = Row;
            wait_d  = WaitBits'(RowLatency);
          end
        end
      end
      Judge: if (waited) state_d = Decide;
      Decide: begin
        status_d = verdict_q;
        if (verdict_q != StatusOk) state_d = Done;
        else if (is_insert_q || is_move_q) state_d = ready_place_q ? Put : Vacate;
        else state_d = Leave;
      end
      Vacate: begin
        if (write_ready_i) begin
          state_d   = Quiet;
          vacated_d = 1'b1;
          wait_d    = WaitBits'(QuietCycles - 2);
        end
      end
      Put: begin
        vacated_d = 1'b0;
        if (write_ready_i) state_d = is_move_q ? Leave : Release;
      end
      Leave: begin
        if (write_ready_i) begin
          state_d = Quiet;
          wait_d  = WaitBits'(QuietCycles - 2);
        end
      end
      Quiet: begin
        if (waited) begin
          if (vacated_q) state_d = Put;
          else if (is_move_q) state_d = Recall;
          else state_d = Release;
        end
      end
      Recall: if (rvalid_i) state_d = Weigh;
      Weigh: state_d = Late;
      Late: if (write_ready_i) state_d = Release;
      Release: if (release_ready_i) state_d = Done;
      Done: state_d = Idle;
      default: state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q   <= state_d;
    into_q    <= into_d;
    vacated_q <= vacated_d;
    wait_q    <= wait_d;
    status_q  <= status_d;
    recall_q  <= state_q == Quiet && state_d == Recall;
    if (!rst_ni) state_q <= Idle;
  end

  // What gw_command and its other parts read of a command, and what other tables' answers hold.
  logic unused_bits;
  assign unused_bits = ^{
    command_i.reserved_top, command_i.reserved2, command_i.reserved1, command_i.reserved0, command_i.phase, command_i.tag,
    command_i.address, command_i.count, command_i.source_index, command_i.index, command_i.table_id,
    rdata_i[BeatBits-1:$bits(gw_flow_record_t)], record.reserved_top, record_q.reserved_top, record_q.reserved
  };

  // A read at Ask, and one as Recall begins.
  assign read_o              = state_q == Ask || recall_q;
  assign read_place_o        = state_q == Ask ? place : from_q.place;
  assign done_o              = state_q == Done;
  assign status_o            = status_q;
  assign ecc_corrected_o     = corrected;
  assign ecc_uncorrectable_o = uncorrectable;
endmodule
