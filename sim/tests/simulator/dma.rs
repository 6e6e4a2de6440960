//! The card reaches the client's memory, and its interrupts the client's eventfds.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;

use guideway_sim::registers::{card, ring};
use guideway_sim::vfio_user::protocol::{Command, NO_REPLY, RegionAccess};
use rustix::fs::ftruncate;
use rustix::io::{pread, pwrite};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_MSIX_IRQ_INDEX,
};
use zerocopy::IntoBytes;

use crate::rig::{CommandRing, PATIENCE, Rig, eventfd, eventually, interrupted, memfd};

const BASE: u64 = 0x1_0000_0000;
const COMMAND_VECTOR: u32 = 5;
const WIRE: u32 = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
const QUIET: Duration = Duration::from_millis(30);

fn run_nop(
    client: &mut crate::client::Client,
    ring: &mut CommandRing,
    file: &std::os::fd::OwnedFd,
    tag: u32,
) {
    let (at, bytes) = ring.nop(tag);
    pwrite(file, &bytes, at - BASE).unwrap();
    ring.ring(client);
    let mut completion = [0; 64];
    eventually("the completion", || {
        pread(file, &mut completion, ring.completion_at() - BASE).unwrap();
        ring.is_complete(&completion, tag)
    });
}

#[test]
fn commands_complete_in_mapped_and_unmapped_files() {
    for sealed in [true, false] {
        let rig = Rig::new();
        let mut client = rig.open();
        let file = memfd(8192, sealed);
        client.map(BASE, 8192, 0, Some(&file)).unwrap();
        let mut ring = CommandRing::start(&mut client, BASE);
        for tag in 1..10 {
            run_nop(&mut client, &mut ring, &file, tag);
        }
    }
}

#[test]
fn memory_without_a_file_is_reached_by_messages() {
    let rig = Rig::new();
    let mut client = rig.open();
    client.map(BASE, 8192, 0, None).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    let mut memory: HashMap<u64, Vec<u8>> = HashMap::new();
    let (at, bytes) = ring.nop(77);
    memory.insert(at, bytes.to_vec());
    ring.ring(&mut client);
    // The completion comes by DMA_WRITE, whenever the card runs.
    while !memory.contains_key(&ring.completion_at()) {
        let (header, body) = client.receive().expect("a DMA message");
        client.serve(&header, &body, &mut |command, access, data| match command {
            Command::DmaRead => Ok(memory.get(&access.address).ok_or(libc::EFAULT)?.clone()),
            _ => {
                memory.insert(access.address, data.to_vec());
                Ok(vec![])
            }
        });
    }
    assert!(ring.is_complete(&memory[&ring.completion_at()], 77));
    assert_eq!(client.read32(0), guideway_hdl::MAGIC);
}

#[test]
fn a_client_that_refuses_a_dma_message_stops_the_ring() {
    let rig = Rig::new();
    let mut client = rig.open();
    client.map(BASE, 8192, 0, None).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    ring.nop(1);
    ring.ring(&mut client);
    let (header, body) = client.receive().expect("a DMA message");
    client.serve(&header, &body, &mut |_, _, _| Err(libc::EFAULT));
    eventually("the ring's error", || {
        CommandRing::status(&mut client) == guideway_hdl::descriptors::Status::DmaError as u32
    });
}

/// While the server waits for the client's memory, the client's own commands wait, in order.
#[test]
fn commands_that_cross_a_dma_message_are_served_after_it() {
    let rig = Rig::new();
    let mut client = rig.open();
    client.map(BASE, 8192, 0, None).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    let (_, descriptor) = ring.nop(5);
    ring.ring(&mut client);
    let (first, body) = client.receive().expect("a DMA message");
    let access = RegionAccess {
        offset: 0,
        region: 0,
        count: 4,
    };
    client.send(Command::RegionRead, 0, &[access.as_bytes()], &[]);
    client.serve(&first, &body, &mut |_, _, _| Ok(descriptor.to_vec()));
    let mut seen = Vec::new();
    while !seen.contains(&Command::RegionRead) || !seen.contains(&Command::DmaWrite) {
        let (header, body) = client.receive().unwrap();
        seen.push(Command::from_number(header.command).unwrap());
        if header.is_reply() {
            assert_eq!(&body[16..], guideway_hdl::MAGIC.to_le_bytes());
        } else {
            client.serve(&header, &body, &mut |_, _, _| Ok(vec![]));
        }
    }
}

