//! Which backend a punted packet goes to.
//!
//! Owns the rule, which is the charter's third invariant: a connection that is recorded keeps its backend while that backend is up or
//! draining; only a SYN leaves a draining one. Everything else goes by the ring, as the card would do it.

use super::connections::{Connection, ConnectionKey, Connections};
use super::packet::ClientPacket;
use super::view::{BackendView, Matched, View, VipView};
use crate::card::{Assignment, BackendId, VipId};
use crate::config::Protocol;
use crate::control::state::Life;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The packet's VIP.
    pub vip: VipView,
    /// Its backend.
    pub backend: BackendView,
    /// The ring names another backend: the flow's entry must not be lost.
    pub pinned: bool,
    /// The connection was recorded before.
    pub known: bool,
    /// The upper 8 bits of the flow's hash.
    pub spread: u8,
}

impl Decision {
    /// What the card is told of the packet.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        Assignment {
            vip: VipId(self.vip.id),
            backend: BackendId(self.backend.id),
            generation: self.backend.generation,
            spread: self.spread,
        }
    }
}

/// Why nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The packet is for no VIP (any more).
    #[error("no VIP")]
    NoVip,
    /// The VIP's pool has no backend that takes new connections.
    #[error("no backend")]
    NoBackend,
}

/// The name of a packet's connection with its VIP.
#[must_use]
pub fn connection_key(packet: &ClientPacket, vip: &VipView) -> ConnectionKey {
    ConnectionKey {
        protocol: packet.protocol,
        destination: vip.address,
        destination_port: packet.destination_port,
        source: packet.source,
        source_port: packet.source_port,
    }
}

/// Decides a packet.
///
/// # Errors
/// When it cannot be sent anywhere.
pub fn decide(
    view: &View,
    connections: &Connections,
    packet: &ClientPacket,
) -> Result<Decision, Undecided> {
    let matched = view.vip(packet).ok_or(Undecided::NoVip)?;
    let vip = matched.vip;
    let hash = matched.hash(packet.source, packet.source_port, packet.destination_port);
    let spread = matched.spread(packet);
    let by_ring = view.ring_backend(vip.pool, hash);
    let kept = recorded(connections, packet, &matched, by_ring)
        .and_then(|connection| keeps(view, connection, packet.opens));
    match (kept, by_ring) {
        (Some(kept), ring) => Ok(Decision {
            vip,
            backend: *kept,
            pinned: ring.map(|b| b.id) != Some(kept.id),
            known: true,
            spread,
        }),
        (None, Some(ring)) => Ok(Decision {
            vip,
            backend: *ring,
            pinned: false,
            known: false,
            spread,
        }),
        (None, None) => Err(Undecided::NoBackend),
    }
}

/// What is recorded of a packet's connection: under its VIP's name, or under that of a VIP which it was for before another one came or
/// went.
fn recorded<'a>(
    connections: &'a Connections,
    packet: &ClientPacket,
    matched: &Matched,
    by_ring: Option<&BackendView>,
) -> Option<&'a Connection> {
    let name = connection_key(packet, &matched.vip);
    let own = ConnectionKey {
        destination: packet.destination.into(),
        ..name
    };
    // A prefix's name is that of every address in it: a client that begins another connection from the same port is not the one that
    // is recorded. Where the address was never seen, nothing tells a first packet of UDP: only the pool's own backends are believed.
    let under_prefix = || {
        let known = connections.under_prefix(&own)?;
        let same_pool = by_ring.is_some_and(|ring| ring.pool == known.pool);
        let goes_on = packet.protocol == Protocol::Tcp && !packet.opens;
        let believed = match known.address {
            Some(address) => address == packet.destination,
            None => same_pool || goes_on,
        };
        believed.then_some(known)
    };
    (connections.get(&name))
        .or_else(|| connections.get(&own))
        .or_else(under_prefix)
}

