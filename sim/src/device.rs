//! The simulator's loop: one thread that lets the card run and serves socket, wire and control between slices.
//!
//! Owns the order of things: when a frame may enter the card, when a host's access is served, when an interrupt is
//! signalled, how time passes.
//!
//! **Lockstep** makes a run a function of its input and of what the host does, not of when. The wire stands still while
//! the host owes something: an end to a punt, or a newly armed interrupt after one that was signalled. Host accesses are
//! served, and interrupts signalled, only when the card has come to rest, and while frames flow the host waits.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::capture::Capture;
use crate::card::{Card, Model};
use crate::control::{Control, Request};
use crate::time::{TimeMode, WallTicks};
use crate::vfio_user::server::{Event, Server};
use crate::wire::capture_file::CaptureError;
use crate::wire::{Wire, WireError};

mod arming;

use arming::Arming;

/// Frames that may wait at the card's wire.
const WAITING_MAX: usize = 256;
/// Frames thrown away at a time while the port is not enabled.
const FLUSH_BATCH: usize = 1024;
/// Host accesses served before the card runs again.
const ACCESS_BATCH: usize = 64;
/// Cycles of a slice under lockstep: fixed, so that what happens after which cycle does not depend on this machine.
const LOCKSTEP_SLICE: u64 = 256;
/// Longest a slice should take otherwise, so that a register access does not wait long.
const SLICE_TIME: Duration = Duration::from_micros(150);
const SLICE_CYCLES: std::ops::RangeInclusive<u64> = 32..=1 << 16;
/// Cycles after which a card that does not come to rest is served anyway.
const REST_CYCLES: u64 = 4_000_000;
/// How long lockstep waits for a host: for the arming of an interrupt, and the host for the wire.
const LOCKSTEP_PATIENCE: Duration = Duration::from_secs(1);
/// How long the loop sleeps when nothing happens.
const SLEEP: Duration = Duration::from_millis(50);

/// How long it sleeps while a refused client has not spoken.
const DISMISSAL: Duration = Duration::from_millis(1);

/// How frames of a capture file follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Pace {
    /// Back to back.
    Line,
    /// Each after the last one's disposition is final.
    Step,
}

/// How the simulator runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where card time comes from.
    pub time: TimeMode,
    /// The run depends on input only.
    pub lockstep: bool,
    /// How frames follow each other.
    pub pace: Pace,
    /// The wire waits for `start`.
    pub wait_for_start: bool,
    /// The simulator ends with its first client.
    pub once: bool,
}

/// Why the loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The wire's files.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The capture.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The system refuses to poll.
    #[error("cannot poll: {0}")]
    Poll(Errno),
}

/// The card as a device: model, socket, wire, control.
pub struct Device {
    card: Box<dyn Card>,
    server: Server,
    wire: Box<dyn Wire>,
    control: Option<Control>,
    capture: Option<Capture>,
    options: Options,
    ticks: WallTicks,
    arming: Arming,
    /// Under lockstep: since when the host waits for the wire.
    host_waits: Option<Instant>,
    slice: u64,
    started: bool,
    drained: bool,
    stopping: bool,
    restless: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    frames_in: u64,
    frames_out: u64,
    flushed: u64,
}

/// What poll found.
#[derive(Clone, Copy, Debug, Default)]
struct Readiness {
    stop: bool,
    listener: bool,
    client: bool,
    control: bool,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("options", &self.options)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Device {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        mut card: Box<dyn Card>,
        mut server: Server,
        wire: Box<dyn Wire>,
        options: Options,
    ) -> Self {
        card.set_tick_source(options.time.tick_source());
        server.function.msix.set_deferred(options.lockstep);
        Self {
            card,
            server,
            wire,
            control: None,
            capture: None,
            options,
            ticks: WallTicks::new(Instant::now()),
            arming: Arming::default(),
            host_waits: None,
            slice: *SLICE_CYCLES.start(),
            started: !options.wait_for_start,
            drained: false,
            stopping: false,
            restless: false,
            counts: Counts::default(),
        }
    }

    /// Adds a control socket.
    #[must_use]
    pub fn with_control(mut self, control: Option<Control>) -> Self {
        self.control = control;
        self
    }

