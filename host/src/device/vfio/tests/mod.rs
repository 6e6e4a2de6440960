//! The backend against a kernel that the tests play: its nodes are files, its function a memfd. What only Linux knows is shown by the
//! test in a virtual machine.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{Errno, pwrite};
use vfio_bindings::bindings::vfio::{
    vfio_device_info, vfio_iommu_type1_info, vfio_irq_info, vfio_region_info,
};

use super::kernel::{Reply, Triggers};
use super::*;
use crate::device::sysfs::Sysfs;
use crate::device::sysfs::tests::put;

mod function;
mod refusals;

/// The card of the tests.
const CARD: &str = "0000:3b:00.0";
const ID: (u16, u16) = (guideway_hdl::PCI_VENDOR, guideway_hdl::PCI_DEVICE);
/// Bytes of BAR0.
const BAR0: u64 = 0x1_0000;

/// What the kernel was asked, as far as it changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Container,
    Iommu(u32),
    Function(String),
    Irqs(u32, usize),
    IrqsOff(u32),
    Map(u64, u64),
    Unmap(u64, u64),
    /// With the command register as it was then.
    Reset(u16),
}

/// Where a region lies in the function's descriptor.
fn region_at(index: u32) -> u64 {
    u64::from(index) << 20
}

/// A kernel with one function.
struct Fake {
    function: OwnedFd,
    asked: Mutex<Vec<Asked>>,
    /// What was subscribed: kind and descriptors.
    irqs: Mutex<Vec<(u32, Vec<OwnedFd>)>>,
    group_flags: u32,
    kinds: Vec<u32>,
    iommu: Vec<u8>,
    bar0: (u32, Vec<u8>),
    /// Vectors of MSI-X, and how many the machine has left.
    vectors: (u32, u32),
    device_flags: u32,
    /// Which step fails, and how.
    fails: Option<(&'static str, Errno)>,
}

impl Default for Fake {
    fn default() -> Self {
        let function = memfd_create("function", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&function, region_at(8)).unwrap();
        let mut config = [0; 64];
        config[..2].copy_from_slice(&ID.0.to_le_bytes());
        config[2..4].copy_from_slice(&ID.1.to_le_bytes());
        config[4] = 0x02;
        config[8..12].copy_from_slice(&0x0200_0001u32.to_le_bytes());
        pwrite(
            &function,
            &config,
            region_at(abi::VFIO_PCI_CONFIG_REGION_INDEX),
        )
        .unwrap();
        Self {
            function,
            asked: Mutex::default(),
            irqs: Mutex::default(),
            group_flags: abi::VFIO_GROUP_FLAGS_VIABLE,
            kinds: vec![abi::VFIO_TYPE1_IOMMU, abi::VFIO_TYPE1v2_IOMMU],
            iommu: Vec::new(),
            bar0: (
                abi::VFIO_REGION_INFO_FLAG_READ
                    | abi::VFIO_REGION_INFO_FLAG_WRITE
                    | abi::VFIO_REGION_INFO_FLAG_MMAP,
                Vec::new(),
            ),
            vectors: (8, u32::MAX),
            device_flags: abi::VFIO_DEVICE_FLAGS_PCI | abi::VFIO_DEVICE_FLAGS_RESET,
            fails: None,
        }
    }
}

impl Fake {
    fn step(&self, name: &str) -> Result<(), Errno> {
        match self.fails {
            Some((step, errno)) if step == name => Err(errno),
            _ => Ok(()),
        }
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }

    fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Signals the first vector of a kind.
    fn signal(&self, index: u32) {
        let irqs = self.irqs.lock().unwrap();
        let (_, fds) = irqs.iter().rev().find(|(kind, _)| *kind == index).unwrap();
        rustix::io::write(&fds[0], &1u64.to_ne_bytes()).unwrap();
    }

    /// Writes into a region behind the backend's back.
    fn poke(&self, index: u32, offset: u64, data: &[u8]) {
        assert_eq!(
            pwrite(&self.function, data, region_at(index) + offset),
            Ok(data.len())
        );
    }
}

impl Kernel for Fake {
    fn api_version(&self, _: BorrowedFd<'_>) -> Result<u32, Errno> {
        self.step("version").map(|()| abi::VFIO_API_VERSION)
    }

    fn has_extension(&self, _: BorrowedFd<'_>, kind: u32) -> Result<bool, Errno> {
        Ok(self.kinds.contains(&kind))
    }

    fn set_iommu(&self, _: BorrowedFd<'_>, kind: u32) -> Result<(), Errno> {
        self.step("iommu")?;
        // as Linux: a container without groups has no kind
        assert!(self.asked.lock().unwrap().contains(&Asked::Container));
        self.note(Asked::Iommu(kind));
        Ok(())
    }

    fn iommu_info(&self, _: BorrowedFd<'_>) -> Result<Reply<vfio_iommu_type1_info>, Errno> {
        let info = vfio_iommu_type1_info {
            flags: abi::VFIO_IOMMU_INFO_PGSIZES | abi::VFIO_IOMMU_INFO_CAPS,
            iova_pgsizes: 0x4020_1000,
            cap_offset: if self.iommu.is_empty() { 0 } else { 24 },
            ..Default::default()
        };
        let mut bytes = vec![0; 24];
        bytes.extend(&self.iommu);
        Ok(Reply { info, bytes })
    }

