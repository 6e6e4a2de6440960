//! Register: Control

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Control
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct Control(u32);

unsafe impl Send for Control {}
unsafe impl Sync for Control {}

impl core::default::Default for Control {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for Control {
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

impl Control {
    pub const PORT_ENABLE_OFFSET: usize = 0;
    pub const PORT_ENABLE_WIDTH: usize = 1;
    pub const PORT_ENABLE_MASK: u32 = 0x1;

    /// port_enable
    ///
    /// Frames are taken from the wire.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn port_enable(&self) -> bool {
        let val = (self.0 >> Self::PORT_ENABLE_OFFSET) & Self::PORT_ENABLE_MASK;
        val != 0
    }


    /// port_enable
    ///
    /// Frames are taken from the wire.
    #[inline(always)]
    pub fn set_port_enable(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::PORT_ENABLE_MASK << Self::PORT_ENABLE_OFFSET)) | ((val & Self::PORT_ENABLE_MASK) << Self::PORT_ENABLE_OFFSET);
    }


    pub const UNMATCHED_DROP_OFFSET: usize = 1;
    pub const UNMATCHED_DROP_WIDTH: usize = 1;
    pub const UNMATCHED_DROP_MASK: u32 = 0x1;

    /// unmatched_drop
    ///
    /// Frames for no VIP are dropped instead of going to the host.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn unmatched_drop(&self) -> bool {
        let val = (self.0 >> Self::UNMATCHED_DROP_OFFSET) & Self::UNMATCHED_DROP_MASK;
        val != 0
    }


    /// unmatched_drop
    ///
    /// Frames for no VIP are dropped instead of going to the host.
    #[inline(always)]
    pub fn set_unmatched_drop(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::UNMATCHED_DROP_MASK << Self::UNMATCHED_DROP_OFFSET)) | ((val & Self::UNMATCHED_DROP_MASK) << Self::UNMATCHED_DROP_OFFSET);
    }


    pub const COMPUTE_ONLY_OFFSET: usize = 2;
    pub const COMPUTE_ONLY_WIDTH: usize = 1;
    pub const COMPUTE_ONLY_MASK: u32 = 0x1;

    /// compute_only
    ///
    /// Misses go by the ring whatever the VIP's policy.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn compute_only(&self) -> bool {
        let val = (self.0 >> Self::COMPUTE_ONLY_OFFSET) & Self::COMPUTE_ONLY_MASK;
        val != 0
    }


    /// compute_only
    ///
    /// Misses go by the ring whatever the VIP's policy.
    #[inline(always)]
    pub fn set_compute_only(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::COMPUTE_ONLY_MASK << Self::COMPUTE_ONLY_OFFSET)) | ((val & Self::COMPUTE_ONLY_MASK) << Self::COMPUTE_ONLY_OFFSET);
    }


    pub const COUNTERS_HOLD_OFFSET: usize = 3;
    pub const COUNTERS_HOLD_WIDTH: usize = 1;
    pub const COUNTERS_HOLD_MASK: u32 = 0x1;

    /// counters_hold
    ///
    /// Commands read counters as they were when this was set. A host reset clears it.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn counters_hold(&self) -> bool {
        let val = (self.0 >> Self::COUNTERS_HOLD_OFFSET) & Self::COUNTERS_HOLD_MASK;
        val != 0
    }


    /// counters_hold
    ///
    /// Commands read counters as they were when this was set. A host reset clears it.
    #[inline(always)]
    pub fn set_counters_hold(&mut self, val: bool) {
        let val = val as u32;
        self.0 = (self.0 & !(Self::COUNTERS_HOLD_MASK << Self::COUNTERS_HOLD_OFFSET)) | ((val & Self::COUNTERS_HOLD_MASK) << Self::COUNTERS_HOLD_OFFSET);
    }


}

impl core::fmt::Debug for Control {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Control")
            .field("port_enable", &self.port_enable())
            .field("unmatched_drop", &self.unmatched_drop())
            .field("compute_only", &self.compute_only())
            .field("counters_hold", &self.counters_hold())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = Control::default();
        assert_eq!(reg.port_enable(), false);
        assert_eq!(reg.unmatched_drop(), false);
        assert_eq!(reg.compute_only(), false);
        assert_eq!(reg.counters_hold(), false);
    }
}
