//! Register: Server ids of QUIC-LB

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Server ids of QUIC-LB
///
/// Bytes of the server id under each configuration rotation; 0, and more than 8: none.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct QuicLb(u32);

unsafe impl Send for QuicLb {}
unsafe impl Sync for QuicLb {}

impl core::default::Default for QuicLb {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for QuicLb {
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

impl QuicLb {
    pub const BYTES_OFFSET: usize = 0;
    pub const BYTES_WIDTH: usize = 28;
    pub const BYTES_MASK: u32 = 0xFFF_FFFF;

    /// bytes
    ///
    /// Bits 4 r + 3 to 4 r are rotation r's.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn bytes(&self) -> u32 {
        let val = (self.0 >> Self::BYTES_OFFSET) & Self::BYTES_MASK;
        val
    }


    /// bytes
    ///
    /// Bits 4 r + 3 to 4 r are rotation r's.
    #[inline(always)]
    pub fn set_bytes(&mut self, val: u32) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::BYTES_MASK << Self::BYTES_OFFSET)) | ((val & Self::BYTES_MASK) << Self::BYTES_OFFSET);
    }


}

impl core::fmt::Debug for QuicLb {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("QuicLb")
            .field("bytes", &self.bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = QuicLb::default();
        assert_eq!(reg.bytes(), 0);
    }
}
