//! The table of rates: every encapsulation, frame size and kind of traffic, at the card's own pace and at that of 100G wires.
//!
//! One card an inner family holds all known flows all the time. The packet path is measured without a host: frames come
//! from the wire and leave on it, counters are read between runs.

use guideway_hdl::{tables::MissPolicy, verdict::Disposition};
use guideway_sim::{
    card::{Card, SentFrame, WireFrame},
    harness::{HarnessError, TestHost},
    memory::GuestMemory,
    rtl::{RtlCard, RtlConfig},
};
use serde::Serialize;

use super::runs::SLOT_OF_NO_FLOW;
use super::world::{flow_by, install_all, program_by, set_policy, set_way};
use super::{CLOCK_MHZ, WAYS, Way, beats};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Known flows in the table.
    pub flows: u32,
    /// Cycles that a run lasts, unless it has to see every flow.
    pub cycles: u32,
    /// Frames up to this size see every known flow in a run.
    pub small: usize,
}

impl Scale {
    /// That of the figures.
    pub const FULL: Self = Self {
        flows: 49_152,
        cycles: 40_000,
        small: 128,
    };
}

/// What a 100G wire carries in a cycle: 1280 / 33 bytes.
const LINE: (u64, u64) = (1280, 33);
/// What a frame takes on the wire beside its bytes: preamble, FCS, gap.
const OVERHEAD: usize = 24;

/// A row's frames.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Sizes without FCS, in turn; IPv6 and UDP need 62.
    sizes: &'static [usize],
    /// A 40-byte ACK of IPv4 is 54 bytes, which Ethernet fills up to 60; that of IPv6 is 74.
    ack: bool,
}

const fn sized(name: &'static str, sizes: &'static [usize]) -> Shape {
    Shape {
        name,
        sizes,
        ack: false,
    }
}

/// Every shape.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "ack",
        sizes: &[60],
        ack: true,
    },
    sized("60", &[60]),
    sized("61", &[61]),
    sized("65", &[65]),
    sized("128", &[128]),
    sized("256", &[256]),
    sized("512", &[512]),
    sized("1024", &[1024]),
    sized("1514", &[1514]),
    sized("9000", &[9000]),
    // the simple mix: 7 of 64 bytes on the wire, 4 of 576, 1 of 1518
    sized(
        "imix",
        &[60, 572, 60, 60, 572, 60, 1514, 60, 572, 60, 572, 60],
    ),
];

impl Shape {
    /// Bytes of the frame in turn `i`, and how many of them are padding.
    fn frame(&self, way: &Way, i: u32) -> (usize, usize) {
        match (self.ack, way.inner_ipv6) {
            (true, false) => (60, 6),
            (true, true) => (74, 0),
            _ => (
                self.sizes[i as usize % self.sizes.len()].max(way.least()),
                0,
            ),
        }
    }

    /// The mean over the shape's frames of what `of` says of bytes in, bytes out.
    fn mean(&self, way: &Way, of: impl Fn(usize, usize) -> u64) -> f64 {
        let turns = self.sizes.len() as u32;
        let sum: u64 = (0..turns)
            .map(|i| {
                let (bytes, padding) = self.frame(way, i);
                of(bytes, bytes - padding + way.outer)
            })
            .sum();
        sum as f64 / f64::from(turns)
    }
}

/// What the packets are to the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Of known flows.
    Hit,
    /// The first of their flows, at a VIP that learns.
    Learn,
    /// Of no known flow, at a VIP that does not learn.
    Stateless,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hit, Self::Learn, Self::Stateless];

    const fn policy(self) -> MissPolicy {
        match self {
            Self::Learn => MissPolicy::Learn,
            Self::Hit | Self::Stateless => MissPolicy::Stateless,
        }
    }

    const fn disposition(self) -> Disposition {
        match self {
            Self::Hit => Disposition::ForwardHit,
            Self::Learn | Self::Stateless => Disposition::ForwardRing,
        }
    }

    const fn backend(self, client: u32) -> u16 {
        match self {
            Self::Hit => (client % SLOT_OF_NO_FLOW as u32) as u16,
            Self::Learn | Self::Stateless => SLOT_OF_NO_FLOW,
        }
    }
}

