//! How the host waits for the card: a little spinning, then MSI-X.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::CardError;
use crate::device::{Device, DeviceError};

/// MSI-X vectors of the card's rings (`CARD.md` 7).
pub(super) const VECTOR_TX: usize = 4;
pub(super) const VECTOR_COMMAND: usize = 5;
pub(super) const VECTOR_EVENT: usize = 6;
pub(super) const VECTOR_RECORD: usize = 7;
/// Vectors that the driver uses.
pub(super) const VECTORS: u16 = 8;

/// How to wait for the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Look at the phase bits for so long, then arm the interrupt and sleep.
    Spin(Duration),
    /// One command at a time; arm and sleep always, whatever is there already. What the card sees then does not depend on how fast the
    /// host is: for runs that must repeat exactly.
    ///
    /// Such a run begins with [`super::Queues::arm`], and then opens the port, as its last request of its own: from then on the host only
    /// answers.
    Lockstep,
}

/// The vectors' eventfds.
#[derive(Clone)]
pub(super) struct Vectors(Arc<Vec<OwnedFd>>);

impl Vectors {
    pub(super) fn new(fds: Vec<OwnedFd>) -> Self {
        Self(Arc::new(fds))
    }

    pub(super) fn fd(&self, vector: usize) -> BorrowedFd<'_> {
        self.0[vector].as_fd()
    }

    /// Takes what a vector has signalled; true when it had.
    pub(super) fn take(&self, vector: usize) -> bool {
        let mut count = [0; 8];
        loop {
            match rustix::io::read(self.fd(vector), &mut count) {
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Sleeps until one of `fds` is readable, the function is gone, or `until`. True when one of `fds` is.
///
/// # Errors
/// When the function is gone, or the system refuses to wait.
pub(super) fn sleep(
    device: &dyn Device,
    fds: &[BorrowedFd<'_>],
    until: Instant,
    doing: &str,
) -> Result<bool, CardError> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    polled.extend(device.death());
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(DeviceError::system(format!("waiting for {doing}"), errno).into());
            }
        }
    }
    if polled[..fds.len()]
        .iter()
        .any(|fd| fd.revents().intersects(PollFlags::IN))
    {
        return Ok(true);
    }
    let doing = format!("the driver waited for {doing}");
    Err(device
        .gone(&doing)
        .unwrap_or_else(|| DeviceError::Closed {
            device: device.name().to_owned(),
            doing,
        })
        .into())
}