#[test]
fn a_client_that_never_answers_is_closed() {
    let rig = Rig::new();
    let mut client = rig.open();
    client.map(BASE, 8192, 0, None).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    ring.nop(1);
    ring.ring(&mut client);
    client.receive().expect("a DMA message");
    assert!(client.receive().is_err(), "closed after two seconds");
    rig.assert_alive();
}

#[test]
fn a_client_that_dies_under_dma_leaves_the_card_to_the_next() {
    let rig = Rig::new();
    for _ in 0..5 {
        let mut client = rig.open();
        client.map(BASE, 8192, 0, None).unwrap();
        let mut ring = CommandRing::start(&mut client, BASE);
        ring.nop(1);
        ring.ring(&mut client);
        client.receive().expect("a DMA message");
        drop(client);
    }
    rig.assert_alive();
}

/// The file shrinks between descriptor and doorbell, and while the card is at work: an error, not a signal.
#[test]
fn a_client_that_shrinks_its_memory_stops_its_ring_only() {
    let rig = Rig::new();
    let mut client = rig.open();
    let file = memfd(8192, false);
    client.map(BASE, 8192, 0, Some(&file)).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    run_nop(&mut client, &mut ring, &file, 1);
    let (at, bytes) = ring.nop(2);
    pwrite(&file, &bytes, at - BASE).unwrap();
    ftruncate(&file, 4096).unwrap(); // the completions' page is gone
    ring.ring(&mut client);
    eventually("the ring's error", || {
        CommandRing::status(&mut client) == guideway_hdl::descriptors::Status::DmaError as u32
    });
    assert_eq!(
        rustix::fs::fstat(&file).unwrap().st_size,
        4096,
        "nothing brought it back"
    );
    ftruncate(&file, 0).unwrap();
    let mut again = CommandRing::start(&mut client, BASE);
    again.nop(3);
    again.ring(&mut client);
    eventually("the ring's error", || {
        CommandRing::status(&mut client) == guideway_hdl::descriptors::Status::DmaError as u32
    });
    assert_eq!(client.read32(0), guideway_hdl::MAGIC);
}

#[test]
fn unmapped_memory_and_bus_mastering_off_mean_no_dma() {
    let rig = Rig::new();
    let mut client = rig.open();
    let file = memfd(8192, true);
    client.map(BASE, 8192, 0, Some(&file)).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    client.region_write(7, 4, &[2, 0]).unwrap();
    let (at, bytes) = ring.nop(1);
    pwrite(&file, &bytes, at - BASE).unwrap();
    ring.ring(&mut client);
    assert_eq!(client.read32(card::COMMAND + ring::PROGRESS), 0);
    let mut completion = [0; 64];
    pread(&file, &mut completion, 4096).unwrap();
    assert_eq!(completion, [0; 64], "no DMA without bus mastering");
    client.region_write(7, 4, &[6, 0]).unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    assert_eq!(client.unmap(0, u64::MAX), Ok(8192));
    ring.nop(1);
    ring.ring(&mut client);
    eventually("the ring's error", || {
        CommandRing::status(&mut client) == guideway_hdl::descriptors::Status::DmaError as u32
    });
}

#[test]
fn an_armed_ring_interrupts_once() {
    let rig = Rig::new();
    let mut client = rig.open();
    let file = memfd(8192, true);
    client.map(BASE, 8192, 0, Some(&file)).unwrap();
    let irq = eventfd();
    client
        .set_irqs(
            WIRE,
            VFIO_PCI_MSIX_IRQ_INDEX,
            COMMAND_VECTOR,
            1,
            &[],
            &[irq.as_fd()],
        )
        .unwrap();
    let mut ring = CommandRing::start(&mut client, BASE);
    let arm = card::COMMAND + ring::ARM;
    run_nop(&mut client, &mut ring, &file, 1);
    assert!(!interrupted(&irq, QUIET), "not armed");
    client.post32(arm, 0);
    assert!(
        interrupted(&irq, PATIENCE),
        "armed behind the index: at once"
    );
    client.post32(arm, 1);
    assert!(!interrupted(&irq, QUIET), "nothing new");
    run_nop(&mut client, &mut ring, &file, 2);
    assert!(interrupted(&irq, PATIENCE));
    run_nop(&mut client, &mut ring, &file, 3);
    assert!(!interrupted(&irq, QUIET), "armed once, fired once");
}

