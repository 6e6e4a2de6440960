//! Encapsulation (`CARD.md` 5): the headers that go before an inner packet.
//!
//! Owns Ethernet, outer IP, GRE and UDP headers. Which backend the packet goes to is decided before.

use std::net::IpAddr;

use guideway_hdl::tables::{BackendEntry, Encap, NextHopEntry, VipEntry};
use guideway_hdl::verdict::Disposition;

use super::flow_hash::hashed_source;
use super::{Config, Packet};

const HOP_LIMIT: u8 = 64;
const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const UDP: u8 = 17;
const GRE: u8 = 47;
const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];
/// `next_hop.vlan_mode`: no tags.
const VLAN_REMOVE: u8 = 1;
/// `next_hop.vlan_mode`: one tag of the next hop's.
const VLAN_SET: u8 = 2;

/// All that a packet to a backend gets in front: Ethernet header, and what its encapsulation needs. `inner` is the IP packet.
///
/// # Errors
/// `drop_encap_unsupported` when the backend's encapsulation is none that the card knows, `drop_too_big` beyond the VIP's MTU.
pub fn encap(
    config: &Config,
    packet: &Packet,
    inner: &[u8],
    vip: &VipEntry,
    backend: &BackendEntry,
    next_hop: &NextHopEntry,
) -> Result<Vec<u8>, Disposition> {
    let inner_type = if packet.is_ipv6() {
        TYPE_IPV6
    } else {
        TYPE_IPV4
    };
    let (protocol, mut between) = match Encap::from_raw(backend.encap) {
        Some(Encap::L2) => {
            fits(packet.ip_bytes, vip)?;
            return Ok(ethernet(packet, next_hop, inner_type));
        }
        Some(Encap::Ipip) if packet.is_ipv6() => (IPV6_IN_IP, Vec::new()),
        Some(Encap::Ipip) => (IPV4_IN_IP, Vec::new()),
        Some(Encap::Gre) => (GRE, gre(backend, inner_type)),
        Some(Encap::Gue) => (UDP, gue(config, packet, vip, backend)),
        _ => return Err(Disposition::DropEncapUnsupported),
    };
    let carried = between.len() + packet.ip_bytes;
    let own_source = matches!(protocol, GRE | UDP);
    let outer_type = if backend.ipv6 { TYPE_IPV6 } else { TYPE_IPV4 };
    let mut header = ethernet(packet, next_hop, outer_type);
    if backend.ipv6 {
        fits(40 + carried, vip)?;
        let source = if own_source {
            config.source_v6.to_be_bytes()
        } else {
            ipip_source_v6(config, packet, vip)
        };
        let (class, to) = (packet.traffic_class, backend.address);
        ipv6_header(&mut header, class, length(carried), protocol, source, to);
    } else {
        let total = 20 + carried;
        fits(total, vip)?;
        let source = if own_source {
            config.source_v4.to_be_bytes()
        } else {
            ipip_source_v4(config, packet, vip)
        };
        let to = (backend.address & 0xffff_ffff) as u32;
        let tos = packet.traffic_class;
        ipv4_header(&mut header, tos, length(total), protocol, source, to);
    }
    if protocol == UDP {
        // the addresses end the header that was just written
        let addresses = &header[header.len() - if backend.ipv6 { 32 } else { 8 }..];
        let checksum = udp_checksum(addresses, &between, inner);
        between[6..].copy_from_slice(&checksum.to_be_bytes());
    }
    header.extend(between);
    Ok(header)
}

/// What an encapsulation that the card knows puts before an inner packet, in bytes without Ethernet.
pub(super) fn outer_bytes(backend: &BackendEntry) -> usize {
    let ip = if backend.ipv6 { 40 } else { 20 };
    match Encap::from_raw(backend.encap) {
        Some(Encap::Gre) if backend.key_present => ip + 8,
        Some(Encap::Gre) => ip + 4,
        Some(Encap::Gue) => ip + 8,
        Some(Encap::Ipip) => ip,
        _ => 0,
    }
}

/// The outer packet's size against the VIP's MTU.
fn fits(outer_bytes: usize, vip: &VipEntry) -> Result<(), Disposition> {
    if outer_bytes > usize::from(vip.mtu) {
        return Err(Disposition::DropTooBig);
    }
    Ok(())
}

/// A length field. What [`fits`] let through is at most 14 bits long, as `vip.mtu` is.
pub(super) fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

fn ethernet(packet: &Packet, next_hop: &NextHopEntry, ether_type: [u8; 2]) -> Vec<u8> {
    let mut header = Vec::with_capacity(62);
    header.extend_from_slice(&next_hop.destination.to_be_bytes()[2..]);
    if next_hop.source == 0 {
        header.extend_from_slice(&packet.destination_mac);
    } else {
        header.extend_from_slice(&next_hop.source.to_be_bytes()[2..]);
    }
    vlan_tags(&mut header, packet, next_hop);
    header.extend_from_slice(&ether_type);
    header
}

