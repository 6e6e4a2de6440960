// Purpose: a deep show-ahead FIFO in block RAM, with a few entries prefetched so that it gives one each cycle.
// Latency: 1 cycle from push to visible while nothing waits in the RAM.
// Throughput: one push and one pop each cycle.
// Drops when: never: a push into a full FIFO is the caller's error, asserted.
//
//              +--------------- while the RAM part is empty ---------------+
//   push_i ----+--> RAM (Depth) --> Latency cycles --> in flight ----------+--> prefetch --> data_o
//
// Depth counts the RAM alone: Depth entries always fit.
module gw_deep_fifo #(
    parameter int unsigned Width = 32,
    parameter int unsigned Depth = 512,
    parameter int unsigned Latency = 3,
    localparam int unsigned LevelBits = $clog2(Depth + 1)
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             push_i,
    input  logic [Width-1:0] data_i,
    output logic             valid_o,
    input  logic             pop_i,
    output logic [Width-1:0] data_o
);
  localparam int unsigned AddrBits = $clog2(Depth);
  // A slot comes free, is seen by the reader, travels through the RAM and is written: Latency + 2 cycles, and two to spare.
  localparam int unsigned Prefetch = Latency + 4;
  localparam int unsigned PrefetchBits = $clog2(Prefetch + 1);

  logic [AddrBits-1:0]     write_q, write_d, read_q, read_d;
  logic [LevelBits-1:0]    stored_q, stored_d;  // entries in the RAM whose read has not begun
  logic [Latency-1:0]      reading_q;  // reads under way
  logic [PrefetchBits-1:0] claimed_q, claimed_d;  // prefetch entries used or promised to a read

  // Known with the counts: entries are in the RAM; the prefetch has a place; it has one, and nothing is before a push.
  logic             some_q, some_d, claimable_q, claimable_d, direct_q, direct_d;
  logic             bypass, store, read, arrived;
  logic [Width-1:0] ram_data, prefetch_data;
  logic             unused_full, unused_almost;
  logic [PrefetchBits-1:0] unused_level;

  assign bypass  = push_i && direct_q;
  assign store   = push_i && !bypass;
  assign read    = some_q && claimable_q;
  assign arrived = reading_q[Latency-1];
  assign prefetch_data = arrived ? ram_data : data_i;

  always_comb begin
    write_d   = write_q;
    read_d    = read_q;
    stored_d  = stored_q;
    claimed_d = claimed_q;
    if (store) write_d = write_q == AddrBits'(Depth - 1) ? '0 : write_q + 1'b1;
    if (read) read_d = read_q == AddrBits'(Depth - 1) ? '0 : read_q + 1'b1;
    if (store && !read) stored_d = stored_q + 1'b1;
    if (!store && read) stored_d = stored_q - 1'b1;
    if ((read || bypass) && !pop_i) claimed_d = claimed_q + 1'b1;
    if (!(read || bypass) && pop_i) claimed_d = claimed_q - 1'b1;
    some_d      = store || (some_q && !(read && stored_q == LevelBits'(1)));
    claimable_d = claimed_d != PrefetchBits'(Prefetch);
    direct_d    = !some_d && claimable_d && Latency'({reading_q, read}) == '0;
  end

  always_ff @(posedge clk_i) begin
    write_q   <= write_d;
    read_q    <= read_d;
    stored_q  <= stored_d;
    claimed_q <= claimed_d;
    reading_q <= Latency'({reading_q, read});
    some_q      <= some_d;
    claimable_q <= claimable_d;
    direct_q    <= direct_d;
    if (!rst_ni) begin
      write_q   <= '0;
      read_q    <= '0;
      stored_q  <= '0;
      claimed_q <= '0;
      reading_q <= '0;
      some_q      <= 1'b0;
      claimable_q <= 1'b1;
      direct_q    <= 1'b1;
    end
  end

  gw_ram #(.Width(Width), .Depth(Depth), .Latency(Latency)) u_ram (
      .clk_i(clk_i),
      .we_i(store),
      .waddr_i(write_q),
      .wdata_i(data_i),
      .re_i(read),
      .raddr_i(read_q),
      .rdata_o(ram_data)
  );

  gw_fifo #(.Width(Width), .Depth(Prefetch)) u_prefetch (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .push_i(arrived || bypass),
      .data_i(prefetch_data),
      .valid_o(valid_o),
      .pop_i(pop_i),
      .data_o(data_o),
      .level_o(unused_level),
      .full_o(unused_full),
      .almost_full_o(unused_almost)
  );

`ifdef VERILATOR
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(store && stored_q == LevelBits'(Depth) && !read)) else $error("gw_deep_fifo: push into a full FIFO");
      assert (!(arrived && bypass)) else $error("gw_deep_fifo: an entry overtakes another");
    end
  end
`endif
endmodule
