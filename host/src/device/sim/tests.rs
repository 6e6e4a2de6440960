//! The private simulator's process, played by shell scripts.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn script(folder: &Path, body: &str) -> SimOptions {
    let path = folder.join("guideway-sim");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    SimOptions {
        simulator: Some(path),
        patience: Duration::from_millis(700),
        timeout: Duration::from_millis(300),
        grace: Duration::from_secs(3),
        ..SimOptions::new("pcap:in.pcap,out.pcap")
    }
}

/// A file that is being executed cannot be written: with tests in threads a fork may hold another's script open for a moment.
fn start(options: &SimOptions) -> Simulator {
    for _ in 0..100 {
        match Simulator::start(options.clone()) {
            Err(error) if error.to_string().contains("Text file busy") => {
                std::thread::sleep(Duration::from_millis(10))
            }
            other => return other.unwrap(),
        }
    }
    panic!("the script stays busy");
}

fn process_is_gone(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_simulator_that_fails_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let options = script(folder.path(), "echo \"no interface $4\" >&2; exit 3");
    let error = start(&options).connect().err().unwrap().to_string();
    assert!(
        error.contains("exit status: 3") && error.contains("no interface pcap:in.pcap,out.pcap"),
        "{error}"
    );
}

#[test]
fn a_simulator_that_never_serves_is_given_up_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let options = script(
        folder.path(),
        &format!(
            "echo $$ > {}; echo starting >&2; exec sleep 1000",
            pid_file.display()
        ),
    );
    let simulator = start(&options);
    let begun = Instant::now();
    let error = simulator.connect().err().unwrap().to_string();
    assert!(
        error.contains("no such socket") && error.contains("starting"),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    let pid = fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(!process_is_gone(pid));
    drop(simulator);
    assert!(process_is_gone(pid));
}

#[test]
fn a_simulator_that_ignores_sigterm_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let options = script(
        folder.path(),
        &format!(
            "trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done",
            pid_file.display()
        ),
    );
    let simulator = start(&options);
    while fs::read_to_string(&pid_file).map_or(true, |text| text.is_empty()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    drop(simulator);
    assert!(process_is_gone(pid));
}

#[test]
fn a_simulator_outlives_the_thread_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = script(folder.path(), "exec sleep 1000");
    let simulator = std::thread::spawn(move || start(&options)).join().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(simulator.is_running());
}

#[test]
fn the_end_of_a_simulator_is_waited_for_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    assert!(start(&script(folder.path(), "exit 0")).finish().is_ok());
    let error = start(&script(folder.path(), "echo disk full >&2; exit 1"))
        .finish()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("exit status: 1") && error.contains("disk full"),
        "{error}"
    );
}

#[test]
fn what_is_no_program_cannot_be_started() {
    let folder = tempfile::tempdir().unwrap();
    let options = script(folder.path(), "");
    fs::write(
        options.simulator.as_ref().unwrap(),
        "#!/no/such/interpreter\n",
    )
    .unwrap();
    let error = Simulator::start(options).err().unwrap().to_string();
    assert!(error.contains("starting the simulator"), "{error}");
}
