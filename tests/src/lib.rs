//! What the end-to-end tests, the demo and the benchmarks share: networks of namespaces, traffic with known bytes.

pub mod figures;
pub mod net;
pub mod traffic;
