//! The function's configuration space: 256 bytes of registers in front of 4 KiB of nothing.
//!
//! Owns ids, BAR sizing, the capabilities (power management, MSI-X, PCI Express) and which bits a write changes. What a
//! write asks of the card comes back as an [`Effect`].
//!
//! ```text
//! 00 header | 40 power management | 50 MSI-X | 60 PCI Express
//! ```

use guideway_hdl::{PCI_DEVICE, PCI_VENDOR};

use crate::card::MSIX_VECTORS;

/// Bytes of the region, as PCI Express has them.
pub const CONFIG_BYTES: usize = 4096;
/// Sizes of BAR0, BAR2 and BAR4; each is a 64-bit BAR.
pub const BAR_BYTES: [u64; 3] = [0x1_0000, 0x1_0000, 0x1000];
/// Where the pending bits lie in BAR4; the table lies at 0.
pub const MSIX_PBA: u32 = 0x800;

const REGISTERS: usize = 256;
const COMMAND: usize = 0x04;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const STATUS_CAPABILITIES: u16 = 1 << 4;
const BAR0: usize = 0x10;
const BAR_64_BIT: u8 = 1 << 2;
const MSIX_BAR: u32 = 4;
const PM: usize = 0x40;
const PM_CONTROL: usize = PM + 4;
const MSIX: usize = 0x50;
const EXPRESS: usize = 0x60;
const EXPRESS_CONTROL: usize = EXPRESS + 8;
const EXPRESS_FLR: u16 = 1 << 15;

/// Who asks for a host reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// Function-level reset (PCI Express 6.6.2).
    FunctionLevel,
    /// The way back from D3hot: the function does not claim "no soft reset" (PCI power management 5.4.1).
    PowerState,
    /// The vfio-user command.
    Command,
    /// The client has gone.
    Client,
}

/// What a write asks of the card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// A host reset.
    pub reset: Option<ResetCause>,
}

