//! Frames between wire and host, through the rings.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway::card::flow::{FlowPlace, FlowTarget, flow_key, insert};
use guideway::card::{
    Assignment, BackendId, Card, CardError, CardOptions, Control, Counters, QueueOptions, Queues,
    VipId, Waiting, Wake,
};
use guideway_hdl::descriptors::{Expect, Status};
use guideway_hdl::verdict::{Disposition, HostClass, PortCounter};
use guideway_sim::card::Model;
use guideway_sim::device::Pace;
use rustix::event::{EventfdFlags, eventfd};

use super::stage::{
    ACK, PATIENCE, SYN, Stage, client, configure, enable_port, options, packet, settle,
};

super::on_both_models!(
    a_miss_is_punted_decided_and_known_from_then_on,
    raw_frames_leave_as_they_are,
    queues_go_round_and_keep_their_order,
    a_host_that_does_not_read_loses_frames_by_name,
    queues_stop_and_start_again,
    waiting_ends_for_frames_calls_and_time,
    lockstep_repeats_to_the_cycle,
);

fn small() -> QueueOptions {
    QueueOptions {
        miss_size_log2: 3,
        size_log2: 2,
        stride_log2: 11,
    }
}

fn assignment(backend: u16, generation: u8) -> Assignment {
    Assignment {
        vip: VipId(7),
        backend: BackendId(backend),
        generation,
        spread: 0,
    }
}

/// Waits until `count` frames of a class are there.
fn receive(queues: &mut Queues, class: HostClass, count: usize) {
    let begun = Instant::now();
    while queues.rx(class).receive(count).unwrap() < count {
        assert!(
            begun.elapsed() < PATIENCE,
            "{count} frames of class {}",
            class.name()
        );
        queues.wait(Duration::from_millis(100), None).unwrap();
    }
}

/// Waits until every transmission has completed with `ok`.
fn reap_all(queues: &mut Queues) -> Vec<u32> {
    let begun = Instant::now();
    let mut tags = Vec::new();
    while queues.tx.outstanding() > 0 {
        while let Some(completion) = queues.tx.reap().unwrap() {
            assert_eq!(completion.status, Status::Ok);
            tags.push(completion.tag);
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{} transmissions",
            queues.tx.outstanding()
        );
        if queues.tx.outstanding() > 0 {
            queues.wait(Duration::from_millis(10), None).unwrap();
        }
    }
    tags
}

fn alive(card: &Arc<Card>, options: &QueueOptions) -> Queues {
    configure(card);
    let queues = card.start_queues(options).unwrap();
    card.heartbeat(Duration::from_secs(3600)).unwrap();
    // Last: what comes on the wire from now on finds a host.
    enable_port(card);
    queues
}

fn a_miss_is_punted_decided_and_known_from_then_on(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let mut queues = alive(&card, &QueueOptions::default());
    assert!(card.status().unwrap().host_alive);
    let frame = packet(client(5), 1234, SYN);
    stage.wire.send(frame.clone());
    receive(&mut queues, HostClass::Miss, 1);
    let punt = queues.rx(HostClass::Miss).frame(0).unwrap();
    assert_eq!(punt.disposition, Disposition::HostPunt);
    assert_eq!(punt.bytes, frame);
    let seen = punt.completion;
    assert_eq!(
        (
            seen.vip,
            seen.pool,
            seen.vip_valid,
            seen.syn,
            seen.flow_found
        ),
        (7, 3, true, true, false)
    );
    assert_eq!(
        (seen.source, seen.source_port, seen.destination_port),
        (0xc000_0205, 1234, 80)
    );
    assert_eq!(u32::from(seen.ring_backend), seen.ring_index % 2);
    assert_eq!(seen.ring_index, seen.flow_hash % 5);
    assert_eq!(card.punts_outstanding().unwrap(), 1);
    assert!(queues.rx(HostClass::Miss).frame(1).is_none());

    let key = flow_key(VipId(7), client(5), 1234, 80);
    let target = FlowTarget {
        backend: BackendId(1),
        generation: 2,
        pinned: false,
        confirmed: false,
    };
    assert_eq!(
        card.run(&[insert(
            &key,
            FlowPlace { bank: 2, way: 1 },
            &target,
            Expect::Free
        )])
        .unwrap()[0]
            .status,
        Status::Ok
    );
    let bytes = queues.rx[2].frame(0).unwrap().bytes;
    queues
        .tx
        .assign(bytes, &assignment(1, 2), true, 77)
        .unwrap();
    queues.tx.flush().unwrap();
    queues.rx(HostClass::Miss).release(1).unwrap();
    assert_eq!(reap_all(&mut queues), [77]);
    let assigned = stage.wire.receive(PATIENCE).unwrap().bytes;
    assert_eq!(assigned[30..34], [10, 0, 0, 2]);
    assert_eq!(
        assigned[34..],
        frame[14..],
        "the packet itself is unchanged"
    );
    stage.wire.send(packet(client(5), 1234, ACK));
    assert_eq!(
        stage.wire.receive(PATIENCE).unwrap().bytes[30..34],
        [10, 0, 0, 2]
    );

    // A punt that ends without a frame.
    stage.wire.send(packet(client(6), 1, SYN));
    receive(&mut queues, HostClass::Miss, 1);
    queues.rx(HostClass::Miss).release(1).unwrap();
    queues.tx.end_punt(1).unwrap();
    queues.tx.flush().unwrap();
    reap_all(&mut queues);
    let counters = settle(&card);
    let of = |disposition| counters.disposition(disposition);
    assert_eq!(
        (
            of(Disposition::HostPunt),
            of(Disposition::ForwardInject),
            of(Disposition::ForwardHit)
        ),
        (2, 1, 1)
    );
    assert_eq!(card.punts_outstanding().unwrap(), 0);
}

