//! The vfio-user client.
