//! Opening, and the command ring, against cards that answer as no real one should.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway_hdl::descriptors::{Command, Completion, Opcode, Status};
use guideway_hdl::tables::Table;
use guideway_hdl::{LAYOUT_HASH, MAGIC};

use super::fake::{
    COMMAND_ARM, COMMAND_PRODUCER, COMMAND_STATUS, FakeCard, LAYOUT_REGISTER, MAGIC_REGISTER,
    STATUS_REGISTER,
};
use super::*;
use crate::device::DeviceError;

fn options(waiting: Waiting) -> CardOptions {
    CardOptions {
        secrets: SecretSource::Seed(1),
        waiting,
        patience: Duration::from_millis(300),
        ..CardOptions::default()
    }
}

fn open(card: FakeCard) -> Result<(Arc<FakeCard>, Arc<Card>), CardError> {
    let fake = Arc::new(card);
    Card::open(
        Arc::clone(&fake) as Arc<dyn Device>,
        options(Waiting::Spin(Duration::ZERO)),
    )
    .map(|card| (fake, card))
}

fn obedient() -> FakeCard {
    FakeCard::new(|_, good| Some(good))
}

fn nops(count: u32) -> Vec<Command> {
    (0..count)
        .map(|i| Command {
            opcode: Opcode::Nop.raw(),
            count: i,
            ..Command::default()
        })
        .collect()
}

#[test]
fn what_is_no_card_of_this_layout_is_refused_and_both_sides_are_named() {
    let text = |card: FakeCard| open(card).err().unwrap().to_string();
    assert_eq!(
        text(obedient().with_pci_id(0x8086, 0x10d3)),
        "the fake card is no Guideway card: PCI id 8086:10d3, expected 1b36:6757"
    );
    let magic = text(obedient().with_register(MAGIC_REGISTER, 0));
    assert!(
        magic.contains("0x00000000") && magic.contains(&format!("{MAGIC:#010x}")),
        "{magic}"
    );
    let layout = text(obedient().with_register(LAYOUT_REGISTER, 0x1234_5678));
    assert!(
        layout.contains("0x12345678") && layout.contains(&format!("{LAYOUT_HASH:#010x}")),
        "{layout}"
    );
}