    /// Adds a capture.
    #[must_use]
    pub fn with_capture(mut self, capture: Option<Capture>) -> Self {
        self.capture = capture;
        self
    }

    /// Runs until `stop` becomes readable, `stop` comes on the control socket, or (with `once`) the client has gone.
    ///
    /// # Errors
    /// When a file of the wire or the capture fails.
    pub fn run(&mut self, stop: BorrowedFd<'_>) -> Result<(), DeviceError> {
        let mut timeout = Duration::ZERO;
        while !self.stopping {
            let ready = self.poll(stop, timeout)?;
            self.stopping |= ready.stop;
            if ready.listener {
                self.server.accept();
            }
            if ready.control {
                self.serve_control();
            }
            self.pass_time();
            let busy = if self.options.lockstep {
                self.lockstep_turn(ready)?
            } else {
                self.free_turn(ready)?
            };
            self.report_drained()?;
            let refusing = self.server.dismiss_refused();
            if self.options.once && self.server.clients_finished() > 0 {
                tracing::info!("the client has gone: ending (--once)");
                self.stopping = true;
            }
            timeout = if busy || self.server.has_waiting() {
                Duration::ZERO
            } else if refusing {
                DISMISSAL
            } else {
                SLEEP
            };
        }
        self.server.shutdown(&mut *self.card);
        self.collect()?;
        self.flush()
    }

