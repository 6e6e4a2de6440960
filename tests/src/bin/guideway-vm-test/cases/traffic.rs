//! Frames through the card, and the host that answers what the card does not know.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::wire::{BACKENDS, Segment};
use crate::world::{Found, World};

/// Flows of the first case; all later ones know them.
const FLOWS: u32 = 48;
/// Lone punts that have to wake the host.
const LONE: u32 = 10;
/// Before each of them nothing happens for so long.
const QUIET: Duration = Duration::from_millis(150);
/// How long an idle host is watched.
const WATCH: Duration = Duration::from_secs(4);

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

/// Interrupts of the card that the guest's kernel has counted, all vectors together.
fn interrupts(world: &mut World) -> Result<u64> {
    let text = world.stage.guest.read("/proc/interrupts")?;
    let mut sum = 0;
    for line in text.lines().filter(|line| line.contains("vfio-msix")) {
        sum += line
            .split_whitespace()
            .nth(1)
            .and_then(|number| number.parse::<u64>().ok())
            .with_context(|| line.to_owned())?;
    }
    Ok(sum)
}

pub fn idle_and_woken(world: &mut World) -> Result<String> {
    let pid = world.stage.host()?;
    let (begun, before) = (Instant::now(), world.stage.guest.processor_time(pid)?);
    std::thread::sleep(WATCH);
    let busy = world.stage.guest.processor_time(pid)? - before;
    let share = busy.as_secs_f64() / begun.elapsed().as_secs_f64();

    let before = interrupts(world)?;
    let first = world.clients.known().last().map_or(0, |last| last + 1);
    let mut slowest = Duration::ZERO;
    for flow in first..first + LONE {
        std::thread::sleep(QUIET);
        world.clients.send(flow, Segment::Syn);
        slowest = slowest.max(world.clients.receive_all()?.slowest);
    }
    let signalled = interrupts(world)? - before;
    ensure!(
        signalled >= u64::from(LONE),
        "{LONE} punts came to a sleeping host, and {signalled} interrupts"
    );
    Ok(format!(
        "{LONE} lone punts, {signalled} interrupts, slowest answer {:.0} ms; idle {:.2} % of the emulated core",
        slowest.as_secs_f64() * 1e3,
        share * 100.0
    ))
}
