//! Bind and unbind over a tree in which the test does what the kernel documents for each file
//! (`Documentation/ABI/testing/sysfs-bus-pci`), and which can crash between any two writes.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::device::sysfs::tests::{CARD, at, put};

const ADDRESS: &str = "0000:3b:00.0";

/// The kernel: drivers, and what they do when sysfs is written.
struct Machine {
    root: tempfile::TempDir,
    sysfs: Sysfs,
    /// Takes every Guideway card that nobody claims, as a driver with its id in its table does.
    native: &'static str,
    /// Writes that succeed before the program crashes.
    lives: Cell<usize>,
    /// vfio-pci's probe fails.
    vfio_fails: Cell<bool>,
    written: RefCell<Vec<String>>,
}

impl Machine {
    fn new(driver: Option<&str>, driver_override: Option<&str>) -> Self {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), ADDRESS, CARD, driver, Some(15));
        let machine = Self {
            sysfs: Sysfs::at(root.path()),
            root,
            native: "gwnet",
            lives: Cell::new(usize::MAX),
            vfio_fails: Cell::new(false),
            written: RefCell::default(),
        };
        machine.load(VFIO_PCI);
        if let Some(only) = driver_override {
            fs::write(machine.file("driver_override"), format!("{only}\n")).unwrap();
        }
        machine
    }

    fn load(&self, driver: &str) {
        fs::create_dir_all(self.root.path().join("bus/pci/drivers").join(driver)).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root
            .path()
            .join("bus/pci/devices")
            .join(ADDRESS)
            .join(name)
    }

    fn records(&self) -> Records {
        Records::of(&self.root.path().join("run"))
    }

    fn driver(&self) -> Option<String> {
        self.sysfs.function(at(ADDRESS)).unwrap().driver
    }

    fn state(&self) -> (Option<String>, Option<String>) {
        (
            self.driver(),
            self.sysfs.driver_override(at(ADDRESS)).unwrap(),
        )
    }

    fn bind(&self) -> Result<Bound, BindingError> {
        self.with(|binding| binding.bind(at(ADDRESS)))
    }

    fn unbind(&self) -> Result<Unbound, BindingError> {
        self.with(|binding| binding.unbind(at(ADDRESS)))
    }

    fn with<T>(&self, call: impl FnOnce(&Binding<'_>) -> T) -> T {
        call(&Binding {
            sysfs: &self.sysfs,
            files: self,
            records: &self.records(),
            step: &|_| (),
        })
    }

    /// An override lets its driver have the function and no other; without one, drivers go by the ids they know. vfio-pci knows none.
    fn matches(&self, driver: &str) -> bool {
        match self.sysfs.driver_override(at(ADDRESS)).unwrap() {
            Some(only) => only == driver,
            None => driver == self.native,
        }
    }

    fn probe(&self, driver: &str) -> bool {
        if driver == VFIO_PCI && self.vfio_fails.get() {
            return false;
        }
        symlink(
            format!("../../../bus/pci/drivers/{driver}"),
            self.file("driver"),
        )
        .unwrap();
        true
    }
}

impl Files for Machine {
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let fails = |errno| Err(io::Error::from_raw_os_error(errno));
        match self.lives.get() {
            0 => return fails(libc::EIO),
            lives => self.lives.set(lives - 1),
        }
        let shown = path.strip_prefix(self.root.path()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = text.trim_end();
        self.written
            .borrow_mut()
            .push(format!("{} <- {text}", shown.display()));
        let folder = path.parent().unwrap();
        if !folder.is_dir() {
            return fails(libc::ENOENT);
        }
        let driver = folder.file_name().unwrap().to_str().unwrap();
        match name {
            "driver_override" => fs::write(
                path,
                if text.is_empty() { "(null)" } else { text }.to_owned() + "\n",
            ),
            _ if text != ADDRESS => fails(libc::ENODEV),
            "unbind" if self.driver().as_deref() == Some(driver) => {
                fs::remove_file(self.file("driver"))
            }
            "bind" if !self.matches(driver) => fails(libc::ENODEV),
            "bind" if self.driver().is_some() => fails(libc::EBUSY),
            "bind" if self.probe(driver) => Ok(()),
            "drivers_probe" => {
                if self.driver().is_none() {
                    for driver in [VFIO_PCI, self.native] {
                        if self.sysfs.has_driver(driver) && self.matches(driver) {
                            self.probe(driver);
                        }
                    }
                }
                Ok(())
            }
            _ => fails(libc::ENODEV),
        }
    }
}

