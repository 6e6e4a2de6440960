//! What a card made of a scenario, and how the answers of two cards differ.
//!
//! Owns what may differ: cycles, and what `CARD.md` leaves open (the completion's fields without `vip_valid`, stamps when a
//! frame's end was bad, traces of such frames, what packets close together ask of an unconfirmed flow).

use guideway_hdl::CARD_RESET_KEY;
use guideway_hdl::descriptors::{Command, RxCompletion, TxDescriptor, TxOp};
use guideway_hdl::records::{FlowEventRecord, TraceRecord};
use guideway_hdl::tables::{CounterEntry, FlowKey, FlowRecord, Table};
use guideway_hdl::verdict::{Disposition, PortCounter};

use super::records::{RECORDS_LOG2, Told};
use super::scenario::{Scenario, Step};
use super::tables::{conserved, key_of};
use super::{HarnessError, Received, TestHost};
use crate::card::Card;
use crate::registers::core as at;

/// Everything that can be seen of a card after a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Frames that left on the wire, in order, with the step that they belong to.
    pub sent: Vec<(usize, Vec<u8>)>,
    /// Frames that the host got, with the step that they belong to.
    pub received: Vec<(usize, Received)>,
    /// Status codes of transmissions and flow commands.
    pub transmissions: Vec<u8>,
    /// All counters at the end.
    pub counters: Counters,
    /// All counters as they were when they were last held, if they still are at the end.
    pub held: Option<Counters>,
    /// What is at the places that the host wrote, by index in the table.
    pub flows: Vec<(usize, FlowRecord)>,
    /// The card's CRC over all flows, where the world learns: they are the same at every place.
    pub flow_digest: Option<u32>,
    /// Punts that the host has not ended.
    pub punts_outstanding: u32,
    /// Traces, then flow events, without their cycles and numbers, with the step that they belong to.
    pub records: [Vec<(usize, Told)>; 2],
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Counters of the port by number, without cycles.
    pub port: Vec<u64>,
    /// Counters of VIPs.
    pub vips: Vec<CounterEntry>,
    /// Counters of VIPs' misses over their meters.
    pub over_meter: Vec<CounterEntry>,
    /// Counters of backends.
    pub backends: Vec<CounterEntry>,
}

/// Card time at which every scenario starts.
const START_US: u64 = 10_000;

/// Plays a scenario on a card that is at power on or was reset.
///
/// # Errors
/// When the card stops answering, or breaks its contract with the host.
pub fn play(card: &mut dyn Card, scenario: &Scenario) -> Result<Outcome, HarnessError> {
    let mut host = TestHost::new(card)?;
    let mut places = program(&mut host, scenario)?;
    let mut sent = Vec::new();
    let mut received = Vec::new();
    let mut transmissions = Vec::new();
    let mut records = [Vec::new(), Vec::new()];
    host.start_records(RECORDS_LOG2)?;
    if let Some(filter) = &scenario.traces {
        host.trace(filter);
    }
    for (number, step) in scenario.steps.iter().enumerate() {
        transmissions.extend(take(&mut host, scenario, step)?);
        if let Step::Flow(command) = step {
            places.extend(places_of(&host, command));
        }
        if scenario.is_metered() && matches!(step, Step::Time(_) | Step::Vip(..)) {
            host.settle_meters()?;
        }
        host.settle()?;
        sent.extend(host.take_sent().into_iter().map(|frame| (number, frame)));
        let frames = host.receive()?;
        received.extend(frames.into_iter().map(|frame| (number, open(frame))));
        for told in host.take_records()? {
            if let Some((kind, told)) = comparable(told, scenario) {
                records[kind].push((number, told));
            }
        }
    }
    host.settle()?;
    let held = match host.are_counters_held() {
        true => Some(Counters::read(&mut host)?),
        false => None,
    };
    host.release_counters();
    Ok(Outcome {
        sent,
        received,
        transmissions,
        held,
        counters: Counters::read(&mut host)?,
        flows: flows(&mut host, &places, scenario)?,
        flow_digest: match scenario.world.learns() {
            true => Some(host.digest(Table::Flow, 0, Table::Flow.entries())?),
            false => None,
        },
        punts_outstanding: host.card.punts_outstanding(),
        records,
    })
}

