//! What `CARD.md` 2 says of a malformed frame by the way it was made: an oracle that reads no frame.
//!
//! Owns cuts, lengths that say too much, nested tags and chains. A flipped byte can mean anything: of those the two models
//! only have to agree.

use guideway_hdl::verdict::Disposition as D;

use super::frames::{Case, Change, FRAGMENT, ICMPV6, Kind, Seed, TCP, UDP};

/// The window.
const WINDOW: usize = 128;
/// Extension headers that are walked.
const WALKED: usize = 3;
/// Tags that count.
const TAGS: usize = 2;

/// The frame's disposition on the wire, where the way it was made tells it.
pub fn disposition(seed: &Seed, case: &Case) -> Option<D> {
    match &case.change {
        Change::Whole => Some(seed.whole),
        Change::Cut(bytes) => Some(cut(seed, *bytes)),
        Change::Flipped { .. } => None,
        Change::Length { at, says } => length(seed, *at, usize::from(*says)),
        Change::Byte { at, says } => first_byte(seed, *at, *says),
        Change::Tags { tags, bytes } => tagged(seed, tags.len(), *bytes, case),
        Change::Chain {
            tags,
            numbers,
            sizes,
        } => Some(chain(*tags, numbers, sizes)),
    }
}

/// The disposition of the same frame as an ASSIGN to a backend that is up.
pub const fn assigned(on_the_wire: D) -> D {
    match on_the_wire {
        D::DropRunt => D::DropRunt,
        D::ForwardHit | D::ForwardRing | D::HostPunt => D::ForwardInject,
        // what the host was given it may send on
        D::HostFragment | D::HostIcmpError => D::ForwardInject,
        // the bench assigns to another VIP
        D::ForwardTooBig => D::ForwardInject,
        _ => D::DropInjectInvalid,
    }
}

const fn malformed(kind: Kind) -> D {
    match kind {
        Kind::Ipv4 => D::DropIpv4Malformed,
        Kind::Ipv6 => D::DropIpv6Malformed,
        Kind::Arp => D::HostControl,
    }
}

fn is_group(seed: &Seed) -> bool {
    seed.frame[0] & 1 == 1
}

/// Rows 3, 6, 7, 9 and 10: a packet never fits a frame that was cut.
fn cut(seed: &Seed, bytes: usize) -> D {
    match bytes {
        0..14 => D::DropRunt,
        _ if is_group(seed) && bytes < 62 + seed.tags => D::HostGroup,
        _ if is_group(seed) => D::HostControl,
        _ if bytes < 14 + seed.tags => D::HostUnsupported,
        _ => malformed(seed.kind),
    }
}

/// Row 10: more than there is, or less than IPv4's header.
fn length(seed: &Seed, at: usize, says: usize) -> Option<D> {
    let ip = 14 + seed.tags;
    let (field, least, most) = match seed.kind {
        Kind::Ipv4 => {
            let header = usize::from(seed.frame[ip] & 15) * 4;
            (ip + 2, header, seed.frame.len() - ip)
        }
        _ => (ip + 4, 0, seed.frame.len() - ip - 40),
    };
    if at != field {
        // UDP's own length is not looked at
        return Some(seed.whole);
    }
    if is_group(seed) {
        return Some(D::HostControl);
    }
    (says > most || says < least).then(|| malformed(seed.kind))
}

/// Row 10: the version, and IPv4's header length.
fn first_byte(seed: &Seed, at: usize, says: u8) -> Option<D> {
    let ip = 14 + seed.tags;
    if at != ip || is_group(seed) {
        return None;
    }
    let (version, header) = (says >> 4, usize::from(says & 15) * 4);
    let wrong = match seed.kind {
        Kind::Ipv4 => version != 4 || header < 20 || header > seed.frame.len() - ip,
        _ => version != 6,
    };
    wrong.then(|| malformed(seed.kind))
}

/// Rows 3, 8 to 10: what was cut, and what lies behind too many tags.
fn tagged(seed: &Seed, tags: usize, bytes: usize, case: &Case) -> Option<D> {
    let counted = tags.min(TAGS).min(bytes.saturating_sub(14) / 4);
    Some(match bytes {
        0..14 => D::DropRunt,
        _ if counted < tags => D::HostUnsupported,
        _ if bytes == seed.frame.len() + 4 * tags => seed.whole,
        _ => {
            assert!(case.frame.len() == bytes, "a case's own length");
            malformed(seed.kind)
        }
    })
}

/// The walk, by the headers' sizes.
fn chain(tags: usize, numbers: &[u8], sizes: &[usize]) -> D {
    let mut at = 54 + 4 * tags;
    for (walked, bytes) in sizes.iter().enumerate() {
        if walked == WALKED || at + 8 > WINDOW {
            return D::HostUnsupported;
        }
        at += bytes;
    }
    let fits = |header: usize| at + header <= WINDOW;
    match numbers.last() {
        Some(&FRAGMENT) => D::HostFragment,
        Some(&TCP) if fits(20) => D::ForwardRing,
        Some(&UDP) if fits(8) => D::HostPunt,
        Some(&ICMPV6) if sizes.is_empty() && fits(8) => D::ForwardEcho,
        Some(&ICMPV6) => D::HostUnsupported, // an echo
        _ => D::HostUnsupported,
    }
}
