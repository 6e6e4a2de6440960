// Purpose: takes the frames of one source: stores their beats, collects their windows, tells their ends.
// Latency: window 1 cycle after its last beat, end visible 2 cycles after the last beat; a beat is written 2 cycles after it came.
// Throughput: one beat each cycle.
// Drops when: (wire) at the first beat, for the whole frame, when the port is not enabled, the payload ring has less than
//   FrameBeatsMax beats or the window queue is full. Injects wait instead.
//
// What a beat is in its frame is found as it comes, and whether a frame may begin in the cycle before it does, so that a beat's lot
// follows from few registers.
//
// Wire: `s_ready_o` is always 1; a window goes as soon as two beats or the whole frame have come. Inject: a window is offered
// once its frame is whole, because the host's DMA may stall inside a frame; a last beat with no byte in `s_keep_i` cancels
// the frame, and nothing of it counts. Beats beyond 9,216 bytes are not stored; the length then saturates at 9,217.
// `keep` runs from byte 0; beats before the last are taken as full. Bytes of a window beyond `bytes` are unspecified.
module gw_ingress
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter gw_source_e Source = SourceWire,
    parameter int unsigned Beats = WireBeats,  // of its payload ring
    parameter int unsigned Credits = 256  // most frames between window and admission; sizes the queue of ends
) (
    input logic clk_i,
    input logic rst_ni,
    input logic enable_i,  // wire: port enabled and tables ready; inject: tables ready

    // stream
    input  logic                s_valid_i,
    output logic                s_ready_o,
    input  logic [BeatBits-1:0] s_data_i,
    input  logic [BeatBytes-1:0] s_keep_i,
    input  logic                s_last_i,
    input  logic                s_error_i,  // wire: with the last beat
    input  gw_inject_t          s_inject_i,  // inject: with the last beat

    // gw_payload_ring
    output logic                payload_we_o,
    output payload_addr_t       payload_waddr_o,
    output logic [BeatBits-1:0] payload_wdata_o,

    // gw_window_arbiter
    output logic       window_valid_o,  // wire only: they cannot wait
    output logic       window_soon_o,  // inject only: in the next cycle there is one
    input  logic       window_take_i,  // inject only: this cycle's goes
    input  logic       window_full_i,  // wire only: refuse frames that begin
    output gw_window_t window_o,

    // gw_admit
    output logic          end_valid_o,
    input  logic          end_ready_i,
    output gw_frame_end_t end_o,
    input  logic          free_valid_i,  // the oldest frame's payload is free
    input  logic [7:0]    free_beats_i,

    // gw_ip_sum
    output logic                beat_came_o,  // a beat, of a refused frame or not
    output logic                beat_valid_o,  // its frame is taken
    output logic                beat_first_o,
    output logic                beat_ended_o,  // the last one of a frame that counts
    output logic [7:0]          beat_index_o,
    output payload_addr_t       beat_payload_o,  // where its frame begins
    output logic [BeatBits-1:0] beat_data_o,

    // events
    output logic            began_o,  // wire: a first beat
    output logic            refused_o,  // wire: that first beat was refused
    output gw_disposition_e refused_disposition_o,
    output logic [6:0]      bytes_o,  // wire: bytes of this cycle's beat
    output logic            whole_o,  // inject: a frame is whole
    output logic            empty_o  // no payload stored, no frame begun
);
  localparam int unsigned UsedBits = $clog2(Beats + 1);
  localparam logic [7:0] BeatsStoredMax = 8'(FrameMax / BeatBytes);
  localparam bit Inject = Source == SourceInject;
  localparam int unsigned WholeDepth = 16;  // inject: whole frames whose window waits
  localparam int unsigned AddrBits = $clog2(Beats);

  // The length of a run from byte 0. Bit b of it is set when of two neighbouring blocks of 2^b bytes the first is full, the second not.
  function automatic logic [6:0] bytes_of(logic [BeatBytes-1:0] keep);
    logic [6:0] bytes;
    bytes = {keep[BeatBytes-1], 6'd0};
    for (int unsigned b = 0; b < 6; b++) begin
      for (int unsigned i = (1 << b) - 1; i < BeatBytes; i += 2 << b) bytes[b] |= keep[i] && !keep[i+(1<<b)];
    end
    return bytes;
  endfunction

  // ---- the beat, one cycle after the stream -----------------------------------------------------------------------
  logic                coming;
  logic                inside_q;  // a frame has begun whose last beat has not come
  logic                valid_q, last_q, error_q;
  logic                first_q, rest_q;  // a beat that begins a frame; any other
  logic                second_q, fits_q, beyond_q;  // index_q is 1; below the longest frame's beats; above them
  logic                none_q;  // a last beat without bytes
  logic                storable_q;  // has a place in the ring when its frame is taken
  logic                closes_q;  // the wire's window is whole with it
  logic [7:0]          index_q, index_d;  // beats of the frame before it, saturating above the longest frame
  logic [BeatBits-1:0] data_q;
  logic [6:0]          count_q;  // bytes
  gw_inject_t          inject_q;
  logic                fits_d, beyond_d, none_d;

  assign coming = s_valid_i && s_ready_o;

  always_comb begin
    index_d  = '0;
    fits_d   = 1'b1;
    beyond_d = 1'b0;
    if (inside_q) begin  // index_q is of the beat before
      index_d  = beyond_q ? index_q : index_q + 1'b1;
      fits_d   = index_q < BeatsStoredMax - 8'd1;
      beyond_d = index_q >= BeatsStoredMax;
    end
    none_d = s_last_i && !s_keep_i[0];
  end

  always_ff @(posedge clk_i) begin
    valid_q <= coming && rst_ni;
    first_q <= coming && !inside_q && rst_ni;
    rest_q  <= coming && inside_q && rst_ni;
    if (coming) begin
      inside_q   <= !s_last_i;
      last_q     <= s_last_i;
      error_q    <= s_error_i;
      data_q     <= s_data_i;
      count_q    <= s_last_i ? bytes_of(s_keep_i) : 7'(BeatBytes);
      none_q     <= none_d;
      index_q    <= index_d;
      second_q   <= inside_q && index_q == '0;
      fits_q     <= fits_d;
      beyond_q   <= beyond_d;
      // A last beat without bytes is not stored, so that beats follow from the length; a frame without bytes takes one beat.
      storable_q <= fits_d && !(none_d && (Inject || inside_q));
      closes_q   <= inside_q ? index_q == '0 : s_last_i;
      if (Inject) inject_q <= s_inject_i;
    end
    if (!rst_ni) inside_q <= 1'b0;
  end

  // ---- frame state ------------------------------------------------------------------------------------------------
  logic                may_q, may;  // wire: a frame may begin: the port is enabled, a longest frame's beats are free; the windows have room too
  logic                enable_q;
  logic                refusing_q;  // the rest of a refused frame is swallowed
  logic [AddrBits-1:0] write_q;
  logic [AddrBits-1:0] start_q;  // where the frame began
  logic [UsedBits-1:0] used_q, used_d;  // beats stored and not freed
  logic                room_stored, room_kept;
  logic [UsedBits-1:0] used_stored, used_kept;  // after this cycle, with and without this beat
  logic [BeatBits-1:0] lower_q, upper_q;  // the window's halves

  logic accept, store, ended, cancel;  // of this beat
  logic [7:0] stored;  // beats of its frame in the ring before it
  logic window_done;
  gw_window_t window;
  gw_frame_end_t frame_end;

  assign may    = may_q && !window_full_i;
  assign accept = Inject ? valid_q : (first_q && may) || (rest_q && !refusing_q);
  assign cancel = Inject && valid_q && none_q;
  assign store  = accept && storable_q;
  assign ended  = accept && last_q && !(Inject && none_q);
  assign stored = beyond_q ? BeatsStoredMax : index_q;

  always_comb begin
    used_kept   = used_q - (free_valid_i ? UsedBits'(free_beats_i) : '0);
    used_stored = used_q - (free_valid_i ? UsedBits'(free_beats_i) : '0) + 1'b1;
    room_kept   = used_kept <= UsedBits'(Beats - FrameBeatsMax);
    room_stored = used_stored <= UsedBits'(Beats - FrameBeatsMax);
    used_d      = store ? used_stored : used_kept;
    if (cancel) used_d = used_kept - UsedBits'(stored);

    frame_end.error  = !Inject && error_q;
    frame_end.length = beyond_q || (!fits_q && !none_q) ? frame_len_t'(FrameMax + 1) : {index_q, 6'b0} + 14'(count_q);
  end

  always_ff @(posedge clk_i) begin
    used_q   <= used_d;
    may_q    <= rst_ni && enable_i && (store ? room_stored : room_kept);
    enable_q <= enable_i;
    if (store) write_q <= write_q + 1'b1;
    if (cancel && rest_q) write_q <= start_q;
    if (first_q) begin
      refusing_q <= !Inject && !may;
      start_q    <= write_q;
      lower_q    <= data_q;
    end
    if (Inject && second_q) upper_q <= data_q;
    if (!rst_ni) begin
      refusing_q <= 1'b0;
      write_q    <= '0;
      used_q     <= '0;
    end
  end

  // ---- the beat's way into the ring ----------------------------------------------------------------------------------
  logic                payload_we_q;
  logic [AddrBits-1:0] payload_waddr_q;
  logic [BeatBits-1:0] payload_wdata_q;
  always_ff @(posedge clk_i) begin
    payload_we_q <= store && rst_ni;
    if (valid_q) begin
      payload_waddr_q <= write_q;
      payload_wdata_q <= data_q;
    end
  end
  assign payload_we_o    = payload_we_q;
  assign payload_waddr_o = payload_addr_t'(payload_waddr_q);
  assign payload_wdata_o = payload_wdata_q;

  assign beat_came_o     = valid_q;
  assign beat_valid_o    = accept;
  assign beat_first_o    = first_q;
  assign beat_ended_o    = ended;
  assign beat_index_o    = index_q;
  assign beat_payload_o  = first_q ? payload_addr_t'(write_q) : payload_addr_t'(start_q);
  assign beat_data_o     = data_q;

  // ---- the window -------------------------------------------------------------------------------------------------
  always_comb begin
    window = '0;
    if (valid_q) begin  // spares a simulator the wide multiplexers of idle cycles
      window.source  = Source;
      window.payload = first_q ? payload_addr_t'(write_q) : payload_addr_t'(start_q);
      window.inject  = Inject ? inject_q : '0;
      if (first_q) begin
        window.complete = 1'b1;
        window.bytes    = 8'(count_q);
        window.data     = {2{data_q}};
      end else begin
        window.complete = second_q && last_q;
        window.bytes    = second_q ? 8'(BeatBytes) + 8'(count_q) : 8'(WindowBytes);
        window.data     = {Inject && !second_q ? upper_q : data_q, lower_q};
      end
    end
    window_done = Inject ? ended : accept && closes_q;
  end

  if (Inject) begin : gen_inject
    // Whole frames wait here until the arbiter has a slot and admission a credit.
    localparam int unsigned Reserve = 8;  // beats under way when `ready_q` falls, and some
    logic ready_q, whole_valid, take, whole_almost, ends_almost;
    gw_window_t whole_window;
    gw_frame_end_t whole_end;
    logic unused_full, unused_ends_full;
    logic [$clog2(WholeDepth + 1)-1:0] whole_level;
    logic [$clog2(Credits + 1)-1:0] unused_ends;

    always_ff @(posedge clk_i) begin
      ready_q <= rst_ni && enable_i && used_q <= UsedBits'(Beats - Reserve) && !whole_almost;
    end
    assign s_ready_o = ready_q;

    gw_fifo #(.Width($bits(gw_window_t) + $bits(gw_frame_end_t)), .Depth(WholeDepth), .AlmostFull(WholeDepth - 4)) u_whole (
        .clk_i(clk_i),
        .rst_ni(rst_ni),
        .push_i(window_done),
        .data_i({window, frame_end}),
        .valid_o(whole_valid),
        .pop_i(take),
        .data_o({whole_window, whole_end}),
        .level_o(whole_level),
        .full_o(unused_full),
        .almost_full_o(whole_almost)
    );

    // The ends of frames between window and admission: its free places are the credits.
    gw_fifo #(.Width($bits(gw_frame_end_t)), .Depth(Credits), .AlmostFull(Credits - 1)) u_ends (
        .clk_i(clk_i),
        .rst_ni(rst_ni),
        .push_i(take),
        .data_i(whole_end),
        .valid_o(end_valid_o),
        .pop_i(end_valid_o && end_ready_i),
        .data_o(end_o),
        .level_o(unused_ends),
        .full_o(unused_ends_full),
        .almost_full_o(ends_almost)
    );
    // What is taken in this cycle leaves a place: not almost full now, not full then.
    assign window_soon_o  = (take ? whole_level > 1 : whole_valid) && !ends_almost;
    assign window_valid_o = 1'b0;
    assign window_o       = whole_window;
    assign take           = window_take_i;
    assign empty_o        = used_q == '0 && !valid_q && !inside_q && !whole_valid;

    logic unused_inputs;
    assign unused_inputs = ^{window_full_i, may_q, may, enable_q, refusing_q, closes_q, error_q};
  end else begin : gen_wire
    logic unused_full, unused_almost;
    logic [$clog2(Credits + 1)-1:0] unused_ends;

    assign s_ready_o      = 1'b1;
    assign window_valid_o = window_done;
    assign window_soon_o  = 1'b0;
    assign window_o       = window;
    assign empty_o        = used_q == '0 && !valid_q && !inside_q;

    gw_fifo #(.Width($bits(gw_frame_end_t)), .Depth(Credits)) u_ends (
        .clk_i(clk_i),
        .rst_ni(rst_ni),
        .push_i(ended),
        .data_i(frame_end),
        .valid_o(end_valid_o),
        .pop_i(end_valid_o && end_ready_i),
        .data_o(end_o),
        .level_o(unused_ends),
        .full_o(unused_full),
        .almost_full_o(unused_almost)
    );
    logic unused_inputs;
    assign unused_inputs = ^{window_take_i, inject_q, upper_q, stored};
  end

  // ---- events -----------------------------------------------------------------------------------------------------
  assign began_o               = !Inject && first_q;
  assign refused_o             = !Inject && first_q && !may;
  assign refused_disposition_o = enable_q ? DispositionDropIngressFull : DispositionDropPortDisabled;
  assign bytes_o               = !Inject && valid_q ? count_q : '0;
  assign whole_o               = Inject && ended;

`ifdef VERILATOR
  logic                 held_q;
  logic [BeatBits-1:0]  held_data_q;
  logic [BeatBytes-1:0] held_keep_q;
  logic                 held_last_q;
  always_ff @(posedge clk_i) begin
    held_q      <= rst_ni && s_valid_i && !s_ready_o;
    held_data_q <= s_data_i;
    held_keep_q <= s_keep_i;
    held_last_q <= s_last_i;
    if (rst_ni) begin
      if (held_q) begin
        assert (s_valid_i && s_data_i == held_data_q && s_keep_i == held_keep_q && s_last_i == held_last_q)
        else $error("gw_ingress: the stream moved while stalled");
      end
      assert (!(store && used_q == UsedBits'(Beats))) else $error("gw_ingress: the payload ring runs over");
      assert (!(free_valid_i && used_q < UsedBits'(free_beats_i))) else $error("gw_ingress: freed what was not stored");
    end
  end
`endif
endmodule
