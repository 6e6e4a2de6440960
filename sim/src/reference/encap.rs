//! IP in IP (`CARD.md` 5): the new headers, bit for bit Katran's.

use std::net::IpAddr;

use guideway_hdl::tables::{BackendEntry, Encap, NextHopEntry, VipEntry};
use guideway_hdl::verdict::Disposition;

use super::flow_hash::hashed_source;
use super::{Config, Packet};

const HOP_LIMIT: u8 = 64;
const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;

/// Ethernet and outer IP header of a packet to a backend.
///
/// # Errors
/// `drop_encap_unsupported` when the backend cannot take the packet, `drop_too_big` beyond the VIP's MTU.
pub fn encap(
    config: &Config,
    packet: &Packet,
    vip: &VipEntry,
    backend: &BackendEntry,
    next_hop: &NextHopEntry,
) -> Result<Vec<u8>, Disposition> {
    if backend.encap != Encap::Ipip.raw() || (packet.is_ipv6() && !backend.ipv6) {
        return Err(Disposition::DropEncapUnsupported);
    }
    let outer_bytes = packet.ip_bytes + if backend.ipv6 { 40 } else { 20 };
    if outer_bytes > usize::from(vip.mtu) {
        return Err(Disposition::DropTooBig);
    }
    let mut header = Vec::with_capacity(54);
    header.extend_from_slice(&next_hop.destination.to_be_bytes()[2..]);
    if next_hop.source == 0 {
        header.extend_from_slice(&packet.destination_mac);
    } else {
        header.extend_from_slice(&next_hop.source.to_be_bytes()[2..]);
    }
    let port = if vip.hash_no_source_port {
        [0; 2]
    } else {
        packet.source_port.to_be_bytes()
    };
    let client = hashed_source(packet, vip);
    // an outer packet is at most 14 bits long: vip.mtu is
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
    if backend.ipv6 {
        header.extend_from_slice(&[0x86, 0xdd]);
        let (client, next_header) = match client {
            IpAddr::V4(v4) => (v4.octets(), IPV4_IN_IP),
            IpAddr::V6(v6) => {
                let o = v6.octets();
                ([o[12], o[13], o[14], o[15]], IPV6_IN_IP)
            }
        };
        let source = outer_source_v6(config, client, port);
        ipv6_header(
            &mut header,
            packet.traffic_class,
            length(packet.ip_bytes),
            next_header,
            source,
            backend.address,
        );
    } else {
        header.extend_from_slice(&[0x08, 0x00]);
        let IpAddr::V4(client) = client else {
            return Err(Disposition::DropEncapUnsupported);
        };
        let source = outer_source_v4(config, client.octets(), port);
        let destination = (backend.address & 0xffff_ffff) as u32;
        ipv4_header(
            &mut header,
            packet.traffic_class,
            length(outer_bytes),
            source,
            destination,
        );
    }
    Ok(header)
}

fn outer_source_v4(config: &Config, client: [u8; 4], [high, low]: [u8; 2]) -> [u8; 4] {
    let prefix = config.ipip_source_v4.to_be_bytes();
    [prefix[0], prefix[1], client[2] ^ low, client[3] ^ high]
}

fn outer_source_v6(config: &Config, client: [u8; 4], [high, low]: [u8; 2]) -> [u8; 16] {
    let mut source = config.ipip_source_v6.to_be_bytes();
    source[12..].copy_from_slice(&[client[0] ^ high, client[1] ^ low, client[2], client[3]]);
    source
}

fn ipv4_header(out: &mut Vec<u8>, tos: u8, total: u16, source: [u8; 4], destination: u32) {
    let start = out.len();
    out.extend_from_slice(&[0x45, tos]);
    out.extend_from_slice(&total.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, HOP_LIMIT, IPV4_IN_IP, 0, 0]);
    out.extend_from_slice(&source);
    out.extend_from_slice(&destination.to_be_bytes());
    let checksum = internet_checksum(&out[start..]).to_be_bytes();
    out[start + 10..start + 12].copy_from_slice(&checksum);
}

fn ipv6_header(
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

/// The Internet checksum (RFC 1071) over an even number of bytes.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
