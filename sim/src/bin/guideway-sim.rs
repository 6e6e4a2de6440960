//! `guideway-sim`: the card as a process that serves vfio-user on a socket.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use guideway_sim::capture::Capture;
use guideway_sim::card::Card;
use guideway_sim::control::Control;
use guideway_sim::device::{Device, Options, Pace};
use guideway_sim::reference::ReferenceCard;
use guideway_sim::time::TimeMode;
use guideway_sim::vfio_user::server::Server;
use guideway_sim::wire::WireSpec;
use signal_hook::consts::{SIGINT, SIGTERM};
use tracing_subscriber::EnvFilter;

/// The Guideway card in software: serves it as a PCI function over vfio-user, with a network interface or capture files as
/// its wire.
///
/// Start it, then point the host at the socket: device = "vfio-user:PATH". One client at a time; the card keeps its tables
/// between clients, as a real one does. It stops at SIGTERM, SIGINT or {"command":"stop"} on the control socket.
#[derive(Debug, Parser)]
#[command(name = "guideway-sim", version, max_term_width = 110, after_help = EXAMPLES)]
struct Arguments {
    /// Where to serve vfio-user
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The wire: veth:NAME (any Ethernet interface, by a raw socket), tap:NAME, or pcap:IN,OUT (frames from file IN, those
    /// that leave into file OUT)
    #[arg(long, value_name = "WIRE")]
    wire: WireSpec,
    /// Which model of the card
    #[arg(long, value_enum, default_value_t = ModelName::Rtl)]
    model: ModelName,
    /// Where card time (heartbeat, ageing) comes from [default: wall on live wires, cycles for pcap]
    #[arg(long, value_enum)]
    time: Option<TimeMode>,
    /// Make the run repeatable: the wire stands still while the host owes an answer
    #[arg(long)]
    lockstep: bool,
    /// How frames follow each other: back to back, or each after the last one's disposition is final
    #[arg(long, value_enum, default_value_t = Pace::Line)]
    pace: Pace,
    /// Serve control on this socket: JSON lines. A pcap wire then waits for {"command":"start"}
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Write a waveform (FST) of the RTL
    #[arg(long, value_name = "FILE")]
    wave: Option<PathBuf>,
    /// Capture both directions of the wire (pcapng)
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Seed of whatever the model chooses at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// End when the first client has gone: for a simulator that belongs to one host
    #[arg(long)]
    once: bool,
}

const EXAMPLES: &str = "Examples:
  ip link add card0 type veth peer name lb0 && guideway-sim --socket /tmp/card0.sock --wire veth:card0
  guideway-sim --socket card.sock --wire pcap:in.pcap,out.pcap --lockstep --control control.sock

Log lines go to stderr; GUIDEWAY_LOG=debug shows more.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModelName {
    /// The RTL, cycle by cycle
    Rtl,
    /// The reference model: fast, exact in decisions, not in cycles
    Reference,
}

impl Arguments {
    fn options(&self) -> anyhow::Result<Options> {
        if self.lockstep && self.time == Some(TimeMode::Wall) {
            bail!(
                "--lockstep and --time wall contradict each other: use --time cycles or --time manual"
            );
        }
        if self.time == Some(TimeMode::Manual) && self.control.is_none() {
            bail!("--time manual needs --control PATH: card time moves by its advance command");
        }
        if self.wave.is_some() && self.model != ModelName::Rtl {
            bail!("--wave needs --model rtl: the reference model has no signals");
        }
        let live_default = if self.wire.is_live() && !self.lockstep {
            TimeMode::Wall
        } else {
            TimeMode::Cycles
        };
        Ok(Options {
            time: self.time.unwrap_or(live_default),
            lockstep: self.lockstep,
            pace: self.pace,
            wait_for_start: self.control.is_some() && !self.wire.is_live(),
            once: self.once,
        })
    }

    fn card(&self) -> anyhow::Result<Box<dyn Card>> {
        match self.model {
            ModelName::Reference => Ok(Box::new(ReferenceCard::new())),
            #[cfg(feature = "rtl")]
            ModelName::Rtl => {
                use guideway_sim::rtl::{RtlCard, RtlConfig};
                let config = RtlConfig {
                    seed: self.seed,
                    ..RtlConfig::default()
                };
                Ok(match &self.wave {
                    Some(path) => Box::new(
                        RtlCard::with_wave(config, path)
                            .with_context(|| path.display().to_string())?,
                    ),
                    None => Box::new(RtlCard::new(config)),
                })
            }
            #[cfg(not(feature = "rtl"))]
            ModelName::Rtl => bail!(
                "this build has no RTL: build with `--features rtl`, or use --model reference"
            ),
        }
    }
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("GUIDEWAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let options = arguments.options()?;
    let (stop, signalled) = UnixStream::pair().context("cannot make a pipe for signals")?;
    for signal in [SIGTERM, SIGINT] {
        let end = signalled
            .try_clone()
            .context("cannot make a pipe for signals")?;
        signal_hook::low_level::pipe::register(signal, end).context("cannot catch signals")?;
    }
    // Files and interfaces first: what is wrong with them is said before a client can connect.
    let wire = arguments.wire.open()?;
    let capture = arguments
        .capture
        .as_deref()
        .map(|path| Capture::create(path, options.time))
        .transpose()?;
    if let Some(path) = &arguments.wave {
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let card = arguments.card()?;
    let control = arguments
        .control
        .as_deref()
        .map(Control::bind)
        .transpose()?;
    let server = Server::bind(&arguments.socket)?;
    tracing::info!(
        socket = %arguments.socket.display(),
        model = ?arguments.model,
        time = options.time.name(),
        lockstep = options.lockstep,
        "serving"
    );
    Device::new(card, server, wire, options)
        .with_control(control)
        .with_capture(capture)
        .run(stop.as_fd())?;
    tracing::info!("stopped");
    Ok(())
}
