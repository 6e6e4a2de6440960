// Purpose: judges a command before it begins: op code, table, range, address, in this order (CARD.md 7).
// Latency: 3 cycles: sums and the table's length, comparisons, the first that fails.
// Throughput: one command each cycle.
// Drops when: never.
module gw_command_check
  import gw_layout_pkg::*;
(
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        valid_i,
    input  gw_command_t command_i,  // stable until `valid_o`
    output logic        valid_o,
    output gw_status_e  status_o
);
  localparam int unsigned EntriesBits = 21;  // of the largest table that an index of 20 bits reaches
  localparam int unsigned SumBits = 34;

  logic known_op, table_op, flow_op, known_table, address_op;
  logic [EntriesBits-1:0] entries, entries_q;
  logic [SumBits-1:0] end_index_q, end_source_q;
  logic [64:0] end_address_q;

  // Builds have up to the 4 ways that a command can name.
  function automatic logic way_beyond(input logic [1:0] way);
    return 3'(way) >= 3'(FlowWays);
  endfunction

  always_comb begin
    known_op    = command_i.opcode <= 8'(OpcodeFence);
    table_op    = command_i.opcode >= 8'(OpcodeWrite) && command_i.opcode <= 8'(OpcodeDigest);
    flow_op     = command_i.opcode >= 8'(OpcodeInsert) && command_i.opcode <= 8'(OpcodeDelete);
    address_op  = command_i.opcode == 8'(OpcodeWrite) || command_i.opcode == 8'(OpcodeDump);
    known_table = 1'b1;
    unique case (command_i.table_id)
      8'(TableVipMatch):                          entries = EntriesBits'(Banks * VipMatchRows);
      8'(TableVip), 8'(TableVipCounter), 8'(TableVipOverMeter): entries = EntriesBits'(Vips);
      8'(TablePool):                              entries = EntriesBits'(Pools);
      8'(TableRing):                              entries = EntriesBits'(RingSlots / 32);
      8'(TableBackend), 8'(TableBackendCounter):  entries = EntriesBits'(Backends);
      8'(TableNextHop):                           entries = EntriesBits'(NextHops);
      8'(TableFlow):                              entries = EntriesBits'(Flows);
      8'(TableCounter):                           entries = EntriesBits'(64);
      8'(TableVipPrefix):                         entries = EntriesBits'(VipPrefixes);
      8'(TableQuicId):                            entries = EntriesBits'(Banks * QuicIdRows);
      default: begin
        entries     = '0;
        known_table = 1'b0;
      end
    endcase
    if (command_i.opcode == 8'(OpcodeWrite) && command_i.table_id > 8'(TableNextHop) &&
        !(command_i.table_id inside {8'(TableVipPrefix), 8'(TableQuicId)})) known_table = 1'b0;
    if (command_i.opcode == 8'(OpcodeCopy) && command_i.table_id != 8'(TableRing)) known_table = 1'b0;
  end

  logic summed_q, valid_q, checked_q;
  logic bad_opcode_q, bad_table_q, empty_q, beyond_q, copy_beyond_q, overlap_q, bad_place_q, bad_insert_q, bad_expectation_q, bad_address_q;
  gw_status_e status_d, status_q;

  always_ff @(posedge clk_i) begin
    summed_q  <= valid_i;
    valid_q   <= summed_q;
    checked_q <= valid_q;
    if (!rst_ni) begin
      summed_q  <= 1'b0;
      valid_q   <= 1'b0;
      checked_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      entries_q     <= entries;
      end_index_q   <= SumBits'(command_i.index) + SumBits'(command_i.count);
      end_source_q  <= SumBits'(command_i.source_index) + SumBits'(command_i.count);
      end_address_q <= 65'(command_i.address) + {27'h0, command_i.count, 6'h0};
    end
    if (summed_q) begin
      bad_opcode_q      <= !known_op;
      bad_table_q       <= table_op && !known_table;
      empty_q           <= table_op && command_i.count == '0;
      beyond_q          <= table_op && end_index_q > SumBits'(entries_q);
      copy_beyond_q     <= command_i.opcode == 8'(OpcodeCopy) && end_source_q > SumBits'(entries_q);
      overlap_q         <= command_i.opcode == 8'(OpcodeCopy)
                           && SumBits'(command_i.source_index) < end_index_q && SumBits'(command_i.index) < end_source_q;
      bad_place_q       <= flow_op && (way_beyond(command_i.way) || (command_i.opcode == 8'(OpcodeMove) && way_beyond(command_i.to_way)));
      bad_insert_q      <= command_i.opcode == 8'(OpcodeInsert)
                           && (command_i.vip >= 12'(Vips) || command_i.backend >= 16'(Backends));
      bad_expectation_q <= command_i.opcode == 8'(OpcodeInsert) && command_i.expectation > 2'(ExpectUnconfirmed);
      bad_address_q     <= address_op && (command_i.address[5:0] != '0 || end_address_q > {1'b1, 64'h0});
    end
    if (valid_q) status_q <= status_d;
  end

  always_comb begin
    if (bad_opcode_q) status_d = StatusBadOpcode;
    else if (bad_table_q) status_d = StatusBadTable;
    else if (empty_q || beyond_q || copy_beyond_q || overlap_q || bad_place_q || bad_insert_q) status_d = StatusOutOfRange;
    else if (bad_address_q) status_d = StatusBadAddress;
    else if (bad_expectation_q) status_d = StatusUnsupported;
    else status_d = StatusOk;
  end

  // What other stations read of a command, and what nobody reads.
  logic unused_command;
  assign unused_command = ^{
    command_i.reserved_top, command_i.reserved2, command_i.reserved1, command_i.reserved0, command_i.phase, command_i.tag,
    command_i.generation, command_i.confirmed, command_i.pinned, command_i.to_bank, command_i.bank, command_i.source, command_i.source_port, command_i.destination_port
  };

  assign valid_o  = checked_q;
  assign status_o = status_q;
endmodule
