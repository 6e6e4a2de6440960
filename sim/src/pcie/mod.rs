//! The PCI function in front of a card: configuration space, BARs, interrupts, DMA, resets.
//!
//! Owns what a bus and a kernel do for a real card, for whichever model stands behind [`Card`]. How a client speaks to it is
//! the vfio-user server's.

pub mod config_space;
pub mod dma;
#[allow(unsafe_code)] // a client's memory is mapped here
pub mod mapping;
pub mod msix;

use rustix::io::Errno;

use crate::card::{Bar, Card, DmaError, FunctionState, HostMemory};
use config_space::{BAR_BYTES, CONFIG_BYTES, ConfigSpace, MSIX_PBA, ResetCause};
use dma::{DmaMap, MSI_WINDOW, RemoteMemory};
use msix::{Msix, TABLE_BYTES};

/// Most bytes in one access to a BAR.
const ACCESS_MAX: usize = 4096;

/// A region of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// A BAR.
    Bar(Bar),
    /// Configuration space.
    Config,
}

impl Region {
    /// The region with VFIO's index.
    #[must_use]
    pub fn from_index(index: u32) -> Option<Self> {
        match index {
            0 => Some(Self::Bar(Bar::Registers)),
            2 => Some(Self::Bar(Bar::Debug)),
            4 => Some(Self::Bar(Bar::Msix)),
            7 => Some(Self::Config),
            _ => None,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bar(Bar::Registers) => BAR_BYTES[0],
            Self::Bar(Bar::Debug) => BAR_BYTES[1],
            Self::Bar(Bar::Msix) => BAR_BYTES[2],
            Self::Config => CONFIG_BYTES as u64,
        }
    }
}

/// Host resets since power on, by who asked for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostResets {
    /// [`ResetCause::FunctionLevel`].
    pub function_level: u64,
    /// [`ResetCause::PowerState`].
    pub power_state: u64,
    /// [`ResetCause::Command`].
    pub command: u64,
    /// [`ResetCause::Client`].
    pub client: u64,
}

impl HostResets {
    fn count(&mut self, cause: ResetCause) {
        *match cause {
            ResetCause::FunctionLevel => &mut self.function_level,
            ResetCause::PowerState => &mut self.power_state,
            ResetCause::Command => &mut self.command,
            ResetCause::Client => &mut self.client,
        } += 1;
    }
}

/// The function.
#[derive(Debug)]
pub struct Function {
    config: ConfigSpace,
    /// Its interrupts.
    pub msix: Msix,
    /// The memory it may reach.
    pub dma: DmaMap,
    dma_errors: u64,
    host_resets: HostResets,
}

impl Function {
    /// As after power on; at most `dma_maps` mappings are taken.
    #[must_use]
    pub fn new(dma_maps: usize) -> Self {
        Self {
            config: ConfigSpace::new(),
            msix: Msix::default(),
            dma: DmaMap::new(dma_maps),
            dma_errors: 0,
            host_resets: HostResets::default(),
        }
    }

    /// DMA accesses that were refused since power on.
    #[must_use]
    pub fn dma_errors(&self) -> u64 {
        self.dma_errors
    }

    /// Host resets that the card was given since power on.
    #[must_use]
    pub fn host_resets(&self) -> HostResets {
        self.host_resets
    }

    /// Host memory as the card sees it now.
    pub fn memory<'a>(&'a mut self, remote: &'a mut dyn RemoteMemory) -> BusMaster<'a> {
        BusMaster {
            dma: &self.dma,
            msix: &mut self.msix,
            errors: &mut self.dma_errors,
            remote,
        }
    }

    /// Tells the card what configuration space and SET_IRQS allow it.
    pub fn sync(&mut self, card: &mut dyn Card, remote: &mut dyn RemoteMemory) {
        for (offset, value) in self.msix.table_writes() {
            card.register_write(&mut self.memory(remote), Bar::Msix, offset, value);
        }
        card.set_function(FunctionState {
            bus_master: self.config.bus_master(),
            msix_enable: self.msix.is_enabled(),
            msix_mask: false,
        });
    }

    /// Host reset. As after the kernel's reset of a function, configuration and wired interrupts are restored.
    pub fn reset(&mut self, card: &mut dyn Card, remote: &mut dyn RemoteMemory, cause: ResetCause) {
        tracing::debug!(?cause, "host reset");
        self.host_resets.count(cause);
        card.host_reset(&mut self.memory(remote));
        self.msix.card_was_reset();
        self.sync(card, remote);
    }

    /// The client is gone: bus mastering ends, nothing is mapped or wired, the card gets a host reset.
    pub fn close(&mut self, card: &mut dyn Card, remote: &mut dyn RemoteMemory) {
        self.host_resets.count(ResetCause::Client);
        card.host_reset(&mut self.memory(remote));
        self.dma.clear();
        self.config = ConfigSpace::new();
        self.msix.forget();
        self.sync(card, remote);
    }

