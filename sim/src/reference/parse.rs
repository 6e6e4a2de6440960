//! What is read of a frame (`CARD.md` 2), up to the question whether it is for a VIP.
//!
//! Owns rows 1 to 15. Knows no table.

use std::net::IpAddr;

use guideway_hdl::tables::FRAME_MAX;
use guideway_hdl::verdict::Disposition;

use super::icmp_error::{inner_flow, is_error};
use super::{Config, ConnectionId};

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The wire, with the MAC's error flag.
    Wire {
        /// Bad FCS or a cut frame.
        error: bool,
    },
    /// The host, to leave as it is.
    Raw,
    /// The host, for a VIP to a backend.
    Assign {
        /// The VIP.
        vip: u16,
        /// The backend.
        backend: u16,
        /// The generation that the backend must have.
        generation: u8,
        /// The upper 8 bits of its flow's hash.
        spread: u8,
    },
}

/// A TCP or UDP packet, an ICMP error about one, or what the host assigns: all that later stations look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The frame's destination MAC address.
    pub destination_mac: [u8; 6],
    /// Its VLAN tags.
    pub tags: Tags,
    /// Client. Of an ICMP error these and the ports are the flow's that it is about.
    pub source: IpAddr,
    /// Virtual address.
    pub destination: IpAddr,
    /// 6 or 17.
    pub protocol: u8,
    /// It is an ICMP error.
    pub icmp_error: bool,
    /// It is an echo request.
    pub echo: bool,
    /// It must not be fragmented on its way: IPv4's bit, or IPv6.
    pub dont_fragment: bool,
    /// TOS or traffic class.
    pub traffic_class: u8,
    /// Bytes of the whole IP packet.
    pub ip_bytes: usize,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The QUIC connection id that a UDP packet may carry.
    pub connection_id: Option<ConnectionId>,
    /// TCP SYN.
    pub syn: bool,
    /// TCP ACK.
    pub ack: bool,
    /// TCP FIN.
    pub fin: bool,
    /// TCP RST.
    pub rst: bool,
}

/// The VLAN tags of a frame that count: none, one or two, each with its TPID, as they were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    bytes: [u8; 8],
    length: usize,
}

impl Tags {
    /// Their bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn read(frame: &[u8]) -> Self {
        let counts = |at: usize| {
            let tpid = be16(frame, at);
            frame.len() >= at + 6 && matches!(tpid, 0x8100 | 0x88a8 | 0x9100)
        };
        let length = match (counts(12), counts(16)) {
            (true, true) => 8,
            (true, false) => 4,
            (false, _) => 0,
        };
        Self {
            bytes: bytes(frame, 12),
            length,
        }
    }
}

/// What came of parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The frame needs no table.
    Final(Disposition),
    /// Rows 16 to 18 and section 4 decide.
    Packet(Packet),
}

const ETHERNET: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// Extension headers that are walked.
const EXTENSIONS_MAX: usize = 3;
/// Bytes of the window.
const WINDOW: usize = 128;

fn byte(frame: &[u8], at: usize) -> u8 {
    frame.get(at).copied().unwrap_or(0)
}

fn be16(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([byte(frame, at), byte(frame, at + 1)])
}

fn bytes<const N: usize>(frame: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| byte(frame, at + i))
}

/// Reads a frame: rows 1 to 15.
#[must_use]
pub fn parse(config: &Config, frame: &[u8], source: Source) -> Parsed {
    if source == (Source::Wire { error: true }) {
        return Parsed::Final(Disposition::DropRxError);
    }
    if frame.len() > FRAME_MAX {
        return Parsed::Final(Disposition::DropOversize);
    }
    if frame.len() < ETHERNET {
        return Parsed::Final(Disposition::DropRunt);
    }
    let tags = Tags::read(frame);
    let parsed = match source {
        Source::Raw => Parsed::Final(Disposition::ForwardRaw),
        Source::Wire { .. } => {
            station(config, frame, tags).map_or_else(|| network(frame, tags, false), Parsed::Final)
        }
        Source::Assign { .. } => network(frame, tags, true),
    };
    match (source, parsed) {
        (Source::Assign { .. }, Parsed::Final(_)) => Parsed::Final(Disposition::DropInjectInvalid),
        (_, parsed) => parsed,
    }
}

