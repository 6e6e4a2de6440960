//! The far end of the card's wire: clients of two VIPs, and the eyes that see what the card makes of their frames.
//!
//! Each frame carries its flow and number in its payload, so that what leaves the card is matched byte for byte with what entered it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use guideway_sim::harness::frame::PacketSpec;
use guideway_sim::wire::in_process::InProcessPeer;

/// The card's MAC address.
pub const CARD: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The next hop's.
pub const NEXT_HOP: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
/// The virtual addresses; flows with even numbers go to the first, others to the second.
pub const VIPS: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 200, 1, 1),
    Ipv6Addr::new(0xfc00, 1, 0, 0, 0, 0, 0, 1),
);
/// How many backends a VIP has: 10.0.0.1 and fc00:2::1 on.
pub const BACKENDS: u8 = 3;
/// Between two frames of background traffic.
const INTERVAL: Duration = Duration::from_millis(3);
/// How long a frame may be on its way. The machine may be busy, and everything here is emulated.
const PATIENCE: Duration = Duration::from_secs(10);

/// What kind of TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The first of a connection.
    Syn = 2,
    /// Any other.
    Ack = 16,
}

struct Sent {
    packet: Vec<u8>,
    at: Instant,
}

/// The clients.
pub struct Clients {
    peer: InProcessPeer,
    number: u32,
    under_way: HashMap<(u32, u32), Sent>,
    backends: HashMap<u32, IpAddr>,
}

/// What came of some traffic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Frames into the card.
    pub sent: u64,
    /// Frames out of it, each checked.
    pub received: u64,
    /// The longest that a frame took.
    pub slowest: Duration,
}

impl Clients {
    /// Clients on a wire.
    pub fn new(peer: InProcessPeer) -> Self {
        Self {
            peer,
            number: 0,
            under_way: HashMap::new(),
            backends: HashMap::new(),
        }
    }

    /// Sends a segment of a flow.
    pub fn send(&mut self, flow: u32, segment: Segment) {
        self.number += 1;
        let frame = frame(flow, self.number, segment);
        let sent = Sent {
            packet: frame[14..].to_vec(),
            at: Instant::now(),
        };
        self.under_way.insert((flow, self.number), sent);
        self.peer.send(frame);
    }

    /// Waits until all that was sent has come back.
    ///
    /// # Errors
    /// When a frame does not come, or is not what it has to be.
    pub fn receive_all(&mut self) -> Result<Tally> {
        let mut tally = Tally {
            sent: self.under_way.len() as u64,
            ..Tally::default()
        };
        let begun = Instant::now();
        while !self.under_way.is_empty() {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            if left.is_zero() || !self.receive(left, &mut tally)? {
                bail!(
                    "{} of {} frames have not come within {PATIENCE:?}; flows {:?}",
                    self.under_way.len(),
                    tally.sent,
                    self.missing()
                );
            }
        }
        Ok(tally)
    }

    /// Sends segments of `flows` in turn until `end` is set, then waits for the last.
    ///
    /// # Errors
    /// As [`Clients::receive_all`].
    pub fn keep_going(&mut self, flows: &[u32], end: &AtomicBool) -> Result<Tally> {
        let mut tally = Tally::default();
        for &flow in flows.iter().cycle() {
            if end.load(Ordering::Relaxed) {
                break;
            }
            let due = Instant::now() + INTERVAL;
            self.send(flow, Segment::Ack);
            tally.sent += 1;
            loop {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() || !self.receive(left, &mut tally)? {
                    break;
                }
            }
            let late = self
                .under_way
                .values()
                .filter(|sent| sent.at.elapsed() > PATIENCE)
                .count();
            ensure!(
                late == 0,
                "{late} of {} frames were lost; flows {:?}",
                tally.sent,
                self.missing()
            );
        }
        let rest = self.receive_all()?;
        tally.received += rest.received;
        tally.slowest = tally.slowest.max(rest.slowest);
        Ok(tally)
    }

    /// Flows whose backend is known, in order.
    pub fn known(&self) -> Vec<u32> {
        let mut flows: Vec<u32> = self.backends.keys().copied().collect();
        flows.sort_unstable();
        flows
    }

