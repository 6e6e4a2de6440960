//! VIPs of many addresses (`CARD.md` 3).

use guideway_hdl::tables::{MissPolicy, Table, VIP_PREFIXES, VipEntry, VipMatch, VipPrefix};
use guideway_hdl::verdict::Disposition;
use std::net::IpAddr;

use super::super::frame::PacketSpec;
use super::super::{HarnessError, TestHost};
use super::{Check, POOL, VIP, balance, count, packet, same};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "the longest prefix names the VIP",
        run: longest,
    },
    Check {
        name: "an address of its own goes before every prefix",
        run: exact_first,
    },
    Check {
        name: "prefixes of the two families do not mix",
        run: families,
    },
    Check {
        name: "a prefix of no use is none",
        run: unused,
    },
    Check {
        name: "what a prefix finds says so, also with a port",
        run: says_any_port,
    },
];

/// VIPs that the prefixes name: from here on, one a prefix.
const FIRST: u16 = 100;

/// A packet's destination, and the index of the prefix that it is for ([`OWN`]: the VIP of its own address).
type Expected<'a> = (&'a str, u16, Option<u16>);
const OWN: Option<u16> = Some(u16::MAX);

/// TCP to every port of an address, of IPv4 when it has dots.
pub(super) fn prefix(address: &str, length: u8, port: u16) -> VipPrefix {
    let (ipv6, address) = match address.parse() {
        Ok(IpAddr::V4(v4)) => (false, u32::from(v4).into()),
        Ok(IpAddr::V6(v6)) => (true, v6.into()),
        Err(_) => (false, 0),
    };
    VipPrefix {
        port,
        protocol: 6,
        ipv6,
        address,
        valid: true,
        vip: 0,
        length,
    }
}

/// Writes the prefixes, from the last to the first: an index says nothing of an order.
fn set(host: &mut TestHost<'_>, prefixes: &[VipPrefix]) -> Result<(), HarnessError> {
    for (i, prefix) in prefixes.iter().enumerate().rev() {
        let vip = FIRST + i as u16;
        let entry = VipEntry {
            pool: POOL,
            miss_policy: MissPolicy::Stateless.raw(),
            mtu: 1500,
            ..VipEntry::default()
        };
        host.set_vip(vip, &entry)?;
        host.set_prefix((i * 5) % VIP_PREFIXES, &VipPrefix { vip, ..*prefix })?;
    }
    Ok(())
}

fn sends(host: &mut TestHost<'_>, cases: &[Expected<'_>]) -> Result<(), HarnessError> {
    for (address, port, expected) in cases {
        let before = host.table_counters(Table::VipCounter)?;
        let destination: IpAddr = address
            .parse()
            .map_err(|e| HarnessError::Protocol(format!("{address}: {e}")))?;
        let source = match destination {
            IpAddr::V4(_) => packet(4000).source,
            IpAddr::V6(_) => std::net::Ipv6Addr::from(0xfc00 << 112 | 9).into(),
        };
        let spec = PacketSpec {
            source,
            destination,
            ports: (4000, *port),
            ..packet(4000)
        };
        host.push(spec.frame(), false);
        host.settle()?;
        host.receive()?;
        let after = host.table_counters(Table::VipCounter)?;
        let hit = (0..after.len()).find(|vip| after[*vip].packets != before[*vip].packets);
        let wanted = if *expected == OWN {
            Some(usize::from(VIP))
        } else {
            expected.map(|index| usize::from(FIRST + index))
        };
        same(&format!("the VIP of {address} port {port}"), &hit, &wanted)?;
    }
    host.check_conservation()
}

