//! The card's flow table as the slow path keeps it.
//!
//! Owns turning "this flow shall go there" into commands, and what their outcomes say about the host's picture of the table. A
//! command that finds something else than the picture says is no error: the picture is then read anew from the card.

use std::collections::HashMap;

use guideway_hdl::descriptors::{Command, Expect, Opcode, Status};
use guideway_hdl::tables::{FLOW_ROWS, FlowKey, FlowRecord};

use super::placement::{NoPlace, Occupancy};
use crate::card::flow::{FlowPlace, FlowTarget, delete, insert, record_key, relocate};
use crate::card::{BackendId, Outcome, Secrets};

/// What the flow commands came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FlowStats {
    /// Flows installed or renewed.
    pub installs: u64,
    /// Flows moved to make room.
    pub moves: u64,
    /// Flows deleted.
    pub deletes: u64,
    /// Flows for which there was no place: the host keeps deciding their packets.
    pub without_place: u64,
    /// Commands that found something else than expected.
    pub refused: u64,
    /// Second entries of flows that host and card recorded at once, deleted.
    pub copies: u64,
    /// Times that the picture was read anew.
    pub resyncs: u64,
}

/// The picture, and what is known to be wrong with it.
pub struct Flows {
    occupancy: Occupancy,
    /// What the entries hold beside their keys.
    targets: HashMap<FlowKey, FlowTarget>,
    secrets: Secrets,
    limit: usize,
    /// A command was refused: the picture is wrong somewhere.
    pub stale: bool,
    /// Counters.
    pub stats: FlowStats,
}

impl Flows {
    /// The picture of an empty table of which at most `limit` entries are used.
    #[must_use]
    pub fn new(secrets: Secrets, limit: usize) -> Self {
        Self {
            occupancy: Occupancy::new(secrets.clone(), limit),
            targets: HashMap::new(),
            secrets,
            limit,
            stale: false,
            stats: FlowStats::default(),
        }
    }

    /// Flows on the card.
    #[must_use]
    pub fn len(&self) -> usize {
        self.occupancy.len()
    }