/// What can have a card before guideway comes.
fn beginnings() -> Vec<Machine> {
    let mut beginnings = Vec::new();
    for (driver, only) in [
        (None, None),
        (Some("gwnet"), None),
        (Some("gwnet"), Some("gwnet")),
        (None, Some("none")),
        (Some("pci-stub"), Some("pci-stub")),
    ] {
        beginnings.push(Machine::new(driver, only));
    }
    beginnings
}

#[test]
fn bind_takes_the_card_and_unbind_puts_back_what_was_there() {
    for machine in beginnings() {
        let before = machine.state();
        assert_eq!(
            machine.bind().unwrap(),
            Bound::Now {
                before: before.0.clone()
            }
        );
        let vfio = || Some(VFIO_PCI.to_owned());
        assert_eq!(machine.state(), (vfio(), vfio()));
        assert_eq!(machine.bind().unwrap(), Bound::Already);
        assert_eq!(
            machine.unbind().unwrap(),
            Unbound::Restored {
                driver: before.0.clone()
            }
        );
        assert_eq!(machine.state(), before);
        assert_eq!(machine.unbind().unwrap(), Unbound::Already);
        assert_eq!(machine.state(), before);
    }
}

#[test]
fn the_kernel_is_asked_in_the_documented_order() {
    let machine = Machine::new(Some("gwnet"), None);
    machine.bind().unwrap();
    machine.unbind().unwrap();
    assert_eq!(
        *machine.written.borrow(),
        [
            "bus/pci/devices/0000:3b:00.0/driver_override <- vfio-pci",
            "bus/pci/drivers/gwnet/unbind <- 0000:3b:00.0",
            "bus/pci/drivers_probe <- 0000:3b:00.0",
            "bus/pci/devices/0000:3b:00.0/driver_override <- ",
            "bus/pci/drivers/vfio-pci/unbind <- 0000:3b:00.0",
            "bus/pci/drivers/gwnet/bind <- 0000:3b:00.0",
        ]
    );
}

#[test]
fn a_crash_between_any_two_writes_is_made_good_by_the_next_run() {
    for crash in 0..5 {
        for again in 0..5 {
            for machine in beginnings() {
                let before = machine.state();
                // a crash changes nothing any more: neither does the attempt to put back what was there
                machine.lives.set(crash);
                let _ = machine.bind();
                machine.lives.set(again);
                let _ = machine.unbind();
                machine.lives.set(crash);
                let _ = machine.bind();
                machine.lives.set(usize::MAX);
                machine.bind().unwrap();
                assert_eq!(
                    machine.state(),
                    (Some(VFIO_PCI.into()), Some(VFIO_PCI.into())),
                    "crash after {crash}, then {again} writes, {before:?}"
                );
                machine.lives.set(again);
                let _ = machine.unbind();
                machine.lives.set(usize::MAX);
                machine.unbind().unwrap();
                assert_eq!(
                    machine.state(),
                    before,
                    "crash after {crash}, then {again} writes"
                );
                assert_eq!(machine.records().load(at(ADDRESS)).unwrap(), None);
            }
        }
    }
}

#[test]
fn a_bind_that_fails_puts_back_what_was_there() {
    let machine = Machine::new(Some("gwnet"), None);
    machine.vfio_fails.set(true);
    let error = machine.bind().unwrap_err().to_string();
    assert!(
        error.contains("what was there before is there again") && error.contains("dmesg"),
        "{error}"
    );
    assert_eq!(machine.state(), (Some("gwnet".into()), None));
    assert_eq!(machine.records().load(at(ADDRESS)).unwrap(), None);
}

