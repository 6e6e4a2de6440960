//! GUE's UDP header: a checksum that is right whatever it covers, and the port.
//!
//! Exact bytes come from an independent implementation (scapy); where there are too many for that, every frame's checksum is
//! verified as a receiver does.

use guideway_hdl::descriptors::{TxDescriptor, TxOp};
use guideway_hdl::tables::{BackendEntry, Encap, NextHopEntry};

use super::super::frame::tagged;
use super::super::random::Random;
use super::super::{HarnessError, TestHost};
use super::encapsulation::{both_families, client_packet, hex, set_mtu, through};
use super::{BACKEND, Check, GENERATION, VIP, holds, same};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "GUE's checksum is right for every length and every tag",
        run: lengths,
    },
    Check {
        name: "GUE's checksum covers what the host injects",
        run: injected,
    },
    Check {
        name: "a checksum of 0 leaves as 0xffff",
        run: zero,
    },
    Check {
        name: "GUE's port is Katran's until the host chooses one",
        run: port,
    },
];

/// Inner and outer family.
const FAMILIES: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

fn gue(outer_v6: bool) -> BackendEntry {
    through(Encap::Gue.raw(), outer_v6, None)
}

fn ones_sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum = bytes.chunks(2).map(word).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// Takes a sent frame apart as a receiver does: it carries this packet, and its checksum verifies. `before` is where its outer
/// IP header begins.
fn verify(sent: &[u8], before: usize, outer_v6: bool, inner: &[u8]) -> Result<(), HarnessError> {
    let (addresses, udp) = if outer_v6 {
        (before + 8..before + 40, before + 40)
    } else {
        (before + 12..before + 20, before + 20)
    };
    let what = format!("{} bytes inside, from byte {udp}", inner.len());
    same(&what, &sent.get(udp + 8..), &Some(inner))?;
    let length = u16::try_from(8 + inner.len()).unwrap_or(0);
    same(&what, &&sent[udp + 4..udp + 6], &&length.to_be_bytes()[..])?;
    holds("the checksum is not 0", sent[udp + 6..udp + 8] != [0, 0])?;
    let mut covered = sent[addresses].to_vec();
    covered.extend([0, 17]);
    covered.extend(length.to_be_bytes());
    covered.extend(&sent[udp..]);
    same(&what, &ones_sum(&covered), &0xffff)
}

/// Frames come back to back; the first one, the longest, finds the card idle and leaves before its sum is stored.
fn lengths(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    both_families(host)?;
    set_mtu(host, 9300)?;
    let random = &mut Random::new(7);
    for (inner_v6, outer_v6) in FAMILIES {
        host.set_backend(BACKEND, &gue(outer_v6))?;
        for (received, mode, leaving) in [
            (0, 0, 0),
            (0, 2, 1),
            (1, 0, 1),
            (1, 1, 0),
            (2, 0, 2),
            (2, 1, 0),
            (2, 2, 1),
        ] {
            let next_hop = NextHopEntry {
                destination: 1,
                vlan_mode: mode,
                vlan: 5,
                ..NextHopEntry::default()
            };
            host.set_next_hop(0, &next_hop)?;
            let most = 9216 - 14 - if inner_v6 { 60 } else { 40 } - 4 * received;
            let mut payloads = vec![most, 4001, 1460];
            payloads.extend((0..140).step_by(if mode == 0 && received == 0 { 1 } else { 9 }));
            let mut inside = Vec::new();
            for payload in payloads {
                let mut spec = client_packet(inner_v6);
                spec.payload = random.bytes(payload);
                let tags: Vec<[u8; 4]> = (0..received)
                    .map(|_| [0x81, 0, random.byte(), random.byte()])
                    .collect();
                let mut frame = tagged(&spec.frame(), &tags);
                inside.push(frame[14 + 4 * received..].to_vec());
                let padding = random.below(80).min(9216 - frame.len());
                frame.extend(random.bytes(padding));
                host.push(frame, false);
            }
            host.settle()?;
            let sent = host.take_sent();
            same("frames sent", &sent.len(), &inside.len())?;
            for (sent, inner) in sent.iter().zip(&inside) {
                verify(sent, 14 + 4 * leaving, outer_v6, inner)?;
            }
        }
    }
    host.check_conservation()
}

