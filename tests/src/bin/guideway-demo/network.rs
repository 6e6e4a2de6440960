//! The demo's network: client - router - {card, four backends}, every cable a veth pair.
//!
//! ```text
//!  client 10.1.0.2 ──── 10.1.0.1 router 10.2.0.1 ──── 10.2.0.2 lb: the card on `card0`
//!         fc01::2        fc01::1   │                                (02:00:00:00:00:01)
//!                                  ├── 10.0.1.1 ── b1 10.0.0.1, fc00::1 (weight 1)
//!                                  └── ...         b4 10.0.0.4, fc00::4 (weight 4)
//! ```
//! The router sends the VIPs to the card; the card's packets come back to the router encapsulated and go to the backends;
//! the backends answer the client through the router, from the VIP on their loopback.

use anyhow::Result;
use guideway_tests::net::{Host, cable};

/// The VIPs.
pub const VIP_V4: &str = "10.200.1.1";
/// The VIPs.
pub const VIP_V6: &str = "fc00:1::1";
/// The card's MAC address.
pub const CARD_MAC: &str = "02:00:00:00:00:01";
/// The router's MAC address on the card's cable.
pub const ROUTER_MAC: &str = "02:00:00:00:00:fe";
/// Largest packet inside: encapsulation adds at most 40 bytes to 1,500.
const MTU: u32 = 1600;

/// A backend's host and weight.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its host.
    pub host: Host,
    /// Its address in the IPv4 pool.
    pub v4: String,
    /// Its address in the IPv6 pool.
    pub v6: String,
    /// Its weight in both pools.
    pub weight: u32,
}

/// All hosts.
#[derive(Clone, Debug)]
pub struct Network {
    /// Where the clients run.
    pub client: Host,
    /// Where the card and its host run.
    pub lb: Host,
    /// Where the HTTP servers run.
    pub backends: Vec<Backend>,
}

/// Builds it.
///
/// # Errors
/// When an `ip` command fails.
pub fn build() -> Result<Network> {
    let (client, router, lb) = (Host::new("client")?, Host::new("router")?, Host::new("lb")?);
    router.forward()?;

    cable(&client, "eth0", &router, "clients", 1500)?;
    client.ip("addr add 10.1.0.2/24 dev eth0")?;
    client.ip("addr add fc01::2/64 dev eth0 nodad")?;
    router.ip("addr add 10.1.0.1/24 dev clients")?;
    router.ip("addr add fc01::1/64 dev clients nodad")?;
    client.ip("route add default via 10.1.0.1")?;
    client.ip("-6 route add default via fc01::1")?;

    cable(&lb, "card0", &router, "card", MTU)?;
    router.ip(&format!("link set card address {ROUTER_MAC}"))?;
    router.ip("addr add 10.2.0.1/24 dev card")?;
    router.ip("addr add fc02::1/64 dev card nodad")?;
    // the card answers no ARP or ND by itself: that is the host's network stack's part, which the demo does without
    router.ip(&format!("neigh add 10.2.0.2 lladdr {CARD_MAC} dev card"))?;
    router.ip(&format!("neigh add fc02::2 lladdr {CARD_MAC} dev card"))?;
    router.ip(&format!("route add {VIP_V4}/32 via 10.2.0.2"))?;
    router.ip(&format!("-6 route add {VIP_V6}/128 via fc02::2"))?;

    let backends = (1..=4)
        .map(|n| backend(&router, n))
        .collect::<Result<_>>()?;
    Ok(Network {
        client,
        lb,
        backends,
    })
}

fn backend(router: &Host, n: u32) -> Result<Backend> {
    let host = Host::new(&format!("b{n}"))?;
    let (v4, v6) = (format!("10.0.0.{n}"), format!("fc00::{n}"));
    cable(&host, "eth0", router, &format!("b{n}"), MTU)?;
    router.ip(&format!("addr add 10.0.{n}.1/24 dev b{n}"))?;
    router.ip(&format!("addr add fc03:{n}::1/64 dev b{n} nodad"))?;
    host.ip(&format!("addr add 10.0.{n}.2/24 dev eth0"))?;
    host.ip(&format!("addr add fc03:{n}::2/64 dev eth0 nodad"))?;
    host.ip(&format!("addr add {v4}/32 dev lo"))?;
    host.ip(&format!("addr add {v6}/128 dev lo nodad"))?;
    host.ip(&format!("addr add {VIP_V4}/32 dev lo"))?;
    host.ip(&format!("addr add {VIP_V6}/128 dev lo nodad"))?;
    // answers carry at most 1,500 bytes: the client's side of the network is an ordinary one
    host.ip(&format!("route add default via 10.0.{n}.1 mtu 1500"))?;
    host.ip(&format!("-6 route add default via fc03:{n}::1 mtu 1500"))?;
    router.ip(&format!("route add {v4}/32 via 10.0.{n}.2"))?;
    router.ip(&format!("-6 route add {v6}/128 via fc03:{n}::2"))?;
    Ok(Backend {
        host,
        v4,
        v6,
        weight: n,
    })
}
