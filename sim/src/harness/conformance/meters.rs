//! Meters of VIPs: what reaches the host, what goes by the ring, and who counts it (`CARD.md` 4, 6, 8).

use guideway_hdl::CARD_RESET_KEY;
use guideway_hdl::tables::{BackendEntry, BackendState, MissPolicy, Table, VipEntry};
use guideway_hdl::verdict::{Disposition, EgressClass, PortCounter};

use super::super::frame::PacketSpec;
use super::super::{HarnessError, TestHost};
use super::{BACKEND, Check, POOL, VIP, backend, balance, count, flow, packet, same};
use crate::registers::core as at;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a meter admits its burst, then its rate",
        run: burst_and_rate,
    },
    Check {
        name: "over meter is counted for the VIP, whatever the ring says",
        run: rows_of_the_ring,
    },
    Check {
        name: "who does not reach the host takes no token",
        run: no_token_taken,
    },
    Check {
        name: "over meter has an egress class of its own",
        run: egress_class,
    },
    Check {
        name: "a bucket follows its entry and survives the host, not the card",
        run: entry_and_resets,
    },
];

const RST: u8 = 4;
const ACK: u8 = 16;
/// A heartbeat that outlives every check.
const LONG: u32 = u32::MAX;

/// Writes the VIP's entry with this meter, and waits until it shows.
fn meter(host: &mut TestHost<'_>, rate: u32, burst: u16) -> Result<(), HarnessError> {
    let entry = VipEntry {
        pool: POOL,
        miss_policy: MissPolicy::Punt.raw(),
        mtu: 1500,
        meter_rate: rate,
        meter_burst: burst,
        ..VipEntry::default()
    };
    host.set_vip(VIP, &entry)?;
    host.settle_meters()
}

/// Opens the port with a metered VIP and a host that is alive.
fn metered(host: &mut TestHost<'_>, rate: u32, burst: u16) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(at::HEARTBEAT, LONG);
    meter(host, rate, burst)
}

/// A packet that misses whenever it comes: one with RST is never learned.
fn miss(source_port: u16) -> PacketSpec {
    PacketSpec {
        flags: RST | ACK,
        ..packet(source_port)
    }
}

/// Sends `misses` of new connections back to back: how many the host got, and how many left the wire.
fn misses(host: &mut TestHost<'_>, misses: u16) -> Result<(usize, usize), HarnessError> {
    for port in 0..misses {
        host.push(miss(5000 + port).frame(), false);
    }
    host.settle()?;
    Ok((host.receive()?.len(), host.take_sent().len()))
}

/// Packets and bytes of the VIP that were over its meter.
fn over_meter(host: &mut TestHost<'_>) -> Result<(u64, u64), HarnessError> {
    let vips = host.table_counters(Table::VipOverMeter)?;
    let vip = vips[usize::from(VIP)];
    Ok((vip.packets, vip.bytes))
}

fn burst_and_rate(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    metered(host, 250, 12)?;
    same("of the burst", &misses(host, 30)?, &(12, 18))?;
    host.pass_time(39)?; // 9.75 tokens
    host.settle_meters()?;
    same("of the rate", &misses(host, 30)?, &(9, 21))?;
    host.pass_time(1)?;
    host.settle_meters()?;
    same("the rest of a token", &misses(host, 2)?, &(1, 1))?;
    host.pass_time(80_000_000)?;
    host.settle_meters()?;
    same("no more than the burst", &misses(host, 30)?, &(12, 18))?;
    let over = 18 + 21 + 1 + 18;
    same(
        "over meter",
        &count(host, Disposition::ForwardOverMeter.raw())?,
        &over,
    )?;
    same(
        "by the ring",
        &count(host, Disposition::ForwardRing.raw())?,
        &0,
    )?;
    same(
        "fallbacks",
        &count(host, PortCounter::HeartbeatFallback.raw())?,
        &0,
    )?;
    same("of the VIP", &over_meter(host)?, &(over, over * 45))?;
    let vips = host.table_counters(Table::VipCounter)?;
    same("all", &vips[usize::from(VIP)].packets, &92)?;
    let backends = host.table_counters(Table::BackendCounter)?;
    same(
        "of the backend",
        &backends[usize::from(BACKEND)].packets,
        &over,
    )?;
    host.check_conservation()
}

