//! Malformed frames: each length field lying both ways, headers cut at each byte, every byte of a set of seed frames flipped,
//! nested tags and chains of extension headers past the window. Each ends in one named disposition, the same on both models.
//!
//! The reference model takes the frames one by one, which names each one's disposition; the RTL then takes those of one disposition
//! together, so that its counters name them too. Nothing is random.

#![allow(clippy::unwrap_used)] // helpers of a test

mod bench;
mod expect;
mod frames;

use std::{collections::BTreeMap, thread};

use guideway_hdl::verdict::Disposition;
use guideway_sim::{
    reference::ReferenceCard,
    rtl::{DmaTiming, RtlCard, RtlConfig},
};

use bench::{Bench, Fate, Way, hex};
use frames::{Case, Change, Seed};

/// What a card is given at once: half of a receive queue, and beats that the smallest class buffer holds.
const BATCH_FRAMES: usize = 32;
const BATCH_BEATS: usize = 400;

/// A frame on its way, and what the reference model made of it.
struct Sent<'a> {
    case: &'a Case,
    fate: Fate,
}

type Groups<'a> = BTreeMap<(Way, u8), Vec<Sent<'a>>>;

/// Everything comes over the wire; what is cut or lies about its length is injected too.
fn ways(case: &Case) -> &'static [Way] {
    match case.change {
        Change::Whole | Change::Cut(_) | Change::Length { .. } if case.seed < 16 => {
            &[Way::Wire, Way::Assign]
        }
        _ => &[Way::Wire],
    }
}

fn told(seeds: &[Seed], case: &Case) -> String {
    let seed = seeds[case.seed].name;
    format!("{seed}, {:02x?}: {}", case.change, hex(&case.frame))
}

/// What the reference model makes of each frame, by the way in and the disposition.
fn by_reference<'a>(seeds: &[Seed], cases: &'a [Case]) -> Groups<'a> {
    let mut card = ReferenceCard::new();
    let mut bench = Bench::new(&mut card).unwrap();
    let mut groups = Groups::new();
    for case in cases {
        for way in ways(case) {
            let fate = bench.send(*way, &[&case.frame]).unwrap();
            let Some(ended) = fate.disposition() else {
                panic!("no single disposition by {way:?}: {}", told(seeds, case));
            };
            let expected = expect::disposition(&seeds[case.seed], case).map(|wire| match way {
                Way::Wire => wire,
                Way::Assign => expect::assigned(wire),
            });
            assert!(
                expected.is_none_or(|expected| expected == ended),
                "{} instead of {:?} by {way:?}: {}",
                ended.name(),
                expected.map(Disposition::name),
                told(seeds, case)
            );
            let group = groups.entry((*way, ended.raw())).or_default();
            group.push(Sent { case, fate });
        }
    }
    bench.check_conservation().unwrap();
    groups
}

fn batches<'g, 'a>(groups: &'g Groups<'a>) -> Vec<(Way, &'g [Sent<'a>])> {
    let mut batches = Vec::new();
    for ((way, _), mut rest) in groups.iter().map(|(key, group)| (*key, group.as_slice())) {
        while !rest.is_empty() {
            let mut beats = 0;
            let fits = |sent: &&Sent<'_>| {
                beats += sent.case.frame.len().div_ceil(64);
                beats <= BATCH_BEATS
            };
            let count = rest.iter().take(BATCH_FRAMES).take_while(fits).count();
            let (batch, behind) = rest.split_at(count);
            batches.push((way, batch));
            rest = behind;
        }
    }
    batches
}

/// The first frame of a batch, if any, of which the RTL makes something else when it comes alone.
fn culprit(bench: &mut Bench<'_>, seeds: &[Seed], way: Way, batch: &[Sent<'_>]) -> String {
    for sent in batch {
        let fate = bench.send(way, &[&sent.case.frame]).unwrap();
        if fate != sent.fate {
            let (case, rtl, reference) = (told(seeds, sent.case), fate.told(), sent.fate.told());
            return format!("{case}\n  RTL: {rtl}\n  reference: {reference}");
        }
    }
    "no frame of the batch when it comes alone".into()
}

/// Gives the RTL every batch of a lane.
fn by_rtl(lane: usize, lanes: usize, seeds: &[Seed], batches: &[(Way, &[Sent<'_>])]) {
    let mut card = RtlCard::new(RtlConfig {
        seed: lane as u64,
        rx_idle_percent: if lane == 0 { 0 } else { 30 },
        tx_stall_percent: if lane == 0 { 0 } else { 40 },
        dma: DmaTiming::default(),
        ..RtlConfig::default()
    });
    let mut bench = Bench::new(&mut card).unwrap();
    for (way, batch) in batches.iter().skip(lane).step_by(lanes) {
        let mut expected = Fate::default();
        for sent in *batch {
            expected.join(&sent.fate);
        }
        let frames: Vec<&[u8]> = batch
            .iter()
            .map(|sent| sent.case.frame.as_slice())
            .collect();
        if bench.send(*way, &frames).unwrap() != expected {
            let culprit = culprit(&mut bench, seeds, *way, batch);
            panic!("the models differ by {way:?}: {culprit}");
        }
    }
    bench.check_conservation().unwrap();
}

#[test]
fn malformed_frames_have_a_name_and_the_same_one_on_both_models() {
    let seeds = frames::seeds();
    let cases = frames::cases(&seeds);
    let groups = by_reference(&seeds, &cases);
    println!("{} frames of {} seeds", cases.len(), seeds.len());
    for ((way, disposition), group) in &groups {
        let name = Disposition::from_raw(*disposition).map(Disposition::name);
        println!("{:6} {way:?} {}", group.len(), name.unwrap_or("unknown"));
    }
    for disposition in frames::MEANT {
        let seen = groups.get(&(Way::Wire, disposition.raw()));
        assert!(seen.is_some(), "no frame ended as {}", disposition.name());
    }
    let batches = batches(&groups);
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for lane in 0..lanes {
            let (seeds, batches) = (&seeds, &batches);
            scope.spawn(move || by_rtl(lane, lanes, seeds, batches));
        }
    });
}
