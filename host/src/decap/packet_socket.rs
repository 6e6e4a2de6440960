//! AF_PACKET sockets: whole Ethernet frames of one interface.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Frames that this machine itself sends are not shown.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
/// Bytes that the kernel may hold for a receiver.
const QUEUE: libc::c_int = 8 << 20;

/// A socket on one interface.
pub struct PacketSocket {
    socket: OwnedFd,
    /// The interface's index.
    interface: libc::c_uint,
}

impl PacketSocket {
    /// A socket that receives what arrives on `interface`.
    ///
    /// # Errors
    /// When there is no such interface, or raw sockets are not allowed.
    pub fn receiver(interface: &str) -> io::Result<Self> {
        let all = libc::ETH_P_ALL.cast_unsigned();
        let socket = Self::open(interface, u16::try_from(all).unwrap_or(0))?;
        socket.set(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
        // more than the system's limit only as root; less is no error
        if socket
            .set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, QUEUE)
            .is_err()
        {
            socket.set(libc::SOL_SOCKET, libc::SO_RCVBUF, QUEUE)?;
        }
        Ok(socket)
    }

    /// A socket that sends on `interface` and receives nothing.
    ///
    /// # Errors
    /// As [`PacketSocket::receiver`].
    pub fn sender(interface: &str) -> io::Result<Self> {
        Self::open(interface, 0)
    }

    fn open(interface: &str, protocol: u16) -> io::Result<Self> {
        let name = std::ffi::CString::new(interface)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: `name` is a terminated string that lives through the call.
        let interface = unsafe { libc::if_nametoindex(name.as_ptr()) };
        let index = i32::try_from(interface)
            .ok()
            .filter(|&index| index > 0)
            .ok_or_else(io::Error::last_os_error)?;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol.to_be(),
            sll_ifindex: index,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: `address` is a whole sockaddr_ll, and the length is its size.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if bound < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { socket, interface })
        }
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: the option's value is an int, and the length is its size.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Waits for a frame and returns its length; `None` when it was not for this station.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: all zeroes are a valid sockaddr_ll.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut from_length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            // SAFETY: buffer and address are exclusive borrows that live through the call, with their lengths.
            let length = unsafe {
                libc::recvfrom(
                    self.socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_TRUNC,
                    (&raw mut from).cast(),
                    &raw mut from_length,
                )
            };
            match usize::try_from(length) {
                // longer than the buffer: cut, and of no use
                Ok(length) => {
                    return Ok(
                        (from.sll_pkttype == libc::PACKET_HOST && length <= buffer.len())
                            .then_some(length),
                    );
                }
                Err(_) => match io::Error::last_os_error() {
                    error if error.raw_os_error() == Some(libc::EINTR) => {}
                    // down is said once, and it may come up again; of one that is gone nothing more is ever heard
                    error if error.raw_os_error() == Some(libc::ENETDOWN) && self.is_there() => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// Whether the interface still exists.
    fn is_there(&self) -> bool {
        let mut name = [0; libc::IF_NAMESIZE];
        // SAFETY: the buffer has the room that the call asks for.
        !unsafe { libc::if_indextoname(self.interface, name.as_mut_ptr()) }.is_null()
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the interface refuses it.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame lives through the call, with its length.
        let sent = unsafe {
            libc::send(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
            )
        };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}
