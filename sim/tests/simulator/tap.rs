//! A TAP interface as the wire, in a network namespace of the test's own: the kernel's network stack is at the other end.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use guideway_sim::card::SentFrame;
use guideway_sim::wire::tap::Tap;
use guideway_sim::wire::{Wire, WireError, WireSpec};

use crate::rig::PATIENCE;
use crate::sandbox::{self, ip};

#[test]
fn a_tap_is_a_wire() {
    sandbox::run("tap::inner", "ip tuntap add dev probe mode tap");
}

/// The station behind the wire, and the kernel's.
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 9];
const KERNEL: [u8; 6] = [2, 0, 0, 0, 0, 8];

fn receive(wire: &mut dyn Wire, matches: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let start = Instant::now();
    loop {
        match wire.receive().unwrap() {
            Some(frame) if matches(&frame.bytes) => return frame.bytes,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(start.elapsed() < PATIENCE, "no such frame came");
    }
}

fn send(wire: &mut dyn Wire, bytes: Vec<u8>) {
    wire.send(&SentFrame {
        bytes,
        first_cycle: 0,
        last_cycle: 0,
    })
    .unwrap();
}

/// A datagram from behind the wire to the kernel.
fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(STATION, KERNEL)
        .ipv4([10, 9, 9, 2], [10, 9, 9, 1], 64)
        .udp(99, port)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

#[test]
#[ignore = "runs in the namespaces of a_tap_is_a_wire"]
fn inner() {
    let mut wire = "tap:card0".parse::<WireSpec>().unwrap().open().unwrap();
    assert!(wire.is_live() && wire.poll_fd().is_some());
    // Down: nothing comes, and what the card sends is lost and counted.
    assert!(wire.receive().unwrap().is_none());
    send(&mut *wire, datagram(1, &[0; 18]));
    assert_eq!(wire.losses().unsent, 1);
    ip("link set card0 address 02:00:00:00:00:08 mtu 9216 addrgenmode none up");
    ip("addr add 10.9.9.1/24 dev card0");
    ip("neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev card0");
    let socket = UdpSocket::bind("10.9.9.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port();
    // Both ways, up to the MTU: the frames are whole, with their checksums, and without anything before or behind them.
    for len in [1, 25, 1472, 9216 - 28] {
        let payload: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        socket.send_to(&payload, "10.9.9.2:99").unwrap();
        let is_ours = |frame: &[u8]| frame.len() > 42 && frame[..6] == STATION && frame[23] == 17;
        let frame = receive(&mut *wire, is_ours);
        assert_eq!(frame[6..14], [&KERNEL[..], &[8, 0]].concat());
        assert_eq!(frame[42..], payload);
        assert!(sandbox::udp_checksum_is_right(&frame), "{frame:02x?}");
        send(&mut *wire, datagram(port, &payload));
        let mut buffer = vec![0; 9300];
        let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..bytes], from.port()), (&payload[..], 99));
    }
    assert_eq!(wire.losses().unsent, 1);
    // A frame that is none is lost and counted, and the wire goes on.
    send(&mut *wire, vec![0; 5]);
    assert_eq!(wire.losses().unsent, 2);
    // Another may not have it, and is told why.
    let error = Tap::open("card0").unwrap_err().to_string();
    assert!(error.contains("another process has it open"), "{error}");
    // The interface goes, the wire ends with an error, once.
    ip("link del card0");
    let start = Instant::now();
    let error = loop {
        match wire.receive() {
            Err(error) => break error,
            Ok(_) => assert!(start.elapsed() < PATIENCE),
        }
    };
    assert!(matches!(error, WireError::Interface { .. }), "{error}");
    assert!(wire.is_exhausted() && wire.poll_fd().is_none());
    assert!(wire.receive().unwrap().is_none());
    // And it vanishes with the wire.
    drop(Tap::open("card1").unwrap());
    let left = std::fs::read_to_string("/proc/net/dev").unwrap();
    assert!(!left.contains("card"), "{left}");
}