fn raw_frames_leave_as_they_are(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let mut queues = alive(&card, &small());
    let lengths = [
        14, 15, 60, 63, 64, 65, 127, 128, 129, 1514, 2048, 4096, 4097, 9215, 9216, 60, 61, 62, 14,
    ];
    let frame = |length: usize| {
        (0..length)
            .map(|i| (i * 31 + length) as u8)
            .collect::<Vec<u8>>()
    };
    for (tag, length) in lengths.iter().enumerate() {
        while let Err(CardError::RingFull { .. }) =
            queues.tx.raw(&frame(*length), false, tag as u32)
        {
            queues.tx.flush().unwrap();
            reap_all(&mut queues);
        }
    }
    queues.tx.flush().unwrap();
    reap_all(&mut queues);
    for length in lengths {
        assert_eq!(stage.wire.receive(PATIENCE).unwrap().bytes, frame(length));
    }
    for length in [0, 13, 9217] {
        assert!(matches!(
            queues.tx.raw(&frame(length), false, 0),
            Err(CardError::FrameLength(_))
        ));
    }
    assert_eq!(
        settle(&card).disposition(Disposition::ForwardRaw),
        lengths.len() as u64
    );
}

fn queues_go_round_and_keep_their_order(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let mut queues = alive(&card, &small());
    for port in 0..100u16 {
        stage.wire.send(packet(client(1), 1000 + port, SYN));
        receive(&mut queues, HostClass::Miss, 1);
        assert_eq!(
            queues
                .rx(HostClass::Miss)
                .frame(0)
                .unwrap()
                .completion
                .source_port,
            1000 + port
        );
        queues.rx(HostClass::Miss).release(1).unwrap();
        queues.tx.end_punt(port.into()).unwrap();
        queues.tx.flush().unwrap();
        assert_eq!(reap_all(&mut queues), [u32::from(port)]);
    }
    let counters = settle(&card);
    assert_eq!(counters.disposition(Disposition::HostPunt), 100);
    assert_eq!(counters.port(PortCounter::Injected), 0);
    assert_eq!(card.punts_outstanding().unwrap(), 0);
}

fn a_host_that_does_not_read_loses_frames_by_name(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let mut queues = alive(
        &card,
        &QueueOptions {
            miss_size_log2: 1,
            ..small()
        },
    );
    // The class's buffer holds 1024 beats: 512 frames of two beats. What the two entries and the buffer do not hold is dropped.
    for i in 0..1500u16 {
        stage.wire.send(packet(client((i % 200) as u8), i, SYN));
    }
    let begun = Instant::now();
    let counters = loop {
        let counters = card.read_counters().unwrap();
        if counters.port(PortCounter::WireIn) == 1500 {
            break counters;
        }
        assert!(begun.elapsed() < PATIENCE, "{counters}");
    };
    assert!(
        counters.disposition(Disposition::DropPuntFull) > 0,
        "{counters}"
    );
    // Once it reads, it gets all the others, in order.
    let (mut got, mut last) = (0, None);
    let begun = Instant::now();
    loop {
        let held = queues.rx(HostClass::Miss).receive(2).unwrap();
        for i in 0..held {
            let port = queues
                .rx(HostClass::Miss)
                .frame(i)
                .unwrap()
                .completion
                .source_port;
            assert!(last < Some(port));
            last = Some(port);
        }
        got += held as u64;
        queues.rx(HostClass::Miss).release(held).unwrap();
        let counters = card.read_counters().unwrap();
        if held == 0
            && counters.disposition(Disposition::HostPunt) == got
            && counters.conservation().is_ok()
        {
            assert_eq!(got + counters.disposition(Disposition::DropPuntFull), 1500);
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{got} of {counters}");
    }
}

fn queues_stop_and_start_again(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let queues = alive(&card, &small());
    assert!(matches!(
        card.start_queues(&small()),
        Err(CardError::QueuesTaken)
    ));
    drop(queues);
    assert!(
        !card.status().unwrap().host_alive,
        "without a miss queue nobody can answer"
    );
    // Misses go by the ring meanwhile.
    stage.wire.send(packet(client(1), 1, SYN));
    stage.wire.receive(PATIENCE).unwrap();
    let mut queues = card.start_queues(&QueueOptions::default()).unwrap();
    stage.wire.send(packet(client(1), 2, SYN));
    receive(&mut queues, HostClass::Miss, 1);
    let counters = card.read_counters().unwrap();
    assert_eq!(counters.disposition(Disposition::ForwardRing), 1);
    for wrong in [
        QueueOptions {
            size_log2: 0,
            ..small()
        },
        QueueOptions {
            miss_size_log2: 13,
            ..small()
        },
        QueueOptions {
            stride_log2: 15,
            ..small()
        },
    ] {
        drop(queues);
        assert!(matches!(
            card.start_queues(&wrong),
            Err(CardError::OutOfRange { .. })
        ));
        queues = card.start_queues(&small()).unwrap();
    }
}

fn waiting_ends_for_frames_calls_and_time(model: Model) {
    let stage = Stage::new(model);
    let card = Card::open(
        stage.connect(),
        CardOptions {
            waiting: Waiting::Spin(Duration::ZERO),
            ..options()
        },
    )
    .unwrap();
    let mut queues = alive(&card, &small());
    let begun = Instant::now();
    assert_eq!(
        queues.wait(Duration::from_millis(50), None).unwrap(),
        Wake::Timeout
    );
    assert!(begun.elapsed() >= Duration::from_millis(50));
    let call = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
    assert_eq!(
        queues.wait(PATIENCE, Some(call.as_fd())).unwrap(),
        Wake::Called
    );
    // The interrupt alone wakes: nobody looks at phases before it.
    for port in 0..20 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let begun = Instant::now();
                while queues.rx(HostClass::Miss).receive(1).unwrap() == 0 {
                    assert_eq!(queues.wait(PATIENCE, None).unwrap(), Wake::Work);
                    assert!(begun.elapsed() < PATIENCE);
                }
            });
            std::thread::sleep(Duration::from_millis(5));
            stage.wire.send(packet(client(9), port, SYN));
        });
        queues.rx(HostClass::Miss).release(1).unwrap();
    }
}

