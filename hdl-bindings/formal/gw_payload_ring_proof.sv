// Proof of a source's payload ring: gw_ingress, which gives out its places, and gw_payload_ring, which keeps the beats. Every beat
// of a frame that was taken is stored once, unaltered, at its place after the window's `payload`; a reader gets it from there until
// the frame is freed; no place is written again before; the ring never runs over; an end's length gives the beats stored.
//
// The other side frees frames in their order, each with its own number of beats: that gw_payload_free does so is a proof of its own.
// One stored beat is marked. Of the frames before it the proof keeps number and sum, so that each may be of any size.
module gw_payload_ring_proof
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter bit Inject = 1'b0,
    parameter int unsigned Beats = Inject ? 16 : 8
) (
    input logic                 clk_i,
    input logic                 rst_ni,
    input logic                 mark_i,
    input logic                 enable_i,
    input logic                 s_valid_i,
    input logic [BeatBits-1:0]  s_data_i,
    input logic [1:0]           s_size_i,
    input logic                 s_last_i,
    input logic                 s_error_i,
    input gw_inject_t           s_inject_i,
    input logic                 window_take_i,
    input logic                 window_full_i,
    input logic                 end_ready_i,
    input logic                 free_valid_i,
    input logic [7:0]           free_beats_i,
    input logic                 egress_re_i,
    input payload_addr_t        egress_raddr_i,
    input logic                 host_re_i,
    input payload_addr_t        host_raddr_i
);
  localparam logic [5:0] FrameBeats = 6'(FrameMax / BeatBytes);  // most beats that are stored of a frame
  localparam logic [5:0] Mask = 6'(Beats - 1);

  logic                s_ready, we, window_valid, window_soon, window_soon_q, end_valid, began, refused, whole, empty;
  payload_addr_t       waddr;
  logic [BeatBits-1:0] wdata, egress_rdata, host_rdata;
  gw_window_t          window;
  gw_frame_end_t       frame_end;
  gw_disposition_e     refused_disposition;
  logic [6:0]          bytes;

  // 0, 1, 63 or 64 bytes stand for all sizes of a beat.
  logic [BeatBytes-1:0] keep;
  always_comb begin
    unique case (s_size_i)
      2'd0: keep = '0;
      2'd1: keep = BeatBytes'(1);
      2'd2: keep = {1'b0, {(BeatBytes - 1) {1'b1}}};
      default: keep = '1;
    endcase
  end

  gw_ingress #(.Source(gw_source_e'(Inject)), .Beats(Beats), .Credits(4)) dut (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .enable_i(enable_i),
      .s_valid_i(s_valid_i),
      .s_ready_o(s_ready),
      .s_data_i(s_data_i),
      .s_keep_i(keep),
      .s_last_i(s_last_i),
      .s_error_i(s_error_i),
      .s_inject_i(s_inject_i),
      .payload_we_o(we),
      .payload_waddr_o(waddr),
      .payload_wdata_o(wdata),
      .window_valid_o(window_valid),
      .window_soon_o(window_soon),
      .window_take_i(window_take_i),
      .window_full_i(window_full_i),
      .window_o(window),
      .beat_came_o(),
      .beat_valid_o(),
      .beat_first_o(),
      .beat_ended_o(),
      .beat_index_o(),
      .beat_payload_o(),
      .beat_data_o(),
      .end_valid_o(end_valid),
      .end_ready_i(end_ready_i),
      .end_o(frame_end),
      .free_valid_i(free_valid_i),
      .free_beats_i(free_beats_i),
      .began_o(began),
      .refused_o(refused),
      .refused_disposition_o(refused_disposition),
      .bytes_o(bytes),
      .whole_o(whole),
      .empty_o(empty)
  );

  gw_payload_ring #(.Beats(Beats)) u_ring (
      .clk_i(clk_i),
      .we_i(we),
      .waddr_i(waddr),
      .wdata_i(wdata),
      .egress_re_i(egress_re_i),
      .egress_raddr_i(egress_raddr_i),
      .egress_rdata_o(egress_rdata),
      .host_re_i(host_re_i),
      .host_raddr_i(host_raddr_i),
      .host_rdata_o(host_rdata)
  );

  logic started_q = 1'b0;

  // ---- the stream, one cycle later, and its frame ----------------------------------------------------------------------
  logic                beat_q, last_q, none_q;
  logic [BeatBits-1:0] data_q;
  logic                inside_q, taking_q;  // a frame has begun; it was taken
  logic [5:0]          seen_q;  // its beats, up to FrameBeats
  logic [5:0]          first_q;  // the place of its first one
  logic                first, taking, over, dropped;
  logic [5:0]          seen, place, length_beats;

  assign first   = beat_q && !inside_q;
  assign taking  = beat_q && (first ? (Inject || (began && !refused)) : taking_q);
  assign seen    = first ? '0 : seen_q;
  assign place   = first ? 6'(dut.write_q) & Mask : first_q;
  assign dropped = Inject && taking && last_q && none_q;  // the host takes its frame back
  assign over    = taking && last_q && !dropped;
  assign length_beats = dut.frame_end.length > frame_len_t'(FrameMax) ? FrameBeats :
      dut.frame_end.length == '0 ? 6'd1 : 6'((dut.frame_end.length + 14'd63) >> 6);  // as gw_admit counts

  // ---- a beat's way: it has its place when the frame's state sees it, and is written one cycle later -----------------------
  logic                stores, written_q;
  logic [5:0]          at, written_at_q;
  logic [BeatBits-1:0] written_word_q;
  assign stores = dut.store;
  assign at     = 6'(dut.write_q) & Mask;
  always_ff @(posedge clk_i) begin
    written_q      <= rst_ni && stores;
    written_at_q   <= at;
    written_word_q <= data_q;
  end

  // ---- what is stored --------------------------------------------------------------------------------------------------
  logic [5:0] used_q, frames_q;  // beats not freed, frames over and not freed
  logic [5:0] open;  // beats of the frame that is not over
  logic       marked_q, own_open_q;  // a beat is; its frame is not over
  logic       new_q;  // it is being written
  logic [5:0] at_q, older_beats_q, older_frames_q, own_beats_q, own_index_q;
  logic [BeatBits-1:0] word_q;
  logic [5:0] freed;
  assign open  = inside_q && taking_q ? seen_q : '0;
  assign freed = free_valid_i ? 6'(free_beats_i) : '0;

  logic [2:0]          egress_read_q, host_read_q;  // the marked beat is being read
  logic [BeatBits-1:0] egress_word_q[3], host_word_q[3];

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) assume (!rst_ni);
    window_soon_q <= rst_ni && window_soon;
    assume (!window_take_i || window_soon_q);
    if (free_valid_i) begin
      assume (free_beats_i != '0 && free_beats_i <= 8'(FrameBeats) && frames_q != '0);
      assume (frames_q == 6'd1 ? freed == used_q - open : freed + frames_q - 6'd1 <= used_q - open);
      if (marked_q) begin
        if (older_frames_q == '0) assume (!own_open_q && freed == own_beats_q);
        else if (older_frames_q == 6'd1) assume (freed == older_beats_q);
        else assume (freed + older_frames_q - 6'd1 <= older_beats_q);
      end
    end

    beat_q <= rst_ni && s_valid_i && s_ready;
    last_q <= s_last_i;
    none_q <= s_size_i == '0;
    data_q <= s_data_i;
    if (beat_q) begin
      inside_q <= !last_q;
      taking_q <= taking;
      first_q  <= place;
      seen_q   <= seen == FrameBeats ? seen : seen + 1'b1;
    end
    used_q   <= used_q - freed + 6'(stores) - (dropped ? seen : '0);
    frames_q <= frames_q - 6'(free_valid_i) + 6'(over);
    new_q    <= rst_ni && !marked_q && stores && mark_i;
    if (!marked_q) begin
      if (stores && mark_i) begin
        marked_q       <= 1'b1;
        own_open_q     <= !over;
        at_q           <= at;
        word_q         <= data_q;
        older_beats_q  <= used_q - freed - open;
        older_frames_q <= frames_q - 6'(free_valid_i);
        own_beats_q    <= seen + 1'b1;
        own_index_q    <= seen;
      end
    end else begin
      if (own_open_q) begin
        own_beats_q <= own_beats_q + 6'(stores);
        if (over) own_open_q <= 1'b0;
        if (dropped) marked_q <= 1'b0;
      end
      if (free_valid_i) begin
        if (older_frames_q == '0) marked_q <= 1'b0;
        else older_frames_q <= older_frames_q - 1'b1;
        if (older_frames_q != '0) older_beats_q <= older_beats_q - freed;
      end
    end
    egress_read_q <= {egress_read_q[1:0], rst_ni && egress_re_i && marked_q && !new_q && (6'(egress_raddr_i) & Mask) == at_q};
    host_read_q   <= {host_read_q[1:0], rst_ni && host_re_i && marked_q && !new_q && (6'(host_raddr_i) & Mask) == at_q};
    egress_word_q <= '{word_q, egress_word_q[0], egress_word_q[1]};
    host_word_q   <= '{word_q, host_word_q[0], host_word_q[1]};
    if (!rst_ni) begin
      inside_q      <= 1'b0;
      used_q        <= '0;
      frames_q      <= '0;
      marked_q      <= 1'b0;
      egress_read_q <= '0;
      host_read_q   <= '0;
    end

    if (started_q) begin
      if (rst_ni) begin
        // stored once, in order, unaltered, and only what was taken
        assert (stores == (taking && seen != FrameBeats && !(last_q && none_q && (Inject || seen != '0))));
        if (stores) assert (at == ((place + seen) & Mask));
        if (dut.window_done) assert (taking && (6'(dut.window.payload) & Mask) == place);
        assert (dut.ended == over);
        if (over) assert (length_beats == seen + 6'(stores));
        // not reused
        assert (used_q + 6'(stores) <= 6'(Beats));
        if (marked_q) assert (!(stores && at == at_q));
        if (marked_q && !new_q) assert (!(we && (6'(waddr) & Mask) == at_q));
        if (egress_read_q[2]) assert (egress_rdata == egress_word_q[2]);
        if (host_read_q[2]) assert (host_rdata == host_word_q[2]);
      end
      // registers
      assert (dut.valid_q == beat_q && dut.first_q == first && dut.rest_q == (beat_q && inside_q));
      assert (dut.inside_q == (beat_q ? !last_q : inside_q));
      assert (we == written_q);
      if (we) assert (wdata == written_word_q && (6'(waddr) & Mask) == written_at_q);
      if (beat_q) begin
        assert (dut.last_q == last_q && dut.data_q == data_q && dut.none_q == (last_q && none_q));
        assert ((!last_q || (dut.count_q == '0) == none_q) && dut.count_q <= 7'd64);
        if (!last_q) assert (dut.count_q == 7'd64);
        assert (seen == (dut.index_q > 8'(FrameBeats) ? FrameBeats : 6'(dut.index_q)));
        assert (dut.storable_q == (dut.fits_q && !(last_q && none_q && (Inject || inside_q))));
        assert (dut.closes_q == (inside_q ? dut.second_q : last_q));
      end
      if (beat_q || inside_q) begin
        assert (dut.index_q <= 8'(FrameBeats) + 8'd1 && dut.second_q == (dut.index_q == 8'd1));
        assert (dut.fits_q == (dut.index_q < 8'(FrameBeats)) && dut.beyond_q == (dut.index_q > 8'(FrameBeats)));
      end
      if (inside_q) begin
        assert (dut.refusing_q == !taking_q && (taking_q || !Inject));
        assert (seen_q <= FrameBeats && seen_q != '0);
        if (!beat_q) assert (seen_q == (dut.index_q >= 8'(FrameBeats) ? FrameBeats : 6'(dut.index_q) + 6'd1));
        if (taking_q) assert (6'(dut.start_q) == first_q && 6'(dut.write_q) == ((first_q + open) & Mask));
      end
      if (!Inject) assert (!dut.may_q || 6'(dut.used_q) <= 6'(Beats - FrameBeatsMax));
      assert (6'(dut.used_q) == used_q && used_q <= 6'(Beats) && used_q >= open + frames_q);
      assert (frames_q != '0 || used_q == open);
      if (!Inject) begin
        if (inside_q && taking_q) assert (used_q <= 6'(Beats - FrameBeatsMax) + open);
      end
      assert (frames_q <= 6'(Beats));
      if (marked_q) begin
        assert (older_beats_q <= 6'(Beats) && older_frames_q <= 6'(Beats));
        assert (own_index_q < own_beats_q && own_beats_q <= FrameBeats && older_frames_q <= older_beats_q);
        assert ((older_frames_q == '0) == (older_beats_q == '0));
        if (own_open_q) begin
          assert (inside_q && taking_q && own_beats_q == open && older_frames_q == frames_q && older_beats_q + own_beats_q == used_q);
        end else begin
          assert (older_frames_q < frames_q && older_beats_q + own_beats_q + (frames_q - older_frames_q - 6'd1) + open <= used_q);
          if (older_frames_q + 6'd1 == frames_q) assert (older_beats_q + own_beats_q + open == used_q);
        end
        assert (((at_q + used_q - older_beats_q - own_index_q) & Mask) == 6'(dut.write_q));
        if (new_q) assert (written_q && written_at_q == at_q && written_word_q == word_q);
        else assert (u_ring.u_egress.mem[at_q] == word_q && u_ring.u_host.mem[at_q] == word_q);
        if (!new_q) assert (!(written_q && written_at_q == at_q));
      end
      for (int i = 0; i < 2; i++) begin
        assert (!egress_read_q[i] || u_ring.u_egress.gen_pipeline.enable_q[i]);
        assert (!host_read_q[i] || u_ring.u_host.gen_pipeline.enable_q[i]);
      end
      if (egress_read_q[0]) assert (u_ring.u_egress.first_q == egress_word_q[0]);
      if (egress_read_q[1]) assert (u_ring.u_egress.gen_pipeline.stage_q[0] == egress_word_q[1]);
      if (host_read_q[0]) assert (u_ring.u_host.first_q == host_word_q[0]);
      if (host_read_q[1]) assert (u_ring.u_host.gen_pipeline.stage_q[0] == host_word_q[1]);
      cover (rst_ni && marked_q && older_frames_q == 6'd1 && own_index_q == 6'd1 && stores);
      cover (rst_ni && marked_q && egress_read_q[2] && older_frames_q == '0 && at_q == 6'd1);
    end
  end
  if (Inject) begin : gen_inject
    // `s_ready_o` follows the level by a cycle, and beats follow it by another.
    localparam logic [5:0] Last = 6'(Beats - 8);
    always_ff @(posedge clk_i) begin
      if (started_q) begin
        assert (used_q + 6'(beat_q) <= Last + 6'd3);
        if (s_ready) assert (used_q <= Last + 6'd1 && used_q + 6'(beat_q) <= Last + 6'd2);
      end
    end
    always_ff @(posedge clk_i) cover (started_q && rst_ni && dropped && marked_q && own_open_q);
  end else begin : gen_wire
    always_ff @(posedge clk_i) cover (started_q && rst_ni && refused && dut.enable_q && !window_full_i);
  end
endmodule
