//! Katran's fixtures and hash vectors. Their folder is named by `GUIDEWAY_KATRAN_FIXTURES`; without it the tests say so.

use std::net::IpAddr;
use std::path::PathBuf;

use guideway_hdl::tables::VipEntry;
use serde_json::Value;

use crate::harness::katran::{SETS, address_hash, check, read_json};
use crate::reference::{
    Packet, Parsed, ReferenceCard, Source, VipHit, flow_hash, jhash_2words, jhash_16_bytes, parse,
};

use super::config;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("GUIDEWAY_KATRAN_FIXTURES").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: GUIDEWAY_KATRAN_FIXTURES names no folder with Katran's fixtures");
    }
    folder
}

fn number(value: &Value, key: &str) -> u32 {
    let number = value[key].as_u64().unwrap_or_else(|| panic!("no {key}"));
    number.try_into().expect("32 bits")
}

#[test]
fn hashes_are_katrans() {
    let Some(folder) = folder() else { return };
    let vectors = read_json(&folder, "hash_vectors.json").expect("readable");
    for row in vectors["jhash_2words"].as_array().expect("rows") {
        let [a, b, seed, hash] = ["a", "b", "initval", "hash"].map(|key| number(row, key));
        assert_eq!(jhash_2words(a, b, seed), hash);
    }
    for row in vectors["jhash_16bytes"].as_array().expect("rows") {
        let key = row["key"].as_str().expect("a key");
        let key = u128::from_str_radix(key, 16)
            .expect("hexadecimal")
            .to_be_bytes();
        assert_eq!(
            jhash_16_bytes(&key, number(row, "initval")),
            number(row, "hash")
        );
    }
    for row in vectors["flow"].as_array().expect("rows") {
        let source: IpAddr = row["src"]
            .as_str()
            .expect("a source")
            .parse()
            .expect("an address");
        let packet = flow_packet(
            source,
            number(row, "sport") as u16,
            number(row, "dport") as u16,
        );
        let hit = VipHit {
            vip: 0,
            any_port: false,
        };
        let hash = flow_hash(&packet, &VipEntry::default(), hit);
        assert_eq!(hash, number(row, "hash"), "{row}");
        assert_eq!(hash % 65537, number(row, "ring_index"), "{row}");
    }
    for row in vectors["folly_ip_hash"].as_array().expect("rows") {
        if let Ok(IpAddr::V4(v4)) = row["address"].as_str().expect("an address").parse() {
            let hash = format!("{:#x}", address_hash(v4.octets()));
            assert_eq!(hash, row["hash"].as_str().expect("a hash"));
        }
    }
}

fn flow_packet(source: IpAddr, source_port: u16, destination_port: u16) -> Packet {
    let spec = crate::harness::frame::PacketSpec {
        ethernet: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
        source,
        destination: if source.is_ipv6() {
            [1; 16].into()
        } else {
            [1; 4].into()
        },
        protocol: 17,
        ports: (source_port, destination_port),
        flags: 0,
        traffic_class: 0,
        payload: Vec::new(),
    };
    match parse(&config(), &spec.frame(), Source::Wire { error: false }) {
        Parsed::Packet(packet) => packet,
        Parsed::Final(disposition) => panic!("{}", disposition.name()),
    }
}

/// The options' hashes, from the definition: what is fed to Jenkins' hash under each.
#[test]
fn options_change_what_is_hashed() {
    let words = |a: [u8; 4], ports: [u8; 4]| {
        jhash_2words(u32::from_le_bytes(a), u32::from_le_bytes(ports), 33_554_944)
    };
    let packet = flow_packet([192, 168, 1, 2].into(), 0x1122, 0x3344);
    let source = [192, 168, 1, 2];
    let none = VipEntry::default();
    let no_source = VipEntry {
        hash_no_source_port: true,
        ..none
    };
    let only = VipEntry {
        hash_destination_port_only: true,
        ..none
    };
    let keep = VipEntry {
        hash_keep_destination_port: true,
        ..none
    };
    for (entry, any_port, expected) in [
        (none, false, words(source, [0x11, 0x22, 0x33, 0x44])),
        (none, true, words(source, [0x11, 0x22, 0, 0])),
        (keep, true, words(source, [0x11, 0x22, 0x33, 0x44])),
        (no_source, false, words(source, [0, 0, 0x33, 0x44])),
        (no_source, true, words(source, [0, 0, 0, 0])),
        (only, false, words([0; 4], [0x33, 0x44, 0x33, 0x44])),
        (only, true, words([0; 4], [0x33, 0x44, 0x33, 0x44])),
    ] {
        let hit = VipHit { vip: 0, any_port };
        assert_eq!(
            flow_hash(&packet, &entry, hit),
            expected,
            "{entry:?} {any_port}"
        );
    }
    let v6 = flow_packet([7; 16].into(), 0x1122, 0x3344);
    let hit = VipHit {
        vip: 0,
        any_port: false,
    };
    let zeros = jhash_16_bytes(&[0; 16], 512).to_le_bytes();
    assert_eq!(
        flow_hash(&v6, &only, hit),
        words(zeros, [0x33, 0x44, 0x33, 0x44])
    );
}

#[test]
fn frames_leave_as_katran_sends_them() {
    let Some(folder) = folder() else { return };
    for set in &SETS {
        let cases = check(&mut ReferenceCard::new(), &folder, set);
        assert!(
            cases.as_ref().is_ok_and(|cases| *cases >= set.least()),
            "{set:?}: {cases:?}"
        );
    }
}