/// Frames of the host come through a ring of their own.
fn injected(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    both_families(host)?;
    set_mtu(host, 1600)?;
    let random = &mut Random::new(8);
    for (inner_v6, outer_v6) in FAMILIES {
        host.set_backend(BACKEND, &gue(outer_v6))?;
        for payload in [0, 1, 50, 51, 115, 900, 1399] {
            let mut spec = client_packet(inner_v6);
            spec.payload = random.bytes(payload);
            let mut frame = spec.frame();
            let inner = frame[14..].to_vec();
            frame.extend(random.bytes(5));
            let descriptor = TxDescriptor {
                op: TxOp::Assign.raw(),
                vip: VIP,
                backend: BACKEND,
                generation: GENERATION,
                ..TxDescriptor::default()
            };
            host.transmit(descriptor, &frame)?;
            host.settle()?;
            let sent = host.take_sent();
            same("frames sent", &sent.len(), &1)?;
            verify(&sent[0], 14, outer_v6, &inner)?;
        }
    }
    host.check_conservation()
}

/// The packets of [`super::encapsulation`] with these two bytes and `xyz` as payload, and the headers that scapy wrote.
const ZEROS: [(u16, &str); 4] = [
    (
        0x0d80,
        "45b8004900000000401158c70a000d250a000001a10e17c00035ffff",
    ),
    (
        0x92d2,
        "6b80000000351140fc002307000000000000000000001337fc0000000000000000000000000000010ea117c00035ffff",
    ),
    (
        0xcbba,
        "45b8005d00000000401158b30a000d250a00000163db17c00049ffff",
    ),
    (
        0x7468,
        "6b80000000491140fc002307000000000000000000001337fc000000000000000000000000000001ae1217c00049ffff",
    ),
];

fn zero(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    both_families(host)?;
    for ((inner_v6, outer_v6), (word, headers)) in FAMILIES.into_iter().zip(ZEROS) {
        host.set_backend(BACKEND, &gue(outer_v6))?;
        // one less and one more: neighbours of the special case are not special
        for change in [0, 1, 2, u16::MAX, u16::MAX - 1] {
            let mut spec = client_packet(inner_v6);
            spec.payload = word.wrapping_add(change).to_be_bytes().to_vec();
            spec.payload.extend(b"xyz");
            let frame = spec.frame();
            let inner = frame[14..].to_vec();
            host.push(frame, false);
            host.settle()?;
            let sent = host.take_sent();
            same("frames sent", &sent.len(), &1)?;
            verify(&sent[0], 14, outer_v6, &inner)?;
            if change == 0 {
                let expected = [hex(headers), inner].concat();
                same("a frame", &&sent[0][14..], &&expected[..])?;
            }
        }
    }
    host.check_conservation()
}

fn port(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    same("GUE's port at power on", &host.read(at::GUE_PORT), &6080)?;
    both_families(host)?;
    for (port, written) in [
        (6080u16, None),
        (9886, Some(9886)),
        (0, Some(0)),
        (0xffff, Some(u32::MAX)),
    ] {
        if let Some(value) = written {
            host.write(at::GUE_PORT, value);
        }
        same("GUE's port", &host.read(at::GUE_PORT), &port.into())?;
        for (inner_v6, outer_v6) in FAMILIES {
            host.set_backend(BACKEND, &gue(outer_v6))?;
            let frame = client_packet(inner_v6).frame();
            let inner = frame[14..].to_vec();
            host.push(frame, false);
            host.settle()?;
            let sent = host.take_sent();
            same("frames sent", &sent.len(), &1)?;
            verify(&sent[0], 14, outer_v6, &inner)?;
            let udp = if outer_v6 { 54 } else { 34 };
            same(
                "the port",
                &&sent[0][udp + 2..udp + 4],
                &&port.to_be_bytes()[..],
            )?;
        }
    }
    host.check_conservation()
}
