//! How a device is named: `sim`, `vfio-user:PATH`, `vfio:DDDD:BB:DD.F`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the card is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAddress {
    /// A private simulator, started for this host and ending with it.
    Sim,
    /// A vfio-user socket.
    VfioUser(PathBuf),
    /// A PCI function that the kernel's vfio-pci holds.
    Vfio(PciAddress),
}

/// A PCI function's place: domain, bus, device, function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// Domain.
    pub domain: u16,
    /// Bus.
    pub bus: u8,
    /// Device, below 32.
    pub device: u8,
    /// Function, below 8.
    pub function: u8,
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not one of the known forms.
    #[error(
        "\"{0}\" names no device: expected \"sim\", \"vfio-user:/path/to.sock\" or \"vfio:0000:3b:00.0\""
    )]
    Form(String),
    /// `vfio-user:` without an absolute path.
    #[error("\"{0}\": the socket's path must be absolute")]
    RelativePath(String),
    /// A path that a socket address cannot hold.
    #[error("\"{0}\": a socket's path has at most {max} bytes", max = MAX_SOCKET_PATH)]
    LongPath(String),
    /// Not a PCI address.
    #[error(
        "\"{0}\" is no PCI address: expected domain:bus:device.function in hexadecimal, as in 0000:3b:00.0"
    )]
    Pci(String),
}

/// What `sockaddr_un` holds, without its final zero.
const MAX_SOCKET_PATH: usize = 107;

impl FromStr for DeviceAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "sim" {
            return Ok(Self::Sim);
        }
        if let Some(path) = text.strip_prefix("vfio-user:") {
            return match path {
                _ if !path.starts_with('/') => Err(AddressError::RelativePath(text.to_owned())),
                _ if path.len() > MAX_SOCKET_PATH => Err(AddressError::LongPath(text.to_owned())),
                _ => Ok(Self::VfioUser(PathBuf::from(path))),
            };
        }
        match text.strip_prefix("vfio:") {
            Some(place) => place.parse().map(Self::Vfio),
            None => Err(AddressError::Form(text.to_owned())),
        }
    }
}

impl FromStr for PciAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parts: Vec<&str> = text.split([':', '.']).collect();
        let shape = [4, 2, 2, 1];
        let separators: String = text.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
        let fits = parts.len() == shape.len()
            && separators == "::."
            && parts
                .iter()
                .zip(shape)
                .all(|(part, digits)| part.len() == digits);
        let wrong = || AddressError::Pci(text.to_owned());
        if !fits {
            return Err(wrong());
        }
        let number = |part: &str| u16::from_str_radix(part, 16).map_err(|_| wrong());
        let byte = |part: &str| u8::from_str_radix(part, 16).map_err(|_| wrong());
        let place = Self {
            domain: number(parts[0])?,
            bus: byte(parts[1])?,
            device: byte(parts[2])?,
            function: byte(parts[3])?,
        };
        if place.device < 32 && place.function < 8 {
            Ok(place)
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.device, self.function
        )
    }
}

impl serde::Serialize for DeviceAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim => f.write_str("sim"),
            Self::VfioUser(path) => write!(f, "vfio-user:{}", path.display()),
            Self::Vfio(place) => write!(f, "vfio:{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for text in [
            "sim",
            "vfio-user:/run/guideway/card0.sock",
            "vfio:0000:3b:00.0",
            "vfio:10ab:ff:1f.7",
        ] {
            assert_eq!(text.parse::<DeviceAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_device_is_refused_with_its_reason() {
        let parse = |text: &str| text.parse::<DeviceAddress>().unwrap_err();
        for text in ["", "simulator", "SIM", "vfio", "pci:0000:3b:00.0"] {
            assert_eq!(parse(text), AddressError::Form(text.to_owned()));
        }
        for text in ["vfio-user:", "vfio-user:card.sock"] {
            assert_eq!(parse(text), AddressError::RelativePath(text.to_owned()));
        }
        for place in [
            "",
            "3b:00.0",
            "0000:3b:00:0",
            "0000:3b:20.0",
            "0000:3b:00.8",
            "0000:3b:00.0 ",
            "0000:3g:00.0",
            "00000:3b:00.0",
            "+000:3b:00.0",
        ] {
            assert_eq!(
                parse(&format!("vfio:{place}")),
                AddressError::Pci(place.to_owned())
            );
        }
        assert!(matches!(
            parse(&format!("vfio-user:/{}", "a".repeat(107))),
            AddressError::LongPath(_)
        ));
        assert!(
            format!("vfio-user:/{}", "a".repeat(106))
                .parse::<DeviceAddress>()
                .is_ok()
        );
    }
}
