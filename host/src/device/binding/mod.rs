//! Giving a card to user space, and back: `driver_override`, unbind, bind.
//!
//! Owns the order of the steps, and what is remembered between the two ([`record`]). A crash after any step leaves a state from which
//! running the same command again goes on. Who may ask for it, and how long one waits, is the command line's.
//!
//! The steps are Linux's (`Documentation/ABI/testing/sysfs-bus-pci`, `Documentation/driver-api/vfio.rst`):
//!
//! ```text
//! bind    note driver and driver_override ─► driver_override = vfio-pci ─► unbind the old driver ─► drivers_probe
//! unbind  driver_override as it was ─► unbind vfio-pci ─► bind the old driver ─► forget the note
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PciAddress;
use super::sysfs::{PciFunction, Sysfs, VFIO_PCI};

mod error;
mod node;
mod record;
mod users;

pub use error::BindingError;
pub use node::Node;
pub use record::{Record, Records};
pub use users::{User, Users};

/// How sysfs is written: by the kernel's files, or by a test in the kernel's place.
pub trait Files {
    /// Writes `text` to `path` in one write.
    ///
    /// # Errors
    /// The kernel's.
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;
}

/// The kernel's files.
#[derive(Clone, Copy, Debug)]
pub struct KernelFiles;

impl Files for KernelFiles {
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        use std::io::Write as _;
        // never created: what is not there is missing
        let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
        file.write_all(text.as_bytes())
    }
}

/// What [`Binding::bind`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// Nothing: it was bound to vfio-pci.
    Already,
    /// Bound it; `before` had it.
    Now {
        /// The driver before.
        before: Option<String>,
    },
}

/// What [`Binding::unbind`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unbound {
    /// Nothing: it was not bound to vfio-pci, and nothing was remembered of it.
    Already,
    /// What was there before `bind` is there again.
    Restored {
        /// The driver.
        driver: Option<String>,
    },
    /// It was bound to vfio-pci by somebody else: it now has no driver.
    Released,
    /// Somebody has given it to another driver meanwhile, which was left alone.
    Taken {
        /// That driver.
        driver: String,
    },
}

/// Binds and unbinds.
pub struct Binding<'a> {
    /// Where functions are found.
    pub sysfs: &'a Sysfs,
    /// How they are changed.
    pub files: &'a dyn Files,
    /// What is remembered of them.
    pub records: &'a Records,
    /// Told what is going to be done, before each step that can take time.
    pub step: &'a dyn Fn(&str),
}

