//! Sections 3 to 5 of `CARD.md` on small tables: rows of the decision, and outer headers as etherparse reads them.

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use guideway_hdl::tables::{
    BackendEntry, BackendState, Encap, FlowRecord, MissPolicy, SLOT_EMPTY, Table, VipEntry,
    VipMatch,
};
use guideway_hdl::verdict::{Disposition, EgressClass};

use crate::harness::frame::PacketSpec;
use crate::reference::{Config, Decision, Source, Tables, decide};

use super::{MAC, config, empty_ring, install, set, tables};

const WIRE: Source = Source::Wire { error: false };

fn spec() -> PacketSpec {
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 9]),
        source: [192, 168, 1, 1].into(),
        destination: [10, 200, 1, 1].into(),
        protocol: 6,
        ports: (31337, 80),
        flags: 0x10,
        traffic_class: 0x8c,
        payload: b"katran test pkt".to_vec(),
    }
}

fn spec_v6() -> PacketSpec {
    PacketSpec {
        source: "fc00:2::1".parse().expect("an address"),
        destination: "fc00:1::1".parse().expect("an address"),
        ..spec()
    }
}

fn alive() -> Config {
    Config {
        host_alive: true,
        ..config()
    }
}

fn decided(tables: &Tables, config: &Config, spec: &PacketSpec) -> Decision {
    decide(tables, config, &spec.frame(), WIRE)
}

fn flow() -> FlowRecord {
    FlowRecord {
        destination_port: 80,
        source_port: 31337,
        source: 0xc0a8_0101,
        vip: 1,
        backend: 2,
        generation: 7,
        ..FlowRecord::default()
    }
}

#[test]
fn misses_go_where_the_policy_says() {
    let mut tables = tables();
    let compute_only = Config {
        compute_only: true,
        ..alive()
    };
    let policies = [MissPolicy::Punt, MissPolicy::Learn, MissPolicy::Stateless];
    for policy in policies {
        let entry = VipEntry {
            miss_policy: policy.raw(),
            ..tables.vip(1)
        };
        set(&mut tables, Table::Vip, 1, entry.to_bytes());
        let punts = policy == MissPolicy::Punt;
        for (config, expected, fallback) in [
            (
                alive(),
                if punts {
                    Disposition::HostPunt
                } else {
                    Disposition::ForwardRing
                },
                false,
            ),
            (config(), Disposition::ForwardRing, punts),
            (compute_only, Disposition::ForwardRing, false),
        ] {
            let decision = decided(&tables, &config, &spec());
            assert_eq!(decision.disposition, expected, "{}", policy.name());
            assert_eq!(decision.heartbeat_fallback, fallback, "{}", policy.name());
            assert_eq!(decision.count_vip, Some(1));
            assert_eq!(decision.ip_bytes, 55);
        }
    }
}

#[test]
fn a_live_entry_decides_before_policy_and_ring() {
    let mut tables = tables();
    install(&mut tables, &flow());
    let decision = decided(&tables, &alive(), &spec());
    assert_eq!(decision.disposition, Disposition::ForwardHit);
    assert_eq!(decision.egress_class, EgressClass::Hit);
    assert_eq!(decision.count_backend, Some(2));
    assert!(decision.hit.is_some());
    // another port, another client, another VIP: no hit
    let others = [
        PacketSpec {
            ports: (31338, 80),
            ..spec()
        },
        PacketSpec {
            source: [192, 168, 1, 2].into(),
            ..spec()
        },
        spec_v6(),
    ];
    for other in others {
        let decision = decided(&tables, &alive(), &other);
        assert_eq!(decision.disposition, Disposition::HostPunt);
        assert!(!decision.record.flow_found);
        assert_eq!(decision.record.flow_backend, SLOT_EMPTY);
    }
}

#[test]
fn the_lowest_bank_wins_and_a_vip_beyond_the_table_is_none() {
    let mut tables = tables();
    let key = VipMatch {
        port: 80,
        protocol: 6,
        ipv6: false,
        address: 0x0ac8_0101,
        valid: true,
        vip: 2,
    };
    set(&mut tables, Table::VipMatch, 3 * 128, key.to_bytes());
    assert_eq!(decided(&tables, &config(), &spec()).count_vip, Some(1));
    let beyond = VipMatch { vip: 256, ..key };
    set(&mut tables, Table::VipMatch, 0, beyond.to_bytes());
    assert_eq!(decided(&tables, &config(), &spec()).count_vip, Some(2));
    // any port counts after every exact key
    let any = VipMatch {
        port: 0,
        vip: 1,
        ..key
    };
    set(&mut tables, Table::VipMatch, 0, any.to_bytes());
    assert_eq!(decided(&tables, &config(), &spec()).count_vip, Some(2));
    let other_port = PacketSpec {
        ports: (31337, 81),
        ..spec()
    };
    let decision = decided(&tables, &config(), &other_port);
    assert_eq!(
        (decision.count_vip, decision.record.any_port),
        (Some(1), true)
    );
}

