//! The wire as one end of a veth pair (or any Ethernet interface), by an AF_PACKET socket.
//!
//! Owns what the kernel keeps beside a frame and a real wire would carry in it: a VLAN tag that was taken out is put back, a
//! checksum that offloading left open is finished. Segments that offloading left together cannot be, and are counted.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;

use super::{LIVE_FRAME_MAX, Wire, WireError, WireLosses};
use crate::card::{SentFrame, WireFrame};

/// Frames taken in one system call.
const BATCH: usize = 32;
/// Bytes of `struct virtio_net_hdr`, which PACKET_VNET_HDR puts before each frame.
const VNET_HEADER: usize = 10;
const SLOT: usize = VNET_HEADER + LIVE_FRAME_MAX;
/// Bytes of ancillary data a frame: `struct tpacket_auxdata` with room to spare.
const CONTROL_WORDS: usize = 16;
/// The kernel's queue.
const QUEUE_BYTES: libc::c_int = 32 << 20;
/// Smallest MTU that carries an encapsulated frame of 1500 bytes.
const MTU_WANTED: u32 = 1540;

const PACKET_QDISC_BYPASS: libc::c_int = 20;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const PACKET_VNET_HDR: libc::c_int = 15;
const VNET_NEEDS_CHECKSUM: u8 = 1;
const ETH_P_8021Q: u16 = 0x8100;

/// An AF_PACKET socket.
#[derive(Debug)]
pub struct PacketSocket {
    name: String,
    index: u32,
    socket: OwnedFd,
    buffer: Vec<u8>,
    frames: VecDeque<WireFrame>,
    outgoing: Vec<u8>,
    losses: WireLosses,
    gone: bool,
    down: bool,
    warned: bool,
}