    /// Where a flow goes.
    pub fn backend(&self, flow: u32) -> Option<IpAddr> {
        self.backends.get(&flow).copied()
    }

    fn missing(&self) -> Vec<u32> {
        let mut flows: Vec<u32> = self.under_way.keys().map(|key| key.0).collect();
        flows.sort_unstable();
        flows.dedup();
        flows.truncate(10);
        flows
    }

    /// Takes a frame, if one comes in time.
    fn receive(&mut self, longest: Duration, tally: &mut Tally) -> Result<bool> {
        let Ok(frame) = self.peer.receive(longest) else {
            return Ok(false);
        };
        let (backend, packet) = decapsulate(&frame.bytes)?;
        let tail = packet
            .last_chunk::<8>()
            .context("a packet without a payload")?;
        let flow = u32::from_be_bytes([tail[0], tail[1], tail[2], tail[3]]);
        let number = u32::from_be_bytes([tail[4], tail[5], tail[6], tail[7]]);
        let sent = self
            .under_way
            .remove(&(flow, number))
            .with_context(|| format!("frame {number} of flow {flow} came twice or from nowhere"))?;
        ensure!(
            sent.packet == packet,
            "frame {number} of flow {flow} was altered"
        );
        let known = *self.backends.entry(flow).or_insert(backend);
        ensure!(
            known == backend,
            "flow {flow} went to {known}, and frame {number} of it to {backend}"
        );
        tally.received += 1;
        tally.slowest = tally.slowest.max(sent.at.elapsed());
        Ok(true)
    }
}

fn frame(flow: u32, number: u32, segment: Segment) -> Vec<u8> {
    let host = flow / 2 % 250 + 1;
    let (source, destination): (IpAddr, IpAddr) = if flow.is_multiple_of(2) {
        (
            Ipv4Addr::from_bits(0xc000_0200 + host).into(),
            VIPS.0.into(),
        )
    } else {
        let network = u128::from(0x2001_0db8_u32) << 96;
        (
            Ipv6Addr::from_bits(network + u128::from(host)).into(),
            VIPS.1.into(),
        )
    };
    let mut payload = b"vm-test ".to_vec();
    payload.extend_from_slice(&flow.to_be_bytes());
    payload.extend_from_slice(&number.to_be_bytes());
    PacketSpec {
        ethernet: (CARD, NEXT_HOP),
        source,
        destination,
        protocol: 6,
        ports: (10_000 + (flow % 50_000) as u16, 80),
        flags: segment as u8,
        traffic_class: 0,
        payload,
    }
    .frame()
}

/// The outer destination and the packet within, of a frame that is what the configuration says.
fn decapsulate(frame: &[u8]) -> Result<(IpAddr, &[u8])> {
    let ethernet = frame.get(..14).context("a runt")?;
    ensure!(
        ethernet[..6] == NEXT_HOP && ethernet[6..12] == CARD,
        "a frame from {:02x?} to {:02x?}",
        &ethernet[6..12],
        &ethernet[..6]
    );
    let packet = &frame[14..];
    let (protocol, backend, inner) = match ethernet[12..] {
        [8, 0] => {
            let (outer, inner) = packet.split_at_checked(20).context("a runt")?;
            let address = Ipv4Addr::new(outer[16], outer[17], outer[18], outer[19]);
            (outer[9], IpAddr::from(address), inner)
        }
        [0x86, 0xdd] => {
            let (outer, inner) = packet.split_at_checked(40).context("a runt")?;
            let mut address = [0; 16];
            address.copy_from_slice(&outer[24..]);
            (outer[6], IpAddr::from(address), inner)
        }
        _ => bail!("EtherType {:02x?}", &ethernet[12..]),
    };
    let last = match backend {
        IpAddr::V4(v4) => (protocol == 4 && v4.octets()[..3] == [10, 0, 0]).then(|| v4.octets()[3]),
        IpAddr::V6(v6) => {
            (protocol == 41 && v6.segments()[..2] == [0xfc00, 2]).then(|| v6.octets()[15])
        }
    };
    ensure!(
        last.is_some_and(|last| (1..=BACKENDS).contains(&last)),
        "a frame of protocol {protocol} to {backend}"
    );
    Ok((backend, inner))
}