#[test]
fn masked_and_unwired_interrupts_wait() {
    let rig = Rig::new();
    let mut client = rig.open();
    let file = memfd(8192, true);
    client.map(BASE, 8192, 0, Some(&file)).unwrap();
    let irq = eventfd();
    let set = |client: &mut crate::client::Client, flags, count, data: &[u8], wired: bool| {
        let fds = [irq.as_fd()];
        client
            .set_irqs(
                flags,
                VFIO_PCI_MSIX_IRQ_INDEX,
                COMMAND_VECTOR,
                count,
                data,
                if wired { &fds } else { &[] },
            )
            .unwrap();
    };
    set(&mut client, WIRE, 1, &[], true);
    let mut ring = CommandRing::start(&mut client, BASE);
    set(
        &mut client,
        VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_MASK,
        1,
        &[1],
        false,
    );
    client.write32(card::COMMAND + ring::ARM, 0);
    run_nop(&mut client, &mut ring, &file, 1);
    assert!(!interrupted(&irq, QUIET), "masked");
    set(
        &mut client,
        VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
        1,
        &[],
        false,
    );
    assert!(interrupted(&irq, PATIENCE), "pending");
    set(&mut client, WIRE, 1, &[], false); // unwired: no descriptor
    client.write32(card::COMMAND + ring::ARM, 1);
    run_nop(&mut client, &mut ring, &file, 2);
    assert!(!interrupted(&irq, QUIET));
    set(
        &mut client,
        VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
        1,
        &[],
        false,
    );
    set(&mut client, WIRE, 1, &[], true);
    assert!(interrupted(&irq, PATIENCE), "pending since it was unwired");
}

#[test]
fn interrupts_that_make_no_sense_are_refused() {
    let rig = Rig::new();
    let mut client = rig.open();
    let irq = eventfd();
    let fd = [irq.as_fd()];
    for (flags, index, start, count, data, fds) in [
        (WIRE, 2, 8, 1, &[][..], &fd[..]),
        (WIRE, 2, 0, 2, &[], &fd),
        (WIRE, 2, 0, u32::MAX, &[], &[]),
        (WIRE, 2, u32::MAX, 1, &[], &fd),
        (WIRE, 0, 0, 1, &[], &fd),
        (WIRE, 5, 0, 1, &[], &fd),
        (
            VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_MASK,
            2,
            0,
            2,
            &[1],
            &[],
        ),
        (
            VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK,
            2,
            0,
            1,
            &[],
            &fd,
        ),
        (VFIO_IRQ_SET_DATA_NONE, 2, 0, 1, &[], &[]),
        (VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, &[], &[]),
        (0x80 | WIRE, 2, 0, 1, &[], &fd),
        (u32::MAX, 2, 0, 1, &[], &fd),
    ] {
        assert_eq!(
            client.set_irqs(flags, index, start, count, data, fds),
            Err(libc::EINVAL),
            "{flags:#x} {index} {start} {count}"
        );
    }
    client
        .set_irqs(
            VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
            0,
            0,
            0,
            &[],
            &[],
        )
        .unwrap();
}

#[test]
fn posted_writes_are_in_order_and_unanswered() {
    let rig = Rig::new();
    let mut client = rig.open();
    let scratch = guideway_sim::registers::core::SCRATCH;
    for value in 0..2000 {
        client.post32(scratch, value);
    }
    assert_eq!(client.read32(scratch), 1999);
    // A posted message that is refused stays unanswered too.
    let access = RegionAccess {
        offset: 1 << 40,
        region: 0,
        count: 4,
    };
    client.send(
        Command::RegionWrite,
        NO_REPLY,
        &[access.as_bytes(), &[0; 4]],
        &[],
    );
    assert_eq!(client.read32(scratch), 1999);
}
