//! The data path's rates, latency and behaviour under overload, exact in cycles, on the RTL.

use guideway_tests::figures::{self, BEAT, IPIP, Mode, Rows, SHAPES, Scale, WAYS, beats};

const FLOWS: u32 = 1000;

#[test]
fn a_lone_frames_latency_is_exact() {
    let mut sizes: Vec<usize> = (60..=200).collect();
    sizes.extend([
        255, 256, 257, 1000, 1514, 4500, 6143, 6144, 6145, 9000, 9215, 9216,
    ]);
    let rows = figures::latencies(sizes).unwrap();
    // two constants explain every size: P counts from the window, E from the frame's end; the later of both decides
    let p = rows[0].from_window;
    let e = rows.last().unwrap().from_end;
    println!("P = {p} cycles, E = {e} cycles");
    assert!(
        p <= 96 && e <= 12,
        "P = {p} must be at most 96, E = {e} at most 12"
    );
    for row in &rows {
        let after_window = beats(row.bytes) - beats(row.bytes).min(2);
        let expected = p.max(after_window + e);
        assert_eq!(row.from_window, expected, "a frame of {} bytes", row.bytes);
    }
}

#[test]
fn the_smallest_frames_leave_one_in_two_cycles() {
    let run = figures::run(60, 20_000, 1, FLOWS).unwrap();
    assert_eq!((run.sent, run.full, run.dropped), (20_000, 0, 0));
    assert_eq!(
        run.cycles_out,
        2 * 20_000,
        "two beats out a frame, without a gap"
    );
}

#[test]
fn a_frame_takes_the_larger_of_its_beats_in_and_out() {
    for bytes in [60, 64, 65, 108, 109, 128, 172, 173, 300, 1514, 9000] {
        let count = 600;
        let (inside, outside) = (beats(bytes), beats(bytes + IPIP));
        let pace = inside.max(outside);
        let run = figures::run(bytes, count, u32::try_from(pace - inside).unwrap(), FLOWS).unwrap();
        assert_eq!(
            (run.sent, run.full, run.dropped),
            (u64::from(count), 0, 0),
            "{bytes} bytes"
        );
        assert_eq!(
            run.cycles_out,
            (u64::from(count) - 1) * pace + outside,
            "{bytes} bytes in frames of {BEAT}-byte beats"
        );
    }
}

/// One packet a cycle where a frame leaves as one beat, and the same latency by every way.
#[test]
fn every_encapsulation_keeps_the_pace() {
    let usual = figures::latencies([62, 128, 1514, 6145, 9000]).unwrap();
    for way in &WAYS[1..] {
        let rows = figures::latencies_by(way, usual.iter().map(|row| row.bytes)).unwrap();
        assert_eq!(rows, usual, "{}", way.name);
        for bytes in [way.least(), 1514] {
            let count = 600;
            let (inside, outside) = (beats(bytes), beats(bytes + way.outer));
            let pace = inside.max(outside);
            let gap = u32::try_from(pace - inside).unwrap();
            let run = figures::run_by(way, bytes, count, gap, 100).unwrap();
            assert_eq!(
                (run.sent, run.full, run.dropped),
                (u64::from(count), 0, 0),
                "{}, {bytes} bytes",
                way.name
            );
            assert_eq!(
                run.cycles_out,
                (u64::from(count) - 1) * pace + outside,
                "{}, {bytes} bytes",
                way.name
            );
        }
    }
}

/// The bench's rows, with fewer flows and frames: hits, learned and stateless packets at the card's pace, and none lost between
/// two 100G wires, of which the one out is always busy.
#[test]
fn the_wire_alone_limits_the_rate() {
    let scale = Scale {
        flows: 1000,
        cycles: 2000,
        small: 128,
    };
    let mut rows = Rows::new(scale);
    for way in [&WAYS[0], &WAYS[1]] {
        let mut measured = Vec::new();
        rows.measure(way, SHAPES, |row| measured.push(row)).unwrap();
        assert_eq!(measured.len(), SHAPES.len() * Mode::ALL.len());
        for row in measured {
            assert!(row.ratio >= 0.999 && row.paced_drops == 0, "{row:?}");
            // nothing queues up: the card is as fast as the wires, not only able to hold what they bring meanwhile
            let waited = row.paced_latency_cycles - row.latency_cycles;
            assert!(waited <= 24 || row.frame == "imix", "{row:?}");
        }
    }
}

#[test]
fn a_burst_of_4096_is_absorbed() {
    let run = figures::run(60, 4096, 0, FLOWS).unwrap();
    assert_eq!((run.sent, run.full, run.dropped), (4096, 0, 0));
}

#[test]
fn a_longer_burst_loses_exactly_the_excess() {
    let burst = 20_000;
    let run = figures::run(60, burst, 0, FLOWS).unwrap();
    assert_eq!(run.dropped, 0);
    assert_eq!(run.sent + run.full, u64::from(burst));
    // The way out was never idle, so nothing was refused that could have been carried meanwhile; and at the burst's end the
    // ring was as full as the rule "room for a maximum frame" allows. What was carried while the burst came, and what then lay
    // in the card, is what got through.
    assert_eq!(run.cycles_out, 2 * run.sent);
    let carried = (u64::from(burst) - run.delay) / 2;
    let held = run.sent - carried;
    let ring = 4096 - 145;
    println!(
        "a burst of {burst}: {} sent, {} refused, {held} frames held at its end",
        run.sent, run.full
    );
    assert!(
        (ring..=ring + 4).contains(&held),
        "{held} frames held, of a ring that takes {ring} and a frame more"
    );
}
