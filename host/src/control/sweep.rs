//! Ageing: flows that nobody uses any more leave card and table, and backends that no connection names leave the card.
//!
//! Owns the clock of that: a pass over the card's flow table in small dumps, spread over time, so that punts never wait long.

use std::collections::HashSet;

use guideway_hdl::tables::{FlowRecord, Table};
use guideway_hdl::verdict::PortCounter;

use super::state::State;
use crate::card::flow::record_key;
use crate::card::{Card, CardError};
use crate::config::Protocol;
use crate::slow_path::connections::{Connection, ConnectionKey};
use crate::slow_path::poll::SlowPath;

/// Entries that are dumped at a time.
const CHUNK: u32 = 1024;
/// The unit of a flow's stamp in us of card time.
const STAMP_US: u64 = 1024;
/// Bits of a flow's stamp.
const STAMP_BITS: u32 = 30;
/// Seconds after which a connection's record is written anew while packets come.
const REFRESH: u32 = 30;

/// After how many seconds without a packet a connection is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// TCP.
    pub tcp: u32,
    /// TCP after a FIN or RST.
    pub closing: u32,
    /// UDP.
    pub udp: u32,
    /// Any, of which only one packet came.
    pub unconfirmed: u32,
}

impl Default for Idle {
    /// TCP as long as Linux's conntrack would need to be told to keep it short; UDP as Katran's 30 s, doubled for slow clients.
    fn default() -> Self {
        Self {
            tcp: 3600,
            closing: 30,
            udp: 60,
            unconfirmed: 60,
        }
    }
}

impl Idle {
    fn limit(&self, protocol: Protocol, closing: bool) -> u32 {
        match (protocol, closing) {
            (Protocol::Udp, _) => self.udp,
            (Protocol::Tcp, true) => self.closing,
            (Protocol::Tcp, false) => self.tcp,
        }
    }
}

/// What ageing has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SweepStats {
    /// Whole passes over the card's table.
    pub passes: u64,
    /// Flows deleted because they were idle.
    pub expired: u64,
}

/// A pass that goes on.
#[derive(Debug, Default)]
pub struct Sweep {
    next: u32,
    /// The pass that goes on reads the table.
    reads: bool,
    idle: Idle,
    /// What was done.
    pub stats: SweepStats,
}

impl Sweep {
    /// Looks at the next part of the table; true when a pass is complete.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn step(&mut self, card: &Card, slow_path: &mut SlowPath) -> Result<bool, CardError> {
        let entries = card.entries(Table::Flow);
        let count = CHUNK.min(entries - self.next);
        // flows are installed by this host, or learned by the card: where neither did there is nothing to read
        if self.next == 0 {
            self.reads =
                !slow_path.flows.is_empty() || card.read_counters()?.port(PortCounter::Learned) > 0;
        }
        if self.reads {
            self.age_out(card, slow_path, count)?;
        }
        self.next = (self.next + count) % entries;
        if self.next > 0 {
            return Ok(false);
        }
        self.stats.passes += 1;
        slow_path.flows.prune();
        self.forget_absent(slow_path);
        Ok(true)
    }

    /// Deletes the idle flows among the next `count` entries, and notes when the others were seen last.
    fn age_out(
        &mut self,
        card: &Card,
        slow_path: &mut SlowPath,
        count: u32,
    ) -> Result<(), CardError> {
        let now = card.time_us()? / STAMP_US;
        let beats = card.dump(Table::Flow, self.next, count)?;
        let mut commands = Vec::new();
        for (index, beat) in (self.next as usize..).zip(&beats) {
            let record = FlowRecord::from_words(&std::array::from_fn(|i| beat[i]));
            if !record.valid {
                continue;
            }
            let Some((name, seen)) = slow_path.connection_of(&record) else {
                continue;
            };
            slow_path.flows.note(index, &record);
            let seconds = age(now, record.last_seen);
            let limit = self.idle.limit(name.protocol, seen.closing);
            let limit = if record.confirmed {
                limit
            } else {
                limit.min(self.idle.unconfirmed)
            };
            if seconds > limit {
                commands.extend(slow_path.flows.remove(&record_key(&record)));
                self.forget(slow_path, &name);
            } else if record.confirmed || slow_path.connections.get(&name).is_some() {
                refresh(slow_path, &name, seen, seconds);
                commands.extend(slow_path.pin_confirmed(&record));
            }
        }
        slow_path.run(&commands).map(|_| ())
    }

    fn forget(&mut self, slow_path: &mut SlowPath, name: &ConnectionKey) {
        self.stats.expired += 1;
        if let Err(error) = slow_path.connections.forget(name) {
            tracing::warn!(%error, "an idle connection is not forgotten");
        }
    }

    /// Connections that only the host knows are as old as their record.
    fn forget_absent(&mut self, slow_path: &mut SlowPath) {
        let idle = |key: &ConnectionKey, c: &Connection| {
            slow_path.now.saturating_sub(c.last_seen)
                > self.idle.limit(key.protocol, c.closing) + 2 * REFRESH
        };
        let old: Vec<ConnectionKey> = slow_path
            .connections
            .iter()
            .filter(|(key, connection)| idle(key, connection))
            .map(|(key, _)| *key)
            .collect();
        for name in &old {
            self.forget(slow_path, name);
        }
    }
}

