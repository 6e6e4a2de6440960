//! Refusals that name the remedy.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::world::{CARD_ADDRESS, CONFIG, World};

/// An ordinary user's number.
const USER: &str = "1000";
/// Bytes that this user may lock: far less than a host's queues.
const LITTLE: &str = "65536";
/// The guest's own program.
const TOOL: &str = "/init";

pub fn ordinary_user(world: &mut World) -> Result<String> {
    let list: Value = serde_json::from_str(&world.stage.guideway(&["device", "list", "--json"])?)?;
    let group = list[0]["iommu_group"].as_u64().context("no group")?;
    let node = format!("/dev/vfio/{group}");
    let argv = [
        TOOL,
        "limited",
        "--user",
        USER,
        "--memlock",
        LITTLE,
        "guideway",
        "run",
        "--config",
        CONFIG,
        "--runtime-dir",
        "/tmp/ordinary",
    ];
    world
        .stage
        .guest
        .succeed(&[TOOL, "give", "/tmp", USER], crate::world::PATIENCE)?;
    let forbidden = world.stage.refused(&argv)?;
    ensure!(
        forbidden.contains("permission") && forbidden.contains(&node),
        "{forbidden}"
    );
    for path in ["/dev/vfio/vfio", &node] {
        world
            .stage
            .guest
            .succeed(&[TOOL, "give", path, USER], crate::world::PATIENCE)?;
    }
    let limited = world.stage.refused(&argv)?;
    ensure!(
        limited.contains("RLIMIT_MEMLOCK") || limited.contains("memlock"),
        "{limited}"
    );
    Ok(format!("{node}; 64 KiB of locked memory"))
}

pub fn second_host(world: &mut World) -> Result<String> {
    let first = world.stage.host()?;
    let resets = world.stage.simulator.stats()?["host_resets"].clone();
    let argv = [
        "guideway",
        "run",
        "--config",
        CONFIG,
        "--runtime-dir",
        "/run/second",
    ];
    let complaint = world.stage.refused(&argv)?;
    ensure!(
        complaint.contains("in use") || complaint.contains("busy") || complaint.contains("already"),
        "{complaint}"
    );
    let info: Value = serde_json::from_str(&world.stage.guideway(&[
        "device",
        "info",
        CARD_ADDRESS,
        "--json",
    ])?)?;
    ensure!(
        info["card"].is_null() && info["daemon"]["pid"] == first,
        "{info}"
    );
    let list: Value = serde_json::from_str(&world.stage.guideway(&["device", "list", "--json"])?)?;
    ensure!(
        list[0]["state"] == "in use" && list[0]["users"][0]["pid"] == first,
        "{list}"
    );
    let after = world.stage.simulator.stats()?["host_resets"].clone();
    ensure!(
        resets == after,
        "the card was reset beneath its host: {resets} before, {after} after"
    );
    ensure!(world.stage.guest.runs(first)?, "the first host has ended");
    Ok(format!("pid {first} stays"))
}
