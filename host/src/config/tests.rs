//! Rows of broken files, each with the line and key that its problem must name.

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
        config.node.next_hop.unwrap().to_string(),
        "00:00:de:ad:be:af"
    );
    assert_eq!(
        config.pools[0].backends,
        [Backend {
            address: "10.0.0.1".parse().unwrap(),
            weight: 1,
            encap: Encap::Ipip,
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
fn rows() -> Vec<(
    &'static str,
    &'static str,
    usize,
    &'static str,
    &'static str,
)> {
    vec![
        // (line to replace, by what, line of the problem, its key, part of its message)
        ("version = 1", "version = 2", 1, "version", "not known"),
        (
            "version = 1",
            "version = \"1\"",
            1,
            "version",
            "invalid type",
        ),
        (
            "device = \"sim\"",
            "device = \"vfio:3b:00.0\"",
            3,
            "card.device",
            "no PCI address",
        ),
        (
            "device = \"sim\"",
            "device = \"vfio-user:card.sock\"",
            3,
            "card.device",
            "not absolute",
        ),
        (
            "device = \"sim\"",
            "device = \"dpdk\"",
            3,
            "card.device",
            "not a device",
        ),
        (
            "flow_entries = 65536",
            "flow_entries = 65537",
            4,
            "card.flow_entries",
            "out of range",
        ),
        (
            "flow_entries = 65536",
            "flow_entires = 65536",
            4,
            "flow_entires",
            "unknown field",
        ),
        (
            "mac = \"02:00:00:00:00:01\"",
            "mac = \"03:00:00:00:00:01\"",
            7,
            "node.mac",
            "one station",
        ),
        (
            "mac = \"02:00:00:00:00:01\"",
            "mac = \"2:0:0:0:0:1\"",
            7,
            "node.mac",
            "not a MAC",
        ),
        (
            "source_v4 = \"10.0.13.37\"",
            "source_v4 = \"fc00::1\"",
            8,
            "node.source_v4",
            "not an IPv4",
        ),
        (
            "ipip_source_v4 = \"172.16.0.0/16\"",
            "gue_port = 0",
            10,
            "node.gue_port",
            "out of range",
        ),
        (
            "ipip_source_v4 = \"172.16.0.0/16\"",
            "gue_port = 65536",
            10,
            "node.gue_port",
            "out of range",
        ),
        (
            "ipip_source_v4 = \"172.16.0.0/16\"",
            "ipip_source_v4 = \"172.16.0.0/12\"",
            10,
            "node.ipip_source_v4",
            "not a /16",
        ),
        (
            "ipip_source_v6 = \"0100::/96\"",
            "ipip_source_v6 = \"0100::1/96\"",
            11,
            "node.ipip_source_v6",
            "not a /96",
        ),
        (
            "unmatched = \"host\"",
            "unmatched = \"pass\"",
            12,
            "node.unmatched",
            "not known",
        ),
        ("mtu = 1500", "mtu = 100", 13, "node.mtu", "out of range"),
        (
            "mac = \"00:00:de:ad:be:af\"",
            "address = \"10.0.13.1\"",
            15,
            "node.next_hop.address",
            "not supported yet",
        ),
        (
            "mac = \"00:00:de:ad:be:af\"",
            "mac = \"00:00:de:ad:be:af\"\nvlan = 4095",
            16,
            "node.next_hop.vlan",
            "not a VLAN",
        ),
        (
            "mac = \"00:00:de:ad:be:af\"",
            "mac = \"00:00:de:ad:be:af\"\nvlan = \"set\"",
            16,
            "node.next_hop.vlan",
            "not a VLAN",
        ),
        (
            "mac = \"00:00:de:ad:be:af\"",
            "mac = \"00:00:de:ad:be:af\"\nvlan = 7\nvlan_priority = 8",
            17,
            "node.next_hop.vlan_priority",
            "out of range",
        ),
        (
            "mac = \"00:00:de:ad:be:af\"",
            "mac = \"00:00:de:ad:be:af\"\nvlan_priority = 1",
            16,
            "node.next_hop.vlan_priority",
            "no tag",
        ),
        (
            "address = \"10.200.1.1\"",
            "address = \"10.0.0.1\"",
            26,
            "vip.address",
            "come back to this node",
        ),
        (
            "address = \"10.200.1.1\"",
            "address = \"10.0.0.0/24\"",
            26,
            "vip.address",
            "10.0.0.1, a backend of pool \"web\", lies in 10.0.0.0/24",
        ),
        (
            "address = \"10.200.1.1\"",
            "address = \"10.200.1.1/16\"",
            26,
            "vip.address",
            "bits set behind its prefix",
        ),
        (
            "address = \"10.200.1.1\"",
            "address = \"10.200.0.0/33\"",
            26,
            "vip.address",
            "not an IP address or prefix",
        ),
        (
            "address = \"10.200.1.1\"",
            "address = \"192.0.0.0/2\"",
            26,
            "vip.address",
            "not of one host",
        ),
        (
            "address = \"10.200.1.1\"",
            "address = \"::ffff:0:0/96\"",
            26,
            "vip.address",
            "IPv4-mapped",
        ),
        (
            "encap = \"ipip\"",
            "encap = \"gue\"\ngre_key = 7",
            19,
            "pool.gre_key",
            "no backend of the pool",
        ),
        (
            "encap = \"ipip\"",
            "encap = \"vxlan\"",
            18,
            "pool.encap",
            "not an encapsulation",
        ),
        (
            "table = \"maglev-v2\"",
            "table = \"rendezvous\"",
            19,
            "pool.table",
            "not a table",
        ),
        (
            "table_size = 65537",
            "table_size = 65536",
            20,
            "pool.table_size",
            "not a prime",
        ),
        (
            "table_size = 65537",
            "table_size = 131071",
            20,
            "pool.table_size",
            "out of range",
        ),
        (
            "address = \"10.0.0.1\"",
            "address = \"10.0.0\"",
            22,
            "pool.backend.address",
            "not an IP",
        ),
        (
            "address = \"10.0.0.1\"",
            "address = \"::ffff:10.0.0.1\"",
            22,
            "pool.backend.address",
            "IPv4-mapped",
        ),
        (
            "address = \"10.0.0.1\"",
            "address = \"224.0.0.1\"",
            22,
            "pool.backend.address",
            "one host",
        ),
        (
            "weight = 1",
            "weight = -1",
            23,
            "pool.backend.weight",
            "out of range",
        ),
        ("weight = 1", "weight = 1.5", 23, "weight", "invalid type"),
        (
            "weight = 1",
            "[[pool.backend]]\naddress = \"10.0.0.1\"",
            24,
            "pool.backend.address",
            "twice",
        ),
        (
            "table = \"maglev-v2\"",
            "gre_key = 7",
            19,
            "pool.gre_key",
            "no backend of the pool",
        ),
        (
            "weight = 1",
            "encap = \"gue\"\ngre_key = 7",
            24,
            "pool.backend.gre_key",
            "in gue has no GRE key",
        ),
        (
            "weight = 1",
            "encap = \"ip\"",
            23,
            "pool.backend.encap",
            "not an encapsulation",
        ),
        (
            "weight = 1",
            "gre_key = 7",
            23,
            "pool.backend.gre_key",
            "no GRE key",
        ),
        (
            "weight = 1",
            "encap = \"gre\"\ngre_key = 4294967296",
            24,
            "pool.backend.gre_key",
            "out of range",
        ),
        (
            "weight = 1",
            "mac = \"02:00:00:00:00:05\"",
            23,
            "pool.backend.mac",
            "go to the next hop",
        ),
        (
            "weight = 1",
            "encap = \"l2\"",
            21,
            "pool.backend.mac",
            "needs its MAC",
        ),
        (
            "weight = 1",
            "encap = \"l2\"\nmac = \"03:00:00:00:00:05\"",
            24,
            "pool.backend.mac",
            "one station",
        ),
        ("port = 80", "port = 65536", 27, "vip.port", "out of range"),
        (
            "protocol = \"tcp\"",
            "protocol = \"sctp\"",
            28,
            "vip.protocol",
            "not a protocol",
        ),
        (
            "pool = \"web\"",
            "pool = \"wbe\"",
            29,
            "vip.pool",
            "no pool",
        ),
        (
            "on_miss = \"punt\"",
            "on_miss = \"ask\"",
            30,
            "vip.on_miss",
            "not a policy",
        ),
        (
            "on_miss = \"punt\"",
            "route_by = [\"source\", \"moon\"]",
            30,
            "vip.route_by",
            "nothing to route by",
        ),
        (
            "on_miss = \"punt\"",
            "route_by = [\"server-id\"]\non_miss = \"learn\"",
            30,
            "vip.route_by",
            "do not reach it",
        ),
        (
            "weight = 1",
            "server_id = 0",
            23,
            "pool.backend.server_id",
            "out of range",
        ),
        (
            "weight = 1",
            "server_id = 4294967296",
            23,
            "pool.backend.server_id",
            "out of range",
        ),
        (
            "weight = 1",
            "server_id = 7\n[[pool.backend]]\naddress = \"10.0.0.2\"\nserver_id = 7",
            26,
            "pool.backend.server_id",
            "has the id 7 too",
        ),
        (
            "weight = 1",
            "[[pool.source_route]]\nprefix = \"192.0.2.0/24\"\nbackend = \"10.0.0.2\"",
            25,
            "pool.source_route.backend",
            "no backend of the pool",
        ),
        (
            "weight = 1",
            "[[pool.source_route]]\nprefix = \"192.0.2.1/24\"\nbackend = \"10.0.0.1\"",
            24,
            "pool.source_route.prefix",
            "not an address or a prefix",
        ),
        (
            "on_miss = \"punt\"",
            "hush = \"source\"",
            30,
            "hush",
            "unknown field",
        ),
        (
            "on_miss = \"punt\"",
            "hash = \"no-source-port\"",
            30,
            "hash",
            "invalid type",
        ),
        (
            "on_miss = \"punt\"",
            "hash = [\"no-source-port\", \"source\"]",
            30,
            "vip.hash",
            "not a hash option",
        ),
        (
            "on_miss = \"punt\"",
            "meter = { rate = 0, burst = 1 }",
            30,
            "vip.meter.rate",
            "out of range",
        ),
        (
            "on_miss = \"punt\"",
            "meter = { rate = 16777215, burst = 65536 }",
            30,
            "vip.meter.burst",
            "out of range",
        ),
        (
            "on_miss = \"punt\"",
            "meter = { rate = 7 }",
            30,
            "burst",
            "missing field",
        ),
        (
            "on_miss = \"punt\"",
            "meter = { rate = 7, burst = 7 }\non_miss = \"stateless\"",
            30,
            "vip.meter",
            "misses of this VIP do not",
        ),
        (
            "on_miss = \"punt\"",
            "quota = 1048576",
            30,
            "vip.quota",
            "out of range",
        ),
        (
            "on_miss = \"punt\"",
            "quota = 7\non_miss = \"stateless\"",
            30,
            "vip.quota",
            "nothing of a stateless VIP",
        ),
        (
            "mtu = 1500",
            "icmp_limit = { echo = { rate = 1, burst = 65536 } }",
            13,
            "node.icmp_limit.echo.burst",
            "out of range",
        ),
        (
            "mtu = 1500",
            "icmp_limit = { too_big = { rate = 0, burst = 5 } }",
            13,
            "node.icmp_limit.too_big.rate",
            "5 answers and then no more",
        ),
        (
            "mtu = 1500",
            "icmp_limit = { redirect = { rate = 1, burst = 5 } }",
            13,
            "redirect",
            "unknown field",
        ),
        ("on_miss = \"punt\"", "echo = 1", 30, "echo", "invalid type"),
        (
            "mtu = 1500",
            "compute_only = \"yes\"",
            13,
            "compute_only",
            "invalid type",
        ),
        (
            "name = \"web-v4\"",
            "name = \"web v4\"",
            25,
            "vip.name",
            "not a name",
        ),
        ("name = \"web-v4\"", "", 24, "name", "missing field"),
        (
            "[[node.next_hop]]",
            "[[node.nexthop]]",
            14,
            "nexthop",
            "unknown field",
        ),
    ]
}

#[test]
fn tags_are_kept_removed_or_set() {
    let mac = "mac = \"00:00:de:ad:be:af\"";
    let vlan = |keys: &str| {
        let text = GOOD.replace(mac, &format!("{mac}\n{keys}"));
        Config::parse("lb.toml", &text).unwrap().node.vlan
    };
    assert_eq!(vlan(""), Vlan::Keep);
    assert_eq!(vlan("vlan = \"keep\""), Vlan::Keep);
    assert_eq!(vlan("vlan = \"remove\""), Vlan::Remove);
    assert_eq!(vlan("vlan = 42"), Vlan::Set(42));
    assert_eq!(vlan("vlan = 42\nvlan_priority = 7"), Vlan::Set(0xe02a));
    assert_eq!(Vlan::Set(0xe02a).to_string(), "VLAN 42 priority 7");
}

#[test]
fn an_l2_backend_may_have_the_vips_address() {
    let l2 = GOOD.replace(
        "address = \"10.0.0.1\"",
        "address = \"10.200.1.1\"\nencap = \"l2\"\nmac = \"02:00:00:00:00:05\"",
    );
    assert!(Config::parse("lb.toml", &l2).is_ok());
}

#[test]
fn each_problem_names_its_line_and_key() {
    for (old, new, line, key, message) in rows() {
        assert!(GOOD.contains(old), "{old}");
        let text = GOOD.replacen(old, new, 1);
        let problems = Config::parse("lb.toml", &text).expect_err(new);
        let shown = problems
            .shown
            .iter()
            .find(|shown| shown.problem.key == key)
            .unwrap_or_else(|| panic!("{new}: {problems}"));
        assert_eq!(shown.line, line, "{new}: {problems}");
        assert!(shown.problem.message.contains(message), "{new}: {problems}");
        assert!(
            problems.to_string().contains(&format!("lb.toml:{line}:")),
            "{problems}"
        );
    }
}

#[test]
fn each_backend_has_its_way() {
    let text = GOOD
        .replace("encap = \"ipip\"", "encap = \"gre\"\ngre_key = 7")
        .replace(
            "weight = 1\n",
            "[[pool.backend]]\naddress = \"fc00::2\"\ngre_key = 4294967295\n\
             [[pool.backend]]\naddress = \"10.0.0.3\"\nencap = \"ipip\"\n\
             [[pool.backend]]\naddress = \"10.0.0.5\"\nencap = \"gue\"\n\
             [[pool.backend]]\naddress = \"10.0.0.4\"\nencap = \"l2\"\nmac = \"02:00:00:00:00:05\"\n",
        );
    let config = Config::parse("lb.toml", &text).unwrap();
    let encaps: Vec<Encap> = config.pools[0].backends.iter().map(|b| b.encap).collect();
    let mac = Mac([2, 0, 0, 0, 0, 5]);
    assert_eq!(
        encaps,
        [
            Encap::Gre { key: Some(7) },
            Encap::Gre {
                key: Some(u32::MAX)
            },
            Encap::Ipip,
            Encap::Gue,
            Encap::L2 { mac },
        ]
    );
    let shown: Vec<String> = encaps.iter().map(Encap::to_string).collect();
    assert_eq!(
        shown,
        [
            "gre, key 7",
            "gre, key 4294967295",
            "ipip",
            "gue",
            "l2 to 02:00:00:00:00:05"
        ]
    );
}

#[test]
fn gre_and_gue_need_an_address_to_send_from() {
    for (encap, family, key, address) in [
        ("gre", "IPv4", "source_v4", "10.0.0.1"),
        ("gre", "IPv6", "source_v6", "fc00::1"),
        ("gue", "IPv4", "source_v4", "10.0.0.1"),
        ("gue", "IPv6", "source_v6", "fc00::1"),
    ] {
        let removed = GOOD
            .lines()
            .find(|line| line.starts_with(key))
            .map(|line| format!("{line}\n"))
            .unwrap();
        let text = GOOD
            .replace(&removed, "")
            .replace("10.0.0.1", address)
            .replace("encap = \"ipip\"", &format!("encap = {encap:?}"));
        let problems = Config::parse("lb.toml", &text).unwrap_err();
        let problem = &problems.shown[0].problem;
        assert_eq!(problem.key, format!("node.{key}"), "{problems}");
        assert!(problem.message.contains(family), "{problems}");
        assert!(problem.message.contains(encap), "{problems}");
        assert_eq!(problems.shown.len(), 1, "{problems}");
        // the other family's is not asked for
        let other = if address.contains(':') {
            "10.0.0.1"
        } else {
            "fc00::1"
        };
        Config::parse("lb.toml", &text.replace(address, other)).unwrap();
    }
}

#[test]
fn gue_goes_to_katrans_port_or_another() {
    let port = |text: &str| Config::parse("lb.toml", text).unwrap().node.gue_port;
    assert_eq!(port(GOOD), 6080);
    let line = "ipip_source_v4 = \"172.16.0.0/16\"";
    assert_eq!(port(&GOOD.replace(line, "gue_port = 9886")), 9886);
}

#[test]
fn l2_backends_have_fifteen_stations_at_most() {
    let mut text = GOOD.replace("encap = \"ipip\"", "encap = \"l2\"");
    let backends = |count: u8| -> String {
        (0..count)
            .map(|i| {
                format!(
                    "[[pool.backend]]\naddress = \"10.0.1.{i}\"\nmac = \"02:00:00:00:01:{i:02x}\"\n"
                )
            })
            .collect()
    };
    text = text.replace(
        "[[pool.backend]]\naddress = \"10.0.0.1\"\nweight = 1\n",
        "BACKENDS",
    );
    Config::parse("lb.toml", &text.replace("BACKENDS", &backends(15))).unwrap();
    let problems = Config::parse("lb.toml", &text.replace("BACKENDS", &backends(16))).unwrap_err();
    assert_eq!(problems.shown[0].problem.key, "pool.backend.mac");
}

#[test]
fn an_ipv6_vip_may_have_ipv4_backends() {
    let text = GOOD.replace("10.200.1.1", "fc00::80");
    Config::parse("lb.toml", &text).unwrap();
}

#[test]
fn two_vips_of_one_key_are_a_contradiction() {
    let text = format!(
        "{GOOD}[[vip]]\nname = \"again\"\naddress = \"10.200.1.1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n"
    );
    let problems = Config::parse("lb.toml", &text).unwrap_err();
    assert_eq!(
        (
            problems.shown[0].line,
            problems.shown[0].problem.key.as_str()
        ),
        (33, "vip.address")
    );
}

#[test]
fn a_vip_has_rules_of_its_own() {
    let rules = |keys: &str| {
        let text = GOOD.replace("on_miss = \"punt\"", keys);
        Config::parse("lb.toml", &text).unwrap().vips[0].rules
    };
    assert!(rules("").is_usual() && rules("on_miss = \"punt\"").is_usual());
    assert_eq!(rules("on_miss = \"stateless\"").on_miss, OnMiss::Stateless);
    assert_eq!(rules("on_miss = \"learn\"").on_miss, OnMiss::Learn);
    let all = rules(
        "hash = [\"no-source-port\", \"keep-destination-port\"]\nmeter = { rate = 200, burst = 5000 }\nquota = 10000",
    );
    assert_eq!(
        all,
        Rules {
            hash: HashOptions {
                no_source_port: true,
                keep_destination_port: true,
                ..HashOptions::default()
            },
            on_miss: OnMiss::Punt,
            meter: Some(Meter {
                rate: 200,
                burst: 5000
            }),
            quota: Some(10_000),
            ..Rules::default()
        }
    );
    let config = |keys: &str| {
        Config::parse("lb.toml", &GOOD.replace("mtu = 1500", keys))
            .unwrap()
            .node
            .compute_only
    };
    assert!(config("compute_only = true") && !config("compute_only = false") && !config(""));
}

fn vip(name: &str, address: &str, port: u16) -> String {
    format!(
        "[[vip]]\nname = {name:?}\naddress = {address:?}\nport = {port}\nprotocol = \"tcp\"\npool = \"web\"\n"
    )
}

#[test]
fn vips_may_be_prefixes_that_hold_one_another() {
    let text = [
        GOOD,
        &vip("net", "10.200.0.0/16", 80),
        &vip("any", "10.200.0.0/16", 0),
        &vip("part", "10.200.1.0/24", 80),
        &vip("v6", "2001:db8::/64", 80),
        &vip("one", "10.200.1.9/32", 80),
    ]
    .concat();
    let config = Config::parse("lb.toml", &text).unwrap();
    let shown: Vec<String> = (config.vips.iter())
        .map(|vip| vip.address.to_string())
        .collect();
    assert_eq!(
        shown[1..],
        [
            "10.200.0.0/16",
            "10.200.0.0/16",
            "10.200.1.0/24",
            "2001:db8::/64",
            "10.200.1.9"
        ]
    );
    let again = format!("{text}{}", vip("again", "10.200.1.0/24", 80));
    let problems = Config::parse("lb.toml", &again).unwrap_err();
    let told = &problems.shown[0].problem;
    assert!(
        told.message.contains("\"part\" and \"again\""),
        "{problems}"
    );
    // in layer 2 the station decides where packets go
    let l2 = text.replace(
        "address = \"10.0.0.1\"",
        "address = \"10.200.0.7\"\nencap = \"l2\"\nmac = \"02:00:00:00:00:05\"",
    );
    Config::parse("lb.toml", &l2).unwrap();
}

#[test]
fn the_card_holds_sixty_four_prefixes() {
    let vips = |count: u8| {
        let vips = (0..count).map(|i| vip(&format!("p{i}"), &format!("10.{}.0.0/16", 100 + i), 0));
        Config::parse("lb.toml", &(GOOD.to_owned() + &vips.collect::<String>()))
    };
    vips(64).unwrap();
    let problems = vips(65).unwrap_err();
    assert_eq!(problems.shown[0].problem.key, "vip.address");
    assert!(problems.to_string().contains("10.164.0.0/16"), "{problems}");
}

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

#[test]
fn the_card_answers_as_often_as_it_is_told() {
    let parse = |node: &str, vip: &str| {
        let text = GOOD
            .replace("mtu = 1500", node)
            .replace("on_miss = \"punt\"", vip);
        Config::parse("lb.toml", &text)
    };
    let usual = parse("", "").unwrap();
    assert_eq!(usual.node.icmp_limit, crate::card::IcmpLimit::USUAL);
    assert!(usual.vips.iter().all(|vip| !vip.rules.echo));
    let limit = parse(
        "icmp_limit = { too_big = { rate = 3, burst = 0 }, echo = { rate = 65535, burst = 7 } }",
        "echo = true",
    )
    .unwrap();
    assert!(limit.vips.iter().any(|vip| vip.rules.echo));
    let told = limit.node.icmp_limit;
    assert_eq!(
        (told.too_big.to_string(), told.echo.rate, told.echo.burst),
        ("none".to_owned(), 65_535, 7)
    );
    // a VIP that cannot answer
    let none = "icmp_limit = { echo = { rate = 0, burst = 0 } }";
    assert!(parse(none, "echo = false").is_ok());
    let problems = parse(none, "echo = true").unwrap_err().to_string();
    assert!(
        problems.contains("vip.echo") && problems.contains("allows no echo reply"),
        "{problems}"
    );
}

#[test]
fn more_addresses_than_the_card_has_keys_for_do_not_answer() {
    let text = |addresses: u8, prefixes: u8, echo: &str| {
        let mut text = GOOD[..GOOD.find("[[vip]]").unwrap()].to_owned();
        for i in 0..addresses {
            text += &vip(&format!("a{i}"), &format!("10.200.7.{}", i + 1), 80);
            text += &format!("echo = {echo}\n");
        }
        for i in 0..prefixes {
            text += &vip(&format!("p{i}"), &format!("10.{}.0.0/16", 100 + i), 80);
            text += &format!("echo = {echo}\n");
        }
        Config::parse("lb.toml", &text)
    };
    for (addresses, prefixes) in [(128, 32), (129, 0), (0, 33)] {
        assert!(text(addresses, prefixes, "false").is_ok());
        let fits = text(addresses, prefixes, "true");
        if (addresses, prefixes) == (128, 32) {
            fits.unwrap();
            continue;
        }
        let problems = fits.unwrap_err().to_string();
        assert!(
            problems.contains("vip.echo") && problems.contains("let fewer of them answer"),
            "{problems}"
        );
    }
}

#[test]
fn a_vip_may_route_by_connection_ids() {
    let text = |node: &str, backend: &str, vip: &str| {
        GOOD.replace("mtu = 1500", node)
            .replace("weight = 1", &format!("weight = 1\n{backend}"))
            .replace("protocol = \"tcp\"", "protocol = \"udp\"")
            .replace("on_miss = \"punt\"", vip)
    };
    let config = |node: &str, backend: &str, vip: &str| {
        Config::parse("lb.toml", &text(node, backend, vip)).unwrap()
    };
    let katran = config("", "server_id = 4294967295", "quic = \"katran\"");
    assert_eq!(katran.vips[0].rules.quic, Some(QuicScheme::Katran));
    assert_eq!(katran.pools[0].backends[0].server_id, Some(u32::MAX));
    let lb = config(
        "quic_lb = [2, 0, 8]",
        "server_id = 65536",
        "quic = \"quic-lb\"",
    );
    assert_eq!(lb.vips[0].rules.quic, Some(QuicScheme::QuicLb));
    assert_eq!(lb.node.quic_lb, [2, 0, 8]);
    let second = "server_id = 5\n[[pool.backend]]\naddress = \"10.0.0.2\"\nserver_id = 5";
    for (node, backend, vip, key) in [
        ("", "", "quic = \"quic\"", "vip.quic"),
        ("", "", "quic = \"quic-lb\"", "node.quic_lb"),
        ("quic_lb = [0, 0]", "", "quic = \"quic-lb\"", "node.quic_lb"),
        ("quic_lb = [9]", "", "", "node.quic_lb"),
        ("quic_lb = [1, 1, 1, 1, 1, 1, 1, 1]", "", "", "node.quic_lb"),
        ("", "server_id = 0", "", "pool.backend.server_id"),
        ("", "server_id = 4294967296", "", "pool.backend.server_id"),
        ("", second, "", "pool.backend.server_id"),
        (
            "quic_lb = [2, 1]",
            "server_id = 65536",
            "quic = \"quic-lb\"",
            "pool.backend.server_id",
        ),
    ] {
        let problems = Config::parse("lb.toml", &text(node, backend, vip)).unwrap_err();
        let keys: Vec<&str> = (problems.shown.iter())
            .map(|shown| shown.problem.key.as_str())
            .collect();
        assert_eq!(keys, [key], "{node} {backend} {vip}");
    }
    let over_tcp = GOOD.replace("on_miss = \"punt\"", "quic = \"katran\"");
    let problems = Config::parse("lb.toml", &over_tcp).unwrap_err();
    assert_eq!(problems.shown[0].problem.key, "vip.quic");
}
