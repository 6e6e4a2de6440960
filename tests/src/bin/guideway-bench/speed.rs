//! How fast the simulator is, as a ratio to a bare loop that clocks the same model with the same frames.

use anyhow::{Context, Result};
use guideway_hdl::tables::MissPolicy;
use guideway_sim::{
    harness::TestHost,
    rtl::{RtlCard, RtlConfig},
};
use guideway_tests::figures;
use serde::Serialize;
use std::time::Instant;

const FRAMES: u32 = 8000;
const ROUNDS: usize = 5;

/// The simulator's speed.
#[derive(Debug, Serialize)]
pub struct Speed {
    /// The bare model's cycles a second.
    pub bare_cycles_per_second: f64,
    /// The card's cycles a second: model, wire, bridge.
    pub cycles_per_second: f64,
    /// Frames a second that the card forwarded at one each two cycles.
    pub packets_per_second: f64,
    /// Median over rounds of the card's speed to the bare model's, taken side by side.
    pub ratio: f64,
}

/// Measures in rounds: bare, card, bare, card, ...
pub fn measure() -> Result<Speed> {
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: 1,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(&mut card)?;
    figures::program(&mut host, 1, &[0; 7], MissPolicy::Stateless)?;
    // a second card in the same state, so that both models do the same work
    let mut bare = RtlCard::new(RtlConfig::default());
    figures::program(
        &mut TestHost::new(&mut bare)?,
        1,
        &[0; 7],
        MissPolicy::Stateless,
    )?;
    let frame = figures::frame(1, 60);
    let mut rows = Vec::new();
    for _ in 0..ROUNDS {
        for client in 0..FRAMES {
            host.push(figures::frame(client, 60), false);
        }
        let (start, from) = (Instant::now(), host.card.cycles());
        host.settle()?;
        let seconds = start.elapsed().as_secs_f64();
        let cycles = host.card.cycles() - from;
        let sent = host.take_sent().len() as f64;
        let start = Instant::now();
        bare.clock_bare(&frame, cycles);
        let bare_seconds = start.elapsed().as_secs_f64();
        rows.push((
            cycles as f64 / seconds,
            sent / seconds,
            cycles as f64 / bare_seconds,
        ));
    }
    rows.sort_by(|a, b| (a.0 / a.2).total_cmp(&(b.0 / b.2)));
    let (cycles_per_second, packets_per_second, bare_cycles_per_second) =
        *rows.get(ROUNDS / 2).context("a round")?;
    let ratio = cycles_per_second / bare_cycles_per_second;
    Ok(Speed {
        bare_cycles_per_second,
        cycles_per_second,
        packets_per_second,
        ratio,
    })
}
