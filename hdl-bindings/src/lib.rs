//! The Guideway card's programming interface: one declaration for Rust and SystemVerilog.
//!
//! Owns the layouts of tables, descriptors, completions and records, the names of dispositions and counters, and the register map
//! (generated from `regs/guideway.rdl`). `rtl/` beside it is the card itself. What the card does with them is specified in
//! `CARD.md`; how the host drives it is the host's.
#![no_std]

pub mod descriptors;
pub mod layout;
pub mod records;
#[allow(unsafe_code, missing_docs, clippy::all, clippy::undocumented_unsafe_blocks)] // generated: register pointers are wrapped in the bus that the caller gives
#[rustfmt::skip]
pub mod registers;
pub mod sizes;
pub mod sv;
pub mod tables;
pub mod verdict;

use layout::{Codes, Layout};
use sizes::Sizes;

/// "GWAY": what the identity register reads.
pub const MAGIC: u32 = 0x4757_4159;
/// What is written to `card_reset` to reset the card.
pub const CARD_RESET_KEY: u32 = 0x5245_5345;
/// PCI vendor id (the one that QEMU's projects lend to devices without one).
pub const PCI_VENDOR: u16 = 0x1b36;
/// PCI device id.
pub const PCI_DEVICE: u16 = 0x6757;

/// Every layout, in the order in which `gw_layout_pkg.sv` lists them.
pub const LAYOUTS: &[Layout] = &[
    tables::VipMatch::LAYOUT,
    tables::VipPrefix::LAYOUT,
    tables::QuicId::LAYOUT,
    tables::VipEntry::LAYOUT,
    tables::PoolEntry::LAYOUT,
    tables::BackendEntry::LAYOUT,
    tables::NextHopEntry::LAYOUT,
    tables::FlowKey::LAYOUT,
    tables::FlowRecord::LAYOUT,
    tables::CounterEntry::LAYOUT,
    descriptors::Command::LAYOUT,
    descriptors::Completion::LAYOUT,
    descriptors::TxDescriptor::LAYOUT,
    descriptors::RxCompletion::LAYOUT,
    records::TraceRecord::LAYOUT,
    records::FlowEventRecord::LAYOUT,
];

/// Every set of codes, in the order in which `gw_layout_pkg.sv` lists them.
pub const CODES: &[Codes] = &[
    verdict::Disposition::CODES,
    verdict::HostClass::CODES,
    verdict::EgressClass::CODES,
    verdict::PortCounter::CODES,
    tables::Table::CODES,
    tables::MissPolicy::CODES,
    tables::BackendState::CODES,
    tables::Encap::CODES,
    descriptors::Opcode::CODES,
    descriptors::Expect::CODES,
    descriptors::Status::CODES,
    descriptors::TxOp::CODES,
    records::RecordKind::CODES,
];

