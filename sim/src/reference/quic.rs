//! QUIC connection ids (`CARD.md` 3): the server id that a packet names, and the backend that it leads to.

use guideway_hdl::tables::{BANKS, BackendEntry, BackendState, QuicId, VipEntry};

use super::{Config, Packet, Tables};

/// Bytes of a connection id that are read at most.
const ID_BYTES: usize = 9;
/// Bytes that it must have.
const ID_BYTES_MIN: usize = 8;
/// Configuration rotation of QUIC-LB's unroutable ids.
const UNROUTABLE: u8 = 7;
/// RFC 9369: its long headers number their types anew.
const VERSION_2: [u8; 4] = [0x6b, 0x33, 0x43, 0xcf];

/// The first bytes of a connection id that a server may have chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    bytes: [u8; ID_BYTES],
    /// How many of them are the id's: 8 or 9.
    length: usize,
}

impl ConnectionId {
    /// Reads it of a UDP payload, as far as IP length and window hold that.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let first = payload.first()?;
        let (id, length) = if first & 0x80 == 0 {
            (payload.get(1..)?, usize::MAX)
        } else {
            let version = payload.get(1..5)?;
            let kind = first >> 4 & 3;
            let client_chose = if version == VERSION_2 {
                kind == 1 || kind == 2
            } else {
                kind < 2
            };
            if client_chose {
                return None;
            }
            (payload.get(6..)?, usize::from(*payload.get(5)?))
        };
        if id.len() < ID_BYTES_MIN || length < ID_BYTES_MIN {
            return None;
        }
        let length = id.len().min(length).min(ID_BYTES);
        let mut bytes = [0; ID_BYTES];
        bytes[..length].copy_from_slice(&id[..length]);
        Some(Self { bytes, length })
    }

    /// The server id of Katran's three versions.
    fn katran(&self) -> Option<u64> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let c = &self.bytes;
        let id = match c[0] >> 6 {
            1 => number(&c[..3]) >> 6 & 0xffff,
            2 => number(&c[1..4]),
            3 => number(&c[1..5]),
            _ => 0,
        };
        (id != 0).then_some(id)
    }

    /// Rotation and server id of QUIC-LB in plaintext; `lengths` is the register `quic_lb`.
    fn quic_lb(&self, lengths: u32) -> Option<(u8, u64)> {
        let rotation = self.bytes[0] >> 5;
        let bytes = (lengths >> (4 * rotation) & 15) as usize;
        if rotation == UNROUTABLE || !(1..=8).contains(&bytes) {
            return None;
        }
        let id = self.bytes[..self.length].get(1..=bytes)?;
        Some((rotation, id.iter().fold(0, |n, b| n << 8 | u64::from(*b))))
    }
}

/// The key that a packet to this VIP is looked up by, when it names a server.
#[must_use]
pub fn quic_key(config: &Config, vip: &VipEntry, packet: &Packet) -> Option<QuicId> {
    let c = packet.connection_id.filter(|_| vip.quic)?;
    let (rotation, id) = if vip.quic_lb {
        c.quic_lb(config.quic_lb)?
    } else {
        (0, c.katran()?)
    };
    Some(QuicId {
        id,
        rotation,
        lb: vip.quic_lb,
        pool: vip.pool,
        ..QuicId::default()
    })
}

/// The backend of a server id, when the entry is live.
#[must_use]
pub fn quic_lookup(tables: &Tables, config: &Config, key: &QuicId) -> Option<(u16, BackendEntry)> {
    let found = (0..BANKS)
        .map(|bank| tables.quic_id(bank, key.row(&config.secrets[bank])))
        .find(|entry| entry.valid && key_of(entry) == key_of(key))?;
    let backend = tables.backend(found.backend)?;
    let takes =
        backend.state == BackendState::Up.raw() || backend.state == BackendState::Draining.raw();
    (takes && backend.generation == found.generation).then_some((found.backend, backend))
}

const fn key_of(entry: &QuicId) -> (u64, u8, bool, u8) {
    (entry.id, entry.rotation, entry.lb, entry.pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bytes: &[u8]) -> ConnectionId {
        ConnectionId::read(&[&[0x40], bytes].concat()).expect("long enough")
    }

    #[test]
    fn katrans_versions() {
        // 0x4 | 1234 >> 12 ..., as the specification's text places the bits of 0x1234
        assert_eq!(
            id(&[0x44, 0x8d, 0x00, 9, 9, 9, 9, 9]).katran(),
            Some(0x1234)
        );
        assert_eq!(id(&[0x80, 1, 2, 3, 9, 9, 9, 9]).katran(), Some(0x01_0203));
        assert_eq!(
            id(&[0xff, 0xff, 0, 0, 1, 9, 9, 9]).katran(),
            Some(0xff00_0001)
        );
        assert_eq!(id(&[0x3f, 1, 2, 3, 4, 5, 6, 7]).katran(), None);
        assert_eq!(id(&[0x80, 0, 0, 0, 4, 5, 6, 7]).katran(), None);
    }

    #[test]
    fn quic_lb_reads_as_many_bytes_as_its_rotation_says() {
        let lengths = 8 << 24 | 9 << 20 | 2 << 4 | 1;
        let ask = |first| id(&[first, 1, 2, 3, 4, 5, 6, 7, 8, 9]).quic_lb(lengths);
        assert_eq!(ask(0x1f), Some((0, 1)));
        assert_eq!(ask(0x20), Some((1, 0x0102)));
        assert_eq!(ask(0x40), None);
        assert_eq!(ask(0xa0), None);
        assert_eq!(ask(0xc0), Some((6, 0x0102_0304_0506_0708)));
        assert_eq!(ask(0xe0), None);
        assert_eq!(id(&[0xc0, 1, 2, 3, 4, 5, 6, 7]).quic_lb(lengths), None);
    }
}
