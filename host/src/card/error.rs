//! What can go wrong between control plane and card.

use guideway_hdl::descriptors::{Opcode, Status};
use guideway_hdl::tables::Table;
use std::time::Duration;

use crate::device::DeviceError;

/// A failed request to the card.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CardError {
    /// The way to the card failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The function answers, but is not a Guideway card.
    #[error(
        "{device} is no Guideway card: it identifies itself as {magic:#010x}, expected {:#010x}",
        guideway_hdl::MAGIC
    )]
    WrongMagic {
        /// The function.
        device: String,
        /// What it reads.
        magic: u32,
    },
    /// Card and host were built from different interface declarations.
    #[error(
        "{device} has layout hash {card:#010x}, this host {:#010x}: card and host were built from different versions",
        guideway_hdl::LAYOUT_HASH
    )]
    WrongLayout {
        /// The function.
        device: String,
        /// The card's hash.
        card: u32,
    },
    /// The card does not become ready: its tables are still being cleared.
    #[error("{device} has not become ready within {} s", .after.as_secs_f32())]
    NotReady {
        /// The function.
        device: String,
        /// How long the driver waited.
        after: Duration,
    },
    /// [`super::Card::adopt`] found no earlier host's state.
    #[error("{device} is blank: no host has configured it since its reset")]
    Blank {
        /// The function.
        device: String,
    },
    /// A command ended with a status.
    #[error("the card ended {} with {}: {}", .opcode.name(), .status.name(), .status.help())]
    Command {
        /// What was asked.
        opcode: Opcode,
        /// What the card answered.
        status: Status,
        /// Entries done before.
        result: u32,
    },
    /// A ring has stopped.
    #[error("the card stopped the {ring} ring: {}", describe(*.code))]
    RingStopped {
        /// The ring.
        ring: &'static str,
        /// The status register's code.
        code: u8,
    },
    /// Somebody reset the function beneath this host (FLR, power state): its rings are gone. Tables and forwarding go on.
    #[error(
        "the card was reset beneath this host (host reset): its rings are gone; the card has to be opened anew"
    )]
    WasReset,
    /// A ring has no room; what is in it must complete first.
    #[error("the {ring} ring is full")]
    RingFull {
        /// The ring.
        ring: &'static str,
    },
    /// The card made no progress.
    #[error("the card did not complete {doing} within {} s", .after.as_secs_f32())]
    Stuck {
        /// What the driver waits for.
        doing: String,
        /// How long it waited.
        after: Duration,
    },
    /// The card wrote something into host memory that contradicts the interface.
    #[error("the card wrote a {ring} completion that cannot be: {reason}")]
    Corrupt {
        /// The ring.
        ring: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// What was pushed does not read back.
    #[error("{} from entry {index} on reads back with digest {card:#010x}, the host wrote {host:#010x}", .table.name())]
    Digest {
        /// The table.
        table: Table,
        /// The first entry.
        index: u32,
        /// The card's CRC.
        card: u32,
        /// The host's CRC.
        host: u32,
    },
    /// The caller asked for something that the card's tables cannot hold.
    #[error("{what} {index} is beyond the card's {size}")]
    OutOfRange {
        /// What is indexed.
        what: &'static str,
        /// The index.
        index: u64,
        /// Entries that the card has.
        size: u64,
    },
    /// A frame that the card cannot send.
    #[error("a frame of {0} bytes: the card sends 14 to 9216")]
    FrameLength(usize),
    /// No place is left for a VIP's key.
    #[error("no place is left for {0} in the VIP match table")]
    VipMatchFull(super::VipKey),
    /// No place is left for a QUIC server id.
    #[error("no place is left for a server id in the table of QUIC server ids")]
    QuicIdsFull,
    /// The queues have been started already.
    #[error("the packet queues are in use")]
    QueuesTaken,
    /// The system has no random numbers.
    #[error("no random numbers for the hash secrets: {0}")]
    Random(String),
}

impl CardError {
    /// Whether the card must be opened anew before anything can succeed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Device(error) => error.is_final(),
            Self::RingStopped { .. }
            | Self::WasReset
            | Self::Stuck { .. }
            | Self::Corrupt { .. } => true,
            _ => false,
        }
    }

    /// The command's status, when it is one that the slow path expects (`occupied`, `not_found`).
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Command { status, .. } => Some(*status),
            _ => None,
        }
    }
}

fn describe(code: u8) -> String {
    match Status::from_raw(code) {
        Some(status) => format!("{}: {}", status.name(), status.help()),
        None => format!("code {code}, which this host does not know"),
    }
}
