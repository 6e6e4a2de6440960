//! Why a card cannot be bound or unbound, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use guideway_hdl::{PCI_DEVICE, PCI_VENDOR};

use crate::device::PciAddress;
use crate::device::sysfs::SysfsError;

/// A failed bind or unbind.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BindingError {
    /// Sysfs.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
    /// Another kind of function.
    #[error(
        "{address} is no Guideway card (PCI id {vendor:04x}:{device:04x}, expected {PCI_VENDOR:04x}:{PCI_DEVICE:04x}), and is left alone: \
         driverctl is for other cards"
    )]
    NotACard {
        /// The function.
        address: PciAddress,
        /// Its vendor id.
        vendor: u16,
        /// Its device id.
        device: u16,
    },
    /// No IOMMU before it.
    #[error("{address} is in no IOMMU group: {}", no_iommu(*.elsewhere))]
    NoIommu {
        /// The function.
        address: PciAddress,
        /// Other functions are in groups.
        elsewhere: bool,
    },
    /// The driver is missing.
    #[error("the driver vfio-pci is not loaded: run modprobe vfio-pci{}", locked(.lockdown.as_deref()))]
    NoVfioPci {
        /// How far the kernel is locked down.
        lockdown: Option<String>,
    },
    /// Another command is at it.
    #[error(
        "another bind or unbind of {address} is still under way: if it waits for a program to close the card, end that program \
         (guideway device list names it)"
    )]
    UnderWay {
        /// The function.
        address: PciAddress,
    },
    /// No permission.
    #[error("{doing} needs root: {} is not writable; run it with sudo", .file.display())]
    NotRoot {
        /// What was being done.
        doing: String,
        /// The file.
        file: PathBuf,
    },
    /// Sysfs is read-only.
    #[error("{doing}: {} is on a read-only file system, as in most containers: run it on the machine itself", .file.display())]
    ReadOnly {
        /// What was being done.
        doing: String,
        /// The file.
        file: PathBuf,
    },
    /// The kernel refused.
    #[error("{doing}: {}: {reason}; the kernel's log (dmesg) may say why", .file.display())]
    Refused {
        /// What was being done.
        doing: String,
        /// The file.
        file: PathBuf,
        /// The kernel's error; 0: none of its.
        errno: i32,
        /// Its text.
        reason: String,
    },
    /// The kernel took the request, but the driver does not have the function.
    #[error(
        "the kernel did not bind {address} to {driver} ({}){}; its log says why: dmesg | grep {address}",
        .found.as_ref().map_or("it has no driver".to_owned(), |found| format!("{found} has it")),
        if *.restored { ", and what was there before is there again" } else { "" }
    )]
    NotBound {
        /// The function.
        address: PciAddress,
        /// The driver that should have it.
        driver: String,
        /// The one that has it.
        found: Option<String>,
        /// What was there before is there again.
        restored: bool,
    },
    /// The driver before is not there.
    #[error(
        "{address} had the driver {driver}, which is not loaded any more: run modprobe {driver}, then this command again"
    )]
    DriverGone {
        /// The function.
        address: PciAddress,
        /// The driver.
        driver: String,
    },
    /// The note of what was there cannot be used.
    #[error("{}: {reason}; another place is chosen with --runtime-dir", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl BindingError {
    pub(super) fn writing(doing: &str, file: &Path, error: &io::Error) -> Self {
        let (doing, file) = (doing.to_owned(), file.to_owned());
        match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Self::NotRoot { doing, file },
            Some(libc::EROFS) => Self::ReadOnly { doing, file },
            errno => Self::Refused {
                doing,
                file,
                errno: errno.unwrap_or_default(),
                reason: error.to_string(),
            },
        }
    }

    /// The same, once what was there before is there again.
    pub(super) fn with_restored(mut self) -> Self {
        if let Self::NotBound { restored, .. } = &mut self {
            *restored = true;
        }
        self
    }
}

fn no_iommu(elsewhere: bool) -> &'static str {
    if elsewhere {
        "the IOMMU does not cover its slot; put the card into another one"
    } else {
        "no IOMMU is at work; enable VT-d or AMD-Vi in the firmware, and boot Linux with intel_iommu=on (Intel)"
    }
}

fn locked(lockdown: Option<&str>) -> String {
    lockdown.map_or_else(String::new, |level| {
        format!(
            " (the kernel is locked down, {level}: only signed modules are loaded, those of the distribution are)"
        )
    })
}
