//! Tracing: which packets the card tells of, and what becomes of its records.
//!
//! ```text
//! card ─► record ring ─► tap, in the packet loop ─► session, on the daemon's socket ─► client: guideway trace
//!                     └► guideway replay                                                  └► lines, JSON, captures
//! ```
//! Owns the account of what was lost on this way ([`Losses`]): nothing on it waits for who comes after.

pub mod capture;
pub mod client;
pub mod filter;
pub mod json;
pub mod line;
pub mod names;
pub mod output;
pub mod session;
pub mod tap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Records that were lost since the trace began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Traces that found no room in the card or its ring.
    pub traces: u64,
    /// Flow events, likewise.
    pub flow_events: u64,
    /// Records that the daemon had, and that the client was too slow for.
    pub dropped: u64,
}

impl Losses {
    /// The form among records.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "record": "lost",
            "traces": self.traces,
            "flow_events": self.flow_events,
            "dropped": self.dropped,
        })
    }
}
