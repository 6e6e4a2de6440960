//! The card's registers beside rings and tables: port, addresses, heartbeat, status.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use guideway_hdl::verdict::EgressClass;

use crate::device::{Bar, registers};

use super::{Card, CardError, mac_from_bits, mac_to_bits};

/// The control register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Control {
    /// Frames are taken from the wire.
    pub port_enable: bool,
    /// Frames for no VIP are dropped instead of going to the host.
    pub unmatched_drop: bool,
    /// Misses go by the ring whatever the VIP's policy.
    pub compute_only: bool,
}

/// The status register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CardStatus {
    /// Tables are clear and usable.
    pub ready: bool,
    /// The heartbeat runs and the miss queue is enabled.
    pub host_alive: bool,
    /// Nothing is in flight.
    pub idle: bool,
}

/// What the card sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Outer source of IPIP over IPv4: its upper 16 bits.
    pub ipip_v4: Ipv4Addr,
    /// Outer source of IPIP over IPv6: its upper 96 bits.
    pub ipip_v6: Ipv6Addr,
    /// Outer source of GRE and GUE over IPv4.
    pub v4: Ipv4Addr,
    /// Outer source of GRE and GUE over IPv6.
    pub v6: Ipv6Addr,
}

/// How long a card may take until its counters are held: it shows them anew first, in cycles without a frame's end.
const HOLD_PATIENCE: Duration = Duration::from_millis(200);

/// Counters that are held.
pub struct HeldCounters<'a> {
    card: &'a Card,
    control: Control,
    is_one_moment: bool,
    is_released: bool,
}

impl HeldCounters<'_> {
    /// What is read is all of one moment; false when the card was too busy to hold it.
    #[must_use]
    pub const fn is_one_moment(&self) -> bool {
        self.is_one_moment
    }

    /// Lets the card show them as they are.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn release(mut self) -> Result<(), CardError> {
        self.is_released = true;
        self.card.write_control(self.control, false)
    }
}

impl Drop for HeldCounters<'_> {
    fn drop(&mut self) {
        // behind an error, which is told
        if !self.is_released {
            let _ = self.card.write_control(self.control, false);
        }
    }
}

