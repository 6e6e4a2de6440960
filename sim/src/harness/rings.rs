//! The test host's rings: where they lie, what is due in them, and how frames come and go.

use guideway_hdl::descriptors::{Command, Completion, RxCompletion, Status, TxDescriptor};
use guideway_hdl::verdict::HostClass;

use super::{HarnessError, RING_ENTRIES, RING_SIZE_LOG2, TestHost};
use crate::registers::{card, ring as at};

const ENTRY_BYTES: u64 = 64;
const RING_BYTES: u64 = RING_ENTRIES as u64 * ENTRY_BYTES;
const STRIDE_LOG2: u32 = 14;

/// A ring that the host fills: TX or commands.
#[derive(Clone, Debug)]
pub(super) struct DescriptorRing {
    offset: u32,
    name: &'static str,
    base: u64,
    completions: u64,
    index: u16,
}

/// A ring that the card fills.
#[derive(Clone, Debug)]
pub(super) struct RxQueue {
    base: u64,
    buffers: u64,
    index: u16,
}

/// A frame that the card gave to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The queue that it came from.
    pub class: HostClass,
    /// The card's completion.
    pub record: RxCompletion,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// Where a ring's registers lie: receive queues by number, the others by their own offset.
pub(super) const fn block_offset(ring: u32) -> u32 {
    if ring < 4 {
        card::RX + ring * card::RX_STEP
    } else {
        ring
    }
}

impl DescriptorRing {
    pub(super) fn new(offset: u32, name: &'static str, place: &mut impl FnMut(u64) -> u64) -> Self {
        Self {
            offset,
            name,
            base: place(RING_BYTES),
            completions: place(RING_BYTES),
            index: 0,
        }
    }

    /// The ring's register block.
    pub(super) const fn block(&self) -> u32 {
        self.offset
    }

    /// The phase that is due at the next index.
    pub(super) const fn phase(&self) -> bool {
        phase(self.index)
    }

    pub(super) fn advance(&mut self) {
        self.index = self.index.wrapping_add(1);
    }
}

impl RxQueue {
    pub(super) fn new(_class: usize, place: &mut impl FnMut(u64) -> u64) -> Self {
        Self {
            base: place(RING_BYTES),
            buffers: place(u64::from(RING_ENTRIES) << STRIDE_LOG2),
            index: 0,
        }
    }
}

const fn phase(index: u16) -> bool {
    (index / RING_ENTRIES).is_multiple_of(2)
}

fn slot(base: u64, index: u16, bytes: u64) -> u64 {
    base + u64::from(index % RING_ENTRIES) * bytes
}

fn entry(bytes: &[u8]) -> [u8; 64] {
    std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0))
}

