//! The table of rates: prints a table a way, and how far it is.

use anyhow::{Result, bail};
use guideway_tests::figures::{Mode, Row, Rows, SHAPES, Scale};

/// Least share of the limit that a row may sustain.
const LEAST_RATIO: f64 = 0.999;

/// Measures every row.
///
/// # Errors
/// When a frame comes out wrong.
pub fn measure() -> Result<Vec<Row>> {
    println!(
        "One frame each max(beats in, beats out) cycles is the limit; paced: at the rate of 100G wires, in and out. Per mode (hit, \
         learn, stateless): share of the limit, frames lost when paced, cycles from first beat in to first beat out of a lone frame."
    );
    let mut rows = Vec::new();
    let ways = Rows::ways().count();
    let mut card = Rows::new(Scale::FULL);
    for (number, way) in Rows::ways().enumerate() {
        eprintln!(
            "{} of {ways}: {} ({} rows)",
            number + 1,
            way.name,
            SHAPES.len() * Mode::ALL.len()
        );
        let first = rows.len();
        card.measure(way, SHAPES, |row| rows.push(row))?;
        print(&rows[first..]);
    }
    Ok(rows)
}

/// Whether every row keeps up.
///
/// # Errors
/// With the rows that do not.
pub fn judge(rows: &[Row]) -> Result<()> {
    let below: Vec<_> = rows
        .iter()
        .filter(|row| row.ratio < LEAST_RATIO || row.paced_drops > 0)
        .map(|row| format!("{} {} {:?}", row.encap, row.frame, row.mode))
        .collect();
    if !below.is_empty() {
        bail!("below the limit: {}", below.join(", "));
    }
    Ok(())
}

fn print(rows: &[Row]) {
    let mut table = super::table([
        "frame",
        "beats in",
        "out",
        "Mpps",
        "wire Mpps",
        "ratio",
        "",
        "",
        "lost",
        "",
        "",
        "latency",
        "",
        "",
    ]);
    for modes in rows.chunks(Mode::ALL.len()) {
        let Some(hit) = modes.first() else { continue };
        let whole_or_mean = |beats: f64| {
            let digits = usize::from(beats.fract() != 0.0);
            format!("{beats:.digits$}")
        };
        let mut cells = vec![
            hit.frame.to_owned(),
            whole_or_mean(hit.beats_in),
            whole_or_mean(hit.beats_out),
            format!("{:.2}", hit.mpps),
            format!("{:.2}", hit.wire_limit_mpps),
        ];
        cells.extend(modes.iter().map(|row| format!("{:.4}", row.ratio)));
        cells.extend(modes.iter().map(|row| row.paced_drops.to_string()));
        cells.extend(modes.iter().map(|row| row.latency_cycles.to_string()));
        table.add_row(cells);
    }
    println!("{}\n{table}\n", rows.first().map_or("", |row| row.encap));
}
