//! What the cases share: the guest, the simulator, the wire, and the host that runs in the guest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use guideway_tests::simulator::Simulator;
use guideway_tests::vm::guest::Guest;
pub use guideway_tests::vm::machine::CARD_ADDRESS;
use guideway_tests::vm::protocol::Status;
use rustix::process::Signal;
use serde_json::Value;

use super::wire::{BACKENDS, CARD, Clients, NEXT_HOP, Tally, VIPS};

/// The host's configuration in the guest.
pub const CONFIG: &str = "/etc/lb.toml";
/// The host's log in the guest.
const LOG: &str = "/run/host.log";
/// How long a host may take to program or to take over its card, or to end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The stage of all cases.
pub struct World {
    /// The guest and the card, from the host's side.
    pub stage: Stage,
    /// The wire.
    pub clients: Clients,
}

/// Everything but the wire, which may be busy.
pub struct Stage {
    /// The guest.
    pub guest: Guest,
    /// The card.
    pub simulator: Simulator,
    /// The host that runs in the guest.
    host: Option<u32>,
}

/// How a host found its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It programmed it.
    Blank,
    /// It took it over.
    Running,
}

impl World {
    /// A world without a host.
    pub fn new(guest: Guest, simulator: Simulator, clients: Clients) -> Self {
        Self {
            stage: Stage {
                guest,
                simulator,
                host: None,
            },
            clients,
        }
    }

    /// Does `work` while segments of all known flows enter the card, and checks that each of them leaves it rightly.
    ///
    /// # Errors
    /// When a frame is lost or wrong, or `work` fails.
    pub fn under_traffic<R>(
        &mut self,
        work: impl FnOnce(&mut Stage) -> Result<R>,
    ) -> Result<(R, Tally)> {
        let flows = self.clients.known();
        ensure!(!flows.is_empty(), "no flow is known yet");
        let end = AtomicBool::new(false);
        let (clients, stage) = (&mut self.clients, &mut self.stage);
        let (worked, tally) = std::thread::scope(|scope| {
            let traffic = scope.spawn(|| clients.keep_going(&flows, &end));
            let worked = work(stage);
            end.store(true, Ordering::Relaxed);
            let tally = traffic
                .join()
                .unwrap_or_else(|_| Err(anyhow!("the clients panicked")));
            (worked, tally)
        });
        let tally = tally.context("known flows");
        let worked = match (worked, &tally) {
            (Err(error), Err(lost)) => return Err(error.context(format!("and {lost:#}"))),
            (worked, _) => worked?,
        };
        let tally = tally?;
        ensure!(
            tally.sent == tally.received && tally.sent > 0,
            "{tally:?}: not every frame of a known flow was forwarded"
        );
        Ok((worked, tally))
    }
}

impl Stage {
    /// Starts a host on the card, and waits until it serves it.
    ///
    /// # Errors
    /// When it ends, or takes too long.
    pub fn start_host(&mut self) -> Result<Found> {
        ensure!(self.host.is_none(), "a host runs already");
        let argv = ["guideway", "run", "--config", CONFIG];
        let pid = self.guest.start(&argv, LOG)?;
        self.host = Some(pid);
        let begun = Instant::now();
        loop {
            let log = self.host_log()?;
            if log.contains("the port enabled") {
                return Ok(Found::Blank);
            }
            if log.contains("taken over") {
                return Ok(Found::Running);
            }
            if !self.guest.runs(pid)? {
                self.host = None;
                bail!("guideway run ended:\n{}", self.host_log()?);
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "guideway run does not begin:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The running host's process in the guest.
    ///
    /// # Errors
    /// When none runs.
    pub fn host(&self) -> Result<u32> {
        self.host.context("no host runs")
    }

    /// What the host said since it was started.
    ///
    /// # Errors
    /// When its log is not there.
    pub fn host_log(&mut self) -> Result<String> {
        self.guest.read(LOG)
    }

    /// Sends a signal to the host and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end_host(&mut self, signal: Signal) -> Result<Status> {
        let pid = self.host()?;
        self.guest.signal(pid, signal)?;
        self.await_host_end()
    }

    /// Waits until the host ends by itself.
    ///
    /// # Errors
    /// When it does not.
    pub fn await_host_end(&mut self) -> Result<Status> {
        let pid = self.host()?;
        let status = match self.guest.wait(pid, PATIENCE) {
            Ok(status) => status,
            Err(error) => return Err(error.context(self.host_log()?)),
        };
        self.host = None;
        Ok(status)
    }

    /// What a command of `guideway` in the guest prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn guideway(&mut self, arguments: &[&str]) -> Result<String> {
        let argv: Vec<&str> = std::iter::once("guideway")
            .chain(arguments.iter().copied())
            .collect();
        self.guest.succeed(&argv, PATIENCE)
    }

    /// What a command of `guideway` in the guest complains of.
    ///
    /// # Errors
    /// When it succeeds, or does not end.
    pub fn refused(&mut self, argv: &[&str]) -> Result<String> {
        let outcome = self.guest.run(argv, PATIENCE)?;
        ensure!(
            matches!(outcome.status, Status::Exit(code) if code != 0),
            "{} ended with {:?}: {}{}",
            argv.join(" "),
            outcome.status,
            outcome.stdout,
            outcome.stderr
        );
        Ok(outcome.stderr)
    }

    /// The host's published status, once `is_so` holds of it.
    ///
    /// # Errors
    /// When it does not come to hold.
    pub fn await_status(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let status: Value = serde_json::from_str(&self.guideway(&["status", "--json"])?)?;
            if is_so(&status) {
                return Ok(status);
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the status does not come to show {what}: {status}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Host resets of a cause that the card has seen.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub fn resets(&mut self, cause: &str) -> Result<u64> {
        self.simulator.stats()?["host_resets"][cause]
            .as_u64()
            .with_context(|| format!("no count of {cause} resets"))
    }

    /// DMA accesses that were refused.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub fn dma_errors(&mut self) -> Result<u64> {
        self.simulator.stats()?["dma_errors"]
            .as_u64()
            .context("no count of DMA errors")
    }
}

/// The configuration of all hosts here, for the card at `device`.
pub fn config(device: &str) -> String {
    let mac = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let backends = |prefix: &str| -> String {
        (1..=BACKENDS)
            .map(|i| format!("[[pool.backend]]\naddress = \"{prefix}{i}\"\n"))
            .collect()
    };
    format!(
        "version = 1\n[card]\ndevice = \"{device}\"\n\
         [node]\nname = \"vm\"\nmac = \"{}\"\nmtu = 1540\n[[node.next_hop]]\nmac = \"{}\"\n\
         [[pool]]\nname = \"four\"\nencap = \"ipip\"\n{}[[pool]]\nname = \"six\"\nencap = \"ipip\"\n{}\
         [[vip]]\nname = \"four\"\naddress = \"{}\"\nport = 80\nprotocol = \"tcp\"\npool = \"four\"\non_miss = \"punt\"\n\
         [[vip]]\nname = \"six\"\naddress = \"{}\"\nport = 80\nprotocol = \"tcp\"\npool = \"six\"\non_miss = \"punt\"\n",
        mac(CARD),
        mac(NEXT_HOP),
        backends("10.0.0."),
        backends("fc00:2::"),
        VIPS.0,
        VIPS.1,
    )
}
