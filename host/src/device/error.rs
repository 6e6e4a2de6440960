//! What can go wrong between driver and PCI function.

use std::io;
use std::time::Duration;

/// A failed access to the function. Every text names the function, so that it can stand alone in a log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeviceError {
    /// The address is none that [`super::DeviceAddress`] knows.
    #[error("{0}")]
    Address(#[from] super::AddressError),
    /// The function could not be opened.
    #[error("cannot open {device}: {reason}")]
    Open {
        /// The function.
        device: String,
        /// Why.
        reason: String,
    },
    /// The function serves another host.
    #[error("{device} {how}: a host owns the card already")]
    Busy {
        /// The function.
        device: String,
        /// How that shows.
        how: String,
    },
    /// The other side closed the connection, or the function was unplugged. Final.
    #[error("{device} closed the connection while {doing}")]
    Closed {
        /// The function.
        device: String,
        /// What the driver was doing.
        doing: String,
    },
    /// The function does not answer any more: what is read of it are all ones. Final.
    #[error(
        "{device} does not answer any more (unplugged, or its link is down): noticed when {doing}"
    )]
    Vanished {
        /// The function.
        device: String,
        /// What the driver was doing.
        doing: String,
    },
    /// The kernel wants the function back: somebody unbinds it or pulls it out, and waits until it is closed. Final.
    #[error("the kernel asks for {device} back (unbind): it has to be closed")]
    AskedBack {
        /// The function.
        device: String,
    },
    /// The function reported an uncorrectable error (PCIe 6.2). Final: only a reset, which opening it anew brings, makes it known again.
    #[error(
        "{device} reported an uncorrectable error (PCIe AER; the kernel's log says which): it has to be opened anew"
    )]
    Faulted {
        /// The function.
        device: String,
    },
    /// No answer came in time. Final: an answer that comes later cannot be told from the next one.
    #[error("{device} did not answer within {} s while {doing}", .after.as_secs_f32())]
    Timeout {
        /// The function.
        device: String,
        /// What the driver was doing.
        doing: String,
        /// How long it waited.
        after: Duration,
    },
    /// The other side does not keep to the protocol. Final.
    #[error("{device} broke the protocol while {doing}: {reason}")]
    Protocol {
        /// The function.
        device: String,
        /// What the driver was doing.
        doing: String,
        /// What was wrong.
        reason: String,
    },
    /// The other side understood and refused.
    #[error("{device} refused {doing}: {reason}")]
    Refused {
        /// The function.
        device: String,
        /// What the driver was doing.
        doing: String,
        /// Its reason (an errno's text).
        reason: String,
    },
    /// The operating system refused something that the driver needs.
    #[error("{doing}: {reason}")]
    System {
        /// What the driver was doing.
        doing: String,
        /// Its reason (an errno's text).
        reason: String,
    },
    /// The access does not lie within the region. A programming error of the caller, or a card with a small BAR.
    #[error(
        "an access of {bytes} bytes at {offset:#x} is not within {region} ({length:#x} bytes), or not aligned"
    )]
    OutOfRange {
        /// The region.
        region: String,
        /// The offset.
        offset: u64,
        /// Bytes of the access.
        bytes: usize,
        /// Bytes of the region.
        length: u64,
    },
    /// The function is not a Guideway card.
    #[error(
        "{device} is no Guideway card: PCI id {vendor:04x}:{id:04x}, expected {:04x}:{:04x}",
        guideway_hdl::PCI_VENDOR,
        guideway_hdl::PCI_DEVICE
    )]
    WrongFunction {
        /// The function.
        device: String,
        /// The vendor id that was found.
        vendor: u16,
        /// The device id that was found.
        id: u16,
    },
}

impl DeviceError {
    /// An operating system's error with what was being done.
    pub(crate) fn system(doing: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self::System {
            doing: doing.into(),
            reason: error.into().to_string(),
        }
    }

    /// Whether no later access can succeed: the function has to be opened anew.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Closed { .. }
                | Self::Vanished { .. }
                | Self::AskedBack { .. }
                | Self::Faulted { .. }
                | Self::Timeout { .. }
                | Self::Protocol { .. }
        )
    }
}
