//! The Guideway card as a device on plain Linux: its models, their PCI function, wires and time.

pub mod capture;
pub mod card;
pub mod control;
pub mod device;
pub mod harness;
pub mod memory;
pub mod pcie;
pub mod reference;
pub mod registers;
#[cfg(feature = "rtl")]
pub mod rtl;
pub mod time;
pub mod vfio_user;
pub mod wire;
