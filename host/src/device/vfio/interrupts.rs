//! The function's events: MSI-X by eventfds, and the kernel's words about the function itself.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio as abi;

use super::kernel::{Kernel, Triggers};
use crate::device::DeviceError;

/// Why a function has to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel wants it back: `VFIO_PCI_REQ_IRQ_INDEX`.
    AskedBack,
    /// It reported an uncorrectable error: `VFIO_PCI_ERR_IRQ_INDEX`.
    Faulted,
    /// It does not answer any more.
    Vanished,
}

/// What tells that a function has to be given up. What was once said stays said: nobody reads these eventfds.
#[derive(Debug)]
pub struct Events {
    /// Readable as soon as one of the others is.
    any: OwnedFd,
    /// In the order in which they are believed.
    signals: [(Cause, OwnedFd); 3],
}

impl Events {
    /// Asks the kernel for its events, as far as it has them: a conventional PCI function reports no errors.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new(kernel: &dyn Kernel, function: BorrowedFd<'_>) -> Result<Self, DeviceError> {
        let signals = [
            (Cause::AskedBack, new_eventfd()?),
            (Cause::Faulted, new_eventfd()?),
            (Cause::Vanished, new_eventfd()?),
        ];
        let system = |errno: Errno| DeviceError::system("waiting for a function's events", errno);
        let any = epoll::create(CreateFlags::CLOEXEC).map_err(system)?;
        for (_, fd) in &signals {
            epoll::add(&any, fd, EventData::new_u64(0), EventFlags::IN).map_err(system)?;
        }
        for (index, what, (_, fd)) in [
            (abi::VFIO_PCI_REQ_IRQ_INDEX, "unbind requests", &signals[0]),
            (abi::VFIO_PCI_ERR_IRQ_INDEX, "errors", &signals[1]),
        ] {
            match subscribe(kernel, function, index, fd.as_fd()) {
                Ok(true) => {}
                Ok(false) => tracing::debug!("the kernel tells no {what} of this function"),
                Err(errno) => tracing::warn!(%errno, "the kernel will not tell {what}"),
            }
        }
        Ok(Self { any, signals })
    }

    /// What was said, if anything.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        if !is_ready(self.any.as_fd()) {
            return None;
        }
        let said = self.signals.iter().find(|(_, fd)| is_ready(fd.as_fd()));
        said.map(|(cause, _)| *cause)
    }

    /// Says that the function does not answer any more.
    pub fn vanished(&self) {
        let (_, fd) = &self.signals[2];
        // A full counter says it as well.
        let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
    }

    /// What is ready as soon as there is a cause.
    #[must_use]
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.any, PollFlags::IN)
    }
}

fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    matches!(poll(&mut polled, Some(&now)), Ok(1..))
}

fn new_eventfd() -> Result<OwnedFd, DeviceError> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|errno| DeviceError::system("making an eventfd", errno))
}

/// Has an event of the kernel's signal `fd`; false when the function has no such event.
fn subscribe(
    kernel: &dyn Kernel,
    function: BorrowedFd<'_>,
    index: u32,
    fd: BorrowedFd<'_>,
) -> Result<bool, Errno> {
    match kernel.irq_info(function, index) {
        Ok(info) if info.count > 0 && info.flags & abi::VFIO_IRQ_INFO_EVENTFD != 0 => {}
        Ok(_) | Err(Errno::INVAL) => return Ok(false),
        Err(errno) => return Err(errno),
    }
    kernel.set_irqs(function, index, Triggers::Eventfds(&[fd]))?;
    Ok(true)
}

/// Turns MSI-X vectors 0 to `vectors` - 1 on; the reason when that is refused.
///
/// # Errors
/// When the function has fewer vectors, or the machine has none left for it.
pub fn enable_msix(
    kernel: &dyn Kernel,
    function: BorrowedFd<'_>,
    vectors: u16,
) -> Result<Vec<OwnedFd>, String> {
    let index = abi::VFIO_PCI_MSIX_IRQ_INDEX;
    let info = kernel
        .irq_info(function, index)
        .map_err(|errno| errno.to_string())?;
    if info.count < vectors.into() || info.flags & abi::VFIO_IRQ_INFO_EVENTFD == 0 {
        return Err(format!(
            "it has {} MSI-X vectors (flags {:#x}), {vectors} are needed",
            info.count, info.flags
        ));
    }
    let fds = (0..vectors)
        .map(|_| new_eventfd())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    // All at once: what is on already would otherwise set how many there can be.
    match kernel.set_irqs(function, index, Triggers::Eventfds(&borrowed)) {
        Ok(0) => Ok(fds),
        Ok(available) => Err(format!(
            "the machine has only {available} interrupt vectors left for it, {vectors} are needed"
        )),
        Err(errno) => Err(errno.to_string()),
    }
}

/// Turns MSI-X off. It may be off already.
///
/// # Errors
/// When the kernel refuses.
pub fn disable_msix(kernel: &dyn Kernel, function: BorrowedFd<'_>) -> Result<(), Errno> {
    match kernel.set_irqs(function, abi::VFIO_PCI_MSIX_IRQ_INDEX, Triggers::Off) {
        // what the kernel says when nothing of this kind is on
        Ok(_) | Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(errno),
    }
}
