//! One PCI function: what its folder in sysfs says.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::{PciAddress, SysfsError, is_card_id};

/// The driver that hands a function to user space.
pub const VFIO_PCI: &str = "vfio-pci";

/// A PCI function, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciFunction {
    /// Where it is.
    pub address: PciAddress,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class, subclass and programming interface: 24 bits.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// The driver that it is bound to.
    pub driver: Option<String>,
    /// Its IOMMU group; `None`: no IOMMU stands between it and memory.
    pub iommu_group: Option<u32>,
    /// Its PCIe link as it runs; `None`: not PCIe, or down.
    pub link: Option<Link>,
    /// What the function itself could do.
    pub max_link: Option<Link>,
    /// The NUMA node that it is at, on machines that have several.
    pub numa_node: Option<u16>,
}

/// A PCIe link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Transfers a second on each lane.
    pub speed: LinkSpeed,
    /// Lanes.
    pub width: u8,
}

/// A PCIe link's speed, in tenths of a GT/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkSpeed(pub u16);

impl fmt::Display for LinkSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole} GT/s"),
            (whole, tenth) => write!(f, "{whole}.{tenth} GT/s"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x{}", self.speed, self.width)
    }
}

impl PciFunction {
    /// Reads the folder of one function.
    pub(super) fn read(address: PciAddress, folder: &Path) -> Result<Self, SysfsError> {
        Ok(Self {
            address,
            vendor: hex(folder, "vendor")?,
            device: hex(folder, "device")?,
            class: hex(folder, "class")?,
            revision: if_there(hex(folder, "revision"))?.unwrap_or_default(),
            driver: link_name(folder, "driver")?,
            iommu_group: iommu_group(folder)?,
            link: link(folder, "current_link_speed", "current_link_width")?,
            max_link: link(folder, "max_link_speed", "max_link_width")?,
            numa_node: numa_node(folder)?,
        })
    }

    /// Whether it has a Guideway card's PCI id.
    #[must_use]
    pub fn is_card(&self) -> bool {
        is_card_id(self.vendor, self.device)
    }

    /// Whether it is bound to vfio-pci.
    #[must_use]
    pub fn is_bound_to_vfio(&self) -> bool {
        self.driver.as_deref() == Some(VFIO_PCI)
    }

    /// Whether its driver keeps its group from user space. Those that do not: none at all, vfio-pci and its variants, pci-stub, and the
    /// port driver of bridges (Linux, `Documentation/driver-api/vfio.rst`).
    #[must_use]
    pub fn blocks_its_group(&self) -> bool {
        match self.driver.as_deref() {
            None | Some("pci-stub" | "pcieport") => false,
            Some(name) => !name.replace('_', "-").ends_with(VFIO_PCI),
        }
    }

    /// The command that gives it to vfio-pci.
    #[must_use]
    pub fn command_to_bind(&self) -> String {
        if self.is_card() {
            format!("guideway device bind {}", self.address)
        } else {
            // guideway binds its own cards only
            format!(
                "driverctl --nosave set-override {} {VFIO_PCI}",
                self.address
            )
        }
    }
}

/// A file's text, without its line end.
fn text(folder: &Path, name: &str) -> Result<String, SysfsError> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end_matches('\n').to_owned()),
        Err(error) => Err(SysfsError::reading(&path, &error)),
    }
}

/// `None` for a file that does not exist.
fn if_there<T>(read: Result<T, SysfsError>) -> Result<Option<T>, SysfsError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(SysfsError::NotThere { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn unexpected(folder: &Path, name: &str, text: String, expected: &'static str) -> SysfsError {
    SysfsError::Unexpected {
        path: folder.join(name),
        text,
        expected,
    }
}

fn hex<T: TryFrom<u32>>(folder: &Path, name: &str) -> Result<T, SysfsError> {
    let text = text(folder, name)?;
    text.strip_prefix("0x")
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| unexpected(folder, name, text, "a number like 0x1b36"))
}

/// The last part of a symbolic link's target.
fn link_name(folder: &Path, name: &str) -> Result<Option<String>, SysfsError> {
    let path = folder.join(name);
    if_there(std::fs::read_link(&path).map_err(|error| SysfsError::reading(&path, &error))).map(
        |target| {
            let last = target.as_deref().and_then(Path::file_name);
            last.map(|last| last.to_string_lossy().into_owned())
        },
    )
}

pub(super) fn driver_override(folder: &Path) -> Result<Option<String>, SysfsError> {
    let text = if_there(text(folder, "driver_override"))?;
    // the kernel prints its null pointer
    Ok(text.filter(|text| !text.is_empty() && text != "(null)"))
}

fn iommu_group(folder: &Path) -> Result<Option<u32>, SysfsError> {
    let Some(group) = link_name(folder, "iommu_group")? else {
        return Ok(None);
    };
    match group.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(unexpected(
            folder,
            "iommu_group",
            group,
            "a link to a number",
        )),
    }
}

fn numa_node(folder: &Path) -> Result<Option<u16>, SysfsError> {
    let Some(text) = if_there(text(folder, "numa_node"))? else {
        return Ok(None);
    };
    match i32::from_str(&text) {
        // -1: the firmware has not said
        Ok(node) => Ok(u16::try_from(node).ok()),
        Err(_) => Err(unexpected(folder, "numa_node", text, "a number")),
    }
}

/// A link that is down has speed "Unknown" or width 0; a width that nobody has set reads 255.
fn link(folder: &Path, speed: &str, width: &str) -> Result<Option<Link>, SysfsError> {
    let (Some(speed), Some(width)) = (
        if_there(text(folder, speed))?,
        if_there(text(folder, width))?,
    ) else {
        return Ok(None);
    };
    let width = width.parse().ok().filter(|width| (1..=32).contains(width));
    Ok(parse_speed(&speed)
        .zip(width)
        .map(|(speed, width)| Link { speed, width }))
}

/// "16.0 GT/s PCIe"; before Linux 5.12 "16 GT/s".
fn parse_speed(text: &str) -> Option<LinkSpeed> {
    let number = text.split_once(" GT/s")?.0;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let tenth = u16::from(u8::from_str(tenth).ok().filter(|tenth| *tenth < 10)?);
    let tenths = u16::from_str(whole)
        .ok()?
        .checked_mul(10)?
        .checked_add(tenth)?;
    (tenths > 0).then_some(LinkSpeed(tenths))
}
