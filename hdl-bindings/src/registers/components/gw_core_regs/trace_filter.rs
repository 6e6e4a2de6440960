//! Register: Trace filter

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Trace filter
///
/// Which packets are traced: all of what is asked here and in the masks must hold.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct TraceFilter(u32);

unsafe impl Send for TraceFilter {}
unsafe impl Sync for TraceFilter {}

impl core::default::Default for TraceFilter {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for TraceFilter {
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

impl TraceFilter {
    pub const ENABLE_OFFSET: usize = 0;
    pub const ENABLE_WIDTH: usize = 1;
    pub const ENABLE_MASK: u32 = 0x1;

    /// enable
    ///
    /// Packets are traced.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn enable(&self) -> bool {
        let val = (self.0 >> Self::ENABLE_OFFSET) & Self::ENABLE_MASK;
        val != 0
    }


    /// enable
    ///
    /// Packets are traced.
    #[inline(always)]
    pub fn set_enable(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::ENABLE_MASK << Self::ENABLE_OFFSET)) | ((val & Self::ENABLE_MASK) << Self::ENABLE_OFFSET);
    }


    pub const MATCH_VIP_OFFSET: usize = 1;
    pub const MATCH_VIP_WIDTH: usize = 1;
    pub const MATCH_VIP_MASK: u32 = 0x1;

    /// match_vip
    ///
    /// Only packets of the VIP `vip`.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn match_vip(&self) -> bool {
        let val = (self.0 >> Self::MATCH_VIP_OFFSET) & Self::MATCH_VIP_MASK;
        val != 0
    }


    /// match_vip
    ///
    /// Only packets of the VIP `vip`.
    #[inline(always)]
    pub fn set_match_vip(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::MATCH_VIP_MASK << Self::MATCH_VIP_OFFSET)) | ((val & Self::MATCH_VIP_MASK) << Self::MATCH_VIP_OFFSET);
    }


    pub const MATCH_FAMILY_OFFSET: usize = 2;
    pub const MATCH_FAMILY_WIDTH: usize = 1;
    pub const MATCH_FAMILY_MASK: u32 = 0x1;

    /// match_family
    ///
    /// Only packets of the family `ipv6`.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn match_family(&self) -> bool {
        let val = (self.0 >> Self::MATCH_FAMILY_OFFSET) & Self::MATCH_FAMILY_MASK;
        val != 0
    }


    /// match_family
    ///
    /// Only packets of the family `ipv6`.
    #[inline(always)]
    pub fn set_match_family(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::MATCH_FAMILY_MASK << Self::MATCH_FAMILY_OFFSET)) | ((val & Self::MATCH_FAMILY_MASK) << Self::MATCH_FAMILY_OFFSET);
    }


    pub const IPV6_OFFSET: usize = 3;
    pub const IPV6_WIDTH: usize = 1;
    pub const IPV6_MASK: u32 = 0x1;

    /// ipv6
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn ipv6(&self) -> bool {
        let val = (self.0 >> Self::IPV6_OFFSET) & Self::IPV6_MASK;
        val != 0
    }


    /// ipv6
    #[inline(always)]
    pub fn set_ipv6(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::IPV6_MASK << Self::IPV6_OFFSET)) | ((val & Self::IPV6_MASK) << Self::IPV6_OFFSET);
    }


    pub const SAMPLE_LOG2_OFFSET: usize = 8;
    pub const SAMPLE_LOG2_WIDTH: usize = 4;
    pub const SAMPLE_LOG2_MASK: u32 = 0xF;

    /// sample_log2
    ///
    /// The first of each 2^n that match.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn sample_log2(&self) -> u8 {
        let val = (self.0 >> Self::SAMPLE_LOG2_OFFSET) & Self::SAMPLE_LOG2_MASK;
        val as u8
    }


    /// sample_log2
    ///
    /// The first of each 2^n that match.
    #[inline(always)]
    pub fn set_sample_log2(&mut self, val: u8) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::SAMPLE_LOG2_MASK << Self::SAMPLE_LOG2_OFFSET)) | ((val & Self::SAMPLE_LOG2_MASK) << Self::SAMPLE_LOG2_OFFSET);
    }


    pub const VIP_OFFSET: usize = 16;
    pub const VIP_WIDTH: usize = 12;
    pub const VIP_MASK: u32 = 0xFFF;

    /// vip
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn vip(&self) -> u16 {
        let val = (self.0 >> Self::VIP_OFFSET) & Self::VIP_MASK;
        val as u16
    }


    /// vip
    #[inline(always)]
    pub fn set_vip(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::VIP_MASK << Self::VIP_OFFSET)) | ((val & Self::VIP_MASK) << Self::VIP_OFFSET);
    }


}

impl core::fmt::Debug for TraceFilter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TraceFilter")
            .field("enable", &self.enable())
            .field("match_vip", &self.match_vip())
            .field("match_family", &self.match_family())
            .field("ipv6", &self.ipv6())
            .field("sample_log2", &self.sample_log2())
            .field("vip", &self.vip())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = TraceFilter::default();
        assert_eq!(reg.enable(), false);
        assert_eq!(reg.match_vip(), false);
        assert_eq!(reg.match_family(), false);
        assert_eq!(reg.ipv6(), false);
        assert_eq!(reg.sample_log2(), 0);
        assert_eq!(reg.vip(), 0);
    }
}