    /// No flow is on the card.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.occupancy.is_empty()
    }

    /// What the card holds of this flow.
    #[must_use]
    pub fn target(&self, key: &FlowKey) -> Option<&FlowTarget> {
        self.targets.get(key).filter(|_| self.holds(key))
    }

    /// The index in the table of this flow's entry.
    #[must_use]
    pub fn index(&self, key: &FlowKey) -> Option<usize> {
        let place = self.occupancy.find(key)?;
        Some(self.secrets.flow_index(place, key, FLOW_ROWS))
    }

    /// Whether the card holds this flow.
    #[must_use]
    pub fn holds(&self, key: &FlowKey) -> bool {
        self.occupancy.find(key).is_some()
    }

    /// The commands that install a flow, or change it when it is there with another target; none when it is there as it should be
    /// (packets that were punted before the first one's entry was in place). The picture already shows what comes of them.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn install(&mut self, key: &FlowKey, target: &FlowTarget) -> Result<Vec<Command>, NoPlace> {
        if let Some(place) = self.occupancy.find(key) {
            let known = self.targets.insert(*key, *target);
            let same = known.is_some_and(|known| {
                (known.backend, known.generation, known.pinned)
                    == (target.backend, target.generation, target.pinned)
            });
            return Ok(if same {
                Vec::new()
            } else {
                vec![insert(key, place, target, Expect::Same)]
            });
        }
        let plan = match self.occupancy.plan(key) {
            Ok(plan) => plan,
            Err(none) => return self.displace(key, target).ok_or(none),
        };
        let mut commands: Vec<Command> = Vec::with_capacity(plan.moves.len() + 1);
        for step in &plan.moves {
            commands.push(relocate(&step.key, step.from, step.to));
            self.occupancy.set(step.key, step.to);
        }
        self.occupancy.set(*key, plan.place);
        self.targets.insert(*key, *target);
        commands.push(insert(key, plan.place, target, Expect::Free));
        Ok(commands)
    }

    /// The command that writes a flow's entry as it is: its stamp is new then. `None` when the card does not hold it.
    #[must_use]
    pub fn renew(&self, key: &FlowKey) -> Option<Command> {
        let place = self.occupancy.find(key)?;
        let target = self.targets.get(key)?;
        Some(insert(key, place, target, Expect::Same))
    }

    /// The command that puts a flow in the place of one that only a single packet was seen of: in a full table, floods give way.
    fn displace(&mut self, key: &FlowKey, target: &FlowTarget) -> Option<Vec<Command>> {
        let gives_way = |(_, held): &(FlowPlace, FlowKey)| {
            (self.targets.get(held)).is_some_and(|target| !target.confirmed && !target.pinned)
        };
        let Some((place, held)) = self.occupancy.residents(key).find(gives_way) else {
            self.stats.without_place += 1;
            return None;
        };
        self.targets.remove(&held);
        self.occupancy.set(*key, place);
        self.targets.insert(*key, *target);
        Some(vec![insert(key, place, target, Expect::Unconfirmed)])
    }

    /// The command that deletes a flow; `None` when the card does not hold it.
    pub fn remove(&mut self, key: &FlowKey) -> Option<Command> {
        let place = self.occupancy.find(key)?;
        self.occupancy.clear(key);
        self.targets.remove(key);
        Some(delete(key, place))
    }

    /// Takes the outcomes of commands that [`Flows::install`] and [`Flows::remove`] gave; true when all of them succeeded.
    pub fn settle(&mut self, commands: &[Command], outcomes: &[Outcome]) -> bool {
        let mut all = commands.len() == outcomes.len();
        for (command, outcome) in commands.iter().zip(outcomes) {
            let done = outcome.status == Status::Ok;
            all &= done;
            match (Opcode::from_raw(command.opcode), done) {
                (Some(Opcode::Insert), true) => self.stats.installs += 1,
                (Some(Opcode::Move), true) => self.stats.moves += 1,
                (Some(Opcode::Delete), true) => self.stats.deletes += 1,
                _ => {
                    self.stats.refused += 1;
                    self.stale = true;
                }
            }
        }
        all
    }

    /// The commands that delete what was inserted as new from all other places of its key: than the one where it is by now, as a later command
    /// of the batch may have moved it.
    #[must_use]
    pub fn elsewhere(&self, commands: &[Command], outcomes: &[Outcome]) -> Vec<Command> {
        let is_new = |(command, outcome): &(&Command, &Outcome)| {
            let inserts = command.opcode == Opcode::Insert.raw();
            let as_new = command.expectation != Expect::Same.raw();
            inserts && as_new && outcome.status == Status::Ok
        };
        let others = |(command, _): (&Command, &Outcome)| {
            let key = FlowKey {
                destination_port: command.destination_port,
                source_port: command.source_port,
                source: command.source,
                vip: command.vip,
            };
            let own = self.occupancy.find(&key);
            FlowPlace::all()
                .filter(move |place| own.is_some_and(|own| own != *place))
                .map(move |place| delete(&key, place))
        };
        let inserted = commands.iter().zip(outcomes).filter(is_new);
        inserted.flat_map(others).collect()
    }

    /// Notes an entry that a dump shows, perhaps of a flow that the card learned by itself. When the picture has the flow elsewhere, it is
    /// stale from then on.
    pub fn note(&mut self, index: usize, record: &FlowRecord) {
        let key = record_key(record);
        let Some(place) = self.occupancy.belongs(&key, index) else {
            return;
        };
        match self.occupancy.find(&key) {
            Some(known) if known != place => self.stale = true,
            known => {
                if known.is_none() {
                    self.occupancy.set(key, place);
                }
                self.targets.insert(key, target_of(record));
            }
        }
    }

    /// Forgets what was known of flows that are in no place any more: the card gave it to others.
    pub fn prune(&mut self) {
        let occupancy = &self.occupancy;
        self.targets.retain(|key, _| occupancy.find(key).is_some());
    }

    /// The picture is what the card's dump shows. Host and card may have recorded a flow at once, in two places: lookups find the first,
    /// and the commands that delete the others are returned.
    #[must_use]
    pub fn resync(&mut self, records: &[(usize, FlowRecord)]) -> Vec<Command> {
        let mut again = Vec::new();
        self.occupancy = Occupancy::new(self.secrets.clone(), self.limit);
        self.targets.clear();
        for (index, record) in records {
            let key = record_key(record);
            if let Some(place) = self.occupancy.belongs(&key, *index) {
                if self.occupancy.find(&key).is_some() {
                    again.push(delete(&key, place));
                    continue;
                }
                self.occupancy.set(key, place);
                self.targets.insert(key, target_of(record));
            }
        }
        self.stale = false;
        self.stats.resyncs += 1;
        again
    }

    /// The backends that flows on the card go to; a backend of many flows comes many times.
    pub fn backends(&self) -> impl Iterator<Item = u16> + '_ {
        self.targets.values().map(|target| target.backend.0)
    }

    /// The keys of all flows that `is_one` says.
    pub fn keys(&self, is_one: impl Fn(&FlowKey) -> bool) -> Vec<FlowKey> {
        self.occupancy
            .keys()
            .filter(|key| is_one(key))
            .copied()
            .collect()
    }
}