impl PacketSocket {
    /// Opens the interface.
    ///
    /// # Errors
    /// When it does not exist or the process may not.
    pub fn open(name: &str) -> Result<Self, WireError> {
        let failed = |error: io::Error| {
            let hint = match error.raw_os_error() {
                Some(libc::ENODEV) => {
                    " (make the pair first: ip link add NAME type veth peer name PEER)"
                }
                Some(libc::EPERM) => {
                    " (raw sockets need CAP_NET_RAW: run as root or in a user and network namespace)"
                }
                _ => "",
            };
            WireError::Interface {
                action: "cannot open",
                name: name.to_owned(),
                error,
                hint,
            }
        };
        let index = index_of(name).map_err(failed)?;
        let socket = open_socket(index).map_err(failed)?;
        let mtu = fs::read_to_string(format!("/sys/class/net/{name}/mtu"))
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok());
        if mtu.is_some_and(|mtu| mtu < MTU_WANTED) {
            tracing::warn!(
                interface = name,
                mtu,
                "encapsulated frames of 1500 bytes do not fit: set the MTU to 1540 or more"
            );
        }
        Ok(Self {
            name: name.to_owned(),
            index,
            socket,
            buffer: vec![0; SLOT * BATCH],
            frames: VecDeque::new(),
            outgoing: Vec::with_capacity(SLOT),
            losses: WireLosses::default(),
            gone: false,
            down: false,
            warned: false,
        })
    }

    /// Takes what the kernel has, at most a batch.
    fn take_batch(&mut self) -> Result<(), WireError> {
        let mut received = [Received::default(); BATCH];
        let count = match receive_batch(&self.socket, &mut self.buffer, &mut received) {
            Ok(count) => count,
            Err(error) => return self.judge(error),
        };
        self.down = false;
        for (slot, meta) in self.buffer.chunks_exact_mut(SLOT).zip(&received[..count]) {
            match finish(slot, meta) {
                Some(bytes) => self.frames.push_back(WireFrame {
                    bytes,
                    error: false,
                }),
                None => {
                    self.losses.unusable += 1;
                    if !self.warned {
                        self.warned = true;
                        tracing::warn!(
                            interface = self.name,
                            "unsegmented or oversize frame lost: turn TSO, GSO and GRO off on both ends (ethtool -K)"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, error: io::Error) -> Result<(), WireError> {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(()),
            // The kernel says the same when the interface is removed.
            Some(libc::ENETDOWN) if index_of(&self.name).is_ok_and(|index| index == self.index) => {
                if !self.down {
                    self.down = true;
                    tracing::warn!(interface = self.name, "the interface is down");
                }
                Ok(())
            }
            _ => {
                self.gone = true;
                Err(WireError::Interface {
                    action: "lost",
                    name: self.name.clone(),
                    error,
                    hint: "",
                })
            }
        }
    }
}

impl Wire for PacketSocket {
    fn is_live(&self) -> bool {
        true
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.gone).then(|| self.socket.as_fd())
    }

    fn receive(&mut self) -> Result<Option<WireFrame>, WireError> {
        if self.frames.is_empty() && !self.gone {
            self.take_batch()?;
        }
        Ok(self.frames.pop_front())
    }

    fn is_exhausted(&self) -> bool {
        self.gone && self.frames.is_empty()
    }

    fn send(&mut self, frame: &SentFrame) -> Result<(), WireError> {
        self.outgoing.clear();
        self.outgoing.resize(VNET_HEADER, 0);
        self.outgoing.extend_from_slice(&frame.bytes);
        let sent = loop {
            match rustix::net::send(
                &self.socket,
                &self.outgoing,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        if let Err(errno) = sent {
            tracing::debug!(interface = self.name, bytes = frame.bytes.len(), %errno, "frame not sent");
            self.losses.unsent += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WireError> {
        Ok(())
    }

    fn losses(&mut self) -> WireLosses {
        self.losses.overrun += queue_drops(&self.socket);
        self.losses
    }
}

/// What the kernel said about a frame.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    bytes: usize,
    truncated: bool,
    vlan: Option<(u16, u16)>,
}

/// The frame as it would be on a wire.
fn finish(slot: &mut [u8], meta: &Received) -> Option<Vec<u8>> {
    let (header, frame) = slot
        .get_mut(..meta.bytes)?
        .split_at_mut_checked(VNET_HEADER)?;
    let segmented = header[1] != 0;
    if meta.truncated || segmented || frame.is_empty() {
        return None;
    }
    if header[0] & VNET_NEEDS_CHECKSUM != 0 {
        let start = usize::from(u16::from_ne_bytes([header[6], header[7]]));
        let offset = usize::from(u16::from_ne_bytes([header[8], header[9]]));
        finish_checksum(frame, start, offset)?;
    }
    let mut bytes = Vec::with_capacity(frame.len() + 4);
    match meta.vlan {
        Some((protocol, tag)) if frame.len() >= 12 => {
            bytes.extend_from_slice(&frame[..12]);
            bytes.extend_from_slice(&protocol.to_be_bytes());
            bytes.extend_from_slice(&tag.to_be_bytes());
            bytes.extend_from_slice(&frame[12..]);
        }
        _ => bytes.extend_from_slice(frame),
    }
    Some(bytes)
}

/// Sums `frame` from `start` on and stores the checksum `offset` bytes behind it (RFC 1071; the pseudo header is in place).
fn finish_checksum(frame: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let part = frame.get_mut(start..)?;
    let mut sum: u32 = part
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = match !(sum as u16) {
        0 => 0xffff, // as UDP needs it, and TCP may have it
        other => other,
    };
    part.get_mut(offset..offset + 2)?
        .copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn index_of(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    Ok(rustix::net::netdevice::name_to_index(socket, name)?)
}

fn open_socket(index: u32) -> io::Result<OwnedFd> {
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: no pointers are involved; the result is checked.
    let raw = unsafe {
        libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            0,
        )
    };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `raw` is a descriptor of ours that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    set(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1)?;
    set(&socket, libc::SOL_PACKET, PACKET_VNET_HDR, &1)?;
    set(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1)?;
    // Nice to have: a short cut past the queueing discipline, and a long queue (which needs a privilege to exceed the limit).
    let _ = set(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, &1);
    for (force, plain) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ] {
        if set(&socket, libc::SOL_SOCKET, force, &QUEUE_BYTES).is_err() {
            let _ = set(&socket, libc::SOL_SOCKET, plain, &QUEUE_BYTES);
        }
    }
    // SAFETY: an all-zero sockaddr_ll is a valid one.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as libc::c_int;
    // SAFETY: the pointer and length are those of `address`, which outlives the call.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if bound != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: an all-zero packet_mreq is a valid one.
    let mut membership: libc::packet_mreq = unsafe { zeroed() };
    membership.mr_ifindex = index as libc::c_int;
    membership.mr_type = libc::PACKET_MR_PROMISC as u16;
    set(
        &socket,
        libc::SOL_PACKET,
        libc::PACKET_ADD_MEMBERSHIP,
        &membership,
    )?;
    Ok(socket)
}

fn set<T>(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Frames that the kernel dropped since the last call.
fn queue_drops(socket: &OwnedFd) -> u64 {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the pointers are those of `stats` and `len`, which outlive the call; `len` is the structure's size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        u64::from(stats.tp_drops)
    } else {
        0
    }
}

/// Receives up to a batch, each frame into its slot of `buffer`.
fn receive_batch(
    socket: &OwnedFd,
    buffer: &mut [u8],
    received: &mut [Received; BATCH],
) -> io::Result<usize> {
    let mut control = [[0u64; CONTROL_WORDS]; BATCH];
    // SAFETY: all-zero iovecs and mmsghdrs are valid: null pointers with no length.
    let mut parts: [libc::iovec; BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    for (((slot, part), header), control) in buffer
        .chunks_exact_mut(SLOT)
        .zip(&mut parts)
        .zip(&mut headers)
        .zip(&mut control)
    {
        part.iov_base = slot.as_mut_ptr().cast();
        part.iov_len = slot.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = size_of_val(control) as _;
    }
    // SAFETY: every header points to one iovec over a slot of `buffer` and to its own aligned control array; all outlive the
    // call, and there are BATCH of them.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            BATCH as libc::c_uint,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    let count = (count as usize).min(BATCH);
    for (header, meta) in headers[..count].iter().zip(received.iter_mut()) {
        meta.bytes = (header.msg_len as usize).min(SLOT);
        meta.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        meta.vlan = vlan_of(&header.msg_hdr);
    }
    Ok(count)
}

/// The VLAN tag (protocol, control information) that the kernel took out of the frame.
fn vlan_of(header: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: `header` was filled by recvmmsg, its control array is still there.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR only return headers that lie whole in the control array.
        let head = unsafe { &*message };
        let whole = head.cmsg_len as usize
            >= size_of::<libc::cmsghdr>() + size_of::<libc::tpacket_auxdata>();
        if head.cmsg_level == libc::SOL_PACKET && head.cmsg_type == libc::PACKET_AUXDATA && whole {
            // SAFETY: the message's length says that the structure is there; it may be unaligned.
            let aux = unsafe {
                std::ptr::read_unaligned(libc::CMSG_DATA(message).cast::<libc::tpacket_auxdata>())
            };
            if aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                let told = aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
                return Some((
                    if told { aux.tp_vlan_tpid } else { ETH_P_8021Q },
                    aux.tp_vlan_tci,
                ));
            }
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(flags: u8, gso: u8, start: u16, offset: u16, frame: &[u8]) -> (Vec<u8>, Received) {
        let mut slot = vec![flags, gso, 0, 0, 0, 0];
        slot.extend_from_slice(&start.to_ne_bytes());
        slot.extend_from_slice(&offset.to_ne_bytes());
        slot.extend_from_slice(frame);
        let bytes = slot.len();
        (
            slot,
            Received {
                bytes,
                ..Received::default()
            },
        )
    }

    #[test]
    fn a_tag_is_put_back_where_it_was() {
        let frame: Vec<u8> = (0..20).collect();
        let (mut bytes, mut meta) = slot(0, 0, 0, 0, &frame);
        meta.vlan = Some((0x88a8, 0x2064));
        let tagged = finish(&mut bytes, &meta).unwrap();
        assert_eq!(
            tagged,
            [&frame[..12], &[0x88, 0xa8, 0x20, 0x64], &frame[12..]].concat()
        );
    }

    #[test]
    fn an_open_checksum_is_finished() {
        // RFC 1071's example, behind two bytes that are not summed.
        let (mut bytes, meta) = slot(
            VNET_NEEDS_CHECKSUM,
            0,
            2,
            8,
            &[9, 9, 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0],
        );
        assert_eq!(finish(&mut bytes, &meta).unwrap()[10..], [0x22, 0x0d]);
        let (mut bytes, meta) = slot(VNET_NEEDS_CHECKSUM, 0, 2, 9, &[0; 12]);
        assert_eq!(finish(&mut bytes, &meta), None, "beyond the frame");
        let (mut bytes, meta) = slot(VNET_NEEDS_CHECKSUM, 0, 60, 0, &[0; 12]);
        assert_eq!(finish(&mut bytes, &meta), None);
    }

    #[test]
    fn what_is_no_frame_is_not_delivered() {
        let (mut bytes, meta) = slot(0, 1, 0, 0, &[0; 60]);
        assert_eq!(finish(&mut bytes, &meta), None, "a TCP super-segment");
        let (mut bytes, meta) = slot(0, 0, 0, 0, &[]);
        assert_eq!(finish(&mut bytes, &meta), None);
        let (mut bytes, mut meta) = slot(0, 0, 0, 0, &[0; 60]);
        meta.truncated = true;
        assert_eq!(finish(&mut bytes, &meta), None);
        meta.truncated = false;
        meta.bytes = 4;
        assert_eq!(finish(&mut bytes, &meta), None);
    }
}
