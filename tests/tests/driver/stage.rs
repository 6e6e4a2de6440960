//! The simulator in this process, on a thread of its own, and what the tests configure on its card.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use guideway::card::{
    Backend, BackendId, Card, CardOptions, Control, NextHop, NextHopId, NextHops, Pool, PoolId,
    Protocol, SecretSource, VipId, VipKey, Vlan, Waiting,
};
use guideway::device::Device;
use guideway::device::vfio_user::VfioUser;
use guideway_hdl::tables::{BackendState, Encap, MissPolicy, VipEntry};
use guideway_sim::card::Model;
use guideway_sim::device::{Device as Simulator, Options, Pace};
use guideway_sim::harness::frame::PacketSpec;
use guideway_sim::time::TimeMode;
use guideway_sim::vfio_user::server::Server;
use guideway_sim::wire::in_process::{InProcessPeer, in_process};

/// How long anything may take here: the machine may be busy, and the RTL is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The card's own MAC address in these tests.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A running simulator. Stopped when dropped.
pub struct Stage {
    /// The wire's other end.
    pub wire: InProcessPeer,
    socket: PathBuf,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub fn new(model: Model) -> Self {
        Self::with(model, None)
    }

    /// With a pace: in lockstep.
    pub fn with(model: Model, lockstep: Option<Pace>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("card.sock");
        let server = Server::bind(&socket).unwrap();
        // Live: frames flow as they come. In lockstep they wait like a capture file's.
        let (wire, peer) = in_process(lockstep.is_none()).unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        let thread = std::thread::spawn(move || {
            let options = Options {
                time: if lockstep.is_some() {
                    TimeMode::Cycles
                } else {
                    TimeMode::Wall
                },
                lockstep: lockstep.is_some(),
                pace: lockstep.unwrap_or(Pace::Line),
                wait_for_start: false,
                once: false,
            };
            Simulator::new(super::models::card(model), server, Box::new(wire), options)
                .run(stopped.as_fd())
                .unwrap();
        });
        Self {
            wire: peer,
            socket,
            stop: Some(stop),
            thread: Some(thread),
            _folder: folder,
        }
    }

    pub fn connect(&self) -> Arc<dyn Device> {
        Arc::new(VfioUser::connect(&self.socket, PATIENCE).unwrap())
    }

    pub fn try_connect(&self) -> Result<VfioUser, guideway::device::DeviceError> {
        VfioUser::connect(&self.socket, PATIENCE)
    }

    /// Opens the card as a host does.
    pub fn open(&self) -> Arc<Card> {
        Card::open(self.connect(), options()).unwrap()
    }

    /// Stops the simulator, as if it had been killed.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

pub fn options() -> CardOptions {
    CardOptions {
        secrets: SecretSource::Seed(1),
        waiting: Waiting::Spin(Duration::from_micros(50)),
        patience: PATIENCE,
        ..CardOptions::default()
    }
}

/// Client addresses of these tests.
pub fn client(i: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, i])
}

/// The VIP of these tests.
pub const VIP: [u8; 4] = [10, 200, 1, 1];

/// A client's TCP packet to the VIP.
pub fn packet(source: IpAddr, source_port: u16, flags: u8) -> Vec<u8> {
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source,
        destination: VIP.into(),
        protocol: 6,
        ports: (source_port, 80),
        flags,
        traffic_class: 0,
        payload: b"hello".to_vec(),
    }
    .frame()
}

/// TCP's SYN flag.
pub const SYN: u8 = 2;
/// TCP's ACK flag.
pub const ACK: u8 = 16;

/// One VIP with two backends behind one next hop; a ring of 5 slots that name backend 0 and 1 in turn.
pub fn configure(card: &Card) {
    card.write_next_hop(
        NextHopId(0),
        &NextHop {
            destination: [0, 0, 0xde, 0xad, 0xbe, 0xaf],
            source: None,
            vlan: Vlan::Keep,
        },
    )
    .unwrap();
    for i in 0..2u8 {
        let backend = Backend {
            state: BackendState::Up,
            encap: Encap::Ipip,
            generation: i + 1,
            next_hops: NextHops::one(0),
            address: IpAddr::from([10, 0, 0, i + 1]),
            gre_key: None,
        };
        card.write_backend(BackendId(i.into()), &backend).unwrap();
    }
    card.write_ring(32, &[0, 1, 0, 1, 0]).unwrap();
    card.write_pool(
        PoolId(3),
        &Pool {
            ring_base: 32,
            ring_size: 5,
        },
    )
    .unwrap();
    let vip = VipEntry {
        pool: 3,
        miss_policy: MissPolicy::Punt.raw(),
        mtu: 1500,
        ..VipEntry::default()
    };
    card.write_vip(VipId(7), &vip).unwrap();
    let key = VipKey {
        address: VIP.into(),
        port: 80,
        protocol: Protocol::Tcp,
    };
    let writes = card
        .read_vip_matches()
        .unwrap()
        .insert(key, VipId(7))
        .unwrap();
    card.write_vip_matches(&writes).unwrap();
}

/// Opens the port. Frames that come afterwards find everything that was written before.
pub fn enable_port(card: &Card) {
    card.set_control(Control {
        port_enable: true,
        ..Control::default()
    })
    .unwrap();
    // The wire knows nothing of writes that are still on their way.
    assert!(card.control().unwrap().port_enable);
}

/// Waits until nothing is in flight and the conservation law holds.
pub fn settle(card: &Card) -> guideway::card::Counters {
    let begun = std::time::Instant::now();
    loop {
        let counters = card.read_counters().unwrap();
        let idle = card.status().unwrap().idle && card.in_flight().unwrap() == 0;
        match counters.conservation() {
            Ok(()) if idle => return counters,
            law => assert!(
                begun.elapsed() < PATIENCE,
                "idle {idle}, {law:?}: {counters}"
            ),
        }
    }
}
