//! A host dies at every write of a change, and of the first programming: the next host on the same card and runtime directory brings
//! it whole to the new configuration, and no flow leaves its backend meanwhile, whoever began it and whenever.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway::config::Config;
use guideway::control::host::{Caller, Found, Host, HostError, Order, Turn};
use guideway::device::{Device, DeviceError};
use guideway::slow_path::poll::NoSink;
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;

use super::exact::holds_exactly;
use super::fuse::{Blows, Fuse, Fused};
use super::stage::{ACK, MAC, PATIENCE, SYN, Stage};
use super::ways::{Flow, Ways, read};

/// Longer than any round: who ends the time of acquaintance is the test.
const FOREVER: Duration = Duration::from_secs(3600);
/// How many rounds a flow is followed.
const FOLLOWED: u32 = 3;

/// A pool: name, ring size, backends with weights and the keys that say how packets travel to them.
type Pool<'a> = (&'a str, u32, &'a [(&'a str, u32, &'a str)]);

fn config(node: &str, routers: &[u8], pools: &[Pool], vips: &[(&str, &str, &str)]) -> Config {
    let mut text = format!(
        "version = 1\n[card]\ndevice = \"sim\"\n[node]\nname = \"lb1\"\nmac = \"02:00:00:00:00:01\"\n{node}\n"
    );
    for router in routers {
        text += &format!(
            "[[node.next_hop]]\nname = \"{router:x}\"\nmac = \"02:00:00:00:00:{router:02x}\"\n"
        );
    }
    for (name, size, backends) in pools {
        text += &format!("[[pool]]\nname = \"{name}\"\ntable_size = {size}\n");
        for (address, weight, way) in *backends {
            text +=
                &format!("[[pool.backend]]\naddress = \"{address}\"\nweight = {weight}\n{way}\n");
        }
    }
    for (address, pool, rules) in vips {
        text += &format!(
            "[[vip]]\nname = \"v{}\"\naddress = \"{address}\"\nport = 80\nprotocol = \"tcp\"\npool = \"{pool}\"\n{rules}\n",
            address.replace('/', "-")
        );
    }
    Config::parse("test", &text).unwrap()
}

/// Rules of VIPs: two of the three options change under live flows.
const KEEP: &str = "hash = [\"keep-destination-port\"]";
/// A second VIP of an address, which answers echo requests: for whom they count changes when the first one goes.
const AND_DNS: &str = "echo = true\n[[vip]]\nname = \"dns\"\naddress = \"10.200.1.3\"\nport = 53\nprotocol = \"udp\"\npool = \"web\"\necho = true";
const IPIP: &str = "";
const BY_FC: &str = "next_hop = \"fc\"";
const BY_FE: &str = "next_hop = \"fe\"";
const GRE: &str = "encap = \"gre\"";

fn gre(key: u32) -> String {
    format!("{GRE}\ngre_key = {key}")
}

fn l2(station: u8) -> String {
    format!("encap = \"l2\"\nmac = \"02:00:00:00:01:{station:02x}\"")
}

