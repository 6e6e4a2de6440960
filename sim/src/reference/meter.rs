//! Meters of VIPs (`CARD.md` 8): tokens that time brings and punts take.
//!
//! Owns the buckets' levels. Which packets want a token is [`super::verdict`]'s, when time passes [`super::path`]'s.

use guideway_hdl::tables::{VIPS, VipEntry};

/// One token, in the units of a bucket.
const TOKEN: u64 = 1000;
/// What a VIP without a meter holds: more than any burst.
const FULL: u64 = (1 << 26) - 1;

/// The buckets, in thousandths of a token.
#[derive(Clone)]
pub struct Meters {
    levels: Vec<u64>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            levels: vec![FULL; VIPS],
        }
    }
}

/// The most that a VIP's bucket holds.
fn capacity(entry: &VipEntry) -> u64 {
    let rate = u64::from(entry.meter_rate);
    if rate == 0 {
        return FULL;
    }
    (u64::from(entry.meter_burst) * TOKEN).max(TOKEN + rate)
}

impl Meters {
    /// Microseconds pass for the VIPs of these entries.
    pub fn pass(&mut self, entries: &[VipEntry], micros: u64) {
        for (level, entry) in self.levels.iter_mut().zip(entries) {
            let gained = micros.saturating_mul(entry.meter_rate.into());
            *level = level.saturating_add(gained).min(capacity(entry));
        }
    }

    /// A VIP's entry was written.
    pub fn written(&mut self, vip: usize, entry: &VipEntry) {
        if let Some(level) = self.levels.get_mut(vip) {
            *level = if entry.meter_rate == 0 {
                FULL
            } else {
                capacity(entry).min(*level)
            };
        }
    }

    /// Takes a token for a punt of a VIP with this entry; false when there is none.
    #[must_use]
    pub fn take(&mut self, vip: u16, entry: &VipEntry) -> bool {
        if entry.meter_rate == 0 {
            return true;
        }
        match self.levels.get_mut(usize::from(vip)) {
            Some(level) if *level >= TOKEN => {
                *level -= TOKEN;
                true
            }
            _ => false,
        }
    }
}
