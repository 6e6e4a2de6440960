//! A card for unit tests: registers in a map, a command ring that answers as the test says, and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use guideway_hdl::descriptors::{Command, Completion};
use guideway_hdl::{LAYOUT_HASH, MAGIC, PCI_DEVICE, PCI_VENDOR};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::wait::VECTOR_COMMAND;
use crate::device::{Bar, Device, DeviceError, DmaMem, RegionIo};

/// Registers of `regs/guideway.rdl`.
pub const MAGIC_REGISTER: u64 = 0x000;
pub const LAYOUT_REGISTER: u64 = 0x004;
pub const STATUS_REGISTER: u64 = 0x024;
pub const COMMAND_BASE: u64 = 0x4140;
pub const COMMAND_CONFIG: u64 = 0x4150;
pub const COMMAND_PRODUCER: u64 = 0x4154;
pub const COMMAND_STATUS: u64 = 0x415c;
pub const COMMAND_ARM: u64 = 0x4160;

/// What becomes of a command: its completion, or silence.
pub type Answer = Box<dyn Fn(&Command, Completion) -> Option<Completion> + Send>;

struct State {
    registers: HashMap<u64, u32>,
    writes: Vec<(u64, u32)>,
    memory: BTreeMap<u64, OwnedFd>,
    eventfds: Vec<OwnedFd>,
    answer: Answer,
    done: u16,
    armed: Option<u16>,
}

/// The card.
pub struct FakeCard {
    state: Arc<Mutex<State>>,
    pci_id: (u16, u16),
    asked_back: OwnedFd,
}

struct FakeRegisters(Arc<Mutex<State>>);

impl FakeCard {
    /// A ready card of the right kind whose commands all end as `answer` says; it is given the completion of success.
    pub fn new(
        answer: impl Fn(&Command, Completion) -> Option<Completion> + Send + 'static,
    ) -> Self {
        let sizes = [
            (0x00c, 64 << 16 | 256),
            (0x010, 16 << 16 | 1024),
            (0x014, 1 << 20),
            (0x018, 1 << 16),
            (0x01c, 4096),
        ];
        let identity = [
            (MAGIC_REGISTER, MAGIC),
            (LAYOUT_REGISTER, LAYOUT_HASH),
            (STATUS_REGISTER, 1),
        ];
        let state = State {
            registers: identity.into_iter().chain(sizes).collect(),
            writes: Vec::new(),
            memory: BTreeMap::new(),
            eventfds: Vec::new(),
            answer: Box::new(answer),
            done: 0,
            armed: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            pci_id: (PCI_VENDOR, PCI_DEVICE),
            asked_back: eventfd(0, EventfdFlags::NONBLOCK).unwrap(),
        }
    }

    pub fn with_register(self, offset: u64, value: u32) -> Self {
        self.state.lock().unwrap().registers.insert(offset, value);
        self
    }

    pub fn with_pci_id(self, vendor: u16, device: u16) -> Self {
        Self {
            pci_id: (vendor, device),
            ..self
        }
    }

    /// Asks for the function back, as the kernel does.
    pub fn ask_back(&self) {
        rustix::io::write(&self.asked_back, &1u64.to_ne_bytes()).unwrap();
    }

    /// Every register write so far, in order.
    pub fn writes(&self) -> Vec<(u64, u32)> {
        self.state.lock().unwrap().writes.clone()
    }
}

impl State {
    fn address(&self, register: u64) -> u64 {
        let half = |offset| {
            u64::from(
                self.registers
                    .get(&(register + offset))
                    .copied()
                    .unwrap_or(0),
            )
        };
        half(0) | half(4) << 32
    }

    fn locate(&self, address: u64) -> (&OwnedFd, u64) {
        let (start, file) = self
            .memory
            .range(..=address)
            .next_back()
            .expect("a mapped address");
        (file, address - start)
    }

