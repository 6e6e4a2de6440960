//! Addrmap: Guideway card, BAR0

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code



// Instances of named component types
pub use _root::components::gw_core_regs as core;
pub use _root::components::gw_card_regs as card;


/// Guideway card, BAR0
#[derive(Eq, PartialEq)]
pub struct Guideway<'io, IO = peakrdl_rust::io::PtrIO> {
    ptr: *mut u8,
    io: &'io IO,
}

unsafe impl<IO: Sync> Send for Guideway<'_, IO> {}
unsafe impl<IO: Sync> Sync for Guideway<'_, IO> {}

// manually implement Copy to ease generic bounds
// (IO does not need to be Copy)
impl<IO> Copy for Guideway<'_, IO> {}

// manually implement Clone to ease generic bounds
// (IO does not need to be Clone)
impl<IO> Clone for Guideway<'_, IO> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Guideway<'static> {
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

impl<'io, IO> Guideway<'io, IO> {
    /// Size in bytes of the underlying memory
    pub const SIZE: usize = 0x41E4;

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

impl<'io, IO: peakrdl_rust::io::RegisterIO> Guideway<'io, IO> {

    /// Packet path
    #[inline(always)]
    #[must_use]
    pub const fn core(&self) -> core::GwCoreRegs<'io, IO> {
        unsafe { core::GwCoreRegs::from_ptr_with(self.ptr.wrapping_byte_add(0x0).cast(), self.io) }
    }

    /// Rings and DMA
    #[inline(always)]
    #[must_use]
    pub const fn card(&self) -> card::GwCardRegs<'io, IO> {
        unsafe { card::GwCardRegs::from_ptr_with(self.ptr.wrapping_byte_add(0x4000).cast(), self.io) }
    }


}