fn longest(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    let prefixes = [
        prefix("0.0.0.0", 0, 0),
        prefix("10.0.0.0", 8, 0),
        prefix("10.1.0.0", 16, 0),
        prefix("10.1.0.0", 16, 443),
        prefix("10.1.128.0", 17, 0),
        prefix("10.1.2.0", 24, 0),
        prefix("10.1.2.3", 32, 8080),
        prefix("10.9.0.0", 16, 443),
        // the same again: the lower index wins
        prefix("10.1.2.99", 24, 0),
    ];
    set(host, &prefixes)?;
    let cases: &[Expected<'_>] = &[
        ("11.0.0.1", 80, Some(0)),
        ("9.255.255.255", 80, Some(0)),
        ("10.0.0.0", 80, Some(1)),
        ("10.255.255.255", 443, Some(1)),
        ("10.1.0.0", 80, Some(2)),
        ("10.1.127.255", 443, Some(3)),
        ("10.1.128.0", 443, Some(4)),
        ("10.1.2.3", 443, Some(5)),
        ("10.1.2.3", 8080, Some(6)),
        ("10.1.2.2", 8080, Some(5)),
        ("10.9.1.1", 443, Some(7)),
        ("10.9.1.1", 444, Some(1)),
    ];
    sends(host, cases)?;
    // a prefix goes, another grows: the card asks again what goes before what
    host.set_prefix(25, &VipPrefix::default())?;
    let wider = VipPrefix {
        vip: FIRST + 6,
        ..prefix("10.1.2.3", 12, 8080)
    };
    host.set_prefix(30, &wider)?;
    sends(
        host,
        &[
            ("10.1.2.3", 443, Some(8)),
            ("10.1.2.3", 8080, Some(8)),
            ("10.1.1.3", 8080, Some(2)),
            ("10.15.255.3", 8080, Some(6)),
            ("10.16.0.0", 8080, Some(1)),
        ],
    )
}

fn exact_first(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Stateless)?; // 10.200.1.1:80
    set(
        host,
        &[prefix("10.200.1.1", 32, 80), prefix("10.200.1.1", 32, 0)],
    )?;
    let any = VipMatch {
        port: 0,
        protocol: 6,
        address: 0x0ac8_0102,
        valid: true,
        vip: VIP,
        ..VipMatch::default()
    };
    host.add_match(&any)?;
    host.set_prefix(
        40,
        &VipPrefix {
            vip: FIRST + 1,
            ..prefix("10.200.1.2", 32, 80)
        },
    )?;
    sends(
        host,
        &[
            ("10.200.1.1", 80, OWN),
            ("10.200.1.1", 81, Some(1)),
            ("10.200.1.2", 80, OWN),
            ("10.200.1.2", 81, OWN),
        ],
    )
}

fn families(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    let prefixes = [
        prefix("::", 0, 0),
        prefix("fc00:1::", 32, 0),
        prefix("fc00:1:0:1::", 64, 0),
        prefix("fc00:1:0:1::7", 128, 0),
        prefix("fc00:1:0:1:8000::", 65, 0),
        prefix("::10.0.0.0", 104, 0),
    ];
    set(host, &prefixes)?;
    sends(
        host,
        &[
            ("fc00:2::", 80, Some(0)),
            ("fc00:1:ffff::", 80, Some(1)),
            ("fc00:1:0:1::8", 80, Some(2)),
            ("fc00:1:0:1::7", 80, Some(3)),
            ("fc00:1:0:1:8000::1", 80, Some(4)),
            ("::10.0.0.1", 80, Some(5)),
            ("10.0.0.1", 80, None),
        ],
    )
}

fn unused(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    set(
        host,
        &[
            prefix("10.0.0.0", 8, 0),
            VipPrefix {
                valid: false,
                ..prefix("10.3.0.0", 16, 0)
            },
            VipPrefix {
                protocol: 17,
                ..prefix("10.3.0.0", 16, 0)
            },
            // an IPv4 length beyond 32 is 32
            prefix("10.4.4.4", 99, 0),
        ],
    )?;
    let beyond = VipPrefix {
        vip: 256,
        ..prefix("10.3.3.3", 32, 0)
    };
    host.set_prefix(63, &beyond)?;
    sends(
        host,
        &[
            ("10.3.3.3", 80, Some(0)),
            ("10.4.4.4", 80, Some(3)),
            ("10.4.4.5", 80, Some(0)),
            ("11.3.3.3", 80, None),
        ],
    )
}

fn says_any_port(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    let with_port = VipPrefix {
        vip: VIP,
        ..prefix("10.7.0.0", 16, 8443)
    };
    host.set_prefix(0, &with_port)?;
    host.write(crate::registers::core::HEARTBEAT, 100_000);
    for (destination, port, any_port) in [([10, 7, 1, 2], 8443, true), ([10, 200, 1, 1], 80, false)]
    {
        let spec = PacketSpec {
            destination: destination.into(),
            ports: (4000, port),
            ..packet(4000)
        };
        host.push(spec.frame(), false);
        host.settle()?;
        let received = host.receive()?;
        same("punts", &received.len(), &1)?;
        let record = received[0].record;
        same(
            "VIP, port, whether found otherwise",
            &(record.vip, record.destination_port, record.any_port),
            &(VIP, port, any_port),
        )?;
    }
    same("punts", &count(host, Disposition::HostPunt.raw())?, &2)?;
    host.settle()
}
