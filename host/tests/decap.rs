//! `guideway decap` between two interfaces of a network namespace of the test's own: inner packets of both families reach the local
//! stack out of outer headers of both, and what is hostile reaches nobody.

#![allow(clippy::unwrap_used)] // a test's helpers, too, fail by panicking

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etherparse::{IpNumber, PacketBuilder};
use guideway::decap::packet_socket::PacketSocket;

const NAMESPACES: [&str; 3] = ["--user", "--map-root-user", "--net"];
const PATIENCE: Duration = Duration::from_secs(30);
/// The backend's station.
const BACKEND: [u8; 6] = [2, 0, 0, 0, 0, 8];
const CARD: [u8; 6] = [2, 0, 0, 0, 0, 9];
const VIPS: [&str; 2] = ["10.200.1.1", "fd00:200::1"];

/// Runs `inner` in new namespaces, when the system lets us make them.
#[test]
fn inner_packets_reach_the_local_stack() {
    let possible = Command::new("unshare")
        .args(NAMESPACES)
        .args("ip link add card type veth peer name backend".split(' '))
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no namespaces, no veth or no iproute2 on this machine");
        return;
    }
    let output = Command::new("unshare")
        .args(NAMESPACES)
        .arg(std::env::current_exe().unwrap())
        .args(["inner", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ran = output.status.success() && said.contains("1 passed");
    assert!(ran, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn ip(arguments: &str) {
    let mut command = Command::new("ip");
    let status = command.args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// The command; it does not outlive the test.
struct Decap(Child);

impl Drop for Decap {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client's datagram to a VIP.
fn inner_packet(vip: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = match vip {
        IpAddr::V4(vip) => PacketBuilder::ipv4([192, 0, 2, 1], vip.octets(), 63),
        IpAddr::V6(vip) => PacketBuilder::ipv6([0x20; 16], vip.octets(), 63),
    };
    let mut bytes = Vec::new();
    builder.udp(1024, port).write(&mut bytes, payload).unwrap();
    bytes
}

/// It, encapsulated towards the backend.
fn frame(outer_is_v6: bool, inner: &[u8], protocol: u8) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(CARD, BACKEND);
    let mut bytes = Vec::new();
    let protocol = IpNumber(protocol);
    if outer_is_v6 {
        let builder = builder.ipv6([1; 16], [0xfd; 16], 64);
        builder.write(&mut bytes, protocol, inner).unwrap();
    } else {
        let builder = builder.ipv4([172, 16, 3, 4], [10, 0, 0, 1], 64);
        builder.write(&mut bytes, protocol, inner).unwrap();
    }
    bytes
}

fn protocol(vip: IpAddr) -> u8 {
    if vip.is_ipv6() { 41 } else { 4 }
}

/// What `good` becomes on its way here when somebody means ill.
fn hostile(good: &[u8], outer_is_v6: bool) -> Vec<Vec<u8>> {
    let inner = if outer_is_v6 { 54 } else { 34 };
    let mut frames: Vec<Vec<u8>> = (14..good.len()).map(|cut| good[..cut].to_vec()).collect();
    // the outer length field, the inner version, the inner length field
    let (length, inner_length) = (
        if outer_is_v6 { 18 } else { 16 },
        inner + if good[inner] >> 4 == 6 { 4 } else { 2 },
    );
    for (at, value) in [
        (length, 0xff),
        (length + 1, 0),
        (length + 1, 7),
        (inner, 0),
        (inner, 0x54),
        (inner_length, 0xff),
    ] {
        let mut frame = good.to_vec();
        frame[at] = value;
        frames.push(frame);
    }
    frames.push(vec![0xff; 60]);
    frames
}

#[test]
#[ignore = "runs in the namespaces of inner_packets_reach_the_local_stack"]
fn inner() {
    ip("link set lo up");
    ip("link add card type veth peer name backend");
    ip("link set backend address 02:00:00:00:00:08");
    for end in ["card", "backend"] {
        ip(&format!("link set {end} mtu 9000 addrgenmode none up"));
        let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{end}/rp_filter"), "0");
    }
    for name in ["all", "lo"] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0");
    }
    // the way back to the clients, without which the stack takes their addresses for forged
    ip("route add default dev backend");
    ip("-6 route add default dev backend");
    for vip in VIPS {
        let length = if vip.contains(':') { "128 nodad" } else { "32" };
        ip(&format!("addr add {vip}/{length} dev lo"));
    }
    let mut decap = Decap(
        Command::new(env!("CARGO_BIN_EXE_guideway"))
            .args(["decap", "--interface", "backend"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let card = PacketSocket::sender("card").unwrap();
    for vip in VIPS.map(|vip| vip.parse::<IpAddr>().unwrap()) {
        let socket = UdpSocket::bind(SocketAddr::new(vip, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut buffer = [0; 9000];
        for outer_is_v6 in [false, true] {
            let sent = |payload: &[u8]| {
                frame(
                    outer_is_v6,
                    &inner_packet(vip, port, payload),
                    protocol(vip),
                )
            };
            // the first may come before the command listens
            socket
                .set_read_timeout(Some(Duration::from_millis(100)))
                .unwrap();
            let begun = Instant::now();
            loop {
                card.send(&sent(b"hello")).unwrap();
                if socket.recv(&mut buffer).is_ok() {
                    break;
                }
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{vip}, outer IPv6 {outer_is_v6}"
                );
            }
            while socket.recv(&mut buffer).is_ok() {}
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            // whole, and with the client's address; Ethernet's padding is nobody's
            let long: Vec<u8> = (0..8000).map(|i| (i * 7) as u8).collect();
            for payload in [&b"x"[..], &long] {
                let mut padded = sent(payload);
                padded.extend([0xee; 9]);
                card.send(&padded).unwrap();
                let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
                assert_eq!(&buffer[..bytes], payload);
                assert_eq!((from.ip().is_ipv6(), from.port()), (vip.is_ipv6(), 1024));
            }
            // hostile ones are lost, and the next good one comes first
            for bad in hostile(&sent(b"evil"), outer_is_v6) {
                let _ = card.send(&bad); // some the interface refuses itself
            }
            card.send(&sent(b"good")).unwrap();
            let bytes = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..bytes], b"good");
        }
    }
    assert!(decap.0.try_wait().unwrap().is_none(), "it ended");
    // the interface goes, and the command says so
    ip("link del backend");
    let begun = Instant::now();
    let status = loop {
        match decap.0.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
        assert!(begun.elapsed() < PATIENCE, "it does not end");
    };
    let said = std::io::read_to_string(decap.0.stderr.take().unwrap()).unwrap();
    assert!(!status.success() && said.contains("is gone"), "{said}");
}
