//! What host and guest say to each other: one JSON value a line, each request answered before the next.

use serde::{Deserialize, Serialize};

/// Where the guest finds the agent's serial port.
pub const SERIAL_PORT: &str = "/dev/ttyS1";

/// What the host asks of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Run a program to its end: [`Reply::Ran`]. Killed when it takes longer.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// Longest time it may take.
        millis: u64,
    },
    /// Start a program: [`Reply::Started`].
    Start {
        /// Program and arguments.
        argv: Vec<String>,
        /// Where its standard output and standard error go.
        log: String,
    },
    /// Send a signal to a started program: [`Reply::Done`].
    Signal {
        /// The program.
        pid: u32,
        /// The signal's number.
        signal: i32,
    },
    /// Wait for the end of a started program: [`Reply::Ended`].
    Wait {
        /// The program.
        pid: u32,
        /// Longest time to wait.
        millis: u64,
    },
    /// How long a program's threads have been on a processor: [`Reply::Time`].
    ProcessorTime {
        /// The program.
        pid: u32,
    },
    /// Read a file: [`Reply::Text`].
    Read {
        /// Its path.
        path: String,
    },
    /// Write a file: [`Reply::Done`].
    Write {
        /// Its path.
        path: String,
        /// What it holds afterwards.
        text: String,
    },
    /// Power the machine off. There is no reply.
    PowerOff,
}

/// What the guest answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The first line: the guest listens.
    Ready {
        /// Time since its kernel's start.
        uptime_millis: u64,
        /// Its kernel.
        kernel: String,
    },
    /// A program came to its end.
    Ran(Outcome),
    /// A program runs.
    Started {
        /// Its number.
        pid: u32,
    },
    /// A started program's end; none when it still runs.
    Ended {
        /// How it ended.
        status: Option<Status>,
    },
    /// Time on a processor.
    Time {
        /// Nanoseconds.
        nanos: u64,
    },
    /// A file's text.
    Text {
        /// It.
        text: String,
    },
    /// It is done.
    Done,
    /// It could not be done.
    Failed {
        /// Why.
        error: String,
    },
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// By us: it took too long.
    TimedOut,
}

/// A program's end and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// It ended with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Status::Exit(0)
    }
}
