//! An open function: what the kernel is asked, and what is believed of its answers.

use rustix::event::{Timespec, poll};

use super::*;
use crate::device::{enable_bus_mastering, identify};

fn is_dead(card: &Vfio) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [card.death().unwrap()], Some(&now)).unwrap() > 0
}

/// A capability of pairs behind a count, as `capability` reads it.
fn pairs(id: u16, pairs: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(id.to_ne_bytes());
    bytes.extend(1u16.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend((pairs.len() as u32).to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    for (a, b) in pairs {
        bytes.extend(a.to_ne_bytes());
        bytes.extend(b.to_ne_bytes());
    }
    bytes
}

#[test]
fn it_is_opened_in_the_kernels_order() {
    let (card, fake) = open(Fake::default());
    assert_eq!(
        fake.take_asked(),
        [
            Asked::Container,
            Asked::Iommu(abi::VFIO_TYPE1v2_IOMMU),
            Asked::Function(CARD.to_owned()),
            Asked::Irqs(abi::VFIO_PCI_REQ_IRQ_INDEX, 1),
            Asked::Irqs(abi::VFIO_PCI_ERR_IRQ_INDEX, 1),
        ]
    );
    assert_eq!(card.name(), "the card at 0000:3b:00.0");
    assert!(!card.is_gone() && !is_dead(&card));
    let (_card, fake) = open(Fake {
        kinds: vec![abi::VFIO_TYPE1_IOMMU],
        ..Fake::default()
    });
    assert!(
        fake.take_asked()
            .contains(&Asked::Iommu(abi::VFIO_TYPE1_IOMMU))
    );
}

#[test]
fn configuration_space_is_the_functions() {
    let (card, _fake) = open(Fake::default());
    let identity = enable_bus_mastering(&card).unwrap();
    assert_eq!((identity.vendor, identity.device), ID);
    let mut command = [0; 2];
    card.config_read(4, &mut command).unwrap();
    assert_eq!(command, [6, 0]);
    card.config_write(4, &[0, 0]).unwrap();
    card.config_read(4, &mut command).unwrap();
    assert_eq!(command, [0, 0]);
    assert!(matches!(
        card.config_read(4095, &mut command),
        Err(DeviceError::OutOfRange { .. })
    ));
}

#[test]
fn a_bar_is_mapped_where_the_kernel_allows_all_of_it() {
    let (card, fake) = open(Fake::default());
    let bar = card.bar(0).unwrap();
    assert!(matches!(bar, Bar::Mapped(_)));
    fake.poke(0, 0x20, &0x1122_3344u32.to_le_bytes());
    assert_eq!(bar.read32(0x20).unwrap(), 0x1122_3344);
    bar.write32(0x24, 7).unwrap();
    let mut seen = [0; 4];
    rustix::io::pread(&fake.function, &mut seen, 0x24).unwrap();
    assert_eq!(seen, [7, 0, 0, 0]);
}

#[test]
fn a_bar_is_trapped_where_the_kernel_wants_that() {
    let plain = abi::VFIO_REGION_INFO_FLAG_READ | abi::VFIO_REGION_INFO_FLAG_WRITE;
    let sparse = plain | abi::VFIO_REGION_INFO_FLAG_MMAP | abi::VFIO_REGION_INFO_FLAG_CAPS;
    let areas = |areas| pairs(1, areas);
    for (bar0, mapped) in [
        ((plain, vec![]), false),
        ((sparse, vec![]), true),
        ((sparse, areas(&[(0x8000, 0x8000), (0, 0x8000)])), true),
        ((sparse, areas(&[(0, 0x8000), (0x9000, 0x7000)])), false),
        ((sparse, areas(&[(0, 0xf000)])), false),
        ((sparse, areas(&[])), false),
    ] {
        let (card, fake) = open(Fake {
            bar0: bar0.clone(),
            ..Fake::default()
        });
        let bar = card.bar(0).unwrap();
        assert_eq!(matches!(bar, Bar::Mapped(_)), mapped, "{bar0:x?}");
        bar.write32(0x40, 0x0102_0304).unwrap();
        assert_eq!(bar.read32(0x40).unwrap(), 0x0102_0304);
        let mut seen = [0; 4];
        rustix::io::pread(&fake.function, &mut seen, 0x40).unwrap();
        assert_eq!(seen, [4, 3, 2, 1]);
        assert!(bar.read32(BAR0).is_err());
    }
    let (card, _fake) = open(Fake::default());
    for (index, why) in [
        (1, "is empty"),
        (2, "read and written"),
        (6, "does not exist"),
        (255, "does not exist"),
    ] {
        let error = card.bar(index).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn all_ones_are_believed_of_a_function_that_is_there() {
    for flags in [7, 3] {
        let (card, fake) = open(Fake {
            bar0: (flags, vec![]),
            ..Fake::default()
        });
        let bar = card.bar(0).unwrap();
        fake.poke(0, 0x30, &[0xff; 4]);
        assert_eq!(bar.read32(0x30).unwrap(), u32::MAX);
        assert!(!card.is_gone());
    }
}

#[test]
fn a_function_that_vanished_gives_errors_and_wakes_the_sleepers() {
    for flags in [7, 3] {
        let (card, fake) = open(Fake {
            bar0: (flags, vec![]),
            ..Fake::default()
        });
        let bar = card.bar(0).unwrap();
        fake.poke(0, 0, &[0xff; 64]);
        // the ids stay: the kernel answers for them
        fake.poke(abi::VFIO_PCI_CONFIG_REGION_INDEX, 4, &[0xff; 60]);
        let error = bar.read32(0x20).unwrap_err();
        assert!(
            matches!(error, DeviceError::Vanished { .. }) && error.is_final(),
            "{error}"
        );
        assert!(card.is_gone() && is_dead(&card));
        assert!(matches!(
            card.config_read(4, &mut [0; 2]),
            Err(DeviceError::Vanished { .. })
        ));
        assert!(
            matches!(card.gone("x"), Some(DeviceError::Vanished { doing, .. }) if doing == "x")
        );
    }
}

#[test]
fn a_short_or_failed_access_is_an_error() {
    let (card, fake) = open(Fake {
        bar0: (3, vec![]),
        ..Fake::default()
    });
    let bar = card.bar(0).unwrap();
    // the descriptor ends within configuration space: a page of zeroes is left of it
    ftruncate(
        &fake.function,
        region_at(abi::VFIO_PCI_CONFIG_REGION_INDEX) + 0x100,
    )
    .unwrap();
    let error = card.config_read(0xfe, &mut [0; 4]).unwrap_err();
    assert!(
        matches!(error, DeviceError::Refused { .. }) && error.to_string().contains("only 2 of 4"),
        "{error}"
    );
    assert!(!card.is_gone());
    assert!(bar.read32(0).is_ok());
    ftruncate(&fake.function, 0).unwrap();
    assert!(matches!(bar.read32(0), Err(DeviceError::Vanished { .. })));
}

#[test]
fn all_vectors_are_enabled_in_one_request() {
    let (card, fake) = open(Fake::default());
    fake.take_asked();
    let fds = card.enable_msix(7).unwrap();
    assert_eq!(fds.len(), 7);
    assert_eq!(
        fake.take_asked(),
        [
            Asked::IrqsOff(abi::VFIO_PCI_MSIX_IRQ_INDEX),
            Asked::Irqs(abi::VFIO_PCI_MSIX_IRQ_INDEX, 7)
        ]
    );
    assert_eq!(rustix::io::read(&fds[0], &mut [0; 8]), Err(Errno::AGAIN));
    fake.signal(abi::VFIO_PCI_MSIX_IRQ_INDEX);
    assert_eq!(rustix::io::read(&fds[0], &mut [0; 8]), Ok(8));
    // once more, as another size
    assert_eq!(card.enable_msix(2).unwrap().len(), 2);

    let (card, _fake) = open(Fake {
        vectors: (6, 6),
        ..Fake::default()
    });
    let error = card.enable_msix(7).unwrap_err().to_string();
    assert!(error.contains("it has 6 MSI-X vectors"), "{error}");
    let (card, _fake) = open(Fake {
        vectors: (8, 3),
        ..Fake::default()
    });
    let error = card.enable_msix(7).unwrap_err().to_string();
    assert!(error.contains("only 3 interrupt vectors left"), "{error}");
}

#[test]
fn after_a_reset_interrupts_and_bus_mastering_are_off() {
    let (card, fake) = open(Fake::default());
    enable_bus_mastering(&card).unwrap();
    let _fds = card.enable_msix(7).unwrap();
    fake.take_asked();
    card.reset().unwrap();
    assert_eq!(
        fake.take_asked(),
        [
            Asked::IrqsOff(abi::VFIO_PCI_MSIX_IRQ_INDEX),
            Asked::Reset(0x0002)
        ]
    );
    let (card, fake) = open(Fake {
        device_flags: abi::VFIO_DEVICE_FLAGS_PCI,
        ..Fake::default()
    });
    fake.take_asked();
    let error = card.reset().unwrap_err().to_string();
    assert!(error.contains("no FLR"), "{error}");
    assert_eq!(fake.take_asked(), []);
}

#[test]
fn an_unbind_request_wakes_the_sleepers_and_is_named() {
    let (card, fake) = open(Fake::default());
    fake.signal(abi::VFIO_PCI_REQ_IRQ_INDEX);
    assert!(is_dead(&card));
    let error = card.gone("waiting").unwrap();
    assert!(matches!(error, DeviceError::AskedBack { .. }) && error.is_final());
    assert!(
        error
            .to_string()
            .contains("asks for the card at 0000:3b:00.0 back (unbind)")
    );
    // it stays said, and the function still answers, so that it can be closed in order
    assert!(is_dead(&card) && card.is_gone());
    assert!(identify(&card).is_ok());
}

#[test]
fn a_reported_error_is_told_from_an_unbind_request() {
    let (card, fake) = open(Fake::default());
    fake.signal(abi::VFIO_PCI_ERR_IRQ_INDEX);
    assert!(is_dead(&card));
    let error = card.gone("waiting").unwrap();
    assert!(
        error.to_string().contains("AER") && error.is_final(),
        "{error}"
    );
}

#[test]
fn mappings_keep_to_the_iommus_ranges() {
    let (card, fake) = open(Fake {
        iommu: pairs(1, &[(0, 0xfedf_ffff), (1 << 33, (1 << 33) + (4 << 20) - 1)]),
        ..Fake::default()
    });
    fake.take_asked();
    let memory = DmaMem::new("test", 3 << 20).unwrap();
    let high = card.dma_map(&memory).unwrap();
    assert_eq!(high, 1 << 33);
    assert_eq!(card.dma_map(&memory).unwrap(), 2 << 20);
    assert_eq!(
        fake.take_asked(),
        [Asked::Map(1 << 33, 3 << 20), Asked::Map(2 << 20, 3 << 20)]
    );
    let error = card.dma_unmap(high, 4096).unwrap_err().to_string();
    assert!(error.contains("no such mapping"), "{error}");
    card.dma_unmap(high, 3 << 20).unwrap();
    assert!(card.dma_unmap(high, 3 << 20).is_err());
    assert_eq!(fake.take_asked(), [Asked::Unmap(1 << 33, 3 << 20)]);
    assert_eq!(card.dma_map(&memory).unwrap(), 1 << 33);

    let (card, _fake) = open(Fake {
        iommu: pairs(1, &[(0, 0xfffff)]),
        ..Fake::default()
    });
    let error = card.dma_map(&memory).unwrap_err().to_string();
    assert!(error.contains("no room left"), "{error}");
}

#[test]
fn memory_for_the_card_is_as_large_as_was_asked() {
    let (card, _fake) = open(Fake::default());
    for bytes in [1, 4096, 1 << 20, (2 << 20) + 1] {
        let memory = card.allocate("test", bytes).unwrap();
        assert!(memory.len() >= bytes && memory.len() % memory.page_bytes() == 0);
        let huge = memory.page_bytes() == 2 << 20;
        assert!(!huge || bytes >= WORTH_HUGE_PAGES);
    }
    assert!(card.allocate("test", 0).is_err());
}
