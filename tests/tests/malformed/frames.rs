//! The frames: a set of seeds, and every way in which each is cut, flipped, or made to lie.
//!
//! Owns what is sent, and where a seed's headers and length fields lie. What must become of a frame is [`super::expect`]'s
//! and the models' affair.

use std::net::{IpAddr, Ipv6Addr};

use guideway_hdl::verdict::Disposition;
use guideway_sim::harness::{
    frame::{PacketSpec, ip_frame, tagged},
    icmp::{message, reversed},
};

pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
pub const FRAGMENT: u8 = 44;
/// The VIP's port whose packets are soon too big.
pub const SMALL_PORT: u16 = 81;
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 9);
pub const SERVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 1);
/// Bytes of a seed's front that are cut and flipped one by one: the window, and some behind it.
const FRONT: usize = 140;

/// What lies behind a seed's Ethernet header and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ipv4,
    Ipv6,
    Arp,
}

/// A frame that is what it should be, what becomes of it, and where its length fields lie.
#[derive(Clone, Debug)]
pub struct Seed {
    pub name: &'static str,
    pub frame: Vec<u8>,
    pub whole: Disposition,
    pub kind: Kind,
    /// Bytes of its VLAN tags.
    pub tags: usize,
    /// Fields of one byte that lengths hang on: version and IHL, extension headers' lengths and segments left, TCP's data offset.
    bytes: Vec<usize>,
    /// Length fields of two bytes: the IP header's, then UDP's.
    words: Vec<usize>,
}

/// What was done to a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Whole,
    /// Cut to so many bytes.
    Cut(usize),
    /// Bits of one byte flipped.
    Flipped { at: usize, mask: u8 },
    /// A length field of two bytes says something else.
    Length { at: usize, says: u16 },
    /// A byte that lengths hang on says something else.
    Byte { at: usize, says: u8 },
    /// Put behind these tags, and cut to so many bytes.
    Tags { tags: Vec<[u8; 4]>, bytes: usize },
    /// Layer 4 put behind extension headers of these sizes. The first number names the first header, the last one layer 4.
    Chain {
        tags: usize,
        numbers: Vec<u8>,
        sizes: Vec<usize>,
    },
}

/// A frame to send, and how it came about.
#[derive(Clone, Debug)]
pub struct Case {
    pub seed: usize,
    pub change: Change,
    pub frame: Vec<u8>,
}

fn spec(ipv6: bool, protocol: u8) -> PacketSpec {
    let (source, destination): (IpAddr, IpAddr) = if ipv6 {
        (CLIENT_V6.into(), SERVICE_V6.into())
    } else {
        ([192, 168, 1, 1].into(), [10, 200, 1, 1].into())
    };
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 9]),
        source,
        destination,
        protocol,
        ports: (4000, if protocol == TCP { 80 } else { 443 }),
        flags: 0x10,
        traffic_class: 0x28,
        payload: b"payload".to_vec(),
    }
}

/// An extension header of `bytes` bytes that names the next.
fn extension(next: u8, bytes: usize) -> Vec<u8> {
    let mut header = vec![0; bytes];
    header[0] = next;
    header[1] = (bytes / 8 - 1) as u8;
    header
}

/// Layer 4 behind a chain of extension headers: what lies between, by the numbers of all headers.
fn chain(numbers: &[u8], sizes: &[usize]) -> Vec<u8> {
    let headers = sizes.iter().zip(&numbers[1..]);
    headers
        .flat_map(|(bytes, next)| extension(*next, *bytes))
        .collect()
}

const OUTER: [u8; 4] = [0x88, 0xa8, 0x60, 1];
const INNER: [u8; 4] = [0x81, 0, 0, 0x2a];
/// An ICMP error's inner packet, as far as it goes here.
const INNER_PACKET: [u8; 28] = [0x45; 28];

struct Parts<'a> {
    tags: &'a [[u8; 4]],
    options: usize,
    numbers: &'a [u8],
    sizes: &'a [usize],
}

const PLAIN: Parts<'static> = Parts {
    tags: &[],
    options: 0,
    numbers: &[],
    sizes: &[],
};

