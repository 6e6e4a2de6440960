//! VIPs of every kind in one replay: prefixes, hash options, policies. By the ring or by the host, a packet goes where its VIP's rules say.

use super::*;

const KINDS: [Kind; 8] = [
    Kind::new("10.200.1.1", 80, "", |port, _| (true, port, 80)),
    Kind::new("10.200.2.2", 80, "no-source-port", |_, _| (true, 0, 80)),
    Kind::new("10.200.3.3", 80, "destination-port-only", |_, to| {
        (false, to, to)
    }),
    Kind::new("10.200.4.4", 0, "", |port, _| (true, port, 0)),
    Kind::new("10.200.5.5", 0, "keep-destination-port", |port, to| {
        (true, port, to)
    }),
    Kind::new("10.201.0.0/16", 80, "", |port, _| (true, port, 0)),
    Kind::new("10.202.0.0/16", 80, "keep-destination-port", |port, to| {
        (true, port, to)
    }),
    Kind::new("10.202.7.0/24", 0, "destination-port-only", |_, to| {
        (false, to, to)
    }),
];

/// What a VIP is configured as.
struct Kind {
    address: &'static str,
    port: u16,
    hash: &'static str,
    /// From a packet's ports: whether its source counts, and the two ports that do (`CARD.md`, section 3).
    counts: fn(u16, u16) -> (bool, u16, u16),
}

impl Kind {
    const fn new(
        address: &'static str,
        port: u16,
        hash: &'static str,
        counts: fn(u16, u16) -> (bool, u16, u16),
    ) -> Self {
        Self {
            address,
            port,
            hash,
            counts,
        }
    }

    fn keys(&self, name: usize, on_miss: &str) -> String {
        let hash = match self.hash {
            "" => String::new(),
            name => format!("hash = [{name:?}]\n"),
        };
        format!(
            "[[vip]]\nname = \"v{name}\"\naddress = {:?}\nport = {}\nprotocol = \"tcp\"\npool = \"web\"\non_miss = {on_miss:?}\n{hash}",
            self.address, self.port
        )
    }

    /// An address of the VIP, and a port that it takes.
    fn target(&self, client: u8) -> ([u8; 4], u16) {
        let address = self.address.split('/').next().unwrap();
        let mut octets = address.parse::<Ipv4Addr>().unwrap().octets();
        if self.address.contains('/') {
            octets[3] = client;
        }
        let any = 1000 + u16::from(client) % 3;
        (octets, if self.port == 0 { any } else { self.port })
    }
}

fn folder(on_miss: &str, extra: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = config("sim", BACKENDS);
    let pools = &base[..base.find("[[vip]]").unwrap()];
    let vips: String = (KINDS.iter().enumerate())
        .map(|(name, kind)| kind.keys(name, on_miss))
        .collect();
    let text =
        format!("{pools}{vips}").replace("[[node.next_hop]]", &format!("{extra}[[node.next_hop]]"));
    std::fs::write(folder.path().join("lb.toml"), text).unwrap();
    let mut frames = Vec::new();
    for (kind, client) in KINDS
        .iter()
        .flat_map(|kind| (0..24).map(move |c| (kind, c)))
    {
        let (address, port) = kind.target(client);
        for packet in 0..2 {
            let builder = PacketBuilder::ethernet2([2; 6], [2, 0, 0, 0, 0, 1])
                .ipv4([192, 0, 2, client], address, 64)
                .tcp(1024 + u16::from(client), port, packet, 1000);
            let builder = if packet == 0 {
                builder.syn()
            } else {
                builder.ack(1)
            };
            let mut frame = Vec::new();
            builder.write(&mut frame, &[client; 30]).unwrap();
            frames.push(frame);
        }
    }
    write_pcap(&folder.path().join("in.pcap"), &frames);
    folder
}

/// Every packet went to the backend of its slot; how many there were.
fn follow(folder: &Path) -> usize {
    let sent = read_pcap(&folder.join("out1"));
    for frame in &sent {
        let inner = &frame[34..];
        let octets = |at: usize| <[u8; 4]>::try_from(&inner[at..at + 4]).unwrap();
        let (client, to) = (octets(12), octets(16));
        let ports = [20, 22].map(|at| u16::from_be_bytes([inner[at], inner[at + 1]]));
        let kind = (KINDS.iter().rev())
            .find(|kind| kind.target(client[3]) == (to, ports[1]))
            .unwrap();
        let (source_counts, first, second) = (kind.counts)(ports[0], ports[1]);
        let source = if source_counts { client } else { [0; 4] };
        let expected = backend_of_hash(flow_hash::of(IpAddr::from(source), first, second));
        let outer = IpAddr::from(<[u8; 4]>::try_from(&frame[30..34]).unwrap());
        assert_eq!(outer, expected, "{to:?} {ports:?} of {client:?}");
    }
    sent.len()
}

#[test]
fn host_and_card_hash_by_the_vips_rules() {
    if is_missing() {
        return;
    }
    // the host decides each first packet
    let punted = folder("punt", "");
    let (_, _, stats) = replay(punted.path(), 1, "step");
    assert_eq!(stats["dispositions"]["host_punt"], 192, "{stats}");
    assert_eq!(stats["dispositions"]["forward_hit"], 192, "{stats}");
    assert_eq!(follow(punted.path()), 384);
    // nobody does
    let stateless = folder("stateless", "");
    let (_, _, stats) = replay(stateless.path(), 1, "step");
    assert_eq!(stats["dispositions"]["forward_ring"], 384, "{stats}");
    assert_eq!(stats["host"]["connections"], 0);
    assert_eq!(follow(stateless.path()), 384);
    // the card does, and records it
    let learned = folder("learn", "");
    let (_, _, stats) = replay(learned.path(), 1, "step");
    assert_eq!(stats["dispositions"]["forward_ring"], 192, "{stats}");
    assert_eq!(stats["dispositions"]["forward_hit"], 192, "{stats}");
    assert_eq!(follow(learned.path()), 384);
    // nor may anybody
    let computed = folder("punt", "[node]\ncompute_only = true\n");
    let (_, _, stats) = replay(computed.path(), 1, "step");
    assert_eq!(stats["dispositions"]["forward_ring"], 384, "{stats}");
    assert_eq!(follow(computed.path()), 384);
}
