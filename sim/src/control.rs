//! The control socket of `--control`: JSON lines in both directions.
//!
//! ```text
//! to us:   {"command":"start"} {"command":"stats"} {"command":"stop"} {"command":"advance","micros":1000}
//! from us: {"event":"ready",...} {"event":"drained",...} {"reply":"stats",...} {"error":"..."}
//! ```
//! Owns connections and framing. What a command does is the device's.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::PollFlags;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::vfio_user::server::BindError;
use crate::vfio_user::socket::ListeningSocket;

/// Connections at a time.
const PEERS_MAX: usize = 8;
/// Longest line.
const LINE_MAX: usize = 4096;
/// Bytes that may wait for a peer that does not read.
const OUTGOING_MAX: usize = 1 << 18;
/// Longest step of card time in one command.
const ADVANCE_MAX: u64 = 60_000_000;

/// What a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The capture file's frames may begin.
    Start,
    /// How things stand.
    Stats,
    /// End the simulator.
    Stop,
    /// Card time moves on (`--time manual`).
    Advance {
        /// Microseconds.
        micros: u64,
    },
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        const COMMANDS: &str = "commands are start, stats, stop and advance (with micros)";
        let request: Self =
            serde_json::from_slice(line).map_err(|error| format!("{error}; {COMMANDS}"))?;
        match request {
            Self::Advance { micros } if micros > ADVANCE_MAX => Err(format!(
                "advance takes at most {ADVANCE_MAX} micros at a time"
            )),
            other => Ok(other),
        }
    }
}

#[derive(Debug)]
struct Peer {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
    ended: bool,
}

/// The control socket.
#[derive(Debug)]
pub struct Control {
    socket: ListeningSocket,
    peers: Vec<Peer>,
}

impl Control {
    /// Listens on `path`.
    ///
    /// # Errors
    /// As [`ListeningSocket::bind`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self {
            socket: ListeningSocket::bind(path, "--control")?,
            peers: Vec::new(),
        })
    }

    /// What to poll, and for what.
    pub fn poll_fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener = std::iter::once((self.socket.as_fd(), PollFlags::IN));
        listener.chain(self.peers.iter().map(|peer| {
            let writing = if peer.outgoing.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            (peer.stream.as_fd(), PollFlags::IN | writing)
        }))
    }

    /// Takes new peers, each greeted with `ready`, and what all of them ask: (peer, request or what is wrong with it).
    pub fn take_requests(&mut self, ready: &Value) -> Vec<(usize, Result<Request, String>)> {
        while let Some(stream) = self.socket.accept() {
            if self.peers.len() == PEERS_MAX || stream.set_nonblocking(true).is_err() {
                tracing::warn!("control connection refused: {PEERS_MAX} are open");
                continue;
            }
            self.peers.push(Peer {
                stream,
                incoming: Vec::new(),
                outgoing: VecDeque::new(),
                ended: false,
            });
            self.send(self.peers.len() - 1, ready);
        }
        let mut requests = Vec::new();
        for (index, peer) in self.peers.iter_mut().enumerate() {
            peer.read(|line| requests.push((index, line)));
            peer.flush();
        }
        requests
    }

    /// Removes peers that have gone. The numbers of [`Control::take_requests`] end here.
    pub fn sweep(&mut self) {
        self.peers
            .retain(|peer| !(peer.ended && peer.outgoing.is_empty()));
    }

    /// Sends a line to one peer.
    pub fn send(&mut self, peer: usize, line: &Value) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.send(line);
        }
    }

    /// Sends a line to all.
    pub fn broadcast(&mut self, line: &Value) {
        for peer in &mut self.peers {
            peer.send(line);
        }
    }
}

impl Peer {
    fn read(&mut self, mut take: impl FnMut(Result<Request, String>)) {
        let mut buffer = [0; LINE_MAX];
        while !self.ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(read) => self.incoming.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.end(),
            }
            while let Some(end) = self.incoming.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.incoming.drain(..=end).collect();
                if !line.trim_ascii().is_empty() {
                    take(Request::parse(&line));
                }
            }
            if self.incoming.len() > LINE_MAX {
                self.send(&json!({"error": format!("a line is longer than {LINE_MAX} bytes")}));
                self.ended = true;
            }
        }
    }

    fn send(&mut self, line: &Value) {
        let text = line.to_string();
        if self.outgoing.len() + text.len() > OUTGOING_MAX {
            tracing::warn!("control connection closed: it does not read");
            self.end();
            return;
        }
        self.outgoing.extend(text.as_bytes());
        self.outgoing.push_back(b'\n');
        self.flush();
    }

    fn flush(&mut self) {
        while !self.outgoing.is_empty() {
            let (front, _) = self.outgoing.as_slices();
            match self.stream.write(front) {
                Ok(sent) => drop(self.outgoing.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.outgoing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn requests_are_read_and_others_explained() {
        assert_eq!(
            Request::parse(b"{\"command\":\"start\"}"),
            Ok(Request::Start)
        );
        assert_eq!(
            Request::parse(b"{\"command\":\"advance\",\"micros\":5}"),
            Ok(Request::Advance { micros: 5 })
        );
        for wrong in [
            "",
            "x",
            "{}",
            "[]",
            "{\"command\":\"fly\"}",
            "{\"command\":\"advance\"}",
            "{\"command\":\"advance\",\"micros\":-1}",
            "{\"command\":\"advance\",\"micros\":99999999999}",
        ] {
            assert!(Request::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_come_in_any_pieces_and_garbage_gets_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let mut control = Control::bind(&path).unwrap();
        let mut peer = UnixStream::connect(&path).unwrap();
        let ready = json!({"event": "ready"});
        assert!(control.take_requests(&ready).is_empty());
        peer.write_all(b"{\"command\":\"st").unwrap();
        assert!(control.take_requests(&ready).is_empty());
        peer.write_all(b"art\"}\n\nnonsense\n{\"command\":\"stop\"}\n")
            .unwrap();
        let requests = control.take_requests(&ready);
        assert!(
            matches!(
                &requests[..],
                [(0, Ok(Request::Start)), (0, Err(_)), (0, Ok(Request::Stop))]
            ),
            "{requests:?}"
        );
        control.send(0, &json!({"error": "nonsense"}));
        let mut lines = BufReader::new(peer.try_clone().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "{\"event\":\"ready\"}");
        assert_eq!(lines.next().unwrap().unwrap(), "{\"error\":\"nonsense\"}");
        drop((peer, lines));
        control.take_requests(&ready);
        control.sweep();
        assert_eq!(control.peers.len(), 0);
    }

    #[test]
    fn an_endless_line_ends_its_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let mut control = Control::bind(&path).unwrap();
        let mut peer = UnixStream::connect(&path).unwrap();
        peer.write_all(&[b'x'; 3 * LINE_MAX]).unwrap();
        control.take_requests(&json!({}));
        control.sweep();
        assert_eq!(control.peers.len(), 0);
    }
}
