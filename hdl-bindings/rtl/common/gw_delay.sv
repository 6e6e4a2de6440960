// Purpose: gives back what came in Cycles cycles ago; for wide data that travels beside a pipeline.
// Latency: Cycles.
// Throughput: one each cycle.
// Drops when: never.
//
// A circular buffer: only words marked valid are written and read, so its cost does not grow with Cycles.
// `data_o` keeps its value until the next valid word.
module gw_delay #(
    parameter int unsigned Width = 32,
    parameter int unsigned Cycles = 2
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             valid_i,
    input  logic [Width-1:0] data_i,
    output logic             valid_o,
    output logic [Width-1:0] data_o
);
  logic [Width-1:0] data_q;
  logic             valid_q;

  // Block RAM gives its word late in the cycle: what is too deep for the small RAMs is read a cycle early, and waits in data_q.
  localparam int unsigned FewCycles = 17;

  if (Cycles == 1) begin : gen_one
    always_ff @(posedge clk_i) begin
      if (valid_i) data_q <= data_i;
      valid_q <= valid_i && rst_ni;
    end
  end else begin : gen_many
    localparam bit Early = Cycles > FewCycles;
    localparam int unsigned Words = Early ? Cycles - 2 : Cycles - 1;
    localparam int unsigned AddrBits = Words > 1 ? $clog2(Words) : 1;
    logic [Width-1:0]    mem     [Words];
    logic [Words-1:0]    waiting_q;  // validity of the words in the buffer, oldest in the top bit
    logic [AddrBits-1:0] place_q, place_d;
    logic [Width-1:0]    word_q;
    logic                read_q;

    assign place_d = place_q == AddrBits'(Words - 1) ? '0 : place_q + 1'b1;
    always_ff @(posedge clk_i) begin
      // The word that was written Words cycles ago is read as the new one takes its place.
      if (waiting_q[Words-1]) word_q <= mem[place_q];
      if (valid_i) mem[place_q] <= data_i;
      read_q    <= waiting_q[Words-1];
      waiting_q <= Words'({waiting_q, valid_i});
      place_q   <= place_d;
      if (!rst_ni) begin
        read_q    <= 1'b0;
        waiting_q <= '0;
        place_q   <= '0;
      end
    end
    if (Early) begin : gen_early
      always_ff @(posedge clk_i) begin
        if (read_q) data_q <= word_q;
        valid_q <= read_q && rst_ni;
      end
    end else begin : gen_due
      assign data_q  = word_q;
      assign valid_q = read_q;
    end
  end

  assign valid_o = valid_q;
  assign data_o  = data_q;
endmodule
