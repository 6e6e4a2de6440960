//! The numbers that Katran's own unit tests expect of its two builders: how many slots change when reals come, go or change their
//! weight, and how evenly slots are shared. Each row of the fixture names the test that it is from; what that test does is
//! described here once more, with our builder.

use guideway::maglev::builder::{Endpoint, build};
use guideway::maglev::{Algorithm, NOBODY};
use serde_json::{Value, json};

use super::fixture;

/// Katran's default ring.
const RING: u32 = 65537;
/// The reals of its tests of shares.
const MANY: u32 = 400;

/// Reals as Katran's unit tests make them: number and hash are the index.
fn reals(weights: impl IntoIterator<Item = u32>) -> Vec<Endpoint> {
    (0..)
        .zip(weights)
        .map(|(number, weight)| Endpoint {
            number,
            weight,
            hash: number.into(),
        })
        .collect()
}

fn alike(count: u32, weight: u32) -> Vec<Endpoint> {
    reals((0..count).map(|_| weight))
}

/// Slots that differ.
fn changed(before: &[u32], after: &[u32]) -> usize {
    before.iter().zip(after).filter(|(a, b)| a != b).count()
}

/// Slots of each real.
fn shares(ring: &[u32], reals: u32) -> Vec<u32> {
    let mut shares = vec![0; reals as usize];
    for &slot in ring {
        shares[slot as usize] += 1;
    }
    shares
}

fn spread(ring: &[u32], reals: u32) -> u32 {
    let shares = shares(ring, reals);
    shares.iter().max().unwrap() - shares.iter().min().unwrap()
}

/// What our builder makes of the test that a row names.
fn ours(row: &str) -> Value {
    let (version, test) = row.split_once(' ').unwrap();
    let algorithm = match version {
        "V1" => Algorithm::V1,
        "V2" => Algorithm::V2,
        other => panic!("a builder {other}"),
    };
    let ring = |endpoints| build(algorithm, RING, endpoints);
    let hundred = |weight| ring(alike(100, weight));
    match test {
        "100 reals weight 10 initial delta" => {
            json!(changed(&[NOBODY; RING as usize], &hundred(10)))
        }
        "delete real 0" => {
            let mut rest = alike(100, 10);
            rest.remove(0);
            json!(changed(&hundred(10), &ring(rest)))
        }
        "all weights 10->13" => json!(changed(&hundred(10), &hundred(13))),
        "real 0 weight 13->26" => {
            let mut heavier = alike(100, 13);
            heavier[0].weight = 26;
            json!(changed(&hundred(13), &ring(heavier)))
        }
        "add second real" => json!(changed(&ring(alike(1, 1)), &ring(alike(2, 1)))),
        "400 equal reals max-min" => json!(spread(&ring(alike(MANY, 1)), MANY)),
        "weights 2,1,1 max-min" => json!(spread(&ring(reals([2, 1, 1])), 3)),
        "sum of weights 2x ring: first 200 get weight slots, rest 0 but one" => {
            let weight = 2 * RING / MANY;
            let shares = shares(&ring(alike(MANY, weight)), MANY);
            let (full, rest) = shares.split_at(MANY as usize / 2);
            json!([
                full.iter().all(|&share| share == weight),
                rest[0] > 0,
                rest[1..].iter().sum::<u32>()
            ])
        }
        "sum just below ring" => json!(spread(&ring(alike(MANY, RING / MANY - 1)), MANY)),
        "ring 7 weights 2,1 slots" => {
            let mut two = reals([2, 1]);
            (two[0].hash, two[1].hash) = (1000, 2000);
            json!(shares(&build(algorithm, 7, two), 2))
        }
        other => panic!("Katran's unit test {other:?} is not known here"),
    }
}

#[test]
fn numbers_of_katran_s_unit_tests() {
    let Some(maglev) = fixture("maglev.json") else {
        return;
    };
    let rows = maglev["unit_tests"].as_array().unwrap();
    for row in rows {
        let name = row["test"].as_str().unwrap();
        assert_eq!(ours(name), row["expected"], "{name}");
    }
    assert_eq!(rows.len(), 17);
}
