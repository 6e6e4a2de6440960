//! The vfio-user server: one client at a time in front of the [`Function`].
//!
//! Owns the listening socket, the handshake, and what each command does. Every malformed message gets an error reply with an
//! errno, or, when no next message can be found behind it, ends the connection with one line in the log. It never blocks,
//! except for the answer to its own DMA messages, and that for two seconds at most.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_DEVICE_FLAGS_RESET, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK,
    VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::link::{Link, LinkError, Message};
use super::protocol::{
    self, Command, DMA_READABLE, DMA_UNMAP_ALL, DMA_WRITABLE, DeviceInfo, DmaMap, DmaUnmap,
    HEADER_BYTES, Header, IrqInfo, IrqSet, MAX_DMA_MAPS, MAX_TRANSFER, RegionAccess, RegionInfo,
    TYPE_REPLY,
};
pub use super::socket::BindError;
use super::socket::ListeningSocket;
use super::version::Version;
use crate::card::{Card, HostMemory, MSIX_VECTORS};
use crate::pcie::config_space::ResetCause;
use crate::pcie::dma::{Access, NoRemote, RemoteMemory};
use crate::pcie::{Function, Region};

/// Connections taken from the queue in one go.
const ACCEPT_BATCH: usize = 16;
/// How long a client may hold the card without having shaken hands.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// Refused clients that are kept until they speak; others are closed without a word.
const REFUSED_MAX: usize = 8;
/// How long they are kept.
const REFUSED_PATIENCE: Duration = Duration::from_secs(1);
/// Bits of a region's index in its file offset, as the kernel has it.
const REGION_SHIFT: u32 = 40;

/// What the socket brought.
#[derive(Debug)]
pub enum Event {
    /// A command to [`Server::serve`].
    Command(Message),
    /// The client is gone: [`Server::close_client`] has to follow.
    Gone(LinkError),
}

#[derive(Debug)]
struct Client {
    link: Link,
    since: Instant,
    version: Option<Version>,
}

/// The client's memory that came without a file descriptor, in pieces that the client takes.
struct ClientMemory<'a> {
    link: &'a mut Link,
    max_transfer: usize,
}