fn seed(
    name: &'static str,
    whole: Disposition,
    spec: &PacketSpec,
    parts: &Parts<'_>,
    layer4: &[u8],
) -> Seed {
    let ipv6 = spec.source.is_ipv6();
    let between = if ipv6 && !parts.sizes.is_empty() {
        chain(parts.numbers, parts.sizes)
    } else {
        vec![1; parts.options]
    };
    let first = parts.numbers.first().copied().unwrap_or(spec.protocol);
    let frame = tagged(&ip_frame(spec, first, &between, layer4), parts.tags);
    let tags = 4 * parts.tags.len();
    let ip = 14 + tags;
    let (mut bytes, mut words) = (vec![ip], vec![ip + if ipv6 { 4 } else { 2 }]);
    let mut at = ip + if ipv6 { 40 } else { 20 + parts.options };
    for size in parts.sizes {
        bytes.extend([at + 1, at + 3]);
        at += size;
    }
    match spec.protocol {
        TCP => bytes.push(at + 12),
        UDP => words.push(at + 4),
        _ => {}
    }
    Seed {
        name,
        frame,
        whole,
        kind: if ipv6 { Kind::Ipv6 } else { Kind::Ipv4 },
        tags,
        bytes,
        words,
    }
}

/// An ICMP error about the answer to a packet.
fn about(spec: &PacketSpec, kind: u8) -> Vec<u8> {
    message(kind, 0, &reversed(spec).frame()[14..])
}

/// The seeds: each kind of packet that the card tells apart.
pub fn seeds() -> Vec<Seed> {
    use Disposition as D;
    let [tcp4, udp4] = [TCP, UDP].map(|protocol| spec(false, protocol));
    let [tcp6, udp6, icmp6] = [TCP, UDP, ICMPV6].map(|protocol| spec(true, protocol));
    let icmp4 = spec(false, 1);
    let long = PacketSpec {
        ports: (4001, 80),
        payload: vec![0xa5; 200],
        ..tcp4.clone()
    };
    let bgp = PacketSpec {
        destination: [10, 200, 1, 9].into(),
        ports: (4000, 179),
        ..tcp4.clone()
    };
    let [small4, small6] = [&tcp4, &tcp6].map(|spec| PacketSpec {
        ports: (4000, SMALL_PORT),
        payload: vec![0xa5; 120],
        ..spec.clone()
    });
    let too_big = [[2, 0, 0, 0, 0, 0, 5, 0].as_slice(), &INNER_PACKET].concat();
    let unreachable = [[3, 4, 0, 0, 0, 0, 5, 0].as_slice(), &INNER_PACKET].concat();
    let mut solicitation = vec![0; 24];
    solicitation[0] = 135;
    let group = PacketSpec {
        ethernet: ([0x33, 0x33, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]),
        ..icmp6.clone()
    };
    let mut fragment = seed("IPv4 fragment", D::HostFragment, &udp4, &PLAIN, &[7; 24]);
    fragment.frame[20] = 0x20;
    fragment.words.truncate(1);
    vec![
        seed("known TCP", D::ForwardHit, &tcp4, &PLAIN, &tcp4.transport()),
        seed(
            "UDP over IPv6",
            D::HostPunt,
            &udp6,
            &PLAIN,
            &udp6.transport(),
        ),
        Seed {
            name: "ARP",
            frame: [MAC.as_slice(), &[2, 0, 0, 0, 0, 9, 8, 6], &[0; 46]].concat(),
            whole: D::HostControl,
            kind: Kind::Arp,
            tags: 0,
            bytes: Vec::new(),
            words: Vec::new(),
        },
        seed(
            "UDP behind options and two tags",
            D::ForwardRing,
            &udp4,
            &Parts {
                tags: &[OUTER, INNER],
                options: 12,
                ..PLAIN
            },
            &udp4.transport(),
        ),
        seed(
            "TCP behind three extension headers and a tag",
            D::ForwardRing,
            &tcp6,
            &Parts {
                tags: &[INNER],
                numbers: &[0, 43, 60, TCP],
                sizes: &[8, 24, 16],
                ..PLAIN
            },
            &tcp6.transport(),
        ),
        seed("ICMP error", D::HostIcmpError, &icmp4, &PLAIN, &unreachable),
        seed(
            "ICMPv6 error behind an extension header",
            D::HostIcmpError,
            &icmp6,
            &Parts {
                numbers: &[60, ICMPV6],
                sizes: &[16],
                ..PLAIN
            },
            &too_big,
        ),
        seed(
            "ICMP error about a known flow",
            D::ForwardHit,
            &icmp4,
            &PLAIN,
            &about(&tcp4, 3),
        ),
        seed(
            "ICMPv6 error about a flow, behind a tag",
            D::ForwardRing,
            &icmp6,
            &Parts {
                tags: &[INNER],
                ..PLAIN
            },
            &about(&tcp6, 2),
        ),
        seed(
            "echo request",
            D::ForwardEcho,
            &icmp4,
            &PLAIN,
            &[8, 0, 0xf7, 0xff, 0, 0, 0, 0],
        ),
        seed(
            "echo request over IPv6, behind two tags",
            D::ForwardEcho,
            &icmp6,
            &Parts {
                tags: &[OUTER, INNER],
                ..PLAIN
            },
            &[128, 0, 1, 0, 0, 7, 0, 1, 42],
        ),
        seed(
            "too big",
            D::ForwardTooBig,
            &small4,
            &PLAIN,
            &small4.transport(),
        ),
        seed(
            "too big over IPv6, behind a tag",
            D::ForwardTooBig,
            &small6,
            &Parts {
                tags: &[INNER],
                ..PLAIN
            },
            &small6.transport(),
        ),
        seed(
            "solicitation to a group",
            D::HostControl,
            &group,
            &PLAIN,
            &solicitation,
        ),
        fragment,
        seed(
            "IPv6 fragment behind an extension header",
            D::HostFragment,
            &spec(true, FRAGMENT),
            &Parts {
                numbers: &[60, FRAGMENT],
                sizes: &[8],
                ..PLAIN
            },
            &[&[UDP, 0, 0, 1, 0, 0, 0, 9], udp6.transport().as_slice()].concat(),
        ),
        seed(
            "TCP that leaves the window",
            D::ForwardRing,
            &long,
            &Parts {
                tags: &[OUTER, INNER],
                options: 40,
                ..PLAIN
            },
            &long.transport(),
        ),
        seed(
            "BGP for no VIP",
            D::HostControl,
            &bgp,
            &PLAIN,
            &bgp.transport(),
        ),
        // what was sent to a backend and comes back, because the backend's address is a VIP
        seed(
            "IPIP to a VIP",
            D::HostUnsupported,
            &spec(false, 4),
            &PLAIN,
            &udp4.frame()[14..],
        ),
        seed(
            "GRE to a VIP over IPv6",
            D::HostUnsupported,
            &spec(true, 47),
            &PLAIN,
            &[&[0, 0, 8, 0], &udp4.frame()[14..]].concat(),
        ),
    ]
}

