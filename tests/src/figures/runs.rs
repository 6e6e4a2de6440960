//! Measurements of one property each: latency, pace, loss.

use guideway_hdl::{
    tables::MissPolicy,
    verdict::{Disposition, PortCounter},
};
use guideway_sim::{
    card::SentFrame,
    harness::{HarnessError, TestHost},
    rtl::{RtlCard, RtlConfig},
};

use super::world::{flow_by, program_by};
use super::{WAYS, Way, beats};

fn sent(host: &mut TestHost<'_>) -> Vec<SentFrame> {
    std::iter::from_fn(|| host.card.wire_pop()).collect()
}

/// Latency of a lone frame in cycles: from its first two beats in, and from its last beat in, to its first beat out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Bytes of the frame.
    pub bytes: usize,
    /// Cycles from the window's completion.
    pub from_window: u64,
    /// Cycles from the last beat.
    pub from_end: u64,
}

/// Sends one frame of each size through an idle card.
///
/// # Errors
/// When the card does not answer, or a frame does not come out.
pub fn latencies(sizes: impl IntoIterator<Item = usize>) -> Result<Vec<Latency>, HarnessError> {
    latencies_by(&WAYS[0], sizes)
}

/// As [`latencies`], by this way.
///
/// # Errors
/// As [`latencies`].
pub fn latencies_by(
    way: &Way,
    sizes: impl IntoIterator<Item = usize>,
) -> Result<Vec<Latency>, HarnessError> {
    let mut card = RtlCard::new(RtlConfig::default());
    let host = &mut TestHost::new(&mut card)?;
    program_by(way, host, 1, &[0; 7], MissPolicy::Stateless)?;
    host.install(&flow_by(way, 1, 0), 0, 0)?;
    let mut rows = Vec::new();
    for bytes in sizes {
        host.settle()?;
        let first_in = host.card.cycles();
        host.push(way.frame(1, bytes, 0), false);
        host.settle()?;
        let out = sent(host)
            .pop()
            .ok_or(HarnessError::Full("a lone frame's way"))?;
        let window = first_in + beats(bytes).min(2) - 1;
        let end = first_in + beats(bytes) - 1;
        rows.push(Latency {
            bytes,
            from_window: out.first_cycle - window,
            from_end: out.first_cycle - end,
        });
    }
    Ok(rows)
}

/// What became of many frames of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Frames that came.
    pub frames: u64,
    /// Frames that left.
    pub sent: u64,
    /// Frames that found no room.
    pub full: u64,
    /// Frames that were dropped otherwise.
    pub dropped: u64,
    /// From the first beat out to the last, both included.
    pub cycles_out: u64,
    /// From the first beat in to the first beat out.
    pub delay: u64,
}

/// Sends `count` frames of known flows, `gap` cycles apart (end to begin), through the card.
///
/// # Errors
/// When the card does not answer, or a frame comes out wrong.
pub fn run(bytes: usize, count: u32, gap: u32, flows: u32) -> Result<Run, HarnessError> {
    run_by(&WAYS[0], bytes, count, gap, flows)
}

/// As [`run`], by this way.
///
/// # Errors
/// As [`run`].
pub fn run_by(
    way: &Way,
    bytes: usize,
    count: u32,
    gap: u32,
    flows: u32,
) -> Result<Run, HarnessError> {
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: gap,
        ..RtlConfig::default()
    });
    let host = &mut TestHost::new(&mut card)?;
    program_by(way, host, 4, &[SLOT_OF_NO_FLOW; 7], MissPolicy::Stateless)?;
    for client in 0..flows {
        host.install(
            &flow_by(way, client, (client % 3) as u16),
            (client % 4) as u8,
            0,
        )?;
    }
    host.settle()?;
    let first_in = host.card.cycles();
    for i in 0..count {
        host.push(way.frame(i % flows, bytes, 0), false);
    }
    host.settle()?;
    let out = sent(host);
    check(way, &out, bytes, flows)?;
    let counters = host.counters()?;
    let count_of = |disposition: Disposition| counters[usize::from(disposition.raw())];
    let drops = Disposition::ALL
        .iter()
        .filter(|d| d.is_drop())
        .map(|d| count_of(*d))
        .sum::<u64>();
    host.check_conservation()?;
    let (first, last) = (
        out.first().map_or(0, |f| f.first_cycle),
        out.last().map_or(0, |f| f.last_cycle),
    );
    Ok(Run {
        frames: counters[usize::from(PortCounter::WireIn.raw())],
        sent: out.len() as u64,
        full: count_of(Disposition::DropIngressFull),
        dropped: drops - count_of(Disposition::DropIngressFull),
        cycles_out: last - first + 1,
        delay: first - first_in,
    })
}

/// The ring's slots name this backend, so that a packet which went by the ring shows.
pub(super) const SLOT_OF_NO_FLOW: u16 = 3;

/// Every frame went where its flow says, whole.
fn check(way: &Way, out: &[SentFrame], bytes: usize, flows: u32) -> Result<(), HarnessError> {
    for sent in out {
        let client = way.client(sent.bytes.get(14 + way.outer..).unwrap_or_default());
        let fault = if client < flows {
            way.fault(
                &sent.bytes,
                &way.frame(client, bytes, 0),
                (client % 3) as u16,
            )
        } else {
            Some("another client")
        };
        if let Some(fault) = fault {
            return Err(HarnessError::Protocol(format!(
                "a frame came out with {fault}: {:02x?}",
                sent.bytes
            )));
        }
    }
    Ok(())
}
