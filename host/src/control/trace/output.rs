//! Files of records.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use super::Losses;
use super::capture::TraceCapture;
use super::json::to_json;
use super::names::Names;
use crate::card::Record;

/// Where records go: a capture when the file's name ends with `pcapng`, else JSON lines.
pub enum RecordFile {
    /// A capture, of traces only.
    Capture(TraceCapture<BufWriter<File>>),
    /// JSON lines.
    Lines(BufWriter<File>),
}

impl RecordFile {
    /// Makes the file.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        if path.extension().is_some_and(|name| name == "pcapng") {
            Ok(Self::Capture(TraceCapture::new(file)?))
        } else {
            Ok(Self::Lines(file))
        }
    }

    /// Writes a record.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write(&mut self, record: &Record, names: &Names) -> io::Result<()> {
        match self {
            Self::Capture(capture) => capture.write(record, names),
            Self::Lines(lines) => writeln!(lines, "{}", to_json(record, names)),
        }
    }

    /// Notes what was lost so far; a capture has no place for it.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_losses(&mut self, losses: &Losses) -> io::Result<()> {
        match self {
            Self::Capture(_) => Ok(()),
            Self::Lines(lines) => writeln!(lines, "{}", losses.to_json()),
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Capture(capture) => capture.finish().map(drop),
            Self::Lines(mut lines) => lines.flush(),
        }
    }
}
