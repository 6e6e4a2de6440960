//! The process that binds and unbinds, and the one that waits for it.
//!
//! A write to a driver's `unbind` returns when the function's user has closed it, however long that takes, and no signal ends the wait
//! (Linux, `vfio_unregister_group_dev`). So another process writes: the command can tell what goes on and give up waiting, and
//! what was begun is carried through when the user does close the card.
//!
//! The worker tells its steps and its end as JSON lines on its standard output, which nobody may be reading any more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::device::binding::{Binding, KernelFiles, Records};
use crate::device::sysfs::Sysfs;
use crate::device::{DeviceAddress, PciAddress};

/// How often somebody who waits is told.
const PROGRESS: Duration = Duration::from_secs(2);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// To vfio-pci.
    Bind,
    /// Back.
    Unbind,
}

/// What is to be done to which card.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub verb: Verb,
    pub address: PciAddress,
    pub runtime_dir: &'a Path,
}

/// A line of the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<T> {
    Step(String),
    Done(T),
    Failed(String),
}

impl Job<'_> {
    /// Does it, in this process.
    pub fn work(&self, sysfs: &Sysfs) -> anyhow::Result<()> {
        let records = Records::of(self.runtime_dir);
        let binding = Binding {
            sysfs,
            files: &KernelFiles,
            records: &records,
            step: &|step| tell(&Line::<()>::Step(step.to_owned())),
        };
        match self.verb {
            Verb::Bind => tell_end(binding.bind(self.address)),
            Verb::Unbind => tell_end(binding.unbind(self.address)),
        }
        Ok(())
    }

    /// The worker's command line.
    fn command(&self) -> anyhow::Result<Command> {
        let verb = match self.verb {
            Verb::Bind => "bind",
            Verb::Unbind => "unbind",
        };
        let own = std::env::current_exe().context("finding the program's own file")?;
        let mut command = Command::new(own);
        command
            .args(["device", verb, "--worker", "--runtime-dir"])
            .arg(self.runtime_dir)
            .arg(self.address.to_string());
        Ok(command)
    }
}

fn tell<T: Serialize>(line: &Line<T>) {
    // the other side may have gone
    let _ = serde_json::to_string(line)
        .map_err(std::io::Error::from)
        .and_then(|line| writeln!(std::io::stdout(), "{line}"));
}

fn tell_end<T: Serialize, E: std::fmt::Display>(result: Result<T, E>) {
    tell(&match result {
        Ok(done) => Line::Done(done),
        Err(error) => Line::Failed(error.to_string()),
    });
}

/// Starts a worker and waits for it, at most `patience`. `waits_for` says what for, once it takes long.
pub fn start<T: DeserializeOwned + Send + 'static>(
    job: &Job<'_>,
    patience: Duration,
    waits_for: &dyn Fn() -> String,
) -> anyhow::Result<T> {
    use std::os::unix::process::CommandExt as _;
    let mut command = job.command()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // an interrupt ends the waiting, not the work
        .process_group(0);
    let child = command.spawn().context("starting the worker")?;
    await_end(child, job.address, patience, waits_for)
}

fn await_end<T: DeserializeOwned + Send + 'static>(
    mut child: Child,
    address: PciAddress,
    patience: Duration,
    waits_for: &dyn Fn() -> String,
) -> anyhow::Result<T> {
    let out = child.stdout.take().context("the worker's output")?;
    let (sender, lines) = mpsc::channel();
    // ends with the worker's output; a worker that the kernel holds outlives this process, and the thread does not matter then
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(serde_json::from_str::<Line<T>>(&line)).is_err() {
                return;
            }
        }
    });
    let name = DeviceAddress::Vfio(address);
    let begun = Instant::now();
    let mut doing = "starting".to_owned();
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        match lines.recv_timeout(left.min(PROGRESS)) {
            Ok(Ok(Line::Step(step))) => doing = step,
            Ok(Ok(Line::Done(done))) => {
                let _ = child.wait();
                return Ok(done);
            }
            Ok(Ok(Line::Failed(error))) => {
                let _ = child.wait();
                bail!("{error}");
            }
            Ok(Err(error)) => return Err(error).context("reading the worker's output"),
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().context("waiting for the worker")?;
                bail!("the worker ended while {doing}: {status}; run the command again to go on");
            }
            Err(RecvTimeoutError::Timeout) if begun.elapsed() >= patience => bail!(
                "{name}: {doing} has taken {} s, and {}. The kernel cannot be told to stop: process {} goes on, and finishes when the \
                 card is closed",
                patience.as_secs(),
                waits_for(),
                child.id()
            ),
            Err(RecvTimeoutError::Timeout) => {
                eprintln!(
                    "{name}: {doing}, {} s: {}",
                    begun.elapsed().as_secs(),
                    waits_for()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker's place taken by a shell.
    fn shell(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn end_of(script: &str, patience: Duration) -> anyhow::Result<u32> {
        let address = "0000:3b:00.0".parse().unwrap();
        await_end(shell(script), address, patience, &|| "x has it".into())
    }

    #[test]
    fn a_worker_s_end_is_the_command_s() {
        let long = Duration::from_secs(30);
        let done = r#"echo '{"step":"a"}'; echo '{"done":7}'"#;
        assert_eq!(end_of(done, long).unwrap(), 7);
        let failed = end_of(r#"echo '{"failed":"no such luck"}'"#, long).unwrap_err();
        assert_eq!(failed.to_string(), "no such luck");
        let killed = end_of(r#"echo '{"step":"trying"}'; kill -9 $$"#, long).unwrap_err();
        assert!(
            killed.to_string().contains("while trying") && killed.to_string().contains("again"),
            "{killed}"
        );
        assert!(end_of("echo nonsense", long).is_err());
    }

    #[test]
    fn a_worker_that_the_kernel_holds_is_left_behind() {
        let begun = Instant::now();
        let script = r#"echo '{"step":"unbinding it"}'; exec sleep 5"#;
        let error = end_of(script, Duration::from_millis(300))
            .unwrap_err()
            .to_string();
        assert!(begun.elapsed() < Duration::from_secs(4));
        assert!(
            error.contains("unbinding it has taken") && error.contains("x has it"),
            "{error}"
        );
    }
}
