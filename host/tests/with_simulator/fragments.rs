//! Fragments in any order, ICMP errors and echo requests in replays: what is of a flow reaches its backend, the rest has one named end.
//!
//! The frames are cut and made here by what the RFCs say, and the backend is told by the ring and Katran's hash.

use super::*;

/// VIPs: address, port of the packets, keys, the destination port that the hash counts.
const VIPS: [(&str, u16, &str, u16); 4] = [
    ("10.200.1.1", 53, "port = 53\necho = true", 53),
    ("2001:db8::1", 443, "port = 443\necho = true", 443),
    ("10.200.2.2", 53, "port = 53\non_miss = \"stateless\"", 53),
    ("10.200.3.0/24", 99, "port = 0", 0),
];

fn folder(extra: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = config("sim", BACKENDS);
    let mut text = base[..base.find("[[vip]]").unwrap()].replace(
        "[[node.next_hop]]",
        &format!("[node]\nmtu = 1560\n{extra}\n[[node.next_hop]]"),
    );
    for (i, (address, _, keys, _)) in VIPS.iter().enumerate() {
        text += &format!(
            "[[vip]]\nname = \"v{i}\"\naddress = \"{address}\"\nprotocol = \"udp\"\npool = \"web\"\n{keys}\n"
        );
    }
    std::fs::write(folder.path().join("lb.toml"), text).unwrap();
    folder
}

fn vip(i: usize) -> IpAddr {
    match i {
        3 => "10.200.3.77".parse().unwrap(),
        _ => VIPS[i].0.parse().unwrap(),
    }
}

fn client(v6: bool, n: u8) -> IpAddr {
    if v6 {
        format!("2001:db8:ffff::{n:x}").parse().unwrap()
    } else {
        [192, 0, 2, n].into()
    }
}

fn port(n: u8) -> u16 {
    1024 + 7 * u16::from(n)
}

/// The backend of a client's flow to VIP `i`.
fn backend(i: usize, n: u8) -> IpAddr {
    let hash = flow_hash::of(client(vip(i).is_ipv6(), n), port(n), VIPS[i].3);
    backend_of_hash(hash)
}

const ETHERNET: ([u8; 6], [u8; 6]) = ([2; 6], [2, 0, 0, 0, 0, 1]);

/// A client's datagram to VIP `i`, whole.
fn datagram(i: usize, n: u8, bytes: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..bytes).map(|b| (b / 8) as u8 ^ n).collect();
    let mut frame = Vec::new();
    let ethernet = PacketBuilder::ethernet2(ETHERNET.0, ETHERNET.1);
    match (client(vip(i).is_ipv6(), n), vip(i)) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        _ => unreachable!(),
    }
    .udp(port(n), VIPS[i].1)
    .write(&mut frame, &payload)
    .unwrap();
    frame
}

/// The fragments of a frame, in order, each with at most `data` bytes of it (RFC 791 3.2, RFC 8200 4.5).
fn cut(frame: &[u8], data: usize, identification: u16) -> Vec<Vec<u8>> {
    let v6 = frame[12..14] == [0x86, 0xdd];
    let header = if v6 { 54 } else { 34 };
    let parts: Vec<&[u8]> = frame[header..].chunks(data).collect();
    let count = parts.len();
    let fragment = |(i, part): (usize, &&[u8])| {
        let more = i + 1 < count;
        let offset = (i * data) as u16;
        let mut out = frame[..header].to_vec();
        if v6 {
            out[18..20].copy_from_slice(&(part.len() as u16 + 8).to_be_bytes());
            let next = std::mem::replace(&mut out[20], 44);
            out.extend([next, 0]);
            out.extend((offset | u16::from(more)).to_be_bytes());
            out.extend((0x0abc_0000 | u32::from(identification)).to_be_bytes());
        } else {
            out[16..18].copy_from_slice(&(part.len() as u16 + 20).to_be_bytes());
            out[18..20].copy_from_slice(&identification.to_be_bytes());
            out[20..22].copy_from_slice(&(offset / 8 + 0x2000 * u16::from(more)).to_be_bytes());
        }
        out.extend_from_slice(part);
        out
    };
    parts.iter().enumerate().map(fragment).collect()
}

