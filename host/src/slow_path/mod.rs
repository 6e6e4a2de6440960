//! The slow path: connections that the card does not know.
//!
//! Owns a punt's way: read the frame ([`packet`]), find or decide its backend ([`decide`]), record it ([`connections`]), give it a
//! place on the card ([`placement`], [`flows`]), and send the frame on. [`poll`] is the loop that does so. Flows that the card records
//! without asking are taken over by [`learned`]. Before the ring, a packet's own word of its server and its source may decide
//! ([`routes`]). Fragments and ICMP errors, of which the card knows less, have a way of their own ([`fragment_class`]), as
//! have packets that fit into no frame of the way to their backend: they are encapsulated here ([`outer`]) and sent in parts ([`split`]).

mod aging;
pub mod connections;
pub mod decide;
pub mod flow_hash;
pub mod flows;
mod follow;
pub mod fragment;
pub mod fragment_class;
mod fragment_meter;
pub mod fragments;
pub mod icmp_error;
pub mod learned;
pub mod outer;
pub mod packet;
pub mod pin;
pub mod placement;
pub mod poll;
pub mod routes;
pub mod server_id;
pub mod split;
pub mod view;
