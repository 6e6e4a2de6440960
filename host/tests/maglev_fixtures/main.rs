//! Maglev against Katran's own values: golden rings, its unit tests' numbers, permutations, Murmur and address hashes.
//!
//! The values are Katran's data and stay outside the repository: `GUIDEWAY_KATRAN_FIXTURES` names their folder.

#![allow(clippy::unwrap_used)] // a test's helpers, too, fail by panicking

mod python_random;
mod unit_tests;

use std::path::PathBuf;

use guideway::maglev::builder::{Endpoint, build};
use guideway::maglev::permutation::{Permutation, murmur3_x64_64};
use guideway::maglev::{Algorithm, address_hash};
use python_random::PythonRandom;
use serde_json::Value;

fn fixture(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("GUIDEWAY_KATRAN_FIXTURES") else {
        eprintln!("skipped: GUIDEWAY_KATRAN_FIXTURES is not set, {name} was not compared");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_str(&text).unwrap())
}

/// A number that JSON holds as a number, in decimal text or in hexadecimal text.
fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        },
        other => other.as_u64().unwrap(),
    }
}

fn small(value: &Value) -> u32 {
    u32::try_from(number(value)).unwrap()
}

fn fnv1a64(ring: &[u32]) -> u64 {
    ring.iter()
        .flat_map(|slot| slot.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
}

/// The endpoints of a golden ring in the order in which they were given to the builder.
fn endpoints(value: &Value) -> Vec<Endpoint> {
    if let Some(list) = value.as_array() {
        return list
            .iter()
            .map(|e| Endpoint {
                number: small(&e["num"]),
                weight: small(&e["weight"]),
                hash: number(&e["hash"]),
            })
            .collect();
    }
    let hashes: Box<dyn Iterator<Item = u64>> = match value["rule"].as_str().unwrap() {
        rule if rule.starts_with("num=i, hash=i") => Box::new(0..),
        "see ringcheck.py" => Box::new(hashes_of_the_script()),
        rule => panic!("endpoints by the rule {rule:?}"),
    };
    (0..small(&value["n"]))
        .zip(hashes)
        .map(|(i, hash)| Endpoint {
            number: i,
            weight: small(&value["weight"]),
            hash,
        })
        .collect()
}

/// The hashes that `ringcheck.py` drew. The script is not among the fixtures, but all its random hashes are of one generator: those that
/// the other rings name stand in `random.Random(7)`, a weight and two hashes an endpoint, up to word 3555. There this ring's begin.
fn hashes_of_the_script() -> impl Iterator<Item = u64> {
    let mut random = PythonRandom::new(7);
    for _ in 0..3555 {
        random.word();
    }
    std::iter::repeat_with(move || {
        random.one_to_twenty();
        let hash = random.bits_64();
        random.bits_64();
        hash
    })
}

#[test]
fn golden_rings() {
    let Some(maglev) = fixture("maglev.json") else {
        return;
    };
    let rings = maglev["golden_rings"].as_array().unwrap();
    for (i, golden) in rings.iter().enumerate() {
        let algorithm = if golden["version"] == 1 {
            Algorithm::V1
        } else {
            Algorithm::V2
        };
        let endpoints = endpoints(&golden["endpoints"]);
        let ring = build(algorithm, small(&golden["ring_size"]), endpoints);
        assert_eq!(
            format!("{:016x}", fnv1a64(&ring)),
            golden["ring_fnv1a64_le32"].as_str().unwrap(),
            "golden ring {i}"
        );
        if let Some(whole) = golden["ring"].as_array() {
            assert_eq!(
                ring,
                whole.iter().map(small).collect::<Vec<_>>(),
                "golden ring {i}"
            );
        }
    }
    assert_eq!(rings.len(), 20);
}

#[test]
fn murmur_and_permutations() {
    let Some(maglev) = fixture("maglev.json") else {
        return;
    };
    for row in maglev["murmur3_x64_64"].as_array().unwrap() {
        assert_eq!(
            murmur3_x64_64(number(&row["A"]), number(&row["B"]), small(&row["seed"])),
            number(&row["hash"]),
            "{row}"
        );
    }
    for row in maglev["permutations_m65537"].as_array().unwrap() {
        let permutation = Permutation::new(number(&row["hash"]), 65537);
        assert_eq!(
            [permutation.offset, permutation.skip],
            [small(&row["offset_skip"][0]), small(&row["offset_skip"][1])],
            "{row}"
        );
    }
}

#[test]
fn address_hashes() {
    let Some(vectors) = fixture("hash_vectors.json") else {
        return;
    };
    for row in vectors["folly_ip_hash"].as_array().unwrap() {
        assert_eq!(
            address_hash::of(row["address"].as_str().unwrap().parse().unwrap()),
            number(&row["hash"]),
            "{row}"
        );
    }
}