/// Every frame that left: the backend's address and the client's packet.
fn left(folder: &Path) -> Vec<(IpAddr, Vec<u8>)> {
    let outer = |frame: Vec<u8>| {
        assert_eq!(frame[12..15], [8, 0, 0x45], "{frame:02x?}");
        let to = <[u8; 4]>::try_from(&frame[30..34]).unwrap();
        (to.into(), frame[34..].to_vec())
    };
    read_pcap(&folder.join("out1"))
        .into_iter()
        .map(outer)
        .collect()
}

#[test]
fn fragments_in_any_order_reach_their_flow_s_backend() {
    if is_missing() {
        return;
    }
    for (policy, extra) in [("as configured", ""), ("ring", "compute_only = true")] {
        let folder = folder(extra);
        let (mut frames, mut expected, mut count) = (Vec::new(), Vec::new(), 0);
        let orders: [&[usize]; 6] = [
            &[2, 1, 0],
            &[0, 1, 2],
            &[1, 0, 2],
            &[2, 0, 1, 1],
            &[0, 2, 1, 0],
            &[1, 2, 0],
        ];
        for i in 0..VIPS.len() {
            for n in 0..18u8 {
                let whole = datagram(i, n, 100);
                let parts = cut(&datagram(i, n, 4000), 1400, u16::from(n / 2) + 7);
                assert_eq!(parts.len(), 3);
                let mut sent: Vec<Vec<u8>> = (orders[usize::from(n) % 6].iter())
                    .map(|&at| parts[at].clone())
                    .collect();
                count += sent.len() as u64;
                // the card knows the flow before the fragments come, or only afterwards
                sent.insert(if n % 2 == 0 { 0 } else { sent.len() }, whole);
                expected.extend(
                    sent.iter()
                        .map(|frame| (backend(i, n), frame[14..].to_vec())),
                );
                frames.extend(sent);
            }
        }
        write_pcap(&folder.path().join("in.pcap"), &frames);
        let first = replay(folder.path(), 1, "step");
        let second = replay(folder.path(), 2, "step");
        assert_eq!(first.2, second.2, "{policy}: statistics differ");
        assert!(first.0 == second.0, "{policy}: what left differs");
        let (_, _, stats) = first;
        let host = &stats["host"]["fragments"];
        assert!(stats["dispositions"]["forward_inject"].as_u64() >= Some(count));
        let mut out = left(folder.path());
        assert_eq!(out.len(), frames.len(), "{policy}: {stats}");
        out.sort();
        expected.sort();
        for (out, expected) in out.iter().zip(&expected) {
            assert!(
                out == expected,
                "{policy}: {out:02x?} is not {expected:02x?}"
            );
        }
        assert_eq!(
            (&host["sent"], &host["held"]),
            (&count.into(), &0.into()),
            "{policy}: {host}"
        );
        assert_eq!(host["waited"], 4 * 18, "{host}");
        // of punting VIPs each flow is recorded once, whoever came first; of others none
        let recorded = if extra.is_empty() { 3 * 18 } else { 0 };
        assert_eq!(stats["host"]["connections"], recorded, "{policy}");
        assert_eq!(stats["host"]["installs"], recorded, "{policy}");
        assert_eq!(stats["host"]["refused"], 0);
    }
}

#[test]
fn fragments_of_nobody_have_a_named_end() {
    if is_missing() {
        return;
    }
    let folder = folder("");
    let parts = |i, n| cut(&datagram(i, n, 4000), 1400, 1);
    let mut elsewhere = parts(0, 1);
    let mut other_port = parts(0, 2);
    let mut icmp = parts(0, 3);
    for frame in &mut elsewhere {
        frame[33] = 9; // 10.200.1.9
    }
    other_port[0][37] = 54;
    for frame in &mut icmp {
        frame[23] = 1;
    }
    let mut short = parts(0, 4).swap_remove(0);
    short.truncate(34 + 1399);
    short[16..18].copy_from_slice(&1419_u16.to_be_bytes());
    let lonely = parts(0, 5).split_off(1);
    let frames: Vec<Vec<u8>> = [elsewhere, other_port, icmp, vec![short], lonely].concat();
    write_pcap(&folder.path().join("in.pcap"), &frames);
    let (_, _, stats) = replay(folder.path(), 1, "step");
    let host = &stats["host"]["fragments"];
    for (name, count) in [
        ("received", 12),
        ("sent", 0),
        ("passed_on", 9),
        ("malformed", 1),
        ("held", 2),
        ("waited", 2),
    ] {
        assert_eq!(host[name], count, "{name}: {host}");
    }
    assert_eq!(left(folder.path()), []);
    let given = read_pcap(&folder.path().join("host1"));
    assert_eq!(given, frames[..9]);
}

