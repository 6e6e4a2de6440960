//! The slow path: connections that the card does not know.
//!
//! Owns a punt's way: read the frame ([`packet`]), find or decide its backend ([`decide`]), record it ([`connections`]), give it a
//! place on the card ([`placement`], [`flows`]), and send the frame on. [`poll`] is the loop that does so.

pub mod connections;
pub mod decide;
pub mod flow_hash;
pub mod flows;
pub mod packet;
pub mod pin;
pub mod placement;
pub mod poll;
pub mod view;