/// A host that answers every punt, as the slow path does.
fn play(model: Model, pace: Pace) -> (Counters, Vec<Vec<u8>>) {
    let mut stage = Stage::with(model, Some(pace));
    for port in 0..40 {
        stage.wire.send(packet(
            client(port as u8 / 4),
            port / 2,
            if port % 2 == 0 { SYN } else { ACK },
        ));
    }
    stage.wire.finish();
    let card = Card::open(
        stage.connect(),
        CardOptions {
            waiting: Waiting::Lockstep,
            ..options()
        },
    )
    .unwrap();
    configure(&card);
    let mut queues = card.start_queues(&small()).unwrap();
    card.heartbeat(Duration::from_secs(3600)).unwrap();
    // Armed before the first frame: from the port's opening on the host does nothing but answer.
    queues.wait(Duration::ZERO, None).unwrap();
    let open = Control {
        port_enable: true,
        ..Control::default()
    };
    card.set_control(open).unwrap();
    let mut sent = Vec::new();
    let begun = Instant::now();
    while sent.len() < 40 {
        assert!(begun.elapsed() < PATIENCE, "{} frames", sent.len());
        while let Ok(frame) = stage.wire.receive(Duration::ZERO) {
            sent.push(frame.bytes);
        }
        // Nothing announces the last frame to the host.
        if queues.wait(Duration::from_millis(100), None).unwrap() != Wake::Work {
            continue;
        }
        while queues.rx(HostClass::Miss).receive(1).unwrap() == 1 {
            let punt = queues.rx[2].frame(0).unwrap();
            let source = std::net::Ipv4Addr::from_bits(punt.completion.source as u32).into();
            let key = flow_key(VipId(7), source, punt.completion.source_port, 80);
            let target = FlowTarget {
                backend: BackendId(0),
                generation: 1,
                pinned: false,
                confirmed: false,
            };
            card.run(&[insert(
                &key,
                FlowPlace { bank: 0, way: 0 },
                &target,
                Expect::Free,
            )])
            .unwrap();
            queues
                .tx
                .assign(punt.bytes, &assignment(0, 1), true, 0)
                .unwrap();
            queues.tx.flush().unwrap();
            queues.rx(HostClass::Miss).release(1).unwrap();
            while queues.tx.reap().unwrap().is_some() {}
        }
    }
    // Whether the last answer was followed by a wait depends on this thread's speed: now it was.
    queues.wait(Duration::ZERO, None).unwrap();
    (card.read_counters().unwrap(), sent)
}

fn lockstep_repeats_to_the_cycle(model: Model) {
    // Back to back all frames are in the card before the first answer; in steps every second one finds the flow installed.
    for (pace, punts) in [(Pace::Line, 40), (Pace::Step, 20)] {
        let (first, frames) = play(model, pace);
        assert_eq!(
            first.disposition(Disposition::HostPunt),
            punts,
            "{pace:?}: {first}"
        );
        assert_eq!(
            first.disposition(Disposition::ForwardHit),
            40 - punts,
            "{pace:?}: {first}"
        );
        let (second, again) = play(model, pace);
        assert_eq!(first.to_string(), second.to_string());
        assert_eq!(frames, again);
    }
}