/// Two configurations that differ in everything that a plan has a step for: most backends that stay get another way, from each to
/// each. The rings lie such that one pool's new ring takes the region that another pool's old one leaves.
pub fn two_configurations() -> [Config; 2] {
    let first = config(
        "icmp_limit = { echo = { rate = 7, burst = 70 } }\nmtu = 1500\nsource_v4 = \"10.0.13.37\"\nsource_v6 = \"fc00:2307::1\"",
        &[0xfe],
        &[
            (
                "web",
                1009,
                &[
                    ("10.0.0.1", 1, &gre(7)),
                    ("10.0.0.2", 2, BY_FE),
                    ("10.0.0.3", 1, GRE),
                    ("10.0.0.4", 0, IPIP),
                ],
            ),
            (
                "api",
                1021,
                &[
                    ("10.1.0.1", 1, &l2(1)),
                    ("10.1.0.2", 1, &gre(7)),
                    ("10.1.0.3", 1, &l2(2)),
                    ("fc00::13", 1, GRE),
                ],
            ),
            ("old", 251, &[("10.2.0.1", 1, &l2(3))]),
        ],
        &[
            ("10.200.1.1", "web", "echo = true"),
            ("10.200.1.2", "api", ""),
            (
                "10.200.1.3",
                "web",
                &format!("on_miss = \"stateless\"\n{AND_DNS}"),
            ),
            (
                "10.200.1.4",
                "api",
                "quota = 4000\nmeter = { rate = 1000, burst = 300 }",
            ),
            ("10.200.1.6", "old", ""),
            ("10.201.0.0/16", "web", &format!("{KEEP}\necho = true")),
            ("10.202.3.0/24", "api", ""),
            ("10.202.4.4", "web", ""),
            ("10.202.0.0/16", "web", "echo = true"),
        ],
    );
    // nobody needs an IPv6 source any more
    let second = config(
        "mtu = 1480\nsource_v4 = \"10.0.13.38\"",
        &[0xfd, 0xfe, 0xfc],
        &[
            (
                "web",
                1009,
                &[
                    ("10.0.0.2", 1, &gre(0)),
                    ("10.0.0.3", 3, &l2(4)),
                    ("10.0.0.5", 2, BY_FC),
                ],
            ),
            (
                "api",
                1021,
                &[
                    ("10.1.0.1", 1, &l2(5)),
                    ("10.1.0.2", 3, &gre(8)),
                    ("10.1.0.3", 1, IPIP),
                    ("fc00::13", 1, IPIP),
                ],
            ),
            (
                "new",
                509,
                &[("10.3.0.1", 1, &l2(6)), ("10.3.0.2", 1, IPIP)],
            ),
        ],
        &[
            ("10.200.1.1", "web", ""),
            (
                "10.200.1.2",
                "web",
                "hash = [\"no-source-port\"]\necho = true",
            ),
            (
                "10.200.1.4",
                "api",
                "hash = [\"destination-port-only\"]\nmeter = { rate = 999, burst = 400 }",
            ),
            ("10.200.1.5", "new", AND_DNS),
            ("10.201.0.0/16", "api", "echo = true"),
            ("10.201.2.0/24", "web", "hash = [\"destination-port-only\"]"),
            ("10.201.3.3", "web", ""),
            ("10.202.0.0/16", "api", ""),
        ],
    );
    [first, second]
}

/// Addresses that are VIPs in both configurations: alone, in the same prefix, and with a narrower VIP in one of the two.
const VIPS: [[u8; 4]; 8] = [
    [10, 200, 1, 1],
    [10, 200, 1, 2],
    [10, 201, 1, 1],
    [10, 201, 2, 2],
    [10, 200, 1, 4],
    [10, 201, 3, 3],
    [10, 202, 3, 3],
    [10, 202, 4, 4],
];

fn frame((vip, client, port): Flow, flags: u8) -> Vec<u8> {
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source: client.into(),
        destination: vip.into(),
        protocol: 6,
        ports: (port, 80),
        flags,
        traffic_class: 0,
        payload: b"hello".to_vec(),
    }
    .frame()
}

/// Live flows, and where they go.
#[derive(Default)]
struct Flows {
    /// The backend of each, once a packet has left for it, and the round in which it began.
    known: BTreeMap<Flow, (Option<IpAddr>, u32)>,
    ways: Ways,
    opened: u32,
    round: u32,
}

impl Flows {
    /// Opens a flow: its SYN is sent, and no answer awaited.
    fn open(&mut self, stage: &Stage) {
        let n = self.opened;
        self.opened += 1;
        let client = [198, 51, (n >> 8) as u8, n as u8];
        let flow = (VIPS[n as usize % VIPS.len()], client, 1024 + n as u16);
        self.known.insert(flow, (None, self.round));
        stage.wire.send(frame(flow, SYN));
    }

    /// Looks at what the card has sent, for so long. Which flows were seen is noted in `seen`.
    fn watch(&mut self, stage: &Stage, wait: Duration, seen: &mut Vec<Flow>) -> Result<(), String> {
        let mut wait = wait;
        while let Ok(sent) = stage.wire.receive(wait) {
            wait = Duration::ZERO;
            let sent = read(&sent.bytes)?;
            let (flow, backend) = (sent.flow, self.ways.backend(&sent)?);
            seen.push(flow);
            let Some((known, _)) = self.known.get_mut(&flow) else {
                continue;
            };
            if *known.get_or_insert(backend) != backend {
                return Err(format!("{flow:?} went to {known:?} and now to {backend}"));
            }
        }
        Ok(())
    }

