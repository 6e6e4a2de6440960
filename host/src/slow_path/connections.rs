//! The complete table of connections, in a file that survives the host.
//!
//! Owns the file's layout and what of it can be believed after a crash. A connection is named by addresses and ports, never by
//! the card's indices, so that the table outlives a reset card. Which backend a new connection gets is [`super::decide`]'s.
//!
//! ```text
//!   0 ┌───────────┐ header: magic, version, record size, checksum
//!  4K ├───────────┤ record 0: 128 bytes, own checksum; written in place with one pwrite
//!     │    ...    │ a record whose checksum is wrong was torn by a crash: it is counted and its place reused
//!     └───────────┘ grows by whole extents
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::card::VipAddress;
use crate::config::Protocol;
use crate::file_lock;
use crate::maglev::octets;

/// Says that a file is a connection table, and of which version.
const MAGIC: [u8; 8] = *b"GWCONN01";
/// Bytes of the header.
const HEADER_BYTES: u64 = 4096;
/// Bytes of a record: a divisor of a page, so that no record lies in two.
const RECORD_BYTES: usize = 128;
/// Records by which the file grows.
const EXTENT: usize = 4096;
/// Most connections that the table holds: 256 MiB of file.
const RECORDS_MAX: usize = 2 << 20;

/// Who talks to which VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The VIP's address, or its prefix: the card does not tell the addresses of a prefix apart.
    pub destination: VipAddress,
    /// The port on the VIP.
    pub destination_port: u16,
    /// The client's address.
    pub source: IpAddr,
    /// The client's port.
    pub source_port: u16,
}

/// What the host knows of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The pool of its backend, by [`pool_tag`].
    pub pool: u64,
    /// Its backend's address.
    pub backend: IpAddr,
    /// When a packet of it was last seen by host or card, in seconds of the wall clock.
    pub last_seen: u32,
    /// A FIN or RST was seen.
    pub closing: bool,
    /// Under a prefix's name: the address that it is to, if the host has seen a packet of it.
    pub address: Option<IpAddr>,
}

/// A pool's name as the file holds it.
#[must_use]
pub fn pool_tag(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// A record as it lies in the file.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Record {
    used: u8,
    protocol: u8,
    closing: u8,
    /// Of a prefix; 0: the destination is one address.
    prefix_length: u8,
    source_port: U16,
    destination_port: U16,
    source: [u8; 16],
    destination: [u8; 16],
    backend: [u8; 16],
    pool: U64,
    last_seen: U32,
    /// Zeros: none.
    address: [u8; 16],
    reserved: [u8; 40],
    /// CRC-32 over all before it.
    checksum: U32,
}

const _: () = assert!(size_of::<Record>() == RECORD_BYTES);

impl Record {
    fn new(key: &ConnectionKey, connection: &Connection) -> Self {
        let mut record = Self {
            used: 1,
            protocol: key.protocol.number(),
            closing: u8::from(connection.closing),
            prefix_length: match key.destination.one() {
                Some(_) => 0,
                None => key.destination.length(),
            },
            source_port: key.source_port.into(),
            destination_port: key.destination_port.into(),
            source: octets(key.source),
            destination: octets(key.destination.first()),
            backend: octets(connection.backend),
            pool: connection.pool.into(),
            last_seen: connection.last_seen.into(),
            address: connection.address.map_or([0; 16], octets),
            reserved: [0; 40],
            checksum: 0.into(),
        };
        record.checksum = record.sum().into();
        record
    }

    fn sum(&self) -> u32 {
        let bytes = self.as_bytes();
        crc32fast::hash(&bytes[..bytes.len() - 4])
    }

