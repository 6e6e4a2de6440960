//! Frames through the card, and the host that answers what the card does not know.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::wire::{BACKENDS, Segment};
use crate::world::{Found, World};

/// Flows of the first case; all later ones know them.
const FLOWS: u32 = 48;

fn count(status: &Value, disposition: &str) -> u64 {
    status["card"]["dispositions"][disposition]
        .as_u64()
        .unwrap_or_default()
}

pub fn punts_and_hits(world: &mut World) -> Result<String> {
    let found = world.stage.start_host()?;
    ensure!(found == Found::Blank, "the card was not blank");
    for flow in 0..FLOWS {
        world.clients.send(flow, Segment::Syn);
    }
    world.clients.receive_all()?;
    for flow in 0..FLOWS {
        world.clients.send(flow, Segment::Ack);
    }
    let tally = world.clients.receive_all()?;
    let backends: BTreeSet<_> = (0..FLOWS)
        .filter_map(|flow| world.clients.backend(flow))
        .collect();
    ensure!(
        backends.len() == 2 * usize::from(BACKENDS),
        "{FLOWS} flows went to {backends:?} only"
    );
    let flows = u64::from(FLOWS);
    let status = world.stage.await_status("a hit for each flow", |status| {
        count(status, "forward_hit") >= flows
    })?;
    ensure!(
        count(&status, "host_punt") == flows
            && count(&status, "forward_inject") == flows
            && count(&status, "forward_hit") == flows
            && status["host"]["punts"] == flows
            && status["host"]["installs"] == flows,
        "{FLOWS} flows of two frames each, and the status is {status}"
    );
    Ok(format!(
        "{FLOWS} flows, {} backends; slowest hit {:.1} ms",
        backends.len(),
        tally.slowest.as_secs_f64() * 1e3
    ))
}
