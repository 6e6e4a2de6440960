//! What happens in the demo, step by step.

use crate::{
    network::{self, Backend, CARD_MAC, Network, ROUTER_MAC, VIP_V4, VIP_V6},
    process::Process,
    report::{self, Summary},
};
use anyhow::{Context, Result, bail};
use guideway_tests::{net::Host, traffic};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Downloads that run through everything: so many, and as many again until each backend serves at least two.
const DOWNLOADS: u64 = 32;
const DOWNLOADS_MOST: u64 = 256;
/// Bytes of each, and the pause of its server after each 2 KiB.
const DOWNLOAD_BYTES: u64 = 1_300_000;
const PACE_MS: u64 = 20;
/// Requests before the change, after it, and around the host's death.
const BEFORE: u64 = 1000;
const AFTER: u64 = 700;
const DEAD: u64 = 200;
const TAKEN_OVER: u64 = 300;
const PARALLEL: usize = 24;
/// Ports that talk to each VIP in datagrams, and the bytes of the large ones: three fragments each.
const TALKERS: u64 = 12;
const DATAGRAM_BYTES: usize = 4000;
/// The backend that is removed.
const REMOVED: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

struct Stage<'a> {
    bin: PathBuf,
    out: &'a Path,
    start: Instant,
    network: Network,
}

impl Stage<'_> {
    fn say(&self, what: &str) {
        println!("{:6.2} s  {what}", self.start.elapsed().as_secs_f32());
    }

    fn product(&self, host: &Host, program: &str) -> Command {
        host.command(self.bin.join(program))
    }

    fn myself(&self, host: &Host) -> Result<Command> {
        Ok(host.command(env::current_exe()?))
    }
}

/// Tells the whole story, and writes `{out}/summary.json`.
pub fn tell(out: &Path, bin: &Path, model: &str) -> Result<()> {
    fs::create_dir_all(out).with_context(|| {
        format!(
            "{}: not writable; name another folder with --out",
            out.display()
        )
    })?;
    let out = &out.canonicalize()?;
    let _ = fs::remove_dir_all(out.join("run"));
    let bin = bin
        .canonicalize()
        .with_context(|| format!("{}: run `make build` first", bin.display()))?;
    let network = network::build()?;
    let stage = Stage {
        bin,
        out,
        start: Instant::now(),
        network,
    };
    stage.say("network: client, router, card, four backends with weights 1:2:3:4");

    let _backends = stage.start_backends()?;
    // the sandbox's own /run: a socket's path may be no longer than 107 bytes, a checkout's may
    let socket = PathBuf::from("/run/card.sock");
    let mut simulator = stage.start_simulator(model, &socket)?;
    simulator.wait_for("serving", PATIENCE)?;
    let config = out.join("guideway.toml");
    fs::write(&config, stage.configuration(&socket, None))?;
    let mut host = stage.start_host("host-1", &config)?;
    host.wait_for("the card is programmed", PATIENCE)?;
    stage.say(&format!("card ({model}) programmed, port open"));

    let mut downloads = vec![stage.start_downloads(1)?];
    let placed = loop {
        let count = DOWNLOADS * downloads.len() as u64;
        let placed = stage.wait_for_downloads(&downloads, count)?;
        if stage.all_serve_two(&placed) {
            break placed;
        }
        if count >= DOWNLOADS_MOST {
            bail!("of {count} downloads some backend serves fewer than two: {placed:?}");
        }
        downloads.push(stage.start_downloads(count + 1)?);
    };
    let long_connections = placed.values().sum();
    stage.say(&format!(
        "{long_connections} downloads run: {}",
        report::shares(&placed)
    ));

    let mut requests = stage.requests("before", BEFORE)?;
    stage.say(&format!(
        "{BEFORE} requests: {}",
        report::shares(&requests.answered)
    ));

    let talked = stage.talk()?;
    stage.say(&format!(
        "{} ports sent {DATAGRAM_BYTES} bytes in fragments, answered as their small datagrams: {}",
        talked.values().sum::<u64>(),
        report::shares(&talked)
    ));

    let removed = stage.network.backends[REMOVED].clone();
    fs::write(&config, stage.configuration(&socket, Some(REMOVED)))?;
    host.signal(rustix::process::Signal::HUP)?;
    host.wait_for_after(
        "a new configuration",
        "the configuration is on the card",
        PATIENCE,
    )?;
    stage.say(&format!(
        "{} drained and removed, new rings live; its downloads go on",
        removed.host.name()
    ));
    let after = stage.requests("after", AFTER)?;
    stage.say(&format!(
        "{AFTER} requests: {}",
        report::shares(&after.answered)
    ));
    if after.answered.contains_key(removed.host.name()) {
        bail!("{} still gets new connections", removed.host.name());
    }

    // the daemon writes its status every second
    thread::sleep(Duration::from_millis(1100));
    let first_host = stage.status()?;
    host.kill()?;
    stage.say("host killed (SIGKILL): the card goes on alone");
    let dead = stage.requests("dead", DEAD)?;
    stage.say(&format!(
        "{DEAD} requests without a host: {}",
        report::shares(&dead.answered)
    ));
    let mut host = stage.start_host("host-2", &config)?;
    host.wait_for("a running card was taken over", PATIENCE)?;
    stage.say("a new host has taken over the running card");
    let taken_over = stage.requests("taken-over", TAKEN_OVER)?;
    stage.say(&format!(
        "{TAKEN_OVER} requests: {}",
        report::shares(&taken_over.answered)
    ));

    let (done, broken) = stage.finish_downloads(downloads)?;
    stage.say(&format!(
        "downloads: {done} whole and right in every byte, {} broken",
        broken.len()
    ));
    host.signal(rustix::process::Signal::TERM)?;
    host.wait(PATIENCE)?;
    let last = stage.status()?;

    for more in [&after, &dead, &taken_over] {
        requests.failed += more.failed;
        requests.reasons.extend(more.reasons.iter().cloned());
        for (backend, count) in &more.answered {
            *requests.answered.entry(backend.clone()).or_default() += count;
        }
    }
    let phases = [(BEFORE, None), (AFTER + DEAD + TAKEN_OVER, Some(REMOVED))];
    let summary = Summary::new(
        &stage.network.backends,
        &requests,
        &phases,
        long_connections,
        broken.len() as u64,
        last["card"].clone(),
        [&first_host["host"], &last["host"]],
    );
    report::write(&summary, out)?;
    report::print(&summary);
    for reason in requests.reasons.iter().chain(&broken).take(10) {
        println!("  {reason}");
    }
    if requests.failed > 0 || !broken.is_empty() {
        bail!(
            "{} requests failed, {} downloads broke; logs are in {}",
            requests.failed,
            broken.len(),
            out.display()
        );
    }
    Ok(())
}

