//! The guest as the host reaches it: programs to run, files to read and write.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::protocol::{Outcome, Reply, Request, Status};

/// How long an answer may take beyond the time that its request takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The conversation.
#[derive(Debug)]
pub struct Guest {
    stream: BufReader<UnixStream>,
    /// Its kernel's version.
    pub kernel: String,
    /// Time from its kernel's start to its greeting.
    pub uptime: Duration,
}

impl Guest {
    /// Waits for the guest's first line.
    ///
    /// # Errors
    /// When it does not come within `patience`.
    pub fn greet(stream: UnixStream, patience: Duration) -> Result<Self> {
        let mut guest = Self {
            stream: BufReader::new(stream),
            kernel: String::new(),
            uptime: Duration::ZERO,
        };
        match guest.reply(patience)? {
            Reply::Ready {
                uptime_millis,
                kernel,
            } => {
                guest.kernel = kernel;
                guest.uptime = Duration::from_millis(uptime_millis);
                Ok(guest)
            }
            other => bail!("the guest began with {other:?}"),
        }
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it cannot be started, or the guest is gone. A program that fails is no error here.
    pub fn run(&mut self, argv: &[&str], longest: Duration) -> Result<Outcome> {
        let request = Request::Run {
            argv: owned(argv),
            millis: millis(longest),
        };
        match self.ask(&request, longest)? {
            Reply::Ran(outcome) => Ok(outcome),
            other => bail!("{argv:?}: {other:?}"),
        }
    }

    /// Runs a program that has to succeed; what it printed.
    ///
    /// # Errors
    /// Also when it fails.
    pub fn succeed(&mut self, argv: &[&str], longest: Duration) -> Result<String> {
        let outcome = self.run(argv, longest)?;
        if !outcome.succeeded() {
            bail!(
                "{} ended with {:?}: {}{}",
                argv.join(" "),
                outcome.status,
                outcome.stdout,
                outcome.stderr
            );
        }
        Ok(outcome.stdout)
    }

    /// Starts a program, whose output goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, argv: &[&str], log: &str) -> Result<u32> {
        let request = Request::Start {
            argv: owned(argv),
            log: log.to_owned(),
        };
        match self.ask(&request, Duration::ZERO)? {
            Reply::Started { pid } => Ok(pid),
            other => bail!("{argv:?}: {other:?}"),
        }
    }

    /// Sends a signal to a started program.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn signal(&mut self, pid: u32, signal: rustix::process::Signal) -> Result<()> {
        let signal = signal.as_raw();
        self.done(&Request::Signal { pid, signal })
    }

    /// Waits for a started program's end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self, pid: u32, longest: Duration) -> Result<Status> {
        let request = Request::Wait {
            pid,
            millis: millis(longest),
        };
        match self.ask(&request, longest)? {
            Reply::Ended {
                status: Some(status),
            } => Ok(status),
            Reply::Ended { status: None } => {
                bail!("process {pid} of the guest has not ended in {longest:?}")
            }
            other => bail!("{other:?}"),
        }
    }

    /// Whether a started program still runs.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn runs(&mut self, pid: u32) -> Result<bool> {
        match self.ask(&Request::Wait { pid, millis: 0 }, Duration::ZERO)? {
            Reply::Ended { status } => Ok(status.is_none()),
            other => bail!("{other:?}"),
        }
    }

    /// How long a program's threads have been on a processor.
    ///
    /// # Errors
    /// When it is gone.
    pub fn processor_time(&mut self, pid: u32) -> Result<Duration> {
        match self.ask(&Request::ProcessorTime { pid }, Duration::ZERO)? {
            Reply::Time { nanos } => Ok(Duration::from_nanos(nanos)),
            other => bail!("{other:?}"),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, path: &str) -> Result<String> {
        match self.ask(
            &Request::Read {
                path: path.to_owned(),
            },
            Duration::ZERO,
        )? {
            Reply::Text { text } => Ok(text),
            other => bail!("{path}: {other:?}"),
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, path: &str, text: &str) -> Result<()> {
        self.done(&Request::Write {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .with_context(|| path.to_owned())
    }

    pub(super) fn power_off(&mut self) {
        // the machine may be gone before the last byte has left
        let _ = self.send(&Request::PowerOff);
    }

    fn done(&mut self, request: &Request) -> Result<()> {
        match self.ask(request, Duration::ZERO)? {
            Reply::Done => Ok(()),
            other => bail!("{other:?}"),
        }
    }

    fn ask(&mut self, request: &Request, longest: Duration) -> Result<Reply> {
        self.send(request)?;
        match self.reply(longest + PATIENCE)? {
            Reply::Failed { error } => bail!("the guest: {error}"),
            reply => Ok(reply),
        }
    }

    fn send(&mut self, request: &Request) -> Result<()> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .context("the guest is gone")
    }

    fn reply(&mut self, patience: Duration) -> Result<Reply> {
        self.stream.get_ref().set_read_timeout(Some(patience))?;
        let mut line = String::new();
        let read = self
            .stream
            .read_line(&mut line)
            .with_context(|| format!("the guest has not answered in {patience:?}"))?;
        if read == 0 {
            bail!("the guest is gone");
        }
        serde_json::from_str(&line).with_context(|| format!("the guest said {line:?}"))
    }
}

fn owned(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|&word| word.to_owned()).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
