//! The simulator as its clients see it: the server, the function, DMA, lockstep, wires; on the reference model.
#![allow(clippy::unwrap_used)] // tests: a failure is what they are for

mod client;
mod dma;
mod framing;
mod function;
mod idle;
mod live;
mod published_client;
mod replay;
mod rig;
mod sandbox;
mod tap;
