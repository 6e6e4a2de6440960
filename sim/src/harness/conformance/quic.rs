//! QUIC connection ids (`CARD.md` 3 and 4).

use guideway_hdl::tables::{
    BANKS, BackendEntry, BackendState, MissPolicy, QUIC_ID_ROWS, QuicId, Table, VipEntry, VipMatch,
};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::super::frame::PacketSpec;
use super::super::quic::{VERSION_2, katran_id, long, quic_lb_id, short};
use super::super::{HarnessError, TestHost};
use super::{Check, GENERATION, POOL, backend, balance, count, flow, packet, same};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a server id of Katran's names the backend",
        run: katran,
    },
    Check {
        name: "ids that a client chose name none",
        run: client_chosen,
    },
    Check {
        name: "a connection id that is cut off names none",
        run: cut,
    },
    Check {
        name: "QUIC-LB's rotation says how long a server id is",
        run: quic_lb,
    },
    Check {
        name: "a server id goes before flow, host and meter, and leaves the flow as it is",
        run: precedence,
    },
    Check {
        name: "an unknown or stale server id goes by flow, then as a miss",
        run: unknown,
    },
    Check {
        name: "a server id counts for its pool, in any bank, the lowest first",
        run: keys,
    },
];

/// Backends that only ids name: 10.0.0.100 and on.
const NAMED: u16 = 20;
/// A VIP for QUIC: 10.200.1.1:443/udp.
const QUIC: u16 = 9;

fn named(step: u16) -> BackendEntry {
    BackendEntry {
        address: 0x0a00_0064 + u128::from(step),
        ..backend()
    }
}

/// A server id, valid, of the VIP's pool, and where it leads.
pub(super) fn id(id: u64, step: u16) -> QuicId {
    QuicId {
        id,
        pool: POOL,
        valid: true,
        backend: NAMED + step,
        generation: GENERATION,
        ..QuicId::default()
    }
}

/// [`balance`], with a VIP for QUIC and backends that its ring lacks.
pub(super) fn setup(
    host: &mut TestHost<'_>,
    policy: MissPolicy,
    lb: bool,
) -> Result<(), HarnessError> {
    balance(host, policy)?;
    for step in 0..8 {
        host.set_backend(NAMED + step, &named(step))?;
    }
    let entry = VipEntry {
        pool: POOL,
        miss_policy: policy.raw(),
        mtu: 1500,
        quic: true,
        quic_lb: lb,
        ..VipEntry::default()
    };
    host.set_vip(QUIC, &entry)?;
    host.add_match(&VipMatch {
        port: 443,
        protocol: 17,
        ipv6: false,
        address: 0x0ac8_0101,
        valid: true,
        vip: QUIC,
    })
}

pub(super) fn datagram(payload: &[u8]) -> PacketSpec {
    PacketSpec {
        protocol: 17,
        ports: (4000, 443),
        payload: payload.to_vec(),
        ..packet(0)
    }
}

/// Sends a datagram; the last byte of the outer destination, when one left.
fn sent(host: &mut TestHost<'_>, payload: &[u8]) -> Result<Option<u8>, HarnessError> {
    host.push(datagram(payload).frame(), false);
    host.settle()?;
    Ok(host.take_sent().first().map(|frame| frame[33]))
}

/// Datagrams that each name the backend of a step, or none: then the ring decides.
fn lead(
    host: &mut TestHost<'_>,
    cases: &[(&str, Vec<u8>, Option<u8>)],
) -> Result<(), HarnessError> {
    for (what, payload, step) in cases {
        let wanted = Some(step.map_or(1, |step| 100 + step));
        same(what, &sent(host, payload)?, &wanted)?;
    }
    let by_id = cases.iter().filter(|case| case.2.is_some()).count() as u64;
    same(
        "forward_quic",
        &count(host, Disposition::ForwardQuic.raw())?,
        &by_id,
    )?;
    host.check_conservation()
}

