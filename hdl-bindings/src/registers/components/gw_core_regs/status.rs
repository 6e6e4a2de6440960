//! Register: Status

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code






/// Status
#[repr(transparent)]
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct Status(u32);

unsafe impl Send for Status {}
unsafe impl Sync for Status {}

impl core::default::Default for Status {
    fn default() -> Self {
        Self(0x0)
    }
}

impl peakrdl_rust::reg::Register for Status {
    type Regwidth = u32;
    type Accesswidth = u32;
    type Access = peakrdl_rust::access::R;
    type ByteEndian = peakrdl_rust::endian::LittleEndian;
    type WordEndian = peakrdl_rust::endian::LittleEndian;

    unsafe fn from_raw(val: Self::Regwidth) -> Self {
        Self(val)
    }

    fn to_raw(self) -> Self::Regwidth {
        self.0
    }
}

impl Status {
    pub const READY_OFFSET: usize = 0;
    pub const READY_WIDTH: usize = 1;
    pub const READY_MASK: u32 = 0x1;

    /// ready
    ///
    /// Tables are clear and usable.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn ready(&self) -> bool {
        let val = (self.0 >> Self::READY_OFFSET) & Self::READY_MASK;
        val != 0
    }



    pub const HOST_ALIVE_OFFSET: usize = 1;
    pub const HOST_ALIVE_WIDTH: usize = 1;
    pub const HOST_ALIVE_MASK: u32 = 0x1;

    /// host_alive
    ///
    /// Heartbeat runs and the miss queue is enabled.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn host_alive(&self) -> bool {
        let val = (self.0 >> Self::HOST_ALIVE_OFFSET) & Self::HOST_ALIVE_MASK;
        val != 0
    }



    pub const IDLE_OFFSET: usize = 2;
    pub const IDLE_WIDTH: usize = 1;
    pub const IDLE_MASK: u32 = 0x1;

    /// idle
    ///
    /// Nothing is in flight.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn idle(&self) -> bool {
        let val = (self.0 >> Self::IDLE_OFFSET) & Self::IDLE_MASK;
        val != 0
    }



    pub const COUNTERS_HELD_OFFSET: usize = 3;
    pub const COUNTERS_HELD_WIDTH: usize = 1;
    pub const COUNTERS_HELD_MASK: u32 = 0x1;

    /// counters_held
    ///
    /// Counters are held: what is read is all of one moment.
    #[inline(always)]
    #[allow(clippy::missing_panics_doc)]
    #[must_use]
    pub fn counters_held(&self) -> bool {
        let val = (self.0 >> Self::COUNTERS_HELD_OFFSET) & Self::COUNTERS_HELD_MASK;
        val != 0
    }



}

impl core::fmt::Debug for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Status")
            .field("ready", &self.ready())
            .field("host_alive", &self.host_alive())
            .field("idle", &self.idle())
            .field("counters_held", &self.counters_held())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_default() {
        let reg = Status::default();
        assert_eq!(reg.ready(), false);
        assert_eq!(reg.host_alive(), false);
        assert_eq!(reg.idle(), false);
        assert_eq!(reg.counters_held(), false);
    }
}
