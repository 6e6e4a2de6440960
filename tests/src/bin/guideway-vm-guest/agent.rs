//! Does what the host asks, one request at a time.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use guideway_tests::vm::protocol::{Outcome, Reply, Request, Status};
use rustix::process::{Pid, Signal, kill_process};

use super::system;

/// How often a program's end is looked for.
const GLANCE: Duration = Duration::from_millis(5);
/// How long a killed program may take to be gone: one that the kernel holds is left behind.
const KILL: Duration = Duration::from_secs(2);
/// Where programs are found.
const PATH: &str = "/bin";

/// Serves the host until the machine ends.
///
/// # Errors
/// When the serial port fails.
pub fn serve() -> Result<()> {
    let port = system::serial_port()?;
    let mut lines = BufReader::new(port.try_clone()?);
    let mut port = port;
    let mut programs = HashMap::new();
    let (uptime_millis, kernel) = system::identify();
    let ready = Reply::Ready {
        uptime_millis,
        kernel,
    };
    say(&mut port, &ready)?;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let reply = serde_json::from_str(&line)
            .map_err(anyhow::Error::from)
            .and_then(|request| answer(request, &mut programs))
            .unwrap_or_else(|error| Reply::Failed {
                error: format!("{error:#}"),
            });
        say(&mut port, &reply)?;
    }
}

fn say(port: &mut File, reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_string(reply)?;
    line.push('\n');
    Ok(port.write_all(line.as_bytes())?)
}

fn answer(request: Request, programs: &mut HashMap<u32, Child>) -> Result<Reply> {
    match request {
        Request::Run { argv, millis } => run(&argv, Duration::from_millis(millis)).map(Reply::Ran),
        Request::Start { argv, log } => {
            let child = spawn(&argv, &log, &log)?;
            let pid = child.id();
            programs.insert(pid, child);
            Ok(Reply::Started { pid })
        }
        Request::Signal { pid, signal } => {
            let signal = Signal::from_named_raw(signal).context("no such signal")?;
            let target = programs
                .get(&pid)
                .map(Pid::from_child)
                .with_context(|| format!("no program {pid}"))?;
            kill_process(target, signal)?;
            Ok(Reply::Done)
        }
        Request::Wait { pid, millis } => {
            let child = programs
                .get_mut(&pid)
                .with_context(|| format!("no program {pid}"))?;
            let status = wait(child, Duration::from_millis(millis))?.map(status);
            Ok(Reply::Ended { status })
        }
        Request::ProcessorTime { pid } => Ok(Reply::Time {
            nanos: processor_time(pid)?,
        }),
        Request::Read { path } => Ok(Reply::Text {
            text: fs::read_to_string(&path).with_context(|| path)?,
        }),
        Request::Write { path, text } => {
            fs::write(&path, text).with_context(|| path)?;
            Ok(Reply::Done)
        }
        Request::PowerOff => {
            system::power_off()?;
            Ok(Reply::Done)
        }
    }
}

fn run(argv: &[String], longest: Duration) -> Result<Outcome> {
    let (out, err) = ("/run/agent.out", "/run/agent.err");
    let mut child = spawn(argv, out, err)?;
    let status = match wait(&mut child, longest)? {
        Some(ended) => status(ended),
        None => {
            child.kill()?;
            wait(&mut child, KILL)?;
            Status::TimedOut
        }
    };
    let text = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Outcome {
        status,
        stdout: text(out)?,
        stderr: text(err)?,
    })
}

fn spawn(argv: &[String], out: &str, err: &str) -> Result<Child> {
    let (program, arguments) = argv.split_first().ok_or_else(|| anyhow!("no program"))?;
    let stdout = File::create(out)?;
    let stderr = if out == err {
        stdout.try_clone()?
    } else {
        File::create(err)?
    };
    Command::new(program)
        .args(arguments)
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .with_context(|| program.clone())
}

fn wait(child: &mut Child, longest: Duration) -> Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            None if begun.elapsed() < longest => std::thread::sleep(GLANCE),
            ended => return Ok(ended),
        }
    }
}

fn status(ended: ExitStatus) -> Status {
    ended
        .code()
        .map(Status::Exit)
        .or_else(|| ended.signal().map(Status::Signal))
        .unwrap_or(Status::TimedOut)
}

/// Nanoseconds that all threads of a program have run: the first number of each thread's `schedstat`.
fn processor_time(pid: u32) -> Result<u64> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text
            .split_whitespace()
            .next()
            .context("schedstat is empty")?
            .parse::<u64>()?;
    }
    Ok(nanos)
}
