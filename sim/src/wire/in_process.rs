//! A wire within one process: two ends, joined by channels. For tests and for programs that bring their own frames.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use rustix::event::EventfdFlags;

use super::{Wire, WireError, WireLosses};
use crate::card::{SentFrame, WireFrame};

/// The card's end.
#[derive(Debug)]
pub struct InProcessWire {
    wake: Arc<OwnedFd>,
    incoming: Receiver<WireFrame>,
    outgoing: Sender<SentFrame>,
    live: bool,
    exhausted: bool,
}

/// The other end. Dropping it ends the wire.
#[derive(Debug)]
pub struct InProcessPeer {
    wake: Arc<OwnedFd>,
    to_card: Option<Sender<WireFrame>>,
    from_card: Receiver<SentFrame>,
}

/// Makes a wire. A `live` one is flushed before the port is enabled, another waits, as a capture file does.
///
/// # Errors
/// When the system has no file descriptor left.
pub fn in_process(live: bool) -> std::io::Result<(InProcessWire, InProcessPeer)> {
    let wake = Arc::new(rustix::event::eventfd(
        0,
        EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC,
    )?);
    let (to_card, incoming) = channel();
    let (outgoing, from_card) = channel();
    let wire = InProcessWire {
        wake: Arc::clone(&wake),
        incoming,
        outgoing,
        live,
        exhausted: false,
    };
    Ok((
        wire,
        InProcessPeer {
            wake,
            to_card: Some(to_card),
            from_card,
        },
    ))
}

impl InProcessPeer {
    /// Sends a frame to the card.
    pub fn send(&self, bytes: Vec<u8>) {
        if let Some(to_card) = &self.to_card {
            // A wire whose other end is gone loses frames, as wires do.
            let _ = to_card.send(WireFrame {
                bytes,
                error: false,
            });
        }
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }

    /// No frame follows.
    pub fn finish(&mut self) {
        self.to_card = None;
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }

    /// Waits for the next frame from the card.
    ///
    /// # Errors
    /// When none came in time, or the card is gone.
    pub fn receive(&self, timeout: Duration) -> Result<SentFrame, RecvTimeoutError> {
        self.from_card.recv_timeout(timeout)
    }
}

impl Drop for InProcessPeer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Wire for InProcessWire {
    fn is_live(&self) -> bool {
        self.live
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.exhausted).then(|| self.wake.as_fd())
    }

    fn receive(&mut self) -> Result<Option<WireFrame>, WireError> {
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        match self.incoming.try_recv() {
            Ok(frame) => {
                // More may wait: keep the descriptor readable until the channel is seen empty.
                let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
                Ok(Some(frame))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                self.exhausted = true;
                Ok(None)
            }
        }
    }

    fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    fn send(&mut self, frame: &SentFrame) -> Result<(), WireError> {
        let _ = self.outgoing.send(frame.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WireError> {
        Ok(())
    }

    fn losses(&mut self) -> WireLosses {
        WireLosses::default()
    }
}
