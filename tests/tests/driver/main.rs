//! The driver against the simulator: the card's PCI function over a socket, both models behind it.
//!
//! What is asked of the card is checked where it can be seen: in the tables read back, on the wire, in the counters.

#![allow(clippy::unwrap_used)] // helpers of tests

mod exact;
mod fuse;
mod models;
mod stage;
mod ways;

mod adopting;
mod believed;
mod crash;
mod faults;
mod learned;
mod next_hops;
mod queues;
mod status;
mod tables;
mod too_big;
mod traces;

/// Makes a test of each function, once for each model.
macro_rules! on_both_models {
    ($($test:ident),* $(,)?) => {
        mod reference {
            $(#[test] fn $test() { super::$test(guideway_sim::card::Model::Reference); })*
        }
        mod rtl {
            $(#[test] fn $test() { super::$test(guideway_sim::card::Model::Rtl); })*
        }
    };
}
pub(crate) use on_both_models;
