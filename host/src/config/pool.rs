//! Pools: their rings, and who their backends are.
//!
//! Owns the keys of `[[pool]]` and `[[pool.backend]]`, but for the way to a backend ([`super::encap`]), server ids and source prefixes
//! ([`super::route`]).

use std::collections::HashMap;

use guideway_hdl::tables;

use super::check::Checker;
use super::schema::{self, At};
use super::{Backend, Encap, NextHop, Pool};
use crate::maglev::Algorithm;

/// The largest weight.
const WEIGHT_MAX: i64 = 65_535;

impl Checker {
    pub(super) fn pools(&mut self, pools: &[At<schema::Pool>], hops: &[NextHop]) -> Vec<Pool> {
        let mut names = HashMap::new();
        let mut checked = Vec::with_capacity(pools.len());
        for pool in pools {
            let pool = pool.get_ref();
            let name = self.name("pool.name", &pool.name);
            if names.insert(name.clone(), ()).is_some() {
                self.problem(
                    "pool.name",
                    pool.name.span(),
                    format!("there are two pools {name:?}"),
                    "give each pool its own name",
                );
            }
            let table = match pool.table.as_ref().map(|table| table.get_ref().as_str()) {
                None | Some("maglev-v2") => Algorithm::V2,
                Some("maglev-v1") => Algorithm::V1,
                Some(other) => {
                    let span = pool.table.as_ref().map_or(0..0, At::span);
                    self.problem(
                        "pool.table",
                        span,
                        format!("{other:?} is not a table"),
                        "write \"maglev-v2\" or \"maglev-v1\"",
                    );
                    Algorithm::V2
                }
            };
            let table_size = self.table_size(pool.table_size.as_ref());
            let encaps = self.encapsulations(pool);
            let next_hops = self.next_hops_of(pool, &encaps, hops);
            let mtu = self.mtu("pool.mtu", pool.mtu.as_ref());
            let backends = self.backends(&pool.backend, &encaps, &next_hops);
            let source_routes = self.source_routes(&pool.source_route, &backends);
            checked.push(Pool {
                name,
                table,
                table_size,
                mtu,
                backends,
                source_routes,
            });
        }
        checked
    }

    fn table_size(&mut self, size: Option<&At<i64>>) -> u32 {
        let checked = u32::try_from(self.number(
            "pool.table_size",
            size,
            2,
            i64::from(tables::RING_SIZE_MAX),
            i64::from(tables::RING_SIZE_MAX),
        ))
        .unwrap_or_default();
        if let (Some(size), false) = (size, is_prime(checked)) {
            let next = (checked..=tables::RING_SIZE_MAX)
                .find(|&n| is_prime(n))
                .unwrap_or(tables::RING_SIZE_MAX);
            self.problem(
                "pool.table_size",
                size.span(),
                format!("{checked} is not a prime: some backends could not reach every slot"),
                format!("the next prime is {next}; 65537 fits every pool"),
            );
        }
        checked
    }

    fn backends(
        &mut self,
        backends: &[At<schema::Backend>],
        encaps: &[Encap],
        next_hops: &[Option<usize>],
    ) -> Vec<Backend> {
        let mut seen = HashMap::new();
        let mut checked = Vec::with_capacity(backends.len());
        let server_ids = self.server_ids(backends);
        let ways = encaps.iter().zip(next_hops);
        for ((backend, (&encap, &next_hop)), server_id) in backends.iter().zip(ways).zip(server_ids)
        {
            let backend = backend.get_ref();
            let weight = u32::try_from(self.number(
                "pool.backend.weight",
                backend.weight.as_ref(),
                0,
                WEIGHT_MAX,
                1,
            ))
            .unwrap_or_default();
            let Some(address) = self.unicast("pool.backend.address", &backend.address) else {
                continue;
            };
            if seen.insert(address, ()).is_some() {
                self.problem(
                    "pool.backend.address",
                    backend.address.span(),
                    format!("the pool has the backend {address} twice"),
                    "keep one, with the sum of the weights",
                );
            }
            checked.push(Backend {
                address,
                weight,
                encap,
                next_hop,
                server_id,
            });
        }
        checked
    }
}

fn is_prime(n: u32) -> bool {
    n >= 2
        && (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
}
