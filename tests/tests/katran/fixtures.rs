//! What a set of fixtures says: its cases, and the state of Katran's load balancer that they were recorded with.

use std::path::Path;

use guideway_sim::harness::katran::read_json;
use serde_json::Value;

/// A packet, and what Katran does with it.
pub struct Case {
    /// Its number in the set, from 1.
    pub number: u64,
    pub description: String,
    /// The frame on the wire.
    pub input: Vec<u8>,
    /// `XDP_TX`, `XDP_PASS` or `XDP_DROP`.
    pub verdict: String,
    /// The frame that Katran sends, when it sends one.
    pub output: Vec<u8>,
}

/// A set of cases.
pub struct Fixtures {
    /// The file's name without its extension.
    pub name: &'static str,
    pub cases: Vec<Case>,
    /// What Katran was built with.
    pub defines: String,
    /// VIPs, backends, server ids and source prefixes.
    pub state: Value,
}

impl Fixtures {
    pub fn read(folder: &Path, name: &'static str) -> Self {
        let set = read_json(folder, &format!("{name}.json")).unwrap();
        let config = read_json(folder, "config.json").unwrap();
        let scenario = &config["scenarios"][text(&set, "scenario")];
        let cases: Vec<Case> = set["cases"].as_array().unwrap().iter().map(case).collect();
        assert!(!cases.is_empty(), "{name} has no cases");
        Self {
            name,
            cases,
            defines: text(&set, "compile_defines").to_owned(),
            state: scenario["state_when_set_runs"][text(&set, "set")].clone(),
        }
    }

    /// Whether Katran was built with this feature.
    pub fn has(&self, feature: &str) -> bool {
        let wanted = format!("-D{feature}");
        self.defines.split(' ').any(|define| define == wanted)
    }
}

pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

pub fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

pub fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn case(value: &Value) -> Case {
    let bytes = |key| {
        let digits = text(value, key).as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    };
    Case {
        number: number(value, "n"),
        description: text(value, "description").to_owned(),
        input: bytes("input_hex"),
        verdict: text(value, "expected_return").to_owned(),
        output: bytes("expected_output_hex"),
    }
}
