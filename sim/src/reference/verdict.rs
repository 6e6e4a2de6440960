//! The decision about one frame (`CARD.md` 2 to 5), pure: tables, configuration and bytes in, decision out.
//!
//! Owns the order of the rows. Admission, which knows queues, is [`super::admit`]'s.

use guideway_hdl::descriptors::RxCompletion;
use guideway_hdl::records::TraceRecord;
use guideway_hdl::tables::{BackendEntry, MissPolicy, SLOT_EMPTY, VipEntry};
use guideway_hdl::verdict::{Disposition, EgressClass};

use super::backend::{assigned_backend, ring_backend};
use super::encap::{encap, outer_bytes};
use super::flow_hash::flow_hash;
use super::flow_lookup::{flow_key, flow_lookup};
use super::learn::NewFlow;
use super::parse::{Parsed, parse};
use super::quic::{quic_key, quic_lookup};
use super::reply::{self, Reply};
use super::ring_lookup::ring_lookup;
use super::tables::FlowPlace;
use super::trace;
use super::vip_lookup::vip_lookup;
use super::{Config, Packet, RingHit, Source, Tables, VipHit};

/// All that the path decides about a frame before admission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it, unless admission drops it.
    pub disposition: Disposition,
    /// Its class at the egress queue, when it is forwarded.
    pub egress_class: EgressClass,
    /// The VIP that counts it.
    pub count_vip: Option<u16>,
    /// The backend that counts it, when it is forwarded.
    pub count_backend: Option<u16>,
    /// Bytes of the inner IP packet, for those counters.
    pub ip_bytes: u64,
    /// A miss that went by the ring because no host was there.
    pub heartbeat_fallback: bool,
    /// Its connection id names a server that has no live entry.
    pub quic_unknown: bool,
    /// The flow entry to mark, and the packet that hit it.
    pub hit: Option<(FlowPlace, Packet)>,
    /// The flow to learn.
    pub learn: Option<NewFlow>,
    /// The frame that leaves on the wire; empty when none does.
    pub output: Vec<u8>,
    /// What the card answers, within its limit.
    pub reply: Option<Reply>,
    /// What the host is told: all but phase, index and timestamp.
    pub record: RxCompletion,
    /// What a trace of it would say: all but what became of it at admission.
    pub view: TraceRecord,
}

impl Decision {
    fn of(disposition: Disposition, frame: &[u8]) -> Self {
        Self {
            disposition,
            egress_class: EgressClass::Raw,
            count_vip: None,
            count_backend: None,
            ip_bytes: 0,
            heartbeat_fallback: false,
            quic_unknown: false,
            hit: None,
            learn: None,
            output: Vec::new(),
            reply: None,
            record: host_record(disposition, frame),
            view: trace::bare(disposition, frame.len()),
        }
    }
}

/// What the host is told of every frame that it gets.
fn host_record(disposition: Disposition, frame: &[u8]) -> RxCompletion {
    RxCompletion {
        disposition: disposition.raw(),
        host_class: disposition.host_class().map_or(0, |class| class.raw()),
        length: u16::try_from(frame.len()).unwrap_or(u16::MAX),
        ..RxCompletion::default()
    }
}

/// What a miss that would be punted finds in its VIP's meter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A token, or no meter.
    Found,
    /// Nothing: it is over meter.
    Missing,
}

/// Decides a frame with the tables as they are, whatever its VIP's meter says.
#[must_use]
pub fn decide(tables: &Tables, config: &Config, frame: &[u8], source: Source) -> Decision {
    decide_with(tables, config, frame, source, Token::Found)
}

/// Decides a frame that [`decide`] would punt, when its VIP's meter has no token for it.
#[must_use]
pub fn decide_over_meter(
    tables: &Tables,
    config: &Config,
    frame: &[u8],
    source: Source,
) -> Decision {
    decide_with(tables, config, frame, source, Token::Missing)
}

fn decide_with(
    tables: &Tables,
    config: &Config,
    frame: &[u8],
    source: Source,
    token: Token,
) -> Decision {
    let packet = match parse(config, frame, source) {
        Parsed::Packet(packet) => packet,
        Parsed::Final(disposition) => {
            let mut decision = Decision::of(disposition, frame);
            if disposition == Disposition::ForwardRaw {
                decision.output = frame.to_vec();
            }
            return decision;
        }
    };
    let mut decision = decide_packet(tables, config, frame, &packet, source, token);
    trace::tell_packet(&mut decision.view, &packet);
    decision.view.decided = decision.disposition.raw();
    decision
}