/// Seconds since a stamp, which counts 1,024 us and wraps. A packet may hit an entry after `now` was read: a stamp in the
/// later half of the circle is one of the future, and its flow the youngest there is.
fn age(now: u64, stamp: u32) -> u32 {
    let units = now.wrapping_sub(u64::from(stamp)) & ((1 << STAMP_BITS) - 1);
    if units >= 1 << (STAMP_BITS - 1) {
        return 0;
    }
    u32::try_from(units * STAMP_US / 1_000_000).unwrap_or(u32::MAX)
}

fn refresh(slow_path: &mut SlowPath, name: &ConnectionKey, seen: Connection, seconds: u32) {
    let last_seen = slow_path.now.saturating_sub(seconds);
    let is_old = slow_path.connections.get(name).is_none_or(|known| {
        last_seen > known.last_seen + REFRESH
            || seen.closing != known.closing
            || (seen.pool, seen.backend) != (known.pool, known.backend)
    });
    if is_old
        && slow_path
            .connections
            .record(*name, Connection { last_seen, ..seen })
            .is_err()
    {
        slow_path.stats.unrecorded += 1;
    }
}

/// The state without leaving backends that neither a connection nor a flow on the card names any more.
#[must_use]
pub fn without_drained(state: &State, slow_path: &SlowPath) -> State {
    let view = &slow_path.view;
    let recorded = slow_path.connections.iter();
    let named: HashSet<u16> = recorded
        .filter_map(|(_, c)| view.backend_of(c.pool, c.backend))
        .map(|backend| backend.id)
        .chain(slow_path.flows.backends())
        .collect();
    state.without_drained(|id| named.contains(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_wrap() {
        assert_eq!(age(5_000, 5_000), 0);
        assert_eq!(age(1_000_000, 0), 1024);
        assert_eq!(age((1 << 30) + 10, (1 << 30) - 990), 1); // 1,000 units
        assert_eq!(age(3 << 30, 0), 0);
    }

    #[test]
    fn a_flow_that_was_hit_after_the_clock_was_read_is_young() {
        assert_eq!(age(5_000, 5_001), 0);
        assert_eq!(age(1 << 30, 2), 0);
    }

    #[test]
    fn closing_connections_go_first() {
        let idle = Idle::default();
        assert!(idle.limit(Protocol::Tcp, true) < idle.limit(Protocol::Udp, false));
        assert!(idle.limit(Protocol::Udp, true) < idle.limit(Protocol::Tcp, false));
    }
}
