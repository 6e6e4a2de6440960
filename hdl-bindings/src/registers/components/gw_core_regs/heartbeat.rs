//! Register: Heartbeat

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Heartbeat
///
/// Write: time to live in us, restarts the counter. Read: what is left.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct Heartbeat(u32);

unsafe impl Send for Heartbeat {}
unsafe impl Sync for Heartbeat {}

impl core::default::Default for Heartbeat {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for Heartbeat {
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

impl Heartbeat {
    pub const REMAINING_US_OFFSET: usize = 0;
    pub const REMAINING_US_WIDTH: usize = 32;
    pub const REMAINING_US_MASK: u32 = 0xFFFF_FFFF;

    /// remaining_us
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn remaining_us(&self) -> u32 {
        let val = (self.0 >> Self::REMAINING_US_OFFSET) & Self::REMAINING_US_MASK;
        val
    }


    /// remaining_us
    #[inline(always)]
    pub fn set_remaining_us(&mut self, val: u32) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::REMAINING_US_MASK << Self::REMAINING_US_OFFSET)) | ((val & Self::REMAINING_US_MASK) << Self::REMAINING_US_OFFSET);
    }


}

impl core::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Heartbeat")
            .field("remaining_us", &self.remaining_us())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = Heartbeat::default();
        assert_eq!(reg.remaining_us(), 0);
    }
}
