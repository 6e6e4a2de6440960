//! Places of keys: found at every moment, whoever moves and whoever dies.

use super::*;
use crate::card::SecretSource;
use proptest::prelude::*;

fn secrets(seed: u64) -> Secrets {
    Secrets::draw(SecretSource::Seed(seed)).unwrap()
}

fn key(i: u32) -> VipKey {
    VipKey {
        address: 0x0ac8_0100u32.wrapping_add(i).to_be_bytes().into(),
        port: 80,
        protocol: Protocol::Tcp,
    }
}

/// The card's lookup in the match table: banks in order, the row by the hash (`CARD.md` 3), the whole key compared.
fn card_finds(entries: &MatchEntries, secrets: &Secrets, key: &VipKey) -> Option<u16> {
    let wanted = key.to_match(VipId(0));
    (0..BANKS).find_map(|bank| {
        let entry = entries.exact[bank * VIP_MATCH_ROWS + wanted.row(secrets.bank(bank))];
        (VipMatch { vip: 0, ..entry } == wanted).then_some(entry.vip)
    })
}

/// The card's whole lookup for a packet to this address and port (`CARD.md` 3).
fn card_matches(entries: &MatchEntries, secrets: &Secrets, packet: &VipKey) -> Option<u16> {
    let (wanted, ipv6) = (packet.to_match(VipId(0)), packet.address.is_ipv6());
    let shared = |entry: &VipPrefix| {
        let bits = u32::from(entry.length) + if ipv6 { 0 } else { 96 };
        bits == 0 || (entry.address ^ wanted.address) >> (128 - bits) == 0
    };
    let longest = (entries.prefixes.iter().enumerate())
        .filter(|(_, e)| e.valid && (e.protocol, e.ipv6) == (wanted.protocol, ipv6))
        .filter(|(_, e)| (e.port == 0 || e.port == packet.port) && shared(e))
        .max_by_key(|(i, e)| (e.length, e.port != 0, usize::MAX - i));
    card_finds(entries, secrets, packet)
        .or_else(|| card_finds(entries, secrets, &VipKey { port: 0, ..*packet }))
        .or(longest.map(|(_, entry)| entry.vip))
}

fn apply(entries: &mut MatchEntries, writes: &[MatchWrite]) {
    for write in writes {
        match *write {
            MatchWrite::Exact { index, entry } => entries.exact[index as usize] = entry,
            MatchWrite::Prefix { index, entry } => entries.prefixes[index as usize] = entry,
        }
    }
}

#[test]
fn a_full_set_of_neighbouring_vips_fits_whatever_the_secrets() {
    for seed in 0..200 {
        let mut table = VipMatchTable::new(&secrets(seed));
        for i in 0..256 {
            table
                .insert(key(i), VipId(i as u16))
                .unwrap_or_else(|e| panic!("seed {seed}, key {i}: {e}"));
        }
        let mut ports = VipMatchTable::new(&secrets(seed));
        for i in 0..256 {
            ports
                .insert(
                    VipKey {
                        port: 8000 + i,
                        ..key(0)
                    },
                    VipId(i),
                )
                .unwrap_or_else(|e| panic!("seed {seed}, port {i}: {e}"));
        }
    }
}

#[test]
fn every_key_is_found_at_every_moment_of_every_move() {
    let secrets = secrets(5);
    let mut table = VipMatchTable::new(&secrets);
    let mut card = table.to_entries();
    let mut moves = 0;
    for i in 0..490u32 {
        let scattered = VipKey {
            port: (i % 3) as u16,
            ..key(i.wrapping_mul(0x9e37_79b1))
        };
        let Ok(writes) = table.insert(scattered, VipId((i % 256) as u16)) else {
            continue;
        };
        moves += writes.len() - 1;
        let before: Vec<_> = table
            .iter()
            .filter(|(held, _)| *held != scattered)
            .collect();
        for write in &writes {
            apply(&mut card, std::slice::from_ref(write));
            for (held, vip) in &before {
                assert_eq!(card_finds(&card, &secrets, held), Some(vip.0), "{held}");
            }
        }
        assert_eq!(
            card_finds(&card, &secrets, &scattered),
            Some((i % 256) as u16)
        );
    }
    assert!(moves > 20, "only {moves} moves: the test shows nothing");
    assert_eq!(card, table.to_entries());
}

