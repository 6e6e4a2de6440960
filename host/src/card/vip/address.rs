//! The addresses of a VIP: one, or all of a prefix.
//!
//! Owns their text form and which of them holds which. A prefix of full length is the address itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The addresses of a VIP. Host bits are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VipAddress(IpNet);

/// Why a text or number is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VipAddressError {
    /// Neither an address nor an address and a length.
    #[error("neither an IP address nor a prefix")]
    Form,
    /// Bits behind the prefix are set.
    #[error("bits behind the prefix are set: the prefix is {0}")]
    HostBits(VipAddress),
}

impl VipAddress {
    /// The prefix of this length.
    ///
    /// # Errors
    /// When the length is none of the address's family, or bits behind it are set.
    pub fn new(first: IpAddr, length: u8) -> Result<Self, VipAddressError> {
        let net = IpNet::new(first, length).map_err(|_| VipAddressError::Form)?;
        Self::whole(net)
    }

    fn whole(net: IpNet) -> Result<Self, VipAddressError> {
        let whole = Self(net.trunc());
        if whole.0 == net {
            Ok(whole)
        } else {
            Err(VipAddressError::HostBits(whole))
        }
    }

    /// The address, when it is only one.
    #[must_use]
    pub fn one(&self) -> Option<IpAddr> {
        (self.0.prefix_len() == self.0.max_prefix_len()).then(|| self.0.addr())
    }

    /// The first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.0.addr()
    }

    /// How many of the upper bits all of them share.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// They are IPv6 addresses.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.first().is_ipv6()
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Those that share the upper `length` bits with them; `None` when they share fewer themselves.
    #[must_use]
    pub fn widened(&self, length: u8) -> Option<Self> {
        (length <= self.length())
            .then(|| IpNet::new(self.first(), length).ok())
            .flatten()
            .map(|net| Self(net.trunc()))
    }

    /// Whether each of them can be the address of one host.
    #[must_use]
    pub fn is_unicast(&self) -> bool {
        let others: &[IpNet] = &[
            IpNet::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 32),
            IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
            IpNet::new_assert(IpAddr::V4(Ipv4Addr::BROADCAST), 32),
            IpNet::new_assert(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128),
            IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
        ];
        !others.iter().any(|other| self.overlaps(other))
    }

    /// Whether there are IPv4 addresses in IPv6 form among them (RFC 4291 2.5.5.2).
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        let first = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
        self.overlaps(&IpNet::new_assert(IpAddr::V6(first), 96))
    }

    fn overlaps(&self, other: &IpNet) -> bool {
        self.0.contains(other) || other.contains(&self.0)
    }
}

impl From<IpAddr> for VipAddress {
    fn from(address: IpAddr) -> Self {
        Self(address.into())
    }
}

impl From<[u8; 4]> for VipAddress {
    fn from(address: [u8; 4]) -> Self {
        IpAddr::from(address).into()
    }
}

impl FromStr for VipAddress {
    type Err = VipAddressError;

    fn from_str(text: &str) -> Result<Self, VipAddressError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        Self::whole(text.parse().map_err(|_| VipAddressError::Form)?)
    }
}

impl fmt::Display for VipAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.one() {
            Some(address) => address.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for VipAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VipAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> VipAddress {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_stored_form_are_the_same() {
        for text in ["10.0.0.1", "10.0.0.0/16", "2001:db8::1", "2001:db8::/64"] {
            assert_eq!(of(text).to_string(), text);
            let json = serde_json::to_string(&of(text)).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<VipAddress>(&json).unwrap(), of(text));
        }
        assert_eq!(of("10.0.0.1/32"), of("10.0.0.1"));
        assert_eq!(of("2001:db8::1/128").one(), "2001:db8::1".parse().ok());
        assert_eq!(of("10.0.0.0/16").one(), None);
    }

    #[test]
    fn what_is_no_prefix_is_told_apart() {
        let host_bits = |text: &str, whole: &str| {
            let error = text.parse::<VipAddress>().unwrap_err();
            assert_eq!(error, VipAddressError::HostBits(of(whole)), "{text}");
        };
        host_bits("10.0.0.1/16", "10.0.0.0/16");
        host_bits("2001:db8::1/64", "2001:db8::/64");
        for text in ["", "10.0.0/16", "10.0.0.0/33", "::/129", "10.0.0.0/", "a/b"] {
            assert_eq!(
                text.parse::<VipAddress>(),
                Err(VipAddressError::Form),
                "{text}"
            );
        }
        assert!(VipAddress::new("10.0.0.0".parse().unwrap(), 33).is_err());
    }

    #[test]
    fn a_prefix_holds_what_shares_its_bits() {
        let net = of("10.16.0.0/12");
        for (text, held) in [
            ("10.16.0.0", true),
            ("10.31.255.255", true),
            ("10.32.0.0", false),
            ("10.15.255.255", false),
            ("10.16.0.0/12", true),
            ("10.17.0.0/16", true),
            ("10.0.0.0/8", false),
            ("::10.16.0.1", false),
        ] {
            assert_eq!(net.holds(&of(text)), held, "{text}");
        }
        assert_eq!(of("10.17.3.4").widened(12), Some(net));
        assert_eq!(net.widened(12), Some(net));
        assert_eq!(net.widened(13), None);
    }

    #[test]
    fn group_addresses_and_mapped_ones_are_found_in_prefixes() {
        for text in ["10.0.0.0/8", "128.0.0.0/2", "2000::/3", "fe80::1"] {
            assert!(of(text).is_unicast(), "{text}");
        }
        for text in [
            "0.0.0.0/0",
            "0.0.0.0/8",
            "192.0.0.0/2",
            "224.1.0.0/16",
            "240.0.0.0/4",
            "::/0",
            "ff02::/16",
            "f000::/4",
        ] {
            assert!(!of(text).is_unicast(), "{text}");
        }
        assert!(of("::/16").is_mapped() && of("::ffff:10.0.0.0/104").is_mapped());
        assert!(!of("2001:db8::/32").is_mapped() && !of("10.0.0.0/8").is_mapped());
    }
}
