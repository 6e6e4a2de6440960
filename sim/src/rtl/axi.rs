//! Host memory behind the card's AXI4 master, as a PCIe bridge shows it: with delays, with answers of different IDs out of
//! order, with error answers for what is not mapped. Within one ID everything keeps its order.

use super::{Dice, DmaTiming};
use crate::card::HostMemory;
use guideway_rtl_model::{Inputs, Outputs};
use std::collections::VecDeque;

const BEAT: u64 = 64;
const OKAY: u8 = 0;
const SLVERR: u8 = 2;
/// Bursts that the bridge holds in each direction before it stops taking more.
const OUTSTANDING: usize = 64;

#[derive(Debug)]
struct ReadBurst {
    id: u8,
    address: u64,
    beats: u32,
    due: u64,
}

#[derive(Debug)]
struct WriteBurst {
    id: u8,
    address: u64,
    beats: u32,
    data: Vec<([u32; 16], u64)>,
    due: u64,
    whole: bool,
}

/// The bridge's memory side.
#[derive(Debug)]
pub(super) struct Bridge {
    dice: Dice,
    timing: DmaTiming,
    reads: VecDeque<ReadBurst>,
    /// The burst that is being answered: ID, its beats, the answer code.
    answering: Option<(u8, VecDeque<[u32; 16]>, u8)>,
    writes: VecDeque<WriteBurst>,
    /// Bursts of `writes` whose data has come.
    written: usize,
    write_answers: VecDeque<(u8, u8)>,
    /// What stands on the R and B channels has not been taken yet: it must stay.
    r_shown: bool,
    b_shown: bool,
}

