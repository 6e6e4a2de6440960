//! Rings, interrupts, bus mastering (`CARD.md` 7).

use guideway_hdl::descriptors::{Command, Opcode, Status, TxDescriptor, TxOp};
use guideway_hdl::tables::MissPolicy;
use guideway_hdl::verdict::{Disposition, HostClass, PortCounter};

use super::super::frame::PacketSpec;
use super::super::random::Random;
use super::super::{HarnessError, RING_ENTRIES, TestHost};
use super::{Check, arp, balance, holds, packet, same};
use crate::card::{Bar, FunctionState};
use crate::memory::MSI_BASE;
use crate::registers::{card, core as core_at, ring as at};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "rings wrap and phases alternate",
        run: rings_wrap,
    },
    Check {
        name: "a doorbell too far ahead stops the ring",
        run: doorbell_too_far,
    },
    Check {
        name: "a phase that is not due stops the ring",
        run: phase_not_due,
    },
    Check {
        name: "rings refuse what they cannot run with",
        run: bad_configuration,
    },
    Check {
        name: "raw frames leave as they are",
        run: raw_frames,
    },
    Check {
        name: "bad transmissions end by name",
        run: bad_transmissions,
    },
    Check {
        name: "an armed ring interrupts once",
        run: armed_once,
    },
    Check {
        name: "masked interrupts wait",
        run: masked_interrupts,
    },
    Check {
        name: "no DMA without bus mastering",
        run: bus_mastering,
    },
    Check {
        name: "a full receive queue drops by name",
        run: full_queue,
    },
    Check {
        name: "a queue whose memory vanished stops",
        run: queue_memory_vanishes,
    },
    Check {
        name: "a frame longer than its buffer is dropped",
        run: longer_than_stride,
    },
];

const ENABLED: FunctionState = FunctionState {
    bus_master: true,
    msix_enable: true,
    msix_mask: false,
};

fn nop(tag: u32) -> Command {
    Command {
        opcode: Opcode::Nop.raw(),
        tag,
        ..Command::default()
    }
}

fn rings_wrap(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core_at::CONTROL, 1);
    let count = u32::from(RING_ENTRIES) * 5 / 2;
    for tag in 0..count {
        host.order(nop(tag))?;
        let release = TxDescriptor {
            op: TxOp::Release.raw(),
            tag,
            ..TxDescriptor::default()
        };
        let completion = host.transmit_as_is(release)?;
        same("a release", &completion.status, &Status::Ok.raw())?;
        host.push(arp(), false);
        host.settle()?;
        let received = host.receive()?;
        same("frames received", &received.len(), &1)?;
        same("the frame", &received[0].bytes, &arp())?;
        same("its class", &received[0].class, &HostClass::Control)?;
    }
    let progress = card::COMMAND + at::PROGRESS;
    same("commands completed", &host.read(progress), &count)
}

fn doorbell_too_far(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    for block in [card::COMMAND, card::TX] {
        host.memory.take_messages();
        host.write(block + at::DOORBELL, u32::from(RING_ENTRIES) + 1);
        host.settle()?;
        same(
            "the status",
            &host.ring_status(block),
            &Status::BadDoorbell.raw(),
        )?;
        let events = [(MSI_BASE + 24, 0x106)];
        same("the event", &host.memory.take_messages(), &events.to_vec())?;
        host.start_ring(block)?;
    }
    host.order(nop(1)).map(drop)
}

fn phase_not_due(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    for block in [card::COMMAND, card::TX] {
        // nothing was written: the descriptor's phase is 0
        host.write(block + at::DOORBELL, 1);
        host.settle()?;
        same(
            "the status",
            &host.ring_status(block),
            &Status::BadPhase.raw(),
        )?;
        same("nothing completed", &host.read(block + at::PROGRESS), &0)?;
        host.start_ring(block)?;
    }
    host.order(nop(1)).map(drop)
}

fn bad_configuration(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let blocks = [
        card::COMMAND,
        card::TX,
        card::RX,
        card::RX + 3 * card::RX_STEP,
    ];
    for block in blocks {
        let receives = block < card::TX;
        for bits in [0u32, 13, 15, 5 << 8 | 6, 15 << 8 | 6] {
            if !receives && bits > 15 {
                continue;
            }
            let stride = if bits <= 15 && receives { 14 << 8 } else { 0 };
            host.write(block + at::CONFIG, 0);
            host.write(block + at::CONFIG, at::ENABLE | stride | bits);
            host.settle()?;
            let status = host.read(block + at::STATUS) & 0xff;
            same("the status", &status, &Status::OutOfRange.raw().into())?;
        }
        let base = host.read(block + at::BASE_LOW);
        host.write(block + at::CONFIG, 0);
        host.write(block + at::BASE_LOW, base | 32);
        host.write(block + at::CONFIG, at::ENABLE | 14 << 8 | 6);
        host.settle()?;
        let status = host.read(block + at::STATUS) & 0xff;
        same("the status", &status, &Status::BadAddress.raw().into())?;
    }
    for ring in [card::COMMAND, card::TX, 0, 3] {
        host.start_ring(ring)?;
    }
    host.order(nop(1)).map(drop)
}

