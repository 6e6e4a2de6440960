//! Opening a function: container, IOMMU group, function, in the order that Linux wants (`Documentation/driver-api/vfio.rst`).
//!
//! Owns the order, and the decision which refusal it is when a step fails. What the refusals say is [`super::refusal`]'s.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio as abi;

use super::kernel::Kernel;
use super::refusal::{self, NodeOwner};
use crate::device::sysfs::{PciFunction, Sysfs, VFIO_PCI};
use crate::device::{DeviceError, PciAddress};

/// Where the kernel shows what is needed.
#[derive(Clone, Debug)]
pub struct Places {
    /// Functions, drivers, groups.
    pub sysfs: Sysfs,
    /// The folder of the container's and the groups' nodes.
    pub nodes: PathBuf,
    /// The file that names groups of users.
    pub user_groups: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            sysfs: Sysfs::default(),
            nodes: "/dev/vfio".into(),
            user_groups: "/etc/group".into(),
        }
    }
}

/// An open function with what keeps it open. To be closed in this order.
#[derive(Debug)]
pub struct Opened {
    /// The function.
    pub function: OwnedFd,
    /// Its group.
    pub group: OwnedFd,
    /// The container: the group's IOMMU mappings.
    pub container: OwnedFd,
}

/// One attempt to open.
struct Opener<'a> {
    places: &'a Places,
    kernel: &'a dyn Kernel,
    address: PciAddress,
    name: &'a str,
}

/// Opens the function at `address`; `name` is it in messages.
///
/// # Errors
/// When it cannot be had; the message says what to do.
pub fn open(
    places: &Places,
    kernel: &dyn Kernel,
    address: PciAddress,
    name: &str,
) -> Result<Opened, DeviceError> {
    let opener = Opener {
        places,
        kernel,
        address,
        name,
    };
    let group = opener.find_group()?;
    let container = opener.open_container()?;
    let node = places.nodes.join(group.to_string());
    let group_fd = opener.open_group(group, &node)?;
    opener.join(group, &group_fd, &container)?;
    let function = opener.open_function(group, &group_fd)?;
    Ok(Opened {
        function,
        group: group_fd,
        container,
    })
}

