//! The trace filter: which packets the card tells of (`CARD.md` 9).

use std::net::IpAddr;

use guideway_hdl::records::TRACE_SAMPLE_LOG2_MAX;

use super::control::v6_words;
use super::{Card, CardError};
use crate::device::registers;

/// Which packets are traced; what is not given matches all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// Source address, and how many of its first bits count.
    pub source: Option<(IpAddr, u8)>,
    /// Destination address, likewise.
    pub destination: Option<(IpAddr, u8)>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
    /// IP protocol.
    pub protocol: Option<u8>,
    /// The VIP's index.
    pub vip: Option<u16>,
    /// The first of each 2^n packets: 0 to 15.
    pub sample_log2: u8,
}

impl TraceFilter {
    /// The family that the addresses are of.
    fn ipv6(&self) -> Option<bool> {
        let addresses = self.source.or(self.destination);
        addresses.map(|(address, _)| address.is_ipv6())
    }
}

/// An address as the card compares it, and its mask: IPv4 in the low 32 bits.
fn masked(prefix: Option<(IpAddr, u8)>) -> (u128, u128) {
    let Some((address, length)) = prefix else {
        return (0, 0);
    };
    let (value, length) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 96 + u32::from(length.min(32))),
        IpAddr::V6(v6) => (u128::from(v6), u32::from(length.min(128))),
    };
    (value, u128::MAX.checked_shl(128 - length).unwrap_or(0))
}

impl Card {
    /// Whether a filter is on.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn is_tracing(&self) -> Result<bool, CardError> {
        let filter = registers(self.bar()).core().trace_filter().try_read()?;
        Ok(filter.enable())
    }

    /// Traces these packets from now on, or none. Records come only while a record ring runs.
    ///
    /// # Errors
    /// When the sampling is out of range, or the card cannot be reached.
    pub fn set_trace_filter(&self, filter: Option<&TraceFilter>) -> Result<(), CardError> {
        let core = registers(self.bar()).core();
        core.trace_filter().try_write(|r| r.set_enable(false))?;
        let Some(filter) = filter else {
            return Ok(());
        };
        if u32::from(filter.sample_log2) > TRACE_SAMPLE_LOG2_MAX {
            return Err(CardError::OutOfRange {
                what: "trace sampling (log2)",
                index: filter.sample_log2.into(),
                size: TRACE_SAMPLE_LOG2_MAX.into(),
            });
        }
        let (source, source_mask) = masked(filter.source);
        let (destination, destination_mask) = masked(filter.destination);
        for (registers, value) in [
            (core.trace_source(), source),
            (core.trace_source_mask(), source_mask),
            (core.trace_destination(), destination),
            (core.trace_destination_mask(), destination_mask),
        ] {
            for (register, word) in registers.iter().zip(v6_words(value.into())) {
                register.try_write(|r| r.set_value(word))?;
            }
        }
        let mask = |port: Option<u16>| if port.is_some() { u16::MAX } else { 0 };
        core.trace_ports().try_write(|r| {
            r.set_source(filter.source_port.unwrap_or(0));
            r.set_destination(filter.destination_port.unwrap_or(0));
        })?;
        core.trace_ports_mask().try_write(|r| {
            r.set_source(mask(filter.source_port));
            r.set_destination(mask(filter.destination_port));
        })?;
        core.trace_protocol().try_write(|r| {
            r.set_value(filter.protocol.unwrap_or(0));
            r.set_mask(if filter.protocol.is_some() { 0xff } else { 0 });
        })?;
        Ok(core.trace_filter().try_write(|r| {
            r.set_match_vip(filter.vip.is_some());
            r.set_vip(filter.vip.unwrap_or(0) & 0xfff);
            r.set_match_family(filter.ipv6().is_some());
            r.set_ipv6(filter.ipv6().unwrap_or(false));
            r.set_sample_log2(filter.sample_log2);
            r.set_enable(true);
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_become_masks() {
        let v4 = |length| masked(Some(("10.1.2.3".parse().unwrap(), length)));
        assert_eq!(v4(8), (0x0a01_0203, !0xff_ffff));
        assert_eq!(v4(0).1, u128::MAX << 32);
        assert_eq!(v4(32).1, u128::MAX);
        let v6 = |length| masked(Some(("2001:db8::1".parse().unwrap(), length)));
        assert_eq!(v6(0).1, 0);
        assert_eq!(v6(64), (0x2001_0db8 << 96 | 1, u128::MAX << 64));
        assert_eq!(masked(None), (0, 0));
        assert_eq!(v6_words((1 << 96 | 7).into()), [1, 0, 0, 7]);
    }
}
