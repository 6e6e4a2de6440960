//! Where the fragments of each datagram go: the store that lets them come in any order.
//!
//! Owns two bounded maps. Of a datagram whose first fragment has come the *way* is kept, which the later ones follow at once. What comes
//! before the first one *waits*, and goes when it comes. A flood of either kind costs only its own kind: the oldest give way, and are
//! counted. What a way means, and who decides it, is the caller's.
//!
//! ```text
//!   first ──> decided ──> ways ────────────────┐      waiting ones of its datagram ──> ready ──> out
//!   later ──> a way is known? ── yes ──> out <─┘
//!                             └─ no ───> waiting ── too old, or the store is full: dropped by name
//! ```

use std::collections::VecDeque;

use serde::Serialize;

use super::aging::Aging;
use super::fragment::DatagramKey;

/// How much the store holds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams whose way is kept.
    pub ways: usize,
    /// Datagrams that wait for their first fragment.
    pub waiting: usize,
    /// Bytes of waiting fragments, each of which counts as [`LEAST_BYTES`] at least.
    pub bytes: usize,
    /// Waiting fragments of one datagram.
    pub fragments_each: usize,
    /// Waiting bytes of one datagram, counted likewise.
    pub bytes_each: usize,
    /// How long a way is kept and a fragment waits, in microseconds. RFC 791 3.2 begins with 15 s, RFC 8200 4.5 allows 60 s; at far less
    /// an identification is not used again within it.
    pub age: u32,
}

/// What the smallest waiting fragment counts as.
pub const LEAST_BYTES: usize = 256;

impl Default for Limits {
    fn default() -> Self {
        Self {
            ways: 8192,
            waiting: 1024,
            bytes: 4 << 20,
            fragments_each: 128,
            bytes_each: 128 << 10,
            age: 5_000_000,
        }
    }
}

/// What became of fragments in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStats {
    /// Fragments that came before their datagram's first one.
    pub waited: u64,
    /// Those of them for which the first one did not come in time: dropped.
    pub expired: u64,
    /// Those that gave way, or were refused, because the store was full: dropped.
    pub no_room: u64,
    /// Those beyond what may wait of one datagram: dropped.
    pub too_many: u64,
    /// Datagrams that began again as another flow's: overlapping first fragments, or an identification that was used again.
    pub began_again: u64,
    /// Datagrams whose way gave way to others before its time.
    pub forgotten: u64,
}

/// What a later fragment has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later<W> {
    /// Go this way.
    Goes(W),
    /// Nothing: it waits in the store, or was dropped there.
    Stays,
}

#[derive(Default)]
struct Held {
    frames: Vec<Box<[u8]>>,
    bytes: usize,
}

/// The store; `W` is a way.
pub struct FragmentStore<W> {
    limits: Limits,
    ways: Aging<DatagramKey, W>,
    waiting: Aging<DatagramKey, Held>,
    ready: VecDeque<(Box<[u8]>, W)>,
    /// Fragments that wait or are ready, and the bytes that they count as.
    held: usize,
    bytes: usize,
    /// What became of fragments.
    pub stats: StoreStats,
}

impl<W: Copy + PartialEq> FragmentStore<W> {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ways: Aging::default(),
            waiting: Aging::default(),
            ready: VecDeque::new(),
            held: 0,
            bytes: 0,
            stats: StoreStats::default(),
        }
    }

    /// Fragments that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held
    }

    /// It holds no fragment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The first fragment of a datagram has come, and goes this way: so will the others. Those that waited are ready.
    pub fn first(&mut self, key: DatagramKey, way: W, now: u32) {
        self.expire(now);
        match self.ways.insert(key, way, now) {
            Some(before) => self.stats.began_again += u64::from(before != way),
            None if self.ways.len() > self.limits.ways => {
                self.ways.pop();
                self.stats.forgotten += 1;
            }
            None => {}
        }
        if let Some(waited) = self.waiting.remove(&key) {
            let frames = waited.frames.into_iter();
            self.ready.extend(frames.map(|frame| (frame, way)));
        }
    }

    /// A fragment that does not begin its datagram has come.
    pub fn later(&mut self, key: DatagramKey, frame: &[u8], now: u32) -> Later<W> {
        self.expire(now);
        if let Some(way) = self.ways.get(&key) {
            return Later::Goes(*way);
        }
        let bytes = counted(frame);
        self.stats.waited += 1;
        if let Some(held) = self.waiting.get(&key) {
            let full = held.frames.len() >= self.limits.fragments_each
                || held.bytes + bytes > self.limits.bytes_each;
            if full {
                self.stats.too_many += 1;
                return Later::Stays;
            }
        }
        if !self.make_room(&key, bytes) {
            self.stats.no_room += 1;
            return Later::Stays;
        }
        if self.waiting.get(&key).is_none() {
            self.waiting.insert(key, Held::default(), now);
        }
        if let Some(held) = self.waiting.get_mut(&key) {
            held.frames.push(frame.into());
            held.bytes += bytes;
            self.held += 1;
            self.bytes += bytes;
        }
        Later::Stays
    }

    /// Lets the oldest give way until so many bytes more may wait; false when that is never so.
    fn make_room(&mut self, key: &DatagramKey, bytes: usize) -> bool {
        let more = |store: &Self| usize::from(store.waiting.get(key).is_none());
        while self.bytes + bytes > self.limits.bytes
            || self.waiting.len() + more(self) > self.limits.waiting
        {
            let Some(oldest) = self.waiting.pop() else {
                return false;
            };
            self.stats.no_room += self.drop_held(&oldest);
        }
        true
    }

    /// Drops what has waited too long, and forgets old ways.
    pub fn expire(&mut self, now: u32) {
        while let Some(old) = self.waiting.pop_older(now, self.limits.age) {
            self.stats.expired += self.drop_held(&old);
        }
        while self.ways.pop_older(now, self.limits.age).is_some() {}
    }

    fn drop_held(&mut self, held: &Held) -> u64 {
        self.held -= held.frames.len();
        self.bytes -= held.bytes;
        held.frames.len() as u64
    }

    /// Whether a fragment is ready.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the next fragment that is ready, with its way.
    pub fn pop_ready(&mut self) -> Option<(Box<[u8]>, W)> {
        let (frame, way) = self.ready.pop_front()?;
        self.held -= 1;
        self.bytes -= counted(&frame);
        Some((frame, way))
    }
}

fn counted(frame: &[u8]) -> usize {
    frame.len().max(LEAST_BYTES)
}

#[cfg(test)]
mod tests;
