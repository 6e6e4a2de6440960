//! A small host for tests of both models: rings in [`GuestMemory`], commands, tables, frames, bounded waits.
//!
//! Owns what every test of a card would otherwise write again; it knows [`Card`] and the interface's layouts, and no
//! model. Random scenarios, and the comparison of what two models made of one, are in [`scenario`] and [`outcome`].

pub mod conformance;
pub mod frame;
pub mod headers;
pub mod icmp;
pub mod katran;
pub mod outcome;
mod plan;
pub mod quic;
pub mod random;
pub mod records;
mod rings;
pub mod scenario;
mod tables;

use guideway_hdl::descriptors::{Command, Completion, Status};
use guideway_hdl::tables::{SECRET_WORDS, VipMatch};
pub use tables::key_of;

use crate::card::{Bar, Card, DmaError, FunctionState, TickSource, WireFrame};
use crate::memory::{GuestMemory, MSI_BASE};
use crate::registers::{core as at, ring as ring_at};

use records::RecordReader;
pub use rings::Received;
use rings::{DescriptorRing, RxQueue};

/// What went wrong between test host and card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HarnessError {
    /// The card did not do what was waited for.
    #[error("waited {cycles} cycles in vain for {what}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// Cycles that the card ran meanwhile.
        cycles: u64,
    },
    /// A ring stopped.
    #[error("the {ring} ring stopped: {}", status_name(*.status))]
    Stopped {
        /// Which ring.
        ring: &'static str,
        /// Its status code.
        status: u8,
    },
    /// A command or transmission ended with another status than `ok`.
    #[error("{what} ended with {}", status_name(*.status))]
    Refused {
        /// What was asked.
        what: String,
        /// The completion's status code.
        status: u8,
    },
    /// A completion is not the one that is due.
    #[error("{0}")]
    Protocol(String),
    /// No place was left in a table.
    #[error("no free place for {0}")]
    Full(&'static str),
    /// The test's own memory is too small.
    #[error(transparent)]
    Memory(#[from] DmaError),
}

fn status_name(code: u8) -> &'static str {
    Status::from_raw(code).map_or("an unknown status", Status::name)
}

/// Longest wait for anything, in cycles.
pub const PATIENCE: u64 = 4_000_000;
/// Entries of every ring of the test host.
pub const RING_ENTRIES: u16 = 64;

const RING_SIZE_LOG2: u32 = 6;
const MEMORY_BASE: u64 = 0x10_0000;
const BULK_BYTES: usize = 4 << 20;

/// A host with all rings running.
pub struct TestHost<'c> {
    /// The card.
    pub card: &'c mut dyn Card,
    /// Its host's memory.
    pub memory: GuestMemory,
    command: DescriptorRing,
    tx: DescriptorRing,
    rx: [RxQueue; 4],
    records: RecordReader,
    /// Where bulk commands and frames lie.
    bulk: u64,
    secrets: [[u32; SECRET_WORDS]; 4],
    /// Keys of VIPs, and the banks that they were written into.
    used_matches: Vec<(usize, VipMatch)>,
}

impl<'c> TestHost<'c> {
    /// Takes a card: waits until it is ready, sets secrets, starts all rings, and gives time by hand
    /// ([`TestHost::pass_time`]). The port stays as it is.
    ///
    /// # Errors
    /// When the card does not become ready.
    pub fn new(card: &'c mut dyn Card) -> Result<Self, HarnessError> {
        let mut next = MEMORY_BASE;
        let mut place = |bytes: u64| {
            let address = next;
            next += bytes.next_multiple_of(0x1000);
            address
        };
        let command = DescriptorRing::new(crate::registers::card::COMMAND, "command", &mut place);
        let tx = DescriptorRing::new(crate::registers::card::TX, "tx", &mut place);
        let rx = std::array::from_fn(|class| RxQueue::new(class, &mut place));
        let records = RecordReader {
            base: place(records::RECORD_BYTES),
            index: 0,
            size_log2: records::RECORDS_LOG2,
        };
        let bulk = place(BULK_BYTES as u64);
        let bytes = usize::try_from(next - MEMORY_BASE).unwrap_or(usize::MAX);
        let mut host = Self {
            card,
            memory: GuestMemory::new(MEMORY_BASE, bytes),
            command,
            tx,
            rx,
            records,
            bulk,
            secrets: [[0; SECRET_WORDS]; 4],
            used_matches: Vec::new(),
        };
        host.card.set_tick_source(TickSource::Given);
        host.attach()?;
        Ok(host)
    }

    /// Comes to the card as a host does at its start: everything that a host reset forgets is set up anew.
    ///
    /// # Errors
    /// When the card does not become ready.
    pub fn attach(&mut self) -> Result<(), HarnessError> {
        self.card.set_function(FunctionState {
            bus_master: true,
            msix_enable: true,
            msix_mask: false,
        });
        self.wait("the tables to be clear", |host| {
            Ok(host.read(at::STATUS) & 1 == 1)
        })?;
        for vector in 0..u32::from(crate::card::MSIX_VECTORS) {
            let message = [(MSI_BASE as u32) + 4 * vector, 0, 0x100 + vector, 0];
            for (word, value) in (0..).zip(message) {
                let offset = 16 * vector + 4 * word;
                self.card
                    .register_write(&mut self.memory, Bar::Msix, offset, value);
            }
        }
        for ring in [self.command.block(), self.tx.block()]
            .into_iter()
            .chain(0..4)
        {
            self.start_ring(ring)?;
        }
        Ok(())
    }

