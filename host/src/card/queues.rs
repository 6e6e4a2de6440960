//! The packet loop's side of a card: receive queues by class, the transmit ring, and one place to wait.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use guideway_hdl::descriptors::RING_SIZE_LOG2_MAX;
use guideway_hdl::verdict::HostClass;

use super::rx_queue::ring_name;
use super::wait::{VECTOR_EVENT, VECTOR_RECORD, VECTOR_TX, Waiting, sleep};
use super::{Card, CardError, Record, RecordRing, RxQueue, TxRing, record_ring};

/// How large the queues are.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// log2 of the miss queue's entries, 1 to 12.
    pub miss_size_log2: u8,
    /// log2 of the other queues' entries, 1 to 12.
    pub size_log2: u8,
    /// log2 of a receive buffer's bytes, 6 to 14. Longer frames are dropped as `drop_host_full`.
    pub stride_log2: u8,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            miss_size_log2: 10,
            size_log2: 8,
            stride_log2: 14,
        }
    }
}

/// Why [`Queues::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Frames or transmit completions are there.
    Work,
    /// The caller's own descriptor is readable.
    Called,
    /// Nothing happened in time.
    Timeout,
}

/// The queues of a card. Stopped when dropped.
pub struct Queues {
    /// Receive queues by class: [`HostClass`]'s number is the index, a lower one is served first.
    pub rx: [RxQueue; 4],
    /// The transmit ring.
    pub tx: TxRing,
    /// The record ring, while somebody wants records.
    pub records: Option<RecordRing>,
    /// The record ring before: the card may have been writing there when it was stopped.
    stopped_records: Option<RecordRing>,
    /// Nothing came the last time that somebody waited: the next time begins with sleep, not with spinning.
    quiet: bool,
    // After the rings: they stop before others may take them, and before the card closes.
    taken: Taken,
}

/// The right to the queues of a card, given back when dropped.
pub(super) struct Taken(Arc<Card>);