/// Every constant that both sides need, as a build of these sizes has it.
#[must_use]
pub const fn constants(sizes: &Sizes) -> [(&'static str, u64); 26] {
    [
        ("Magic", MAGIC as u64),
        ("CardResetKey", CARD_RESET_KEY as u64),
        ("Vips", sizes.vips as u64),
        ("Pools", sizes.pools as u64),
        ("Backends", sizes.backends as u64),
        ("NextHops", sizes.next_hops as u64),
        ("RingSlots", sizes.ring_slots as u64),
        ("Flows", sizes.flows as u64),
        ("Banks", tables::BANKS as u64),
        ("FlowWays", sizes.flow_ways as u64),
        ("VipMatchRows", sizes.vip_match_rows as u64),
        ("VipPrefixes", sizes.vip_prefixes as u64),
        ("QuicIdRows", sizes.quic_id_rows as u64),
        ("RingSizeMax", tables::RING_SIZE_MAX as u64),
        ("SlotEmpty", tables::SLOT_EMPTY as u64),
        ("SecretBits", tables::SECRET_WORDS as u64 * 32),
        ("FlowKeyBits", tables::FLOW_KEY_BITS as u64),
        ("VipKeyBits", tables::VIP_KEY_BITS as u64),
        ("QuicKeyBits", tables::QUIC_KEY_BITS as u64),
        ("FlowWordDataBits", tables::FLOW_WORD_DATA_BITS as u64),
        ("FrameMax", tables::FRAME_MAX as u64),
        ("HashSeed", tables::HASH_SEED as u64),
        ("HashSeedV6", tables::HASH_SEED_V6 as u64),
        ("GuePort", tables::GUE_PORT as u64),
        ("RingSizeLog2Max", descriptors::RING_SIZE_LOG2_MAX as u64),
        ("RecordsWaiting", records::RECORDS_WAITING as u64),
    ]
}

/// A hash over every name, place and value above: driver, firmware and card compare it and refuse another.
pub const LAYOUT_HASH: u32 = layout_hash(&Sizes::DEFAULT);

const fn fnv(mut hash: u32, bytes: &[u8]) -> u32 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// The layout hash of a build of these sizes.
#[must_use]
pub const fn layout_hash(sizes: &Sizes) -> u32 {
    let constants = constants(sizes);
    let mut hash = 0x811c_9dc5;
    let mut i = 0;
    while i < LAYOUTS.len() {
        hash = fnv(hash, LAYOUTS[i].name.as_bytes());
        let mut f = 0;
        while f < LAYOUTS[i].fields.len() {
            let field = LAYOUTS[i].fields[f];
            hash = fnv(hash, field.name.as_bytes());
            hash = fnv(hash, &(field.offset as u32).to_le_bytes());
            hash = fnv(hash, &(field.bits as u32).to_le_bytes());
            f += 1;
        }
        i += 1;
    }
    i = 0;
    while i < CODES.len() {
        hash = fnv(hash, CODES[i].name.as_bytes());
        let mut c = 0;
        while c < CODES[i].codes.len() {
            hash = fnv(hash, CODES[i].codes[c].name.as_bytes());
            hash = fnv(hash, &CODES[i].codes[c].value.to_le_bytes());
            c += 1;
        }
        i += 1;
    }
    i = 0;
    while i < constants.len() {
        hash = fnv(hash, constants[i].0.as_bytes());
        hash = fnv(hash, &constants[i].1.to_le_bytes());
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_lands_on_its_bits() {
        let entry = tables::PoolEntry {
            ring_base: 0x12_3456,
            ring_size: 65537,
            barrett: 0xffff_0000,
        };
        let words = entry.to_words();
        assert_eq!(words[0], 0x0112_3456); // base in bits 0..24, the ring size's low byte above it
        assert_eq!(words[1], 0xfe00_0100); // size 0x10001 >> 8, then the Barrett constant from bit 41
        assert_eq!(tables::PoolEntry::from_words(&words), entry);
    }

    #[test]
    fn toeplitz_follows_its_definition() {
        // key with bits 0 and 33 set: row = secret[0..7] ^ secret[33..40]
        let secret = [0x0000_0055, 0x0000_00f0 << 1, 0, 0, 0, 0];
        assert_eq!(
            tables::bank_row(&[1, 2, 0, 0, 0, 0], 153, &secret, 128),
            (0x55 ^ 0xf0) & 0x7f
        );
        // a key bit beyond the hashed ones does not count
        assert_eq!(
            tables::bank_row(&[0, 0, 0, 0, 1 << 25, 0], 153, &[u32::MAX; 6], 128),
            0
        );
    }

    #[test]
    fn code_numbers_are_unique_and_fit() {
        for set in CODES {
            for (i, code) in set.codes.iter().enumerate() {
                assert!(code.value < 1 << set.bits, "{} {}", set.name, code.name);
                assert!(
                    set.codes[..i]
                        .iter()
                        .all(|other| other.value != code.value && other.name != code.name)
                );
            }
        }
    }
}