/// Writes a scenario's registers and tables to a card that was just reset. Returns the indices of its flows.
fn program(host: &mut TestHost<'_>, scenario: &Scenario) -> Result<Vec<usize>, HarnessError> {
    // cards may have counted some time while they cleared their tables: all start from the same
    let early = u64::from(host.read(at::TIME_US_LOW));
    host.pass_time(START_US.saturating_sub(early))?;
    let mac = scenario.mac;
    let high = u32::from(mac[0]) << 8 | u32::from(mac[1]);
    host.write(
        at::MAC_LOW,
        u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]),
    );
    host.write(at::MAC_HIGH, high | u32::from(scenario.mac_filter) << 16);
    host.write(at::IPIP_SOURCE_V4, scenario.ipip_source_v4);
    host.write(at::SOURCE_V4, scenario.source_v4);
    host.write_wide(at::IPIP_SOURCE_V6, scenario.ipip_source_v6);
    host.write_wide(at::SOURCE_V6, scenario.source_v6);
    if scenario.gue_port != 6080 {
        host.write(at::GUE_PORT, scenario.gue_port.into()); // else it is what it is at power on
    }
    host.write(at::QUIC_LB, scenario.quic_lb);
    for (register, limit) in [at::ICMP_LIMIT, at::ICMP_LIMIT + 4]
        .into_iter()
        .zip(scenario.icmp_limit)
    {
        host.write(register, limit);
    }
    host.set_secrets(scenario.secrets);
    for (index, next_hop) in (0u8..).zip(&scenario.next_hops) {
        host.set_next_hop(index, next_hop)?;
    }
    for (backend, entry) in &scenario.backends {
        host.set_backend(*backend, entry)?;
    }
    for plan in &scenario.pools {
        if !plan.slots.is_empty() {
            host.set_ring(plan.base, &plan.slots)?;
        }
        let size = u32::try_from(plan.slots.len()).unwrap_or(0);
        host.set_pool(plan.pool, plan.base, size)?;
    }
    for plan in &scenario.vips {
        host.set_vip(plan.vip, &plan.entry)?;
        for key in plan.keys.iter().chain(&plan.ping) {
            host.add_match(key)?;
        }
    }
    for (bank, entry) in &scenario.quic_ids {
        host.set_quic_id(*bank, entry)?;
    }
    for (index, prefix) in &scenario.prefixes {
        host.set_prefix(*index, prefix)?;
    }
    let mut places = Vec::new();
    for plan in &scenario.flows {
        let (bank, way) = host.install(&plan.record, plan.bank, plan.way)?;
        places.push(host.flow_place(&key_of(&plan.record), bank, way));
    }
    host.settle_meters()?;
    Ok(places)
}

/// Where a flow command reads and writes.
fn places_of(host: &TestHost<'_>, command: &Command) -> [usize; 2] {
    let key = FlowKey {
        destination_port: command.destination_port,
        source_port: command.source_port,
        source: command.source,
        vip: command.vip,
    };
    [
        host.flow_place(&key, command.bank, command.way),
        host.flow_place(&key, command.to_bank, command.to_way),
    ]
}

