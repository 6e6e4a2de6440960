//! The order of steps: for chosen changes by hand, and for random ones by what would become of the card's rings.

use proptest::prelude::*;

use super::super::state::Pool;
use super::*;
use crate::config::Config;

fn config(backends: &[(&str, u32)], vips: &[&str]) -> Config {
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\ntable_size = 1009\n",
    );
    for (address, weight) in backends {
        text += &format!("[[pool.backend]]\naddress = \"{address}\"\nweight = {weight}\n");
    }
    for vip in vips {
        text += &format!(
            "[[vip]]\nname = \"v-{vip}\"\naddress = \"{vip}\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n"
        );
    }
    Config::parse("test", &text).unwrap()
}

#[test]
fn a_blank_card_gets_everything_in_the_order_of_need() {
    let state = State::default()
        .next(&config(
            &[("10.0.0.1", 1), ("10.0.0.2", 0)],
            &["10.200.1.1"],
        ))
        .unwrap();
    use Step::*;
    assert_eq!(
        plan(&State::default(), &state),
        [
            Node,
            NextHop(0),
            Backend(0),
            Backend(1),
            WriteRing(0),
            SwapRing(0),
            AddVip(0),
            Commit
        ]
    );
    assert_eq!(plan(&state, &state), []);
}

#[test]
fn another_encapsulation_is_one_write_of_the_backend() {
    let text = |backend: &str| {
        format!(
            "version = 1\n[card]\ndevice = \"sim\"\n[node]\nsource_v4 = \"10.0.0.9\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n\
             [[pool]]\nname = \"web\"\ntable_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\n{backend}"
        )
    };
    let next = |before: &State, backend: &str| {
        before
            .next(&Config::parse("test", &text(backend)).unwrap())
            .unwrap()
    };
    let l2 = |last: u8| format!("encap = \"l2\"\nmac = \"02:00:00:00:00:{last:02x}\"\n");
    let ipip = next(&State::default(), "");
    let gre = next(&ipip, "encap = \"gre\"\n");
    let keyed = next(&gre, "encap = \"gre\"\ngre_key = 0\n");
    let first = next(&keyed, &l2(5));
    let second = next(&first, &l2(6));
    use Step::*;
    assert_eq!(plan(&ipip, &gre), [Backend(0), Commit]);
    assert_eq!(plan(&gre, &keyed), [Backend(0), Commit]);
    assert_eq!(plan(&keyed, &first), [NextHop(1), Backend(0), Commit]);
    // the old station's index stays its own while packets may be on their way there
    assert_eq!(plan(&first, &second), [NextHop(2), Backend(0), Commit]);
    assert_eq!(plan(&second, &ipip), [Backend(0), Commit]);
    for state in [&gre, &keyed, &first, &second] {
        assert_eq!(state.backends[0].generation, ipip.backends[0].generation);
    }
}

#[test]
fn other_tags_are_a_write_of_every_next_hop() {
    let next = |before: &State, vlan: &str| {
        let text = format!(
            "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n{vlan}\n[[pool]]\nname = \"web\"\n\
             table_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\nencap = \"l2\"\nmac = \"02:00:00:00:00:05\"\n"
        );
        before.next(&Config::parse("test", &text).unwrap()).unwrap()
    };
    let kept = next(&State::default(), "");
    let set = next(&kept, "vlan = 42");
    let removed = next(&set, "vlan = \"remove\"");
    use Step::*;
    for (before, after) in [(&kept, &set), (&set, &removed), (&removed, &kept)] {
        assert_eq!(plan(before, after), [Node, NextHop(0), NextHop(1), Commit]);
    }
}

#[test]
fn other_rules_of_a_vip_are_one_write_of_it() {
    let next = |before: &State, node: &str, rules: &str| {
        let text = format!(
            "version = 1\n[card]\ndevice = \"sim\"\n[node]\n{node}\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\n\
             table_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\n[[vip]]\nname = \"v\"\naddress = \"10.200.0.0/16\"\nport = 80\n\
             protocol = \"tcp\"\npool = \"web\"\n{rules}\n"
        );
        before.next(&Config::parse("test", &text).unwrap()).unwrap()
    };
    let usual = next(&State::default(), "", "");
    assert!(!usual.to_json().contains("rules") && !usual.to_json().contains("compute_only"));
    use Step::*;
    for rules in [
        "hash = [\"no-source-port\"]",
        "on_miss = \"stateless\"",
        "meter = { rate = 1, burst = 1 }",
        "quota = 1",
    ] {
        let other = next(&usual, "", rules);
        assert_eq!(plan(&usual, &other), [ChangeVip(0), Commit], "{rules}");
        assert_eq!(plan(&other, &usual), [ChangeVip(0), Commit], "{rules}");
        assert_eq!(State::from_json(&other.to_json()).unwrap(), other);
    }
    let computed = next(&usual, "compute_only = true", "");
    assert_eq!(plan(&usual, &computed), [Node, Commit]);
    assert_eq!(plan(&computed, &usual), [Node, Commit]);
}

