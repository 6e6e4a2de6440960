//! A veth pair as the wire, in a network namespace of the test's own: what the kernel keeps beside a frame comes back into it.

use std::net::UdpSocket;
use std::time::Instant;

use guideway_sim::card::{SentFrame, WireFrame};
use guideway_sim::wire::packet_socket::PacketSocket;
use guideway_sim::wire::{Wire, WireError};

use crate::rig::PATIENCE;
use crate::sandbox::{self, ip};

#[test]
fn a_veth_pair_is_a_wire() {
    sandbox::run("live::inner", "ip link add card type veth peer name host");
}

fn receive(wire: &mut PacketSocket, matches: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let start = Instant::now();
    loop {
        match wire.receive().unwrap() {
            Some(WireFrame { bytes, .. }) if matches(&bytes) => return bytes,
            Some(_) => {}
            None => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
        assert!(start.elapsed() < PATIENCE, "no such frame came");
    }
}

fn send(wire: &mut PacketSocket, bytes: &[u8]) {
    wire.send(&SentFrame {
        bytes: bytes.to_vec(),
        first_cycle: 0,
        last_cycle: 0,
    })
    .unwrap();
}

#[test]
#[ignore = "runs in the namespaces of a_veth_pair_is_a_wire"]
fn inner() {
    ip("link add card type veth peer name host");
    for end in ["card", "host"] {
        ip(&format!("link set {end} mtu 9216 addrgenmode none up"));
    }
    ip("addr add 10.9.9.1/24 dev host");
    ip("neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev host");
    let mut card = PacketSocket::open("card").unwrap();
    let mut host = PacketSocket::open("host").unwrap();
    let is_ours = |bytes: &[u8]| bytes.len() > 20 && bytes[6..12] == [2, 0, 0, 0, 0, 7];
    let frame = |kind: [u8; 2], len: usize| {
        let mut bytes = vec![2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7];
        bytes.extend_from_slice(&kind);
        bytes.resize(len, 0x5a);
        bytes
    };
    // Both ways, any size up to the MTU; a frame that one end sent does not come back to it.
    for len in [60, 61, 1514, 9216 + 14] {
        {
            let (from, to) = (&mut card, &mut host);
            send(from, &frame([0x88, 0xb5], len));
            assert_eq!(receive(to, is_ours), frame([0x88, 0xb5], len));
            send(to, &frame([0x88, 0xb5], len));
            assert_eq!(receive(from, is_ours), frame([0x88, 0xb5], len));
            assert!(
                !from
                    .receive()
                    .unwrap()
                    .is_some_and(|frame| is_ours(&frame.bytes))
            );
        }
    }
    // A VLAN tag arrives in its place.
    let mut tagged = frame([0x81, 0x00], 100);
    tagged[14..18].copy_from_slice(&[0x20, 0x64, 0x88, 0xb5]);
    send(&mut host, &tagged);
    assert_eq!(receive(&mut card, is_ours), tagged);
    // The kernel leaves UDP's checksum to the interface; the wire finishes it.
    let socket = UdpSocket::bind("10.9.9.1:0").unwrap();
    socket
        .send_to(b"a datagram of odd length.", "10.9.9.2:99")
        .unwrap();
    let datagram = receive(&mut card, |bytes| bytes.len() > 42 && bytes[23] == 17);
    assert!(sandbox::udp_checksum_is_right(&datagram), "{datagram:02x?}");
    // What does not fit is lost and counted, the wire goes on.
    send(&mut card, &frame([0x88, 0xb5], 9216 + 14 + 100));
    assert_eq!(card.losses().unsent, 1);
    // The interface goes, the wire ends with an error, once.
    ip("link del card");
    let start = Instant::now();
    let error = loop {
        match card.receive() {
            Err(error) => break error,
            Ok(_) => assert!(start.elapsed() < PATIENCE),
        }
    };
    assert!(matches!(error, WireError::Interface { .. }), "{error}");
    assert!(card.is_exhausted() && card.poll_fd().is_none());
    assert!(
        PacketSocket::open("card")
            .unwrap_err()
            .to_string()
            .contains("ip link add")
    );
}
