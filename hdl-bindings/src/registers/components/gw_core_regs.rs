//! Addrmap: Packet path

#[allow(unused_imports)]
use super::_root; // alias to root module of generated code

// Anonymous component instances
pub mod magic;
pub mod version;
pub mod size_vips;
pub mod size_backends;
pub mod control;
pub mod status;
pub mod heartbeat;
pub mod card_reset;
pub mod mac_high;
pub mod egress_threshold;
pub mod gue_port;
pub mod icmp_limit;
pub mod quic_lb;
pub mod trace_filter;
pub mod trace_ports;
pub mod trace_ports_mask;
pub mod trace_protocol;


// Instances of named component types
pub use _root::components::gw_ro32 as layout_hash;
pub use _root::components::gw_ro32 as size_ring_slots;
pub use _root::components::gw_ro32 as size_flows;
pub use _root::components::gw_ro32 as size_payload_beats;
pub use _root::components::gw_rw32 as mac_low;
pub use _root::components::gw_rw32 as ipip_source_v4;
pub use _root::components::gw_rw32 as source_v4;
pub use _root::components::gw_rw32 as ipip_source_v6;
pub use _root::components::gw_rw32 as source_v6;
pub use _root::components::gw_ro32 as time_us_low;
pub use _root::components::gw_ro32 as time_us_high;
pub use _root::components::gw_ro32 as punts_outstanding;
pub use _root::components::gw_ro32 as in_flight;
pub use _root::components::gw_rw32 as secret;
pub use _root::components::gw_rw32 as scratch;
pub use _root::components::gw_rw32 as trace_source;
pub use _root::components::gw_rw32 as trace_source_mask;
pub use _root::components::gw_rw32 as trace_destination;
pub use _root::components::gw_rw32 as trace_destination_mask;


/// Packet path
#[derive(Eq, PartialEq)]
pub struct GwCoreRegs<'io, IO = peakrdl_rust::io::PtrIO> {
    ptr: *mut u8,
    io: &'io IO,
}

unsafe impl<IO: Sync> Send for GwCoreRegs<'_, IO> {}
unsafe impl<IO: Sync> Sync for GwCoreRegs<'_, IO> {}

// manually implement Copy to ease generic bounds
// (IO does not need to be Copy)
impl<IO> Copy for GwCoreRegs<'_, IO> {}

// manually implement Clone to ease generic bounds
// (IO does not need to be Clone)
impl<IO> Clone for GwCoreRegs<'_, IO> {
    fn clone(&self) -> Self {
        *self
    }
}

impl GwCoreRegs<'static> {
    /// # Safety
    ///
    /// The caller must guarantee that the provided address points to a
    /// hardware register block implementing this interface.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn from_ptr(ptr: *mut ()) -> Self {
        Self { ptr: ptr.cast::<u8>(), io: &peakrdl_rust::io::PtrIO }
    }
}

impl<'io, IO> GwCoreRegs<'io, IO> {
    /// Size in bytes of the underlying memory
    pub const SIZE: usize = 0x1F0;

    /// # Safety
    ///
    /// The caller must guarantee that the provided address points to a
    /// hardware register block implementing this interface.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn from_ptr_with(ptr: *mut (), io: &'io IO) -> Self {
        Self { ptr: ptr.cast::<u8>(), io }
    }

    #[inline(always)]
    #[must_use]
    pub const fn as_ptr(&self) -> *mut () {
        self.ptr.cast::<()>()
    }
}

