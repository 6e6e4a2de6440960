//! Register: Configuration

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Configuration
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct Config(u32);

unsafe impl Send for Config {}
unsafe impl Sync for Config {}

impl core::default::Default for Config {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for Config {
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

impl Config {
    pub const SIZE_LOG2_OFFSET: usize = 0;
    pub const SIZE_LOG2_WIDTH: usize = 4;
    pub const SIZE_LOG2_MASK: u32 = 0xF;

    /// size_log2
    ///
    /// log2 of the entries, 1 to 12.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn size_log2(&self) -> u8 {
        let val = (self.0 >> Self::SIZE_LOG2_OFFSET) & Self::SIZE_LOG2_MASK;
        val as u8
    }


    /// size_log2
    ///
    /// log2 of the entries, 1 to 12.
    #[inline(always)]
    pub fn set_size_log2(&mut self, val: u8) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::SIZE_LOG2_MASK << Self::SIZE_LOG2_OFFSET)) | ((val & Self::SIZE_LOG2_MASK) << Self::SIZE_LOG2_OFFSET);
    }


    pub const ENABLE_OFFSET: usize = 31;
    pub const ENABLE_WIDTH: usize = 1;
    pub const ENABLE_MASK: u32 = 0x1;

    /// enable
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn enable(&self) -> bool {
        let val = (self.0 >> Self::ENABLE_OFFSET) & Self::ENABLE_MASK;
        val != 0
    }


    /// enable
    #[inline(always)]
    pub fn set_enable(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::ENABLE_MASK << Self::ENABLE_OFFSET)) | ((val & Self::ENABLE_MASK) << Self::ENABLE_OFFSET);
    }


}

impl core::fmt::Debug for Config {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Config")
            .field("size_log2", &self.size_log2())
            .field("enable", &self.enable())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = Config::default();
        assert_eq!(reg.size_log2(), 0);
        assert_eq!(reg.enable(), false);
    }
}
