// The `ring` table: backend indices of 16 bits for all pools' rings.
//
//   slot s:  beat s[19:5], bank s[4:2], lane s[1:0]
//
// Eight banks of 64-bit words lie side by side, so that a command's beat of 32 slots changes or is read in one cycle, while a
// packet's read wakes one bank only.
//
// Latency:    RingLatency from `read_i` to `slot_o`.
// Throughput: one packet and one command access a cycle.
// Drops when: never.
module gw_ring_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    localparam int unsigned SlotBits = $clog2(RingSlots)
) (
    input  logic                         clk_i,
    input  logic                         rst_ni,
    input  gw_table_req_t                table_req_i,
    output logic                         rvalid_o,
    output logic          [BeatBits-1:0] rdata_o,
    input  logic                         read_i,
    input  logic          [SlotBits-1:0] slot_index_i,
    output logic          [        15:0] slot_o
);

  localparam int unsigned SlotsPerBeat = BeatBits / 16;
  localparam int unsigned BankCount = 8;
  localparam int unsigned BankWidth = BeatBits / BankCount;
  localparam int unsigned Beats = RingSlots / SlotsPerBeat;
  localparam int unsigned BeatIndexBits = $clog2(Beats);
  // In silicon the way to arrays that fill the die, and back, takes registers; here the index waits in their stead.
  localparam int unsigned BankLatency = TableLatency;  // then the bank, then the lane is chosen
  localparam int unsigned TravelCycles = RingLatency - BankLatency - 2;

  logic                                   arrived;
  logic [SlotBits-1:0]                    slot_index;
  logic                                   here;
  logic                                   write;
  logic                                   read;
  logic [BankCount-1:0][BankWidth-1:0]    bank_data;
  logic [BankCount-1:0][BankWidth-1:0]    command_data;
  logic [   BankLatency:0]                read_q;  // bit i: a read i + 1 cycles ago
  logic [   BankLatency:0][4:0]           place_q;  // {bank, lane} of it
  logic [ BankWidth-1:0]                  word_q;
  logic [          15:0]                  slot_q;

  always_comb begin
    here  = Beats == 1 << BeatIndexBits ? table_req_i.index >> BeatIndexBits == '0 : table_req_i.index < 20'(Beats);  // mostly without an adder
    write = here && (table_req_i.clear || (table_req_i.write && table_req_i.table_id == TableRing));
    read  = here && table_req_i.read && table_req_i.table_id == TableRing;
  end

  gw_delay #(
      .Width (SlotBits),
      .Cycles(TravelCycles)
  ) u_index_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(read_i),
      .data_i (slot_index_i),
      .valid_o(arrived),
      .data_o (slot_index)
  );

  for (genvar b = 0; b < BankCount; b++) begin : gen_bank
    gw_table_ram #(
        .Width  (BankWidth),
        .Depth  (Beats),
        .Latency(BankLatency)
    ) u_ram (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .a_read_i (arrived && slot_index[4:2] == 3'(b)),
        .a_index_i(slot_index[SlotBits-1:5]),
        .a_data_o (bank_data[b]),
        .b_load_i (table_req_i.clear || table_req_i.write || table_req_i.read),
        .b_write_i(write),
        .b_read_i (read),
        .b_index_i(table_req_i.index[BeatIndexBits-1:0]),
        .b_data_i (table_req_i.wdata[b*BankWidth+:BankWidth]),  // zero with `clear`
        .b_data_o (command_data[b])
    );
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) read_q <= '0;
    else read_q <= {read_q[BankLatency-1:0], arrived};
  end

  always_ff @(posedge clk_i) begin
    place_q <= {place_q[BankLatency-1:0], slot_index[4:0]};
    if (read_q[BankLatency-1]) word_q <= bank_data[place_q[BankLatency-1][4:2]];
    if (read_q[BankLatency]) slot_q <= word_q[place_q[BankLatency][1:0]*16+:16];
  end

  assign slot_o = slot_q;

  gw_table_answer #(
      .Width  (BeatBits),
      .Latency(BankLatency)
  ) u_answer (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .read_i  (read),
      .data_i  (command_data),
      .rvalid_o(rvalid_o),
      .rdata_o (rdata_o)
  );
endmodule
