//! The vfio-user protocol, server side: how a driver or a virtual machine reaches the card over a socket.

pub mod link;
pub mod protocol;
pub mod server;
pub mod socket;
pub mod version;
