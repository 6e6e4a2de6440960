//! One client's connection: messages and file descriptors over a non-blocking stream socket.
//!
//! Owns framing in both directions and the server's own calls to the client (DMA without a file descriptor). It never reads
//! beyond the end of a message, so a file descriptor always belongs to the message in which it came.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendFlags,
};
use zerocopy::{FromBytes, IntoBytes};

use super::protocol::{
    self, Command, DmaAccess, ERROR, HEADER_BYTES, Header, MAX_FDS, MAX_MESSAGE, TYPE_COMMAND,
    TYPE_MASK, TYPE_REPLY,
};

/// Bytes that may wait for a client which does not read; beyond it the client is closed.
const MAX_OUTGOING: usize = 2 * MAX_MESSAGE;
/// Commands that may wait while the server waits for the client's answer.
const MAX_WAITING: usize = 1024;
/// Their bytes.
const MAX_WAITING_BYTES: usize = 4 * MAX_MESSAGE;
/// How long a client may take to answer a DMA message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a connection ended, or must.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The client closed it between two messages.
    #[error("the client closed the connection")]
    Closed,
    /// The client closed it within a message.
    #[error("the client closed the connection in the middle of a message")]
    ClosedInMessage,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(Errno),
    /// A header that cannot be: there is no next message to be found behind it.
    #[error("message {} (command {}) says {} bytes: must be {HEADER_BYTES} to {MAX_MESSAGE}", .0.id, .0.command, .0.size)]
    BadSize(Header),
    /// A header that is neither command nor reply.
    #[error("message {} (command {}) has flags {:#x}: neither command nor reply", .0.id, .0.command, .0.flags)]
    BadType(Header),
    /// More file descriptors than announced.
    #[error("a message came with more than {MAX_FDS} file descriptors")]
    TooManyFds,
    /// A reply to nothing.
    #[error("reply {} (command {}) answers no call of ours", .0.id, .0.command)]
    StrayReply(Header),
    /// The client does not read.
    #[error("the client does not read its replies")]
    Stuck,
    /// Too many commands while it owes an answer.
    #[error("the client sends commands without end while it owes an answer to a DMA message")]
    Flood,
    /// No handshake in time.
    #[error("the client connected and did not shake hands")]
    NoHandshake,
    /// No answer in time.
    #[error("the client did not answer a DMA message within {} s", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
}

impl From<Errno> for LinkError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::Io(other),
        }
    }
}

/// A whole message from the client.
#[derive(Debug)]
pub struct Message {
    /// Its header; the size is right and the type is a command's or a reply's.
    pub header: Header,
    /// What follows the header.
    pub body: Vec<u8>,
    /// File descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    head: [u8; HEADER_BYTES],
    body: Vec<u8>,
    filled: usize,
    fds: Vec<OwnedFd>,
    outgoing: VecDeque<u8>,
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    next_id: u16,
    failure: Option<LinkError>,
}

