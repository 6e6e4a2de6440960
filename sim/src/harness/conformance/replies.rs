//! What the card answers of itself (`CARD.md` 4 and 5): too-big errors, echo replies, their limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guideway_hdl::tables::{
    BackendEntry, Encap, MissPolicy, NextHopEntry, Table, VipEntry, VipMatch, VipPrefix,
};
use guideway_hdl::verdict::Disposition;

use super::super::frame::{PacketSpec, ip_frame, tagged};
use super::super::icmp::{echo_frame, error_frame, reversed};
use super::super::{HarnessError, TestHost};
use super::prefixes::prefix;
use super::{
    BACKEND, Check, MAC, POOL, VIP, backend, balance, client_v6, count, flow, holds, packet, same,
    sent,
};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a client is told what fits",
        run: too_big,
    },
    Check {
        name: "nobody is told who may not be",
        run: untold,
    },
    Check {
        name: "echo requests to a VIP are answered",
        run: echo,
    },
    Check {
        name: "each address of a VIP's prefix answers echo requests",
        run: echo_in_prefix,
    },
    Check {
        name: "answers are limited",
        run: limits,
    },
];

const OUTER: [u8; 4] = [0x88, 0xa8, 0x60, 0x01];
const INNER: [u8; 4] = [0x81, 0x00, 0x00, 0x2a];
const TAGS: [[u8; 4]; 2] = [OUTER, INNER];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
/// Answers enough for a check.
const MANY: u32 = 1000 << 16;

fn counted(host: &mut TestHost<'_>, disposition: Disposition) -> Result<u64, HarnessError> {
    count(host, disposition.raw())
}