/// Does one step; a transmission's or flow command's status.
fn take(
    host: &mut TestHost<'_>,
    scenario: &Scenario,
    step: &Step,
) -> Result<Option<u8>, HarnessError> {
    match step {
        Step::Wire(frames) => {
            for (bytes, error) in frames {
                host.push(bytes.clone(), *error);
            }
        }
        Step::Inject {
            op,
            vip,
            backend,
            generation,
            spread,
            ends_punt,
            bytes,
        } => {
            let descriptor = TxDescriptor {
                op: op.raw(),
                vip: *vip,
                backend: *backend,
                generation: *generation,
                spread: *spread,
                ends_punt: *ends_punt,
                ..TxDescriptor::default()
            };
            return Ok(Some(host.transmit(descriptor, bytes)?.status));
        }
        Step::Release => {
            let release = TxDescriptor {
                op: TxOp::Release.raw(),
                ends_punt: true,
                ..TxDescriptor::default()
            };
            return Ok(Some(host.transmit_as_is(release)?.status));
        }
        Step::Time(micros) => host.pass_time(*micros)?,
        Step::Heartbeat(micros) => host.write(at::HEARTBEAT, *micros),
        Step::NextHop(number, entry) => host.set_next_hop(*number, entry)?,
        Step::Backend(backend, entry) => host.set_backend(*backend, entry)?,
        Step::Vip(vip, entry) => host.set_vip(*vip, entry)?,
        Step::Key(key) => host.change_match(key)?,
        Step::Quic(bank, entry) => host.set_quic_id(*bank, entry)?,
        Step::Prefix(index, prefix) => host.set_prefix(*index, prefix)?,
        Step::Control(value) => {
            host.write(at::CONTROL, *value);
            if value & at::COUNTERS_HOLD != 0 {
                host.wait("the counters to be held", |host| {
                    Ok(host.are_counters_held())
                })?;
            }
        }
        Step::Thresholds(beats) => {
            for (register, beats) in (at::EGRESS_THRESHOLD..).step_by(4).zip(beats) {
                host.write(register, *beats);
            }
        }
        Step::Ring(plan) => {
            if !plan.slots.is_empty() {
                host.set_ring(plan.base, &plan.slots)?;
            }
            let size = u32::try_from(plan.slots.len()).unwrap_or(0);
            host.set_pool(plan.pool, plan.base, size)?;
        }
        Step::Flow(command) => return Ok(Some(host.command(*command)?.status)),
        Step::HostReset => {
            host.card.host_reset(&mut host.memory);
            host.attach()?;
        }
        Step::CardReset => {
            host.write(at::CARD_RESET, CARD_RESET_KEY);
            host.attach()?;
            program(host, scenario)?;
        }
    }
    Ok(None)
}

/// A record's kind, and what of it two cards must agree on; nothing of a frame that its end may have dropped.
fn comparable(told: Told, scenario: &Scenario) -> Option<(usize, Told)> {
    match told {
        Told::Trace(trace) => {
            let by_its_end = [
                Disposition::DropRxError,
                Disposition::DropOversize,
                Disposition::DropRunt,
                Disposition::DropIpv4Malformed,
                Disposition::DropIpv6Malformed,
                Disposition::DropInjectInvalid, // what a lie of an inject's lengths is called
            ];
            let comparable = TraceRecord {
                phase: false,
                sequence_number: 0,
                cycle: 0,
                window_cycles: 0,
                end_cycles: 0,
                // packets close together do not see each other's confirmation
                flow_confirmed: trace.flow_confirmed && scenario.world.learns() && scenario.honest,
                ..trace
            };
            let open = by_its_end.iter().any(|end| end.raw() == trace.disposition);
            (!open).then_some((0, Told::Trace(comparable)))
        }
        Told::FlowEvent(event) => {
            let comparable = FlowEventRecord {
                phase: false,
                sequence_number: 0,
                ..event
            };
            Some((1, Told::FlowEvent(comparable)))
        }
    }
}

/// Zeroes the completion's fields that mean nothing.
fn open(mut frame: Received) -> Received {
    let record = frame.record;
    if !record.vip_valid {
        frame.record = RxCompletion {
            phase: record.phase,
            disposition: record.disposition,
            host_class: record.host_class,
            index: record.index,
            length: record.length,
            error: record.error,
            timestamp: record.timestamp,
            ..RxCompletion::default()
        };
    }
    frame
}

