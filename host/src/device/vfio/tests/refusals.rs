//! Every refusal, and what it tells the operator to do.

use std::fs;
use std::path::Path;

use super::refusal::{NodeOwner, no_permission, not_pinned};
use super::*;

/// Opens the card in a machine that cannot give it, and returns what is said.
fn refused(places: &Places, fake: Fake) -> DeviceError {
    let (card, _fake) = open_in(places, fake);
    match card {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// Whether a message names the card and holds all of `parts`.
fn says(error: &DeviceError, parts: &[&str]) {
    let text = error.to_string();
    assert!(text.contains("the card at 0000:3b:00.0"), "{text}");
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

fn failing(step: &'static str, errno: Errno) -> Fake {
    Fake {
        fails: Some((step, errno)),
        ..Fake::default()
    }
}

fn lock_down(root: &Path, text: &str) {
    fs::create_dir_all(root.join("kernel/security")).unwrap();
    fs::write(root.join("kernel/security/lockdown"), text).unwrap();
}

#[test]
fn a_card_that_is_not_there() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "0000:81:00.0", ID, None, Some(3));
    let places = Places {
        sysfs: Sysfs::at(root.path()),
        ..Places::default()
    };
    says(
        &refused(&places, Fake::default()),
        &["no PCI function 0000:3b:00.0", "0000:81:00.0"],
    );
}

#[test]
fn no_iommu() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), CARD, ID, Some("vfio-pci"), None);
    let places = Places {
        sysfs: Sysfs::at(root.path()),
        ..Places::default()
    };
    says(
        &refused(&places, Fake::default()),
        &["no IOMMU at work", "VT-d", "intel_iommu=on"],
    );
    put(root.path(), "0000:81:00.0", ID, None, Some(3));
    says(
        &refused(&places, Fake::default()),
        &["in no IOMMU group", "slot"],
    );
}

#[test]
fn another_driver_or_none() {
    for (driver, says_so) in [
        (Some("nvme"), "the driver nvme holds it"),
        (None, "no driver holds it"),
    ] {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), CARD, ID, driver, Some(12));
        let places = Places {
            sysfs: Sysfs::at(root.path()),
            ..Places::default()
        };
        let parts = [
            "not bound to vfio-pci",
            says_so,
            "guideway device bind 0000:3b:00.0",
        ];
        let error = refused(&places, Fake::default());
        says(&error, &parts);
        says(&error, &["modprobe vfio-pci; "]);
        fs::create_dir_all(root.path().join("bus/pci/drivers/vfio-pci")).unwrap();
        let error = refused(&places, Fake::default());
        says(&error, &parts);
        assert!(!error.to_string().contains("modprobe"), "{error}");
    }
}

#[test]
fn no_modules() {
    let (_root, places) = machine();
    fs::remove_file(places.nodes.join("vfio")).unwrap();
    says(
        &refused(&places, Fake::default()),
        &["dev/vfio is missing", "modprobe vfio-pci"],
    );
}

#[test]
fn no_node_of_the_group() {
    let (_root, places) = machine();
    fs::remove_file(places.nodes.join("12")).unwrap();
    says(
        &refused(&places, Fake::default()),
        &["dev/12 is missing", "udev"],
    );
    fs::write(places.nodes.join("noiommu-12"), "").unwrap();
    says(
        &refused(&places, Fake::default()),
        &["noiommu-12", "enable_unsafe_noiommu_mode=0"],
    );
}

#[test]
fn a_group_that_is_not_viable() {
    let (root, places) = machine();
    put(
        root.path(),
        "0000:3b:00.1",
        (0x8086, 0x1572),
        Some("i40e"),
        Some(12),
    );
    put(
        root.path(),
        "0000:3a:00.0",
        (0x8086, 0x2030),
        Some("pcieport"),
        Some(12),
    );
    let fake = || Fake {
        group_flags: 0,
        ..Fake::default()
    };
    let error = refused(&places, fake());
    says(
        &error,
        &[
            "IOMMU group 12 is not viable",
            "0000:3b:00.1 (i40e)",
            "driverctl --nosave set-override 0000:3b:00.1 vfio-pci",
        ],
    );
    assert!(!error.to_string().contains("0000:3a:00.0"), "{error}");
    let (_root, places) = machine();
    says(&refused(&places, fake()), &["try again"]);
}