impl Card {
    /// Reads the control register.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn control(&self) -> Result<Control, CardError> {
        read_control(self.bar())
    }

    /// Writes the control register.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn set_control(&self, control: Control) -> Result<(), CardError> {
        self.write_control(control, false)
    }

    fn write_control(&self, control: Control, counters_hold: bool) -> Result<(), CardError> {
        Ok(registers(self.bar()).core().control().try_write(|r| {
            r.set_port_enable(control.port_enable);
            r.set_unmatched_drop(control.unmatched_drop);
            r.set_compute_only(control.compute_only);
            r.set_counters_hold(counters_hold);
        })?)
    }

    /// Holds what is read of the counters as it is now, until the result is released; the card goes on counting. Nobody else may write the
    /// control register meanwhile.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn hold_counters(&self) -> Result<HeldCounters<'_>, CardError> {
        let control = self.control()?;
        self.write_control(control, true)?;
        let mut held = HeldCounters {
            card: self,
            control,
            is_one_moment: false,
            is_released: false,
        };
        let begun = Instant::now();
        while !held.is_one_moment && begun.elapsed() < HOLD_PATIENCE {
            let status = registers(self.bar()).core().status().try_read()?;
            held.is_one_moment = status.counters_held();
        }
        Ok(held)
    }

    /// Reads the status register.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn status(&self) -> Result<CardStatus, CardError> {
        read_status(self.bar())
    }

    /// Restarts the heartbeat counter: the host counts as alive for so long in card time. Zero: as dead at once.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn heartbeat(&self, lasts: Duration) -> Result<(), CardError> {
        let micros = u32::try_from(lasts.as_micros()).unwrap_or(u32::MAX);
        Ok(registers(self.bar())
            .core()
            .heartbeat()
            .try_write(|r| r.set_remaining_us(micros))?)
    }

    /// What is left of the heartbeat, in card time.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn heartbeat_left(&self) -> Result<Duration, CardError> {
        let left = registers(self.bar())
            .core()
            .heartbeat()
            .try_read()?
            .remaining_us();
        Ok(Duration::from_micros(left.into()))
    }

    /// Sets the card's MAC address, and whether unicast frames for others are dropped.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn set_mac(&self, mac: [u8; 6], filter: bool) -> Result<(), CardError> {
        let core = registers(self.bar()).core();
        // Truncation takes the halves.
        #[allow(clippy::cast_possible_truncation)]
        let (low, high) = (mac_to_bits(mac) as u32, (mac_to_bits(mac) >> 32) as u16);
        // The filter is off while the halves do not belong together.
        core.mac_high().try_write(|r| r.set_high(high))?;
        core.mac_low().try_write(|r| r.set_value(low))?;
        Ok(core.mac_high().try_write(|r| {
            r.set_high(high);
            r.set_filter(filter);
        })?)
    }

    /// The card's MAC address and filter.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn mac(&self) -> Result<([u8; 6], bool), CardError> {
        let core = registers(self.bar()).core();
        let (low, high) = (core.mac_low().try_read()?, core.mac_high().try_read()?);
        Ok((
            mac_from_bits(u64::from(low.value()) | u64::from(high.high()) << 32),
            high.filter(),
        ))
    }

    /// Sets the outer source addresses.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn set_sources(&self, sources: &Sources) -> Result<(), CardError> {
        let core = registers(self.bar()).core();
        core.ipip_source_v4()
            .try_write(|r| r.set_value(sources.ipip_v4.to_bits()))?;
        core.source_v4()
            .try_write(|r| r.set_value(sources.v4.to_bits()))?;
        for (registers, address) in [
            (core.ipip_source_v6(), sources.ipip_v6),
            (core.source_v6(), sources.v6),
        ] {
            for (register, word) in registers.iter().zip(v6_words(address)) {
                register.try_write(|r| r.set_value(word))?;
            }
        }
        Ok(())
    }

    /// Sets the UDP port that GUE is sent to.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn set_gue_port(&self, port: u16) -> Result<(), CardError> {
        let core = registers(self.bar()).core();
        Ok(core.gue_port().try_write(|r| r.set_port(port))?)
    }

    /// Shares the payload ring out between the egress's classes, by how many beats wait when one is no longer admitted: misses
    /// over a meter may fill a quarter, new flows three quarters, known flows and the host's own frames all of it.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn share_egress(&self) -> Result<(), CardError> {
        let thresholds = registers(self.bar()).core().egress_threshold();
        let all = u16::try_from(self.sizes().payload_beats).unwrap_or(u16::MAX);
        for class in EgressClass::ALL.iter().copied() {
            let beats = match class {
                EgressClass::Raw | EgressClass::Hit => all,
                EgressClass::New => all / 4 * 3,
                EgressClass::OverMeter => all / 4,
            };
            thresholds[usize::from(class.raw())].try_write(|r| r.set_beats(beats))?;
        }
        Ok(())
    }

    /// Beats of the payload ring up to which each class may fill the egress queue, in the order of [`EgressClass::ALL`].
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn egress_thresholds(&self) -> Result<Vec<u16>, CardError> {
        let thresholds = registers(self.bar()).core().egress_threshold();
        let classes = EgressClass::ALL.iter().copied();
        classes
            .map(|class| Ok(thresholds[usize::from(class.raw())].try_read()?.beats()))
            .collect()
    }

    /// Card time in microseconds since the card's reset.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn time_us(&self) -> Result<u64, CardError> {
        read_time_us(self.bar())
    }

    /// Punts handed over that have not ended.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn punts_outstanding(&self) -> Result<u32, CardError> {
        Ok(registers(self.bar())
            .core()
            .punts_outstanding()
            .try_read()?
            .value())
    }

    /// Frames in the card.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn in_flight(&self) -> Result<u32, CardError> {
        Ok(registers(self.bar()).core().in_flight().try_read()?.value())
    }
}

pub(super) fn read_control(bar: &Bar) -> Result<Control, CardError> {
    let control = registers(bar).core().control().try_read()?;
    Ok(Control {
        port_enable: control.port_enable(),
        unmatched_drop: control.unmatched_drop(),
        compute_only: control.compute_only(),
    })
}

pub(super) fn read_status(bar: &Bar) -> Result<CardStatus, CardError> {
    let status = registers(bar).core().status().try_read()?;
    Ok(CardStatus {
        ready: status.ready(),
        host_alive: status.host_alive(),
        idle: status.idle(),
    })
}

pub(super) fn read_time_us(bar: &Bar) -> Result<u64, CardError> {
    let core = registers(bar).core();
    loop {
        let high = core.time_us_high().try_read()?.value();
        let low = core.time_us_low().try_read()?.value();
        // The low half may have wrapped between the reads.
        if core.time_us_high().try_read()?.value() == high {
            return Ok(u64::from(high) << 32 | u64::from(low));
        }
    }
}

/// An IPv6 address, or 128 bits like one, as four registers hold it: word 0 is the most significant.
pub(super) fn v6_words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    // Truncation takes the words.
    #[allow(clippy::cast_possible_truncation)]
    [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_lies_most_significant_word_first() {
        let address: Ipv6Addr = "100::a0b:c0d".parse().unwrap();
        assert_eq!(v6_words(address), [0x0100_0000, 0, 0, 0x0a0b_0c0d]);
    }
}
