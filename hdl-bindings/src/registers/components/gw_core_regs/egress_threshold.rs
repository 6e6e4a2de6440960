//! Register: Egress threshold

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Egress threshold
///
/// Beats that the egress queue's frames hold in the payload rings, at which a class (raw, hit, new, over_meter) is no longer admitted.
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct EgressThreshold(u32);

unsafe impl Send for EgressThreshold {}
unsafe impl Sync for EgressThreshold {}

impl core::default::Default for EgressThreshold {
    fn default() -> Self {
        Self(0x1000)
    }
}

impl peakrdl_rust::reg::Register for EgressThreshold {
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

impl EgressThreshold {
    pub const BEATS_OFFSET: usize = 0;
    pub const BEATS_WIDTH: usize = 16;
    pub const BEATS_MASK: u32 = 0xFFFF;

    /// beats
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn beats(&self) -> u16 {
        let val = (self.0 >> Self::BEATS_OFFSET) & Self::BEATS_MASK;
        val as u16
    }


    /// beats
    #[inline(always)]
    pub fn set_beats(&mut self, val: u16) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::BEATS_MASK << Self::BEATS_OFFSET)) | ((val & Self::BEATS_MASK) << Self::BEATS_OFFSET);
    }


}

impl core::fmt::Debug for EgressThreshold {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EgressThreshold")
            .field("beats", &self.beats())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = EgressThreshold::default();
        assert_eq!(reg.beats(), 4096);
    }
}