    fn read(&self) -> Option<(ConnectionKey, Connection)> {
        let protocol = match self.protocol {
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            _ => return None,
        };
        let address = |octets: [u8; 16]| Ipv6Addr::from(octets).to_canonical();
        let destination = match (address(self.destination), self.prefix_length) {
            (one, 0) => one.into(),
            (first, length) => VipAddress::new(first, length).ok()?,
        };
        let key = ConnectionKey {
            protocol,
            destination,
            destination_port: self.destination_port.get(),
            source: address(self.source),
            source_port: self.source_port.get(),
        };
        let connection = Connection {
            pool: self.pool.get(),
            backend: address(self.backend),
            last_seen: self.last_seen.get(),
            closing: self.closing != 0,
            address: (self.address != [0; 16]).then(|| address(self.address)),
        };
        Some((key, connection))
    }
}

/// Why the table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionsError {
    /// The file system refused.
    #[error("{}: {doing}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another host has it.
    #[error("{}: another guideway uses this runtime directory; give each its own with --runtime-dir", .0.display())]
    InUse(PathBuf),
    /// It is no connection table of this version.
    #[error("{}: not a connection table of this version; move it away to begin with an empty one", .0.display())]
    Foreign(PathBuf),
    /// It holds as many connections as it may.
    #[error("the connection table is full")]
    Full,
}

/// What was found when the table was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Connections that were read.
    pub connections: usize,
    /// Records that a crash had torn.
    pub torn: usize,
}

/// The table.
pub struct Connections {
    /// None: nothing outlives the host (replay).
    file: Option<File>,
    path: PathBuf,
    by_key: HashMap<ConnectionKey, (Connection, usize)>,
    /// Lengths of the prefixes among the destinations, and how many have them.
    prefix_lengths: BTreeMap<u8, usize>,
    free: Vec<usize>,
    records: usize,
}

