//! Sysfs trees made for tests: files as Linux 6.1 shows them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// A function's folder, its driver and its group.
pub(crate) fn put(
    root: &Path,
    address: &str,
    id: (u16, u16),
    driver: Option<&str>,
    group: Option<u32>,
) -> PathBuf {
    let folder = root.join("devices/pci0000:00").join(address);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("vendor", format!("{:#06x}", id.0)),
        ("device", format!("{:#06x}", id.1)),
        ("class", "0x020000".to_owned()),
        ("revision", "0x01".to_owned()),
        ("driver_override", "(null)".to_owned()),
        ("numa_node", "-1".to_owned()),
    ] {
        fs::write(folder.join(name), format!("{text}\n")).unwrap();
    }
    let devices = root.join("bus/pci/devices");
    fs::create_dir_all(&devices).unwrap();
    symlink(
        format!("../../../devices/pci0000:00/{address}"),
        devices.join(address),
    )
    .unwrap();
    if let Some(driver) = driver {
        fs::create_dir_all(root.join("bus/pci/drivers").join(driver)).unwrap();
        symlink(
            format!("../../../bus/pci/drivers/{driver}"),
            folder.join("driver"),
        )
        .unwrap();
    }
    if let Some(group) = group {
        let members = root.join(format!("kernel/iommu_groups/{group}/devices"));
        fs::create_dir_all(&members).unwrap();
        symlink(
            format!("../../../../devices/pci0000:00/{address}"),
            members.join(address),
        )
        .unwrap();
        symlink(
            format!("../../../kernel/iommu_groups/{group}"),
            folder.join("iommu_group"),
        )
        .unwrap();
    }
    folder
}

pub(crate) fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

pub(crate) const CARD: (u16, u16) = (PCI_VENDOR, PCI_DEVICE);

#[test]
fn a_function_is_what_its_folder_says() {
    let root = tempfile::tempdir().unwrap();
    let folder = put(
        root.path(),
        "0000:3b:00.0",
        CARD,
        Some("vfio-pci"),
        Some(15),
    );
    for (name, text) in [
        ("driver_override", "vfio-pci"),
        ("numa_node", "1"),
        ("current_link_speed", "8.0 GT/s PCIe"),
        ("current_link_width", "8"),
        ("max_link_speed", "16.0 GT/s PCIe"),
        ("max_link_width", "16"),
    ] {
        fs::write(folder.join(name), format!("{text}\n")).unwrap();
    }
    let sysfs = Sysfs::at(root.path());
    let found = sysfs.function(at("0000:3b:00.0")).unwrap();
    assert_eq!(
        sysfs.driver_override(found.address).unwrap().as_deref(),
        Some("vfio-pci")
    );
    let link = |speed, width| {
        Some(Link {
            speed: LinkSpeed(speed),
            width,
        })
    };
    assert_eq!(
        found,
        PciFunction {
            address: at("0000:3b:00.0"),
            vendor: 0x1b36,
            device: 0x6757,
            class: 0x02_0000,
            revision: 1,
            driver: Some("vfio-pci".into()),
            iommu_group: Some(15),
            link: link(80, 8),
            max_link: link(160, 16),
            numa_node: Some(1),
        }
    );
    assert!(found.is_card() && found.is_bound_to_vfio());
    assert_eq!(found.max_link.unwrap().to_string(), "16 GT/s x16");
}

#[test]
fn what_sysfs_does_not_say_is_none() {
    let root = tempfile::tempdir().unwrap();
    let folder = put(root.path(), "0000:00:03.0", CARD, None, None);
    for (name, text) in [
        ("current_link_speed", "Unknown"),
        ("current_link_width", "0"),
        ("max_link_speed", "2.5 GT/s"),
        ("max_link_width", "255"),
    ] {
        fs::write(folder.join(name), format!("{text}\n")).unwrap();
    }
    let sysfs = Sysfs::at(root.path());
    let found = sysfs.function(at("0000:00:03.0")).unwrap();
    assert_eq!((found.driver, found.iommu_group), (None, None));
    assert_eq!(sysfs.driver_override(found.address).unwrap(), None);
    assert_eq!(
        (found.link, found.max_link, found.numa_node),
        (None, None, None)
    );
}

