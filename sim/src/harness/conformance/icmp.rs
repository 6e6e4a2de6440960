//! ICMP errors and fragments (`CARD.md` 2 to 5).

use std::net::{IpAddr, Ipv6Addr};

use guideway_hdl::descriptors::{TxDescriptor, TxOp};
use guideway_hdl::tables::{MissPolicy, Table};
use guideway_hdl::verdict::Disposition;

use super::super::frame::{PacketSpec, ip_frame};
use super::super::icmp::{error_frame, message, reversed};
use super::super::{HarnessError, TestHost};
use super::{BACKEND, Check, GENERATION, VIP, balance, client_v6, count, flow, packet, same, sent};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "an ICMP error goes where its flow goes",
        run: known_flow,
    },
    Check {
        name: "an ICMP error of an unknown flow is the host's, then the ring's",
        run: unknown_flow,
    },
    Check {
        name: "an ICMP error that tells no flow is the host's",
        run: unusable,
    },
    Check {
        name: "an ICMPv6 error goes where its flow goes",
        run: ipv6,
    },
    Check {
        name: "the host sends on fragments and ICMP errors",
        run: assigned,
    },
];

const ROUTER: [u8; 4] = [192, 0, 2, 77];
/// Outer IPv4 source of the flow from 192.168.1.1:4000 (0x0fa0), and what goes before it.
const SOURCE: [u8; 4] = [172, 16, 1 ^ 0xa0, 1 ^ 0x0f];

/// An error about what the VIP sent to the client at this port: type, and the answer's first bytes behind its Ethernet header.
fn error(port: u16, kind: u8, bytes: usize) -> Vec<u8> {
    let spec = packet(port);
    let answer = reversed(&spec).frame();
    error_frame(&spec, ROUTER.into(), kind, &answer[14..14 + bytes])
}

fn counted(host: &mut TestHost<'_>, disposition: Disposition) -> Result<u64, HarnessError> {
    count(host, disposition.raw())
}

/// The frame left in IPIP from this outer source, unchanged.
fn in_ipip(
    what: &str,
    sent: &[Vec<u8>],
    source: [u8; 4],
    frame: &[u8],
) -> Result<(), HarnessError> {
    same(&format!("{what}: frames sent"), &sent.len(), &1)?;
    let inner = [&source, [10, 0, 0, 1].as_slice(), &frame[14..]].concat();
    same(what, &sent[0][26..].to_vec(), &inner)
}

fn known_flow(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 10_000_000);
    host.install(&flow(4000), 2, 1)?;
    let before = host.dump(Table::Flow, 0, Table::Flow.entries())?;
    host.pass_time(5_000_000)?;
    for (kind, bytes) in [(3, 28), (3, 40), (11, 28), (12, 45)] {
        let frame = error(4000, kind, bytes);
        let what = format!("type {kind}, {bytes} bytes");
        in_ipip(&what, &sent(host, &frame)?, SOURCE, &frame)?;
    }
    same("hits", &counted(host, Disposition::ForwardHit)?, &4)?;
    let after = host.dump(Table::Flow, 0, Table::Flow.entries())?;
    same("the flow's stamp", &(after == before), &true)?;
    // the inner packet behind options of its own, its ports where the window still reaches
    let answer = reversed(&packet(4000));
    for words in 1..=10 {
        let inner = ip_frame(&answer, 6, &vec![1; 4 * words], &answer.transport());
        let frame = error_frame(&packet(4000), ROUTER.into(), 3, &inner[14..]);
        in_ipip("inner options", &sent(host, &frame)?, SOURCE, &frame)?;
    }
    let vips = host.table_counters(Table::VipCounter)?;
    same("the VIP's packets", &vips[usize::from(VIP)].packets, &14)?;
    host.check_conservation()
}

fn unknown_flow(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 1_000_000);
    let frame = error(4000, 3, 28);
    same("frames sent", &sent(host, &frame)?.len(), &0)?;
    let received = host.receive()?;
    same("frames received", &received.len(), &1)?;
    let record = received[0].record;
    same(
        "the disposition",
        &record.disposition,
        &Disposition::HostIcmpError.raw(),
    )?;
    same(
        "the flow",
        &(record.vip_valid, record.vip, record.source),
        &(true, VIP, 0xc0a8_0101),
    )?;
    same(
        "ports, protocol",
        &(record.source_port, record.destination_port, record.protocol),
        &(4000, 80, 6),
    )?;
    same("the ring's backend", &record.ring_backend, &BACKEND)?;
    same("punts outstanding", &host.card.punts_outstanding(), &0)?;
    // the host's answer leaves as the flow's packets do
    assign(host, &received[0].bytes)?;
    in_ipip("assigned", &host.take_sent(), SOURCE, &frame)?;
    host.write(at::CONTROL, 1 | 4);
    in_ipip("compute-only", &sent(host, &frame)?, SOURCE, &frame)?;
    host.write(at::CONTROL, 1);
    host.write(at::HEARTBEAT, 0);
    in_ipip("without host", &sent(host, &frame)?, SOURCE, &frame)?;
    same("ring", &counted(host, Disposition::ForwardRing)?, &2)?;
    host.check_conservation()
}

