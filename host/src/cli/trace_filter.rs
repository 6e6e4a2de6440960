//! Which packets are traced, as arguments: `guideway trace` and `guideway replay` share them, each with names of its own.

use clap::Args;

use crate::control::trace::filter::{Prefix, Sample, TCP, UDP, Wanted};

/// Declares the arguments, their names beginning with `$prefix`; with `$requires` they stand beside that argument only.
macro_rules! filter_arguments {
    ($(#[$doc:meta])* $name:ident, $prefix:literal $(, $requires:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Args)]
        pub(super) struct $name {
            /// Only packets from this address or prefix.
            #[arg(long = concat!($prefix, "source"), value_name = "ADDRESS[/BITS]" $(, requires = $requires)?)]
            source: Option<Prefix>,
            /// Only packets to this address or prefix.
            #[arg(long = concat!($prefix, "destination"), value_name = "ADDRESS[/BITS]" $(, requires = $requires)?)]
            destination: Option<Prefix>,
            /// Only packets from this port.
            #[arg(long = concat!($prefix, "source-port"), value_name = "PORT" $(, requires = $requires)?)]
            source_port: Option<u16>,
            /// Only packets to this port.
            #[arg(long = concat!($prefix, "destination-port"), value_name = "PORT" $(, requires = $requires)?)]
            destination_port: Option<u16>,
            /// Only packets of this VIP, by its name in the configuration.
            #[arg(long = concat!($prefix, "vip"), value_name = "NAME" $(, requires = $requires)?)]
            vip: Option<String>,
            /// Only packets of this protocol: tcp, udp or a number.
            #[arg(long = concat!($prefix, "protocol"), value_name = "PROTOCOL", value_parser = protocol $(, requires = $requires)?)]
            protocol: Option<u8>,
            /// Only the first of each N of these packets: 1, 2, 4 and so on up to 32768.
            #[arg(long = concat!($prefix, "sample"), value_name = "N", default_value_t $(, requires = $requires)?)]
            sample: Sample,
        }

        impl $name {
            /// What the arguments' names begin with.
            pub(super) const FLAG: &str = concat!("--", $prefix);

            /// What they say.
            pub(super) fn wanted(&self) -> Wanted {
                Wanted {
                    source: self.source,
                    destination: self.destination,
                    source_port: self.source_port,
                    destination_port: self.destination_port,
                    protocol: self.protocol,
                    vip: self.vip.clone(),
                    sample: self.sample,
                }
            }
        }
    };
}

filter_arguments!(
    /// Of `guideway trace`.
    TraceFilterArguments,
    ""
);
filter_arguments!(
    /// Of `guideway replay`.
    ReplayFilterArguments,
    "trace-",
    "trace"
);

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
    fn protocols_are_read_or_refused_by_name() {
        assert_eq!((protocol("tcp"), protocol("47")), (Ok(6), Ok(47)));
        assert!(protocol("icmp").is_err() && protocol("256").is_err());
    }
}
