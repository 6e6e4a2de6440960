//! The command ring: one command after another, each answered before the next is read.

use guideway_hdl::descriptors::Command;

use super::commands::{Commanded, execute};
use super::{DescriptorRing, Dma};

/// Takes the next command, executes it and answers. Returns whether the ring stopped.
pub fn serve(ring: &mut DescriptorRing, card: &mut Commanded<'_>, dma: &mut Dma<'_>) -> bool {
    let Ok(bytes) = ring.fetch(dma) else {
        return true;
    };
    let command = Command::from_bytes(&bytes);
    let (status, result) = execute(&command, card, dma);
    ring.complete(command.tag, status, result, dma).is_err()
}
