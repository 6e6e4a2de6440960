//! What the commands make of a machine's cards.

use clap::Parser as _;

use super::row::Row;
use super::*;
use crate::card::{Contents, Inspection};
use crate::device::binding::{Places, User};
use crate::device::sysfs::Sysfs;
use crate::device::sysfs::tests::{CARD, at, put};

#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(subcommand)]
    command: Device,
}

fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    put(
        root.path(),
        "0000:3b:00.0",
        CARD,
        Some("vfio-pci"),
        Some(15),
    );
    put(root.path(), "0000:3b:00.1", CARD, None, Some(16));
    put(
        root.path(),
        "0000:3c:00.0",
        CARD,
        Some("vfio-pci"),
        Some(17),
    );
    put(root.path(), "0000:3c:00.1", (1, 2), Some("nvme"), Some(17));
    put(root.path(), "0000:3d:00.0", CARD, None, None);
    root
}

fn rows(root: &std::path::Path) -> Vec<Row> {
    // no process of this machine has a node in the folder
    let places = Places {
        nodes: root.join("dev/vfio"),
        ..Places::default()
    };
    list::rows(&Sysfs::at(root), &places).unwrap()
}

#[test]
fn addresses_are_typed_with_or_without_the_configuration_s_prefix() {
    for text in ["0000:3b:00.0", "vfio:0000:3b:00.0"] {
        assert_eq!(pci_address(text).unwrap(), at("0000:3b:00.0"));
        assert_eq!(
            device_address(text).unwrap(),
            DeviceAddress::Vfio(at("0000:3b:00.0"))
        );
        for verb in ["bind", "unbind", "info"] {
            Cli::try_parse_from(["guideway", verb, text]).unwrap();
        }
    }
    let socket = "vfio-user:/run/card.sock";
    assert_eq!(device_address(socket).unwrap().to_string(), socket);
    for text in ["3b:00.0", socket, "sim", ""] {
        let error = pci_address(text).unwrap_err().to_string();
        assert!(error.contains("as in 0000:3b:00.0"), "{error}");
    }
}

#[test]
fn a_card_s_state_says_what_comes_next() {
    let root = machine();
    let mut rows = rows(root.path());
    let states: Vec<_> = rows.iter().map(Row::state).collect();
    assert_eq!(
        states,
        ["ready", "not bound", "group not viable", "no IOMMU group"]
    );
    rows[0].users.found = vec![User {
        pid: 7,
        name: "guideway".into(),
    }];
    assert_eq!(rows[0].state(), "in use");
    let table = list::table(&rows);
    for part in [
        "vfio:0000:3b:00.0",
        "guideway (pid 7)",
        "17, not viable",
        "none",
    ] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    let json = rows[2].json();
    assert_eq!(json["address"], "vfio:0000:3c:00.0");
    assert_eq!(json["group_viable"], false);
    assert_eq!(
        json["group_blockers"],
        serde_json::json!([{ "address": "0000:3c:00.1", "driver": "nvme" }])
    );
    assert_eq!(rows[3].json()["iommu_group"], serde_json::Value::Null);
}

#[test]
fn a_card_of_another_layout_is_shown_without_its_registers() {
    let found = |layout_hash, contents| info::Found {
        address: "vfio-user:/run/card.sock".parse().unwrap(),
        row: None,
        daemon: None,
        card: Ok(Inspection {
            revision: 1,
            layout_hash,
            contents,
        }),
    };
    let other = found(!guideway_hdl::LAYOUT_HASH, None);
    assert_eq!(other.json()["card"]["compatible"], false);
    assert!(other.table().contains("cannot drive this card"));
    let contents = Contents {
        version: (0, 1),
        sizes: crate::card::Sizes::default(),
        status: crate::card::CardStatus::default(),
        control: crate::card::Control::default(),
        time_us: 1_500_000,
        scratch: None,
    };
    let own = found(guideway_hdl::LAYOUT_HASH, Some(contents));
    assert_eq!(own.json()["card"]["compatible"], true);
    assert!(own.table().contains("1.500 s") && own.table().contains("nobody"));
}
