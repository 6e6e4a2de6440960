//! What the host tells about itself and the card.
//!
//! Owns the JSON form that `status.json`, `guideway status` and replay's statistics share.

use guideway_hdl::tables::Table;
use guideway_hdl::verdict::{Disposition, PortCounter};
use serde_json::{Map, Value, json};

use super::carry_out::Deployment;
use super::state::{Life, State};
use crate::card::{Card, CardError, Counters};
use crate::slow_path::poll::SlowPath;

/// Names of dispositions with their counts; those that counted nothing are left out.
#[must_use]
pub fn dispositions(counters: &Counters) -> Value {
    let counted = counters.dispositions().filter(|(_, count)| *count > 0);
    Value::Object(
        counted
            .map(|(disposition, count): (Disposition, u64)| {
                (disposition.name().to_owned(), count.into())
            })
            .collect::<Map<_, _>>(),
    )
}

/// The card's counters.
#[must_use]
pub fn card(counters: &Counters) -> Value {
    let ports: Map<String, Value> = counters
        .ports()
        .map(|(port, count)| (port.name().to_owned(), count.into()))
        .collect();
    json!({
        "cycles": counters.port(PortCounter::Cycles),
        "frames_in": counters.port(PortCounter::WireIn),
        "dispositions": dispositions(counters),
        "ports": ports,
    })
}

/// VIPs with what the card counted for them.
///
/// # Errors
/// When the card cannot be reached.
pub fn vips(card: &Card, state: &State) -> Result<Value, CardError> {
    let used = state.vips.last().map_or(0, |vip| u32::from(vip.id) + 1);
    let counters = card.counters_of(Table::VipCounter, used)?;
    let over_meter = card.counters_of(Table::VipOverMeter, used)?;
    let of = |id: u16| counters.get(usize::from(id)).copied().unwrap_or_default();
    let over = |id: u16| {
        over_meter
            .get(usize::from(id))
            .map_or(0, |count| count.packets)
    };
    Ok(state.vips.iter().map(|vip| {
        let count = of(vip.id);
        let pool = state.pool(vip.pool).map(|pool| pool.name.as_str());
        json!({
            "name": vip.name, "index": vip.id, "address": vip.address, "port": vip.port, "protocol": vip.protocol.name(), "pool": pool, "on_miss": vip.rules.on_miss,
            "echo": vip.rules.echo, "too_big": vip.rules.too_big,
            "packets": count.packets, "bytes": count.bytes, "over_meter": over(vip.id),
        })
    }).collect())
}

/// Backends with what the card counted for them.
///
/// # Errors
/// When the card cannot be reached.
pub fn backends(card: &Card, state: &State) -> Result<Value, CardError> {
    let used = state
        .backends
        .last()
        .map_or(0, |backend| u32::from(backend.id) + 1);
    let counters = card.counters_of(Table::BackendCounter, used)?;
    let of = |id: u16| counters.get(usize::from(id)).copied().unwrap_or_default();
    let weight = |backend: &super::state::Backend| {
        let pool = state.pools.iter().find(|pool| pool.name == backend.pool);
        pool.and_then(|pool| {
            pool.members
                .iter()
                .find(|member| member.backend == backend.id)
        })
        .map_or(0, |member| member.weight)
    };
    Ok(state.backends.iter().map(|backend| {
        let count = of(backend.id);
        let life = match backend.life {
            Life::Up => "up",
            Life::Resting => "resting",
            Life::Leaving => "draining",
        };
        json!({
            "address": backend.address, "pool": backend.pool, "index": backend.id, "generation": backend.generation, "state": life,
            "weight": weight(backend), "packets": count.packets, "bytes": count.bytes,
        })
    }).collect())
}

/// What the slow path did.
#[must_use]
pub fn host(slow_path: &SlowPath, deployment: &Deployment, takeovers: u32) -> Value {
    let mut host = json!({ "takeovers": takeovers, "connections": slow_path.connections.len(), "flows": slow_path.flows.len(), "pinned": deployment.pinned, "commits": deployment.commits });
    host["fragments"] = json!(slow_path.fragment_stats());
    host["icmp_errors"] = json!(slow_path.icmp_error_stats());
    host["too_big"] = json!(slow_path.too_big_stats());
    for part in [json!(slow_path.stats), json!(slow_path.flows.stats)] {
        if let (Some(into), Value::Object(fields)) = (host.as_object_mut(), part) {
            into.extend(fields);
        }
    }
    host
}