    fn poll(&self, stop: BorrowedFd<'_>, timeout: Duration) -> Result<Readiness, DeviceError> {
        let wire_waits = self.started && self.room() > 0 && !self.wire_stands_still();
        let mut fds = vec![
            PollFd::from_borrowed_fd(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(self.server.listener(), PollFlags::IN),
        ];
        let client = self
            .server
            .client()
            .map(|(fd, interest)| PollFd::from_borrowed_fd(fd, interest));
        let client_at = client.is_some().then_some(fds.len());
        fds.extend(client);
        if let Some(fd) = self.wire.poll_fd().filter(|_| wire_waits) {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        let control_at = fds.len();
        if let Some(control) = &self.control {
            fds.extend(
                control
                    .poll_fds()
                    .map(|(fd, interest)| PollFd::from_borrowed_fd(fd, interest)),
            );
        }
        let timeout = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Readiness::default()),
            Err(errno) => return Err(DeviceError::Poll(errno)),
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ok(Readiness {
            stop: is_ready(&fds[0]),
            listener: is_ready(&fds[1]),
            client: client_at.is_some_and(|at| is_ready(&fds[at])),
            control: fds[control_at..].iter().any(is_ready),
        })
    }

    fn pass_time(&mut self) {
        if self.options.time == TimeMode::Wall {
            let due = self.ticks.due(Instant::now());
            if due > 0 {
                self.card.add_ticks(due);
            }
        }
    }

    /// A turn without lockstep; true when there is more to do at once.
    fn free_turn(&mut self, ready: Readiness) -> Result<bool, DeviceError> {
        let mut served = 0;
        if ready.client || self.server.has_waiting() {
            while served < ACCESS_BATCH && self.serve_next() {
                served += 1;
            }
        }
        let fed = self.feed()?;
        if !self.card.is_idle() {
            let start = Instant::now();
            // A file's frames come back to back: the wire must not run dry within a slice.
            let slice = if self.may_flow() {
                LOCKSTEP_SLICE
            } else {
                self.slice
            };
            let ran = self.run_card(slice);
            self.adapt_slice(ran, start.elapsed());
        }
        self.collect()?;
        // Asked after the run: by the wall clock some time is always owed before it, and a card that owes nothing else shall sleep.
        Ok(fed || !self.card.is_idle() || served == ACCESS_BATCH)
    }

    /// Keeps slices near [`SLICE_TIME`], whatever the model and the machine.
    fn adapt_slice(&mut self, ran: u64, took: Duration) {
        let slice = if took > SLICE_TIME {
            self.slice / 2
        } else if ran == self.slice && took < SLICE_TIME / 2 {
            self.slice * 2
        } else {
            self.slice
        };
        self.slice = slice.clamp(*SLICE_CYCLES.start(), *SLICE_CYCLES.end());
    }

    /// A turn under lockstep; true when there is more to do at once.
    fn lockstep_turn(&mut self, ready: Readiness) -> Result<bool, DeviceError> {
        if ready.client || self.server.has_waiting() {
            self.host_waits.get_or_insert_with(Instant::now);
        }
        let impatient = self
            .host_waits
            .is_some_and(|since| since.elapsed() > LOCKSTEP_PATIENCE);
        if !impatient && !self.wire_stands_still() && (self.feed()? || self.card.wire_waiting() > 0)
        {
            self.run_card(LOCKSTEP_SLICE);
            self.collect()?;
            return Ok(true);
        }
        self.come_to_rest()?;
        self.deliver();
        if self.host_waits.take().is_none() {
            return Ok(self.may_flow());
        }
        let mut served = 0;
        while served < ACCESS_BATCH && self.serve_next() {
            served += 1;
            self.come_to_rest()?;
            self.deliver();
        }
        // Whatever came while we served was polled for before it came: look again before the wire moves.
        Ok(served > 0)
    }

    /// Under lockstep: the host owes something, or something is owed to it.
    fn wire_stands_still(&self) -> bool {
        self.options.lockstep
            && (self.card.punts_outstanding() > 0
                || self.server.function.msix.has_pending()
                || self.arming.is_owed(LOCKSTEP_PATIENCE))
    }

    /// A capture file has frames for the card, and nothing holds them back.
    fn may_flow(&self) -> bool {
        let open = self.started && self.card.port_enabled() && !self.wire_stands_still();
        open && !self.wire.is_live() && !self.wire.is_exhausted()
    }

    /// Gives the card what the wire has and it may take; true when a frame was taken from the wire.
    fn feed(&mut self) -> Result<bool, DeviceError> {
        if !self.started || self.wire.is_exhausted() {
            return Ok(false);
        }
        if !self.card.port_enabled() {
            return self.flush_live_wire();
        }
        let room = self.room();
        let mut taken = 0;
        while taken < room {
            let Some(frame) = self.receive()? else { break };
            if let Some(capture) = &mut self.capture {
                capture.incoming(&frame, self.card.cycles())?;
            }
            self.card.wire_push(frame);
            self.counts.frames_in += 1;
            taken += 1;
        }
        Ok(taken > 0)
    }

    /// Frames that may be given to the card now.
    fn room(&self) -> usize {
        match self.options.pace {
            Pace::Line => WAITING_MAX.saturating_sub(self.card.wire_waiting()),
            Pace::Step => usize::from(self.is_settled()),
        }
    }

    /// Before the port is enabled, what comes on a live wire goes nowhere. A capture file waits.
    fn flush_live_wire(&mut self) -> Result<bool, DeviceError> {
        if !self.wire.is_live() {
            return Ok(false);
        }
        let mut flushed = 0;
        while flushed < FLUSH_BATCH && self.receive()?.is_some() {
            flushed += 1;
        }
        self.counts.flushed += flushed as u64;
        Ok(flushed > 0)
    }

    fn receive(&mut self) -> Result<Option<crate::card::WireFrame>, DeviceError> {
        match self.wire.receive() {
            Err(error) if self.wire.is_live() => {
                tracing::error!("{error}; the card stays without a wire");
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    /// The last frame's disposition is final.
    fn is_settled(&self) -> bool {
        self.card.is_idle() && self.card.wire_waiting() == 0 && self.card.punts_outstanding() == 0
    }

    fn run_card(&mut self, cycles: u64) -> u64 {
        let card = &mut self.card;
        self.server.with_memory(|memory| card.run(memory, cycles))
    }

    fn come_to_rest(&mut self) -> Result<(), DeviceError> {
        let mut left = REST_CYCLES;
        while !self.card.is_idle() && left > 0 {
            let ran = self.run_card(LOCKSTEP_SLICE);
            left = left.saturating_sub(ran.max(1));
            self.collect()?;
        }
        if left == 0 && !self.restless {
            self.restless = true;
            tracing::warn!(
                "the card does not come to rest within {REST_CYCLES} cycles: the run may not be repeatable"
            );
        }
        self.collect()
    }

    /// Takes what has left the card.
    fn collect(&mut self) -> Result<(), DeviceError> {
        while let Some(frame) = self.card.wire_pop() {
            if let Some(capture) = &mut self.capture {
                capture.outgoing(&frame)?;
            }
            self.wire.send(&frame)?;
            self.counts.frames_out += 1;
        }
        Ok(())
    }

    /// Under lockstep: signals interrupts, which the host has to arm again.
    fn deliver(&mut self) {
        let signalled = self.server.function.msix.deliver();
        self.arming.signalled(signalled);
    }

    /// Serves the next thing that the client's socket brings; false when there is none.
    fn serve_next(&mut self) -> bool {
        match self.server.next_event() {
            None => false,
            Some(Event::Command(message)) => {
                self.arming.observe(&message);
                self.server.serve(&mut *self.card, message);
                true
            }
            Some(Event::Gone(reason)) => {
                self.server.close_client(&mut *self.card, &reason);
                self.arming = Arming::default();
                true
            }
        }
    }

    fn serve_control(&mut self) {
        let ready = self.ready();
        let Some(mut control) = self.control.take() else {
            return;
        };
        for (peer, request) in control.take_requests(&ready) {
            let reply = request
                .and_then(|request| self.answer(request))
                .unwrap_or_else(|error| json!({"error": error}));
            control.send(peer, &reply);
        }
        control.sweep();
        self.control = Some(control);
    }

    fn answer(&mut self, request: Request) -> Result<Value, String> {
        match request {
            Request::Start => {
                self.started = true;
                Ok(json!({"reply": "start"}))
            }
            Request::Stats => Ok(self.stats()),
            Request::Stop => {
                self.stopping = true;
                Ok(json!({"reply": "stop"}))
            }
            Request::Advance { micros } if self.options.time == TimeMode::Manual => {
                self.card.add_ticks(micros);
                Ok(json!({"reply": "advance", "micros": micros}))
            }
            Request::Advance { .. } => Err("advance needs --time manual".to_owned()),
        }
    }

    fn ready(&self) -> Value {
        json!({
            "event": "ready",
            "socket": self.server.path().to_string_lossy(),
            "model": self.model(),
            "time": self.options.time.name(),
            "lockstep": self.options.lockstep,
        })
    }

    fn model(&self) -> &'static str {
        match self.card.model() {
            Model::Rtl => "rtl",
            Model::Reference => "reference",
        }
    }

    fn stats(&mut self) -> Value {
        let losses = self.wire.losses();
        let resets = self.server.function.host_resets();
        json!({
            "reply": "stats",
            "model": self.model(),
            "time": self.options.time.name(),
            "cycles": self.card.cycles(),
            "frames_in": self.counts.frames_in,
            "frames_out": self.counts.frames_out,
            "waiting": self.card.wire_waiting(),
            "idle": self.card.is_idle(),
            "drained": self.drained,
            "port_enabled": self.card.port_enabled(),
            "punts_outstanding": self.card.punts_outstanding(),
            "client_connected": self.server.has_client(),
            "clients": self.server.clients_served(),
            "dma_errors": self.server.function.dma_errors(),
            "dma_maps": self.server.function.dma.len(),
            "host_resets": {
                "function_level": resets.function_level,
                "power_state": resets.power_state,
                "command": resets.command,
                "client": resets.client,
            },
            "wire": {
                "flushed": self.counts.flushed,
                "overrun": losses.overrun,
                "unusable": losses.unusable,
                "unsent": losses.unsent,
            },
        })
    }

    /// Says once that a capture file is played to its end and nothing of it is open.
    fn report_drained(&mut self) -> Result<(), DeviceError> {
        let over =
            !self.drained && !self.wire.is_live() && self.wire.is_exhausted() && self.is_settled();
        if !over || self.wire_stands_still() {
            return Ok(());
        }
        self.drained = true;
        self.flush()?;
        let cycles = self.card.cycles();
        tracing::info!(
            frames_in = self.counts.frames_in,
            frames_out = self.counts.frames_out,
            cycles,
            "drained"
        );
        let event = json!({
            "event": "drained",
            "cycles": cycles,
            "frames_in": self.counts.frames_in,
            "frames_out": self.counts.frames_out,
        });
        if let Some(control) = &mut self.control {
            control.broadcast(&event);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.wire.flush()?;
        if let Some(capture) = &mut self.capture {
            capture.flush()?;
        }
        Ok(())
    }
}