impl Connections {
    /// A table without a file: for runs that begin from nothing.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            file: None,
            path: PathBuf::new(),
            by_key: HashMap::new(),
            prefix_lengths: BTreeMap::new(),
            free: Vec::new(),
            records: 0,
        }
    }

    /// Opens the table at `path`, or makes an empty one.
    ///
    /// # Errors
    /// When the file is another host's, no table of this version, or the file system refuses.
    pub fn open(path: &Path) -> Result<(Self, Opened), ConnectionsError> {
        let failed = |doing| {
            move |source| ConnectionsError::Io {
                path: path.to_owned(),
                doing,
                source,
            }
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("opening it"))?;
        file_lock::take(&file).map_err(|_| ConnectionsError::InUse(path.to_owned()))?;
        let length = file.metadata().map_err(failed("reading its length"))?.len();
        let mut table = Self {
            file: None,
            path: path.to_owned(),
            by_key: HashMap::new(),
            prefix_lengths: BTreeMap::new(),
            free: Vec::new(),
            records: 0,
        };
        if length < HEADER_BYTES {
            // new, or the crash came before the header was whole: nothing was recorded yet
            let mut header = [0; HEADER_BYTES as usize];
            header[..8].copy_from_slice(&MAGIC);
            header[8..12].copy_from_slice(&(RECORD_BYTES as u32).to_le_bytes());
            file.write_all_at(&header, 0)
                .map_err(failed("writing its header"))?;
            table.file = Some(file);
            return Ok((table, Opened::default()));
        }
        let opened = table.load(&file, length)?;
        table.file = Some(file);
        Ok((table, opened))
    }

    fn load(&mut self, file: &File, length: u64) -> Result<Opened, ConnectionsError> {
        let mut header = [0; 12];
        file.read_exact_at(&mut header, 0)
            .map_err(|e| self.failed("reading its header", e))?;
        if header[..8] != MAGIC || header[8..12] != (RECORD_BYTES as u32).to_le_bytes() {
            return Err(ConnectionsError::Foreign(self.path.clone()));
        }
        let mut opened = Opened::default();
        self.records = usize::try_from((length - HEADER_BYTES) / RECORD_BYTES as u64)
            .unwrap_or(RECORDS_MAX)
            .min(RECORDS_MAX);
        let mut extent = vec![0; EXTENT * RECORD_BYTES];
        for first in (0..self.records).step_by(EXTENT) {
            let count = EXTENT.min(self.records - first);
            let bytes = &mut extent[..count * RECORD_BYTES];
            file.read_exact_at(bytes, offset(first))
                .map_err(|e| ConnectionsError::Io {
                    path: self.path.clone(),
                    doing: "reading records",
                    source: e,
                })?;
            for (slot, bytes) in (first..).zip(bytes.chunks_exact(RECORD_BYTES)) {
                let Ok(record) = Record::read_from_bytes(bytes) else {
                    continue;
                };
                let known = (record.used == 1 && record.checksum.get() == record.sum())
                    .then(|| record.read())
                    .flatten();
                match known {
                    // a connection stands in one record only; a second one would be a torn move, of which either is right
                    Some((key, connection)) if !self.by_key.contains_key(&key) => {
                        self.note(key, connection, slot);
                    }
                    _ => {
                        opened.torn += usize::from(bytes.iter().any(|&byte| byte != 0));
                        self.free.push(slot);
                    }
                }
            }
        }
        self.free.reverse();
        opened.connections = self.by_key.len();
        Ok(opened)
    }

    /// What is known of a connection.
    #[must_use]
    pub fn get(&self, key: &ConnectionKey) -> Option<&Connection> {
        self.by_key.get(key).map(|(connection, _)| connection)
    }

    /// What is known of a connection under the name of a prefix that holds its destination, the longest first.
    #[must_use]
    pub fn under_prefix(&self, key: &ConnectionKey) -> Option<&Connection> {
        self.prefix_lengths.keys().rev().find_map(|&length| {
            let destination = key.destination.widened(length)?;
            self.get(&ConnectionKey {
                destination,
                ..*key
            })
        })
    }

    /// Every connection.
    pub fn iter(&self) -> impl Iterator<Item = (&ConnectionKey, &Connection)> {
        self.by_key
            .iter()
            .map(|(key, (connection, _))| (key, connection))
    }

    /// Connections that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// It holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Records a connection, in place of what was known of it; its address stays known. It is in the file when this returns.
    ///
    /// # Errors
    /// When the table is full or the file system refuses.
    pub fn record(
        &mut self,
        key: ConnectionKey,
        connection: Connection,
    ) -> Result<(), ConnectionsError> {
        let known = self.get(&key).and_then(|known| known.address);
        let connection = Connection {
            address: connection.address.or(known),
            ..connection
        };
        let slot = match self.by_key.get(&key) {
            Some((known, _)) if *known == connection => return Ok(()),
            Some((_, slot)) => *slot,
            None => self.take_slot()?,
        };
        self.write(slot, Record::new(&key, &connection).as_bytes())?;
        self.note(key, connection, slot);
        Ok(())
    }

    fn note(&mut self, key: ConnectionKey, connection: Connection, slot: usize) {
        let known = self.by_key.insert(key, (connection, slot)).is_some();
        if !known && key.destination.one().is_none() {
            *(self.prefix_lengths.entry(key.destination.length())).or_default() += 1;
        }
    }

    /// Forgets a connection.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget(&mut self, key: &ConnectionKey) -> Result<(), ConnectionsError> {
        if let Some((_, slot)) = self.by_key.remove(key) {
            let length = key.destination.length();
            if key.destination.one().is_none()
                && let Some(count) = self.prefix_lengths.get_mut(&length)
            {
                *count -= 1;
                if *count == 0 {
                    self.prefix_lengths.remove(&length);
                }
            }
            self.write(slot, &[0; RECORD_BYTES])?;
            self.free.push(slot);
        }
        Ok(())
    }

    fn take_slot(&mut self) -> Result<usize, ConnectionsError> {
        if self.free.is_empty() {
            if self.records >= RECORDS_MAX {
                return Err(ConnectionsError::Full);
            }
            let records = (self.records + EXTENT).min(RECORDS_MAX);
            if let Some(file) = &self.file {
                file.set_len(offset(records))
                    .map_err(|e| self.failed("growing it", e))?;
            }
            self.free.extend((self.records..records).rev());
            self.records = records;
        }
        self.free.pop().ok_or(ConnectionsError::Full)
    }

    fn write(&self, slot: usize, bytes: &[u8]) -> Result<(), ConnectionsError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        file.write_all_at(bytes, offset(slot))
            .map_err(|e| self.failed("writing a record", e))
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> ConnectionsError {
        ConnectionsError::Io {
            path: self.path.clone(),
            doing,
            source,
        }
    }
}