impl Binding<'_> {
    /// Gives a card to vfio-pci, and remembers what had it. When that fails, what was there is put back.
    ///
    /// # Errors
    /// When it is no card, has no IOMMU group, vfio-pci is not loaded, or the kernel refuses.
    pub fn bind(&self, address: PciAddress) -> Result<Bound, BindingError> {
        let function = self.sysfs.function(address)?;
        self.check(&function)?;
        let _lock = self.records.lock(address)?;
        let only = self.sysfs.driver_override(address)?;
        let (bound, ours) = (
            function.is_bound_to_vfio(),
            only.as_deref() == Some(VFIO_PCI),
        );
        let known = self.records.load(address)?;
        let record = match known {
            None if bound => return Ok(Bound::Already),
            Some(_) if bound && ours => return Ok(Bound::Already),
            // bind or unbind ended in the middle: the note is older than what is there now
            Some(record) if bound || ours || function.driver.is_none() => record,
            _ => {
                let record = Record {
                    driver: function.driver.clone(),
                    driver_override: only,
                };
                self.records.save(address, &record)?;
                record
            }
        };
        match self.take(&function) {
            Ok(()) => Ok(Bound::Now {
                before: record.driver,
            }),
            Err(error) => Err(match self.put_back(address, &record) {
                Ok(()) => error.with_restored(),
                Err(_) => error,
            }),
        }
    }

    /// Puts back what [`Binding::bind`] had found. Waits for as long as somebody uses the function: the kernel asks them to close it, and
    /// cannot be told to stop waiting.
    ///
    /// # Errors
    /// When it is no card, the kernel refuses, or the driver before is not loaded any more.
    pub fn unbind(&self, address: PciAddress) -> Result<Unbound, BindingError> {
        let function = self.sysfs.function(address)?;
        // another function in vfio-pci's hands is somebody's virtual machine's
        check_card(&function)?;
        let _lock = self.records.lock(address)?;
        let Some(record) = self.records.load(address)? else {
            if !function.is_bound_to_vfio() {
                return Ok(Unbound::Already);
            }
            if self.sysfs.driver_override(address)?.as_deref() == Some(VFIO_PCI) {
                self.set_override(address, None)?;
            }
            self.release(address, VFIO_PCI)?;
            return Ok(Unbound::Released);
        };
        match function.driver {
            Some(driver) if driver != VFIO_PCI && Some(&driver) != record.driver.as_ref() => {
                if self.sysfs.driver_override(address)?.as_deref() == Some(VFIO_PCI) {
                    self.set_override(address, record.driver_override.as_deref())?;
                }
                self.records.forget(address)?;
                Ok(Unbound::Taken { driver })
            }
            _ => {
                self.put_back(address, &record)?;
                Ok(Unbound::Restored {
                    driver: record.driver,
                })
            }
        }
    }

    fn check(&self, function: &PciFunction) -> Result<(), BindingError> {
        let address = function.address;
        check_card(function)?;
        if function.iommu_group.is_none() {
            return Err(BindingError::NoIommu {
                address,
                elsewhere: self.sysfs.has_iommu(),
            });
        }
        if !self.sysfs.has_driver(VFIO_PCI) {
            return Err(BindingError::NoVfioPci {
                lockdown: self.sysfs.lockdown(),
            });
        }
        Ok(())
    }

    fn take(&self, function: &PciFunction) -> Result<(), BindingError> {
        let address = function.address;
        self.set_override(address, Some(VFIO_PCI))?;
        if let Some(driver) = &function.driver {
            if driver == VFIO_PCI {
                return Ok(());
            }
            self.release(address, driver)?;
        }
        (self.step)("binding it to vfio-pci");
        self.write(
            &self.sysfs.drivers_probe(),
            &address.to_string(),
            "binding it to vfio-pci",
        )?;
        self.expect(address, VFIO_PCI)
    }

    fn put_back(&self, address: PciAddress, record: &Record) -> Result<(), BindingError> {
        if self.sysfs.driver_override(address)? != record.driver_override {
            self.set_override(address, record.driver_override.as_deref())?;
        }
        let mut driver = self.sysfs.function(address)?.driver;
        if driver.as_deref() == Some(VFIO_PCI) {
            self.release(address, VFIO_PCI)?;
            driver = None;
        }
        if let (None, Some(before)) = (driver, &record.driver) {
            self.bind_to(address, before)?;
        }
        self.records.forget(address)
    }

    fn bind_to(&self, address: PciAddress, driver: &str) -> Result<(), BindingError> {
        if !self.sysfs.has_driver(driver) {
            return Err(BindingError::DriverGone {
                address,
                driver: driver.to_owned(),
            });
        }
        let doing = format!("binding it to {driver}");
        (self.step)(&doing);
        let file = self.sysfs.driver_file(driver, "bind");
        self.write(&file, &address.to_string(), &doing)?;
        self.expect(address, driver)
    }

    /// An empty line clears it.
    fn set_override(&self, address: PciAddress, driver: Option<&str>) -> Result<(), BindingError> {
        let file = self.sysfs.function_file(address, "driver_override");
        let text = format!("{}\n", driver.unwrap_or_default());
        self.write(&file, &text, "saying which driver may have it")
    }

    fn release(&self, address: PciAddress, driver: &str) -> Result<(), BindingError> {
        let doing = format!("unbinding it from {driver}");
        (self.step)(&doing);
        let file = self.sysfs.driver_file(driver, "unbind");
        match self.write(&file, &address.to_string(), &doing) {
            // it is no longer this driver's, or the driver has gone: somebody was faster
            Err(BindingError::Refused { errno, .. })
                if matches!(errno, libc::ENODEV | libc::ENOENT)
                    && self.sysfs.function(address)?.driver.as_deref() != Some(driver) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn expect(&self, address: PciAddress, driver: &str) -> Result<(), BindingError> {
        let found = self.sysfs.function(address)?.driver;
        if found.as_deref() == Some(driver) {
            return Ok(());
        }
        Err(BindingError::NotBound {
            address,
            driver: driver.to_owned(),
            found,
            restored: false,
        })
    }

    fn write(&self, file: &Path, text: &str, doing: &str) -> Result<(), BindingError> {
        self.files
            .write(file, text)
            .map_err(|error| BindingError::writing(doing, file, &error))
    }
}

fn check_card(function: &PciFunction) -> Result<(), BindingError> {
    if function.is_card() {
        return Ok(());
    }
    Err(BindingError::NotACard {
        address: function.address,
        vendor: function.vendor,
        device: function.device,
    })
}

/// Where user space reaches devices.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/dev/vfio`.
    pub nodes: PathBuf,
    /// `/proc`.
    pub processes: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            nodes: "/dev/vfio".into(),
            processes: "/proc".into(),
        }
    }
}

#[cfg(test)]
mod tests;