/// Every malformed frame, and the seeds themselves.
pub fn cases(seeds: &[Seed]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, seed) in seeds.iter().enumerate() {
        let mut add = |change, frame| {
            cases.push(Case {
                seed: number,
                change,
                frame,
            });
        };
        add(Change::Whole, seed.frame.clone());
        cut(seed, &mut add);
        flip(seed, &mut add);
        lie(seed, &mut add);
        if seed.tags == 0 && number < 3 {
            tags(seed, &mut add);
        }
    }
    cases.extend(chains());
    cases
}

type Add<'a> = dyn FnMut(Change, Vec<u8>) + 'a;

fn cut(seed: &Seed, add: &mut Add<'_>) {
    let bytes = seed.frame.len();
    for length in (1..bytes.min(FRONT)).chain(bytes.saturating_sub(3).max(FRONT)..bytes) {
        add(Change::Cut(length), seed.frame[..length].to_vec());
    }
}

fn flip(seed: &Seed, add: &mut Add<'_>) {
    for at in 0..seed.frame.len().min(FRONT) {
        for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut frame = seed.frame.clone();
            frame[at] ^= mask;
            add(Change::Flipped { at, mask }, frame);
        }
    }
}

/// What a length field says: everything small, everything near the truth, steps of headers and beats, and far off.
fn lies(truth: u16) -> Vec<u16> {
    let steps = (1..=24).chain([
        32, 40, 48, 56, 60, 64, 100, 128, 192, 256, 512, 1480, 9000, 9216,
    ]);
    let mut said: Vec<u16> = steps
        .flat_map(|step| [truth.wrapping_add(step), truth.wrapping_sub(step)])
        .chain(0..=70)
        .chain([127, 128, 129, 0x7fff, 0x8000, 0xff00, 0xfffe, 0xffff])
        .filter(|said| *said != truth)
        .collect();
    said.sort_unstable();
    said.dedup();
    said
}