fn target_of(record: &FlowRecord) -> FlowTarget {
    FlowTarget {
        backend: BackendId(record.backend),
        generation: record.generation,
        pinned: record.pinned,
        confirmed: record.confirmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::SecretSource;

    const OK: Outcome = Outcome {
        status: Status::Ok,
        result: 0,
    };

    fn flows() -> Flows {
        Flows::new(Secrets::draw(SecretSource::Seed(5)).unwrap(), 1000)
    }

    fn key(port: u16) -> FlowKey {
        FlowKey {
            destination_port: 80,
            source_port: port,
            source: 7,
            vip: 0,
        }
    }

    fn target(backend: u16, pinned: bool) -> FlowTarget {
        FlowTarget {
            backend: BackendId(backend),
            generation: 1,
            pinned,
            confirmed: false,
        }
    }

    #[test]
    fn a_flow_is_installed_once_and_changed_in_its_place() {
        let mut flows = flows();
        let first = flows.install(&key(1), &target(3, false)).unwrap();
        assert_eq!((first.len(), first[0].expectation), (1, Expect::Free.raw()));
        assert!(flows.settle(&first, &[OK]));
        assert!(
            flows
                .install(&key(1), &target(3, false))
                .unwrap()
                .is_empty()
        );
        let pinned = flows.install(&key(1), &target(3, true)).unwrap();
        assert_eq!(
            (
                pinned[0].expectation,
                pinned[0].bank,
                pinned[0].way,
                pinned[0].pinned
            ),
            (Expect::Same.raw(), first[0].bank, first[0].way, true)
        );
        assert_eq!(flows.install(&key(1), &target(4, true)).unwrap().len(), 1);
        assert_eq!(flows.remove(&key(1)).unwrap().opcode, Opcode::Delete.raw());
        assert_eq!((flows.remove(&key(1)), flows.len()), (None, 0));
    }

    #[test]
    fn a_refused_command_makes_the_picture_stale_until_it_is_read_anew() {
        let mut flows = flows();
        let commands = flows.install(&key(1), &target(3, false)).unwrap();
        assert!(!flows.settle(
            &commands,
            &[Outcome {
                status: Status::Occupied,
                result: 0
            }]
        ));
        assert!(flows.stale);
        assert!(flows.resync(&[]).is_empty());
        assert!(!flows.stale && !flows.holds(&key(1)));
        assert_eq!((flows.stats.refused, flows.stats.resyncs), (1, 1));
    }

    /// An entry as a dump shows it.
    fn record(port: u16, backend: u16, confirmed: bool) -> FlowRecord {
        FlowRecord {
            destination_port: 80,
            source_port: port,
            source: 7,
            backend,
            generation: 1,
            valid: true,
            confirmed,
            ..FlowRecord::default()
        }
    }

    fn index(flows: &Flows, port: u16, bank: u8, way: u8) -> usize {
        (flows.secrets).flow_index(FlowPlace { bank, way }, &key(port), FLOW_ROWS)
    }

    #[test]
    fn of_a_flow_in_two_places_the_later_one_goes() {
        let mut flows = flows();
        let [first, second] = [(1, 2), (3, 0)].map(|(bank, way)| index(&flows, 1, bank, way));
        let copies = flows.resync(&[(first, record(1, 4, true)), (second, record(1, 5, true))]);
        assert_eq!(copies, [delete(&key(1), FlowPlace { bank: 3, way: 0 })]);
        assert_eq!(flows.target(&key(1)).unwrap().backend, BackendId(4));
        assert_eq!(flows.index(&key(1)), Some(first));
    }

    #[test]
    fn a_flow_that_the_card_learned_is_noted_and_changed_in_its_place() {
        let mut flows = flows();
        let (place, elsewhere) = (index(&flows, 1, 2, 1), index(&flows, 1, 0, 0));
        flows.note(place, &record(1, 4, true));
        let pinned = flows.install(&key(1), &target(4, true)).unwrap();
        assert_eq!(
            (
                pinned.len(),
                pinned[0].expectation,
                pinned[0].bank,
                pinned[0].way
            ),
            (1, Expect::Same.raw(), 2, 1)
        );
        assert!(!flows.stale);
        flows.note(elsewhere, &record(1, 4, true));
        assert!(flows.stale);
        // a place that is another's row is nobody's
        flows.note(place ^ 1, &record(2, 4, true));
        assert!(!flows.holds(&key(2)));
        // the card gives the place to another flow
        let taken = (100..)
            .find(|&port| index(&flows, port, 2, 1) == place)
            .unwrap();
        flows.note(place, &record(taken, 4, false));
        flows.prune();
        assert_eq!((flows.target(&key(1)), flows.backends().count()), (None, 1));
    }

    #[test]
    fn what_is_inserted_as_new_is_looked_for_elsewhere() {
        let mut flows = flows();
        let new = flows.install(&key(1), &target(3, false)).unwrap();
        let place = FlowPlace {
            bank: new[0].bank,
            way: new[0].way,
        };
        let others = flows.elsewhere(&new, &[OK]);
        assert_eq!(others.len(), 15);
        assert!(!others.contains(&delete(&key(1), place)));
        // what was refused is nowhere else to be looked for
        let refused = Outcome {
            status: Status::Occupied,
            result: 0,
        };
        assert!(flows.elsewhere(&new, &[refused]).is_empty());
        let pinned = flows.install(&key(1), &target(3, true)).unwrap();
        assert!(flows.elsewhere(&pinned, &[OK]).is_empty());
        // moved by a later command
        let moved = FlowPlace { bank: 3, way: 3 };
        flows.occupancy.set(key(1), moved);
        let others = flows.elsewhere(&new, &[OK]);
        assert!(others.contains(&delete(&key(1), place)));
        assert!(!others.contains(&delete(&key(1), moved)));
        // deleted by one
        flows.remove(&key(1));
        assert!(flows.elsewhere(&new, &[OK]).is_empty());
    }

    #[test]
    fn in_a_full_table_only_unconfirmed_flows_give_way() {
        // all banks agree on every row: sixteen places
        let mut flows = Flows::new(Secrets::from_words(&[0; 24]), usize::MAX);
        for port in 0..16 {
            let target = FlowTarget {
                confirmed: port != 9,
                ..target(3, port == 3)
            };
            assert_eq!(flows.install(&key(port), &target).unwrap().len(), 1);
        }
        let place = flows.index(&key(9));
        let commands = flows.install(
            &key(20),
            &FlowTarget {
                confirmed: true,
                ..target(3, false)
            },
        );
        let commands = commands.unwrap();
        assert_eq!(
            (commands.len(), commands[0].expectation),
            (1, Expect::Unconfirmed.raw())
        );
        assert_eq!(
            (flows.index(&key(20)), flows.holds(&key(9))),
            (place, false)
        );
        assert_eq!(
            flows.install(&key(21), &target(3, false)),
            Err(NoPlace::Full)
        );
        assert_eq!((flows.len(), flows.stats.without_place), (16, 1));
    }
}