/// An ICMP error of a router about the answer of VIP `i` to a client, of which `inner` bytes come back; `headers` stand behind the inner
/// IPv6 header.
fn error((kind, code): (u8, u8), i: usize, n: u8, inner: usize, headers: &[u8]) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(ETHERNET.0, ETHERNET.1);
    let (mut answer, mut frame) = (Vec::new(), Vec::new());
    let word = [0, 0, 5, 100];
    match (client(vip(i).is_ipv6(), n), vip(i)) {
        (IpAddr::V4(to), IpAddr::V4(from)) => {
            let builder = PacketBuilder::ipv4(from.octets(), to.octets(), 64);
            let builder = builder.udp(VIPS[i].1, port(n));
            builder.write(&mut answer, &[9; 30]).unwrap();
            let builder = ethernet.ipv4([172, 31, 0, n], from.octets(), 60);
            let builder = builder.icmpv4_raw(kind, code, word);
            builder.write(&mut frame, &answer[..20 + inner]).unwrap();
        }
        (IpAddr::V6(to), IpAddr::V6(from)) => {
            let builder = PacketBuilder::ipv6(from.octets(), to.octets(), 64);
            let builder = builder.udp(VIPS[i].1, port(n));
            builder.write(&mut answer, &[9; 30]).unwrap();
            if !headers.is_empty() {
                answer[6] = 60;
                answer.splice(40..40, headers.iter().copied());
            }
            let router = [0x20, 1, 0xd, 0xb8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n];
            let builder = ethernet.ipv6(router, from.octets(), 60);
            let builder = builder.icmpv6_raw(kind, code, word);
            let inner = 40 + headers.len() + inner;
            builder.write(&mut frame, &answer[..inner]).unwrap();
        }
        _ => unreachable!(),
    }
    frame
}

#[test]
fn errors_follow_the_flow_that_they_are_about() {
    if is_missing() {
        return;
    }
    let folder = folder("");
    let (mut frames, mut expected) = (Vec::new(), Vec::new());
    // by host (punt) and by card (stateless); about flows that nobody knows, and after their first packet; nothing is recorded by an error
    for i in 0..VIPS.len() {
        let kinds: &[(u8, u8)] = match vip(i) {
            IpAddr::V4(_) => &[(3, 1), (3, 4), (11, 0), (12, 0)],
            IpAddr::V6(_) => &[(1, 3), (2, 0), (3, 0), (4, 1)],
        };
        for n in 0..12u8 {
            let kind = kinds[usize::from(n) % 4];
            let mut sent = vec![error(kind, i, n, 8, &[]), error(kind, i, n, 12, &[])];
            if n % 3 == 0 {
                sent.insert(1, datagram(i, n, 50));
            }
            if vip(i).is_ipv6() {
                // behind headers that the card does not walk in an inner packet: destination options, and a first fragment
                let options = [17, 0, 1, 4, 0, 0, 0, 0];
                let first = [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 5];
                sent.push(error(kind, i, n, 8, &options));
                sent.push(error(kind, i, n, 8, &first));
            }
            expected.extend(
                sent.iter()
                    .map(|frame| (backend(i, n), frame[14..].to_vec())),
            );
            frames.extend(sent);
        }
    }
    // another host's packet, a later fragment, and one for no VIP: to the host's network
    let mut foreign = error((3, 1), 0, 1, 8, &[]);
    foreign[34 + 8 + 15] ^= 0x40;
    let mut later = error((3, 1), 0, 1, 8, &[]);
    later[34 + 8 + 7] = 5;
    let mut nobody = error((3, 1), 0, 1, 8, &[]);
    nobody[34 + 8 + 20 + 1] ^= 1;
    let unsent = [foreign, later, nobody];
    frames.extend(unsent.clone());
    write_pcap(&folder.path().join("in.pcap"), &frames);
    let (_, _, stats) = replay(folder.path(), 1, "step");
    let mut out = left(folder.path());
    assert_eq!(out.len(), expected.len(), "{stats}");
    out.sort();
    expected.sort();
    assert!(out == expected);
    let host = &stats["host"]["icmp_errors"];
    // of the errors to punting VIPs: those about unknown flows, and those that the card cannot read
    let unknown = 3 * (8 * 2 + 4);
    for (name, count) in [
        ("received", unknown + 24 + 3),
        ("sent", unknown + 24),
        ("foreign", 1),
        ("no_ports", 1),
        ("no_vip", 1),
        ("no_backend", 0),
    ] {
        assert_eq!(host[name], count, "{name}: {host}");
    }
    assert_eq!(stats["host"]["connections"], 3 * 4);
    assert_eq!(read_pcap(&folder.path().join("host1")), unsent);
}