#[test]
fn exact_and_any_port_are_keys_of_their_own() {
    let secrets = secrets(1);
    let mut table = VipMatchTable::new(&secrets);
    let (exact, any) = (key(0), VipKey { port: 0, ..key(0) });
    let udp = VipKey {
        protocol: Protocol::Udp,
        ..exact
    };
    table.insert(exact, VipId(1)).unwrap();
    table.insert(any, VipId(2)).unwrap();
    assert_eq!(
        (table.get(&exact), table.get(&any), table.get(&udp)),
        (Some(VipId(1)), Some(VipId(2)), None)
    );
    assert_eq!(table.insert(exact, VipId(9)).unwrap().len(), 1);
    assert_eq!(table.iter().count(), 2);
    let mut card = table.to_entries();
    apply(&mut card, &[table.remove(&exact).unwrap()]);
    assert_eq!(
        (
            card_finds(&card, &secrets, &exact),
            card_finds(&card, &secrets, &any)
        ),
        (None, Some(2))
    );
    assert_eq!(table.remove(&exact), None);
}

/// 128 addresses, each a VIP and one that answers echo requests: as many keys as a configuration may need. The hash is linear, so that
/// there are secrets with which neighbours' keys of both kinds share their rows: few, and a configuration is then refused.
#[test]
fn addresses_that_answer_find_a_place_beside_their_vips() {
    let mut refused = Vec::new();
    for seed in 0..200u64 {
        let mut table = VipMatchTable::new(&secrets(seed));
        for i in 0..128u32 {
            // scattered addresses with even seeds, neighbours with odd ones
            let bits = if seed % 2 == 0 {
                (i + 1).wrapping_mul(0x9e37_79b1) ^ seed as u32
            } else {
                0x0ac8_0100 + i
            };
            let vip = VipKey {
                address: std::net::IpAddr::from(bits.to_be_bytes()).into(),
                ..key(0)
            };
            let echo = VipKey {
                port: 0,
                protocol: Protocol::Icmp,
                ..vip
            };
            for key in [vip, echo] {
                if table.insert(key, VipId(i as u16)).is_err() {
                    refused.push((seed, i));
                }
            }
        }
    }
    let mut seeds: Vec<_> = refused.iter().map(|(seed, _)| *seed).collect();
    seeds.dedup();
    assert!(seeds.len() <= 2, "seeds and addresses {refused:?}");
    assert!(
        seeds.iter().all(|seed| seed % 2 == 1),
        "scattered: {refused:?}"
    );
}

#[test]
fn a_table_read_back_is_the_table_that_was_written() {
    let secrets = secrets(2);
    let mut table = VipMatchTable::new(&secrets);
    for i in 0..100 {
        table.insert(key(i * 977), VipId(i as u16)).unwrap();
    }
    let mut entries = table.to_entries();
    let again = VipMatchTable::from_entries(&secrets, &entries);
    assert_eq!(again.to_entries(), entries);
    // an entry of an unknown protocol and one at a place that is not its own are free places
    let free: Vec<usize> = entries
        .exact
        .iter()
        .enumerate()
        .filter(|(_, e)| !e.valid)
        .map(|(i, _)| i)
        .collect();
    entries.exact[free[0]] = VipMatch {
        protocol: 99,
        ..key(1 << 20).to_match(VipId(1))
    };
    let stray = key(2 << 20).to_match(VipId(2));
    let off = *free
        .iter()
        .skip(1)
        .find(|at| **at % VIP_MATCH_ROWS != secrets.vip_row(**at / VIP_MATCH_ROWS, &stray))
        .unwrap();
    entries.exact[off] = stray;
    assert_eq!(
        VipMatchTable::from_entries(&secrets, &entries).to_entries(),
        table.to_entries()
    );
}

