//! Room in a table of which each key has a few places: which keys move on so that another one finds its own.

use std::collections::{HashMap, VecDeque};

/// The shortest way from one of `places` over those of the keys in the way to a free one: the places in order. `onward` gives the places of
/// the key that lies at one, or `None` when it is free. `None` when no sequence of moves makes room.
pub(super) fn path_to_room<P: IntoIterator<Item = usize>>(
    places: P,
    onward: impl Fn(usize) -> Option<P>,
) -> Option<Vec<usize>> {
    let mut open: VecDeque<usize> = places.into_iter().collect();
    let mut from: HashMap<usize, Option<usize>> = open.iter().map(|place| (*place, None)).collect();
    while let Some(place) = open.pop_front() {
        let Some(others) = onward(place) else {
            let mut path = vec![place];
            while let Some(Some(before)) = from.get(&path[path.len() - 1]) {
                path.push(*before);
            }
            path.reverse();
            return Some(path);
        };
        for next in others {
            from.entry(next).or_insert_with(|| {
                open.push_back(next);
                Some(place)
            });
        }
    }
    None
}
