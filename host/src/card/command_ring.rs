//! The command ring: what the control plane asks of the tables, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway_hdl::descriptors::{Command, Completion, Opcode, RING_ENTRY_BYTES, Status};

use super::CardError;
use super::stop::stop;
use super::wait::{VECTOR_COMMAND, Vectors, Waiting, sleep};
use crate::device::{Bar, Device, DmaMem, DmaRegion, halves, registers};

/// log2 of the ring's entries.
const SIZE_LOG2: u8 = 8;
const SIZE: u16 = 1 << SIZE_LOG2;
/// Entries of the staging memory: a ring of 65537 slots (2,049 beats) goes in one command, the flow table in eight.
const STAGING_ENTRIES: usize = 8192;
const COMPLETIONS: usize = SIZE as usize * RING_ENTRY_BYTES;
const STAGING: usize = 2 * COMPLETIONS;
/// How often a sleeper looks whether the ring has been stopped.
const LOOK: Duration = Duration::from_millis(200);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its status.
    pub status: Status,
    /// Entries done; DIGEST: the CRC.
    pub result: u32,
}

impl Outcome {
    /// The result of a command that must succeed.
    ///
    /// # Errors
    /// [`CardError::Command`] when it did not.
    pub fn ok(&self, command: &Command) -> Result<u32, CardError> {
        match self.status {
            Status::Ok => Ok(self.result),
            status => {
                let opcode = Opcode::from_raw(command.opcode).unwrap_or(Opcode::Nop);
                Err(CardError::Command {
                    opcode,
                    status,
                    result: self.result,
                })
            }
        }
    }
}

/// The ring. One owner at a time; [`super::Card`] shares it.
pub struct CommandRing {
    region: DmaRegion,
    device: Arc<dyn Device>,
    bar: Bar,
    vectors: Vectors,
    waiting: Waiting,
    patience: Duration,
    /// Index of the next descriptor.
    producer: u16,
    /// Index of the next completion.
    completed: u16,
    /// The interrupt is armed.
    armed: bool,
    /// Why the ring cannot be used any more.
    broken: Option<CardError>,
}

/// The phase bit of an index's pass.
pub(super) fn phase(index: u16, size_log2: u8) -> bool {
    u32::from(index) >> size_log2 & 1 == 0
}

impl CommandRing {
    /// Allocates the ring and enables it.
    ///
    /// # Errors
    /// When memory or card refuse.
    pub(super) fn start(
        device: &Arc<dyn Device>,
        bar: &Bar,
        vectors: &Vectors,
        waiting: Waiting,
        patience: Duration,
    ) -> Result<Self, CardError> {
        let region = DmaRegion::new(
            device,
            "guideway-command",
            STAGING + STAGING_ENTRIES * RING_ENTRY_BYTES,
        )?;
        let ring = registers(bar).card().command();
        let (low, high) = halves(region.iova());
        ring.base_low().try_write(|r| r.set_value(low))?;
        ring.base_high().try_write(|r| r.set_value(high))?;
        let (low, high) = halves(region.iova() + COMPLETIONS as u64);
        ring.completion_low().try_write(|r| r.set_value(low))?;
        ring.completion_high().try_write(|r| r.set_value(high))?;
        ring.config().try_write(|r| {
            r.set_size_log2(SIZE_LOG2);
            r.set_enable(true);
        })?;
        let mut ring = Self {
            region,
            device: Arc::clone(device),
            bar: bar.clone(),
            vectors: vectors.clone(),
            waiting,
            patience,
            producer: 0,
            completed: 0,
            armed: false,
            broken: None,
        };
        if waiting == Waiting::Lockstep {
            ring.arm()?;
        }
        Ok(ring)
    }

