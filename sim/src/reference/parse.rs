//! What is read of a frame (`CARD.md` 2), up to the question whether it is for a VIP.
//!
//! Owns rows 1 to 15. Knows no table.

use std::net::IpAddr;

use guideway_hdl::tables::FRAME_MAX;
use guideway_hdl::verdict::Disposition;

use super::Config;

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
    },
}

/// A TCP or UDP packet of an IP header without options or extensions: all that later stations look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The frame's destination MAC address.
    pub destination_mac: [u8; 6],
    /// Client.
    pub source: IpAddr,
    /// Virtual address.
    pub destination: IpAddr,
    /// 6 or 17.
    pub protocol: u8,
    /// TOS or traffic class.
    pub traffic_class: u8,
    /// Bytes of the whole IP packet.
    pub ip_bytes: usize,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// TCP SYN.
    pub syn: bool,
    /// TCP ACK.
    pub ack: bool,
    /// TCP FIN.
    pub fin: bool,
    /// TCP RST.
    pub rst: bool,
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
    let parsed = match source {
        Source::Raw => Parsed::Final(Disposition::ForwardRaw),
        Source::Wire { .. } => station(config, frame).map_or_else(|| network(frame), Parsed::Final),
        Source::Assign { .. } => network(frame),
    };
    match (source, parsed) {
        (Source::Assign { .. }, Parsed::Final(_)) => Parsed::Final(Disposition::DropInjectInvalid),
        (_, parsed) => parsed,
    }
}

/// Rows 5 to 7: what the destination MAC address decides.
fn station(config: &Config, frame: &[u8]) -> Option<Disposition> {
    let destination: [u8; 6] = bytes(frame, 0);
    if destination[0] & 1 == 0 {
        let mismatch = config.mac_filter && destination != config.mac;
        return mismatch.then_some(Disposition::DropMacMismatch);
    }
    let discovery = be16(frame, 12) == 0x86dd
        && frame.len() >= 62
        && byte(frame, 20) == ICMPV6
        && is_discovery(byte(frame, 54));
    if is_control_ethertype(be16(frame, 12)) || discovery {
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

/// Rows 8 to 15.
fn network(frame: &[u8]) -> Parsed {
    match be16(frame, 12) {
        0x0800 => ipv4(frame),
        0x86dd => ipv6(frame),
        ethertype if is_control_ethertype(ethertype) => Parsed::Final(Disposition::HostControl),
        _ => Parsed::Final(Disposition::HostUnsupported),
    }
}

fn ipv4(frame: &[u8]) -> Parsed {
    let header_bytes = usize::from(byte(frame, 14) & 15) * 4;
    let total = usize::from(be16(frame, 16));
    if frame.len() < ETHERNET + 20
        || byte(frame, 14) >> 4 != 4
        || header_bytes < 20
        || total < header_bytes
        || ETHERNET + total > frame.len()
    {
        return Parsed::Final(Disposition::DropIpv4Malformed);
    }
    if be16(frame, 20) & 0x3fff != 0 {
        return Parsed::Final(Disposition::HostFragment);
    }
    if header_bytes > 20 {
        return Parsed::Final(Disposition::HostUnsupported);
    }
    let protocol = byte(frame, 23);
    if protocol == ICMP && matches!(byte(frame, 34), 3 | 11 | 12) && total >= 28 {
        return Parsed::Final(Disposition::HostIcmpError);
    }
    transport(
        frame,
        34,
        total - 20,
        Packet {
            destination_mac: bytes(frame, 0),
            source: IpAddr::from(bytes::<4>(frame, 26)),
            destination: IpAddr::from(bytes::<4>(frame, 30)),
            protocol,
            traffic_class: byte(frame, 15),
            ip_bytes: total,
            ..NO_PORTS
        },
    )
}

fn ipv6(frame: &[u8]) -> Parsed {
    let payload = usize::from(be16(frame, 18));
    if frame.len() < ETHERNET + 40
        || byte(frame, 14) >> 4 != 6
        || ETHERNET + 40 + payload > frame.len()
    {
        return Parsed::Final(Disposition::DropIpv6Malformed);
    }
    let next_header = byte(frame, 20);
    let kind = byte(frame, 54);
    match next_header {
        44 => return Parsed::Final(Disposition::HostFragment),
        0 | 43 | 50 | 51 | 60 | 135 | 139 | 140 => {
            return Parsed::Final(Disposition::HostUnsupported);
        }
        ICMPV6 if payload >= 8 && matches!(kind, 1..=4) => {
            return Parsed::Final(Disposition::HostIcmpError);
        }
        ICMPV6 if payload >= 8 && is_discovery(kind) => {
            return Parsed::Final(Disposition::HostControl);
        }
        _ => {}
    }
    transport(
        frame,
        54,
        payload,
        Packet {
            destination_mac: bytes(frame, 0),
            source: IpAddr::from(bytes::<16>(frame, 22)),
            destination: IpAddr::from(bytes::<16>(frame, 38)),
            protocol: next_header,
            traffic_class: (be16(frame, 14) >> 4 & 0xff) as u8,
            ip_bytes: payload + 40,
            ..NO_PORTS
        },
    )
}

const NO_PORTS: Packet = Packet {
    destination_mac: [0; 6],
    source: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    destination: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    protocol: 0,
    traffic_class: 0,
    ip_bytes: 0,
    source_port: 0,
    destination_port: 0,
    syn: false,
    ack: false,
    fin: false,
    rst: false,
};

/// Rows 14 and 15, and the ports.
fn transport(frame: &[u8], at: usize, payload: usize, packet: Packet) -> Parsed {
    let needed = match packet.protocol {
        TCP => 20,
        UDP => 8,
        _ => return Parsed::Final(Disposition::HostUnsupported),
    };
    if payload < needed {
        return Parsed::Final(Disposition::DropL4Malformed);
    }
    let flags = if packet.protocol == TCP {
        byte(frame, at + 13)
    } else {
        0
    };
    Parsed::Packet(Packet {
        source_port: be16(frame, at),
        destination_port: be16(frame, at + 2),
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