impl Link {
    /// Takes a connected stream.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            head: [0; HEADER_BYTES],
            body: Vec::new(),
            filled: 0,
            fds: Vec::new(),
            outgoing: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_id: 0,
            failure: None,
        })
    }

    /// What to poll for.
    #[must_use]
    pub fn interest(&self) -> PollFlags {
        if self.outgoing.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::OUT
        }
    }

    /// The socket.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Commands came while an answer was awaited.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.failure.is_some()
    }

    /// The next command, if it is complete. While the client does not read its replies, none.
    ///
    /// # Errors
    /// When the connection is over, or must be.
    pub fn next_command(&mut self) -> Result<Option<Message>, LinkError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if !self.flush()? {
            return Ok(None);
        }
        if let Some(message) = self.waiting.pop_front() {
            self.waiting_bytes -= message.body.len();
            return Ok(Some(message));
        }
        match self.receive()? {
            Some(message) if message.header.is_reply() => {
                Err(LinkError::StrayReply(message.header))
            }
            other => Ok(other),
        }
    }

    /// Sends `bytes`, or keeps what the socket does not take.
    ///
    /// # Errors
    /// When the socket failed or too much waits.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if self.outgoing.len() + bytes.len() > MAX_OUTGOING {
            return Err(LinkError::Stuck);
        }
        self.outgoing.extend(bytes);
        self.flush().map(drop)
    }

    /// Sends what waits; true when nothing is left.
    ///
    /// # Errors
    /// When the socket failed.
    pub fn flush(&mut self) -> Result<bool, LinkError> {
        while !self.outgoing.is_empty() {
            let (front, _) = self.outgoing.as_slices();
            let parts = [IoSlice::new(front)];
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::sendmsg(
                &self.stream,
                &parts,
                &mut SendAncillaryBuffer::default(),
                flags,
            ) {
                Ok(sent) => drop(self.outgoing.drain(..sent)),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }

    /// Reads client memory that came without a file descriptor; waits for the answer.
    ///
    /// # Errors
    /// The client's errno, or EIO when the connection is over; then the next [`Link::next_command`] says why.
    pub fn dma_read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        let access = DmaAccess {
            address,
            count: data.len() as u64,
        };
        let answer = self.call(Command::DmaRead, &[access.as_bytes()])?;
        let read = answer
            .get(size_of::<DmaAccess>()..)
            .filter(|read| read.len() == data.len())
            .ok_or(Errno::IO)?;
        data.copy_from_slice(read);
        Ok(())
    }

    /// Writes client memory that came without a file descriptor; waits for the answer.
    ///
    /// # Errors
    /// As [`Link::dma_read`].
    pub fn dma_write(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        let access = DmaAccess {
            address,
            count: data.len() as u64,
        };
        self.call(Command::DmaWrite, &[access.as_bytes(), data])
            .map(drop)
    }

    fn call(&mut self, command: Command, body: &[&[u8]]) -> Result<Vec<u8>, Errno> {
        if self.failure.is_some() {
            return Err(Errno::IO);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let answer = self
            .send(&protocol::message(command, id, TYPE_COMMAND, body))
            .and_then(|()| self.await_reply(id, command));
        match answer {
            Ok(message) if message.header.flags & ERROR != 0 => Err(Errno::from_raw_os_error(
                i32::try_from(message.header.error)
                    .ok()
                    .filter(|e| (1..4096).contains(e))
                    .unwrap_or(libc::EIO),
            )),
            Ok(message) => Ok(message.body),
            Err(failure) => {
                self.failure = Some(failure);
                Err(Errno::IO)
            }
        }
    }

    fn await_reply(&mut self, id: u16, command: Command) -> Result<Message, LinkError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let flushed = self.flush()?;
            while let Some(message) = self.receive()? {
                if !message.header.is_reply() {
                    self.waiting_bytes += message.body.len();
                    if self.waiting.len() == MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
                        return Err(LinkError::Flood);
                    }
                    self.waiting.push_back(message);
                } else if message.header.id == id && message.header.command == command as u16 {
                    return Ok(message);
                } else {
                    return Err(LinkError::StrayReply(message.header));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LinkError::NoAnswer);
            }
            let interest = if flushed {
                PollFlags::IN
            } else {
                PollFlags::IN | PollFlags::OUT
            };
            let timeout = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: left.as_nanos().min(100_000_000) as i64,
            };
            match rustix::event::poll(&mut [PollFd::new(&self.stream, interest)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The next message of either type, if it is complete.
    fn receive(&mut self) -> Result<Option<Message>, LinkError> {
        while self.filled < HEADER_BYTES {
            if !self.fill()? {
                return Ok(None);
            }
            if self.filled == HEADER_BYTES {
                self.check_header()?;
            }
        }
        while self.filled < HEADER_BYTES + self.body.len() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        self.filled = 0;
        let header = self.header();
        Ok(Some(Message {
            header,
            body: std::mem::take(&mut self.body),
            fds: std::mem::take(&mut self.fds),
        }))
    }

    fn header(&self) -> Header {
        // The array has the structure's size: it always reads.
        Header::read_from_bytes(&self.head).unwrap_or_default()
    }

    fn check_header(&mut self) -> Result<(), LinkError> {
        let header = self.header();
        let size = header.size as usize;
        if !(HEADER_BYTES..=MAX_MESSAGE).contains(&size) {
            return Err(LinkError::BadSize(header));
        }
        if !matches!(header.flags & TYPE_MASK, TYPE_COMMAND | TYPE_REPLY) {
            return Err(LinkError::BadType(header));
        }
        self.body = vec![0; size - HEADER_BYTES];
        Ok(())
    }

    /// Reads once into what is missing of header or body; false when there is nothing to read.
    fn fill(&mut self) -> Result<bool, LinkError> {
        let space = match self.filled.checked_sub(HEADER_BYTES) {
            None => &mut self.head[self.filled..],
            Some(done) => &mut self.body[done..],
        };
        // One more than allowed, so that too many are told from truncated ones.
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = match rustix::net::recvmsg(
            &self.stream,
            &mut [IoSliceMut::new(space)],
            &mut ancillary,
            flags,
        ) {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        };
        for item in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = item {
                self.fds.extend(fds);
            }
        }
        if received.bytes == 0 {
            return Err(if self.filled == 0 {
                LinkError::Closed
            } else {
                LinkError::ClosedInMessage
            });
        }
        if self.fds.len() > MAX_FDS || received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(LinkError::TooManyFds);
        }
        self.filled += received.bytes;
        Ok(true)
    }
}
