// Purpose: does what packets ask of the flow table: learns new flows, confirms known ones, within the VIPs' quotas.
// Latency: 4 cycles from request to write while nothing waits.
// Throughput: one request each second cycle, which is the rate of the shortest frames: 161 M a second at 322.27 MHz. A flood of new
//   flows at that rate is learned to 99 %: each request meets about 22 remembered places, each of which refuses one in 4,096.
// Drops when: `Waiting` requests wait, a place of its key's rows was written since its lookup, 32 places are remembered, or no place or
//   quota is left: the request is refused; one that was to learn is counted.
//
//   Look:   the oldest request against the remembered places and the command's; its VIP's count
//   Decide: refuse, or choose the place; the place is remembered and the write handed to the table
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

  typedef struct packed {
    logic [TimeBits-1:0] came;
    gw_flow_request_t    request;
  } waiting_t;

  // ---- requests wait ---------------------------------------------------------------------------------------------------
  logic [TimeBits-1:0]  now_q;
  waiting_t             head;
  gw_flow_request_t     request;
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
  assign request = head.request;

  // ---- who has the turn ------------------------------------------------------------------------------------------------
  logic           look, look_command, deciding_q, command_q, second_q, write_valid_q;
  logic           claim_new, quota_busy, recent_full, stop;
  logic [1:0]     claimed_q;
  logic           draining_q;
  logic [LevelBits-1:0] remaining_q;

  assign claim_new    = (claim_i.from_valid && !claimed_q[0]) || (claim_i.into_valid && !claimed_q[1]);
  assign stop         = claim_new || quota_busy || (draining_q && remaining_q == '0);
  assign look_command = release_valid_i && !recent_full;
  assign look         = !deciding_q && !stop && (look_command || waits);

  assign claimed_o = (claim_i.from_valid || claim_i.into_valid) && !claim_new;
  assign drained_o = draining_q && remaining_q == '0 && !deciding_q && !write_valid_q;

  // ---- Look --------------------------------------------------------------------------------------------------------------
  logic [Recent-1:0]  recent_match;
  logic [Recent+1:0]  match_d, match_q;
  logic               over, gain, loss;
  logic [11:0]        loss_vip;
  logic               insert, written;
  gw_flow_row_t       insert_row;

  assign match_d[Recent-1:0] = recent_match;
  assign match_d[Recent]     = claim_i.from_valid && request.room.rows[claim_i.from.bank] == claim_i.from.row;
  assign match_d[Recent+1]   = claim_i.into_valid && request.room.rows[claim_i.into.bank] == claim_i.into.row;

  gw_flow_recent #(.Entries(Recent), .TimeBits(TimeBits)) u_recent (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .now_i           (now_q),
      .horizon_i       (waits ? head.came : now_q),
      .rows_i          (request.room.rows),
      .match_o         (recent_match),
      .full_o          (recent_full),
      .insert_i        (insert),
      .insert_row_i    (insert_row),
      .insert_written_i(command_q),
      .written_i       (written)
  );

  gw_flow_quota u_quota (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .ask_i      (look),
      .vip_i      (look_command ? change_i.gain_vip : request.key[FlowKeyBits-1-:12]),
      .quota_i    (request.quota),
      .busy_o     (quota_busy),
      .over_o     (over),
      .gain_i     (gain),
      .loss_i     (loss),
      .loss_vip_i (loss_vip)
  );

  // ---- Decide ------------------------------------------------------------------------------------------------------------
  logic           refuse, write_free, accept, learn, displace, release_one, last_place;
  flow_way_t      way;
  gw_flow_write_t write_d, write_q;

  assign write_free = !write_valid_q || write_ready_i;
  assign written    = write_valid_q && write_ready_i;
  assign last_place = !claim_i.into_valid || second_q;
  assign release_one = deciding_q && command_q && write_free;

  always_comb begin
    learn    = !request.confirm;
    displace = 1'b0;
    refuse   = match_q != '0 || recent_full || (learn && request.room.hidden);
    way      = request.way;
    if (learn && !request.room.same) begin
      if (!over && request.room.free) begin
        way = request.room.free_way;
      end else if (over ? request.room.own : request.room.open) begin
        way      = over ? request.room.own_way : request.room.open_way;
        displace = 1'b1;
      end else begin
        refuse = 1'b1;
      end
    end
    accept   = deciding_q && !command_q && !refuse && write_free;
    pop      = deciding_q && !command_q && (refuse || write_free);
    gain     = accept && learn && !request.room.same && !over
        && !(displace && request.room.open_vip == request.key[FlowKeyBits-1-:12]);
    loss     = gain && displace;
    loss_vip = request.room.open_vip;
    insert   = accept;
    insert_row.bank = way[$bits(flow_way_t)-1-:$clog2(Banks)];
    insert_row.row  = request.room.rows[insert_row.bank];
    if (command_q) begin
      gain       = release_one && !second_q && change_i.gain;
      loss       = release_one && !second_q && change_i.loss;
      loss_vip   = change_i.loss_vip;
      insert     = release_one;
      insert_row = second_q ? claim_i.into : claim_i.from;
    end
    release_ready_o = release_one && last_place;

    write_d           = '0;
    write_d.word      = 1'b1;
    write_d.stamp     = learn;
    write_d.replace   = learn;
    write_d.close     = !learn && (request.fin || request.rst);
    write_d.place     = {way, request.room.rows[way[$bits(flow_way_t)-1-:$clog2(Banks)]]};
    write_d.data      = '{
      confirmed: !learn,
      pinned: !learn && request.pinned,
      valid: 1'b1,
      generation: request.generation,
      backend: request.backend,
      key: request.key
    };
    write_d.last_seen = time_i;
    write_d.fin       = !learn && request.fin;
    write_d.rst       = !learn && request.rst;
  end

  logic       learned_q, displaced_q, hold_q;
  logic [1:0] refused_q;
  always_ff @(posedge clk_i) begin
    deciding_q    <= look || (deciding_q && !pop && !release_one);
    second_q      <= (release_one && !last_place) || (second_q && !release_ready_o);
    write_valid_q <= accept || (write_valid_q && !write_ready_i);
    learned_q     <= accept && learn;
    refused_q     <= 2'(pop && refuse && learn) + 2'(request_valid_i && full && !request_i.confirm);
    hold_q        <= !hold_q && (waits || write_valid_q);
    claimed_q[0]  <= claim_i.from_valid && (claimed_q[0] || (!deciding_q && !write_valid_q));
    claimed_q[1]  <= claim_i.into_valid && (claimed_q[1] || (!deciding_q && !write_valid_q));
    draining_q    <= drain_i;
    remaining_q   <= (draining_q ? remaining_q : level) - LevelBits'(pop);
    if (!rst_ni) begin
      deciding_q    <= 1'b0;
      second_q      <= 1'b0;
      write_valid_q <= 1'b0;
      learned_q     <= 1'b0;
      refused_q     <= '0;
      hold_q        <= 1'b0;
      claimed_q     <= '0;
      draining_q    <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (look) begin
      match_q   <= match_d;
      command_q <= look_command;
    end
    if (accept) begin
      write_q     <= write_d;
      displaced_q <= displace;
    end
  end

  assign hold_o        = hold_q;
  assign write_valid_o = write_valid_q;
  assign write_o       = write_q;
  assign learned_o     = learned_q;
  assign displaced_o   = learned_q && displaced_q;
  assign refused_o     = refused_q;
  assign event_valid_o = learned_q;
  assign event_o       = '{
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
      assert (!(write_valid_q && !write_ready_i && $past(write_valid_q) && !$past(write_ready_i)) || $stable(write_q))
      else $error("gw_flow_learn: a write changed while it waited");
    end
  end
`endif
endmodule
