//! Register: Ports that are traced

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Ports that are traced
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct TracePorts(u32);

unsafe impl Send for TracePorts {}
unsafe impl Sync for TracePorts {}

impl core::default::Default for TracePorts {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for TracePorts {
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

impl TracePorts {
    pub const SOURCE_OFFSET: usize = 0;
    pub const SOURCE_WIDTH: usize = 16;
    pub const SOURCE_MASK: u32 = 0xFFFF;

    /// source
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn source(&self) -> u16 {
        let val = (self.0 >> Self::SOURCE_OFFSET) & Self::SOURCE_MASK;
        val as u16
    }


    /// source
    #[inline(always)]
    pub fn set_source(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::SOURCE_MASK << Self::SOURCE_OFFSET)) | ((val & Self::SOURCE_MASK) << Self::SOURCE_OFFSET);
    }


    pub const DESTINATION_OFFSET: usize = 16;
    pub const DESTINATION_WIDTH: usize = 16;
    pub const DESTINATION_MASK: u32 = 0xFFFF;

    /// destination
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn destination(&self) -> u16 {
        let val = (self.0 >> Self::DESTINATION_OFFSET) & Self::DESTINATION_MASK;
        val as u16
    }


    /// destination
    #[inline(always)]
    pub fn set_destination(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::DESTINATION_MASK << Self::DESTINATION_OFFSET)) | ((val & Self::DESTINATION_MASK) << Self::DESTINATION_OFFSET);
    }


}

impl core::fmt::Debug for TracePorts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TracePorts")
            .field("source", &self.source())
            .field("destination", &self.destination())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = TracePorts::default();
        assert_eq!(reg.source(), 0);
        assert_eq!(reg.destination(), 0);
    }
}