impl Stage<'_> {
    fn start_backends(&self) -> Result<Vec<Process>> {
        let mut processes = Vec::new();
        for Backend { host, .. } in &self.network.backends {
            let name = host.name();
            let mut server = self.myself(host)?;
            server.args(["backend", "--name", name, "--pace-ms", &PACE_MS.to_string()]);
            server.args([
                "--listen",
                &format!("{VIP_V4}:80"),
                "--listen",
                &format!("[{VIP_V6}]:80"),
            ]);
            for address in talk_addresses() {
                server.args(["--answer", &address]);
            }
            processes.push(Process::start(&format!("http-{name}"), server, self.out)?);
            let mut decap = self.product(host, "guideway");
            decap.args(["decap", "--interface", "eth0"]);
            processes.push(Process::start(&format!("decap-{name}"), decap, self.out)?);
        }
        Ok(processes)
    }

    fn start_simulator(&self, model: &str, socket: &Path) -> Result<Process> {
        let mut command = self.product(&self.network.lb, "guideway-sim");
        command
            .arg("--socket")
            .arg(socket)
            .args(["--wire", "veth:card0", "--model", model]);
        Process::start("card", command, self.out)
    }

    fn start_host(&self, name: &str, config: &Path) -> Result<Process> {
        let mut command = self.product(&self.network.lb, "guideway");
        command
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--runtime-dir")
            .arg(self.out.join("run"));
        Process::start(name, command, self.out)
    }

    fn start_downloads(&self, first_seed: u64) -> Result<Process> {
        let mut command = self.myself(&self.network.client)?;
        command.args(["downloads", "--count", &DOWNLOADS.to_string()]);
        command.args(["--first-seed", &first_seed.to_string()]);
        command.args(["--bytes", &DOWNLOAD_BYTES.to_string(), &url_v4(), &url_v6()]);
        Process::start(&format!("downloads-{first_seed}"), command, self.out)
    }

    fn all_serve_two(&self, placed: &BTreeMap<String, u64>) -> bool {
        let serves = |backend: &Backend| placed.get(backend.host.name()).copied().unwrap_or(0);
        self.network
            .backends
            .iter()
            .all(|backend| serves(backend) >= 2)
    }

    /// Waits until `count` downloads have begun; says how many each backend serves.
    fn wait_for_downloads(
        &self,
        downloads: &[Process],
        count: u64,
    ) -> Result<BTreeMap<String, u64>> {
        let start = Instant::now();
        loop {
            let mut placed = BTreeMap::new();
            for process in downloads {
                for event in events(process)? {
                    match event {
                        traffic::Download::Began { backend, .. } => {
                            *placed.entry(backend).or_default() += 1
                        }
                        traffic::Download::Broke { seed, reason } => {
                            bail!("download {seed} broke at once: {reason}")
                        }
                        traffic::Download::Done { .. } => {}
                    }
                }
            }
            if placed.values().sum::<u64>() == count {
                return Ok(placed);
            }
            if start.elapsed() > PATIENCE {
                bail!("only {placed:?} of {count} downloads have begun");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn finish_downloads(&self, mut downloads: Vec<Process>) -> Result<(usize, Vec<String>)> {
        let (mut done, mut broken) = (0, Vec::new());
        let mut all = Vec::new();
        for process in &mut downloads {
            process.wait(PATIENCE)?;
            all.extend(events(process)?);
        }
        for event in all {
            match event {
                traffic::Download::Done { .. } => done += 1,
                traffic::Download::Broke { seed, reason } => {
                    broken.push(format!("download {seed}: {reason}"))
                }
                traffic::Download::Began { .. } => {}
            }
        }
        Ok((done, broken))
    }

    /// What the daemon says of card and host.
    fn status(&self) -> Result<serde_json::Value> {
        let text =
            fs::read_to_string(self.out.join("run/status.json")).context("the daemon's status")?;
        Ok(serde_json::from_str(&text)?)
    }

    fn requests(&self, name: &str, count: u64) -> Result<traffic::Requests> {
        let mut command = self.myself(&self.network.client)?;
        command.args([
            "requests",
            "--count",
            &count.to_string(),
            "--parallel",
            &PARALLEL.to_string(),
            &url_v4(),
            &url_v6(),
        ]);
        let mut process = Process::start(&format!("requests-{name}"), command, self.out)?;
        process.wait(2 * PATIENCE)?;
        Ok(serde_json::from_str(&process.output()?)?)
    }

    /// Datagrams that fit into a packet, and others that do not, of which the kernels make fragments.
    fn talk(&self) -> Result<BTreeMap<String, u64>> {
        let mut command = self.myself(&self.network.client)?;
        command.args(["talk", "--count", &TALKERS.to_string()]);
        command.args(["--bytes", &DATAGRAM_BYTES.to_string()]);
        command.args(talk_addresses());
        let mut process = Process::start("talk", command, self.out)?;
        process.wait(PATIENCE)?;
        Ok(serde_json::from_str(&process.output()?)?)
    }

    fn configuration(&self, socket: &Path, without: Option<usize>) -> String {
        let mut text = format!(
            "version = 1\n[card]\ndevice = \"vfio-user:{}\"\n[node]\nname = \"lb1\"\nmac = \"{CARD_MAC}\"\nmtu = 1540\n\
             [[node.next_hop]]\nmac = \"{ROUTER_MAC}\"\n",
            socket.display()
        );
        for (family, vip) in [("v4", VIP_V4), ("v6", VIP_V6)] {
            text += &format!("[[pool]]\nname = \"web-{family}\"\nencap = \"ipip\"\n");
            for (n, backend) in self.network.backends.iter().enumerate() {
                if without != Some(n) {
                    let address = if family == "v4" {
                        &backend.v4
                    } else {
                        &backend.v6
                    };
                    text += &format!(
                        "[[pool.backend]]\naddress = \"{address}\"\nweight = {}\n",
                        backend.weight
                    );
                }
            }
            text += &format!(
                "[[vip]]\nname = \"web-{family}\"\naddress = \"{vip}\"\nport = 80\nprotocol = \"tcp\"\npool = \"web-{family}\"\non_miss = \"punt\"\n\
                 [[vip]]\nname = \"talk-{family}\"\naddress = \"{vip}\"\nport = 7\nprotocol = \"udp\"\npool = \"web-{family}\"\n"
            );
        }
        text
    }
}

fn url_v4() -> String {
    format!("http://{VIP_V4}")
}

fn talk_addresses() -> [String; 2] {
    [format!("{VIP_V4}:7"), format!("[{VIP_V6}]:7")]
}

fn url_v6() -> String {
    format!("http://[{VIP_V6}]")
}

fn events(downloads: &Process) -> Result<Vec<traffic::Download>> {
    let output = downloads.output()?;
    let whole = output.rfind('\n').map_or("", |end| &output[..end]);
    whole
        .lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}