fn unusable(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.install(&flow(4000), 2, 1)?;
    let good = error(4000, 3, 40);
    let with = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    // the inner packet begins behind Ethernet, IPv4 and 8 bytes of ICMP
    let inner = 14 + 20 + 8;
    let spoiled = [
        ("27 bytes", error(4000, 3, 27)),
        ("none", error(4000, 3, 0)),
        ("version 6", with(inner, 0x65)),
        ("a short header", with(inner, 0x44)),
        ("options that end it", with(inner, 0x49)),
        ("a later fragment", with(inner + 7, 1)),
        ("another protocol", with(inner + 9, 1)),
        ("another sender", with(inner + 15, 2)),
        ("another receiver", with(33, 2)),
        ("no VIP", with(inner + 21, 81)),
    ];
    for (i, (what, frame)) in spoiled.iter().enumerate() {
        same(what, &sent(host, frame)?.len(), &0)?;
        let errors = counted(host, Disposition::HostIcmpError)?;
        same(what, &errors, &(i as u64 + 1))?;
        let received = host.receive()?;
        same(what, &received[0].bytes, frame)?;
        same(what, &received[0].record.vip_valid, &false)?;
    }
    // a first fragment has ports, and other types are no errors
    let first = with(inner + 6, 0x20);
    in_ipip("first fragment", &sent(host, &first)?, SOURCE, &first)?;
    for kind in [0, 4, 5, 8, 13] {
        sent(host, &error(4000, kind, 40))?;
    }
    same(
        "other types",
        &counted(host, Disposition::HostUnsupported)?,
        &5,
    )?;
    host.check_conservation()
}

fn ipv6(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    let router: IpAddr = Ipv6Addr::from(0xfc00 << 112 | 0x7777).into();
    let spec = client_v6(host)?;
    let answer = reversed(&spec).frame();
    let source = [172, 16, 9 ^ 0xa0, 9 ^ 0x0f];
    for (kind, bytes) in [(1, 48), (2, 60), (3, 48), (4, 52)] {
        let frame = error_frame(&spec, router, kind, &answer[14..14 + bytes]);
        in_ipip("ICMPv6", &sent(host, &frame)?, source, &frame)?;
        let short = error_frame(&spec, router, kind, &answer[14..61]);
        same("7 bytes", &sent(host, &short)?.len(), &0)?;
    }
    same("ring", &counted(host, Disposition::ForwardRing)?, &4)?;
    same("host", &counted(host, Disposition::HostIcmpError)?, &4)?;
    // behind an extension header its ports lie beyond the window
    let from = PacketSpec {
        source: router,
        ..spec.clone()
    };
    let header = [vec![58, 2], vec![0; 22]].concat();
    let far = ip_frame(&from, 60, &header, &message(2, 0, &answer[14..]));
    same("beyond the window", &sent(host, &far)?.len(), &0)?;
    same("host", &counted(host, Disposition::HostIcmpError)?, &5)?;
    host.check_conservation()
}

/// Sends a frame to the backend by the host's order.
fn assign(host: &mut TestHost<'_>, frame: &[u8]) -> Result<(), HarnessError> {
    let descriptor = TxDescriptor {
        op: TxOp::Assign.raw(),
        vip: VIP,
        backend: BACKEND,
        generation: GENERATION,
        ..TxDescriptor::default()
    };
    host.transmit(descriptor, frame)?;
    host.settle()
}

fn assigned(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    // every fragment, the first with its ports too, leaves from the client's address alone
    for field in [[0x20, 0], [0x20, 3], [0, 9]] {
        let mut frame = packet(4000).frame();
        frame[20..22].copy_from_slice(&field);
        assign(host, &frame)?;
        in_ipip("fragment", &host.take_sent(), [172, 16, 1, 1], &frame)?;
    }
    let spec = PacketSpec {
        source: Ipv6Addr::from(0xfc00 << 112 | 0x0305).into(),
        destination: Ipv6Addr::from(0xfc00 << 112 | 1).into(),
        ..packet(4000)
    };
    let header = [6, 0, 0, 1, 0, 0, 0, 9];
    let frame = ip_frame(&spec, 44, &header, &spec.transport());
    assign(host, &frame)?;
    in_ipip("IPv6 fragment", &host.take_sent(), [172, 16, 3, 5], &frame)?;
    // an error that tells its flow, and one that does not: its sender stands for the client
    let frame = error(4000, 3, 28);
    assign(host, &frame)?;
    in_ipip("error", &host.take_sent(), SOURCE, &frame)?;
    let frame = error(4000, 3, 27);
    assign(host, &frame)?;
    in_ipip("short error", &host.take_sent(), [172, 16, 2, 77], &frame)?;
    // what is neither stays invalid
    assign(host, &error(4000, 8, 28))?;
    same("frames sent", &host.take_sent().len(), &0)?;
    same(
        "invalid",
        &counted(host, Disposition::DropInjectInvalid)?,
        &1,
    )?;
    host.check_conservation()
}
