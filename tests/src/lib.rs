//! What the end-to-end tests, the demo, the VM test and the benchmarks share: networks of namespaces, traffic with known bytes, the
//! simulator in this process, a virtual machine around it.

pub mod access_cost;
pub mod datagrams;
pub mod figures;
pub mod net;
pub mod simulator;
pub mod traffic;
pub mod vm;
