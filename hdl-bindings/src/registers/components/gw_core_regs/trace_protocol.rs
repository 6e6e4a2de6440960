//! Register: Protocol that is traced, and its mask

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Protocol that is traced, and its mask
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct TraceProtocol(u32);

unsafe impl Send for TraceProtocol {}
unsafe impl Sync for TraceProtocol {}

impl core::default::Default for TraceProtocol {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for TraceProtocol {
    type Regwidth = u32;
    type Accesswidth = u32;
    type Access = peakrdl_rust::access::RW;
    type ByteEndian = peakrdl_rust::endian::LittleEndian;
    type WordEndian = peakrdl_rust::endian::LittleEndian;

    unsafe fn from_raw(val: Self::Regwidth) -> Self {
        Self(val)
    }

    fn to_raw(self) -> Self::Regwidth {
        self.0
    }
}

impl TraceProtocol {
    pub const VALUE_OFFSET: usize = 0;
    pub const VALUE_WIDTH: usize = 8;
    pub const VALUE_MASK: u32 = 0xFF;

    /// value
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn value(&self) -> u8 {
        let val = (self.0 >> Self::VALUE_OFFSET) & Self::VALUE_MASK;
        val as u8
    }


    /// value
    #[inline(always)]
    pub fn set_value(&mut self, val: u8) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::VALUE_MASK << Self::VALUE_OFFSET)) | ((val & Self::VALUE_MASK) << Self::VALUE_OFFSET);
    }


    pub const MASK_OFFSET: usize = 8;
    pub const MASK_WIDTH: usize = 8;
    pub const MASK_MASK: u32 = 0xFF;

    /// mask
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn mask(&self) -> u8 {
        let val = (self.0 >> Self::MASK_OFFSET) & Self::MASK_MASK;
        val as u8
    }


    /// mask
    #[inline(always)]
    pub fn set_mask(&mut self, val: u8) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::MASK_MASK << Self::MASK_OFFSET)) | ((val & Self::MASK_MASK) << Self::MASK_OFFSET);
    }


}

impl core::fmt::Debug for TraceProtocol {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TraceProtocol")
            .field("value", &self.value())
            .field("mask", &self.mask())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = TraceProtocol::default();
        assert_eq!(reg.value(), 0);
        assert_eq!(reg.mask(), 0);
    }
}
