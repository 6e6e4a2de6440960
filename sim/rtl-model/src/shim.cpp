// The Verilated card behind four C functions. One call is one clock cycle: inputs in, outputs as they stand before the edge.
#include "Vgw_card.h"
#include "verilated.h"
#include "verilated_fst_c.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

extern "C" {
struct GwInputs {
    uint32_t rx_data[16];
    uint32_t r_data[16];
    uint64_t rx_keep;
    uint32_t axil_wdata;
    uint32_t axil_awaddr;
    uint32_t axil_araddr;
    uint16_t tick;
    uint8_t rst_n, rx_valid, rx_last, rx_error, tx_ready;
    uint8_t axil_awvalid, axil_wvalid, axil_wstrb, axil_bready, axil_arvalid, axil_rready;
    uint8_t ar_ready, aw_ready, w_ready;
    uint8_t r_valid, r_id, r_resp, r_last, b_valid, b_id, b_resp;
    uint8_t bus_master, msix_enable, msix_mask, host_reset;
};
struct GwOutputs {
    uint32_t tx_data[16];
    uint32_t w_data[16];
    uint64_t tx_keep, w_strb, ar_addr, aw_addr;
    uint32_t axil_rdata, punts_outstanding;
    uint8_t rx_ready, tx_valid, tx_last;
    uint8_t axil_awready, axil_wready, axil_bvalid, axil_arready, axil_rvalid;
    uint8_t ar_valid, ar_id, ar_len, aw_valid, aw_id, aw_len, w_valid, w_last, r_ready, b_ready;
    uint8_t host_reset_done, idle, ready, port_enabled, host_alive;
};

struct GwModel {
    VerilatedContext context;
    std::unique_ptr<Vgw_card> top;
    std::unique_ptr<VerilatedFstC> wave;
    uint64_t time = 0;  // ps of a 322.265625 MHz clock, rounded to 3104 a cycle
};

GwModel* gw_model_new(uint64_t seed) {
    auto* model = new GwModel;
    model->context.randReset(0);
    model->context.randSeed(static_cast<int>(seed));
    model->context.traceEverOn(true);
    model->top.reset(new Vgw_card{&model->context, "gw_card"});
    return model;
}

int gw_model_wave(GwModel* model, const char* path) {
    model->wave.reset(new VerilatedFstC);
    model->top->trace(model->wave.get(), 99);
    model->wave->open(path);
    return model->wave->isOpen() ? 0 : -1;
}

void gw_model_cycle(GwModel* model, const GwInputs* in, GwOutputs* out) {
    Vgw_card& t = *model->top;
    t.rst_ni = in->rst_n;
    t.tick_i = in->tick;
    t.s_axis_rx_tvalid = in->rx_valid;
    if (in->rx_valid) {
        std::memcpy(t.s_axis_rx_tdata.data(), in->rx_data, 64);
        t.s_axis_rx_tkeep = in->rx_keep;
        t.s_axis_rx_tlast = in->rx_last;
        t.s_axis_rx_tuser = in->rx_error;
    }
    t.m_axis_tx_tready = in->tx_ready;
    t.s_axil_awvalid = in->axil_awvalid;
    t.s_axil_awaddr = in->axil_awaddr;
    t.s_axil_wvalid = in->axil_wvalid;
    t.s_axil_wdata = in->axil_wdata;
    t.s_axil_wstrb = in->axil_wstrb;
    t.s_axil_bready = in->axil_bready;
    t.s_axil_arvalid = in->axil_arvalid;
    t.s_axil_araddr = in->axil_araddr;
    t.s_axil_rready = in->axil_rready;
    t.m_axi_dma_arready = in->ar_ready;
    t.m_axi_dma_awready = in->aw_ready;
    t.m_axi_dma_wready = in->w_ready;
    t.m_axi_dma_rvalid = in->r_valid;
    if (in->r_valid) {
        std::memcpy(t.m_axi_dma_rdata.data(), in->r_data, 64);
        t.m_axi_dma_rid = in->r_id;
        t.m_axi_dma_rresp = in->r_resp;
        t.m_axi_dma_rlast = in->r_last;
    }
    t.m_axi_dma_bvalid = in->b_valid;
    t.m_axi_dma_bid = in->b_id;
    t.m_axi_dma_bresp = in->b_resp;
    t.bus_master_i = in->bus_master;
    t.msix_enable_i = in->msix_enable;
    t.msix_mask_i = in->msix_mask;
    t.host_reset_i = in->host_reset;

    t.clk_i = 0;
    t.eval();
    if (model->wave) model->wave->dump(model->time);

    out->rx_ready = t.s_axis_rx_tready;
    out->tx_valid = t.m_axis_tx_tvalid;
    if (out->tx_valid) {
        std::memcpy(out->tx_data, t.m_axis_tx_tdata.data(), 64);
        out->tx_keep = t.m_axis_tx_tkeep;
        out->tx_last = t.m_axis_tx_tlast;
    }
    out->axil_awready = t.s_axil_awready;
    out->axil_wready = t.s_axil_wready;
    out->axil_bvalid = t.s_axil_bvalid;
    out->axil_arready = t.s_axil_arready;
    out->axil_rvalid = t.s_axil_rvalid;
    out->axil_rdata = t.s_axil_rdata;
    out->ar_valid = t.m_axi_dma_arvalid;
    out->ar_addr = t.m_axi_dma_araddr;
    out->ar_id = t.m_axi_dma_arid;
    out->ar_len = t.m_axi_dma_arlen;
    out->aw_valid = t.m_axi_dma_awvalid;
    out->aw_addr = t.m_axi_dma_awaddr;
    out->aw_id = t.m_axi_dma_awid;
    out->aw_len = t.m_axi_dma_awlen;
    out->w_valid = t.m_axi_dma_wvalid;
    if (out->w_valid) {
        std::memcpy(out->w_data, t.m_axi_dma_wdata.data(), 64);
        out->w_strb = t.m_axi_dma_wstrb;
        out->w_last = t.m_axi_dma_wlast;
    }
    out->r_ready = t.m_axi_dma_rready;
    out->b_ready = t.m_axi_dma_bready;
    out->host_reset_done = t.host_reset_done_o;
    out->idle = t.idle_o;
    out->ready = t.ready_o;
    out->port_enabled = t.port_enabled_o;
    out->host_alive = t.host_alive_o;
    out->punts_outstanding = t.punts_outstanding_o;

    t.clk_i = 1;
    t.eval();
    if (model->wave) model->wave->dump(model->time + 1552);
    model->time += 3104;
}

void gw_model_free(GwModel* model) {
    if (model->wave) model->wave->close();
    model->top->final();
    delete model;
}
}

// An assertion of the RTL that fails must end the process with its message, not go on with a broken card.
void vl_fatal(const char* file, int line, const char* scope, const char* message) {
    std::fprintf(stderr, "gw_card: assertion failed in %s (%s:%d): %s\n", scope ? scope : "?", file ? file : "?", line, message ? message : "");
    std::fflush(stderr);
    std::abort();
}
