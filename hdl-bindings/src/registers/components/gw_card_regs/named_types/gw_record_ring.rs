//! Regfile: record

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code

// Anonymous component instances
pub mod traces;
pub mod flow_events;
pub mod config;
pub mod consumer;
pub mod producer;
pub mod status;
pub mod arm;


// Instances of named component types
pub use _root::components::gw_rw32 as base_low;
pub use _root::components::gw_rw32 as base_high;


/// record
#[derive(Eq, PartialEq)]
pub struct GwRecordRing<'io, IO = peakrdl_rust::io::PtrIO> {
    ptr: *mut u8,
    io: &'io IO,
}

unsafe impl<IO: Sync> Send for GwRecordRing<'_, IO> {}
unsafe impl<IO: Sync> Sync for GwRecordRing<'_, IO> {}

// manually implement Copy to ease generic bounds
// (IO does not need to be Copy)
impl<IO> Copy for GwRecordRing<'_, IO> {}

// manually implement Clone to ease generic bounds
// (IO does not need to be Clone)
impl<IO> Clone for GwRecordRing<'_, IO> {
    fn clone(&self) -> Self {
        *self
    }
}

impl GwRecordRing<'static> {
    /// # Safety
    ///
    /// The caller must guarantee that the provided address points to a
    /// hardware register block implementing this interface.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn from_ptr(ptr: *mut ()) -> Self {
        Self { ptr: ptr.cast::<u8>(), io: &peakrdl_rust::io::PtrIO }
    }
}

impl<'io, IO> GwRecordRing<'io, IO> {
    /// Size in bytes of the underlying memory
    pub const SIZE: usize = 0x24;

    /// # Safety
    ///
    /// The caller must guarantee that the provided address points to a
    /// hardware register block implementing this interface.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn from_ptr_with(ptr: *mut (), io: &'io IO) -> Self {
        Self { ptr: ptr.cast::<u8>(), io }
    }

    #[inline(always)]
    #[must_use]
    pub const fn as_ptr(&self) -> *mut () {
        self.ptr.cast::<()>()
    }
}

impl<'io, IO: peakrdl_rust::io::RegisterIO> GwRecordRing<'io, IO> {
    /// base_low
    #[inline(always)]
    #[must_use]
    pub const fn base_low(&self) -> peakrdl_rust::reg::Reg<'io, base_low::GwRw32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x0).cast(), self.io) }
    }

    /// base_high
    #[inline(always)]
    #[must_use]
    pub const fn base_high(&self) -> peakrdl_rust::reg::Reg<'io, base_high::GwRw32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x4).cast(), self.io) }
    }

    /// Trace records that were made since the ring was enabled
    #[inline(always)]
    #[must_use]
    pub const fn traces(&self) -> peakrdl_rust::reg::Reg<'io, traces::Traces, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x8).cast(), self.io) }
    }

    /// Flow events, likewise
    #[inline(always)]
    #[must_use]
    pub const fn flow_events(&self) -> peakrdl_rust::reg::Reg<'io, flow_events::FlowEvents, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0xC).cast(), self.io) }
    }

    /// Configuration
    #[inline(always)]
    #[must_use]
    pub const fn config(&self) -> peakrdl_rust::reg::Reg<'io, config::Config, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x10).cast(), self.io) }
    }

    /// Consumer index (doorbell)
    #[inline(always)]
    #[must_use]
    pub const fn consumer(&self) -> peakrdl_rust::reg::Reg<'io, consumer::Consumer, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x14).cast(), self.io) }
    }

    /// Producer index
    #[inline(always)]
    #[must_use]
    pub const fn producer(&self) -> peakrdl_rust::reg::Reg<'io, producer::Producer, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x18).cast(), self.io) }
    }

    /// Status code that stopped the ring, or 0
    #[inline(always)]
    #[must_use]
    pub const fn status(&self) -> peakrdl_rust::reg::Reg<'io, status::Status, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x1C).cast(), self.io) }
    }

    /// Arm the interrupt
    #[inline(always)]
    #[must_use]
    pub const fn arm(&self) -> peakrdl_rust::reg::Reg<'io, arm::Arm, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x20).cast(), self.io) }
    }



}