#[test]
fn a_card_that_does_not_become_ready_is_given_up() {
    let begun = Instant::now();
    let error = open(obedient().with_register(STATUS_REGISTER, 0))
        .err()
        .unwrap();
    assert!(matches!(error, CardError::NotReady { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_blank_card_gets_its_secrets_and_keeps_them() {
    let (fake, card) = open(obedient()).unwrap();
    let written: Vec<u32> = fake
        .writes()
        .iter()
        .filter(|(at, _)| (0x080..0x0e0).contains(at))
        .map(|(_, word)| *word)
        .collect();
    assert_eq!(written, card.secrets().words());
    card.write_scratch(&Scratch {
        owner: 5,
        ..Scratch::default()
    })
    .unwrap();
    let scratch: Vec<(u64, u32)> = fake.writes();
    let magic: Vec<usize> = (0..scratch.len())
        .filter(|i| scratch[*i].0 == 0x100 && scratch[*i].1 != 0)
        .collect();
    assert_eq!(
        magic,
        [scratch.len() - 1],
        "the magic word makes the block whole: it goes last"
    );
    drop(card);
    let before = fake.writes().len();
    let card = Card::adopt(
        Arc::clone(&fake) as Arc<dyn Device>,
        options(Waiting::Spin(Duration::ZERO)),
    )
    .unwrap();
    assert_eq!(
        (
            card.secrets().words(),
            card.read_scratch().unwrap().unwrap().owner
        ),
        (&written[..], 5)
    );
    assert!(
        fake.writes()[before..].iter().all(|(at, _)| *at >= 0x4000),
        "adopting writes nothing but rings"
    );
}

#[test]
fn outcomes_come_in_the_order_of_their_commands_over_many_passes() {
    let (fake, card) = open(FakeCard::new(|command, good| {
        let status = if command.count % 3 == 0 {
            Status::Occupied
        } else {
            Status::Ok
        };
        Some(Completion {
            status: status.raw(),
            ..good
        })
    }))
    .unwrap();
    let outcomes = card.run(&nops(1000)).unwrap();
    for (i, outcome) in outcomes.iter().enumerate() {
        assert_eq!(
            (outcome.result, outcome.status == Status::Occupied),
            (i as u32, i % 3 == 0)
        );
    }
    let doorbells = fake
        .writes()
        .iter()
        .filter(|(at, _)| *at == COMMAND_PRODUCER)
        .count();
    assert!(
        doorbells <= 4,
        "{doorbells} doorbells for 1000 commands in a ring of 256"
    );
}

#[test]
fn lockstep_runs_one_command_at_a_time_and_leaves_the_interrupt_armed() {
    let fake = Arc::new(obedient());
    let card = Card::open(
        Arc::clone(&fake) as Arc<dyn Device>,
        options(Waiting::Lockstep),
    )
    .unwrap();
    card.run(&nops(3)).unwrap();
    let seen: Vec<_> = fake
        .writes()
        .into_iter()
        .filter(|(at, _)| [COMMAND_PRODUCER, COMMAND_ARM].contains(at))
        .collect();
    let (doorbell, arm) = (COMMAND_PRODUCER, COMMAND_ARM);
    assert_eq!(
        seen,
        [
            (arm, 0),
            (doorbell, 1),
            (arm, 1),
            (doorbell, 2),
            (arm, 2),
            (doorbell, 3),
            (arm, 3)
        ]
    );
}

#[test]
fn a_ring_that_has_failed_once_is_not_used_again() {
    let (fake, card) = open(FakeCard::new(|_, good| {
        Some(Completion {
            index: good.index ^ 4,
            ..good
        })
    }))
    .unwrap();
    assert!(matches!(
        card.run(&nops(1)),
        Err(CardError::Corrupt {
            ring: "command",
            ..
        })
    ));
    let before = fake.writes().len();
    assert!(matches!(card.fence(), Err(CardError::Corrupt { .. })));
    assert_eq!(fake.writes().len(), before);
}

#[test]
fn a_card_without_progress_is_stuck_and_a_stopped_one_says_why() {
    for waiting in [Waiting::Spin(Duration::from_millis(1)), Waiting::Lockstep] {
        let begun = Instant::now();
        let silent = Arc::new(FakeCard::new(|_, _| None));
        let error = Card::open(silent, options(waiting))
            .unwrap()
            .fence()
            .unwrap_err();
        assert!(
            matches!(error, CardError::Stuck { .. }) && error.is_final(),
            "{error}"
        );
        assert!(
            begun.elapsed() >= Duration::from_millis(300)
                && begun.elapsed() < Duration::from_secs(5)
        );
        let stopped = Arc::new(
            FakeCard::new(|_, _| None).with_register(COMMAND_STATUS, Status::BadPhase.raw().into()),
        );
        let error = Card::open(stopped, options(waiting))
            .unwrap()
            .fence()
            .unwrap_err();
        assert!(
            matches!(
                error,
                CardError::RingStopped {
                    ring: "command",
                    code: 6
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("bad_phase"), "{error}");
    }
}

#[test]
fn a_function_that_is_asked_back_ends_every_wait_at_once() {
    let fake = Arc::new(FakeCard::new(|_, _| None));
    let patient = CardOptions {
        patience: Duration::from_secs(60),
        ..options(Waiting::Spin(Duration::ZERO))
    };
    let card = Card::open(Arc::clone(&fake) as Arc<dyn Device>, patient).unwrap();
    let mut queues = card.start_queues(&QueueOptions::default()).unwrap();
    let wake = queues.wait(Duration::from_millis(10), None).unwrap();
    assert_eq!(wake, Wake::Timeout);
    let asker = Arc::clone(&fake);
    let asking = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        asker.ask_back();
    });
    let begun = Instant::now();
    let error = card.fence().unwrap_err();
    assert!(
        matches!(error, CardError::Device(DeviceError::AskedBack { .. })) && error.is_final(),
        "{error}"
    );
    let error = queues.wait(Duration::from_secs(60), None).unwrap_err();
    assert!(
        matches!(error, CardError::Device(DeviceError::AskedBack { .. })),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
    asking.join().unwrap();
    // what is left is stopped in order: the function still answers
    let stops = fake.writes().len();
    drop(queues);
    drop(card);
    assert!(fake.writes().len() > stops);
}

#[test]
fn a_push_that_does_not_read_back_is_found_out() {
    let (_, card) = open(FakeCard::new(|command, good| {
        let wrong = command.opcode == Opcode::Digest.raw();
        Some(Completion {
            result: if wrong { 0xbad } else { good.result },
            ..good
        })
    }))
    .unwrap();
    let error = card.write_ring(0, &[1, 2, 3]).unwrap_err();
    assert!(
        matches!(
            error,
            CardError::Digest {
                table: Table::Ring,
                card: 0xbad,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_filter_is_off_while_the_address_changes() {
    let (fake, card) = open(obedient()).unwrap();
    card.set_mac([2, 3, 4, 5, 6, 7], true).unwrap();
    let writes: Vec<_> = fake
        .writes()
        .into_iter()
        .filter(|(at, _)| [0x30, 0x34].contains(at))
        .collect();
    assert_eq!(
        writes,
        [(0x34, 0x0203), (0x30, 0x0405_0607), (0x34, 0x1_0203)]
    );
}
