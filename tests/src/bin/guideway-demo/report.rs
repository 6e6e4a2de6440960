//! What the demo ends with: a table for people, `summary.json` for programs.

use crate::network::Backend;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use guideway_tests::traffic::Requests;
use serde::Serialize;
use std::{collections::BTreeMap, fs, path::Path};

/// `target/demo/summary.json`.
#[derive(Debug, Serialize)]
pub struct Summary {
    requests: u64,
    failed_requests: u64,
    long_connections: u64,
    broken_long_connections: u64,
    backends: Vec<BackendShare>,
    card: serde_json::Value,
    host: HostShare,
}

#[derive(Debug, Serialize)]
struct BackendShare {
    address: String,
    requests: u64,
    share: f64,
    expected_share: f64,
}

#[derive(Debug, Serialize)]
struct HostShare {
    punts: u64,
    installs: u64,
    takeovers: u64,
}

impl Summary {
    /// `phases`: requests made, and the backend that was out of the rings meanwhile.
    pub fn new(
        backends: &[Backend],
        requests: &Requests,
        phases: &[(u64, Option<usize>)],
        long_connections: u64,
        broken_long_connections: u64,
        card: serde_json::Value,
        hosts: [&serde_json::Value; 2],
    ) -> Self {
        let answered: u64 = requests.answered.values().sum();
        let total: u64 = phases.iter().map(|(count, _)| count).sum();
        let share = |n: usize| {
            let expected = phases.iter().map(|(count, without)| {
                let weights: u32 = backends
                    .iter()
                    .enumerate()
                    .filter(|(m, _)| *without != Some(*m))
                    .map(|(_, b)| b.weight)
                    .sum();
                if *without == Some(n) {
                    0.0
                } else {
                    *count as f64 * f64::from(backends[n].weight) / f64::from(weights)
                }
            });
            expected.sum::<f64>() / total as f64
        };
        let backends = (0..backends.len()).map(|n| {
            let count = requests
                .answered
                .get(backends[n].host.name())
                .copied()
                .unwrap_or(0);
            let share_of = count as f64 / answered.max(1) as f64;
            BackendShare {
                address: backends[n].v4.clone(),
                requests: count,
                share: share_of,
                expected_share: share(n),
            }
        });
        let sum = |key: &str| {
            hosts
                .iter()
                .filter_map(|host| host.get(key)?.as_u64())
                .sum()
        };
        Self {
            requests: total,
            failed_requests: requests.failed,
            long_connections,
            broken_long_connections,
            backends: backends.collect(),
            card,
            host: HostShare {
                punts: sum("punts"),
                installs: sum("installs"),
                takeovers: sum("takeovers"),
            },
        }
    }
}

/// Writes `summary.json`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(summary: &Summary, out: &Path) -> Result<()> {
    Ok(fs::write(
        out.join("summary.json"),
        serde_json::to_string_pretty(summary)? + "\n",
    )?)
}

/// Prints the tables.
pub fn print(summary: &Summary) {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(["backend", "requests", "share", "expected"]);
    for backend in &summary.backends {
        table.add_row([
            backend.address.clone(),
            backend.requests.to_string(),
            format!("{:.1} %", backend.share * 100.0),
            format!("{:.1} %", backend.expected_share * 100.0),
        ]);
    }
    right_align(&mut table, 1..4);
    println!("{table}");

    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(["card", ""]);
    let number = |key: &str| {
        summary
            .card
            .get(key)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    let (cycles, frames) = (number("cycles"), number("frames_in"));
    table.add_row(["cycles".to_owned(), cycles.to_string()]);
    table.add_row([
        "packets per cycle".to_owned(),
        format!("{:.6}", frames as f64 / cycles.max(1) as f64),
    ]);
    if let Some(dispositions) = summary
        .card
        .get("dispositions")
        .and_then(serde_json::Value::as_object)
    {
        for (name, count) in dispositions
            .iter()
            .filter(|(_, count)| count.as_u64() != Some(0))
        {
            table.add_row([name.clone(), count.to_string()]);
        }
    }
    right_align(&mut table, 1..2);
    println!("{table}");
    let host = &summary.host;
    println!(
        "host: {} punts, {} installs, {} takeovers",
        host.punts, host.installs, host.takeovers
    );
    println!(
        "{} requests, {} failed; {} long downloads, {} broken",
        summary.requests,
        summary.failed_requests,
        summary.long_connections,
        summary.broken_long_connections
    );
}

fn right_align(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// "b1 12 (12 %), b2 ...".
#[must_use]
pub fn shares(counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    let each = counts.iter().map(|(name, count)| {
        format!(
            "{name} {count} ({:.0} %)",
            *count as f64 * 100.0 / total.max(1) as f64
        )
    });
    each.collect::<Vec<_>>().join(", ")
}
