//! No frame, register write or byte of memory makes the card panic, hang or lose a frame.

use guideway_hdl::tables::Table;
use proptest::prelude::*;

use crate::card::{Bar, Card, FunctionState, HostMemory, WireFrame};
use crate::harness::TestHost;
use crate::memory::GuestMemory;
use crate::reference::{Config, ReferenceCard, Source, Tables, decide};
use crate::registers::{card, core, ring};

fn noise_tables(seed: u64) -> Tables {
    let random = &mut crate::harness::random::Random::new(seed);
    let mut tables = Tables::default();
    for table in Table::ALL
        .iter()
        .copied()
        .filter(|table| table.is_writable())
    {
        for index in 0..table.entries().min(512) {
            tables.write(table, index, &std::array::from_fn(|_| random.byte()));
        }
    }
    tables
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        any::<bool>().prop_map(|error| Source::Wire { error }),
        Just(Source::Raw),
        any::<(u16, u16, u8, u8)>().prop_map(|(vip, backend, generation, spread)| Source::Assign {
            vip,
            backend,
            generation,
            spread
        }),
    ]
}

/// Frames that get far: an EtherType that is known, then noise with plausible lengths.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    let kind = prop::sample::select(vec![[8u8, 0], [0x86, 0xdd], [8, 6], [0x81, 0]]);
    let first = prop::sample::select(vec![0x45u8, 0x60, 0x46, 0x4f, 0x00]);
    (noise, kind, first, any::<bool>()).prop_map(|(mut frame, kind, first, shaped)| {
        if shaped && frame.len() >= 60 {
            frame[12..14].copy_from_slice(&kind);
            frame[14] = first;
            let length = frame.len() as u16 - if kind == [8, 0] { 14 } else { 54 };
            let at = if kind == [8, 0] { 16 } else { 18 };
            frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
        }
        frame
    })
}

/// Registers worth writing, and now and then any other.
fn register() -> impl Strategy<Value = u32> {
    let ring = (0u32..6, 0u32..9).prop_map(|(ring, register)| {
        let block = [
            card::RX,
            card::RX + 0x40,
            card::RX + 0x80,
            card::RX + 0xc0,
            card::TX,
            card::COMMAND,
        ];
        block[ring as usize] + 4 * register
    });
    prop_oneof![4 => ring, 1 => (0u32..0x60).prop_map(|word| word * 4), 1 => any::<u32>()]
}

fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0u32..70,
        Just(ring::ENABLE | 14 << 8 | 3),
        Just(ring::ENABLE | 6 << 8 | 12),
        (0u32..16).prop_map(|page| 0x1000 * page),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_gets_one_disposition(frame in frame(), source in source(), seed in 0u64..4, control in any::<u8>()) {
        let tables = noise_tables(seed);
        let config = Config {
            mac_filter: control & 1 != 0,
            unmatched_drop: control & 2 != 0,
            compute_only: control & 4 != 0,
            host_alive: control & 8 != 0,
            ..Config::default()
        };
        let decision = decide(&tables, &config, &frame, source);
        prop_assert_eq!(decision.output.is_empty(), !decision.disposition.is_forward());
        prop_assert!(decision.output.len() <= 9264);
    }

    #[test]
    fn any_register_write_leaves_a_card_that_comes_to_rest(
        writes in prop::collection::vec((register(), value()), 1..80),
        noise in prop::collection::vec(any::<u8>(), 0x1000),
        frames in prop::collection::vec(frame(), 0..20),
    ) {
        let mut card = ReferenceCard::new();
        let mut memory = GuestMemory::new(0, 0x1_0000);
        for page in 0..16 {
            memory.fill(page * 0x1000, &noise).expect("within the memory");
        }
        card.set_function(FunctionState { bus_master: true, msix_enable: true, msix_mask: false });
        let mut frames = frames.into_iter().filter(|frame| !frame.is_empty());
        for (offset, value) in writes {
            let bar = match offset % 7 {
                0 => Bar::Msix,
                1 => Bar::Debug,
                _ => Bar::Registers,
            };
            card.register_write(&mut memory, bar, offset, value);
            let _ = card.register_read(&mut memory, bar, offset);
            if let Some(bytes) = frames.next() {
                card.wire_push(WireFrame { bytes, error: value & 1 == 1 });
            }
            card.run(&mut memory, u64::from(value % 1000));
        }
        // whatever the rings hold, it is done some time: a ring has at most 4096 descriptors, a command 2^16 entries
        for _ in 0..1000 {
            if card.is_idle() {
                break;
            }
            card.run(&mut memory, 1_000_000);
        }
        prop_assert!(card.is_idle());
        prop_assert_eq!(card.run(&mut memory, 1000), 0);
        // a new host finds a card that works
        card.host_reset(&mut memory as &mut dyn HostMemory);
        let mut host = TestHost::new(&mut card).expect("a card that is ready");
        host.settle().expect("rest");
        host.check_conservation().expect("no frame is lost");
        host.write(core::CONTROL, 1);
        host.push(vec![0xff; 60], false);
        host.settle().expect("rest");
        let received = host.receive().expect("a frame");
        prop_assert_eq!(received.len(), 1);
    }
}
