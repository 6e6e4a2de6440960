//! The card as the simulator sees it: one trait over the RTL and over the reference model.
//!
//! Owns the boundary: registers, the function's PCI state, host memory, the wire, time. Everything above it (vfio-user
//! server, wires, control) is the same for both models, so the host cannot tell them apart.

/// The card's PCI memory regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// BAR0: the register map, 64 KiB.
    Registers,
    /// BAR2: debug windows, 64 KiB.
    Debug,
    /// BAR4: MSI-X table at 0, pending bits at 0x800; 4 KiB.
    Msix,
}

/// MSI-X vectors of the function.
pub const MSIX_VECTORS: u16 = 8;

/// What the function's configuration space allows the card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionState {
    /// Command register, bus master enable: no DMA without it.
    pub bus_master: bool,
    /// MSI-X control, enable.
    pub msix_enable: bool,
    /// MSI-X control, function mask.
    pub msix_mask: bool,
}

/// A DMA access that host memory refused: nothing is mapped there, or it vanished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory is mapped at {address:#x} for {bytes} bytes")]
pub struct DmaError {
    /// First address of the access.
    pub address: u64,
    /// Bytes of the access.
    pub bytes: usize,
}

/// Host memory as the card reaches it. MSI-X messages are writes to it too.
pub trait HostMemory {
    /// Reads `data.len()` bytes at `address`.
    ///
    /// # Errors
    /// When any byte is not mapped; `data` is then unspecified.
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), DmaError>;
    /// Writes `data` at `address`.
    ///
    /// # Errors
    /// When any byte is not mapped.
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), DmaError>;
}

/// A frame on the wire's receive side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireFrame {
    /// Its bytes without FCS; not empty.
    pub bytes: Vec<u8>,
    /// The MAC's error flag: a bad FCS.
    pub error: bool,
}

/// A frame that left on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentFrame {
    /// Its bytes without FCS.
    pub bytes: Vec<u8>,
    /// The cycle of its first beat.
    pub first_cycle: u64,
    /// The cycle of its last beat.
    pub last_cycle: u64,
}

/// Where the card's 1 us tick comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickSource {
    /// From the clock: one in 322.265625 cycles.
    Clock,
    /// From [`Card::add_ticks`].
    Given,
}

/// Which model of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The Verilated RTL.
    Rtl,
    /// The reference model.
    Reference,
}

/// A card: RTL or reference.
pub trait Card: Send {
    /// Which model it is.
    fn model(&self) -> Model;

    /// Clock cycles since power on. The reference model counts one a beat and is not exact.
    fn cycles(&self) -> u64;

    /// Reads a register: `offset` is a multiple of 4 within the BAR; what is not there reads as 0.
    fn register_read(&mut self, memory: &mut dyn HostMemory, bar: Bar, offset: u32) -> u32;

    /// Writes a register; what is not there ignores it.
    fn register_write(&mut self, memory: &mut dyn HostMemory, bar: Bar, offset: u32, value: u32);

    /// What configuration space allows from now on.
    fn set_function(&mut self, state: FunctionState);

    /// Host reset (`CARD.md` 8): FLR, client gone. Outstanding DMA drains first.
    fn host_reset(&mut self, memory: &mut dyn HostMemory);

    /// Puts a frame on the wire behind those that wait. The wire sends back to back, a beat a cycle.
    fn wire_push(&mut self, frame: WireFrame);

    /// Frames of [`Card::wire_push`] whose last beat has not entered the card.
    fn wire_waiting(&self) -> usize;

    /// Takes the next frame that has left the card.
    fn wire_pop(&mut self) -> Option<SentFrame>;

    /// Selects the tick's source; [`TickSource::Clock`] at start.
    fn set_tick_source(&mut self, source: TickSource);

    /// With [`TickSource::Given`]: this many microseconds have passed.
    fn add_ticks(&mut self, micros: u64);

    /// Runs at most `cycles` cycles and returns how many: fewer when the card has become idle.
    fn run(&mut self, memory: &mut dyn HostMemory, cycles: u64) -> u64;

    /// No frame waits or is in flight, no DMA is outstanding, no ring has work, no table is being cleared, no tick is owed.
    fn is_idle(&self) -> bool;

    /// Punts handed to the host that it has not ended.
    fn punts_outstanding(&self) -> u32;

    /// The port takes frames (`control.port_enable`, tables ready).
    fn port_enabled(&self) -> bool;
}
