//! How many connections a VIP's first fragments may begin: as many as its meter lets misses reach the host.
//!
//! Owns the buckets, one a VIP. The card's meter knows nothing of fragments, which come in a class of their own: without this one a flood
//! of them would fill the tables that the meter protects.

use std::collections::HashMap;

use super::aging::elapsed;
use super::view::VipView;
use crate::card::Meter;

/// Tokens are counted in thousandths: the rate is a millisecond's, the clock's unit a microsecond.
const THOUSAND: u64 = 1000;

#[derive(Clone, Copy)]
struct Bucket {
    meter: Meter,
    thousandths: u64,
    at: u32,
}

/// The buckets.
#[derive(Default)]
pub(super) struct FragmentMeter(HashMap<u16, Bucket>);

impl FragmentMeter {
    /// Takes a token of the VIP's bucket at `now`, in microseconds of a wrapping clock; false when there is none. A VIP without a meter has
    /// any number.
    pub(super) fn takes(&mut self, vip: &VipView, now: u32) -> bool {
        let Some(meter) = vip.rules.meter else {
            self.0.remove(&vip.id);
            return true;
        };
        let full = u64::from(meter.burst) * THOUSAND;
        let bucket = self.0.entry(vip.id).or_insert(Bucket {
            meter,
            thousandths: full,
            at: now,
        });
        let passed = elapsed(now, bucket.at);
        let filled = bucket.thousandths + u64::from(passed) * u64::from(bucket.meter.rate);
        bucket.thousandths = filled.min(full);
        bucket.meter = meter;
        if passed > 0 {
            bucket.at = now;
        }
        let takes = bucket.thousandths >= THOUSAND;
        if takes {
            bucket.thousandths -= THOUSAND;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Rules;
    use crate::config::Protocol;

    fn vip(meter: Option<Meter>) -> VipView {
        VipView {
            id: 3,
            address: [10, 200, 1, 1].into(),
            port: 53,
            protocol: Protocol::Udp,
            pool: 0,
            rules: Rules {
                meter,
                ..Rules::default()
            },
            mtu: None,
        }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let metered = vip(Some(Meter { rate: 2, burst: 5 }));
        let mut meter = FragmentMeter::default();
        let mut taken = |n: u32, now: u32| (0..n).filter(|_| meter.takes(&metered, now)).count();
        let begun = u32::MAX - 100;
        let at = |us: u32| begun.wrapping_add(us);
        assert_eq!(taken(9, at(0)), 5);
        assert_eq!(taken(9, at(499)), 0);
        assert_eq!(taken(9, at(500)), 1);
        // nothing is lost to rounding
        let one_by_one: usize = (501..=10_500).map(|us| taken(1, at(us))).sum();
        assert_eq!(one_by_one, 20);
        assert_eq!(taken(9, at(1_000_000)), 5);
        // a clock that goes back a little
        assert_eq!(taken(9, at(999_000)), 0);
        assert!((0..100).all(|_| meter.takes(&vip(None), at(0))));
    }
}
