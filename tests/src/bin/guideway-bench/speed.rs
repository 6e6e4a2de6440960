//! How fast the simulator is, as a ratio to a bare loop that clocks the same model with the same frames.

use anyhow::{Context, Result};
use guideway_hdl::tables::MissPolicy;
use guideway_rtl_model::{Inputs, Outputs, RtlModel};
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
    let mut bare = Bare::new();
    let mut card = RtlCard::new(RtlConfig {
        rx_gap: 1,
        ..RtlConfig::default()
    });
    let mut host = TestHost::new(&mut card)?;
    figures::program(&mut host, 1, &[0; 7], MissPolicy::Stateless)?;
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
        let bare = bare.run(cycles);
        rows.push((cycles as f64 / seconds, sent / seconds, bare));
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

/// The model alone: the same frame every second cycle, nothing looked at.
struct Bare {
    model: RtlModel,
    inputs: Inputs,
    outputs: Outputs,
}

impl Bare {
    fn new() -> Self {
        let inputs = Inputs {
            tx_ready: 1,
            ar_ready: 1,
            aw_ready: 1,
            w_ready: 1,
            ..Inputs::default()
        };
        let mut bare = Self {
            model: RtlModel::new(0),
            inputs,
            outputs: Outputs::default(),
        };
        bare.clock(8);
        bare.inputs.rst_n = 1;
        while bare.outputs.ready == 0 {
            bare.clock(64);
        }
        let mut bytes = figures::frame(1, 60);
        bytes.resize(64, 0);
        for (word, chunk) in bare.inputs.rx_data.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        bare.inputs.rx_keep = (1 << 60) - 1;
        bare.inputs.rx_last = 1;
        bare
    }

    fn clock(&mut self, cycles: u64) {
        for _ in 0..cycles {
            self.model.cycle(&self.inputs, &mut self.outputs);
        }
    }

    /// Cycles a second.
    fn run(&mut self, cycles: u64) -> f64 {
        let start = Instant::now();
        for cycle in 0..cycles {
            self.inputs.rx_valid = u8::from(cycle % 2 == 0);
            self.model.cycle(&self.inputs, &mut self.outputs);
        }
        cycles as f64 / start.elapsed().as_secs_f64()
    }
}
