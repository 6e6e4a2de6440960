//! Guideway's host side: it builds Maglev tables, pushes them into the card, decides the connections that the card does not
//! know, and serves operators.
//!
//! `device` and `card` reach the card, `maglev` builds rings, `config` reads what the operator wants, `slow_path` decides misses,
//! `control` brings the card to what is wanted, `cli` is the command line. `decap` is for backends.

pub mod card;
pub mod cli;
pub mod config;
pub mod control;
pub mod decap;
pub mod device;
mod file_lock;
pub mod maglev;
pub mod slow_path;