impl Taken {
    /// Takes it.
    pub(super) fn new(card: &Arc<Card>) -> Result<Self, CardError> {
        if card.queues_taken.swap(true, Ordering::AcqRel) {
            return Err(CardError::QueuesTaken);
        }
        Ok(Self(Arc::clone(card)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.queues_taken.store(false, Ordering::Release);
    }
}

impl Queues {
    pub(super) fn start(card: &Arc<Card>, options: &QueueOptions) -> Result<Self, CardError> {
        let log2_max = RING_SIZE_LOG2_MAX.into();
        for (what, log2, min, max) in [
            ("queue size (log2)", options.miss_size_log2, 1, log2_max),
            ("queue size (log2)", options.size_log2, 1, log2_max),
            ("buffer size (log2)", options.stride_log2, 6, 14),
        ] {
            if u64::from(log2) < min || u64::from(log2) > max {
                return Err(CardError::OutOfRange {
                    what,
                    index: log2.into(),
                    size: max,
                });
            }
        }
        let queue = |class| {
            let size = if class == HostClass::Miss {
                options.miss_size_log2
            } else {
                options.size_log2
            };
            RxQueue::start(&card.device, &card.bar, class, size, options.stride_log2)
        };
        let taken = Taken::new(card)?;
        // Transmit first: what the receive queues bring can be answered at once.
        let tx = TxRing::start(
            &card.device,
            &card.bar,
            options.size_log2.max(options.miss_size_log2),
        )?;
        let rx = [
            queue(HostClass::Control)?,
            queue(HostClass::Other)?,
            queue(HostClass::Miss)?,
            queue(HostClass::Fragment)?,
        ];
        Ok(Self {
            rx,
            tx,
            records: None,
            stopped_records: None,
            quiet: false,
            taken,
        })
    }

    /// The card.
    #[must_use]
    pub fn card(&self) -> &Arc<Card> {
        &self.taken.0
    }

    /// Starts the record ring with 2^`size_log2` entries.
    ///
    /// # Errors
    /// When the size is out of range, or the card cannot be reached.
    pub fn start_records(&mut self, size_log2: u8) -> Result<(), CardError> {
        self.stopped_records = None; // stopped long ago
        self.stop_records()?;
        let card = &self.taken.0;
        self.records = Some(RecordRing::start(&card.device, &card.bar, size_log2)?);
        Ok(())
    }

    /// Stops the record ring, if one runs. Its memory stays until another one starts.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn stop_records(&mut self) -> Result<(), CardError> {
        if let Some(mut ring) = self.records.take() {
            ring.stop()?;
            self.stopped_records = Some(ring);
        }
        Ok(())
    }

    /// Takes at most `max` records, oldest first: none while no record ring runs.
    ///
    /// # Errors
    /// When the card wrote a record that cannot be, stopped the ring, or cannot be reached.
    pub fn receive_records(&mut self, max: usize) -> Result<Vec<Record>, CardError> {
        let Some(records) = &mut self.records else {
            return Ok(Vec::new());
        };
        if self.taken.0.options.waiting == Waiting::Lockstep {
            // Behind this answer stands all that the host's earlier requests led to: how many records there are does not depend on when
            // this thread looks.
            stopped(record_ring::NAME, records.status()?)?;
        }
        records.receive(max)
    }

    /// A class's queue.
    pub fn rx(&mut self, class: HostClass) -> &mut RxQueue {
        &mut self.rx[usize::from(class.raw())]
    }

    /// Waits for frames, transmit completions (while some are outstanding), or `call` (a descriptor of the caller's that becomes
    /// readable), as the card's options say.
    ///
    /// # Errors
    /// When a ring has stopped, or the function is gone.
    pub fn wait(
        &mut self,
        timeout: Duration,
        call: Option<BorrowedFd<'_>>,
    ) -> Result<Wake, CardError> {
        let begun = Instant::now();
        if let Waiting::Spin(spin) = self.taken.0.options.waiting
            && !self.quiet
        {
            while begun.elapsed() < spin.min(timeout) {
                if self.has_work() {
                    return Ok(Wake::Work);
                }
                std::hint::spin_loop();
            }
        }
        self.arm_all()?;
        let wake = self.sleep(begun + timeout, call)?;
        self.quiet = wake == Wake::Timeout;
        Ok(wake)
    }

    /// Arms every interrupt, and returns when the card knows it: whatever it then has for the host ends the next [`Queues::wait`], however
    /// late that begins.
    ///
    /// # Errors
    /// When a ring has stopped, or the card cannot be reached.
    pub fn arm(&mut self) -> Result<(), CardError> {
        self.arm_all()?;
        stopped("transmit", self.tx.status()?) // an answer: the card has seen what was written before
    }

    fn arm_all(&mut self) -> Result<(), CardError> {
        for queue in &mut self.rx {
            queue.arm()?;
        }
        // In lockstep transmissions are reaped when something else wakes the host, unless there is no room for more.
        if self.taken.0.options.waiting != Waiting::Lockstep || self.tx.room() == 0 {
            self.tx.arm()?;
        }
        if let Some(records) = &mut self.records {
            records.arm()?;
        }
        Ok(())
    }

    fn has_work(&self) -> bool {
        self.rx.iter().any(RxQueue::has_more)
            || self.tx.has_completion()
            || self.records.as_ref().is_some_and(RecordRing::has_more)
    }

    fn sleep(&mut self, until: Instant, call: Option<BorrowedFd<'_>>) -> Result<Wake, CardError> {
        let vectors = self.taken.0.vectors.clone();
        let own: Vec<BorrowedFd<'_>> = (0..=VECTOR_TX)
            .chain([VECTOR_EVENT, VECTOR_RECORD])
            .map(|vector| vectors.fd(vector))
            .chain(call)
            .collect();
        if !sleep(&*self.taken.0.device, &own, until, "the card's queues")? {
            return Ok(Wake::Timeout);
        }
        if self.taken.0.options.waiting == Waiting::Lockstep {
            // The simulator signals all vectors of a turn one after the other and answers requests afterwards: behind this answer all of
            // them are there, and what is taken below does not depend on when this thread woke.
            self.tx.status()?;
        }
        let mut work = false;
        for (vector, queue) in self.rx.iter_mut().enumerate() {
            if vectors.take(vector) {
                queue.disarmed();
                work = true;
            }
        }
        if vectors.take(VECTOR_TX) {
            self.tx.disarmed();
            work = true;
        }
        if vectors.take(VECTOR_RECORD)
            && let Some(records) = &mut self.records
        {
            records.disarmed();
            work = true;
        }
        if vectors.take(VECTOR_EVENT) {
            self.check()?;
        }
        Ok(if work { Wake::Work } else { Wake::Called })
    }

    /// Asks every ring whether it still runs.
    ///
    /// # Errors
    /// [`CardError::RingStopped`] when one does not, [`CardError::WasReset`] when the card has forgotten them; otherwise when the card cannot
    /// be reached.
    pub fn check(&self) -> Result<(), CardError> {
        for queue in &self.rx {
            stopped(ring_name(queue.class()), queue.status()?)?;
        }
        stopped("transmit", self.tx.status()?)?;
        if let Some(records) = &self.records {
            stopped(record_ring::NAME, records.status()?)?;
        }
        self.check_reset()
    }

    /// Asks whether somebody has reset the function beneath this host: no interrupt says so.
    ///
    /// # Errors
    /// [`CardError::WasReset`] when somebody has; otherwise when the card cannot be reached.
    pub fn check_reset(&self) -> Result<(), CardError> {
        if self.tx.is_enabled()? {
            return Ok(());
        }
        stopped("transmit", self.tx.status()?)?;
        Err(CardError::WasReset)
    }
}

fn stopped(ring: &'static str, code: u8) -> Result<(), CardError> {
    if code == 0 {
        Ok(())
    } else {
        Err(CardError::RingStopped { ring, code })
    }
}
