// Purpose: does what packets ask of the flow table: learns new flows, confirms known ones, within the VIPs' quotas.
// Latency: 7 or 8 cycles from request to write while nothing waits.
// Throughput: one request each second cycle, which is the rate of the shortest frames: 161 M a second at 322.27 MHz. A flood of new
//   flows at that rate is learned to 99 %: each request meets about 24 remembered places, each of which refuses one in 4,096.
// Drops when: `Waiting` requests wait, a place of its key's rows was written since its lookup, 32 places are remembered, or no place or
//   quota is left: the request is refused; one that was to learn is counted.
//
//   Look:   the oldest request, each second cycle, against the remembered places and the command's; its VIP's count is read
//   Weigh:  is it refused? against the place that the request before it takes in this cycle; its VIP's count against the quota
//   Choose: the place, or none
//   Commit: the place is remembered and counted, the write waits for the table
//
// Nothing stops on this way: a request begins it only while there is room for its write. One that is refused hands over a write of
// nothing, so that all leave in the order in which they came, and counting them tells when those before a moment are written.
//
// A flow command first claims its places: from then on no request touches them, and what was accepted before is written. When it has
// ended it releases them, which takes its turn here as a request would: its places are remembered, and the counts follow.
module gw_flow_learn
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned Waiting = 8
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  gw_table_req_t    table_req_i,  // gw_clear's zeros
    input  logic [29:0]      time_i,  // card time in units of 1,024 us
    // gw_verdict: FlowRequestDelay cycles after the request's lookup read the table
    input  logic             request_valid_i,
    input  gw_flow_request_t request_i,
    // gw_flow_command
    input  gw_flow_claim_t   claim_i,
    output logic             claimed_o,
    input  logic             release_valid_i,  // with the claim; the writes are accepted
    output logic             release_ready_o,
    input  gw_flow_change_t  change_i,
    // gw_command: FENCE
    input  logic             drain_i,
    output logic             drained_o,  // what had been asked when `drain_i` rose is written
    output logic             hold_o,  // to DUMP and DIGEST: leave the table's port alone in the cycle that this one's request means
    // gw_flow_table
    output logic             write_valid_o,
    input  logic             write_ready_i,
    output gw_flow_write_t   write_o,
    // events, one cycle each
    output logic             learned_o,
    output logic             displaced_o,
    output logic [1:0]       refused_o,
    output logic             event_valid_o,
    output gw_flow_event_t   event_o
);
  localparam int unsigned TimeBits = 10;  // longer than requests wait and places are remembered together
  localparam int unsigned Recent = 32;
  localparam int unsigned LevelBits = $clog2(Waiting + 1);
  localparam int unsigned Writes = 8;  // under way from Look to the table: four stages and what waits there
  localparam int unsigned FlightBits = $clog2(Writes + 1);
  localparam int unsigned CountBits = $clog2(Waiting + Writes + 1);

  typedef struct packed {
    logic [TimeBits-1:0] came;
    gw_flow_request_t    request;
  } waiting_t;

  // ---- requests wait ---------------------------------------------------------------------------------------------------
  logic [TimeBits-1:0]  now_q;
  waiting_t             head;
  logic [LevelBits-1:0] level;
  logic                 waits, pop, full, unused_almost_full;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) now_q <= '0;
    else now_q <= now_q + 1'b1;
  end

  gw_fifo #(.Width($bits(waiting_t)), .Depth(Waiting)) u_waiting (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .push_i       (request_valid_i && !full),
      .data_i       ({now_q, request_i}),
      .valid_o      (waits),
      .pop_i        (pop),
      .data_o       (head),
      .level_o      (level),
      .full_o       (full),
      .almost_full_o(unused_almost_full)
  );
  // ---- who has the turn ------------------------------------------------------------------------------------------------
  gw_flow_claim_t        claim_q;
  logic                  turn_q, left_q;
  logic                  may_q, may_command_q;  // in a turn: there is room for a write; a command's place goes first
  logic                  look, look_command, recent_spare, claim_new, claim_seen, last_place;
  logic                  second_q, released_q;  // of a command's places, the first has had its turn; the last has
  logic [1:0]            claimed_q;
  logic [2:0]            stage_q;  // in Weigh, Choose, Commit
  logic                  marking_q, draining_q;
  logic [FlightBits-1:0] flight_q, flight_d, mark_q;  // begun and not yet written; those of them from before a claim
  logic [CountBits-1:0]  remaining_q;  // those from before a FENCE's drain

  assign last_place   = !claim_q.into_valid || second_q;
  assign look_command = may_q && may_command_q;
  assign pop          = may_q && !may_command_q && waits;
  assign look         = may_q && (may_command_q || waits);
  assign flight_d     = flight_q + FlightBits'(look) - FlightBits'(left_q);

  assign claim_new  = (claim_i.from_valid && !claimed_q[0]) || (claim_i.into_valid && !claimed_q[1]);
  assign claim_seen = (claim_q.from_valid && !claimed_q[0]) || (claim_q.into_valid && !claimed_q[1]);
  assign claimed_o  = (claim_i.from_valid || claim_i.into_valid) && !claim_new;
  assign drained_o  = draining_q && remaining_q == '0;

  logic hold_q;
  always_ff @(posedge clk_i) begin
    turn_q       <= !turn_q;
    stage_q      <= {stage_q[1:0], look};
    flight_q     <= flight_d;
    may_q        <= !turn_q && flight_q != FlightBits'(Writes);  // nothing begins between turns
    may_command_q <= !turn_q && release_valid_i && !released_q && recent_spare;
    second_q     <= release_valid_i && (second_q || look_command);
    released_q   <= release_valid_i && (released_q || (look_command && last_place));
    hold_q       <= !hold_q && (waits || flight_q != '0);
    claim_q      <= claim_i;
    marking_q    <= claim_seen && !(marking_q && mark_q == '0);
    mark_q       <= (marking_q ? mark_q : flight_q) - FlightBits'(left_q);
    claimed_q[0] <= claim_i.from_valid && (claimed_q[0] || (claim_q.from_valid && marking_q && mark_q == '0));
    claimed_q[1] <= claim_i.into_valid && (claimed_q[1] || (claim_q.into_valid && marking_q && mark_q == '0));
    draining_q   <= drain_i;
    remaining_q  <= (draining_q ? remaining_q : CountBits'(level) + CountBits'(flight_q)) - CountBits'(left_q);
    if (!rst_ni) begin
      turn_q     <= 1'b0;
      stage_q    <= '0;
      flight_q   <= '0;
      may_q      <= 1'b0;
      may_command_q <= 1'b0;
      second_q   <= 1'b0;
      released_q <= 1'b0;
      hold_q     <= 1'b0;
      claim_q.from_valid <= 1'b0;
      claim_q.into_valid <= 1'b0;
      marking_q  <= 1'b0;
      claimed_q  <= '0;
      draining_q <= 1'b0;
    end
  end

  // ---- Look --------------------------------------------------------------------------------------------------------------
  gw_flow_request_t    request_q;
  logic                command_q, first_q, last_q;  // a command's place; its first, its last
  logic [1:0]          claim_match_q;
  logic [TimeBits-1:0] horizon_q;
  logic                recent_match, recent_full, over, written_q;
  logic                remember_q, gain_q, loss_q;  // in Commit
  gw_flow_row_t        row_q;

  always_ff @(posedge clk_i) begin
    horizon_q <= waits ? head.came : now_q;
    if (look) begin
      command_q <= may_command_q;
      first_q   <= !second_q;
      last_q    <= last_place;
    end
    if (pop) begin
      request_q        <= head.request;
      claim_match_q[0] <= claim_q.from_valid && head.request.room.rows[claim_q.from.bank] == claim_q.from.row;
      claim_match_q[1] <= claim_q.into_valid && head.request.room.rows[claim_q.into.bank] == claim_q.into.row;
    end
  end

  gw_flow_recent #(.Entries(Recent), .TimeBits(TimeBits)) u_recent (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .now_i       (now_q),
      .horizon_i   (horizon_q),
      .look_i      (pop),
      .rows_i      (head.request.room.rows),
      .match_o     (recent_match),
      .full_o      (recent_full),
      .spare_o     (recent_spare),
      .insert_i    (remember_q),
      .insert_row_i(row_q),
      .written_i   (written_q)
  );

  gw_flow_quota u_quota (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .ask_i      (look),
      .vip_i      (may_command_q ? change_i.gain_vip : head.request.key[FlowKeyBits-1-:12]),
      .other_vip_i(may_command_q ? change_i.loss_vip : head.request.room.open_vip),
      .quota_i    (request_q.quota),
      .over_o     (over),
      .gain_i     (gain_q),
      .loss_i     (loss_q)
  );

  // ---- Weigh -------------------------------------------------------------------------------------------------------------
  logic refuse_q, open_own_q;

  always_ff @(posedge clk_i) begin
    if (stage_q[0]) begin
      refuse_q <= recent_match || claim_match_q != '0 || (!request_q.confirm && request_q.room.hidden)
          || (remember_q && request_q.room.rows[row_q.bank] == row_q.row);
      open_own_q <= request_q.room.open_vip == request_q.key[FlowKeyBits-1-:12];
    end
  end

  // ---- Choose ------------------------------------------------------------------------------------------------------------
  logic         refuse, accept, learn, displace, gain;
  flow_way_t    way;
  gw_flow_row_t way_row;

  always_comb begin
    learn    = !request_q.confirm;
    displace = 1'b0;
    refuse   = refuse_q || recent_full;
    way      = request_q.way;
    if (learn && !request_q.room.same) begin
      if (!over && request_q.room.free) begin
        way = request_q.room.free_way;
      end else begin
        way      = over ? request_q.room.own_way : request_q.room.open_way;
        displace = 1'b1;
        if (!(over ? request_q.room.own : request_q.room.open)) refuse = 1'b1;
      end
    end
    accept       = stage_q[1] && !command_q && !refuse;
    gain         = learn && !request_q.room.same && !over && !(displace && open_own_q);
    way_row.bank = way[$bits(flow_way_t)-1-:$clog2(Banks)];
    way_row.row  = request_q.room.rows[way_row.bank];
  end

  // ---- Commit ------------------------------------------------------------------------------------------------------------
  gw_flow_write_t write_q;
  logic           ready_q, learned_q, displaced_q;
  logic [1:0]     refused_q;

  always_ff @(posedge clk_i) begin
    remember_q <= accept || (stage_q[1] && command_q);
    gain_q     <= command_q ? stage_q[1] && first_q && change_i.gain : accept && gain;
    loss_q     <= command_q ? stage_q[1] && first_q && change_i.loss : accept && gain && displace;
    ready_q    <= stage_q[1] && command_q && last_q;
    learned_q  <= accept && learn;
    refused_q  <= 2'(stage_q[1] && !command_q && refuse && learn) + 2'(request_valid_i && full && !request_i.confirm);
    if (!rst_ni) begin
      remember_q <= 1'b0;
      gain_q     <= 1'b0;
      loss_q     <= 1'b0;
      ready_q    <= 1'b0;
      learned_q  <= 1'b0;
      refused_q  <= '0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (stage_q[1]) begin
      row_q <= way_row;
      if (command_q) row_q <= first_q ? claim_q.from : claim_q.into;
      write_q.word    <= accept;
      write_q.stamp   <= accept && learn;
      write_q.replace <= accept && learn;
      write_q.close   <= accept && !learn && (request_q.fin || request_q.rst);
      if (!command_q) begin
        displaced_q   <= displace;
        write_q.place <= {way, way_row.row};
        write_q.data  <= '{
          confirmed: !learn,
          pinned: !learn && request_q.pinned,
          valid: 1'b1,
          generation: request_q.generation,
          backend: request_q.backend,
          key: request_q.key
        };
        write_q.last_seen <= time_i;
        write_q.fin       <= !learn && request_q.fin;
        write_q.rst       <= !learn && request_q.rst;
      end
    end
  end

  // ---- the writes wait for the table -------------------------------------------------------------------------------------
  typedef struct packed {
    logic           remembered;
    gw_flow_write_t write;
  } leaving_t;
  leaving_t              leaving;
  logic                  left, unused_writes_full, unused_writes_almost_full;
  logic [FlightBits-1:0] unused_writes;

  gw_fifo #(.Width($bits(leaving_t)), .Depth(Writes)) u_writes (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .push_i       (stage_q[2]),
      .data_i       ({remember_q, write_q}),
      .valid_o      (write_valid_o),
      .pop_i        (left),
      .data_o       (leaving),
      .level_o      (unused_writes),
      .full_o       (unused_writes_full),
      .almost_full_o(unused_writes_almost_full)
  );
  assign left    = write_valid_o && write_ready_i;
  assign write_o = leaving.write;

  always_ff @(posedge clk_i) begin
    left_q    <= left && rst_ni;
    written_q <= left && leaving.remembered && rst_ni;
  end

  assign release_ready_o = ready_q;
  assign hold_o          = hold_q;
  assign learned_o       = learned_q;
  assign displaced_o     = learned_q && displaced_q;
  assign refused_o       = refused_q;
  assign event_valid_o   = learned_q;
  assign event_o         = '{
    key: write_q.data.key,
    place: write_q.place,
    backend: write_q.data.backend,
    generation: write_q.data.generation,
    replaced: displaced_q
  };

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!release_valid_i || claimed_o) else $error("gw_flow_learn: what is released was not claimed");
      assert (!(look && stage_q[0])) else $error("gw_flow_learn: two requests in two cycles that follow one another");
    end
  end
`endif
endmodule
