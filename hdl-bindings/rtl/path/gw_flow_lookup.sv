// Purpose: finds a packet's flow: hashes the key for each bank, probes all places in one cycle, checks the word it chose; and
//   finds the places where the flow could be learned.
// Latency: FlowLookupLatency: rows 2, table FlowLatency, compare, select, check, correct, judge.
// Throughput: one lookup each cycle.
// Drops when: never. An uncorrectable word is a miss.
//
// The lowest {bank, way} that holds the key wins. The commands' events are counted here too, in a cycle without one of a lookup's.
module gw_flow_lookup
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    input  logic [Banks-1:0][SecretBits-1:0] secret_i,
    // the key: {VIP, source, source port, destination port}, as in gw_flow_key_t
    input  logic valid_i,
    input  logic [FlowKeyBits-1:0] key_i,
    output logic valid_o,
    output gw_flow_result_t result_o,
    // gw_flow_table: rows at `probe`, FlowLatency cycles later the key at `compare`, one cycle later the answer
    output logic probe_valid_o,
    output logic [Banks-1:0][FlowRowBits-1:0] probe_row_o,
    output logic compare_valid_o,
    output logic [FlowKeyBits-1:0] compare_key_o,
    input  logic [FlowPlaces-1:0] match_i,
    input  gw_flow_payload_t payload_i[FlowPlaces],
    input  gw_flow_tenant_t tenant_i[FlowPlaces],
    // events, one cycle each
    input  logic command_ecc_corrected_i,
    input  logic command_ecc_uncorrectable_i,
    output logic ecc_corrected_o,
    output logic ecc_uncorrectable_o
);
  localparam int unsigned RowLatency = 2;
  localparam int unsigned AfterCompare = FlowLookupLatency - RowLatency - FlowLatency;  // compare, select, check, correct, judge
  localparam int unsigned PlaceBits = $clog2(FlowPlaces);
  localparam logic [7:0] KeyEnd = code_position(FlowKeyBits);  // code positions below are the key's bits
  localparam logic [7:0] ValidPosition = code_position(FlowKeyBits + 24);  // `valid`'s, after backend and generation

  if (AfterCompare != 5) begin : gen_check
    $error("gw_flow_lookup: FlowLookupLatency does not fit the stages");
  end

  // ---- rows, and key and rows beside the table ------------------------------------------------------------------------
  logic [RowLatency-1:0]   hashing_q;
  logic                    row_valid;
  logic [Banks-1:0][FlowRowBits-1:0] row;

  gw_bank_row #(.KeyBits(FlowKeyBits), .RowBits(FlowRowBits), .Banks(Banks)) u_row (
      .clk_i   (clk_i),
      .valid_i (valid_i),
      .key_i   (key_i),
      .secret_i(secret_i),
      .row_o   (probe_row_o)
  );
  assign probe_valid_o = hashing_q[RowLatency-1];

  gw_delay #(.Width(FlowKeyBits), .Cycles(RowLatency + FlowLatency)) u_key (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_i),
      .data_i (key_i),
      .valid_o(compare_valid_o),
      .data_o (compare_key_o)
  );
  gw_delay #(.Width(Banks * FlowRowBits), .Cycles(FlowLatency + 1)) u_rows (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(probe_valid_o),
      .data_i (probe_row_o),
      .valid_o(row_valid),
      .data_o (row)
  );

  // ---- select: the lowest place that matched ------------------------------------------------------------------------------
  logic                     found, found_q;
  logic [PlaceBits-1:0]     lowest;
  logic [FlowKeyBits-1:0]   key_q;
  gw_flow_word_t            selected_q;
  logic [8:0]               selected_ecc_q;
  flow_place_t              place_q, check_place_q, correct_place_q;
  logic                     check_found_q, correct_found_q;
  logic [AfterCompare-2:0]  valid_q;  // lookups in select, check, correct, judge

  always_comb begin
    found  = row_valid && match_i != '0;
    lowest = '0;
    for (int unsigned p = FlowPlaces; p > 0; p--) if (match_i[p-1]) lowest = PlaceBits'(p - 1);
  end

  always_ff @(posedge clk_i) begin
    hashing_q       <= RowLatency'({hashing_q, valid_i});
    valid_q         <= (AfterCompare - 1)'({valid_q, row_valid});
    found_q         <= found;
    check_found_q   <= found_q;
    correct_found_q <= check_found_q;
    if (!rst_ni) begin
      hashing_q       <= '0;
      valid_q         <= '0;
      found_q         <= 1'b0;
      check_found_q   <= 1'b0;
      correct_found_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (compare_valid_o) key_q <= compare_key_o;
    if (found) begin
      // What matched has the packet's key, and `valid`.
      selected_q <= '{
        confirmed: payload_i[lowest].confirmed,
        pinned: payload_i[lowest].pinned,
        valid: 1'b1,
        generation: payload_i[lowest].generation,
        backend: payload_i[lowest].backend,
        key: key_q
      };
      selected_ecc_q <= payload_i[lowest].ecc;
      place_q        <= {lowest, row[lowest[PlaceBits-1-:$clog2(Banks)]]};
    end
    if (found_q) check_place_q <= place_q;
    if (check_found_q) correct_place_q <= check_place_q;
  end

  // ---- room: places that are free, and those that would give way ----------------------------------------------------------
  localparam int unsigned FreeBits = $clog2(FlowWays + 1);
  gw_flow_room_t                        room_d, room1_q, room2_d, room2_q, room3_q;
  logic [Banks-1:0][FreeBits-1:0]       free_d, free_q;  // free ways, by bank
  flow_way_t                            first_d [Banks], first_q [Banks];  // the lowest of them
  logic [FreeBits-1:0]                  most;

  always_comb begin
    room_d      = '0;
    room_d.rows = row;
    free_d      = '0;
    first_d     = '{default: '0};
    for (int unsigned p = FlowPlaces; p > 0; p--) begin
      if (!tenant_i[p-1].valid) begin
        free_d[(p-1)/FlowWays]  = free_d[(p-1)/FlowWays] + 1'b1;
        first_d[(p-1)/FlowWays] = flow_way_t'(p - 1);
      end else if (!tenant_i[p-1].held) begin
        room_d.open     = 1'b1;
        room_d.open_way = flow_way_t'(p - 1);
        room_d.open_vip = tenant_i[p-1].vip;
        if (tenant_i[p-1].own) begin
          room_d.own     = 1'b1;
          room_d.own_way = flow_way_t'(p - 1);
        end
      end
    end
  end

  always_comb begin
    room2_d = room1_q;
    most    = '0;
    for (int unsigned b = 0; b < Banks; b++) begin
      if (free_q[b] > most) begin
        most             = free_q[b];
        room2_d.free     = 1'b1;
        room2_d.free_way = first_q[b];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (row_valid) begin
      room1_q <= room_d;
      free_q  <= free_d;
      first_q <= first_d;
    end
    if (valid_q[0]) room2_q <= room2_d;
    if (valid_q[1]) room3_q <= room2_q;
  end

  // ---- check and correct --------------------------------------------------------------------------------------------------
  gw_flow_word_t               checked;
  logic [8:0]                  unused_syndrome;
  logic                        corrected, uncorrectable, flipped, other_key;
  logic [7:0]                  position;

  gw_secded #(.DataBits(FlowWordDataBits)) u_secded (
      .clk_i          (clk_i),
      .valid_i        (found_q),
      .data_i         (selected_q),
      .ecc_i          (selected_ecc_q),
      .ecc_o          (unused_syndrome),
      .data_o         (checked),
      .corrected_o    (corrected),
      .uncorrectable_o(uncorrectable),
      .flipped_o      (flipped),
      .position_o     (position)
  );
  logic unused_checked;  // the key is the packet's, and `valid` is set
  assign unused_checked = ^{checked.valid, checked.key};

  // The bit that was wrong made this entry look like the packet's: it is another flow's, or none.
  assign other_key = corrected && flipped && (position < KeyEnd || position == ValidPosition);

  // ---- judge --------------------------------------------------------------------------------------------------------------
  gw_flow_result_t result_q;

  always_ff @(posedge clk_i) begin
    if (valid_q[AfterCompare-3]) begin
      result_q.found       <= correct_found_q && !uncorrectable && !other_key;
      result_q.backend     <= checked.backend;
      result_q.generation  <= checked.generation;
      result_q.place       <= correct_place_q;
      result_q.confirmed   <= checked.confirmed;
      result_q.pinned      <= checked.pinned;
      result_q.room        <= room3_q;
      result_q.room.hidden <= correct_found_q && other_key;
      result_q.room.same   <= correct_found_q && !other_key;  // also a word that cannot be corrected
    end
  end
  assign valid_o  = valid_q[AfterCompare-2];
  assign result_o = result_q;

  // ---- events -------------------------------------------------------------------------------------------------------------
  logic command_corrected_q, command_uncorrectable_q;  // waiting for a cycle of their own
  always_ff @(posedge clk_i) begin
    command_corrected_q     <= command_ecc_corrected_i || (command_corrected_q && corrected);
    command_uncorrectable_q <= command_ecc_uncorrectable_i || (command_uncorrectable_q && uncorrectable);
    if (!rst_ni) begin
      command_corrected_q     <= 1'b0;
      command_uncorrectable_q <= 1'b0;
    end
  end
  assign ecc_corrected_o     = corrected || command_corrected_q;
  assign ecc_uncorrectable_o = uncorrectable || command_uncorrectable_q;
endmodule
