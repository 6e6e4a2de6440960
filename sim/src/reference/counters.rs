//! What the card counts (`CARD.md` 6).

use guideway_hdl::tables::{BACKENDS, CounterEntry, Table, VIPS};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::tables::{Beat, beat};

/// All counters.
#[derive(Clone)]
pub struct Counters {
    port: [u64; 64],
    vip: Vec<CounterEntry>,
    over_meter: Vec<CounterEntry>,
    backend: Vec<CounterEntry>,
    /// What is shown instead while they are held, and the cycle of that.
    held: Option<(Box<Self>, u64)>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            port: [0; 64],
            vip: vec![CounterEntry::default(); VIPS],
            over_meter: vec![CounterEntry::default(); VIPS],
            backend: vec![CounterEntry::default(); BACKENDS],
            held: None,
        }
    }
}

impl Counters {
    /// Counts a frame's disposition.
    pub fn disposition(&mut self, disposition: Disposition) {
        self.at(disposition.raw(), 1);
    }

    /// Adds to a counter of the port.
    pub fn add(&mut self, counter: PortCounter, amount: u64) {
        self.at(counter.raw(), amount);
    }

    fn at(&mut self, number: u8, amount: u64) {
        if let Some(counter) = self.port.get_mut(usize::from(number)) {
            *counter = counter.wrapping_add(amount);
        }
    }

    /// Counts a packet for a VIP.
    pub fn vip(&mut self, vip: u16, bytes: u64) {
        count(&mut self.vip, vip, bytes);
    }

    /// Counts a miss over a VIP's meter.
    pub fn over_meter(&mut self, vip: u16, bytes: u64) {
        count(&mut self.over_meter, vip, bytes);
    }

    /// Counts a packet towards a backend.
    pub fn backend(&mut self, backend: u16, bytes: u64) {
        count(&mut self.backend, backend, bytes);
    }

    /// From now on all that is shown is of this moment, or of each read's own again.
    pub fn hold(&mut self, hold: bool, cycles: u64) {
        if !hold {
            self.held = None;
        } else if self.held.is_none() {
            self.held = Some((Box::new(self.clone()), cycles));
        }
    }

    /// They are held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// What DUMP shows of a counter table's entry; `cycles` is kept by the card.
    #[must_use]
    pub fn read(&self, table: Table, index: usize, cycles: u64) -> Beat {
        if let Some((held, cycles)) = &self.held {
            return held.read(table, index, *cycles);
        }
        let entry = match table {
            Table::Counter if index == usize::from(PortCounter::Cycles.raw()) => Some(cycles),
            Table::Counter => self.port.get(index).copied(),
            Table::VipCounter => return beat(self.vip.get(index).map(CounterEntry::to_bytes)),
            Table::VipOverMeter => {
                return beat(self.over_meter.get(index).map(CounterEntry::to_bytes));
            }
            Table::BackendCounter => {
                return beat(self.backend.get(index).map(CounterEntry::to_bytes));
            }
            _ => None,
        };
        beat(entry.map(|packets| CounterEntry { packets, bytes: 0 }.to_bytes()))
    }
}

fn count(entries: &mut [CounterEntry], index: u16, bytes: u64) {
    if let Some(entry) = entries.get_mut(usize::from(index)) {
        entry.packets = entry.packets.wrapping_add(1);
        entry.bytes = entry.bytes.wrapping_add(bytes);
    }
}