/// Rows 16 to 18 of section 2, and section 4.
fn decide_packet(
    tables: &Tables,
    config: &Config,
    frame: &[u8],
    packet: &Packet,
    source: Source,
    token: Token,
) -> Decision {
    if let Source::Assign {
        vip,
        backend,
        generation,
        spread,
    } = source
    {
        let to = (vip, backend, generation);
        return assign(tables, config, frame, packet, to, spread);
    }
    if packet.echo {
        return answer_echo(tables, config, frame, packet);
    }
    match vip_lookup(tables, config, packet) {
        Some(hit) => balance(tables, config, frame, packet, hit, token),
        None if packet.icmp_error => Decision::of(Disposition::HostIcmpError, frame),
        None if packet.is_control() => Decision::of(Disposition::HostControl, frame),
        None if config.unmatched_drop => Decision::of(Disposition::DropUnmatched, frame),
        None => Decision::of(Disposition::HostUnmatched, frame),
    }
}

/// An echo request: its VIP's, or the host's.
fn answer_echo(tables: &Tables, config: &Config, frame: &[u8], packet: &Packet) -> Decision {
    let hit = vip_lookup(tables, config, packet);
    let hit = hit.filter(|hit| config.answers_echo && tables.vip(hit.vip).echo);
    let Some(hit) = hit else {
        return Decision::of(Disposition::HostUnsupported, frame);
    };
    let mut decision = Decision::of(Disposition::ForwardEcho, frame);
    decision.egress_class = EgressClass::New;
    decision.count_vip = Some(hit.vip);
    decision.ip_bytes = packet.ip_bytes as u64;
    decision.output = reply::echo(frame, packet);
    decision.reply = Some(Reply::Echo);
    trace::tell_vip(&mut decision.view, hit.vip);
    decision
}

/// Rows 1 and 2 of section 4.
fn assign(
    tables: &Tables,
    config: &Config,
    frame: &[u8],
    packet: &Packet,
    (vip, backend, generation): (u16, u16, u8),
    spread: u8,
) -> Decision {
    let entry = match assigned_backend(tables, vip, backend, generation) {
        Ok(entry) => entry,
        Err(disposition) => return Decision::of(disposition, frame),
    };
    let mut decision = Decision::of(Disposition::ForwardInject, frame);
    decision.egress_class = EgressClass::New;
    trace::tell_vip(&mut decision.view, vip);
    let to = Target {
        index: backend,
        entry,
        vip: tables.vip(vip),
        told: false,
        hosted: hosts_too_big(config, &tables.vip(vip), packet).then_some(vip),
        hash: u32::from(spread) << 24,
    };
    forward(&mut decision, tables, config, frame, packet, &to);
    decision
}

/// Rows 3 to 7 of section 4.
fn balance(
    tables: &Tables,
    config: &Config,
    frame: &[u8],
    packet: &Packet,
    hit: VipHit,
    token: Token,
) -> Decision {
    let vip = tables.vip(hit.vip);
    let pool = tables.pool(vip.pool);
    let hash = flow_hash(packet, &vip, hit);
    let ring = ring_lookup(tables, &pool, hash);
    let flow = flow_lookup(tables, config, packet, hit.vip);
    let punts = vip.miss_policy == MissPolicy::Punt.raw() && !config.compute_only;

    let told = config.tells_too_big
        && packet.dont_fragment
        && !packet.icmp_error
        && reply::is_host(packet.source);
    let hosted = hosts_too_big(config, &vip, packet).then_some(hit.vip);
    let target = |index, entry| Target {
        index,
        entry,
        vip,
        told,
        hosted,
        hash,
    };
    let by_ring = match token {
        Token::Found => Disposition::ForwardRing,
        Token::Missing => Disposition::ForwardOverMeter,
    };
    let server = quic_key(config, &vip, packet);
    let by_id = server.and_then(|key| quic_lookup(tables, config, &key));
    let live = flow.filter(|flow| !flow.set_aside);
    let by_flow = live.and_then(|flow| Some((flow, flow.live?)));
    let (disposition, to) = match (by_id, by_flow) {
        (Some((index, entry)), _) => (Disposition::ForwardQuic, Some(target(index, entry))),
        (None, Some((flow, entry))) => (
            Disposition::ForwardHit,
            Some(target(flow.record.backend, entry)),
        ),
        (None, None) if punts && config.host_alive && token == Token::Found => {
            let disposition = if packet.icmp_error {
                Disposition::HostIcmpError
            } else {
                Disposition::HostPunt
            };
            (disposition, None)
        }
        (None, None) => match ring_backend(tables, ring) {
            Ok(entry) => (by_ring, Some(target(ring.backend, entry))),
            Err(disposition) => (disposition, None),
        },
    };

    let mut decision = Decision::of(disposition, frame);
    decision.count_vip = Some(hit.vip);
    decision.ip_bytes = packet.ip_bytes as u64;
    decision.heartbeat_fallback = punts && disposition == Disposition::ForwardRing;
    decision.quic_unknown = server.is_some() && by_id.is_none();
    decision.egress_class = match disposition {
        Disposition::ForwardHit | Disposition::ForwardQuic => EgressClass::Hit,
        Disposition::ForwardOverMeter => EgressClass::OverMeter,
        _ => EgressClass::New,
    };
    let flow_backend = flow.map_or(SLOT_EMPTY, |flow| flow.record.backend);
    let stale = flow.is_some_and(|flow| flow.live.is_none());
    decision.record = RxCompletion {
        flow_found: flow.is_some(),
        flow_stale: stale,
        flow_backend,
        flow_hash: hash,
        pool: vip.pool,
        ..explain(decision.record, packet, hit, ring)
    };
    trace::tell_vip(&mut decision.view, hit.vip);
    trace::tell_lookups(&mut decision.view, hit, flow.as_ref(), ring);
    decision.view.over_meter = token == Token::Missing;
    decision.view.quic_named = server.is_some();
    decision.view.quic_live = by_id.is_some();
    if let Some(to) = to {
        forward(&mut decision, tables, config, frame, packet, &to);
    }
    // A packet that the host sends in fragments is one of its flow all the same.
    let row = match decision.disposition {
        Disposition::HostTooBig => disposition,
        other => other,
    };
    if row == Disposition::ForwardHit && !packet.icmp_error {
        decision.hit = flow.map(|flow| (flow.place, *packet));
    }
    let learns = punts || vip.miss_policy == MissPolicy::Learn.raw() && !config.compute_only;
    let by_ring = matches!(
        row,
        Disposition::ForwardRing | Disposition::ForwardOverMeter
    );
    if by_ring && learns && !packet.rst && !packet.icmp_error {
        decision.learn = tables.backend(ring.backend).map(|entry| NewFlow {
            key: flow_key(packet, hit.vip),
            backend: ring.backend,
            generation: entry.generation,
            found: flow.map(|flow| flow.place),
        });
        decision.view.learns = decision.learn.is_some();
    }
    decision
}

