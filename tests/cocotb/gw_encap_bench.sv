// gw_encap with the packet, the backend's entry, the VIP's options and what an answer needs as ports of their own.
module gw_encap_bench
  import gw_layout_pkg::*;
  import gw_pkg::*;
(
    input  logic                     clk_i,
    input  logic                     rst_ni,
    input  logic [31:0]              ipip_source_v4_i,
    input  logic [127:0]             ipip_source_v6_i,
    input  logic [31:0]              source_v4_i,
    input  logic [127:0]             source_v6_i,
    input  logic [15:0]              gue_port_i,
    // a next hop's entry
    input  logic                     write_i,
    input  logic [19:0]              index_i,
    input  logic [BeatBits-1:0]      wdata_i,
    // a packet and its verdict
    input  logic                     valid_i,
    input  logic                     encapsulate_i,
    input  logic                     ipv6_i,
    input  logic [127:0]             source_address_i,
    input  logic [15:0]              source_port_i,
    input  logic [7:0]               traffic_class_i,
    input  logic [15:0]              ip_length_i,
    input  logic [47:0]              destination_mac_i,
    input  logic [1:0]               tags_i,
    input  logic [63:0]              tag_i,
    input  logic [13:0]              needed_i,
    input  logic [5:0]               outer_bytes_i,
    input  logic                     source_zero_i,
    input  logic                     port_zero_i,
    input  logic [BeatBits-1:0]      entry_i,
    // what the card's own answers need beside
    input  logic                     echo_i,
    input  logic                     too_big_i,
    input  logic [127:0]             destination_address_i,
    input  logic [47:0]              source_mac_i,
    input  logic [31:0]              second_word_i,
    input  logic [13:0]              mtu_i,
    output logic                     valid_o,
    output logic [6:0]               header_bytes_o,
    output logic [HeaderBytes*8-1:0] header_o,
    output logic [6:0]               keep_from_o,
    output logic [13:0]              keep_to_o,
    output logic                     checksum_o,
    output logic                     icmp_checksum_o,
    output logic [15:0]              checksum_part_o,
    output logic [15:0]              ip_bytes_o
);
  gw_table_req_t table_req;
  gw_parsed_t    parsed;
  gw_verdict_t   verdict;
  gw_decision_t  decision;
  logic          rvalid;
  logic [BeatBits-1:0] rdata;

  always_comb begin
    table_req          = '0;
    table_req.write    = write_i;
    table_req.table_id = TableNextHop;
    table_req.index    = index_i;
    table_req.wdata    = wdata_i;

    parsed                 = '0;
    parsed.ipv6            = ipv6_i;
    parsed.source_address  = source_address_i;
    parsed.source_port     = source_port_i;
    parsed.traffic_class   = traffic_class_i;
    parsed.ip_length       = ip_length_i;
    parsed.destination_mac = destination_mac_i;
    parsed.tags            = tags_i;
    parsed.tag             = tag_i;
    parsed.destination_address = destination_address_i;
    parsed.source_mac      = source_mac_i;
    parsed.second_word     = second_word_i;

    verdict             = '0;
    verdict.encapsulate = encapsulate_i;
    verdict.needed      = needed_i;
    verdict.outer_bytes = outer_bytes_i;
    verdict.source_zero = source_zero_i;
    verdict.port_zero   = port_zero_i;
    verdict.reply.echo    = echo_i;
    verdict.reply.too_big = too_big_i;
    verdict.mtu         = mtu_i;
    verdict.entry       = entry_i[$bits(gw_backend_entry_t)-1:0];
  end

  gw_encap u_encap (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .ipip_source_v4_i(ipip_source_v4_i),
      .ipip_source_v6_i(ipip_source_v6_i),
      .source_v4_i     (source_v4_i),
      .source_v6_i     (source_v6_i),
      .gue_port_i      (gue_port_i),
      .table_req_i     (table_req),
      .rvalid_o        (rvalid),
      .rdata_o         (rdata),
      .valid_i         (valid_i),
      .parsed_i        (parsed),
      .verdict_i       (verdict),
      .record_i        ('0),
      .decision_valid_o(valid_o),
      .decision_o      (decision)
  );

  assign header_bytes_o = decision.header_bytes;
  assign header_o       = decision.header;
  assign keep_from_o    = decision.keep_from;
  assign keep_to_o      = decision.keep_to;
  assign checksum_o     = decision.checksum;
  assign icmp_checksum_o = decision.icmp_checksum;
  assign checksum_part_o = decision.checksum_part;
  assign ip_bytes_o     = decision.ip_bytes;
endmodule
