//! Binding and unbinding by `guideway device`, and what a card tells about itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use guideway_hdl::{LAYOUT_HASH, PCI_DEVICE, PCI_VENDOR};
use serde_json::Value;

use rustix::process::Signal;

use crate::world::{CARD_ADDRESS, CONFIG, Found, PATIENCE, Stage, World};

/// What the kernel asks of a host that it wants to let the card go, it may ask again: the command waits so long, in seconds.
const UNBIND_SECONDS: &str = "20";

fn only_card(stage: &mut Stage) -> Result<Value> {
    let list: Value = serde_json::from_str(&stage.guideway(&["device", "list", "--json"])?)?;
    let cards = list.as_array().context("no list")?;
    ensure!(cards.len() == 1, "one card, not {list}");
    Ok(cards[0].clone())
}

pub fn unbound(world: &mut World) -> Result<String> {
    let card = only_card(&mut world.stage)?;
    ensure!(
        card["address"] == format!("vfio:{CARD_ADDRESS}")
            && card["driver"].is_null()
            && card["state"] == "not bound",
        "{card}"
    );
    let complaint = world
        .stage
        .refused(&["guideway", "run", "--config", CONFIG])?;
    ensure!(
        complaint.contains("not bound to vfio-pci")
            && complaint.contains(&format!("guideway device bind {CARD_ADDRESS}")),
        "{complaint}"
    );
    Ok("\"not bound\"".to_owned())
}

pub fn bound(world: &mut World) -> Result<String> {
    let root_port = world
        .stage
        .refused(&["guideway", "device", "bind", "0000:00:01.0"])?;
    ensure!(root_port.contains("no Guideway card"), "{root_port}");
    let said = world
        .stage
        .guideway(&["device", "bind", &format!("vfio:{CARD_ADDRESS}")])?;
    ensure!(said.contains("is bound to vfio-pci"), "{said}");
    let again = world.stage.guideway(&["device", "bind", CARD_ADDRESS])?;
    ensure!(again.contains("already bound"), "{again}");
    let card = only_card(&mut world.stage)?;
    ensure!(
        card["driver"] == "vfio-pci" && card["state"] == "ready" && card["group_viable"] == true,
        "{card}"
    );
    let group = card["iommu_group"].as_u64().context("no group")?;
    ensure!(said.contains(&format!("group {group}")), "{said}");

    let info: Value = serde_json::from_str(&world.stage.guideway(&[
        "device",
        "info",
        CARD_ADDRESS,
        "--json",
    ])?)?;
    let hash = |text: &Value| {
        text.as_str()
            .and_then(|text| text.strip_prefix("0x"))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    ensure!(
        hash(&info["card"]["layout_hash"]) == Some(LAYOUT_HASH)
            && info["card"]["compatible"] == true
            && info["card"]["status"]["ready"] == true
            && info["card"]["owner"].is_null()
            && info["daemon"].is_null(),
        "{info}"
    );
    // what the kernel reads, against the interface's declaration
    for (file, number) in [("vendor", PCI_VENDOR), ("device", PCI_DEVICE)] {
        let path = format!("/sys/bus/pci/devices/{CARD_ADDRESS}/{file}");
        let text = world.stage.guest.read(&path)?;
        ensure!(text.trim() == format!("{number:#06x}"), "{path}: {text}");
    }
    Ok(format!(
        "group {group}, layout {}",
        info["card"]["layout_hash"].as_str().unwrap_or_default()
    ))
}

pub fn unbound_while_in_use(world: &mut World) -> Result<String> {
    let pid = world.stage.host()?;
    let refusal = world
        .stage
        .refused(&["guideway", "device", "unbind", CARD_ADDRESS])?;
    ensure!(
        refusal.contains(&format!("pid {pid}")) && refusal.contains("--force"),
        "{refusal}"
    );
    let (status, tally) = world.under_traffic(|stage| {
        let arguments = [
            "device",
            "unbind",
            CARD_ADDRESS,
            "--force",
            "--timeout",
            UNBIND_SECONDS,
        ];
        let said = stage.guideway(&arguments)?;
        ensure!(said.contains("back without a driver"), "{said}");
        stage.await_host_end()
    })?;
    let log = world.stage.host_log()?;
    ensure!(!log.contains("panicked"), "{status:?}: {log}");
    let card = only_card(&mut world.stage)?;
    ensure!(
        card["driver"].is_null() && card["state"] == "not bound",
        "{card}"
    );
    let note = format!("/run/guideway/devices/{CARD_ADDRESS}.json");
    ensure!(
        world.stage.guest.read(&note).is_err(),
        "{note} is still there"
    );

    let (found, more) = world.under_traffic(|stage| {
        stage.guideway(&["device", "bind", CARD_ADDRESS])?;
        stage.start_host()
    })?;
    ensure!(
        found == Found::Running,
        "the card's tables were not adopted"
    );
    Ok(format!(
        "host ended with {status:?}; {} frames of known flows meanwhile, all forwarded",
        tally.sent + more.sent
    ))
}

pub fn unbound_while_stopped(world: &mut World) -> Result<String> {
    let pid = world.stage.host()?;
    let (took, tally) = world.under_traffic(|stage| {
        stage.guest.signal(pid, Signal::STOP)?;
        let begun = Instant::now();
        let complaint = stage.refused(&[
            "guideway",
            "device",
            "unbind",
            CARD_ADDRESS,
            "--force",
            "--timeout",
            "2",
        ])?;
        let took = begun.elapsed();
        ensure!(complaint.contains(&format!("pid {pid}")), "{complaint}");
        // the kernel waits for the host, and nobody else does
        let card = only_card(stage)?;
        ensure!(card["users"][0]["pid"] == pid, "{card}");
        stage.guest.signal(pid, Signal::CONT)?;
        stage.await_host_end()?;
        let begun = Instant::now();
        while only_card(stage)?["state"] != "not bound" {
            ensure!(
                begun.elapsed() < PATIENCE,
                "the card is not unbound, although its host has ended"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(took)
    })?;
    Ok(format!(
        "told so after {:.1} s; {} frames of known flows meanwhile, all forwarded",
        took.as_secs_f64(),
        tally.sent
    ))
}