/// Rows 5 to 7: what the destination MAC address decides.
fn station(config: &Config, frame: &[u8], tags: Tags) -> Option<Disposition> {
    let destination: [u8; 6] = bytes(frame, 0);
    if destination[0] & 1 == 0 {
        let mismatch = config.mac_filter && destination != config.mac;
        return mismatch.then_some(Disposition::DropMacMismatch);
    }
    let ethertype = be16(frame, 12 + tags.length);
    let discovery = ethertype == 0x86dd
        && frame.len() >= 62 + tags.length
        && byte(frame, 20 + tags.length) == ICMPV6
        && is_discovery(byte(frame, 54 + tags.length));
    if is_control_ethertype(ethertype) || discovery {
        Some(Disposition::HostControl)
    } else {
        Some(Disposition::HostGroup)
    }
}

const fn is_control_ethertype(ethertype: u16) -> bool {
    matches!(ethertype, 0x0806 | 0x8809 | 0x88cc)
}

const fn is_discovery(icmpv6_type: u8) -> bool {
    matches!(icmpv6_type, 133..=137)
}

/// Rows 8 to 15. What the host assigned may be a fragment or any ICMP error.
fn network(frame: &[u8], tags: Tags, assigned: bool) -> Parsed {
    let parsed = match be16(frame, 12 + tags.length) {
        0x0800 => ipv4(frame, tags, assigned),
        0x86dd => ipv6(frame, tags, assigned),
        ethertype if is_control_ethertype(ethertype) => Err(Disposition::HostControl),
        _ => Err(Disposition::HostUnsupported),
    };
    parsed.map_or_else(Parsed::Final, Parsed::Packet)
}

fn ipv4(frame: &[u8], tags: Tags, assigned: bool) -> Result<Packet, Disposition> {
    let ip = ETHERNET + tags.length;
    let header_bytes = usize::from(byte(frame, ip) & 15) * 4;
    let total = usize::from(be16(frame, ip + 2));
    if frame.len() < ip + 20
        || byte(frame, ip) >> 4 != 4
        || header_bytes < 20
        || total < header_bytes
        || ip + total > frame.len()
    {
        return Err(Disposition::DropIpv4Malformed);
    }
    let at = ip + header_bytes;
    let packet = Packet {
        destination_mac: bytes(frame, 0),
        tags,
        source: IpAddr::from(bytes::<4>(frame, ip + 12)),
        destination: IpAddr::from(bytes::<4>(frame, ip + 16)),
        protocol: byte(frame, ip + 9),
        traffic_class: byte(frame, ip + 1),
        ip_bytes: total,
        dont_fragment: be16(frame, ip + 6) & 0x4000 != 0,
        ..NO_PORTS
    };
    if be16(frame, ip + 6) & 0x3fff != 0 {
        return for_the_host(Disposition::HostFragment, packet, assigned);
    }
    if is_error(packet.protocol, false, byte(frame, at)) && total - header_bytes >= 8 {
        return icmp_error(frame, at, ip + total, packet, assigned);
    }
    if header_bytes == 20 && packet.protocol == ICMP && be16(frame, at) == 0x0800 {
        return echo(total - header_bytes, packet, assigned);
    }
    transport(frame, at, total - header_bytes, packet)
}

/// An echo request of the wire waits for its VIP; a short one is nothing to the card.
fn echo(payload: usize, packet: Packet, assigned: bool) -> Result<Packet, Disposition> {
    if assigned || payload < 8 {
        return Err(Disposition::HostUnsupported);
    }
    Ok(Packet {
        echo: true,
        ..packet
    })
}

/// What only the host may send on, without ports.
fn for_the_host(
    disposition: Disposition,
    packet: Packet,
    assigned: bool,
) -> Result<Packet, Disposition> {
    if assigned {
        Ok(packet)
    } else {
        Err(disposition)
    }
}

/// Row 13: the packet stands for the flow that the error is about, when its inner packet tells it.
fn icmp_error(
    frame: &[u8],
    at: usize,
    end: usize,
    packet: Packet,
    assigned: bool,
) -> Result<Packet, Disposition> {
    let window = &frame[..end.min(WINDOW)];
    let inner = window.get(at + 8..).unwrap_or_default();
    let error = Packet {
        icmp_error: true,
        ..packet
    };
    match inner_flow(inner, packet.destination) {
        Some(flow) => Ok(Packet {
            source: flow.source,
            destination: flow.destination,
            protocol: flow.protocol,
            source_port: flow.ports.0,
            destination_port: flow.ports.1,
            ..error
        }),
        None => for_the_host(Disposition::HostIcmpError, error, assigned),
    }
}