    /// Reads a register of BAR0.
    pub fn read(&mut self, offset: u32) -> u32 {
        self.card
            .register_read(&mut self.memory, Bar::Registers, offset)
    }

    /// Writes a register of BAR0.
    pub fn write(&mut self, offset: u32, value: u32) {
        self.card
            .register_write(&mut self.memory, Bar::Registers, offset, value);
    }

    /// Writes an IPv6 address into four registers, its most significant word first.
    pub fn write_wide(&mut self, first: u32, value: u128) {
        for (offset, shift) in (first..).step_by(4).zip([96, 64, 32, 0]) {
            self.write(offset, (value >> shift & 0xffff_ffff) as u32);
        }
    }

    /// Sets the banks' secrets. Keys that are already in the tables are lost.
    pub fn set_secrets(&mut self, secrets: [[u32; SECRET_WORDS]; 4]) {
        for (offset, word) in (at::SECRET..).step_by(4).zip(secrets.iter().flatten()) {
            self.write(offset, *word);
        }
        self.secrets = secrets;
        self.used_matches.clear();
    }

    /// Lets microseconds pass, and the card count them.
    ///
    /// # Errors
    /// When the card does not become idle.
    pub fn pass_time(&mut self, micros: u64) -> Result<(), HarnessError> {
        self.card.add_ticks(micros);
        self.settle()
    }

    /// Runs until the card is idle.
    ///
    /// # Errors
    /// When it does not become idle.
    pub fn settle(&mut self) -> Result<(), HarnessError> {
        self.wait("the card to be idle", |host| Ok(host.card.is_idle()))
    }

    /// Runs a number of cycles, or until the card is idle.
    pub fn run(&mut self, cycles: u64) {
        let mut left = cycles;
        while left > 0 {
            match self.card.run(&mut self.memory, left) {
                0 => break,
                ran => left = left.saturating_sub(ran),
            }
        }
    }

    /// Puts a frame on the wire.
    pub fn push(&mut self, bytes: Vec<u8>, error: bool) {
        self.card.wire_push(WireFrame { bytes, error });
    }

    /// Frames that have left the card, in order.
    pub fn take_sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.card.wire_pop())
            .map(|frame| frame.bytes)
            .collect()
    }

    /// Runs until a condition holds.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`], or when it cannot because the card is idle.
    pub fn wait(
        &mut self,
        what: &'static str,
        mut done: impl FnMut(&mut Self) -> Result<bool, HarnessError>,
    ) -> Result<(), HarnessError> {
        let start = self.card.cycles();
        let mut idle = 0;
        while !done(self)? {
            let ran = self.card.run(&mut self.memory, 256);
            idle = if ran == 0 { idle + 1 } else { 0 };
            let cycles = self.card.cycles() - start;
            if cycles > PATIENCE || idle > 16 {
                return Err(HarnessError::Timeout { what, cycles });
            }
        }
        Ok(())
    }

    /// Gives a command and waits for its completion, whatever its status.
    ///
    /// # Errors
    /// When the ring stops or no completion comes.
    pub fn command(&mut self, command: Command) -> Result<Completion, HarnessError> {
        let command = Command {
            phase: self.command.phase(),
            ..command
        };
        let ring = self.command.clone();
        self.submit(&ring, &command.to_bytes())?;
        self.command.advance();
        // the completion is looked for at the index that was submitted
        self.completion(&ring, command.tag)
    }

    /// Gives a command that must succeed; its result.
    ///
    /// # Errors
    /// [`HarnessError::Refused`] when it ends otherwise.
    pub fn order(&mut self, command: Command) -> Result<u32, HarnessError> {
        let completion = self.command(command)?;
        self.expect_ok(&command, &completion)
    }

    /// Gives many commands, a ring full at a time, all of which must succeed.
    ///
    /// # Errors
    /// [`HarnessError::Refused`] with the first that ends otherwise.
    pub fn orders(&mut self, commands: &[Command]) -> Result<(), HarnessError> {
        for chunk in commands.chunks(usize::from(RING_ENTRIES)) {
            for (completion, command) in self.submit_all(chunk)?.iter().zip(chunk) {
                self.expect_ok(command, completion)?;
            }
        }
        Ok(())
    }

    fn expect_ok(&self, command: &Command, completion: &Completion) -> Result<u32, HarnessError> {
        if completion.status == Status::Ok.raw() {
            return Ok(completion.result);
        }
        let what = guideway_hdl::descriptors::Opcode::from_raw(command.opcode);
        Err(HarnessError::Refused {
            what: what.map_or_else(|| "a command".into(), |op| op.name().into()),
            status: completion.status,
        })
    }

    /// The status code of a ring: 0 while it runs. Rings 0 to 3 are the receive queues.
    pub fn ring_status(&mut self, ring: u32) -> u8 {
        let offset = rings::block_offset(ring) + ring_at::STATUS;
        (self.read(offset) & 0xff) as u8
    }
}
