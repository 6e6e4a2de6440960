//! Replay: a capture through a card of one's own, the same every time.
//!
//! Owns what makes a run repeat: fixed secrets, one heartbeat that outlasts it, a packet loop that always sleeps for the card, one
//! punt a turn, and no access to the card that a clock triggers.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::carry_out::{CarryOutError, Deployment};
use super::pcap::PcapSink;
use super::state::{State, StateError};
use super::status;
use super::trace::names::Names;
use super::trace::output::RecordFile;
use crate::card::{
    Card, CardError, CardOptions, Control, Imbalance, QueueOptions, Queues, Scratch, SecretSource,
    TraceFilter, Waiting, Wake,
};
use crate::config::Config;
use crate::device::DeviceError;
use crate::device::sim::{SimOptions, SimulatedCard};
use crate::slow_path::connections::Connections;
use crate::slow_path::poll::{NoSink, Sink, SlowPath};

/// The secrets' seed in every replay.
const SEED: u64 = 0x6775_6964_6577_6179;
/// Longer than any replay, in card time: the card's counter holds 71 minutes.
const HEARTBEAT: Duration = Duration::from_micros(u32::MAX as u64);
/// The loop must not wake by itself.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What to replay.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Frames from here.
    pub input: PathBuf,
    /// What leaves on the wire goes here.
    pub output: PathBuf,
    /// What the host's network stack would get goes here.
    pub host_output: Option<PathBuf>,
    /// `line` or `step`.
    pub pace: &'static str,
    /// `rtl` or `reference`.
    pub model: &'static str,
    /// A waveform goes here.
    pub wave: Option<PathBuf>,
    /// These packets are traced, and the records go here.
    pub trace: Option<(TraceFilter, PathBuf)>,
}

/// log2 of the record ring's entries.
const RECORDS_LOG2: u8 = 12;

