//! What is remembered of a function between bind and unbind: one small file each in the runtime directory.
//!
//! Owns `devices/ADDRESS.json`, written beside and renamed, and the lock that keeps two commands from one function. The directory goes
//! with a reboot, and so does what it remembers: the kernel starts with its own drivers.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BindingError;
use crate::device::PciAddress;
use crate::file_lock;

/// Version of the file.
const VERSION: u32 = 1;

/// What had a function before it was bound to vfio-pci.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its driver.
    pub driver: Option<String>,
    /// Its `driver_override`.
    pub driver_override: Option<String>,
}

/// The record's form in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    driver: Option<String>,
    driver_override: Option<String>,
}

/// The folder of records.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

/// Held while a function is worked on.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File);

impl Records {
    /// The records of a runtime directory. Nothing is made before something is to be remembered.
    #[must_use]
    pub fn of(runtime_dir: &Path) -> Self {
        Self {
            folder: runtime_dir.join("devices"),
        }
    }

    /// Keeps others from a function until it is dropped.
    ///
    /// # Errors
    /// [`BindingError::UnderWay`] when another has it; others when the file system refuses.
    pub fn lock(&self, address: PciAddress) -> Result<Lock, BindingError> {
        let path = self.folder.join(format!(".{address}.lock"));
        std::fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let file = File::create(&path).map_err(failed(&path))?;
        match file_lock::take(&file) {
            Ok(()) => Ok(Lock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(BindingError::UnderWay { address }),
            Err(error) => Err(failed(&path)(error.into())),
        }
    }

    /// What is remembered of a function.
    ///
    /// # Errors
    /// When the file cannot be read, or is of another version.
    pub fn load(&self, address: PciAddress) -> Result<Option<Record>, BindingError> {
        let path = self.path(address);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path)(error)),
        };
        match serde_json::from_str::<Written>(&text) {
            Ok(written) if written.version == VERSION => Ok(Some(Record {
                driver: written.driver,
                driver_override: written.driver_override,
            })),
            Ok(_) | Err(_) => Err(BindingError::Record {
                path,
                reason: "is no note of this version; remove it to forget what was there".into(),
            }),
        }
    }

    /// Remembers.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, address: PciAddress, record: &Record) -> Result<(), BindingError> {
        let written = Written {
            version: VERSION,
            driver: record.driver.clone(),
            driver_override: record.driver_override.clone(),
        };
        let path = self.path(address);
        let beside = self.folder.join(format!(".{address}.new"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&beside)?;
            serde_json::to_writer_pretty(&file, &written)?;
            file.write_all(b"\n")?;
            // no sync: what outlives the program is enough, after a reboot there is nothing to put back
            std::fs::rename(&beside, &path)
        };
        write().map_err(failed(&path))
    }

    /// Forgets.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget(&self, address: PciAddress) -> Result<(), BindingError> {
        let path = self.path(address);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    fn path(&self, address: PciAddress) -> PathBuf {
        self.folder.join(format!("{address}.json"))
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> BindingError + use<> {
    let path = path.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::PermissionDenied => BindingError::NotRoot {
            doing: "remembering what had the card".into(),
            file: path.clone(),
        },
        _ => BindingError::Record {
            path: path.clone(),
            reason: error.to_string(),
        },
    }
}
