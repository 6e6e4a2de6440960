//! The cases, in the order in which they run: each begins where the one before it ended.

use anyhow::Result;

use super::world::World;

mod binding;
mod dma;
mod idle;
mod refusals;
mod resets;
mod tables;
mod traffic;

/// A case: what it shows, and what it saw.
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    /// What it does; the text says what it saw.
    pub run: fn(&mut World) -> Result<String>,
}

/// All of them.
pub const CASES: &[Case] = &[
    Case {
        name: "a card that no driver holds is found, and refused with the way to bind it",
        run: binding::unbound,
    },
    Case {
        name: "bound to vfio-pci: identity, layout, link, group",
        run: binding::bound,
    },
    Case {
        name: "no permission, and too little memory that may be locked, are refused with the remedy",
        run: refusals::ordinary_user,
    },
    Case {
        name: "tables pushed, dumped and digested",
        run: tables::pushed_and_read_back,
    },
    Case {
        name: "a host programs the card: punts answered, then hits",
        run: traffic::punts_and_hits,
    },
    Case {
        name: "a second host is refused, and questions go to the first",
        run: refusals::second_host,
    },
    Case {
        name: "an idle host sleeps (under 1 % of a core), and interrupts wake it",
        run: idle::sleeps_and_wakes,
    },
    Case {
        name: "DMA memory on huge pages",
        run: dma::huge_pages,
    },
    Case {
        name: "SIGKILL under traffic: the kernel resets, no known flow loses a frame, the next host adopts",
        run: resets::killed_host,
    },
    Case {
        name: "FLR under traffic: forwarding goes on, tables intact",
        run: resets::function_level_reset,
    },
    Case {
        name: "under traffic, DMA to addresses that are not mapped fails by name and hurts nothing else",
        run: dma::unmapped,
    },
    Case {
        name: "unbound under a running host, and bound again",
        run: binding::unbound_while_in_use,
    },
    Case {
        name: "a host that does not answer keeps its card, and nobody waiting",
        run: binding::unbound_while_stopped,
    },
];
