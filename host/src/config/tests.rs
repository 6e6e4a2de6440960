//! The configuration file: what is read of it, and that no damage to it panics.

mod problems;
mod vips;
mod ways;

use proptest::prelude::*;

use super::*;
use crate::card::{HashOptions, Meter, OnMiss, QuicScheme};

const GOOD: &str = r#"version = 1
[card]
device = "sim"
flow_entries = 65536
[node]
name = "lb1"
mac = "02:00:00:00:00:01"
source_v4 = "10.0.13.37"
source_v6 = "fc00:2307::1337"
ipip_source_v4 = "172.16.0.0/16"
ipip_source_v6 = "0100::/96"
unmatched = "host"
mtu = 1500
[[node.next_hop]]
mac = "00:00:de:ad:be:af"
[[pool]]
name = "web"
encap = "ipip"
table = "maglev-v2"
table_size = 65537
[[pool.backend]]
address = "10.0.0.1"
weight = 1
[[vip]]
name = "web-v4"
address = "10.200.1.1"
port = 80
protocol = "tcp"
pool = "web"
on_miss = "punt"
"#;

#[test]
fn the_contract_is_read() {
    let config = Config::parse("lb.toml", GOOD).unwrap();
    assert_eq!(
        config.card,
        Card {
            device: DeviceAddress::Sim,
            flow_entries: 65536,
            simulator: None
        }
    );
    assert_eq!(config.node.mac.map(Mac::to_u64), Some(0x0200_0000_0001));
    assert_eq!(
        config.node.next_hops[0].mac.to_string(),
        "00:00:de:ad:be:af"
    );
    assert_eq!(
        config.pools[0].backends,
        [Backend {
            address: "10.0.0.1".parse().unwrap(),
            weight: 1,
            encap: Encap::Ipip,
            next_hop: None,
            server_id: None,
        }]
    );
    assert_eq!(config.vips[0].pool, 0);
}

#[test]
fn a_card_in_this_machine_is_named_by_its_pci_address() {
    let text = GOOD.replace("\"sim\"", "\"vfio:0000:3b:00.0\"");
    let device = Config::parse("lb.toml", &text).unwrap().card.device;
    assert_eq!(device.to_string(), "vfio:0000:3b:00.0");
    assert!(matches!(device, DeviceAddress::Vfio(_)));
    assert_eq!(
        serde_json::to_string(&device).unwrap(),
        "\"vfio:0000:3b:00.0\""
    );
    let with_simulator = text.replace("[node]", "simulator = \"/bin/sim\"\n[node]");
    let problems = Config::parse("lb.toml", &with_simulator).unwrap_err();
    assert!(
        problems.to_string().contains("card.simulator"),
        "{problems}"
    );
}

#[test]
fn defaults_are_katrans() {
    let config = Config::parse(
        "lb.toml",
        "version = 1\n[card]\ndevice = \"vfio-user:/run/card\"\n",
    )
    .unwrap();
    assert_eq!(
        config.card.device,
        DeviceAddress::VfioUser("/run/card".into())
    );
    assert_eq!(
        (
            config.node.ipip_source_v4.to_string(),
            config.node.ipip_source_v6.to_string()
        ),
        ("172.16.0.0".into(), "100::".into())
    );
    assert_eq!(
        (config.node.mtu, config.node.unmatched),
        (1500, Unmatched::Host)
    );
}

/// Replaces one line of the good file and says what the problem must name.

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD
        .replace("mtu = 1500", "mtu = 1")
        .replace("weight = 1", "weight = 70000");
    assert_eq!(Config::parse("lb.toml", &text).unwrap_err().shown.len(), 2);
}

#[test]
fn pools_without_a_next_hop_are_told() {
    let text = GOOD.replace("[[node.next_hop]]\nmac = \"00:00:de:ad:be:af\"\n", "");
    let problems = Config::parse("lb.toml", &text).unwrap_err();
    assert_eq!(problems.shown[0].problem.key, "node.next_hop");
}

#[test]
fn rings_must_fit_beside_a_spare() {
    use std::fmt::Write as _;
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n",
    );
    for i in 0..14 {
        writeln!(text, "[[pool]]\nname = \"p{i}\"").unwrap();
    }
    Config::parse("lb.toml", &text).unwrap();
    text += "[[pool]]\nname = \"one-more\"\n";
    assert_eq!(
        Config::parse("lb.toml", &text).unwrap_err().shown[0]
            .problem
            .key,
        "pool.table_size"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = Config::parse("any.toml", &text).map_err(|problems| problems.to_string());
    }

    /// Bytes of the good file changed, cut out or doubled.
    #[test]
    fn no_damage_panics(at in 0..GOOD.len(), length in 0usize..40, insert in "[\\PC\n]{0,12}") {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + length).min(GOOD.len()), &insert);
        let _ = Config::parse("any.toml", &text).map_err(|problems| problems.to_string());
    }
}