/// One key for all VIPs of an address, written behind the entries, of which it names the lowest that answers.
#[test]
fn echo_requests_count_for_the_first_vip_of_the_address_that_answers() {
    let next = |before: &State, vips: &[(&str, u16, bool)]| {
        let mut text = String::from(
            "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\n\
             table_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\n",
        );
        for (address, port, echo) in vips {
            let name = format!("v-{address}-{port}").replace([':', '/'], "-");
            text += &format!(
                "[[vip]]\nname = \"{name}\"\naddress = \"{address}\"\nport = {port}\nprotocol = \"tcp\"\npool = \"web\"\necho = {echo}\n"
            );
        }
        before.next(&Config::parse("test", &text).unwrap()).unwrap()
    };
    let (one, six) = ("10.200.1.1", "2001:db8::/64");
    let at = |text: &str| text.parse::<VipAddress>().unwrap();
    use Step::*;
    let silent = next(&State::default(), &[(one, 80, false), (one, 443, false)]);
    let both = next(
        &silent,
        &[(one, 80, true), (one, 443, true), (six, 0, true)],
    );
    assert_eq!(
        plan(&silent, &both),
        [
            ChangeVip(0),
            ChangeVip(1),
            AddVip(2),
            SetEcho(at(one)),
            SetEcho(at(six)),
            Commit
        ]
    );
    let second = next(&both, &[(one, 443, true), (six, 0, true)]);
    assert_eq!(
        plan(&both, &second),
        [RemoveVip(0), SetEcho(at(one)), Commit]
    );
    let still = next(&both, &[(one, 80, true), (one, 443, false), (six, 0, true)]);
    assert_eq!(plan(&both, &still), [ChangeVip(1), Commit]);
    assert_eq!(
        plan(&both, &silent),
        [
            ClearEcho(at(one)),
            ClearEcho(at(six)),
            RemoveVip(2),
            ChangeVip(0),
            ChangeVip(1),
            Commit
        ]
    );
    assert_eq!(State::from_json(&both.to_json()).unwrap(), both);
}

#[test]
fn a_backend_that_goes_is_told_after_the_swap() {
    let first = State::default()
        .next(&config(
            &[("10.0.0.1", 1), ("10.0.0.2", 1)],
            &["10.200.1.1"],
        ))
        .unwrap();
    let second = first
        .next(&config(
            &[("10.0.0.2", 1), ("10.0.0.3", 1)],
            &["10.200.1.2"],
        ))
        .unwrap();
    use Step::*;
    assert_eq!(
        plan(&first, &second),
        [
            Backend(2),
            WriteRing(0),
            SwapRing(0),
            RemoveVip(0),
            AddVip(1),
            Backend(0),
            Commit
        ]
    );
    let third = second.without_drained(|_| false);
    assert_eq!(plan(&second, &third), [ClearBackend(0), Commit]);
}

/// The parts of a card that a plan's order is about.
#[derive(Clone, Default)]
struct Rings {
    /// Which ring lies in a beat: a pool of some state.
    beats: HashMap<u32, Pool>,
    /// Where packets look: the live ring of each pool.
    live: HashMap<u8, Pool>,
}

impl Rings {
    /// Does a step as the card would; `half` of a ring's beats are written when it is cut short.
    fn step(&mut self, step: Step, next: &State, half: bool) {
        match step {
            Step::WriteRing(id) => {
                let pool = next.pool(id).unwrap();
                let beats = beats(pool);
                let written = if half { beats.len() / 2 } else { beats.len() };
                for beat in beats.take(written) {
                    self.beats.insert(beat, pool.clone());
                }
            }
            Step::SwapRing(id) => {
                self.live.insert(id, next.pool(id).unwrap().clone());
            }
            Step::ClearPool(id) => {
                self.live.remove(&id);
            }
            _ => {}
        }
    }

    /// Every live pool's ring lies whole where the pool says.
    fn check(&self) -> Result<(), TestCaseError> {
        for pool in self.live.values() {
            for beat in beats(pool) {
                let there = self.beats.get(&beat);
                let own = there.is_some_and(|ring| ring.name == pool.name && ring.same_ring(pool));
                prop_assert!(own, "beat {beat} of {} holds {there:?}", pool.name);
            }
        }
        Ok(())
    }
}

fn beats(pool: &Pool) -> std::ops::Range<u32> {
    let slots = if pool.members.is_empty() {
        0
    } else {
        pool.size
    };
    pool.base / 32..(pool.base + slots).div_ceil(32)
}

/// Pools of a configuration: for each name a size and a weight, or nothing.
type Pools = Vec<Option<(u32, u32)>>;

fn pools() -> impl Strategy<Value = Pools> {
    let size = prop_oneof![Just(251u32), Just(509), Just(1009)];
    let pool = prop_oneof![1 => Just(None), 3 => (size, 0u32..3).prop_map(Some)];
    proptest::collection::vec(pool, 5)
}

