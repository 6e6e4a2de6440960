//! Frames with tags, IPv4 options and IPv6 extension headers (`CARD.md` 2 and 5).

use guideway_hdl::descriptors::{TxDescriptor, TxOp};
use guideway_hdl::tables::{MissPolicy, NextHopEntry, VipMatch};
use guideway_hdl::verdict::Disposition;

use super::super::frame::{PacketSpec, ip_frame, tagged};
use super::super::{HarnessError, TestHost};
use super::{BACKEND, Check, GENERATION, VIP, balance, flow, packet, same};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "tags are kept, removed or set",
        run: tags,
    },
    Check {
        name: "a tagged punt comes and goes unchanged",
        run: tagged_punt,
    },
    Check {
        name: "options are forwarded as they are",
        run: options,
    },
    Check {
        name: "extension headers are walked within the window",
        run: extensions,
    },
    Check {
        name: "chains beyond the window and lying ones have a name",
        run: hostile_chains,
    },
];

const OUTER: [u8; 4] = [0x88, 0xa8, 0x60, 0x01];
const INNER: [u8; 4] = [0x81, 0x00, 0x00, 0x2a];
/// Destination and source of the frames that leave: the next hop has no source of its own.
const ADDRESSES: [u8; 12] = [0, 0, 0xde, 0xad, 0xbe, 0xaf, 2, 0, 0, 0, 0, 1];

/// The outer packet of [`packet`] with source port 4000: an IPIP header over an IP packet of 45 bytes.
fn outer_packet(inner: &[u8]) -> Vec<u8> {
    let mut expected = vec![8, 0];
    expected.extend([0x45, 0, 0, 65, 0, 0, 0, 0, 64, 4, 0x23, 0x9a]);
    expected.extend([172, 16, 1 ^ 0xa0, 1 ^ 0x0f, 10, 0, 0, 1]);
    expected.extend(inner);
    expected
}

fn count(host: &mut TestHost<'_>, disposition: Disposition) -> Result<u64, HarnessError> {
    Ok(host.counters()?[usize::from(disposition.raw())])
}

fn tags(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.install(&flow(4000), 2, 1)?;
    let plain = packet(4000).frame();
    let set = [0x81, 0, 0xb0, 0x07];
    let received: [&[[u8; 4]]; 4] = [&[], &[INNER], &[OUTER, INNER], &[[0x91, 0, 0, 0], INNER]];
    for tags in received {
        for (vlan_mode, leaving) in [(0, tags), (1, &[][..]), (2, &[set][..]), (3, tags)] {
            let next_hop = NextHopEntry {
                destination: 0x0000_dead_beaf,
                vlan_mode,
                vlan: 0xb007,
                ..NextHopEntry::default()
            };
            host.set_next_hop(0, &next_hop)?;
            host.push(tagged(&plain, tags), false);
            // padding is not forwarded
            host.push([tagged(&plain, tags), vec![0xee; 9]].concat(), false);
            host.settle()?;
            let rest = outer_packet(&plain[14..]);
            let expected = [&ADDRESSES, leaving.as_flattened(), rest.as_slice()].concat();
            let what = format!("{} tags, mode {vlan_mode}", tags.len());
            same(&what, &host.take_sent(), &vec![expected.clone(), expected])?;
        }
    }
    host.push(tagged(&plain, &[OUTER, OUTER, INNER]), false);
    host.settle()?;
    same(
        "three tags",
        &count(host, Disposition::HostUnsupported)?,
        &1,
    )?;
    host.check_conservation()
}

fn tagged_punt(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, 1_000_000);
    let frame = tagged(&packet(4000).frame(), &[OUTER, INNER]);
    host.push(frame.clone(), false);
    host.settle()?;
    let received = host.receive()?;
    same("frames received", &received.len(), &1)?;
    same("the frame", &received[0].bytes, &frame)?;
    let record = received[0].record;
    same(
        "ports",
        &(record.vip, record.source_port, record.destination_port),
        &(VIP, 4000, 80),
    )?;
    let assign = TxDescriptor {
        op: TxOp::Assign.raw(),
        ends_punt: true,
        vip: VIP,
        backend: BACKEND,
        generation: GENERATION,
        ..TxDescriptor::default()
    };
    host.transmit(assign, &received[0].bytes)?;
    host.settle()?;
    let rest = outer_packet(&frame[22..]);
    let expected = [&ADDRESSES, [OUTER, INNER].as_flattened(), rest.as_slice()].concat();
    same("the frame", &host.take_sent(), &vec![expected])?;
    host.check_conservation()
}

