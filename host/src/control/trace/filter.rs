//! Which packets are wanted, as people say it: a VIP by its name, sampling by its rate.
//!
//! Owns the form that command line and socket share, and what makes no sense in it. What the card is told is [`TraceFilter`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use guideway_hdl::records::TRACE_SAMPLE_LOG2_MAX;
use serde::{Deserialize, Serialize};

use crate::card::TraceFilter;
use crate::control::state::State;

/// IP protocol of TCP.
pub const TCP: u8 = 6;
/// IP protocol of UDP.
pub const UDP: u8 = 17;

/// An address, or the first bits of one: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{address:?} is no IPv4 or IPv6 address"))?;
        let longest = if address.is_ipv6() { 128 } else { 32 };
        let bits = match bits {
            None => longest,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= longest)
                .ok_or_else(|| format!("{bits:?} is no number of bits: 0 to {longest}"))?,
        };
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The first of how many packets: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Sample(u32);

impl Default for Sample {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for Sample {
    type Error = String;

    fn try_from(rate: u32) -> Result<Self, String> {
        let most = 1u32 << TRACE_SAMPLE_LOG2_MAX;
        if rate.is_power_of_two() && rate <= most {
            return Ok(Self(rate));
        }
        Err(format!(
            "the card samples one of 1, 2, 4, 8 and so on up to {most} packets, not one of {rate}"
        ))
    }
}

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate: u32 = text
            .parse()
            .map_err(|_| format!("{text:?} is no number of packets"))?;
        rate.try_into()
    }
}

impl From<Sample> for u32 {
    fn from(sample: Sample) -> Self {
        sample.0
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which packets are wanted; what is not given matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// From this address or prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Prefix>,
    /// To this address or prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Prefix>,
    /// From this port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// To this port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Of this IP protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// Of the VIP of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip: Option<String>,
    /// Of those that match, the first of each so many.
    pub sample: Sample,
}

/// Why nothing can be traced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(String);

impl Wanted {
    /// Finds out whether a packet can match. `flag` is what the arguments that are named in errors begin with.
    ///
    /// # Errors
    /// When none can.
    pub fn check(&self, flag: &str) -> Result<(), FilterError> {
        if let (Some(source), Some(destination)) = (self.source, self.destination)
            && source.address.is_ipv6() != destination.address.is_ipv6()
        {
            return Err(FilterError(format!(
                "{flag}source {source} and {flag}destination {destination} are of different families and no packet has both: leave one out"
            )));
        }
        let ports = self.source_port.or(self.destination_port);
        if let Some(protocol) = self.protocol
            && ports.is_some_and(|port| port > 0)
            && !matches!(protocol, TCP | UDP)
        {
            return Err(FilterError(format!(
                "packets of {flag}protocol {protocol} have no ports: leave out {flag}source-port and {flag}destination-port, or say tcp or udp"
            )));
        }
        Ok(())
    }

    /// What the card is told when it is in `state`; `flag` as in [`Wanted::check`].
    ///
    /// # Errors
    /// When no packet can match, or there is no such VIP.
    pub fn on_card(&self, state: &State, flag: &str) -> Result<TraceFilter, FilterError> {
        self.check(flag)?;
        let parts = |prefix: Option<Prefix>| prefix.map(|prefix| (prefix.address, prefix.bits));
        Ok(TraceFilter {
            source: parts(self.source),
            destination: parts(self.destination),
            source_port: self.source_port,
            destination_port: self.destination_port,
            protocol: self.protocol,
            vip: self.vip_on_card(state, flag)?,
            sample_log2: self.sample.0.trailing_zeros().try_into().unwrap_or(u8::MAX),
        })
    }

    fn vip_on_card(&self, state: &State, flag: &str) -> Result<Option<u16>, FilterError> {
        let Some(name) = &self.vip else {
            return Ok(None);
        };
        if let Some(vip) = state.vips.iter().find(|vip| vip.name == *name) {
            return Ok(Some(vip.id));
        }
        let names: Vec<&str> = state.vips.iter().map(|vip| vip.name.as_str()).collect();
        Err(FilterError(format!(
            "{flag}vip {name}: the configuration has no VIP of this name, but {}",
            names.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Result<(IpAddr, u8), String> {
        text.parse().map(|Prefix { address, bits }| (address, bits))
    }

    #[test]
    fn prefixes_are_read_or_refused_by_name() {
        assert_eq!(prefix("10.0.0.0/8"), Ok(("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(prefix("10.0.0.1"), Ok(("10.0.0.1".parse().unwrap(), 32)));
        assert_eq!(prefix("2001:db8::/32").unwrap().1, 32);
        for bad in ["10.0.0.0/33", "10.0.0/8", "x", "::/129", "::/", "/8"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_card_samples_powers_of_two() {
        for rate in [1, 2, 1 << 15] {
            assert_eq!(Sample::try_from(rate), Ok(Sample(rate)));
        }
        for rate in [0, 3, 1 << 16] {
            assert!(Sample::try_from(rate).is_err(), "{rate}");
        }
        let eight = Wanted {
            sample: Sample(8),
            ..Wanted::default()
        };
        let filter = eight.on_card(&State::default(), "--").unwrap();
        assert_eq!(filter.sample_log2, 3);
    }

    #[test]
    fn what_is_written_is_read() {
        let wanted = Wanted {
            source: Some("2001:db8::/32".parse().unwrap()),
            destination_port: Some(443),
            vip: Some("web".into()),
            sample: Sample(4),
            ..Wanted::default()
        };
        let text = serde_json::to_string(&wanted).unwrap();
        assert_eq!(serde_json::from_str::<Wanted>(&text).unwrap(), wanted);
        let empty: Wanted = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Wanted::default());
        for bad in [
            r#"{"sources": "10.0.0.1"}"#,
            r#"{"source": "10.0.0.1/64"}"#,
            r#"{"sample": 3}"#,
            r#"{"source_port": 65536}"#,
        ] {
            assert!(serde_json::from_str::<Wanted>(bad).is_err(), "{bad}");
        }
    }
}
