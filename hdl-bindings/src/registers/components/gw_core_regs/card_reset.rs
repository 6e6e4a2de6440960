//! Register: Card reset

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Card reset
///
/// Writing 0x52455345 resets the card.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct CardReset(u32);

unsafe impl Send for CardReset {}
unsafe impl Sync for CardReset {}

impl core::default::Default for CardReset {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for CardReset {
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

impl CardReset {
    pub const KEY_OFFSET: usize = 0;
    pub const KEY_WIDTH: usize = 32;
    pub const KEY_MASK: u32 = 0xFFFF_FFFF;

    /// key
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn key(&self) -> u32 {
        let val = (self.0 >> Self::KEY_OFFSET) & Self::KEY_MASK;
        val
    }


    /// key
    #[inline(always)]
    pub fn set_key(&mut self, val: u32) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::KEY_MASK << Self::KEY_OFFSET)) | ((val & Self::KEY_MASK) << Self::KEY_OFFSET);
    }


}

impl core::fmt::Debug for CardReset {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CardReset")
            .field("key", &self.key())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = CardReset::default();
        assert_eq!(reg.key(), 0);
    }
}
