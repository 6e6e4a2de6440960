//! The store alone: every order of few fragments, random floods, and what it never exceeds.

use std::collections::{HashMap, HashSet};

use super::*;

/// Named datagrams; the way of datagram `n` is `n`.
fn key(n: u32) -> DatagramKey {
    DatagramKey {
        source: [192, 0, 2, (n >> 16) as u8].into(),
        destination: [10, 200, 1, 1].into(),
        protocol: 17,
        identification: n & 0xffff,
    }
}

/// Fragment `part` of datagram `n`: enough to tell it from all others.
fn frame(n: u32, part: u32) -> Vec<u8> {
    let mut frame = vec![0; 60 + part as usize % 7];
    frame[..4].copy_from_slice(&n.to_be_bytes());
    frame[4..8].copy_from_slice(&part.to_be_bytes());
    frame
}

/// A fragment comes; what leaves, with its way.
fn come(store: &mut FragmentStore<u32>, n: u32, part: u32, now: u32) -> Vec<(Vec<u8>, u32)> {
    let mut left = Vec::new();
    if part == 0 {
        store.first(key(n), n, now);
        left.push((frame(n, 0), n));
    } else if let Later::Goes(way) = store.later(key(n), &frame(n, part), now) {
        left.push((frame(n, part), way));
    }
    while let Some((bytes, way)) = store.pop_ready() {
        left.push((bytes.into_vec(), way));
    }
    left
}

fn permutations(items: &[u32]) -> Vec<Vec<u32>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|i| {
            let mut rest = items.to_vec();
            let taken = rest.remove(i);
            permutations(&rest).into_iter().map(move |mut order| {
                order.insert(0, taken);
                order
            })
        })
        .collect()
}

#[test]
fn in_every_order_of_up_to_five_all_go_the_first_ones_way() {
    for count in 1..=5 {
        let orders = permutations(&(0..count).collect::<Vec<_>>());
        assert_eq!(orders.len(), (1..=count as usize).product::<usize>());
        for order in orders {
            let mut store = FragmentStore::new(Limits::default());
            let (mut left, mut begun) = (Vec::new(), false);
            for &part in &order {
                begun |= part == 0;
                left.extend(come(&mut store, 7, part, 0));
                assert_eq!(store.is_empty(), begun, "{order:?}");
            }
            let expected: HashSet<_> = (0..count).map(|part| (frame(7, part), 7)).collect();
            assert_eq!(left.len(), count as usize, "{order:?}");
            assert_eq!(left.into_iter().collect::<HashSet<_>>(), expected);
            let waited = order.iter().take_while(|&&part| part != 0).count();
            assert_eq!(store.stats.waited, waited as u64);
            assert_eq!((store.len(), store.bytes), (0, 0));
        }
    }
}

#[test]
fn duplicates_go_the_same_way_and_datagrams_do_not_meet() {
    let mut store = FragmentStore::new(Limits::default());
    for n in [1, 2] {
        for part in [1, 1, 2] {
            assert_eq!(come(&mut store, n, part, 0), []);
        }
    }
    let left = come(&mut store, 2, 0, 0);
    assert_eq!(left.len(), 4);
    assert!(left.iter().all(|(bytes, way)| *way == 2 && bytes[3] == 2));
    for part in [0, 1, 0, 3] {
        assert_eq!(come(&mut store, 2, part, 0), [(frame(2, part), 2)]);
    }
    assert_eq!((store.len(), store.stats.began_again), (3, 0));
    // another flow's first fragment under the same name: the later ones are its own
    store.first(key(2), 99, 0);
    assert_eq!(come(&mut store, 2, 4, 0), [(frame(2, 4), 99)]);
    assert_eq!(store.stats.began_again, 1);
}

#[test]
fn nothing_waits_for_ever() {
    let mut store = FragmentStore::new(Limits::default());
    let age = Limits::default().age;
    let begun = u32::MAX - age / 2;
    assert_eq!(come(&mut store, 1, 1, begun), []);
    let late = begun.wrapping_add(age);
    assert_eq!(come(&mut store, 2, 1, late), []);
    // in time, just so
    assert_eq!(come(&mut store, 1, 0, late).len(), 2);
    store.expire(late.wrapping_add(age));
    assert_eq!((store.len(), store.stats.expired), (1, 0));
    assert_eq!(come(&mut store, 1, 2, late.wrapping_add(age)).len(), 1);
    store.expire(late.wrapping_add(age + 1));
    assert_eq!((store.len(), store.stats.expired), (0, 1));
    // and the way is not kept for ever
    assert_eq!(come(&mut store, 1, 3, late.wrapping_add(age + 1)), []);
}

