//! A limit of events (`CARD.md` 4): so many a millisecond, so many at once.

/// How much a bucket lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Events a millisecond.
    pub rate: u32,
    /// Events at once.
    pub burst: u32,
}

/// Events that may happen now, in thousandths: what a microsecond brings is a whole number of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    thousandths: u64,
}

/// Thousandths of an event.
const EVENT: u64 = 1000;

impl TokenBucket {
    /// Fills it.
    pub fn fill(&mut self, limit: Limit) {
        self.thousandths = u64::from(limit.burst) * EVENT;
    }

    /// Microseconds pass.
    pub fn pass(&mut self, micros: u64, limit: Limit) {
        let gained = micros.saturating_mul(u64::from(limit.rate));
        let level = self.thousandths.saturating_add(gained);
        self.thousandths = level.min(u64::from(limit.burst) * EVENT);
    }

    /// Whether an event is there.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        self.thousandths >= EVENT
    }

    /// Takes an event.
    pub fn take(&mut self) {
        self.thousandths = self.thousandths.saturating_sub(EVENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_by_thousandths() {
        let limit = Limit { rate: 3, burst: 2 };
        let mut bucket = TokenBucket::default();
        bucket.fill(limit);
        bucket.take();
        bucket.take();
        assert!(!bucket.is_ready());
        bucket.pass(333, limit);
        assert!(!bucket.is_ready());
        bucket.pass(1, limit);
        assert!(bucket.is_ready());
        bucket.take();
        // two thousandths were left over
        bucket.pass(332, limit);
        assert!(!bucket.is_ready());
        bucket.pass(1, limit);
        assert!(bucket.is_ready());
    }
}