    fn map_dma(&self, _: BorrowedFd<'_>, memory: &DmaMem, iova: u64) -> Result<(), Errno> {
        self.step("map")?;
        self.note(Asked::Map(iova, memory.len() as u64));
        Ok(())
    }

    fn unmap_dma(&self, _: BorrowedFd<'_>, iova: u64, bytes: u64) -> Result<u64, Errno> {
        self.note(Asked::Unmap(iova, bytes));
        Ok(bytes)
    }

    fn group_flags(&self, _: BorrowedFd<'_>) -> Result<u32, Errno> {
        Ok(self.group_flags)
    }

    fn set_container(&self, _: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Result<(), Errno> {
        self.step("container")?;
        self.note(Asked::Container);
        Ok(())
    }

    fn open_function(&self, _: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        self.step("function")?;
        self.note(Asked::Function(name.to_str().unwrap().to_owned()));
        Ok(self.function.try_clone().unwrap())
    }

    fn function_info(&self, _: BorrowedFd<'_>) -> Result<vfio_device_info, Errno> {
        Ok(vfio_device_info {
            flags: self.device_flags,
            num_regions: 9,
            num_irqs: 5,
            ..Default::default()
        })
    }

    fn region_info(&self, _: BorrowedFd<'_>, index: u32) -> Result<Reply<vfio_region_info>, Errno> {
        let both = abi::VFIO_REGION_INFO_FLAG_READ | abi::VFIO_REGION_INFO_FLAG_WRITE;
        let (size, flags) = match index {
            abi::VFIO_PCI_BAR0_REGION_INDEX => (BAR0, self.bar0.0),
            abi::VFIO_PCI_BAR2_REGION_INDEX => (BAR0, abi::VFIO_REGION_INFO_FLAG_READ),
            abi::VFIO_PCI_CONFIG_REGION_INDEX => (4096, both),
            abi::VFIO_PCI_ROM_REGION_INDEX => return Err(Errno::INVAL),
            _ => (0, 0),
        };
        let info = vfio_region_info {
            flags,
            index,
            cap_offset: 32,
            size,
            offset: region_at(index),
            ..Default::default()
        };
        let mut bytes = vec![0; 32];
        bytes.extend(&self.bar0.1);
        Ok(Reply { info, bytes })
    }

    fn irq_info(&self, _: BorrowedFd<'_>, index: u32) -> Result<vfio_irq_info, Errno> {
        Ok(vfio_irq_info {
            flags: abi::VFIO_IRQ_INFO_EVENTFD,
            index,
            count: match index {
                abi::VFIO_PCI_MSIX_IRQ_INDEX => self.vectors.0,
                _ => 1,
            },
            ..Default::default()
        })
    }

    fn set_irqs(
        &self,
        _: BorrowedFd<'_>,
        index: u32,
        triggers: Triggers<'_>,
    ) -> Result<u32, Errno> {
        let Triggers::Eventfds(fds) = triggers else {
            self.note(Asked::IrqsOff(index));
            let mut irqs = self.irqs.lock().unwrap();
            let on = irqs.len();
            irqs.retain(|(kind, _)| *kind != index);
            // as Linux answers when nothing was on
            return if irqs.len() < on {
                Ok(0)
            } else {
                Err(Errno::INVAL)
            };
        };
        self.note(Asked::Irqs(index, fds.len()));
        if fds.len() > self.vectors.1 as usize {
            return Ok(self.vectors.1);
        }
        let fds = fds
            .iter()
            .map(|fd| fd.try_clone_to_owned().unwrap())
            .collect();
        self.irqs.lock().unwrap().push((index, fds));
        Ok(0)
    }

    fn reset(&self, _: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut command = [0; 2];
        let config = region_at(abi::VFIO_PCI_CONFIG_REGION_INDEX);
        rustix::io::pread(&self.function, &mut command, config + 4).unwrap();
        self.note(Asked::Reset(u16::from_le_bytes(command)));
        Ok(())
    }
}

/// A machine with the card, bound to vfio-pci, in group 12.
fn machine() -> (tempfile::TempDir, Places) {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), CARD, ID, Some("vfio-pci"), Some(12));
    let nodes = root.path().join("dev");
    std::fs::create_dir(&nodes).unwrap();
    for node in ["vfio", "12"] {
        std::fs::write(nodes.join(node), "").unwrap();
    }
    let places = Places {
        sysfs: Sysfs::at(root.path()),
        nodes,
        user_groups: root.path().join("group"),
    };
    (root, places)
}

/// Opens the card of a machine.
fn open_in(places: &Places, fake: Fake) -> (Result<Vfio, DeviceError>, Arc<Fake>) {
    let fake = Arc::new(fake);
    let kernel = Arc::clone(&fake) as Arc<dyn Kernel>;
    (Vfio::open_in(places, kernel, CARD.parse().unwrap()), fake)
}

/// An open card.
fn open(fake: Fake) -> (Vfio, Arc<Fake>) {
    let (_root, places) = machine();
    let (card, fake) = open_in(&places, fake);
    (card.unwrap(), fake)
}
