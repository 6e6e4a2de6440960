//! A card as `device list` and `device info` show it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::device::DeviceAddress;
use crate::device::binding::{Places, User, Users};
use crate::device::sysfs::{Link, PciFunction, Sysfs, SysfsError};

/// A card and what is around it.
pub struct Row {
    /// The card.
    pub function: PciFunction,
    /// Functions that keep its IOMMU group from user space.
    pub blockers: Vec<PciFunction>,
    /// Who has it open.
    pub users: Users,
}

impl Row {
    pub fn of(function: PciFunction, sysfs: &Sysfs, places: &Places) -> Result<Self, SysfsError> {
        let (mut blockers, mut users) = (Vec::new(), Users::default());
        if let Some(group) = function.iommu_group {
            blockers = sysfs.group_blockers(group)?;
            let nodes: Vec<PathBuf> = sysfs
                .vfio_nodes(function.address, group)
                .iter()
                .map(|node| places.nodes.join(node))
                .collect();
            users = Users::of(&places.processes, &nodes);
        }
        // its own driver is what binding it changes
        blockers.retain(|blocker| blocker.address != function.address);
        Ok(Self {
            function,
            blockers,
            users,
        })
    }

    /// As the configuration has it.
    pub fn address(&self) -> String {
        DeviceAddress::Vfio(self.function.address).to_string()
    }

    /// What stands between it and guideway, in two words.
    pub fn state(&self) -> &'static str {
        if self.function.iommu_group.is_none() {
            "no IOMMU group"
        } else if !self.users.found.is_empty() {
            "in use"
        } else if !self.function.is_bound_to_vfio() {
            "not bound"
        } else if !self.blockers.is_empty() {
            "group not viable"
        } else {
            "ready"
        }
    }

    /// "15", or what is the matter with it.
    pub fn group(&self) -> String {
        match self.function.iommu_group {
            None => "none".to_owned(),
            Some(group) if self.blockers.is_empty() => group.to_string(),
            Some(group) => format!("{group}, not viable"),
        }
    }

    /// "nvme has 0000:3b:00.1"
    pub fn blocked_by(&self) -> String {
        let blockers: Vec<String> = self
            .blockers
            .iter()
            .map(|blocker| {
                let driver = blocker.driver.as_deref().unwrap_or("nothing");
                format!("{driver} has {}", blocker.address)
            })
            .collect();
        blockers.join(", ")
    }

    pub fn link(&self) -> String {
        match (self.function.link, self.function.max_link) {
            (Some(link), Some(max)) if link != max => format!("{link} (of {max})"),
            (Some(link), _) => link.to_string(),
            (None, Some(_)) => "down".to_owned(),
            (None, None) => "-".to_owned(),
        }
    }

    pub fn numa_node(&self) -> String {
        self.function
            .numa_node
            .map_or_else(|| "-".to_owned(), |node| node.to_string())
    }

    pub fn used_by(&self) -> String {
        if self.users.found.is_empty() {
            return if self.users.all_seen || self.function.iommu_group.is_none() {
                "-".to_owned()
            } else {
                "? (root sees)".to_owned()
            };
        }
        names(&self.users.found)
    }

    pub fn json(&self) -> Value {
        let function = &self.function;
        let blockers: Vec<Value> = self
            .blockers
            .iter()
            .map(|b| json!({ "address": b.address.to_string(), "driver": b.driver }))
            .collect();
        json!({
            "address": self.address(),
            "vendor": format!("{:04x}", function.vendor),
            "device": format!("{:04x}", function.device),
            "class": format!("{:06x}", function.class),
            "revision": function.revision,
            "driver": function.driver,
            "iommu_group": function.iommu_group,
            "group_viable": function.iommu_group.map(|_| self.blockers.is_empty()),
            "group_blockers": blockers,
            "state": self.state(),
            "link": function.link.map(link_json),
            "max_link": function.max_link.map(link_json),
            "numa_node": function.numa_node,
            "users": self.users.found,
            "users_all_seen": self.users.all_seen,
        })
    }
}

/// "guideway (pid 7), qemu (pid 9)"
pub fn names(users: &[User]) -> String {
    let names: Vec<String> = users.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn link_json(link: Link) -> Value {
    json!({ "gigatransfers": f64::from(link.speed.0) / 10.0, "width": link.width })
}
