//! What follows from a state and a configuration: who keeps an index, what is new, what stays until nobody needs it.

use super::*;
use crate::control::plan::{Step, plan};

fn config(pools: &[(&str, &[(&str, u32)])]) -> Config {
    use std::fmt::Write as _;
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n",
    );
    for (i, (name, backends)) in pools.iter().enumerate() {
        writeln!(text, "[[pool]]\nname = \"{name}\"\ntable_size = 1009").unwrap();
        for (address, weight) in *backends {
            writeln!(
                text,
                "[[pool.backend]]\naddress = \"{address}\"\nweight = {weight}"
            )
            .unwrap();
        }
        writeln!(text, "[[vip]]\nname = \"v-{name}\"\naddress = \"10.200.1.{}\"\nport = 80\nprotocol = \"tcp\"\npool = \"{name}\"", i + 1).unwrap();
    }
    Config::parse("test", &text).unwrap()
}

fn lives(state: &State) -> Vec<(u16, u8, Life)> {
    state
        .backends
        .iter()
        .map(|b| (b.id, b.generation, b.life))
        .collect()
}

#[test]
fn what_stays_keeps_its_index_and_what_leaves_keeps_it_until_drained() {
    let first = State::default()
        .next(&config(&[(
            "web",
            &[("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 0)],
        )]))
        .unwrap();
    assert_eq!(
        lives(&first),
        [(0, 1, Life::Up), (1, 1, Life::Up), (2, 1, Life::Resting)]
    );
    let second = first
        .next(&config(&[("web", &[("10.0.0.4", 1), ("10.0.0.2", 1)])]))
        .unwrap();
    assert_eq!(
        lives(&second),
        [
            (0, 1, Life::Leaving),
            (1, 1, Life::Up),
            (2, 1, Life::Leaving),
            (3, 1, Life::Up)
        ]
    );
    // index 0 is free once nobody names it, and its next holder has another generation
    let third = second.without_drained(|id| id == 2);
    assert_eq!(
        lives(&third),
        [(1, 1, Life::Up), (2, 1, Life::Leaving), (3, 1, Life::Up)]
    );
    let fourth = third
        .next(&config(&[(
            "web",
            &[("10.0.0.4", 1), ("10.0.0.2", 1), ("10.0.0.1", 1)],
        )]))
        .unwrap();
    assert_eq!(
        lives(&fourth),
        [
            (0, 2, Life::Up),
            (1, 1, Life::Up),
            (2, 1, Life::Leaving),
            (3, 1, Life::Up)
        ]
    );
}

#[test]
fn a_leaving_backend_that_comes_back_is_the_same() {
    let both = config(&[("web", &[("10.0.0.1", 1), ("10.0.0.2", 1)])]);
    let first = State::default().next(&both).unwrap();
    let second = first.next(&config(&[("web", &[("10.0.0.2", 1)])])).unwrap();
    let third = second.next(&both).unwrap();
    assert_eq!(third.backends, first.backends);
}

#[test]
fn a_changed_ring_is_written_beside_the_old_one() {
    let first = State::default()
        .next(&config(&[
            ("a", &[("10.0.0.1", 1)]),
            ("b", &[("10.0.0.1", 1)]),
        ]))
        .unwrap();
    assert_eq!((first.pools[0].base, first.pools[1].base), (0, 1024));
    let second = first
        .next(&config(&[
            ("a", &[("10.0.0.1", 2)]),
            ("b", &[("10.0.0.1", 1)]),
        ]))
        .unwrap();
    assert_eq!((second.pools[0].base, second.pools[1].base), (2048, 1024));
    let third = second
        .next(&config(&[
            ("a", &[("10.0.0.1", 1)]),
            ("b", &[("10.0.0.1", 3)]),
        ]))
        .unwrap();
    assert_eq!((third.pools[0].base, third.pools[1].base), (0, 2048)); // a's old region serves b
}

#[test]
fn the_order_in_the_file_changes_neither_ring_nor_state_of_a_card_that_runs() {
    let first = State::default()
        .next(&config(&[("web", &[("10.0.0.1", 1), ("10.0.0.2", 3)])]))
        .unwrap();
    let turned = first
        .next(&config(&[("web", &[("10.0.0.2", 3), ("10.0.0.1", 1)])]))
        .unwrap();
    assert_eq!(turned, first);
    assert_eq!(turned.digest(), first.digest());
}

fn with_backends(backends: &str) -> Config {
    let text = format!(
        "version = 1\n[card]\ndevice = \"sim\"\n[node]\nsource_v4 = \"10.0.0.9\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n\
         [[pool]]\nname = \"web\"\ntable_size = 1009\n{backends}"
    );
    Config::parse("test", &text).unwrap()
}

fn station(host: u8, mac: u8) -> String {
    format!(
        "[[pool.backend]]\naddress = \"10.0.0.{host}\"\nencap = \"l2\"\nmac = \"02:00:00:00:00:{mac:02x}\"\n"
    )
}

#[test]
fn stations_share_a_next_hop_and_keep_it_until_nobody_is_sent_there() {
    let hops = |state: &State| -> Vec<u8> {
        (state.backends.iter())
            .map(|backend| state.next_hops_of(backend).first)
            .collect()
    };
    let ipip = "[[pool.backend]]\naddress = \"10.0.0.4\"\n";
    let first = State::default()
        .next(&with_backends(
            &(station(1, 5) + &station(2, 6) + &station(3, 5) + ipip),
        ))
        .unwrap();
    assert_eq!(hops(&first), [1, 2, 1, 0]);
    let second = first
        .next(&with_backends(&(station(2, 6) + &station(5, 7) + ipip)))
        .unwrap();
    // 10.0.0.1 and 10.0.0.3 leave, and are still sent to
    assert_eq!(hops(&second), [1, 2, 1, 0, 3]);
    let third = second.without_drained(|_| false);
    assert_eq!(hops(&third), [2, 0, 3]);
    let fourth = third.next(&with_backends(&station(6, 8))).unwrap();
    assert_eq!(fourth.next_hops_of(&fourth.backends[0]).first, 1);
    assert_eq!(State::from_json(&fourth.to_json()), Ok(fourth));
}

#[test]
fn a_router_keeps_its_place_and_its_backends() {
    let config = |routers: &[u8], backends: &str| {
        let hops: String = (routers.iter())
            .map(|i| {
                format!("[[node.next_hop]]\nname = \"r{i}\"\nmac = \"02:00:00:00:00:{i:02x}\"\n")
            })
            .collect();
        let text = format!(
            "version = 1\n[card]\ndevice = \"sim\"\n{hops}[[pool]]\nname = \"p\"\n{backends}"
        );
        Config::parse("test", &text).unwrap()
    };
    let backend =
        |host: u8, way: &str| format!("[[pool.backend]]\naddress = \"10.0.0.{host}\"\n{way}\n");
    let (all, fixed) = (backend(1, ""), backend(2, "next_hop = \"r2\""));
    let both = format!("{all}{fixed}");
    // where each router lies, and what leads to the backends
    let seen = |state: &State| {
        let routers: Vec<(usize, u8)> = (usize::from(state.next_hops_at)..)
            .zip(&state.node.next_hops)
            .map(|(id, hop)| (id, hop.0.0[5]))
            .collect();
        let ways: Vec<(u8, u8)> = (state.backends.iter())
            .map(|backend| state.next_hops_of(backend))
            .map(|hops| (hops.first, hops.more))
            .collect();
        (routers, ways)
    };
    let first = State::default().next(&config(&[1, 2, 3], &both)).unwrap();
    assert_eq!(
        seen(&first),
        (vec![(0, 1), (1, 2), (2, 3)], vec![(0, 2), (1, 0)])
    );
    // another order changes nothing, a new router takes a gap, and the last one fills what else is left
    let turned = first.next(&config(&[3, 2, 1], &both)).unwrap();
    assert_eq!(seen(&turned), seen(&first));
    let other = first.next(&config(&[4, 2, 3], &both)).unwrap();
    assert_eq!(
        seen(&other),
        (vec![(0, 4), (1, 2), (2, 3)], vec![(0, 2), (1, 0)])
    );
    let fewer = first.next(&config(&[3, 2], &both)).unwrap();
    assert_eq!(seen(&fewer), (vec![(0, 3), (1, 2)], vec![(0, 1), (1, 0)]));
    // a backend that leaves keeps its router
    let leaving = first.next(&config(&[2], &all)).unwrap();
    assert_eq!(seen(&leaving), (vec![(0, 2)], vec![(0, 0), (0, 0)]));
    // a station lies behind them: more routers find a run of their own, apart from the old one
    let l2 = format!("{both}{}", station(5, 9));
    let beside = first.next(&config(&[1, 2, 3], &l2)).unwrap();
    assert_eq!(seen(&beside).1, [(0, 2), (1, 0), (3, 0)]);
    let moved = beside.next(&config(&[1, 2, 3, 4], &l2)).unwrap();
    let places = (4..).zip([1, 2, 3, 4]).collect();
    assert_eq!(seen(&moved), (places, vec![(4, 3), (5, 0), (3, 0)]));
    let steps = plan(&beside, &moved);
    let hops = (4..8).map(Step::NextHop);
    let backends = (0..2).map(Step::Backend);
    let wanted: Vec<Step> = [Step::Node]
        .into_iter()
        .chain(hops)
        .chain(backends)
        .chain([Step::Commit])
        .collect();
    assert_eq!(steps, wanted);
    // there are 16 places
    let many: Vec<u8> = (1..=13).collect();
    assert!(matches!(
        moved.next(&config(&many, &l2)),
        Err(StateError::Exhausted(_))
    ));
    assert_eq!(State::from_json(&moved.to_json()), Ok(moved));
}

#[test]
fn what_an_old_way_needs_stays_until_nobody_is_sent_by_it() {
    let gre = with_backends("[[pool.backend]]\naddress = \"10.0.0.1\"\nencap = \"gre\"\n");
    let source = Ipv4Addr::new(10, 0, 0, 9);
    // the backend leaves, and a backend gets another way
    for last in [2, 1] {
        let mut without =
            with_backends(&format!("[[pool.backend]]\naddress = \"10.0.0.{last}\"\n"));
        without.node.source_v4 = None;
        let second = State::default().next(&gre).unwrap().next(&without).unwrap();
        assert_eq!(second.node.source_v4, source);
        let third = second.without_drained(|_| false).next(&without).unwrap();
        assert_eq!(third.node.source_v4, Ipv4Addr::UNSPECIFIED);
    }
    // everything leaves
    let nothing = Config::parse("test", "version = 1\n[card]\ndevice = \"sim\"\n").unwrap();
    let second = State::default().next(&gre).unwrap().next(&nothing).unwrap();
    assert_eq!(second.node.source_v4, source);
    let hop = Hop(Mac([2, 0, 0, 0, 0, 9]), Vlan::Keep);
    assert_eq!(second.node.next_hops, [hop]);
    let third = second.without_drained(|_| false).next(&nothing).unwrap();
    assert_eq!(third.node.next_hops, []);
}

#[test]
fn gues_port_is_stored_when_it_is_not_the_usual_one() {
    let mut config = with_backends("[[pool.backend]]\naddress = \"10.0.0.1\"\nencap = \"gue\"\n");
    let usual = State::default().next(&config).unwrap();
    assert!(!usual.to_json().contains("gue_port"));
    assert_eq!(State::from_json(&usual.to_json()), Ok(usual));
    config.node.gue_port = 9886;
    let other = State::default().next(&config).unwrap();
    assert_eq!(other.node.gue_port, 9886);
    assert_eq!(State::from_json(&other.to_json()), Ok(other));
}

#[test]
fn a_state_of_ipip_alone_is_stored_as_ever() {
    let state = State::default()
        .next(&config(&[("web", &[("10.0.0.1", 1)])]))
        .unwrap();
    let text = state.to_json();
    assert!(
        !text.contains("encap") && !text.contains("stations"),
        "{text}"
    );
}

#[test]
fn a_state_survives_its_stored_form() {
    let state = State::default()
        .next(&config(&[("web", &[("10.0.0.1", 1), ("fc00::2", 3)])]))
        .unwrap();
    assert_eq!(State::from_json(&state.to_json()), Ok(state));
    assert!(State::from_json("{}").is_err());
}

#[test]
fn a_pool_of_resting_backends_has_no_ring() {
    let state = State::default()
        .next(&config(&[("web", &[("10.0.0.1", 0)])]))
        .unwrap();
    assert!(state.pools[0].ring().is_empty());
}