fn ipv6(frame: &[u8], tags: Tags, assigned: bool) -> Result<Packet, Disposition> {
    let ip = ETHERNET + tags.length;
    let end = ip + 40 + usize::from(be16(frame, ip + 4));
    if frame.len() < ip + 40 || byte(frame, ip) >> 4 != 6 || end > frame.len() {
        return Err(Disposition::DropIpv6Malformed);
    }
    let (at, protocol) = walk(frame, ip + 40, byte(frame, ip + 6), end)?;
    let packet = Packet {
        destination_mac: bytes(frame, 0),
        tags,
        source: IpAddr::from(bytes::<16>(frame, ip + 8)),
        destination: IpAddr::from(bytes::<16>(frame, ip + 24)),
        protocol,
        traffic_class: (be16(frame, ip) >> 4 & 0xff) as u8,
        ip_bytes: end - ip,
        dont_fragment: true,
        ..NO_PORTS
    };
    if protocol == FRAGMENT {
        return for_the_host(Disposition::HostFragment, packet, assigned);
    }
    let header = match protocol {
        TCP => 20,
        UDP | ICMPV6 => 8,
        _ => 0,
    };
    if at + header > WINDOW {
        return Err(Disposition::HostUnsupported);
    }
    let kind = byte(frame, at);
    let payload = end - at;
    if is_error(protocol, true, kind) && payload >= 8 {
        return icmp_error(frame, at, end, packet, assigned);
    }
    if protocol == ICMPV6 && payload >= 8 && is_discovery(kind) {
        return Err(Disposition::HostControl);
    }
    if protocol == ICMPV6 && at == ip + 40 && be16(frame, at) == 0x8000 {
        return echo(payload, packet, assigned);
    }
    transport(frame, at, payload, packet)
}

/// The walk over extension headers from `at` on: where layer 4 begins, and its protocol.
fn walk(frame: &[u8], mut at: usize, mut next: u8, end: usize) -> Result<(usize, u8), Disposition> {
    for _ in 0..EXTENSIONS_MAX {
        if !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
            break;
        }
        if at + 8 > WINDOW {
            return Err(Disposition::HostUnsupported);
        }
        let behind = at + 8 * (usize::from(byte(frame, at + 1)) + 1);
        if behind > end {
            return Err(Disposition::DropIpv6Malformed);
        }
        if next == ROUTING && byte(frame, at + 3) != 0 {
            return Err(Disposition::HostUnsupported);
        }
        next = byte(frame, at);
        at = behind;
    }
    Ok((at, next))
}

const NO_PORTS: Packet = Packet {
    destination_mac: [0; 6],
    tags: Tags {
        bytes: [0; 8],
        length: 0,
    },
    source: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    destination: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    protocol: 0,
    icmp_error: false,
    echo: false,
    dont_fragment: false,
    traffic_class: 0,
    ip_bytes: 0,
    source_port: 0,
    destination_port: 0,
    connection_id: None,
    syn: false,
    ack: false,
    fin: false,
    rst: false,
};

/// Rows 14 and 15, and the ports.
fn transport(
    frame: &[u8],
    at: usize,
    payload: usize,
    packet: Packet,
) -> Result<Packet, Disposition> {
    let needed = match packet.protocol {
        TCP => 20,
        UDP => 8,
        _ => return Err(Disposition::HostUnsupported),
    };
    if payload < needed {
        return Err(Disposition::DropL4Malformed);
    }
    let flags = if packet.protocol == TCP {
        byte(frame, at + 13)
    } else {
        0
    };
    let end = (at + payload).min(WINDOW);
    let udp_payload = frame.get(at + 8..end).unwrap_or_default();
    Ok(Packet {
        source_port: be16(frame, at),
        destination_port: be16(frame, at + 2),
        connection_id: if packet.protocol == UDP {
            ConnectionId::read(udp_payload)
        } else {
            None
        },
        fin: flags & 0x01 != 0,
        syn: flags & 0x02 != 0,
        rst: flags & 0x04 != 0,
        ack: flags & 0x10 != 0,
        ..packet
    })
}

impl Packet {
    /// Whether rows 17's protocols speak here: BGP on either side, BFD by its destination port.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        match self.protocol {
            TCP => self.source_port == 179 || self.destination_port == 179,
            _ => matches!(self.destination_port, 3784 | 3785 | 4784),
        }
    }

    /// Whether client and VIP speak IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// The source address as tables hold it: IPv4 in the low 32 bits.
    #[must_use]
    pub fn source_value(&self) -> u128 {
        value(self.source)
    }

    /// The destination address as tables hold it.
    #[must_use]
    pub fn destination_value(&self) -> u128 {
        value(self.destination)
    }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}
