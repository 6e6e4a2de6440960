//! Which interrupts the host has been sent and not armed again: it is still at work on what they announced.

use std::time::{Duration, Instant};

use zerocopy::FromBytes;

use crate::registers::{card, ring};
use crate::vfio_user::link::Message;
use crate::vfio_user::protocol::{Command, RegionAccess};

/// The rings' registers lie one after another: RX by class, TX, command; the record ring's, of vector 7, in the place after the next.
const RINGS: u64 = card::BASE as u64;
const RING_BYTES: u64 = card::RX_STEP as u64;
const ARM: u64 = ring::ARM as u64;
/// Vectors of the rings whose interrupt a host arms again when it has done its work: RX by class, command, records. A transmit ring is
/// armed when something is sent, so nothing is owed for it.
const EXPECTED: u32 = 0b1010_1111;

/// What the host owes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arming {
    /// Vectors that the host has ever armed; of others nothing is expected.
    known: u32,
    /// Vectors signalled and not armed since.
    owed: u32,
    since: Option<Instant>,
}

impl Arming {
    /// These vectors were signalled.
    pub fn signalled(&mut self, vectors: u32) {
        let new = vectors & self.known;
        if new != 0 {
            self.owed |= new;
            self.since = Some(Instant::now());
        }
    }

    /// The host does something: perhaps it arms a vector.
    pub fn observe(&mut self, message: &Message) {
        if message.header.command != Command::RegionWrite as u16 {
            return;
        }
        let Ok((access, _)) = RegionAccess::read_from_prefix(&message.body) else {
            return;
        };
        if access.region != 0 || access.count != 4 {
            return;
        }
        let Some(offset) = access.offset.checked_sub(RINGS) else {
            return;
        };
        let vector = offset / RING_BYTES;
        if vector < u64::from(u32::BITS) && offset % RING_BYTES == ARM {
            self.known |= EXPECTED & 1 << vector;
            self.owed &= !(1 << vector);
        }
    }

    /// The host owes the arming of a vector, for not longer than `patience`.
    #[must_use]
    pub fn is_owed(&self, patience: Duration) -> bool {
        self.owed != 0 && self.since.is_some_and(|since| since.elapsed() < patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfio_user::protocol::Header;
    use zerocopy::IntoBytes;

    fn write(offset: u64) -> Message {
        let access = RegionAccess {
            offset,
            region: 0,
            count: 4,
        };
        let header = Header {
            command: Command::RegionWrite as u16,
            ..Header::default()
        };
        Message {
            header,
            body: [access.as_bytes(), &[0; 4]].concat(),
            fds: vec![],
        }
    }

    #[test]
    fn what_was_signalled_is_owed_until_it_is_armed() {
        let mut arming = Arming::default();
        arming.signalled(1 << 2);
        assert!(
            !arming.is_owed(Duration::from_secs(9)),
            "a host that never arms owes nothing"
        );
        for ring in [2, 4] {
            arming.observe(&write(0x4000 + ring * 0x40 + 0x20));
        }
        arming.signalled(1 << 4 | 1 << 6);
        assert!(
            !arming.is_owed(Duration::from_secs(9)),
            "neither transmissions nor events are waited for"
        );
        arming.signalled(1 << 2);
        assert!(arming.is_owed(Duration::from_secs(9)));
        assert!(!arming.is_owed(Duration::ZERO), "patience ends");
        for other in [
            0x4000 + 2 * 0x40 + 0x14,
            0x4000 + 3 * 0x40 + 0x20,
            0x20,
            0x4000 + 9 * 0x40 + 0x20,
        ] {
            arming.observe(&write(other));
            assert!(arming.is_owed(Duration::from_secs(9)), "{other:#x}");
        }
        arming.observe(&write(0x4000 + 2 * 0x40 + 0x20));
        assert!(!arming.is_owed(Duration::from_secs(9)));
        arming.signalled(1 << 7);
        assert!(!arming.is_owed(Duration::from_secs(9)), "no records wanted");
        let records = write(u64::from(crate::registers::card::RECORD) + 0x20);
        arming.observe(&records);
        arming.signalled(1 << 7);
        assert!(arming.is_owed(Duration::from_secs(9)));
        arming.observe(&records);
        assert!(!arming.is_owed(Duration::from_secs(9)));
    }
}
