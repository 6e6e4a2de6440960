//! What makes the kernel's first process a system: file systems, modules, the serial port.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;

use anyhow::{Context, Result};
use guideway_tests::vm::protocol::SERIAL_PORT;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use rustix::termios::{OptionalActions, speed, tcgetattr, tcsetattr};

/// Mounts and loads.
///
/// # Errors
/// When the kernel refuses.
pub fn start() -> Result<()> {
    for (what, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        mount(what, place, what, MountFlags::empty(), None::<&CStr>)
            .with_context(|| format!("mounting {place}"))?;
    }
    let mut modules: Vec<PathBuf> = fs::read_dir("/modules")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    modules.sort();
    for module in modules {
        let file = File::open(&module)?;
        rustix::system::finit_module(&file, c"", 0)
            .with_context(|| format!("loading {}", module.display()))?;
    }
    Ok(())
}

/// The host's end of the second serial port: bytes as they are, both ways.
///
/// # Errors
/// When there is none.
pub fn serial_port() -> Result<File> {
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .open(SERIAL_PORT)
        .context(SERIAL_PORT)?;
    let mut attributes = tcgetattr(&port)?;
    attributes.make_raw();
    attributes.set_speed(speed::B115200)?;
    tcsetattr(&port, OptionalActions::Now, &attributes)?;
    Ok(port)
}

/// Time since the kernel's start, in milliseconds, and the kernel's version.
#[must_use]
pub fn identify() -> (u64, String) {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = uptime
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let kernel = rustix::system::uname();
    (
        (seconds * 1000.0) as u64,
        kernel.release().to_string_lossy().into_owned(),
    )
}

/// Powers the machine off.
///
/// # Errors
/// When the kernel refuses.
pub fn power_off() -> Result<()> {
    Ok(reboot(RebootCommand::PowerOff)?)
}
