//! `guideway device`: the cards of this machine.
//!
//! Owns the commands' names and how addresses are typed. Finding is [`crate::device::sysfs`]'s, binding [`crate::device::binding`]'s.

mod bind;
mod info;
mod list;
mod row;
mod worker;

use clap::Subcommand;

use crate::device::{AddressError, DeviceAddress, PciAddress};

/// Find cards, look at them, give them to guideway and back.
// what each command does stands on its own type: a line here would hide the long text there
#[derive(Debug, Subcommand)]
pub enum Device {
    List(list::List),
    Bind(bind::Bind),
    Unbind(bind::Unbind),
    Info(info::Info),
}

impl Device {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(),
            Self::Bind(command) => command.run(),
            Self::Unbind(command) => command.run(),
            Self::Info(command) => command.run(),
        }
    }
}

/// Where daemons keep their files.
const RUNTIME_DIR: &str = "/run/guideway";

/// A PCI function as it is typed: with `vfio:` before it, as the configuration has it, or without.
fn pci_address(text: &str) -> Result<PciAddress, AddressError> {
    text.strip_prefix("vfio:").unwrap_or(text).parse()
}

/// A device as it is typed: as in the configuration, or a bare PCI address.
fn device_address(text: &str) -> Result<DeviceAddress, AddressError> {
    match text.parse::<PciAddress>() {
        Ok(place) => Ok(DeviceAddress::Vfio(place)),
        Err(_) => text.parse(),
    }
}

#[cfg(test)]
mod tests;
