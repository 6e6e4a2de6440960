//! The control plane: from the desired state to the card.
//!
//! Owns the host's notion of what is on the card ([`state`]) and how to get from one state to the next ([`plan`]). Carrying a
//! plan out while packets come in is [`carry_out`]'s.

pub mod state;
