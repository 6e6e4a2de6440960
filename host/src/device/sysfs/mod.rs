//! PCI functions as the kernel's sysfs shows them: who they are, which driver has them, which IOMMU group they are in.
//!
//! Owns reading `/sys/bus/pci` and `/sys/kernel/iommu_groups` (Linux, `Documentation/ABI/testing/sysfs-bus-pci` and
//! `sysfs-kernel-iommu_groups`). Opens no device and changes nothing. The root folder is an argument: tests give a folder of their own.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use guideway_hdl::{PCI_DEVICE, PCI_VENDOR};

use super::PciAddress;

mod error;
mod function;

pub use error::SysfsError;
pub use function::{Link, LinkSpeed, PciFunction, VFIO_PCI};

/// A view of sysfs.
#[derive(Clone, Debug)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    /// The kernel's, at `/sys`.
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Sysfs {
    /// Sysfs as it lies in `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// One function.
    ///
    /// # Errors
    /// [`SysfsError::NoFunction`] when there is none, with the Guideway cards that there are; others when sysfs is not as documented.
    pub fn function(&self, address: PciAddress) -> Result<PciFunction, SysfsError> {
        let folder = self.device_folder(address);
        if !folder.exists() {
            let cards = self.cards().unwrap_or_default();
            return Err(SysfsError::NoFunction {
                address,
                cards: cards.iter().map(|card| card.address).collect(),
            });
        }
        PciFunction::read(address, &folder)
    }

    /// All functions, by address.
    ///
    /// # Errors
    /// When there is no PCI bus, or sysfs is not as documented.
    pub fn functions(&self) -> Result<Vec<PciFunction>, SysfsError> {
        self.read_all(&self.root.join("bus/pci/devices"))
    }

    /// The functions with a Guideway card's PCI id, by address. Empty where there is no PCI bus at all.
    ///
    /// # Errors
    /// When sysfs is not as documented.
    pub fn cards(&self) -> Result<Vec<PciFunction>, SysfsError> {
        match self.functions() {
            Ok(mut functions) => {
                functions.retain(PciFunction::is_card);
                Ok(functions)
            }
            Err(SysfsError::NotThere { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The functions of an IOMMU group, by address.
    ///
    /// # Errors
    /// When there is no such group, or sysfs is not as documented.
    pub fn group_members(&self, group: u32) -> Result<Vec<PciFunction>, SysfsError> {
        self.read_all(
            &self
                .root
                .join(format!("kernel/iommu_groups/{group}/devices")),
        )
    }

    /// The functions that keep `group` from being viable: each is bound to a driver that shares its DMA with nobody in user space.
    /// They must be bound to vfio-pci, or to no driver, before any function of the group can be opened.
    ///
    /// # Errors
    /// As [`Sysfs::group_members`].
    pub fn group_blockers(&self, group: u32) -> Result<Vec<PciFunction>, SysfsError> {
        let mut members = self.group_members(group)?;
        members.retain(PciFunction::blocks_its_group);
        Ok(members)
    }

    /// Whether the kernel has an IOMMU at work: it then has groups.
    #[must_use]
    pub fn has_iommu(&self) -> bool {
        std::fs::read_dir(self.root.join("kernel/iommu_groups"))
            .is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Whether a PCI driver of this name is loaded.
    #[must_use]
    pub fn has_driver(&self, name: &str) -> bool {
        self.driver_folder(name).is_dir()
    }

    /// How far the kernel is locked down: `integrity`, `confidentiality`, or `None`: not, or unknown.
    #[must_use]
    pub fn lockdown(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join("kernel/security/lockdown")).ok()?;
        let level = text.split_once('[')?.1.split_once(']')?.0;
        (level != "none").then(|| level.to_owned())
    }

    /// The only driver that may bind to a function, when somebody has said so.
    ///
    /// Waits for as long as the kernel waits for somebody to give the function back: it holds the function's lock meanwhile.
    ///
    /// # Errors
    /// When there is no such function.
    pub fn driver_override(&self, address: PciAddress) -> Result<Option<String>, SysfsError> {
        function::driver_override(&self.device_folder(address))
    }

    /// The device nodes through which user space reaches a function of `group`, relative to `/dev/vfio`: the group's, and since Linux 6.6
    /// the function's own.
    #[must_use]
    pub fn vfio_nodes(&self, address: PciAddress, group: u32) -> Vec<PathBuf> {
        let own = list(&self.device_folder(address).join("vfio-dev")).unwrap_or_default();
        let own = own.iter().map(|name| Path::new("devices").join(name));
        std::iter::once(PathBuf::from(group.to_string()))
            .chain(own)
            .collect()
    }

    /// The file `name` of a function.
    pub(super) fn function_file(&self, address: PciAddress, name: &str) -> PathBuf {
        self.device_folder(address).join(name)
    }

    /// The file `name` of a PCI driver.
    pub(super) fn driver_file(&self, driver: &str, name: &str) -> PathBuf {
        self.driver_folder(driver).join(name)
    }

    /// The file that has the kernel look for a driver.
    pub(super) fn drivers_probe(&self) -> PathBuf {
        self.root.join("bus/pci/drivers_probe")
    }

    /// Where the kernel shows a function.
    fn device_folder(&self, address: PciAddress) -> PathBuf {
        self.root.join("bus/pci/devices").join(address.to_string())
    }

    /// Where the kernel shows a PCI driver.
    fn driver_folder(&self, name: &str) -> PathBuf {
        self.root.join("bus/pci/drivers").join(name)
    }

    /// The functions that a folder names. What is no PCI address is passed over: a group can hold other devices, and domains above
    /// 0xffff are a host's inner ones (VMD).
    fn read_all(&self, folder: &Path) -> Result<Vec<PciFunction>, SysfsError> {
        let mut addresses: Vec<PciAddress> = list(folder)?
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect();
        addresses.sort_unstable();
        let mut functions = Vec::with_capacity(addresses.len());
        for address in addresses {
            match PciFunction::read(address, &self.device_folder(address)) {
                Ok(function) => functions.push(function),
                // unplugged since the folder was read
                Err(SysfsError::NotThere { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(functions)
    }
}

fn list(folder: &Path) -> Result<Vec<OsString>, SysfsError> {
    std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<io::Result<_>>()
        })
        .map_err(|error| SysfsError::reading(folder, &error))
}

/// Whether a PCI id is a Guideway card's.
fn is_card_id(vendor: u16, device: u16) -> bool {
    (vendor, device) == (PCI_VENDOR, PCI_DEVICE)
}

#[cfg(test)]
pub(crate) mod tests;
