//! A host that has nothing to do: what it costs, and what wakes it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use guideway_sim::card::Model;
use guideway_tests::simulator::Simulator;

use crate::wire::Segment;
use crate::world::{PATIENCE, World, config};

/// Lone punts that have to wake the host.
const LONE: u32 = 10;
/// Before each of them nothing happens for so long.
const QUIET: Duration = Duration::from_millis(150);
/// How long idle hosts are watched.
const WATCH: Duration = Duration::from_secs(4);
/// The most of a core that one may use.
const SHARE: f64 = 0.01;

pub fn sleeps_and_wakes(world: &mut World) -> Result<String> {
    let pid = world.stage.host()?;
    // The guest's processor is emulated, so its share says little: the same program on a socket of this machine has to keep the bound.
    let beside = Beside::start()?;
    let (begun, here, there) = (
        Instant::now(),
        beside.processor_time()?,
        world.stage.guest.processor_time(pid)?,
    );
    std::thread::sleep(WATCH);
    let (here, there) = (
        beside.processor_time()? - here,
        world.stage.guest.processor_time(pid)? - there,
    );
    let share = |used: Duration| used.as_secs_f64() / begun.elapsed().as_secs_f64();
    let (here, there) = (share(here), share(there));
    ensure!(
        here < SHARE,
        "an idle host uses {:.2} % of a core",
        here * 100.0
    );
    drop(beside);

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
        "idle: {:.2} % of a core on this machine, {:.1} % of the guest's emulated one; {LONE} lone punts, {signalled} interrupts, \
         slowest answer {:.0} ms",
        here * 100.0,
        there * 100.0,
        slowest.as_secs_f64() * 1e3
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

/// A host on this machine, with a card of its own.
struct Beside {
    host: Child,
    _simulator: Simulator,
    _folder: tempfile::TempDir,
}

impl Beside {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (simulator, _) = Simulator::start(Model::Rtl, folder.path())?;
        let (file, log) = (folder.path().join("lb.toml"), folder.path().join("log"));
        fs::write(
            &file,
            config(&format!("vfio-user:{}", simulator.socket.display())),
        )?;
        let program = std::env::current_exe()?.with_file_name("guideway");
        let host = Command::new(program)
            .args(["run".as_ref(), "--config".as_ref(), file.as_os_str()])
            .args([
                "--runtime-dir".as_ref(),
                folder.path().join("run").as_os_str(),
            ])
            .stderr(File::create(&log)?)
            .spawn()
            .context("starting guideway on this machine")?;
        let beside = Self {
            host,
            _simulator: simulator,
            _folder: folder,
        };
        beside.await_settled(&log)?;
        Ok(beside)
    }

    fn await_settled(&self, log: &Path) -> Result<()> {
        let begun = Instant::now();
        while !fs::read_to_string(log)?.contains("the port enabled") {
            if begun.elapsed() > PATIENCE {
                bail!(
                    "the host on this machine does not begin: {}",
                    fs::read_to_string(log)?
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn processor_time(&self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.host.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += text
                .split_whitespace()
                .next()
                .context("schedstat is empty")?
                .parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
    }
}
