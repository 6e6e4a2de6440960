//! Register: Sizes of backend and next-hop tables

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Sizes of backend and next-hop tables
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct SizeBackends(u32);

unsafe impl Send for SizeBackends {}
unsafe impl Sync for SizeBackends {}

impl core::default::Default for SizeBackends {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for SizeBackends {
    type Regwidth = u32;
    type Accesswidth = u32;
    type Access = peakrdl_rust::access::R;
    type ByteEndian = peakrdl_rust::endian::LittleEndian;
    type WordEndian = peakrdl_rust::endian::LittleEndian;

    unsafe fn from_raw(val: Self::Regwidth) -> Self {
        Self(val)
    }

    fn to_raw(self) -> Self::Regwidth {
        self.0
    }
}

impl SizeBackends {
    pub const BACKENDS_OFFSET: usize = 0;
    pub const BACKENDS_WIDTH: usize = 16;
    pub const BACKENDS_MASK: u32 = 0xFFFF;

    /// backends
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn backends(&self) -> u16 {
        let val = (self.0 >> Self::BACKENDS_OFFSET) & Self::BACKENDS_MASK;
        val as u16
    }



    pub const NEXT_HOPS_OFFSET: usize = 16;
    pub const NEXT_HOPS_WIDTH: usize = 16;
    pub const NEXT_HOPS_MASK: u32 = 0xFFFF;

    /// next_hops
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn next_hops(&self) -> u16 {
        let val = (self.0 >> Self::NEXT_HOPS_OFFSET) & Self::NEXT_HOPS_MASK;
        val as u16
    }



}

impl core::fmt::Debug for SizeBackends {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SizeBackends")
            .field("backends", &self.backends())
            .field("next_hops", &self.next_hops())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = SizeBackends::default();
        assert_eq!(reg.backends(), 0);
        assert_eq!(reg.next_hops(), 0);
    }
}