    /// Reads a region. Registers are 32 bits wide: a read of less takes its part, one of more is several.
    ///
    /// # Errors
    /// EINVAL: beyond the region's end, across a register's, or too long.
    pub fn read(
        &mut self,
        card: &mut dyn Card,
        remote: &mut dyn RemoteMemory,
        region: Region,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), Errno> {
        let at = check(region, offset, data.len())?;
        let bar = match region {
            Region::Config => {
                self.config.read(at as usize, data);
                return Ok(());
            }
            Region::Bar(bar) => bar,
        };
        if self.config.sleeps() {
            data.fill(0xff); // nobody answers on the bus
            return Ok(());
        }
        if data.len() < 4 {
            let word = self.register(card, remote, bar, at & !3).to_le_bytes();
            let first = (at % 4) as usize;
            data.copy_from_slice(&word[first..first + data.len()]);
            return Ok(());
        }
        for (offset, word) in (at..).step_by(4).zip(data.chunks_exact_mut(4)) {
            word.copy_from_slice(&self.register(card, remote, bar, offset).to_le_bytes());
        }
        Ok(())
    }

    /// Writes a region.
    ///
    /// # Errors
    /// As [`Function::read`]; also EINVAL for less than a register of BAR0 or BAR2.
    pub fn write(
        &mut self,
        card: &mut dyn Card,
        remote: &mut dyn RemoteMemory,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        let at = check(region, offset, data.len())?;
        match region {
            Region::Config => {
                let effect = self.config.write(at as usize, data);
                match effect.reset {
                    Some(cause) => self.reset(card, remote, cause),
                    None => self.sync(card, remote),
                }
            }
            Region::Bar(_) if self.config.sleeps() => {}
            Region::Bar(Bar::Msix) => {
                let table = self.msix.shadow();
                for (place, &byte) in table.iter_mut().skip(at as usize).zip(data) {
                    *place = byte;
                }
            }
            Region::Bar(_) if data.len() < 4 => return Err(Errno::INVAL),
            Region::Bar(bar) => {
                for (offset, word) in (at..).step_by(4).zip(data.chunks_exact(4)) {
                    let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                    card.register_write(&mut self.memory(remote), bar, offset, value);
                }
            }
        }
        Ok(())
    }

    fn register(
        &mut self,
        card: &mut dyn Card,
        remote: &mut dyn RemoteMemory,
        bar: Bar,
        offset: u32,
    ) -> u32 {
        let at = offset as usize;
        if bar == Bar::Msix && at < TABLE_BYTES {
            let table = self.msix.shadow();
            return u32::from_le_bytes([table[at], table[at + 1], table[at + 2], table[at + 3]]);
        }
        let pending = if bar == Bar::Msix && offset == MSIX_PBA {
            self.msix.pending_bits()
        } else {
            0
        };
        card.register_read(&mut self.memory(remote), bar, offset) | pending
    }
}

/// The offset as the card counts, when the access lies in the region and does not cross a register's end.
fn check(region: Region, offset: u64, len: usize) -> Result<u32, Errno> {
    let end = offset.checked_add(len as u64).ok_or(Errno::INVAL)?;
    if end > region.bytes() || len == 0 || len > ACCESS_MAX {
        return Err(Errno::INVAL);
    }
    let at = u32::try_from(offset).map_err(|_| Errno::INVAL)?;
    let within = at as usize % 4 + len <= 4;
    let whole = at.is_multiple_of(4) && len.is_multiple_of(4);
    if region == Region::Config || within || whole {
        Ok(at)
    } else {
        Err(Errno::INVAL)
    }
}

/// Host memory behind the function: mapped memory, and the window where messages are interrupts.
pub struct BusMaster<'a> {
    dma: &'a DmaMap,
    msix: &'a mut Msix,
    errors: &'a mut u64,
    remote: &'a mut dyn RemoteMemory,
}

impl BusMaster<'_> {
    fn refuse(&mut self, address: u64, bytes: usize, errno: Errno) -> DmaError {
        *self.errors += 1;
        tracing::debug!(address = format_args!("{address:#x}"), bytes, %errno, "DMA refused");
        DmaError { address, bytes }
    }
}

impl HostMemory for BusMaster<'_> {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        let bytes = data.len();
        self.dma
            .read(self.remote, address, data)
            .map_err(|errno| self.refuse(address, bytes, errno))
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        if MSI_WINDOW.contains(&address) {
            let taken = self.msix.message(address, data);
            return if taken {
                Ok(())
            } else {
                Err(self.refuse(address, data.len(), Errno::FAULT))
            };
        }
        self.dma
            .write(self.remote, address, data)
            .map_err(|errno| self.refuse(address, data.len(), errno))
    }
}