/// Writes all records that have come.
fn take_records(
    queues: &mut Queues,
    file: &mut RecordFile,
    names: &Names,
) -> Result<io::Result<()>, CardError> {
    for record in queues.receive_records(usize::MAX)? {
        let written = file.write(&record, names);
        if written.is_err() {
            return Ok(written);
        }
    }
    Ok(Ok(()))
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ReplayError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Card(#[from] CardError),
    #[error(transparent)]
    CarryOut(#[from] CarryOutError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("frames were lost without a counter: {0}")]
    Conservation(#[from] Imbalance),
    #[error("the simulator's control socket: {0}")]
    Control(String),
    #[error("{}: {error}", .path.display())]
    File {
        path: PathBuf,
        error: std::io::Error,
    },
}

/// Plays a capture and returns its statistics.
///
/// # Errors
/// When simulator, card or files fail, or frames vanished.
pub fn run(config: &Config, replay: &Replay) -> Result<Value, ReplayError> {
    let host_output = replay
        .host_output
        .as_deref()
        .map(|path| {
            PcapSink::create(path).map_err(|error| ReplayError::File {
                path: path.into(),
                error,
            })
        })
        .transpose()?;
    let in_file = |path: &Path| {
        let path = path.to_owned();
        move |error| ReplayError::File { path, error }
    };
    let mut traces = match &replay.trace {
        Some((_, path)) => Some(RecordFile::create(path).map_err(in_file(path))?),
        None => None,
    };
    let simulator = SimulatedCard::start(options(config, replay))?;
    let card_options = CardOptions {
        secrets: SecretSource::Seed(SEED),
        waiting: Waiting::Lockstep,
        patience: Duration::from_secs(120),
        ..CardOptions::default()
    };
    let card = Card::open(Arc::clone(&simulator) as Arc<_>, card_options)?;
    let sink: Box<dyn Sink> = match &host_output {
        Some(sink) => Box::new(sink.clone()),
        None => Box::new(NoSink),
    };
    let flow_entries = usize::try_from(config.card.flow_entries).unwrap_or(usize::MAX);
    let mut slow_path = SlowPath::new(
        Arc::clone(&card),
        Connections::in_memory(),
        flow_entries,
        1,
        sink,
    );
    let mut deployment = Deployment::new(
        &card,
        None,
        Scratch {
            generation: 1,
            ..Scratch::default()
        },
        State::default(),
    )?;
    deployment.begin(State::default().next(config)?)?;
    deployment.finish(&mut slow_path)?;
    let names = Names::of(deployment.state());
    let mut queues = card.start_queues(&QueueOptions::default())?;
    if let Some((filter, _)) = &replay.trace {
        queues.start_records(RECORDS_LOG2)?;
        card.set_trace_filter(Some(filter))?;
    }
    card.heartbeat(HEARTBEAT)?;
    // Before the first frame: the wire stands still for what a host has armed, and no frame may pass before that.
    queues.arm()?;
    card.set_control(Control {
        port_enable: true,
        ..card.control()?
    })?;
    let mut take = |queues: &mut Queues| match (&mut traces, &replay.trace) {
        (Some(traces), Some((_, path))) => {
            take_records(queues, traces, &names)?.map_err(in_file(path))
        }
        _ => Ok(()),
    };
    let drained = play(&simulator, &mut slow_path, &mut queues, &mut take)?;
    let mut stats = statistics(&card, &slow_path, &deployment, &drained)?;
    take(&mut queues)?;
    if let Some(records) = &mut queues.records {
        records.settle(records.made()?);
        let [traces, flow_events] = records.lost();
        stats["records_lost"] = json!({ "traces": traces, "flow_events": flow_events });
    }
    if let (Some(traces), Some((_, path))) = (traces, &replay.trace) {
        traces.finish().map_err(in_file(path))?;
    }
    drop(queues);
    drop(deployment);
    drop(slow_path);
    drop(card);
    simulator.finish()?;
    if let (Some(sink), Some(path)) = (host_output, &replay.host_output) {
        sink.finish().map_err(|error| ReplayError::File {
            path: path.clone(),
            error,
        })?;
    }
    Ok(stats)
}

fn options(config: &Config, replay: &Replay) -> SimOptions {
    let mut wire = OsString::from("pcap:");
    wire.push(&replay.input);
    wire.push(",");
    wire.push(&replay.output);
    let mut arguments: Vec<OsString> = [
        "--lockstep",
        "--time",
        "cycles",
        "--pace",
        replay.pace,
        "--model",
        replay.model,
    ]
    .map(OsString::from)
    .into();
    if let Some(wave) = &replay.wave {
        arguments.extend(["--wave".into(), wave.into()]);
    }
    SimOptions {
        simulator: config.card.simulator.clone(),
        arguments,
        control: true,
        timeout: Duration::from_secs(30),
        patience: Duration::from_secs(60),
        grace: Duration::from_secs(60),
        ..SimOptions::new(wire)
    }
}

/// Lets the frames begin, and serves punts until the wire has drained; returns the simulator's event.
fn play(
    simulator: &SimulatedCard,
    slow_path: &mut SlowPath,
    queues: &mut Queues,
    take: &mut dyn FnMut(&mut Queues) -> Result<(), ReplayError>,
) -> Result<Value, ReplayError> {
    let path = simulator
        .simulator()
        .control_path()
        .ok_or_else(|| ReplayError::Control("it has none".into()))?;
    let mut control = ControlSocket::connect(path)?;
    control.await_line(|line| line["event"] == "ready")?;
    control.send(&json!({ "command": "start" }))?;
    control.await_line(|line| line["reply"] == "start")?;
    loop {
        // a run that asks the host nothing may be over before its beginning was answered
        let called = !control.reader.buffer().is_empty()
            || queues.wait(FOREVER, Some(control.reader.get_ref().as_fd()))? == Wake::Called;
        slow_path.serve(queues)?;
        take(queues)?;
        if called && let Some(drained) = control.take_line(|line| line["event"] == "drained")? {
            while slow_path.serve(queues)? > 0 {}
            take(queues)?;
            return Ok(drained);
        }
    }
}

fn statistics(
    card: &Card,
    slow_path: &SlowPath,
    deployment: &Deployment,
    drained: &Value,
) -> Result<Value, ReplayError> {
    let counters = card.read_counters()?;
    counters.conservation()?;
    let mut stats = status::card(&counters);
    // the simulator's own count ends with the last frame, the card's goes on while it is asked
    stats["cycles"] = drained["cycles"].clone();
    stats["ports"]["cycles"] = drained["cycles"].clone();
    stats["vips"] = status::vips(card, deployment.state())?;
    stats["backends"] = status::backends(card, deployment.state())?;
    stats["host"] = status::host(slow_path, deployment, 0);
    Ok(stats)
}

/// The simulator's control socket: JSON lines.
struct ControlSocket {
    reader: BufReader<UnixStream>,
}

impl ControlSocket {
    fn connect(path: &Path) -> Result<Self, ReplayError> {
        let stream =
            UnixStream::connect(path).map_err(|error| ReplayError::Control(error.to_string()))?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    fn send(&mut self, line: &Value) -> Result<(), ReplayError> {
        writeln!(self.reader.get_mut(), "{line}")
            .map_err(|error| ReplayError::Control(error.to_string()))
    }

    /// Waits for the line that `is_it` says; lines before it are passed over.
    fn await_line(&mut self, is_it: impl Fn(&Value) -> bool) -> Result<Value, ReplayError> {
        loop {
            if let Some(line) = self.take_line(&is_it)? {
                return Ok(line);
            }
        }
    }

    /// Reads one line, and the ones that have come with it; the first that `is_it` says.
    fn take_line(&mut self, is_it: impl Fn(&Value) -> bool) -> Result<Option<Value>, ReplayError> {
        loop {
            let mut text = String::new();
            match self.reader.read_line(&mut text) {
                Ok(0) => return Err(ReplayError::Control("the simulator closed it".into())),
                Ok(_) => {}
                Err(error) => return Err(ReplayError::Control(error.to_string())),
            }
            let line: Value = serde_json::from_str(&text)
                .map_err(|error| ReplayError::Control(format!("{error} in {text:?}")))?;
            if let Some(error) = line.get("error") {
                return Err(ReplayError::Control(error.to_string()));
            }
            if is_it(&line) {
                return Ok(Some(line));
            }
            if self.reader.buffer().is_empty() {
                return Ok(None);
            }
        }
    }
}