/// The backend that a recorded connection keeps.
fn keeps<'a>(view: &'a View, connection: &Connection, opens: bool) -> Option<&'a BackendView> {
    view.backend_of(connection.pool, connection.backend)
        .filter(|backend| backend.life == Life::Up || !opens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::control::state::State;

    fn config(backends: &[(&str, u32)]) -> Config {
        let mut text = String::from(
            "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n[[pool]]\nname = \"web\"\n",
        );
        for (address, weight) in backends {
            text += &format!("[[pool.backend]]\naddress = \"{address}\"\nweight = {weight}\n");
        }
        text += "[[vip]]\nname = \"v\"\naddress = \"10.200.1.1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n";
        text += "[[vip]]\nname = \"any\"\naddress = \"10.200.1.2\"\nport = 0\nprotocol = \"udp\"\npool = \"web\"\n";
        Config::parse("test", &text).unwrap()
    }

    fn packet(port: u16, opens: bool) -> ClientPacket {
        ClientPacket {
            source: "192.0.2.1".parse().unwrap(),
            destination: "10.200.1.1".parse().unwrap(),
            protocol: crate::config::Protocol::Tcp,
            source_port: port,
            destination_port: 80,
            opens,
            closes: false,
        }
    }

    fn record(connections: &mut Connections, decision: &Decision, packet: &ClientPacket) {
        let connection = Connection {
            pool: decision.backend.pool,
            backend: decision.backend.address,
            last_seen: 0,
            closing: false,
            address: (decision.vip.address.one().is_none()).then_some(packet.destination),
        };
        connections
            .record(connection_key(packet, &decision.vip), connection)
            .unwrap();
    }

    #[test]
    fn a_recorded_connection_keeps_its_backend_while_it_drains_and_a_syn_does_not() {
        let first = State::default()
            .next(&config(&[("10.0.0.1", 1), ("10.0.0.2", 1)]))
            .unwrap();
        let (before, mut connections) = (View::of(&first), Connections::in_memory());
        let on_one = (1..)
            .find(|&port| {
                decide(&before, &connections, &packet(port, true))
                    .unwrap()
                    .backend
                    .id
                    == 0
            })
            .unwrap();
        let decision = decide(&before, &connections, &packet(on_one, true)).unwrap();
        assert!(!decision.pinned && !decision.known);
        record(&mut connections, &decision, &packet(on_one, true));
        // backend 0 is removed
        let second = first.next(&config(&[("10.0.0.2", 1)])).unwrap();
        let after = View::of(&second);
        let kept = decide(&after, &connections, &packet(on_one, false)).unwrap();
        assert_eq!((kept.backend.id, kept.pinned, kept.known), (0, true, true));
        let afresh = decide(&after, &connections, &packet(on_one, true)).unwrap();
        assert_eq!(
            (afresh.backend.id, afresh.pinned, afresh.known),
            (1, false, false)
        );
        // and is gone
        let gone = View::of(&second.without_drained(|_| false));
        assert_eq!(
            decide(&gone, &connections, &packet(on_one, false))
                .unwrap()
                .backend
                .id,
            1
        );
    }

    #[test]
    fn a_syn_on_a_backend_that_is_up_keeps_it() {
        let first = State::default()
            .next(&config(&[("10.0.0.1", 1), ("10.0.0.2", 1)]))
            .unwrap();
        let (view, mut connections) = (View::of(&first), Connections::in_memory());
        let ring = decide(&view, &connections, &packet(7, true)).unwrap();
        let other = *view.backend(1 - ring.backend.id).unwrap();
        record(
            &mut connections,
            &Decision {
                backend: other,
                ..ring
            },
            &packet(7, true),
        );
        let kept = decide(&view, &connections, &packet(7, true)).unwrap();
        assert_eq!((kept.backend.id, kept.pinned), (other.id, true));
    }

    #[test]
    fn an_any_port_vip_hashes_with_port_zero() {
        let state = State::default()
            .next(&config(&[("10.0.0.1", 1), ("10.0.0.2", 1)]))
            .unwrap();
        let (view, connections) = (View::of(&state), Connections::in_memory());
        let udp = |destination_port| ClientPacket {
            destination: "10.200.1.2".parse().unwrap(),
            protocol: crate::config::Protocol::Udp,
            destination_port,
            ..packet(9, false)
        };
        let backends: Vec<u16> = (1..50)
            .map(|port| decide(&view, &connections, &udp(port)).unwrap().backend.id)
            .collect();
        assert!(backends.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn nowhere_to_go_has_a_name() {
        let empty = View::of(&State::default().next(&config(&[("10.0.0.1", 0)])).unwrap());
        assert_eq!(
            decide(&empty, &Connections::in_memory(), &packet(1, true)),
            Err(Undecided::NoBackend)
        );
        let other = ClientPacket {
            destination_port: 81,
            ..packet(1, true)
        };
        assert_eq!(
            decide(&empty, &Connections::in_memory(), &other),
            Err(Undecided::NoVip)
        );
    }

    fn with_vips(vips: &[(&str, &str, u16, &str)]) -> Config {
        let mut text = String::from(
            "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:09\"\n",
        );
        for pool in ["one", "two"] {
            text += &format!("[[pool]]\nname = \"{pool}\"\ntable_size = 101\n");
            let net = if pool == "one" { 1 } else { 2 };
            for backend in 1..5 {
                text += &format!("[[pool.backend]]\naddress = \"10.0.{net}.{backend}\"\n");
            }
        }
        for (name, address, port, pool) in vips {
            for protocol in ["tcp", "udp"] {
                text += &format!(
                    "[[vip]]\nname = \"{name}-{protocol}\"\naddress = \"{address}\"\nport = {port}\nprotocol = \"{protocol}\"\npool = \"{pool}\"\n"
                );
            }
        }
        Config::parse("test", &text).unwrap()
    }

    #[test]
    fn a_connection_keeps_its_backend_when_a_narrower_or_wider_vip_comes() {
        let wide = ("wide", "10.200.0.0/16", 0, "one");
        let narrow = ("narrow", "10.200.1.0/24", 80, "two");
        let exact = ("exact", "10.200.1.1", 80, "two");
        for (before, after) in [
            (vec![wide], vec![wide, narrow]),
            (vec![wide, narrow], vec![wide]),
            (vec![wide], vec![wide, exact]),
            (vec![wide, exact], vec![wide]),
            (vec![narrow], vec![narrow, exact]),
            (vec![wide, narrow, exact], vec![wide, narrow]),
        ] {
            let first = State::default().next(&with_vips(&before)).unwrap();
            let second = first.next(&with_vips(&after)).unwrap();
            let (old, new) = (View::of(&first), View::of(&second));
            let mut connections = Connections::in_memory();
            for port in 1..100 {
                let decision = decide(&old, &connections, &packet(port, true)).unwrap();
                assert!(!decision.known);
                record(&mut connections, &decision, &packet(port, true));
                let kept = decide(&new, &connections, &packet(port, false)).unwrap();
                assert_ne!(kept.vip.id, decision.vip.id);
                assert_eq!((kept.backend.id, kept.known), (decision.backend.id, true));
            }
        }
    }

    #[test]
    fn where_the_address_was_never_seen_a_first_packet_is_not_taken_for_a_known_one() {
        let wide = ("wide", "10.200.0.0/16", 80, "one");
        let exact = ("exact", "10.200.1.1", 80, "two");
        let first = State::default().next(&with_vips(&[wide])).unwrap();
        let (old, new) = (
            View::of(&first),
            View::of(&first.next(&with_vips(&[wide, exact])).unwrap()),
        );
        for (protocol, opens, known) in [
            (Protocol::Tcp, false, true),
            (Protocol::Tcp, true, false),
            (Protocol::Udp, false, false),
        ] {
            let packet = ClientPacket {
                protocol,
                ..packet(9, opens)
            };
            let decision = decide(&old, &Connections::in_memory(), &packet).unwrap();
            // adopted from a card, which knows no address
            let connection = Connection {
                pool: decision.backend.pool,
                backend: decision.backend.address,
                last_seen: 0,
                closing: false,
                address: None,
            };
            let mut connections = Connections::in_memory();
            let name = connection_key(&packet, &decision.vip);
            connections.record(name, connection).unwrap();
            let next = decide(&new, &connections, &packet).unwrap();
            assert_eq!(next.known, known, "{protocol:?} {opens}");
        }
    }

    #[test]
    fn another_address_of_a_prefix_is_not_taken_for_a_narrower_vip() {
        let vips = [
            ("wide", "10.200.0.0/16", 80, "one"),
            ("exact", "10.200.1.1", 80, "two"),
        ];
        let view = View::of(&State::default().next(&with_vips(&vips)).unwrap());
        let mut connections = Connections::in_memory();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let to_wide = ClientPacket {
                destination: "10.200.7.7".parse().unwrap(),
                protocol,
                ..packet(9, protocol == Protocol::Tcp)
            };
            let decision = decide(&view, &connections, &to_wide).unwrap();
            record(&mut connections, &decision, &to_wide);
            let to_exact = ClientPacket {
                destination: "10.200.1.1".parse().unwrap(),
                ..to_wide
            };
            let other = decide(&view, &connections, &to_exact).unwrap();
            assert!(!other.known && other.backend.pool != decision.backend.pool);
        }
    }
}
