//! How a frame travelled to its backend, told from its bytes alone, and how a configuration says that it should.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guideway::config::{Config, Encap};
use guideway_hdl::tables::GUE_PORT;

/// VIP, client's address, client's port.
pub type Flow = ([u8; 4], [u8; 4], u16);

/// What the outer headers of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// In IPIP to this address.
    Ipip(IpAddr),
    /// In GRE to this address, with this key.
    Gre(IpAddr, Option<u32>),
    /// In GUE to this address.
    Gue(IpAddr),
    /// To this station.
    L2([u8; 6]),
}

/// Where a frame of a flow went: the way, the outer source when it tells the node, the station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub flow: Flow,
    pub way: Way,
    pub source: Option<IpAddr>,
    pub station: [u8; 6],
}

/// Reads a frame with an IPv4 TCP packet inside (RFC 2003, RFC 2473, RFC 2784, RFC 2890).
pub fn read(sent: &[u8]) -> Result<Sent, String> {
    let four = |at: usize| <[u8; 4]>::try_from(&sent[at..at + 4]).unwrap();
    let sixteen = |at: usize| <[u8; 16]>::try_from(&sent[at..at + 16]).unwrap();
    let station = <[u8; 6]>::try_from(&sent[..6]).unwrap();
    let (protocol, source, address, behind) = match sent[12..14] {
        [0x08, 0x00] => (
            sent[23],
            IpAddr::from(Ipv4Addr::from(four(26))),
            IpAddr::from(Ipv4Addr::from(four(30))),
            34,
        ),
        [0x86, 0xdd] => (
            sent[20],
            IpAddr::from(Ipv6Addr::from(sixteen(22))),
            IpAddr::from(Ipv6Addr::from(sixteen(38))),
            54,
        ),
        _ => return Err(format!("no IP: {sent:02x?}")),
    };
    let (way, source, inner) = match protocol {
        6 => (Way::L2(station), None, 14),
        4 => (Way::Ipip(address), None, behind),
        17 if four(behind)[2..] == GUE_PORT.to_be_bytes() => {
            (Way::Gue(address), Some(source), behind + 8)
        }
        47 => match four(behind) {
            [0x00, 0, 0x08, 0] => (Way::Gre(address, None), Some(source), behind + 4),
            [0x20, 0, 0x08, 0] => {
                let key = u32::from_be_bytes(four(behind + 4));
                (Way::Gre(address, Some(key)), Some(source), behind + 8)
            }
            other => return Err(format!("a GRE header {other:02x?}")),
        },
        other => return Err(format!("protocol {other}: {sent:02x?}")),
    };
    if sent[inner] != 0x45 || sent[inner + 9] != 6 {
        return Err(format!("no TCP packet inside: {sent:02x?}"));
    }
    let port = u16::from_be_bytes([sent[inner + 20], sent[inner + 21]]);
    Ok(Sent {
        flow: (four(inner + 16), four(inner + 12), port),
        way,
        source,
        station,
    })
}

/// The ways that configurations have, each of which names one backend.
#[derive(Default)]
pub struct Ways {
    /// Way and backend.
    known: Vec<(Way, IpAddr)>,
    sources: BTreeSet<IpAddr>,
    hops: BTreeSet<[u8; 6]>,
}

impl Ways {
    pub fn of(configs: &[Config]) -> Self {
        let mut ways = Self::default();
        for config in configs {
            let node = &config.node;
            ways.sources.extend(node.source_v4.map(IpAddr::from));
            ways.sources.extend(node.source_v6.map(IpAddr::from));
            ways.hops.extend(node.next_hops.iter().map(|hop| hop.mac.0));
            for backend in config.pools.iter().flat_map(|pool| &pool.backends) {
                let address = backend.address;
                let way = match backend.encap {
                    Encap::Ipip => Way::Ipip(address),
                    Encap::Gre { key } => Way::Gre(address, key),
                    Encap::Gue => Way::Gue(address),
                    Encap::L2 { mac } => Way::L2(mac.0),
                };
                ways.known.push((way, address));
            }
        }
        ways
    }

    /// The backend that a frame reached, when all of its outer headers fit together.
    pub fn backend(&self, sent: &Sent) -> Result<IpAddr, String> {
        let known = self.known.iter().find(|(way, _)| *way == sent.way);
        let (_, address) = known.ok_or_else(|| format!("nobody's way: {sent:?}"))?;
        let by_hop = matches!(sent.way, Way::L2(_)) || self.hops.contains(&sent.station);
        let by_source = sent.source.is_none_or(|from| self.sources.contains(&from));
        if by_hop && by_source {
            Ok(*address)
        } else {
            Err(format!("neither node's source or next hop: {sent:?}"))
        }
    }
}

/// A frame's parts are read where they stand.
#[test]
fn a_sent_frame_is_read_as_it_was_meant() {
    let (vip, client) = ([10, 200, 1, 1], [198, 51, 2, 3]);
    let mut inner = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    inner.extend([client, vip].concat());
    inner.extend([4, 3, 0, 80]);
    inner.extend([0; 16]);
    let v4 = |protocol: u8| {
        let mut outer = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        outer.extend([10, 0, 13, 37, 10, 0, 0, 7]);
        outer
    };
    let v6 = |protocol: u8| {
        let mut outer = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        outer.extend(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 1).octets());
        outer.extend(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 7).octets());
        outer
    };
    let (a4, a6): (IpAddr, IpAddr) = ("10.0.0.7".parse().unwrap(), "fc00::7".parse().unwrap());
    let (s4, s6): (IpAddr, IpAddr) = ("10.0.13.37".parse().unwrap(), "fc00::1".parse().unwrap());
    let station = [2, 0, 0, 0, 0, 0xfe];
    let plain = [0, 0, 8, 0].to_vec();
    let keyed = [0x20, 0, 8, 0, 0, 0, 1, 2].to_vec();
    let udp = [1, 2, 0x17, 0xc0, 0, 48, 3, 4].to_vec();
    for (outer, way, source) in [
        (vec![], Way::L2(station), None),
        (v4(4), Way::Ipip(a4), None),
        (v6(4), Way::Ipip(a6), None),
        (
            [v4(47), plain.clone()].concat(),
            Way::Gre(a4, None),
            Some(s4),
        ),
        ([v6(47), plain].concat(), Way::Gre(a6, None), Some(s6)),
        (
            [v4(47), keyed.clone()].concat(),
            Way::Gre(a4, Some(258)),
            Some(s4),
        ),
        ([v6(47), keyed].concat(), Way::Gre(a6, Some(258)), Some(s6)),
        ([v4(17), udp.clone()].concat(), Way::Gue(a4), Some(s4)),
        ([v6(17), udp].concat(), Way::Gue(a6), Some(s6)),
    ] {
        let ether_type = match outer.first() {
            Some(0x60) => [0x86, 0xdd],
            _ => [8, 0],
        };
        let ethernet = [&station[..], &[2, 0, 0, 0, 0, 1], &ether_type].concat();
        let frame = [ethernet, outer, inner.clone()].concat();
        let flow = (vip, client, 1027);
        let expected = Sent {
            flow,
            way,
            source,
            station,
        };
        assert_eq!(read(&frame), Ok(expected));
    }
}
