//! The client's end of a trace: asks a daemon, and understands what it says.

use std::io;
use std::path::{Path, PathBuf};

use guideway_hdl::LAYOUT_HASH;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::Losses;
use super::names::Names;
use super::session::{Request, SOCKET, Said, record};
use crate::card::Record;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon serves {}: start one with guideway run --config FILE --runtime-dir {}, or name the one that runs with --runtime-dir", .0.display(), .0.display())]
    NoDaemon(PathBuf),
    /// The socket is not for this user.
    #[error("{}: {error}: only the user that runs the daemon traces", .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The daemon refused.
    #[error("{0}")]
    Refused(String),
    /// The daemon is of another version.
    #[error(
        "the daemon has layout hash {daemon:#010x}, this command {LAYOUT_HASH:#010x}: they were built from different versions"
    )]
    Version {
        /// The daemon's hash.
        daemon: u32,
    },
    /// The daemon went away.
    #[error("the daemon has ended, and the trace with it")]
    Gone,
    /// The daemon says what cannot be.
    #[error("the daemon said {line:?}: {error}")]
    Garbled {
        /// What it said.
        line: String,
        /// What is wrong.
        error: String,
    },
}

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A record.
    Record(Record),
    /// What was lost so far.
    Lost(Losses),
    /// The end: what was lost, and why it ended when it was not asked for.
    End(Losses, Option<String>),
}

/// A trace that goes on.
#[derive(Debug)]
pub struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: Option<OwnedWriteHalf>,
    /// What indices are called now.
    pub names: Names,
}

impl Client {
    /// Asks the daemon of a runtime directory; the card traces when this returns.
    ///
    /// # Errors
    /// When nobody listens, or the daemon refuses.
    pub async fn open(runtime_dir: &Path, request: &Request) -> Result<Self, ClientError> {
        let path = runtime_dir.join(SOCKET);
        let stream = UnixStream::connect(&path).await.map_err(|error| {
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) {
                ClientError::NoDaemon(runtime_dir.to_owned())
            } else {
                ClientError::Socket { path, error }
            }
        })?;
        let (read, mut write) = stream.into_split();
        let request = serde_json::to_string(request).map_err(garbled(""))?;
        // one that refuses at once may have closed already, and says why
        let _ = write.write_all(format!("{request}\n").as_bytes()).await;
        let mut client = Self {
            lines: BufReader::new(read).lines(),
            write: Some(write),
            names: Names::default(),
        };
        match client.line().await? {
            Said::Tracing {
                layout: LAYOUT_HASH,
            } => Ok(client),
            Said::Tracing { layout } => Err(ClientError::Version { daemon: layout }),
            other => Err(garbled("")(format!("{other:?} before the trace began"))),
        }
    }

    /// What comes next. May be given up and asked again.
    ///
    /// # Errors
    /// When the daemon ends, or cannot be understood.
    pub async fn next(&mut self) -> Result<Heard, ClientError> {
        loop {
            match self.line().await? {
                Said::Names(names) => self.names.update(names),
                Said::Record(words) => {
                    let record = record(&words);
                    return record
                        .map(Heard::Record)
                        .ok_or_else(|| garbled("a record")("of no known kind"));
                }
                Said::Lost(losses) => return Ok(Heard::Lost(losses)),
                Said::End { lost, because } => return Ok(Heard::End(lost, because)),
                said => return Err(garbled("")(format!("{said:?} in a trace"))),
            }
        }
    }

    /// Ends the trace; what is left is still to be heard, up to [`Heard::End`].
    pub fn end(&mut self) {
        self.write = None;
    }

    async fn line(&mut self) -> Result<Said, ClientError> {
        let Ok(Some(line)) = self.lines.next_line().await else {
            return Err(ClientError::Gone);
        };
        match serde_json::from_str(&line) {
            Ok(Said::Error(reason)) => Err(ClientError::Refused(reason)),
            Ok(said) => Ok(said),
            Err(error) => Err(garbled(&line)(error)),
        }
    }
}

fn garbled<E: ToString>(line: &str) -> impl FnOnce(E) -> ClientError {
    let line = line.to_owned();
    move |error| ClientError::Garbled {
        line,
        error: error.to_string(),
    }
}
