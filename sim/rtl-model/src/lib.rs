//! The Verilated `gw_card`: one struct of signals in, one out, one call a clock cycle.
//!
//! Owns the FFI to the shim (`shim.cpp`) and nothing else. What drives the signals is `guideway-sim`'s `rtl` module. Names
//! are the ports' names without `s_axis_`, `m_axis_`, `m_axi_dma_` and direction suffix.
#![allow(unsafe_code)] // the FFI itself

use std::{ffi::CString, path::Path, ptr::NonNull};

/// The ports that the card reads. Data ports matter only with their `valid`.
#[repr(C)]
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the ports of gw_card, documented there
pub struct Inputs {
    pub rx_data: [u32; 16],
    pub r_data: [u32; 16],
    pub rx_keep: u64,
    pub axil_wdata: u32,
    pub axil_awaddr: u32,
    pub axil_araddr: u32,
    pub tick: u16,
    pub rst_n: u8,
    pub rx_valid: u8,
    pub rx_last: u8,
    pub rx_error: u8,
    pub tx_ready: u8,
    pub axil_awvalid: u8,
    pub axil_wvalid: u8,
    pub axil_wstrb: u8,
    pub axil_bready: u8,
    pub axil_arvalid: u8,
    pub axil_rready: u8,
    pub ar_ready: u8,
    pub aw_ready: u8,
    pub w_ready: u8,
    pub r_valid: u8,
    pub r_id: u8,
    pub r_resp: u8,
    pub r_last: u8,
    pub b_valid: u8,
    pub b_id: u8,
    pub b_resp: u8,
    pub bus_master: u8,
    pub msix_enable: u8,
    pub msix_mask: u8,
    pub host_reset: u8,
}

/// The ports that the card drives, as they stand before the clock edge. Data ports hold only with their `valid`.
#[repr(C)]
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the ports of gw_card, documented there
pub struct Outputs {
    pub tx_data: [u32; 16],
    pub w_data: [u32; 16],
    pub tx_keep: u64,
    pub w_strb: u64,
    pub ar_addr: u64,
    pub aw_addr: u64,
    pub axil_rdata: u32,
    pub punts_outstanding: u32,
    pub rx_ready: u8,
    pub tx_valid: u8,
    pub tx_last: u8,
    pub axil_awready: u8,
    pub axil_wready: u8,
    pub axil_bvalid: u8,
    pub axil_arready: u8,
    pub axil_rvalid: u8,
    pub ar_valid: u8,
    pub ar_id: u8,
    pub ar_len: u8,
    pub aw_valid: u8,
    pub aw_id: u8,
    pub aw_len: u8,
    pub w_valid: u8,
    pub w_last: u8,
    pub r_ready: u8,
    pub b_ready: u8,
    pub host_reset_done: u8,
    pub idle: u8,
    pub ready: u8,
    pub port_enabled: u8,
    pub host_alive: u8,
}

#[repr(C)]
struct Raw {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn gw_model_new(seed: u64) -> *mut Raw;
    fn gw_model_wave(model: *mut Raw, path: *const std::ffi::c_char) -> std::ffi::c_int;
    fn gw_model_cycle(model: *mut Raw, inputs: *const Inputs, outputs: *mut Outputs);
    fn gw_model_free(model: *mut Raw);
}

/// The hash of RTL, flags and tool that this model was built from.
pub const RTL_HASH: &str = env!("GUIDEWAY_RTL_HASH");

/// One card.
#[derive(Debug)]
pub struct RtlModel {
    raw: NonNull<Raw>,
}

// SAFETY: the model owns its Verilator context and shares nothing with others; it is used by one thread at a time.
unsafe impl Send for RtlModel {}

impl RtlModel {
    /// A card before its power-on reset.
    ///
    /// # Panics
    /// When the model's memory cannot be had.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // SAFETY: takes no pointers; returns an owned model.
        let raw = unsafe { gw_model_new(seed) };
        Self {
            raw: NonNull::new(raw).expect("the model's memory"),
        }
    }

    /// Writes a waveform (FST) to `path` from now on.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn wave(&mut self, path: &Path) -> std::io::Result<()> {
        let path = CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: the model is live, the path a C string that outlives the call.
        match unsafe { gw_model_wave(self.raw.as_ptr(), path.as_ptr()) } {
            0 => Ok(()),
            _ => Err(std::io::Error::other("the waveform file cannot be written")),
        }
    }

    /// One clock cycle: settles with `inputs`, shows `outputs`, then the rising edge.
    pub fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: the model is live; both structs have the layout that the shim declares and live through the call.
        unsafe { gw_model_cycle(self.raw.as_ptr(), inputs, outputs) }
    }
}

impl Drop for RtlModel {
    fn drop(&mut self) {
        // SAFETY: the model is live and is not used afterwards.
        unsafe { gw_model_free(self.raw.as_ptr()) }
    }
}
