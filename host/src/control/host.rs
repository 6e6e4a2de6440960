//! A host on its card: taking it over or programming it anew, and the loop that then serves it.
//!
//! Owns the decision between the two, the heartbeat, and the order of work in the loop: packets first, then one step of a plan,
//! then, when nothing is to do, sleep.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use guideway_hdl::tables::FLOWS;
use rustix::event::{EventfdFlags, eventfd};
use serde_json::json;

use super::carry_out::{CarryOutError, Deployment, verify};
use super::state::{State, StateError};
use super::status;
use super::store::Store;
use super::sweep::{Sweep, without_drained};
use crate::card::{Card, CardError, CardOptions, Control, QueueOptions, Queues, Scratch};
use crate::config::Config;
use crate::device::{Device, DeviceError};
use crate::slow_path::connections::{Connections, ConnectionsError};
use crate::slow_path::pin::Adopted;
use crate::slow_path::poll::{Sink, SlowPath};
use crate::slow_path::view::View;

/// The time to live of a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often one is written.
const HEARTBEAT_EVERY: Duration = Duration::from_millis(100);
/// The heart stops when the loop has not turned for so long: a host that hangs is a dead one.
const LOOP_HANGS: Duration = Duration::from_secs(10);
/// Longest sleep of the loop.
const NAP: Duration = Duration::from_millis(50);
/// How often the next part of the flow table is swept.
const SWEEP_EVERY: Duration = Duration::from_millis(200);
/// How often the status is published.
const STATUS_EVERY: Duration = Duration::from_millis(500);
/// How long a host that took a running card over only serves it, before it changes anything: connections that began by the ring
/// while nobody was there are punted meanwhile, and are then known.
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

/// A host on its card.
pub struct Host {
    card: Arc<Card>,
    slow_path: SlowPath,
    deployment: Deployment,
    queues: Queues,
    store: Store,
    sweep: Sweep,
    takeovers: u32,
    orders: mpsc::Receiver<Order>,
    bell: Arc<OwnedFd>,
    /// The configuration that waits until the one before it is on the card.
    wanted: Option<Box<Config>>,
    /// Nothing is changed before.
    patient_until: Instant,
    turns: Arc<AtomicU64>,
}

/// How a card was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was blank, or what it held could not be believed, and is programmed from nothing.
    Blank,
    /// An earlier host's card runs: its tables and connections go on.
    Running(Adopted),
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
        let (card, known) = open_card(&connect, &store)?;
        let flow_entries = usize::try_from(config.card.flow_entries).unwrap_or(FLOWS);
        let mut slow_path =
            SlowPath::new(Arc::clone(&card), connections, flow_entries, BATCH, sink);
        slow_path.now = wall_seconds();
        let (state, found, scratch) = match known {
            Some((state, scratch)) => {
                slow_path.view = View::of(&state);
                let adopted = slow_path.adopt()?;
                (state, Found::Running(adopted), scratch)
            }
            None => (State::default(), Found::Blank, Scratch::default()),
        };
        let scratch = Scratch {
            generation: scratch.generation + 1,
            ..scratch
        };
        if found != Found::Blank {
            card.write_scratch(&scratch)?;
        }
        let mut deployment = Deployment::new(&card, Some(store.clone()), scratch, state)?;
        match store.next_state().filter(|_| found != Found::Blank) {
            // a change that the last host did not finish is finished first
            Some(unfinished) => deployment.begin(unfinished)?,
            None if found == Found::Blank => deployment.begin(State::default().next(config)?)?,
            None => 0,
        };
        if found == Found::Blank {
            deployment.finish(&mut slow_path)?;
        }
        let queues = card.start_queues(&QueueOptions::default())?;
        card.heartbeat(HEARTBEAT)?;
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
        let takeovers = scratch.generation - 1;
        let turns = Arc::default();
        let host = Self {
            card,
            slow_path,
            deployment,
            queues,
            store,
            sweep: Sweep::default(),
            takeovers,
            orders,
            bell,
            wanted: (found != Found::Blank).then(|| Box::new(config.clone())),
            patient_until: Instant::now()
                + if found == Found::Blank {
                    Duration::ZERO
                } else {
                    ACQUAINTANCE
                },
            turns,
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
        let heart = Heart::start(&self.card, &self.turns);
        let (mut swept, mut published) = (Instant::now(), Instant::now());
        loop {
            self.turns.fetch_add(1, Ordering::Relaxed);
            self.slow_path.now = wall_seconds();
            let frames = self.slow_path.serve(&mut self.queues)?;
            if !self.take_orders()? {
                break;
            }
            let worked = self.work()?;
            if self.deployment.is_settled() && swept.elapsed() > SWEEP_EVERY {
                swept = Instant::now();
                self.sweep()?;
            }
            if published.elapsed() > STATUS_EVERY {
                published = Instant::now();
                // a loop with much to do never sleeps, and sleep is where it would be noticed
                if let Some(error) = self.card.device().gone("the host served it") {
                    return Err(error.into());
                }
                self.queues.check_reset()?;
                self.publish()?;
            }
            if frames == 0 && !worked {
                let bell = Arc::clone(&self.bell);
                self.queues.wait(NAP, Some(bell.as_fd()))?;
            }
        }
        drop(heart);
        self.publish()
    }

    /// Takes what was ordered; false when it is the end.
    fn take_orders(&mut self) -> Result<bool, HostError> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.bell, &mut count);
        loop {
            match self.orders.try_recv() {
                Ok(Order::Apply(config)) => self.wanted = Some(config),
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
                self.publish()?;
            }
            return Ok(true);
        }
        let Some(config) = self.wanted.take() else {
            return Ok(false);
        };
        match self.deployment.state().next(&config) {
            Ok(next) => {
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
        let status = json!({
            "pid": std::process::id(),
            "device": self.card.name(),
            "settled": self.deployment.is_settled() && self.wanted.is_none(),
            "host": status::host(&self.slow_path, &self.deployment, self.takeovers),
            "sweep": self.sweep.stats,
            "card": status::card(&self.card.read_counters()?),
            "vips": status::vips(&self.card, state)?,
            "backends": status::backends(&self.card, state)?,
        });
        self.store
            .write_status(&status)
            .map_err(|error| HostError::Io("status.json".into(), error))
    }
}

