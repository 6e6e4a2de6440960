//! `guideway decap`: the backend's end of the tunnel, where the kernel has none.

use anyhow::{Context as _, bail};
use clap::Args;

use crate::decap::Decapsulator;

/// Take IPIP, GRE and GUE packets off an interface and give their inner packets to the local stack: for a backend whose kernel has no
/// ipip, gre or fou module. GRE is taken with any key or none, GUE at --gue-port when its UDP checksum is right. A backend in l2 needs none of this: only the VIP on lo.
///
/// A backend needs three things:
///   ip addr add VIP/32 dev lo                  the VIP, not announced by ARP (net.ipv4.conf.all.arp_ignore=1, arp_announce=2)
///   sysctl net.ipv4.conf.all.rp_filter=0       inner packets come in on another interface than answers leave
///   guideway decap --interface eth0            this command, as root or with CAP_NET_RAW
///
/// Inner packets are put on the loopback interface, where the stack receives them. To let them come in on another interface, make a
/// pair (ip link add gw0 type veth peer name gw1) and give --to gw0 --to-mac with the MAC address of gw1.
///
/// The kernel also sees the encapsulated packets and answers "protocol unreachable", or "port unreachable" to GUE: drop that with a firewall rule where it disturbs.
/// Turn receive offloads of the interface off (ethtool -K eth0 gro off lro off), so that packets come one by one.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Decap {
    /// Where encapsulated packets arrive.
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// Where inner packets are put.
    #[arg(long, value_name = "NAME", default_value = "lo")]
    to: String,
    /// The station on --to that receives them; on the loopback interface it is known.
    #[arg(long, value_name = "MAC")]
    to_mac: Option<String>,
    /// The UDP port that GUE comes to: `gue_port` of the load balancer.
    #[arg(long, value_name = "PORT", default_value_t = guideway_hdl::tables::GUE_PORT)]
    gue_port: u16,
}

impl Decap {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let to_mac = match &self.to_mac {
            Some(text) => {
                crate::config::Mac::parse(text)
                    .with_context(|| format!("{text:?} is not a MAC address"))?
                    .0
            }
            None if self.to == "lo" => [0; 6],
            None => bail!(
                "--to {} needs --to-mac: the MAC address of the interface at its other end",
                self.to
            ),
        };
        self.warn_of_filters();
        let open = Decapsulator::open(&self.interface, &self.to, to_mac, self.gue_port);
        let mut decapsulator = open.with_context(|| {
            format!(
                "opening {} and {} (raw sockets need root or CAP_NET_RAW)",
                self.interface, self.to
            )
        })?;
        tracing::info!(from = self.interface, to = self.to, "decapsulating");
        loop {
            if let Err(error) = decapsulator.step() {
                let stats = decapsulator.stats;
                return Err(error).with_context(|| {
                    format!(
                        "{} or {} is gone, after {} packets",
                        self.interface, self.to, stats.delivered
                    )
                });
            }
        }
    }

    /// A strict reverse-path filter drops every inner packet without a word.
    fn warn_of_filters(&self) {
        for name in ["all", self.to.as_str()] {
            let path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
            if std::fs::read_to_string(&path).is_ok_and(|value| value.trim() == "1") {
                tracing::warn!(
                    "net.ipv4.conf.{name}.rp_filter is 1: inner packets will be dropped; set it to 0"
                );
            }
        }
    }
}