fn lie(seed: &Seed, add: &mut Add<'_>) {
    for at in seed.words.iter().copied() {
        let truth = u16::from_be_bytes([seed.frame[at], seed.frame[at + 1]]);
        for says in lies(truth) {
            let mut frame = seed.frame.clone();
            frame[at..at + 2].copy_from_slice(&says.to_be_bytes());
            add(Change::Length { at, says }, frame);
        }
    }
    for at in seed.bytes.iter().copied() {
        for says in 0..=u8::MAX {
            let mut frame = seed.frame.clone();
            frame[at] = says;
            add(Change::Byte { at, says }, frame);
        }
    }
}

const TPIDS: [[u8; 4]; 3] = [OUTER, INNER, [0x91, 0, 0x0f, 0xff]];

/// All sequences of up to three tags, longer ones of one kind; each whole, and cut at each byte of the tags and just behind.
fn tags(seed: &Seed, add: &mut Add<'_>) {
    let mut sequences: Vec<Vec<[u8; 4]>> = vec![vec![]];
    let mut longest = sequences.clone();
    for _ in 0..3 {
        longest = longest
            .iter()
            .flat_map(|before| TPIDS.map(|tag| [before.as_slice(), &[tag]].concat()))
            .collect();
        sequences.extend(longest.clone());
    }
    for tag in TPIDS {
        sequences.extend(
            (4..=8)
                .chain([28, 30, 31, 64])
                .map(|count| vec![tag; count]),
        );
    }
    for tags in &sequences[1..] {
        let frame = tagged(&seed.frame, tags);
        let near = 12..(16 + 4 * tags.len()).min(36);
        for bytes in near.chain([frame.len()]) {
            let change = Change::Tags {
                tags: tags.clone(),
                bytes,
            };
            add(change, frame[..bytes].to_vec());
        }
    }
}

/// Chains of extension headers that tell the truth: every order, too many, and every way over the window's end.
fn chains() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |tags: usize, numbers: Vec<u8>, sizes: Vec<usize>| {
        let protocol = numbers.last().copied().unwrap_or(TCP);
        let spec = spec(true, protocol);
        let layer4 = match protocol {
            ICMPV6 => vec![128, 0, 0, 0, 0, 0, 0, 0],
            _ => spec.transport(),
        };
        let frame = ip_frame(&spec, numbers[0], &chain(&numbers, &sizes), &layer4);
        cases.push(Case {
            seed: 0,
            frame: tagged(&frame, &[OUTER, INNER][..tags]),
            change: Change::Chain {
                tags,
                numbers,
                sizes,
            },
        });
    };
    let mut orders: Vec<Vec<u8>> = vec![vec![]];
    for _ in 0..4 {
        let longer = orders
            .iter()
            .flat_map(|order| [0, 43, 60].map(|number| [order.as_slice(), &[number]].concat()));
        orders = [vec![vec![]], longer.collect()].concat();
    }
    for order in &orders {
        for last in [TCP, UDP, ICMPV6, FRAGMENT, 50, 51, 59, 135] {
            add(
                0,
                [order.as_slice(), &[last]].concat(),
                vec![8; order.len()],
            );
        }
    }
    for count in 5..=14 {
        let numbers = [vec![60; count], vec![UDP]].concat();
        add(count % 3, numbers, vec![8; count]);
    }
    for bytes in (8..=2048).step_by(8) {
        add(bytes / 8 % 3, vec![60, TCP], vec![bytes]);
    }
    let near: Vec<usize> = (8..=88).step_by(8).collect();
    for tags in 0..=2 {
        for one in near.iter().copied() {
            for last in [UDP, ICMPV6, FRAGMENT, 59] {
                add(tags, vec![0, last], vec![one]);
            }
            for other in near.iter().copied() {
                add(tags, vec![60, 43, TCP], vec![one, other]);
            }
        }
        for first in (8..=40).step_by(8) {
            for last in (8..=40).step_by(8) {
                add(tags, vec![0, 43, 60, UDP], vec![first, 16, last]);
            }
        }
    }
    cases
}

/// What frames of these kinds can become on the wire; some must become each.
pub const MEANT: &[Disposition] = &[
    Disposition::ForwardHit,
    Disposition::ForwardRing,
    Disposition::ForwardEcho,
    Disposition::ForwardTooBig,
    Disposition::HostPunt,
    Disposition::HostControl,
    Disposition::HostFragment,
    Disposition::HostIcmpError,
    Disposition::HostUnmatched,
    Disposition::HostUnsupported,
    Disposition::HostGroup,
    Disposition::DropRunt,
    Disposition::DropMacMismatch,
    Disposition::DropIpv4Malformed,
    Disposition::DropIpv6Malformed,
    Disposition::DropL4Malformed,
];
