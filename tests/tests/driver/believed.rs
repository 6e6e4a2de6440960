//! What a running card must hold to be taken over: a table that says of any backend's way what neither side of a change says makes the
//! card a stranger's, which is programmed anew.

use std::net::IpAddr;

use guideway::card::{Backend, BackendId, Card, NextHop, NextHopId, NextHops};
use guideway::control::host::Found;
use guideway_hdl::tables::{Encap, Table, VipPrefix};
use guideway_sim::card::Model;

use super::crash::{connect, start, two_configurations};
use super::exact::holds_exactly;
use super::fuse::Fuse;
use super::stage::{Stage, options};

/// Changes the entry of the backend of this address.
fn change(card: &Card, address: &str, how: impl Fn(&mut Backend)) {
    let address: IpAddr = address.parse().unwrap();
    let entries = card.read_backends().unwrap();
    let known = entries.iter().map(Backend::from_entry);
    let (id, mut backend) = (0..)
        .zip(known.map(Option::unwrap))
        .find(|(_, backend)| backend.address == address)
        .unwrap();
    how(&mut backend);
    card.write_backend(BackendId(id), &backend).unwrap();
}

/// Sends what goes by this next hop to another station.
fn turn_away(card: &Card, id: u8) {
    let hops = card.read_next_hops().unwrap();
    let hop = NextHop {
        destination: [2, 0, 0, 0, 9, 9],
        ..NextHop::from_entry(&hops[usize::from(id)])
    };
    card.write_next_hop(NextHopId(id), &hop).unwrap();
}

/// What somebody else did to the card, by a name.
type Change = (&'static str, fn(&Card));

/// Gives a prefix another VIP, or takes it away.
fn change_prefix(card: &Card, first: u32, how: impl Fn(&mut VipPrefix)) {
    let beats = card.dump(Table::VipPrefix, 0, 64).unwrap();
    let mut known = (0..).zip(beats).map(|(index, beat)| {
        let words = std::array::from_fn(|i| beat[i]);
        (index, VipPrefix::from_words(&words))
    });
    let (index, mut entry) = known
        .find(|(_, entry)| entry.valid && entry.address == first.into())
        .unwrap();
    how(&mut entry);
    card.write_entry(Table::VipPrefix, index, &entry.to_words())
        .unwrap();
}

const CHANGES: [Change; 11] = [
    ("another VIP of a prefix", |card| {
        change_prefix(card, 0x0ac9_0000, |entry| entry.vip ^= 1);
    }),
    ("another prefix", |card| {
        change_prefix(card, 0x0ac9_0000, |entry| entry.length = 17);
    }),
    ("a prefix less", |card| {
        change_prefix(card, 0x0ac9_0000, |entry| *entry = VipPrefix::default());
    }),
    ("another key", |card| {
        change(card, "10.0.0.1", |backend| backend.gre_key = Some(8));
    }),
    ("no key", |card| {
        change(card, "10.0.0.1", |backend| backend.gre_key = None);
    }),
    ("a key", |card| {
        change(card, "10.0.0.3", |backend| backend.gre_key = Some(0));
    }),
    ("ipip instead of gre", |card| {
        change(card, "10.0.0.3", |backend| backend.encap = Encap::Ipip);
    }),
    ("l2 instead of ipip", |card| {
        change(card, "10.0.0.2", |backend| backend.encap = Encap::L2);
    }),
    ("the node's next hop instead of a station", |card| {
        change(card, "10.1.0.1", |backend| {
            backend.next_hops = NextHops::one(0)
        });
    }),
    ("another station", |card| turn_away(card, 1)),
    ("another next hop", |card| turn_away(card, 0)),
];

#[test]
fn a_card_that_reaches_a_backend_by_a_strange_way_is_programmed_anew() {
    let (stage, folder) = (Stage::new(Model::Reference), tempfile::tempdir().unwrap());
    let [config, _] = two_configurations();
    let run = || start(&stage, &Fuse::default(), folder.path(), &config).unwrap();
    assert_eq!(run().2, Found::Blank);
    for (name, change) in CHANGES {
        // nobody has changed anything
        assert!(matches!(run().2, Found::Running(_)), "before {name}");
        let device = connect(&stage, &Fuse::default()).unwrap();
        change(&Card::adopt(device, options()).unwrap());
        let (host, _caller, found) = run();
        assert_eq!(found, Found::Blank, "{name}");
        if let Err(error) = holds_exactly(host.card(), &config) {
            panic!("{name}: {error}");
        }
    }
    // a next hop that nobody is reached by is no matter
    let device = connect(&stage, &Fuse::default()).unwrap();
    turn_away(&Card::adopt(device, options()).unwrap(), 9);
    assert!(matches!(run().2, Found::Running(_)));
}
