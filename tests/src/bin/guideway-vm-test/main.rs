//! `make vm-test`: the driver on kernel VFIO, in a virtual machine that sees the simulated card behind an IOMMU.
//!
//! ```text
//! prepare (image, simulator) -> boot -> the cases in order, one after the other in the same guest -> table, summary.json
//! ```
#![allow(clippy::print_stdout)] // a program for a terminal

mod cases;
mod report;
mod wire;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use guideway_sim::card::Model;
use guideway_tests::simulator::Simulator;
use guideway_tests::vm::image;
use guideway_tests::vm::machine::{CARD_ADDRESS, Cache, Hook, Machine};

use cases::CASES;
use report::{Report, Row};
use wire::Clients;
use world::World;

/// Runs the real host in a virtual machine on the simulated card, and shows that it does there what it does on a socket.
#[derive(Debug, Parser)]
struct Arguments {
    /// QEMU and the guest's kernel.
    #[arg(long, value_name = "DIR", default_value = ".deps/vm")]
    cache: PathBuf,
    /// Where the guest's image, the logs and summary.json go.
    #[arg(long, value_name = "DIR", default_value = "target/vm-test")]
    out: PathBuf,
    /// Run only the cases whose names contain this, and those before them.
    #[arg(long, value_name = "TEXT")]
    until: Option<String>,
    /// End everything after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let Some(cache) = Cache::open(&arguments.cache) else {
        bail!(
            "{} holds no QEMU and no kernel: tools/vm-deps.sh fetches them",
            arguments.cache.display()
        );
    };
    let begun = Instant::now();
    let mut report = Report::default();
    let result = run(&arguments, &cache, &mut report);
    report.finish(&arguments.out, begun.elapsed())?;
    if let Err(error) = &result {
        println!("\nvm-test: {error:#}");
    }
    Ok(if result.is_ok() && report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments, cache: &Cache, report: &mut Report) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    let out = arguments.out.canonicalize()?;
    let initramfs = out.join("initramfs");
    image::write(
        &initramfs,
        cache,
        &executables()?,
        &[(
            world::CONFIG,
            world::config(&format!("vfio:{CARD_ADDRESS}")),
        )],
    )?;
    // sockets have short paths
    let sockets = tempfile::tempdir()?;
    let (simulator, peer) = Simulator::start(Model::Rtl, sockets.path())?;
    let started = Instant::now();
    let (machine, guest, hook) =
        Machine::boot(cache, &out, sockets.path(), &initramfs, &simulator.socket)?;
    report.add(Row {
        name: "the machine boots",
        took: started.elapsed(),
        result: Ok(format!("Linux {}", guest.kernel)),
    });
    watch(hook, Duration::from_secs(arguments.limit));
    let mut world = World::new(guest, simulator, Clients::new(peer));
    let mut failed = None;
    for case in CASES {
        let started = Instant::now();
        let result = (case.run)(&mut world);
        let is_last = arguments
            .until
            .as_ref()
            .is_some_and(|text| case.name.contains(text));
        if let Err(error) = &result {
            failed = Some(format!(
                "{}: {error:#}\n\n{}\n\nthe host in the guest said:\n{}",
                case.name,
                machine.last_words(),
                world.stage.host_log().unwrap_or_default()
            ));
        }
        report.add(Row {
            name: case.name,
            took: started.elapsed(),
            result: result.map_err(|error| format!("{error:#}")),
        });
        if failed.is_some() || is_last {
            break;
        }
    }
    if let Some(failed) = failed {
        bail!("{failed}\n(logs are in {})", out.display());
    }
    machine.power_off(world.stage.guest)?;
    world.stage.simulator.stop()
}

/// Where this program and those beside it lie.
fn executables() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    here.parent().map(Path::to_owned).context("no folder")
}

/// Ends the conversation with the guest after `limit`: whatever waits for it then fails, and everything is cleaned up.
fn watch(hook: Hook, limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        hook.pull();
    });
}
