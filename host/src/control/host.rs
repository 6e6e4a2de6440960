//! A host on its card: taking it over or programming it anew, and the loop that then serves it.
//!
//! Owns the order of work in the loop: packets first, then records of a trace, then one step of a plan, then what is due now and then,
//! and when nothing is to do, sleep. What a running card is believed is [`super::recovery`]'s.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use guideway_hdl::tables::FLOWS;
use rustix::event::{EventfdFlags, eventfd};
use serde_json::json;

use super::carry_out::{CarryOutError, Deployment};
use super::heart::Heart;
use super::recovery;
use super::state::{State, StateError};
use super::status;
use super::store::Store;
use super::sweep::{Sweep, without_drained};
use super::trace::tap::{Opening, Tap};
use crate::card::{Card, CardError, Control, QueueOptions, Queues, Scratch};
use crate::config::Config;
use crate::device::{Device, DeviceError};
use crate::slow_path::connections::{Connections, ConnectionsError};
use crate::slow_path::pin::Adopted;
use crate::slow_path::poll::{Sink, SlowPath};
use crate::slow_path::routes::Routes;

/// How often the next part of the flow table is swept.
const SWEEP_EVERY: Duration = Duration::from_millis(200);
/// How often the status is published.
const STATUS_EVERY: Duration = Duration::from_millis(500);
/// How long a host that took a running card over only serves it before it changes anything.
const ACQUAINTANCE: Duration = Duration::from_secs(2);
/// Punts a turn.
const BATCH: usize = 64;

/// Why a host ended.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The device cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The card failed.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A plan failed.
    #[error(transparent)]
    CarryOut(#[from] CarryOutError),
    /// The configuration cannot follow.
    #[error(transparent)]
    State(#[from] StateError),
    /// The connection table cannot be used.
    #[error(transparent)]
    Connections(#[from] ConnectionsError),
    /// The runtime directory or a system resource failed.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// What others ask of the loop.
pub enum Order {
    /// Bring the card to this configuration.
    Apply(Box<Config>),
    /// Trace packets.
    Trace(Box<Opening>),
    /// End the trace, if there is one.
    TraceEnd,
    /// End.
    Stop,
}

/// How others reach the loop.
#[derive(Clone)]
pub struct Caller {
    orders: mpsc::Sender<Order>,
    bell: Arc<OwnedFd>,
}

impl Caller {
    /// Gives an order; false when the loop has ended.
    pub fn order(&self, order: Order) -> bool {
        let sent = self.orders.send(order).is_ok();
        // a bell that rings already needs no second ring
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
        sent
    }
}

/// How a card was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was blank, or what it held could not be believed, and is programmed from nothing.
    Blank,
    /// An earlier host's card runs: its tables and connections go on.
    Running(Adopted),
}

/// What a turn of the loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There was something to do.
    Busy,
    /// Nothing is to do now.
    Idle,
    /// The host was told to end.
    Ended,
}

/// When something is to be done next.
struct Due {
    every: Duration,
    at: Instant,
}

impl Due {
    fn every(every: Duration) -> Self {
        Self {
            every,
            at: Instant::now() + every,
        }
    }

    /// True when it is time; the next time is then one period away.
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.at;
        if due {
            self.at = now + self.every;
        }
        due
    }
}

/// A host on its card.
pub struct Host {
    // Stops first.
    _heart: Heart,
    card: Arc<Card>,
    slow_path: SlowPath,
    deployment: Deployment,
    queues: Queues,
    store: Store,
    sweep: Sweep,
    tap: Tap,
    takeovers: u32,
    orders: mpsc::Receiver<Order>,
    bell: Arc<OwnedFd>,
    /// The configuration that waits until the one before it is on the card.
    wanted: Option<Box<Config>>,
    /// Nothing is changed before.
    patient_until: Instant,
    turns: Arc<AtomicU64>,
    sweep_due: Due,
    status_due: Due,
}

impl Host {
    /// Opens the card that `connect` reaches; the port is enabled when this returns. A blank card is then in `config`; a running one goes on
    /// as it was, and [`Host::run`] brings it there.
    ///
    /// # Errors
    /// When card or runtime directory cannot be used.
    pub fn start(
        config: &Config,
        folder: &Path,
        sink: Box<dyn Sink>,
        connect: impl Fn() -> Result<Arc<dyn Device>, DeviceError>,
    ) -> Result<(Self, Caller, Found), HostError> {
        Self::start_after(ACQUAINTANCE, config, folder, sink, connect)
    }