/// One line of the table. Sizes are without FCS; `beats_*` of a mix are means.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// [`Way::name`].
    pub encap: &'static str,
    /// [`Shape`]'s name.
    pub frame: &'static str,
    /// What the packets are.
    pub mode: Mode,
    /// Bytes of the frame that came (a mix: of the first).
    pub bytes: usize,
    /// Beats of a frame in.
    pub beats_in: f64,
    /// Beats of a frame out.
    pub beats_out: f64,
    /// Frames of the run at the card's own pace.
    pub packets: u64,
    /// Sustained.
    pub packets_per_cycle: f64,
    /// The lesser of one packet each `beats_in` and `beats_out` cycles.
    pub limit_per_cycle: f64,
    /// Of the two.
    pub ratio: f64,
    /// At 322.265625 MHz.
    pub mpps: f64,
    /// What a 100G wire carries of the larger frame, in or out.
    pub wire_limit_mpps: f64,
    /// Frames lost of the run at the rate of 100G wires; the same number of frames.
    pub paced_drops: u64,
    /// The longest of that run, first beat in to first beat out: what queued up between the wires.
    pub paced_latency_cycles: u64,
    /// A lone frame (a mix: the first), first beat in to first beat out.
    pub latency_cycles: u64,
    /// The same from the complete window: at most 96, when that decides.
    pub from_window: u64,
    /// The same from the last beat in: at most 12, when that decides.
    pub from_end: u64,
}

/// Measures the table, way by way.
pub struct Rows {
    scale: Scale,
    card: RtlCard,
    family: Option<bool>,
    /// The next client that no flow was ever learned of.
    fresh: u32,
    counted: Vec<u64>,
}