fn offset(slot: usize) -> u64 {
    HEADER_BYTES + slot as u64 * RECORD_BYTES as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(port: u16) -> ConnectionKey {
        ConnectionKey {
            protocol: Protocol::Tcp,
            destination: "10.200.1.1".parse().unwrap(),
            destination_port: 80,
            source: "192.0.2.1".parse().unwrap(),
            source_port: port,
        }
    }

    fn to(backend: &str) -> Connection {
        Connection {
            pool: pool_tag("web"),
            backend: backend.parse().unwrap(),
            last_seen: 17,
            closing: false,
            address: None,
        }
    }

    fn filled(path: &Path, count: u16) {
        let (mut table, _) = Connections::open(path).unwrap();
        for port in 0..count {
            table.record(key(port), to("10.0.0.1")).unwrap();
        }
    }

    #[test]
    fn connections_outlive_their_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connections");
        filled(&path, 5000); // more than an extent
        let (mut table, opened) = Connections::open(&path).unwrap();
        assert_eq!(
            opened,
            Opened {
                connections: 5000,
                torn: 0
            }
        );
        let v6 = ConnectionKey {
            protocol: Protocol::Udp,
            destination: "fc00::80".parse().unwrap(),
            source: "fc00:2::1".parse().unwrap(),
            ..key(9)
        };
        table.record(v6, to("fc00::1")).unwrap();
        table.forget(&key(3)).unwrap();
        table.record(key(4), to("10.0.0.2")).unwrap();
        drop(table);
        let (table, opened) = Connections::open(&path).unwrap();
        assert_eq!(
            opened,
            Opened {
                connections: 5000,
                torn: 0
            }
        );
        assert_eq!(table.get(&key(3)), None);
        assert_eq!(table.get(&key(4)), Some(&to("10.0.0.2")));
        assert_eq!(table.get(&v6), Some(&to("fc00::1")));
    }

    #[test]
    fn a_torn_record_is_found_and_its_place_reused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connections");
        filled(&path, 100);
        // the first half of record 7 is a newer one's
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(
            &Record::new(&key(999), &to("10.0.0.9")).as_bytes()[..64],
            offset(7),
        )
        .unwrap();
        let (mut table, opened) = Connections::open(&path).unwrap();
        assert_eq!(
            opened,
            Opened {
                connections: 99,
                torn: 1
            }
        );
        assert_eq!((table.get(&key(7)), table.get(&key(999))), (None, None));
        table.record(key(7), to("10.0.0.1")).unwrap();
        drop(table);
        assert_eq!(
            Connections::open(&path).unwrap().1,
            Opened {
                connections: 100,
                torn: 0
            }
        );
    }

    #[test]
    fn two_hosts_do_not_share_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connections");
        let (_first, _) = Connections::open(&path).unwrap();
        assert!(matches!(
            Connections::open(&path),
            Err(ConnectionsError::InUse(_))
        ));
    }

    #[test]
    fn a_foreign_file_is_refused_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connections");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert!(matches!(
            Connections::open(&path),
            Err(ConnectionsError::Foreign(_))
        ));
        assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 8192]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever one byte of damage hits, at most one connection is lost, and none is made up.
        #[test]
        fn one_damaged_byte_costs_at_most_one_connection(at in HEADER_BYTES..HEADER_BYTES + 20 * RECORD_BYTES as u64, byte: u8) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("connections");
            filled(&path, 20);
            File::options().write(true).open(&path).unwrap().write_all_at(&[byte], at).unwrap();
            let (table, opened) = Connections::open(&path).unwrap();
            prop_assert!(opened.connections >= 19 && opened.connections + opened.torn <= 20);
            for (known, connection) in table.iter() {
                prop_assert!(known.source_port < 20 && *connection == to("10.0.0.1"));
            }
        }
    }
}
