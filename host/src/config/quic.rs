//! Routing by QUIC connection id: which VIPs do it, and the ids of the servers.
//!
//! Owns the keys `vip.quic` and `node.quic_lb`. What the card reads of a connection id stands in its
//! specification, section 3.

use super::check::Checker;
use super::schema::{self, At};
use super::{Node, Pool, Vip};
use crate::card::{QUIC_LB_BYTES_MAX, QUIC_ROTATIONS, QuicScheme};

impl Checker {
    /// Bytes of a QUIC-LB server id, by configuration rotation.
    pub(super) fn quic_lb(&mut self, lengths: &[At<i64>]) -> Vec<u8> {
        if let Some(beyond) = lengths.get(QUIC_ROTATIONS) {
            self.problem(
                "node.quic_lb",
                beyond.span(),
                format!("QUIC-LB has {QUIC_ROTATIONS} configuration rotations"),
                "give the bytes of a server id for rotation 0, 1, ...; 0 for one that is not in use",
            );
        }
        lengths
            .iter()
            .take(QUIC_ROTATIONS)
            .map(|length| {
                let most = QUIC_LB_BYTES_MAX.into();
                u8::try_from(self.number("node.quic_lb", Some(length), 0, most, 0))
                    .unwrap_or_default()
            })
            .collect()
    }

    /// Whether and how a VIP routes by connection id.
    pub(super) fn quic(&mut self, vip: &schema::Vip) -> Option<QuicScheme> {
        let quic = vip.quic.as_ref()?;
        if vip.protocol.get_ref() == "tcp" {
            self.problem(
                "vip.quic",
                quic.span(),
                "QUIC is UDP, but the VIP's protocol is \"tcp\"",
                "remove it, or write protocol = \"udp\"",
            );
        }
        match quic.get_ref().as_str() {
            "katran" => Some(QuicScheme::Katran),
            "quic-lb" => Some(QuicScheme::QuicLb),
            other => {
                self.problem(
                    "vip.quic",
                    quic.span(),
                    format!("{other:?} is not a form of connection ids"),
                    "write \"katran\" or \"quic-lb\"",
                );
                None
            }
        }
    }

    /// A VIP that routes by QUIC-LB's ids needs to know how long they are, and its servers' ids must fit.
    pub(super) fn quic_reach(
        &mut self,
        keys: &[At<schema::Vip>],
        pools: &[Pool],
        vips: &[Vip],
        node: &Node,
    ) {
        let by_lb = |vip: &&Vip| vip.rules.quic == Some(QuicScheme::QuicLb);
        let fits = |id: u32| {
            (node.quic_lb.iter())
                .any(|bytes| *bytes > 0 && (*bytes > 3 || id >> (8 * u32::from(*bytes)) == 0))
        };
        for vip in vips.iter().filter(by_lb) {
            let named = |key: &&At<schema::Vip>| *key.get_ref().name.get_ref() == vip.name;
            let span = keys.iter().find(named).map_or(0..0, At::span);
            if node.quic_lb.iter().all(|bytes| *bytes == 0) {
                self.problem(
                    "node.quic_lb",
                    span,
                    format!("the VIP {:?} routes by QUIC-LB's ids, but no configuration rotation has any", vip.name),
                    "add to [node] the bytes of a server id under rotation 0: quic_lb = [2]",
                );
                continue;
            }
            let pool = pools.get(vip.pool);
            let mut ids = pool
                .iter()
                .flat_map(|pool| &pool.backends)
                .filter_map(|backend| backend.server_id);
            if let Some(id) = ids.find(|id| !fits(*id)) {
                self.problem(
                    "pool.backend.server_id",
                    span,
                    format!("the server id {id} of a backend of the VIP {:?} fits into no rotation's bytes", vip.name),
                    "write a smaller one, or more bytes in node.quic_lb",
                );
            }
        }
    }
}
