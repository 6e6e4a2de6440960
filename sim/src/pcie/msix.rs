//! Interrupts: the card's MSI-X table as the kernel would program it, and the eventfds that its messages reach.
//!
//! Under vfio-user the server plays the kernel: SET_IRQS wires a vector to an eventfd, the card's table gets an address in
//! the MSI window, and a message there signals the eventfd. The client's own writes to the table only reach a shadow, as
//! VFIO does it.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::dma::MSI_WINDOW;
use crate::card::MSIX_VECTORS;

const VECTORS: usize = MSIX_VECTORS as usize;
/// Bytes of a table entry: address, data, vector control.
const ENTRY: usize = 16;
/// Bytes of the table.
pub const TABLE_BYTES: usize = VECTORS * ENTRY;

#[derive(Debug, Default)]
struct Vector {
    eventfd: Option<OwnedFd>,
    masked: bool,
    /// A message came that could not be delivered yet.
    pending: bool,
    /// What the card's table entry says: `None` when it was cleared.
    card_masked: Option<bool>,
}

impl Vector {
    fn is_open(&self) -> bool {
        self.eventfd.is_some() && !self.masked
    }
}

/// The function's vectors.
#[derive(Debug)]
pub struct Msix {
    vectors: [Vector; VECTORS],
    shadow: [u8; TABLE_BYTES],
    deferred: bool,
}

impl Default for Msix {
    fn default() -> Self {
        let mut msix = Self {
            vectors: Default::default(),
            shadow: [0; TABLE_BYTES],
            deferred: false,
        };
        msix.forget();
        msix
    }
}

impl Msix {
    /// As after power on: nothing is wired, the card's table is clear.
    pub fn forget(&mut self) {
        self.vectors = Default::default();
        self.shadow = [0; TABLE_BYTES];
        for entry in self.shadow.chunks_exact_mut(ENTRY) {
            entry[12] = 1; // masked
        }
    }

    /// With `deferred`, interrupts wait for [`Msix::deliver`]; otherwise they are signalled as they come.
    pub fn set_deferred(&mut self, deferred: bool) {
        self.deferred = deferred;
    }

    /// Some vector is wired: MSI-X is enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.vectors.iter().any(|vector| vector.eventfd.is_some())
    }

    /// Wires vectors from `start` on; `None` unwires one.
    ///
    /// # Errors
    /// EINVAL: there are no such vectors.
    pub fn wire(
        &mut self,
        start: u32,
        eventfds: impl ExactSizeIterator<Item = Option<OwnedFd>>,
    ) -> Result<(), Errno> {
        for (vector, eventfd) in self.range(start, eventfds.len())?.iter_mut().zip(eventfds) {
            vector.eventfd = eventfd;
        }
        self.deliver_unless_deferred();
        Ok(())
    }

    /// Masks or unmasks the vectors from `start` on for which `which` is true.
    ///
    /// # Errors
    /// EINVAL: there are no such vectors.
    pub fn mask(&mut self, start: u32, which: &[bool], masked: bool) -> Result<(), Errno> {
        for (vector, _) in self
            .range(start, which.len())?
            .iter_mut()
            .zip(which)
            .filter(|(_, chosen)| **chosen)
        {
            vector.masked = masked;
        }
        self.deliver_unless_deferred();
        Ok(())
    }

    /// Signals the vectors from `start` on for which `which` is true, as the client asks.
    ///
    /// # Errors
    /// EINVAL: there are no such vectors.
    pub fn trigger(&mut self, start: u32, which: &[bool]) -> Result<(), Errno> {
        for (vector, _) in self
            .range(start, which.len())?
            .iter_mut()
            .zip(which)
            .filter(|(_, chosen)| **chosen)
        {
            vector.pending = true;
        }
        self.deliver_unless_deferred();
        Ok(())
    }

    /// Unwires everything and forgets what is pending.
    pub fn disable(&mut self) {
        for vector in &mut self.vectors {
            vector.eventfd = None;
            vector.masked = false;
            vector.pending = false;
        }
    }

    /// The card has forgotten its table.
    pub fn card_was_reset(&mut self) {
        for vector in &mut self.vectors {
            vector.card_masked = None;
            vector.pending = false;
        }
    }

    /// The writes (offset in BAR4, value) that bring the card's table to what is wired, and remembers them as done.
    pub fn table_writes(&mut self) -> Vec<(u32, u32)> {
        let mut writes = Vec::new();
        if !self.is_enabled()
            && self
                .vectors
                .iter()
                .all(|vector| vector.card_masked.is_none())
        {
            return writes;
        }
        for (index, vector) in (0u32..).zip(&mut self.vectors) {
            let masked = !vector.is_open();
            let base = index * ENTRY as u32;
            if vector.card_masked.is_none() {
                let address = *MSI_WINDOW.start() as u32 + base;
                writes.extend([(base, address), (base + 4, 0), (base + 8, index)]);
            }
            if vector.card_masked != Some(masked) {
                writes.push((base + 12, u32::from(masked)));
            }
            vector.card_masked = Some(masked);
        }
        writes
    }

    /// A write into the MSI window: the message of a vector. False when it is none.
    pub fn message(&mut self, address: u64, data: &[u8]) -> bool {
        let index = (address.wrapping_sub(*MSI_WINDOW.start()) / ENTRY as u64) as usize;
        let is_entry = address.is_multiple_of(ENTRY as u64) && data == (index as u32).to_le_bytes();
        let Some(vector) = self.vectors.get_mut(index).filter(|_| is_entry) else {
            return false;
        };
        vector.pending = true;
        self.deliver_unless_deferred();
        true
    }

    /// Signals what is pending and open; returns the vectors signalled, one bit each.
    pub fn deliver(&mut self) -> u32 {
        let mut signalled = 0;
        for (index, vector) in self.vectors.iter_mut().enumerate() {
            if vector.pending
                && !vector.masked
                && let Some(eventfd) = &vector.eventfd
            {
                vector.pending = false;
                signal(eventfd, index);
                signalled |= 1 << index;
            }
        }
        signalled
    }

    /// Something waits for [`Msix::deliver`].
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.vectors
            .iter()
            .any(|vector| vector.pending && vector.is_open())
    }

    /// Vectors whose message waits because they are masked or not wired, one bit each.
    #[must_use]
    pub fn pending_bits(&self) -> u32 {
        self.vectors
            .iter()
            .enumerate()
            .filter(|(_, vector)| vector.pending)
            .fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// The table as the client wrote it.
    pub fn shadow(&mut self) -> &mut [u8; TABLE_BYTES] {
        &mut self.shadow
    }

    fn deliver_unless_deferred(&mut self) {
        if !self.deferred {
            self.deliver();
        }
    }

    fn range(&mut self, start: u32, count: usize) -> Result<&mut [Vector], Errno> {
        let start = usize::try_from(start).map_err(|_| Errno::INVAL)?;
        let end = start.checked_add(count).ok_or(Errno::INVAL)?;
        self.vectors.get_mut(start..end).ok_or(Errno::INVAL)
    }
}

