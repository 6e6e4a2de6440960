//! `guideway device list`.

use clap::Args;
use guideway_hdl::{PCI_DEVICE, PCI_VENDOR};
use serde_json::Value;

use super::row::Row;
use crate::cli::{house_table, print};
use crate::device::binding::Places;
use crate::device::sysfs::{Sysfs, SysfsError};

/// List the machine's cards: driver, IOMMU group, link, who uses them.
///
/// Cards are found by their PCI id. The address is what the configuration takes: device = "vfio:0000:3b:00.0". The state says what comes
/// next: "not bound" (guideway device bind), "ready" (guideway run), "in use", "group not viable" (another function of the IOMMU group has
/// a driver of the kernel: guideway device info names it), "no IOMMU group".
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let rows = rows(&Sysfs::default(), &Places::default())?;
        if rows.is_empty() {
            eprintln!(
                "no Guideway card: no PCI function of this machine has the id {PCI_VENDOR:04x}:{PCI_DEVICE:04x}. A card that is plugged in but not \
                 seen may appear after: echo 1 > /sys/bus/pci/rescan. A simulated card is no PCI function: it is named by its socket, \
                 vfio-user:/path"
            );
        }
        if self.json {
            let rows: Vec<Value> = rows.iter().map(Row::json).collect();
            return print(&serde_json::to_string_pretty(&rows)?);
        }
        if rows.is_empty() {
            return Ok(());
        }
        print(&table(&rows))
    }
}

pub(super) fn rows(sysfs: &Sysfs, places: &Places) -> Result<Vec<Row>, SysfsError> {
    sysfs
        .cards()?
        .into_iter()
        .map(|card| Row::of(card, sysfs, places))
        .collect()
}

pub(super) fn table(rows: &[Row]) -> String {
    let mut table = house_table(
        &[
            "address", "driver", "group", "state", "link", "NUMA", "used by",
        ],
        &[],
    );
    for row in rows {
        table.add_row([
            row.address(),
            row.function
                .driver
                .clone()
                .unwrap_or_else(|| "none".to_owned()),
            row.group(),
            row.state().to_owned(),
            row.link(),
            row.numa_node(),
            row.used_by(),
        ]);
    }
    table.to_string()
}
