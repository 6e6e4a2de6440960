//! A device that fails at a chosen write, as if its host had been killed there.
//!
//! Counted are writes that change what the card does: the packet path's registers and the command ring's doorbell; not the heartbeat,
//! which another thread writes. Once the fuse has blown nothing reaches the card any more.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use guideway::device::{Bar, Device, DeviceError, DmaMem, RegionIo};
use rustix::event::PollFd;

/// The packet path's registers end here (`regs/guideway.rdl`).
const CORE_END: u64 = 0x200;
const HEARTBEAT: u64 = 0x28;
/// The command ring's doorbell.
const COMMAND_PRODUCER: u64 = 0x4154;

/// When the device fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blows {
    /// Instead of the write.
    Before,
    /// After the write has gone to the card.
    After,
}

#[derive(Default)]
struct State {
    /// Counted writes that still succeed, and how the next one fails; `None`: all succeed.
    set: Option<(u32, Blows)>,
    blown: bool,
}

/// What is done before each counted write.
type Hook = Box<dyn FnMut() + Send>;

/// Decides which write fails.
#[derive(Clone, Default)]
pub struct Fuse(Arc<Mutex<State>>, Arc<Mutex<Option<Hook>>>);

impl Fuse {
    /// Does `hook` before each counted write from now on; `None`: nothing.
    pub fn before_each(&self, hook: Option<Hook>) {
        *self.1.lock().unwrap() = hook;
    }

    /// After `writes` more counted writes the next one fails.
    pub fn set(&self, writes: u32, blows: Blows) {
        self.0.lock().unwrap().set = Some((writes, blows));
    }

    /// No write fails any more; true when one has failed.
    pub fn take(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.set = None;
        state.blown
    }

    fn check(&self) -> Result<(), DeviceError> {
        if self.0.lock().unwrap().blown {
            Err(closed())
        } else {
            Ok(())
        }
    }

    /// Does a write; the lock is held meanwhile, so that none of another thread comes after the last one.
    fn write(
        &self,
        counted: bool,
        write: impl FnOnce() -> Result<(), DeviceError>,
    ) -> Result<(), DeviceError> {
        if counted && let Some(hook) = &mut *self.1.lock().unwrap() {
            hook();
        }
        let mut state = self.0.lock().unwrap();
        if state.blown {
            return Err(closed());
        }
        match &mut state.set {
            Some((0, blows)) if counted => {
                let reaches = *blows == Blows::After;
                state.blown = true;
                if reaches {
                    write()?;
                }
                Err(closed())
            }
            Some((left, _)) if counted => {
                *left -= 1;
                write()
            }
            _ => write(),
        }
    }
}

fn closed() -> DeviceError {
    DeviceError::Closed {
        device: "the card".into(),
        doing: "its host was killed by the test".into(),
    }
}

/// The device.
pub struct Fused {
    inner: Arc<dyn Device>,
    fuse: Fuse,
}

impl Fused {
    pub fn around(inner: Arc<dyn Device>, fuse: &Fuse) -> Arc<dyn Device> {
        Arc::new(Self {
            inner,
            fuse: fuse.clone(),
        })
    }
}

impl Device for Fused {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.fuse.check()?;
        self.inner.config_read(offset, data)
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.fuse.check()?;
        self.inner.config_write(offset, data)
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        self.fuse.check()?;
        let bar = self.inner.bar(index)?;
        let len = bar.len();
        let io = Arc::new(FusedBar {
            bar,
            fuse: self.fuse.clone(),
        });
        Ok(Bar::Trapped {
            io,
            region: index.into(),
            len,
        })
    }

    fn allocate(&self, name: &str, bytes: usize) -> Result<DmaMem, DeviceError> {
        self.inner.allocate(name, bytes)
    }

    fn dma_map(&self, memory: &DmaMem) -> Result<u64, DeviceError> {
        self.fuse.check()?;
        self.inner.dma_map(memory)
    }

    fn dma_unmap(&self, iova: u64, bytes: usize) -> Result<(), DeviceError> {
        self.fuse.check()?;
        self.inner.dma_unmap(iova, bytes)
    }

    fn enable_msix(&self, vectors: u16) -> Result<Vec<OwnedFd>, DeviceError> {
        self.fuse.check()?;
        self.inner.enable_msix(vectors)
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.fuse.check()?;
        self.inner.reset()
    }

    fn gone(&self, doing: &str) -> Option<DeviceError> {
        self.fuse.check().err().or_else(|| self.inner.gone(doing))
    }

    fn death(&self) -> Option<PollFd<'_>> {
        self.inner.death()
    }
}

struct FusedBar {
    bar: Bar,
    fuse: Fuse,
}

impl RegionIo for FusedBar {
    fn region_read(&self, _: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.fuse.check()?;
        data.copy_from_slice(&self.bar.read32(offset)?.to_le_bytes());
        Ok(())
    }

    fn region_write_posted(&self, _: u32, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let value = u32::from_le_bytes(data.try_into().unwrap());
        let counted = offset == COMMAND_PRODUCER || offset < CORE_END && offset != HEARTBEAT;
        self.fuse.write(counted, || self.bar.write32(offset, value))
    }
}
