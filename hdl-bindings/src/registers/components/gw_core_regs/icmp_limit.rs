//! Register: Limit of ICMP answers

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Limit of ICMP answers
///
/// [0] too-big errors, [1] echo replies. A write fills the bucket; burst 0: the card does not answer.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct IcmpLimit(u32);

unsafe impl Send for IcmpLimit {}
unsafe impl Sync for IcmpLimit {}

impl core::default::Default for IcmpLimit {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for IcmpLimit {
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

impl IcmpLimit {
    pub const RATE_OFFSET: usize = 0;
    pub const RATE_WIDTH: usize = 16;
    pub const RATE_MASK: u32 = 0xFFFF;

    /// rate
    ///
    /// Answers a millisecond.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn rate(&self) -> u16 {
        let val = (self.0 >> Self::RATE_OFFSET) & Self::RATE_MASK;
        val as u16
    }


    /// rate
    ///
    /// Answers a millisecond.
    #[inline(always)]
    pub fn set_rate(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::RATE_MASK << Self::RATE_OFFSET)) | ((val & Self::RATE_MASK) << Self::RATE_OFFSET);
    }


    pub const BURST_OFFSET: usize = 16;
    pub const BURST_WIDTH: usize = 16;
    pub const BURST_MASK: u32 = 0xFFFF;

    /// burst
    ///
    /// Answers at once.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn burst(&self) -> u16 {
        let val = (self.0 >> Self::BURST_OFFSET) & Self::BURST_MASK;
        val as u16
    }


    /// burst
    ///
    /// Answers at once.
    #[inline(always)]
    pub fn set_burst(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::BURST_MASK << Self::BURST_OFFSET)) | ((val & Self::BURST_MASK) << Self::BURST_OFFSET);
    }


}

impl core::fmt::Debug for IcmpLimit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IcmpLimit")
            .field("rate", &self.rate())
            .field("burst", &self.burst())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = IcmpLimit::default();
        assert_eq!(reg.rate(), 0);
        assert_eq!(reg.burst(), 0);
    }
}
