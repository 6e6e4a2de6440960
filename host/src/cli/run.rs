//! `guideway run`: the daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigFile;
use crate::config::Config;
use crate::control::host::{Caller, Found, Host, Order};
use crate::control::trace::session;
use crate::device::sim::SimOptions;
use crate::device::{self, Device, DeviceError};
use crate::slow_path::poll::NoSink;

/// How often the configuration file is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Take the card over or program it, and serve it until SIGTERM or SIGINT. SIGHUP, or a changed file, applies the configuration anew:
/// whole or not at all, and without breaking a connection.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the connection table and the card's state are kept: they let the next host take a running card over.
    #[arg(long, value_name = "DIR", default_value = "/run/guideway")]
    runtime_dir: PathBuf,
    /// The private simulator's wire, for device = "sim": veth:NAME, tap:NAME or pcap:IN,OUT.
    #[arg(long, value_name = "WIRE", env = "GUIDEWAY_SIM_WIRE")]
    wire: Option<String>,
    /// The private simulator's model, for device = "sim".
    #[arg(long, value_name = "MODEL", default_value = "rtl", value_parser = ["rtl", "reference"])]
    model: String,
}

impl Run {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = self.config.read()?;
        let started = Host::start(&config, &self.runtime_dir, Box::new(NoSink), || {
            self.connect(&config)
        });
        let (host, caller, found) =
            started.map_err(|error| hint(error.into(), &self.runtime_dir))?;
        match found {
            Found::Blank => tracing::info!("the card is programmed and the port enabled"),
            Found::Running(adopted) => tracing::info!(
                flows = adopted.flows,
                stale = adopted.stale,
                "a running card was taken over"
            ),
        }
        let packets = std::thread::Builder::new()
            .name("packets".into())
            .spawn(move || host.run())
            .context("starting the packet loop")?;
        let control = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the control plane")?;
        control.block_on(async {
            match session::bind(&self.runtime_dir) {
                Ok(listener) => drop(tokio::spawn(session::serve(listener, caller.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "{}: no packets can be traced", session::SOCKET)
                }
            }
            self.serve(&config, &caller, &packets).await
        })?;
        caller.order(Order::Stop);
        match packets.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(anyhow!("the packet loop panicked")),
        }
    }

    fn connect(&self, config: &Config) -> Result<Arc<dyn Device>, DeviceError> {
        let simulator = self.wire.as_ref().map(|wire| SimOptions {
            simulator: config.card.simulator.clone(),
            arguments: vec!["--model".into(), self.model.clone().into()],
            ..SimOptions::new(wire)
        });
        device::open(&config.card.device, simulator)
    }

    /// Waits for signals and changes of the file, until the end.
    async fn serve(
        &self,
        running: &Config,
        caller: &Caller,
        packets: &std::thread::JoinHandle<Result<(), crate::control::host::HostError>>,
    ) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut watch = tokio::time::interval(WATCH_EVERY);
        let mut seen = stamp(&self.config.config);
        loop {
            let reread = tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => true,
                _ = watch.tick() => {
                    if packets.is_finished() {
                        return Ok(());
                    }
                    stamp(&self.config.config) != seen
                }
            };
            if reread {
                seen = stamp(&self.config.config);
                self.reread(running, caller);
            }
        }
    }

    fn reread(&self, running: &Config, caller: &Caller) {
        match Config::read(&self.config.config) {
            Ok(config) if config.card != running.card => {
                tracing::error!(
                    "the configuration stays as it is: [card] does not change while guideway runs; restart it"
                );
            }
            Ok(config) => {
                caller.order(Order::Apply(Box::new(config)));
            }
            Err(problems) => tracing::error!("the configuration stays as it is:\n{problems}"),
        }
    }
}

/// When a file was changed, and its length: enough to see an editor's or a rename's work.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn hint(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    if error.to_string().contains("ermission denied") {
        return error.context(format!(
            "{} is not writable: choose another with --runtime-dir",
            folder.display()
        ));
    }
    error
}

/// Print what the daemon of a runtime directory does.
#[derive(Debug, Args)]
pub struct Status {
    /// The daemon's runtime directory.
    #[arg(long, value_name = "DIR", default_value = "/run/guideway")]
    runtime_dir: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let path = self.runtime_dir.join("status.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => bail!(
                "{}: {error}; is guideway running with this --runtime-dir?",
                path.display()
            ),
        };
        if self.json {
            return super::print(&text);
        }
        let status: serde_json::Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        super::print(&tables(&status))
    }
}

fn tables(status: &serde_json::Value) -> String {
    let plain = |value: &serde_json::Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut vips = super::house_table(
        &["vip", "pool", "on miss", "packets", "bytes", "over meter"],
        &[3, 4, 5],
    );
    for row in status["vips"].as_array().into_iter().flatten() {
        vips.add_row(
            ["name", "pool", "on_miss", "packets", "bytes", "over_meter"]
                .map(|key| plain(&row[key])),
        );
    }
    let mut backends = super::house_table(
        &["backend", "pool", "state", "weight", "packets", "bytes"],
        &[3, 4, 5],
    );
    for row in status["backends"].as_array().into_iter().flatten() {
        backends.add_row(
            ["address", "pool", "state", "weight", "packets", "bytes"].map(|key| plain(&row[key])),
        );
    }
    let mut dispositions = super::house_table(&["disposition", "frames"], &[1]);
    for (name, count) in status["card"]["dispositions"]
        .as_object()
        .into_iter()
        .flatten()
    {
        dispositions.add_row([name.clone(), count.to_string()]);
    }
    let host = &status["host"];
    let mut left = super::house_table(&["left to the host", "frames"], &[1]);
    for part in ["fragments", "icmp_errors"] {
        for (name, count) in host[part].as_object().into_iter().flatten() {
            if *count != 0 {
                left.add_row([format!("{part}.{name}"), count.to_string()]);
            }
        }
    }
    format!(
        "{}: {} connections, {} flows on the card, {} punts, {} installs, {} takeovers\n\n{vips}\n\n{backends}\n\n{dispositions}\n\n{left}",
        plain(&status["device"]),
        host["connections"],
        host["flows"],
        host["punts"],
        host["installs"],
        host["takeovers"],
    )
}
