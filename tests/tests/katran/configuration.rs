//! Katran's state as a configuration file of ours.
//!
//! A Katran server has one table of server ids and of source prefixes for all VIPs; here they belong to a pool, so that each pool gets what
//! they name as a backend of weight 0. A backend has several ids there and one here: a set is played once for each version of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::fixtures::{Fixtures, list, number, text};
use crate::play::{MARKER_BACKEND, MARKER_MAC, MARKER_PORT, MARKER_VIP};

/// Which of a backend's server ids is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Those of 16 bits: QUIC connection ids of version 1, TPR.
    Short,
    /// Those of 24 bits: QUIC connection ids of version 2, stable routing.
    Long,
}

/// The configuration of a set.
pub fn configuration(fixtures: &Fixtures, ids: Ids) -> String {
    let told = fixtures.has("ICMP_TOOBIG_GENERATION");
    // Katran's largest packet is 1500 bytes without the encapsulation. One number holds here for both families: the one that the set's large
    // packets go by.
    let mtu = if fixtures.name == "ipip_icmp_toobig" {
        1540
    } else {
        1520
    };
    let too_big = if told {
        "rate = 10, burst = 100"
    } else {
        "rate = 1, burst = 0"
    };
    let mut file = format!(
        r#"version = 1
[card]
device = "sim"
[node]
source_v4 = "10.0.13.37"
source_v6 = "fc00:2307::1337"
gue_port = 9886
mtu = {mtu}
icmp_limit = {{ too_big = {{ {too_big} }}, echo = {{ rate = 10, burst = 100 }} }}
[[node.next_hop]]
mac = "00:00:de:ad:be:af"
[[pool]]
name = "marker"
encap = "l2"
table_size = 2
backend = [{{ address = "{MARKER_BACKEND}", mac = "{MARKER_MAC}" }}]
[[vip]]
name = "marker"
address = "{MARKER_VIP}"
port = {MARKER_PORT}
protocol = "udp"
pool = "marker"
on_miss = "stateless"
"#
    );
    // VIPs of the same backends share a pool
    let vips = list(&fixtures.state, "vips");
    for (i, vip) in vips.iter().enumerate() {
        let same = |other: &Value| other["reals"] == vip["reals"];
        let pool_of = vips.iter().position(same).unwrap_or(i);
        if pool_of == i {
            pool(&mut file, fixtures, i, vip, ids);
        }
        vip_keys(&mut file, fixtures, (i, pool_of), vip);
    }
    file
}

/// The pool of the `i`-th VIP and of those like it: its backends, and what ids and prefixes name beside them.
fn pool(file: &mut String, fixtures: &Fixtures, i: usize, vip: &Value, ids: Ids) {
    let encap = if fixtures.has("GUE_ENCAP") {
        "gue"
    } else {
        "ipip"
    };
    let state = &fixtures.state;
    let mut backends: Vec<(&str, u64)> = list(vip, "reals")
        .iter()
        .map(|real| (text(real, "address"), number(real, "weight")))
        .collect();
    let routes: Vec<(&str, &str)> = list(state, "src_routing")
        .iter()
        .map(|route| {
            (
                text(route, "prefix"),
                address_of(state, number(route, "real_num")),
            )
        })
        .collect();
    let mapping = list(state, "quic_mapping");
    let mut seen: BTreeSet<&str> = backends.iter().map(|(address, _)| *address).collect();
    let named = mapping.iter().map(|entry| text(entry, "address"));
    for address in named.chain(routes.iter().map(|(_, address)| *address)) {
        if seen.insert(address) {
            backends.push((address, 0));
        }
    }
    // Katran's rings: the first version of Maglev, of 65537 slots
    write!(
        file,
        "[[pool]]\nname = \"p{i}\"\nencap = \"{encap}\"\ntable = \"maglev-v1\"\n"
    )
    .unwrap();
    for (address, weight) in backends {
        write!(
            file,
            "[[pool.backend]]\naddress = \"{address}\"\nweight = {weight}\n"
        )
        .unwrap();
        let of_version = |entry: &&Value| {
            let long = number(entry, "id") >> 16 != 0;
            text(entry, "address") == address && long == (ids == Ids::Long)
        };
        if let Some(entry) = mapping.iter().find(of_version) {
            writeln!(file, "server_id = {}", number(entry, "id")).unwrap();
        }
    }
    for (prefix, address) in routes {
        write!(
            file,
            "[[pool.source_route]]\nprefix = \"{prefix}\"\nbackend = \"{address}\"\n"
        )
        .unwrap();
    }
}

fn address_of(state: &Value, real: u64) -> &str {
    let found = list(state, "reals")
        .iter()
        .find(|entry| number(entry, "real_num") == real);
    text(found.unwrap(), "address")
}

fn vip_keys(file: &mut String, fixtures: &Fixtures, (i, pool): (usize, usize), vip: &Value) {
    let (address, port) = (text(vip, "address"), number(vip, "port"));
    let address = match number(vip, "cidr_prefix_len") {
        0 => address.to_owned(),
        length => format!("{address}/{length}"),
    };
    let protocol = if number(vip, "proto") == 6 {
        "tcp"
    } else {
        "udp"
    };
    write!(
        file,
        "[[vip]]\nname = \"v{i}\"\naddress = \"{address}\"\nport = {port}\nprotocol = \"{protocol}\"\npool = \"p{pool}\"\necho = true\n"
    )
    .unwrap();
    let mut route_by = Vec::new();
    if fixtures.has("TCP_SERVER_ID_ROUTING") && protocol == "tcp" {
        route_by.push("server-id");
    }
    for flag in list(vip, "flag_names") {
        match flag.as_str().unwrap() {
            "DPORT_HASH" => file.push_str("hash = [\"destination-port-only\"]\n"),
            "QUIC_VIP" => file.push_str("quic = \"katran\"\n"),
            "UDP_STABLE_ROUTING" => route_by.push("server-id"),
            "SRC_ROUTING" => route_by.push("source"),
            // of no consequence for these packets: their backend is not one that is down, nor on this machine
            "UDP_FLOW_MIGRATION" | "LOCAL_VIP" => {}
            other => panic!("{other} is no flag that these sets have"),
        }
    }
    if !route_by.is_empty() {
        writeln!(file, "route_by = {route_by:?}").unwrap();
    }
}
