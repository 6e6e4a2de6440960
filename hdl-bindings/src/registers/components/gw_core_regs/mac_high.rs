//! Register: MAC address, upper part

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// MAC address, upper part
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct MacHigh(u32);

unsafe impl Send for MacHigh {}
unsafe impl Sync for MacHigh {}

impl core::default::Default for MacHigh {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for MacHigh {
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

impl MacHigh {
    pub const HIGH_OFFSET: usize = 0;
    pub const HIGH_WIDTH: usize = 16;
    pub const HIGH_MASK: u32 = 0xFFFF;

    /// high
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn high(&self) -> u16 {
        let val = (self.0 >> Self::HIGH_OFFSET) & Self::HIGH_MASK;
        val as u16
    }


    /// high
    #[inline(always)]
    pub fn set_high(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::HIGH_MASK << Self::HIGH_OFFSET)) | ((val & Self::HIGH_MASK) << Self::HIGH_OFFSET);
    }


    pub const FILTER_OFFSET: usize = 16;
    pub const FILTER_WIDTH: usize = 1;
    pub const FILTER_MASK: u32 = 0x1;

    /// filter
    ///
    /// Drop unicast frames for other addresses.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn filter(&self) -> bool {
        let val = (self.0 >> Self::FILTER_OFFSET) & Self::FILTER_MASK;
        val != 0
    }


    /// filter
    ///
    /// Drop unicast frames for other addresses.
    #[inline(always)]
    pub fn set_filter(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::FILTER_MASK << Self::FILTER_OFFSET)) | ((val & Self::FILTER_MASK) << Self::FILTER_OFFSET);
    }


}

impl core::fmt::Debug for MacHigh {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MacHigh")
            .field("high", &self.high())
            .field("filter", &self.filter())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = MacHigh::default();
        assert_eq!(reg.high(), 0);
        assert_eq!(reg.filter(), false);
    }
}