#[test]
fn what_is_for_no_vip() {
    let tables = tables();
    let drop = Config {
        unmatched_drop: true,
        ..config()
    };
    let to = |protocol, ports| PacketSpec {
        destination: [10, 200, 1, 9].into(),
        protocol,
        ports,
        ..spec()
    };
    for (protocol, ports, control) in [
        (6, (179, 5000), true),
        (6, (5000, 179), true),
        (6, (5000, 3784), false),
        (17, (5000, 3784), true),
        (17, (5000, 3785), true),
        (17, (5000, 4784), true),
        (17, (3784, 5000), false),
        (17, (5000, 179), false),
        (6, (5000, 80), false),
    ] {
        let spec = to(protocol, ports);
        let (kept, dropped) = if control {
            (Disposition::HostControl, Disposition::HostControl)
        } else {
            (Disposition::HostUnmatched, Disposition::DropUnmatched)
        };
        assert_eq!(
            decided(&tables, &config(), &spec).disposition,
            kept,
            "{ports:?}"
        );
        assert_eq!(
            decided(&tables, &drop, &spec).disposition,
            dropped,
            "{ports:?}"
        );
    }
}

#[test]
fn the_ring_may_have_nothing_to_offer() {
    let mut tables = tables();
    let backend = tables.backend(1).expect("a backend");
    let down = BackendEntry {
        state: BackendState::Down.raw(),
        ..backend
    };
    set(&mut tables, Table::Backend, 1, down.to_bytes());
    let decision = decided(&tables, &config(), &spec());
    assert_eq!(decision.disposition, Disposition::DropBackendDown);
    assert_eq!(
        (decision.count_vip, decision.count_backend),
        (Some(1), None)
    );
    empty_ring(&mut tables, 1);
    let decision = decided(&tables, &config(), &spec());
    assert_eq!(decision.disposition, Disposition::DropNoBackend);
    set(&mut tables, Table::Pool, 1, [0; 12]);
    let decision = decided(&tables, &alive(), &spec());
    assert_eq!(decision.disposition, Disposition::HostPunt);
    assert_eq!(
        (decision.record.ring_index, decision.record.ring_backend),
        (0, SLOT_EMPTY)
    );
    assert_eq!(
        decided(&tables, &config(), &spec()).disposition,
        Disposition::DropNoBackend
    );
}

#[test]
fn encapsulation_is_checked_before_it_is_done() {
    let mut tables = tables();
    let entry = tables.backend(1).expect("a backend");
    for encap in [0, 5, 6, 7] {
        let unknown = BackendEntry { encap, ..entry };
        set(&mut tables, Table::Backend, 1, unknown.to_bytes());
        let decision = decided(&tables, &config(), &spec());
        assert_eq!(
            decision.disposition,
            Disposition::DropEncapUnsupported,
            "{encap}"
        );
        assert!(decision.heartbeat_fallback);
    }
    set(&mut tables, Table::Backend, 1, entry.to_bytes());
    for (mtu, expected) in [
        (74, Disposition::DropTooBig),
        (75, Disposition::ForwardRing),
    ] {
        let entry = VipEntry {
            mtu,
            ..tables.vip(1)
        };
        set(&mut tables, Table::Vip, 1, entry.to_bytes());
        assert_eq!(decided(&tables, &config(), &spec()).disposition, expected);
    }
}

#[test]
fn assigned_frames_go_where_the_host_says() {
    let mut tables = tables();
    install(&mut tables, &flow());
    let assign = |vip, backend, generation| Source::Assign {
        vip,
        backend,
        generation,
        spread: 0,
    };
    let frame = spec().frame();
    for (source, expected) in [
        (assign(1, 1, 7), Disposition::ForwardInject),
        (assign(2, 1, 7), Disposition::ForwardInject),
        (assign(256, 1, 7), Disposition::DropInjectInvalid),
        (assign(1, 1024, 7), Disposition::DropInjectInvalid),
        (assign(1, 1, 8), Disposition::DropInjectInvalid),
        (assign(1, 3, 0), Disposition::DropInjectInvalid),
    ] {
        let decision = decide(&tables, &alive(), &frame, source);
        assert_eq!(decision.disposition, expected, "{source:?}");
        assert_eq!((decision.count_vip, decision.hit), (None, None));
        let forwards = expected == Disposition::ForwardInject;
        assert_eq!(decision.count_backend, forwards.then_some(1));
    }
}

