//! One connection to a vfio-user server: whole messages, in order, within a time.
//!
//! Owns framing, deadlines and the rule that a connection which has failed once never works again: what comes late cannot be told
//! from what comes next. What the messages mean is the parent's business.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use zerocopy::{FromBytes, IntoBytes};

use super::protocol::{Command, Flags, HEADER_BYTES, Header, MAX_FDS, MAX_MESSAGE};
use crate::device::DeviceError;

/// Commands that a server may send while it owes an answer.
const MAX_FOREIGN: usize = 64;

/// The body of a reply, and what came along.
pub struct Reply {
    /// What followed the header.
    pub body: Vec<u8>,
    /// File descriptors.
    pub fds: VecDeque<OwnedFd>,
}

impl Reply {
    /// The structure that the reply begins with, and the rest.
    pub fn parse<T: FromBytes>(&self) -> Option<(T, &[u8])> {
        T::read_from_prefix(&self.body).ok()
    }
}

/// A connection.
pub struct Connection {
    stream: Arc<UnixStream>,
    name: Arc<str>,
    timeout: Duration,
    next_id: u16,
    /// Why the connection cannot be used any more.
    dead: Option<DeviceError>,
}

impl Connection {
    /// Takes a connected stream. `name` is the server in messages.
    pub fn new(stream: Arc<UnixStream>, name: Arc<str>, timeout: Duration) -> Self {
        Self {
            stream,
            name,
            timeout,
            next_id: 0,
            dead: None,
        }
    }

    /// A command whose reply is waited for. `doing` completes "while ...".
    pub fn call(
        &mut self,
        command: Command,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        doing: &str,
    ) -> Result<Reply, DeviceError> {
        self.alive()?;
        let deadline = Instant::now() + self.timeout;
        let id = self.take_id();
        let answer = self
            .send(
                id,
                command as u16,
                Flags::empty(),
                0,
                body,
                fds,
                deadline,
                doing,
            )
            .and_then(|()| self.answer(id, command, deadline, doing));
        self.remember(answer)
    }

    /// A command that nobody waits for.
    pub fn post(
        &mut self,
        command: Command,
        body: &[&[u8]],
        doing: &str,
    ) -> Result<(), DeviceError> {
        self.alive()?;
        let deadline = Instant::now() + self.timeout;
        let id = self.take_id();
        let sent = self.send(
            id,
            command as u16,
            Flags::NO_REPLY,
            0,
            body,
            &[],
            deadline,
            doing,
        );
        self.remember(sent)
    }

    fn alive(&self) -> Result<(), DeviceError> {
        self.dead.clone().map_or(Ok(()), Err)
    }