    /// As [`Host::start`], with the time for which a host that took a running card over only serves it: connections that began by the
    /// ring while nobody was there are punted meanwhile, and are then known when the ring changes.
    ///
    /// # Errors
    /// As [`Host::start`].
    pub fn start_after(
        acquaintance: Duration,
        config: &Config,
        folder: &Path,
        sink: Box<dyn Sink>,
        connect: impl Fn() -> Result<Arc<dyn Device>, DeviceError>,
    ) -> Result<(Self, Caller, Found), HostError> {
        let io_error = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| HostError::Io(what, error)
        };
        let store = Store::open(folder).map_err(io_error(&folder.display().to_string()))?;
        // the table first: a second host of this runtime directory must not reach the card
        let (connections, opened) = Connections::open(&store.connections())?;
        tracing::info!(
            connections = opened.connections,
            torn = opened.torn,
            "connection table"
        );
        let (card, known) = recovery::open(&connect, &store)?;
        let flow_entries = usize::try_from(config.card.flow_entries).unwrap_or(FLOWS);
        let mut slow_path =
            SlowPath::new(Arc::clone(&card), connections, flow_entries, BATCH, sink);
        slow_path.now = wall_seconds();
        let first = getrandom::u32().map_err(|error| CardError::Random(error.to_string()))?;
        slow_path.outer.number_from(first);
        let (deployment, found) = match known {
            Some(known) => take_over(&card, &store, known, &mut slow_path)?,
            None => {
                let deployment = program(&card, &store, config, &mut slow_path)?;
                (deployment, Found::Blank)
            }
        };
        let queues = card.start_queues(&QueueOptions::default())?;
        if card.is_tracing()? {
            // the host that traced was killed
            card.set_trace_filter(None)?;
        }
        let turns = Arc::default();
        let heart = Heart::start(&card, &turns)?;
        card.set_control(Control {
            port_enable: true,
            ..card.control()?
        })?;
        let bell = Arc::new(
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
                .map_err(|errno| HostError::Io("eventfd".into(), errno.into()))?,
        );
        let (sender, orders) = mpsc::channel();
        let caller = Caller {
            orders: sender,
            bell: Arc::clone(&bell),
        };
        let running = found != Found::Blank;
        let host = Self {
            _heart: heart,
            card,
            slow_path,
            takeovers: deployment.generation() - 1,
            deployment,
            queues,
            store,
            sweep: Sweep::default(),
            tap: Tap::default(),
            orders,
            bell,
            wanted: running.then(|| Box::new(config.clone())),
            patient_until: Instant::now()
                + if running {
                    acquaintance
                } else {
                    Duration::ZERO
                },
            turns,
            sweep_due: Due::every(SWEEP_EVERY),
            status_due: Due::every(STATUS_EVERY),
        };
        host.publish()?;
        Ok((host, caller, found))
    }

    /// Serves the card until it is told to stop, or until the kernel wants the card back: whoever unbinds it waits for this host to close it.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn run(mut self) -> Result<(), HostError> {
        match self.serve() {
            Err(error) if is_asked_back(&error) => {
                tracing::warn!("{error}: ending");
                Ok(())
            }
            other => other,
        }
    }

    fn serve(&mut self) -> Result<(), HostError> {
        loop {
            match self.turn()? {
                Turn::Busy => {}
                Turn::Idle => self.rest()?,
                Turn::Ended => {
                    self.tap.end(&self.card, &self.queues, None)?;
                    return self.publish();
                }
            }
        }
    }

    /// One turn of the loop that [`Host::run`] is. Never waits for packets.
    ///
    /// # Errors
    /// When the card cannot be reached any more.
    pub fn turn(&mut self) -> Result<Turn, HostError> {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.slow_path.now = wall_seconds();
        let frames = self.slow_path.serve(&mut self.queues)?;
        let traces = self.tap.take(&self.card, &mut self.queues)?;
        if !self.take_orders()? {
            return Ok(Turn::Ended);
        }
        let worked = self.work()?;
        if self.is_settled() && self.sweep_due.take() {
            self.sweep()?;
        }
        if self.status_due.take() {
            // a loop with much to do never sleeps, and sleep is where it would be noticed
            if let Some(error) = self.card.device().gone("the host served it") {
                return Err(error.into());
            }
            self.queues.check_reset()?;
            self.slow_path.age_fragments(self.card.time_us()? as u32);
            self.publish()?;
        }
        Ok(if frames > 0 || traces || worked {
            Turn::Busy
        } else {
            Turn::Idle
        })
    }

    /// Whether the card is in the configuration that was wanted last.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.deployment.is_settled() && self.wanted.is_none()
    }

    /// Ends the time in which a running card that was taken over is only served.
    pub fn acquainted(&mut self) {
        self.patient_until = Instant::now();
    }

    /// The card.
    #[must_use]
    pub fn card(&self) -> &Arc<Card> {
        &self.card
    }

    /// Sleeps until there are packets or orders, or something is due.
    fn rest(&mut self) -> Result<(), HostError> {
        let mut until = self.sweep_due.at.min(self.status_due.at);
        if !self.is_settled() {
            until = until.min(self.patient_until);
        }
        if let Some(due) = self.tap.due() {
            until = until.min(due);
        }
        let bell = Arc::clone(&self.bell);
        let nap = until.saturating_duration_since(Instant::now());
        self.queues.wait(nap, Some(bell.as_fd()))?;
        Ok(())
    }

    /// Takes what was ordered; false when it is the end.
    fn take_orders(&mut self) -> Result<bool, HostError> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.bell, &mut count);
        loop {
            match self.orders.try_recv() {
                Ok(Order::Apply(config)) => self.wanted = Some(config),
                Ok(Order::Trace(opening)) => {
                    let state = self.deployment.state();
                    let queues = &mut self.queues;
                    self.tap.open(&self.card, queues, state, *opening)?;
                }
                Ok(Order::TraceEnd) => self.tap.end(&self.card, &self.queues, None)?,
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return Ok(false),
                Err(mpsc::TryRecvError::Empty) => return Ok(true),
            }
        }
    }

    /// Does one step of a plan, or begins the next plan; true when there was something to do.
    fn work(&mut self) -> Result<bool, HostError> {
        if Instant::now() < self.patient_until {
            return Ok(false);
        }
        if self.deployment.step(&mut self.slow_path)?.is_some() {
            if self.deployment.is_settled() {
                tracing::info!(
                    pinned = self.deployment.pinned.moved,
                    "the configuration is on the card"
                );
                let state = self.deployment.state();
                self.tap.follow(&self.card, &self.queues, state)?;
                self.publish()?;
            }
            return Ok(true);
        }
        let Some(config) = self.wanted.take() else {
            return Ok(false);
        };
        let next = self
            .deployment
            .state()
            .next(&config)
            .map_err(HostError::from);
        let next = next.and_then(|next| {
            self.deployment.check_keys(&next)?;
            Ok(next)
        });
        match next {
            Ok(next) => {
                self.tap.name(&next);
                let steps = self.deployment.begin(next)?;
                tracing::info!(steps, "a new configuration");
            }
            Err(error) => tracing::error!(%error, "the new configuration is not applied"),
        }
        Ok(true)
    }

    fn sweep(&mut self) -> Result<(), HostError> {
        if self.sweep.step(&self.card, &mut self.slow_path)? {
            let next = without_drained(self.deployment.state(), &self.slow_path);
            if next != *self.deployment.state() {
                tracing::info!("drained backends leave the card");
                self.deployment.begin(next)?;
            }
        }
        Ok(())
    }

    /// Writes `status.json`.
    fn publish(&self) -> Result<(), HostError> {
        let state = self.deployment.state();
        let held = self.card.hold_counters()?;
        let status = json!({
            "one_moment": held.is_one_moment(),
            "pid": std::process::id(),
            "device": self.card.name(),
            "settled": self.is_settled(),
            "host": status::host(&self.slow_path, &self.deployment, self.takeovers),
            "sweep": self.sweep.stats,
            "card": status::card(&self.card.read_counters()?),
            "vips": status::vips(&self.card, state)?,
            "backends": status::backends(&self.card, state)?,
        });
        held.release()?;
        // a full disk stops no packets
        if let Err(error) = self.store.write_status(&status) {
            tracing::warn!(%error, "status.json is not written");
        }
        Ok(())
    }
}

