//! The Guideway card as a device on plain Linux: its models, their PCI function, wires and time.

pub mod card;
pub mod memory;
pub mod reference;
pub mod registers;
pub mod pcie;
pub mod vfio_user;