#[test]
fn others_cards_and_machines_without_vfio_are_left_alone() {
    let machine = Machine::new(None, None);
    for (id, group, hint) in [
        ((0x8086, 0x10d3), Some(15), "no Guideway card"),
        (CARD, None, "the IOMMU does not cover its slot"),
    ] {
        let address = format!("0000:00:0{}.0", group.map_or(1, |_| 2));
        put(machine.root.path(), &address, id, None, group);
        let error = machine
            .with(|binding| binding.bind(at(&address)))
            .unwrap_err()
            .to_string();
        assert!(error.contains(hint), "{error}");
    }
    let guest = "0000:00:03.0";
    put(
        machine.root.path(),
        guest,
        (0x10de, 0x1eb8),
        Some(VFIO_PCI),
        Some(16),
    );
    let error = machine.with(|binding| binding.unbind(at(guest)));
    assert!(matches!(error, Err(BindingError::NotACard { .. })));
    fs::remove_dir(machine.root.path().join("bus/pci/drivers/vfio-pci")).unwrap();
    let error = machine.bind().unwrap_err().to_string();
    assert!(error.contains("modprobe vfio-pci"), "{error}");
    let error = machine.with(|binding| binding.bind(at("0000:3b:00.7")));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("no PCI function 0000:3b:00.7") && error.contains(ADDRESS),
        "{error}"
    );
    assert!(machine.written.borrow().is_empty());
}

#[test]
fn a_card_that_others_bound_is_released_and_one_that_others_took_stays() {
    let machine = Machine::new(Some(VFIO_PCI), Some(VFIO_PCI));
    assert_eq!(machine.bind().unwrap(), Bound::Already);
    assert_eq!(machine.unbind().unwrap(), Unbound::Released);
    assert_eq!(machine.state(), (None, None));

    machine.bind().unwrap();
    fs::remove_file(machine.file("driver")).unwrap();
    machine.load("pci-stub");
    machine.probe("pci-stub");
    assert_eq!(
        machine.unbind().unwrap(),
        Unbound::Taken {
            driver: "pci-stub".into()
        }
    );
    assert_eq!(machine.state(), (Some("pci-stub".into()), None));
    assert_eq!(machine.unbind().unwrap(), Unbound::Already);
}

#[test]
fn a_driver_that_was_unloaded_meanwhile_is_asked_for() {
    let machine = Machine::new(Some("gwnet"), None);
    machine.bind().unwrap();
    fs::remove_dir(machine.root.path().join("bus/pci/drivers/gwnet")).unwrap();
    let error = machine.unbind().unwrap_err().to_string();
    assert!(error.contains("modprobe gwnet"), "{error}");
    machine.load("gwnet");
    machine.unbind().unwrap();
    assert_eq!(machine.state(), (Some("gwnet".into()), None));
}

#[test]
fn two_commands_do_not_work_on_one_card() {
    let machine = Machine::new(None, None);
    let _held = machine.records().lock(at(ADDRESS)).unwrap();
    for error in [machine.bind().unwrap_err(), machine.unbind().unwrap_err()] {
        assert!(matches!(error, BindingError::UnderWay { .. }), "{error}");
    }
    machine.records().lock(at("0000:3b:00.1")).unwrap();
}

#[test]
fn a_note_that_cannot_be_read_stops_the_command() {
    let machine = Machine::new(None, None);
    machine.bind().unwrap();
    let note = machine.root.path().join("run/devices/0000:3b:00.0.json");
    for text in [
        "",
        "{}",
        r#"{"version":2,"driver":null,"driver_override":null}"#,
    ] {
        fs::write(&note, text).unwrap();
        let error = machine.unbind().unwrap_err();
        assert!(matches!(error, BindingError::Record { .. }), "{error}");
    }
}

#[test]
fn refusals_of_the_kernel_say_what_to_do() {
    let hint = |errno| {
        let error = io::Error::from_raw_os_error(errno);
        BindingError::writing("binding it", Path::new("/sys/x"), &error).to_string()
    };
    assert!(hint(libc::EACCES).contains("sudo"));
    assert!(hint(libc::EROFS).contains("container"));
    assert!(hint(libc::EBUSY).contains("dmesg"));
}

#[test]
fn programs_that_have_a_node_open_are_found() {
    let root = tempfile::tempdir().unwrap();
    let node = root.path().join("15");
    fs::write(&node, "").unwrap();
    let users = || Users::of(Path::new("/proc"), std::slice::from_ref(&node));
    let mine = |users: &Users| {
        users
            .found
            .iter()
            .any(|user| user.pid == std::process::id())
    };
    assert!(!mine(&users()));
    let _open = fs::File::open(&node).unwrap();
    assert!(mine(&users()));
}

#[test]
fn a_node_says_who_may_open_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Node::of_group(root.path(), 15), None);
    let path = root.path().join("15");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let node = Node::of_group(root.path(), 15).unwrap();
    assert!(!node.is_for_root_only());
    assert!(node.to_string().ends_with("mode 0660"), "{node}");
}
