//! Where a flow goes in the card's table, and who must move for it.
//!
//! Owns the host's picture of which place is taken, and the search: breadth first over rows, so that a plan has as few moves
//! as possible. Issuing the moves, and telling this picture what came of them, is [`super::flows`]'s.
//!
//! ```text
//!   new key ── its row in bank 0..3 ── a way free? done
//!                    └─ else: each way's flow ── its rows in the other banks ── free? move it there
//!                                                      └─ else: and so on
//! ```

use std::collections::{HashMap, HashSet, VecDeque};

use guideway_hdl::tables::{BANKS, FLOW_ROWS, FLOW_WAYS, FlowKey, VIPS};

use crate::card::Secrets;
use crate::card::flow::FlowPlace as Place;

/// Rows that a search looks at before it gives up.
const SEARCH_ROWS: usize = 2048;

/// One flow that changes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The flow.
    pub key: FlowKey,
    /// Where it is.
    pub from: Place,
    /// Where it goes: a place that is free when the moves before it are done.
    pub to: Place,
}

/// How a new flow gets its place: moves in their order, then the insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Moves to be made first, in this order.
    pub moves: Vec<Move>,
    /// The place that is then free.
    pub place: Place,
}

/// Why a flow gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// As many flows as the configuration allows are installed.
    #[error("the card holds as many flows as card.flow_entries allows")]
    Limit,
    /// No chain of moves ends at a free place.
    #[error("no chain of moves frees a place")]
    Full,
}

/// A row of a bank, as a number.
type Row = usize;

#[derive(Clone, Copy)]
struct Resident {
    key: FlowKey,
    /// Its row in each bank.
    rows: [u16; BANKS],
}

/// Which place holds which flow.
pub struct Occupancy {
    secrets: Secrets,
    limit: usize,
    /// By bank, row and way.
    places: Vec<[Option<Resident>; FLOW_WAYS]>,
    by_key: HashMap<FlowKey, Place>,
}

impl Occupancy {
    /// An empty table of a card with these secrets, of which at most `limit` entries are used.
    #[must_use]
    pub fn new(secrets: Secrets, limit: usize) -> Self {
        Self {
            secrets,
            limit,
            places: vec![[None; FLOW_WAYS]; BANKS * FLOW_ROWS],
            by_key: HashMap::new(),
        }
    }

    /// Flows that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// It holds no flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Where a flow is.
    #[must_use]
    pub fn find(&self, key: &FlowKey) -> Option<Place> {
        self.by_key.get(key).copied()
    }

    /// The flows in the places of `key`, in the order in which the card looks.
    pub fn residents(&self, key: &FlowKey) -> impl Iterator<Item = (Place, FlowKey)> {
        let rows = self.rows(key);
        Place::all().filter_map(move |place| {
            let row = &self.places[row_number(place.bank, rows)];
            row[usize::from(place.way)].map(|resident| (place, resident.key))
        })
    }

    /// Every flow, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &FlowKey> {
        self.by_key.keys()
    }

    /// Notes that `place` holds `key`; whoever was there is gone.
    pub fn set(&mut self, key: FlowKey, place: Place) {
        let rows = self.rows(&key);
        self.clear(&key);
        let slot = &mut self.places[row_number(place.bank, rows)][usize::from(place.way)];
        if let Some(old) = slot.replace(Resident { key, rows }) {
            self.by_key.remove(&old.key);
        }
        self.by_key.insert(key, place);
    }

    /// Notes that `key` is in no place.
    pub fn clear(&mut self, key: &FlowKey) {
        if let Some(place) = self.by_key.remove(key) {
            let rows = self.rows(key);
            self.places[row_number(place.bank, rows)][usize::from(place.way)] = None;
        }
    }

    /// Plans a place for a flow that has none.
    ///
    /// # Errors
    /// When there is no place; the flow then stays with the host alone.
    pub fn plan(&self, key: &FlowKey) -> Result<Plan, NoPlace> {
        if self.by_key.len() >= self.limit {
            return Err(NoPlace::Limit);
        }
        let rows = self.rows(key);
        // for each row that was reached: the row it was reached from, and the way there whose flow would move
        let mut reached: Vec<(Row, Option<(usize, u8)>)> = (0..)
            .take(BANKS)
            .map(|bank| (row_number(bank, rows), None))
            .collect();
        let mut seen: HashSet<Row> = reached.iter().map(|&(row, _)| row).collect();
        let mut open: VecDeque<usize> = (0..reached.len()).collect();
        while let Some(at) = open.pop_front() {
            let row = reached[at].0;
            if let Some(way) = (0..)
                .zip(&self.places[row])
                .find_map(|(way, place)| place.is_none().then_some(way))
            {
                return Ok(self.path(&reached, at, way));
            }
            for (way, resident) in (0..).zip(self.places[row].iter().flatten()) {
                for bank in (0..)
                    .take(BANKS)
                    .filter(|&bank| usize::from(bank) != row / FLOW_ROWS)
                {
                    let next = row_number(bank, resident.rows);
                    if reached.len() < SEARCH_ROWS && seen.insert(next) {
                        open.push_back(reached.len());
                        reached.push((next, Some((at, way))));
                    }
                }
            }
        }
        Err(NoPlace::Full)
    }

    /// The moves from the free place at `reached[at]` back to one of the new flow's rows.
    fn path(&self, reached: &[(Row, Option<(usize, u8)>)], at: usize, way: u8) -> Plan {
        let (mut moves, mut free, mut at) = (
            Vec::new(),
            Place {
                bank: bank_of(reached[at].0),
                way,
            },
            at,
        );
        while let Some((from, way)) = reached[at].1 {
            let row = reached[from].0;
            let place = Place {
                bank: bank_of(row),
                way,
            };
            if let Some(resident) = self.places[row][usize::from(way)] {
                moves.push(Move {
                    key: resident.key,
                    from: place,
                    to: free,
                });
            }
            (free, at) = (place, from);
        }
        Plan { moves, place: free }
    }

    fn rows(&self, key: &FlowKey) -> [u16; BANKS] {
        // a row is below FLOW_ROWS, so it fits
        std::array::from_fn(|bank| {
            u16::try_from(self.secrets.flow_row(bank, key)).unwrap_or_default()
        })
    }

    /// The place that an index of the table's dump is, when `key` belongs there.
    #[must_use]
    pub fn belongs(&self, key: &FlowKey, index: usize) -> Option<Place> {
        let (place, row) = Place::from_index(index, FLOW_ROWS);
        let fits = index < BANKS * FLOW_WAYS * FLOW_ROWS
            && usize::from(key.vip) < VIPS
            && self.secrets.flow_row(usize::from(place.bank), key) == row;
        fits.then_some(place)
    }
}