fn flows(
    host: &mut TestHost<'_>,
    places: &[usize],
    scenario: &Scenario,
) -> Result<Vec<(usize, FlowRecord)>, HarnessError> {
    let unconfirmed = if scenario.world.learns() {
        Vec::new()
    } else {
        scenario.unconfirmed_keys()
    };
    let mut flows = Vec::with_capacity(places.len());
    for place in places {
        let entry = host.dump(Table::Flow, *place, 1)?;
        let bytes = std::array::from_fn(|i| entry[0][i]);
        let mut record = FlowRecord::from_bytes(&bytes);
        // the second of two packets close together finds the entry unconfirmed, and its confirmation is refused, FIN and RST with it
        if unconfirmed.contains(&key_of(&record)) {
            record.fin = false;
            record.rst = false;
        }
        if !scenario.honest {
            // a frame that its end drops may have marked and confirmed its flow (`CARD.md` 4)
            record.last_seen = 0;
            record.fin = false;
            record.rst = false;
            record.confirmed = false;
            record.ecc = 0;
        }
        flows.push((*place, record));
    }
    Ok(flows)
}

impl Outcome {
    /// The first difference between two outcomes of one scenario, in words.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        list("frame sent", &self.sent, &other.sent)
            .or_else(|| list("frame received", &self.received, &other.received))
            .or_else(|| list("transmission", &self.transmissions, &other.transmissions))
            .or_else(|| self.counters.difference(&other.counters))
            .or_else(|| match (&self.held, &other.held) {
                (Some(mine), Some(theirs)) => {
                    let difference = mine.difference(theirs)?;
                    Some(format!("while held: {difference}"))
                }
                (None, None) => None,
                _ => Some("only one holds its counters".into()),
            })
            .or_else(|| list("flow", &self.flows, &other.flows))
            .or_else(|| {
                let (mine, theirs) = (self.flow_digest, other.flow_digest);
                (mine != theirs).then(|| format!("digest of all flows: {mine:x?} and {theirs:x?}"))
            })
            .or_else(|| {
                let (mine, theirs) = (self.punts_outstanding, other.punts_outstanding);
                (mine != theirs).then(|| format!("punts outstanding: {mine} and {theirs}"))
            })
            .or_else(|| list("trace", &self.records[0], &other.records[0]))
            .or_else(|| list("flow event", &self.records[1], &other.records[1]))
    }

    /// How many frames ended in a disposition.
    #[must_use]
    pub fn count(&self, disposition: Disposition) -> u64 {
        let number = usize::from(disposition.raw());
        self.counters.port.get(number).copied().unwrap_or(0)
    }
}

impl Counters {
    /// Reads all of a card that is idle, and checks that every frame is accounted for.
    fn read(host: &mut TestHost<'_>) -> Result<Self, HarnessError> {
        let mut port = host.counters()?;
        conserved(&port)?;
        port[usize::from(PortCounter::Cycles.raw())] = 0;
        Ok(Self {
            port,
            vips: host.table_counters(Table::VipCounter)?,
            over_meter: host.table_counters(Table::VipOverMeter)?,
            backends: host.table_counters(Table::BackendCounter)?,
        })
    }

    fn difference(&self, other: &Self) -> Option<String> {
        let named = |counters: &[u64]| -> Vec<(&'static str, u64)> {
            counters
                .iter()
                .enumerate()
                .map(|(number, count)| (counter_name(number), *count))
                .collect()
        };
        list("counter", &named(&self.port), &named(&other.port))
            .or_else(|| list("VIP counter", &self.vips, &other.vips))
            .or_else(|| list("over meter", &self.over_meter, &other.over_meter))
            .or_else(|| list("backend counter", &self.backends, &other.backends))
    }
}

fn counter_name(number: usize) -> &'static str {
    let Ok(raw) = u8::try_from(number) else {
        return "unknown";
    };
    Disposition::from_raw(raw)
        .map(Disposition::name)
        .or_else(|| PortCounter::from_raw(raw).map(PortCounter::name))
        .unwrap_or("reserved")
}

fn list<T: PartialEq + std::fmt::Debug>(what: &str, mine: &[T], theirs: &[T]) -> Option<String> {
    for (i, (one, other)) in mine.iter().zip(theirs).enumerate() {
        if one != other {
            return Some(format!("{what} {i}:\n  {one:02x?}\n  {other:02x?}"));
        }
    }
    let (one, other) = (mine.len(), theirs.len());
    (one != other).then(|| format!("{one} and {other} of: {what}"))
}
