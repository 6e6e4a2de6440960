//! The counters: what became of every frame, and of every VIP's and backend's packets.

use std::fmt;

use guideway_hdl::tables::{CounterEntry, Table};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::{Card, CardError};

/// One reading of the `counter` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters(Vec<u64>);

/// The conservation law does not hold: frames have vanished or multiplied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entered} frames entered (wire {wire_in}, injected {injected}), {left} left (wire {wire_out}, host {host_out}, gone {host_gone}, dropped {dropped})"
)]
pub struct Imbalance {
    /// `wire_in + injected`.
    pub entered: u64,
    /// `wire_out + host_out + host_gone + dropped`.
    pub left: u64,
    /// Frames that began on the wire.
    pub wire_in: u64,
    /// Frames that the host injected.
    pub injected: u64,
    /// Frames that left on the wire.
    pub wire_out: u64,
    /// Frames handed to the host.
    pub host_out: u64,
    /// Frames for a host that was reset.
    pub host_gone: u64,
    /// The sum of all drops.
    pub dropped: u64,
}

impl Counters {
    /// Counters from the table's values.
    #[must_use]
    pub fn from_values(mut values: Vec<u64>) -> Self {
        values.resize(Table::Counter.entries(), 0);
        Self(values)
    }

    /// Frames that ended with a disposition.
    #[must_use]
    pub fn disposition(&self, disposition: Disposition) -> u64 {
        self.0[usize::from(disposition.raw())]
    }

    /// A counter of the port.
    #[must_use]
    pub fn port(&self, counter: PortCounter) -> u64 {
        self.0[usize::from(counter.raw())]
    }

    /// Every disposition with its count, by number.
    pub fn dispositions(&self) -> impl Iterator<Item = (Disposition, u64)> + '_ {
        Disposition::ALL
            .iter()
            .map(|disposition| (*disposition, self.disposition(*disposition)))
    }

    /// Every port counter with its count, by number.
    pub fn ports(&self) -> impl Iterator<Item = (PortCounter, u64)> + '_ {
        PortCounter::ALL
            .iter()
            .map(|counter| (*counter, self.port(*counter)))
    }

    /// Frames dropped, whatever the reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dispositions()
            .filter(|(disposition, _)| disposition.is_drop())
            .map(|(_, count)| count)
            .sum()
    }

    /// Checks the conservation law (`CARD.md` 6). It holds once nothing is in flight.
    ///
    /// # Errors
    /// When frames have vanished or multiplied.
    pub fn conservation(&self) -> Result<(), Imbalance> {
        let port = |counter| self.port(counter);
        let law = Imbalance {
            entered: port(PortCounter::WireIn) + port(PortCounter::Injected),
            left: port(PortCounter::WireOut)
                + port(PortCounter::HostOut)
                + port(PortCounter::HostGone)
                + self.dropped(),
            wire_in: port(PortCounter::WireIn),
            injected: port(PortCounter::Injected),
            wire_out: port(PortCounter::WireOut),
            host_out: port(PortCounter::HostOut),
            host_gone: port(PortCounter::HostGone),
            dropped: self.dropped(),
        };
        if law.entered == law.left {
            Ok(())
        } else {
            Err(law)
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self
            .dispositions()
            .map(|(d, count)| (d.name(), count))
            .chain(self.ports().map(|(p, count)| (p.name(), count)));
        for (i, (name, count)) in named.filter(|(_, count)| *count > 0).enumerate() {
            write!(f, "{}{name} {count}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Card {
    /// Reads dispositions and port counters.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_counters(&self) -> Result<Counters, CardError> {
        let entries = self.dump_entries(Table::Counter, CounterEntry::from_words)?;
        Ok(Counters::from_values(
            entries.iter().map(|entry| entry.packets).collect(),
        ))
    }

    /// Reads packets and bytes of every VIP, by its index.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_vip_counters(&self) -> Result<Vec<CounterEntry>, CardError> {
        self.counters_of(Table::VipCounter, self.entries(Table::VipCounter))
    }

    /// Reads packets and bytes of every backend, by its index.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn read_backend_counters(&self) -> Result<Vec<CounterEntry>, CardError> {
        self.counters_of(Table::BackendCounter, self.entries(Table::BackendCounter))
    }

    /// Reads packets and bytes of the first `count` entries of a table of such counters.
    ///
    /// # Errors
    /// When there are fewer, or the card cannot be reached.
    pub fn counters_of(&self, table: Table, count: u32) -> Result<Vec<CounterEntry>, CardError> {
        let beats = self.dump(table, 0, count)?;
        let words = |beat: &[u32; 16]| std::array::from_fn(|i| beat[i]);
        Ok(beats
            .iter()
            .map(|beat| CounterEntry::from_words(&words(beat)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(values: &[(u8, u64)]) -> Counters {
        let mut all = vec![0; 64];
        for (at, value) in values {
            all[usize::from(*at)] = *value;
        }
        Counters::from_values(all)
    }

    #[test]
    fn the_law_holds_when_every_frame_is_accounted_for() {
        let law = [
            (PortCounter::WireIn.raw(), 100),
            (PortCounter::Injected.raw(), 7),
            (PortCounter::WireOut.raw(), 60),
            (PortCounter::HostOut.raw(), 30),
            (PortCounter::HostGone.raw(), 2),
            (Disposition::DropRunt.raw(), 10),
            (Disposition::DropInjectInvalid.raw(), 5),
        ];
        assert_eq!(counters(&law).conservation(), Ok(()));
        for i in 0..law.len() {
            let mut broken = law;
            broken[i].1 += 1;
            assert!(counters(&broken).conservation().is_err(), "one more at {i}");
        }
    }

    #[test]
    fn only_what_counted_is_shown() {
        let shown = counters(&[(0, 3), (PortCounter::Cycles.raw(), 9)]).to_string();
        assert_eq!(shown, "forward_hit 3, cycles 9");
        assert_eq!(
            Counters::from_values(vec![1]).dispositions().count(),
            Disposition::ALL.len()
        );
    }
}
