//! The wire as a TAP interface: the kernel's network stack is at the other end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{LIVE_FRAME_MAX, Wire, WireError, WireLosses};
use crate::card::{SentFrame, WireFrame};

/// A TAP interface; it vanishes with the process unless it was made persistent before.
#[derive(Debug)]
pub struct Tap {
    name: String,
    device: OwnedFd,
    buffer: Vec<u8>,
    losses: WireLosses,
    gone: bool,
}

impl Tap {
    /// Opens or makes the interface.
    ///
    /// # Errors
    /// When there is no /dev/net/tun, the process may not, or another has the interface.
    pub fn open(name: &str) -> Result<Self, WireError> {
        let failed = |error: io::Error| {
            let hint = match error.raw_os_error() {
                Some(libc::ENOENT | libc::EACCES) => {
                    " (/dev/net/tun is missing or closed: use --wire veth:NAME)"
                }
                Some(libc::EPERM) => " (making an interface needs CAP_NET_ADMIN)",
                Some(libc::EBUSY) => " (another process has it open)",
                _ => "",
            };
            WireError::Interface {
                action: "cannot open TAP",
                name: name.to_owned(),
                error,
                hint,
            }
        };
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty())
            .map_err(|errno| failed(errno.into()))?;
        attach(&device, name).map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            device,
            buffer: vec![0; LIVE_FRAME_MAX],
            losses: WireLosses::default(),
            gone: false,
        })
    }
}

fn attach(device: &OwnedFd, name: &str) -> io::Result<()> {
    // SAFETY: an all-zero ifreq is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (place, &byte) in request
        .ifr_name
        .iter_mut()
        .zip(name.as_bytes().iter().take(room))
    {
        *place = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF takes a pointer to an ifreq, which outlives the call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

impl Wire for Tap {
    fn is_live(&self) -> bool {
        true
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.gone).then(|| self.device.as_fd())
    }

    fn receive(&mut self) -> Result<Option<WireFrame>, WireError> {
        if self.gone {
            return Ok(None);
        }
        match rustix::io::read(&self.device, &mut self.buffer) {
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Ok(bytes) => Ok(Some(WireFrame {
                bytes: self.buffer[..bytes].to_vec(),
                error: false,
            })),
            Err(Errno::IO) => Ok(None), // the interface is down
            Err(errno) => {
                self.gone = true;
                Err(WireError::Interface {
                    action: "lost TAP",
                    name: self.name.clone(),
                    error: errno.into(),
                    hint: "",
                })
            }
        }
    }

    fn is_exhausted(&self) -> bool {
        self.gone
    }

    fn send(&mut self, frame: &SentFrame) -> Result<(), WireError> {
        if rustix::io::write(&self.device, &frame.bytes).is_err() {
            self.losses.unsent += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WireError> {
        Ok(())
    }

    fn losses(&mut self) -> WireLosses {
        self.losses
    }
}
