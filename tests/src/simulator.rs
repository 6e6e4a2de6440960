//! The simulator in this process, on a thread of its own: its socket for a host or a virtual machine, its wire's far end for the test.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use guideway_sim::card::{Card, Model};
use guideway_sim::control::Control;
use guideway_sim::device::{Device, Options, Pace};
use guideway_sim::reference::ReferenceCard;
use guideway_sim::rtl::{RtlCard, RtlConfig};
use guideway_sim::time::TimeMode;
use guideway_sim::vfio_user::server::Server;
use guideway_sim::wire::in_process::{InProcessPeer, in_process};
use serde_json::Value;

/// How long the control socket may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A running simulator: wall time, a live wire. Stopped when dropped.
#[derive(Debug)]
pub struct Simulator {
    /// The vfio-user socket.
    pub socket: PathBuf,
    control: BufReader<UnixStream>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Simulator {
    /// Starts it with sockets in `folder`; the wire's far end comes with it.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub fn start(model: Model, folder: &Path) -> Result<(Self, InProcessPeer)> {
        let (socket, path) = (folder.join("card.sock"), folder.join("control.sock"));
        let server = Server::bind(&socket)?;
        let control = Control::bind(&path)?;
        let (wire, peer) = in_process(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::Builder::new()
            .name("card".into())
            .spawn(move || {
                let options = Options {
                    time: TimeMode::Wall,
                    lockstep: false,
                    pace: Pace::Line,
                    wait_for_start: false,
                    once: false,
                };
                Device::new(card(model), server, Box::new(wire), options)
                    .with_control(Some(control))
                    .run(stopped.as_fd())
                    .map_err(Into::into)
            })?;
        let control = UnixStream::connect(&path).context("the simulator's control socket")?;
        control.set_read_timeout(Some(ANSWER))?;
        let mut simulator = Self {
            socket,
            control: BufReader::new(control),
            stop: Some(stop),
            thread: Some(thread),
        };
        let ready = simulator.line()?;
        if ready["event"] != "ready" {
            bail!("the simulator began with {ready}");
        }
        Ok((simulator, peer))
    }

    /// Its statistics, as `guideway-sim --control` gives them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn stats(&mut self) -> Result<Value> {
        self.control
            .get_mut()
            .write_all(b"{\"command\":\"stats\"}\n")?;
        self.line()
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.control.read_line(&mut line)? == 0 {
            bail!("the simulator has ended");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it failed meanwhile.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        drop(self.stop.take());
        match self.thread.take() {
            Some(thread) => thread
                .join()
                .map_err(|_| anyhow!("the simulator panicked"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// A card, fresh from power on.
fn card(model: Model) -> Box<dyn Card> {
    match model {
        Model::Reference => Box::new(ReferenceCard::new()),
        Model::Rtl => Box::new(RtlCard::new(RtlConfig::default())),
    }
}
