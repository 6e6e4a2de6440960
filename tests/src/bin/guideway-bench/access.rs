//! What the host pays to reach its card through either backend: the same routine on a socket here, and on kernel VFIO in a virtual
//! machine. The machine is emulated in software, so its times say nothing about hardware; what they share is the card's part.

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use guideway::device::vfio_user::{DEFAULT_TIMEOUT, VfioUser};
use guideway_sim::card::Model;
use guideway_tests::access_cost::{self, AccessCost};
use guideway_tests::simulator::Simulator;
use guideway_tests::vm::image;
use guideway_tests::vm::machine::{CARD_ADDRESS, Cache, Machine};
use serde::Serialize;
use std::sync::Arc;

/// How long the guest may take for each step.
const PATIENCE: Duration = Duration::from_secs(60);
const LOG: &str = "/run/cost.log";

/// What was measured on one backend.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Side {
    /// By the host, in nanoseconds.
    #[serde(flatten)]
    pub cost: AccessCost,
    /// By the clients: from a punted frame's way in to its way out, in nanoseconds.
    pub punt_wire_to_wire: u64,
}

/// Over a vfio-user socket.
///
/// # Errors
/// When simulator or card fail.
pub fn over_socket() -> Result<Side> {
    let folder = tempfile::tempdir()?;
    let (simulator, wire) = Simulator::start(Model::Rtl, folder.path())?;
    let device = Arc::new(VfioUser::connect(&simulator.socket, DEFAULT_TIMEOUT)?);
    let (ready, is_ready) = channel();
    let host = std::thread::spawn(move || {
        access_cost::measure(device, || {
            let _ = ready.send(());
        })
    });
    // when the host fails before, it says why below
    let round_trip = is_ready
        .recv()
        .ok()
        .map(|()| access_cost::send_punts(&wire));
    let cost = host.join().map_err(|_| anyhow!("the host panicked"))??;
    let round_trip = round_trip.context("the host never began")??;
    simulator.stop()?;
    side(cost, round_trip)
}

/// In a virtual machine, over kernel VFIO.
///
/// # Errors
/// When machine, simulator or card fail.
pub fn in_machine(cache: &Cache, out: &Path) -> Result<Side> {
    fs::create_dir_all(out)?;
    let out = out.canonicalize()?;
    let executable = std::env::current_exe()?;
    let initramfs = out.join("initramfs");
    image::write(
        &initramfs,
        cache,
        executable.parent().context("no folder")?,
        &[],
    )?;
    let sockets = tempfile::tempdir()?;
    let (simulator, wire) = Simulator::start(Model::Rtl, sockets.path())?;
    let (machine, mut guest, _) =
        Machine::boot(cache, &out, sockets.path(), &initramfs, &simulator.socket)?;
    guest.succeed(&["guideway", "device", "bind", CARD_ADDRESS], PATIENCE)?;
    let pid = guest.start(&["/init", "cost", CARD_ADDRESS], LOG)?;
    let begun = Instant::now();
    while !guest.read(LOG)?.contains("ready") {
        if !guest.runs(pid)? || begun.elapsed() > PATIENCE {
            bail!("the guest does not begin to measure: {}", guest.read(LOG)?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let round_trip = access_cost::send_punts(&wire)?;
    guest.wait(pid, PATIENCE)?;
    let log = guest.read(LOG)?;
    let cost = log
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .with_context(|| format!("the guest measured nothing: {log}"))?;
    machine.power_off(guest)?;
    simulator.stop()?;
    side(cost, round_trip)
}

fn side(cost: AccessCost, round_trip: Duration) -> Result<Side> {
    Ok(Side {
        cost,
        punt_wire_to_wire: u64::try_from(round_trip.as_nanos())?,
    })
}

/// Name and time of each measurement, in nanoseconds.
#[must_use]
pub fn rows(side: &Side) -> [(&'static str, u64); 5] {
    [
        ("register read", side.cost.register_read),
        ("doorbell, posted", side.cost.doorbell),
        ("doorbell to completion", side.cost.doorbell_to_completion),
        ("punt to re-inject, in the host", side.cost.punt_to_reinject),
        ("punt, wire to wire", side.punt_wire_to_wire),
    ]
}
