//! Encapsulation by the host: of packets that the card cannot send, because they need more than one frame.
//!
//! Owns the outer headers and what they are made from. The card's own encapsulation (`CARD.md`, section 5) is followed to the byte, but for the
//! fragments that the outer packet becomes: a backend sees one sender.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::icmp_error::flow_of_error;
use super::packet::{ClientPacket, over_tags};
use super::split::{split, sum};
use crate::card::{HashOptions, Vlan};
use crate::config::Encap;
use crate::control::state::{Hop, Node, State};

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86dd;
/// TPID of an 802.1Q tag.
const TPID: u16 = 0x8100;
const TTL: u8 = 64;
const PROTOCOL_IPV4: u8 = 4;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_GRE: u8 = 47;
/// In the first word of a GRE header: a key follows (RFC 2890).
const GRE_KEY: u16 = 0x2000;

/// How packets travel to a backend.
#[derive(Clone, Debug)]
struct Way {
    generation: u8,
    encap: Encap,
    address: IpAddr,
    hops: Vec<Hop>,
}

/// The ways to all backends.
#[derive(Clone, Debug, Default)]
pub struct Outer {
    node: Option<Node>,
    ways: HashMap<u16, Way>,
    /// Of the next outer packet.
    identification: u32,
}

/// Why a packet is not sent in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// Its backend is gone, or another one by now.
    NoBackend,
    /// It is none that the card gives to the host for this.
    Unreadable,
}

/// What the outer header is made from.
struct Flow {
    source: Ipv4Addr,
    port: [u8; 2],
}

impl Outer {
    /// The numbers of outer packets begin behind this one, so that a host that follows another one does not use them again at once.
    pub fn number_from(&mut self, identification: u32) {
        self.identification = identification;
    }

    /// The ways are those of `state` from now on.
    pub fn change(&mut self, state: &State) {
        let ways = state.backends.iter().map(|backend| {
            let way = Way {
                generation: backend.generation,
                encap: backend.encap,
                address: backend.address,
                hops: state.hops_of(backend),
            };
            (backend.id, way)
        });
        self.ways = ways.collect();
        self.node = Some(state.node.clone());
    }

    /// The frames that carry an IPv4 packet to a backend, in order: fragments of its encapsulated form. Of its flow's `hash` the upper 8 bits
    /// count; `mtu` is its pool's, none: the node's.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn frames(
        &mut self,
        frame: &[u8],
        (backend, generation): (u16, u8),
        (options, mtu): (HashOptions, Option<u16>),
        hash: u32,
    ) -> Result<Vec<Vec<u8>>, NotSent> {
        let way = self
            .ways
            .get(&backend)
            .filter(|way| way.generation == generation);
        let (way, node) = way.zip(self.node.as_ref()).ok_or(NotSent::NoBackend)?;
        let inner = inner_packet(frame).ok_or(NotSent::Unreadable)?;
        self.identification = self.identification.wrapping_add(1);
        let flow = Flow::of(frame, inner, options);
        let packet = encapsulate(node, way, inner, &flow, self.identification as u16);
        let fragments = packet
            .and_then(|packet| split(&packet, mtu.unwrap_or(node.mtu).into(), self.identification))
            .ok_or(NotSent::Unreadable)?;
        let hops = way.hops.len() as u64;
        let hop = (u64::from(hash >> 24) * hops / 256) as usize;
        let hop = way.hops.get(hop).ok_or(NotSent::NoBackend)?;
        let is_ipv6 = !matches!(way.encap, Encap::L2 { .. }) && way.address.is_ipv6();
        let head = ethernet(
            node,
            hop,
            frame,
            if is_ipv6 { ETHER_IPV6 } else { ETHER_IPV4 },
        );
        Ok(fragments
            .into_iter()
            .map(|fragment| [head.as_slice(), &fragment].concat())
            .collect())
    }
}

/// The IPv4 packet in a frame, without what follows it.
fn inner_packet(frame: &[u8]) -> Option<&[u8]> {
    let (ETHER_IPV4, packet) = over_tags(frame)? else {
        return None;
    };
    let header: &[u8; 20] = packet.first_chunk()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = packet
        .get(..total)
        .filter(|packet| packet.len() >= header.len())?;
    (header[0] >> 4 == 4).then_some(whole)
}

impl Flow {
    /// The flow of a packet, under its VIP's hash options. A fragment's is its sender, without ports.
    fn of(frame: &[u8], inner: &[u8], options: HashOptions) -> Self {
        let sender = Ipv4Addr::new(inner[12], inner[13], inner[14], inner[15]);
        let is_fragment = u16::from_be_bytes([inner[6], inner[7]]) & 0x3fff != 0;
        let client = match inner[9] {
            _ if is_fragment => None,
            1 => flow_of_error(frame).ok(),
            _ => ClientPacket::read(frame).ok(),
        };
        let (source, port) = match client.map(|client| (client.source, client.source_port)) {
            Some((IpAddr::V4(source), port)) => (source, port),
            _ => (sender, 0),
        };
        Self {
            source: if options.destination_port_only {
                Ipv4Addr::UNSPECIFIED
            } else {
                source
            },
            port: if options.no_source_port { 0 } else { port }.to_be_bytes(),
        }
    }