/// The state that a card is in and what its scratch block says, when both can be believed.
type Known = Option<(State, Scratch)>;

/// Opens the card.
fn open_card(
    connect: &impl Fn() -> Result<Arc<dyn Device>, DeviceError>,
    store: &Store,
) -> Result<(Arc<Card>, Known), HostError> {
    let card = Card::open(connect()?, CardOptions::default())?;
    if let Some(scratch) = card.read_scratch()? {
        if let Some(state) = believed(&card, store, &scratch)? {
            return Ok((card, Some((state, scratch))));
        }
        tracing::warn!(
            "the card was configured by a host that this runtime directory does not know: it is programmed anew"
        );
    } else if card.read_vip_matches()?.iter().next().is_none() {
        return Ok((card, None));
    }
    drop(card);
    Ok((
        Card::open(
            connect()?,
            CardOptions {
                erase: true,
                ..CardOptions::default()
            },
        )?,
        None,
    ))
}

/// The stored state that the card's digest names, when its tables agree.
fn believed(card: &Card, store: &Store, scratch: &Scratch) -> Result<Option<State>, HostError> {
    let next = store.next_state();
    if let Some(next) = next.as_ref().filter(|next| next.digest() == scratch.digest) {
        store
            .commit()
            .map_err(|error| HostError::Io("state.json".into(), error))?;
        return Ok(Some(next.clone()));
    }
    let Some(state) = store
        .state()
        .filter(|state| state.digest() == scratch.digest)
    else {
        return Ok(None);
    };
    // in the middle of a change the tables are between two states, and carrying it out again makes them whole
    Ok((next.is_some() || verify(card, &state)?).then_some(state))
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

/// The thread that keeps the card believing in its host.
struct Heart {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Heart {
    fn start(card: &Arc<Card>, turns: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (card, turns, stopped) = (Arc::clone(card), Arc::clone(turns), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || beat(&card, &turns, &stopped))
            .ok();
        Self { stop, thread }
    }
}

fn beat(card: &Card, turns: &AtomicU64, stop: &AtomicBool) {
    let (mut seen, mut since) = (turns.load(Ordering::Relaxed), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let now = turns.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() < LOOP_HANGS && card.heartbeat(HEARTBEAT).is_err() {
            return;
        }
        std::thread::park_timeout(HEARTBEAT_EVERY);
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
