//! What the host pays to reach its card, measured by one routine on any [`Device`]: a vfio-user socket or the kernel's VFIO.
//!
//! Owns the card's small configuration, the measurements and the wire's part in them. On which backend, and beside what, the figures
//! are shown is the benches' affair.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use guideway::card::flow::{FlowPlace, FlowTarget, flow_key, insert};
use guideway::card::{
    Assignment, Backend, BackendId, Card, CardOptions, Control, NextHop, NextHopId, NextHops, Pool,
    PoolId, Protocol, QueueOptions, Queues, VipId, VipKey, Vlan,
};
use guideway::device::{Device, registers};
use guideway_hdl::descriptors::Expect;
use guideway_hdl::tables::{BackendState, Encap, MissPolicy, VipEntry};
use guideway_hdl::verdict::HostClass;
use guideway_sim::harness::frame::PacketSpec;
use guideway_sim::wire::in_process::InProcessPeer;
use serde::{Deserialize, Serialize};

/// Accesses of a kind.
const ACCESSES: usize = 1000;
/// Commands.
const COMMANDS: usize = 300;
/// Punts, one after the other.
pub const PUNTS: u16 = 100;
/// How long a frame or a punt may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Slots of the ring: a prime, all of one backend.
const RING: usize = 5;
const CARD: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NEXT_HOP: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 200, 1, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Medians, in nanoseconds of the measuring machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessCost {
    /// A register read: there and back.
    pub register_read: u64,
    /// A doorbell: a posted register write, until the program goes on.
    pub doorbell: u64,
    /// From a doorbell until its command's completion is seen in memory.
    pub doorbell_to_completion: u64,
    /// From a punt that is seen in memory to its frame's transmit completion: decision, install, inject.
    pub punt_to_reinject: u64,
}

/// Measures on a card; calls `ready` when [`send_punts`] may begin. The card is erased first.
///
/// # Errors
/// When the card fails, or a punt does not come.
pub fn measure(device: Arc<dyn Device>, ready: impl FnOnce()) -> Result<AccessCost> {
    let card = Card::open(
        device,
        CardOptions {
            erase: true,
            ..CardOptions::default()
        },
    )?;
    configure(&card)?;
    let mut queues = card.start_queues(&QueueOptions::default())?;
    let bar = card.device().bar(0)?;
    let registers = registers(&bar);
    let register_read = median(ACCESSES, || {
        let _ = registers.core().magic().try_read()?;
        Ok(())
    })?;
    // as many transmissions as there are already: the card finds nothing to do
    let doorbell = median(ACCESSES, || {
        Ok(registers.card().tx().producer().try_write(|_| ())?)
    })?;
    let doorbell_to_completion = median(COMMANDS, || Ok(card.fence()?))?;
    card.heartbeat(Duration::from_secs(3600))?;
    card.set_control(Control {
        port_enable: true,
        ..Control::default()
    })?;
    // behind this answer the port is open
    ensure!(card.control()?.port_enable, "the port stays closed");
    ready();
    let punt_to_reinject = answer_punts(&mut queues)?;
    Ok(AccessCost {
        register_read,
        doorbell,
        doorbell_to_completion,
        punt_to_reinject,
    })
}

/// The wire's part: frames of new flows, each after the one before it has left the card. The median from frame in to frame out.
///
/// # Errors
/// When one does not leave.
pub fn send_punts(wire: &InProcessPeer) -> Result<Duration> {
    let mut port = 1000;
    let nanos = median(PUNTS.into(), || {
        port += 1;
        wire.send(syn(port));
        let frame = wire.receive(PATIENCE).context("a punted frame was lost")?;
        ensure!(
            frame.bytes.get(34..) == Some(&syn(port)[14..]),
            "another frame than was sent came back"
        );
        Ok(())
    })?;
    Ok(Duration::from_nanos(nanos))
}

fn median(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<u64> {
    let mut nanos = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        work()?;
        nanos.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    nanos.sort_unstable();
    Ok(nanos[count / 2])
}

fn answer_punts(queues: &mut Queues) -> Result<u64> {
    let mut nanos = Vec::new();
    for tag in 0..u32::from(PUNTS) {
        let begun = Instant::now();
        while queues.rx(HostClass::Miss).receive(1)? == 0 {
            ensure!(begun.elapsed() < PATIENCE, "punt {tag} does not come");
            queues.wait(Duration::from_millis(100), None)?;
        }
        let seen = Instant::now();
        answer(queues, tag)?;
        while queues.tx.reap()?.is_none() {
            ensure!(seen.elapsed() < PATIENCE, "inject {tag} does not complete");
            queues.wait(Duration::from_millis(100), None)?;
        }
        nanos.push(u64::try_from(seen.elapsed().as_nanos())?);
    }
    nanos.sort_unstable();
    Ok(nanos[nanos.len() / 2])
}

/// As the slow path does: install, then send the frame back with its verdict.
fn answer(queues: &mut Queues, tag: u32) -> Result<()> {
    let punt = queues
        .rx(HostClass::Miss)
        .frame(0)
        .context("no punt where one was seen")?;
    let (bytes, completion) = (punt.bytes.to_vec(), punt.completion);
    let source = IpAddr::from(Ipv4Addr::from_bits(completion.source as u32));
    let key = flow_key(
        VipId(completion.vip),
        source,
        completion.source_port,
        completion.destination_port,
    );
    let target = FlowTarget {
        backend: BackendId(0),
        generation: 1,
        pinned: false,
        confirmed: true,
    };
    // occupied: another key of this row was here first, and the frame goes all the same
    queues.card().run(&[insert(
        &key,
        FlowPlace { bank: 0, way: 0 },
        &target,
        Expect::Free,
    )])?;
    let to = Assignment {
        vip: VipId(completion.vip),
        backend: BackendId(0),
        generation: 1,
        spread: (completion.flow_hash >> 24) as u8,
    };
    queues.tx.assign(&bytes, &to, true, tag)?;
    queues.tx.flush()?;
    Ok(queues.rx(HostClass::Miss).release(1)?)
}

fn syn(port: u16) -> Vec<u8> {
    PacketSpec {
        ethernet: (CARD, NEXT_HOP),
        source: CLIENT.into(),
        destination: ADDRESS.into(),
        protocol: 6,
        ports: (port, 80),
        flags: 2,
        traffic_class: 0,
        payload: b"access cost".to_vec(),
    }
    .frame()
}

fn configure(card: &Card) -> Result<()> {
    card.set_mac(CARD, true)?;
    let hop = NextHop {
        destination: NEXT_HOP,
        source: None,
        vlan: Vlan::Keep,
    };
    card.write_next_hop(NextHopId(0), &hop)?;
    let backend = Backend {
        state: BackendState::Up,
        encap: Encap::Ipip,
        generation: 1,
        next_hops: NextHops::one(0),
        address: IpAddr::from([10, 0, 0, 1]),
        gre_key: None,
    };
    card.write_backend(BackendId(0), &backend)?;
    card.write_ring(0, &[0; RING])?;
    let pool = Pool {
        ring_base: 0,
        ring_size: RING as u32,
    };
    card.write_pool(PoolId(0), &pool)?;
    let vip = VipEntry {
        pool: 0,
        miss_policy: MissPolicy::Punt.raw(),
        mtu: 1500,
        ..VipEntry::default()
    };
    card.write_vip(VipId(0), &vip)?;
    let key = VipKey {
        address: ADDRESS.octets().into(),
        port: 80,
        protocol: Protocol::Tcp,
    };
    let writes = card.read_vip_matches()?.insert(key, VipId(0))?;
    Ok(card.write_vip_matches(&writes)?)
}
