//! The RTL does what the specification says, and what the reference model does.
//!
//! Frames come with idle cycles on the wire, backpressure at the MAC, and a bridge that delays and reorders. The seed of a
//! failing world is printed; `GUIDEWAY_SEED` plays that one alone. `GUIDEWAY_FRAMES` sets how many frames there are in all,
//! `GUIDEWAY_WORLD` how many in each world (`make soak` plays large ones, which have few cycles without a frame).

use guideway_sim::{
    harness::{
        TestHost, conformance, katran, outcome,
        records::{Told, TraceFilter},
        scenario::{Scenario, World},
    },
    reference::ReferenceCard,
    registers::core as at,
    rtl::{DmaTiming, RtlCard, RtlConfig},
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, path::PathBuf, thread};

/// Frames of one world: many small ones find more than one large one.
const WORLD_FRAMES: u64 = 4000;
/// Frames in all.
const FRAMES: u64 = 330_000;

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

/// Plays a world on both; how many frames it had.
fn compare(seed: u64, frames: u64) -> Result<usize, String> {
    let scenario = Scenario::random(seed, usize::try_from(frames).unwrap_or(usize::MAX));
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

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    let number = value.replace('_', "").parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

#[test]
fn agrees_with_the_reference_model() {
    let world = variable("GUIDEWAY_WORLD").unwrap_or(WORLD_FRAMES).max(1);
    if let Some(seed) = variable("GUIDEWAY_SEED") {
        compare(seed, world).unwrap();
        return;
    }
    let asked = variable("GUIDEWAY_FRAMES").unwrap_or(FRAMES).max(1);
    let mut left = asked;
    let mut worlds = 0;
    while left > 0 {
        let frames = World::of(worlds).share(usize::try_from(world).unwrap_or(usize::MAX));
        left = left.saturating_sub(frames as u64);
        worlds += 1;
    }
    let lanes = thread::available_parallelism().map_or(1, usize::from) as u64;
    let played = AtomicUsize::new(0);
    let results: Vec<Result<usize, String>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes)
            .map(|lane| {
                let played = &played;
                scope.spawn(move || {
                    let seeds = (lane..worlds).step_by(usize::try_from(lanes).unwrap_or(1));
                    seeds
                        .map(|seed| {
                            let result = compare(seed, world);
                            if let Err(why) = &result {
                                println!("{why}");
                            }
                            let played = played.fetch_add(1, Ordering::Relaxed) + 1;
                            if played.is_multiple_of(20) {
                                println!("{played} of {worlds} worlds");
                            }
                            result
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().expect("a world panicked"))
            .collect()
    });
    let frames: usize = results.iter().flatten().sum();
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    println!(
        "{frames} frames in {} worlds of {worlds} without a difference, seeds 0 to {}",
        worlds - failed.len() as u64,
        worlds - 1
    );
    assert!(
        failed.is_empty(),
        "{} worlds differ (GUIDEWAY_WORLD={world} GUIDEWAY_SEED=... plays one):\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(frames as u64 >= asked, "{asked} frames were asked for");
}

/// Each frame comes alone and without a pause: the cycles are those of the specification, section 9.
#[test]
fn traces_tell_the_cycles() {
    let card = &mut RtlCard::new(RtlConfig::default());
    let mut host = TestHost::new(card).unwrap();
    host.write(at::CONTROL, 1);
    host.start_records(6).unwrap();
    host.trace(&TraceFilter::default());
    for bytes in [60, 64, 65, 128, 129, 1514, 4608, 4672, 4673, 9000, 9216] {
        let mut frame = vec![0; bytes];
        frame[12..14].copy_from_slice(&[8, 6]);
        host.push(frame, false);
        host.settle().unwrap();
        host.receive().unwrap();
        let told = host.take_records().unwrap();
        let [Told::Trace(trace)] = told[..] else {
            panic!("{bytes} bytes: {told:?}");
        };
        let beats = bytes.div_ceil(64);
        assert_eq!(usize::from(trace.length), bytes);
        assert_eq!(
            trace.window_cycles,
            if beats == 1 { 3 } else { 4 },
            "{bytes}"
        );
        assert_eq!(
            usize::from(trace.end_cycles),
            beats.saturating_sub(77),
            "{bytes}"
        );
    }
}

/// `cycle` is when the window came: those of frames that follow one another without a pause are as far apart as their beats.
#[test]
fn traces_tell_when_the_windows_came() {
    let card = &mut RtlCard::new(RtlConfig::default());
    let mut host = TestHost::new(card).unwrap();
    host.write(at::CONTROL, 1);
    host.start_records(6).unwrap();
    host.trace(&TraceFilter::default());
    let beats = [2, 1, 3, 24, 2, 2];
    for beats in beats {
        let mut frame = vec![0; 64 * beats];
        frame[12..14].copy_from_slice(&[8, 6]);
        host.push(frame, false);
    }
    host.settle().unwrap();
    host.receive().unwrap();
    let cycles: Vec<u16> = (host.take_records().unwrap().iter())
        .map(|told| match told {
            Told::Trace(trace) => trace.cycle,
            Told::FlowEvent(event) => panic!("{event:?}"),
        })
        .collect();
    let apart: Vec<u16> = (cycles.windows(2))
        .map(|pair| pair[1].wrapping_sub(pair[0]) & 0x3ff)
        .collect();
    // from a frame's second beat to the next one's, or to the only one of the next
    assert_eq!(apart, [1, 2, 3, 24, 2], "{cycles:?}");
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
