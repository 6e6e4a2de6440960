//! What a host costs that has nothing to do: processor time over wall time of `guideway run` on a card at rest.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use guideway_sim::card::Model;
use guideway_tests::simulator::Simulator;
use serde::Serialize;

/// From the host's start until it is at rest.
const SETTLE: Duration = Duration::from_secs(5);
/// How long it is then watched.
const WATCH: Duration = Duration::from_secs(20);

/// An idle host.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Idle {
    /// Seconds of wall time.
    pub watched: f64,
    /// Seconds of processor time in it, user and system.
    pub busy: f64,
    /// Of a core, in percent.
    pub percent: f64,
}

/// The host as a process; ended when dropped.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Watches the `guideway` beside this program on a simulated card.
///
/// # Errors
/// When simulator or host fail.
pub fn measure() -> Result<Idle> {
    let folder = tempfile::tempdir()?;
    let (simulator, _wire) = Simulator::start(Model::Reference, folder.path())?;
    let config = folder.path().join("lb.toml");
    fs::write(&config, configuration(&simulator.socket))?;
    let program = std::env::current_exe()?.with_file_name("guideway");
    let mut host = Host(
        Command::new(&program)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .arg("--runtime-dir")
            .arg(folder.path().join("run"))
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?,
    );
    std::thread::sleep(SETTLE);
    let (begun, before) = (Instant::now(), processor_time(host.0.id())?);
    std::thread::sleep(WATCH);
    ensure!(host.0.try_wait()?.is_none(), "the host ended meanwhile");
    let busy = (processor_time(host.0.id())? - before).as_secs_f64();
    let watched = begun.elapsed().as_secs_f64();
    drop(host);
    simulator.stop()?;
    Ok(Idle {
        watched,
        busy,
        percent: busy / watched * 100.0,
    })
}

fn configuration(socket: &Path) -> String {
    format!(
        r#"version = 1
[card]
device = "vfio-user:{}"
[node]
name = "idle"
mac = "02:00:00:00:00:01"
[[node.next_hop]]
mac = "02:00:00:00:00:fe"
[[pool]]
name = "web"
encap = "ipip"
[[pool.backend]]
address = "10.0.0.1"
[[pool.backend]]
address = "10.0.0.2"
[[vip]]
name = "web"
address = "10.200.1.1"
port = 80
protocol = "tcp"
pool = "web"
"#,
        socket.display()
    )
}

/// What a process has used, user and system: proc(5), fields 14 and 15 of `stat`.
fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("a process without a name")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_secs_f64(
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
    ))
}
