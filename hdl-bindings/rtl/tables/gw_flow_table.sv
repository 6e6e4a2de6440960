// Purpose: the flow entries, their stamps and closing bits, and the arbiter of their writes.
// Latency: probe to match FlowLatency + 1; reads by commands TableAccessLatency; a write is seen by probes from its fourth cycle on.
// Throughput: one probe, one hit and one access by commands each cycle.
// Drops when: never. A hit's stamp gives way to a command's that waited long (see gw_flow_stamp).
//
// Packets read on the first port of each way, everyone else takes turns at the second. A read shows what is stored, also at
// places that are free. The stamp RAMs are not cleared: their contents mean nothing until an INSERT has written them.
module gw_flow_table
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic clk_i,
    input  logic rst_ni,
    // gw_flow_lookup
    input  logic probe_valid_i,
    input  logic [Banks-1:0][FlowRowBits-1:0] probe_row_i,
    input  logic compare_valid_i,  // FlowLatency cycles after the probe
    input  logic [FlowKeyBits-1:0] compare_key_i,
    output logic [FlowPlaces-1:0] match_o,  // by {bank, way}
    output gw_flow_payload_t payload_o[FlowPlaces],
    output gw_flow_tenant_t tenant_o[FlowPlaces],
    // gw_verdict: packets that hit; at most DecisionLatency cycles after their lookup began
    input  logic hit_valid_i,
    input  gw_flow_hit_t hit_i,
    input  logic [29:0] time_i,  // card time in units of 1,024 us
    // commands: reads and clear by the tables' port, writes by their own
    input  gw_table_req_t table_req_i,
    output logic table_rvalid_o,
    output logic [BeatBits-1:0] table_rdata_o,
    input  logic write_valid_i,  // held, with `write_i`, until `write_ready_o`
    output logic write_ready_o,  // pulse: it was taken in the cycle before
    input  gw_flow_write_t write_i,
    // gw_flow_learn; what writes nothing is taken in its turn
    input  logic learn_valid_i,
    output logic learn_ready_o,
    input  gw_flow_write_t learn_i
);
  localparam int unsigned EccBits = 9;
  localparam int unsigned WordBits = FlowWordDataBits + EccBits;
  localparam int unsigned PlaceBits = $clog2(FlowPlaces);
  localparam int unsigned WayLatency = 2;  // row to word in gw_flow_way
  localparam int unsigned AccessLatency = 2 + WayLatency + 1;  // request to word: choice, port register, way, selection
  localparam int unsigned StampLatency = 1;
  localparam int unsigned RecordBits = $bits(gw_flow_record_t) - 40;  // without reserved_top

  // ---- packets: the row waits for the array's turn, as it would travel to the arrays in silicon -----------------
  logic                              row_valid, read_out_q;
  logic [Banks-1:0][FlowRowBits-1:0] row;

  gw_delay #(.Width(Banks * FlowRowBits), .Cycles(FlowLatency - WayLatency)) u_row (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(probe_valid_i),
      .data_i (probe_row_i),
      .valid_o(row_valid),
      .data_o (row)
  );
  always_ff @(posedge clk_i) read_out_q <= row_valid;

  // ---- the second port: clear, then command, then learn (which makes DUMPs leave it every second cycle); the sweep after them ------------------------------------------
  //   choice         who has the port; the entry's write is chosen
  //   code           its SECDED bits
  //   port register  the array is written, or read
  logic                  read_request, port_free, stamp_ready, write_word;
  logic                  command_q, command_stamp, command_ready, command_taken_q;  // a command's write
  logic                  learn_stamp, learn_nothing, stamp_write, writing;
  gw_flow_write_t        write;
  logic                  clear_next_q, read_next_q, write_next_q;
  flow_place_t           place_next_q;
  gw_flow_word_t         data_next_q;
  logic                  clear_q, read_q, write_q, read_array_q, read_out_access_q;
  flow_place_t           place_q, array_place_q, out_place_q;
  gw_flow_word_t         data_q;
  logic [EccBits-1:0]    ecc;
  logic [WordBits-1:0]   access_word;
  logic [WordBits-1:0]   word_q;

  assign read_request  = table_req_i.read && table_req_i.table_id == TableFlow;
  assign port_free     = !table_req_i.clear && !read_request;
  assign command_stamp = write_i.stamp || write_i.replace || write_i.close;
  assign learn_stamp   = learn_i.stamp || learn_i.replace || learn_i.close;
  assign learn_nothing = !learn_i.word && !learn_stamp;
  assign command_ready = port_free && (!command_stamp || stamp_ready);
  assign learn_ready_o = !command_q && (learn_nothing || (port_free && (!learn_stamp || stamp_ready)));
  assign write_ready_o = command_taken_q;
  assign write         = command_q ? write_i : learn_i;
  assign writing       = command_q || learn_valid_i;
  assign stamp_write   = command_q ? command_stamp : learn_stamp;
  assign write_word    = writing && write.word && (command_q ? command_ready : learn_ready_o);

  always_ff @(posedge clk_i) begin
    command_q         <= write_valid_i && !command_taken_q && !(command_q && command_ready);
    command_taken_q   <= command_q && command_ready;
    clear_next_q      <= table_req_i.clear && table_req_i.index >> FlowRowBits == '0;
    read_next_q       <= read_request;
    write_next_q      <= write_word;
    clear_q           <= clear_next_q;
    read_q            <= read_next_q;
    write_q           <= write_next_q;
    read_array_q      <= read_q;
    read_out_access_q <= read_array_q;
    if (!rst_ni) begin
      command_q         <= 1'b0;
      command_taken_q   <= 1'b0;
      clear_next_q      <= 1'b0;
      read_next_q       <= 1'b0;
      write_next_q      <= 1'b0;
      clear_q           <= 1'b0;
      read_q            <= 1'b0;
      write_q           <= 1'b0;
      read_array_q      <= 1'b0;
      read_out_access_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (!port_free) place_next_q <= flow_place_t'(table_req_i.index);
    else if (writing) place_next_q <= write.place;
    if (writing) data_next_q <= write.data;
    if (clear_next_q || read_next_q || write_next_q) place_q <= place_next_q;
    if (write_next_q) data_q <= data_next_q;
    if (read_q) array_place_q <= place_q;
    if (read_array_q) out_place_q <= array_place_q;
  end

  logic [FlowWordDataBits-1:0] unused_data;
  logic                        unused_corrected, unused_uncorrectable, unused_flipped;
  logic [7:0]                  unused_position;
  gw_secded #(.DataBits(FlowWordDataBits)) u_secded (
      .clk_i          (clk_i),
      .valid_i        (write_next_q),
      .data_i         (data_next_q),
      .ecc_i          ('0),
      .ecc_o          (ecc),
      .data_o         (unused_data),
      .corrected_o    (unused_corrected),
      .uncorrectable_o(unused_uncorrectable),
      .flipped_o      (unused_flipped),
      .position_o     (unused_position)
  );
  assign access_word = clear_q ? '0 : {ecc, data_q};

  logic unused_request;  // only gw_command's reads and gw_clear's zeros come by the tables' port
  assign unused_request = ^{table_req_i.write, table_req_i.index[19:FlowPlaceBits], table_req_i.wdata};

  for (genvar p = 0; p < FlowPlacesMax; p++) begin : gen_place
    logic [WordBits-1:0] word;
    if (p < FlowPlaces) begin : gen_way
      logic here;
      assign here = place_q[FlowPlaceBits-1:FlowRowBits] == PlaceBits'(p);
      gw_flow_way u_way (
          .clk_i            (clk_i),
          .read_i           (row_valid),
          .read_out_i       (read_out_q),
          .row_i            (row[p/FlowWays]),
          .compare_i        (compare_valid_i),
          .compare_key_i    (compare_key_i),
          .match_o          (match_o[p]),
          .payload_o        (payload_o[p]),
          .tenant_o         (tenant_o[p]),
          .access_write_i   (clear_q || (write_q && here)),
          .access_read_i    (read_q && here),
          .access_read_out_i(read_array_q && array_place_q[FlowPlaceBits-1:FlowRowBits] == PlaceBits'(p)),
          .access_row_i     (place_q[FlowRowBits-1:0]),
          .access_data_i    (access_word),
          .access_data_o    (word)
      );
    end else begin : gen_no_way
      assign word = '0;
    end
  end

  // Each way's word is named here, because gathering them in an array would cost the simulator a copy of all in every cycle.
  always_ff @(posedge clk_i) begin
    if (read_out_access_q) begin
      unique case (4'(out_place_q[FlowPlaceBits-1:FlowRowBits]))
        4'd0:  word_q <= gen_place[0].word;
        4'd1:  word_q <= gen_place[1].word;
        4'd2:  word_q <= gen_place[2].word;
        4'd3:  word_q <= gen_place[3].word;
        4'd4:  word_q <= gen_place[4].word;
        4'd5:  word_q <= gen_place[5].word;
        4'd6:  word_q <= gen_place[6].word;
        4'd7:  word_q <= gen_place[7].word;
        4'd8:  word_q <= gen_place[8].word;
        4'd9:  word_q <= gen_place[9].word;
        4'd10: word_q <= gen_place[10].word;
        4'd11: word_q <= gen_place[11].word;
        4'd12: word_q <= gen_place[12].word;
        4'd13: word_q <= gen_place[13].word;
        4'd14: word_q <= gen_place[14].word;
        default: word_q <= gen_place[15].word;
      endcase
    end
  end

  // ---- stamps, and the answer to reads ----------------------------------------------------------------------------------
  logic [29:0]           last_seen;
  logic                  fin, rst;
  logic [RecordBits-1:0] record;

  gw_flow_stamp #(.Latency(StampLatency)) u_stamp (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .hit_valid_i      (hit_valid_i),
      .hit_i            (hit_i),
      .time_i           (time_i),
      .write_valid_i    (writing && stamp_write && port_free),
      .write_ready_o    (stamp_ready),
      .write_place_i    (write.place),
      .write_stamp_i    (write.stamp),
      .write_replace_i  (write.replace),
      .write_close_i    (write.close),
      .write_last_seen_i(write.last_seen),
      .write_fin_i      (write.fin),
      .write_rst_i      (write.rst),
      .read_i           (read_out_access_q),
      .read_place_i     (out_place_q),
      .last_seen_o      (last_seen),
      .fin_o            (fin),
      .rst_o            (rst)
  );
  assign record = {rst, fin, last_seen, 8'h00, word_q};

  gw_table_answer #(.Width(RecordBits), .Latency(AccessLatency)) u_answer (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .read_i  (read_request),
      .data_i  (record),
      .rvalid_o(table_rvalid_o),
      .rdata_o (table_rdata_o)
  );

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(table_req_i.write && table_req_i.table_id == TableFlow)) else $error("gw_flow_table: WRITE reached the flow table");
      assert (!compare_valid_i || $past(read_out_q)) else $error("gw_flow_table: a key is not FlowLatency cycles after its rows");
    end
  end
`endif
endmodule