/// A generator of its own, so that a seed says everything (Steele, Lea, Flood: splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % u64::from(n)) as u32
    }
}

/// Random fragments of many datagrams in random order, more than fit: no bound is exceeded, none goes another way than its first one's,
/// and each that came has left, was dropped by name, or is there.
#[test]
fn floods_exceed_no_bound_and_each_fragment_has_one_end() {
    let limits = Limits {
        ways: 20,
        waiting: 12,
        bytes: 40 * LEAST_BYTES,
        fragments_each: 5,
        bytes_each: 4 * LEAST_BYTES + LEAST_BYTES / 2,
        age: 400,
    };
    let mut met = StoreStats::default();
    for seed in 1..=40 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut store = FragmentStore::new(limits);
        // odd seeds: few ever begin, so that waiting ones pile up; others: few datagrams, or so slow that they grow old
        let begins = if seed % 2 == 0 { 4 } else { 60 };
        let (names, step) = [(60, 9), (8, 9), (60, 150)][seed as usize % 3];
        let (mut now, mut came, mut left) = (u32::MAX - 5_000, 0, 0);
        let mut alive: HashMap<u32, u32> = HashMap::new();
        for _ in 0..8_000 {
            now = now.wrapping_add(random.below(step));
            let n = random.below(names);
            let part = match random.below(begins) {
                0 => 0,
                _ => 1 + random.below(9),
            };
            came += 1;
            if part == 0 {
                alive.insert(n, now);
            }
            // what is ready may have to wait for the card
            let out = if random.below(5) == 0 {
                match part {
                    0 => {
                        store.first(key(n), n, now);
                        vec![(frame(n, 0), n)]
                    }
                    _ => match store.later(key(n), &frame(n, part), now) {
                        Later::Goes(way) => vec![(frame(n, part), way)],
                        Later::Stays => vec![],
                    },
                }
            } else {
                come(&mut store, n, part, now)
            };
            left += out.len() as u64;
            for (bytes, way) in out {
                assert_eq!(bytes[..4], way.to_be_bytes(), "seed {seed}");
                assert!(alive.contains_key(&way), "seed {seed}: none of {way} began");
            }
            let waiting: usize = store.waiting.len();
            assert!(waiting <= limits.waiting && store.ways.len() <= limits.ways);
            assert!(store.bytes <= limits.bytes, "seed {seed}");
            assert!(store.len() * LEAST_BYTES <= limits.bytes);
            let s = store.stats;
            let ended = left + s.expired + s.no_room + s.too_many;
            assert_eq!(came, ended + store.len() as u64, "seed {seed}: {s:?}");
        }
        let s = store.stats;
        // nothing is left behind by what has gone
        while store.pop_ready().is_some() {}
        store.expire(now.wrapping_add(limits.age + 1));
        assert_eq!((store.len(), store.bytes), (0, 0), "seed {seed}");
        assert_eq!((store.waiting.len(), store.ways.len()), (0, 0));
        met.waited += s.waited;
        met.expired += s.expired;
        met.no_room += s.no_room;
        met.too_many += s.too_many;
        met.forgotten += s.forgotten;
    }
    for count in [
        met.waited,
        met.expired,
        met.no_room,
        met.too_many,
        met.forgotten,
    ] {
        assert!(count > 100, "this shows little: {met:?}");
    }
}

#[test]
fn what_waits_of_one_datagram_is_bounded() {
    let limits = Limits::default();
    let mut store = FragmentStore::new(limits);
    for part in 1..=200 {
        come(&mut store, 1, part, 0);
    }
    assert_eq!((store.len(), store.stats.too_many), (128, 72));
    let big = vec![0; 9216];
    for _ in 0..20 {
        store.later(key(2), &big, 0);
    }
    assert_eq!(store.len(), 128 + limits.bytes_each / 9216);
    assert_eq!(come(&mut store, 1, 0, 0).len(), 129);
}
