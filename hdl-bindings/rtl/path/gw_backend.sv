// Reads the entries of the backends that a packet may go to: its flow's (for an ASSIGN: the host's), its ring slot's, and the one
// that its QUIC connection id names.
//
// Latency:    BackendLatency.
// Throughput: one packet a cycle; never stalls.
// Drops when: never.
module gw_backend
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                           clk_i,
    input  logic                           rst_ni,
    input  gw_table_req_t                  table_req_i,
    output logic                           rvalid_o,
    output logic            [BeatBits-1:0] rdata_o,
    input  logic                           valid_i,
    input  logic                           assign_i,  // the host chose the backend
    input  logic            [        15:0] assign_backend_i,
    input  logic                           flow_found_i,
    input  logic            [        15:0] flow_backend_i,
    input  logic            [        15:0] slot_i,
    input  logic                           quic_found_i,
    input  logic            [        15:0] quic_backend_i,
    output logic                           valid_o,
    output gw_candidates_t                 candidates_o
);

  typedef struct packed {
    logic flow;
    logic ring;
    logic quic;
  } exists_t;

  logic                 valid_q;
  logic [         15:0] flow_index_d, flow_index_q;
  logic [         15:0] ring_index_q, quic_index_q;
  exists_t              exists_d, exists_q, exists;
  gw_backend_entry_t    flow_entry, ring_entry, quic_entry;

  always_comb begin
    flow_index_d  = assign_i ? assign_backend_i : flow_backend_i;
    exists_d.flow = (assign_i || flow_found_i) && flow_index_d < 16'(Backends);
    exists_d.ring = slot_i < 16'(Backends);
    exists_d.quic = quic_found_i && quic_backend_i < 16'(Backends);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i;
  end
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      flow_index_q <= flow_index_d;
      ring_index_q <= slot_i;
      quic_index_q <= quic_backend_i;
      exists_q     <= exists_d;
    end
  end

  // All are read at once.
  gw_entry_table #(
      .Id       (TableBackend),
      .entry_t  (gw_backend_entry_t),
      .Entries  (Backends),
      .Readers  (3),
      .IndexBits(16)
  ) u_backend_table (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .table_req_i(table_req_i),
      .rvalid_o   (rvalid_o),
      .rdata_o    (rdata_o),
      .read_i     ({valid_q && exists_q.quic, valid_q && exists_q.flow, valid_q && exists_q.ring}),
      .index_i    ({quic_index_q, flow_index_q, ring_index_q}),
      .entry_o    ({quic_entry, flow_entry, ring_entry})
  );

  gw_delay #(
      .Width ($bits(exists_t)),
      .Cycles(TableLatency)
  ) u_exists_delay (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_q),
      .data_i (exists_q),
      .valid_o(valid_o),
      .data_o (exists)
  );

  assign candidates_o = '{
          flow_exists: exists.flow,
          flow_entry: flow_entry,
          ring_exists: exists.ring,
          ring_entry: ring_entry,
          quic_exists: exists.quic,
          quic_entry: quic_entry
      };
endmodule