impl Rows {
    /// The ways that the table shows.
    pub fn ways() -> impl Iterator<Item = &'static Way> {
        WAYS.iter().filter(|way| !way.name.starts_with("gre-key"))
    }

    /// A card with empty tables.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            card: RtlCard::new(RtlConfig::default()),
            family: None,
            fresh: scale.flows,
            counted: Vec::new(),
        }
    }

    /// The rows of one way and some shapes, shape by shape, mode by mode; each is given to `done` as it is measured.
    ///
    /// # Errors
    /// When a frame comes out wrong, or went another way than its mode says.
    pub fn measure(
        &mut self,
        way: &Way,
        shapes: &[Shape],
        mut done: impl FnMut(Row),
    ) -> Result<(), HarnessError> {
        self.program(way)?;
        for shape in shapes {
            for mode in Mode::ALL {
                done(self.row(way, shape, mode)?);
            }
        }
        Ok(())
    }

    fn program(&mut self, way: &Way) -> Result<(), HarnessError> {
        if self.family != Some(way.inner_ipv6) {
            *self = Self::new(self.scale);
            self.family = Some(way.inner_ipv6);
            let host = &mut TestHost::new(&mut self.card)?;
            program_by(way, host, 4, &[SLOT_OF_NO_FLOW; 7], MissPolicy::Stateless)?;
            let flows: Vec<_> = (0..self.scale.flows)
                .map(|client| flow_by(way, client, Mode::Hit.backend(client)))
                .collect();
            install_all(host, &flows)?;
        }
        set_way(way, &mut TestHost::new(&mut self.card)?, 4)?;
        self.count()?;
        Ok(())
    }

    fn row(&mut self, way: &Way, shape: &Shape, mode: Mode) -> Result<Row, HarnessError> {
        set_policy(&mut TestHost::new(&mut self.card)?, mode.policy())?;
        let beats_in = shape.mean(way, |bytes, _| beats(bytes));
        let beats_out = shape.mean(way, |_, bytes| beats(bytes));
        let pace = shape.mean(way, |inside, out| beats(inside).max(beats(out)));
        let (bytes, _) = shape.frame(way, 0);
        let turns = shape.sizes.len() as u32;
        let packets = if mode == Mode::Hit && bytes <= self.scale.small && turns == 1 {
            self.scale.flows
        } else {
            let packets = (f64::from(self.scale.cycles) / pace) as u32;
            packets.next_multiple_of(turns) // a mix is whole
        };

        let lone = self.play(way, shape, mode, 1, |_, _| 0)?;
        let first_out = lone.sent[0].first_cycle;
        let sustained = self.play(way, shape, mode, packets, |inside, out| {
            beats(inside).max(beats(out)) * LINE.0
        })?;
        self.card.limit_transmit(true);
        let paced = self.play(way, shape, mode, packets, |inside, out| {
            (inside.max(out).max(60) + OVERHEAD) as u64 * LINE.1
        });
        self.card.limit_transmit(false);
        let paced = paced?;

        let sent = &sustained.sent;
        let cycles = sent.last().map_or(0, |f| f.last_cycle) + 1 - sent[0].first_cycle;
        let packets_per_cycle = sent.len() as f64 / cycles as f64;
        let limit_per_cycle = 1.0 / beats_in.max(beats_out);
        let wire_bytes = shape.mean(way, |inside, out| {
            (inside.max(out).max(60) + OVERHEAD) as u64
        });
        Ok(Row {
            encap: way.name,
            frame: shape.name,
            mode,
            bytes,
            beats_in,
            beats_out,
            packets: sent.len() as u64,
            packets_per_cycle,
            limit_per_cycle,
            ratio: packets_per_cycle / limit_per_cycle,
            mpps: packets_per_cycle * CLOCK_MHZ,
            wire_limit_mpps: 12_500.0 / wire_bytes,
            paced_drops: paced.drops,
            paced_latency_cycles: paced.longest,
            latency_cycles: first_out - lone.first_in,
            from_window: first_out + 1 - lone.first_in - beats(bytes).min(2),
            from_end: first_out + 1 - lone.first_in - beats(bytes),
        })
    }

    /// Sends frames that begin `spacing` (of bytes in and out, in 1/1280 cycles) apart, and looks at each that comes out.
    fn play(
        &mut self,
        way: &Way,
        shape: &Shape,
        mode: Mode,
        packets: u32,
        spacing: impl Fn(usize, usize) -> u64,
    ) -> Result<Play, HarnessError> {
        // every client once, in an order that its flow's place does not follow
        let flows = u64::from(self.scale.flows);
        let client = |i: u32, fresh: u32| match mode {
            Mode::Hit => (u64::from(i) * 20_011 % flows) as u32,
            Mode::Learn => fresh + i,
            Mode::Stateless => 0xff_ffff - i,
        };
        let (mut due, mut begins) = (0, 0);
        let mut begun = Vec::with_capacity(packets as usize);
        for i in 0..packets {
            let (bytes, padding) = shape.frame(way, i);
            due += spacing(bytes, bytes - padding + way.outer);
            let next = u64::max(due.div_ceil(LINE.0), begins + beats(bytes));
            let rest = u32::try_from(next - begins - beats(bytes)).unwrap_or(u32::MAX);
            begun.push(begins);
            begins = next;
            let bytes = way.frame(client(i, self.fresh), bytes, padding);
            let frame = WireFrame {
                bytes,
                error: false,
            };
            self.card.wire_push_spaced(frame, rest);
        }
        let first_in = self.card.cycles();
        let memory = &mut GuestMemory::new(0, 0);
        while !self.card.is_idle() {
            self.card.run(memory, 1 << 16);
        }

        let sent: Vec<SentFrame> = std::iter::from_fn(|| self.card.wire_pop()).collect();
        let wrong = |what: String| Err(HarnessError::Protocol(format!("{}: {what}", way.name)));
        let (mut turn, mut longest) = (0, 0);
        for frame in &sent {
            let inner = frame.bytes.get(14 + way.outer..).unwrap_or_default();
            let whose = way.client(inner);
            // frames leave in the order in which they came; those between two that left were lost
            while turn < packets && client(turn, self.fresh) != whose {
                turn += 1;
            }
            let (bytes, padding) = shape.frame(way, turn);
            let packet = &way.frame(whose, bytes, padding)[..bytes - padding];
            if turn == packets {
                return wrong(format!(
                    "a frame of no client, or out of order: {:02x?}",
                    frame.bytes
                ));
            }
            if let Some(fault) = way.fault(&frame.bytes, packet, mode.backend(whose)) {
                return wrong(format!(
                    "a frame came out with {fault}: {:02x?}",
                    frame.bytes
                ));
            }
            let begun = first_in + begun[turn as usize];
            longest = longest.max(frame.first_cycle - begun);
            turn += 1;
        }
        if mode == Mode::Learn {
            self.fresh += packets;
        }
        let counted = self.count()?;
        let drops = Disposition::ALL.iter().filter(|d| d.is_drop());
        let drops = drops.map(|d| counted[usize::from(d.raw())]).sum::<u64>();
        let as_said = counted[usize::from(mode.disposition().raw())];
        if as_said != sent.len() as u64 || as_said + drops != u64::from(packets) || sent.is_empty()
        {
            return wrong(format!(
                "of {packets} packets {} left, {as_said} as {}, {drops} were lost",
                sent.len(),
                mode.disposition().name()
            ));
        }
        Ok(Play {
            sent,
            drops,
            first_in,
            longest,
        })
    }

    /// What the counters counted since they were read last.
    fn count(&mut self) -> Result<Vec<u64>, HarnessError> {
        let now = TestHost::new(&mut self.card)?.counters()?;
        let before = std::mem::replace(&mut self.counted, now.to_vec());
        let before = before.into_iter().chain(std::iter::repeat(0));
        Ok(now
            .iter()
            .zip(before)
            .map(|(now, before)| now - before)
            .collect())
    }
}

/// What a run gave.
struct Play {
    sent: Vec<SentFrame>,
    drops: u64,
    first_in: u64,
    /// Cycles from a frame's first beat in to its first beat out, at most.
    longest: u64,
}