impl TestHost<'_> {
    /// Starts a ring from index 0: a receive queue by number, the others by their register block.
    ///
    /// # Errors
    /// When the ring stops at once.
    pub fn start_ring(&mut self, ring: u32) -> Result<(), HarnessError> {
        let (name, first, second, stride) = if let Some(queue) = self.rx.get_mut(ring as usize) {
            queue.index = 0;
            ("rx", queue.base, queue.buffers, STRIDE_LOG2 << 8)
        } else {
            let ring = if ring == self.tx.offset {
                &mut self.tx
            } else {
                &mut self.command
            };
            ring.index = 0;
            (ring.name, ring.base, ring.completions, 0)
        };
        for base in if stride == 0 {
            vec![first, second]
        } else {
            vec![first]
        } {
            self.memory.clear(base, RING_BYTES as usize)?;
        }
        let block = block_offset(ring);
        self.write(block + at::CONFIG, 0);
        self.write(block + at::DOORBELL, 0);
        for (offset, value) in [(at::BASE_LOW, first), (at::SECOND_LOW, second)] {
            self.write(block + offset, (value & 0xffff_ffff) as u32);
            self.write(block + offset + 4, (value >> 32) as u32);
        }
        self.write(block + at::CONFIG, at::ENABLE | stride | RING_SIZE_LOG2);
        match self.ring_status(ring) {
            0 => Ok(()),
            status => Err(HarnessError::Stopped { ring: name, status }),
        }
    }

    /// Writes a descriptor and rings the doorbell.
    pub(super) fn submit(
        &mut self,
        ring: &DescriptorRing,
        descriptor: &[u8; 64],
    ) -> Result<(), HarnessError> {
        self.memory
            .fill(slot(ring.base, ring.index, ENTRY_BYTES), descriptor)?;
        self.write(
            ring.offset + at::DOORBELL,
            u32::from(ring.index.wrapping_add(1)),
        );
        Ok(())
    }

    /// Gives at most [`RING_ENTRIES`] commands by one doorbell, and waits for all.
    pub(super) fn submit_all(
        &mut self,
        commands: &[Command],
    ) -> Result<Vec<Completion>, HarnessError> {
        let mut rings = Vec::with_capacity(commands.len());
        for command in commands {
            let ring = self.command.clone();
            let command = Command {
                phase: ring.phase(),
                ..*command
            };
            let place = slot(ring.base, ring.index, ENTRY_BYTES);
            self.memory.fill(place, &command.to_bytes())?;
            self.command.advance();
            rings.push((ring, command.tag));
        }
        let doorbell = u32::from(self.command.index);
        self.write(self.command.offset + at::DOORBELL, doorbell);
        rings
            .iter()
            .map(|(ring, tag)| self.completion(ring, *tag))
            .collect()
    }

    /// Waits for the completion of the descriptor that was submitted last.
    pub(super) fn completion(
        &mut self,
        ring: &DescriptorRing,
        tag: u32,
    ) -> Result<Completion, HarnessError> {
        let address = slot(ring.completions, ring.index, ENTRY_BYTES);
        let due = phase(ring.index);
        self.wait("a completion", |host| {
            let status = host.ring_status(ring.offset);
            let there = (host.memory.view(address, 1)?[0] & 1 == 1) == due;
            if !there && status != 0 {
                return Err(HarnessError::Stopped {
                    ring: ring.name,
                    status,
                });
            }
            Ok(there)
        })?;
        let completion = Completion::from_bytes(&entry(self.memory.view(address, 64)?));
        if completion.index != ring.index || completion.tag != tag {
            return Err(HarnessError::Protocol(format!(
                "the {} ring answered index {} tag {:#x} where {} {tag:#x} was due",
                ring.name, completion.index, completion.tag, ring.index
            )));
        }
        Ok(completion)
    }

    /// Transmits a frame (RAW, ASSIGN) or a RELEASE, and waits for the completion. Length and address are filled in.
    ///
    /// # Errors
    /// When the ring stops or no completion comes.
    pub fn transmit(
        &mut self,
        descriptor: TxDescriptor,
        bytes: &[u8],
    ) -> Result<Completion, HarnessError> {
        let address = self.bulk + 64 + u64::from(self.tx.index % 64); // any alignment will do
        self.memory.fill(address, bytes)?;
        self.transmit_as_is(TxDescriptor {
            length: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            address,
            ..descriptor
        })
    }

    /// Gives a descriptor as it is but for its phase, and waits for the completion.
    ///
    /// # Errors
    /// When the ring stops or no completion comes.
    pub fn transmit_as_is(&mut self, descriptor: TxDescriptor) -> Result<Completion, HarnessError> {
        let descriptor = TxDescriptor {
            phase: self.tx.phase(),
            ..descriptor
        };
        let ring = self.tx.clone();
        self.submit(&ring, &descriptor.to_bytes())?;
        self.tx.advance();
        self.completion(&ring, descriptor.tag)
    }

    /// Takes every frame that the card has given to the host, class by class, and returns the entries.
    ///
    /// # Errors
    /// When a completion contradicts its ring, or a queue has stopped.
    pub fn receive(&mut self) -> Result<Vec<Received>, HarnessError> {
        let mut received = Vec::new();
        for (number, class) in (0u32..).zip(HostClass::ALL) {
            while let Some(frame) = self.next_received(number as usize, *class)? {
                received.push(frame);
            }
            let index = self.rx[number as usize].index;
            self.write(block_offset(number) + at::DOORBELL, index.into());
            let status = self.ring_status(number);
            if status != Status::Ok.raw() {
                return Err(HarnessError::Stopped { ring: "rx", status });
            }
        }
        Ok(received)
    }

    fn next_received(
        &mut self,
        number: usize,
        class: HostClass,
    ) -> Result<Option<Received>, HarnessError> {
        let queue = &mut self.rx[number];
        let address = slot(queue.base, queue.index, ENTRY_BYTES);
        let record = RxCompletion::from_bytes(&entry(self.memory.view(address, 64)?));
        if record.phase != phase(queue.index) {
            return Ok(None);
        }
        if record.index != queue.index || record.host_class != class.raw() {
            return Err(HarnessError::Protocol(format!(
                "queue {} holds index {} of class {} where {} was due",
                class.name(),
                record.index,
                record.host_class,
                queue.index
            )));
        }
        let buffer = slot(queue.buffers, queue.index, 1 << STRIDE_LOG2);
        queue.index = queue.index.wrapping_add(1);
        let bytes = self.memory.view(buffer, record.length.into())?.to_vec();
        Ok(Some(Received {
            class,
            record,
            bytes,
        }))
    }
}
