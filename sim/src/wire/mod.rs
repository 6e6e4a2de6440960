//! The wire: where frames come from and where they go.
//!
//! Owns the [`Wire`] trait and how a wire is named on the command line. When a frame may enter the card is the device's.

pub mod capture_file;
pub mod in_process;
#[allow(unsafe_code)] // sockets and ioctls that have no safe interface
pub mod packet_socket;
pub mod pcap;
#[allow(unsafe_code)] // an ioctl that has no safe interface
pub mod tap;

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::str::FromStr;

use crate::card::{SentFrame, WireFrame};

/// Longest frame that a live wire takes in one piece; the card drops what is above its own limit, counted.
pub const LIVE_FRAME_MAX: usize = 9216 + 18;

/// Why a wire failed.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The network interface.
    #[error("{action} {name}: {error}{hint}")]
    Interface {
        /// What was done, as in "cannot open".
        action: &'static str,
        /// The interface.
        name: String,
        /// The cause.
        error: std::io::Error,
        /// What to do, starting with a separator; may be empty.
        hint: &'static str,
    },
    /// A capture file.
    #[error(transparent)]
    Capture(#[from] capture_file::CaptureError),
}

/// What a wire lost, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireLosses {
    /// Frames that came while nobody took them: the kernel's queue was full.
    pub overrun: u64,
    /// Frames that no wire can carry: empty ones, segments that offloading left unfinished.
    pub unusable: u64,
    /// Frames from the card that the interface did not take.
    pub unsent: u64,
}

/// A wire.
pub trait Wire: Send {
    /// A live wire brings frames whenever it likes; a file waits.
    fn is_live(&self) -> bool;

    /// What to poll for frames; `None`: frames are there until [`Wire::is_exhausted`].
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;

    /// The next frame, if one is there. Never blocks.
    ///
    /// # Errors
    /// When the wire is gone or its file broken; it brings nothing more.
    fn receive(&mut self) -> Result<Option<WireFrame>, WireError>;

    /// No frame will come any more.
    fn is_exhausted(&self) -> bool;

    /// Takes a frame from the card. Never blocks: what the interface does not take is lost and counted.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn send(&mut self, frame: &SentFrame) -> Result<(), WireError>;

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn flush(&mut self) -> Result<(), WireError>;

    /// What was lost.
    fn losses(&mut self) -> WireLosses;
}

/// A wire's name on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireSpec {
    /// `veth:NAME`
    Veth(String),
    /// `tap:NAME`
    Tap(String),
    /// `pcap:IN,OUT`
    Pcap {
        /// Frames to the card.
        input: PathBuf,
        /// Frames from the card.
        output: PathBuf,
    },
}

impl WireSpec {
    /// The wire is an interface with a life of its own.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Pcap { .. })
    }

    /// Opens it.
    ///
    /// # Errors
    /// When the interface or the files cannot be opened.
    pub fn open(&self) -> Result<Box<dyn Wire>, WireError> {
        Ok(match self {
            Self::Veth(name) => Box::new(packet_socket::PacketSocket::open(name)?),
            Self::Tap(name) => Box::new(tap::Tap::open(name)?),
            Self::Pcap { input, output } => Box::new(pcap::PcapWire::open(input, output)?),
        })
    }
}

impl FromStr for WireSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "expected veth:NAME, tap:NAME or pcap:IN,OUT";
        let (kind, rest) = text.split_once(':').ok_or(FORMS)?;
        let interface = || match rest.len() {
            1..=15 if !rest.contains(['/', ' ']) => Ok(rest.to_owned()),
            _ => Err(format!(
                "{rest:?} is no interface name (1 to 15 bytes, neither '/' nor blank)"
            )),
        };
        match kind {
            "veth" => Ok(Self::Veth(interface()?)),
            "tap" => Ok(Self::Tap(interface()?)),
            "pcap" => match rest.split_once(',') {
                Some((input, output))
                    if !input.is_empty() && !output.is_empty() && !output.contains(',') =>
                {
                    Ok(Self::Pcap {
                        input: input.into(),
                        output: output.into(),
                    })
                }
                _ => Err("pcap needs two files: pcap:IN,OUT (no comma in their names)".to_owned()),
            },
            _ => Err(FORMS.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wires_are_named_in_one_way() {
        assert_eq!("veth:card0".parse(), Ok(WireSpec::Veth("card0".into())));
        assert_eq!("tap:t".parse(), Ok(WireSpec::Tap("t".into())));
        assert_eq!(
            "pcap:a,b".parse(),
            Ok(WireSpec::Pcap {
                input: "a".into(),
                output: "b".into()
            })
        );
        for wrong in [
            "",
            "veth",
            "veth:",
            "veth:0123456789abcdef",
            "tap:a/b",
            "pcap:a",
            "pcap:,b",
            "pcap:a,",
            "pcap:a,b,c",
            "eth:x",
        ] {
            assert!(wrong.parse::<WireSpec>().is_err(), "{wrong}");
        }
    }
}
