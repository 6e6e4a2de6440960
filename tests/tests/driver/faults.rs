//! What goes wrong has a name, and nothing hangs.

use std::time::{Duration, Instant};

use guideway::card::{CardError, QueueOptions};
use guideway::device::DeviceError;
use guideway_hdl::descriptors::Status;
use guideway_sim::card::Model;

use super::stage::{PATIENCE, Stage, configure};

super::on_both_models!(
    a_stopped_ring_is_reported_to_who_waits,
    a_simulator_that_ends_wakes_its_host,
    a_reset_beneath_the_host_is_told_from_a_silent_card
);

/// The transmit ring's doorbell (`regs/guideway.rdl`).
const TX_PRODUCER: u64 = 0x4114;

fn a_stopped_ring_is_reported_to_who_waits(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    configure(&card);
    let mut queues = card.start_queues(&QueueOptions::default()).unwrap();
    card.device()
        .bar(0)
        .unwrap()
        .write32(TX_PRODUCER, 0x9999)
        .unwrap();
    let begun = Instant::now();
    let error = loop {
        match queues.wait(Duration::from_millis(200), None) {
            Ok(_) => assert!(begun.elapsed() < PATIENCE),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, CardError::RingStopped { ring: "transmit", code } if code == Status::BadDoorbell.raw()),
        "{error}"
    );
    // The card itself, and its other rings, go on; a new start clears it.
    card.fence().unwrap();
    drop(queues);
    let queues = card.start_queues(&QueueOptions::default()).unwrap();
    queues.check().unwrap();
}

fn a_simulator_that_ends_wakes_its_host(model: Model) {
    let mut stage = Stage::new(model);
    let card = stage.open();
    let mut queues = card.start_queues(&QueueOptions::default()).unwrap();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            stage.stop();
        });
        let begun = Instant::now();
        loop {
            match queues.wait(PATIENCE, None) {
                Ok(_) => assert!(begun.elapsed() < PATIENCE),
                Err(error) => break error,
            }
        }
    });
    assert!(
        matches!(ended, CardError::Device(DeviceError::Closed { .. })),
        "{ended}"
    );
    assert!(ended.is_final() && card.device().is_gone());
    assert!(card.fence().is_err());
    assert!(card.read_counters().is_err());
}

fn a_reset_beneath_the_host_is_told_from_a_silent_card(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    configure(&card);
    let queues = card.start_queues(&QueueOptions::default()).unwrap();
    queues.check().unwrap();
    card.device().reset().unwrap();
    assert!(matches!(queues.check_reset(), Err(CardError::WasReset)));
    let begun = Instant::now();
    let error = card.fence().unwrap_err();
    assert!(
        matches!(error, CardError::WasReset) && error.is_final(),
        "{error}"
    );
    // not by running out of patience
    assert!(begun.elapsed() < PATIENCE / 2);
    drop(queues);
    drop(card);
    // opened anew, it serves again
    let card = stage.open();
    card.fence().unwrap();
    let queues = card.start_queues(&QueueOptions::default()).unwrap();
    queues.check().unwrap();
}
