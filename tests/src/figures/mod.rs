//! What the data path is measured by, in cycles, packets and bytes of the RTL.
//!
//! [`ways`] are the encapsulations and the frames that take them, [`world`] the tables, [`runs`] measures one property at a
//! time, for tests; [`rows`] is the whole table of rates, for `make bench`.

mod rows;
mod runs;
mod ways;
mod world;

pub use rows::{Mode, Row, Rows, SHAPES, Scale, Shape};
pub use runs::{Latency, Run, latencies, latencies_by, run, run_by};
pub use ways::{WAYS, Way};
pub use world::{flow, frame, program, program_by, swap_ring};

/// Bytes that IPIP in IPv4 adds.
pub const IPIP: usize = WAYS[0].outer;
/// Bytes of a beat.
pub const BEAT: usize = 64;
/// The card's clock, in MHz.
pub const CLOCK_MHZ: f64 = 322.265_625;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Beats of this many bytes.
#[must_use]
pub const fn beats(bytes: usize) -> u64 {
    bytes.div_ceil(BEAT) as u64
}