fn config_of(pools: &Pools) -> Config {
    let mut text = String::from(
        "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n",
    );
    for (i, pool) in pools.iter().enumerate() {
        let Some((size, weight)) = pool else {
            continue;
        };
        text += &format!("[[pool]]\nname = \"p{i}\"\ntable_size = {size}\n");
        for (backend, weight) in [(1, *weight), (2, weight.saturating_sub(1))] {
            text +=
                &format!("[[pool.backend]]\naddress = \"10.{i}.0.{backend}\"\nweight = {weight}\n");
        }
        text += &format!(
            "[[vip]]\nname = \"v{i}\"\naddress = \"10.200.1.{i}\"\nport = 80\nprotocol = \"tcp\"\npool = \"p{i}\"\n"
        );
    }
    Config::parse("test", &text).unwrap()
}

proptest! {
    /// No ring is written where a live one lies, also when the plan is cut short anywhere, and carried out again from its beginning.
    #[test]
    fn a_region_is_used_again_only_when_its_ring_is_not_live_any_more(
        changes in proptest::collection::vec((pools(), any::<prop::sample::Index>(), any::<bool>()), 1..12),
    ) {
        let (mut card, mut state) = (Rings::default(), State::default());
        for (pools, cut, half) in changes {
            let next = state.next(&config_of(&pools)).unwrap();
            let steps = plan(&state, &next);
            let cut = cut.index(steps.len() + 1);
            let attempts = [steps.get(..cut).unwrap_or_default(), steps.get(cut..=cut).unwrap_or_default()];
            for (steps, half) in attempts.into_iter().zip([false, half]) {
                for step in steps {
                    // a step that is cut short has not done what it is named for, but may have written half a ring
                    if !half || matches!(step, Step::WriteRing(_)) {
                        card.step(*step, &next, half);
                    }
                    card.check()?;
                }
            }
            for step in steps {
                card.step(step, &next, false);
                card.check()?;
            }
            state = next.without_drained(|_| false);
        }
    }
}

#[test]
fn server_ids_are_there_before_a_vip_asks_for_them_and_go_when_none_does() {
    let next = |before: &State, node: &str, ids: [&str; 2], vip: &str| {
        let [first, second] = ids;
        let text = format!(
            "version = 1\n[card]\ndevice = \"sim\"\n[node]\n{node}\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\n\
             table_size = 1009\n[[pool.backend]]\naddress = \"10.0.0.1\"\n{first}\n[[pool.backend]]\naddress = \"10.0.0.2\"\n{second}\n\
             [[vip]]\nname = \"v\"\naddress = \"10.200.0.1\"\nport = 443\nprotocol = \"udp\"\npool = \"web\"\n{vip}\n"
        );
        before.next(&Config::parse("test", &text).unwrap()).unwrap()
    };
    let of = |state: &State| -> Vec<(u64, u8, bool, u16)> {
        let ids = entries::quic_ids(state);
        assert!(ids.iter().all(|id| id.valid && id.pool == 0));
        let told = |id: &QuicId| (id.id, id.rotation, id.lb, id.backend);
        ids.iter().map(told).collect()
    };
    let ids = ["server_id = 7", "server_id = 300"];
    let usual = next(&State::default(), "", ids, "");
    assert!(of(&usual).is_empty() && !usual.to_json().contains("quic"));
    use Step::*;
    let katran = next(&usual, "", ids, "quic = \"katran\"");
    assert_eq!(of(&katran), [(7, 0, false, 0), (300, 0, false, 1)]);
    assert_eq!(
        plan(&usual, &katran),
        [WriteServerIds, ChangeVip(0), Commit]
    );
    assert_eq!(
        plan(&katran, &usual),
        [ChangeVip(0), ClearServerIds, Commit]
    );
    // an id takes part in each rotation that it fits into
    let lb = next(&katran, "quic_lb = [1, 0, 2]", ids, "quic = \"quic-lb\"");
    assert_eq!(
        of(&lb),
        [(7, 0, true, 0), (7, 2, true, 0), (300, 2, true, 1)]
    );
    assert_eq!(
        plan(&katran, &lb),
        [Node, WriteServerIds, ChangeVip(0), ClearServerIds, Commit]
    );
    assert_eq!(State::from_json(&lb.to_json()).unwrap(), lb);
    // another id of a backend, and one that changes hands
    let swapped = next(
        &katran,
        "",
        ["server_id = 300", "server_id = 8"],
        "quic = \"katran\"",
    );
    assert_eq!(of(&swapped), [(8, 0, false, 1), (300, 0, false, 0)]);
    assert_eq!(
        plan(&katran, &swapped),
        [
            Backend(0),
            Backend(1),
            WriteServerIds,
            ClearServerIds,
            Commit
        ]
    );
}
