//! How often the card answers of itself: too-big errors and echo replies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Card, CardError};
use crate::device::registers;

/// A bucket of answers. The default, a burst of 0, is none at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLimit {
    /// Answers a millisecond.
    pub rate: u16,
    /// Answers at once; 0: the card does not answer.
    pub burst: u16,
}

impl fmt::Display for AnswerLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.burst {
            0 => f.write_str("none"),
            burst => write!(f, "{}/ms, burst {burst}", self.rate),
        }
    }
}

/// Both buckets. The default is what a card has after its reset: it answers nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpLimit {
    /// ICMP errors for packets that are too big to be encapsulated.
    pub too_big: AnswerLimit,
    /// Echo replies.
    pub echo: AnswerLimit,
}

impl IcmpLimit {
    /// What holds where a configuration says nothing: 10,000 a second of each, a hundred at once.
    pub const USUAL: Self = Self {
        too_big: AnswerLimit {
            rate: 10,
            burst: 100,
        },
        echo: AnswerLimit {
            rate: 10,
            burst: 100,
        },
    };

    /// The card answers nothing; stored forms leave it out.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Card {
    /// Sets how often the card answers; its buckets are full then.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn set_icmp_limit(&self, limit: &IcmpLimit) -> Result<(), CardError> {
        let registers = registers(self.bar()).core().icmp_limit();
        for (register, limit) in registers.iter().zip([limit.too_big, limit.echo]) {
            register.try_write(|r| {
                r.set_rate(limit.rate);
                r.set_burst(limit.burst);
            })?;
        }
        Ok(())
    }

    /// How often the card answers.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn icmp_limit(&self) -> Result<IcmpLimit, CardError> {
        let registers = registers(self.bar()).core().icmp_limit();
        let read = |i: usize| -> Result<AnswerLimit, CardError> {
            let held = registers[i].try_read()?;
            Ok(AnswerLimit {
                rate: held.rate(),
                burst: held.burst(),
            })
        };
        Ok(IcmpLimit {
            too_big: read(0)?,
            echo: read(1)?,
        })
    }
}