fn raw() -> TxDescriptor {
    TxDescriptor {
        op: TxOp::Raw.raw(),
        tag: 77,
        ..TxDescriptor::default()
    }
}

fn raw_frames(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let random = &mut Random::new(3);
    for length in [
        14, 15, 59, 60, 63, 64, 65, 127, 128, 129, 1514, 4096, 9215, 9216,
    ] {
        let frame = random.bytes(length);
        let completion = host.transmit(raw(), &frame)?;
        same("the status", &completion.status, &Status::Ok.raw())?;
        host.settle()?;
        same("the frame", &host.take_sent(), &vec![frame])?;
    }
    same(
        "a runt",
        &host.transmit(raw(), &[1; 13])?.status,
        &Status::Ok.raw(),
    )?;
    host.settle()?;
    let counters = host.counters()?;
    same(
        "runts",
        &counters[usize::from(Disposition::DropRunt.raw())],
        &1,
    )?;
    same(
        "injected",
        &counters[usize::from(PortCounter::Injected.raw())],
        &15,
    )?;
    host.check_conservation()
}

fn bad_transmissions(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let address = host.memory.base();
    let good = TxDescriptor {
        address,
        length: 60,
        ..raw()
    };
    let beyond = host.memory.end();
    let cases = [
        (TxDescriptor { op: 3, ..good }, Status::BadOpcode),
        (TxDescriptor { op: 255, ..good }, Status::BadOpcode),
        (TxDescriptor { length: 0, ..good }, Status::BadLength),
        (
            TxDescriptor {
                length: 9217,
                ..good
            },
            Status::BadLength,
        ),
        (
            TxDescriptor {
                length: u16::MAX,
                ..good
            },
            Status::BadLength,
        ),
        (
            TxDescriptor {
                address: beyond - 30,
                ..good
            },
            Status::DmaError,
        ),
        (TxDescriptor { address: 0, ..good }, Status::DmaError),
        (
            TxDescriptor {
                address: u64::MAX - 10,
                ..good
            },
            Status::DmaError,
        ),
        (good, Status::Ok),
    ];
    for (descriptor, expected) in cases {
        let completion = host.transmit_as_is(descriptor)?;
        same(
            "the status",
            &Status::from_raw(completion.status),
            &Some(expected),
        )?;
    }
    host.settle()?;
    same("frames sent", &host.take_sent().len(), &1)?;
    host.check_conservation()
}

fn armed_once(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core_at::CONTROL, 1);
    for (block, vector) in [(card::RX, 0u32), (card::COMMAND, 5), (card::TX, 4)] {
        let index = host.read(block + at::PROGRESS);
        host.memory.take_messages();
        host.write(block + at::ARM, index);
        host.settle()?;
        same(
            "no news, no message",
            &host.memory.take_messages(),
            &Vec::new(),
        )?;
        for _ in 0..2 {
            match vector {
                0 => host.push(arp(), false),
                4 => host.transmit(raw(), &[0; 60]).map(drop)?,
                _ => host.order(nop(1)).map(drop)?,
            }
            host.settle()?;
        }
        let message = (MSI_BASE + u64::from(4 * vector), 0x100 + vector);
        same("one message", &host.memory.take_messages(), &vec![message])?;
        host.write(block + at::ARM, index);
        host.settle()?;
        same(
            "a message at once",
            &host.memory.take_messages(),
            &vec![message],
        )?;
    }
    Ok(())
}

fn masked_interrupts(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    let command_control = 16 * 5 + 12;
    let message = vec![(MSI_BASE + 20, 0x105)];
    host.memory.take_messages();
    for by_function in [false, true] {
        if by_function {
            host.card.set_function(FunctionState {
                msix_mask: true,
                ..ENABLED
            });
        } else {
            host.card
                .register_write(&mut host.memory, Bar::Msix, command_control, 1);
        }
        let index = host.read(card::COMMAND + at::PROGRESS);
        host.write(card::COMMAND + at::ARM, index);
        host.order(nop(1))?;
        host.settle()?;
        same(
            "nothing while masked",
            &host.memory.take_messages(),
            &Vec::new(),
        )?;
        let pending = host.card.register_read(&mut host.memory, Bar::Msix, 0x800);
        same("the pending bit", &(pending & 0xff), &0x20)?;
        if by_function {
            host.card.set_function(ENABLED);
        } else {
            host.card
                .register_write(&mut host.memory, Bar::Msix, command_control, 0);
        }
        host.settle()?;
        same("the message", &host.memory.take_messages(), &message)?;
        let pending = host.card.register_read(&mut host.memory, Bar::Msix, 0x800);
        same("the pending bit", &(pending & 0xff), &0)?;
    }
    Ok(())
}

