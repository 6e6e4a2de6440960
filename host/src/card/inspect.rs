//! Looking at a card without taking it over.
//!
//! Owns reading what a card says of itself. Registers are read and none is written: tables, counters and forwarding stay as they are, and
//! a blank card stays blank. Only opening and closing the function show on the card, as *host resets*.

use guideway_hdl::LAYOUT_HASH;

use super::control::{read_control, read_status, read_time_us};
use super::open::{read_layout_hash, read_sizes};
use super::scratch::read_scratch;
use super::{CardError, CardStatus, Control, Scratch, Sizes};
use crate::device::{Device, enable_memory_space, registers};

/// What a card says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Revision of the PCI function.
    pub revision: u8,
    /// Hash of the card's layouts; a host of another hash cannot drive it.
    pub layout_hash: u32,
    /// What else it says; `None` for a card of another layout, whose registers cannot be told.
    pub contents: Option<Contents>,
}

/// What a card of this layout says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Version of the card: major, minor.
    pub version: (u16, u16),
    /// Sizes of its tables.
    pub sizes: Sizes,
    /// The status register.
    pub status: CardStatus,
    /// The control register.
    pub control: Control,
    /// Microseconds of card time since the card's reset.
    pub time_us: u64,
    /// What hosts have left; `None`: no host has configured the card since its reset.
    pub scratch: Option<Scratch>,
}

/// Looks at a card.
///
/// # Errors
/// When the function is no Guideway card, or cannot be reached.
pub fn inspect(device: &dyn Device) -> Result<Inspection, CardError> {
    let identity = enable_memory_space(device)?;
    let bar = device.bar(0)?;
    let layout_hash = read_layout_hash(device, &bar)?;
    let mut inspection = Inspection {
        revision: identity.revision,
        layout_hash,
        contents: None,
    };
    if layout_hash == LAYOUT_HASH {
        let version = registers(&bar).core().version().try_read()?;
        inspection.contents = Some(Contents {
            version: (version.major(), version.minor()),
            sizes: read_sizes(&bar)?,
            status: read_status(&bar)?,
            control: read_control(&bar)?,
            time_us: read_time_us(&bar)?,
            scratch: read_scratch(&bar)?,
        });
    }
    Ok(inspection)
}
