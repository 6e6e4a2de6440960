//! A set's packets one after another through `guideway replay`, and what became of each.
//!
//! Behind each packet come two markers, one that leaves on the wire and one that goes to the host's network: what stands between two of
//! them in a capture is the packet's.

use std::path::Path;

use guideway::config::Config;
use guideway::control::replay::{Replay, run};
use guideway_sim::wire::capture_file::{FrameReader, PcapWriter};

use crate::configuration::{Ids, configuration};
use crate::fixtures::{Case, Fixtures};

/// The marker's VIP, its backend (in layer 2), and the port of both.
pub const MARKER_VIP: &str = "198.51.100.1";
pub const MARKER_BACKEND: &str = "198.51.100.2";
pub const MARKER_MAC: &str = "02:00:00:00:00:99";
pub const MARKER_PORT: u16 = 9;

/// What became of a packet.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// Frames that left on the wire.
    pub sent: Vec<Vec<u8>>,
    /// Frames that the host's network got.
    pub to_host: Vec<Vec<u8>>,
}

/// What became of each case, in their order: each is taken from the play with the ids that it is about.
pub fn play(fixtures: &Fixtures, model: &'static str) -> Vec<End> {
    let ids = |case: &Case| {
        let long = case.description.contains("CIDv2") || fixtures.has("UDP_STABLE_ROUTING");
        if long { Ids::Long } else { Ids::Short }
    };
    let mut ends = vec![End::default(); fixtures.cases.len()];
    for wanted in [Ids::Short, Ids::Long] {
        if !fixtures.cases.iter().any(|case| ids(case) == wanted) {
            continue;
        }
        let played = play_with(fixtures, model, wanted);
        for ((end, played), case) in ends.iter_mut().zip(played).zip(&fixtures.cases) {
            if ids(case) == wanted {
                *end = played;
            }
        }
    }
    ends
}

fn play_with(fixtures: &Fixtures, model: &'static str, ids: Ids) -> Vec<End> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = configuration(fixtures, ids);
    let config = Config::parse("lb.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut input = PcapWriter::create(&at("in.pcap")).unwrap();
    for (i, case) in (0u16..).zip(&fixtures.cases) {
        for frame in [&case.input, &wire_marker(i), &host_marker(i)] {
            input.write(0, frame).unwrap();
        }
    }
    input.flush().unwrap();
    drop(input);
    let replay = Replay {
        input: at("in.pcap"),
        output: at("out.pcap"),
        host_output: Some(at("host.pcap")),
        pace: "step",
        model,
        wave: None,
        trace: None,
    };
    run(&config, &replay).unwrap_or_else(|error| panic!("{}: {error}", fixtures.name));
    let count = fixtures.cases.len();
    let sent = between(&at("out.pcap"), count, |frame| {
        frame[..6] == [2, 0, 0, 0, 0, 0x99]
    });
    let to_host = between(&at("host.pcap"), count, |frame| {
        frame[..6] == [0xff; 6] && frame[12..14] == [0x88, 0xb5]
    });
    sent.into_iter()
        .zip(to_host)
        .map(|(sent, to_host)| End { sent, to_host })
        .collect()
}

/// The frames of a capture before each of its `count` markers; behind the last there is none.
fn between(path: &Path, count: usize, is_marker: impl Fn(&[u8]) -> bool) -> Vec<Vec<Vec<u8>>> {
    let mut reader = FrameReader::open(path).unwrap();
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    while let Some(frame) = reader.next_frame().unwrap() {
        if is_marker(&frame) {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(frame);
        }
    }
    assert_eq!(
        (parts.len(), part.len()),
        (count, 0),
        "markers, frames behind the last"
    );
    parts
}

/// UDP to the marker's VIP, which the card sends on with another Ethernet header.
fn wire_marker(i: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 7, 8, 0];
    frame.extend([
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 9, 198, 51, 100, 1,
    ]);
    frame.extend(
        [
            (40_000 + i).to_be_bytes(),
            MARKER_PORT.to_be_bytes(),
            [0, 8],
            [0; 2],
        ]
        .concat(),
    );
    frame
}

/// A broadcast of an EtherType for experiments, which the host gets.
fn host_marker(i: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 60];
    frame[12..16].copy_from_slice(&[0x88, 0xb5, (i >> 8) as u8, i as u8]);
    frame
}
