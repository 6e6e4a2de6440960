//! The packet loop's end of a trace: takes the card's records, a bounded number a turn, and never waits for who reads them.
//!
//! Owns filter and record ring of the card while a client traces. At its end the filter goes first; what the card told before that is
//! still awaited, so that the account of what was lost is exact.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::Losses;
use super::filter::Wanted;
use super::names::Names;
use crate::card::{Card, CardError, Queues, Record, TraceFilter};
use crate::control::state::State;

/// log2 of the record ring's entries.
const RECORDS_LOG2: u8 = 12;
/// Records a turn.
const BATCH: usize = 256;
/// How long the last records are awaited.
const LAST: Duration = Duration::from_millis(200);
/// How often one looks for them.
const LAST_EVERY: Duration = Duration::from_millis(1);
/// What the arguments begin with that errors name.
const FLAG: &str = "--";

/// What a client is told at a time.
#[derive(Debug, Default)]
pub struct Told {
    /// Names that are new, before the records that need them.
    pub names: Option<Names>,
    /// Records, oldest first.
    pub records: Vec<Record>,
    /// What was lost since the trace began, up to these records.
    pub losses: Losses,
}

/// How a trace ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What was lost since it began.
    pub losses: Losses,
    /// Why, when the client did not ask for it.
    pub because: Option<String>,
}

/// A trace that is asked for.
pub struct Opening {
    /// Which packets.
    pub wanted: Wanted,
    /// Flow events, too.
    pub events: bool,
    /// Where records go. What finds no room there is dropped, and counted.
    pub sink: Sender<Told>,
    /// Told when the card traces, or why it does not.
    pub answer: oneshot::Sender<Result<(), String>>,
    /// Told at the end, after the last records.
    pub ended: oneshot::Sender<Ended>,
}

/// A trace that goes on.
struct Open {
    wanted: Wanted,
    filter: TraceFilter,
    events: bool,
    sink: Sender<Told>,
    ended: oneshot::Sender<Ended>,
    /// Names that the client was not told yet.
    names: Option<Names>,
    losses: Losses,
    told: Losses,
    ending: Option<Ending>,
}

/// The last records are awaited.
struct Ending {
    /// What the card made before its filter was taken off.
    made: [u32; 2],
    until: Instant,
    because: Option<String>,
}

/// The place of one trace at a time.
#[derive(Default)]
pub struct Tap(Option<Open>);

impl Tap {
    /// Begins a trace on a card that is in `state`; one before it ends.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn open(
        &mut self,
        card: &Card,
        queues: &mut Queues,
        state: &State,
        opening: Opening,
    ) -> Result<(), CardError> {
        self.end(card, queues, None)?;
        self.finish(queues)?;
        let filter = match opening.wanted.on_card(state, FLAG) {
            Ok(filter) => filter,
            Err(error) => {
                let _ = opening.answer.send(Err(error.to_string()));
                return Ok(());
            }
        };
        if let Err(error) = queues.start_records(RECORDS_LOG2) {
            // no memory for the ring is the client's trouble; a card that is gone is noticed by all who use it
            let _ = opening.answer.send(Err(error.to_string()));
            return Ok(());
        }
        card.set_trace_filter(Some(&filter))?;
        // one that has gone meanwhile ends its trace all the same
        let _ = opening.answer.send(Ok(()));
        self.0 = Some(Open {
            wanted: opening.wanted,
            filter,
            events: opening.events,
            sink: opening.sink,
            ended: opening.ended,
            names: Some(Names::of(state)),
            losses: Losses::default(),
            told: Losses::default(),
            ending: None,
        });
        Ok(())
    }

    /// Takes the filter off. The trace is over when its last records have been taken.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn end(
        &mut self,
        card: &Card,
        queues: &Queues,
        because: Option<String>,
    ) -> Result<(), CardError> {
        let (Some(open), Some(records)) = (&mut self.0, &queues.records) else {
            return Ok(());
        };
        if open.ending.is_none() {
            card.set_trace_filter(None)?;
            open.ending = Some(Ending {
                made: records.made()?,
                until: Instant::now() + LAST,
                because,
            });
        }
        Ok(())
    }

    /// Takes the records that have come, and passes them on; true when there may be more.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn take(&mut self, card: &Card, queues: &mut Queues) -> Result<bool, CardError> {
        let Some(open) = &mut self.0 else {
            return Ok(false);
        };
        let taken = match queues.receive_records(BATCH) {
            Ok(records) => records,
            Err(error @ CardError::Corrupt { .. }) => {
                // the packets' own rings know nothing of it
                tracing::error!(%error, "the trace ends");
                self.end(card, queues, Some(error.to_string()))?;
                return self.finish(queues).map(|()| false);
            }
            Err(error) => return Err(error),
        };
        let count = taken.len();
        let Some(ring) = &queues.records else {
            return Ok(false);
        };
        open.tell(taken, ring.lost());
        if let Some(ending) = &open.ending
            && (ring.has_reached(ending.made) || Instant::now() >= ending.until)
        {
            self.finish(queues)?;
        }
        Ok(count == BATCH)
    }

    /// When it wants to be asked again at the latest.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let ending = self.0.as_ref()?.ending.as_ref()?;
        Some(ending.until.min(Instant::now() + LAST_EVERY))
    }

    /// The card is going to be in `state`: new names are told.
    pub fn name(&mut self, state: &State) {
        if let Some(open) = &mut self.0 {
            open.names.get_or_insert_default().update(Names::of(state));
        }
    }

    /// The card is in `state`: a VIP that has another index now is followed, and when it has none the trace ends.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn follow(&mut self, card: &Card, queues: &Queues, state: &State) -> Result<(), CardError> {
        self.name(state);
        let Some(open) = self.0.as_mut().filter(|open| open.ending.is_none()) else {
            return Ok(());
        };
        match open.wanted.on_card(state, FLAG) {
            Ok(filter) if filter == open.filter => Ok(()),
            Ok(filter) => {
                open.filter = filter;
                card.set_trace_filter(Some(&filter))
            }
            Err(error) => self.end(card, queues, Some(error.to_string())),
        }
    }

    fn finish(&mut self, queues: &mut Queues) -> Result<(), CardError> {
        let Some(mut open) = self.0.take() else {
            return Ok(());
        };
        let ending = open.ending.take();
        if let (Some(ring), Some(ending)) = (&mut queues.records, &ending) {
            ring.settle(ending.made);
            open.tell(Vec::new(), ring.lost());
        }
        queues.stop_records()?;
        let ended = Ended {
            losses: open.losses,
            because: ending.and_then(|ending| ending.because),
        };
        // nobody may be there to hear it
        let _ = open.ended.send(ended);
        Ok(())
    }
}

impl Open {
    /// Passes records on; what finds no room is dropped.
    fn tell(&mut self, mut records: Vec<Record>, lost: [u64; 2]) {
        if !self.events {
            records.retain(|record| matches!(record, Record::Trace(_)));
        }
        let [traces, flow_events] = lost;
        self.losses.traces = traces;
        // who does not want them loses none
        self.losses.flow_events = if self.events { flow_events } else { 0 };
        let losses = self.losses;
        if records.is_empty() && self.names.is_none() && losses == self.told {
            return;
        }
        let told = Told {
            names: self.names.take(),
            records,
            losses,
        };
        match self.sink.try_send(told) {
            Ok(()) => self.told = losses,
            Err(TrySendError::Full(told) | TrySendError::Closed(told)) => {
                self.names = told.names;
                self.losses.dropped += told.records.len() as u64;
            }
        }
    }
}
