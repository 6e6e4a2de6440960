// Purpose: when each flow was last hit, and whether a FIN or RST was seen.
// Latency: a hit or a write is in the RAMs after its second cycle; reads by commands `Latency`. `write_ready_o` asks for no write.
// Throughput: one hit and one read each cycle; a write by commands or learning takes a cycle without a hit.
// Drops when: a write waited `Patience` cycles: the hit of that cycle is not recorded. Only sustained traffic beyond the wire's
//   rate hits in every cycle, and the flow's next packet makes up for it.
//
// FIN and RST have RAMs of their own, so that setting one needs no read before the write.
module gw_flow_stamp
  import gw_layout_pkg::*;
  import gw_pkg::*;
#(
    parameter int unsigned Latency = 3,
    parameter int unsigned Patience = 16
) (
    input  logic           clk_i,
    input  logic           rst_ni,
    input  logic           hit_valid_i,
    input  gw_flow_hit_t   hit_i,
    input  logic [29:0]    time_i,
    input  logic           write_valid_i,
    output logic           write_ready_o,
    input  flow_place_t    write_place_i,
    input  logic           write_stamp_i,
    input  logic           write_replace_i,
    input  logic           write_close_i,
    input  logic [29:0]    write_last_seen_i,
    input  logic           write_fin_i,
    input  logic           write_rst_i,
    input  logic           read_i,
    input  flow_place_t    read_place_i,
    output logic [29:0]    last_seen_o,
    output logic           fin_o,
    output logic           rst_o
);
  localparam int unsigned WaitBits = $clog2(Patience);

  logic [WaitBits-1:0] wait_q, wait_d;
  logic                patient_q;  // a write has waited long enough
  logic                command, hit;
  logic                stamp_we_q, fin_we_q, rst_we_q, fin_q, rst_q;
  flow_place_t         place_q;
  logic [29:0]         last_seen_q;

  assign write_ready_o = !hit_valid_i || patient_q;
  assign command       = write_valid_i && write_ready_o;
  assign hit           = hit_valid_i && !(write_valid_i && patient_q);
  assign wait_d        = command ? '0 : wait_q + WaitBits'(write_valid_i);

  always_ff @(posedge clk_i) begin
    wait_q     <= wait_d;
    patient_q  <= wait_d == WaitBits'(Patience - 1);
    stamp_we_q <= hit || (command && write_stamp_i);
    fin_we_q   <= (hit && hit_i.fin) || (command && (write_replace_i || (write_close_i && write_fin_i)));
    rst_we_q   <= (hit && hit_i.rst) || (command && (write_replace_i || (write_close_i && write_rst_i)));
    if (!rst_ni) begin
      wait_q    <= '0;
      patient_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (hit_valid_i || write_valid_i) begin
      place_q     <= command ? write_place_i : hit_i.place;
      last_seen_q <= command ? write_last_seen_i : time_i;
      fin_q       <= command ? write_fin_i : 1'b1;
      rst_q       <= command ? write_rst_i : 1'b1;
    end
  end

  gw_ram #(.Width(30), .Depth(Flows), .Latency(Latency)) u_last_seen (
      .clk_i  (clk_i),
      .we_i   (stamp_we_q),
      .waddr_i(place_q),
      .wdata_i(last_seen_q),
      .re_i   (read_i),
      .raddr_i(read_place_i),
      .rdata_o(last_seen_o)
  );
  gw_ram #(.Width(1), .Depth(Flows), .Latency(Latency)) u_fin (
      .clk_i  (clk_i),
      .we_i   (fin_we_q),
      .waddr_i(place_q),
      .wdata_i(fin_q),
      .re_i   (read_i),
      .raddr_i(read_place_i),
      .rdata_o(fin_o)
  );
  gw_ram #(.Width(1), .Depth(Flows), .Latency(Latency)) u_rst (
      .clk_i  (clk_i),
      .we_i   (rst_we_q),
      .waddr_i(place_q),
      .wdata_i(rst_q),
      .re_i   (read_i),
      .raddr_i(read_place_i),
      .rdata_o(rst_o)
  );
endmodule