#[test]
fn a_host_that_dies_in_the_middle_of_a_move_leaves_nothing_behind() {
    let secrets = secrets(5);
    let mut table = VipMatchTable::new(&secrets);
    let mut cuts = 0;
    for i in 0..490u32 {
        let (before, key) = (table.to_entries(), key(i.wrapping_mul(0x9e37_79b1)));
        let Ok(writes) = table.insert(key, VipId((i % 256) as u16)) else {
            continue;
        };
        for cut in 1..writes.len() {
            let mut card = before.clone();
            apply(&mut card, &writes[..cut]);
            let mut next = VipMatchTable::from_entries(&secrets, &card);
            let strays = next.strays(&card);
            assert_eq!(strays.len(), 1, "{cut} of {writes:?}");
            apply(&mut card, &strays);
            assert_eq!(card, next.to_entries());
            for (held, _) in VipMatchTable::from_entries(&secrets, &before).iter() {
                apply(&mut card, next.remove(&held).as_slice());
                assert_eq!(card_finds(&card, &secrets, &held), None, "{held}");
            }
            cuts += 1;
        }
    }
    assert!(cuts > 20, "only {cuts} moves: the test shows nothing");
}

#[test]
fn a_table_without_room_says_which_key_it_refused() {
    let mut table = VipMatchTable::new(&Secrets::from_words(&[0; 24])); // every key in row 0 of every bank
    for i in 0..4 {
        table.insert(key(i), VipId(0)).unwrap();
    }
    let before = table.to_entries();
    assert!(
        matches!(table.insert(key(4), VipId(0)), Err(CardError::VipMatchFull(refused)) if refused == key(4))
    );
    assert_eq!(table.to_entries(), before);
}

#[test]
fn sixty_four_prefixes_fit_and_each_is_one_write() {
    let mut table = VipMatchTable::new(&secrets(3));
    let prefix = |i: u8| VipKey {
        address: VipAddress::new([10, i, 0, 0].into(), 16).unwrap(),
        ..key(0)
    };
    for i in 0..64 {
        let writes = table.insert(prefix(i), VipId(i.into())).unwrap();
        assert!(matches!(writes[..], [MatchWrite::Prefix { index, .. }] if index == u32::from(i)));
    }
    assert!(
        matches!(table.insert(prefix(64), VipId(0)), Err(CardError::VipMatchFull(refused)) if refused == prefix(64))
    );
    // another VIP in the same place, and a place that is free again
    let again = table.insert(prefix(9), VipId(200)).unwrap();
    assert!(
        matches!(again[..], [MatchWrite::Prefix { index: 9, entry }] if entry.vip == 200 && entry.length == 16)
    );
    let cleared = table.remove(&prefix(9)).unwrap();
    assert_eq!(
        cleared,
        MatchWrite::Prefix {
            index: 9,
            entry: VipPrefix::default()
        }
    );
    assert_eq!(table.insert(prefix(64), VipId(7)).unwrap().len(), 1);
    // exact keys are not in their way
    assert!(matches!(
        table.insert(key(0), VipId(1)).unwrap()[..],
        [MatchWrite::Exact { .. }]
    ));
    assert_eq!(table.iter().count(), 65);
}

