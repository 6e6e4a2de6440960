//! Capture files: frames out of pcap and pcapng, frames into pcap and pcapng.
//!
//! Owns formats and their errors. Classic pcap of either byte order and resolution and pcapng are read (`pcap-parser`);
//! written are pcap with nanoseconds, and pcapng with an interface a direction.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError};

/// Bytes read at once.
const BUFFER: usize = 1 << 16;
/// Longest record taken.
const RECORD_MAX: usize = 1 << 20;
const LINKTYPE_ETHERNET: u16 = 1;
const SNAP_LENGTH: u32 = 262_144;

/// What is wrong with a capture file.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The system's error.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// What was done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// It is neither pcap nor pcapng.
    #[error("{0} is neither pcap nor pcapng")]
    NotACapture(PathBuf),
    /// It is broken.
    #[error("{path} is broken behind frame {frames} (near byte {offset}): {problem}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Frames before the damage.
        frames: u64,
        /// Where.
        offset: usize,
        /// What.
        problem: &'static str,
    },
    /// Its frames are no Ethernet frames.
    #[error("{path}: link type {link} is not Ethernet (1)")]
    LinkType {
        /// The file.
        path: PathBuf,
        /// Its link type.
        link: i32,
    },
}

/// Reads frames from a file, one after another.
pub struct FrameReader {
    path: PathBuf,
    reader: Box<dyn PcapReaderIterator + Send>,
    /// pcapng: whether each interface of the section is Ethernet.
    interfaces: Vec<Linktype>,
    frames: u64,
    capacity: usize,
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameReader")
            .field("path", &self.path)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

enum Found {
    Frame(Vec<u8>),
    Nothing,
}

impl FrameReader {
    /// Opens a file and looks at its head.
    ///
    /// # Errors
    /// When it cannot be read or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|error| CaptureError::Io {
            action: "open",
            path: path.to_owned(),
            error,
        })?;
        let reader = pcap_parser::create_reader(BUFFER, file).map_err(|error| match error {
            PcapError::ReadError => CaptureError::Io {
                action: "read",
                path: path.to_owned(),
                error: std::io::Error::from_raw_os_error(libc::EIO),
            },
            _ => CaptureError::NotACapture(path.to_owned()),
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            interfaces: Vec::new(),
            frames: 0,
            capacity: BUFFER,
        })
    }

    /// The next frame as it was captured; `None` at the end. It may be empty.
    ///
    /// # Errors
    /// When the file is broken from here on.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, CaptureError> {
        loop {
            let (step, problem) = match self.reader.next() {
                Ok((offset, block)) => {
                    let found = extract(&mut self.interfaces, &block, &self.path);
                    drop(block);
                    self.reader.consume(offset);
                    match found {
                        Ok(Found::Nothing) => continue,
                        Ok(Found::Frame(frame)) => {
                            self.frames += 1;
                            return Ok(Some(frame));
                        }
                        Err(Problem::Link(error)) => return Err(error),
                        Err(Problem::Broken(problem)) => (Step::Stop, problem),
                    }
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => {
                    (Step::Refill, "it ends in the middle of a record")
                }
                Err(PcapError::BufferTooSmall) => (Step::Grow, "a record is longer than 1 MiB"),
                Err(PcapError::UnexpectedEof) => (Step::Stop, "it ends in the middle of a record"),
                Err(_) => (Step::Stop, "a record has impossible lengths"),
            };
            if !self.advance(step)? {
                return Err(self.broken(problem));
            }
        }
    }

    /// Brings more of the file into the buffer; false when there is no more, or no place for it.
    fn advance(&mut self, step: Step) -> Result<bool, CaptureError> {
        match step {
            Step::Stop => return Ok(false),
            Step::Refill => {}
            Step::Grow => {
                if self.capacity < RECORD_MAX {
                    self.capacity *= 2;
                    self.reader.grow(self.capacity);
                } else if self.reader.data().len() + 64 > self.capacity {
                    return Ok(false);
                }
            }
        }
        let before = self.reader.data().len();
        let was_exhausted = self.reader.reader_exhausted();
        if self.reader.refill().is_err() {
            let error = std::io::Error::from_raw_os_error(libc::EIO);
            return Err(CaptureError::Io {
                action: "read",
                path: self.path.clone(),
                error,
            });
        }
        // Progress, or the news that the end is reached; the parser then says what that means.
        let grown = self.reader.data().len() > before;
        Ok(grown || (self.reader.reader_exhausted() && !was_exhausted))
    }

    fn broken(&self, problem: &'static str) -> CaptureError {
        CaptureError::Broken {
            path: self.path.clone(),
            frames: self.frames,
            offset: self.reader.consumed(),
            problem,
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Refill,
    Grow,
    Stop,
}

enum Problem {
    Link(CaptureError),
    Broken(&'static str),
}

fn extract(
    interfaces: &mut Vec<Linktype>,
    block: &PcapBlockOwned<'_>,
    path: &Path,
) -> Result<Found, Problem> {
    let ethernet = |link: Linktype| {
        // The upper bits of a classic header's link type tell about an FCS.
        if link.0 & 0xffff == i32::from(LINKTYPE_ETHERNET) {
            Ok(())
        } else {
            Err(Problem::Link(CaptureError::LinkType {
                path: path.to_owned(),
                link: link.0,
            }))
        }
    };
    let cut = |data: &[u8], len: u32| {
        data.get(..len as usize)
            .map(|bytes| Found::Frame(bytes.to_vec()))
            .ok_or(Problem::Broken("a record has impossible lengths"))
    };
    match block {
        PcapBlockOwned::LegacyHeader(header) => ethernet(header.network).map(|()| Found::Nothing),
        PcapBlockOwned::Legacy(record) => cut(record.data, record.caplen),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            Ok(Found::Nothing)
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            interfaces.push(interface.linktype);
            Ok(Found::Nothing)
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let link = interfaces
                .get(packet.if_id as usize)
                .ok_or(Problem::Broken("a packet of an unknown interface"))?;
            ethernet(*link)?;
            cut(packet.data, packet.caplen)
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            let link = interfaces
                .first()
                .ok_or(Problem::Broken("a packet of an unknown interface"))?;
            ethernet(*link)?;
            cut(
                packet.data,
                packet
                    .origlen
                    .min(u32::try_from(packet.data.len()).unwrap_or(u32::MAX)),
            )
        }
        PcapBlockOwned::NG(_) => Ok(Found::Nothing),
    }
}

/// Creates a file and writes into it through a buffer.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Output {
    fn create(path: &Path) -> Result<Self, CaptureError> {
        let file = File::create(path).map_err(|error| CaptureError::Io {
            action: "create",
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
        })
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), CaptureError> {
        let written = parts.iter().try_for_each(|part| self.file.write_all(part));
        written.map_err(|error| self.error(error))
    }

    fn flush(&mut self) -> Result<(), CaptureError> {
        self.file.flush().map_err(|error| self.error(error))
    }

    fn error(&self, error: std::io::Error) -> CaptureError {
        CaptureError::Io {
            action: "write",
            path: self.path.clone(),
            error,
        }
    }
}

