//! What leaves towards a backend, byte for byte (`CARD.md` 5).
//!
//! The outer headers stand here as an independent implementation (scapy) wrote them.

use guideway_hdl::tables::{BackendEntry, Encap, MissPolicy, VipEntry, VipMatch};
use guideway_hdl::verdict::Disposition;

use super::super::frame::PacketSpec;
use super::super::{HarnessError, TestHost};
use super::{BACKEND, Check, POOL, VIP, backend, balance, count, packet, same};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "each encapsulation leaves in its bytes",
        run: bytes,
    },
    Check {
        name: "the outer packet is held against the MTU",
        run: mtu,
    },
    Check {
        name: "an encapsulation that the card does not know is a drop",
        run: unknown,
    },
];

/// The VIP's IPv6 sister.
const VIP_V6: u16 = 4;

/// Encapsulation, outer family and key of a backend; EtherType and outer headers of an IPv4 and of an IPv6 packet.
type Row = (
    Encap,
    bool,
    Option<u32>,
    (u16, &'static str),
    (u16, &'static str),
);

/// IPv4: 192.168.1.1:4000 to 10.200.1.1, TOS 0xb8, 45 bytes. IPv6: [2001:db8::a1b2:c3d4]:4000, 65 bytes.
/// IPIP from 172.16.0.0/16 and 0100::/96, GRE and GUE from 10.0.13.37 and fc00:2307::1337, to 10.0.0.1 and fc00::1.
const ROWS: &[Row] = &[
    (
        Encap::Ipip,
        false,
        None,
        (0x0800, "45b8004100000000400422e2ac10a10e0a000001"),
        (0x0800, "45b800550000000040295fdcac1063db0a000001"),
    ),
    (
        Encap::Ipip,
        true,
        None,
        (
            0x86dd,
            "6b800000002d0440010000000000000000000000cf080101fc000000000000000000000000000001",
        ),
        (
            0x86dd,
            "6b80000000412940010000000000000000000000ae12c3d4fc000000000000000000000000000001",
        ),
    ),
    (
        Encap::Gre,
        false,
        None,
        (0x0800, "45b8004500000000402f58ad0a000d250a00000100000800"),
        (0x0800, "45b8005900000000402f58990a000d250a000001000086dd"),
    ),
    (
        Encap::Gre,
        false,
        Some(0xdead_beef),
        (
            0x0800,
            "45b8004900000000402f58a90a000d250a00000120000800deadbeef",
        ),
        (
            0x0800,
            "45b8005d00000000402f58950a000d250a000001200086dddeadbeef",
        ),
    ),
    (
        Encap::Gre,
        true,
        None,
        (
            0x86dd,
            "6b80000000312f40fc002307000000000000000000001337fc00000000000000000000000000000100000800",
        ),
        (
            0x86dd,
            "6b80000000452f40fc002307000000000000000000001337fc000000000000000000000000000001000086dd",
        ),
    ),
    (
        Encap::Gre,
        true,
        Some(7),
        (
            0x86dd,
            "6b80000000352f40fc002307000000000000000000001337fc0000000000000000000000000000012000080000000007",
        ),
        (
            0x86dd,
            "6b80000000492f40fc002307000000000000000000001337fc000000000000000000000000000001200086dd00000007",
        ),
    ),
    (
        Encap::Gue,
        false,
        None,
        (
            0x0800,
            "45b8004900000000401158c70a000d250a000001a10e17c00035bc27",
        ),
        (
            0x0800,
            "45b8005d00000000401158b30a000d250a00000163db17c000497a62",
        ),
    ),
    (
        Encap::Gue,
        true,
        Some(7),
        (
            0x86dd,
            "6b80000000351140fc002307000000000000000000001337fc0000000000000000000000000000010ea117c00035417a",
        ),
        (
            0x86dd,
            "6b80000000491140fc002307000000000000000000001337fc000000000000000000000000000001ae1217c000492310",
        ),
    ),
    (Encap::L2, false, None, (0x0800, ""), (0x86dd, "")),
    (Encap::L2, true, Some(7), (0x0800, ""), (0x86dd, "")),
];

/// Both VIPs on one backend, misses by the ring.
pub(super) fn both_families(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?;
    host.write(at::SOURCE_V4, 0x0a00_0d25);
    host.write_wide(at::IPIP_SOURCE_V6, 1 << 120);
    host.write_wide(at::SOURCE_V6, 0xfc00_2307 << 96 | 0x1337);
    set_mtu(host, 1500)?;
    host.add_match(&VipMatch {
        port: 80,
        protocol: 6,
        ipv6: true,
        address: 0xfc00_0001 << 96 | 1,
        valid: true,
        vip: VIP_V6,
    })
}

pub(super) fn set_mtu(host: &mut TestHost<'_>, mtu: u16) -> Result<(), HarnessError> {
    let entry = VipEntry {
        pool: POOL,
        miss_policy: MissPolicy::Stateless.raw(),
        mtu,
        ..VipEntry::default()
    };
    host.set_vip(VIP, &entry)?;
    host.set_vip(VIP_V6, &entry)
}

pub(super) fn through(encap: u8, ipv6: bool, key: Option<u32>) -> BackendEntry {
    BackendEntry {
        encap,
        ipv6,
        address: if ipv6 { 0xfc00 << 112 | 1 } else { 0x0a00_0001 },
        key_present: key.is_some(),
        key: key.unwrap_or(0),
        ..backend()
    }
}

pub(super) fn client_packet(ipv6: bool) -> PacketSpec {
    let mut spec = packet(4000);
    spec.traffic_class = 0xb8;
    if ipv6 {
        spec.source = [0x2001, 0xdb8, 0, 0, 0, 0, 0xa1b2, 0xc3d4].into();
        spec.destination = [0xfc00, 1, 0, 0, 0, 0, 0, 1].into();
    }
    spec
}

pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digit = |at: usize| digits.get(at..at + 2);
    (0..digits.len())
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(digit(at)?, 16).ok())
        .collect()
}

