//! `guideway device bind` and `unbind`: what is said before and after. The work itself is the [`super::worker`]'s.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::row::{Row, names};
use super::worker::{self, Job, Verb};
use super::{RUNTIME_DIR, pci_address};
use crate::cli::print;
use crate::device::binding::{Bound, Node, Places, Unbound};
use crate::device::sysfs::{PciFunction, Sysfs};
use crate::device::{DeviceAddress, PciAddress};

/// What bind and unbind take.
#[derive(Debug, Args)]
pub struct Target {
    /// The card: 0000:3b:00.0, or vfio:0000:3b:00.0 (guideway device list).
    #[arg(value_name = "ADDRESS", value_parser = pci_address)]
    address: PciAddress,
    /// Where it is remembered what had the card before.
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    runtime_dir: PathBuf,
    /// How long to wait for the kernel. What the kernel has begun goes on after that.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Be the process that does it: the kernel can hold it for as long as somebody uses the card.
    #[arg(long, hide = true)]
    worker: bool,
}

impl Target {
    fn job(&self, verb: Verb) -> Job<'_> {
        Job {
            verb,
            address: self.address,
            runtime_dir: &self.runtime_dir,
        }
    }

    fn name(&self) -> String {
        DeviceAddress::Vfio(self.address).to_string()
    }

    /// The card and what is around it, as it is now.
    fn row(&self) -> anyhow::Result<Row> {
        let sysfs = Sysfs::default();
        let function = sysfs.function(self.address)?;
        Ok(Row::of(function, &sysfs, &Places::default())?)
    }

    fn waits_for(&self) -> String {
        match self.row() {
            Ok(row) if !row.users.found.is_empty() => {
                format!("{} has the card open", names(&row.users.found))
            }
            _ => "the kernel has not answered".to_owned(),
        }
    }
}

/// Give a card to vfio-pci, from which guideway drives it.
///
/// Needs root, an IOMMU, and the module vfio-pci (modprobe vfio-pci). Uses driver_override, so other cards of the same kind are left alone;
/// what had the card before is remembered until `unbind`. Only Guideway cards are bound. Running it again is harmless; after a crash it
/// goes on where the last run ended.
#[derive(Debug, Args)]
pub struct Bind {
    #[command(flatten)]
    target: Target,
}

impl Bind {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let (target, job) = (&self.target, self.target.job(Verb::Bind));
        if target.worker {
            return job.work(&Sysfs::default());
        }
        let done = worker::start::<Bound>(&job, Duration::from_secs(target.timeout), &|| {
            target.waits_for()
        })?;
        let name = target.name();
        let what = match done {
            Bound::Already => format!("{name} was already bound to vfio-pci"),
            Bound::Now { before: None } => format!("{name} is bound to vfio-pci"),
            Bound::Now {
                before: Some(driver),
            } => format!(
                "{name} is bound to vfio-pci ({driver} had it; guideway device unbind gives it back)"
            ),
        };
        let row = target.row()?;
        let group = row.function.iommu_group.unwrap_or_default();
        let node = Node::of_group(&Places::default().nodes, group);
        let whose = match &node {
            Some(node) => node.to_string(),
            None => format!("no /dev/vfio/{group} yet: is udev running, or /dev a devtmpfs?"),
        };
        print(&format!("{what}\nIOMMU group {group}, {whose}"))?;
        if node.is_some_and(|node| node.is_for_root_only()) {
            eprintln!(
                "note: only root opens it. For others, a udev rule: SUBSYSTEM==\"vfio\", GROUP=\"vfio\", MODE=\"0660\""
            );
        }
        if !row.blockers.is_empty() {
            eprintln!(
                "note: the group is not viable yet: {}. Each of its functions has to be bound to vfio-pci or have no driver: {}",
                row.blocked_by(),
                how_to_free(&row)
            );
        }
        Ok(())
    }
}

/// A command for each function that is in the way.
fn how_to_free(row: &Row) -> String {
    let commands: Vec<String> = row
        .blockers
        .iter()
        .map(PciFunction::command_to_bind)
        .collect();
    commands.join("; ")
}

/// Put back what had a card before it was bound.
///
/// Refuses while a program has the card open. With --force the kernel asks that program to close it, and waits for it: guideway ends
/// then, and the card goes on forwarding by its tables as it does whenever its host is away.
#[derive(Debug, Args)]
pub struct Unbind {
    #[command(flatten)]
    target: Target,
    /// Also while a program has the card open: the kernel asks it to close the card.
    #[arg(long)]
    force: bool,
}

impl Unbind {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let (target, job) = (&self.target, self.target.job(Verb::Unbind));
        if target.worker {
            return job.work(&Sysfs::default());
        }
        let users = target.row()?.users.found;
        if !users.is_empty() && !self.force {
            bail!(
                "{} is in use by {}: end it first, or have the kernel ask it to close the card with --force",
                target.name(),
                names(&users)
            );
        }
        let done = worker::start::<Unbound>(&job, Duration::from_secs(target.timeout), &|| {
            target.waits_for()
        })?;
        let name = target.name();
        print(&match done {
            Unbound::Already => {
                format!("{name} was not bound to vfio-pci: there is nothing to undo")
            }
            Unbound::Restored { driver: None } => {
                format!("{name} is back without a driver, as it was before")
            }
            Unbound::Restored {
                driver: Some(driver),
            } => format!("{name} is back with {driver}"),
            Unbound::Released => format!(
                "{name} is without a driver: {} does not know what had it before",
                target.runtime_dir.display()
            ),
            Unbound::Taken { driver } => {
                format!("{name} was given to {driver} meanwhile, and stays there")
            }
        })
    }
}
