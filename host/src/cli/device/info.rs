//! `guideway device info`: one card, as far as it can be looked at without being in its owner's way.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use guideway_hdl::LAYOUT_HASH;
use serde_json::{Value, json};

use super::row::{Row, names};
use super::{RUNTIME_DIR, device_address};
use crate::card::{Contents, Inspection, inspect};
use crate::cli::{house_table, print};
use crate::control::daemon::Daemon;
use crate::device::binding::Places;
use crate::device::sysfs::Sysfs;
use crate::device::{DeviceAddress, DeviceError};
use crate::maglev::hex;

/// Look at one card: PCI function, sizes, state, owner.
///
/// A card that somebody drives is not opened: sysfs and its daemon are asked instead. A card that nobody has is opened, which resets its
/// host side only (rings and interrupts): tables, connections and forwarding stay as they are, and nothing is written.
#[derive(Debug, Args)]
pub struct Info {
    /// The card: 0000:3b:00.0 or vfio:0000:3b:00.0 (guideway device list), or a simulator's vfio-user:/path/to.sock.
    #[arg(value_name = "ADDRESS", value_parser = device_address)]
    address: DeviceAddress,
    /// The runtime directory of the daemon that may have the card.
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    runtime_dir: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// What was learned of a card.
pub(super) struct Found {
    pub(super) address: DeviceAddress,
    pub(super) row: Option<Row>,
    pub(super) daemon: Option<Daemon>,
    /// What the card said, or why it was not asked.
    pub(super) card: Result<Inspection, String>,
}

impl Info {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let row = match &self.address {
            DeviceAddress::Sim => bail!(
                "\"sim\" is a private simulator, which exists only inside a running guideway: ask guideway status"
            ),
            DeviceAddress::VfioUser(_) => None,
            DeviceAddress::Vfio(place) => {
                let sysfs = Sysfs::default();
                let function = sysfs.function(*place)?;
                if !function.is_card() {
                    bail!(
                        "{place} is no Guideway card (PCI id {:04x}:{:04x}): guideway device list shows those there are",
                        function.vendor,
                        function.device
                    );
                }
                Some(Row::of(function, &sysfs, &Places::default())?)
            }
        };
        let daemon = Daemon::of(&self.runtime_dir).filter(|daemon| daemon.serves(&self.address));
        let card = match why_not_opened(row.as_ref(), daemon.as_ref()) {
            Some(reason) => Err(reason),
            None => self.inspect()?,
        };
        let found = Found {
            address: self.address.clone(),
            row,
            daemon,
            card,
        };
        if self.json {
            return print(&serde_json::to_string_pretty(&found.json())?);
        }
        print(&found.table())
    }

    fn inspect(&self) -> anyhow::Result<Result<Inspection, String>> {
        let device = match crate::device::open(&self.address, None) {
            Err(error @ DeviceError::Busy { .. }) => return Ok(Err(error.to_string())),
            device => device?,
        };
        Ok(Ok(inspect(&*device)?))
    }
}

/// Why a card is better not opened.
fn why_not_opened(row: Option<&Row>, daemon: Option<&Daemon>) -> Option<String> {
    if let Some(daemon) = daemon {
        let pid = daemon
            .pid()
            .map_or_else(String::new, |pid| format!(" (pid {pid})"));
        return Some(format!("a running guideway{pid} has it: guideway status"));
    }
    let row = row?;
    match row.state() {
        "in use" => Some(format!("{} has it open", names(&row.users.found))),
        "not bound" => Some(format!(
            "it is not bound to vfio-pci: guideway device bind {}",
            row.function.address
        )),
        _ => None,
    }
}

impl Found {
    pub(super) fn json(&self) -> Value {
        json!({
            "address": self.address.to_string(),
            "pci": self.row.as_ref().map(Row::json),
            "card": self.card.as_ref().ok().map(card_json),
            "card_not_read": self.card.as_ref().err(),
            "daemon": self.daemon.as_ref().map(|daemon| &daemon.status),
        })
    }