fn row_number(bank: u8, rows: [u16; BANKS]) -> Row {
    usize::from(bank) * FLOW_ROWS + usize::from(rows[usize::from(bank)])
}

fn bank_of(row: Row) -> u8 {
    u8::try_from(row / FLOW_ROWS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(seed: u64) -> Secrets {
        Secrets::draw(crate::card::SecretSource::Seed(seed)).unwrap()
    }

    fn key(n: u64) -> FlowKey {
        FlowKey {
            destination_port: 80,
            source_port: (n % 60_000) as u16 + 1024,
            source: u128::from(0x0a00_0000 + n / 60_000 + (n % 251) * 256),
            vip: 3,
        }
    }

    /// Carries a plan out as the card would: it refuses a move whose source does not hold the key or whose destination is taken.
    fn carry_out(occupancy: &mut Occupancy, key: FlowKey, plan: &Plan) {
        for step in &plan.moves {
            assert_eq!(occupancy.find(&step.key), Some(step.from));
            let rows = occupancy.rows(&step.key);
            assert!(
                occupancy.places[row_number(step.to.bank, rows)][usize::from(step.to.way)]
                    .is_none(),
                "a move onto a taken place"
            );
            occupancy.set(step.key, step.to);
        }
        let rows = occupancy.rows(&key);
        assert!(
            occupancy.places[row_number(plan.place.bank, rows)][usize::from(plan.place.way)]
                .is_none(),
            "an insertion onto a taken place"
        );
        occupancy.set(key, plan.place);
    }

    #[test]
    fn ninety_nine_percent_find_a_place() {
        let seed = 20_261_122;
        let mut occupancy = Occupancy::new(secrets(seed), usize::MAX);
        let (mut moves, target) = (0, BANKS * FLOW_WAYS * FLOW_ROWS * 99 / 100);
        for n in 0..target as u64 {
            let plan = occupancy
                .plan(&key(n))
                .unwrap_or_else(|error| panic!("seed {seed}, flow {n} of {target}: {error}"));
            moves += plan.moves.len();
            carry_out(&mut occupancy, key(n), &plan);
        }
        assert_eq!(occupancy.len(), target);
        assert!(
            moves > 0,
            "a table of 99 % that nobody had to move in is not believable"
        );
    }

    #[test]
    fn a_full_table_says_so() {
        let mut occupancy = Occupancy::new(secrets(7), 3);
        for n in 0..3 {
            let plan = occupancy.plan(&key(n)).unwrap();
            carry_out(&mut occupancy, key(n), &plan);
        }
        assert_eq!(occupancy.plan(&key(3)), Err(NoPlace::Limit));
        occupancy.clear(&key(1));
        assert!(occupancy.plan(&key(3)).is_ok());
    }

    #[test]
    fn equal_secrets_leave_sixteen_places_and_then_none() {
        // all banks agree on every row: flows of one row can only use its sixteen places
        let mut occupancy = Occupancy::new(Secrets::from_words(&[0; 24]), usize::MAX);
        for n in 0..16 {
            let plan = occupancy.plan(&key(n)).unwrap();
            carry_out(&mut occupancy, key(n), &plan);
        }
        assert_eq!(occupancy.plan(&key(16)), Err(NoPlace::Full));
    }

    #[test]
    fn a_dumped_place_is_checked_against_its_key() {
        let occupancy = Occupancy::new(secrets(9), usize::MAX);
        let (bank, way) = (2usize, 1usize);
        let row = occupancy.secrets.flow_row(bank, &key(5));
        let index = (bank * FLOW_WAYS + way) * FLOW_ROWS + row;
        assert_eq!(
            occupancy.belongs(&key(5), index),
            Some(Place { bank: 2, way: 1 })
        );
        assert_eq!(occupancy.belongs(&key(5), index ^ 1), None);
    }
}
