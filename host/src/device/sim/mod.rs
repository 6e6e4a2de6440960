//! A private simulator: started for this host, ending with it.
//!
//! Owns what `device = "sim"` means: where the simulator is found, the folder of its sockets, its start and its end. What it does is its
//! own; the host knows it by its command line and the vfio-user socket.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::vfio_user::{DEFAULT_TIMEOUT, VfioUser};
use super::{Bar, Device, DeviceError, DmaMem};

mod find;
#[allow(unsafe_code)] // the child asks to be killed with this host before it becomes the simulator
mod process;

pub use find::{SIMULATOR, SIMULATOR_VARIABLE, find};
use process::Process;

/// How often somebody who waits is told.
const PROGRESS: Duration = Duration::from_secs(1);

/// How a private simulator is started.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// The simulator's executable; `None`: looked for ([`find`]).
    pub simulator: Option<PathBuf>,
    /// The wire, as the simulator's `--wire` has it: `pcap:IN,OUT`, `veth:NAME`, `tap:NAME`.
    pub wire: OsString,
    /// More arguments of the simulator (`--model reference`, `--lockstep`, ...).
    pub arguments: Vec<OsString>,
    /// Serve a control socket ([`Simulator::control_path`]). A pcap wire then waits for `start`.
    pub control: bool,
    /// How long the simulator may take to serve its socket.
    pub patience: Duration,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How long it may take to end by itself, once its card was closed.
    pub grace: Duration,
}

impl SimOptions {
    /// A simulator on `wire`, found wherever it is.
    #[must_use]
    pub fn new(wire: impl Into<OsString>) -> Self {
        Self {
            simulator: None,
            wire: wire.into(),
            arguments: Vec::new(),
            control: false,
            patience: Duration::from_secs(30),
            timeout: DEFAULT_TIMEOUT,
            grace: Duration::from_secs(10),
        }
    }
}

/// A running simulator. Ends when dropped; when this host is killed, too.
pub struct Simulator {
    process: Process,
    executable: PathBuf,
    socket: PathBuf,
    control: Option<PathBuf>,
    options: SimOptions,
    // Last: the sockets' folder goes when nobody uses it any more.
    _folder: tempfile::TempDir,
}

impl Simulator {
    /// Starts one.
    ///
    /// # Errors
    /// When none is found (every tried place is named) or it cannot be executed.
    pub fn start(options: SimOptions) -> Result<Self, DeviceError> {
        let executable = find(options.simulator.as_deref())?;
        let folder = tempfile::Builder::new()
            .prefix("guideway-sim-")
            .tempdir()
            .map_err(|e| DeviceError::system("making a folder for the simulator's sockets", e))?;
        let socket = folder.path().join("card.sock");
        let control = options.control.then(|| folder.path().join("control.sock"));
        let mut arguments: Vec<OsString> = vec![
            "--socket".into(),
            socket.clone().into(),
            "--wire".into(),
            options.wire.clone(),
        ];
        // It ends by itself, its files complete, when its only host has gone.
        arguments.push("--once".into());
        if let Some(path) = &control {
            arguments.extend(["--control".into(), path.clone().into()]);
        }
        arguments.extend(options.arguments.iter().cloned());
        let process = Process::start(&executable, &arguments)?;
        tracing::debug!(simulator = %executable.display(), socket = %socket.display(), "started a private simulator");
        Ok(Self {
            process,
            executable,
            socket,
            control,
            options,
            _folder: folder,
        })
    }

    /// Connects to its card, as soon as it serves.
    ///
    /// # Errors
    /// When it ends instead (with what it said), or does not serve in time.
    pub fn connect(&self) -> Result<VfioUser, DeviceError> {
        let begun = Instant::now();
        let mut told = begun;
        let connected = VfioUser::connect_while(
            &self.socket,
            self.options.timeout,
            self.options.patience,
            || {
                if told.elapsed() >= PROGRESS {
                    told = Instant::now();
                    tracing::info!(
                        seconds = begun.elapsed().as_secs(),
                        "waiting for the simulator to serve its socket"
                    );
                }
                match self.process.ended() {
                    None => Ok(()),
                    Some(status) => Err(self.failure(&format!(
                        "it ended with {status} instead of serving its socket"
                    ))),
                }
            },
        );
        // What the socket says is less than what the simulator says.
        connected.map_err(|error| match error {
            DeviceError::Open { reason, .. } if !reason.contains('\n') => self.failure(&reason),
            other => other,
        })
    }

    /// Its socket of control, when it was asked for.
    #[must_use]
    pub fn control_path(&self) -> Option<&Path> {
        self.control.as_deref()
    }

    /// The last lines that it wrote to its standard error.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.ended().is_none()
    }

    /// Waits until it has ended by itself, its card being closed, and tells whether all went well: then its files are complete.
    ///
    /// # Errors
    /// When it failed, or had to be ended.
    pub fn finish(&self) -> Result<(), DeviceError> {
        match self.process.wait(self.options.grace) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failure(&format!("it ended with {status}"))),
            None => Err(self.failure(&format!(
                "it did not end within {} s",
                self.options.grace.as_secs()
            ))),
        }
    }

    fn failure(&self, reason: &str) -> DeviceError {
        let words = self.last_words();
        let reason = if words.is_empty() {
            reason.to_owned()
        } else {
            format!("{reason}; its last words:\n{words}")
        };
        DeviceError::Open {
            device: format!("the simulator {}", self.executable.display()),
            reason,
        }
    }
}

/// A private simulator's card: both end together.
pub struct SimulatedCard {
    // Dropped in this order: the card is closed, then the simulator may end by itself.
    card: VfioUser,
    simulator: Simulator,
}

impl SimulatedCard {
    /// Starts a simulator and connects to it.
    ///
    /// # Errors
    /// As [`Simulator::start`] and [`Simulator::connect`].
    pub fn start(options: SimOptions) -> Result<Arc<Self>, DeviceError> {
        let simulator = Simulator::start(options)?;
        let card = simulator.connect()?;
        Ok(Arc::new(Self { card, simulator }))
    }

    /// The simulator.
    #[must_use]
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Closes the card and waits for the simulator's end, so that its files are complete. Every later access fails.
    ///
    /// # Errors
    /// As [`Simulator::finish`].
    pub fn finish(&self) -> Result<(), DeviceError> {
        self.card.close();
        self.simulator.finish()
    }
}

impl Drop for SimulatedCard {
    fn drop(&mut self) {
        self.card.close();
        if let Err(error) = self.simulator.finish() {
            tracing::warn!("{error}");
        }
    }
}

impl Device for SimulatedCard {
    fn name(&self) -> &str {
        self.card.name()
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.card.config_read(offset, data)
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.card.config_write(offset, data)
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        self.card.bar(index)
    }

    fn dma_map(&self, memory: &DmaMem) -> Result<u64, DeviceError> {
        self.card.dma_map(memory)
    }

    fn dma_unmap(&self, iova: u64, bytes: usize) -> Result<(), DeviceError> {
        self.card.dma_unmap(iova, bytes)
    }

    fn enable_msix(&self, vectors: u16) -> Result<Vec<std::os::fd::OwnedFd>, DeviceError> {
        self.card.enable_msix(vectors)
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.card.reset()
    }

    fn gone(&self, doing: &str) -> Option<DeviceError> {
        self.card.gone(doing)
    }

    fn death(&self) -> Option<rustix::event::PollFd<'_>> {
        self.card.death()
    }
}

#[cfg(test)]
mod tests;