fn bus_mastering(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core_at::CONTROL, 1);
    host.settle()?;
    host.card.set_function(FunctionState {
        bus_master: false,
        ..ENABLED
    });
    let before = host.memory.accesses();
    for _ in 0..3 {
        host.push(arp(), false);
    }
    let release = TxDescriptor {
        phase: true,
        op: TxOp::Release.raw(),
        ..TxDescriptor::default()
    };
    let base = host.read(card::TX + at::BASE_LOW);
    host.memory.fill(base.into(), &release.to_bytes())?;
    host.write(card::TX + at::DOORBELL, 1);
    host.run(20_000);
    same("DMA accesses", &host.memory.accesses(), &before)?;
    same("frames received", &host.receive()?.len(), &0)?;
    host.card.set_function(ENABLED);
    host.settle()?;
    same("frames received", &host.receive()?.len(), &3)?;
    same("transmissions", &host.read(card::TX + at::PROGRESS), &1)
}

fn full_queue(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core_at::CONTROL, 1);
    let sent = 900;
    let mut received = 0;
    for _ in 0..sent {
        host.push(arp(), false);
    }
    // the buffer of the class and the queue's entries fill up; the rest is dropped, and the host finds all others
    host.run(40_000);
    loop {
        let frames = host.receive()?;
        if frames.is_empty() {
            break;
        }
        received += frames.len() as u64;
        host.run(20_000);
    }
    host.settle()?;
    let counters = host.counters()?;
    let dropped = counters[usize::from(Disposition::DropHostFull.raw())];
    let kept = counters[usize::from(Disposition::HostControl.raw())];
    same("received and dropped", &(received + dropped), &sent)?;
    same("received", &received, &kept)?;
    holds(
        "the buffer takes its 512 beats",
        received >= 512 + u64::from(RING_ENTRIES),
    )?;
    holds("the rest is dropped", dropped > 200)?;
    host.check_conservation()
}

fn queue_memory_vanishes(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    host.write(core_at::CONTROL, 1);
    let buffers = u64::from(host.read(card::RX + at::SECOND_LOW));
    host.memory.refuse(buffers..buffers + 64);
    host.memory.take_messages();
    host.push(arp(), false);
    host.settle()?;
    same("the status", &host.ring_status(0), &Status::DmaError.raw())?;
    same(
        "the event",
        &host.memory.take_messages(),
        &vec![(MSI_BASE + 24, 0x106)],
    )?;
    holds(
        "the error is counted",
        host.read(card::DMA_WRITE_ERRORS) >= 1,
    )?;
    host.push(arp(), false);
    host.settle()?;
    let counters = host.counters()?;
    same(
        "drops",
        &counters[usize::from(Disposition::DropHostFull.raw())],
        &1,
    )?;
    host.memory.refuse_nothing();
    host.start_ring(0)?;
    host.push(arp(), false);
    host.settle()?;
    same("frames received", &host.receive()?.len(), &1)?;
    host.check_conservation()
}

fn longer_than_stride(host: &mut TestHost<'_>) -> Result<(), HarnessError> {
    balance(host, MissPolicy::Punt)?;
    host.write(core_at::HEARTBEAT, 1_000_000);
    let queues =
        [HostClass::Control, HostClass::Miss].map(|class| u32::from(class.raw()) * card::RX_STEP);
    for queue in queues {
        host.write(card::RX + queue + at::CONFIG, 0);
        host.write(card::RX + queue + at::CONFIG, at::ENABLE | 6 << 8 | 6);
    }
    for bytes in [64, 65] {
        let mut control = arp();
        control.resize(bytes, 0);
        host.push(control, false);
        let headers = packet(1).frame().len() - packet(1).payload.len();
        let punt = PacketSpec {
            payload: vec![0; bytes - headers],
            ..packet(1)
        };
        host.push(punt.frame(), false);
    }
    host.settle()?;
    let counters = host.counters()?;
    let expected = [
        (Disposition::HostControl, 1),
        (Disposition::HostPunt, 1),
        (Disposition::DropHostFull, 2),
        (Disposition::DropPuntFull, 0),
    ];
    for (disposition, count) in expected {
        let counted = counters[usize::from(disposition.raw())];
        same(disposition.name(), &counted, &count)?;
    }
    for queue in queues {
        let kept = host.read(card::RX + queue + at::PROGRESS);
        same("frames kept", &kept, &1)?;
    }
    host.check_conservation()
}
