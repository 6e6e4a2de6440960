//! The heartbeat: the thread that keeps the card believing in its host.
//!
//! Owns when it stops: with the host, when the card is gone, or when the packet loop does not turn any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::card::{Card, CardError};

/// The time to live of a heartbeat.
const LASTS: Duration = Duration::from_secs(1);
/// How often one is written.
const EVERY: Duration = Duration::from_millis(200);
/// The heart stops when the loop has not turned for so long: a host that hangs is a dead one.
const LOOP_HANGS: Duration = Duration::from_secs(10);

/// The running thread. Stops when dropped.
pub struct Heart {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Heart {
    /// Writes the first heartbeat, and starts the thread that writes the others as long as `turns` counts.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn start(card: &Arc<Card>, turns: &Arc<AtomicU64>) -> Result<Self, CardError> {
        card.heartbeat(LASTS)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (card, turns, stopped) = (Arc::clone(card), Arc::clone(turns), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || beat(&card, &turns, &stopped))
            .ok();
        Ok(Self { stop, thread })
    }
}

fn beat(card: &Card, turns: &AtomicU64, stop: &AtomicBool) {
    let (mut seen, mut since) = (turns.load(Ordering::Relaxed), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let now = turns.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() < LOOP_HANGS && card.heartbeat(LASTS).is_err() {
            return;
        }
        std::thread::park_timeout(EVERY);
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