    /// Memory that the card reads and writes for whole entries.
    pub(super) fn staging(&self) -> Staging<'_> {
        Staging(self.region.memory())
    }

    /// Where the card sees it.
    pub(super) fn staging_iova(&self) -> u64 {
        self.region.iova() + STAGING as u64
    }

    /// Entries that fit in it.
    pub(super) fn staging_entries(&self) -> usize {
        STAGING_ENTRIES
    }

    /// Runs commands in order and returns how each ended.
    ///
    /// # Errors
    /// When the card cannot be reached, makes no progress or has stopped the ring: from then on always.
    pub fn run(&mut self, commands: &[Command]) -> Result<Vec<Outcome>, CardError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let batch = if self.waiting == Waiting::Lockstep {
            1
        } else {
            SIZE
        };
        let mut outcomes = Vec::with_capacity(commands.len());
        let mut waiting = commands.iter();
        while outcomes.len() < commands.len() {
            let round = self
                .submit(&mut waiting, batch)
                .and_then(|()| self.collect(&mut outcomes));
            if let Err(error) = round {
                self.broken = Some(error.clone());
                return Err(error);
            }
        }
        Ok(outcomes)
    }

    /// Posts commands while there is room, then rings once.
    fn submit<'a>(
        &mut self,
        commands: &mut impl Iterator<Item = &'a Command>,
        batch: u16,
    ) -> Result<(), CardError> {
        let before = self.producer;
        while self.producer.wrapping_sub(self.completed) < batch {
            let Some(command) = commands.next() else {
                break;
            };
            let entry = Command {
                phase: phase(self.producer, SIZE_LOG2),
                tag: self.producer.into(),
                ..*command
            };
            self.region.memory().write_entry(
                usize::from(self.producer % SIZE) * RING_ENTRY_BYTES,
                &entry.to_words(),
            );
            self.producer = self.producer.wrapping_add(1);
        }
        if self.producer != before {
            registers(&self.bar)
                .card()
                .command()
                .producer()
                .try_write(|r| r.set_index(self.producer))?;
        }
        Ok(())
    }

    /// Waits for at least one completion and takes all that are there.
    fn collect(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), CardError> {
        self.await_completion()?;
        while let Some(outcome) = self.take_completion()? {
            outcomes.push(outcome);
        }
        // In lockstep the ring stays armed between commands: that tells the simulator that the host has seen the last one.
        if self.waiting == Waiting::Lockstep {
            self.arm()
        } else {
            Ok(())
        }
    }

    fn is_complete(&self) -> bool {
        let at = COMPLETIONS + usize::from(self.completed % SIZE) * RING_ENTRY_BYTES;
        self.completed != self.producer
            && (self.region.memory().read_acquire(at) & 1 == 1) == phase(self.completed, SIZE_LOG2)
    }

    fn take_completion(&mut self) -> Result<Option<Outcome>, CardError> {
        if !self.is_complete() {
            return Ok(None);
        }
        let at = COMPLETIONS + usize::from(self.completed % SIZE) * RING_ENTRY_BYTES;
        let completion = Completion::from_words(&self.region.memory().read_words(at));
        let outcome = check(&completion, self.completed)?;
        self.completed = self.completed.wrapping_add(1);
        Ok(Some(outcome))
    }

    fn await_completion(&mut self) -> Result<(), CardError> {
        let begun = Instant::now();
        if let Waiting::Spin(spin) = self.waiting {
            while begun.elapsed() < spin {
                if self.is_complete() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
        }
        loop {
            self.arm()?;
            let woken = self.sleep(begun)?;
            if self.is_complete() {
                return Ok(());
            }
            if !woken {
                let ring = registers(&self.bar).card().command();
                let code = ring.status().try_read()?.code();
                if code != 0 {
                    return Err(CardError::RingStopped {
                        ring: "command",
                        code,
                    });
                }
                if !ring.config().try_read()?.enable() {
                    return Err(CardError::WasReset);
                }
            }
            if begun.elapsed() >= self.patience {
                return Err(CardError::Stuck {
                    doing: "a command".to_owned(),
                    after: self.patience,
                });
            }
        }
    }

    /// Arms the interrupt for the next completion, unless it is armed.
    fn arm(&mut self) -> Result<(), CardError> {
        if !self.armed {
            registers(&self.bar)
                .card()
                .command()
                .arm()
                .try_write(|r| r.set_index(self.completed))?;
            self.armed = true;
        }
        Ok(())
    }

    /// Sleeps until the vector fires; true when it did. In lockstep nothing else may touch the card meanwhile; otherwise the caller
    /// looks now and then whether the ring still runs.
    fn sleep(&mut self, begun: Instant) -> Result<bool, CardError> {
        let end = begun + self.patience;
        let until = if self.waiting == Waiting::Lockstep {
            end
        } else {
            end.min(Instant::now() + LOOK)
        };
        let woken = sleep(
            &*self.device,
            &[self.vectors.fd(VECTOR_COMMAND)],
            until,
            "a command",
        )?;
        if woken {
            self.vectors.take(VECTOR_COMMAND);
            self.armed = false;
        }
        Ok(woken)
    }
}