impl Bridge {
    pub(super) fn new(seed: u64, timing: DmaTiming) -> Self {
        Self {
            dice: Dice(seed ^ 0x5bd1_e995),
            timing,
            reads: VecDeque::new(),
            answering: None,
            writes: VecDeque::new(),
            written: 0,
            write_answers: VecDeque::new(),
            r_shown: false,
            b_shown: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.reads.is_empty()
            && self.answering.is_none()
            && self.writes.is_empty()
            && self.write_answers.is_empty()
    }

    /// Before the cycle: what the bridge drives.
    #[inline]
    pub(super) fn drive(&mut self, inputs: &mut Inputs, memory: &mut dyn HostMemory, cycle: u64) {
        let stall = self.timing.stall_percent;
        inputs.ar_ready = u8::from(self.reads.len() < OUTSTANDING && !self.dice.percent(stall));
        inputs.aw_ready = u8::from(self.writes.len() < OUTSTANDING && !self.dice.percent(stall));
        inputs.w_ready = u8::from(self.written < self.writes.len() && !self.dice.percent(stall));
        if !self.reads.is_empty() && self.answering.is_none() {
            self.answer_read(memory, cycle);
        }
        if !self.r_shown
            && !self.dice.percent(stall)
            && let Some((id, beats, code)) = &self.answering
        {
            self.r_shown = true;
            inputs.r_id = *id;
            inputs.r_resp = *code;
            inputs.r_data = beats[0];
            inputs.r_last = u8::from(beats.len() == 1);
        }
        inputs.r_valid = u8::from(self.r_shown);
        if !self.writes.is_empty() {
            self.perform_write(memory, cycle);
        }
        if !self.b_shown
            && !self.dice.percent(stall)
            && let Some((id, code)) = self.write_answers.front()
        {
            self.b_shown = true;
            inputs.b_id = *id;
            inputs.b_resp = *code;
        }
        inputs.b_valid = u8::from(self.b_shown);
    }

    /// After the cycle: what was handed over.
    #[inline]
    pub(super) fn collect(&mut self, inputs: &Inputs, outputs: &Outputs, cycle: u64) {
        if outputs.ar_valid & inputs.ar_ready == 1 {
            let burst = ReadBurst {
                id: outputs.ar_id,
                address: outputs.ar_addr,
                beats: u32::from(outputs.ar_len) + 1,
                due: cycle + u64::from(self.dice.within(&self.timing.latency)),
            };
            assert_burst("read", burst.address, burst.beats, inputs);
            self.reads.push_back(burst);
        }
        if outputs.aw_valid & inputs.aw_ready == 1 {
            let beats = u32::from(outputs.aw_len) + 1;
            assert_burst("write", outputs.aw_addr, beats, inputs);
            let due = cycle + u64::from(self.dice.within(&self.timing.latency));
            let data = Vec::with_capacity(beats as usize);
            self.writes.push_back(WriteBurst {
                id: outputs.aw_id,
                address: outputs.aw_addr,
                beats,
                data,
                due,
                whole: false,
            });
        }
        if outputs.w_valid & inputs.w_ready == 1 {
            let burst = &mut self.writes[self.written];
            burst.data.push((outputs.w_data, outputs.w_strb));
            burst.whole = burst.data.len() == burst.beats as usize;
            assert_eq!(
                outputs.w_last == 1,
                burst.whole,
                "m_axi_dma_wlast does not fit its burst"
            );
            self.written += usize::from(burst.whole);
        }
        if inputs.r_valid & outputs.r_ready == 1 {
            self.r_shown = false;
            if let Some((_, beats, _)) = &mut self.answering {
                beats.pop_front();
                if beats.is_empty() {
                    self.answering = None;
                }
            }
        }
        if inputs.b_valid & outputs.b_ready == 1 {
            self.b_shown = false;
            self.write_answers.pop_front();
        }
    }

    /// Chooses a due burst: the oldest of its ID; of several IDs any, when the bridge reorders.
    fn choose(
        &mut self,
        due: impl Fn(usize) -> bool,
        id: impl Fn(usize) -> u8,
        count: usize,
    ) -> Option<usize> {
        let mut seen = 0u16;
        let mut ready = Vec::new();
        for i in 0..count {
            let bit = 1 << id(i);
            if seen & bit == 0 && due(i) {
                ready.push(i);
                if !self.timing.reorder {
                    break;
                }
            }
            seen |= bit;
            if !self.timing.reorder {
                break;
            }
        }
        match ready.len() {
            0 => None,
            1 => Some(ready[0]),
            n => usize::try_from(self.dice.next() % n as u64)
                .ok()
                .map(|i| ready[i]),
        }
    }

    fn answer_read(&mut self, memory: &mut dyn HostMemory, cycle: u64) {
        let reads = std::mem::take(&mut self.reads);
        let chosen = self.choose(|i| reads[i].due <= cycle, |i| reads[i].id, reads.len());
        self.reads = reads;
        let Some(burst) = chosen.and_then(|i| self.reads.remove(i)) else {
            return;
        };
        let aligned = burst.address & !(BEAT - 1);
        let mut bytes = vec![0u8; burst.beats as usize * 64];
        // the first beat's bytes below the address were not asked for, and may not be mapped
        let skip = (burst.address - aligned) as usize;
        let code = if memory.read(burst.address, &mut bytes[skip..]).is_ok() {
            OKAY
        } else {
            SLVERR
        };
        let beats = bytes.chunks_exact(64).map(words).collect();
        self.answering = Some((burst.id, beats, code));
    }

    fn perform_write(&mut self, memory: &mut dyn HostMemory, cycle: u64) {
        let writes = std::mem::take(&mut self.writes);
        let chosen = self.choose(
            |i| writes[i].whole && writes[i].due <= cycle,
            |i| writes[i].id,
            writes.len(),
        );
        self.writes = writes;
        let Some(burst) = chosen.and_then(|i| self.writes.remove(i)) else {
            return;
        };
        self.written -= 1;
        let mut code = OKAY;
        let aligned = burst.address & !(BEAT - 1);
        for (i, (data, strobe)) in burst.data.iter().enumerate() {
            if write_beat(memory, aligned + i as u64 * BEAT, data, *strobe).is_err() {
                code = SLVERR;
            }
        }
        self.write_answers.push_back((burst.id, code));
    }
}

fn words(bytes: &[u8]) -> [u32; 16] {
    let mut words = [0; 16];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    words
}

/// Writes the runs of bytes that the strobe names.
fn write_beat(
    memory: &mut dyn HostMemory,
    address: u64,
    data: &[u32; 16],
    strobe: u64,
) -> Result<(), crate::card::DmaError> {
    let mut bytes = [0u8; 64];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(data) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let mut at = 0;
    while at < 64 {
        let run = (strobe >> at).trailing_ones() as usize;
        if run == 0 {
            at += 1;
            continue;
        }
        memory.write(address + at as u64, &bytes[at..at + run])?;
        at += run;
    }
    Ok(())
}

/// The rules that every burst keeps (`CARD.md` 7). They are checked here because breaking one hangs real bridges.
fn assert_burst(kind: &str, address: u64, beats: u32, inputs: &Inputs) {
    let first = address & !(BEAT - 1);
    let last = first + (u64::from(beats) * BEAT - 1);
    assert_eq!(
        first >> 12,
        last >> 12,
        "a DMA {kind} burst at {address:#x} of {beats} beats crosses 4 KiB"
    );
    assert!(
        inputs.bus_master == 1 || inputs.host_reset == 1,
        "a DMA {kind} at {address:#x} while bus mastering is off"
    );
}
