//! A virtual machine around the simulated card: QEMU shows it to a guest, whose kernel hands it to vfio-pci.
//!
//! ```text
//!  this process                    QEMU (q35, intel-iommu)               guest
//!  ┌───────────────┐  vfio-user    ┌─────────────────────┐   vfio-pci   ┌──────────────────┐
//!  │ simulated card ├──────────────┤ vfio-user-pci        ├─────────────┤ guideway         │
//!  │ wire's far end │              │                      │    ttyS1    │                  │
//!  │ Guest ─────────┼──────────────┼─ second serial port  ├─────────────┤ guideway-vm-guest│
//!  └───────────────┘  JSON lines   └─────────────────────┘             └──────────────────┘
//! ```
//! Owns the machine, the guest's file system and the conversation with the program in it. What is tested is
//! `guideway-vm-test`'s; what the guest's program does is `guideway-vm-guest`'s.

pub mod guest;
pub mod image;
pub mod initramfs;
pub mod machine;
pub mod protocol;
