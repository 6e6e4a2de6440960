//! Configuration space, decoded by `pci-driver`'s typed structures over the bytes that any backend reads.
//!
//! Owns what the driver needs of it: who the function is, and bus mastering. MSI-X is the backends' (the kernel and vfio-user
//! servers keep its control bits to themselves).

use guideway_hdl::{PCI_DEVICE, PCI_VENDOR};
use pci_driver::config::PciConfig;
use pci_driver::config::caps::MsiXCapability;
use pci_driver::regions::{AsPciSubregion, BackedByPciSubregion, PciMemoryRegion, PciRegion};

use super::{Device, DeviceError};

/// Offset of the command register (PCI 3.0, 6.1).
const COMMAND: u16 = 0x04;
/// Offset of MSI-X message control within its capability (PCI 3.0, 6.8.2.3).
const MSIX_CONTROL: u16 = 2;
/// Message control: vectors - 1.
const MSIX_TABLE_SIZE: u16 = 0x07ff;
/// Bytes of conventional configuration space.
const CONFIG_BYTES: usize = 256;

/// The bytes of configuration space, aligned as typed accesses need them.
#[repr(align(4))]
struct ConfigBytes([u8; CONFIG_BYTES]);

bitflags::bitflags! {
    /// The command register's bits that the driver sets.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Command: u16 {
        /// BARs answer.
        const MEMORY_SPACE = 1 << 1;
        /// The card may read and write host memory.
        const BUS_MASTER = 1 << 2;
    }
}

/// Who a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Revision.
    pub revision: u8,
    /// The MSI-X capability: its offset and vectors.
    pub msix: Option<(u16, u16)>,
}

/// Reads who the function is.
///
/// # Errors
/// When configuration space cannot be read, or its capabilities run in a circle or out of it.
pub fn identify(device: &dyn Device) -> Result<Identity, DeviceError> {
    let mut bytes = ConfigBytes([0; CONFIG_BYTES]);
    device.config_read(0, &mut bytes.0)?;
    decode(&bytes).map_err(|reason| DeviceError::Protocol {
        device: device.name().to_owned(),
        doing: "reading configuration space".to_owned(),
        reason: reason.to_string(),
    })
}

fn decode(bytes: &ConfigBytes) -> std::io::Result<Identity> {
    let region = PciMemoryRegion::new(&bytes.0);
    let config = PciConfig::backed_by(&region);
    let mut identity = Identity {
        vendor: config.vendor_id().read()?,
        device: config.device_id().read()?,
        revision: config.revision_id().read()?,
        msix: None,
    };
    if config.status().capabilities_list().read()? {
        let capabilities = config.capabilities()?;
        identity.msix = match capabilities.of_type::<MsiXCapability>()?.next() {
            None => None,
            Some(msix) => {
                let vectors = (msix.read_le_u16(MSIX_CONTROL.into())? & MSIX_TABLE_SIZE) + 1;
                // Capabilities lie within the 256 bytes.
                let offset = u16::try_from(msix.as_subregion().offset_in_underlying_region())
                    .map_err(std::io::Error::other)?;
                Some((offset, vectors))
            }
        };
    }
    Ok(identity)
}

/// Checks that the function is a Guideway card, and lets it answer and reach host memory.
///
/// # Errors
/// When the function is another, or is gone.
pub fn enable_bus_mastering(device: &dyn Device) -> Result<Identity, DeviceError> {
    enable(device, Command::MEMORY_SPACE | Command::BUS_MASTER)
}

/// Checks that the function is a Guideway card, and lets it answer.
///
/// # Errors
/// When the function is another, or is gone.
pub fn enable_memory_space(device: &dyn Device) -> Result<Identity, DeviceError> {
    enable(device, Command::MEMORY_SPACE)
}

fn enable(device: &dyn Device, wanted: Command) -> Result<Identity, DeviceError> {
    let identity = identify(device)?;
    if (identity.vendor, identity.device) != (PCI_VENDOR, PCI_DEVICE) {
        return Err(DeviceError::WrongFunction {
            device: device.name().to_owned(),
            vendor: identity.vendor,
            id: identity.device,
        });
    }
    let command = read_command(device)? | wanted;
    device.config_write(COMMAND, &command.bits().to_le_bytes())?;
    Ok(identity)
}

/// Keeps the function from reaching host memory, and from interrupting.
///
/// # Errors
/// When the function is gone.
pub fn disable_bus_mastering(device: &dyn Device) -> Result<(), DeviceError> {
    let command = read_command(device)?.difference(Command::BUS_MASTER);
    device.config_write(COMMAND, &command.bits().to_le_bytes())
}

fn read_command(device: &dyn Device) -> Result<Command, DeviceError> {
    let mut command = [0; 2];
    device.config_read(COMMAND, &mut command)?;
    // the bits without a name stay as they are
    Ok(Command::from_bits_retain(u16::from_le_bytes(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> ConfigBytes {
        let mut bytes = ConfigBytes([0; CONFIG_BYTES]);
        bytes.0[..4].copy_from_slice(&[0x36, 0x1b, 0x57, 0x67]);
        bytes.0[6] = 1 << 4;
        bytes.0[8] = 3;
        bytes.0[0x34] = 0x40;
        bytes.0[0x40..0x42].copy_from_slice(&[0x01, 0x50]); // power management
        bytes.0[0x50..0x54].copy_from_slice(&[0x11, 0, 7, 0]); // MSI-X, 8 vectors
        bytes
    }

    #[test]
    fn identity_and_msix_are_found() {
        let identity = decode(&space()).unwrap();
        assert_eq!(
            identity,
            Identity {
                vendor: 0x1b36,
                device: 0x6757,
                revision: 3,
                msix: Some((0x50, 8))
            }
        );
        let mut without = space();
        without.0[6] = 0;
        assert_eq!(decode(&without).unwrap().msix, None);
    }

    #[test]
    fn a_capability_list_that_leads_nowhere_is_an_error() {
        let mut circle = space();
        circle.0[0x51] = 0x40;
        assert!(decode(&circle).is_err());
        let mut outside = space();
        outside.0[0x41] = 0x10;
        assert!(decode(&outside).is_err());
    }
}
