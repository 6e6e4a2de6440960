//! Which packets are traced, as arguments.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use crate::card::TraceFilter;
use crate::config::Config;
use crate::control::state::State;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Trace packets: where to, and which.
#[derive(Debug, Args)]
pub struct Trace {
    /// Trace packets, all or those of the `--trace-...` arguments, and write what every station of the card said of them: pcapng when
    /// the name ends so (headers made from the record, which is the packet's comment), else JSON lines. The wire stands still while
    /// records are taken, so that none is lost: the run's cycles are not those of a run without.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Only packets from this address or prefix.
    #[arg(long, value_name = "ADDRESS[/BITS]", value_parser = prefix, requires = "trace")]
    trace_source: Option<(IpAddr, u8)>,
    /// Only packets to this address or prefix.
    #[arg(long, value_name = "ADDRESS[/BITS]", value_parser = prefix, requires = "trace")]
    trace_destination: Option<(IpAddr, u8)>,
    /// Only packets from this port.
    #[arg(long, value_name = "PORT", requires = "trace")]
    trace_source_port: Option<u16>,
    /// Only packets to this port.
    #[arg(long, value_name = "PORT", requires = "trace")]
    trace_destination_port: Option<u16>,
    /// Only packets of this VIP, by its name in the configuration.
    #[arg(long, value_name = "NAME", requires = "trace")]
    trace_vip: Option<String>,
    /// Only packets of this protocol: tcp, udp or a number.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol, requires = "trace")]
    trace_protocol: Option<u8>,
    /// Only the first of each 2^N of these packets, 0 to 15.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..16), requires = "trace")]
    trace_sample_log2: u8,
}

impl Trace {
    /// The filter and the file, when packets are to be traced.
    ///
    /// # Errors
    /// When no packet can match, or there is no such VIP.
    pub(super) fn wanted(&self, config: &Config) -> anyhow::Result<Option<(TraceFilter, PathBuf)>> {
        let Some(path) = &self.trace else {
            return Ok(None);
        };
        if let (Some((source, _)), Some((destination, _))) =
            (self.trace_source, self.trace_destination)
        {
            anyhow::ensure!(
                source.is_ipv6() == destination.is_ipv6(),
                "--trace-source {source} and --trace-destination {destination} are of different families and no packet has both: leave one out"
            );
        }
        if let Some(protocol) = self.trace_protocol
            && (self.trace_source_port.or(self.trace_destination_port)).is_some_and(|port| port > 0)
        {
            anyhow::ensure!(
                matches!(protocol, TCP | UDP),
                "packets of --trace-protocol {protocol} have no ports: leave out --trace-source-port and --trace-destination-port, or say tcp or udp"
            );
        }
        let filter = TraceFilter {
            source: self.trace_source,
            destination: self.trace_destination,
            source_port: self.trace_source_port,
            destination_port: self.trace_destination_port,
            protocol: self.trace_protocol,
            vip: self.vip(config)?,
            sample_log2: self.trace_sample_log2,
        };
        Ok(Some((filter, path.clone())))
    }

    /// The index that a card which starts with this configuration gives the VIP.
    fn vip(&self, config: &Config) -> anyhow::Result<Option<u16>> {
        let Some(name) = &self.trace_vip else {
            return Ok(None);
        };
        let state = State::default().next(config)?;
        if let Some(vip) = state.vips.iter().find(|vip| vip.name == *name) {
            return Ok(Some(vip.id));
        }
        let names: Vec<&str> = state.vips.iter().map(|vip| vip.name.as_str()).collect();
        anyhow::bail!(
            "--trace-vip {name}: the configuration has no VIP of this name, but {}",
            names.join(", ")
        )
    }
}

fn prefix(text: &str) -> Result<(IpAddr, u8), String> {
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
    Ok((address, bits))
}

fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "tcp" => Ok(TCP),
        "udp" => Ok(UDP),
        number => number
            .parse()
            .map_err(|_| format!("{number:?} is neither tcp nor udp, nor a number up to 255")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_protocols_are_read_or_refused_by_name() {
        assert_eq!(prefix("10.0.0.0/8"), Ok(("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(prefix("10.0.0.1"), Ok(("10.0.0.1".parse().unwrap(), 32)));
        assert_eq!(prefix("2001:db8::/32").unwrap().1, 32);
        for bad in ["10.0.0.0/33", "10.0.0/8", "x", "::/129", "::/", "/8"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
        assert_eq!((protocol("tcp"), protocol("47")), (Ok(6), Ok(47)));
        assert!(protocol("icmp").is_err() && protocol("256").is_err());
    }
}
