//! The RTL does what the specification says, and what the reference model does.
//!
//! Frames come with idle cycles on the wire, backpressure at the MAC, and a bridge that delays and reorders. The seed of a
//! failing scenario is printed; `GUIDEWAY_SEED` plays that one alone, `GUIDEWAY_FRAMES` sets how many frames there are.

use guideway_sim::{
    harness::{conformance, katran, outcome, scenario::Scenario},
    reference::ReferenceCard,
    rtl::{DmaTiming, RtlCard, RtlConfig},
};
use std::{env, path::PathBuf, thread};

/// Frames of one scenario: many small worlds find more than one large one.
const SCENARIO_FRAMES: usize = 4000;
/// What a scenario has on average: two of five kinds of world learn, and have a quarter of the frames.
const MEAN_FRAMES: u64 = 2800;
const SCENARIOS: u64 = 360;

/// What stands around the card in the scenario of this seed: from ideal to hostile.
fn surroundings(seed: u64) -> RtlConfig {
    let (rx_idle_percent, tx_stall_percent) =
        [(0, 0), (30, 0), (0, 40), (50, 50)][(seed % 4) as usize];
    let dma = match seed % 3 {
        0 => DmaTiming::default(),
        1 => DmaTiming {
            latency: 1..=200,
            reorder: true,
            stall_percent: 20,
        },
        _ => DmaTiming {
            latency: 0..=900,
            reorder: true,
            stall_percent: 60,
        },
    };
    RtlConfig {
        seed,
        rx_idle_percent,
        tx_stall_percent,
        dma,
        ..RtlConfig::default()
    }
}

#[test]
fn conforms_to_the_specification() {
    let mut failed = Vec::new();
    for (seed, check) in (0..).zip(conformance::checks()) {
        if let Err(error) = check.run(&mut RtlCard::new(surroundings(seed))) {
            failed.push(format!("{}: {error}", check.name));
        }
    }
    assert!(
        failed.is_empty(),
        "{} checks failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Plays a scenario on both; how many frames it had.
fn compare(seed: u64, frames: usize) -> Result<usize, String> {
    let scenario = Scenario::random(seed, frames);
    let reference = outcome::play(&mut ReferenceCard::new(), &scenario)
        .map_err(|e| format!("seed {seed}: reference: {e}"))?;
    let config = RtlConfig {
        rx_gap: scenario.world.gap(),
        ..surroundings(seed)
    };
    let rtl = outcome::play(&mut RtlCard::new(config), &scenario)
        .map_err(|e| format!("seed {seed}: RTL: {e}"))?;
    match rtl.difference(&reference) {
        None => Ok(scenario.frames()),
        Some(difference) => Err(format!(
            "seed {seed}: RTL and reference differ: {difference}"
        )),
    }
}

#[test]
fn agrees_with_the_reference_model() {
    if let Some(seed) = env::var("GUIDEWAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        compare(seed, SCENARIO_FRAMES).unwrap();
        return;
    }
    let frames = env::var("GUIDEWAY_FRAMES")
        .ok()
        .and_then(|frames| frames.parse().ok());
    let scenarios = frames.map_or(SCENARIOS, |frames: u64| frames.div_ceil(MEAN_FRAMES));
    let lanes = thread::available_parallelism().map_or(1, usize::from) as u64;
    let results: Vec<Result<usize, String>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes)
            .map(|lane| {
                scope.spawn(move || {
                    let seeds = (0..scenarios).filter(|seed| seed % lanes == lane);
                    seeds
                        .map(|seed| compare(seed, SCENARIO_FRAMES))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().expect("a scenario panicked"))
            .collect()
    });
    let frames: usize = results.iter().flatten().sum();
    println!(
        "{frames} frames in {scenarios} scenarios, seeds 0 to {}",
        scenarios - 1
    );
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(
        failed.is_empty(),
        "{} scenarios differ:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn sends_katrans_bytes() {
    let Some(folder) = env::var_os("GUIDEWAY_KATRAN_FIXTURES").map(PathBuf::from) else {
        println!("skipped: GUIDEWAY_KATRAN_FIXTURES names no folder with Katran's fixtures");
        return;
    };
    for set in &katran::SETS {
        let card = &mut RtlCard::new(RtlConfig::default());
        let cases = katran::check(card, &folder, set).unwrap();
        assert!(
            cases >= set.least(),
            "only {cases} cases of {set:?} are within the scope"
        );
    }
}
