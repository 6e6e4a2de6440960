//! The simulator as a child: it ends with this host, however that ends, and what it says is kept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{
    PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal,
};

use crate::device::DeviceError;

/// Lines of standard error that are kept.
const MAX_LINES: usize = 40;
/// Bytes of a line that are kept.
const MAX_LINE: usize = 1000;
/// How long a child may take to obey SIGTERM.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to end it.
const KILL_GRACE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    said_all: bool,
    ended: Option<ExitStatus>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A child process.
pub struct Process {
    handle: OwnedFd,
    shared: Arc<Shared>,
}

impl Process {
    /// Starts `executable`.
    ///
    /// The kernel's "parent death" signal goes with the *thread* that started the child: a thread of its own starts it and waits for its
    /// end.
    ///
    /// # Errors
    /// When it cannot be executed.
    pub fn start(executable: &Path, arguments: &[OsString]) -> Result<Self, DeviceError> {
        let cannot = |e: std::io::Error| {
            DeviceError::system(
                format!("starting the simulator {}", executable.display()),
                e,
            )
        };
        let mut command = Command::new(executable);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let host = getpid();
        // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // The host may have died before the request was in place.
                if getppid() == Some(host) {
                    Ok(())
                } else {
                    Err(std::io::ErrorKind::BrokenPipe.into())
                }
            });
        }
        let shared = Arc::new(Shared::default());
        let (started, starting) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("guideway-sim".to_owned())
            .spawn(move || run(command, &started, &theirs))
            .map_err(cannot)?;
        let handle = starting
            .recv()
            .map_err(|_| cannot(std::io::ErrorKind::BrokenPipe.into()))?
            .map_err(cannot)?;
        Ok(Self { handle, shared })
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.shared.lock().ended
    }

    /// What it said last. Of a child that has ended, everything is there.
    pub fn last_words(&self) -> String {
        let mut state = self.shared.lock();
        if state.ended.is_some() {
            let all_said = |state: &mut State| !state.said_all;
            state = self
                .shared
                .changed
                .wait_timeout_while(state, KILL_GRACE, all_said)
                .map_or_else(|e| e.into_inner().0, |(state, _)| state);
        }
        state
            .lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits for its end.
    pub fn wait(&self, longest: Duration) -> Option<ExitStatus> {
        let runs = |state: &mut State| state.ended.is_none();
        self.shared
            .changed
            .wait_timeout_while(self.shared.lock(), longest, runs)
            .map_or_else(|e| e.into_inner().0, |(state, _)| state)
            .ended
    }

    fn signal(&self, signal: Signal) {
        // The handle names this child and no other, even after its end: then there is nothing to do.
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for (signal, grace) in [(Signal::TERM, TERM_GRACE), (Signal::KILL, KILL_GRACE)] {
            if self.ended().is_some() {
                return;
            }
            self.signal(signal);
            self.wait(grace);
        }
    }
}

fn run(
    mut command: Command,
    started: &mpsc::Sender<std::io::Result<OwnedFd>>,
    shared: &Arc<Shared>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    if let Some(stderr) = child.stderr.take() {
        let shared = Arc::clone(shared);
        let listener = std::thread::Builder::new().name("guideway-sim-stderr".to_owned());
        if let Err(error) = listener.spawn(move || listen(stderr, &shared)) {
            tracing::warn!(%error, "nobody listens to the simulator");
        }
    }
    // Not yet waited for: the number is still this child's.
    let pid = rustix::process::Pid::from_child(&child);
    let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(Into::into);
    if handle.is_err() {
        let _ = child.kill();
    }
    let _ = started.send(handle);
    match child.wait() {
        Ok(status) => shared.change(|state| state.ended = Some(status)),
        Err(error) => tracing::warn!(%error, "cannot wait for the simulator"),
    }
}

fn listen(stderr: ChildStderr, shared: &Shared) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|bytes| bytes > 0)
    {
        line.truncate(MAX_LINE);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        tracing::debug!(target: "guideway_sim", "{text}");
        shared.change(|state| {
            if state.lines.len() == MAX_LINES {
                state.lines.pop_front();
            }
            state.lines.push_back(text);
        });
        line.clear();
    }
    shared.change(|state| state.said_all = true);
}
