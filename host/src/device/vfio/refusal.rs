//! Why a function cannot be had from the kernel, and what to do about it: the texts.
//!
//! Owns no access to anything: what was found comes as arguments.

use std::fmt;
use std::path::Path;

use rustix::io::Errno;

use crate::device::PciAddress;
use crate::device::sysfs::PciFunction;

/// The machine has no IOMMU at work, or none before this function.
pub fn no_iommu(machine_has_one: bool) -> String {
    if machine_has_one {
        "no IOMMU stands between it and memory (it is in no IOMMU group): put the card into a slot behind the IOMMU, or lift the \
         kernel argument that excludes it"
            .to_owned()
    } else {
        "this machine has no IOMMU at work: enable VT-d or AMD-Vi (\"IOMMU\") in the firmware, and boot Linux with intel_iommu=on \
         (AMD and ARM need no argument)"
            .to_owned()
    }
}

/// Another driver holds the function, or none. `vfio_loaded`: whether vfio-pci is there to take it.
pub fn not_bound(function: &PciFunction, vfio_loaded: bool) -> String {
    let load = if vfio_loaded {
        ""
    } else {
        "modprobe vfio-pci; "
    };
    let held = match &function.driver {
        Some(driver) => format!("the driver {driver} holds it"),
        None => "no driver holds it".to_owned(),
    };
    format!(
        "it is not bound to vfio-pci ({held}): {load}guideway device bind {}",
        function.address
    )
}

/// `/dev/vfio/vfio` is missing.
pub fn no_modules(container: &Path) -> String {
    format!(
        "{} is missing, so the kernel's VFIO is not there: modprobe vfio-pci (in a container: hand /dev/vfio in)",
        container.display()
    )
}

/// `/dev/vfio/GROUP` is missing.
pub fn no_group_node(node: &Path, function: PciAddress) -> String {
    format!(
        "{} is missing although {function} is bound to vfio-pci: is udev running? (in a container: hand the node in)",
        node.display()
    )
}

/// The group exists, but in no-IOMMU mode.
pub fn no_iommu_mode(node: &Path) -> String {
    format!(
        "vfio runs without an IOMMU ({}): the card could then write all of the host's memory, and addresses would be physical ones. \
         Guideway does not: boot with an IOMMU, and with vfio.enable_unsafe_noiommu_mode=0",
        node.display()
    )
}

/// Who may open a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOwner {
    /// Its user's number.
    pub user: u32,
    /// Its group's name, or number.
    pub group: String,
    /// Its permissions.
    pub mode: u32,
}

impl NodeOwner {
    /// Whether membership of a group other than root's would do.
    fn has_useful_group(&self) -> bool {
        self.mode & 0o060 == 0o060 && self.group != "root" && self.group != "0"
    }
}

impl fmt::Display for NodeOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "user {}, group {}, mode {:04o}",
            self.user,
            self.group,
            self.mode & 0o7777
        )
    }
}

/// No permission on a node.
pub fn no_permission(node: &Path, owner: Option<&NodeOwner>) -> String {
    let rule = "groupadd -r vfio; usermod -aG vfio \"$USER\"; in /etc/udev/rules.d/70-vfio.rules: SUBSYSTEM==\"vfio\", GROUP=\"vfio\", \
                MODE=\"0660\"; then udevadm control --reload; udevadm trigger -s vfio";
    let node = node.display();
    match owner {
        Some(owner) if owner.has_useful_group() => format!(
            "no permission on {node} ({owner}): join its group: usermod -aG {} \"$USER\", and log in again",
            owner.group
        ),
        Some(owner) => format!("no permission on {node} ({owner}): give it to a group: {rule}"),
        None => format!("no permission on {node}: give it to a group: {rule}"),
    }
}

/// Other functions of the group are in other drivers' hands.
pub fn not_viable(group: u32, blockers: &[PciFunction]) -> String {
    let held: Vec<String> = blockers
        .iter()
        .map(|function| {
            let driver = function.driver.as_deref().unwrap_or("no driver");
            format!("{} ({driver})", function.address)
        })
        .collect();
    let commands: Vec<String> = blockers.iter().map(PciFunction::command_to_bind).collect();
    if blockers.is_empty() {
        return format!(
            "IOMMU group {group} is not viable, although all its functions are free now: try again"
        );
    }
    format!(
        "IOMMU group {group} is not viable: {} shares it, so the whole group has to be given to vfio-pci or left without a driver: {}",
        held.join(", "),
        commands.join("; ")
    )
}

/// The kernel is locked down.
pub fn locked_down(level: &str, doing: &str) -> String {
    format!(
        "the kernel is locked down ({level}) and refuses {doing}: boot without lockdown= (and without Secure Boot, which turns it on)"
    )
}

/// The IOMMU isolates memory, but not interrupts.
pub fn no_interrupt_remapping() -> String {
    "the IOMMU cannot isolate interrupts (no interrupt remapping), or the firmware keeps memory for the card (dmesg says which): enable \
     interrupt remapping (x2APIC) in the firmware; or, where every user of the machine is trusted: modprobe vfio_iommu_type1 \
     allow_unsafe_interrupts=1"
        .to_owned()
}

/// Who has the group open already shows with `fuser`.
pub fn group_is_open(group: u32, node: &Path) -> String {
    format!(
        "is in use (IOMMU group {group} is open; fuser -v {} names the process)",
        node.display()
    )
}

/// Memory could not be pinned. `limit` is RLIMIT_MEMLOCK in bytes (`None`: infinite), `pinned` what is pinned already.
pub fn not_pinned(limit: Option<u64>, pinned: u64, bytes: u64) -> String {
    let kib = |bytes: u64| bytes.div_ceil(1024);
    match limit {
        Some(limit) => format!(
            "RLIMIT_MEMLOCK is too low: this process may lock {} KiB, the card has {} KiB and needs {} KiB more: \
             LimitMEMLOCK=infinity in the service's unit; or ulimit -l unlimited (root) in the shell that starts guideway",
            kib(limit),
            kib(pinned),
            kib(bytes)
        ),
        None => format!(
            "the machine has no {} KiB of memory to pin for the card",
            kib(bytes)
        ),
    }
}

/// The container takes no more mappings.
pub fn no_mappings_left(mappings: usize) -> String {
    format!(
        "the container takes no more than its {mappings} mappings: raise dma_entry_limit of the module vfio_iommu_type1"
    )
}

/// What is left: the kernel's own word.
pub fn other(doing: &str, errno: Errno) -> String {
    format!("the kernel refuses {doing}: {errno}")
}