fn unknown_count(host: &mut TestHost<'_>) -> Result<u64, HarnessError> {
    count(host, PortCounter::QuicUnknown.raw())
}

fn katran(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Stateless, false)?;
    for (bank, entry) in [
        id(1024, 0),
        id(1026, 1),
        id(0x03_0402, 2),
        id(0xffff, 3),
        id(0xff_ffff, 4),
        id(u32::MAX.into(), 5),
    ]
    .iter()
    .enumerate()
    {
        host.set_quic_id(bank % BANKS, entry)?;
    }
    let hex = |text: &str| -> Vec<u8> {
        let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap_or(0);
        (0..text.len()).step_by(2).map(byte).collect()
    };
    lead(
        host,
        &[
            // payloads of Katran's own fixtures
            (
                "Handshake, 1024",
                hex("effaceb00108410003040506070000011101717569632064617461"),
                Some(0),
            ),
            (
                "Retry, 1024",
                hex("fffaceb00108410003040506070000011101717569632064617461"),
                Some(0),
            ),
            ("short, 1026", hex("00410083040506070040"), Some(1)),
            ("version 2 of the id", hex("00800304020506070040"), Some(2)),
            ("host id 0", hex("00400003040506070040"), None),
            // every bit of an id
            ("1, 0xffff", short(&katran_id(1, 0xffff)), Some(3)),
            ("2, 0xffffff", short(&katran_id(2, 0xff_ffff)), Some(4)),
            ("3, 0xffffffff", short(&katran_id(3, u32::MAX)), Some(5)),
            // an id is a number, whatever version brings it
            ("2, 1026", short(&katran_id(2, 1026)), Some(1)),
            ("3, 0xffff", long(2, 1, &katran_id(3, 0xffff)), Some(3)),
            ("0", short(&[0, 0, 0, 4, 0, 0, 0, 0]), None),
        ],
    )?;
    same("unknown", &unknown_count(host)?, &0)?;
    let over_tcp = PacketSpec {
        protocol: 6,
        payload: short(&katran_id(1, 1024)),
        ..packet(4000)
    };
    host.push(over_tcp.frame(), false);
    host.settle()?;
    same("TCP", &host.take_sent()[0][33], &1)
}

fn client_chosen(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Stateless, false)?;
    host.set_quic_id(0, &id(7, 0))?;
    let c = katran_id(2, 7);
    let mut cases = Vec::new();
    // RFC 9000 17.2: Initial 0, 0-RTT 1, Handshake 2, Retry 3; RFC 9369 3.2: Initial 1, 0-RTT 2, Handshake 3, Retry 0
    for (version, chosen) in [
        (1, [0, 1]),
        (VERSION_2, [1, 2]),
        (VERSION_2 ^ 1, [0, 1]),
        (0, [0, 1]),
    ] {
        for kind in 0..4 {
            let step = (!chosen.contains(&kind)).then_some(0);
            cases.push(("a long header", long(kind, version, &c), step));
        }
    }
    for length in [8, 9, 20] {
        cases.push(("an id of this length", long(2, 1, &c[..length]), Some(0)));
    }
    for length in [0, 4, 5, 7] {
        cases.push(("an id that is too short", long(2, 1, &c[..length]), None));
    }
    lead(host, &cases)?;
    same("unknown", &unknown_count(host)?, &0)
}

