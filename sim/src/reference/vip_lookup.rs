//! Which VIP a packet is for (`CARD.md` 3).

use std::cmp::Reverse;

use guideway_hdl::tables::{BANKS, VIPS, VipMatch, VipPrefix};

use super::{Config, Packet, Tables};

/// The VIP that a packet matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipHit {
    /// The VIP.
    pub vip: u16,
    /// Found by its any-port key or by a prefix.
    pub any_port: bool,
}

/// Looks a packet's destination up: exactly, then with port 0, then among the prefixes.
#[must_use]
pub fn vip_lookup(tables: &Tables, config: &Config, packet: &Packet) -> Option<VipHit> {
    find(tables, config, packet, packet.destination_port)
        .map(|vip| VipHit {
            vip,
            any_port: false,
        })
        .or_else(|| {
            let any = find(tables, config, packet, 0);
            any.or_else(|| longest_prefix(tables.vip_prefixes(), packet))
                .map(|vip| VipHit {
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

fn longest_prefix(prefixes: &[VipPrefix], packet: &Packet) -> Option<u16> {
    prefixes
        .iter()
        .filter(|prefix| prefix.valid && usize::from(prefix.vip) < VIPS && covers(prefix, packet))
        .min_by_key(|prefix| Reverse((address_bits(prefix), prefix.port != 0)))
        .map(|prefix| prefix.vip)
}

/// Bits of the 128 that must agree.
fn address_bits(prefix: &VipPrefix) -> u32 {
    let length = u32::from(prefix.length);
    if prefix.ipv6 {
        length.min(128)
    } else {
        96 + length.min(32)
    }
}

fn covers(prefix: &VipPrefix, packet: &Packet) -> bool {
    let agreeing = (prefix.address ^ packet.destination_value()).leading_zeros();
    prefix.ipv6 == packet.is_ipv6()
        && prefix.protocol == packet.protocol
        && (prefix.port == 0 || prefix.port == packet.destination_port)
        && agreeing >= address_bits(prefix)
}
