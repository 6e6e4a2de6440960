//! Register: Sizes of VIP and pool tables

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Sizes of VIP and pool tables
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct SizeVips(u32);

unsafe impl Send for SizeVips {}
unsafe impl Sync for SizeVips {}

impl core::default::Default for SizeVips {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for SizeVips {
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

impl SizeVips {
    pub const VIPS_OFFSET: usize = 0;
    pub const VIPS_WIDTH: usize = 16;
    pub const VIPS_MASK: u32 = 0xFFFF;

    /// vips
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn vips(&self) -> u16 {
        let val = (self.0 >> Self::VIPS_OFFSET) & Self::VIPS_MASK;
        val as u16
    }



    pub const POOLS_OFFSET: usize = 16;
    pub const POOLS_WIDTH: usize = 16;
    pub const POOLS_MASK: u32 = 0xFFFF;

    /// pools
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn pools(&self) -> u16 {
        let val = (self.0 >> Self::POOLS_OFFSET) & Self::POOLS_MASK;
        val as u16
    }



}

impl core::fmt::Debug for SizeVips {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SizeVips")
            .field("vips", &self.vips())
            .field("pools", &self.pools())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = SizeVips::default();
        assert_eq!(reg.vips(), 0);
        assert_eq!(reg.pools(), 0);
    }
}