#[test]
fn prefixes_that_nobody_understands_are_cleared() {
    let secrets = secrets(4);
    let mut table = VipMatchTable::new(&secrets);
    let held = VipKey {
        address: "2001:db8::/48".parse().unwrap(),
        ..key(0)
    };
    table.insert(held, VipId(1)).unwrap();
    let mut entries = table.to_entries();
    let good = entries.prefixes[0];
    entries.prefixes[5] = good; // twice
    entries.prefixes[6] = VipPrefix {
        length: 129,
        ..good
    };
    entries.prefixes[7] = VipPrefix {
        length: 47,
        address: good.address | 1,
        ..good
    };
    entries.prefixes[8] = VipPrefix {
        protocol: 1,
        ..good
    };
    entries.prefixes[9] = VipPrefix {
        valid: false,
        ..good
    };
    entries.prefixes[63] = VipPrefix {
        length: 128,
        ..good
    };
    let read = VipMatchTable::from_entries(&secrets, &entries);
    assert_eq!(read.to_entries(), table.to_entries());
    let strays = read.strays(&entries);
    apply(&mut entries, &strays);
    assert_eq!(entries, table.to_entries());
}

proptest! {
    #[test]
    fn random_inserts_and_removals_agree_with_a_map(steps in proptest::collection::vec((0u32..300, any::<bool>(), 0u16..256), 1..400), seed in 0u64..50) {
        let secrets = secrets(seed);
        let mut table = VipMatchTable::new(&secrets);
        let mut card = table.to_entries();
        let mut map = std::collections::BTreeMap::new();
        for (i, add, vip) in steps {
            let key = key(i * 7919);
            if add {
                apply(&mut card, &table.insert(key, VipId(vip)).unwrap());
                map.insert(key, vip);
            } else {
                let write = table.remove(&key);
                prop_assert_eq!(write.is_some(), map.remove(&key).is_some());
                apply(&mut card, write.as_slice());
            }
        }
        for i in 0..300 {
            let key = key(i * 7919);
            prop_assert_eq!(card_finds(&card, &secrets, &key), map.get(&key).copied());
        }
    }

    #[test]
    fn random_keys_match_as_the_longest_of_a_list(steps in proptest::collection::vec((0u32..64, 0u8..4, 0u16..3, any::<bool>(), any::<bool>()), 1..120), seed in 0u64..20) {
        let secrets = secrets(seed);
        let mut table = VipMatchTable::new(&secrets);
        let mut card = table.to_entries();
        let mut list: Vec<(VipKey, u16)> = Vec::new();
        // few addresses, so that keys hold one another
        let address = |bits: u32, length: u8, ipv6: bool| {
            let bits = 0x0a00_0000 | bits << 18;
            let (first, most) = if ipv6 { (address_from_bits(u128::from(bits) << 96, true), 128) } else { (IpAddr::from(bits.to_be_bytes()), 32) };
            VipAddress::from(first).widened([most, 14, 12, 8][usize::from(length)]).unwrap()
        };
        for (vip, (bits, length, port, ipv6, add)) in (0u16..).zip(steps) {
            let key = VipKey { address: address(bits, length, ipv6), port: port * 40, protocol: Protocol::Udp };
            list.retain(|(held, _)| *held != key);
            if !add {
                apply(&mut card, table.remove(&key).as_slice());
            } else if let Ok(writes) = table.insert(key, VipId(vip)) {
                apply(&mut card, &writes);
                list.push((key, vip));
            }
        }
        prop_assert_eq!(&card, &table.to_entries());
        prop_assert_eq!(&card, &VipMatchTable::from_entries(&secrets, &card).to_entries());
        for packet in (0..64).flat_map(|bits| [(bits, 40, false), (bits, 80, true), (bits, 7, false)]) {
            let packet = VipKey { address: address(packet.0, 0, packet.2), port: packet.1, protocol: Protocol::Udp };
            let of = |key: &VipKey| key.address.holds(&packet.address) && (key.port == 0 || key.port == packet.port);
            let wanted = list.iter().filter(|(key, _)| of(key)).max_by_key(|(key, _)| (key.address.length(), key.port != 0));
            prop_assert_eq!(card_matches(&card, &secrets, &packet), wanted.map(|(_, vip)| *vip), "{}", packet);
        }
    }
}
