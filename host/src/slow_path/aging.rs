//! A map of bounded size whose entries leave in the order in which they came, at the latest when they are too old.
//!
//! Owns the order. Time is an argument: microseconds of card time, of which the low 32 bits count and wrap.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Microseconds from `then` to `now`, both of a wrapping clock; what seems to lie ahead has just come.
pub fn elapsed(now: u32, then: u32) -> u32 {
    let passed = now.wrapping_sub(then);
    if passed > u32::MAX / 2 { 0 } else { passed }
}

/// The map.
pub struct Aging<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by the order in which they came.
    order: BTreeMap<u64, K>,
    came: u64,
}

struct Entry<V> {
    value: V,
    since: u32,
    turn: u64,
}

impl<K: Hash + Eq + Copy, V> Default for Aging<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            came: 0,
        }
    }
}

impl<K: Hash + Eq + Copy, V> Aging<K, V> {
    /// Entries that it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// An entry.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// An entry, to be changed; it stays as old as it is.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Puts an entry in as the youngest, and returns the one that was there.
    pub fn insert(&mut self, key: K, value: V, now: u32) -> Option<V> {
        let before = self.remove(&key);
        let turn = self.came;
        self.came += 1;
        self.order.insert(turn, key);
        let entry = Entry {
            value,
            since: now,
            turn,
        };
        self.entries.insert(key, entry);
        before
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.turn);
        Some(entry.value)
    }

    /// Takes the oldest entry out.
    pub fn pop(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key).map(|entry| entry.value)
    }

    /// Takes the oldest entry out when it came more than `age` microseconds ago.
    pub fn pop_older(&mut self, now: u32, age: u32) -> Option<V> {
        let (_, key) = self.order.first_key_value()?;
        let since = self.entries.get(key)?.since;
        if elapsed(now, since) > age {
            self.pop()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leaves_first_and_none_before_its_time() {
        let mut map = Aging::default();
        let begun = u32::MAX - 10;
        for (i, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let now = begun.wrapping_add(10 * i as u32);
            assert_eq!(map.insert(key, i, now), None);
        }
        assert_eq!(map.insert("a", 9, begun.wrapping_add(40)), Some(0));
        assert_eq!(map.remove(&"c"), Some(2));
        let at = |age: u32| begun.wrapping_add(age);
        assert_eq!(map.pop_older(at(110), 100), None);
        assert_eq!(map.pop_older(at(111), 100), Some(1)); // b: over the wrap
        assert_eq!(map.pop_older(at(130), 100), None);
        assert_eq!(map.pop_older(at(141), 100), Some(3));
        assert_eq!((map.get(&"a"), map.len()), (Some(&9), 1));
        // a clock that was read a little earlier than the entry came
        assert_eq!(map.pop_older(at(39), 100), None);
        assert_eq!((map.pop(), map.pop(), map.len()), (Some(9), None, 0));
        assert!(map.order.is_empty());
    }
}