#[test]
fn no_permission_on_the_group() {
    let (_root, places) = machine();
    let node = places.nodes.join("12");
    let owner = |group: &str, mode| NodeOwner {
        user: 0,
        group: group.to_owned(),
        mode,
    };
    let text = no_permission(&node, Some(&owner("vfio", 0o100_660)));
    assert!(
        text.contains("user 0, group vfio, mode 0660") && text.contains("usermod -aG vfio"),
        "{text}"
    );
    for nobodys in [
        Some(owner("root", 0o600)),
        Some(owner("root", 0o660)),
        Some(owner("vfio", 0o600)),
        None,
    ] {
        let text = no_permission(&node, nobodys.as_ref());
        assert!(
            text.contains("SUBSYSTEM==\"vfio\", GROUP=\"vfio\""),
            "{text}"
        );
    }
    // root may open everything: then there is nothing to see here
    if !rustix::process::geteuid().is_root() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        fs::set_permissions(&node, fs::Permissions::from_mode(0o060)).unwrap();
        let number = fs::metadata(&node).unwrap().gid();
        fs::write(
            &places.user_groups,
            format!("wheel:x:10:\nflyers:x:{number}:a,b\n"),
        )
        .unwrap();
        says(
            &refused(&places, Fake::default()),
            &["no permission on", "group flyers", "usermod -aG flyers"],
        );
    }
}

#[test]
fn a_card_that_another_host_has() {
    let (_root, places) = machine();
    for step in ["container", "function"] {
        let error = refused(&places, failing(step, Errno::BUSY));
        assert!(matches!(error, DeviceError::Busy { .. }), "{error}");
        says(
            &error,
            &["group 12 is open", "fuser -v", "a host owns the card"],
        );
    }
}

#[test]
fn a_kernel_that_is_locked_down() {
    let (root, places) = machine();
    lock_down(root.path(), "none [integrity] confidentiality\n");
    for step in ["version", "container", "iommu", "function"] {
        says(
            &refused(&places, failing(step, Errno::PERM)),
            &["locked down (integrity)", "lockdown="],
        );
    }
    lock_down(root.path(), "[none] integrity confidentiality\n");
    let error = refused(&places, failing("function", Errno::PERM));
    says(&error, &["Operation not permitted"]);
    assert!(!error.to_string().contains("locked down"), "{error}");
}

#[test]
fn an_iommu_that_does_not_isolate_interrupts() {
    let (_root, places) = machine();
    says(
        &refused(&places, failing("iommu", Errno::PERM)),
        &["interrupt remapping", "allow_unsafe_interrupts=1"],
    );
    says(
        &refused(
            &places,
            Fake {
                kinds: vec![abi::VFIO_NOIOMMU_IOMMU],
                ..Fake::default()
            },
        ),
        &["modprobe vfio_iommu_type1"],
    );
}

#[test]
fn too_little_lockable_memory() {
    let text = not_pinned(Some(8 << 20), 4 << 20, 16 << 20);
    for part in [
        "RLIMIT_MEMLOCK",
        "8192 KiB",
        "4096 KiB",
        "16384 KiB",
        "LimitMEMLOCK=infinity",
        "ulimit -l",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!not_pinned(None, 0, 4096).contains("RLIMIT"));
    let (card, _fake) = open(failing("map", Errno::NOMEM));
    let memory = DmaMem::new("test", 4096).unwrap();
    says(
        &card.dma_map(&memory).unwrap_err(),
        &["mapping 0x1000 bytes", "4 KiB"],
    );
    let (card, _fake) = open(failing("map", Errno::NOSPC));
    says(&card.dma_map(&memory).unwrap_err(), &["dma_entry_limit"]);
}
