//! What control may ask of a card.
//!
//! Owns opening a card and the rings between host and card ([`CommandRing`], [`Queues`]); one file a table beside. What the
//! configuration wants is not known here, nor which backend carries the accesses ([`crate::device`]).
//!
//! A [`Card`] is shared: its methods take `&self`, run one command batch at a time and may be called from any thread. The packet
//! loop has [`Queues`] of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guideway_hdl::descriptors::{Command, Opcode};
use guideway_hdl::tables::Table;

use crate::device::{Bar, Device};

mod backend;
mod command_ring;
mod control;
mod counters;
mod error;
#[cfg(test)]
mod fake;
pub mod flow;
mod icmp_limit;
mod ids;
mod inspect;
mod moves;
mod next_hop;
mod open;
mod pool;
mod queues;
mod quic;
mod record_ring;
mod ring;
mod rx_queue;
mod scratch;
mod secrets;
mod stop;
mod trace;
mod transfer;
mod tx_ring;
mod vip;
mod wait;

pub use backend::Backend;
pub use command_ring::{CommandRing, Outcome};
pub use control::{CardStatus, Control, HeldCounters, Sources};
pub use counters::{Counters, Imbalance};
pub use error::CardError;
pub use icmp_limit::{AnswerLimit, IcmpLimit};
pub use ids::{BackendId, NextHopId, PoolId, VipId};
pub use inspect::{Contents, Inspection, inspect};
pub use next_hop::{NextHop, NextHops, Vlan};
pub use open::Sizes;
pub use pool::Pool;
pub use queues::{QueueOptions, Queues, Wake};
pub use quic::{QUIC_LB_BYTES_MAX, QUIC_ROTATIONS, QuicIdTable, QuicIdWrite, QuicScheme};
pub use record_ring::{Record, RecordRing};
pub use ring::{RingSpace, slot_backend};
pub use rx_queue::{RxFrame, RxQueue};
pub use scratch::Scratch;
pub use secrets::{SecretSource, Secrets};
pub use trace::TraceFilter;
pub use tx_ring::{Assignment, TxCompletion, TxRing};
pub use vip::{
    HashOptions, MatchEntries, MatchWrite, Meter, OnMiss, Protocol, RouteBy, Rules, TooBig,
    VipAddress, VipAddressError, VipKey, VipMatchTable,
};
pub use wait::Waiting;

/// How a card is opened.
#[derive(Clone, Debug)]
pub struct CardOptions {
    /// Where a blank card's secrets come from.
    pub secrets: SecretSource,
    /// Erase the card first: all tables, counters and connections.
    pub erase: bool,
    /// How to wait for the card.
    pub waiting: Waiting,
    /// How long the card may make no progress before it counts as stuck, in wall-clock time. A simulated card is slow.
    pub patience: Duration,
}

impl Default for CardOptions {
    fn default() -> Self {
        Self {
            secrets: SecretSource::Random,
            erase: false,
            waiting: Waiting::Spin(Duration::from_micros(50)),
            patience: Duration::from_secs(20),
        }
    }
}

/// An open card.
pub struct Card {
    // Dropped in this order: the ring stops before the function closes.
    commands: Mutex<CommandRing>,
    vectors: wait::Vectors,
    bar: Bar,
    device: Arc<dyn Device>,
    sizes: Sizes,
    secrets: Secrets,
    was_running: bool,
    options: CardOptions,
    queues_taken: AtomicBool,
}

impl Card {
    /// Opens a card, blank or running: bus mastering, identity, layout, sizes, readiness; a blank one gets its secrets. Neither
    /// tables nor forwarding of a running card are touched.
    ///
    /// # Errors
    /// When the function is no Guideway card of this layout, is not ready in time, or cannot be reached.
    pub fn open(device: Arc<dyn Device>, options: CardOptions) -> Result<Arc<Self>, CardError> {
        open::open(device, options).map(Arc::new)
    }

    /// Opens a card that an earlier host has configured.
    ///
    /// # Errors
    /// [`CardError::Blank`] when none has; otherwise as [`Card::open`].
    pub fn adopt(device: Arc<dyn Device>, options: CardOptions) -> Result<Arc<Self>, CardError> {
        let card = Self::open(
            device,
            CardOptions {
                erase: false,
                ..options
            },
        )?;
        if card.was_running {
            Ok(card)
        } else {
            Err(CardError::Blank {
                device: card.name().to_owned(),
            })
        }
    }

    /// Whether an earlier host had configured the card when it was opened ([`Card::read_scratch`] says who).
    #[must_use]
    pub fn was_running(&self) -> bool {
        self.was_running
    }

    /// What the card is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.device.name()
    }

    /// The function.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// BAR0.
    pub(crate) fn bar(&self) -> &Bar {
        &self.bar
    }

    /// The tables' sizes.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The banks' secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Starts the packet queues. They stop when they are dropped, and can then be started anew.
    ///
    /// # Errors
    /// When they are in use, or memory or card refuse.
    pub fn start_queues(self: &Arc<Self>, options: &QueueOptions) -> Result<Queues, CardError> {
        Queues::start(self, options)
    }

    /// Runs commands in order, batched, and returns how each ended. A status other than `ok` is an answer, and the next one runs all
    /// the same.
    ///
    /// # Errors
    /// When the card cannot be reached, makes no progress or has stopped the ring.
    pub fn run(&self, commands: &[Command]) -> Result<Vec<Outcome>, CardError> {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .run(commands)
    }

    /// Runs one command that must succeed, and returns its result.
    fn run_one(&self, command: &Command) -> Result<u32, CardError> {
        self.run(std::slice::from_ref(command))?
            .first()
            .map_or(Ok(0), |outcome| outcome.ok(command))
    }

    /// Returns when no packet is left in the card that read a table before the call.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn fence(&self) -> Result<(), CardError> {
        self.run_one(&Command {
            opcode: Opcode::Fence.raw(),
            ..Command::default()
        })
        .map(|_| ())
    }

    /// Copies `slots` ring slots (whole beats of 32) on the card. The ranges must not overlap.
    ///
    /// # Errors
    /// When a range is not within the table, they overlap, or the card cannot be reached.
    pub fn copy_ring(&self, from: u32, to: u32, slots: u32) -> Result<(), CardError> {
        let beats = |slots: u32| slots.div_ceil(guideway_hdl::tables::RING_SLOTS_PER_BEAT as u32);
        let command = Command {
            opcode: Opcode::Copy.raw(),
            table_id: Table::Ring.raw(),
            index: beats(to),
            source_index: beats(from),
            count: beats(slots),
            ..Command::default()
        };
        self.run_one(&command).map(|_| ())
    }
}

/// An address as tables and keys hold it: IPv4 in the low 32 bits.
#[must_use]
pub fn address_to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address that a table or key holds.
#[must_use]
pub fn address_from_bits(bits: u128, ipv6: bool) -> IpAddr {
    if ipv6 {
        return Ipv6Addr::from_bits(bits).into();
    }
    // Entries of IPv4 have zeroes above.
    #[allow(clippy::cast_possible_truncation)]
    Ipv4Addr::from_bits(bits as u32).into()
}

/// A MAC address as a number, most significant byte first.
#[must_use]
pub fn mac_to_bits(mac: [u8; 6]) -> u64 {
    mac.iter()
        .fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

/// A number's MAC address.
#[must_use]
pub fn mac_from_bits(bits: u64) -> [u8; 6] {
    let bytes = bits.to_be_bytes();
    [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
}

#[cfg(test)]
mod tests;