/// The registers.
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    bytes: [u8; REGISTERS],
    writable: [u8; REGISTERS],
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigSpace {
    /// As after power on, with memory space enabled: the server plays the kernel, which does that at open.
    #[must_use]
    pub fn new() -> Self {
        let mut space = Self {
            bytes: [0; REGISTERS],
            writable: [0; REGISTERS],
        };
        space.header();
        space.power_management();
        space.msix();
        space.express();
        space
    }

    fn header(&mut self) {
        self.set16(0x00, PCI_VENDOR);
        self.set16(0x02, PCI_DEVICE);
        self.set16(COMMAND, COMMAND_MEMORY);
        self.allow16(COMMAND, COMMAND_MEMORY | COMMAND_BUS_MASTER | 0x0540);
        self.set16(0x06, STATUS_CAPABILITIES);
        self.bytes[0x08] = 1; // revision
        self.bytes[0x0b] = 0x02; // class: network controller, Ethernet
        self.writable[0x0c] = 0xff; // cache line
        for (pair, bytes) in BAR_BYTES.into_iter().enumerate() {
            let at = BAR0 + 8 * pair;
            self.bytes[at] = BAR_64_BIT;
            self.writable[at..at + 8].copy_from_slice(&(!(bytes - 1)).to_le_bytes());
        }
        self.set16(0x2c, PCI_VENDOR);
        self.set16(0x2e, PCI_DEVICE);
        self.bytes[0x34] = PM as u8;
        self.writable[0x3c] = 0xff; // interrupt line
    }

    fn power_management(&mut self) {
        self.bytes[PM] = 0x01;
        self.bytes[PM + 1] = MSIX as u8;
        self.set16(PM + 2, 3); // version; neither D1, D2 nor PME
        self.allow16(PM_CONTROL, 0x0003);
    }

    fn msix(&mut self) {
        self.bytes[MSIX] = 0x11;
        self.bytes[MSIX + 1] = EXPRESS as u8;
        self.set16(MSIX + 2, MSIX_VECTORS - 1);
        self.allow16(MSIX + 2, 0xc000);
        self.set32(MSIX + 4, MSIX_BAR);
        self.set32(MSIX + 8, MSIX_PBA | MSIX_BAR);
    }

    fn express(&mut self) {
        self.bytes[EXPRESS] = 0x10;
        self.set16(EXPRESS + 2, 0x0002); // version 2, endpoint
        self.set32(EXPRESS + 4, (1 << 28) | (1 << 15) | 2); // function-level reset, role-based errors, payloads of 512
        self.set16(EXPRESS_CONTROL, 0x2810); // read requests of 512, no snoop, relaxed ordering
        self.allow16(EXPRESS_CONTROL, 0x78ff);
        self.set32(EXPRESS + 12, 0x0103); // link: 16 lanes, 8 GT/s
        self.allow16(EXPRESS + 16, 0x0143);
        self.set16(EXPRESS + 18, 0x0103);
        self.set32(EXPRESS + 0x2c, 0x0000_000e);
        self.set16(EXPRESS + 0x30, 0x0003);
    }

    fn set16(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn set32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn allow16(&mut self, at: usize, mask: u16) {
        self.writable[at..at + 2].copy_from_slice(&mask.to_le_bytes());
    }

    fn get16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Bus mastering is on, and the function is awake.
    #[must_use]
    pub fn bus_master(&self) -> bool {
        self.get16(COMMAND) & COMMAND_BUS_MASTER != 0 && !self.sleeps()
    }

    /// The function is in D3hot: its BARs answer nothing.
    #[must_use]
    pub fn sleeps(&self) -> bool {
        self.get16(PM_CONTROL) & 3 == 3
    }

    /// Reads; what is beyond the registers is 0.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = self.bytes.get(offset + index).copied().unwrap_or(0);
        }
    }

    /// Writes the bits that can be written.
    pub fn write(&mut self, offset: usize, data: &[u8]) -> Effect {
        let slept = self.sleeps();
        let power = self.bytes[PM_CONTROL];
        let mut effect = Effect::default();
        for (index, &byte) in data.iter().enumerate() {
            let at = offset + index;
            if at >= REGISTERS {
                break;
            }
            if at == EXPRESS_CONTROL + 1 && u16::from(byte) << 8 & EXPRESS_FLR != 0 {
                effect.reset = Some(ResetCause::FunctionLevel);
            }
            self.bytes[at] = (self.bytes[at] & !self.writable[at]) | (byte & self.writable[at]);
        }
        if matches!(self.bytes[PM_CONTROL] & 3, 1 | 2) {
            self.bytes[PM_CONTROL] = power; // there is no D1 and no D2
        }
        if slept && !self.sleeps() {
            effect.reset = effect.reset.or(Some(ResetCause::PowerState));
        }
        effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read32(space: &ConfigSpace, at: usize) -> u32 {
        let mut data = [0; 4];
        space.read(at, &mut data);
        u32::from_le_bytes(data)
    }

    #[test]
    fn capabilities_form_a_chain_with_the_promised_contents() {
        let space = ConfigSpace::new();
        assert_eq!(
            read32(&space, 0),
            u32::from(PCI_DEVICE) << 16 | u32::from(PCI_VENDOR)
        );
        assert_eq!(read32(&space, 8) >> 8, 0x02_0000);
        assert_ne!(read32(&space, 4) & 0x0010_0000, 0);
        let mut found = Vec::new();
        let mut at = (read32(&space, 0x34) & 0xff) as usize;
        while at != 0 {
            let head = read32(&space, at);
            found.push((head & 0xff, at));
            at = (head >> 8 & 0xff) as usize;
        }
        assert_eq!(found, [(0x01, PM), (0x11, MSIX), (0x10, EXPRESS)]);
        assert_ne!(read32(&space, EXPRESS + 4) & 1 << 28, 0);
        assert_eq!(
            read32(&space, MSIX) >> 16 & 0x7ff,
            u32::from(MSIX_VECTORS) - 1
        );
        assert_eq!(read32(&space, MSIX + 4), 4);
        assert_eq!(read32(&space, MSIX + 8), 0x804);
    }

    #[test]
    fn bars_are_sized_by_writing_ones() {
        let mut space = ConfigSpace::new();
        for (pair, bytes) in BAR_BYTES.into_iter().enumerate() {
            let at = 0x10 + 8 * pair;
            space.write(at, &[0xff; 8]);
            let low = u64::from(read32(&space, at));
            let high = u64::from(read32(&space, at + 4));
            assert_eq!(low & 0xf, 4, "64 bits, not prefetchable");
            assert_eq!(!(high << 32 | low & !0xf) + 1, bytes);
            space.write(at, &0x1_2345_0000_u64.to_le_bytes());
            assert_eq!(read32(&space, at), 0x2345_0004);
        }
    }

    #[test]
    fn read_only_bits_stay() {
        let mut space = ConfigSpace::new();
        let before: Vec<u32> = [0, 8, 0x2c, 0x34, EXPRESS + 4]
            .iter()
            .map(|&at| read32(&space, at))
            .collect();
        for at in (0..256).step_by(4).filter(|&at| at != PM_CONTROL) {
            space.write(at, &[0xff; 4]);
        }
        let after: Vec<u32> = [0, 8, 0x2c, 0x34, EXPRESS + 4]
            .iter()
            .map(|&at| read32(&space, at))
            .collect();
        assert_eq!(before, after);
        space.write(250, &[0xff; 20]);
        assert_eq!(read32(&space, 300), 0);
    }

    #[test]
    fn flr_and_the_way_back_from_d3_reset() {
        let mut space = ConfigSpace::new();
        assert_eq!(space.write(COMMAND, &[6, 0]), Effect { reset: None });
        assert!(space.bus_master());
        assert_eq!(
            space
                .write(EXPRESS_CONTROL, &0xa810_u16.to_le_bytes())
                .reset,
            Some(ResetCause::FunctionLevel)
        );
        assert_eq!(
            read32(&space, EXPRESS_CONTROL) & 0x8000,
            0,
            "the bit reads 0"
        );
        assert_eq!(space.write(PM_CONTROL, &[1]), Effect::default());
        assert!(!space.sleeps(), "there is no D1");
        assert_eq!(space.write(PM_CONTROL, &[3]), Effect::default());
        assert!(space.sleeps() && !space.bus_master());
        assert_eq!(
            space.write(PM_CONTROL, &[0]).reset,
            Some(ResetCause::PowerState)
        );
        assert!(!space.sleeps() && space.bus_master());
    }
}