fn bytes(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    both_families(host)?;
    for (encap, outer_v6, key, over_v4, over_v6) in ROWS {
        host.set_backend(BACKEND, &through(encap.raw(), *outer_v6, *key))?;
        for (inner_v6, (ether_type, outer)) in [(false, over_v4), (true, over_v6)] {
            let mut frame = client_packet(inner_v6).frame();
            let inner = frame[14..].to_vec();
            frame.extend([0xee; 5]); // padding is not forwarded
            host.push(frame, false);
            host.settle()?;
            let mut expected = vec![0, 0, 0xde, 0xad, 0xbe, 0xaf, 2, 0, 0, 0, 0, 1];
            expected.extend(ether_type.to_be_bytes());
            expected.extend(hex(outer));
            expected.extend(inner);
            let what = format!(
                "{} (IPv6 outside: {outer_v6}, inside: {inner_v6})",
                encap.name()
            );
            same(&what, &host.take_sent(), &vec![expected])?;
        }
    }
    host.check_conservation()
}

fn mtu(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    both_families(host)?;
    let (mut sent, mut dropped) = (0, 0);
    for (encap, outer_v6, key, over_v4, over_v6) in ROWS {
        host.set_backend(BACKEND, &through(encap.raw(), *outer_v6, *key))?;
        for (inner_v6, inner, outer) in [(false, 45, over_v4.1), (true, 65, over_v6.1)] {
            let size = inner + (outer.len() / 2) as u16;
            for (mtu, fits) in [(size, true), (size - 1, false)] {
                set_mtu(host, mtu)?;
                host.push(client_packet(inner_v6).frame(), false);
                host.settle()?;
                sent += u64::from(fits);
                dropped += u64::from(!fits);
                let what = format!("{} of {size} bytes in {mtu}", encap.name());
                let drops = count(host, Disposition::DropTooBig.raw())?;
                same(&what, &(count_sent(host)?, drops), &(sent, dropped))?;
            }
        }
    }
    host.check_conservation()
}

fn count_sent(host: &mut TestHost<'_>) -> Result<u64, HarnessError> {
    host.take_sent();
    count(host, Disposition::ForwardRing.raw())
}

fn unknown(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    both_families(host)?;
    let mut drops = 0;
    for encap in [Encap::None.raw(), 5, 6, 7] {
        for (ipv6, mtu) in [(false, 1500), (true, 0)] {
            set_mtu(host, mtu)?; // an unknown encapsulation is told before a size
            host.set_backend(BACKEND, &through(encap, ipv6, None))?;
            host.push(client_packet(ipv6).frame(), false);
            host.settle()?;
            drops += 1;
            let counted = count(host, Disposition::DropEncapUnsupported.raw())?;
            same(&format!("code {encap}"), &counted, &drops)?;
        }
    }
    same("frames sent", &host.take_sent().len(), &0)?;
    host.check_conservation()
}
