//! A small, well-behaved vfio-user client, and a door to misbehave.

use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use guideway_sim::vfio_user::protocol::{
    self, Command, DMA_READABLE, DMA_WRITABLE, DmaAccess, DmaMap, DmaUnmap, ERROR, HEADER_BYTES,
    Header, IrqSet, NO_REPLY, RegionAccess, TYPE_COMMAND, TYPE_REPLY,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use zerocopy::{FromBytes, IntoBytes};

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reply: its body, or its errno.
pub type Reply = Result<Vec<u8>, i32>;

/// Memory that the client serves by messages.
pub type Served<'a> = &'a mut dyn FnMut(Command, DmaAccess, &[u8]) -> Reply;

pub struct Client {
    pub stream: UnixStream,
    id: u16,
}

impl Client {
    /// Connects without a word.
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, id: 0 }
    }

    pub fn handshake(&mut self) -> Reply {
        let reply = self.call(
            Command::Version,
            &[&[0, 0, 1, 0], b"{\"capabilities\":{\"max_msg_fds\":8}}\0"],
        )?;
        assert_eq!(&reply[..4], [0, 0, 1, 0], "version 0.1");
        Ok(reply)
    }

    pub fn send(&mut self, command: Command, flags: u32, body: &[&[u8]], fds: &[BorrowedFd<'_>]) {
        self.id = self.id.wrapping_add(1);
        let bytes = protocol::message(command, self.id, TYPE_COMMAND | flags, body);
        let mut room = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        if !fds.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let sent = rustix::net::sendmsg(
            &self.stream,
            &[IoSlice::new(&bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )
        .unwrap();
        self.stream.write_all(&bytes[sent..]).unwrap();
    }

    pub fn receive(&mut self) -> std::io::Result<(Header, Vec<u8>)> {
        let mut head = [0; HEADER_BYTES];
        self.stream.read_exact(&mut head)?;
        let header = Header::read_from_bytes(&head).unwrap();
        let mut body = vec![0; header.size as usize - HEADER_BYTES];
        self.stream.read_exact(&mut body)?;
        Ok((header, body))
    }

    pub fn call(&mut self, command: Command, body: &[&[u8]]) -> Reply {
        self.call_with(command, body, &[], &mut |_, _, _| {
            panic!("no DMA message is due")
        })
    }

    /// A call during which the client's memory is served.
    pub fn call_with(
        &mut self,
        command: Command,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        served: Served<'_>,
    ) -> Reply {
        self.send(command, 0, body, fds);
        loop {
            let (header, body) = self.receive().expect("a reply in time");
            if header.is_reply() {
                assert_eq!(
                    (header.id, header.command),
                    (self.id, command as u16),
                    "replies come in order"
                );
                return if header.flags & ERROR != 0 {
                    Err(header.error as i32)
                } else {
                    Ok(body)
                };
            }
            self.serve(&header, &body, served);
        }
    }

    /// Answers a DMA message of the server.
    pub fn serve(&mut self, header: &Header, body: &[u8], served: Served<'_>) {
        let command = Command::from_number(header.command).unwrap();
        let (access, data) = DmaAccess::read_from_prefix(body).unwrap();
        let reply = match served(command, access, data) {
            Ok(data) => {
                protocol::message(command, header.id, TYPE_REPLY, &[access.as_bytes(), &data])
            }
            Err(errno) => protocol::error_reply(header, errno),
        };
        self.stream.write_all(&reply).unwrap();
    }

    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        offset: u64,
        file: Option<&OwnedFd>,
    ) -> Result<(), i32> {
        let map = DmaMap {
            argsz: 32,
            flags: DMA_READABLE | DMA_WRITABLE,
            offset,
            address,
            size,
        };
        let fds: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
        self.call_with(Command::DmaMap, &[map.as_bytes()], &fds, &mut |_, _, _| {
            Err(libc::EIO)
        })
        .map(drop)
    }

    pub fn unmap(&mut self, address: u64, size: u64) -> Result<u64, i32> {
        let unmap = DmaUnmap {
            argsz: 24,
            flags: 0,
            address,
            size,
        };
        let reply = self.call(Command::DmaUnmap, &[unmap.as_bytes()])?;
        Ok(DmaUnmap::read_from_bytes(&reply).unwrap().size)
    }

    pub fn region_read(&mut self, region: u32, offset: u64, count: u32) -> Reply {
        let access = RegionAccess {
            offset,
            region,
            count,
        };
        let reply = self.call(Command::RegionRead, &[access.as_bytes()])?;
        assert_eq!(&reply[..16], access.as_bytes());
        assert_eq!(reply.len(), 16 + count as usize);
        Ok(reply[16..].to_vec())
    }

    pub fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), i32> {
        let access = RegionAccess {
            offset,
            region,
            count: data.len() as u32,
        };
        self.call(Command::RegionWrite, &[access.as_bytes(), data])
            .map(drop)
    }

    pub fn read32(&mut self, offset: u32) -> u32 {
        let data = self.region_read(0, u64::from(offset), 4).unwrap();
        u32::from_le_bytes(data.try_into().unwrap())
    }

    pub fn write32(&mut self, offset: u32, value: u32) {
        self.region_write(0, u64::from(offset), &value.to_le_bytes())
            .unwrap();
    }

    /// Writes a register without waiting.
    pub fn post32(&mut self, offset: u32, value: u32) {
        let access = RegionAccess {
            offset: u64::from(offset),
            region: 0,
            count: 4,
        };
        self.send(
            Command::RegionWrite,
            NO_REPLY,
            &[access.as_bytes(), &value.to_le_bytes()],
            &[],
        );
    }

    pub fn set_irqs(
        &mut self,
        flags: u32,
        index: u32,
        start: u32,
        count: u32,
        data: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), i32> {
        let set = IrqSet {
            argsz: (20 + data.len()) as u32,
            flags,
            index,
            start,
            count,
        };
        self.call_with(
            Command::SetIrqs,
            &[set.as_bytes(), data],
            fds,
            &mut |_, _, _| Err(libc::EIO),
        )
        .map(drop)
    }
}
