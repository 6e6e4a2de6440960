//! What can go wrong with sysfs. Each text says what to do next where that is known.

use std::io;
use std::path::{Path, PathBuf};

use super::PciAddress;

/// Failed use of sysfs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SysfsError {
    /// No function has this address.
    #[error("there is no PCI function {address}; {}", known(.cards))]
    NoFunction {
        /// The address.
        address: PciAddress,
        /// The Guideway cards that there are.
        cards: Vec<PciAddress>,
    },
    /// A file or folder does not exist.
    #[error("{} does not exist", .path.display())]
    NotThere {
        /// Which.
        path: PathBuf,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file holds what the kernel's documentation does not foresee.
    #[error("{} holds \"{text}\", expected {expected}", .path.display())]
    Unexpected {
        /// Which.
        path: PathBuf,
        /// What it holds.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl SysfsError {
    pub(super) fn reading(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.raw_os_error() {
            // ENODEV: the function went while its file was open
            Some(libc::ENOENT | libc::ENODEV) => Self::NotThere { path },
            _ => Self::Read {
                path,
                reason: error.to_string(),
            },
        }
    }
}

fn known(cards: &[PciAddress]) -> String {
    match cards {
        [] => format!(
            "no card with PCI id {:04x}:{:04x} is in this machine",
            guideway_hdl::PCI_VENDOR,
            guideway_hdl::PCI_DEVICE
        ),
        _ => {
            let cards: Vec<String> = cards.iter().map(ToString::to_string).collect();
            format!("Guideway cards are at {}", cards.join(", "))
        }
    }
}