fn check(completion: &Completion, index: u16) -> Result<Outcome, CardError> {
    let corrupt = |reason: String| CardError::Corrupt {
        ring: "command",
        reason,
    };
    if completion.index != index || completion.tag != u32::from(index) {
        return Err(corrupt(format!(
            "index {} and tag {} where {index} is due",
            completion.index, completion.tag
        )));
    }
    let status = Status::from_raw(completion.status)
        .ok_or_else(|| corrupt(format!("status {}", completion.status)))?;
    Ok(Outcome {
        status,
        result: completion.result,
    })
}

impl Drop for CommandRing {
    fn drop(&mut self) {
        let config = registers(&self.bar).card().command().config();
        let clear = || config.try_write(|_| ());
        stop(&*self.device, "command", clear, || config.try_read());
    }
}

/// The staging memory.
pub(super) struct Staging<'a>(&'a DmaMem);

impl Staging<'_> {
    pub(super) fn write_entry(&self, offset: usize, words: &[u32; 16]) {
        self.0.write_entry(STAGING + offset, words);
    }

    pub(super) fn read_words<const N: usize>(&self, offset: usize) -> [u32; N] {
        self.0.read_words(STAGING + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_is_one_on_the_first_pass_and_alternates_through_the_wrap() {
        assert!(phase(0, 8) && phase(255, 8));
        assert!(!phase(256, 8) && !phase(511, 8));
        assert!(phase(512, 8));
        for log2 in 1..=12 {
            assert!(
                !phase(u16::MAX, log2) && phase(0, log2),
                "free-running indices wrap between passes of opposite phase"
            );
        }
    }

    #[test]
    fn a_completion_that_cannot_be_is_named() {
        let good = Completion {
            phase: true,
            status: 9,
            index: 300,
            tag: 300,
            result: 7,
            ..Completion::default()
        };
        assert_eq!(
            check(&good, 300).unwrap(),
            Outcome {
                status: Status::NotFound,
                result: 7
            }
        );
        for bad in [
            Completion { index: 301, ..good },
            Completion { tag: 1, ..good },
            Completion { status: 31, ..good },
        ] {
            assert!(matches!(
                check(&bad, 300),
                Err(CardError::Corrupt {
                    ring: "command",
                    ..
                })
            ));
        }
    }

    #[test]
    fn a_status_becomes_an_error_only_where_success_is_due() {
        let command = Command {
            opcode: Opcode::Insert.raw(),
            ..Command::default()
        };
        let occupied = Outcome {
            status: Status::Occupied,
            result: 0,
        };
        assert_eq!(
            occupied.ok(&command).unwrap_err().status(),
            Some(Status::Occupied)
        );
        assert!(
            occupied
                .ok(&command)
                .unwrap_err()
                .to_string()
                .contains("insert with occupied")
        );
        assert_eq!(
            Outcome {
                status: Status::Ok,
                result: 4
            }
            .ok(&command)
            .unwrap(),
            4
        );
    }
}
