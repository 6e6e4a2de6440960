//! Writing captures: the classic pcap format (magic 0xa1b2c3d4, microseconds, Ethernet).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use guideway_hdl::tables::FRAME_MAX;
use guideway_hdl::verdict::{Disposition, HostClass};

use crate::slow_path::poll::Sink;

/// A capture that is being written. Clones write to the same file.
#[derive(Clone)]
pub struct PcapSink {
    file: Arc<Mutex<Writer>>,
}

struct Writer {
    out: BufWriter<File>,
    frames: u32,
    failed: Option<io::Error>,
}

impl PcapSink {
    /// Begins a capture.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut out = BufWriter::new(File::create(path)?);
        let snap = u32::try_from(FRAME_MAX).unwrap_or(u32::MAX);
        let header: Vec<u8> = [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, snap, 1]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        out.write_all(&header)?;
        Ok(Self {
            file: Arc::new(Mutex::new(Writer {
                out,
                frames: 0,
                failed: None,
            })),
        })
    }

    /// Completes the file.
    ///
    /// # Errors
    /// What kept a frame or the end from being written.
    pub fn finish(&self) -> io::Result<u32> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.failed.take() {
            Some(error) => Err(error),
            None => file.out.flush().map(|()| file.frames),
        }
    }
}

impl Sink for PcapSink {
    fn frame(&mut self, _class: HostClass, _disposition: Disposition, bytes: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write(bytes) {
            file.failed.get_or_insert(error);
        }
    }
}

impl Writer {
    /// Frames are a microsecond apart: the time of a replay means nothing, and equal input gives equal files.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for word in [
            self.frames / 1_000_000,
            self.frames % 1_000_000,
            length,
            length,
        ] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.frames += 1;
        self.out.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_what_was_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sink = PcapSink::create(file.path()).unwrap();
        for length in [60, 61] {
            sink.frame(
                HostClass::Other,
                Disposition::HostGroup,
                &vec![length; usize::from(length)],
            );
        }
        assert_eq!(sink.finish().unwrap(), 2);
        let bytes = std::fs::read(file.path()).unwrap();
        let (rest, header) = pcap_parser::pcap::parse_pcap_header(&bytes).unwrap();
        assert_eq!(header.network, pcap_parser::Linktype::ETHERNET);
        let (rest, first) = pcap_parser::pcap::parse_pcap_frame(rest).unwrap();
        let (rest, second) = pcap_parser::pcap::parse_pcap_frame(rest).unwrap();
        assert_eq!(
            (
                first.data.len(),
                second.data.len(),
                second.ts_usec,
                rest.len()
            ),
            (60, 61, 1, 0)
        );
    }
}
