//! Register accesses over the card's AXI4-Lite port. The clock runs until the card answers.

use super::{ANSWER_LIMIT, RtlCard};
use crate::card::{Bar, HostMemory};

/// Where a BAR lies in the AXI4-Lite address space of `gw_card`.
fn address(bar: Bar, offset: u32) -> u32 {
    match bar {
        Bar::Registers => offset & 0xffff,
        Bar::Debug => 0x1_0000 | offset & 0xffff,
        Bar::Msix => 0x2_0000 | offset & 0xffff,
    }
}

impl RtlCard {
    pub(super) fn axil_read(&mut self, memory: &mut dyn HostMemory, bar: Bar, offset: u32) -> u32 {
        self.inputs.axil_araddr = address(bar, offset);
        self.inputs.axil_arvalid = 1;
        self.inputs.axil_rready = 1;
        for _ in 0..ANSWER_LIMIT {
            self.cycle(memory);
            if self.outputs.axil_arready == 1 {
                self.inputs.axil_arvalid = 0;
            }
            if self.outputs.axil_rvalid == 1 {
                self.inputs.axil_arvalid = 0;
                self.inputs.axil_rready = 0;
                return self.outputs.axil_rdata;
            }
        }
        tracing::error!(?bar, offset, "the card does not answer a register read");
        self.inputs.axil_arvalid = 0;
        u32::MAX
    }

    pub(super) fn axil_write(
        &mut self,
        memory: &mut dyn HostMemory,
        bar: Bar,
        offset: u32,
        value: u32,
    ) {
        self.inputs.axil_awaddr = address(bar, offset);
        self.inputs.axil_wdata = value;
        self.inputs.axil_awvalid = 1;
        self.inputs.axil_wvalid = 1;
        self.inputs.axil_bready = 1;
        for _ in 0..ANSWER_LIMIT {
            self.cycle(memory);
            if self.outputs.axil_awready == 1 {
                self.inputs.axil_awvalid = 0;
            }
            if self.outputs.axil_wready == 1 {
                self.inputs.axil_wvalid = 0;
            }
            if self.outputs.axil_bvalid == 1 {
                self.inputs.axil_bready = 0;
                return;
            }
        }
        tracing::error!(?bar, offset, "the card does not answer a register write");
        self.inputs.axil_awvalid = 0;
        self.inputs.axil_wvalid = 0;
    }
}
