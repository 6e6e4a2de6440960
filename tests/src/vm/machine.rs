//! The machine: QEMU from the cache, with an IOMMU and the simulated card behind it.
//!
//! Owns QEMU's command line and its end: it ends with this process, however that ends, and when the machine is dropped.

use std::fs;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::guest::Guest;

/// Where the guest's root port puts the card.
pub const CARD_ADDRESS: &str = "0000:01:00.0";
/// The guest's memory, in MiB.
const MEMORY: u32 = 512;
/// How long the kernel may take to its first program.
const BOOT: Duration = Duration::from_secs(60);
/// How long a machine may take to power off.
const POWER_OFF: Duration = Duration::from_secs(10);

/// QEMU and a kernel, as `tools/vm-deps.sh` left them.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`; none when it is not complete.
    #[must_use]
    pub fn open(folder: &Path) -> Option<Self> {
        // QEMU looks for its files by absolute paths only
        let folder = folder.canonicalize().ok()?;
        folder.join("complete").is_file().then_some(Self { folder })
    }

    /// The kernel's modules that the guest loads, in this order: (name, bytes).
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let order = [
            "irqbypass",
            "vfio",
            "vfio_virqfd", // of its own before Linux 6.2
            "vfio_iommu_type1",
            "vfio-pci-core",
            "vfio-pci",
        ];
        let mut modules = Vec::new();
        for name in order {
            let path = self.folder.join(format!("kernel/{name}.ko"));
            if path.exists() {
                modules.push((name.to_owned(), fs::read(&path)?));
            }
        }
        Ok(modules)
    }

    /// QEMU, run by its own loader with its own libraries: the machine's may be too old for it.
    fn qemu(&self) -> Command {
        let usr = self.folder.join("root/usr");
        let libraries = usr.join("lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(&libraries);
        command.arg(usr.join("bin/qemu-system-x86_64"));
        for data in ["share/qemu", "share/seabios"] {
            command.arg("-L").arg(usr.join(data));
        }
        command
    }
}

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    console: PathBuf,
}

/// Ends a machine's conversation from another thread: who waits for the guest then gets an error.
#[derive(Clone, Debug)]
pub struct Hook(Arc<Mutex<UnixStream>>);

impl Hook {
    /// Ends it.
    pub fn pull(&self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Machine {
    /// Boots the guest of `initramfs` with the card behind the socket `card`; its console and QEMU's complaints go into `folder`, a socket
    /// into `sockets`. Must be called from a thread that lives as long as the machine.
    ///
    /// # Errors
    /// When QEMU cannot be started, or the guest does not answer.
    pub fn boot(
        cache: &Cache,
        folder: &Path,
        sockets: &Path,
        initramfs: &Path,
        card: &Path,
    ) -> Result<(Self, Guest, Hook)> {
        let (console, agent) = (folder.join("console.log"), sockets.join("agent.sock"));
        let listener = UnixListener::bind(&agent)?;
        let complaints = fs::File::create(folder.join("qemu.log"))?;
        let vfio_user = serde_json::json!({
            "driver": "vfio-user-pci", "bus": "rp0", "socket": {"type": "unix", "path": card},
        });
        let mut command = cache.qemu();
        command
            .args(["-run-with", "exit-with-parent=on"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-monitor", "none", "-no-reboot"])
            // always: where /dev/kvm opens it need not be a full one
            .args(["-accel", "tcg", "-cpu", "max"])
            .args(["-machine", "q35,memory-backend=ram"])
            .args(["-m", &format!("{MEMORY}M")])
            // shared: the card reaches the guest's memory by its file descriptor
            .args([
                "-object",
                &format!("memory-backend-memfd,id=ram,size={MEMORY}M,share=on"),
            ])
            // before the card, and with caching mode: QEMU then hears of each mapping
            .args(["-device", "intel-iommu,intremap=on,caching-mode=on"])
            .args(["-device", "pcie-root-port,id=rp0,chassis=1,slot=1"])
            .args(["-device", &vfio_user.to_string()])
            .args(["-serial", &format!("file:{}", console.display())])
            .args(["-serial", &format!("unix:{}", agent.display())])
            .arg("-kernel")
            .arg(cache.folder.join("kernel/vmlinuz"))
            .arg("-initrd")
            .arg(initramfs)
            .args([
                "-append",
                "console=ttyS0 panic=-1 intel_iommu=on quiet loglevel=5 no_timer_check tsc=reliable",
            ])
            .stdin(Stdio::null())
            .stdout(complaints.try_clone()?)
            .stderr(complaints);
        let child = command.spawn().context("starting QEMU")?;
        let mut machine = Self { child, console };
        let stream = machine.accept(&listener)?;
        let hook = Hook(Arc::new(Mutex::new(stream.try_clone()?)));
        let guest =
            Guest::greet(stream, BOOT).map_err(|error| error.context(machine.last_words()))?;
        Ok((machine, guest, hook))
    }

    fn accept(&mut self, listener: &UnixListener) -> Result<UnixStream> {
        listener.set_nonblocking(true)?;
        let begun = Instant::now();
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("QEMU ended ({status}): {}", self.last_words());
            }
            if begun.elapsed() > BOOT {
                bail!("QEMU does not begin");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// QEMU's process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What QEMU and the guest's console said last.
    #[must_use]
    pub fn last_words(&self) -> String {
        let tail = |path: &Path| {
            let bytes = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        let complaints = self.console.with_file_name("qemu.log");
        format!(
            "QEMU said:\n{}\nthe guest's console said:\n{}",
            tail(&complaints),
            tail(&self.console)
        )
    }

    /// Powers the machine off.
    ///
    /// # Errors
    /// When it does not end by itself.
    pub fn power_off(mut self, mut guest: Guest) -> Result<()> {
        // QEMU drops what it has not handed on when the other end of a serial port closes: the guest lives to the end
        guest.power_off();
        let begun = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("QEMU ended ({status}): {}", self.last_words()),
                None if begun.elapsed() > POWER_OFF => {
                    return Err(anyhow!("the machine does not power off"));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