/// Writes a classic pcap file with nanoseconds.
#[derive(Debug)]
pub struct PcapWriter(Output);

impl PcapWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        let mut output = Output::create(path)?;
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
        header.extend_from_slice(&[2, 0, 4, 0]); // version 2.4
        header.extend_from_slice(&[0; 8]); // time zone, accuracy
        header.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
        header.extend_from_slice(&u32::from(LINKTYPE_ETHERNET).to_le_bytes());
        output.put(&[&header])?;
        Ok(Self(output))
    }

    /// Appends a frame that was on the wire at `nanos`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, nanos: u64, frame: &[u8]) -> Result<(), CaptureError> {
        let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = (nanos % 1_000_000_000) as u32;
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let mut head = [0; 16];
        for (place, value) in head.chunks_exact_mut(4).zip([seconds, fraction, len, len]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        self.0.put(&[&head, frame])
    }

    /// Hands buffered frames to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        self.0.flush()
    }
}

/// Writes a pcapng file with nanoseconds.
#[derive(Debug)]
pub struct PcapngWriter(Output);

impl PcapngWriter {
    /// Creates the file with one Ethernet interface a name.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn create(path: &Path, interfaces: &[&str]) -> Result<Self, CaptureError> {
        let mut writer = Self(Output::create(path)?);
        let section = [
            &0x1a2b_3c4d_u32.to_le_bytes()[..],
            &[1, 0, 0, 0],
            &(-1i64).to_le_bytes(),
        ]
        .concat();
        writer.block(0x0a0d_0d0a, &section)?;
        for name in interfaces {
            let mut body = Vec::new();
            body.extend_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
            body.extend_from_slice(&[0; 2]);
            body.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
            option(&mut body, 2, name.as_bytes()); // if_name
            option(&mut body, 9, &[9]); // if_tsresol: 10^-9 s
            option(&mut body, 0, &[]);
            writer.block(1, &body)?;
        }
        Ok(writer)
    }

    /// Appends a frame of an interface at `nanos`; its error flag goes into the packet's flags.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(
        &mut self,
        interface: u32,
        nanos: u64,
        frame: &[u8],
        error: bool,
    ) -> Result<(), CaptureError> {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let mut body = Vec::with_capacity(frame.len() + 40);
        for value in [interface, (nanos >> 32) as u32, nanos as u32, len, len] {
            body.extend_from_slice(&value.to_le_bytes());
        }
        body.extend_from_slice(frame);
        pad(&mut body);
        if error {
            option(&mut body, 2, &(1u32 << 24).to_le_bytes()); // epb_flags: CRC error
            option(&mut body, 0, &[]);
        }
        self.block(6, &body)
    }

    /// Hands buffered frames to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        self.0.flush()
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> Result<(), CaptureError> {
        let len = u32::try_from(body.len() + 12)
            .unwrap_or(u32::MAX)
            .to_le_bytes();
        self.0.put(&[&kind.to_le_bytes(), &len, body, &len])
    }
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend_from_slice(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests;