fn cut(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Stateless, false)?;
    host.set_quic_id(0, &id(7, 0))?;
    let mut cases = Vec::new();
    let c = katran_id(3, 7);
    for bytes in 0..32 {
        let whole = short(&c);
        let step = (bytes >= 9).then_some(0);
        cases.push((
            "a short header",
            whole[..bytes.min(whole.len())].to_vec(),
            step,
        ));
        let whole = long(2, 1, &c);
        let step = (bytes >= 14).then_some(0);
        cases.push(("a long header", whole[..bytes].to_vec(), step));
    }
    lead(host, &cases)?;
    // padding behind the IP packet is none of it, what the window holds of a larger one is
    let mut padded = datagram(&short(&c)[..8]).frame();
    padded.extend([0; 18]);
    host.push(padded, false);
    host.push(
        datagram(&[short(&c), vec![0; 1200]].concat()).frame(),
        false,
    );
    host.settle()?;
    let to: Vec<u8> = host.take_sent().iter().map(|frame| frame[33]).collect();
    same("padding, a full packet", &to, &vec![1, 100])
}

fn quic_lb(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Stateless, true)?;
    // rotation 0: 1 byte, 1: 2, 2: 4, 3: none, 4: 9 (too many), 5: 8, 6: 8
    host.write(at::QUIC_LB, 0x0889_0421);
    let lb = |rotation, number, step| QuicId {
        rotation,
        lb: true,
        ..id(number, step)
    };
    for (bank, entry) in [
        lb(0, 0xfe, 0),
        lb(1, 0x1234, 1),
        lb(2, 0x1234_5678, 2),
        lb(3, 0, 3),
        lb(4, 0, 4),
        lb(5, u64::MAX, 5),
        lb(6, 0x0102_0304_0506_0708, 6),
        lb(7, 0, 7),
    ]
    .iter()
    .enumerate()
    {
        host.set_quic_id(bank % BANKS, entry)?;
    }
    host.set_quic_id(3, &id(0x1234, 7))?; // Katran's scheme
    let eight = quic_lb_id(6, 8, 0x0102_0304_0506_0708);
    let cases = [
        ("1 byte", short(&quic_lb_id(0, 1, 0xfe)), Some(0)),
        ("2 bytes", short(&quic_lb_id(1, 2, 0x1234)), Some(1)),
        (
            "4 bytes",
            long(2, 1, &quic_lb_id(2, 4, 0x1234_5678)),
            Some(2),
        ),
        ("8 bytes", short(&quic_lb_id(5, 8, u64::MAX)), Some(5)),
        ("8 bytes, their order", long(3, 1, &eight), Some(6)),
        ("none", short(&quic_lb_id(3, 0, 0)), None),
        (
            "more than 8",
            short(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            None,
        ),
        (
            "unroutable",
            short(&[0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            None,
        ),
        ("id of 9 bytes", long(3, 1, &eight[..9]), Some(6)),
        ("id of 8 bytes", long(3, 1, &eight[..8]), None),
        ("9 bytes held", short(&eight)[..10].to_vec(), Some(6)),
        ("8 bytes held", short(&eight)[..9].to_vec(), None),
        ("Initial", long(0, 1, &quic_lb_id(0, 1, 0xfe)), None),
    ];
    lead(host, &cases)?;
    same("unknown", &unknown_count(host)?, &0)?;
    let other_rotation = short(&quic_lb_id(0, 1, 0x12));
    same("an id of none", &sent(host, &other_rotation)?, &Some(1))?;
    same("unknown", &unknown_count(host)?, &1)
}

fn precedence(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Punt, false)?;
    host.write(at::HEARTBEAT, 10_000_000);
    host.set_quic_id(2, &id(7, 0))?;
    let known = short(&katran_id(1, 7));
    // no flow, a host, no punt: and nothing learned
    same("by id", &sent(host, &known)?, &Some(100))?;
    let mut record = flow(4000);
    (record.destination_port, record.vip) = (443, QUIC);
    host.install(&record, 1, 1)?;
    let before = host.dump(Table::Flow, 0, Table::Flow.entries())?;
    host.pass_time(5_000_000)?;
    same("before the flow", &sent(host, &known)?, &Some(100))?;
    let after = host.dump(Table::Flow, 0, Table::Flow.entries())?;
    same("the flow's entry", &(before == after), &true)?;
    same("by flow", &sent(host, b"\x43")?, &Some(1))?;
    // draining takes it, down does not
    for (state, to) in [(BackendState::Draining, 100), (BackendState::Down, 1)] {
        let entry = BackendEntry {
            state: state.raw(),
            ..named(0)
        };
        host.set_backend(NAMED, &entry)?;
        same("the backend's state", &sent(host, &known)?, &Some(to))?;
    }
    host.set_backend(NAMED, &named(0))?;
    let quic = Disposition::ForwardQuic.raw();
    same("forward_quic", &count(host, quic)?, &3)?;
    same("received", &host.receive()?.len(), &0)?;
    let backends = host.table_counters(Table::BackendCounter)?;
    same(
        "the backend's packets",
        &backends[usize::from(NAMED)].packets,
        &3,
    )?;
    let vips = host.table_counters(Table::VipCounter)?;
    same("the VIP's", &vips[usize::from(QUIC)].packets, &5)?;
    // section 5's checks are the same
    let gone = BackendEntry {
        encap: 0,
        ..named(0)
    };
    host.set_backend(NAMED, &gone)?;
    same("no encapsulation", &sent(host, &known)?, &None)?;
    let dropped = Disposition::DropEncapUnsupported.raw();
    same("dropped", &count(host, dropped)?, &1)?;
    host.check_conservation()
}

fn unknown(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Punt, false)?;
    host.write(at::HEARTBEAT, 10_000_000);
    let stale = QuicId {
        generation: GENERATION + 1,
        ..id(8, 0)
    };
    let beyond = QuicId {
        backend: u16::MAX,
        ..id(9, 0)
    };
    let unused = QuicId {
        valid: false,
        ..id(10, 0)
    };
    host.set_quic_id(0, &stale)?;
    host.set_quic_id(1, &beyond)?;
    host.set_quic_id(2, &unused)?;
    for number in [7, 8, 9, 10] {
        let payload = short(&katran_id(2, number));
        same("sent", &sent(host, &payload)?, &None)?;
    }
    same("punts", &host.receive()?.len(), &4)?;
    let mut record = flow(4000);
    (record.destination_port, record.vip) = (443, QUIC);
    host.install(&record, 1, 1)?;
    let payload = short(&katran_id(2, 7));
    same("by flow", &sent(host, &payload)?, &Some(1))?;
    same("unknown", &unknown_count(host)?, &5)?;
    same("hits", &count(host, Disposition::ForwardHit.raw())?, &1)?;
    // a VIP that does not route by ids asks no table
    let entry = VipEntry {
        pool: POOL,
        miss_policy: MissPolicy::Punt.raw(),
        mtu: 1500,
        ..VipEntry::default()
    };
    host.set_vip(QUIC, &entry)?;
    host.set_quic_id(3, &id(7, 0))?;
    same("without quic", &sent(host, &payload)?, &Some(1))?;
    same("unknown", &unknown_count(host)?, &5)?;
    host.check_conservation()
}

fn keys(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    setup(host, MissPolicy::Stateless, false)?;
    let other_pool = QuicId {
        pool: POOL + 1,
        ..id(7, 5)
    };
    host.set_quic_id(0, &other_pool)?;
    let payload = short(&katran_id(1, 7));
    same("of another pool", &sent(host, &payload)?, &Some(1))?;
    for bank in (0..BANKS).rev() {
        let step = bank as u16;
        host.set_quic_id(bank, &id(7, step))?;
        same("a bank", &sent(host, &payload)?, &Some(100 + bank as u8))?;
    }
    // what is written is what is read, to the last row
    let last = BANKS * QUIC_ID_ROWS - 1;
    let mut beat = [0; 64];
    beat[..16].copy_from_slice(&id(0xfeed, 3).to_bytes());
    host.write_table(Table::QuicId, last, &[beat])?;
    same(
        "the last row",
        &host.dump(Table::QuicId, last, 1)?,
        &vec![beat],
    )
}
