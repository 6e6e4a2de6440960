//! Card time: where the 1 us tick comes from, and what a cycle is worth in a capture.

use std::time::Instant;

use crate::card::TickSource;

/// Where card time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TimeMode {
    /// The wall clock.
    Wall,
    /// The card's clock cycles; idle time is jumped over.
    Cycles,
    /// Commands on the control socket.
    Manual,
}

impl TimeMode {
    /// What the card is told.
    #[must_use]
    pub fn tick_source(self) -> TickSource {
        match self {
            Self::Cycles => TickSource::Clock,
            Self::Wall | Self::Manual => TickSource::Given,
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Cycles => "cycles",
            Self::Manual => "manual",
        }
    }
}

/// Nanoseconds of `cycles` at 322.265625 MHz: 512/165 each.
#[must_use]
pub fn cycles_to_nanos(cycles: u64) -> u64 {
    u64::try_from(u128::from(cycles) * 512 / 165).unwrap_or(u64::MAX)
}

/// Counts the microseconds that a wall clock has given the card.
#[derive(Clone, Copy, Debug)]
pub struct WallTicks {
    start: Instant,
    given: u64,
}

impl WallTicks {
    /// Starts at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            given: 0,
        }
    }

    /// Microseconds that have passed and were not given yet.
    pub fn due(&mut self, now: Instant) -> u64 {
        let passed = u64::try_from(now.saturating_duration_since(self.start).as_micros())
            .unwrap_or(u64::MAX);
        let due = passed.saturating_sub(self.given);
        self.given += due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_second_has_as_many_cycles_as_the_clock_says() {
        assert_eq!(cycles_to_nanos(0), 0);
        assert_eq!(cycles_to_nanos(165), 512);
        assert_eq!(cycles_to_nanos(322_265_625), 1_000_000_000);
        assert_eq!(cycles_to_nanos(u64::MAX), u64::MAX);
    }

    #[test]
    fn no_microsecond_is_lost_or_given_twice() {
        let start = Instant::now();
        let mut ticks = WallTicks::new(start);
        let given: u64 = (1..=1000)
            .map(|step| ticks.due(start + Duration::from_nanos(step * 700)))
            .sum();
        assert_eq!(given, 700);
        assert_eq!(ticks.due(start), 0, "time does not go back");
    }
}
