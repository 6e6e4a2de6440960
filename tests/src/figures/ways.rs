//! The ways in which packets travel to backends, and the client's frames that take them.

use guideway_hdl::tables::{BackendEntry, BackendState, Encap};
use guideway_sim::harness::frame::PacketSpec;
use std::net::{IpAddr, Ipv6Addr};

use super::MAC;

/// How packets travel to the backends.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// Bytes that it adds.
    pub outer: usize,
    /// The clients' packets are IPv6.
    pub inner_ipv6: bool,
    encap: Encap,
    ipv6: bool,
    key: Option<u32>,
}

impl Way {
    const fn new(
        name: &'static str,
        outer: usize,
        (inner_ipv6, ipv6): (bool, bool),
        encap: Encap,
        key: Option<u32>,
    ) -> Self {
        Self {
            name,
            outer,
            inner_ipv6,
            encap,
            ipv6,
            key,
        }
    }

    /// The backend with this index: 10.0.(index / 256).(index mod 256), or the same number in IPv6.
    #[must_use]
    pub fn backend(&self, index: u16) -> BackendEntry {
        BackendEntry {
            state: BackendState::Up.raw(),
            encap: self.encap.raw(),
            ipv6: self.ipv6,
            generation: 1,
            address: 0x0a00_0000 | u128::from(index),
            key_present: self.key.is_some(),
            key: self.key.unwrap_or(0),
            ..BackendEntry::default()
        }
    }

    /// Bytes of the smallest frame: Ethernet's 60, or of IPv6 and UDP.
    #[must_use]
    pub const fn least(&self) -> usize {
        if self.inner_ipv6 { 62 } else { 60 }
    }

    /// A client's frame of `bytes` bytes to the VIP, the last `padding` of which Ethernet added; `client` (24 bits) chooses address
    /// and port. TCP with ACK; UDP where IPv6 leaves no room for TCP.
    ///
    /// # Panics
    /// When the frame is too small for its headers.
    #[must_use]
    pub fn frame(&self, client: u32, bytes: usize, padding: usize) -> Vec<u8> {
        let [_, high, middle, low] = client.to_be_bytes();
        let packet = bytes - padding;
        let (headers, protocol) = match (self.inner_ipv6, packet) {
            (false, _) => (54, 6),
            (true, 74..) => (74, 6),
            (true, _) => (62, 17),
        };
        assert!(
            packet >= headers,
            "a packet of {packet} bytes has no room for {headers} of headers"
        );
        let source: IpAddr = if self.inner_ipv6 {
            let last = u16::from_be_bytes([high, middle]);
            Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, last).into()
        } else {
            [10, 1, high, middle].into()
        };
        let mut frame = PacketSpec {
            ethernet: (MAC, [2, 0, 0, 0, 0, 9]),
            source,
            destination: self.vip(),
            protocol,
            ports: (1024 + u16::from(low), 80),
            flags: 0x10,
            traffic_class: 0,
            payload: vec![low; packet - headers],
        }
        .frame();
        frame.resize(bytes, 0);
        frame
    }

    /// The VIP's address.
    #[must_use]
    pub fn vip(&self) -> IpAddr {
        if self.inner_ipv6 {
            Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into()
        } else {
            [10, 200, 1, 1].into()
        }
    }

    /// The client whose frame this inner packet is.
    #[must_use]
    pub fn client(&self, inner: &[u8]) -> u32 {
        let at = if self.inner_ipv6 {
            [22, 23, 41]
        } else {
            [14, 15, 21]
        };
        let [high, middle, low] = at.map(|at| inner.get(at).copied().unwrap_or(0));
        u32::from_be_bytes([0, high, middle, low])
    }

    /// What is wrong with a frame that came out for this client's frame in, or nothing.
    #[must_use]
    pub fn fault(&self, sent: &[u8], frame: &[u8], backend: u16) -> Option<&'static str> {
        let before = 14 + self.outer;
        if sent.len() != self.outer + frame.len() {
            return Some("another length");
        }
        if sent[before..] != frame[14..] {
            return Some("another payload");
        }
        // the outer destination's last two bytes; in l2 no byte names the backend
        let named = match (self.encap, self.ipv6) {
            (Encap::L2, _) => None,
            (_, false) => Some(32..34),
            (_, true) => Some(52..54),
        };
        if named.is_some_and(|at| sent[at] != backend.to_be_bytes()) {
            return Some("another backend");
        }
        if self.encap == Encap::Gue && !checksum_verifies(sent, self.ipv6) {
            return Some("a wrong UDP checksum");
        }
        None
    }
}

/// Every way. The first is what is measured when no other is named.
pub const WAYS: &[Way] = &[
    Way::new("ipip-4in4", 20, (false, false), Encap::Ipip, None),
    Way::new("ipip-6in6", 40, (true, true), Encap::Ipip, None),
    Way::new("ipip-4in6", 40, (false, true), Encap::Ipip, None),
    Way::new("ipip-6in4", 20, (true, false), Encap::Ipip, None),
    Way::new("gre", 24, (false, false), Encap::Gre, None),
    Way::new("gre-key", 28, (false, false), Encap::Gre, Some(7)),
    Way::new("gre-key-6", 48, (false, true), Encap::Gre, Some(7)),
    Way::new("gue-4", 28, (false, false), Encap::Gue, None),
    Way::new("gue-6", 48, (false, true), Encap::Gue, None),
    Way::new("l2", 0, (false, false), Encap::L2, None),
];

/// The UDP checksum behind an outer header, as a receiver verifies it (RFC 768, RFC 8200 8.1).
fn checksum_verifies(frame: &[u8], ipv6: bool) -> bool {
    let (addresses, udp) = if ipv6 { (22, 54) } else { (26, 34) };
    let length = frame.len() - udp;
    let words = frame[addresses..].chunks(2);
    let words = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    // addresses, then the datagram: they lie one behind the other
    let mut sum = words.sum::<u32>() + 17 + u32::try_from(length).unwrap_or(0);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff && frame[udp + 6..udp + 8] != [0, 0]
}
