//! Addrmap: Rings and DMA

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code


/// Named types defined within this component's body
pub mod named_types {
    #[allow(unused_imports)]
    use super::_root; // alias to root module of generated code
    pub mod gw_rx_queue;
    pub mod gw_descriptor_ring;
    pub mod gw_record_ring;
}

// Instances of named component types
pub use _root::components::gw_card_regs::named_types::gw_rx_queue as rx;
pub use _root::components::gw_card_regs::named_types::gw_descriptor_ring as tx;
pub use _root::components::gw_card_regs::named_types::gw_descriptor_ring as command;
pub use _root::components::gw_ro32 as dma_read_errors;
pub use _root::components::gw_ro32 as dma_write_errors;
pub use _root::components::gw_card_regs::named_types::gw_record_ring as record;


/// Rings and DMA
#[derive(Eq, PartialEq)]
pub struct GwCardRegs<'io, IO = peakrdl_rust::io::PtrIO> {
    ptr: *mut u8,
    io: &'io IO,
}

unsafe impl<IO: Sync> Send for GwCardRegs<'_, IO> {}
unsafe impl<IO: Sync> Sync for GwCardRegs<'_, IO> {}

// manually implement Copy to ease generic bounds
// (IO does not need to be Copy)
impl<IO> Copy for GwCardRegs<'_, IO> {}

// manually implement Clone to ease generic bounds
// (IO does not need to be Clone)
impl<IO> Clone for GwCardRegs<'_, IO> {
    fn clone(&self) -> Self {
        *self
    }
}

impl GwCardRegs<'static> {
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

impl<'io, IO> GwCardRegs<'io, IO> {
    /// Size in bytes of the underlying memory
    pub const SIZE: usize = 0x1E4;

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

impl<'io, IO: peakrdl_rust::io::RegisterIO> GwCardRegs<'io, IO> {
    /// dma_read_errors
    #[inline(always)]
    #[must_use]
    pub const fn dma_read_errors(&self) -> peakrdl_rust::reg::Reg<'io, dma_read_errors::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x180).cast(), self.io) }
    }

    /// dma_write_errors
    #[inline(always)]
    #[must_use]
    pub const fn dma_write_errors(&self) -> peakrdl_rust::reg::Reg<'io, dma_write_errors::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x184).cast(), self.io) }
    }


    /// rx
    #[inline(always)]
    #[must_use]
    pub const fn rx(&self) -> [rx::GwRxQueue<'io, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { rx::GwRxQueue::<IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x0 + i0 * 0x40).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// tx
    #[inline(always)]
    #[must_use]
    pub const fn tx(&self) -> tx::GwDescriptorRing<'io, IO> {
        unsafe { tx::GwDescriptorRing::from_ptr_with(self.ptr.wrapping_byte_add(0x100).cast(), self.io) }
    }

    /// command
    #[inline(always)]
    #[must_use]
    pub const fn command(&self) -> command::GwDescriptorRing<'io, IO> {
        unsafe { command::GwDescriptorRing::from_ptr_with(self.ptr.wrapping_byte_add(0x140).cast(), self.io) }
    }

    /// record
    #[inline(always)]
    #[must_use]
    pub const fn record(&self) -> record::GwRecordRing<'io, IO> {
        unsafe { record::GwRecordRing::from_ptr_with(self.ptr.wrapping_byte_add(0x1C0).cast(), self.io) }
    }


}