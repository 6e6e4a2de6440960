//! Whether a packet's end is Katran's, or the one that stands in the table of differences.

use std::net::IpAddr;

use crate::fixtures::Case;
use crate::play::End;

/// Number of a case, the README's row, and what happens instead.
pub type Difference = (u64, &'static str, Instead);

/// What happens instead of what Katran does.
#[derive(Clone, Copy, Debug)]
pub enum Instead {
    /// Nothing leaves, and the host's network gets nothing.
    Dropped,
    /// The client's packet leaves whole, towards this backend.
    To(&'static str),
    /// Katran's frame leaves, but for bytes in these ranges (the first, and the one behind the last).
    ButFor(&'static [(usize, usize)]),
}

/// Whether the packet ended as Katran ends it: the same frame on the wire, the same frame for the host, or neither.
pub fn is_katrans(case: &Case, end: &End) -> bool {
    let End { sent, to_host } = end;
    match case.verdict.as_str() {
        "XDP_TX" => *sent == [case.output.clone()] && to_host.is_empty(),
        "XDP_PASS" => sent.is_empty() && *to_host == [case.input.clone()],
        "XDP_DROP" => sent.is_empty() && to_host.is_empty(),
        other => panic!("{other} is no verdict"),
    }
}

impl Instead {
    /// Fails with what should have happened.
    pub fn judge(&self, case: &Case, end: &End) -> Result<(), String> {
        let right = match (self, &end.sent[..]) {
            (Self::Dropped, []) => true,
            (Self::To(backend), [frame]) => {
                let (to, inner): (IpAddr, _) = if frame[12..14] == [8, 0] {
                    (<[u8; 4]>::try_from(&frame[30..34]).unwrap().into(), 34)
                } else {
                    (<[u8; 16]>::try_from(&frame[38..54]).unwrap().into(), 54)
                };
                to == backend.parse::<IpAddr>().unwrap()
                    && frame[inner..].ends_with(&case.input[14..])
            }
            (Self::ButFor(ranges), [frame]) => {
                let within = |at| {
                    ranges
                        .iter()
                        .any(|(first, end)| (*first..*end).contains(&at))
                };
                case.verdict == "XDP_TX"
                    && frame.len() == case.output.len()
                    && (0..frame.len()).all(|at| within(at) || frame[at] == case.output[at])
            }
            _ => false,
        };
        if right && end.to_host.is_empty() {
            Ok(())
        } else {
            Err(format!("{self:?}"))
        }
    }
}

impl End {
    /// What happened and what Katran does, in hexadecimal.
    pub fn against(&self, case: &Case) -> String {
        let Self { sent, to_host } = self;
        let (verdict, output) = (&case.verdict, &case.output);
        format!("sent {sent:02x?}, to the host {to_host:02x?}; Katran: {verdict} {output:02x?}")
    }
}

/// Whether the README's table of differences has a row of this name.
pub fn is_row(name: &str) -> bool {
    let readme = include_str!("../../../README.md");
    let table = readme
        .split("\n## ")
        .find(|part| part.starts_with("Where we differ from Katran"));
    let begins = format!("| {name} |");
    table.unwrap().lines().any(|line| line.starts_with(&begins))
}
