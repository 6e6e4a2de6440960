//! Register: UDP port of GUE

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// UDP port of GUE
///
/// Outer destination port; 6080 as Katran's, unless the host writes another.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct GuePort(u32);

unsafe impl Send for GuePort {}
unsafe impl Sync for GuePort {}

impl core::default::Default for GuePort {
    fn default() -> Self {
        Self(0x17C0)
    }
}

impl peakrdl_rust::reg::Register for GuePort {
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

impl GuePort {
    pub const PORT_OFFSET: usize = 0;
    pub const PORT_WIDTH: usize = 16;
    pub const PORT_MASK: u32 = 0xFFFF;

    /// port
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn port(&self) -> u16 {
        let val = (self.0 >> Self::PORT_OFFSET) & Self::PORT_MASK;
        val as u16
    }


    /// port
    #[inline(always)]
    pub fn set_port(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::PORT_MASK << Self::PORT_OFFSET)) | ((val & Self::PORT_MASK) << Self::PORT_OFFSET);
    }


}

impl core::fmt::Debug for GuePort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GuePort")
            .field("port", &self.port())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = GuePort::default();
        assert_eq!(reg.port(), 6080);
    }
}