#[test]
fn cards_are_found_by_their_id_in_the_order_of_addresses() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "0000:af:00.0", CARD, None, None);
    put(root.path(), "0000:3b:00.0", CARD, None, None);
    put(
        root.path(),
        "0000:00:1f.2",
        (PCI_VENDOR, 0x0001),
        None,
        None,
    );
    put(root.path(), "10000:00:1f.2", CARD, None, None);
    let sysfs = Sysfs::at(root.path());
    let addresses: Vec<String> = sysfs
        .cards()
        .unwrap()
        .iter()
        .map(|card| card.address.to_string())
        .collect();
    assert_eq!(addresses, ["0000:3b:00.0", "0000:af:00.0"]);
    assert_eq!(sysfs.functions().unwrap().len(), 3);
    let missing = sysfs.function(at("0000:3b:00.1")).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "there is no PCI function 0000:3b:00.1; Guideway cards are at 0000:3b:00.0, 0000:af:00.0"
    );
}

#[test]
fn a_machine_without_pci_has_no_cards() {
    let root = tempfile::tempdir().unwrap();
    let sysfs = Sysfs::at(root.path());
    assert!(sysfs.cards().unwrap().is_empty());
    assert!(matches!(
        sysfs.functions(),
        Err(SysfsError::NotThere { .. })
    ));
    assert!(!sysfs.has_iommu());
    let missing = sysfs.function(at("0000:3b:00.1")).unwrap_err().to_string();
    assert!(
        missing.contains("no card with PCI id 1b36:6757"),
        "{missing}"
    );
}

#[test]
fn a_group_is_blocked_by_drivers_that_share_nothing() {
    let root = tempfile::tempdir().unwrap();
    for (address, driver) in [
        ("0000:3b:00.0", Some("vfio-pci")),
        ("0000:3b:00.1", Some("nvme")),
        ("0000:3b:00.2", None),
        ("0000:3a:00.0", Some("pcieport")),
        ("0000:3b:00.3", Some("pci-stub")),
        ("0000:3b:00.4", Some("mlx5_vfio_pci")),
    ] {
        put(root.path(), address, CARD, driver, Some(7));
    }
    put(root.path(), "0000:00:02.0", CARD, Some("e1000e"), Some(8));
    let sysfs = Sysfs::at(root.path());
    assert!(sysfs.has_iommu());
    assert_eq!(sysfs.group_members(7).unwrap().len(), 6);
    let blockers = sysfs.group_blockers(7).unwrap();
    assert_eq!(blockers.len(), 1);
    assert_eq!(
        (blockers[0].address, blockers[0].driver.as_deref()),
        (at("0000:3b:00.1"), Some("nvme"))
    );
    assert!(matches!(
        sysfs.group_members(9),
        Err(SysfsError::NotThere { .. })
    ));
}

#[test]
fn files_that_make_no_sense_are_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = put(root.path(), "0000:00:03.0", CARD, None, None);
    let sysfs = Sysfs::at(root.path());
    for (name, text) in [
        ("vendor", "1b36"),
        ("vendor", "0x11b36"),
        ("vendor", ""),
        ("numa_node", "near"),
    ] {
        let before = fs::read(folder.join(name)).unwrap();
        fs::write(folder.join(name), text).unwrap();
        let error = sysfs.function(at("0000:00:03.0")).unwrap_err();
        assert!(
            matches!(&error, SysfsError::Unexpected { path, .. } if path.ends_with(name)),
            "{error}"
        );
        fs::write(folder.join(name), before).unwrap();
    }
}

#[test]
fn lockdown_is_read() {
    let root = tempfile::tempdir().unwrap();
    let sysfs = Sysfs::at(root.path());
    assert_eq!(sysfs.lockdown(), None);
    fs::create_dir_all(root.path().join("kernel/security")).unwrap();
    for (text, level) in [
        ("[none] integrity confidentiality\n", None),
        ("none [integrity] confidentiality\n", Some("integrity")),
    ] {
        fs::write(root.path().join("kernel/security/lockdown"), text).unwrap();
        assert_eq!(sysfs.lockdown().as_deref(), level);
    }
}
