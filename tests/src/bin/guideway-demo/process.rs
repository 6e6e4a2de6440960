//! A process of the demo: ended when it is dropped, its output in a log file.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; stdout and stderr go to `{logs}/{name}.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// What it has written.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn output(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// Waits until its output holds `text`.
    ///
    /// # Errors
    /// When it ends before, or `limit` passes.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        self.wait_for_after("", text, limit)
    }

    /// Waits until its output holds `text` somewhere after `before`.
    ///
    /// # Errors
    /// When it ends before, or `limit` passes.
    pub fn wait_for_after(&mut self, before: &str, text: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        let said = |output: &str| {
            output
                .split_once(before)
                .is_some_and(|(_, rest)| rest.contains(text))
        };
        while !said(&self.output()?) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}):\n{}", self.name, self.output()?);
            }
            if start.elapsed() > limit {
                bail!(
                    "{} has not said {text:?} in {limit:?}:\n{}",
                    self.name,
                    self.output()?
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it fails, or `limit` passes.
    pub fn wait(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        let status: ExitStatus = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() > limit => {
                    bail!("{} has not ended in {limit:?}", self.name)
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        if !status.success() {
            bail!("{} failed ({status}):\n{}", self.name, self.output()?);
        }
        Ok(())
    }

    /// The process that the command became (`ip netns exec` replaces itself).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = i32::try_from(self.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("a process id")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