impl Opener<'_> {
    fn refuse(&self, reason: impl Into<String>) -> DeviceError {
        DeviceError::Open {
            device: self.name.to_owned(),
            reason: reason.into(),
        }
    }

    /// A step that the kernel refused for no reason that only this step has.
    fn refuse_step(&self, doing: &str, errno: Errno) -> DeviceError {
        let reason = match (errno, self.places.sysfs.lockdown()) {
            (Errno::PERM, Some(level)) => refusal::locked_down(&level, doing),
            _ => refusal::other(doing, errno),
        };
        self.refuse(reason)
    }

    /// The function's IOMMU group, if vfio-pci holds the function.
    fn find_group(&self) -> Result<u32, DeviceError> {
        let sysfs = &self.places.sysfs;
        let function: PciFunction = sysfs
            .function(self.address)
            .map_err(|error| self.refuse(error.to_string()))?;
        let group = function
            .iommu_group
            .ok_or_else(|| self.refuse(refusal::no_iommu(sysfs.has_iommu())))?;
        if !function.is_bound_to_vfio() {
            let vfio_loaded = sysfs.has_driver(VFIO_PCI);
            return Err(self.refuse(refusal::not_bound(&function, vfio_loaded)));
        }
        Ok(group)
    }

    fn open_container(&self) -> Result<OwnedFd, DeviceError> {
        let node = self.places.nodes.join("vfio");
        let container = open_node(&node).map_err(|errno| match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => self.refuse(refusal::no_modules(&node)),
            Errno::ACCESS => self.refuse_permission(&node),
            _ => self.refuse_step("a new VFIO container", errno),
        })?;
        let version = self
            .kernel
            .api_version(container.as_fd())
            .map_err(|errno| self.refuse_step("to say its VFIO version", errno))?;
        if version != abi::VFIO_API_VERSION {
            return Err(self.refuse(format!(
                "the kernel speaks version {version} of VFIO, this host {}",
                abi::VFIO_API_VERSION
            )));
        }
        Ok(container)
    }

    fn open_group(&self, group: u32, node: &Path) -> Result<OwnedFd, DeviceError> {
        let fd = open_node(node).map_err(|errno| match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => {
                let without = self.places.nodes.join(format!("noiommu-{group}"));
                self.refuse(if without.exists() {
                    refusal::no_iommu_mode(&without)
                } else {
                    refusal::no_group_node(node, self.address)
                })
            }
            Errno::ACCESS => self.refuse_permission(node),
            Errno::BUSY => DeviceError::Busy {
                device: self.name.to_owned(),
                how: refusal::group_is_open(group, node),
            },
            _ => self.refuse_step("to open its IOMMU group", errno),
        })?;
        let flags = self
            .kernel
            .group_flags(fd.as_fd())
            .map_err(|errno| self.refuse_step("to say how its IOMMU group is", errno))?;
        if flags & abi::VFIO_GROUP_FLAGS_VIABLE == 0 {
            return Err(self.refuse_group(group));
        }
        Ok(fd)
    }

    fn refuse_group(&self, group: u32) -> DeviceError {
        match self.places.sysfs.group_blockers(group) {
            Ok(blockers) => self.refuse(refusal::not_viable(group, &blockers)),
            Err(error) => self.refuse(format!("IOMMU group {group} is not viable; {error}")),
        }
    }

    /// Puts the group into the container and gives that its kind, which Linux wants before any function is opened.
    fn join(&self, group: u32, fd: &OwnedFd, container: &OwnedFd) -> Result<(), DeviceError> {
        self.kernel
            .set_container(fd.as_fd(), container.as_fd())
            .map_err(|errno| match errno {
                Errno::BUSY => DeviceError::Busy {
                    device: self.name.to_owned(),
                    how: refusal::group_is_open(group, &self.places.nodes.join(group.to_string())),
                },
                // a function of the group was bound to another driver meanwhile
                Errno::INVAL if self.blocked(group) => self.refuse_group(group),
                _ => self.refuse_step("to put its IOMMU group into a container", errno),
            })?;
        let kinds = [abi::VFIO_TYPE1v2_IOMMU, abi::VFIO_TYPE1_IOMMU];
        let kind = kinds
            .into_iter()
            .find(|kind| self.kernel.has_extension(container.as_fd(), *kind) == Ok(true));
        let Some(kind) = kind else {
            return Err(self
                .refuse("the kernel has no IOMMU of type 1 for VFIO: modprobe vfio_iommu_type1"));
        };
        self.kernel
            .set_iommu(container.as_fd(), kind)
            .map_err(|errno| match errno {
                Errno::PERM if self.places.sysfs.lockdown().is_none() => {
                    self.refuse(refusal::no_interrupt_remapping())
                }
                _ => self.refuse_step("the card's IOMMU", errno),
            })
    }

    fn blocked(&self, group: u32) -> bool {
        let blockers = self.places.sysfs.group_blockers(group);
        blockers.is_ok_and(|blockers| !blockers.is_empty())
    }

    fn open_function(&self, group: u32, fd: &OwnedFd) -> Result<OwnedFd, DeviceError> {
        // an address holds no zero byte
        let name = CString::new(self.address.to_string()).unwrap_or_default();
        self.kernel
            .open_function(fd.as_fd(), &name)
            .map_err(|errno| match errno {
                Errno::BUSY => DeviceError::Busy {
                    device: self.name.to_owned(),
                    how: refusal::group_is_open(group, &self.places.nodes.join(group.to_string())),
                },
                _ => self.refuse_step("to open it", errno),
            })
    }

    fn refuse_permission(&self, node: &Path) -> DeviceError {
        let owner = node_owner(node, &self.places.user_groups);
        self.refuse(refusal::no_permission(node, owner.as_ref()))
    }
}

fn open_node(node: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(node, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// Who may open a node.
fn node_owner(node: &Path, user_groups: &Path) -> Option<NodeOwner> {
    let metadata = std::fs::metadata(node).ok()?;
    let names = std::fs::read_to_string(user_groups).unwrap_or_default();
    let number = metadata.gid().to_string();
    // group(5): name:password:number:members
    let name = names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&number)).then(|| name.to_owned())
    });
    Some(NodeOwner {
        user: metadata.uid(),
        group: name.unwrap_or(number),
        mode: metadata.permissions().mode(),
    })
}
