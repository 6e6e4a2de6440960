//! The simulator as its clients see it: the server, the function, DMA, lockstep, wires; on the reference model.

mod client;
mod dma;
mod framing;
mod function;
mod published_client;
mod replay;
mod rig;
