//! The reference model: the card in plain Rust, written from `CARD.md` and nothing else.
//!
//! It is the RTL's independent oracle, so it shares no code with it and copies none of its structure below the stations'
//! names. It is exact in registers, host memory, frames, decisions and counters; not in cycles: a beat is one, frames are
//! processed one after another, and a frame is decided with the tables as they are when it is taken.
//!
//! ```text
//! parse -> vip_lookup -> quic, flow_hash -> flow_lookup, ring_lookup -> backend -> verdict -> encap     pure: `decide`
//!       -> learn, admit -> egress | host_queue -> rx_ring -> host memory                          `path`, `model`
//!          trace -> record_ring -> host memory
//! ```

mod admit;
mod backend;
mod command_ring;
mod commands;
mod counters;
mod descriptor_ring;
mod dma;
mod egress;
mod encap;
mod flow_hash;
mod flow_lookup;
mod host_queue;
mod icmp_error;
mod learn;
mod meter;
mod model;
mod msix;
mod parse;
mod path;
mod quic;
mod record_ring;
mod registers;
mod reply;
mod ring_lookup;
mod ring_state;
mod rx_ring;
mod tables;
mod token_bucket;
mod trace;
mod tx_ring;
mod verdict;
mod vip_lookup;

#[cfg(test)]
mod tests;

pub use flow_hash::{flow_hash, jhash_2words, jhash_16_bytes};
pub use flow_lookup::{FlowHit, flow_lookup};
pub use model::ReferenceCard;
pub use parse::{Packet, Parsed, Source, Tags, parse};
pub use quic::{ConnectionId, quic_key, quic_lookup};
pub use registers::Config;
pub use ring_lookup::{RingHit, ring_lookup};
pub use tables::{Beat, FlowPlace, Tables};
pub use verdict::{Decision, decide, decide_over_meter};
pub use vip_lookup::{VipHit, vip_lookup};

use descriptor_ring::DescriptorRing;
use dma::Dma;
use host_queue::{HostFrame, HostQueue};

/// Beats of 64 bytes that a frame takes on a stream.
const fn beats(bytes: usize) -> u64 {
    let beats = bytes.div_ceil(64) as u64;
    if beats == 0 { 1 } else { beats }
}
