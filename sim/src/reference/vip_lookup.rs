//! Which VIP a packet is for (`CARD.md` 3).

use guideway_hdl::tables::{BANKS, VIPS, VipMatch};

use super::{Config, Packet, Tables};

/// The VIP that a packet matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipHit {
    /// The VIP.
    pub vip: u16,
    /// Found by its any-port key.
    pub any_port: bool,
}

/// Looks a packet's destination up: exactly, then with port 0.
#[must_use]
pub fn vip_lookup(tables: &Tables, config: &Config, packet: &Packet) -> Option<VipHit> {
    find(tables, config, packet, packet.destination_port)
        .map(|vip| VipHit {
            vip,
            any_port: false,
        })
        .or_else(|| {
            find(tables, config, packet, 0).map(|vip| VipHit {
                vip,
                any_port: true,
            })
        })
}

fn find(tables: &Tables, config: &Config, packet: &Packet, port: u16) -> Option<u16> {
    let key = VipMatch {
        port,
        protocol: packet.protocol,
        ipv6: packet.is_ipv6(),
        address: packet.destination_value(),
        valid: false,
        vip: 0,
    };
    (0..BANKS).find_map(|bank| {
        let entry = tables.vip_match(bank, key.row(&config.secrets[bank]));
        let same = entry.port == key.port
            && entry.protocol == key.protocol
            && entry.ipv6 == key.ipv6
            && entry.address == key.address;
        let exists = usize::from(entry.vip) < VIPS;
        (entry.valid && same && exists).then_some(entry.vip)
    })
}