    /// A packet of every flow leaves for its backend.
    fn all_go_on(&mut self, stage: &Stage, mut host: Option<&mut Host>) -> Result<(), String> {
        let round = self.round;
        self.known.retain(|_, (_, began)| *began + FOLLOWED > round);
        let mut waiting: Vec<Flow> = self.known.keys().copied().collect();
        let begun = Instant::now();
        while !waiting.is_empty() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("no packet left of {waiting:?}"));
            }
            for flow in &waiting {
                stage.wire.send(frame(*flow, ACK));
            }
            let (mut seen, sent) = (Vec::new(), Instant::now());
            // a packet that met the end of a host is lost, and its client sends it again
            while waiting.iter().any(|flow| !seen.contains(flow))
                && sent.elapsed() < Duration::from_millis(300)
            {
                // a host that is killed here is found dead later
                if host.as_mut().is_some_and(|host| host.turn().is_err()) {
                    return Ok(());
                }
                self.watch(stage, Duration::from_millis(1), &mut seen)?;
            }
            waiting.retain(|flow| !seen.contains(flow));
        }
        Ok(())
    }
}

/// Connects as soon as the simulator has noticed that the last host is gone.
pub fn connect(stage: &Stage, fuse: &Fuse) -> Result<Arc<dyn Device>, DeviceError> {
    let begun = Instant::now();
    loop {
        match stage.try_connect() {
            Ok(device) => return Ok(Fused::around(Arc::new(device), fuse)),
            Err(DeviceError::Busy { .. }) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

pub fn start(
    stage: &Stage,
    fuse: &Fuse,
    folder: &Path,
    config: &Config,
) -> Result<(Host, Caller, Found), HostError> {
    Host::start_after(FOREVER, config, folder, Box::new(NoSink), || {
        connect(stage, fuse)
    })
}

/// Lets the host carry out what it was told, while flows begin at every turn. An error is that of the host.
fn carry_out(host: &mut Host, stage: &Stage, flows: &mut Flows) -> Result<(), HostError> {
    host.acquainted();
    let mut opened = 0;
    while host.turn()? != Turn::Idle || !host.is_settled() {
        if opened < 12 {
            opened += 1;
            flows.open(stage);
            // the host meets it in its next turn
            let begun = Instant::now();
            while host.card().punts_outstanding()? == 0 && begun.elapsed() < PATIENCE {}
        }
    }
    Ok(())
}

/// How many writes one card is played with: each leaves flows, which every later change reads and moves.
const WRITES_A_CARD: usize = 60;

/// Changes back and forth between the configurations, and kills the host at the writes of numbers `writes`, up to the first one that
/// both changes do not have any more.
fn change_and_crash(model: Model, writes: impl Iterator<Item = u32>) {
    let writes: Vec<u32> = writes.collect();
    let mut crashes = 0;
    for writes in writes.chunks(WRITES_A_CARD) {
        let (more, is_end) = change_and_crash_one_card(model, writes);
        crashes += more;
        if is_end {
            eprintln!("{crashes} crashes");
            assert!(crashes > 20, "only {crashes} crashes: this shows little");
            return;
        }
    }
    panic!("a plan without an end");
}

/// The same with one card; how many hosts were killed, and whether the end was reached.
fn change_and_crash_one_card(model: Model, writes: &[u32]) -> (u32, bool) {
    let (stage, folder) = (Stage::new(model), tempfile::tempdir().unwrap());
    let configs = two_configurations();
    let mut flows = Flows {
        ways: Ways::of(&configs),
        ..Flows::default()
    };
    let mut fuse = Fuse::default();
    let (mut host, mut caller, found) = start(&stage, &fuse, folder.path(), &configs[0]).unwrap();
    assert_eq!(found, Found::Blank);
    (0..24).for_each(|_| flows.open(&stage));
    flows.all_go_on(&stage, Some(&mut host)).unwrap();
    let (mut now, mut crashes) = (0, 0);
    for &write in writes {
        let mut whole = 0;
        for direction in 0..2 {
            flows.round += 1;
            let blows = if (write + direction) % 2 == 0 {
                Blows::Before
            } else {
                Blows::After
            };
            let wanted = 1 - now;
            let context = format!("write {write} ({blows:?}) of the change to {wanted}");
            let check = |result: Result<(), String>, when: &str| {
                if let Err(error) = result {
                    panic!("{context}, {when}: {error}");
                }
            };
            fuse.set(write, blows);
            let alive = caller.order(Order::Apply(Box::new(configs[wanted].clone())));
            assert!(alive);
            let ended = carry_out(&mut host, &stage, &mut flows);
            if fuse.take() {
                crashes += 1;
                assert!(ended.is_err(), "{context}");
                drop(host);
                check(flows.all_go_on(&stage, None), "without a host");
                // sometimes the operator has second thoughts, and sometimes the second host is killed as well
                now = if write % 5 == 3 { now } else { wanted };
                fuse = Fuse::default();
                if write % 3 == 1 {
                    fuse.set(write * 7 % 60, blows);
                    if let Ok((mut second, ..)) = start(&stage, &fuse, folder.path(), &configs[now])
                    {
                        let known = flows.all_go_on(&stage, Some(&mut second));
                        check(known, "with a second host");
                        let _ = carry_out(&mut second, &stage, &mut flows);
                    }
                    check(flows.all_go_on(&stage, None), "without the second host");
                }
                fuse = Fuse::default();
                let started = start(&stage, &fuse, folder.path(), &configs[now]).unwrap();
                assert!(matches!(started.2, Found::Running(_)), "{context}: erased");
                (host, caller) = (started.0, started.1);
                check(flows.all_go_on(&stage, Some(&mut host)), "with a new host");
                carry_out(&mut host, &stage, &mut flows).unwrap();
            } else {
                ended.unwrap();
                (now, whole) = (wanted, whole + 1);
            }
            check(holds_exactly(host.card(), &configs[now]), "at the end");
            check(flows.all_go_on(&stage, Some(&mut host)), "at the end");
        }
        if whole == 2 {
            return (crashes, true);
        }
    }
    (crashes, false)
}

/// Every so many writes of a change: each of two tests begins at another one. `GUIDEWAY_CRASH_STRIDE=2` dies at every write (`make
/// soak`), of which there are hundreds, most of them around reads of the flow table.
fn strides(begin: u32) -> impl Iterator<Item = u32> {
    let stride = std::env::var("GUIDEWAY_CRASH_STRIDE").map_or(7, |stride| {
        stride.parse().expect("GUIDEWAY_CRASH_STRIDE is a number")
    });
    (begin.min(stride - 1)..1000).step_by(stride as usize)
}

#[test]
fn a_host_that_dies_at_any_write_of_a_change_is_continued() {
    change_and_crash(Model::Reference, strides(0));
}

#[test]
fn a_host_that_dies_at_any_other_write_of_a_change_is_continued() {
    change_and_crash(Model::Reference, strides(3));
}

#[test]
fn a_host_that_dies_while_it_programs_a_blank_card_leaves_nothing_behind() {
    let stage = Stage::new(Model::Reference);
    let [first, second] = two_configurations();
    for write in 0.. {
        // with an empty runtime directory the card is a stranger's, and erased
        let folder = tempfile::tempdir().unwrap();
        let fuse = Fuse::default();
        let blows = if write % 2 == 0 {
            Blows::Before
        } else {
            Blows::After
        };
        fuse.set(write, blows);
        let ended = start(&stage, &fuse, folder.path(), &first).map(|_| ());
        if !fuse.take() {
            ended.unwrap();
            assert!(write > 40, "only {write} writes: this shows little");
            return;
        }
        assert!(ended.is_err());
        let (mut host, _caller, _) =
            start(&stage, &Fuse::default(), folder.path(), &second).unwrap();
        carry_out(&mut host, &stage, &mut Flows::default()).unwrap();
        if let Err(error) = holds_exactly(host.card(), &second) {
            panic!("write {write} ({blows:?}): {error}");
        }
    }
}
