//! Tools that a test runs in the guest: what no command of `guideway` does, because no operator needs it.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use guideway::device::{self, Device, DeviceAddress, PciAddress};
use guideway_tests::access_cost;
use rustix::process::{Resource, Rlimit, setrlimit};

mod bad_dma;
mod tables;

/// What the VM test runs in its guest.
#[derive(Debug, Parser)]
pub enum Tool {
    /// Write a text to a file, such as one of sysfs, which may block.
    Write {
        /// The file.
        path: String,
        /// The text.
        text: String,
    },
    /// Give a file to a user and the group of the same number.
    Give {
        /// The file.
        path: String,
        /// The user.
        user: u32,
    },
    /// Run a program as an ordinary user who may lock only so much memory.
    Limited {
        /// The user's and group's number.
        #[arg(long)]
        user: u32,
        /// RLIMIT_MEMLOCK, in bytes.
        #[arg(long)]
        memlock: u64,
        /// Program and arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        argv: Vec<String>,
    },
    /// Fill tables of a card with random content, read everything back, close it, open it, and erase it.
    Tables {
        /// The content.
        #[arg(long)]
        seed: u64,
        /// The card.
        address: PciAddress,
    },
    /// Measure what access to a card costs; it says "ready" when punts may come.
    Cost {
        /// The card.
        address: PciAddress,
    },
    /// Let a card's commands reach for memory that is not mapped.
    BadDma {
        /// The card.
        address: PciAddress,
    },
}

impl Tool {
    /// Does it.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Write { path, text } => fs::write(&path, text).context(path),
            Self::Give { path, user } => chown(&path, Some(user), Some(user)).context(path),
            Self::Limited {
                user,
                memlock,
                argv,
            } => {
                let limit = Rlimit {
                    current: Some(memlock),
                    maximum: Some(memlock),
                };
                setrlimit(Resource::Memlock, limit)?;
                let error = Command::new(&argv[0])
                    .args(&argv[1..])
                    .uid(user)
                    .gid(user)
                    .exec();
                Err(error).context(argv[0].clone())
            }
            Self::Tables { seed, address } => tables::fill_and_compare(seed, address),
            Self::Cost { address } => {
                let cost = access_cost::measure(open(address)?, || println!("ready"))?;
                println!("{}", serde_json::to_string(&cost)?);
                Ok(())
            }
            Self::BadDma { address } => bad_dma::reach(address),
        }
    }
}

/// Opens a card of the kernel's.
fn open(address: PciAddress) -> Result<Arc<dyn Device>> {
    Ok(device::open(&DeviceAddress::Vfio(address), None)?)
}