/// Adds one to an eventfd. It is the client's, and may block: a full one is as good as signalled.
fn signal(eventfd: &OwnedFd, index: usize) {
    let zero = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let room = rustix::event::poll(&mut [PollFd::new(eventfd, PollFlags::OUT)], Some(&zero));
    if !matches!(room, Ok(1)) {
        return;
    }
    if let Err(errno) = rustix::io::write(eventfd, &1u64.to_ne_bytes()) {
        tracing::warn!(vector = index, %errno, "the client's eventfd does not take the interrupt");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::EventfdFlags;

    fn eventfd() -> OwnedFd {
        rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()
    }

    fn count(eventfd: &OwnedFd) -> u64 {
        let mut value = [0; 8];
        rustix::io::read(eventfd, &mut value).map_or(0, |_| u64::from_ne_bytes(value))
    }

    fn wired(vector: u32) -> (Msix, OwnedFd) {
        let mut msix = Msix::default();
        let fd = eventfd();
        msix.wire(vector, [Some(fd.try_clone().unwrap())].into_iter())
            .unwrap();
        (msix, fd)
    }

    #[test]
    fn a_message_reaches_its_vector_only() {
        let (mut msix, fd) = wired(3);
        assert!(msix.message(0xfee0_0030, &3u32.to_le_bytes()));
        assert!(msix.message(0xfee0_0020, &2u32.to_le_bytes()));
        assert_eq!(count(&fd), 1);
        assert!(
            !msix.message(0xfee0_0030, &2u32.to_le_bytes()),
            "another vector's data"
        );
        assert!(
            !msix.message(0xfee0_0080, &8u32.to_le_bytes()),
            "no such vector"
        );
        assert!(!msix.message(0xfee0_0032, &3u32.to_le_bytes()));
        assert_eq!(count(&fd), 0);
    }

    #[test]
    fn what_came_before_the_eventfd_or_under_a_mask_is_delivered_later() {
        let mut msix = Msix::default();
        msix.message(0xfee0_0000, &0u32.to_le_bytes());
        let fd = eventfd();
        msix.wire(0, [Some(fd.try_clone().unwrap())].into_iter())
            .unwrap();
        assert_eq!(count(&fd), 1);
        msix.mask(0, &[true], true).unwrap();
        msix.message(0xfee0_0000, &0u32.to_le_bytes());
        assert_eq!(count(&fd), 0);
        msix.mask(0, &[true], false).unwrap();
        assert_eq!(count(&fd), 1);
    }

    #[test]
    fn deferred_interrupts_wait() {
        let (mut msix, fd) = wired(1);
        msix.set_deferred(true);
        msix.message(0xfee0_0010, &1u32.to_le_bytes());
        assert_eq!(count(&fd), 0);
        assert!(msix.has_pending());
        assert_eq!(msix.deliver(), 2);
        assert_eq!(count(&fd), 1);
        assert!(!msix.has_pending());
    }

    #[test]
    fn the_table_is_programmed_once_and_again_after_a_reset() {
        let (mut msix, _fd) = wired(1);
        let writes = msix.table_writes();
        assert_eq!(writes.len(), 32);
        assert!(writes.contains(&(16, 0xfee0_0010)) && writes.contains(&(24, 1)));
        assert!(writes.contains(&(28, 0)), "the wired vector is open");
        assert!(writes.contains(&(12, 1)), "the others are masked");
        assert!(msix.table_writes().is_empty());
        msix.mask(1, &[true], true).unwrap();
        assert_eq!(msix.table_writes(), [(28, 1)]);
        msix.card_was_reset();
        assert_eq!(msix.table_writes().len(), 32);
        msix.disable();
        assert!(!msix.is_enabled());
    }

    #[test]
    fn vectors_that_do_not_exist_are_refused() {
        let mut msix = Msix::default();
        assert_eq!(msix.wire(8, [None].into_iter()), Err(Errno::INVAL));
        assert_eq!(msix.mask(u32::MAX, &[true; 2], true), Err(Errno::INVAL));
        assert_eq!(msix.trigger(7, &[true, true]), Err(Errno::INVAL));
        assert_eq!(msix.trigger(8, &[]), Ok(()));
    }
}
