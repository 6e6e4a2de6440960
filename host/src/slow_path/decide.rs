//! Which backend a punted packet goes to.
//!
//! Owns the rule, which is the charter's third invariant: a connection that is recorded keeps its backend while that backend is up or
//! draining; only a SYN leaves a draining one. Everything else goes by the ring, as the card would do it.

use super::connections::{Connection, ConnectionKey, Connections};
use super::packet::ClientPacket;
use super::view::{BackendView, View, VipView};
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

/// The name of a packet's connection.
#[must_use]
pub fn connection_key(packet: &ClientPacket) -> ConnectionKey {
    ConnectionKey {
        protocol: packet.protocol,
        destination: packet.destination,
        destination_port: packet.destination_port,
        source: packet.source,
        source_port: packet.source_port,
    }
}

/// The packet that a connection's next one looks like, as far as ring and VIP are concerned.
#[must_use]
pub fn packet_of(key: &ConnectionKey) -> ClientPacket {
    ClientPacket {
        source: key.source,
        destination: key.destination,
        protocol: key.protocol,
        source_port: key.source_port,
        destination_port: key.destination_port,
        opens: false,
        closes: false,
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
    let (vip, hash_port) = view.vip(packet).ok_or(Undecided::NoVip)?;
    let by_ring = view.ring_backend(vip.pool, packet, hash_port);
    let kept = connections
        .get(&connection_key(packet))
        .and_then(|connection| keeps(view, connection, packet.opens));
    match (kept, by_ring) {
        (Some(kept), ring) => Ok(Decision {
            vip,
            backend: *kept,
            pinned: ring.map(|b| b.id) != Some(kept.id),
            known: true,
        }),
        (None, Some(ring)) => Ok(Decision {
            vip,
            backend: *ring,
            pinned: false,
            known: false,
        }),
        (None, None) => Err(Undecided::NoBackend),
    }
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
        };
        connections
            .record(connection_key(packet), connection)
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
}