/// Goes on with a running card: its flows are taken over, and what the last host did not finish is begun again.
fn take_over(
    card: &Arc<Card>,
    store: &Store,
    known: recovery::Known,
    slow_path: &mut SlowPath,
) -> Result<(Deployment, Found), HostError> {
    slow_path.view = known.view;
    slow_path.view.routes = Routes::of(&known.state);
    slow_path.outer.change(&known.state);
    let adopted = slow_path.adopt()?;
    let scratch = Scratch {
        generation: known.scratch.generation + 1,
        ..known.scratch
    };
    card.write_scratch(&scratch)?;
    let mut deployment = Deployment::new(card, Some(store.clone()), scratch, known.state)?;
    if let Some(unfinished) = known.unfinished {
        let steps = deployment.begin(unfinished)?;
        tracing::info!(steps, "the last host's change is finished first");
    }
    Ok((deployment, Found::Running(adopted)))
}

/// Brings a blank card to `config`.
fn program(
    card: &Arc<Card>,
    store: &Store,
    config: &Config,
    slow_path: &mut SlowPath,
) -> Result<Deployment, HostError> {
    let scratch = Scratch {
        generation: 1,
        ..Scratch::default()
    };
    let mut deployment = Deployment::new(card, Some(store.clone()), scratch, State::default())?;
    deployment.begin(State::default().next(config)?)?;
    deployment.finish(slow_path)?;
    Ok(deployment)
}

/// Whether the kernel wants the card back.
fn is_asked_back(error: &HostError) -> bool {
    let device = match error {
        HostError::Device(error)
        | HostError::Card(CardError::Device(error))
        | HostError::CarryOut(CarryOutError::Card(CardError::Device(error))) => error,
        _ => return false,
    };
    matches!(device, DeviceError::AskedBack { .. })
}

/// Seconds of the wall clock.
fn wall_seconds() -> u32 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
