//! Captures of synthetic packets: pcapng for Wireshark.
//!
//! A record holds no bytes of its packet. A capture has a packet of headers for each trace, as the record's addresses, ports and flags
//! have them, and the whole record as its comment.

use std::io::{self, Write};

use guideway_hdl::records::TraceRecord;

use super::filter::{TCP, UDP};
use super::json::trace_json;
use super::names::Names;
use crate::card::Record;

/// A capture of traces: pcapng, one section, one Ethernet interface (draft-ietf-opsawg-pcapng 4).
pub struct TraceCapture<W: Write> {
    out: W,
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const COMMENT: u16 = 1;
const ETHERNET: u16 = 1;

impl<W: Write> TraceCapture<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn new(out: W) -> io::Result<Self> {
        let mut capture = Self { out };
        let mut section = Vec::new();
        section.extend(BYTE_ORDER.to_le_bytes());
        section.extend(1u16.to_le_bytes());
        section.extend(0u16.to_le_bytes());
        section.extend(u64::MAX.to_le_bytes()); // its length is not known
        capture.block(SECTION_HEADER, &section)?;
        let mut interface = Vec::new();
        interface.extend(ETHERNET.to_le_bytes());
        interface.extend(0u16.to_le_bytes());
        interface.extend(0u32.to_le_bytes()); // no limit of the packets' length
        capture.block(INTERFACE, &interface)?;
        Ok(capture)
    }

    /// Writes a trace; other records are left out.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn write(&mut self, record: &Record, names: &Names) -> io::Result<()> {
        let Record::Trace(trace) = record else {
            return Ok(());
        };
        let packet = headers(trace);
        let comment = trace_json(trace, names).to_string();
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let mut block = Vec::new();
        for word in [0, 0, trace.timestamp, length, trace.length.into()] {
            block.extend(word.to_le_bytes());
        }
        padded(&mut block, &packet);
        block.extend(COMMENT.to_le_bytes());
        block.extend(
            u16::try_from(comment.len())
                .unwrap_or(u16::MAX)
                .to_le_bytes(),
        );
        padded(&mut block, comment.as_bytes());
        block.extend(0u32.to_le_bytes()); // the options' end
        self.block(ENHANCED_PACKET, &block)
    }

    /// Completes the file.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX);
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&length.to_le_bytes())
    }
}

/// Appends bytes, and zeros up to the next word.
fn padded(block: &mut Vec<u8>, bytes: &[u8]) {
    block.extend(bytes);
    block.resize(block.len().next_multiple_of(4), 0);
}

/// The headers that a traced packet had, as far as the record tells them; MAC addresses, lengths beyond and checksums are not told.
fn headers(trace: &TraceRecord) -> Vec<u8> {
    let mut frame = vec![0; 12];
    let told = trace.protocol != 0 || trace.source != 0 || trace.destination != 0;
    if !told {
        frame.extend([0, 0]);
        return frame;
    }
    let mut transport = Vec::new();
    if matches!(trace.protocol, TCP | UDP) {
        transport.extend(trace.source_port.to_be_bytes());
        transport.extend(trace.destination_port.to_be_bytes());
    }
    if trace.protocol == TCP {
        let flags = u8::from(trace.fin) | u8::from(trace.syn) << 1 | u8::from(trace.rst) << 2;
        transport.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    } else if trace.protocol == UDP {
        transport.extend([0, 8, 0, 0]);
    }
    let length = u16::try_from(transport.len()).unwrap_or(0);
    if trace.ipv6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([trace.protocol, 64]);
        frame.extend(trace.source.to_be_bytes());
        frame.extend(trace.destination.to_be_bytes());
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((length + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, trace.protocol, 0, 0]);
        frame.extend(&trace.source.to_be_bytes()[12..]);
        frame.extend(&trace.destination.to_be_bytes()[12..]);
    }
    frame.extend(transport);
    frame
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::json::tests::trace;
    use super::*;

    #[test]
    fn others_read_the_capture() {
        use pcap_parser::traits::PcapReaderIterator as _;
        let mut capture = TraceCapture::new(Vec::new()).unwrap();
        let v6 = TraceRecord {
            ipv6: true,
            protocol: UDP,
            source: 1 << 100,
            ..trace()
        };
        for trace in [trace(), v6] {
            capture
                .write(&Record::Trace(trace), &Names::default())
                .unwrap();
        }
        let bytes = capture.finish().unwrap();
        let mut reader = pcap_parser::PcapNGReader::new(65536, bytes.as_slice()).unwrap();
        let mut packets = Vec::new();
        while let Ok((used, block)) = reader.next() {
            if let pcap_parser::PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(packet)) =
                block
            {
                let option = &packet.options[0];
                let comment = option.value[..option.len.into()].to_vec(); // the rest is padding
                let data = packet.data[..packet.caplen as usize].to_vec();
                packets.push((data, packet.origlen, packet.ts_low, comment));
            }
            reader.consume(used);
        }
        assert_eq!(packets.len(), 2);
        let (data, length, time, comment) = &packets[0];
        assert_eq!((data.len(), *length, *time), (54, 74, 1234));
        assert_eq!(data[26..34], [10, 0, 0, 1, 10, 200, 1, 1]);
        assert_eq!(data[34..38], [0x0f, 0xa0, 0, 80]);
        assert_eq!(data[47], 2);
        let comment: Value = serde_json::from_slice(comment).unwrap();
        assert_eq!(comment["number"], 7);
        assert_eq!(packets[1].0.len(), 62);
    }
}
