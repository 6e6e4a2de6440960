//! Ways to backends: encapsulation, tags, next hops.

use super::*;
use crate::card::Vlan;

#[test]
fn tags_are_kept_removed_or_set() {
    let mac = "mac = \"00:00:de:ad:be:af\"";
    let vlan = |keys: &str| {
        let text = GOOD.replace(mac, &format!("{mac}\n{keys}"));
        Config::parse("lb.toml", &text).unwrap().node.next_hops[0].vlan
    };
    assert_eq!(vlan(""), Vlan::Keep);
    assert_eq!(vlan("vlan = \"keep\""), Vlan::Keep);
    assert_eq!(vlan("vlan = \"remove\""), Vlan::Remove);
    assert_eq!(vlan("vlan = 42"), Vlan::Set(42));
    assert_eq!(vlan("vlan = 42\nvlan_priority = 7"), Vlan::Set(0xe02a));
    assert_eq!(Vlan::Set(0xe02a).to_string(), "VLAN 42 priority 7");
}

#[test]
fn a_backend_is_reached_by_all_next_hops_or_by_one() {
    let first = "[[node.next_hop]]\nmac = \"00:00:de:ad:be:af\"\n";
    let two =
        format!("{first}[[node.next_hop]]\nname = \"b\"\nmac = \"02:00:00:00:00:0b\"\nvlan = 7\n");
    let more = "[[pool.backend]]\naddress = \"10.0.0.8\"\nnext_hop = \"b\"\n";
    let text = GOOD.replace(first, &two);
    let backend = "[[pool.backend]]\naddress = \"10.0.0.1\"";
    let hops = |text: &str| -> Vec<Option<usize>> {
        let config = Config::parse("lb.toml", text).unwrap();
        let named = config.node.next_hops.iter().map(|hop| hop.name.as_deref());
        assert_eq!(named.collect::<Vec<_>>(), [None, Some("b")]);
        (config.pools[0].backends.iter())
            .map(|backend| backend.next_hop)
            .collect()
    };
    assert_eq!(hops(&text), [None]);
    let own = text.replace(backend, &format!("{more}{backend}"));
    assert_eq!(hops(&own), [Some(1), None]);
    let pools = text.replace("[[pool]]\n", "[[pool]]\nnext_hop = \"b\"\n");
    assert_eq!(hops(&pools), [Some(1)]);

    let key = |text: &str| {
        let problems = Config::parse("lb.toml", text).unwrap_err();
        problems.shown[0].problem.key.clone()
    };
    assert_eq!(
        key(&own.replace("name = \"b\"", "name = \"c\"")),
        "pool.backend.next_hop"
    );
    let l2 = more.replace(
        "next_hop",
        "encap = \"l2\"\nmac = \"02:00:00:00:00:05\"\nnext_hop",
    );
    assert_eq!(
        key(&text.replace(backend, &format!("{l2}{backend}"))),
        "pool.backend.next_hop"
    );
    assert_eq!(
        key(&GOOD.replace(first, &first.repeat(2))),
        "node.next_hop.mac"
    );
    let named = first.replace("mac", "name = \"b\"\nmac");
    assert_eq!(key(&text.replace(first, &named)), "node.next_hop.name");
    let many: String = (0..17)
        .map(|i| format!("[[node.next_hop]]\nmac = \"02:00:00:00:01:{i:02x}\"\n"))
        .collect();
    assert_eq!(key(&GOOD.replace(first, &many)), "node.next_hop");
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
fn an_ipv6_vip_needs_room_for_ipv6_behind_the_encapsulation() {
    let config = |node: &str, pool: &str, backend: &str| {
        let text = format!(
            "version = 1\n[card]\ndevice = \"sim\"\n[node]\nsource_v6 = \"fc00::1\"\n{node}\n\
             [[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\n{pool}\n\
             [[pool.backend]]\n{backend}\n\
             [[vip]]\nname = \"v6\"\naddress = \"2001:db8::1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n"
        );
        Config::parse("lb.toml", &text)
    };
    let v4 = "address = \"10.0.0.1\"";
    let v6 = "address = \"fc00::7\"";
    for (of_pool, backend, least) in [
        ("", v4, 1300),
        ("", v6, 1320),
        ("encap = \"gre\"", v6, 1324),
        ("encap = \"gre\"\ngre_key = 1", v6, 1328),
        ("encap = \"gue\"", v6, 1328),
        (
            "encap = \"l2\"",
            "address = \"fc00::7\"\nmac = \"02:00:00:00:00:05\"",
            1280,
        ),
    ] {
        let mtu = |mtu: u32| format!("mtu = {mtu}");
        assert!(config(&mtu(least), of_pool, backend).is_ok(), "{of_pool}");
        let short = config(&mtu(least - 1), of_pool, backend).unwrap_err();
        assert_eq!(short.shown[0].problem.key, "node.mtu", "{of_pool}");
        // the pool's own goes before the node's
        let own = |mtu: u32| format!("{of_pool}\nmtu = {mtu}");
        let wide = config(&mtu(1000), &own(least), backend).unwrap();
        assert_eq!(wide.pools[0].mtu, Some(least as u16));
        let short = config(&mtu(1500), &own(least - 1), backend).unwrap_err();
        assert_eq!(short.shown[0].problem.key, "pool.mtu", "{of_pool}");
    }
}