/// The host's answer to a miss is dropped when it is too big to be encapsulated; the card knows the flow by then, and tells its next packet.
#[test]
fn a_client_is_told_at_the_second_packet_that_is_too_big() {
    if is_missing() {
        return;
    }
    let folder = folder("");
    let mut frames = Vec::new();
    for i in [0, 1] {
        let mut frame = datagram(i, 1, 1517); // with IPIP above 1560 bytes
        if i == 0 {
            frame[20] |= 0x40; // don't fragment
        }
        frames.extend([frame.clone(), frame]);
    }
    write_pcap(&folder.path().join("in.pcap"), &frames);
    let (_, _, stats) = replay(folder.path(), 1, "step");
    let ends = &stats["dispositions"];
    for (name, count) in [
        ("host_punt", 2),
        ("drop_too_big", 2),
        ("forward_too_big", 2),
    ] {
        assert_eq!(ends[name], count, "{name}: {ends}");
    }
    let told = read_pcap(&folder.path().join("out1"));
    assert_eq!(told.len(), 2);
    // RFC 1191, RFC 4443 3.2: to the client, with what fits beside an outer IPv4 header
    assert_eq!(told[0][30..36], [192, 0, 2, 1, 3, 4]);
    assert_eq!(told[0][40..42], 1540_u16.to_be_bytes());
    assert_eq!(told[1][54..56], [2, 0]);
    assert_eq!(told[1][58..62], 1540_u32.to_be_bytes());
}

#[test]
fn echo_requests_are_answered_where_a_vip_says_so() {
    if is_missing() {
        return;
    }
    let folder = folder("icmp_limit = { echo = { rate = 1, burst = 5 } }");
    let request = |i: usize| {
        let mut frame = Vec::new();
        let ethernet = PacketBuilder::ethernet2(ETHERNET.0, ETHERNET.1);
        match (client(vip(i).is_ipv6(), 1), vip(i)) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet
                .ipv4(from.octets(), to.octets(), 60)
                .icmpv4_echo_request(77, 3)
                .write(&mut frame, &[5; 40])
                .unwrap(),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet
                .ipv6(from.octets(), to.octets(), 60)
                .icmpv6_echo_request(77, 3)
                .write(&mut frame, &[5; 40])
                .unwrap(),
            _ => unreachable!(),
        }
        frame
    };
    let frames: Vec<_> = (0..4).map(request).collect();
    write_pcap(&folder.path().join("in.pcap"), &frames);
    let (_, _, stats) = replay(folder.path(), 1, "step");
    assert_eq!(stats["dispositions"]["forward_echo"], 2, "{stats}");
    assert_eq!(stats["dispositions"]["host_unsupported"], 2, "{stats}");
    for (vip, packets) in [(0, 1), (1, 1), (2, 0), (3, 0)] {
        assert_eq!(stats["vips"][vip]["packets"], packets, "VIP {vip}");
    }
    let replies = read_pcap(&folder.path().join("out1"));
    assert_eq!(replies.len(), 2);
    // from the VIP to the client, as replies
    assert_eq!((replies[0][34], replies[1][54]), (0, 129));
    assert_eq!(replies[0][26..30], [10, 200, 1, 1]);
    assert_eq!(replies[0][30..34], [192, 0, 2, 1]);
}
