//! Katran's fixtures through the whole product: host, its slow path, and either model of the card, as `guideway replay` plays them.
//!
//! Each case gives Katran's bytes and verdict, or stands in the README's table of differences and in [`SETS`] beside it, with what happens
//! instead. The fixtures are not part of the project: `GUIDEWAY_KATRAN_FIXTURES` names their folder, and without it the tests say so.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // helpers of tests

mod configuration;
mod fixtures;
mod judge;
mod play;

use std::path::PathBuf;

use fixtures::Fixtures;
use judge::{Difference, Instead, is_katrans, is_row};

/// The byte ranges that may differ when the flow-dependent source does: the sum in the outer IPv4 header, and the source.
const IPIP_SOURCE: Instead = Instead::ButFor(&[(24, 30)]);
/// The same for GUE over IPv4: the outer UDP source port, and the checksum, which may be wrong in Katran's.
const GUE_SOURCE: Instead = Instead::ButFor(&[(34, 36), (40, 42)]);
const GUE_V4_CHECKSUM: Instead = Instead::ButFor(&[(40, 42)]);
const GUE_V6_CHECKSUM: Instead = Instead::ButFor(&[(60, 62)]);

const OPTIONS: &str = "IPv4 options";
const BY_ID: &str = "QUIC by connection id";
const CHECKSUM: &str = "GUE's outer UDP checksum";
const DESTINATION_PORT: &str = "a VIP of `DPORT_HASH`";
const TOLD_AT_THE_NEXT: &str = "too big, the first packet of a connection that the host decides";
const NOT_TOLD: &str = "too big to be encapsulated, IPv4 without don't-fragment";

/// Every set that the card is held against, with the cases of which it does not do as Katran. The sets' fragments are later ones of datagrams
/// whose first fragment never comes: like Katran, the host sends nothing of them.
const SETS: [(&str, &[Difference]); 8] = [
    (
        "ipip_base",
        &[
            (12, OPTIONS, Instead::To("10.0.0.3")),
            (29, BY_ID, Instead::To("10.0.0.2")),
            (31, BY_ID, Instead::To("10.0.0.2")),
            (32, BY_ID, Instead::To("10.0.0.2")),
            (35, BY_ID, Instead::To("10.0.0.2")),
        ],
    ),
    (
        "gue_base",
        &[
            (8, CHECKSUM, GUE_V4_CHECKSUM),
            (9, CHECKSUM, GUE_V6_CHECKSUM),
            (10, OPTIONS, Instead::To("10.0.0.3")),
            (27, BY_ID, Instead::To("10.0.0.2")),
            (29, BY_ID, Instead::To("10.0.0.2")),
            (30, BY_ID, Instead::To("10.0.0.2")),
            (34, BY_ID, Instead::To("10.0.0.2")),
        ],
    ),
    ("gue_cidr_vip", &[]),
    ("ipip_tpr", &[(15, DESTINATION_PORT, IPIP_SOURCE)]),
    ("gue_tpr", &[(15, DESTINATION_PORT, GUE_SOURCE)]),
    ("gue_udp_stable_routing", &[]),
    ("gue_lpm_src_lookup", &[]),
    (
        "ipip_icmp_toobig",
        &[
            (1, NOT_TOLD, Instead::Dropped),
            (2, TOLD_AT_THE_NEXT, Instead::Dropped),
        ],
    ),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("GUIDEWAY_KATRAN_FIXTURES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: GUIDEWAY_KATRAN_FIXTURES names no folder with Katran's fixtures");
    }
    folder
}

/// Plays every set on a model.
fn hold_against_katran(model: &'static str) {
    let Some(folder) = folder() else { return };
    let mut wrong = Vec::new();
    for (set, differences) in SETS {
        let fixtures = Fixtures::read(&folder, set);
        let ends = play::play(&fixtures, model);
        let before = wrong.len();
        for (case, end) in fixtures.cases.iter().zip(&ends) {
            let name = format!("{set} {}, {:?}", case.number, case.description);
            let listed = differences
                .iter()
                .find(|(number, ..)| *number == case.number);
            let as_katran = is_katrans(case, end);
            match listed {
                None if as_katran => {}
                None => wrong.push(format!("{name}: not as Katran: {}", end.against(case))),
                Some((_, row, _)) if as_katran => wrong.push(format!(
                    "{name}: as Katran, though listed as different ({row})"
                )),
                Some((_, row, instead)) => {
                    if let Err(what) = instead.judge(case, end) {
                        wrong.push(format!(
                            "{name}: not as Katran ({row}), nor {what}: {}",
                            end.against(case)
                        ));
                    }
                }
            }
        }
        println!(
            "{set} on {model}: {} cases, {} in the table of differences, the others Katran's bytes{}",
            ends.len(),
            differences.len(),
            if wrong.len() == before { "" } else { ": NO" },
        );
        for (number, row, _) in differences {
            assert!(
                fixtures.cases.iter().any(|case| case.number == *number),
                "{set} has no case {number}"
            );
            assert!(
                is_row(row),
                "the README's table of differences has no row {row:?}"
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {model}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn each_case_is_katrans_or_stands_in_the_table_by_the_reference_model() {
    hold_against_katran("reference");
}

#[test]
fn each_case_is_katrans_or_stands_in_the_table_by_the_rtl() {
    hold_against_katran("rtl");
}
