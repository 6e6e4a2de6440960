//! Memory that the card may reach, and memory that it may not.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::wire::Segment;
use crate::world::{CARD_ADDRESS, Found, PATIENCE, World};

/// Huge pages of 2 MiB that the guest sets aside.
const HUGE_PAGES: u64 = 40;

pub fn unmapped(world: &mut World) -> Result<String> {
    world.stage.end_host(Signal::TERM)?;
    let ((failed, counted, found), tally) = world.under_traffic(|stage| {
        let before = stage.dma_errors()?;
        let said = stage
            .guest
            .succeed(&["/init", "bad-dma", CARD_ADDRESS], PATIENCE)?;
        let report: Value = serde_json::from_str(&said).context(said)?;
        let failed = report["failed"].as_u64().context("no count")?;
        let counted = stage.dma_errors()? - before;
        Ok((failed, counted, stage.start_host()?))
    })?;
    ensure!(
        failed >= 4 && counted >= failed,
        "{failed} accesses failed, {counted} were counted"
    );
    ensure!(
        found == Found::Running,
        "the card's tables were not adopted"
    );
    Ok(format!(
        "{failed} commands ended with dma_error, {counted} accesses counted; {} frames in and out, tables adopted",
        tally.sent
    ))
}

fn free_huge_pages(world: &mut World) -> Result<u64> {
    let memory = world.stage.guest.read("/proc/meminfo")?;
    memory
        .lines()
        .find_map(|line| line.strip_prefix("HugePages_Free:"))
        .and_then(|number| number.trim().parse().ok())
        .context("no huge pages in /proc/meminfo")
}

pub fn huge_pages(world: &mut World) -> Result<String> {
    let small = world.stage.simulator.stats()?["dma_maps"]
        .as_u64()
        .context("no count of mappings")?;
    world.stage.end_host(Signal::TERM)?;
    world
        .stage
        .guest
        .write("/proc/sys/vm/nr_hugepages", &HUGE_PAGES.to_string())?;
    let free = free_huge_pages(world)?;
    ensure!(free == HUGE_PAGES, "{free} of {HUGE_PAGES} huge pages");
    let found = world.stage.start_host()?;
    ensure!(
        found == Found::Running,
        "the card's tables were not adopted"
    );
    let used = free - free_huge_pages(world)?;
    let large = world.stage.simulator.stats()?["dma_maps"]
        .as_u64()
        .context("no count of mappings")?;
    ensure!(used >= 8, "{used} huge pages are used");
    ensure!(
        large * 10 < small,
        "{large} mappings on huge pages, {small} on small ones"
    );
    let first = world.clients.known().last().map_or(0, |last| last + 1);
    for flow in first..first + 8 {
        world.clients.send(flow, Segment::Syn);
    }
    world.clients.receive_all()?;
    Ok(format!(
        "{used} pages of 2 MiB; {large} mappings instead of {small}"
    ))
}