impl<'io, IO: peakrdl_rust::io::RegisterIO> GwCoreRegs<'io, IO> {
    /// Identity
    ///
    /// Reads 0x47574159 (GWAY).
    #[inline(always)]
    #[must_use]
    pub const fn magic(&self) -> peakrdl_rust::reg::Reg<'io, magic::Magic, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x0).cast(), self.io) }
    }

    /// layout_hash
    #[inline(always)]
    #[must_use]
    pub const fn layout_hash(&self) -> peakrdl_rust::reg::Reg<'io, layout_hash::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x4).cast(), self.io) }
    }

    /// Version of the card
    #[inline(always)]
    #[must_use]
    pub const fn version(&self) -> peakrdl_rust::reg::Reg<'io, version::Version, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x8).cast(), self.io) }
    }

    /// Sizes of VIP and pool tables
    #[inline(always)]
    #[must_use]
    pub const fn size_vips(&self) -> peakrdl_rust::reg::Reg<'io, size_vips::SizeVips, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0xC).cast(), self.io) }
    }

    /// Sizes of backend and next-hop tables
    #[inline(always)]
    #[must_use]
    pub const fn size_backends(&self) -> peakrdl_rust::reg::Reg<'io, size_backends::SizeBackends, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x10).cast(), self.io) }
    }

    /// size_ring_slots
    #[inline(always)]
    #[must_use]
    pub const fn size_ring_slots(&self) -> peakrdl_rust::reg::Reg<'io, size_ring_slots::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x14).cast(), self.io) }
    }

    /// size_flows
    #[inline(always)]
    #[must_use]
    pub const fn size_flows(&self) -> peakrdl_rust::reg::Reg<'io, size_flows::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x18).cast(), self.io) }
    }

    /// size_payload_beats
    #[inline(always)]
    #[must_use]
    pub const fn size_payload_beats(&self) -> peakrdl_rust::reg::Reg<'io, size_payload_beats::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x1C).cast(), self.io) }
    }

    /// Control
    #[inline(always)]
    #[must_use]
    pub const fn control(&self) -> peakrdl_rust::reg::Reg<'io, control::Control, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x20).cast(), self.io) }
    }

    /// Status
    #[inline(always)]
    #[must_use]
    pub const fn status(&self) -> peakrdl_rust::reg::Reg<'io, status::Status, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x24).cast(), self.io) }
    }

    /// Heartbeat
    ///
    /// Write: time to live in us, restarts the counter. Read: what is left.
    #[inline(always)]
    #[must_use]
    pub const fn heartbeat(&self) -> peakrdl_rust::reg::Reg<'io, heartbeat::Heartbeat, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x28).cast(), self.io) }
    }

    /// Card reset
    ///
    /// Writing 0x52455345 resets the card.
    #[inline(always)]
    #[must_use]
    pub const fn card_reset(&self) -> peakrdl_rust::reg::Reg<'io, card_reset::CardReset, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x2C).cast(), self.io) }
    }

    /// mac_low
    #[inline(always)]
    #[must_use]
    pub const fn mac_low(&self) -> peakrdl_rust::reg::Reg<'io, mac_low::GwRw32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x30).cast(), self.io) }
    }

    /// MAC address, upper part
    #[inline(always)]
    #[must_use]
    pub const fn mac_high(&self) -> peakrdl_rust::reg::Reg<'io, mac_high::MacHigh, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x34).cast(), self.io) }
    }

    /// ipip_source_v4
    #[inline(always)]
    #[must_use]
    pub const fn ipip_source_v4(&self) -> peakrdl_rust::reg::Reg<'io, ipip_source_v4::GwRw32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x38).cast(), self.io) }
    }

    /// source_v4
    #[inline(always)]
    #[must_use]
    pub const fn source_v4(&self) -> peakrdl_rust::reg::Reg<'io, source_v4::GwRw32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x3C).cast(), self.io) }
    }

    /// ipip_source_v6
    #[inline(always)]
    #[must_use]
    pub const fn ipip_source_v6(&self) -> [peakrdl_rust::reg::Reg<'io, ipip_source_v6::GwRw32, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, ipip_source_v6::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x40 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// source_v6
    #[inline(always)]
    #[must_use]
    pub const fn source_v6(&self) -> [peakrdl_rust::reg::Reg<'io, source_v6::GwRw32, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, source_v6::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x50 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// Egress threshold
    ///
    /// Beats that the egress queue's frames hold in the payload rings, at which a class (raw, hit, new, over_meter) is no longer admitted.
    #[inline(always)]
    #[must_use]
    pub const fn egress_threshold(&self) -> [peakrdl_rust::reg::Reg<'io, egress_threshold::EgressThreshold, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, egress_threshold::EgressThreshold, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x60 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// time_us_low
    #[inline(always)]
    #[must_use]
    pub const fn time_us_low(&self) -> peakrdl_rust::reg::Reg<'io, time_us_low::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x70).cast(), self.io) }
    }

    /// time_us_high
    #[inline(always)]
    #[must_use]
    pub const fn time_us_high(&self) -> peakrdl_rust::reg::Reg<'io, time_us_high::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x74).cast(), self.io) }
    }

    /// punts_outstanding
    #[inline(always)]
    #[must_use]
    pub const fn punts_outstanding(&self) -> peakrdl_rust::reg::Reg<'io, punts_outstanding::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x78).cast(), self.io) }
    }

    /// in_flight
    #[inline(always)]
    #[must_use]
    pub const fn in_flight(&self) -> peakrdl_rust::reg::Reg<'io, in_flight::GwRo32, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x7C).cast(), self.io) }
    }

    /// secret
    #[inline(always)]
    #[must_use]
    pub const fn secret(&self) -> [peakrdl_rust::reg::Reg<'io, secret::GwRw32, IO>; 24] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 24];

        let mut i0 = 0;
        while i0 < 24 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, secret::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x80 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// scratch
    #[inline(always)]
    #[must_use]
    pub const fn scratch(&self) -> [peakrdl_rust::reg::Reg<'io, scratch::GwRw32, IO>; 32] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 32];

        let mut i0 = 0;
        while i0 < 32 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, scratch::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x100 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// UDP port of GUE
    ///
    /// Outer destination port; 6080 as Katran's, unless the host writes another.
    #[inline(always)]
    #[must_use]
    pub const fn gue_port(&self) -> peakrdl_rust::reg::Reg<'io, gue_port::GuePort, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x180).cast(), self.io) }
    }

    /// Limit of ICMP answers
    ///
    /// [0] too-big errors, [1] echo replies. A write fills the bucket; burst 0: the card does not answer.
    #[inline(always)]
    #[must_use]
    pub const fn icmp_limit(&self) -> [peakrdl_rust::reg::Reg<'io, icmp_limit::IcmpLimit, IO>; 2] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 2];

        let mut i0 = 0;
        while i0 < 2 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, icmp_limit::IcmpLimit, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x184 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// Server ids of QUIC-LB
    ///
    /// Bytes of the server id under each configuration rotation; 0, and more than 8: none.
    #[inline(always)]
    #[must_use]
    pub const fn quic_lb(&self) -> peakrdl_rust::reg::Reg<'io, quic_lb::QuicLb, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x190).cast(), self.io) }
    }

    /// Trace filter
    ///
    /// Which packets are traced: all of what is asked here and in the masks must hold.
    #[inline(always)]
    #[must_use]
    pub const fn trace_filter(&self) -> peakrdl_rust::reg::Reg<'io, trace_filter::TraceFilter, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x1A0).cast(), self.io) }
    }

    /// trace_source
    #[inline(always)]
    #[must_use]
    pub const fn trace_source(&self) -> [peakrdl_rust::reg::Reg<'io, trace_source::GwRw32, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, trace_source::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x1a4 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// trace_source_mask
    #[inline(always)]
    #[must_use]
    pub const fn trace_source_mask(&self) -> [peakrdl_rust::reg::Reg<'io, trace_source_mask::GwRw32, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, trace_source_mask::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x1b4 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// trace_destination
    #[inline(always)]
    #[must_use]
    pub const fn trace_destination(&self) -> [peakrdl_rust::reg::Reg<'io, trace_destination::GwRw32, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, trace_destination::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x1c4 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// trace_destination_mask
    #[inline(always)]
    #[must_use]
    pub const fn trace_destination_mask(&self) -> [peakrdl_rust::reg::Reg<'io, trace_destination_mask::GwRw32, IO>; 4] {
        // SAFETY: We will initialize every element before using the array
        let mut array = [core::mem::MaybeUninit::uninit(); 4];

        let mut i0 = 0;
        while i0 < 4 {
            array[i0].write(unsafe { peakrdl_rust::reg::Reg::<'io, trace_destination_mask::GwRw32, IO>::from_ptr_with(self.ptr.wrapping_byte_add(0x1d4 + i0 * 0x4).cast(), self.io) });
            i0 += 1;
        }

        // SAFETY: All elements have been initialized above
        unsafe { core::mem::transmute(array) }
    }

    /// Ports that are traced
    #[inline(always)]
    #[must_use]
    pub const fn trace_ports(&self) -> peakrdl_rust::reg::Reg<'io, trace_ports::TracePorts, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x1E4).cast(), self.io) }
    }

    /// Their masks
    #[inline(always)]
    #[must_use]
    pub const fn trace_ports_mask(&self) -> peakrdl_rust::reg::Reg<'io, trace_ports_mask::TracePortsMask, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x1E8).cast(), self.io) }
    }

    /// Protocol that is traced, and its mask
    #[inline(always)]
    #[must_use]
    pub const fn trace_protocol(&self) -> peakrdl_rust::reg::Reg<'io, trace_protocol::TraceProtocol, IO> {
        unsafe { peakrdl_rust::reg::Reg::from_ptr_with(self.ptr.wrapping_byte_add(0x1EC).cast(), self.io) }
    }



}