    fn run_commands(&mut self, producer: u16) {
        let size_log2 = self.registers[&COMMAND_CONFIG] & 0xf;
        while self.done != producer {
            let slot = u64::from(self.done & ((1 << size_log2) - 1)) * 64;
            let phase = self.done >> size_log2 & 1 == 0;
            let mut bytes = [0; 64];
            let (file, at) = self.locate(self.address(COMMAND_BASE) + slot);
            rustix::io::pread(file, &mut bytes, at).unwrap();
            let command = Command::from_bytes(&bytes);
            assert_eq!(command.phase, phase, "descriptor {}", self.done);
            let good = Completion {
                phase,
                index: self.done,
                tag: command.tag,
                result: command.count,
                ..Completion::default()
            };
            let Some(completion) = (self.answer)(&command, good) else {
                return;
            };
            let (file, at) = self.locate(self.address(COMMAND_BASE + 8) + slot);
            rustix::io::pwrite(file, &completion.to_bytes(), at).unwrap();
            self.done = self.done.wrapping_add(1);
        }
        self.fire();
    }

    fn fire(&mut self) {
        if self.armed.is_some_and(|index| index != self.done) {
            self.armed = None;
            rustix::io::write(&self.eventfds[VECTOR_COMMAND], &1u64.to_ne_bytes()).unwrap();
        }
    }
}

impl RegionIo for FakeRegisters {
    fn region_read(&self, _: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let value = self
            .0
            .lock()
            .unwrap()
            .registers
            .get(&offset)
            .copied()
            .unwrap_or(0);
        data.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn region_write_posted(&self, _: u32, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let value = u32::from_le_bytes(data.try_into().unwrap());
        let mut state = self.0.lock().unwrap();
        state.registers.insert(offset, value);
        state.writes.push((offset, value));
        match offset {
            COMMAND_PRODUCER => state.run_commands(value as u16),
            COMMAND_ARM => {
                state.armed = Some(value as u16);
                state.fire();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Device for FakeCard {
    fn name(&self) -> &str {
        "the fake card"
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        let mut space = [0; 256];
        space[..2].copy_from_slice(&self.pci_id.0.to_le_bytes());
        space[2..4].copy_from_slice(&self.pci_id.1.to_le_bytes());
        data.copy_from_slice(&space[offset.into()..usize::from(offset) + data.len()]);
        Ok(())
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        assert_eq!(
            (offset, data),
            (4, &[6, 0][..]),
            "memory space and bus mastering"
        );
        Ok(())
    }

    fn bar(&self, _: u8) -> Result<Bar, DeviceError> {
        Ok(Bar::Trapped {
            io: Arc::new(FakeRegisters(Arc::clone(&self.state))),
            region: 0,
            len: 0x1_0000,
        })
    }

    fn dma_map(&self, memory: &DmaMem) -> Result<u64, DeviceError> {
        let mut state = self.state.lock().unwrap();
        let address = 1 << 32 | (state.memory.len() as u64) << 28;
        state.memory.insert(
            address,
            rustix::io::fcntl_dupfd_cloexec(memory.file(), 3).unwrap(),
        );
        Ok(address)
    }

    fn dma_unmap(&self, _: u64, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn enable_msix(&self, vectors: u16) -> Result<Vec<OwnedFd>, DeviceError> {
        let ours: Vec<OwnedFd> = (0..vectors)
            .map(|_| eventfd(0, EventfdFlags::NONBLOCK).unwrap())
            .collect();
        let theirs = ours.iter().map(|fd| fd.try_clone().unwrap()).collect();
        self.state.lock().unwrap().eventfds = ours;
        Ok(theirs)
    }

    fn reset(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn gone(&self, _: &str) -> Option<DeviceError> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let asked = poll(&mut [self.death()?], Some(&now)).unwrap() > 0;
        asked.then(|| DeviceError::AskedBack {
            device: self.name().to_owned(),
        })
    }

    fn death(&self) -> Option<PollFd<'_>> {
        Some(PollFd::new(&self.asked_back, PollFlags::IN))
    }
}