/// The completion's fields that packet, VIP and ring give.
fn explain(record: RxCompletion, packet: &Packet, hit: VipHit, ring: RingHit) -> RxCompletion {
    RxCompletion {
        vip_valid: true,
        any_port: hit.any_port,
        syn: packet.syn,
        fin: packet.fin,
        rst: packet.rst,
        ipv6: packet.is_ipv6(),
        vip: hit.vip,
        protocol: packet.protocol,
        ring_index: ring.index,
        ring_backend: ring.backend,
        source: packet.source_value(),
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        ..record
    }
}

/// Where a packet is sent.
struct Target {
    index: u16,
    entry: BackendEntry,
    vip: VipEntry,
    /// The client is told of a packet that is too big.
    told: bool,
    /// The host sends it in fragments, for this VIP.
    hosted: Option<u16>,
    /// Its flow's hash.
    hash: u32,
}

/// Whether a packet that is too big is the host's to send, in outer fragments.
fn hosts_too_big(config: &Config, vip: &VipEntry, packet: &Packet) -> bool {
    vip.fragment_too_big && config.host_alive && !packet.is_ipv6() && !packet.dont_fragment
}

/// Builds the frame that leaves, or drops what the encapsulation cannot carry.
fn forward(
    decision: &mut Decision,
    tables: &Tables,
    config: &Config,
    frame: &[u8],
    packet: &Packet,
    to: &Target,
) {
    decision.ip_bytes = packet.ip_bytes as u64;
    let hops = u32::from(to.entry.more_next_hops) + 1;
    let spread = ((to.hash >> 24) * hops / 256) as u8;
    let hop = to.entry.next_hop.wrapping_add(spread);
    let next_hop = tables.next_hop(hop);
    decision.view.backend = to.index;
    decision.view.encap = to.entry.encap;
    decision.view.next_hop = hop & 0x3f;
    let before = 14 + packet.tags.as_bytes().len();
    let inner = frame.get(before..before + packet.ip_bytes);
    let inner = inner.unwrap_or_default();
    match encap(config, packet, inner, &to.vip, &to.entry, &next_hop) {
        Ok(header) => {
            decision.count_backend = Some(to.index);
            decision.output = header;
            decision.output.extend(inner);
        }
        Err(Disposition::DropTooBig) if to.told => {
            let mtu = usize::from(to.vip.mtu).saturating_sub(outer_bytes(&to.entry));
            decision.disposition = Disposition::ForwardTooBig;
            decision.egress_class = EgressClass::New;
            decision.output = reply::too_big(frame, packet, mtu);
            decision.reply = Some(Reply::TooBig);
        }
        Err(dropped) => {
            let hosted = to.hosted.filter(|_| dropped == Disposition::DropTooBig);
            decision.disposition = hosted.map_or(dropped, |_| Disposition::HostTooBig);
            decision.record = host_record(decision.disposition, frame);
            if let Some(vip) = hosted {
                decision.record.vip_valid = true;
                decision.record.vip = vip;
                decision.record.ring_backend = to.index;
                decision.record.generation = to.entry.generation;
                decision.record.flow_hash = to.hash & 0xff00_0000;
            }
        }
    }
}