#[test]
fn outer_headers_are_what_the_table_says() {
    let tables = tables();
    let decision = decided(&tables, &config(), &spec());
    let frame = spec().frame();
    assert_eq!(
        decision.output[..14],
        [0, 0, 0xde, 0xad, 0xbe, 0xaf, 2, 0, 0, 0, 0, 1, 8, 0]
    );
    assert_eq!(decision.output[34..], frame[14..]);
    let outer = Ipv4HeaderSlice::from_slice(&decision.output[14..34]).expect("a header");
    assert_eq!(outer.source(), [172, 16, 1 ^ 0x69, 1 ^ 0x7a]);
    assert_eq!(outer.destination(), [10, 0, 0, 1]);
    assert_eq!(
        (outer.ttl(), outer.protocol().0, outer.identification()),
        (64, 4, 0)
    );
    assert_eq!(outer.total_len(), 75);
    assert_eq!(decision.output[15], 0x8c);
    assert!(!outer.dont_fragment());
    let sum = outer.to_header().calc_header_checksum();
    assert_eq!(outer.header_checksum(), sum);

    let decision = decided(&tables, &config(), &spec_v6());
    let frame = spec_v6().frame();
    assert_eq!(decision.output[6..14], [2, 0, 0, 0, 0, 0xaa, 0x86, 0xdd]);
    assert_eq!(decision.output[54..], frame[14..]);
    let outer = Ipv6HeaderSlice::from_slice(&decision.output[14..54]).expect("a header");
    assert_eq!(outer.traffic_class(), 0x8c);
    assert_eq!(outer.flow_label().value(), 0);
    assert_eq!(
        (
            outer.payload_length(),
            outer.next_header().0,
            outer.hop_limit()
        ),
        (75, 41, 64)
    );
    assert_eq!(outer.source_addr().to_string(), "100::7a69:1");
    assert_eq!(outer.destination_addr().to_string(), "fc00::2");
}

#[test]
fn an_ipv6_packet_in_ipv4_carries_the_clients_last_two_bytes() {
    let mut tables = tables();
    let v4 = tables.backend(1).expect("a backend");
    set(&mut tables, Table::Backend, 2, v4.to_bytes());
    let decision = decided(&tables, &config(), &spec_v6());
    let frame = spec_v6().frame();
    assert_eq!(decision.output[12..14], [8, 0]);
    assert_eq!(decision.output[34..], frame[14..]);
    let outer = Ipv4HeaderSlice::from_slice(&decision.output[14..34]).expect("a header");
    assert_eq!(outer.source(), [172, 16, 0x69, 1 ^ 0x7a]);
    assert_eq!((outer.ttl(), outer.protocol().0), (64, 41));
    assert_eq!(usize::from(outer.total_len()), 20 + frame.len() - 14);
    let sum = outer.to_header().calc_header_checksum();
    assert_eq!(outer.header_checksum(), sum);
}

#[test]
fn gre_has_one_source_for_all_flows_and_says_what_it_carries() {
    let mut tables = tables();
    let hash_only_destination = VipEntry {
        hash_destination_port_only: true,
        ..tables.vip(1)
    };
    set(&mut tables, Table::Vip, 1, hash_only_destination.to_bytes());
    let entry = BackendEntry {
        encap: Encap::Gre.raw(),
        key: 0x0102_0304,
        ..tables.backend(1).expect("a backend")
    };
    for (key_present, gre) in [
        (false, &[0, 0, 8, 0][..]),
        (true, &[0x20, 0, 8, 0, 1, 2, 3, 4]),
    ] {
        let entry = BackendEntry {
            key_present,
            ..entry
        };
        set(&mut tables, Table::Backend, 1, entry.to_bytes());
        let decision = decided(&tables, &config(), &spec());
        let outer = Ipv4HeaderSlice::from_slice(&decision.output[14..34]).expect("a header");
        assert_eq!(outer.source(), [10, 0, 13, 37]);
        assert_eq!(outer.protocol().0, 47);
        assert_eq!(usize::from(outer.total_len()), 20 + gre.len() + 55);
        assert_eq!(decision.output[34..][..gre.len()], *gre);
        assert_eq!(decision.output[34 + gre.len()..], spec().frame()[14..]);
    }
}

#[test]
fn an_ipv4_packet_in_ipv6_carries_client_and_port() {
    let mut tables = tables();
    install(&mut tables, &flow());
    let decision = decided(&tables, &config(), &spec());
    let outer = Ipv6HeaderSlice::from_slice(&decision.output[14..54]).expect("a header");
    assert_eq!((outer.payload_length(), outer.next_header().0), (55, 4));
    // 192.168.1.1 with port 0x7a69 over its first two bytes
    assert_eq!(outer.source_addr().to_string(), "100::bac1:101");
    let no_port = VipEntry {
        hash_no_source_port: true,
        ..tables.vip(1)
    };
    set(&mut tables, Table::Vip, 1, no_port.to_bytes());
    let decision = decided(&tables, &config(), &spec());
    let outer = Ipv6HeaderSlice::from_slice(&decision.output[14..54]).expect("a header");
    assert_eq!(outer.source_addr().to_string(), "100::c0a8:101");
}