fn rows_of_the_ring(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    metered(host, 1, 0)?;
    same("the least burst", &misses(host, 5)?, &(1, 4))?;
    let cases = [
        (BackendState::Down, 7, Disposition::DropBackendDown),
        (BackendState::Up, 0, Disposition::DropNoBackend),
        (BackendState::Draining, 7, Disposition::ForwardOverMeter),
    ];
    for (state, slots, disposition) in cases {
        let before = count(host, disposition.raw())?;
        let entry = BackendEntry {
            state: state.raw(),
            ..backend()
        };
        host.set_backend(BACKEND, &entry)?;
        host.set_pool(POOL, 64, slots)?;
        let sent = if disposition.is_forward() { 3 } else { 0 };
        same(disposition.name(), &misses(host, 3)?, &(0, sent))?;
        same(
            disposition.name(),
            &(count(host, disposition.raw())? - before),
            &3,
        )?;
    }
    same("of the VIP", &over_meter(host)?, &(13, 13 * 45))?;
    host.check_conservation()
}

fn no_token_taken(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    metered(host, 1, 5)?;
    host.install(&flow(4000), 0, 0)?;
    for _ in 0..20 {
        host.push(packet(4000).frame(), false);
    }
    host.settle()?;
    same("hits", &host.take_sent().len(), &20)?;
    host.write(at::CONTROL, 5);
    same("compute only", &misses(host, 20)?, &(0, 20))?;
    host.write(at::CONTROL, 1);
    host.write(at::HEARTBEAT, 0);
    same("without a host", &misses(host, 20)?, &(0, 20))?;
    same(
        "fallbacks",
        &count(host, PortCounter::HeartbeatFallback.raw())?,
        &20,
    )?;
    host.write(at::HEARTBEAT, LONG);
    same("all tokens are there", &misses(host, 20)?, &(5, 15))?;
    same("of the VIP", &over_meter(host)?, &(15, 15 * 45))?;
    host.check_conservation()
}

fn egress_class(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    metered(host, 1, 0)?;
    host.install(&flow(4000), 0, 0)?;
    same("the only token", &misses(host, 1)?, &(1, 0))?;
    let classes = [
        (EgressClass::OverMeter, 0),
        (EgressClass::New, 6),
        (EgressClass::Hit, 6),
        (EgressClass::Raw, 6),
    ];
    for (closed, sent) in classes {
        for class in EgressClass::ALL.iter().copied() {
            let frames = if class == closed { 0 } else { 0x1000 };
            host.write(at::EGRESS_THRESHOLD + 4 * u32::from(class.raw()), frames);
        }
        same(closed.name(), &misses(host, 6)?, &(0, sent))?;
        host.push(packet(4000).frame(), false);
        host.settle()?;
        let hit = usize::from(closed != EgressClass::Hit);
        same(closed.name(), &host.take_sent().len(), &hit)?;
    }
    same(
        "dropped",
        &count(host, Disposition::DropEgressOverload.raw())?,
        &7,
    )?;
    same("of the VIP", &over_meter(host)?, &(24, 24 * 45))?;
    host.check_conservation()
}

fn entry_and_resets(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    metered(host, 1000, 20)?;
    same("some", &misses(host, 4)?, &(4, 0))?;
    meter(host, 1, 40)?;
    same("more room brings no token", &misses(host, 20)?, &(16, 4))?;
    host.pass_time(9000)?;
    host.settle_meters()?;
    meter(host, 1, 3)?;
    same("less room takes some", &misses(host, 5)?, &(3, 2))?;
    meter(host, 0, 3)?;
    same("no meter", &misses(host, 40)?, &(40, 0))?;
    meter(host, 1, 6)?;
    same("a new meter is full", &misses(host, 5)?, &(5, 0))?;
    host.card.host_reset(&mut host.memory);
    host.attach()?;
    host.write(at::HEARTBEAT, LONG);
    host.settle_meters()?;
    same("a host reset", &misses(host, 3)?, &(1, 2))?;
    host.write(at::CARD_RESET, CARD_RESET_KEY);
    host.attach()?;
    same("a card reset", &over_meter(host)?, &(0, 0))?;
    metered(host, 1, 6)?;
    same("full again", &misses(host, 8)?, &(6, 2))
}
