//! The Guideway card as a device on plain Linux: its models, their PCI function, wires and time.

pub mod card;
