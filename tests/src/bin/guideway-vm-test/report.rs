//! What is said of the cases: a line as each ends, a table at the end, `summary.json`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::json;

/// Columns of the table's lines.
const WIDTH: u16 = 140;

/// A case that has ended.
pub struct Row {
    /// What it shows.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// What it saw, or what is wrong.
    pub result: Result<String, String>,
}

/// All of them.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row, and says so.
    pub fn add(&mut self, row: Row) {
        let verdict = if row.result.is_ok() { "ok" } else { "FAILED" };
        println!(
            "{:>6.1} s  {verdict:<6}  {}",
            row.took.as_secs_f64(),
            row.name
        );
        self.rows.push(row);
    }

    /// Nothing failed, and something was run.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.result.is_ok())
    }

    /// Prints the table and writes the summary.
    pub fn finish(&self, out: &Path, took: Duration) -> Result<()> {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH)
            .set_header(["case", "seconds", "", "seen"]);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            let (verdict, seen) = match &row.result {
                Ok(seen) => ("ok", seen.as_str()),
                Err(_) => ("FAILED", "see below"),
            };
            table.add_row([
                row.name,
                &format!("{:.1}", row.took.as_secs_f64()),
                verdict,
                seen,
            ]);
        }
        println!("\n{table}");
        let passed = self.rows.iter().filter(|row| row.result.is_ok()).count();
        println!(
            "\n{passed} passed, {} failed in {:.0} s",
            self.rows.len() - passed,
            took.as_secs_f64()
        );
        let cases: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name,
                    "passed": row.result.is_ok(),
                    "seconds": row.took.as_secs_f64(),
                    "seen": row.result.as_ref().unwrap_or_else(|error| error),
                })
            })
            .collect();
        let summary = json!({
            "passed": passed,
            "failed": self.rows.len() - passed,
            "seconds": took.as_secs_f64(),
            "cases": cases,
        });
        fs::write(
            out.join("summary.json"),
            serde_json::to_string_pretty(&summary)? + "\n",
        )?;
        Ok(())
    }
}
