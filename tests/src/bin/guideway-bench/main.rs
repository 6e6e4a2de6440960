//! `make bench`: figures of the data path in cycles, and of the simulator as a ratio. Prints tables, writes `target/bench/*.json`.
#![allow(clippy::print_stdout)] // a program for a terminal

mod access;
mod dataplane;
mod speed;

use anyhow::Result;
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use guideway_tests::figures::{self, CLOCK_MHZ, beats};
use guideway_tests::vm::machine::Cache;
use serde::Serialize;
use std::{fs, path::PathBuf};

/// Measures the RTL's data path (cycles, packets, bytes: the same on every machine) and the simulator's speed (as a ratio to
/// the bare model, side by side in one run).
#[derive(Parser)]
struct Arguments {
    /// Where the JSON files go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// QEMU and a kernel, for the figures of kernel VFIO.
    #[arg(long, value_name = "DIR", default_value = ".deps/vm")]
    vm_cache: PathBuf,
    /// Measure the host's access to its card only.
    #[arg(long)]
    access_only: bool,
    /// Measure the data path only.
    #[arg(long, conflicts_with = "access_only")]
    dataplane_only: bool,
}

/// Flows that the bursts hit.
const FLOWS: u32 = 4000;

#[derive(Serialize)]
struct Burst {
    frames: u64,
    sent: u64,
    refused: u64,
}

#[derive(Serialize)]
struct LatencyRow {
    frame: usize,
    from_window: u64,
    from_end: u64,
    nanoseconds_from_first_beat: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.out)?;
    let write = |name: &str, json: serde_json::Value| {
        fs::write(
            arguments.out.join(name),
            serde_json::to_string_pretty(&json)? + "\n",
        )
    };

    if arguments.access_only {
        return Ok(write("access.json", access_cost(&arguments)?)?);
    }

    let rows = dataplane::measure()?;

    let bursts = [4096, 8192, 20_000]
        .map(burst)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let mut table = self::table(["frames at one a cycle", "sent", "refused"]);
    for row in &bursts {
        table.add_row([
            row.frames.to_string(),
            row.sent.to_string(),
            row.refused.to_string(),
        ]);
    }
    println!("Bursts of 60-byte frames at twice the sustained rate\n{table}\n");

    let latency: Vec<LatencyRow> =
        figures::latencies([60, 64, 128, 512, 1514, 4500, 6144, 9000, 9216])?
            .into_iter()
            .map(|row| LatencyRow {
                frame: row.bytes,
                from_window: row.from_window,
                from_end: row.from_end,
                nanoseconds_from_first_beat: (row.from_end + beats(row.bytes) - 1) as f64 * 1000.0
                    / CLOCK_MHZ,
            })
            .collect();
    let mut table = self::table([
        "frame",
        "cycles from window",
        "cycles from end",
        "ns from first beat",
    ]);
    for row in &latency {
        table.add_row([
            row.frame.to_string(),
            row.from_window.to_string(),
            row.from_end.to_string(),
            format!("{:.0}", row.nanoseconds_from_first_beat),
        ]);
    }
    println!("A lone frame's first beat out\n{table}\n");
    write(
        "dataplane.json",
        serde_json::json!({ "rows": rows, "bursts": bursts, "latency": latency }),
    )?;

    if arguments.dataplane_only {
        return dataplane::judge(&rows);
    }

    let speed = speed::measure()?;
    let mut table = self::table([
        "simulator",
        "cycles/s",
        "packets/s",
        "ratio to the bare model",
    ]);
    table.add_row([
        "card with wire and bridge".to_owned(),
        format!("{:.0}", speed.cycles_per_second),
        format!("{:.0}", speed.packets_per_second),
        format!("{:.3}", speed.ratio),
    ]);
    println!(
        "Simulation speed on this machine (only the ratio compares between machines)\n{table}"
    );
    write("simulator.json", serde_json::to_value(&speed)?)?;

    write("access.json", access_cost(&arguments)?)?;
    dataplane::judge(&rows)
}

/// Both backends side by side; the virtual machine's column only when its cache is there.
fn access_cost(arguments: &Arguments) -> Result<serde_json::Value> {
    let socket = access::over_socket()?;
    let cache = Cache::open(&arguments.vm_cache);
    let machine = cache
        .map(|cache| access::in_machine(&cache, &arguments.out.join("vm")))
        .transpose()?;
    let mut table = table(["", "vfio-user, us", "kernel VFIO in a VM, us", "ratio"]);
    let micros = |nanos: u64| format!("{:.1}", nanos as f64 / 1000.0);
    for (i, (name, nanos)) in access::rows(&socket).into_iter().enumerate() {
        let (there, ratio) = machine.as_ref().map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |machine| {
                let there = access::rows(machine)[i].1;
                (micros(there), format!("{:.1}", there as f64 / nanos as f64))
            },
        );
        table.add_row([name.to_owned(), micros(nanos), there, ratio]);
    }
    println!(
        "\nThe host's access to its simulated card, medians on this machine (the VM is emulated in software)\n{table}"
    );
    if machine.is_none() {
        println!(
            "(no VM in {}: tools/vm-deps.sh fetches it)",
            arguments.vm_cache.display()
        );
    }
    Ok(serde_json::json!({ "unit": "ns", "vfio_user": socket, "kernel_vfio_in_vm": machine }))
}

fn burst(frames: u32) -> Result<Burst> {
    let run = figures::run(60, frames, 0, FLOWS)?;
    Ok(Burst {
        frames: run.frames,
        sent: run.sent,
        refused: run.full,
    })
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(header);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