/// RFC 2784, with the key of RFC 2890.
fn gre(backend: &BackendEntry, protocol_type: [u8; 2]) -> Vec<u8> {
    let flags = if backend.key_present { 0x20 } else { 0 };
    let mut header = vec![flags, 0, protocol_type[0], protocol_type[1]];
    if backend.key_present {
        header.extend_from_slice(&backend.key.to_be_bytes());
    }
    header
}

/// The UDP header of GUE; its checksum is still 0.
fn gue(config: &Config, packet: &Packet, vip: &VipEntry, backend: &BackendEntry) -> Vec<u8> {
    let [high, low] = mixed_port(packet, vip);
    let s = client_end(packet, vip);
    let source_port = match (packet.is_ipv6(), backend.ipv6) {
        (_, false) => [s[2] ^ low, s[3] ^ high],
        (false, true) => [s[2] ^ high, s[3] ^ low],
        (true, true) => [s[0] ^ high, s[1] ^ low],
    };
    let mut header = source_port.to_vec();
    header.extend(config.gue_port.to_be_bytes());
    header.extend(length(8 + packet.ip_bytes).to_be_bytes());
    header.extend([0, 0]);
    header
}

/// RFC 768 and RFC 8200 8.1: over pseudo header (of which IPv6's longer fields are zeros), UDP header and what it carries.
fn udp_checksum(addresses: &[u8], header: &[u8], carried: &[u8]) -> u16 {
    let mut covered = addresses.to_vec();
    covered.extend([0, UDP]);
    covered.extend(&header[4..6]);
    covered.extend(header);
    covered.extend(carried);
    match internet_checksum(&covered) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// The source port's bytes, high and low, as outer sources and ports mix them in.
fn mixed_port(packet: &Packet, vip: &VipEntry) -> [u8; 2] {
    if vip.hash_no_source_port {
        [0; 2]
    } else {
        packet.source_port.to_be_bytes()
    }
}

/// The tags behind the MAC addresses.
fn vlan_tags(header: &mut Vec<u8>, packet: &Packet, next_hop: &NextHopEntry) {
    match next_hop.vlan_mode {
        VLAN_REMOVE => {}
        VLAN_SET => {
            header.extend_from_slice(&[0x81, 0x00]);
            header.extend_from_slice(&next_hop.vlan.to_be_bytes());
        }
        _ => header.extend_from_slice(packet.tags.as_bytes()),
    }
}

/// The last four bytes of the client's address.
fn client_end(packet: &Packet, vip: &VipEntry) -> [u8; 4] {
    match hashed_source(packet, vip) {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let o = v6.octets();
            [o[12], o[13], o[14], o[15]]
        }
    }
}

fn ipip_source_v4(config: &Config, packet: &Packet, vip: &VipEntry) -> [u8; 4] {
    let [high, low] = mixed_port(packet, vip);
    let client = client_end(packet, vip);
    let prefix = config.ipip_source_v4.to_be_bytes();
    [prefix[0], prefix[1], client[2] ^ low, client[3] ^ high]
}

fn ipip_source_v6(config: &Config, packet: &Packet, vip: &VipEntry) -> [u8; 16] {
    let [high, low] = mixed_port(packet, vip);
    let client = client_end(packet, vip);
    let mut source = config.ipip_source_v6.to_be_bytes();
    source[12..].copy_from_slice(&[client[0] ^ high, client[1] ^ low, client[2], client[3]]);
    source
}

pub(super) fn ipv4_header(
    out: &mut Vec<u8>,
    tos: u8,
    total: u16,
    protocol: u8,
    source: [u8; 4],
    destination: u32,
) {
    let start = out.len();
    out.extend_from_slice(&[0x45, tos]);
    out.extend_from_slice(&total.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, HOP_LIMIT, protocol, 0, 0]);
    out.extend_from_slice(&source);
    out.extend_from_slice(&destination.to_be_bytes());
    let checksum = internet_checksum(&out[start..]).to_be_bytes();
    out[start + 10..start + 12].copy_from_slice(&checksum);
}

pub(super) fn ipv6_header(
    out: &mut Vec<u8>,
    class: u8,
    payload: u16,
    next_header: u8,
    source: [u8; 16],
    destination: u128,
) {
    let first = 6 << 28 | u32::from(class) << 20; // the flow label is 0
    out.extend_from_slice(&first.to_be_bytes());
    out.extend_from_slice(&payload.to_be_bytes());
    out.extend_from_slice(&[next_header, HOP_LIMIT]);
    out.extend_from_slice(&source);
    out.extend_from_slice(&destination.to_be_bytes());
}

/// The Internet checksum (RFC 1071); an odd byte counts as if a 0 followed.
pub(super) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
