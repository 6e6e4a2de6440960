//! Opening a card: who it is, how large it is, and whether a host has been here before.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use guideway_hdl::tables::{BANKS, SECRET_WORDS};
use guideway_hdl::{CARD_RESET_KEY, LAYOUT_HASH, MAGIC};

use super::wait::{VECTORS, Vectors};
use super::{Card, CardError, CardOptions, CommandRing, Secrets};
use crate::device::{Bar, Device, enable_bus_mastering, registers};

/// How long a card may take to clear its tables, at the least (a simulated one is slow).
const READY_PAUSE: Duration = Duration::from_millis(1);

/// The tables' sizes, as the card says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// VIPs.
    pub vips: u32,
    /// Pools.
    pub pools: u32,
    /// Backends.
    pub backends: u32,
    /// Next hops.
    pub next_hops: u32,
    /// Ring slots.
    pub ring_slots: u32,
    /// Flow entries.
    pub flows: u32,
    /// Beats of the payload ring.
    pub payload_beats: u32,
}

pub(super) fn open(device: Arc<dyn Device>, options: CardOptions) -> Result<Card, CardError> {
    enable_bus_mastering(&*device)?;
    let bar = device.bar(0)?;
    check_identity(&*device, &bar)?;
    let sizes = read_sizes(&bar)?;
    if options.erase {
        registers(&bar)
            .core()
            .card_reset()
            .try_write(|r| r.set_key(CARD_RESET_KEY))?;
    }
    await_ready(&*device, &bar, options.patience)?;
    stop_rings(&bar)?;
    let vectors = Vectors::new(device.enable_msix(VECTORS)?);
    let commands = CommandRing::start(&device, &bar, &vectors, options.waiting, options.patience)?;
    let mut card = Card {
        commands: Mutex::new(commands),
        vectors,
        bar,
        device,
        sizes,
        secrets: Secrets::from_words(&[0; BANKS * SECRET_WORDS]),
        was_running: false,
        options,
        queues_taken: AtomicBool::new(false),
    };
    card.was_running = card.read_scratch()?.is_some();
    card.secrets = if card.was_running {
        read_secrets(&card.bar)?
    } else {
        write_secrets(&card.bar, &card.options)?
    };
    Ok(card)
}

fn check_identity(device: &dyn Device, bar: &Bar) -> Result<(), CardError> {
    let card = read_layout_hash(device, bar)?;
    if card != LAYOUT_HASH {
        return Err(CardError::WrongLayout {
            device: device.name().to_owned(),
            card,
        });
    }
    Ok(())
}

/// The layout hash of what is a Guideway card.
pub(super) fn read_layout_hash(device: &dyn Device, bar: &Bar) -> Result<u32, CardError> {
    let core = registers(bar).core();
    let magic = core.magic().try_read()?.value();
    if magic != MAGIC {
        return Err(CardError::WrongMagic {
            device: device.name().to_owned(),
            magic,
        });
    }
    Ok(core.layout_hash().try_read()?.value())
}

pub(super) fn read_sizes(bar: &Bar) -> Result<Sizes, CardError> {
    let core = registers(bar).core();
    let (vips, backends) = (
        core.size_vips().try_read()?,
        core.size_backends().try_read()?,
    );
    Ok(Sizes {
        vips: vips.vips().into(),
        pools: vips.pools().into(),
        backends: backends.backends().into(),
        next_hops: backends.next_hops().into(),
        ring_slots: core.size_ring_slots().try_read()?.value(),
        flows: core.size_flows().try_read()?.value(),
        payload_beats: core.size_payload_beats().try_read()?.value(),
    })
}

fn await_ready(device: &dyn Device, bar: &Bar, patience: Duration) -> Result<(), CardError> {
    let begun = Instant::now();
    while !registers(bar).core().status().try_read()?.ready() {
        if begun.elapsed() > patience {
            return Err(CardError::NotReady {
                device: device.name().to_owned(),
                after: patience,
            });
        }
        std::thread::sleep(READY_PAUSE);
    }
    Ok(())
}

/// Disables every ring that an earlier host may have left enabled.
fn stop_rings(bar: &Bar) -> Result<(), CardError> {
    let card = registers(bar).card();
    for queue in card.rx() {
        queue.config().try_write(|_| ())?;
    }
    card.tx().config().try_write(|_| ())?;
    card.command().config().try_write(|_| ())?;
    card.record().config().try_write(|_| ())?;
    Ok(())
}

fn read_secrets(bar: &Bar) -> Result<Secrets, CardError> {
    let mut words = [0; BANKS * SECRET_WORDS];
    for (word, register) in words.iter_mut().zip(registers(bar).core().secret()) {
        *word = register.try_read()?.value();
    }
    Ok(Secrets::from_words(&words))
}

fn write_secrets(bar: &Bar, options: &CardOptions) -> Result<Secrets, CardError> {
    let secrets = Secrets::draw(options.secrets)?;
    for (register, word) in registers(bar).core().secret().iter().zip(secrets.words()) {
        register.try_write(|r| r.set_value(*word))?;
    }
    Ok(secrets)
}
