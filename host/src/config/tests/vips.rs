//! What VIPs do with their packets, their prefixes, what the card answers and whom it knows by connection ids.

use super::*;

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
