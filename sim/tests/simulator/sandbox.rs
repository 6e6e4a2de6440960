//! Network namespaces of a test's own: its inner part is an ignored test that this one runs again in them.

use std::process::Command;

const NAMESPACES: [&str; 3] = ["--user", "--map-root-user", "--net"];

/// Runs the ignored test `inner` of this binary in new namespaces, when the system lets us make them and `probe` (a command without
/// quotes) succeeds there; otherwise says so.
pub fn run(inner: &str, probe: &str) {
    let possible = Command::new("unshare")
        .args(NAMESPACES)
        .args(probe.split(' '))
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no namespaces here, or in them no `{probe}`");
        return;
    }
    let output = Command::new("unshare")
        .args(NAMESPACES)
        .arg(std::env::current_exe().unwrap())
        .args([inner, "--exact", "--ignored", "--nocapture"])
        .arg("--test-threads=1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ran = output.status.success() && said.contains("1 passed");
    assert!(ran, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `ip`.
pub fn ip(arguments: &str) {
    let mut command = Command::new("ip");
    let status = command.args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Whether the checksum of an IPv4 frame's UDP datagram is right (RFC 768).
pub fn udp_checksum_is_right(frame: &[u8]) -> bool {
    let udp = &frame[34..];
    let mut total = sum(&frame[26..34]) + 17 + udp.len() as u32 + sum(udp);
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total == 0xffff
}

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum()
}