    pub(super) fn table(&self) -> String {
        let mut table = house_table(&[&self.address.to_string(), ""], &[]);
        let mut line = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        if let Some(row) = &self.row {
            let function = &row.function;
            line(
                "PCI function",
                format!(
                    "{:04x}:{:04x} revision {}, class {:06x}",
                    function.vendor, function.device, function.revision, function.class
                ),
            );
            line("state", row.state().to_owned());
            line(
                "driver",
                function.driver.clone().unwrap_or_else(|| "none".into()),
            );
            line("IOMMU group", row.group());
            if !row.blockers.is_empty() {
                line("blocked by", row.blocked_by());
            }
            line("link", row.link());
            line("NUMA node", row.numa_node());
            line("used by", row.used_by());
        }
        if let Some(daemon) = &self.daemon {
            let host = &daemon.status["host"];
            line(
                "daemon",
                format!(
                    "{} connections, {} flows on the card, {} takeovers",
                    host["connections"], host["flows"], host["takeovers"]
                ),
            );
        }
        match &self.card {
            Err(reason) => line("card", format!("not opened: {reason}")),
            Ok(card) => card_lines(card, &mut line),
        }
        table.to_string()
    }
}

fn card_json(card: &Inspection) -> Value {
    let mut value = json!({
        "revision": card.revision,
        "layout_hash": format!("{:#010x}", card.layout_hash),
        "host_layout_hash": format!("{LAYOUT_HASH:#010x}"),
        "compatible": card.layout_hash == LAYOUT_HASH,
    });
    if let (Some(contents), Some(object)) = (&card.contents, value.as_object_mut()) {
        let owner = contents.scratch.map(|scratch| {
            json!({ "owner": scratch.owner, "generation": scratch.generation, "digest": hex(&scratch.digest) })
        });
        let more = json!({
            "version": version(contents),
            "sizes": contents.sizes,
            "status": contents.status,
            "control": contents.control,
            "time_us": contents.time_us,
            "owner": owner,
        });
        if let Value::Object(more) = more {
            object.extend(more);
        }
    }
    value
}

fn card_lines(card: &Inspection, line: &mut impl FnMut(&str, String)) {
    let Some(contents) = &card.contents else {
        line(
            "layout",
            format!(
                "{:#010x}, this guideway knows {LAYOUT_HASH:#010x}: it cannot drive this card; update the older of the two",
                card.layout_hash
            ),
        );
        return;
    };
    line(
        "layout",
        format!("{:#010x}, this guideway's", card.layout_hash),
    );
    line("version", version(contents));
    let sizes = contents.sizes;
    line(
        "sizes",
        format!(
            "{} VIPs, {} pools, {} backends, {} next hops, {} ring slots, {} flow entries",
            sizes.vips, sizes.pools, sizes.backends, sizes.next_hops, sizes.ring_slots, sizes.flows
        ),
    );
    let status = contents.status;
    let states = [
        if status.ready {
            "ready"
        } else {
            "clearing its tables"
        },
        if contents.control.port_enable {
            "port enabled"
        } else {
            "port disabled"
        },
        if status.host_alive {
            "host alive"
        } else {
            "no host"
        },
        if status.idle { "idle" } else { "working" },
    ];
    line("card", states.join(", "));
    line(
        "since card reset",
        format!(
            "{:.3} s",
            Duration::from_micros(contents.time_us).as_secs_f64()
        ),
    );
    line(
        "configured by",
        contents.scratch.map_or_else(
            || "nobody since its reset".to_owned(),
            |scratch| {
                format!(
                    "owner {}, its generation {}, configuration {}",
                    scratch.owner,
                    scratch.generation,
                    &hex(&scratch.digest)[..16]
                )
            },
        ),
    );
}

fn version(contents: &Contents) -> String {
    format!("{}.{}", contents.version.0, contents.version.1)
}
