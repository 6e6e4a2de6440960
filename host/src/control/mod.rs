//! The control plane: from the desired state to the card.
//!
//! Owns the host's notion of what is on the card ([`state`]), how to get from one state to the next ([`plan`], [`carry_out`]), what
//! outlives the host ([`store`]), what the next one makes of it ([`recovery`]), how others see it ([`daemon`]) and trace its packets
//! ([`trace`]), and the loop that does all this beside the packets ([`host`]).

pub mod carry_out;
pub mod daemon;
pub mod echo;
mod entries;
mod heart;
pub mod host;
pub mod pcap;
pub mod plan;
mod recovery;
pub mod replay;
pub mod state;
pub mod status;
pub mod store;
pub mod sweep;
pub mod trace;
