//! What the kernel does to the card when its host goes, and what stays.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use guideway_tests::vm::protocol::Status;
use rustix::process::Signal;

use crate::wire::Segment;
use crate::world::{CARD_ADDRESS, Found, PATIENCE, Stage, World};

/// How long a dead host's card is left alone under traffic: longer than its heartbeat lasts.
const ALONE: Duration = Duration::from_millis(1500);
/// New flows for a host that has to answer.
const NEW: u32 = 8;
/// SIGKILL's number.
const KILLED: Status = Status::Signal(9);

/// Waits until the card has seen more than `before` function-level resets.
fn await_reset(stage: &mut Stage, before: u64) -> Result<u64> {
    let begun = Instant::now();
    loop {
        let now = stage.resets("function_level")?;
        if now > before {
            return Ok(now);
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "no function-level reset has arrived at the card"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Flows that the host's log says it has found.
fn adopted(log: &str) -> Option<usize> {
    let rest = log.split("flows=").nth(1)?;
    rest.split_whitespace().next()?.parse().ok()
}

pub fn killed_host(world: &mut World) -> Result<String> {
    let known = world.clients.known().len();
    let ((closing, opening, found), tally) = world.under_traffic(|stage| {
        let before = stage.resets("function_level")?;
        let status = stage.end_host(Signal::KILL)?;
        ensure!(status == KILLED, "the host ended with {status:?}");
        let closed = await_reset(stage, before)?;
        std::thread::sleep(ALONE);
        let found = stage.start_host()?;
        let opened = stage.resets("function_level")?;
        Ok((closed - before, opened - closed, found))
    })?;
    ensure!(
        closing >= 1 && opening >= 1,
        "{closing} resets at the last close, {opening} at the next open"
    );
    ensure!(
        found == Found::Running,
        "the card's tables were not adopted"
    );
    let log = world.stage.host_log()?;
    let flows = adopted(&log).with_context(|| format!("no count of flows in:\n{log}"))?;
    ensure!(
        flows == known,
        "{known} flows were known, {flows} were found:\n{log}"
    );
    answers(world)?;
    Ok(format!(
        "{} frames in, {} out; resets: {closing} at close, {opening} at open; {flows} flows adopted",
        tally.sent, tally.received
    ))
}

pub fn function_level_reset(world: &mut World) -> Result<String> {
    let path = format!("/sys/bus/pci/devices/{CARD_ADDRESS}/reset");
    let (noticed, tally) = world.under_traffic(|stage| {
        let before = stage.resets("function_level")?;
        stage
            .guest
            .succeed(&["/init", "write", &path, "1"], PATIENCE)?;
        await_reset(stage, before)?;
        let begun = Instant::now();
        // its rings are gone: it gives the card up, and the next one takes over
        let status = stage.await_host_end()?;
        let noticed = begun.elapsed();
        let log = stage.host_log()?;
        ensure!(
            status == Status::Exit(1) && log.contains("reset beneath this host"),
            "the host ended with {status:?}:\n{log}"
        );
        let found = stage.start_host()?;
        ensure!(
            found == Found::Running,
            "the card's tables were not adopted"
        );
        Ok(noticed)
    })?;
    answers(world)?;
    Ok(format!(
        "{} frames in and out; the host noticed after {:.1} s, the next one adopted",
        tally.sent,
        noticed.as_secs_f64()
    ))
}

/// New flows are punted, and a host answers them: neither the ring alone, nor silence.
fn answers(world: &mut World) -> Result<()> {
    let injected = |status: &serde_json::Value| {
        status["card"]["dispositions"]["forward_inject"]
            .as_u64()
            .unwrap_or_default()
    };
    let before = injected(&world.stage.await_status("anything", |_| true)?);
    let first = world.clients.known().last().map_or(0, |last| last + 1);
    for flow in first..first + NEW {
        world.clients.send(flow, Segment::Syn);
    }
    world.clients.receive_all()?;
    world
        .stage
        .await_status("an answer to each new flow", |status| {
            injected(status) >= before + u64::from(NEW)
        })?;
    Ok(())
}