/// Sums to all ones with its checksum in it (RFC 1071).
fn verifies(parts: &[&[u8]]) -> bool {
    let all = parts.concat();
    let mut sum: u32 = (all.chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// The VIP with this MTU, which answers echo requests.
fn vip(host: &mut TestHost<'_>, mtu: u16) -> Result<(), HarnessError> {
    let entry = VipEntry {
        pool: POOL,
        miss_policy: MissPolicy::Stateless.raw(),
        mtu,
        echo: true,
        ..VipEntry::default()
    };
    host.set_vip(VIP, &entry)
}

/// The error about a frame of which `tags` bytes are tags: from its bytes back to what RFC 1191 and RFC 4443 3.2 ask for.
fn check_error(answer: &[u8], frame: &[u8], tags: usize, mtu: u16) -> Result<(), HarnessError> {
    let (ip, received) = (&answer[14 + tags..], &frame[14 + tags..]);
    let addresses = [&frame[6..12], &frame[..6], &frame[12..14 + tags]].concat();
    same("Ethernet", &answer[..14 + tags].to_vec(), &addresses)?;
    let mtu = mtu.to_be_bytes();
    if received[0] >> 4 == 4 {
        let quote = &received[..received.len().min(84)];
        let length = (28 + quote.len() as u16).to_be_bytes();
        let header = [&[0x45, 0], length.as_slice(), &[0, 0, 0, 0, 64, 1]].concat();
        same("IPv4", &ip[..10].to_vec(), &header)?;
        let swapped = [&received[16..20], &received[12..16]].concat();
        same("addresses", &ip[12..20].to_vec(), &swapped)?;
        holds("the header's checksum", verifies(&[&ip[..20]]))?;
        same("type, code", &ip[20..22].to_vec(), &vec![3, 4])?;
        let rest = [&[0, 0], mtu.as_slice(), quote].concat();
        same("MTU, what is sent back", &ip[24..].to_vec(), &rest)?;
        return holds("the checksum", verifies(&[&ip[20..]]));
    }
    let quote = &received[..received.len().min(248)];
    let length = (8 + quote.len() as u16).to_be_bytes();
    let header = [&[0x60, 0, 0, 0], length.as_slice(), &[58, 64]].concat();
    same("IPv6", &ip[..8].to_vec(), &header)?;
    let swapped = [&received[24..40], &received[8..24]].concat();
    same("addresses", &ip[8..40].to_vec(), &swapped)?;
    same("type, code", &ip[40..42].to_vec(), &vec![2, 0])?;
    let rest = [&[0, 0], mtu.as_slice(), quote].concat();
    same("MTU, what is sent back", &ip[44..].to_vec(), &rest)?;
    let pseudo = [&length[..], &[0, 58]].concat();
    holds("the checksum", verifies(&[&ip[8..40], &pseudo, &ip[40..]]))
}

fn too_big(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.write(at::ICMP_LIMIT, MANY);
    host.install(&flow(4000), 2, 1)?;
    // the next hop's tags are for backends
    let next_hop = NextHopEntry {
        vlan_mode: 2,
        vlan: 7,
        ..NextHopEntry::default()
    };
    host.set_next_hop(0, &next_hop)?;
    let v6 = client_v6(host)?;
    let ways = [
        (Encap::Ipip, false, 20),
        (Encap::Ipip, true, 40),
        (Encap::Gre, false, 24),
        (Encap::Gue, true, 48),
        (Encap::L2, false, 0),
    ];
    let mut told = 0;
    for (i, (encap, ipv6, added)) in ways.into_iter().enumerate() {
        let entry = BackendEntry {
            encap: encap.raw(),
            ipv6,
            ..backend()
        };
        host.set_backend(BACKEND, &entry)?;
        for (mtu, over) in [
            (1500, 1),
            (1500, 400),
            (1499, 1),
            (100, 1),
            (180, 3),
            (89, 2),
        ] {
            vip(host, mtu)?;
            for spec in [&packet(4000), &v6] {
                let headers = if spec.source.is_ipv6() { 60 } else { 40 };
                let fits = mtu - added;
                let Some(payload) = usize::from(fits + over).checked_sub(headers) else {
                    continue; // its headers alone are too long
                };
                // bytes that differ, so that a sum over others shows
                let payload = (0..payload).map(|n| (n * 7 + n / 64) as u8).collect();
                let spec = PacketSpec {
                    payload,
                    ..spec.clone()
                };
                let tags = &TAGS[..i % 3];
                let mut frame = tagged(&spec.frame(), tags);
                let answers = sent(host, &frame)?;
                same("answers", &answers.len(), &1)?;
                check_error(&answers[0], &frame, 4 * tags.len(), fits)?;
                // padding is not of the packet
                frame.extend([0xee; 5]);
                same("padded", &sent(host, &frame)?, &answers)?;
                told += 2;
            }
        }
    }
    same("told", &counted(host, Disposition::ForwardTooBig)?, &told)?;
    let backends = host.table_counters(Table::BackendCounter)?;
    same("the backend's", &backends[usize::from(BACKEND)].packets, &0)?;
    let vips = host.table_counters(Table::VipCounter)?;
    same("the VIP's", &vips[usize::from(VIP)].packets, &told)?;
    host.check_conservation()
}

fn untold(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    let v6 = client_v6(host)?;
    let big = PacketSpec {
        payload: vec![0x5a; 1500],
        ..packet(4000)
    };
    let from = |source: [u8; 4]| {
        let spec = PacketSpec {
            source: source.into(),
            ..big.clone()
        };
        spec.frame()
    };
    let from_v6 = |source: u128| {
        let spec = PacketSpec {
            source: Ipv6Addr::from(source).into(),
            payload: vec![0x5a; 1500],
            ..v6.clone()
        };
        spec.frame()
    };
    let mut fragmentable = big.frame();
    fragmentable[20] = 0;
    // without a limit nobody is told
    same("by default", &sent(host, &big.frame())?.len(), &0)?;
    host.write(at::ICMP_LIMIT, MANY);
    let error = reversed(&big).frame();
    let frames = [
        fragmentable,
        error_frame(&big, [192, 0, 2, 77].into(), 3, &error[14..]),
        from([127, 0, 0, 1]),
        from([0, 0, 0, 1]),
        from([224, 0, 0, 1]),
        from([255, 255, 255, 255]),
        from_v6(0),
        from_v6(1),
        from_v6(0xff02 << 112 | 1),
    ];
    for frame in &frames {
        same("frames sent", &sent(host, frame)?.len(), &0)?;
    }
    let dropped = counted(host, Disposition::DropTooBig)?;
    same("drops", &dropped, &(frames.len() as u64 + 1))?;
    for frame in [from([223, 255, 255, 255]), from([126, 0, 0, 1]), from_v6(2)] {
        same("answers", &sent(host, &frame)?.len(), &1)?;
    }
    host.check_conservation()
}

/// The VIP's addresses answer echo requests.
fn answering(host: &mut TestHost<'_>) -> Result<[PacketSpec; 2], HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    let v6 = client_v6(host)?;
    vip(host, 1500)?;
    for (protocol, ipv6, address) in [(1, false, 0x0ac8_0101), (58, true, 0xfc00 << 112 | 1)] {
        host.add_match(&VipMatch {
            port: 0,
            protocol,
            ipv6,
            address,
            valid: true,
            vip: VIP,
        })?;
    }
    Ok([packet(4000), v6])
}

fn echo(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let specs = answering(host)?;
    let request = |spec: &PacketSpec, bytes: usize| {
        let message: Vec<u8> = (0..bytes).map(|n| (n * 5 + n / 100) as u8).collect();
        echo_frame(spec, &message)
    };
    same("by default", &sent(host, &request(&specs[0], 8))?.len(), &0)?;
    host.write(at::ICMP_LIMIT + 4, MANY);
    let mut answered = 0;
    for spec in &specs {
        for bytes in [4, 5, 22, 56, 64, 100, 1476, 8900] {
            for tags in 0..=2 {
                let mut spec = spec.clone();
                spec.traffic_class = 0xb8;
                let frame = tagged(&request(&spec, bytes), &TAGS[..tags]);
                let padded = [frame.clone(), vec![0xee; 7]].concat();
                let answers = sent(host, &padded)?;
                same("answers", &answers.len(), &1)?;
                check_echo(&answers[0], &frame, 4 * tags)?;
                answered += 1;
            }
        }
    }
    let replies = counted(host, Disposition::ForwardEcho)?;
    same("replies", &replies, &answered)?;
    let vips = host.table_counters(Table::VipCounter)?;
    same("the VIP's", &vips[usize::from(VIP)].packets, &answered)?;
    // what is no plain echo request, or for no VIP, is the host's
    let spec = &specs[0];
    let message = request(spec, 8)[34..].to_vec();
    let with = |at: usize, byte: u8| {
        let mut frame = request(spec, 8);
        frame[at] = byte;
        frame
    };
    let others = [
        with(33, 9),
        with(34, 0),
        with(35, 1),
        with(17, 27),
        ip_frame(spec, 1, &[1; 4], &message),
        ip_frame(
            &specs[1],
            60,
            &[58, 0, 1, 4, 0, 0, 0, 0],
            &request(&specs[1], 8)[54..],
        ),
    ];
    for frame in &others {
        same("frames sent", &sent(host, frame)?.len(), &0)?;
    }
    let passed = counted(host, Disposition::HostUnsupported)?;
    same("to the host", &passed, &(others.len() as u64 + 1))?;
    let entry = VipEntry {
        pool: POOL,
        mtu: 1500,
        ..VipEntry::default()
    };
    host.set_vip(VIP, &entry)?;
    same("a silent VIP", &sent(host, &request(spec, 8))?.len(), &0)?;
    host.check_conservation()
}

fn echo_in_prefix(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let [v4, v6] = answering(host)?;
    host.write(at::ICMP_LIMIT + 4, MANY);
    let prefixes = [
        (1, prefix("10.9.0.0", 16, 0)),
        (58, prefix("fd09::", 64, 0)),
    ];
    for (index, (protocol, prefix)) in prefixes.into_iter().enumerate() {
        host.set_prefix(
            index,
            &VipPrefix {
                protocol,
                vip: VIP,
                ..prefix
            },
        )?;
    }
    let destinations: [(&PacketSpec, IpAddr, usize); 6] = [
        (&v4, Ipv4Addr::new(10, 9, 0, 0).into(), 1),
        (&v4, Ipv4Addr::new(10, 9, 77, 1).into(), 1),
        (&v4, Ipv4Addr::new(10, 10, 0, 0).into(), 0),
        (&v6, Ipv6Addr::from(0xfd09 << 112 | 1).into(), 1),
        (&v6, Ipv6Addr::from(0xfd09 << 112 | 1 << 63).into(), 1),
        (&v6, Ipv6Addr::from(0xfd09 << 112 | 1 << 64).into(), 0),
    ];
    for (spec, destination, answered) in destinations {
        let spec = PacketSpec {
            destination,
            ..spec.clone()
        };
        let frame = echo_frame(&spec, b"which of them?");
        let answers = sent(host, &frame)?;
        same(
            &format!("answers of {destination}"),
            &answers.len(),
            &answered,
        )?;
        for answer in &answers {
            check_echo(answer, &frame, 0)?;
        }
    }
    host.check_conservation()
}

/// The reply to a request of which `tags` bytes are tags.
fn check_echo(answer: &[u8], frame: &[u8], tags: usize) -> Result<(), HarnessError> {
    let ip = 14 + tags;
    same("length", &answer.len(), &frame.len())?;
    let mut expected = [&CLIENT_MAC, &MAC, &frame[12..]].concat();
    let (first, last, icmp) = if frame[ip] >> 4 == 4 {
        expected[ip + 8] = 64;
        (ip + 12, ip + 16, ip + 20)
    } else {
        expected[ip + 7] = 64;
        (ip + 8, ip + 24, ip + 40)
    };
    expected[first..last].copy_from_slice(&frame[last..icmp]);
    expected[last..icmp].copy_from_slice(&frame[first..last]);
    expected[icmp] = if first == ip + 12 { 0 } else { 129 };
    // both checksums are what verifies
    expected[icmp + 2..icmp + 4].copy_from_slice(&answer[icmp + 2..icmp + 4]);
    if first == ip + 12 {
        expected[ip + 10..ip + 12].copy_from_slice(&answer[ip + 10..ip + 12]);
        holds("the header's checksum", verifies(&[&answer[ip..icmp]]))?;
        holds("the checksum", verifies(&[&answer[icmp..]]))?;
    } else {
        let length = ((answer.len() - icmp) as u16).to_be_bytes();
        let pseudo = [&answer[first..icmp], &length, &[0, 58]].concat();
        holds("the checksum", verifies(&[&pseudo, &answer[icmp..]]))?;
    }
    same("the reply", &answer.to_vec(), &expected)
}

fn limits(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let [v4, _] = answering(host)?;
    let big = PacketSpec {
        payload: vec![0x5a; 1500],
        ..v4.clone()
    };
    for (register, frame) in [(0, big.frame()), (4, echo_frame(&v4, b"abcd"))] {
        let mut expected = counted(host, Disposition::DropIcmpLimited)?;
        // two a millisecond, three at once
        host.write(at::ICMP_LIMIT + register, 3 << 16 | 2);
        for (micros, admitted) in [
            (0, 3),
            (0, 0),
            (499, 0),
            (1, 1),
            (1200, 2),
            (299, 0),
            (1, 1),
        ] {
            host.pass_time(micros)?;
            for _ in 0..5 {
                host.push(frame.clone(), false);
            }
            host.settle()?;
            let what = format!("after {micros} us");
            same(&what, &host.take_sent().len(), &admitted)?;
            expected += 5 - admitted as u64;
            let limited = counted(host, Disposition::DropIcmpLimited)?;
            same("limited", &limited, &expected)?;
        }
        host.pass_time(10_000_000)?;
        for _ in 0..5 {
            host.push(frame.clone(), false);
        }
        host.settle()?;
        same("the burst", &host.take_sent().len(), &3)?;
        host.write(at::ICMP_LIMIT + register, 3 << 16);
        host.pass_time(1_000_000)?;
        for _ in 0..5 {
            host.push(frame.clone(), false);
        }
        host.settle()?;
        same("filled by the write", &host.take_sent().len(), &3)?;
    }
    host.check_conservation()
}