impl RemoteMemory for ClientMemory<'_> {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        let mut at = address;
        for piece in data.chunks_mut(self.max_transfer) {
            self.link.dma_read(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        let mut at = address;
        for piece in data.chunks(self.max_transfer) {
            self.link.dma_write(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

/// The server.
#[derive(Debug)]
pub struct Server {
    socket: ListeningSocket,
    client: Option<Client>,
    served: u64,
    finished: u64,
    /// Second clients, who are told EBUSY as soon as they speak.
    refused: Vec<(UnixStream, Instant)>,
    /// The function that it serves.
    pub function: Function,
}

impl Server {
    /// Listens on `path`; a socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// As [`ListeningSocket::bind`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self {
            socket: ListeningSocket::bind(path, "--socket")?,
            client: None,
            served: 0,
            finished: 0,
            refused: Vec::new(),
            function: Function::new(MAX_DMA_MAPS),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// A client is connected.
    #[must_use]
    pub fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// Clients that have been connected.
    #[must_use]
    pub fn clients_served(&self) -> u64 {
        self.served
    }

    /// Clients that have shaken hands and gone.
    #[must_use]
    pub fn clients_finished(&self) -> u64 {
        self.finished
    }

    /// The listening socket.
    #[must_use]
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The client's socket, and what to poll it for.
    #[must_use]
    pub fn client(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.client
            .as_ref()
            .map(|client| (client.link.as_fd(), client.link.interest()))
    }

    /// There is something to do without polling.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.client
            .as_ref()
            .is_some_and(|client| client.is_overdue() || client.link.has_waiting())
    }

    /// Takes a waiting client; refuses others at once.
    pub fn accept(&mut self) {
        for _ in 0..ACCEPT_BATCH {
            let Some(stream) = self.socket.accept() else {
                return;
            };
            if self.client.is_some() {
                tracing::warn!("second client refused: the card has one already");
                if self.refused.len() < REFUSED_MAX && stream.set_nonblocking(true).is_ok() {
                    self.refused.push((stream, Instant::now()));
                }
                continue;
            }
            match Link::new(stream) {
                Ok(link) => {
                    self.served += 1;
                    tracing::info!(client = self.served, "client connected");
                    self.client = Some(Client {
                        link,
                        since: Instant::now(),
                        version: None,
                    });
                }
                Err(error) => tracing::warn!(%error, "cannot take a client"),
            }
        }
    }

    /// Answers those that were refused with EBUSY, and closes them; true while some have not spoken yet.
    pub fn dismiss_refused(&mut self) -> bool {
        self.refused
            .retain(|(stream, since)| !answer_busy(stream) && since.elapsed() < REFUSED_PATIENCE);
        !self.refused.is_empty()
    }

    /// The next thing that the client's socket brings, if any.
    pub fn next_event(&mut self) -> Option<Event> {
        let client = self.client.as_mut()?;
        let silent = client.is_overdue();
        match client.link.next_command() {
            Ok(None) if silent => Some(Event::Gone(LinkError::NoHandshake)),
            Ok(command) => command.map(Event::Command),
            Err(error) => Some(Event::Gone(error)),
        }
    }

    /// Ends the client and everything it gave us. The card gets a host reset.
    pub fn close_client(&mut self, card: &mut dyn Card, reason: &LinkError) {
        let Some(mut client) = self.client.take() else {
            return;
        };
        self.finished += u64::from(client.version.is_some());
        match reason {
            LinkError::Closed => tracing::info!(client = self.served, "client gone"),
            LinkError::BadSize(header) | LinkError::BadType(header) => {
                let _ = client
                    .link
                    .send(&protocol::error_reply(header, libc::EINVAL));
                tracing::warn!(client = self.served, "client closed: {reason}");
            }
            _ => tracing::warn!(client = self.served, "client closed: {reason}"),
        }
        self.function.close(card, &mut NoRemote);
    }

    /// Ends the client because the server stops.
    pub fn shutdown(&mut self, card: &mut dyn Card) {
        if self.client.take().is_some() {
            self.function.close(card, &mut NoRemote);
        }
    }

    /// Host memory as the card sees it now.
    pub fn with_memory<R>(&mut self, access: impl FnOnce(&mut dyn HostMemory) -> R) -> R {
        match &mut self.client {
            Some(client) => access(&mut self.function.memory(&mut client.memory())),
            None => access(&mut self.function.memory(&mut NoRemote)),
        }
    }

    /// Does what a command says and replies.
    pub fn serve(&mut self, card: &mut dyn Card, message: Message) {
        let Some(client) = &mut self.client else {
            return;
        };
        let header = message.header;
        let result = answer(client, &mut self.function, card, message);
        let reply = match result {
            Ok(parts) => {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                Command::from_number(header.command)
                    .map(|command| protocol::message(command, header.id, TYPE_REPLY, &parts))
            }
            Err(errno) => {
                tracing::debug!(command = header.command, id = header.id, %errno, "refused");
                Some(protocol::error_reply(&header, errno.raw_os_error()))
            }
        };
        if header.is_posted() {
            return;
        }
        if let Some(reply) = reply
            && let Err(error) = client.link.send(&reply)
        {
            self.close_client(card, &error);
        }
    }
}

impl Client {
    fn is_overdue(&self) -> bool {
        self.version.is_none() && self.since.elapsed() > HANDSHAKE_PATIENCE
    }

    fn memory(&mut self) -> ClientMemory<'_> {
        let max_transfer = self
            .version
            .map_or(MAX_TRANSFER, |version| version.max_transfer);
        ClientMemory {
            link: &mut self.link,
            max_transfer,
        }
    }
}

/// Tells a second client EBUSY as the answer to its first message; true when it is done with.
fn answer_busy(stream: &UnixStream) -> bool {
    let mut bytes = [0; HEADER_BYTES];
    match rustix::net::recv(stream, &mut bytes, rustix::net::RecvFlags::DONTWAIT) {
        Err(Errno::AGAIN | Errno::INTR) => return false,
        Ok((HEADER_BYTES, _)) => {}
        Ok(_) | Err(_) => return true,
    }
    if let Ok(header) = Header::read_from_bytes(&bytes) {
        let reply = protocol::error_reply(&header, libc::EBUSY);
        let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
        let _ = rustix::net::send(stream, &reply, flags);
    }
    true
}

/// The structure that a body starts with.
fn take<T: FromBytes + KnownLayout + Immutable>(body: &[u8]) -> Result<(T, &[u8]), Errno> {
    T::read_from_prefix(body).map_err(|_| Errno::INVAL)
}

/// The parts of the reply's body.
type Reply = Result<Vec<Vec<u8>>, Errno>;

fn answer(
    client: &mut Client,
    function: &mut Function,
    card: &mut dyn Card,
    message: Message,
) -> Reply {
    let Message {
        header,
        body,
        mut fds,
    } = message;
    let command = Command::from_number(header.command).ok_or(Errno::OPNOTSUPP)?;
    if (command == Command::Version) != client.version.is_none() {
        return Err(Errno::INVAL); // the handshake comes first, and once
    }
    if !fds.is_empty() && !matches!(command, Command::DmaMap | Command::SetIrqs) {
        return Err(Errno::INVAL);
    }
    match command {
        Command::Version => {
            let version = Version::parse(&body).map_err(|error| {
                tracing::warn!("handshake refused: {error}");
                Errno::INVAL
            })?;
            client.version = Some(version);
            Ok(vec![version.reply()])
        }
        Command::DmaMap => {
            if fds.len() > 1 {
                return Err(Errno::INVAL);
            }
            map(function, &body, fds.pop())
        }
        Command::DmaUnmap => unmap(function, &body),
        Command::GetInfo => device_info(&body),
        Command::GetRegionInfo => region_info(&body),
        Command::GetIrqInfo => irq_info(&body),
        Command::SetIrqs => {
            let (set, data) = take::<IrqSet>(&body)?;
            set_irqs(function, &set, data, fds)?;
            function.sync(card, &mut client.memory());
            Ok(vec![])
        }
        Command::RegionRead => {
            let (access, rest) = take::<RegionAccess>(&body)?;
            if !rest.is_empty() || access.count as usize > MAX_TRANSFER {
                return Err(Errno::INVAL);
            }
            let region = Region::from_index(access.region).ok_or(Errno::INVAL)?;
            let mut data = vec![0; access.count as usize];
            function.read(card, &mut client.memory(), region, access.offset, &mut data)?;
            Ok(vec![access.as_bytes().to_vec(), data])
        }
        Command::RegionWrite => {
            let (access, data) = take::<RegionAccess>(&body)?;
            if data.len() != access.count as usize {
                return Err(Errno::INVAL);
            }
            let region = Region::from_index(access.region).ok_or(Errno::INVAL)?;
            function.write(card, &mut client.memory(), region, access.offset, data)?;
            Ok(vec![access.as_bytes().to_vec()])
        }
        Command::Reset => {
            function.reset(card, &mut client.memory(), ResetCause::Command);
            Ok(vec![])
        }
        Command::GetRegionIoFds | Command::DmaRead | Command::DmaWrite => Err(Errno::OPNOTSUPP),
    }
}

fn map(function: &mut Function, body: &[u8], file: Option<std::os::fd::OwnedFd>) -> Reply {
    let (map, _) = take::<DmaMap>(body)?;
    if map.flags & !(DMA_READABLE | DMA_WRITABLE) != 0 || (map.argsz as usize) < size_of::<DmaMap>()
    {
        return Err(Errno::INVAL);
    }
    let access = Access {
        read: map.flags & DMA_READABLE != 0,
        write: map.flags & DMA_WRITABLE != 0,
    };
    function
        .dma
        .map(map.address, map.size, map.offset, access, file)?;
    Ok(vec![])
}

fn unmap(function: &mut Function, body: &[u8]) -> Reply {
    let (mut unmap, _) = take::<DmaUnmap>(body)?;
    match unmap.flags {
        0 => unmap.size = function.dma.unmap(unmap.address, unmap.size)?,
        DMA_UNMAP_ALL if unmap.address == 0 && unmap.size == 0 => function.dma.clear(),
        _ => return Err(Errno::INVAL),
    }
    Ok(vec![unmap.as_bytes().to_vec()])
}

fn device_info(body: &[u8]) -> Reply {
    take::<DeviceInfo>(body)?;
    let info = DeviceInfo {
        argsz: size_of::<DeviceInfo>() as u32,
        flags: VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
        regions: VFIO_PCI_NUM_REGIONS,
        irqs: VFIO_PCI_NUM_IRQS,
    };
    Ok(vec![info.as_bytes().to_vec()])
}

fn region_info(body: &[u8]) -> Reply {
    let (asked, _) = take::<RegionInfo>(body)?;
    if asked.index >= VFIO_PCI_NUM_REGIONS {
        return Err(Errno::INVAL);
    }
    let size = Region::from_index(asked.index).map_or(0, Region::bytes);
    let flags = if size == 0 {
        0
    } else {
        VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE
    };
    let info = RegionInfo {
        argsz: size_of::<RegionInfo>() as u32,
        flags,
        index: asked.index,
        cap_offset: 0,
        size,
        offset: u64::from(asked.index) << REGION_SHIFT,
    };
    Ok(vec![info.as_bytes().to_vec()])
}

fn irq_info(body: &[u8]) -> Reply {
    let (asked, _) = take::<IrqInfo>(body)?;
    if asked.index >= VFIO_PCI_NUM_IRQS {
        return Err(Errno::INVAL);
    }
    let is_msix = asked.index == VFIO_PCI_MSIX_IRQ_INDEX;
    let info = IrqInfo {
        argsz: size_of::<IrqInfo>() as u32,
        flags: if is_msix {
            VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE
        } else {
            0
        },
        index: asked.index,
        count: if is_msix { u32::from(MSIX_VECTORS) } else { 0 },
    };
    Ok(vec![info.as_bytes().to_vec()])
}

fn set_irqs(
    function: &mut Function,
    set: &IrqSet,
    data: &[u8],
    fds: Vec<std::os::fd::OwnedFd>,
) -> Result<(), Errno> {
    let kind = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
    let action = set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
    let known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
    if set.flags & !known != 0
        || set.index >= VFIO_PCI_NUM_IRQS
        || set.count > u32::from(MSIX_VECTORS)
    {
        return Err(Errno::INVAL);
    }
    let disables = kind == VFIO_IRQ_SET_DATA_NONE
        && action == VFIO_IRQ_SET_ACTION_TRIGGER
        && set.count == 0
        && set.start == 0;
    if set.index != VFIO_PCI_MSIX_IRQ_INDEX {
        return if disables { Ok(()) } else { Err(Errno::INVAL) };
    }
    let msix = &mut function.msix;
    if disables {
        msix.disable();
        return Ok(());
    }
    let count = set.count as usize;
    if kind == VFIO_IRQ_SET_DATA_EVENTFD {
        // Without a file descriptor the vectors are unwired; there is no way to send a hole.
        return match (action, fds.len()) {
            (VFIO_IRQ_SET_ACTION_TRIGGER, 0) => msix.wire(set.start, (0..count).map(|_| None)),
            (VFIO_IRQ_SET_ACTION_TRIGGER, some) if some == count => {
                msix.wire(set.start, fds.into_iter().map(Some))
            }
            _ => Err(Errno::INVAL),
        };
    }
    let chosen: Vec<bool> = match kind {
        VFIO_IRQ_SET_DATA_NONE => vec![true; count],
        VFIO_IRQ_SET_DATA_BOOL if data.len() == count => {
            data.iter().map(|&byte| byte != 0).collect()
        }
        _ => return Err(Errno::INVAL),
    };
    if !fds.is_empty() {
        return Err(Errno::INVAL);
    }
    match action {
        VFIO_IRQ_SET_ACTION_MASK => msix.mask(set.start, &chosen, true),
        VFIO_IRQ_SET_ACTION_UNMASK => msix.mask(set.start, &chosen, false),
        VFIO_IRQ_SET_ACTION_TRIGGER => msix.trigger(set.start, &chosen),
        _ => Err(Errno::INVAL),
    }
}
