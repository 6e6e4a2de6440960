//! Whole tables through the command ring, from and to memory behind the IOMMU.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::world::{CARD_ADDRESS, PATIENCE, World};

/// The content of the tables.
const SEED: &str = "20261122";

pub fn pushed_and_read_back(world: &mut World) -> Result<String> {
    let said = world.stage.guest.succeed(
        &["/init", "tables", "--seed", SEED, CARD_ADDRESS],
        2 * PATIENCE,
    )?;
    let report: Value = serde_json::from_str(&said).context(said)?;
    let entries = report["entries"].as_u64().unwrap_or_default();
    ensure!(entries > 60_000, "{report}");
    ensure!(
        world.stage.dma_errors()? == 0,
        "DMA was refused, yet nothing was wrong"
    );
    Ok(format!(
        "{entries} entries of {} tables, seed {SEED}",
        report["tables"].as_u64().unwrap_or_default()
    ))
}