    fn take_id(&mut self) -> u16 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// A final error ends the connection for both sides: whoever sleeps on the socket wakes.
    fn remember<T>(&mut self, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        if let Err(error) = &result
            && error.is_final()
        {
            self.dead = Some(error.clone());
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        result
    }

    #[allow(clippy::too_many_arguments)] // the message's parts and its circumstances
    fn send(
        &self,
        id: u16,
        command: u16,
        flags: Flags,
        error: u32,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        deadline: Instant,
        doing: &str,
    ) -> Result<(), DeviceError> {
        let size = HEADER_BYTES + body.iter().map(|part| part.len()).sum::<usize>();
        let header = Header {
            id: id.into(),
            command: command.into(),
            // Bodies are bounded by the largest transfer.
            size: u32::try_from(size).unwrap_or(u32::MAX).into(),
            flags: flags.bits().into(),
            error: error.into(),
        };
        let mut message = Vec::with_capacity(size);
        message.extend_from_slice(header.as_bytes());
        body.iter().for_each(|part| message.extend_from_slice(part));
        let mut rest = message.as_slice();
        let mut fds = fds;
        while !rest.is_empty() {
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut room);
            if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
                return Err(self.broken(
                    doing,
                    format!("{} file descriptors in one message", fds.len()),
                ));
            }
            match sendmsg(
                &*self.stream,
                &[IoSlice::new(rest)],
                &mut ancillary,
                SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            ) {
                Ok(sent) => {
                    rest = &rest[sent..];
                    fds = &[];
                }
                Err(Errno::AGAIN) => self.await_socket(PollFlags::OUT, deadline, doing)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.failed(errno, doing)),
            }
        }
        Ok(())
    }

    /// Waits for the reply to `id`. Commands of the server are refused meanwhile.
    fn answer(
        &self,
        id: u16,
        command: Command,
        deadline: Instant,
        doing: &str,
    ) -> Result<Reply, DeviceError> {
        for _ in 0..MAX_FOREIGN {
            let (header, reply) = self.receive(deadline, doing)?;
            let flags = Flags::from_bits_retain(header.flags.get());
            if flags & Flags::TYPE == Flags::empty() {
                self.refuse(&header, deadline, doing)?;
                continue;
            }
            if flags & Flags::TYPE != Flags::REPLY {
                return Err(self.broken(
                    doing,
                    format!(
                        "a message with flags {:#x}: neither command nor reply",
                        header.flags
                    ),
                ));
            }
            if header.id.get() != id || header.command.get() != command as u16 {
                let reason = format!(
                    "a reply to message {} (command {}), asked was {id} ({})",
                    header.id, header.command, command as u16
                );
                return Err(self.broken(doing, reason));
            }
            if flags.contains(Flags::ERROR) {
                return Err(DeviceError::Refused {
                    device: self.name.to_string(),
                    doing: doing.to_owned(),
                    reason: errno_text(header.error.get()),
                });
            }
            return Ok(reply);
        }
        Err(self.broken(
            doing,
            format!("more than {MAX_FOREIGN} commands of its own instead of a reply"),
        ))
    }

    /// The driver's memory is reached through its file descriptor only, and nothing else may be asked of it.
    fn refuse(&self, header: &Header, deadline: Instant, doing: &str) -> Result<(), DeviceError> {
        tracing::warn!(device = %self.name, command = header.command.get(), "refused a command of the device's side");
        if Flags::from_bits_retain(header.flags.get()).contains(Flags::NO_REPLY) {
            return Ok(());
        }
        let errno = Errno::OPNOTSUPP.raw_os_error().unsigned_abs();
        self.send(
            header.id.get(),
            header.command.get(),
            Flags::REPLY | Flags::ERROR,
            errno,
            &[],
            &[],
            deadline,
            doing,
        )
    }

    fn receive(&self, deadline: Instant, doing: &str) -> Result<(Header, Reply), DeviceError> {
        let mut fds = VecDeque::new();
        let mut header = Header::default();
        self.fill(header.as_mut_bytes(), &mut fds, deadline, doing)?;
        let size = header.size.get() as usize;
        if !(HEADER_BYTES..=MAX_MESSAGE).contains(&size) {
            return Err(self.broken(doing, format!("a message of {size} bytes")));
        }
        let mut body = vec![0; size - HEADER_BYTES];
        self.fill(&mut body, &mut fds, deadline, doing)?;
        Ok((header, Reply { body, fds }))
    }

    /// Reads exactly `data.len()` bytes: never beyond a message, so that file descriptors belong to the message in which they came.
    fn fill(
        &self,
        data: &mut [u8],
        fds: &mut VecDeque<OwnedFd>,
        deadline: Instant,
        doing: &str,
    ) -> Result<(), DeviceError> {
        let mut filled = 0;
        while filled < data.len() {
            // One more than allowed: too many can then be told from cut ones.
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut room);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = match recvmsg(
                &*self.stream,
                &mut [IoSliceMut::new(&mut data[filled..])],
                &mut ancillary,
                flags,
            ) {
                Ok(received) => received,
                Err(Errno::AGAIN) => {
                    self.await_socket(PollFlags::IN, deadline, doing)?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(self.failed(errno, doing)),
            };
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    fds.extend(received);
                }
            }
            if fds.len() > MAX_FDS || received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(self.broken(
                    doing,
                    format!("more than {MAX_FDS} file descriptors in one message"),
                ));
            }
            if received.bytes == 0 {
                return Err(self.closed(doing));
            }
            filled += received.bytes;
        }
        Ok(())
    }

    fn await_socket(
        &self,
        interest: PollFlags,
        deadline: Instant,
        doing: &str,
    ) -> Result<(), DeviceError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DeviceError::Timeout {
                    device: self.name.to_string(),
                    doing: doing.to_owned(),
                    after: self.timeout,
                });
            }
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(&*self.stream, interest)], Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(self.failed(errno, doing)),
            }
        }
    }

    /// An error for an answer that breaks the protocol. Final.
    pub fn broken(&self, doing: &str, reason: String) -> DeviceError {
        DeviceError::Protocol {
            device: self.name.to_string(),
            doing: doing.to_owned(),
            reason,
        }
    }

    /// As [`Connection::broken`], and the connection ends.
    pub fn break_off(&mut self, doing: &str, reason: String) -> DeviceError {
        let error = self.broken(doing, reason);
        let _ = self.remember(Err::<(), _>(error.clone()));
        error
    }

    fn closed(&self, doing: &str) -> DeviceError {
        DeviceError::Closed {
            device: self.name.to_string(),
            doing: doing.to_owned(),
        }
    }

    fn failed(&self, errno: Errno, doing: &str) -> DeviceError {
        match errno {
            Errno::PIPE | Errno::CONNRESET => self.closed(doing),
            other => self.broken(doing, format!("the socket failed: {other}")),
        }
    }
}

fn errno_text(errno: u32) -> String {
    match i32::try_from(errno) {
        Ok(errno @ 1..4096) => Errno::from_raw_os_error(errno).to_string(),
        _ => format!("error {errno}, which is no errno"),
    }
}