    /// IPIP's outer source from IPv4.
    fn ipip_v4(&self, prefix: Ipv4Addr) -> Ipv4Addr {
        let ([.., c, d], [high, low], [a, b, ..]) =
            (self.source.octets(), self.port, prefix.octets());
        Ipv4Addr::new(a, b, c ^ low, d ^ high)
    }

    /// IPIP's outer source from IPv6.
    fn ipip_v6(&self, prefix: Ipv6Addr) -> Ipv6Addr {
        let ([a, b, c, d], [high, low]) = (self.source.octets(), self.port);
        let mut bytes = prefix.octets();
        bytes[12..].copy_from_slice(&[a ^ high, b ^ low, c, d]);
        bytes.into()
    }

    /// GUE's source port.
    fn gue_port(&self, is_ipv6: bool) -> [u8; 2] {
        let ([.., c, d], [high, low]) = (self.source.octets(), self.port);
        if is_ipv6 {
            [c ^ high, d ^ low]
        } else {
            [c ^ low, d ^ high]
        }
    }
}

fn encapsulate(
    node: &Node,
    way: &Way,
    inner: &[u8],
    flow: &Flow,
    identification: u16,
) -> Option<Vec<u8>> {
    let is_ipv6 = way.address.is_ipv6();
    let (protocol, mut behind) = match way.encap {
        Encap::L2 { .. } => return Some(inner.to_vec()),
        Encap::Ipip => (PROTOCOL_IPV4, Vec::new()),
        Encap::Gre { key: None } => (PROTOCOL_GRE, [0, ETHER_IPV4].map(u16::to_be_bytes).concat()),
        Encap::Gre { key: Some(key) } => {
            let head = [GRE_KEY, ETHER_IPV4].map(u16::to_be_bytes).concat();
            (PROTOCOL_GRE, [head, key.to_be_bytes().to_vec()].concat())
        }
        Encap::Gue => {
            let length = u16::try_from(inner.len() + 8).ok()?;
            let ports = [flow.gue_port(is_ipv6), node.gue_port.to_be_bytes()];
            let rest = [length, 0].map(u16::to_be_bytes);
            (PROTOCOL_UDP, [ports, rest].concat().concat())
        }
    };
    let (source, destination) = match (way.encap, way.address) {
        (Encap::Ipip, IpAddr::V4(to)) => (
            flow.ipip_v4(node.ipip_source_v4).octets().to_vec(),
            to.octets().to_vec(),
        ),
        (Encap::Ipip, IpAddr::V6(to)) => (
            flow.ipip_v6(node.ipip_source_v6).octets().to_vec(),
            to.octets().to_vec(),
        ),
        (_, IpAddr::V4(to)) => (node.source_v4.octets().to_vec(), to.octets().to_vec()),
        (_, IpAddr::V6(to)) => (node.source_v6.octets().to_vec(), to.octets().to_vec()),
    };
    let length = u16::try_from(behind.len() + inner.len()).ok()?;
    if protocol == PROTOCOL_UDP {
        // the pseudo header's length and protocol have the same sum in both families
        let pseudo = [length.to_be_bytes(), [0, protocol]].concat();
        let checksum = match !sum(&[&source, &destination, &pseudo, &behind, inner]) {
            0 => 0xffff,
            checksum => checksum,
        };
        behind[6..8].copy_from_slice(&checksum.to_be_bytes());
    }
    let traffic_class = inner[1];
    let mut header = if is_ipv6 {
        let first = 6 << 28 | u32::from(traffic_class) << 20;
        let mut header = first.to_be_bytes().to_vec();
        header.extend(length.to_be_bytes());
        header.extend([protocol, TTL]);
        header
    } else {
        let mut header = vec![0x45, traffic_class];
        header.extend(length.checked_add(20)?.to_be_bytes());
        header.extend(identification.to_be_bytes());
        header.extend([0, 0, TTL, protocol]);
        let checksum = !sum(&[&header, &source, &destination]);
        header.extend(checksum.to_be_bytes());
        header
    };
    header.extend(source);
    header.extend(destination);
    header.extend(behind);
    header.extend_from_slice(inner);
    Some(header)
}

/// The Ethernet header of frames to a next hop, that carry what was received in `frame`.
fn ethernet(node: &Node, hop: &Hop, frame: &[u8], ether_type: u16) -> Vec<u8> {
    let mut header = hop.0.0.to_vec();
    header.extend(node.mac.as_ref().map_or(&frame[..6], |mac| mac));
    match hop.1 {
        Vlan::Keep => {
            let behind = over_tags(frame).map_or(0, |(_, packet)| packet.len());
            header.extend_from_slice(frame.get(12..frame.len() - behind - 2).unwrap_or_default());
        }
        Vlan::Remove => {}
        Vlan::Set(tci) => header.extend([TPID, tci].map(u16::to_be_bytes).concat()),
    }
    header.extend(ether_type.to_be_bytes());
    header
}
