//! Transmissions (`CARD.md` 7): from a descriptor to a frame that enters the path.

use guideway_hdl::descriptors::{Status, TxDescriptor, TxOp};
use guideway_hdl::tables::FRAME_MAX;

use super::{Dma, Source};

/// What a descriptor asked for, once its frame was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmission {
    /// How it ended.
    pub status: Status,
    /// The frame and what the host says of it.
    pub frame: Option<(Vec<u8>, Source)>,
    /// It ends a punt.
    pub ends_punt: bool,
}

/// Reads a transmission.
#[must_use]
pub fn transmission(descriptor: &TxDescriptor, dma: &mut Dma<'_>) -> Transmission {
    let failed = |status| Transmission {
        status,
        frame: None,
        ends_punt: false,
    };
    let source = match TxOp::from_raw(descriptor.op) {
        None => return failed(Status::BadOpcode),
        Some(TxOp::Release) => {
            return Transmission {
                status: Status::Ok,
                frame: None,
                ends_punt: true,
            };
        }
        Some(TxOp::Raw) => Source::Raw,
        Some(TxOp::Assign) => Source::Assign {
            vip: descriptor.vip,
            backend: descriptor.backend,
            generation: descriptor.generation,
            spread: descriptor.spread,
        },
    };
    let length = usize::from(descriptor.length);
    if length == 0 || length > FRAME_MAX {
        return failed(Status::BadLength);
    }
    let mut bytes = vec![0; length];
    match dma.read(descriptor.address, &mut bytes) {
        Ok(()) => Transmission {
            status: Status::Ok,
            frame: Some((bytes, source)),
            ends_punt: descriptor.ends_punt,
        },
        Err(_) => failed(Status::DmaError),
    }
}