fn options(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.install(&flow(4000), 0, 0)?;
    let spec = packet(4000);
    for words in 1..=10 {
        // a loose source route (RFC 791 3.1) is nothing to the card, whatever it says
        let mut options = vec![1; 4 * words];
        options[0] = 131;
        let frame = ip_frame(&spec, 6, &options, &spec.transport());
        host.push(tagged(&frame, &[OUTER, INNER][..words % 3]), false);
        host.settle()?;
        let sent = host.take_sent();
        same("frames sent", &sent.len(), &1)?;
        let behind = 34 + 4 * (words % 3);
        same(
            "the inner packet",
            &sent[0][behind..].to_vec(),
            &frame[14..].to_vec(),
        )?;
        // an ICMP error is found behind options too
        let error = ip_frame(&spec, 1, &options, &[3, 4, 0, 0, 0, 0, 5, 0]);
        host.push(error, false);
        host.settle()?;
        same(
            "errors",
            &count(host, Disposition::HostIcmpError)?,
            &(words as u64),
        )?;
    }
    same("hits", &count(host, Disposition::ForwardHit)?, &10)?;
    host.check_conservation()
}

const CLIENT: u128 = 0xfc00 << 112 | 9;
const SERVICE: u128 = 0xfc00 << 112 | 1;

/// A packet to [fc00::1]:80, and the card told that this is the VIP too.
fn balance_ipv6(host: &mut TestHost<'_>) -> Result<PacketSpec, HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    let backend = guideway_hdl::tables::BackendEntry {
        ipv6: true,
        address: 0xfc00 << 112 | 0xb,
        ..super::backend()
    };
    host.set_backend(BACKEND, &backend)?;
    host.add_match(&VipMatch {
        port: 80,
        protocol: 6,
        ipv6: true,
        address: SERVICE,
        valid: true,
        vip: VIP,
    })?;
    Ok(PacketSpec {
        source: std::net::Ipv6Addr::from(CLIENT).into(),
        destination: std::net::Ipv6Addr::from(SERVICE).into(),
        ..packet(4000)
    })
}

/// An extension header of `bytes` bytes.
fn extension(next: u8, bytes: usize) -> Vec<u8> {
    let mut header = vec![0; bytes];
    header[0] = next;
    header[1] = (bytes / 8 - 1) as u8;
    header
}

fn extensions(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let spec = balance_ipv6(host)?;
    let chains: &[(u8, &[Vec<u8>])] = &[
        (6, &[]),
        (0, &[extension(6, 8)]),
        (43, &[extension(6, 24)]),
        (60, &[extension(6, 48)]),
        (0, &[extension(60, 16), extension(6, 16)]),
        (0, &[extension(43, 8), extension(60, 8), extension(6, 32)]),
    ];
    for (i, (first, headers)) in chains.iter().enumerate() {
        let frame = ip_frame(&spec, *first, &headers.concat(), &spec.transport());
        host.push(tagged(&frame, &[INNER][..i % 2]), false);
        host.settle()?;
        let sent = host.take_sent();
        same("frames sent", &sent.len(), &1)?;
        let behind = 54 + 4 * (i % 2);
        same(
            "the inner packet",
            &sent[0][behind..].to_vec(),
            &frame[14..].to_vec(),
        )?;
    }
    host.check_conservation()
}

fn hostile_chains(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    use Disposition::{DropIpv6Malformed, DropL4Malformed, HostFragment, HostUnsupported};
    let spec = balance_ipv6(host)?;
    let mut in_transit = extension(6, 24);
    in_transit[3] = 1;
    let mut beyond = extension(6, 8);
    beyond[1] = 255;
    let cases: &[(u8, Vec<Vec<u8>>, Disposition)] = &[
        (60, vec![extension(6, 56)], HostUnsupported),
        (60, vec![extension(6, 2048)], HostUnsupported),
        (
            60,
            vec![extension(60, 72), extension(6, 8)],
            HostUnsupported,
        ),
        (
            0,
            vec![
                extension(60, 8),
                extension(60, 8),
                extension(60, 8),
                extension(6, 8),
            ],
            HostUnsupported,
        ),
        (0, vec![extension(50, 8)], HostUnsupported),
        (59, vec![], HostUnsupported),
        (43, vec![in_transit], HostUnsupported),
        (0, vec![beyond], DropIpv6Malformed),
        (44, vec![extension(6, 8)], HostFragment),
        (
            60,
            vec![extension(43, 8), extension(44, 8), extension(6, 8)],
            HostFragment,
        ),
    ];
    for (first, headers, expected) in cases {
        let before = count(host, *expected)?;
        host.push(
            ip_frame(&spec, *first, &headers.concat(), &spec.transport()),
            false,
        );
        host.settle()?;
        host.receive()?;
        let what = format!("{} of {first}, {headers:02x?}", expected.name());
        same(&what, &count(host, *expected)?, &(before + 1))?;
    }
    // the payload length cuts the TCP header, then the extension header
    let headers = [extension(60, 8), extension(6, 16)].concat();
    let mut frame = ip_frame(&spec, 0, &headers, &spec.transport());
    for (payload, expected) in [(43, DropL4Malformed), (23, DropIpv6Malformed)] {
        let before = count(host, expected)?;
        frame[19] = payload;
        host.push(frame.clone(), false);
        host.settle()?;
        same("drops", &count(host, expected)?, &(before + 1))?;
    }
    same("frames sent", &host.take_sent().len(), &0)?;
    host.check_conservation()
}
