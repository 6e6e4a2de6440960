//! The PCI function over the socket: regions, resets, interrupts' table.

use guideway_hdl::{PCI_DEVICE, PCI_VENDOR};
use guideway_sim::registers::core;
use guideway_sim::vfio_user::protocol::{Command, DeviceInfo, IrqInfo, RegionInfo};
use zerocopy::{FromBytes, IntoBytes};

use crate::rig::{CommandRing, Rig, memfd};

#[test]
fn device_regions_and_interrupts_are_described() {
    let rig = Rig::new();
    let mut client = rig.open();
    let info = client.call(Command::GetInfo, &[&[0; 16]]).unwrap();
    let info = DeviceInfo::read_from_bytes(&info).unwrap();
    assert_eq!((info.flags, info.regions, info.irqs), (3, 9, 5));
    for (index, bytes) in [
        (0, 65536),
        (1, 0),
        (2, 65536),
        (3, 0),
        (4, 4096),
        (5, 0),
        (6, 0),
        (7, 4096),
        (8, 0),
    ] {
        let ask = RegionInfo {
            argsz: 32,
            flags: 0,
            index,
            cap_offset: 0,
            size: 0,
            offset: 0,
        };
        let info = RegionInfo::read_from_bytes(
            &client
                .call(Command::GetRegionInfo, &[ask.as_bytes()])
                .unwrap(),
        )
        .unwrap();
        assert_eq!(
            (info.size, info.flags),
            (bytes, if bytes == 0 { 0 } else { 3 }),
            "region {index}"
        );
    }
    for (index, count) in [(0, 0), (1, 0), (2, 8), (3, 0), (4, 0)] {
        let ask = IrqInfo {
            argsz: 16,
            flags: 0,
            index,
            count: 0,
        };
        let info =
            IrqInfo::read_from_bytes(&client.call(Command::GetIrqInfo, &[ask.as_bytes()]).unwrap())
                .unwrap();
        assert_eq!(info.count, count);
    }
    for command in [Command::GetRegionInfo, Command::GetIrqInfo] {
        let mut ask = [0u8; 32];
        ask[8] = 9;
        assert_eq!(client.call(command, &[&ask]), Err(libc::EINVAL));
        assert_eq!(client.call(command, &[&[0; 3]]), Err(libc::EINVAL));
    }
}

#[test]
fn registers_take_words_and_give_parts() {
    let rig = Rig::new();
    let mut client = rig.open();
    assert_eq!(client.region_read(0, 0, 4).unwrap(), b"YAWG");
    assert_eq!(client.region_read(0, 1, 2).unwrap(), b"AW");
    client
        .region_write(0, u64::from(core::SCRATCH), &[1, 2, 3, 4, 5, 6, 7, 8])
        .unwrap();
    assert_eq!(
        client.region_read(0, u64::from(core::SCRATCH), 8).unwrap(),
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
    for (region, offset, count) in [
        (0, 2, 4),
        (0, 1, 8),
        (0, 65536, 4),
        (0, 65532, 8),
        (0, u64::MAX, 4),
        (0, 0, 0),
        (0, 0, 8192),
        (1, 0, 4),
        (3, 0, 4),
        (8, 0, 4),
        (u32::MAX, 0, 4),
    ] {
        assert_eq!(
            client.region_read(region, offset, count),
            Err(libc::EINVAL),
            "{region} {offset:#x} {count}"
        );
        if count > 0 {
            assert_eq!(
                client.region_write(region, offset, &vec![0; count as usize]),
                Err(libc::EINVAL)
            );
        }
    }
    assert_eq!(
        client.region_write(0, u64::from(core::SCRATCH), &[1]),
        Err(libc::EINVAL),
        "a byte is no register"
    );
}

#[test]
fn configuration_space_is_there() {
    let rig = Rig::new();
    let mut client = rig.open();
    let ids = client.region_read(7, 0, 4).unwrap();
    assert_eq!(
        ids,
        [PCI_VENDOR.to_le_bytes(), PCI_DEVICE.to_le_bytes()].concat()
    );
    assert_eq!(client.region_read(7, 0, 256).unwrap().len(), 256);
    assert_eq!(client.region_read(7, 4092, 4).unwrap(), [0; 4]);
    assert_eq!(client.region_read(7, 4093, 4), Err(libc::EINVAL));
}

/// The capability with this id.
fn capability(client: &mut crate::client::Client, id: u8) -> u64 {
    let mut at = client.region_read(7, 0x34, 1).unwrap()[0];
    while at != 0 {
        let head = client.region_read(7, u64::from(at), 2).unwrap();
        if head[0] == id {
            return u64::from(at);
        }
        at = head[1];
    }
    panic!("no capability {id:#x}");
}

/// All that must only clear DMA does that, and leaves the rest.
#[test]
fn every_host_reset_clears_rings_and_nothing_else() {
    let memory = memfd(8192, true);
    let rig = Rig::new();
    for kind in ["FLR", "D3", "RESET", "disconnect"] {
        let mut client = rig.open();
        client.map(0, 8192, 0, Some(&memory)).unwrap();
        CommandRing::start(&mut client, 0);
        let config = u64::from(
            guideway_sim::registers::card::COMMAND + guideway_sim::registers::ring::CONFIG,
        );
        assert_ne!(
            client.region_read(0, config, 4).unwrap()[3] & 0x80,
            0,
            "enabled before {kind}"
        );
        client.write32(core::SCRATCH, 0xfeed);
        match kind {
            "FLR" => {
                let at = capability(&mut client, 0x10) + 8;
                client
                    .region_write(7, at, &0xa810_u16.to_le_bytes())
                    .unwrap();
            }
            "D3" => {
                let at = capability(&mut client, 0x01) + 4;
                client.region_write(7, at, &[3]).unwrap();
                assert_eq!(client.read32(0), u32::MAX, "nobody answers in D3hot");
                client.region_write(7, at, &[0]).unwrap();
            }
            "RESET" => drop(client.call(Command::Reset, &[]).unwrap()),
            _ => {
                drop(client);
                client = rig.open();
                assert_eq!(
                    client.region_read(7, 4, 2).unwrap()[0] & 4,
                    0,
                    "bus mastering is off"
                );
            }
        }
        assert_eq!(
            client.region_read(0, config, 4).unwrap()[3] & 0x80,
            0,
            "disabled by {kind}"
        );
        assert_eq!(
            client.read32(core::SCRATCH),
            0xfeed,
            "the scratch block survives {kind}"
        );
    }
}

#[test]
fn the_interrupt_table_is_a_shadow() {
    let rig = Rig::new();
    let mut client = rig.open();
    assert_eq!(
        client.region_read(4, 12, 4).unwrap(),
        [1, 0, 0, 0],
        "masked after reset"
    );
    client.region_write(4, 16, &[0xaa; 16]).unwrap();
    assert_eq!(client.region_read(4, 16, 16).unwrap(), [0xaa; 16]);
    assert_eq!(client.region_read(4, 0x800, 8).unwrap(), [0; 8]);
}
