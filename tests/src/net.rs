//! Networks of namespaces on one machine, without root and without traces.
//!
//! Owns the sandbox (user, network, mount and PID namespaces of its own, so that everything in it ends with its first
//! process, however that ends) and the `ip` commands that build a network inside it. Nothing here touches the machine's
//! own network.

use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsStr,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Set inside the sandbox.
const INSIDE: &str = "GUIDEWAY_SANDBOX";
/// What `unshare` is told of users: nothing, or to make its caller root of a namespace.
const OF_ROOT: [&str; 0] = [];
const OF_ANYONE: [&str; 2] = ["--user", "--map-root-user"];

/// Runs this very program again inside a sandbox; returns only there.
///
/// # Errors
/// When the kernel refuses user namespaces to this user; the error says how to allow them.
pub fn enter_sandbox() -> Result<()> {
    if env::var_os(INSIDE).is_some() {
        return prepare_sandbox();
    }
    // Root of a user namespace may not write where another user owns the files: real root needs no such namespace.
    let mut user: &[&str] = &OF_ROOT;
    let mut refused = probe(user)?;
    if refused.is_some() {
        user = &OF_ANYONE;
        refused = probe(user)?;
    }
    if let Some(why) = refused {
        bail!(
            "this user may not make namespaces: {why}\nRun as root, or allow them: `sudo sysctl kernel.unprivileged_userns_clone=1` \
             (Debian), `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)"
        );
    }
    let error = sandbox(user)
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(error).context("entering the sandbox")
}

/// Why the kernel refuses such a sandbox, if it does.
fn probe(user: &[&str]) -> Result<Option<String>> {
    let output = sandbox(user)
        .arg("true")
        .output()
        .context("`unshare` (package util-linux) is missing: run `make deps`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then(|| said.trim().to_owned()))
}

fn sandbox(user: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(user).args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command
}

/// `ip netns` keeps its names below /run: give the sandbox a /run of its own.
fn prepare_sandbox() -> Result<()> {
    run("mount", ["-t", "tmpfs", "tmpfs", "/run"])?;
    ip("link set lo up")
}

/// A command that finds `ip` and its like also where the user's PATH leaves out /sbin.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    if let Ok(path) = env::join_paths(paths) {
        command.env("PATH", path);
    }
    command
}

/// Runs a command to its end.
///
/// # Errors
/// When it fails, with what it said.
pub fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let output = command(program)
        .args(&arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("`{program}` cannot be started: run `make deps`"))?;
    if !output.status.success() {
        bail!(
            "`{program} {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Runs `ip` with these words.
///
/// # Errors
/// As [`run`].
pub fn ip(words: &str) -> Result<()> {
    run("ip", words.split_whitespace())
}

/// A host of the network: a network namespace with a name.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
}

impl Host {
    /// A new host with its loopback up, which forwards nothing and answers at once (no duplicate address detection).
    ///
    /// # Errors
    /// As [`run`].
    pub fn new(name: &str) -> Result<Self> {
        ip(&format!("netns add {name}"))?;
        let host = Self {
            name: name.to_owned(),
        };
        host.ip("link set lo up")?;
        for setting in [
            "net.ipv6.conf.all.accept_dad=0",
            "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.conf.default.accept_ra=0",
            // outer sources are not in any route of ours: reverse path filters would drop them
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ] {
            host.sysctl(setting)?;
        }
        Ok(host)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` on this host.
    ///
    /// # Errors
    /// As [`run`].
    pub fn ip(&self, words: &str) -> Result<()> {
        ip(&format!("-n {} {words}", self.name))
    }

    /// Makes it forward packets.
    ///
    /// # Errors
    /// As [`run`].
    pub fn forward(&self) -> Result<()> {
        self.sysctl("net.ipv4.ip_forward=1")?;
        self.sysctl("net.ipv6.conf.all.forwarding=1")
    }

    fn sysctl(&self, setting: &str) -> Result<()> {
        let (key, value) = setting.split_once('=').context("a setting is key=value")?;
        let file = format!("/proc/sys/{}", key.replace('.', "/"));
        run(
            "ip",
            [
                "netns",
                "exec",
                &self.name,
                "sh",
                "-c",
                &format!("echo {value} > {file}"),
            ],
        )
    }

    /// Turns an interface's offloads off.
    ///
    /// # Errors
    /// As [`run`].
    fn ethtool(&self, interface: &str) -> Result<()> {
        let words = ["netns", "exec", &self.name, "ethtool", "-K", interface];
        run(
            "ip",
            words
                .into_iter()
                .chain(["tx", "off", "tso", "off", "gso", "off", "gro", "off"]),
        )
    }

    /// A command that runs on this host.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

/// A cable between two hosts: a veth pair with its offloads off, because frames in an AF_PACKET socket would otherwise
/// carry unfinished checksums and be longer than any wire allows.
///
/// # Errors
/// As [`run`].
pub fn cable(a: &Host, a_interface: &str, b: &Host, b_interface: &str, mtu: u32) -> Result<()> {
    ip(&format!(
        "link add {a_interface} mtu {mtu} netns {} type veth peer name {b_interface} mtu {mtu} netns {}",
        a.name, b.name
    ))?;
    for (host, interface) in [(a, a_interface), (b, b_interface)] {
        host.ethtool(interface)?;
        host.ip(&format!("link set {interface} up"))?;
    }
    Ok(())
}
