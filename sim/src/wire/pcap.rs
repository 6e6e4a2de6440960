//! The wire as two files: frames from a capture to the card, the card's frames into another.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::capture_file::{CaptureError, FrameReader, PcapWriter};
use super::{Wire, WireError, WireLosses};
use crate::card::{SentFrame, WireFrame};
use crate::time::cycles_to_nanos;

/// Two capture files.
#[derive(Debug)]
pub struct PcapWire {
    input: FrameReader,
    output: PcapWriter,
    exhausted: bool,
    empty: u64,
}

impl PcapWire {
    /// Opens both. The input is read through once, so that a broken one is refused before anything is done with it.
    ///
    /// # Errors
    /// When a file cannot be opened, is broken, holds no Ethernet, or both are the same.
    pub fn open(input: &Path, output: &Path) -> Result<Self, WireError> {
        let mut check = FrameReader::open(input)?;
        while check.next_frame()?.is_some() {}
        if let (Ok(a), Ok(b)) = (input.canonicalize(), output.canonicalize())
            && a == b
        {
            let error =
                std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is the input as well");
            return Err(CaptureError::Io {
                action: "create",
                path: output.to_owned(),
                error,
            }
            .into());
        }
        Ok(Self {
            input: FrameReader::open(input)?,
            output: PcapWriter::create(output)?,
            exhausted: false,
            empty: 0,
        })
    }
}

impl Wire for PcapWire {
    fn is_live(&self) -> bool {
        false
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn receive(&mut self) -> Result<Option<WireFrame>, WireError> {
        while !self.exhausted {
            match self.input.next_frame() {
                Ok(Some(bytes)) if bytes.is_empty() => self.empty += 1,
                Ok(Some(bytes)) => {
                    return Ok(Some(WireFrame {
                        bytes,
                        error: false,
                    }));
                }
                Ok(None) => self.exhausted = true,
                Err(error) => {
                    self.exhausted = true;
                    return Err(error.into());
                }
            }
        }
        Ok(None)
    }

    fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    fn send(&mut self, frame: &SentFrame) -> Result<(), WireError> {
        Ok(self
            .output
            .write(cycles_to_nanos(frame.last_cycle), &frame.bytes)?)
    }

    fn flush(&mut self) -> Result<(), WireError> {
        Ok(self.output.flush()?)
    }

    fn losses(&mut self) -> WireLosses {
        WireLosses {
            unusable: self.empty,
            ..WireLosses::default()
        }
    }
}
