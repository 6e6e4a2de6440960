//! What decides about a VIP's packets beside connection table and ring: servers' ids and source prefixes.
//!
//! Owns `route_by` of a VIP, `server_id` of a backend and `[[pool.source_route]]`. How a packet is asked stands in [`crate::slow_path::routes`].

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Backend;
use super::check::Checker;
use super::schema::{self, At};
use crate::card::{OnMiss, RouteBy, VipAddress};

/// Packets from these addresses go to this backend of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRoute {
    /// Where they come from.
    pub prefix: VipAddress,
    /// A backend of the pool.
    pub backend: IpAddr,
}

impl Checker {
    /// `route_by` of a VIP.
    pub(super) fn route_by(&mut self, vip: &schema::Vip, on_miss: OnMiss) -> RouteBy {
        let mut route_by = RouteBy::default();
        for name in vip.route_by.iter().flatten() {
            match name.get_ref().as_str() {
                "server-id" => route_by.server_id = true,
                "source" => route_by.source = true,
                other => self.problem(
                    "vip.route_by",
                    name.span(),
                    format!("{other:?} is nothing to route by"),
                    "write \"server-id\" or \"source\"",
                ),
            }
            if on_miss != OnMiss::Punt {
                self.problem(
                    "vip.route_by",
                    name.span(),
                    format!(
                        "the host routes, but misses of this VIP do not reach it: on_miss is {:?}",
                        on_miss.name()
                    ),
                    "remove it, or write on_miss = \"punt\"",
                );
            }
        }
        route_by
    }

    /// The ids of a pool's backends, in the file's order.
    pub(super) fn server_ids(&mut self, backends: &[At<schema::Backend>]) -> Vec<Option<u32>> {
        let (mut seen, mut ids) = (HashMap::new(), Vec::with_capacity(backends.len()));
        for backend in backends.iter().map(At::get_ref) {
            let key = "pool.backend.server_id";
            let id = backend.server_id.as_ref().map(|id| {
                let number = self.number(key, Some(id), 1, u32::MAX.into(), 1);
                if let Some(other) = seen.insert(number, backend.address.get_ref()) {
                    self.problem(
                        key,
                        id.span(),
                        format!("the pool's backend {other} has the id {number} too"),
                        "give each backend its own id",
                    );
                }
                u32::try_from(number).unwrap_or_default()
            });
            ids.push(id);
        }
        ids
    }

    /// `[[pool.source_route]]`.
    pub(super) fn source_routes(
        &mut self,
        routes: &[At<schema::SourceRoute>],
        backends: &[Backend],
    ) -> Vec<SourceRoute> {
        let (mut seen, mut checked) = (HashSet::new(), Vec::with_capacity(routes.len()));
        for route in routes.iter().map(At::get_ref) {
            let key = "pool.source_route.prefix";
            let prefix: Option<VipAddress> = self.parsed(
                key,
                &route.prefix,
                "an address or a prefix like \"10.0.0.0/16\"",
            );
            let key_of_backend = "pool.source_route.backend";
            let backend: Option<IpAddr> =
                self.parsed(key_of_backend, &route.backend, "an IP address");
            let (Some(prefix), Some(backend)) = (prefix, backend) else {
                continue;
            };
            if !seen.insert(prefix) {
                self.problem(
                    key,
                    route.prefix.span(),
                    format!("the pool has two routes for {prefix}"),
                    "keep one",
                );
            }
            if !backends.iter().any(|known| known.address == backend) {
                self.problem(
                    key_of_backend,
                    route.backend.span(),
                    format!("{backend} is no backend of the pool"),
                    "add it as a [[pool.backend]]; with weight = 0 it gets only what is routed to it",
                );
            }
            checked.push(SourceRoute { prefix, backend });
        }
        checked
    }
}
