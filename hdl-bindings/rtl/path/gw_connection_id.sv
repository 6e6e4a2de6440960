// Reads the first bytes of a QUIC packet's connection id, when it has one that a server may have chosen (CARD.md 3).
//
// Latency:    2: what the header's first bytes say; which bytes are the id's.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_connection_id
  import gw_pkg::*;
(
    input  logic              clk_i,
    input  logic              valid_i,
    input  logic              ask_i,  // the packet is UDP, of the wire
    // Its lengths, and the bytes from its UDP header on.
    // verilator lint_off UNUSEDSIGNAL
    input  gw_walk_t          walk_i,
    // verilator lint_on UNUSEDSIGNAL
    output gw_connection_id_t id_o
);
  localparam int unsigned Udp = 8;
  localparam int unsigned LongAt = 6;  // where the id lies in a long header: behind version and length
  localparam int unsigned ShortAt = 1;
  localparam int unsigned IdMin = 8;  // bytes, as Katran asks for
  localparam int unsigned Bytes = LongAt + ConnectionIdBytes;  // of the UDP payload that are looked at
  localparam logic [31:0] Version2 = 32'h6b33_43cf;  // RFC 9369: its long headers number their types anew

  // ---- stage 1: what the header says ----------------------------------------------------------------------------------
  logic [Bytes-1:0][7:0] payload_d, payload_q;  // UDP's, the first byte in bits 7:0
  logic [1:0]            kind;
  logic                  ask_q, long_d, long_q, held_d, held_q, ninth_d, ninth_q;
  logic                  client_chosen_d, client_chosen_q;
  logic                  valid_q;

  // Packet and window reach so far behind the UDP header.
  function automatic logic holds(logic [15:0] left, logic [6:0] room, int unsigned bytes);
    return left >= 16'(Udp + bytes) && room >= 7'(Udp + bytes);
  endfunction

  always_comb begin
    payload_d = walk_i.bytes[Udp*8+:Bytes*8];
    long_d = payload_d[0][7];
    kind = payload_d[0][5:4];
    client_chosen_d = {payload_d[1], payload_d[2], payload_d[3], payload_d[4]} == Version2 ? kind inside {2'd1, 2'd2} : kind inside {2'd0, 2'd1};
    held_d = holds(walk_i.left, walk_i.room, (long_d ? LongAt : ShortAt) + IdMin);
    ninth_d = holds(walk_i.left, walk_i.room, (long_d ? LongAt : ShortAt) + IdMin + 1);
  end

  // ---- stage 2: its id ------------------------------------------------------------------------------------------------
  gw_connection_id_t id_d, id_q;
  logic [7:0]        length;

  always_comb begin
    length = payload_q[LongAt-1];
    id_d.present = ask_q && held_q && !(long_q && (client_chosen_q || length < 8'(IdMin)));
    id_d.ninth = ninth_q && !(long_q && length < 8'(IdMin + 1));
    id_d.bytes = long_q ? payload_q[LongAt+:ConnectionIdBytes] : payload_q[ShortAt+:ConnectionIdBytes];
  end

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;  // unknown for a cycle after power on, which only moves unused data
    if (valid_i) begin
      payload_q       <= payload_d;
      ask_q           <= ask_i;
      long_q          <= long_d;
      held_q          <= held_d;
      ninth_q         <= ninth_d;
      client_chosen_q <= client_chosen_d;
    end
    if (valid_q) id_q <= id_d;
  end
  assign id_o = id_q;
endmodule
