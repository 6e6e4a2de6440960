//! The test host's record ring: where it lies, what the card wrote there, and which packets are traced.

use guideway_hdl::records::{FlowEventRecord, RecordKind, TraceRecord};

use super::{HarnessError, TestHost};
use crate::registers::{card, core, ring as at};

/// log2 of the entries that the test host has room for.
pub const RECORDS_LOG2: u32 = 12;
pub(super) const RECORD_BYTES: u64 = 64 << RECORDS_LOG2;

/// What the card told of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was traced.
    Trace(TraceRecord),
    /// Its flow was learned.
    FlowEvent(FlowEventRecord),
}

/// Which packets are traced: values and masks as the registers have them, by default all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// A VIP.
    pub vip: Option<u16>,
    /// A family.
    pub ipv6: Option<bool>,
    /// log2 of the sampling.
    pub sample_log2: u32,
    /// Source address and mask.
    pub source: (u128, u128),
    /// Destination address and mask.
    pub destination: (u128, u128),
    /// Source port and mask.
    pub source_port: (u16, u16),
    /// Destination port and mask.
    pub destination_port: (u16, u16),
    /// Protocol and mask.
    pub protocol: (u8, u8),
}

/// Where the next record is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordReader {
    pub base: u64,
    pub index: u16,
    pub size_log2: u32,
}

impl TestHost<'_> {
    /// Starts the record ring with 2^`size_log2` entries.
    ///
    /// # Errors
    /// When it stops at once.
    pub fn start_records(&mut self, size_log2: u32) -> Result<(), HarnessError> {
        let base = self.records.base;
        self.memory
            .clear(base, usize::try_from(RECORD_BYTES).unwrap_or(0))?;
        self.records.index = 0;
        self.records.size_log2 = size_log2;
        self.write(card::RECORD + at::CONFIG, 0);
        self.write(card::RECORD + at::BASE_LOW, (base & 0xffff_ffff) as u32);
        self.write(card::RECORD + at::BASE_HIGH, (base >> 32) as u32);
        self.write(card::RECORD + at::CONFIG, at::ENABLE | size_log2);
        match self.record_status() {
            0 => Ok(()),
            status => Err(HarnessError::Stopped {
                ring: "record",
                status,
            }),
        }
    }

    /// Where the record ring lies.
    #[must_use]
    pub const fn records_base(&self) -> u64 {
        self.records.base
    }

    /// The record ring's status code.
    pub fn record_status(&mut self) -> u8 {
        (self.read(card::RECORD + at::STATUS) & 0xff) as u8
    }

    /// Takes the records that the card has written; the entries stay the host's.
    ///
    /// # Errors
    /// When an entry is of no kind.
    pub fn look_at_records(&mut self) -> Result<Vec<Told>, HarnessError> {
        let mut told = Vec::new();
        loop {
            let RecordReader {
                base,
                index,
                size_log2,
            } = self.records;
            let slot = u64::from(index) & ((1 << size_log2) - 1);
            let bytes = self.memory.view(base + 64 * slot, 64)?;
            let bytes: [u8; 64] = std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0));
            let trace = TraceRecord::from_bytes(&bytes);
            if trace.phase != (index >> size_log2 & 1 == 0) {
                return Ok(told);
            }
            told.push(match RecordKind::from_raw(trace.kind) {
                Some(RecordKind::Trace) => Told::Trace(trace),
                Some(RecordKind::FlowEvent) => Told::FlowEvent(FlowEventRecord::from_bytes(&bytes)),
                _ => {
                    let error = format!("record {index} is of kind {}", trace.kind);
                    return Err(HarnessError::Protocol(error));
                }
            });
            self.records.index = index.wrapping_add(1);
        }
    }

    /// Returns the entries of the records that were looked at.
    pub fn return_records(&mut self) {
        let index = self.records.index;
        self.write(card::RECORD + at::DOORBELL, index.into());
    }

    /// Takes the records that the card has written, and returns the entries.
    ///
    /// # Errors
    /// When an entry is of no kind.
    pub fn take_records(&mut self) -> Result<Vec<Told>, HarnessError> {
        let told = self.look_at_records()?;
        self.return_records();
        Ok(told)
    }

    /// Traces these packets from now on.
    pub fn trace(&mut self, filter: &TraceFilter) {
        self.write(core::TRACE_FILTER, 0);
        self.write_wide(core::TRACE_SOURCE, filter.source.0);
        self.write_wide(core::TRACE_SOURCE_MASK, filter.source.1);
        self.write_wide(core::TRACE_DESTINATION, filter.destination.0);
        self.write_wide(core::TRACE_DESTINATION_MASK, filter.destination.1);
        let ports = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        let (source, destination) = (filter.source_port, filter.destination_port);
        self.write(core::TRACE_PORTS, ports(source.0, destination.0));
        self.write(core::TRACE_PORTS_MASK, ports(source.1, destination.1));
        let (value, mask) = filter.protocol;
        self.write(
            core::TRACE_PROTOCOL,
            u32::from(value) | u32::from(mask) << 8,
        );
        let vip = filter.vip.map_or(0, |vip| 2 | u32::from(vip) << 16);
        let family = filter.ipv6.map_or(0, |ipv6| 4 | u32::from(ipv6) << 3);
        self.write(
            core::TRACE_FILTER,
            1 | vip | family | filter.sample_log2 << 8,
        );
    }
}
